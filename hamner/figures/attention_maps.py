"""Figures of notebooks 04, 08 and 13: attention of words, what occlusion costs, and what stage 3 changes in a word.

Attention is drawn as weight times number of regions: 1 is uniform. Maps keep that scale; none is stretched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from PIL import Image

from hamner.drawing.colours import BLACK, BLUE, BROWN, GREEN, GREY, OLIVE, ORANGE, PALE, PURPLE, SKY, VERMILION
from hamner.drawing.parts import (
    CHANGES,
    MAP,
    ROOM,
    colour_bar,
    draw_box,
    draw_image,
    draw_regions,
    opacity,
    scale_from_0,
    steady,
    write_above,
)
from hamner.drawing.style import Drawn, styled
from hamner.evaluation import wilson
from hamner.minitweets import CUES
from hamner.tagger.evidence import Evidence, entropy

CUE_COLOURS = dict(zip(CUES, (BLACK, BLUE, ORANGE, GREEN, SKY, VERMILION, GREY, OLIVE, BROWN, PURPLE), strict=True))


# Attention and occlusion of one name


@styled
def honest_scales(image: Image.Image, maps: Mapping[str, np.ndarray]) -> Figure:
    """Draw the same attention maps twice: above stretched one by one, as papers often do, below on one scale.

    Args:
        image: the image, drawn in grey below each map.
        maps: title -> weight times number of regions, (R,).
    """
    figure = Figure(figsize=(6.4, 5.2))
    panels = figure.subplots(2, len(maps), squeeze=False)
    scale = scale_from_0(float(values.max()) for values in maps.values())
    for (stretched, honest), (title, values) in zip(panels.T, maps.items(), strict=True):
        own = Normalize(float(values.min()), float(values.max()))
        draw_regions(stretched, image, values, own, "jet")
        stretched.set_title(f"{title}\n{values.min():.3g} to {values.max():.3g}", fontsize=9.5)
        draw_regions(honest, image, values, scale)
        honest.set_title(f"entropy {entropy(values):.3f} of 1", fontsize=9.5)
    panels[0, 0].set_ylabel("each stretched", fontsize=10)
    panels[1, 0].set_ylabel("one scale", fontsize=10)
    colour_bar(figure, panels[1], scale, "attention × number of regions (1 = uniform)")
    return figure


@dataclass(frozen=True, eq=False)
class Case:
    """One name to draw: title, image, attention and drops, and the boxes (k, 4) of the objects with its answer."""

    title: str
    image: Image.Image
    evidence: Evidence
    answers: np.ndarray


@styled
def attention_and_occlusion(cases: Sequence[Case]) -> Figure:
    """Draw a row for each case: the image with the answer's box, the name's attention, and the drops by occlusion.

    All rows share one scale in each column; boxes have the colours of that scale too.
    """
    figure = Figure(figsize=(6.4, 0.7 + 2.25 * len(cases)))
    panels = figure.subplots(len(cases), 3, squeeze=False)
    attention_scale = scale_from_0(_greatest(case.evidence, "attention") for case in cases)
    most = max(0.1, round(max(_greatest(case.evidence, "drop") for case in cases), 3))
    drop_scale = Normalize(-most, most)
    for row, case in zip(panels, cases, strict=True):
        draw_image(row[0], case.image)
        for box in case.answers:
            draw_box(row[0], box, BLACK)
        row[0].set_title(case.title, fontsize=9, pad=ROOM, parse_math=False)
        _draw_values(row[1], case, "attention", attention_scale, MAP)
        flat = ": flat over the grid" if case.evidence.flat else ""
        row[1].set_title(f"attention{flat}", fontsize=9, pad=ROOM)
        _draw_values(row[2], case, "drop", drop_scale, CHANGES)
        row[2].set_title(f"drop when hidden\n(whole image: {signed(case.evidence.image_drop)})", fontsize=9, pad=ROOM)
    place: dict[str, Any] = {"shrink": 0.9, "aspect": 22, "pad": 0.01}
    for column, scale, colours, label in (
        (1, attention_scale, MAP, "weight × number of regions\n(1 = uniform)"),
        (2, drop_scale, CHANGES, "fall in probability\n(below 0: it rises)"),
    ):
        colour_bar(figure, panels[:, column], scale, label, colours, **place)
    return figure


def signed(value: float) -> str:
    """Write a number with its sign and two digits; zero is "+0.00"."""
    return f"{round(value, 2) + 0.0:+.2f}"


def _greatest(evidence: Evidence, what: str) -> float:
    grid = evidence.grid_attention if what == "attention" else evidence.grid_drop
    values = [abs(getattr(item, what)) for item in evidence.objects]
    return max(values + ([] if grid is None else [float(np.abs(grid).max())]), default=0.0)


def _draw_values(axes: Axes, case: Case, what: str, scale: Normalize, colours: str) -> None:
    """Draw attention or drop of one case: regions as a map, objects as boxes with their numbers."""
    grid = case.evidence.grid_attention if what == "attention" else case.evidence.grid_drop
    draw_regions(axes, case.image, grid, scale, colours)
    for item in case.evidence.objects:
        if item.box is not None:
            value = getattr(item, what)
            draw_box(axes, item.box, colormaps[colours](scale(value)), opacity(value, scale, colours))
            write_above(axes, item.box, f"{value:.1f}" if what == "attention" else signed(value))


@dataclass(frozen=True, eq=False)
class Look:
    """Where one word looks: weight times number of regions (1 = uniform) on the grid (R,) and on k objects.

    `title` may have several lines. `image` is None for a post without one; `boxes` (k, 4) are shares of the image.
    """

    title: str
    image: Image.Image | None
    on_grid: np.ndarray
    boxes: np.ndarray
    on_objects: np.ndarray


@styled
def before_and_after(labels: Sequence[str], before: Look, after: Look) -> Figure:
    """Draw the image of `after` in colour with `labels` on its objects, then where one word looks before and after.

    Both maps are on one scale; boxes have the colours of that scale.
    """
    said = f"{before.title}; {after.title}".replace("\n", ", ")
    figure = Drawn(figsize=(6.6, 3.3), label=f"The image, and where a word looks. {said}")
    panels = figure.subplots(1, 3)
    if after.image is None:
        _draw_no_image(panels[0])
    else:
        draw_image(panels[0], after.image)
        for box, label in zip(after.boxes, labels, strict=True):
            draw_box(panels[0], box, BLACK)
            write_above(panels[0], box, label, parse_math=False)
    panels[0].set_title("the image now", fontsize=9, pad=ROOM)
    seen = [look for look in (before, after) if look.image is not None]
    scale = scale_from_0(float(value) for look in seen for value in (*look.on_grid, *look.on_objects))
    for axes, look in zip(panels[1:], (before, after), strict=True):
        if look.image is None:
            _draw_no_image(axes)
        else:
            draw_regions(axes, look.image, look.on_grid, scale)
            for box, value in zip(look.boxes, look.on_objects, strict=True):
                draw_box(axes, box, colormaps[MAP](scale(value)))
                write_above(axes, box, f"{value:.1f}")
        axes.set_title(look.title, fontsize=9, pad=ROOM, parse_math=False)
    colour_bar(figure, panels, scale, "attention × number of regions (1 = uniform)")
    return figure


def _draw_no_image(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(1, 0), aspect=1)
    axes.spines[:].set_visible(False)
    axes.text(0.5, 0.5, "no image", ha="center", va="center", color=GREY)


@styled
def attention_against_drop(objects: pd.DataFrame) -> Figure:
    """Draw the drop of each object against its attention, a panel for each cue.

    `objects` has the lines of `hamner.study.pointing.object_evidence`.
    """
    figure = Figure(figsize=(6.6, 4.4))
    panels = figure.subplots(2, len(CUES) // 2, sharex=True, sharey=True).ravel()
    for axes, cue in zip(panels, CUES, strict=True):
        of_cue = objects[objects.cue == cue]
        axes.axhline(0, color=PALE, linewidth=1)
        axes.axvline(1, color=PALE, linewidth=1)
        for answer, colour, size, label in ((False, GREY, 3.5, "another object"), (True, BLUE, 5, "the answer")):
            some = of_cue[of_cue.answer == answer]
            axes.plot(
                steady(some.attention, 2),
                steady(some["drop"], 2),
                "o",
                color=colour,
                alpha=0.5,
                markersize=size,
                mew=0,
                label=label,
            )
        axes.set_title(cue)
    panels[0].set_ylim(-1.08, 1.08)
    panels[0].set_xlim(left=0)
    figure.supxlabel("attention × number of regions (1 = uniform)", fontsize=11)
    figure.supylabel("fall in probability without it", fontsize=11)
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper center", ncols=2, handlelength=1.2, markerscale=2)
    return figure


@styled
def pointing(games: pd.DataFrame) -> Figure:
    """Draw the pointing game by cue: attention and occlusion with 95 % intervals, and chance.

    Intervals are Wilson's for as many cases as there are images: names that share an image are not independent.

    `games` has the lines of `hamner.study.pointing.pointing_game`.
    """
    cues = [cue for cue in CUES if (games.cue == cue).any()]
    figure = Figure(figsize=(5.8, 1.2 + 0.55 * len(cues)))
    axes = figure.subplots()
    for line, cue in enumerate(cues):
        of_cue = games[games.cue == cue]
        for by, colour, above in (("attention", BLUE, -0.13), ("occlusion", VERMILION, 0.13)):
            share = of_cue[by].mean()
            axes.plot(wilson(share, of_cue.image.nunique()), [line + above] * 2, color=colour, linewidth=2.5)
            label = by if line == 0 else None
            axes.plot(share, line + above, "o", color=colour, markersize=8, markeredgecolor="white", label=label)
        chance = of_cue.chance.mean()
        label = "chance" if line == 0 else None
        axes.plot([chance] * 2, [line - 0.32, line + 0.32], color=BLACK, linestyle=":", linewidth=1.8, label=label)
    axes.set_yticks(range(len(cues)), [f"{cue} ({(games.cue == cue).sum()})" for cue in cues])
    axes.set_ylim(len(cues) - 0.5, -0.5)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("share of names that point at their answer")
    axes.tick_params(left=False)
    figure.legend(loc="outside upper center", ncols=3, handlelength=1.4)
    return figure


@styled
def refinement(probability: pd.DataFrame) -> Figure:
    """Draw the mean probability of a name's gold type if the decoder read each step of stage 3: steps by cues."""
    figure = Figure(figsize=(5.8, 3.4))
    axes = figure.subplots()
    probability = steady(probability)
    for cue in probability.columns:
        axes.plot(range(len(probability)), probability[cue], "o-", color=CUE_COLOURS[cue], linewidth=2, markersize=6)
    ends = probability.iloc[-1].sort_values()
    height = -1.0
    for cue, end in ends.items():  # labels from below, each clear of the one before
        height = max(float(end), height + 0.062)
        axes.text(len(probability) - 0.78, height, cue, color=CUE_COLOURS[str(cue)], va="center", fontsize=10)
        leader: dict[str, Any] = {"color": CUE_COLOURS[str(cue)], "linewidth": 0.8, "alpha": 0.7}
        axes.plot([len(probability) - 0.93, len(probability) - 0.8], [float(end), height], **leader)
    axes.set_xticks(range(len(probability)), probability.index)
    axes.set_xlim(-0.15, len(probability) - 0.15)
    axes.set_ylim(0, max(1.03, height + 0.04))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xlabel("what the decoder reads: the words after a step of stage 3")
    axes.set_ylabel("probability of the right type")
    return figure


