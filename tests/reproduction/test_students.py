from __future__ import annotations

import contextlib
import io
import json
import linecache
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from nbformat import NotebookNode

from hamner.exercises import NotYet
from hamner.reproduction import notebooks, students
from hamner.reproduction.notebooks import NotebookError
from hamner.reproduction.students import BEGIN, END, OPEN, Exercise

SOURCES = notebooks.notebook_sources()
READ = {source: notebooks.read_source(source) for source in SOURCES}
CHECKED = [source for source in SOURCES if students.exercises(READ[source], source)]
TRACK = [source for source in SOURCES if source.stem.startswith("b")]

SMALL = """\
# %% tags=["keep"]
from hamner.exercises import check_choice, right

# %% [markdown]
# **Your turn 1 · level 2.** Write `answer`.
#
# <details><summary>Hint</summary>
#
# It is a number.
#
# </details>

# %% tags=["solution"]
def answer():
    # BEGIN SOLUTION
    return 42
    # END SOLUTION

# %% tags=["check"]
check_choice("answer", answer(), 42, {None: "it is not written yet"})
right("answer")

# %% [markdown]
# **2.** Say why.

# %% tags=["solution"]
why = "because"
"""


def write_source(folder: Path, text: str = SMALL) -> Path:
    source = folder / "notebooks" / "py" / "b1_small.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text, encoding="utf-8")
    return source


def run(text: str, names: dict[str, Any], place: str) -> str:
    """Run a cell; what it prints."""
    torch.manual_seed(0)
    linecache.cache[place] = len(text), None, text.splitlines(keepends=True), place
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(text, place, "exec"), names)
    return printed.getvalue()


def tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


@pytest.mark.parametrize("source", CHECKED, ids=lambda source: source.stem)
def test_every_solution_passes_its_check_and_every_stub_fails_with_one_sentence(source: Path, monkeypatch) -> None:
    monkeypatch.chdir(notebooks.notebooks_folder())  # where the answers of other notebooks are
    cells = READ[source].cells
    solved: dict[str, Any] = {"__name__": source.stem}
    checked = {exercise.check: exercise for exercise in students.exercises(READ[source], source)}
    for number, cell in enumerate(cells):
        if exercise := checked.get(number):
            before = dict(solved)
            run(cells[exercise.solution].source, solved, f"<{source.stem} {number} solution>")
            said = students.RIGHT.search(cell.source)[1]
            assert run(cell.source, dict(solved), f"<{source.stem} {number}>") == f"Right: {said}.\n"
            run(students.stub(cells[exercise.solution].source), before, f"<{source.stem} {number} stub>")
            with pytest.raises(NotYet):  # Python's own errors would be more than one sentence
                run(cell.source, before, f"<{source.stem} {number}>")
        elif "keep" in tags(cell):
            run(cell.source, solved, f"<{source.stem} {number}>")


@pytest.mark.parametrize("source", CHECKED, ids=lambda source: source.stem)
def test_an_exercise_has_its_number_and_at_most_15_lines_to_write(source: Path) -> None:
    found = students.exercises(READ[source], source)
    if source in TRACK:
        assert [exercise.number for exercise in found] == list(range(1, len(found) + 1))
        assert {exercise.level for exercise in found} >= {1, 2}
    for exercise in found:
        text = READ[source].cells[exercise.solution].source
        parts = re.findall(rf"{BEGIN}\n(.*?){END}", text, re.DOTALL)
        assert sum(len(part.strip().splitlines()) for part in parts) <= 15


def test_the_track_has_exercises_of_all_three_levels() -> None:
    assert {each.level for source in TRACK for each in students.exercises(READ[source], source)} == {1, 2, 3}


@pytest.mark.parametrize("source", TRACK, ids=lambda source: source.stem)
def test_a_notebook_of_the_track_can_be_read_in_one_sitting(source: Path) -> None:
    prose = [cell.source for cell in READ[source].cells if cell.cell_type == "markdown"]
    assert len(" ".join(prose).split()) <= 1500


def test_students_get_the_stub_and_the_check_and_no_solution(tmp_path: Path) -> None:
    made = students.for_students(write_source(tmp_path))
    texts = [cell.source for cell in made.cells]
    assert f"def answer():\n    {OPEN}" in texts
    assert [tags(cell) for cell in made.cells if cell.cell_type == "code"] == [["keep"], ["answer"], ["check"], []]
    assert texts[-1] == "# your turn"
    everything = "\n".join(texts)
    assert "42, {None" in everything and "return 42" not in everything and "because" not in everything


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("    # BEGIN SOLUTION\n", ""), "needs lines between"),
        (("**Your turn 1 · level 2.**", "**1.**"), "needs .* its number and level"),
        (("<details>", "<p>"), "needs a folded hint"),
        (('right("answer")', "pass"), "has to end with right"),
        (('# %% tags=["solution"]\ndef', "# %%\ndef"), "needs the solution in the cell before it"),
    ],
    ids=["lines", "level", "hint", "right", "solution"],
)
def test_an_exercise_of_another_form_is_refused(change: tuple[str, str], said: str, tmp_path: Path) -> None:
    source = write_source(tmp_path, SMALL.replace(*change))
    with pytest.raises(NotebookError, match=rf"b1_small\.py: the check 'check_choice.*{said}"):
        students.for_students(source)


