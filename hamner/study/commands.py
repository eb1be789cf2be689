"""`hamner reproduce`, `hamner measure` and `hamner tables`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hamner.corpora import project_folder
from hamner.errors import HamnerError


def reproduce(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NN", help="Only this notebook, e.g. 05; repeatable.")
    ] = None,
) -> None:
    """Execute the notebooks in order, rewrite figures/, and say what came out as committed.

    Works on the bundled corpus and on committed measurements, without a network. Exit status 1 when a cell fails; that
    notebook's file then stays as it was.
    """
    # Imported here, for Jupyter takes a while to load and comes with the extra `notebooks` alone.
    try:
        from hamner.study import notebooks
    except ModuleNotFoundError as error:
        raise HamnerError(f"{error.name} is missing: pip install 'hamner[notebooks]'") from error

    sources = [path for path in notebooks.notebook_sources() if not only or path.stem[:2] in only]
    if not sources:
        raise HamnerError(f"no notebook has the number {' or '.join(only or [])}")
    figures = _contents(project_folder() / "figures")
    states: dict[str, str] = {}
    failures = 0
    for source in sources:
        typer.echo(f"{source.stem} ... ", nl=False)
        started = time.monotonic()
        try:
            executed = notebooks.execute(source)
            states[source.stem] = notebooks.compare(executed, notebooks.executed_path(source))
            notebooks.write(executed, notebooks.executed_path(source))
        except notebooks.NotebookError as error:
            states[source.stem] = f"FAILED: {error}"
            failures += 1
        typer.echo(f"{time.monotonic() - started:.0f} s{' FAILED' if states[source.stem].startswith('FAILED') else ''}")

    typer.echo("\nNotebooks")
    for name, state in states.items():
        typer.echo(f"  {name}: {state}")
    typer.echo("Figures")
    for line in _changes(figures, _contents(project_folder() / "figures")):
        typer.echo(f"  {line}")
    if failures:
        raise typer.Exit(1)


def measure(
    root: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="Read the corpora from DIR/NAME.")] = None,
) -> None:
    """Count the real corpora and write the counts, no words, to data/published/measured_*.csv."""
    from hamner.study.measured import write_measured  # loads torch

    for path in write_measured(root):
        typer.echo(f"{path} written")


def tables() -> None:
    """Build the tables under data/tables from the run records under data/runs."""
    from hamner.study.tables import write_tables  # loads torch

    for path in write_tables():
        typer.echo(f"{path} written")


def _contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for form in ("png", "svg") for path in folder.glob(f"*.{form}"))
    return {path.name: path.read_bytes() for path in files}


def _changes(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """What became of the figures, in words: one line if all are as before."""
    changed = [f"{name}: {'differs' if name in before else 'new'}" for name in after if before.get(name) != after[name]]
    return [f"{len(after) - len(changed)} of {len(after)} files as committed", *changed]
