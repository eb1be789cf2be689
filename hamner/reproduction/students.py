"""Copies of the notebooks for a class: without outputs and solutions, also for nbgrader and Otter-Grader.

An exercise is three cells of a notebook's source:

    a prompt     Markdown with "**Your turn 2 · level 1.**" or "**2 · level 1.**", and a hint in <details>
    a solution   code with the tag "solution"; what the student writes stands between BEGIN and END
    a check      code with the tag "check", which raises `hamner.exercises.NotYet` for a wrong answer and ends with
                 right("...")

A check uses names of its own cell, of cells with the tag "keep" and of solutions, and no others: it runs by itself.
An exercise without a check has a solution alone; then the whole cell is the student's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_output, new_raw_cell

from hamner.reproduction.notebooks import NotebookError, read_source
from hamner.reproduction.numbering import number_of

BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
OPEN = "...  # your turn"
"""What stands in a student's copy in the place of the lines between BEGIN and END."""

LEVEL = re.compile(r"\*\*(?:Your turn )?(\d+) · level ([123])\.\*\*")
HINT = re.compile(r"<details><summary>Hint</summary>\n\n.+\n\n</details>", re.DOTALL)
RIGHT = re.compile(r'^right\("([^"]+)"\)$', re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    """An exercise of a notebook; `prompt`, `solution` and `check` are the numbers of its cells."""

    number: int
    level: int
    prompt: int
    solution: int
    check: int


def exercises(notebook: NotebookNode, source: Path) -> list[Exercise]:
    """The exercises with a check in a notebook as `read_source` gives it.

    Raises:
        NotebookError: an exercise has not the form that this module describes; the message names its cell.
    """
    found = []
    for number, cell in enumerate(notebook.cells):
        if "check" not in _tags(cell):
            continue

        def fault(what: str, source: Path = source, first: str = cell.source.partition("\n")[0]) -> NotebookError:
            return NotebookError(f"{source}: the check {first!r} {what}")

        if number < 2 or "solution" not in _tags(notebook.cells[number - 1]):
            raise fault('needs the solution in the cell before it (tags=["solution"])')
        solution, prompt = notebook.cells[number - 1].source, notebook.cells[number - 2].source
        if not solution.count(BEGIN) == solution.count(END) > 0:
            raise fault(f"needs lines between {BEGIN!r} and {END!r} in the solution before it")
        if not (level := LEVEL.search(prompt)):
            raise fault('needs "**1 · level 2.**" in the text before its solution, with its number and level')
        if not HINT.search(prompt):
            raise fault("needs a folded hint before its solution: <details><summary>Hint</summary>")
        if not RIGHT.search(cell.source.splitlines()[-1]):
            raise fault('has to end with right("..."), which says what is right')
        found.append(Exercise(int(level[1]), int(level[2]), number - 2, number - 1, number))
    return found


def stub(solution: str) -> str:
    """The text of a solution with OPEN in the place of what the student writes."""
    kept, inside = [], False
    for line in solution.splitlines():
        if line.strip() == BEGIN:
            inside = True
            kept.append(line.replace(BEGIN, OPEN))
        elif line.strip() == END:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def for_students(source: Path) -> NotebookNode:
    """A notebook without outputs and solutions: the checks stay. A solution without a check becomes an empty cell."""
    notebook = read_source(source)
    for exercise in exercises(notebook, source):
        cell = notebook.cells[exercise.solution]
        cell.source, cell.metadata["tags"] = stub(cell.source), ["answer"]
    for cell in notebook.cells:
        if "solution" in _tags(cell):
            cell.source = "# your turn"
            cell.metadata.pop("tags")
    return notebook


def for_nbgrader(source: Path) -> NotebookNode:
    """A notebook for `source/ASSIGNMENT` of an nbgrader course.

    A check gives as many points as its exercise has levels. A solution without a check is graded by hand, one point.
    """
    notebook = read_source(source)
    short = number_of(source)
    checked = {}
    for exercise in exercises(notebook, source):
        checked[exercise.solution] = exercise
        name = f"{short}-{exercise.number}"
        grade = {"grade": True, "locked": True, "points": exercise.level, "grade_id": f"{name}-check"}
        notebook.cells[exercise.check].metadata["nbgrader"] = _of_nbgrader(**grade)
        notebook.cells[exercise.solution].metadata |= {
            "nbgrader": _of_nbgrader(solution=True, grade_id=name),
            "tags": ["answer"],
        }
    for number, cell in enumerate(notebook.cells):
        if "solution" in _tags(cell) and number not in checked:
            by_hand = {"grade": True, "solution": True, "points": 1, "grade_id": f"{short}-cell-{number}"}
            cell.metadata["nbgrader"] = _of_nbgrader(**by_hand)
            cell.metadata.pop("tags")
            cell.source = f"### {BEGIN[2:]}\n{cell.source}\n### {END[2:]}"
    return notebook


def _of_nbgrader(**settings: object) -> dict[str, object]:
    return {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False} | settings


NBGRADER_CONFIG = f"""\
c = get_config()
c.CourseDirectory.course_id = "hamner"
c.ClearSolutions.code_stub = {{"python": "{OPEN}"}}
"""
"""nbgrader_config.py: what is cleared looks as in the other copies."""


def for_otter(source: Path) -> NotebookNode:
    """A notebook for `otter assign`, which makes of it the students' copy and the file that grades it.

    Each check is the test of its question. A solution without a check is a question that is graded by hand.
    """
    notebook = read_source(source)
    checked = {exercise.solution: exercise for exercise in exercises(notebook, source)}
    cells = [new_raw_cell(f"# ASSIGNMENT CONFIG\nname: {source.stem}\nsolutions_pdf: false\nexport_cell: false")]
    prompts = {exercise.prompt for exercise in checked.values()}
    for number, cell in enumerate(notebook.cells):
        if number in prompts:
            exercise = checked[number + 1]
            cells += [_question(f"q{exercise.number}", exercise.level), cell]
        elif number in checked:
            cell.metadata["tags"] = ["answer"]
            cells += [new_raw_cell("# BEGIN SOLUTION"), cell, new_raw_cell("# END SOLUTION")]
        elif "check" in _tags(cell):
            # Otter compares what a test prints with the output in the notebook.
            said = RIGHT.search(cell.source)
            assert said is not None  # `exercises` has seen to that
            cell.outputs = [new_output("stream", name="stdout", text=f"Right: {said[1]}.\n")]
            cells += [new_raw_cell("# BEGIN TESTS"), cell, new_raw_cell("# END TESTS"), new_raw_cell("# END QUESTION")]
        elif "solution" in _tags(cell):
            cell.metadata.pop("tags")
            cell.source = f"{BEGIN}\n{cell.source}\n{END}"
            asked = len(cells) - (cells[-1].cell_type == "markdown")  # the question begins with its text
            cells.insert(asked, _question(f"by_hand_{number}", 1, manual=True))
            cells += [new_raw_cell("# BEGIN SOLUTION"), cell, new_raw_cell("# END SOLUTION")]
            cells += [new_raw_cell("# END QUESTION")]
        else:
            cells.append(cell)
    for number, cell in enumerate(cells):
        if cell.cell_type == "raw":
            cell.id = f"raw-{number}"  # nbformat draws ids at random
    notebook.cells = cells
    return notebook


def _question(name: str, points: int, manual: bool = False) -> NotebookNode:
    return new_raw_cell(f"# BEGIN QUESTION\nname: {name}\npoints: {points}\nmanual: {str(manual).lower()}")


FORMATS: dict[str, tuple[Callable[[Path], NotebookNode], str]] = {
    "plain": (for_students, ""),
    "nbgrader": (for_nbgrader, "source/hamner"),
    "otter": (for_otter, ""),
}
"""Format -> what makes a notebook of it, and in which folder of the class it lies."""


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))
