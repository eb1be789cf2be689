from __future__ import annotations

import contextlib
import functools
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

from hamner.exercises import NotYet, answers
from hamner.reproduction import notebooks, students
from hamner.reproduction.notebooks import NotebookError
from hamner.reproduction.students import BEGIN, END, OPEN, Exercise

SOURCES = notebooks.notebook_sources()
READ = {source: notebooks.read_source(source) for source in SOURCES}
CHECKED = [source for source in SOURCES if students.exercises(READ[source], source)]
TRACK = [source for source in SOURCES if source.stem.startswith("b")]
ALL_CHECKED = [source for source in SOURCES if source not in TRACK]
"""Notebooks of the walk in which each exercise has a check, and each kind of exercise is there."""

CHOSEN = re.compile(r'^answer = "(\w+)"$', re.MULTILINE)
"""The line of a solution that chooses one of several answers."""

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


@functools.cache
def before_each(source: Path) -> dict[int, tuple[Exercise, dict[str, Any]]]:
    """Number -> exercise and the names that its reader has: of cells to keep, and of the solutions before it."""
    cells = READ[source].cells
    found = {}
    names: dict[str, Any] = {"__name__": source.stem}
    checked = {exercise.solution: exercise for exercise in students.exercises(READ[source], source)}
    with contextlib.chdir(notebooks.notebooks_folder()):  # where the answers of other notebooks are
        for number, cell in enumerate(cells):
            if exercise := checked.get(number):
                found[exercise.number] = exercise, dict(names)
            if "keep" in tags(cell) or number in checked:
                run(cell.source, names, f"<{source.stem} {number}>")
    return found


def checked(source: Path, exercise: Exercise, answer: str, names: dict[str, Any]) -> str:
    """What the check of an exercise prints about an answer. Raises NotYet about a wrong one."""
    names = dict(names)
    run(answer, names, f"<{source.stem} {exercise.number} answer>")
    return run(READ[source].cells[exercise.check].source, names, f"<{source.stem} {exercise.number} check>")


@pytest.mark.parametrize("source", CHECKED, ids=lambda source: source.stem)
def test_every_solution_passes_its_check_and_every_stub_fails_with_one_sentence(source: Path) -> None:
    cells = READ[source].cells
    for exercise, names in before_each(source).values():
        said = students.RIGHT.search(cells[exercise.check].source)[1]
        solution = cells[exercise.solution].source
        assert checked(source, exercise, solution, names) == f"Right: {said}.\n"
        with pytest.raises(NotYet):  # Python's own errors would be more than one sentence
            checked(source, exercise, students.stub(solution), names)


