"""Tables of numbers that need the real tweets: measured once, committed, and read by the notebooks.

The tweets may not be redistributed, numbers about them may. `hamner measure` writes these tables where the corpora are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from hamner.corpora import SPLITS, VERSIONS, Corpus, load_corpus, project_folder, statistics
from hamner.encoders import load_tokenizer
from hamner.errors import HamnerError
from hamner.evaluation import read_relevance
from hamner.study.ablation_tables import require_one_change
from hamner.study.differences import differences
from hamner.study.generalisation import generalisation
from hamner.study.relatedness import agreement, by_score, read_scores
from hamner.study.tables import leave_out, name_of, runs_of, with_predictions, without_mixtures, write_files
from hamner.study.votes import votes
from hamner.training import Run
from hamner.training.batching import windows
from hamner.training.rows import row_of_run

STATISTICS = "statistics.csv"
LENGTHS = "lengths.csv"
DIFFERENCES = "differences.csv"
GENERALISATION = "generalisation.csv"
VOTES = "votes.csv"
AGREEMENT = "agreement.csv"
RELATEDNESS = "relatedness.csv"
ART = "art.csv"
"""Accuracy of probes on the images of minitweets; written by benchmarks/art.py."""
NOT_MEASURED = ("twitter2015-hvpnet",)
"""Versions whose files could not be had when the tables were made."""
REAL = tuple(version.name for version in VERSIONS.values() if not (version.bundled or version.name in NOT_MEASURED))


def repeated_texts(corpus: Corpus) -> pd.DataFrame:
    """Count the distinct texts of each split that an earlier split has too.

    Rows: `texts_in_train` and `texts_in_valid`. Columns: the splits, NA where no split is earlier.
    """
    texts = {split: {post.words for post in posts} for split, posts in corpus.splits()}
    table = pd.DataFrame(pd.NA, index=["texts_in_train", "texts_in_valid"], columns=list(SPLITS), dtype="Int64")
    for earlier, later in (("train", "valid"), ("train", "test"), ("valid", "test")):
        table.loc[f"texts_in_{earlier}", later] = len(texts[earlier] & texts[later])
    return table


def piece_lengths(corpus: Corpus) -> dict[str, list[int]]:
    """Count the word pieces of each post, by split: minilm's vocabulary (uncased BERT's), with [CLS] and [SEP]."""
    tokenizer = load_tokenizer("minilm")
    return {
        split: [len(window.pieces) for window in windows(posts, tokenizer, limit=512)]
        for split, posts in corpus.splits()
    }


def measure(root: Path | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count posts, entities and words of the real corpora, and their posts' word pieces.

    Returns:
        Statistics with the columns corpus, quantity, train, valid, test; and lengths with the columns corpus, pieces,
        train, valid, test: the number of posts with that many pieces.

    Raises:
        CorpusError: a corpus is missing.
    """
    counts, lengths = {}, {}
    for name in REAL:
        corpus = load_corpus(name, root)
        counts[name] = pd.concat([statistics(corpus), repeated_texts(corpus)])
        of_split = {split: pd.Series(pieces).value_counts() for split, pieces in piece_lengths(corpus).items()}
        lengths[name] = pd.DataFrame(of_split, columns=list(SPLITS)).sort_index().fillna(0).astype("Int64")
    return (
        pd.concat(counts, names=["corpus", "quantity"]).reset_index(),
        pd.concat(lengths, names=["corpus", "pieces"]).reset_index(),
    )


def measure_runs(root: Path | None = None) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Compute `differences`, `generalisation` and `votes` of the runs under data/runs on the real corpora.

    A run that cannot be read or compared is left out, with a LeftOutWarning.

    Raises:
        CorpusError: a corpus is missing.
    """
    tests = {name: load_corpus(name, root).test for name in REAL}
    runs = {name: comparable(with_predictions(without_mixtures(runs_of(name)), tests)) for name in REAL}
    tables = [differences(runs[name], tests[name]) for name in REAL]
    retested = generalisation([run for of_corpus in runs.values() for run in of_corpus], tests)
    voted = pd.concat([votes(runs[name], tests[name]) for name in REAL], ignore_index=True)
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True), retested, voted


def comparable(runs: Sequence[Run]) -> list[Run]:
    """Leave out the runs of an encoder and source that differ in more than row and seed, with a LeftOutWarning."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((name_of(run)["encoder"], name_of(run)["source"]), []).append(run)
    kept: set[Path] = set()
    for encoder, source in sorted(groups):  # source "", text only, comes first: the others are compared with it too
        group = groups[encoder, source]
        text_only = [run for run in groups.get((encoder, ""), []) if run.folder in kept]
        try:
            require_one_change([*group, *text_only])
        except HamnerError as error:
            leave_out(
                f"{error}. Until then all {len(group)} runs of {encoder} with {source or 'text only'} are left out"
            )
        else:
            kept |= {run.folder for run in group}
    return [run for run in runs if run.folder in kept]


