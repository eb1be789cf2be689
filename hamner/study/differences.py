"""What a row gained on real tweets: its F1 beside that of a reference row, on the same posts, with intervals and tests.

Gold tags belong to the tweets, which cannot be handed on; differences can. So `hamner measure` compares where the
corpora are and keeps the table, and notebooks read it everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from hamner.corpora import Post
from hamner.evaluation import (
    Interval,
    align,
    bootstrap_interval_of_mean,
    paired_bootstrap_of_means,
    read_predictions,
)
from hamner.study.ablation_tables import require_one_change
from hamner.study.tables import by_row, name_of
from hamner.training import Run
from hamner.training.rows import place, row_of_run

REFERENCES = ("text_only", "shuffled_images", "full")
"""Rows that others are compared with on real tweets: without images, with those of other posts, with every part."""

COLUMNS = (
    "corpus", "encoder", "source", "row", "seed", "f1", "low", "high",
    "reference", "difference", "difference_low", "difference_high", "p_value",
)  # fmt: skip


def differences(
    found: Sequence[Run], posts: Sequence[Post], references: Sequence[str] = REFERENCES, *, resamples: int = 10_000
) -> pd.DataFrame:
    """Every run of one corpus and its row's mean, beside each of `references`: lines with COLUMNS, figures in percent.

    `posts` are test, with gold tags. seed: a run's, or "mean" over the seeds that the row and the reference share.
    low and high: bootstrap interval of f1 over posts (seqeval protocol); difference, its interval and p_value: paired
    bootstrap. A row that has no reference has lines all the same, with reference "" and NaN. A run with images is
    compared with those of its encoder and source alone, and with text only of its encoder.

    Raises HamnerError for runs of one encoder and source that differ in more than their row and seed.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in found:
        name = name_of(run)
        groups.setdefault((name["encoder"], name["source"]), []).append(run)
    lines: list[dict[str, Any]] = []
    for (encoder, source), group in sorted(groups.items()):
        text_only = groups.get((encoder, ""), []) if source else []
        require_one_change([*group, *text_only])
        gold: list[Any] = []
        tagged: dict[str, dict[int, Any]] = {}
        for run in [*group, *text_only]:
            gold, predicted = align(posts, read_predictions(run.predictions))
            tagged.setdefault(row_of_run(run.config), {})[run.config.seed] = predicted
        others = [] if "text_only" in references else text_only  # to be compared with the full model, say
        for row in sorted(by_row([*group, *others]), key=place):
            intervals: dict[tuple[int, ...], Interval] = {}
            for reference in [name for name in references if name in tagged and name != row] or [""]:
                for line in _lines(gold, tagged[row], tagged.get(reference, {}), resamples, intervals):
                    lines.append(name_of(group[0]) | {"row": row, "reference": reference} | line)
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _lines(
    gold: list[Any],
    mine: dict[int, Any],
    others: dict[int, Any],
    resamples: int,
    intervals: dict[tuple[int, ...], Interval],
) -> list[dict[str, Any]]:
    """One row beside one reference, tags by seed: a line for each seed, and one for the mean.

    `intervals` keeps those of the row's F1 by seeds, for they are the same beside every reference.
    """
    lines = []
    shared = sorted(mine.keys() & others.keys())
    for name, seeds in [*((str(seed), [seed]) for seed in sorted(mine)), ("mean", shared or sorted(mine))]:
        tags, key = [mine[seed] for seed in seeds], tuple(seeds)
        if key not in intervals:
            intervals[key] = bootstrap_interval_of_mean(gold, tags, resamples=resamples)
        interval = intervals[key]
        line: dict[str, Any] = {"seed": name, "f1": interval.estimate, "low": interval.low, "high": interval.high}
        if set(seeds) <= set(shared):
            test = paired_bootstrap_of_means(gold, tags, [others[seed] for seed in seeds], resamples=resamples)
            line |= {"difference": test.difference, "difference_low": test.low, "difference_high": test.high}
        line = {key: value if key == "seed" else 100 * value for key, value in line.items()}
        if set(seeds) <= set(shared):
            line["p_value"] = test.p_value
        lines.append(line)
    return lines