def test_nbgrader_gets_cells_that_it_clears_and_cells_that_it_grades(tmp_path: Path) -> None:
    made = students.for_nbgrader(write_source(tmp_path))
    nbformat.validate(made)
    by_id = {cell.metadata["nbgrader"]["grade_id"]: cell for cell in made.cells if "nbgrader" in cell.metadata}
    assert list(by_id) == ["b1-1", "b1-1-check", f"b1-cell-{len(made.cells) - 1}"]
    solution, check, by_hand = (cell.metadata["nbgrader"] for cell in by_id.values())
    assert (solution["solution"], solution["grade"]) == (True, False)
    assert (check["grade"], check["locked"], check["points"]) == (True, True, 2)
    assert by_hand["grade"] and by_hand["solution"]


def test_otter_gets_a_question_with_its_test_for_each_exercise(tmp_path: Path) -> None:
    made = students.for_otter(write_source(tmp_path))
    nbformat.validate(made)
    raw = [cell.source.splitlines()[0] for cell in made.cells if cell.cell_type == "raw"]
    question = ["# BEGIN QUESTION", "# BEGIN SOLUTION", "# END SOLUTION"]
    tests = ["# BEGIN TESTS", "# END TESTS", "# END QUESTION"]
    assert raw == ["# ASSIGNMENT CONFIG", *question, *tests, *question, "# END QUESTION"]
    (why,) = [number for number, cell in enumerate(made.cells) if "Say why" in cell.source]
    assert made.cells[why - 1].source.endswith("manual: true")
    (check,) = [cell for cell in made.cells if "check" in tags(cell)]
    assert check.outputs[0].text == "Right: answer.\n"


@pytest.mark.parametrize("make", [make for make, _ in students.FORMATS.values()])
def test_a_copy_made_twice_is_the_same_file(make, tmp_path: Path) -> None:
    source = write_source(tmp_path)
    assert nbformat.writes(make(source)) == nbformat.writes(make(source))


def tool(name: str) -> str:
    """The path of a grader's command; the test is skipped where it is not installed."""
    path = Path(sys.executable).with_name(name)
    found = str(path) if path.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install {'otter-grader' if name == 'otter' else name}")
    return found


def test_nbgrader_makes_the_students_copy_of_what_it_gets(tmp_path: Path, monkeypatch) -> None:
    command = tool("nbgrader")
    monkeypatch.setenv("PATH", str(Path(command).parent), prepend=os.pathsep)  # it calls others of its environment
    notebooks.write(students.for_nbgrader(write_source(tmp_path)), tmp_path / "source" / "hamner" / "b1_small.ipynb")
    (tmp_path / "nbgrader_config.py").write_text(students.NBGRADER_CONFIG)
    done = subprocess.run(
        [command, "generate_assignment", "hamner", "--create"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    made = nbformat.read(tmp_path / "release" / "hamner" / "b1_small.ipynb", as_version=4)
    texts = [cell.source for cell in made.cells if cell.cell_type == "code"]
    assert texts[1] == f"def answer():\n    {OPEN}"
    assert texts[2].endswith('right("answer")')
    assert "because" not in "".join(texts)


def test_otter_makes_the_students_copy_and_its_own_solution_passes(tmp_path: Path) -> None:
    command = tool("otter")
    notebooks.write(students.for_otter(write_source(tmp_path)), tmp_path / "b1_small.ipynb")
    done = subprocess.run([command, "assign", "b1_small.ipynb", "dist"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads((tmp_path / "dist" / "student" / "b1_small.ipynb").read_text())
    texts = ["".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "code"]
    assert any(text.startswith("def answer():\n    ...") for text in texts)
    assert any('grader.check("q1")' in text for text in texts)
    assert "return 42" not in "".join(texts) and "because" not in "".join(texts)


def test_an_exercise_knows_its_cells(tmp_path: Path) -> None:
    source = write_source(tmp_path)
    assert students.exercises(notebooks.read_source(source), source) == [Exercise(1, 2, 1, 2, 3)]