def measure_relatedness(scores: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute `agreement` and `by_score` of the full model's runs under data/runs, with own and shuffled images.

    For `shuffled_images`, posts with an unreadable image are excluded: their score is meaningless. A run without
    relevance in its predictions is left out, with a LeftOutWarning.

    Args:
        scores: folder with a file tmr-CORPUS.tsv for each corpus (`read_scores`); other corpora are skipped.

    Raises:
        HamnerError: the folder has no such file, or one that cannot be read.
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
                try:
                    relevance = read_relevance(run.predictions)
                except HamnerError as error:
                    leave_out(error)
                    continue
                if row_of_run(run.config) != "full":  # it judged another post's image
                    relevance = {id: rho for id, rho in relevance.items() if id not in unreadable}
                agreements.append(name | agreement(relevance, related))
                groups.append(by_score(relevance, related).assign(**name))
    if not agreements:
        raise HamnerError(f"{scores} holds no tmr-CORPUS.tsv of a corpus with runs; corpora are {', '.join(REAL)}")
    return pd.DataFrame(agreements), pd.concat(groups, ignore_index=True)


def write_measured(root: Path | None = None, scores: Path | None = None, folder: Path | None = None) -> list[Path]:
    """Measure, and write the tables into data/measured of the project or into `folder`; returns their paths.

    Without a folder of relatedness `scores`, their two tables stay as they are.
    """
    folder = folder or _folder()
    made: list[tuple[tuple[str, ...], Callable[[], tuple[pd.DataFrame, ...]]]] = []
    if scores is not None:  # first, so that a mistyped folder is reported at once
        made.append(((AGREEMENT, RELATEDNESS), lambda: measure_relatedness(scores)))
    made.append(((STATISTICS, LENGTHS), lambda: measure(root)))
    made.append(((DIFFERENCES, GENERALISATION, VOTES), lambda: measure_runs(root)))
    paths = []
    for names, make in made:
        paths += write_files(dict(zip(names, make(), strict=True)), folder, decimals=4)
    return paths


def measured_differences() -> pd.DataFrame:
    """Read the committed `differences` on the real corpora."""
    return _table(DIFFERENCES).fillna({"source": "", "reference": ""})


def measured_generalisation() -> pd.DataFrame:
    """Read the committed `generalisation` of the real corpora."""
    return _table(GENERALISATION).fillna({"source": ""})


def measured_votes() -> pd.DataFrame:
    """Read the committed `votes` on the real corpora."""
    return _table(VOTES).fillna({"source": ""})


def measured_relatedness() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the two committed tables of `measure_relatedness`."""
    return _table(AGREEMENT), _table(RELATEDNESS)


def measured_art() -> pd.DataFrame:
    """Read the accuracy of linear probes on minitweets' images: what, told_from, images, accuracy, cases."""
    return _table(ART)


def measured_statistics(corpus: str) -> pd.DataFrame:
    """Read the committed counts of a real corpus: quantities by splits, NA where undefined."""
    return _read(STATISTICS, corpus).set_index("quantity").astype("Int64")


def measured_lengths(corpus: str) -> dict[str, list[int]]:
    """Read the committed lengths of a real corpus, by split: the word pieces of each post, sorted."""
    table = _read(LENGTHS, corpus)
    return {split: [int(pieces) for pieces in table["pieces"].repeat(table[split])] for split in SPLITS}


def _folder() -> Path:
    return project_folder() / "data" / "measured"


def _table(file: str) -> pd.DataFrame:
    path = _folder() / file
    try:
        return pd.read_csv(path, dtype=dict.fromkeys(("seed", "group", "source", "reference"), "str"))
    except (OSError, ValueError) as error:  # ValueError: what pandas raises for a malformed table
        raise HamnerError(f"{path}: no table of measured numbers ({error}); restore it with `git checkout`") from error


def _read(file: str, corpus: str) -> pd.DataFrame:
    table = _table(file)
    if "corpus" not in table:
        raise HamnerError(f"{_folder() / file}: no column corpus; restore it with `git checkout`")
    rows = table[table["corpus"] == corpus].drop(columns="corpus")
    if rows.empty:
        raise HamnerError(f"{_folder() / file}: has no numbers of {corpus!r}; it has those of {', '.join(REAL)}")
    return rows
