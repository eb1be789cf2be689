"""The vote of several seeds: one tagger made of all runs of a row.

Scoring needs gold tags, so `hamner measure` keeps the table, as for `differences`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from hamner.corpora import Post
from hamner.corpora.tags import spans
from hamner.evaluation import align, bootstrap_interval, clusters_of, over_seeds, read_predictions, score
from hamner.evaluation.scoring import Tags
from hamner.study.tables import by_name, name_of, require_seeds_alone
from hamner.training import Run

COLUMNS = ("corpus", "encoder", "row", "source", "seeds", "mean", "f1", "low", "high")


def vote(taggers: Sequence[Sequence[Tags]]) -> list[Tags]:
    """The entities that more than half of the taggers find, with the same words and type, as tags of each post.

    No two of these overlap: some tagger would have found both.
    """
    voted: list[Tags] = []
    for of_post in zip(*taggers, strict=True):
        found = Counter(span for tags in of_post for span in spans(tags))
        tags = ["O"] * len(of_post[0])
        for span, votes in found.items():
            if 2 * votes > len(taggers):
                tags[span.start : span.end] = [f"B-{span.type}"] + [f"I-{span.type}"] * (span.end - span.start - 1)
        voted.append(tuple(tags))
    return voted


def votes(runs: Sequence[Run], posts: Sequence[Post], *, resamples: int = 10_000) -> pd.DataFrame:
    """Score the vote of the seeds of each row with at least three, on the test `posts`: COLUMNS, numbers in percent.

    Columns:
        mean: the mean F1 of the seeds.
        f1, low, high: F1 of their vote (seqeval protocol) and its 95 % bootstrap interval over posts.

    Raises:
        HamnerError: runs of one name differ in more than their seed, or share a seed.
    """
    lines = []
    for group in by_name(runs):
        require_seeds_alone(group)
        if len(group) < 3:
            continue
        aligned = [align(posts, read_predictions(run.predictions, types=run.types)) for run in group]
        gold, tags = aligned[0][0], [predicted for _, predicted in aligned]
        of_vote = bootstrap_interval(gold, vote(tags), resamples=resamples, clusters=clusters_of(posts))
        mean = over_seeds([score(gold, predicted).overall.f1 for predicted in tags]).mean
        percent = {"mean": mean, "f1": of_vote.estimate, "low": of_vote.low, "high": of_vote.high}
        lines.append(name_of(group[0]) | {"seeds": len(group)} | {name: 100 * value for name, value in percent.items()})
    return pd.DataFrame(lines, columns=list(COLUMNS))
