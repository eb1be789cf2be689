"""Execute the notebooks from their text source, so that each number in them comes from the code beside it.

notebooks/py/NN_name.py (jupytext, py:percent) is the source, notebooks/NN_name.ipynb is built from it: the cells are
run in order in a fresh kernel of this very Python, and the file is written whole, with nothing in it that differs from
run to run (no timings, no random cell ids, no kernel version).
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from hamner.corpora import project_folder
from hamner.errors import HamnerError
from hamner.files import written_whole

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class NotebookError(HamnerError):
    """A notebook's source cannot be read, or one of its cells fails."""


def notebook_sources(folder: Path | None = None) -> list[Path]:
    """The notebooks' text sources, NN_name.py, in the order of their numbers; `folder` is notebooks/ of the project."""
    folder = folder or notebooks_folder()
    found = sorted((folder / "py").glob("[0-9][0-9]_*.py"))
    if not found:
        raise NotebookError(f"{folder / 'py'}: no notebook NN_name.py; run this from a checkout of the project")
    return found


def notebooks_folder() -> Path:
    """notebooks/ of the project."""
    return project_folder() / "notebooks"


def executed_path(source: Path) -> Path:
    """notebooks/NN_name.ipynb of notebooks/py/NN_name.py."""
    return source.parent.parent / f"{source.stem}.ipynb"


def read_source(source: Path) -> NotebookNode:
    """The notebook of a text source, without outputs. A cell's id is a hash of its text: the same everywhere."""
    try:
        notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    except (OSError, UnicodeDecodeError) as error:
        raise NotebookError(f"{source}: cannot be read ({error})") from error
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first with cell ids
    used: set[str] = set()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        repeat = next(n for n in range(len(notebook.cells)) if f"{digest}-{n}" not in used)
        cell.id = f"{digest}-{repeat}"
        used.add(cell.id)
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's note on blank lines in the text
    return notebook


def execute(source: Path) -> NotebookNode:
    """Run all cells of a notebook in order, in a kernel of its own that starts in the notebooks' folder.

    Raises NotebookError that names the cell when one fails; nothing is written.
    """
    notebook = read_source(source)
    # Without other folders the kernel manager starts ipykernel under this interpreter, never a kernel that somebody
    # installed as "python3" for another project.
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=None,  # training in a notebook takes as long as it takes
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # the kernel warns on our stderr that it listens on this machine
        resources={"metadata": {"path": str(source.parent.parent)}},
    )
    # One thread adds numbers in one order; the debugger that ipykernel loads would warn of Python's frozen modules.
    fixed = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    # A progress bar leaves debris in a notebook.
    fixed |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "TQDM_DISABLE": "1"}
    try:
        client.execute(env={**os.environ, **fixed})
    except CellExecutionError as error:
        raise NotebookError(f"{source}: {_failing_cell(notebook)}") from error
    except DeadKernelError as error:
        raise NotebookError(f"{source}: the kernel died ({error}): out of memory, perhaps") from error
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata = nbformat.from_dict(METADATA)  # the kernel adds its version
    return notebook


def for_students(source: Path) -> NotebookNode:
    """The notebook without outputs, and with an empty cell in the place of each solution."""
    notebook = read_source(source)
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):
            cell.source = "# your turn"
            cell.metadata.pop("tags")
    return notebook


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, whole or not at all."""
    with written_whole(path, NotebookError) as temporary:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def compare(executed: NotebookNode, committed: Path) -> str:
    """Whether an executed notebook came out as it stands in `committed`, in words; "as committed" if so."""
    if not committed.exists():
        return "new: none was committed"
    try:
        before = nbformat.read(committed, as_version=4)
    except ValueError:  # a conflict marker of git in it, say
        return "the committed one was no notebook"
    if [cell.id for cell in before.cells] != [cell.id for cell in executed.cells]:  # ids are hashes of the text
        return "its text has changed since it was committed"
    pairs = zip(_code_cells(before), _code_cells(executed), strict=True)
    differing = [number for number, (old, new) in enumerate(pairs, start=1) if old.outputs != new.outputs]
    if not differing:
        return "as committed"
    return f"outputs differ in code cell {', '.join(map(str, differing))}"


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _failing_cell(notebook: NotebookNode) -> str:
    for number, cell in enumerate(_code_cells(notebook), start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                first = cell.source.splitlines()[0]
                said = _ANSI.sub("", output.evalue).strip()
                return f"code cell {number} ({first!r} ...) raised {output.ename}: {said}"
    raise AssertionError("a cell failed, and none holds an error")