@styled
def word_maps(
    words: Sequence[str], regions: Sequence[str], maps: Mapping[str, np.ndarray], label: str = "number of regions"
) -> Figure:
    """Draw attention maps of words by regions on one scale, a root: small weights are seen beside the greatest.

    Args:
        words: the n rows.
        regions: names of the m columns.
        maps: title -> weight times `label`, (n, m): 1 is uniform.
        label: what weights were multiplied by.
    """
    figure = Figure(figsize=(6.4, 2.1 + 0.24 * len(words)))
    panels = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
    scale = PowerNorm(0.5, 0, scale_from_0(float(values.max()) for values in maps.values()).vmax)
    for axes, (title, values) in zip(panels, maps.items(), strict=True):
        axes.imshow(values, cmap="Blues", norm=scale, aspect="auto")
        axes.set_title(title, fontsize=10, parse_math=False)
        axes.set_xticks(range(len(regions)), regions, fontsize=9, parse_math=False)
        for label_of_region in axes.get_xticklabels():
            label_of_region.set_rotation(90 if len(label_of_region.get_text()) > 2 else 0)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    panels[0].set_yticks(range(len(words)), words, fontsize=9.5, parse_math=False)
    colour_bar(figure, panels, scale, f"weight × {label} (1 = uniform)", "Blues", ticks=_root_ticks(scale))
    return figure


