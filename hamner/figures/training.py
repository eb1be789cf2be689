"""Figures of notebook 06: learning curves and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from hamner.drawing.colours import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION
from hamner.drawing.parts import steady
from hamner.drawing.style import styled
from hamner.evaluation import Reliability
from hamner.training import Run


@styled
def learning_curves(runs: Sequence[Run]) -> Figure:
    """Draw loss on train and F1 on valid by epoch, a line for each run; a ring marks the kept epoch."""
    figure = Figure(figsize=(6.4, 3.0))
    loss, f1 = figure.subplots(1, 2)
    for run, colour in zip(runs, cycle((BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)), strict=False):
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
    figure.legend(loc="outside upper center", ncols=max(1, len(runs)))
    return figure


@styled
def reliability_diagram(diagrams: Mapping[str, Reliability]) -> Figure:
    """Draw accuracy against mean confidence in bins, with each bin's count, for two sets of confidences."""
    figure = Figure(figsize=(4.6, 4.2))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2)
    looks = ((VERMILION, "o", "left"), (BLUE, "D", "right"))
    for (name, diagram), (colour, marker, side) in zip(diagrams.items(), looks, strict=True):
        confidence, accuracy = steady(diagram.confidence), steady(diagram.accuracy)
        axes.plot(confidence, accuracy, color=colour, linewidth=1)
        area = 12 + 160 * diagram.count / diagram.count.sum()
        label = f"{name} (error {100 * diagram.error:.1f} points)"
        style = {"s": area, "color": colour, "marker": marker, "alpha": 0.8, "clip_on": False}
        axes.scatter(confidence, accuracy, label=label, **style)
        beside: dict[str, Any] = {"color": colour, "fontsize": 8.5, "textcoords": "offset points", "va": "center"}
        for x, y, count in zip(confidence, accuracy, diagram.count, strict=True):
            away = (12, -7) if side == "left" else (-12, 7)
            axes.annotate(f"{count:,}", (x, y), away, ha=side, **beside)
    axes.set_xlabel("confidence of an entity")
    axes.set_ylabel("share of these entities that is right")
    axes.set_xlim(0, 1.03)
    axes.set_ylim(0, 1.03)
    axes.set_aspect("equal")
    figure.legend(loc="outside upper center")
    return figure
