"""`hamner reproduce`, `hamner students`, `hamner measure`, `hamner tables` and `hamner figures`."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from hamner.corpora import project_folder
from hamner.errors import HamnerError


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
    from hamner.study import reproduction

    shows_model = any(reproduction.MODEL in source.read_text(encoding="utf-8") for source in sources)
    model = reproduction.trained_model() if shows_model else None
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

    _, broken = _write_tables()
    if model is not None:
        typer.echo("\nModel trained on minitweets")
        for line in reproduction.compare_with_record(model):
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


def measure(
    root: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="Read the corpora from DIR/NAME.")] = None,
    relatedness: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also compare relevance with the scores in DIR/tmr-NAME.tsv.")
    ] = None,
) -> None:
    """Measure what needs the real corpora, and write numbers, no words, to data/measured: counts, and
    each run under data/runs beside text only, other posts' images, and the full model, with intervals and tests.
    """
    from hamner.study.measured import write_measured  # loads torch

    for path in write_measured(root, relatedness):
        typer.echo(f"{path} written")


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


def tables() -> None:
    """Build the tables under data/tables from the run records under data/runs."""
    from hamner.study.ablation_tables import minitweets_runs  # loads torch

    written, broken = _write_tables()
    for path in written:
        typer.echo(f"{path} written")
    for run in minitweets_runs()[1]:
        typer.echo(f"{run.folder} is left out of minitweets.md: its settings or its data are not the study's")
    if broken:
        raise HamnerError("\n".join(map(str, broken)))


def _write_tables() -> tuple[list[Path], list[HamnerError]]:
    """Write each table that can be written; returns the files, and what is wrong with the others."""
    from hamner.study import ablation_tables, published, tables

    written: list[Path] = []
    broken: list[HamnerError] = []
    for write in (tables.write_tables, ablation_tables.write_minitweets, published.write_published):
        try:
            written += write()
        except HamnerError as error:
            if str(error) not in map(str, broken):  # a damaged run stands in the way of several
                broken.append(error)
    return written, broken


def _notebooks() -> ModuleType:
    """`hamner.study.notebooks`. Imported late, for Jupyter takes a while to load, and is in the extra `notebooks`."""
    try:
        return import_module("hamner.study.notebooks")
    except ModuleNotFoundError as error:
        raise HamnerError(f"{error.name} is missing: pip install 'hamner[notebooks]'") from error


def _contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for form in ("png", "svg", "csv", "md") for path in folder.glob(f"*.{form}"))
    return {path.name: path.read_bytes() for path in files}


def _changes(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """What became of the figures, in words: one line if all are as before."""
    changed = [f"{name}: {'differs' if name in before else 'new'}" for name in after if before.get(name) != after[name]]
    return [f"{len(after) - len(changed)} of {len(after)} files as committed", *changed]
