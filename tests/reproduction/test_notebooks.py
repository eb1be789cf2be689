from __future__ import annotations

import re
import signal
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat import NotebookNode

from hamner.reproduction import notebooks
from hamner.reproduction.model import MODEL

SOURCES = notebooks.notebook_sources()

MINIMAL = """\
# %% [markdown]
# Some prose.

# %%
import os

numbers = [1, 2]

# %%
sum(numbers)

# %% tags=["solution"]
print(os.path.basename(os.getcwd()), numbers)
"""


def committed(source: Path) -> NotebookNode:
    return nbformat.read(notebooks.executed_path(source), as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def write_source(folder: Path, text: str) -> Path:
    source = folder / "notebooks" / "py" / "03_small.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text, encoding="utf-8")
    return source


@pytest.fixture(params=SOURCES, ids=lambda source: source.stem)
def source(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_a_committed_notebook_has_the_cells_of_its_source(source: Path) -> None:
    expected, executed = notebooks.read_source(source), committed(source)
    assert [(cell.id, cell.cell_type, cell.source) for cell in executed.cells] == [
        (cell.id, cell.cell_type, cell.source) for cell in expected.cells
    ]
    assert executed.metadata == expected.metadata


def test_the_cells_of_a_committed_notebook_were_run_in_order(source: Path) -> None:
    cells = code_cells(committed(source))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_a_committed_notebook_shows_no_error_warning_or_progress_bar(source: Path) -> None:
    outputs = [output for cell in code_cells(committed(source)) for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert "\r" not in "".join(output.get("text", "") for output in outputs)
    assert not [output for output in outputs if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]


def test_a_committed_notebook_says_nothing_of_the_machine_it_ran_on(source: Path) -> None:
    text = nbformat.writes(committed(source))
    for told in (str(notebooks.notebooks_folder().parent), str(Path.home()) + "/", "site-packages", "iopub"):
        assert told not in text


def test_a_notebook_goes_in_small_steps(source: Path) -> None:
    cells = [cell for cell in code_cells(notebooks.read_source(source)) if cell.source.strip()]
    lengths = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in cells]
    own = {"solution", "check"}  # a class to write, and what checks it, cannot be a few lines
    to_read = [
        length for length, cell in zip(lengths, cells, strict=True) if not own & {*cell.metadata.get("tags", [])}
    ]
    assert statistics.median(to_read) <= (9 if source.stem.startswith("b") else 6)  # the build track is code
    assert max(lengths) <= 25


def test_a_notebook_has_at_most_2300_words_of_prose(source: Path) -> None:
    prose = [cell.source for cell in notebooks.read_source(source).cells if cell.cell_type == "markdown"]
    words = sum(len(text.split()) for text in prose)
    assert words <= 2300, f"{source.stem} has {words} words of prose: divide it, as 03 and 03b are divided"


HALVES = [path for path in SOURCES if re.match(r"\d+b_", path.stem)]


@pytest.mark.parametrize("half", HALVES, ids=lambda half: half.stem)
def test_the_halves_of_a_notebook_link_each_other_and_the_second_one_the_notebook_after_it(half: Path) -> None:
    first, last = SOURCES[SOURCES.index(half) - 1], SOURCES[SOURCES.index(half) + 1]
    assert f"({half.stem}.ipynb)" in first.read_text(encoding="utf-8")
    assert all(f"({other.stem}.ipynb)" in half.read_text(encoding="utf-8") for other in (first, last))


def test_every_link_of_a_notebook_leads_to_a_notebook(source: Path) -> None:
    for name in re.findall(r"\]\(([^)#]+\.ipynb)\)", source.read_text(encoding="utf-8")):
        assert (source.parent.parent / name).is_file(), f"{source.stem}: {name}"


def test_a_notebook_opens_with_its_goal_and_ends_with_exercises_whose_solutions_can_be_stripped(source: Path) -> None:
    notebook = notebooks.read_source(source)
    for promised in ("Goal", "You need", "Time", "Of the paper"):
        assert f"**{promised}**" in notebook.cells[0].source
    solutions = [cell for cell in notebook.cells if "solution" in cell.metadata.get("tags", [])]
    assert 2 <= len(solutions) <= (8 if source.stem.startswith("b") else 5)  # the build track is exercises
    assert code_cells(notebook)[0].metadata.tags == ["install"]
    assert "What we do not know of the paper" in notebook.cells[-1].source


def test_no_notebook_needs_a_model_that_its_reader_has_to_train_first() -> None:
    loading = {
        source.stem: cell.source
        for source in notebooks.notebook_sources()
        for cell in code_cells(notebooks.read_source(source))
        if re.search(rf"models\W.*{MODEL}", cell.source)
    }
    assert len(loading) >= 9
    for stem, code in loading.items():
        assert "trained_or_bundled(" in code, stem


def test_a_notebook_executed_twice_is_the_same_file(tmp_path: Path) -> None:
    source = write_source(tmp_path, MINIMAL)
    written = []
    for name in ("one.ipynb", "two.ipynb"):
        notebooks.write(notebooks.execute(source), tmp_path / name)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    executed = nbformat.reads(written[0].decode(), as_version=4)
    nbformat.validate(executed)
    assert code_cells(executed)[1].outputs[0].data["text/plain"] == "3"
    assert code_cells(executed)[2].outputs[0].text == "notebooks [1, 2]\n"  # it ran in the notebooks' folder


def test_the_failing_cell_is_named_by_number_first_line_and_error(tmp_path: Path) -> None:
    source = write_source(tmp_path, MINIMAL + '\n# %%\nx = 1\nassert x == 2, "one is not two"\n')
    with pytest.raises(notebooks.NotebookError, match=r"code cell 4 \('x = 1' \.\.\.\) raised .*one is not two"):
        notebooks.execute(source)


def test_of_a_widget_with_a_picture_the_picture_alone_is_kept(tmp_path: Path) -> None:
    show = f"from IPython.display import display\nwidget = {notebooks.WIDGET!r}\n"
    both = "display({widget: {'model_id': 'a'}, 'image/png': 'AAAA', 'text/plain': 'a panel'}, raw=True)"
    alone = "display({widget: {'model_id': 'a'}, 'text/plain': 'a bar'}, raw=True)"
    cells = code_cells(notebooks.execute(write_source(tmp_path, f"# %%\n{show}{both}\n\n# %%\n{alone}\n")))
    assert [set(cell.outputs[0].data) for cell in cells] == [
        {"image/png", "text/plain"},
        {notebooks.WIDGET, "text/plain"},  # a bar has no picture: it stays, for a test to refuse
    ]


def kernels() -> list[psutil.Process]:
    """The living kernels that this process has started."""
    children = psutil.Process().children(recursive=True)
    return [process for process in children if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("last", ["1", "1 / 0", "import os; os._exit(3)"], ids=["success", "failure", "death"])
def test_no_kernel_outlives_its_notebook(last: str, tmp_path: Path) -> None:
    before = kernels()
    with suppress(notebooks.NotebookError):
        notebooks.execute(write_source(tmp_path, f"# %%\n{last}\n"))
    assert kernels() == before


def test_a_dead_kernel_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(notebooks.NotebookError, match=r"03_small\.py: the kernel died .* memory"):
        notebooks.execute(write_source(tmp_path, "# %%\nimport os; os._exit(3)\n"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send another process a Ctrl-C")
def test_ctrl_c_ends_the_kernel_and_is_passed_on(tmp_path: Path) -> None:
    started = tmp_path / "started"
    cell = f"import time, pathlib; pathlib.Path({str(started)!r}).touch(); time.sleep(300)"
    source = write_source(tmp_path, f"# %%\n{cell}\n")
    code = (
        "import signal, sys, pathlib; from hamner.reproduction import notebooks\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job starts with Ctrl-C ignored
        "try: notebooks.execute(pathlib.Path(sys.argv[1]))\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    command = psutil.Popen([sys.executable, "-c", code, str(source)], stdout=subprocess.PIPE, text=True)
    while not started.exists():
        assert command.poll() is None
        time.sleep(0.1)
    (kernel,) = command.children(recursive=True)
    command.send_signal(signal.SIGINT)
    output, _ = command.communicate(timeout=300)
    assert output == "interrupted\n"
    psutil.wait_procs([kernel], timeout=60)
    assert not kernel.is_running()


def test_a_kernel_gets_the_variables_that_it_is_given(tmp_path: Path) -> None:
    source = write_source(tmp_path, '# %%\nimport os\nprint(os.environ["GIVEN"], os.environ["OMP_NUM_THREADS"])\n')
    (cell,) = code_cells(notebooks.execute(source, {"GIVEN": "this"}))
    assert cell.outputs[0].text == "this 1\n"


def test_cells_of_one_text_get_ids_of_their_own(tmp_path: Path) -> None:
    source = write_source(tmp_path, "# %%\nx = 1\n\n# %%\nx = 1\n")
    ids = [cell.id for cell in notebooks.read_source(source).cells]
    assert len(set(ids)) == 2


def test_a_cell_keeps_its_id_when_another_is_put_before_it(tmp_path: Path) -> None:
    before = notebooks.read_source(write_source(tmp_path, MINIMAL)).cells
    after = notebooks.read_source(write_source(tmp_path, "# %%\ny = 1\n\n" + MINIMAL)).cells
    assert [cell.id for cell in after[1:]] == [cell.id for cell in before]


class TestCompare:
    def executed(self, printed: str) -> NotebookNode:
        notebook = nbformat.v4.new_notebook()
        outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed)]
        notebook.cells = [
            nbformat.v4.new_code_cell("import sys", execution_count=1, id="a"),
            nbformat.v4.new_code_cell("print(x)", execution_count=2, outputs=outputs, id="b"),
        ]
        return notebook

    def test_equal_outputs_came_out_as_committed(self, tmp_path: Path) -> None:
        notebooks.write(self.executed("1\n"), tmp_path / "n.ipynb")
        assert notebooks.compare(self.executed("1\n"), notebooks.committed(tmp_path / "n.ipynb")) == "as committed"

    def test_the_cell_whose_output_differs_is_named(self, tmp_path: Path) -> None:
        notebooks.write(self.executed("1\n"), tmp_path / "n.ipynb")
        assert (
            notebooks.compare(self.executed("2\n"), notebooks.committed(tmp_path / "n.ipynb"))
            == "outputs differ in code cell 2"
        )

    def test_changed_text_and_missing_or_broken_files_are_told_apart(self, tmp_path: Path) -> None:
        changed = self.executed("1\n")
        changed.cells[0].id = "c"
        notebooks.write(changed, tmp_path / "n.ipynb")
        (tmp_path / "conflict.ipynb").write_text("<<<<<<< HEAD\n{}\n")
        states = {
            notebooks.compare(self.executed("1\n"), notebooks.committed(tmp_path / name))
            for name in ("n.ipynb", "conflict.ipynb", "x")
        }
        assert len(states) == 3
        assert "as committed" not in states


def test_the_second_half_of_a_notebook_comes_after_the_first_and_the_build_track_last(tmp_path: Path) -> None:
    for name in ("b1_words", "04_next", "03b_half", "03_whole", "10_own", "notes"):
        write_source(tmp_path, MINIMAL).rename(tmp_path / "notebooks" / "py" / f"{name}.py")
    stems = [source.stem for source in notebooks.notebook_sources(tmp_path / "notebooks")]
    assert stems == ["03_whole", "03b_half", "04_next", "10_own", "b1_words"]


def test_a_folder_without_notebooks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(notebooks.NotebookError, match="checkout"):
        notebooks.notebook_sources(tmp_path)
