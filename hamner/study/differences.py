"""What a row gained on real tweets: its F1 beside that of a reference row, on the same posts, with intervals and tests.

Gold tags belong to the tweets, which cannot be handed on; differences can. So `hamner measure` compares where the
corpora are and keeps the table, and notebooks read it everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from hamner.corpora import Post
from hamner.drawing.parts import shared_legend
from hamner.drawing.style import BLUE, CORPUS_NAMES, GREY, VERMILION, styled
from hamner.evaluation import (
    Interval,
    align,
    bootstrap_interval_of_mean,
    paired_bootstrap_of_means,
    read_predictions,
    welch,
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


@styled
def gains(table: pd.DataFrame, reference: str = "text_only") -> Figure:
    """F1 of each row minus the reference's, in points: a panel for each corpus, a lane for each row.

    `table` has the lines of `differences`. Dots are seeds; a bar is their mean and its interval over posts, the thin
    line behind it that over seeds (`welch`). Where there are several encoders or sources, their lanes say which.
    """
    table = table[(table.reference == reference) & table.difference.notna()]
    corpora = list(dict.fromkeys(table.corpus))
    several = len(table[["encoder", "source"]].drop_duplicates()) > 1
    lanes = {tuple(name): None for name in table[["row", "encoder", "source"]].itertuples(index=False)}
    names = sorted(lanes, key=lambda name: (name[1:], place(name[0])))
    figure = Figure(figsize=(6.4, 1.2 + 0.4 * len(names)))
    panels = figure.subplots(1, max(1, len(corpora)), sharex=True, sharey=True, squeeze=False)[0]
    for axes, corpus in zip(panels, corpora, strict=False):
        axes.axvline(0, color=GREY, linewidth=1)
        for lane, (row, encoder, source) in enumerate(names):
            lines = table[(table.corpus == corpus) & (table.row == row)]
            lines = lines[(lines.encoder == encoder) & (lines.source == source)]
            seeds, mean = lines[lines.seed != "mean"], lines[lines.seed == "mean"]
            if lines.empty:
                axes.text(0, lane, " no record", color=GREY, va="center", fontsize=9)
            if interval := welch(seeds.f1.tolist(), (seeds.f1 - seeds.difference).tolist()):
                axes.hlines(lane, *interval, color=GREY, linewidth=1, label="95 % over seeds")
            bars = axes.hlines([lane] * len(mean), mean.difference_low, mean.difference_high, color=BLUE, linewidth=2)
            bars.set_label("mean, 95 % over posts")
            axes.plot(mean.difference, [lane] * len(mean), "|", color=BLUE, markersize=12, markeredgewidth=2)
            dots: dict[str, Any] = {"color": VERMILION, "markersize": 4, "alpha": 0.8, "label": "one seed"}
            axes.plot(seeds.difference, [lane - 0.28] * len(seeds), "o", **dots)
        axes.set_yticks(range(len(names)), [", ".join(name) if several else name[0] for name in names])
        axes.set_ylim(len(names) - 0.4, -0.7)
        axes.set_xlabel(f"F1 minus {reference} (points)")
        axes.set_title(CORPUS_NAMES[corpus])
    shared_legend(figure, panels)
    return figure
