"""minitweets: known answers and ceilings beside measured accuracy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hamner.corpora import Corpus, load_corpus, project_folder
from hamner.errors import HamnerError
from hamner.evaluation import over_seeds, read_predictions
from hamner.files import read_text
from hamner.minitweets import CUES, GRAINS
from hamner.study.tables import by_row
from hamner.training import Run

LEARNED = "learned_ceilings.csv"
"""Ceilings of a learner in data/measured; written by benchmarks/art.py."""


@dataclass(frozen=True)
class Answer:
    """A name in a post whose answer is known, from answers.jsonl.

    Attributes:
        post: id of the post.
        cue: what reveals the name's type, one of CUES.
        side: the post's direction (`position`), described carrier (`described`, `other`) or grain (`level`), else "".
        start: its first word.
        end: the word after its last.
        type: its gold type.
        kind: kind of name in the generator.
        seen: whether training has the name.
        objects: numbers of the annotated objects that carry the answer.
    """

    post: str
    cue: str
    side: str
    start: int
    end: int
    type: str
    kind: str
    seen: bool
    objects: tuple[int, ...]


def answers_of(corpus: Corpus, split: str = "test") -> list[Answer]:
    """Read the names in the posts of one split, with their answers, from the corpus's answers.jsonl.

    Raises:
        HamnerError: the corpus has no such file, or a post without an answer.
    """
    path = corpus.folder / "answers.jsonl"
    try:
        lines = [json.loads(line) for line in read_text(path).splitlines()]
        by_post = {line["id"]: line for line in lines}
        return [
            Answer(
                post=post.id,
                cue=name["cue"],
                side=by_post[post.id]["side"],
                start=name["start"],
                end=name["end"],
                type=name["type"],
                kind=name["kind"],
                seen=name["seen"],
                objects=tuple(name["objects"]),
            )
            for post in corpus[split]
            for name in by_post[post.id]["mentions"]
        ]
    except (HamnerError, ValueError, KeyError, TypeError) as error:
        raise HamnerError(
            f"{path}: no answers for {corpus.name} ({error!r}); only minitweets has known answers"
        ) from error


def ceilings(corpus: Corpus) -> pd.DataFrame:
    """Read the type accuracy of the best tagger without one ability, computed by the generator: ability by cue."""
    path = corpus.folder / "ceilings.json"
    try:
        return pd.DataFrame(json.loads(read_text(path))).T[list(CUES)]
    except (HamnerError, ValueError, KeyError) as error:
        raise HamnerError(f"{path}: no ceilings for {corpus.name} ({error!r}); build minitweets anew") from error


def type_accuracy(answers: Sequence[Answer], predictions: dict[str, tuple[str, ...]]) -> pd.Series:
    """Share of names with the right type, by cue; the first word's predicted tag counts.

    A first word tagged O is wrong. Where the name ends does not count: no image shows that.
    """
    right = pd.DataFrame(
        [(name.cue, predictions[name.post][name.start][2:] == name.type) for name in answers],
        columns=["cue", "right"],
    )
    return right.groupby("cue")["right"].mean().reindex(list(CUES))


def grain_accuracy(answers: Sequence[Answer], beta: dict[str, Sequence[float]]) -> float:
    """Share of `level` posts whose beta favours the grain that the words are about; 0.5 is chance, NaN without posts.

    A post about the image as a whole is right if the global grain has a greater share than each grain of objects, a
    post about the objects if it has not.

    Args:
        answers: names with their answers, from `answers_of`.
        beta: post id -> the shares of the global, the semantic and the spatial grain.
    """
    whole, _ = GRAINS
    right = [
        (beta[name.post][0] > max(beta[name.post][1:])) == (name.side == whole)
        for name in answers
        if name.cue == "level"
    ]
    return sum(right) / len(right) if right else float("nan")


def learned_ceilings() -> pd.DataFrame:
    """Read the type accuracy that linear probes reach without one ability: ability by cue, beside `ceilings`.

    Written by benchmarks/art.py: the ceilings of `ceilings` count what a tagger could know, these measure what frozen
    features and train's images allow to learn.
    """
    path = project_folder() / "data" / "measured" / LEARNED
    try:
        table = pd.read_csv(path)
        return table.pivot(index="ability", columns="cue", values="accuracy")[list(CUES)]
    except (OSError, ValueError, KeyError) as error:
        raise HamnerError(f"{path}: no learned ceilings ({error!r}); run python benchmarks/art.py") from error


def accuracies(runs: Sequence[Run]) -> pd.DataFrame:
    """Type accuracy of each run on minitweets' test: a line for each run and cue.

    Columns: row, seed, cue, names (their number), accuracy.

    Raises:
        HamnerError: a run was trained on another minitweets, or two runs of a row differ in more than their seed.
    """
    corpus = load_corpus("minitweets")
    answers = answers_of(corpus)
    asked = pd.Series([name.cue for name in answers]).value_counts()
    for run in runs:
        if run.record["corpus"] != {"name": corpus.name, "sha256": corpus.sha256}:
            raise HamnerError(f"{run.folder} was trained on another minitweets; train it anew")
    lines = []
    for row, group in by_row(runs).items():
        for run in group:
            right = type_accuracy(answers, read_predictions(run.predictions, corpus.test))
            lines += [(row, run.config.seed, cue, int(asked[cue]), float(right[cue])) for cue in CUES]
    return pd.DataFrame(lines, columns=["row", "seed", "cue", "names", "accuracy"])


def measured(by_run: pd.DataFrame) -> pd.DataFrame:
    """Summarise `accuracies` by row and cue: mean and spread over seeds.

    Columns: row, cue, seeds, names, mean, sd, min, max.
    """
    lines = []
    for (row, cue), group in by_run.groupby(["row", "cue"], sort=False):
        spread = over_seeds(list(group.accuracy))
        lines.append((row, cue, spread.n, group.names.iloc[0], spread.mean, spread.sd, spread.min, spread.max))
    return pd.DataFrame(lines, columns=["row", "cue", "seeds", "names", "mean", "sd", "min", "max"])


def sampling_error(share: Any, names: Any) -> Any:
    """Standard deviation of the accuracy on `names` names, each right with probability `share`; numbers or Series."""
    return (share * (1 - share) / names) ** 0.5
