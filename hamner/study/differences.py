"""What a row gains on real tweets: its F1 minus that of a reference row on the same posts, with intervals and tests.

The tweets and their gold tags may not be redistributed; differences may. `hamner measure` computes them where the
corpora are, and keeps the table for the notebooks.
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
    clusters_of,
    paired_bootstrap_of_means,
    read_predictions,
)
from hamner.study.ablation_tables import require_one_change
from hamner.study.tables import by_row, name_of
from hamner.training import Run
from hamner.training.rows import place, row_of_run

REFERENCES = ("text_only", "shuffled_images", "full")
"""Reference rows on real tweets: without images, with images of other posts, and the full model."""

COLUMNS = (
    "corpus", "encoder", "source", "row", "seed", "f1", "low", "high",
    "reference", "difference", "difference_low", "difference_high", "p_value",
)  # fmt: skip


def differences(
    runs: Sequence[Run], posts: Sequence[Post], references: Sequence[str] = REFERENCES, *, resamples: int = 10_000
) -> pd.DataFrame:
    """Compare the runs of one corpus, and the mean of each row, with each of `references`: lines with COLUMNS.

    A run with images is compared with runs of its encoder and source, and with text only of its encoder. Numbers are
    in percent.

    Columns:
        seed: the run's seed, or "mean" over the seeds that the row and the reference share.
        f1, low, high: F1 (seqeval protocol) and its 95 % bootstrap interval over posts.
        reference: the reference row, "" for a row without one; the columns behind it are then NaN.
        difference, difference_low, difference_high, p_value: paired bootstrap over posts.

    Args:
        runs: runs of one corpus.
        posts: its test split, with gold tags.
        references: the reference rows.
        resamples: number of bootstrap resamples.

    Raises:
        HamnerError: runs of one encoder and source differ in more than their row and seed.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        name = name_of(run)
        groups.setdefault((name["encoder"], name["source"]), []).append(run)
    drawn: dict[str, Any] = {"resamples": resamples, "clusters": clusters_of(posts)}
    lines: list[dict[str, Any]] = []
    for (encoder, source), group in sorted(groups.items()):
        text_only = groups.get((encoder, ""), []) if source else []
        require_one_change([*group, *text_only])
        gold: list[Any] = []
        tagged: dict[str, dict[int, Any]] = {}
        for run in [*group, *text_only]:
            gold, predicted = align(posts, read_predictions(run.predictions, types=run.types))
            tagged.setdefault(row_of_run(run.config), {})[run.config.seed] = predicted
        others = (
            [] if "text_only" in references else text_only
        )  # a row like others, when the reference is the full model
        for row in sorted(by_row([*group, *others]), key=place):
            intervals: dict[tuple[int, ...], Interval] = {}
            for reference in [name for name in references if name in tagged and name != row] or [""]:
                for line in _lines(gold, tagged[row], tagged.get(reference, {}), drawn, intervals):
                    lines.append(name_of(group[0]) | {"row": row, "reference": reference} | line)
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _lines(
    gold: list[Any],
    mine: dict[int, Any],
    others: dict[int, Any],
    drawn: dict[str, Any],
    intervals: dict[tuple[int, ...], Interval],
) -> list[dict[str, Any]]:
    """Compare one row with one reference, tags by seed: a line for each seed, and one for the mean.

    `drawn` holds the options of the bootstrap. `intervals` caches the intervals of the row's F1 by seeds: they are the
    same for every reference.
    """
    lines = []
    shared = sorted(mine.keys() & others.keys())
    for name, seeds in [*((str(seed), [seed]) for seed in sorted(mine)), ("mean", shared or sorted(mine))]:
        tags, key = [mine[seed] for seed in seeds], tuple(seeds)
        if key not in intervals:
            intervals[key] = bootstrap_interval_of_mean(gold, tags, **drawn)
        interval = intervals[key]
        line: dict[str, Any] = {"seed": name, "f1": interval.estimate, "low": interval.low, "high": interval.high}
        if set(seeds) <= set(shared):
            test = paired_bootstrap_of_means(gold, tags, [others[seed] for seed in seeds], **drawn)
            line |= {"difference": test.difference, "difference_low": test.low, "difference_high": test.high}
        line = {key: value if key == "seed" else 100 * value for key, value in line.items()}
        if set(seeds) <= set(shared):
            line["p_value"] = test.p_value
        lines.append(line)
    return lines
