"""Counts of the real corpora, measured once and committed.

The tweets cannot be handed on, numbers about them can: `hamner measure` writes these two tables where the corpora are,
and notebooks read them everywhere.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hamner.corpora import SPLITS, VERSIONS, Corpus, load_corpus, project_folder, statistics
from hamner.errors import HamnerError
from hamner.files import written_whole
from hamner.model.text import load_tokenizer
from hamner.training.batching import windows

STATISTICS = "measured_statistics.csv"
LENGTHS = "measured_lengths.csv"
REAL = tuple(version.name for version in VERSIONS.values() if not version.bundled)


def repeated_texts(corpus: Corpus) -> pd.DataFrame:
    """How many different texts of each split stand in an earlier split too.

    Rows `texts_in_train` and `texts_in_valid`, a column for each split, NA where the question has no sense.
    """
    texts = {split: {post.words for post in posts} for split, posts in corpus.splits()}
    table = pd.DataFrame(pd.NA, index=["texts_in_train", "texts_in_valid"], columns=list(SPLITS), dtype="Int64")
    for earlier, later in (("train", "valid"), ("train", "test"), ("valid", "test")):
        table.loc[f"texts_in_{earlier}", later] = len(texts[earlier] & texts[later])
    return table


def piece_lengths(corpus: Corpus) -> dict[str, list[int]]:
    """Pieces of each post, by split: minilm's (uncased BERT's) pieces with [CLS] and [SEP]."""
    tokenizer = load_tokenizer("minilm")
    return {
        split: [len(window.pieces) for window in windows(posts, tokenizer, limit=512)]
        for split, posts in corpus.splits()
    }


def measure(root: Path | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Statistics and lengths of the real corpora: (corpus, quantity, train, valid, test), and the same with pieces.

    The second says how many posts of each split have that many pieces. Raises CorpusError when a corpus is not there.
    """
    counts, lengths = {}, {}
    for name in REAL:
        corpus = load_corpus(name, root)
        counts[name] = pd.concat([statistics(corpus), repeated_texts(corpus)])
        of_split = {split: pd.Series(found).value_counts() for split, found in piece_lengths(corpus).items()}
        lengths[name] = pd.DataFrame(of_split, columns=list(SPLITS)).sort_index().fillna(0).astype("Int64")
    return (
        pd.concat(counts, names=["corpus", "quantity"]).reset_index(),
        pd.concat(lengths, names=["corpus", "pieces"]).reset_index(),
    )


def write_measured(root: Path | None = None, folder: Path | None = None) -> list[Path]:
    """Measure and write both tables into data/published of the project, or into `folder`."""
    folder = folder or _folder()
    paths = []
    for name, table in zip((STATISTICS, LENGTHS), measure(root), strict=True):
        with written_whole(folder / name) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
        paths.append(folder / name)
    return paths


def measured_statistics(corpus: str) -> pd.DataFrame:
    """The committed counts of a real corpus: indexed by quantity, a column for each split, NA where undefined."""
    return _read(STATISTICS, corpus).set_index("quantity").astype("Int64")


def measured_lengths(corpus: str) -> dict[str, list[int]]:
    """The committed lengths of a real corpus: for each split the pieces of its posts, sorted; see `piece_lengths`."""
    table = _read(LENGTHS, corpus)
    return {split: [int(pieces) for pieces in table["pieces"].repeat(table[split])] for split in SPLITS}


def _folder() -> Path:
    return project_folder() / "data" / "published"


def _read(file: str, corpus: str) -> pd.DataFrame:
    path = _folder() / file
    try:
        table = pd.read_csv(path)
        rows = table[table["corpus"] == corpus].drop(columns="corpus")
    except (OSError, ValueError, KeyError) as error:  # ValueError: what pandas raises for a malformed table
        raise HamnerError(f"{path}: no table of measured counts ({error}); restore it from the project") from error
    if rows.empty:
        raise HamnerError(f"{path}: nothing was measured of {corpus!r}; measured are {', '.join(REAL)}")
    return rows
