from __future__ import annotations

import asyncio
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import typer
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from typer.testing import CliRunner, Result

from hamner.drawing.style import SVG_FOLDER
from hamner.errors import HamnerError
from hamner.minitweets import contact_sheet
from hamner.reproduction import commands as reproduction
from hamner.reproduction import model, notebooks
from hamner.reproduction.numbering import number_of
from hamner.study import ablation_tables, build_up, comparison, lesions, outside, published, tables
from hamner.study import commands as study
from hamner.training import Run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two notebooks whose execution is played: 02 fails, 01 makes a figure."""
    for name in ("01_good", "02_bad"):
        source = tmp_path / "notebooks" / "py" / f"{name}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("# %%\n1\n")
    (tmp_path / "notebooks" / "02_bad.ipynb").write_text("as it was")
    (tmp_path / "figures").mkdir()

    async def executed(source: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
        if source.stem == "02_bad":
            raise notebooks.NotebookError("code cell 7 raised ValueError")
        (tmp_path / "figures" / "new.png").write_bytes(b"image")
        if environment:
            written(Path(environment[SVG_FOLDER]) / "new.svg")
        return new_notebook()

    monkeypatch.setattr(notebooks, "executed", executed)
    monkeypatch.setattr(notebooks, "project_folder", lambda: tmp_path)
    monkeypatch.setattr(reproduction, "project_folder", lambda: tmp_path)
    monkeypatch.setattr(tables, "project_folder", lambda: tmp_path)
    folder = tmp_path / "data" / "tables"
    monkeypatch.setattr(ablation_tables, "write_minitweets", lambda: [written(folder / "minitweets.md")])
    for module, write in (
        (build_up, "write_build_up"),
        (comparison, "write_comparison"),
        (lesions, "write_lesions"),
        (outside, "write_outside"),
    ):
        monkeypatch.setattr(module, write, lambda: [])  # they have tests of their own, and load minitweets
    monkeypatch.setattr(published, "write_published", lambda: [written(folder / "published.md")])
    monkeypatch.setattr(ablation_tables, "minitweets_runs", lambda: ([], [Run(Path("tried"), {})]))
    monkeypatch.setattr(contact_sheet, "write_contact_sheets", lambda corpus, figures, cues: [drawn(figures, cues[0])])
    monkeypatch.setattr(model, "trained_model", lambda: pytest.fail("nothing here shows the model"))
    monkeypatch.setattr(model, "train_apart", lambda: pytest.fail("nothing here shows the model"))
    monkeypatch.setattr(model, "is_trained", lambda: False)
    return tmp_path


def drawn(folder: Path, cue: str) -> Path:
    (folder / f"minitweets_{cue}.png").write_bytes(b"sheet")
    return folder / f"minitweets_{cue}.png"


def written(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a table")
    return file


def run(command: Callable[..., None], *options: str) -> Result:
    alone = typer.Typer()
    alone.command()(command)
    return CliRunner().invoke(alone, list(options))


def reproduce(*options: str) -> Result:
    return run(reproduction.reproduce, *options)


def test_a_failing_notebook_gives_exit_status_1_is_named_and_keeps_its_file(project: Path) -> None:
    result = reproduce()
    assert result.exit_code == 1
    assert "02_bad: FAILED: code cell 7 raised ValueError" in result.stdout
    assert (project / "notebooks" / "02_bad.ipynb").read_text() == "as it was"
    assert (project / "notebooks" / "01_good.ipynb").exists()  # the others are done all the same


def test_the_summary_says_what_came_out_as_committed(project: Path) -> None:
    first, second = reproduce("--only", "01"), reproduce("--only", "01")
    assert first.exit_code == second.exit_code == 0
    assert "01_good: new" in first.stdout and "new.png: new" in first.stdout
    assert "01_good: as committed" in second.stdout and "1 of 1 files as committed" in second.stdout


def test_a_changed_figure_is_reported(project: Path) -> None:
    (project / "figures" / "new.png").write_bytes(b"another image")
    assert "new.png: differs" in reproduce("--only", "01").stdout


def test_a_number_that_no_notebook_has_is_refused(project: Path) -> None:
    result = reproduce("--only", "77")
    assert result.exit_code == 1
    assert str(result.exception) == "no notebook has the number 77; there are 01, 02"
    one_of_two = reproduce("--only", "01", "--only", "3")
    assert "no notebook has the number 03;" in str(one_of_two.exception)  # also beside one that there is


def test_a_number_may_be_given_without_its_zero(project: Path) -> None:
    reproduce("--only", "01")
    assert "01_good: as committed" in reproduce("--only", "1").stdout


def test_the_second_half_of_a_notebook_has_a_number_of_its_own(project: Path) -> None:
    for name in ("01b_half", "b1_built", "10_ten"):
        (project / "notebooks" / "py" / f"{name}.py").write_text("# %%\n1\n")
    for number, stems in {
        "1": ["01_good"],
        "1b": ["01b_half"],
        "01B": ["01b_half"],
        "b1": ["b1_built"],
        "10": ["10_ten"],
    }.items():
        done = reproduce("--only", number).stdout
        assert re.findall(r"^(\w+) \.\.\. ", done, re.MULTILINE) == stems, number
    both = reproduce("--only", "1b", "--only", "1").stdout
    assert re.findall(r"^(\w+) \.\.\. ", both, re.MULTILINE) == ["01_good", "01b_half"]
    assert "there are 01, 01b, 02, 10, b1" in str(reproduce("--only", "2b").exception)


@pytest.mark.parametrize("to_the_byte", [True, False])
def test_notebooks_are_executed_beside_the_training_and_once_more_for_another_model(
    project: Path, monkeypatch: pytest.MonkeyPatch, to_the_byte: bool
) -> None:
    sources = project / "notebooks" / "py"
    for name, shows in (("01_good", True), ("03_other", False), ("b1_first", True), ("b2_second", False)):
        (sources / f"{name}.py").write_text('# %%\nfolder = "minitweets-full"\n' if shows else "# %%\n1\n")
    happened: list[str] = []
    at_work = most = 0

    async def working(what: str, turns: int) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        for _ in range(turns):
            await asyncio.sleep(0)
        happened.append(what)
        at_work -= 1

    async def executed(source: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
        await working(source.stem, 1)
        return new_notebook(cells=[new_code_cell("1", id="a")])  # another text than the committed one

    monkeypatch.setattr(notebooks, "executed", executed)
    monkeypatch.setattr(model, "train_apart", lambda: working("training", 50))
    monkeypatch.setattr(model, "trained_model", lambda: "the run")
    monkeypatch.setattr(model, "is_bundled", lambda run: to_the_byte)
    monkeypatch.setattr(model, "compare_with_record", lambda run: [f"{run} came out as committed"])
    notebooks.write(new_notebook(), project / "notebooks" / "01_good.ipynb")
    said = reproduce().stdout
    assert "the run came out as committed" in said
    assert "01_good: its text has changed since it was committed" in said  # and not: since it was executed first
    assert most == 2
    first, again = happened[: happened.index("training")], happened[happened.index("training") + 1 :]
    assert sorted(first) == ["01_good", "02_bad", "03_other", "b1_first", "b2_second"]
    assert first.index("b1_first") < first.index("b2_second")
    assert sorted(again) == ([] if to_the_byte else ["01_good", "b1_first"])
    assert said.index("01_good: ") < said.index("03_other: ")  # the summary has the order of the numbers


def test_another_run_in_the_models_folder_is_refused_before_any_notebook(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "notebooks" / "py" / "01_good.py").write_text('# %%\nfolder = "minitweets-full"\n')

    def refused() -> None:
        raise HamnerError("the folder holds another run")

    monkeypatch.setattr(model, "is_trained", lambda: True)
    monkeypatch.setattr(model, "trained_model", refused)
    monkeypatch.setattr(notebooks, "executed", lambda *given: pytest.fail("a notebook was executed"))
    assert "the folder holds another run" in str(reproduce("--only", "01").exception)


def test_the_notebooks_that_show_the_model_are_those_that_load_it() -> None:
    showing = [number_of(source) for source in notebooks.notebook_sources() if reproduction._shows_model(source)]
    assert showing == ["00", "02", "03", "03b", "04", "06", "08", "10", "b4"]


def test_a_model_that_cannot_be_trained_ends_the_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "notebooks" / "py" / "01_good.py").write_text('# %%\nfolder = "minitweets-full"\n')

    async def failing() -> None:
        raise HamnerError("the model was not trained")

    monkeypatch.setattr(model, "train_apart", failing)
    assert "the model was not trained" in str(reproduce("--only", "01").exception)


def test_students_get_every_notebook_without_its_solutions(project: Path) -> None:
    source = project / "notebooks" / "py" / "01_good.py"
    source.write_text('# %%\nasked = 1\n\n# %% tags=["solution"]\nanswer = 42\n')
    assert run(reproduction.students).exit_code == 0
    written = (project / "notebooks" / "students" / "01_good.ipynb").read_text()
    assert "asked = 1" in written and "# your turn" in written
    assert "42" not in written
    assert (project / "notebooks" / "students" / "02_bad.ipynb").exists()
    refused = run(reproduction.students, "--to", str(project / "notebooks"))
    assert "would be overwritten" in str(refused.exception)


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("nbgrader", {"nbgrader_config.py", "source/hamner/01_good.ipynb", "source/hamner/02_bad.ipynb"}),
        ("otter", {"01_good.ipynb", "02_bad.ipynb"}),
    ],
)
def test_copies_for_a_grader_lie_where_it_looks_for_them(form: str, files: set[str], project: Path) -> None:
    assert run(reproduction.students, "--format", form).exit_code == 0
    folder = project / "notebooks" / "students" / form
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == files
    assert run(reproduction.students, "--format", "moodle").exit_code == 2


@pytest.mark.parametrize("command", [reproduction.reproduce, reproduction.students])
def test_without_jupytext_a_command_ends_in_the_remedy(command: Callable[..., None], monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "hamner.reproduction.notebooks")
    monkeypatch.setitem(sys.modules, "jupytext", None)
    error = run(command).exception
    assert isinstance(error, HamnerError)
    assert "jupytext is missing: pip install 'hamner[notebooks]'" in str(error)


def test_contact_sheets_are_drawn_by_a_command_and_with_all_notebooks(project: Path) -> None:
    sheet = project / "figures" / "minitweets_text.png"
    reproduce("--only", "01")
    assert not sheet.exists()
    assert f"{sheet} written" in run(reproduction.figures).stdout
    sheet.write_bytes(b"another")
    assert "minitweets_text.png: differs" in reproduce().stdout


def test_svg_figures_are_drawn_without_touching_a_notebook(project: Path) -> None:
    result = run(reproduction.figures, "--svg", "--only", "01")
    assert result.exit_code == 0
    assert (project / "figures" / "new.svg").exists()
    assert not (project / "notebooks" / "01_good.ipynb").exists()
    assert not (project / "figures" / "minitweets_text.png").exists()


def test_svg_figures_go_where_they_are_sent_and_one_failing_notebook_does_not_stop_the_others(project: Path) -> None:
    result = run(reproduction.figures, "--svg", "--to", str(project / "elsewhere"))
    assert isinstance(result.exception, HamnerError)
    assert "code cell 7 raised ValueError" in str(result.exception)
    assert f"the figures of 1 notebooks are in {project / 'elsewhere'}" in result.stdout
    assert (project / "elsewhere" / "new.svg").exists()
    assert not (project / "figures" / "new.svg").exists()
    assert (project / "notebooks" / "02_bad.ipynb").read_text() == "as it was"


@pytest.mark.parametrize("option", ["--only", "--to"])
def test_an_option_of_svg_figures_needs_svg(option: str, project: Path) -> None:
    result = run(reproduction.figures, option, "01")
    assert str(result.exception).startswith(f"{option} needs --svg")
    assert not list((project / "figures").iterdir())


def test_tables_writes_every_table_and_names_the_runs_that_it_leaves_out(project: Path) -> None:
    result = run(study.tables)
    assert result.exit_code == 0
    folder = project / "data" / "tables"
    assert {path.name for path in folder.iterdir()} == {
        "results.csv",
        "results.md",
        "results_per_type.md",
        "minitweets.md",
        "published.md",
    }
    assert all(f"{path} written" in result.stdout for path in folder.iterdir())
    assert "tried is not in minitweets.md" in result.stdout


def test_a_table_that_cannot_be_made_is_an_error_and_the_others_are_written(project: Path, monkeypatch) -> None:
    def refuse() -> list[Path]:
        raise HamnerError("one seed twice")

    monkeypatch.setattr(tables, "write_tables", refuse)
    result = run(study.tables)
    assert isinstance(result.exception, HamnerError)
    assert (project / "data" / "tables" / "minitweets.md").exists()
    reported = reproduce("--only", "01")
    assert reported.exit_code == 1
    assert "01_good: new" in reported.stdout
    assert "FAILED: one seed twice" in reported.stdout


def test_a_run_left_out_of_the_tables_is_named_once_with_exit_status_1(project: Path) -> None:
    bad = project / "data" / "runs" / "bad" / "run.json"
    bad.parent.mkdir(parents=True)
    bad.write_text("{}")
    result = run(study.tables)
    assert isinstance(result.exception, HamnerError)
    assert str(result.exception).count(f"{bad} is no run record") == 1
    assert (project / "data" / "tables" / "results.csv").exists()
    reported = reproduce("--only", "01")
    assert reported.exit_code == 1
    assert reported.stdout.count(f"FAILED: {bad} is no run record") == 1


def test_other_warnings_are_passed_on_while_tables_are_made() -> None:
    def warn() -> list[str]:
        with study.left_out() as reasons:
            warnings.warn("old", UserWarning, stacklevel=1)
            tables.leave_out("a run")
        return reasons

    with pytest.warns(UserWarning, match="old") as warned:
        assert warn() == ["a run"]
    assert len(warned) == 1


def test_reproduce_writes_the_tables_and_compares_them(project: Path) -> None:
    assert "minitweets.md: new" in reproduce("--only", "01").stdout
    assert "Tables\n  5 of 5 files as committed" in reproduce("--only", "01").stdout
