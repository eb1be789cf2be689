"""`hamner corpora list`, `fetch`, `check` and `stats`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from hamner.corpora.files import sha256
from hamner.corpora.options import ColumnsOption, columns_of, loaded
from hamner.corpora.post import CorpusError
from hamner.corpora.registry import FILES, VERSIONS, Version, folder_of
from hamner.files import read_whole
from hamner.terminal import SafeConsole, echo, echo_json

app = typer.Typer(no_args_is_help=True, help="List, fetch, check and count the corpora.")

Names = Annotated[list[str], typer.Argument(help="Known names (`hamner corpora list`), or your own folders.")]
From = Annotated[
    Path | None, typer.Option("--from", metavar="DIR", help="Read DIR/NAME instead of the corpora folder.")
]


@app.command("list")
def list_() -> None:
    """List the known corpora: their labels, their sources, and whether they are here."""
    table = Table(show_edge=False, pad_edge=False)
    for column in ("name", "labels", "source", "here"):
        table.add_column(column)
    for version in VERSIONS.values():
        source = "the project" if version.bundled else f"{version.repository} @ {version.commit[:7]}"
        table.add_row(version.name, version.labels, source, _state(version))
    console = SafeConsole()
    console.print(table)
    fetched_to = folder_of(VERSIONS["twitter2017"]).parent
    console.print(
        f"\n`hamner corpora fetch NAME` fetches a corpus to {fetched_to} (HAMNER_CORPORA names another folder).",
        soft_wrap=True,
    )


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A known name: see hamner corpora list.")],
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Copy from DIR/NAME instead of downloading.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Write to DIR/NAME instead of the corpora folder.")
    ] = None,
    images: Annotated[bool, typer.Option("--images", help="Print how to get the images by hand.")] = False,
) -> None:
    """Fetch a corpus and verify each file by its SHA-256; files that are already right are kept."""
    from hamner.corpora.fetch import fetch_corpus  # loads requests

    done = fetch_corpus(name, root, source, images, progress=True)
    console = SafeConsole()
    if not done:
        console.print(f"{name} comes with the project ({folder_of(VERSIONS[name])}): nothing to fetch.", soft_wrap=True)
    folder = folder_of(VERSIONS[name], root)
    for file, how in done.items():
        size = (folder / file).stat().st_size
        console.print(f"{folder / file}: {how}, {size:,} bytes, SHA-256 verified", soft_wrap=True)


@app.command()
def check(names: Names, source: From = None, columns: ColumnsOption = None) -> None:
    """Check hashes, published counts, entity types, posts in two splits and images; exit status 1 if one is wrong.

    Images are images/ID.jpg (.jpeg, .png, .webp). Where posts share an image, images.tsv beside the texts names it: a
    line id<TAB>file for each post.
    """
    from hamner.corpora.report import check as check_corpus  # loads pandas

    console = SafeConsole()
    reports = []
    for name in names:
        reports.append(check_corpus(name, source, columns=columns_of(name, names, columns)))
        console.print(reports[-1])
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@app.command()
def stats(
    names: Names,
    source: From = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: corpus, quantity, train, valid, test.")] = False,
    columns: ColumnsOption = None,
) -> None:
    """Print the counts of corpora as tables, JSON or CSV."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    import pandas as pd

    from hamner.corpora.report import counts_table, statistics

    corpora = {name: loaded(name, source, columns_of(name, names, columns)) for name in names}
    counts = {name: statistics(corpus) for name, corpus in corpora.items()}
    if as_json:
        echo_json({name: json.loads(frame.to_json(orient="index")) for name, frame in counts.items()}, indent=None)
    elif as_csv:
        echo(pd.concat(counts, names=["corpus", "quantity"]).to_csv(), end="")
    else:
        for name, corpus in corpora.items():
            SafeConsole().print(counts_table(corpus, counts[name]))


def _state(version: Version) -> str:
    """Whether a corpus is here: "yes", "no", "changed" (another SHA-256) or "unreadable"."""
    folder = folder_of(version)
    try:
        if not all(os.path.lexists(folder / file) for file in FILES):
            return "no"
        digests = {file: sha256(read_whole(folder / file, CorpusError)) for file in FILES}
    except (OSError, CorpusError):
        return "unreadable"
    return "yes" if all(digests[file] == version.files[file].sha256 for file in FILES) else "changed"
