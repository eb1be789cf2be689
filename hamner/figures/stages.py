"""Figures of the quickstart and of stages 1 and 2: numbers in, a matplotlib Figure out, as in `figures`.

figures/README.md says which notebook makes which figure, with its caption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from PIL import Image

from hamner.drawing.matrix import draw_matrix
from hamner.drawing.parts import (
    HALO,
    MAP,
    colour_bar,
    draw_box,
    draw_image,
    draw_regions,
    scale_from_0,
    shared_legend,
    stacked_shares,
    steady,
    write_in,
)
from hamner.drawing.style import BLACK, BLUE, GREY, ORANGE, PALE, SKY, TYPE_COLOURS, VERMILION, styled
from hamner.model.intra_modality import GRAINS
from hamner.tagger.post import TaggedPost
from hamner.tagger.tagger import load_image

GRAIN_COLOURS = dict(zip(GRAINS, (SKY, ORANGE, BLUE), strict=True))
ABOUT_COLOURS = {"the words": BLUE, "something else": VERMILION, "nothing": GREY}
"""What an image is about."""
BINS = 25
"""Bars of a histogram of rho from 0 to 1."""


@styled
def same_words(posts: Mapping[str, TaggedPost]) -> Figure:
    """One sentence with several images, or without: what the tagger makes of its first entity, and rho.

    `posts` are tagged posts of the same words; a title for each.
    """
    columns = min(3, len(posts))
    rows = -(-len(posts) // columns)
    sentence = wrap(" ".join(next(iter(posts.values())).words), 70)
    figure = Figure(figsize=(6.4, 0.3 + 0.2 * len(sentence) + 2.55 * rows))
    figure.suptitle("\n".join(sentence), fontsize=11, parse_math=False)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (title, post) in zip(panels, posts.items(), strict=False):
        axes.set_title(title, fontsize=10, color=GREY, loc="center")
        axes.set(xlim=(0, 1), ylim=(1.26, 0), aspect="equal")
        if post.image is None:
            axes.add_patch(Rectangle((0, 0), 1, 1, facecolor=PALE))
        else:
            axes.imshow(load_image(post.image), extent=(0, 1, 1, 0))
            axes.set(xlim=(0, 1), ylim=(1.26, 0))
        answer, colour = "no entity", GREY
        if post.entities:
            entity = post.entities[0]
            answer, colour = f"{entity.text}: {entity.type} {entity.score:.2f}", TYPE_COLOURS[entity.type]
        style: dict[str, Any] = {"ha": "center", "va": "center", "parse_math": False}
        axes.text(0.5, 1.075, answer, fontsize=10.5, weight="bold", color=colour, **style)
        rho = "" if post.relevance is None else f"relevance {post.relevance:.2f}"
        axes.text(0.5, 1.2, rho, fontsize=9.5, **style)
    return figure


# Stage 1


@styled
def likeness(image: Image.Image, boxes: np.ndarray, alike: np.ndarray) -> Figure:
    """An image with numbered boxes (K, 4), and how alike its objects are, (K, K): psi, mean over its aspects."""
    figure = Figure(figsize=(6.4, 3.1))
    shown, matrix = figure.subplots(1, 2, width_ratios=[1, 1.12])
    draw_image(shown, image)
    for number, box in enumerate(boxes, start=1):
        draw_box(shown, box, BLACK)
        write_in(shown, box, str(number), 11, weight="bold")
    numbers = range(1, len(boxes) + 1)
    table = pd.DataFrame(alike, index=numbers, columns=numbers)
    look: dict[str, Any] = {"square": True, "annot_kws": {"fontsize": 8.5}}
    draw_matrix(matrix, table, "{:z.1f}".format, (-1, 1), "mean cosine", "PuOr", shrink=0.85, **look)
    return figure


@styled
def geometry(image: Image.Image, boxes: np.ndarray, seen_from: int, share: np.ndarray, nearest: np.ndarray) -> Figure:
    """How the objects lie as seen from one of them: arrows from its centre to those of the others.

    Boxes (K, 4); `share` (K, 2): dx and dy in widths and heights of the box `seen_from`; `nearest` (K,) bool.
    """
    figure = Figure(figsize=(4.2, 4.3))
    axes = figure.subplots()
    draw_image(axes, image, grey=True)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    for number, box in enumerate(boxes):
        draw_box(axes, box, VERMILION if number == seen_from else BLACK)
        if number == seen_from:
            continue
        colour, width = (VERMILION, 2.6) if nearest[number] else (BLUE, 1.6)
        ends = tuple(centres[seen_from]), tuple(centres[number])
        arrow = FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=14, shrinkA=0, shrinkB=0, zorder=3)
        arrow.set(color=colour, linewidth=width, path_effects=HALO)
        axes.add_patch(arrow)
        (dx, dy), below = share[number], centres[number, 1] >= centres[seen_from, 1]
        side: dict[str, Any] = {"ha": "center", "va": "bottom" if below else "top", "zorder": 4, "path_effects": HALO}
        place = (
            centres[number, 0],
            box[3] - 0.015 if below else box[1] + 0.015,
        )  # on the side that the arrow leaves free
        axes.text(*place, f"{number + 1}: {dx:+.1f}, {dy:+.1f}", fontsize=9.5, weight="bold", **side)
    write_in(axes, boxes[seen_from], str(seen_from + 1), 12, weight="bold")
    return figure


@styled
def heads(image: Image.Image, boxes: np.ndarray, looks_from: int, weights: Mapping[str, np.ndarray]) -> Figure:
    """What one object attends to in each head of each block (title -> (heads, K)): weight times number of objects.

    The object that looks has a black box; 1 is uniform, on one scale for all panels.
    """
    count = len(boxes)
    columns = len(next(iter(weights.values())))
    figure = Figure(figsize=(6.4, 0.9 + 1.75 * len(weights)))
    panels = figure.subplots(len(weights), columns, squeeze=False)
    scale = scale_from_0(count * float(each.max()) for each in weights.values())
    for row, (title, of_block) in zip(panels, weights.items(), strict=True):
        for head, (axes, of_head) in enumerate(zip(row, of_block, strict=True), start=1):
            draw_image(axes, image, grey=True)
            for number, (box, weight) in enumerate(zip(boxes, count * of_head, strict=True)):
                draw_box(axes, box, colormaps[MAP](scale(weight)), filled=True)
                if number == looks_from:
                    draw_box(axes, box, BLACK)
                write_in(axes, box, f"{weight:.1f}", weight="bold")
            axes.set_title(f"head {head}", fontsize=9, loc="center")
        row[0].set_ylabel(title, fontsize=10)
    colour_bar(figure, panels.ravel(), scale, "attention × number of objects (1 = uniform)")
    return figure


# Stage 2


class Pooled(NamedTuple):
    """What an image's vector v is made of: weight times number of regions, of the grid (R,) and the objects (K,)."""

    title: str
    image: Image.Image
    grid: np.ndarray
    boxes: np.ndarray
    objects: np.ndarray


