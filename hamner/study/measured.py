"""What needs the real tweets to be measured, measured once and committed.

The tweets cannot be handed on, numbers about them can: `hamner measure` writes these tables where the corpora are, and
notebooks read them everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from hamner.corpora import SPLITS, VERSIONS, Corpus, load_corpus, project_folder, statistics
from hamner.encoders import load_tokenizer
from hamner.errors import HamnerError
from hamner.evaluation import read_relevance
from hamner.files import written_whole
from hamner.study.differences import differences
from hamner.study.generalisation import generalisation
from hamner.study.relatedness import agreement, by_score, read_scores
from hamner.study.tables import name_of, runs_of
from hamner.training.batching import windows
from hamner.training.rows import row_of_run

STATISTICS = "statistics.csv"
LENGTHS = "lengths.csv"
DIFFERENCES = "differences.csv"
GENERALISATION = "generalisation.csv"
AGREEMENT = "agreement.csv"
RELATEDNESS = "relatedness.csv"
ART = "art.csv"
"""What probes tell from the images of minitweets; written by benchmarks/art.py."""
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


def measure_runs(root: Path | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`differences` and `generalisation` of the runs under data/runs on the real corpora.

    Raises CorpusError when a corpus is not there.
    """
    tests = {name: load_corpus(name, root).test for name in REAL}
    found = {name: runs_of(name) for name in REAL}
    tables = [differences(found[name], tests[name]) for name in REAL]
    retested = generalisation([run for runs in found.values() for run in runs], tests)
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True), retested


def measure_relatedness(scores: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`agreement` and `by_score` of the runs under data/runs of the full model, with own and with shuffled images.

    Of shuffled images without the posts whose own one is unreadable: their score is of nothing. The scores of a
    corpus are in `scores`, in the file tmr-CORPUS.tsv; corpora without one are left out. Raises HamnerError where there
    is none at all, and for a run whose predictions hold no relevance.
    """
    agreements, groups = [], []
    for corpus in REAL:
        file = scores / f"tmr-{corpus}.tsv"
        if not file.is_file():
            continue
        related = read_scores(file)
        unreadable = set(related.index[related.unreadable])
        for run in runs_of(corpus):
            if row_of_run(run.config) in ("full", "shuffled_images"):
                name = name_of(run) | {"seed": run.config.seed}
                relevance = read_relevance(run.predictions)
                if row_of_run(run.config) != "full":  # the image that it judged is not the one that is unreadable
                    relevance = {id: rho for id, rho in relevance.items() if id not in unreadable}
                agreements.append(name | agreement(relevance, related))
                groups.append(by_score(relevance, related).assign(**name))
    if not agreements:
        raise HamnerError(f"{scores} holds no tmr-CORPUS.tsv of a corpus with runs; corpora are {', '.join(REAL)}")
    return pd.DataFrame(agreements), pd.concat(groups, ignore_index=True)


def write_measured(root: Path | None = None, scores: Path | None = None, folder: Path | None = None) -> list[Path]:
    """Measure and write the tables into data/measured of the project, or into `folder`.

    Without the folder of relatedness `scores` their two tables stay as they are.
    """
    folder = folder or _folder()
    made: list[tuple[tuple[str, ...], Callable[[], tuple[pd.DataFrame, ...]]]] = []
    if scores is not None:  # first, for a mistyped folder should be told at once
        made.append(((AGREEMENT, RELATEDNESS), lambda: measure_relatedness(scores)))
    made.append(((STATISTICS, LENGTHS), lambda: measure(root)))
    made.append(((DIFFERENCES, GENERALISATION), lambda: measure_runs(root)))
    paths = []
    for names, make in made:
        for name, table in zip(names, make(), strict=True):
            with written_whole(folder / name) as temporary:
                table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.4f")
            paths.append(folder / name)
    return paths


def measured_differences() -> pd.DataFrame:
    """The committed differences on real corpora, as `differences` gives them."""
    return _table(DIFFERENCES).fillna({"source": "", "reference": ""})


def measured_generalisation() -> pd.DataFrame:
    """The committed scores on other tests, as `generalisation` gives them."""
    return _table(GENERALISATION).fillna({"source": ""})


def measured_relatedness() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The committed tables of `measure_relatedness`."""
    return _table(AGREEMENT), _table(RELATEDNESS)


def measured_art() -> pd.DataFrame:
    """What linear probes tell from minitweets' images: what, told_from, (kind of) images, accuracy, cases."""
    return _table(ART)


def measured_statistics(corpus: str) -> pd.DataFrame:
    """The committed counts of a real corpus: indexed by quantity, a column for each split, NA where undefined."""
    return _read(STATISTICS, corpus).set_index("quantity").astype("Int64")


def measured_lengths(corpus: str) -> dict[str, list[int]]:
    """The committed lengths of a real corpus: for each split the pieces of its posts, sorted; see `piece_lengths`."""
    table = _read(LENGTHS, corpus)
    return {split: [int(pieces) for pieces in table["pieces"].repeat(table[split])] for split in SPLITS}


def _folder() -> Path:
    return project_folder() / "data" / "measured"


def _table(file: str) -> pd.DataFrame:
    path = _folder() / file
    try:
        return pd.read_csv(path, dtype=dict.fromkeys(("seed", "group", "source", "reference"), "str"))
    except (OSError, ValueError) as error:  # ValueError: what pandas raises for a malformed table
        raise HamnerError(f"{path}: no table of measured numbers ({error}); restore it from the project") from error


def _read(file: str, corpus: str) -> pd.DataFrame:
    table = _table(file)
    if "corpus" not in table:
        raise HamnerError(f"{_folder() / file}: no column corpus; restore the table from the project")
    rows = table[table["corpus"] == corpus].drop(columns="corpus")
    if rows.empty:
        raise HamnerError(f"{_folder() / file}: nothing was measured of {corpus!r}; measured are {', '.join(REAL)}")
    return rows
