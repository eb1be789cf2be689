"""What commands share that load a user's corpus: the option `--columns`, and the lines on standard error."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from hamner.corpora.post import Corpus
from hamner.corpora.registry import VERSIONS, load_corpus
from hamner.corpora.schemes import ConvertedWarning
from hamner.escape import one_line
from hamner.terminal import echo

ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="word=N,tag=M",
        help="Columns of word and tag in a corpus of your own with more than two, from 0, or from -1 for the last.",
    ),
]


def loaded(name: str | Path, root: Path | None = None, columns: str | None = None) -> Corpus:
    """`load_corpus` for a command: a conversion of the tags is said on standard error."""
    corpus = load_corpus(name, root, columns)
    say(corpus.notes)
    return corpus


def columns_of(name: str, names: Sequence[str], columns: str | None) -> str | None:
    """The columns for one of several corpora: known ones have two, so they take none where others are given too."""
    return None if name in VERSIONS and any(other not in VERSIONS for other in names) else columns


def say(notes: Sequence[str]) -> None:
    """Print notes on standard error, one a line; under `accelerate launch` by the first process alone."""
    for note in notes if os.environ.get("RANK", "0") == "0" else ():
        echo(f"note: {one_line(note)}", error=True)


@contextmanager
def conversions_said() -> Iterator[None]:
    """Print each ConvertedWarning of the block on standard error as a note."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvertedWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, ConvertedWarning):
            say([str(warning.message)])
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
