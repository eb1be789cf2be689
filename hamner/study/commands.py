"""`hamner reproduce`, `hamner students`, `hamner measure`, `hamner tables` and `hamner figures`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hamner.errors import HamnerError


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


def tables() -> None:
    """Build the tables under data/tables from the run records under data/runs."""
    from hamner.study.ablation_tables import minitweets_runs  # loads torch

    written, broken = write_all_tables()
    for path in written:
        typer.echo(f"{path} written")
    for run in minitweets_runs()[1]:
        typer.echo(f"{run.folder} is left out of minitweets.md: its settings or its data are not the study's")
    if broken:
        raise HamnerError("\n".join(map(str, broken)))


def write_all_tables() -> tuple[list[Path], list[HamnerError]]:
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
