"""Figures of notebook 01: entity types, post lengths, and what padding costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from hamner.drawing.colours import BLACK, BLUE, GREY, ORANGE, PALE, PURPLE, colours_of
from hamner.drawing.parts import stacked_shares
from hamner.drawing.style import CORPUS_COLOURS, CORPUS_NAMES, styled


@styled
def post_lengths(lengths: Mapping[str, Sequence[int]], limit: int = 128) -> Figure:
    """Draw histograms of pieces per post, a row for each corpus (name -> pieces of each post), a line at `limit`."""
    figure = Figure(figsize=(5.6, 0.6 + 1.15 * len(lengths)))
    panels = figure.subplots(len(lengths), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (corpus, pieces) in zip(panels, lengths.items(), strict=True):
        shares = 100 * np.bincount(np.asarray(pieces) // 4) / len(pieces)
        axes.bar(4 * np.arange(len(shares)) + 2, shares, width=3.6, color=CORPUS_COLOURS.get(corpus, PURPLE))
        axes.axvline(limit, color=BLACK, linestyle="--", linewidth=1.2)
        axes.set_title(f"{CORPUS_NAMES.get(corpus, corpus)}: mean {np.mean(pieces):.0f}, longest {max(pieces)}")
        axes.set_xlim(0, limit + 6)
    in_panel = panels[0].get_xaxis_transform()
    panels[0].text(limit - 2, 0.5, f"padding to {limit}", ha="right", fontsize=10, transform=in_panel)
    panels[-1].set_xlabel("word pieces per post, [CLS] and [SEP] included")
    figure.supylabel("posts (%)", fontsize=11)
    return figure


@styled
def entity_types(shares: pd.DataFrame) -> Figure:
    """Draw the share of each entity type (columns) in each corpus (rows), in percent: one bar for each corpus."""
    return stacked_shares(
        shares.rename(index=CORPUS_NAMES), colours_of(map(str, shares.columns)), "share of the entities (%)"
    )


@styled
def padding(batches: Mapping[str, Sequence[int]], width: int = 128) -> Figure:
    """Draw one batch under each way of padding.

    Args:
        batches: title -> number of real pieces of each post. The last batch is padded to `width`, each other batch to
            its longest post.
        width: pieces of a fully padded post.
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
    """Draw positions computed per real piece: a row for each corpus, a column of `cost` for each way of padding."""
    figure = Figure(figsize=(5.6, 1.0 + 0.75 * len(cost)))
    axes = figure.subplots()
    height = 0.8 / len(cost.columns)
    colours = (BLUE, ORANGE, GREY)
    for number, (way, colour) in enumerate(zip(cost.columns, colours, strict=True)):
        rows = np.arange(len(cost)) + (number - (len(cost.columns) - 1) / 2) * height
        bars = axes.barh(rows, cost[way], height=0.9 * height, color=colour, label=way)
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=10)
    axes.axvline(1, color=BLACK, linewidth=1.2, linestyle="--")
    axes.set_yticks(range(len(cost)), [CORPUS_NAMES.get(corpus, corpus) for corpus in cost.index])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("positions computed per real piece (1 = no padding)")
    axes.tick_params(left=False)
    figure.legend(loc="outside upper center", ncols=len(cost.columns), handlelength=1.2, columnspacing=1.2)
    return figure
