"""Figures of the build track, notebooks B1 to B4: toy numbers, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import pi
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from PIL import Image

from hamner.drawing.colours import BLACK, BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, SKY, VERMILION
from hamner.drawing.matrix import draw_matrix
from hamner.drawing.parts import HALO, draw_box, draw_image, number_boxes, steady
from hamner.drawing.style import styled
from hamner.figures.stages import GRAIN_COLOURS
from hamner.model.intra_modality import GRAINS
from hamner.model.relevance import SHARPNESS


def _arrow(start: tuple[float, float], end: tuple[float, float], style: str = "-|>", **more: Any) -> FancyArrowPatch:
    look: dict[str, Any] = {"mutation_scale": 12, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.6, "zorder": 3}
    return FancyArrowPatch(start, end, arrowstyle=style, **(look | more))


@styled
def window(words: Sequence[str], at: int, reach: int = 3) -> Figure:
    """Draw which words a convolution of width 2 * reach + 1 reads at one word."""
    figure = Figure(figsize=(6.4, 1.75))
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set(xlim=(-0.1, len(words) + 0.1), ylim=(0, 2.15))
    for place, word in enumerate(words):
        seen = abs(place - at) <= reach
        colour = BLUE if place == at else SKY if seen else PALE
        axes.add_patch(Rectangle((place + 0.04, 0.1), 0.92, 0.5, facecolor=colour, edgecolor="white"))
        ink = "white" if place == at else BLACK
        axes.text(place + 0.5, 0.35, word, ha="center", va="center", fontsize=9.5, color=ink, parse_math=False)
        if seen:
            axes.add_patch(_arrow((place + 0.5, 0.63), (at + 0.5, 1.52), color=GREY, linewidth=1.0))
    axes.text(at + 0.5, 1.8, f"T of “{words[at]}”", ha="center", va="center", fontsize=10.5, weight="bold")
    return figure


@styled
def two_boxes(i: Sequence[float], j: Sequence[float]) -> Figure:
    """Draw two boxes (x1, y1, x2, y2) with the lengths from which phi is made: i is where one looks from."""
    figure = Figure(figsize=(4.6, 4.3))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(1, 0), aspect="equal", xticks=np.arange(0, 1.1, 0.2), yticks=np.arange(0, 1.1, 0.2))
    axes.grid(True, color=PALE)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(GREY)
    low, high = np.maximum(i[:2], j[:2]), np.minimum(i[2:], j[2:])
    if (high > low).all():
        axes.add_patch(Rectangle((low[0], low[1]), *(high - low), facecolor=GREEN, alpha=0.45, linewidth=0))
        x, y = (low + high) / 2
        axes.text(x, y, "overlap", ha="center", va="center", fontsize=8.5, zorder=4, path_effects=HALO)
    centres = []
    for box, name, colour in ((i, "i", VERMILION), (j, "j", BLUE)):
        draw_box(axes, box, colour)
        x1, y1, x2, y2 = box
        centres.append(((x1 + x2) / 2, (y1 + y2) / 2))
        axes.plot(*centres[-1], "o", color=colour, markersize=6, zorder=4)
        beside = y1 - 0.035 if name == "i" else y2 + 0.035
        axes.add_patch(_arrow((x1, beside), (x2, beside), "<|-|>", color=colour, linewidth=1.2, mutation_scale=9))
        side = ("bottom", -0.01) if name == "i" else ("top", 0.015)
        label: dict[str, Any] = {"ha": "center", "va": side[0], "color": colour, "path_effects": HALO, "zorder": 4}
        axes.text((x1 + x2) / 2, beside + side[1], f"$w_{name}$ = {x2 - x1:.1f}", fontsize=10, **label)
        corner = (x1 + 0.02, y2 - 0.02) if name == "i" else (x2 - 0.04, y2 - 0.02)
        axes.text(*corner, name, fontsize=13, weight="bold", color=colour, path_effects=HALO, zorder=4)
    (ix, iy), (jx, jy) = centres
    axes.add_patch(_arrow((ix, iy), (jx, iy), color=BLACK))
    axes.add_patch(_arrow((jx, iy), (jx, jy), color=BLACK))
    way: dict[str, Any] = {"fontsize": 10, "path_effects": HALO, "zorder": 4}
    axes.text((ix + jx) / 2 + 0.1, iy - 0.015, f"$dx$ = {jx - ix:+.1f}", ha="center", va="bottom", **way)
    axes.text(jx + 0.015, iy + (jy - iy) / 4, f"$dy$ = {jy - iy:+.1f}", ha="left", va="center", **way)
    return figure


@styled
def waves(places: Sequence[float]) -> Figure:
    """Draw the four sines of Fourier features over the image's width, with dots at some places."""
    figure = Figure(figsize=(6.2, 3.6))
    rows = figure.subplots(4, 1, sharex=True)
    x = np.linspace(0, 1, 400)
    for power, axes in enumerate(rows):
        frequency = 2**power
        axes.axhline(0, color=PALE, linewidth=1)
        axes.plot(x, np.sin(frequency * pi * x), color=GREY, linewidth=1.4)
        for place, colour in zip(places, (VERMILION, BLUE, GREEN), strict=False):
            value = float(np.sin(frequency * pi * place))
            axes.plot(place, value, "o", color=colour, markersize=7, clip_on=False, zorder=4)
            axes.annotate(
                f"{value:z.2f}", (place, value), (0, 8 if value < 0.5 else -13), textcoords="offset points",
                ha="left" if place == places[-1] else "right", fontsize=8.5, color=colour, path_effects=HALO,
            )  # fmt: skip
        axes.set(ylim=(-1.35, 1.35), yticks=[-1, 0, 1], xlim=(0, 1))
        axes.set_ylabel(f"sin {'' if frequency == 1 else frequency}π$x$", rotation=0, ha="right", va="center")
    rows[-1].set_xlabel("$x$, the centre of a box, as a share of the image's width")
    return figure