def _root_ticks(scale: Normalize) -> list[float]:
    """Ticks of a root scale from 0: 1, which is uniform, and whole numbers at about equal steps of the scale."""
    most = float(scale.vmax or 1)
    return sorted({0.0, 1.0, *(float(round(most * share**2)) for share in (0.5, 0.75)), float(int(most))})


@styled
def gate(values: pd.DataFrame) -> Figure:
    """Draw the gate, and how far co-attention moves a word, by cue: box plots over words.

    Args:
        values: a line for each word: cue; name, whether it is the first word of a name; gate, mean over channels;
            moved, the length of the vector that co-attention adds, as a share of the word's own length.
    """
    figure = Figure(figsize=(6.4, 3.3))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, what, label in (
        (panels[0], "gate", "gate z, mean"),
        (panels[1], "moved", "length added / word's length"),
    ):
        for is_name, colour, shift in ((True, BLUE, -0.18), (False, SKY, 0.18)):
            some = values[values.name == is_name]
            of_cues = [steady(some[some.cue == cue][what].to_numpy()) for cue in CUES]
            boxes = axes.boxplot(
                of_cues,
                positions=np.arange(len(CUES)) + shift,
                widths=0.3,
                orientation="horizontal",
                patch_artist=True,
                showfliers=False,
                medianprops={"color": BLACK, "linewidth": 1.4},
                manage_ticks=False,
            )
            for patch in boxes["boxes"]:
                patch.set(facecolor=colour, linewidth=0.8)
            boxes["boxes"][0].set_label("first words of names" if is_name else "other words")
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
        axes.tick_params(left=False)
    panels[0].set_yticks(range(len(CUES)), CUES)
    panels[0].set_ylim(len(CUES) - 0.5, -0.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, handlelength=1.2)
    return figure
