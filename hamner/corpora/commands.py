"""`hamner corpora`: list, fetch, check and count the corpora."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from hamner.corpora.fetch import fetch_corpus
from hamner.corpora.files import read_whole, sha256
from hamner.corpora.registry import FILES, VERSIONS, Version, folder_of, load_corpus
from hamner.corpora.report import check as check_corpus
from hamner.corpora.report import counts_table, statistics

app = typer.Typer(no_args_is_help=True, help="List, fetch, check and count the corpora.")

Names = Annotated[list[str], typer.Argument(help="Known names (hamner corpora list), or folders of your own.")]
From = Annotated[
    Path | None, typer.Option("--from", metavar="DIR", help="Read DIR/NAME instead of the corpora folder.")
]


@app.command("list")
def list_() -> None:
    """The known corpora, where they come from and whether they are here."""
    table = Table(show_edge=False, pad_edge=False)
    for column in ("name", "labels", "source", "here"):
        table.add_column(column)
    for version in VERSIONS.values():
        source = "the project" if version.bundled else f"{version.repository} @ {version.commit[:7]}"
        table.add_row(version.name, version.labels, source, _state(version))
    console = _console()
    console.print(table)
    fetched_to = folder_of(VERSIONS["twitter2017"]).parent
    console.print(
        f"\nCorpora are fetched to {fetched_to} (or to the folder that HAMNER_CORPORA names),", soft_wrap=True
    )
    console.print("each by the command: hamner corpora fetch NAME")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A known name: see hamner corpora list.")],
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Copy from DIR/NAME instead of downloading.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Put it into DIR/NAME instead of the corpora folder.")
    ] = None,
    images: Annotated[bool, typer.Option("--images", help="The images too, or how to get them by hand.")] = False,
) -> None:
    """Fetch a corpus; each file is verified by its SHA-256, and what is there and right is kept."""
    done = fetch_corpus(name, root, source, images, progress=True)
    console = _console()
    if not done:
        console.print(f"{name} comes with the project ({folder_of(VERSIONS[name])}): nothing to fetch.", soft_wrap=True)
    folder = folder_of(VERSIONS[name], root)
    for file, how in done.items():
        size = VERSIONS[name].files[file].bytes
        console.print(f"{folder / file}: {how}, {size:,} bytes, SHA-256 verified", soft_wrap=True)


@app.command()
def check(names: Names, source: From = None) -> None:
    """Check hashes, counts against the published table, and the known traps; exit status 1 when something is wrong."""
    console = _console()
    reports = []
    for name in names:
        reports.append(check_corpus(name, source))
        console.print(reports[-1])
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@app.command()
def stats(
    names: Names,
    source: From = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: corpus, quantity, train, valid, test.")] = False,
) -> None:
    """Print the counts of corpora as tables, JSON or CSV."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    corpora = {name: load_corpus(name, source) for name in names}
    counts = {name: statistics(corpus) for name, corpus in corpora.items()}
    if as_json:
        typer.echo(json.dumps({name: json.loads(frame.to_json(orient="index")) for name, frame in counts.items()}))
    elif as_csv:
        typer.echo(pd.concat(counts, names=["corpus", "quantity"]).to_csv(), nl=False)
    else:
        for name, corpus in corpora.items():
            _console().print(counts_table(corpus, counts[name]))


def _console() -> Console:
    return Console(highlight=False, markup=False)


def _state(version: Version) -> str:
    folder = folder_of(version)
    there = [file for file in FILES if os.path.isfile(folder / file)]
    if len(there) < len(FILES):
        return "no"
    right = all(sha256(read_whole(folder / file)) == expected.sha256 for file, expected in version.files.items())
    return "yes" if right else "changed"
