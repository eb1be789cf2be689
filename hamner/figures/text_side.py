"""The figures of the study, one function each: numbers in, a matplotlib Figure out; nothing is read from disk here.

figures/README.md says which notebook makes which figure, with its caption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from hamner.drawing.matrix import draw_matrix
from hamner.drawing.parts import stacked_shares, steady
from hamner.drawing.style import (
    BLACK,
    BLUE,
    CORPUS_COLOURS,
    CORPUS_NAMES,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    TYPE_COLOURS,
    VERMILION,
    styled,
)
from hamner.evaluation import Interval, Reliability
from hamner.training import Run


@styled
def post_lengths(lengths: Mapping[str, Sequence[int]], limit: int = 128) -> Figure:
    """Histograms of pieces per post, a row for each corpus (name -> pieces of each post), with a line at `limit`."""
    figure = Figure(figsize=(5.6, 0.6 + 1.15 * len(lengths)))
    panels = figure.subplots(len(lengths), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (corpus, pieces) in zip(panels, lengths.items(), strict=True):
        shares = 100 * np.bincount(np.asarray(pieces) // 4) / len(pieces)
        axes.bar(4 * np.arange(len(shares)) + 2, shares, width=3.6, color=CORPUS_COLOURS[corpus])
        axes.axvline(limit, color=BLACK, linestyle="--", linewidth=1.2)
        axes.set_title(f"{CORPUS_NAMES[corpus]}: mean {np.mean(pieces):.0f}, longest {max(pieces)}")
        axes.set_xlim(0, limit + 6)
    in_panel = panels[0].get_xaxis_transform()
    panels[0].text(limit - 2, 0.5, f"padding to {limit}", ha="right", fontsize=10, transform=in_panel)
    panels[-1].set_xlabel("word pieces per post, [CLS] and [SEP] included")
    figure.supylabel("posts (%)", fontsize=11)
    return figure


@styled
def entity_types(shares: pd.DataFrame) -> Figure:
    """Share of each entity type (columns) among the entities of each corpus (rows), in percent; one bar a corpus."""
    return stacked_shares(shares.rename(index=CORPUS_NAMES), TYPE_COLOURS, "share of the entities (%)")


@styled
def padding(batches: Mapping[str, Sequence[int]], width: int = 128) -> Figure:
    """One batch under each way of padding: title -> real pieces of each post, padded to the longest or to `width`.

    The last batch is the one that is padded to `width`, the others are padded to their own longest post.
    """
    roomy = ConstrainedLayoutEngine(wspace=0.08)  # between "128" of a panel and "0" of the next
    figure = Figure(figsize=(6.2, 3.4), layout=roomy)
    panels = figure.subplots(1, len(batches), sharey=True)
    last = list(batches)[-1]
    for axes, (title, pieces) in zip(panels, batches.items(), strict=True):
        padded = width if title == last else max(pieces)
        rows = np.arange(len(pieces))
        axes.barh(rows, padded, height=0.8, color=PALE, label="padding")
        axes.barh(rows, pieces, height=0.8, color=BLUE, label="real pieces")
        axes.set_title(f"{title}\n{100 * sum(pieces) / (padded * len(pieces)):.0f} % real")
        axes.set_xlim(0, width)
        axes.set_xticks([0, width // 2, width])
        axes.set_ylim(len(pieces) - 0.5, -0.5)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    panels[0].set_ylabel(f"{len(next(iter(batches.values())))} posts")
    figure.supxlabel("word pieces", fontsize=11)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper center", ncols=2, handlelength=1.2)
    return figure


@styled
def padding_cost(cost: pd.DataFrame) -> Figure:
    """Positions that the encoder computes per real piece: a row for each corpus, a column for each way of padding."""
    figure = Figure(figsize=(5.6, 1.0 + 0.75 * len(cost)))
    axes = figure.subplots()
    height = 0.8 / len(cost.columns)
    colours = (BLUE, ORANGE, GREY)
    for number, (way, colour) in enumerate(zip(cost.columns, colours, strict=True)):
        rows = np.arange(len(cost)) + (number - (len(cost.columns) - 1) / 2) * height
        bars = axes.barh(rows, cost[way], height=0.9 * height, color=colour, label=way)
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=10)
    axes.axvline(1, color=BLACK, linewidth=1.2, linestyle="--")
    axes.set_yticks(range(len(cost)), [CORPUS_NAMES[corpus] for corpus in cost.index])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("positions computed per real piece (1 = no padding)")
    axes.tick_params(left=False)
    figure.legend(loc="outside upper center", ncols=len(cost.columns), handlelength=1.2, columnspacing=1.2)
    return figure


@styled
def marginals(words: Sequence[str], tags: Sequence[str], probabilities: np.ndarray, path: Sequence[str]) -> Figure:
    """A CRF's tag marginals (words, tags) as a map; a frame marks the tag of each word on the best path."""
    figure = Figure(figsize=(max(4.2, 1.7 + 0.5 * len(words)), 0.9 + 0.36 * len(tags)))
    axes = figure.subplots()
    table = pd.DataFrame(probabilities.T, index=list(tags), columns=range(len(words)))  # a word may come twice
    look: dict[str, Any] = {"annot_kws": {"fontsize": 9}}
    draw_matrix(axes, table, lambda p: f"{p:.2f}" if p >= 0.05 else "", (0, 1), "probability of the tag", **look)
    axes.set_xticklabels(words)
    for word, tag in enumerate(path):
        corner = (word, tags.index(tag))
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=VERMILION, linewidth=2.2, zorder=3, clip_on=False))
    return figure