@styled
def cosines(vectors: Mapping[str, Sequence[float]], psi: np.ndarray) -> Figure:
    """Draw vectors in the plane as arrows, and the matrix (K, K) of their cosines."""
    figure = Figure(figsize=(6.2, 2.9))
    plane, matrix = figure.subplots(1, 2, width_ratios=[1.1, 1])
    reach = 1.15 * max(max(map(abs, vector)) for vector in vectors.values())
    plane.set(xlim=(-0.5, 1.6 * reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    plane.spines[:].set_visible(False)
    plane.axhline(0, color=PALE, zorder=0)
    plane.axvline(0, color=PALE, zorder=0)
    for (name, (x, y)), colour in zip(vectors.items(), (BLUE, SKY, VERMILION, PURPLE), strict=False):
        plane.add_patch(_arrow((0, 0), (x, y), color=colour, linewidth=2.2, alpha=0.85, mutation_scale=16))
        plane.text(x + 0.3, y, f"{name} = ({x:g}, {y:g})", fontsize=10, color=colour, va="center", path_effects=HALO)
    table = pd.DataFrame(steady(psi), index=list(vectors), columns=list(vectors))
    draw_matrix(matrix, table, "{:z.2f}".format, (-1, 1), "cosine", "PuOr", shrink=0.8, square=True)
    return figure


@styled
def received(messages: np.ndarray, weights: np.ndarray) -> Figure:
    """Draw what node 1 receives: the message (K,) and the attention weight (K,) of each node, and their sum."""
    figure = Figure(figsize=(5.6, 2.5))
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set(xlim=(-0.7, 6.4), ylim=(-0.6, len(messages) - 0.4))
    centre = (len(messages) - 1) / 2
    for node, (message, weight) in enumerate(zip(messages, weights, strict=True)):
        height = len(messages) - 1 - node
        axes.plot(0, height, "o", color=SKY, markersize=26)
        axes.text(0, height, str(node + 1), ha="center", va="center", fontsize=12, weight="bold")
        axes.add_patch(_arrow((0.45, height), (4.5, centre), color=GREY, linewidth=0.6 + 5 * weight))
        along: dict[str, Any] = {"va": "bottom", "fontsize": 10, "path_effects": HALO, "zorder": 4}
        axes.text(1.1, height + (centre - height) * 0.16 + 0.1, f"{weight:g} × {message:g}", **along)
    axes.plot(4.9, centre, "o", color=ORANGE, markersize=30)
    axes.text(4.9, centre, "1", ha="center", va="center", fontsize=12, weight="bold")
    axes.text(5.3, centre, f" receives {weights @ messages:g}", va="center", fontsize=11)
    return figure


@styled
def memory(image: Image.Image, boxes: np.ndarray, side: int) -> Figure:
    """Draw an image with its grid and its numbered boxes, and the memory: a cell for each region of each grain."""
    figure = Figure(figsize=(6.4, 3.9))
    photos, strip = figure.subplots(2, 1, height_ratios=[3, 1.1])
    photos.set_axis_off()
    grid, objects = photos.inset_axes((0.03, 0, 0.45, 1)), photos.inset_axes((0.52, 0, 0.45, 1))
    for axes in (grid, objects):
        draw_image(axes, image)
    for line in range(1, side):
        for draw in (grid.axhline, grid.axvline):
            draw(line / side, color=GRAIN_COLOURS["global"], linewidth=2, path_effects=HALO)
    number_boxes(objects, boxes, [ORANGE] * len(boxes))
    names = [*range(1, side**2 + 1)], [*range(1, len(boxes) + 1)], [*range(1, len(boxes) + 1)]
    left = 0
    for (grain, colour), numbers, title in zip(
        GRAIN_COLOURS.items(), names, ("$G$", "$O_{sem}$", "$O_{spa}$"), strict=True
    ):
        for number in numbers:
            strip.add_patch(Rectangle((left, 0), 0.9, 0.9, facecolor=colour, alpha=0.75))
            strip.text(left + 0.45, 0.45, str(number), ha="center", va="center", fontsize=8)
            left += 1
        middle = left - len(numbers) / 2 - 0.05
        strip.text(middle, 1.1, f"{title}: {grain}", ha="center", va="bottom", fontsize=9.5)
        left += 1
    strip.set(xlim=(-0.2, left - 0.8), ylim=(-0.1, 1.9))
    strip.set_axis_off()
    return figure


@styled
def relevance(cosines: Sequence[float], beta: Sequence[float]) -> Figure:
    """Draw rho by the angle between sentence and image, and the shares beta (3,) of three cosines."""
    figure = Figure(figsize=(6.4, 2.9))
    curve, shares = figure.subplots(1, 2, width_ratios=[1.3, 1])
    angle = np.linspace(0, 180, 200)
    curve.plot(angle, 1 / (1 + np.exp(-SHARPNESS * np.cos(np.radians(angle)))), color=BLUE, linewidth=2)
    for bound in (SHARPNESS, -SHARPNESS):
        curve.axhline(1 / (1 + np.exp(-bound)), color=GREY, linestyle=":", linewidth=1.2)
    curve.set(xlim=(0, 180), ylim=(0, 1), xticks=[0, 45, 90, 135, 180], ylabel="relevance ρ")
    curve.set_xlabel("angle of sentence and image (degrees)")
    for place, (grain, share) in enumerate(zip(GRAINS, steady(np.array(beta)), strict=True)):
        shares.bar(place, share, color=GRAIN_COLOURS[grain], width=0.75)
        shares.text(place, share + 0.02, f"{share:.2f}", ha="center", fontsize=10)
    shares.set_xticks(range(3), [f"{grain}\n$c$ = {c:g}" for grain, c in zip(GRAINS, cosines, strict=True)])
    shares.set(ylim=(0, 1), ylabel="share β")
    shares.tick_params(axis="x", length=0)
    return figure


@styled
def two_softmaxes(weights: Mapping[str, np.ndarray], sizes: Sequence[int]) -> Figure:
    """Draw the attention weights (M,) of each title as bars; the bars of one grain have one colour."""
    figure = Figure(figsize=(6.4, 2.7))
    panels = figure.subplots(1, len(weights), sharey=True)
    grains = [grain for grain, size in enumerate(sizes) for _ in range(size)]
    places = [place + 0.6 * grain for place, grain in enumerate(grains)]
    colours = [list(GRAIN_COLOURS.values())[grain] for grain in grains]
    for axes, (title, of_title) in zip(panels, weights.items(), strict=True):
        axes.bar(places, steady(of_title), color=colours, width=0.85)
        axes.set_title(title)
        axes.set_xticks([])
        for grain, name in enumerate(GRAINS):
            of_grain = [place for place, other in zip(places, grains, strict=True) if other == grain]
            total = sum(weight for weight, other in zip(of_title, grains, strict=True) if other == grain)
            if of_grain:
                label = f"{name}\nΣ {total:.2f}"
                axes.text(np.mean(of_grain), -0.03, label, ha="center", va="top", fontsize=9)
        axes.set_ylim(0, 1.1 * max(float(each.max()) for each in weights.values()))
    panels[0].set_ylabel("attention")
    return figure


@styled
def trellis(words: Sequence[str], tags: Sequence[str], alpha: np.ndarray, path: Sequence[int]) -> Figure:
    """Draw the forward scores alpha (n, K) of a CRF as a trellis; the best path is thick."""
    figure = Figure(figsize=(6.2, 3.1))
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set(xlim=(-0.65, len(words) - 0.5), ylim=(len(tags) - 0.35, -0.75))
    for place, word in enumerate(words):
        axes.text(place, -0.62, word, ha="center", fontsize=11, weight="bold")
        for tag in range(len(tags)):
            if place:
                for old in range(len(tags)):
                    best = (old, tag) == (path[place - 1], path[place])
                    colour, width = (VERMILION, 2.8) if best else (GREY, 0.8)
                    ends = (place - 0.83, old), (place - 0.17, tag)
                    axes.add_patch(_arrow(*ends, mutation_scale=9, color=colour, linewidth=width))
            colour = ORANGE if tag == path[place] else SKY
            axes.plot(place, tag, "o", color=colour, markersize=33)
            axes.text(place, tag, f"{alpha[place, tag]:.2f}", ha="center", va="center", fontsize=9.5)
    for tag, name in enumerate(tags):
        axes.text(-0.62, tag, name, va="center", fontsize=10.5)
    return figure


@styled
def training(losses: Sequence[float], accuracy: pd.DataFrame) -> Figure:
    """Draw the loss of each step, smoothed, and type accuracy: rows are models, columns what they saw."""
    figure = Figure(figsize=(6.4, 3.0))
    loss, bars = figure.subplots(1, 2, width_ratios=[1, 1.15])
    smooth = pd.Series(losses).ewm(span=20).mean()
    loss.plot(np.arange(1, len(losses) + 1), 10 ** steady(np.log10(smooth.to_numpy()), 2), color=BLUE)
    loss.set(xlabel="step", title="loss", xlim=(0, len(losses)))
    loss.set_yscale("log")
    width = 0.8 / accuracy.shape[1]
    for number, (column, colour) in enumerate(zip(accuracy.columns, (BLUE, GREY), strict=False)):
        places = np.arange(len(accuracy)) + (number - (accuracy.shape[1] - 1) / 2) * width
        bars.bar(places, steady(100 * accuracy[column].to_numpy(), 1), width, color=colour, label=column)
    bars.set_xticks(range(len(accuracy)), accuracy.index)
    bars.axhline(25, color=BLACK, linestyle=":", linewidth=1.2)
    bars.set(ylim=(0, 100), title="right types (%)")
    figure.legend(loc="outside upper right", ncols=2)
    return figure
