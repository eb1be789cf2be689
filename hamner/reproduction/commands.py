"""`hamner reproduce`, `hamner students` and `hamner figures`."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from hamner.corpora import project_folder
from hamner.errors import HamnerError
from hamner.study.commands import write_all_tables


def reproduce(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NN", help="Only this notebook, e.g. 05; repeatable.")
    ] = None,
) -> None:
    """Train the model on minitweets, execute the notebooks in order, rewrite figures/ and the tables, and say what came
    out as committed.

    Works on the bundled corpus and on committed run records, without a network. What is trained already is not trained
    again: delete data/models/minitweets-full to start anew. Exit status 1 when a cell fails; that notebook's file then
    stays as it was.
    """
    notebooks = _notebooks()
    sources = [path for path in notebooks.notebook_sources() if not only or path.stem[:2] in only]
    if not sources:
        raise HamnerError(f"no notebook has the number {' or '.join(only or [])}")
    from hamner.reproduction import model as shown

    shows_model = any(shown.MODEL in source.read_text(encoding="utf-8") for source in sources)
    model = shown.trained_model() if shows_model else None
    figures = _contents(project_folder() / "figures")
    results = _contents(project_folder() / "data" / "tables")
    states: dict[str, str] = {}
    failures = 0
    if not only:
        _draw_contact_sheets()
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

    _, broken = write_all_tables()
    if model is not None:
        typer.echo("\nModel trained on minitweets")
        for line in shown.compare_with_record(model):
            typer.echo(f"  {line}")
    typer.echo("\nNotebooks")
    for name, state in states.items():
        typer.echo(f"  {name}: {state}")
    typer.echo("Figures")
    for line in _changes(figures, _contents(project_folder() / "figures")):
        typer.echo(f"  {line}")
    typer.echo("Tables")
    for line in _changes(results, _contents(project_folder() / "data" / "tables")):
        typer.echo(f"  {line}")
    for wrong in broken:
        typer.echo(f"  FAILED: {wrong}")
    if failures or broken:
        raise typer.Exit(1)


def students(
    folder: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Write them to DIR. [default: notebooks/students]")
    ] = None,
) -> None:
    """Write the notebooks without outputs and without the solutions of their exercises, for a class."""
    notebooks = _notebooks()
    folder = folder or notebooks.notebooks_folder() / "students"
    if folder.resolve() == notebooks.notebooks_folder().resolve():
        raise HamnerError(f"{folder} holds the executed notebooks, which would be overwritten: name another with --to")
    for source in notebooks.notebook_sources():
        notebooks.write(notebooks.for_students(source), folder / f"{source.stem}.ipynb")
    typer.echo(f"{folder} is ready")


def figures() -> None:
    """Draw the contact sheets of minitweets into figures/: six posts of each cue with their images and answers.

    All other figures are drawn by the notebooks: `hamner reproduce --only NN`, see figures/README.md.
    """
    for path in _draw_contact_sheets():
        typer.echo(f"{path} written")


def _draw_contact_sheets() -> list[Path]:
    from hamner.minitweets import CUES
    from hamner.minitweets.contact_sheet import write_contact_sheets  # loads matplotlib

    return write_contact_sheets(project_folder() / "data" / "minitweets", project_folder() / "figures", CUES)


def _notebooks() -> ModuleType:
    """`hamner.reproduction.notebooks`, imported late: Jupyter loads slowly and comes with the extra `notebooks`."""
    try:
        return import_module("hamner.reproduction.notebooks")
    except ModuleNotFoundError as error:
        raise HamnerError(f"{error.name} is missing: pip install 'hamner[notebooks]'") from error


def _contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for form in ("png", "svg", "csv", "md") for path in folder.glob(f"*.{form}"))
    return {path.name: path.read_bytes() for path in files}


def _changes(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """What became of the figures, in words: one line if all are as before."""
    changed = [f"{name}: {'differs' if name in before else 'new'}" for name in after if before.get(name) != after[name]]
    return [f"{len(after) - len(changed)} of {len(after)} files as committed", *changed]