@pytest.mark.parametrize(
    ("notebook", "number", "old", "new", "said"),
    [
        ("00", 1, "rho[:, None, None] * read", "rho * read", "rho scales channels, not posts"),
        ("00", 2, '"right": "left"', '"right": "right"', "both words end as right"),
        ("00", 3, "rho <= 0.5", "rho <= 0.1", "a relevant image that does not count is 'other thing'"),
        ("01", 1, "before[2:] != tag[2:]", 'before == "O"', "an I- after a tag of another type is an orphan, too"),
        ("01", 2, " * word_mask[:, :, None]", "", r"a padded place holds the vector of \[CLS\]"),
        ("01", 3, ".casefold()", "", "upper and lower case are the same"),
        ("01", 3, "(type, name.casefold()) in", "(type, name) in", "both the mentions of training and those of test"),
        ("01", 4, "max(batch)", "max(lengths)", "each batch is padded to its own longest post"),
        ("02", 1, "mix.softmax(0)", "mix", "the change of the numbers, not of the shares"),
        ("03b", 1, "dim=-1", "dim=0", "softmax over grains, not over posts"),
        ("03b", 1, "(beta[:, :, None] * vectors).sum(dim=1)", "vectors.mean(1)", "weigh each by its share"),
        ("03b", 2, "torch.bincount(beta.argmax(dim=-1), minlength=3) / len(beta)", "beta.mean(0)", "ask each post"),
        ("03b", 2, "argmax", "argmin", "that is the grain with the least share"),
        ("03b", 2, " / len(beta)", "", "divide by all of them"),
        ("04", 1, "part.softmax(-1) for", "part.softmax(-1) / part.softmax(-1).sum() for", "your read has"),
        ("04", 3, "given[0]", "result[0]", "the words of your skip: they have read the image"),
        ("04", 4, "logits.sigmoid()", "logits", "z is the sigmoid of the logits"),
        ("05", 1, "allowed.T", "allowed", "moves go from row to column"),
        ("05", 1, "range(n - 1)", "range(n)", "n words have n - 1 moves"),
        ("05", 2, "/ len(pairs)", "/ len(gold)", "your accuracy has"),
        ("05", 4, ".sum(1).unbind(-1)", ".sum((0, 1)).unbind(-1)", "a number for each resample"),
        ("06", 1, "warmup * planned", "warmup * epochs", "a share of the planned epochs, not of those that were run"),
        ("06", 1, "-(-posts // batch_size)", "posts // batch_size", "the last batch of an epoch is smaller"),
        ("06", 2, "(step + 1) / warmup", "step / warmup", "the first step is lost"),
        ("06", 3, "value > f1", "value >= f1", "as good as the best is not above it"),
        ("06", 4, ".mean()).abs() for", ".mean()) for", "gaps above and below must not cancel"),
        ("07", 1, "(ceiling * names).sum() / names.sum()", "ceiling.mean()", "the mean over cues: weigh each cue"),
        ("07", 1, "1 - (ceiling * names).sum() / names.sum()", "(ceiling * names).sum() / names.sum()", "what is left"),
        ("07", 2, "type in train:", "type in test:", "nobody knows test"),
        ("07", 2, "type in test]", "type in train]", "count the names of test"),
        ("07", 2, "for view, type in train:", "for view, type in ((1, t) for _, t in train):", "your ceiling stopped"),
        ("07b", 1, "values, 1", "values, -1", "take the post before, not the one after"),
        ("07b", 1, "torch.roll(values, 1, dims=0)", "values.flip(0)", "the post in the middle keeps its own"),
        ("07b", 1, "torch.roll(values, 1, dims=0)", "values.mean(0).expand_as(values)", "the mean over posts is a"),
        ("07b", 2, "scene / 4 + unrelated", "unrelated", "a guess among four types is right once in four"),
        ("08", 1, " / math.log(len(p))", "", "divide by the entropy of a flat map"),
        ("08", 1, "p = weights / weights.sum()", "p = weights", "make shares of the weights first"),
        ("08", 1, "math.log(len(p))", "math.log((p > 0).sum())", "R counts all regions"),
        ("08", 2, "    box_mask[:, k] = False\n", "", "box_mask of .* the object is still in this mask"),
        ("08", 2, "images.object_mask.clone()", "images.object_mask", "you changed the batch itself"),
        ("08", 3, ".any(-1).float()", ".all(-1).float()", "any box counts"),
        ("08", 3, "inside.mean()", "inside.sum()", "a share of regions, not their number"),
        ("09", 1, "2 * precision * recall / (precision + recall)", "(precision + recall) / 2", "the arithmetic mean"),
        ("09", 2, "max(some)", "max(values)", "the best of all seeds: take k of them"),
        ("09", 2, "max(some)", "sum(some) / k", "the mean of the seeds: take the best"),
        ("09b", 1, "differences - differences[-1]", "differences[-1]", "these are the places on the line"),
        ("09b", 1, "differences[-1] * shares / 100", "differences[0] * shares / shares[0]", "the last difference, not"),
        ("09b", 1, " / 100", "", "a share of 25 percent is a quarter"),
        ("09b", 2, "torch.arange(len(p_values), 0, -1)", "len(p_values)", "that is Bonferroni's rule"),
        ("09b", 2, ".int().cumprod(0).bool()", "", "0.02 fails at 5 % / 3, so all greater ones fail"),
        ("09b", 2, "passed[order] =", "passed[:] =", "put each answer back in the place of its p-value"),
        ("10", 1, " ** 2", "", "half of it takes 4 times"),
        ("10", 2, "if i == inside[0] else 'I'", "if i < 9 else 'I'", "B- is for the first word alone"),
        ("10", 2, "b <= end", "b < end", "the last word belongs to its name"),
        ("10", 3, ">= abs(mended - broken)", "== abs(mended - broken)", "more uneven, too"),
        ("10", 3, "abs(2 * k - n) >= abs(mended - broken)", "k >= max(mended, broken)", "count both sides"),
        ("11", 1, "min(dim=0).values", "prod(dim=0)", "not their product"),
        ("11", 1, "min(dim=0)", "min(dim=1)", "the lowest of each cue, not of each ability"),
        ("11", 2, "softplus(-own), softplus(other)", "softplus(own), softplus(-other)", "the wrong way round"),
        ("11", 2, ".mean()", ".sum()", "take the mean over the 2 m pairs"),
        ("11", 2, "softplus(-own)", "-own.sigmoid().log()", "of logits of 200, holds inf"),
        ("11", 3, " / words.shape[-1] ** 0.5", "", "not divided by the root of d"),
        ("11", 3, "cat([prefix, words])", "cat([words])", "no word reads the prefix"),
        ("11", 3, "(words @ both.T", "(both @ both.T", r"shape \(5, 4\), expected \(3, 4\): \(n, d\): words read"),
        ("12", 1, "/ count", "/ mask.shape[1]", "not by K"),
        ("12", 1, ".clamp(min=1)", "", "look at masks and divisions"),
        ("12", 2, " * images.image_mask[:, None]", "", "a post without an image gets b"),
        ("12", 2, "images.object_mask)", "images.object_mask | True)", "padding is read"),
        ("12", 3, "seen.images.boxes.flip(0)", "seen.images.boxes + 0.1", "of a fusion that reads widths, is False"),
        ("12", 3, "boxes=seen.images.boxes", "objects=seen.images.objects", "of a fusion that reads objects, is True"),
        ("b1", 1, "embedded * word_mask[:, :, None]", "embedded", "reads the embeddings of padding"),
        ("b1", 2, "logits.masked_fill(~mask, lowest)", "logits", "masked places take part in the softmax"),
        ("b1", 3, "word_mask)\n", "word_mask | True)\n", "padding is read"),
        ("b1", 5, ".clamp(min=0)", "", r"at \[0, 0, 2\]"),
        ("b1", 6, "for number in numbers], -1)", "for number in numbers], -1).transpose(1, 2)", "it sees i from j"),
        ("b1", 6, ".clamp(-10, 10)", ".clamp(-1, 1)", r"\(d[xy]/[wh]\), expected"),
        ("b1", 7, "[2 * u - 1,", "[u,", r"\(2u-1 of x\), expected"),
        ("b2", 2, "nn.functional.normalize(seen, dim=-1)", "seen", "a cosine ignores them"),
        ("b2", 3, "by_head).flatten(2)", "by_head).flatten(1)", r"expected \(2, 3, 8\): \(B, N, d\)"),
        ("b2", 4, "messages is not None", "False", "what the nodes receive is missing"),
        ("b2", 5, "[:, None, None]", "[:, None, None] | True", "padding is read"),
        ("b3", 1, " / query.shape[-1] ** 0.5", "", "not divided by the root of d"),
        ("b3", 2, "present.any(-1), beta", "1, beta", r"rho of your Relevance has .* at \[2\], expected 0"),
        ("b3", 4, "        read, _", "        scale = 1\n        read, _", "rho scales nothing"),
        ("b3", 5, "word_mask[:, None]", "word_mask[:, None] | True", "a region may belong to padding"),
        ("b4", 1, "    last = tags", "    mask = mask | True\n    last = tags", "padding is scored"),
        ("b4", 2, "+ crf.transitions)", "+ crf.transitions.T)", "moves go from row to column"),
        ("b4", 4, "    nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n", "", "clip the length of the gradients"),
    ],
)
def test_a_check_says_what_is_wrong(notebook: str, number: int, old: str, new: str, said: str) -> None:
    (source,) = [source for source in CHECKED if source.stem.startswith(f"{notebook}_")]
    exercise, names = before_each(source)[number]
    solution = READ[source].cells[exercise.solution].source
    assert old in solution
    with pytest.raises(NotYet, match=said):
        checked(source, exercise, solution.replace(old, new), names)