@styled
def transitions(tags: Sequence[str], share: np.ndarray, forbidden: np.ndarray) -> Figure:
    """Moves from a tag (row, the first one is the start of a post) to the next (column), in percent of the row.

    `share` is (1 + K, K); `forbidden`, of the same shape, marks by a cross what BIO rules out.
    """
    figure = Figure(figsize=(5.8, 5.2))
    axes = figure.subplots()
    table = pd.DataFrame(np.where(forbidden, np.nan, 100 * share), index=["start", *tags], columns=list(tags))
    look: dict[str, Any] = {"shrink": 0.6, "square": True, "annot_kws": {"fontsize": 9}}
    draw_matrix(axes, table, lambda p: f"{p:.0f}" if p >= 0.5 else "", (0, 100), "% of the row's moves", **look)
    for row, column in np.argwhere(forbidden):
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor=PALE, edgecolor="white"))
        axes.text(column + 0.5, row + 0.5, "×", ha="center", va="center", color=GREY, fontsize=13)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(axis="x", rotation=90, length=0)
    axes.set_xlabel("to")
    axes.set_ylabel("from")
    return figure


@styled
def bootstrap(draws: Mapping[str, np.ndarray], intervals: Mapping[str, Interval]) -> Figure:
    """F1 on resampled test posts: a histogram for each tagger (name -> F1 as fractions), its interval above."""
    figure = Figure(figsize=(5.6, 3.2))
    axes = figure.subplots()
    low, high = (100 * f(f(values) for values in draws.values()) for f in (min, max))
    bins = np.linspace(low, high, 41).tolist()
    tallest = 0.0
    for (name, values), colour in zip(draws.items(), (BLUE, ORANGE), strict=True):
        heights, _, _ = axes.hist(100 * values, bins=bins, color=colour, alpha=0.6, label=name)
        tallest = max(tallest, float(np.max(heights)))
    for number, ((_, interval), colour) in enumerate(zip(intervals.items(), (BLUE, ORANGE), strict=True)):
        height = tallest * (1.08 + 0.1 * number)
        ends = [100 * interval.low, 100 * interval.high]
        axes.plot(ends, [height] * 2, color=colour, linewidth=3, solid_capstyle="butt")
        axes.plot(100 * interval.estimate, height, "o", color=colour, markersize=7, markeredgecolor="white")
    axes.set_xlabel("F1 (%) on resampled test posts")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, handlelength=1.2)
    return figure


@styled
def learning_curves(found: Sequence[Run]) -> Figure:
    """Loss on train and F1 on valid by epoch, a line for each run by its seed; a ring marks the epoch that was kept."""
    figure = Figure(figsize=(6.4, 3.0))
    loss, f1 = figure.subplots(1, 2)
    for run, colour in zip(found, cycle((BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)), strict=False):
        history = pd.DataFrame(run.record["history"])
        label = f"seed {run.config.seed}"
        loss.plot(history.epoch, history.loss, "o-", color=colour, markersize=4, label=label)
        f1.plot(history.epoch, 100 * history.valid_f1, "o-", color=colour, markersize=4)
        best = history[history.epoch == run.record["best_epoch"]]
        f1.plot(best.epoch, 100 * best.valid_f1, "o", color="none", markeredgecolor=colour, markersize=11)
    loss.set_title("loss on train")
    loss.set_yscale("log")
    loss.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    loss.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    loss.yaxis.set_minor_locator(NullLocator())
    f1.set_title("F1 on valid (%)")
    for axes in (loss, f1):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside upper center", ncols=max(1, len(found)))
    return figure


@styled
def reliability_diagram(diagrams: Mapping[str, Reliability]) -> Figure:
    """Share right against mean confidence, bin by bin, for two sets of confidences; larger marks hold more."""
    figure = Figure(figsize=(4.6, 4.2))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2)
    for (name, diagram), colour, marker in zip(diagrams.items(), (VERMILION, BLUE), ("o", "D"), strict=True):
        confidence, accuracy = steady(diagram.confidence), steady(diagram.accuracy)
        axes.plot(confidence, accuracy, color=colour, linewidth=1)
        area = 12 + 160 * diagram.count / diagram.count.sum()
        label = f"{name} (error {100 * diagram.error:.1f} points)"
        look = {"s": area, "color": colour, "marker": marker, "alpha": 0.8, "clip_on": False}
        axes.scatter(confidence, accuracy, label=label, **look)
    axes.set_xlabel("confidence of an entity")
    axes.set_ylabel("share of these entities that is right")
    axes.set_xlim(0, 1.03)
    axes.set_ylim(0, 1.03)
    axes.set_aspect("equal")
    figure.legend(loc="outside upper center")
    return figure
