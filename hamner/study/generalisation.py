"""F1 of trained runs on other tests: the other corpus, and a growing share of images that belong to other posts.

The predictions come from `hamner retest`. Scoring needs gold tags, so `hamner measure` keeps the table, as for
`differences`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hamner.corpora import Post
from hamner.evaluation import (
    align,
    bootstrap_interval_of_mean,
    clusters_of,
    paired_bootstrap_of_means,
    read_predictions,
)
from hamner.study.tables import by_row, name_of
from hamner.training import Run
from hamner.training.retest import retests
from hamner.training.rows import place, row_of_run

COLUMNS = (
    "trained_on", "tested_on", "encoder", "source", "row", "shuffled", "seed", "f1", "low", "high",
    "difference", "difference_low", "difference_high", "p_value",
)  # fmt: skip


def generalisation(
    runs: Sequence[Run], tests: Mapping[str, Sequence[Post]], *, resamples: int = 10_000
) -> pd.DataFrame:
    """Score each retested run on its own test and on the others: lines with COLUMNS, numbers in percent.

    Columns:
        shuffled: percent of the images that belong to other posts.
        seed: the run's seed, or "mean" over the seeds that were retested.
        f1, low, high: F1 (seqeval protocol) and its 95 % bootstrap interval over posts.
        difference, difference_low, difference_high, p_value: paired bootstrap against the same runs with every post's
            own image; NaN where no image was exchanged.

    Args:
        runs: the runs; those without a retest are skipped.
        tests: corpus -> its test split, with gold tags. Retests on other corpora are skipped.
        resamples: number of bootstrap resamples.
    """
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(name_of(run).values()), []).append(run)
    lines: list[dict[str, Any]] = []
    for group in sorted(groups.values(), key=_place):
        by_row(group)  # raises for runs of one name that differ in more than their seed
        name = name_of(group[0])
        common = {"trained_on": name.pop("corpus")} | name
        files: dict[tuple[str, int], dict[int, Path]] = {}
        for run in group:
            others = {(test.corpus, test.shuffled): test.file for test in retests(run) if test.corpus in tests}
            if others:
                if common["trained_on"] in tests:
                    others[common["trained_on"], 0] = run.predictions
                for test, file in others.items():
                    files.setdefault(test, {})[run.config.seed] = file
        tagged: dict[tuple[str, int], dict[int, Any]] = {}
        for (corpus, shuffled), of_seed in sorted(files.items()):
            posts = tests[corpus]
            aligned = {
                seed: align(posts, read_predictions(file, posts, group[0].types))
                for seed, file in sorted(of_seed.items())
            }
            gold = next(iter(aligned.values()))[0]
            drawn: dict[str, Any] = {"resamples": resamples, "clusters": clusters_of(posts)}
            mine = tagged[corpus, shuffled] = {seed: predicted for seed, (_, predicted) in aligned.items()}
            own = tagged.get((corpus, 0), {}) if shuffled else {}
            for seed, chosen in [*((str(seed), [seed]) for seed in mine), ("mean", list(mine))]:
                tags = [mine[seed] for seed in chosen]
                interval = bootstrap_interval_of_mean(gold, tags, **drawn)
                percent = {"f1": interval.estimate, "low": interval.low, "high": interval.high}
                line: dict[str, Any] = common | {"tested_on": corpus, "shuffled": shuffled, "seed": seed}
                if own.keys() >= set(chosen):
                    pair = paired_bootstrap_of_means(gold, tags, [own[seed] for seed in chosen], **drawn)
                    percent |= {"difference": pair.difference, "difference_low": pair.low, "difference_high": pair.high}
                    line["p_value"] = pair.p_value
                lines.append(line | {measure: 100 * value for measure, value in percent.items()})
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _place(group: Sequence[Run]) -> tuple[Any, ...]:
    name = name_of(group[0])
    return name["corpus"], name["encoder"], place(row_of_run(group[0].config)), name["source"]