@pytest.mark.parametrize("source", ALL_CHECKED, ids=lambda source: source.stem)
def test_a_notebook_asks_for_a_piece_a_measurement_and_an_argument_and_checks_each(source: Path) -> None:
    found = students.exercises(READ[source], source)
    solutions = [number for number, cell in enumerate(READ[source].cells) if "solution" in tags(cell)]
    assert [exercise.solution for exercise in found] == solutions
    assert [exercise.number for exercise in found] == list(range(1, len(found) + 1))
    prompts = "\n".join(READ[source].cells[exercise.prompt].source for exercise in found)
    for kind in ("*A piece of ", "*A measurement.*", "*An argument.*"):
        assert kind in prompts
    assert {exercise.level for exercise in found} == {1, 2, 3}


@pytest.mark.parametrize("source", CHECKED, ids=lambda source: source.stem)
def test_each_wrong_choice_is_offered_in_the_text_and_has_a_reason_of_its_own(source: Path) -> None:
    for exercise, names in before_each(source).values():
        solution = READ[source].cells[exercise.solution].source
        if not (chosen := CHOSEN.search(solution)):
            continue
        offered = re.findall(r'`"(\w+)"`:', READ[source].cells[exercise.prompt].source)
        assert chosen[1] in offered and len(offered) == len(set(offered)) >= 3
        reasons = set()
        for wrong in set(offered) - {chosen[1]}:
            with pytest.raises(NotYet, match=f"^answer is not '{wrong}': ") as caught:
                checked(source, exercise, solution.replace(chosen[0], f'answer = "{wrong}"'), names)
            reasons.add(str(caught.value).partition(": ")[2])
        assert len(reasons) == len(offered) - 1


def test_the_copies_of_students_read_one_another(tmp_path: Path) -> None:
    for source in TRACK[:2]:
        notebooks.write(students.for_students(source), tmp_path / f"{source.stem}.ipynb")
    with contextlib.chdir(tmp_path):
        assert answers(TRACK[1].stem).phi(None, None) is None  # the stub of the first, by way of the second


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
