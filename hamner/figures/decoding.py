"""Figures of notebook 05: the CRF, and the bootstrap of a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hamner.drawing.colours import BLUE, GREY, ORANGE, PALE, VERMILION
from hamner.drawing.matrix import draw_matrix
from hamner.drawing.style import styled
from hamner.evaluation import Interval


@styled
def marginals(words: Sequence[str], tags: Sequence[str], probabilities: np.ndarray, path: Sequence[str]) -> Figure:
    """Draw a CRF's tag marginals (words, tags) as a map; frames mark the tags of the best path."""
    figure = Figure(figsize=(max(4.2, 1.7 + 0.5 * len(words)), 0.9 + 0.36 * len(tags)))
    axes = figure.subplots()
    table = pd.DataFrame(probabilities.T, index=list(tags), columns=range(len(words)))  # a word may come twice
    cells: dict[str, Any] = {"annot_kws": {"fontsize": 9}}
    draw_matrix(axes, table, lambda p: f"{p:.2f}" if p >= 0.05 else "", (0, 1), "probability of the tag", **cells)
    axes.set_xticklabels(words)
    for word, tag in enumerate(path):
        corner = (word, tags.index(tag))
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=VERMILION, linewidth=2.2, zorder=3, clip_on=False))
    return figure


@styled
def transitions(tags: Sequence[str], share: np.ndarray, forbidden: np.ndarray) -> Figure:
    """Draw transitions from a tag (row; the first is the start of a post) to the next tag (column).

    Args:
        tags: the K tags.
        share: (1 + K, K), fractions of the row's transitions.
        forbidden: (1 + K, K) bool, transitions that BIO rules out; drawn as crosses.
    """
    figure = Figure(figsize=(5.8, 5.2))
    axes = figure.subplots()
    table = pd.DataFrame(np.where(forbidden, np.nan, 100 * share), index=["start", *tags], columns=list(tags))
    cells: dict[str, Any] = {"shrink": 0.6, "square": True, "annot_kws": {"fontsize": 9}}
    draw_matrix(axes, table, lambda p: f"{p:.0f}" if p >= 0.5 else "", (0, 100), "% of the row's moves", **cells)
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
    """Draw F1 on resampled test posts: a histogram for each tagger (name -> F1, fractions), its interval above."""
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
