"""Execute the notebooks from their text source, so that each number in them comes from the code beside it.

The source is notebooks/py/NN_name.py (jupytext, py:percent; NNb_name.py is the second half of a notebook, bN_name.py is
of the build track); notebooks/NN_name.ipynb is built from it. The cells run in order in a fresh kernel of this Python.
Two executions write the same bytes: no timings, no random cell ids, no kernel version. A widget without its kernel is
dead, so of a widget that also gives a picture the picture alone is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

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
from hamner.reproduction.numbering import numbered

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"
"""The kind of an output that a running kernel keeps alive."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class NotebookError(HamnerError):
    """A notebook's source cannot be read, or one of its cells failed."""


def notebook_sources(folder: Path | None = None) -> list[Path]:
    """The notebooks' text sources in the order of their numbers: 03, 03b, 04, ..., and the build track, b1 to b4, last.

    `folder` is notebooks/ of the project.
    """
    folder = folder or notebooks_folder()
    sources = numbered((folder / "py").glob("*.py"))
    if not sources:
        raise NotebookError(f"{folder / 'py'}: no notebook NN_name.py; run this from a checkout of the project")
    return sources


def notebooks_folder() -> Path:
    """notebooks/ of the project."""
    return project_folder() / "notebooks"


def executed_path(source: Path) -> Path:
    """notebooks/NN_name.ipynb of notebooks/py/NN_name.py."""
    return source.parent.parent / f"{source.stem}.ipynb"


def read_source(source: Path) -> NotebookNode:
    """Read a text source as a notebook without outputs. A cell's id is a hash of its text: the same everywhere."""
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


def execute(source: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
    """Run `executed` to its end."""
    return asyncio.run(executed(source, environment))


async def executed(source: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
    """Run all cells of a notebook in order, in a kernel of its own that starts in the notebooks' folder.

    The kernel ends with the last cell, with a cell that fails, and when this is cancelled (Ctrl-C).

    Args:
        source: the notebook's text source.
        environment: variables that the kernel has beside those of this process.

    Returns:
        The notebook with its outputs; nothing is written.

    Raises:
        NotebookError: a cell failed, or the kernel died; the message names the cell.
    """
    notebook = read_source(source)
    # Without other folders the kernel manager starts ipykernel under this interpreter, never a kernel that somebody
    # installed as "python3" for another project.
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = _Client(
        notebook,
        km=kernel,
        timeout=None,  # training in a notebook takes as long as it takes
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # else the kernel warns on stderr that it listens on this machine
        resources={"metadata": {"path": str(source.parent.parent)}},
    )
    # One thread adds numbers in one order; the debugger that ipykernel loads would warn of Python's frozen modules.
    fixed = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    # A progress bar leaves debris in a notebook.
    fixed |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "TQDM_DISABLE": "1"}
    try:
        await client.async_execute(env={**os.environ, **fixed, **(environment or {})})
    except CellExecutionError as error:
        raise NotebookError(f"{source}: {_failing_cell(notebook)}") from error
    except DeadKernelError as error:
        raise NotebookError(
            f"{source}: the kernel died ({error}); close other programs, for it needs up to 2 GB of memory"
        ) from error
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data.pop(WIDGET, None)
    notebook.metadata = nbformat.from_dict(METADATA)  # the kernel adds its version
    return notebook


class _Client(NotebookClient):
    """Starts the kernel and shuts it down in every case.

    nbclient leaves a kernel manager that it was given running. Its own handler of Ctrl-C ends the kernel alone, so that
    the caller would go on with the next notebook; without that handler asyncio cancels the execution.
    """

    @asynccontextmanager
    async def async_setup_kernel(self, **kwargs: Any) -> AsyncGenerator[None, None]:
        kernel = self.km
        assert isinstance(kernel, AsyncKernelManager)
        try:
            await self.async_start_new_kernel(**kwargs)
            await self.async_start_new_kernel_client()
            yield
        except DeadKernelError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # nbclient takes Ctrl-C for the kernel's death
                raise asyncio.CancelledError from None
            raise
        finally:
            if self.kc is not None:
                self.kc.stop_channels()
            if kernel.has_kernel:
                await kernel.shutdown_kernel(now=True)


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, whole or not at all."""
    with written_whole(path, NotebookError) as temporary:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def committed(path: Path) -> str | None:
    """The text of a notebook's file before it is executed; None if there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None


def compare(executed: NotebookNode, committed: str | None) -> str:
    """Compare an executed notebook with the committed text: "as committed", or the code cells that differ."""
    if committed is None:
        return "new: none was committed"
    try:
        before = nbformat.reads(committed, as_version=4)
    except ValueError:  # a conflict marker of git in it, say
        return "the committed file was no notebook"
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
                message = _ANSI.sub("", output.evalue).strip()
                return f"code cell {number} ({first!r} ...) raised {output.ename}: {message}"
    raise AssertionError("a cell failed, and none holds an error")