@styled
def image_vectors(images: Sequence[Pooled]) -> Figure:
    """A column for each image: as it is, and the weights with which its regions enter v, on one scale."""
    figure = Figure(figsize=(2.6 * len(images), 5.2))
    panels = figure.subplots(2, len(images), squeeze=False)
    scale = scale_from_0(float(max(one.grid.max(), *one.objects)) for one in images)
    for (plain, looked), one in zip(panels.T, images, strict=True):
        draw_image(plain, one.image)
        plain.set_title(one.title, fontsize=9.5, loc="center", parse_math=False)
        draw_regions(looked, one.image, one.grid, scale)
        for box, weight in zip(one.boxes, one.objects, strict=True):
            draw_box(looked, box, colormaps[MAP](scale(weight)))
            write_in(looked, box, f"{weight:.1f}", 8, weight="bold")
    colour_bar(figure, panels[1], scale, "weight in v × number of regions (1 = uniform)")
    return figure


@styled
def relevance_histogram(judged: pd.DataFrame, bounds: tuple[float, float]) -> Figure:
    """Histograms of rho, a row for each kind of image; `bounds` are the least and the greatest rho there can be.

    `judged` has a line for each post: `image` (the row), `about` (a key of ABOUT_COLOURS) and `rho`.
    """
    kinds = judged.image.unique()
    figure = Figure(figsize=(5.8, 0.9 + 1.25 * len(kinds)))
    rows = figure.subplots(len(kinds), 1, sharex=True, squeeze=False)[:, 0]
    for axes, kind in zip(rows, kinds, strict=True):
        of_kind = judged[judged.image == kind]
        for about, colour in ABOUT_COLOURS.items():
            rho = of_kind.rho[of_kind.about == about]
            if len(rho):
                share = np.full(len(rho), 100 / len(rho))
                axes.hist(rho, bins=BINS, range=(0, 1), weights=share, color=colour, alpha=0.65, label=f"about {about}")
        for bound in bounds:
            axes.axvline(bound, color=BLACK, linestyle=":", linewidth=1.2)
        axes.set_title(f"{kind} image")
        axes.set_xlim(0, 1)
    rows[-1].set_xlabel("relevance ρ")
    figure.supylabel("posts of its colour (%)", fontsize=11)
    shared_legend(figure, rows)
    return figure


@styled
def relevance_of_topics(mean: pd.DataFrame) -> Figure:
    """Mean rho of posts whose words are about the topic of the row and whose images about that of the column."""
    figure = Figure(figsize=(5.8, 3.9))
    axes = figure.subplots()
    draw_matrix(axes, mean.astype(float), "{:.2f}".format, (0, 1), "mean relevance ρ", square=True)
    axes.set_xlabel("topic of the image")
    axes.set_ylabel("topic of the words")
    return figure


@styled
def integration(beta: pd.DataFrame) -> Figure:
    """Mean beta of each cue (rows) over the grains (columns): shares that sum to 1, one bar a cue."""
    return stacked_shares(steady(100 * beta, 2), GRAIN_COLOURS, "share of the grain, mean β (%)")
