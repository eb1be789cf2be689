"""Figures of notebooks 00, 02, 03 and 03b: tagged posts, and stages 1 and 2 of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from PIL import Image

from hamner.drawing.colours import BLACK, BLUE, GREY, ORANGE, PALE, PURPLE, VERMILION
from hamner.drawing.matrix import draw_matrix
from hamner.drawing.parts import (
    CHANGES,
    HALO,
    MAP,
    colour_bar,
    draw_box,
    draw_image,
    draw_regions,
    number_boxes,
    opacity,
    scale_from_0,
    shared_legend,
    stacked_shares,
    steady,
    write_above,
)
from hamner.drawing.style import styled
from hamner.model.intra_modality import GRAINS
from hamner.tagger.post import TaggedPost

GRAIN_COLOURS = dict(zip(GRAINS, (PURPLE, ORANGE, BLUE), strict=True))
ABOUT_COLOURS = {"the words": BLUE, "something else": VERMILION, "nothing": GREY}
"""Colours by the topic of an image: the topic of its post's words, another topic, or none."""
BINS = 25
"""Bars in a histogram of rho from 0 to 1."""


@styled
def same_words(posts: Mapping[str, TaggedPost], images: Mapping[str, Image.Image]) -> Figure:
    """Draw one sentence with several images: the first entity that the tagger finds in it, and rho.

    Args:
        posts: title -> tagged post; all posts have the same words.
        images: title -> image; a post without an image has none here.
    """
    columns = min(3, len(posts))
    rows = -(-len(posts) // columns)
    sentence = wrap(" ".join(next(iter(posts.values())).words), 80)
    figure = Figure(figsize=(6.4, 0.5 + 0.2 * len(sentence) + 2.55 * rows))
    figure.suptitle("\n".join(sentence), fontsize=10.5, parse_math=False)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (title, post) in zip(panels, posts.items(), strict=False):
        axes.set_title(title, fontsize=10, color=GREY, loc="center")
        axes.set(xlim=(0, 1), ylim=(1.26, 0), aspect="equal")
        if title not in images:
            axes.add_patch(Rectangle((0, 0), 1, 1, facecolor=PALE))
        else:
            axes.imshow(images[title], extent=(0, 1, 1, 0))
            axes.set(xlim=(0, 1), ylim=(1.26, 0))
        label, colour = "no entity", GREY
        if post.entities:
            entity = post.entities[0]
            label, colour = f"{entity.text}: {entity.type} {entity.score:.2f}", post.colours.get(entity.type, GREY)
        style: dict[str, Any] = {"ha": "center", "va": "center", "parse_math": False}
        size = 10.5 * min(1, 20 / len(label))  # a long name would run into the next panel's
        axes.text(0.5, 1.075, label, fontsize=size, weight="bold", color=colour, **style)
        rho = "" if post.relevance is None else f"relevance {post.relevance:.2f}"
        axes.text(0.5, 1.2, rho, fontsize=9.5, **style)
    return figure


# Stage 1


@styled
def similarity(image: Image.Image, boxes: np.ndarray, psi: np.ndarray) -> Figure:
    """Draw an image with numbered boxes (K, 4), and the similarity of its objects: psi (K, K), mean over aspects."""
    figure = Figure(figsize=(6.4, 3.1))
    photo, matrix = figure.subplots(1, 2, width_ratios=[1, 1.12])
    draw_image(photo, image)
    number_boxes(photo, boxes, [BLACK] * len(boxes))
    numbers = range(1, len(boxes) + 1)
    table = pd.DataFrame(psi, index=numbers, columns=numbers)
    cells: dict[str, Any] = {"square": True, "annot_kws": {"fontsize": 8.5}}
    draw_matrix(matrix, table, "{:z.1f}".format, (-1, 1), "mean cosine", CHANGES, shrink=0.85, **cells)
    return figure


@styled
def geometry(image: Image.Image, boxes: np.ndarray, origin: int, offsets: np.ndarray, nearest: np.ndarray) -> Figure:
    """Draw where the objects lie relative to one of them: arrows from its centre to the centres of the others.

    Args:
        image: the image, drawn in grey.
        boxes: (K, 4), corners as shares of the image.
        origin: number of the object that the others are measured from.
        offsets: (K, 2), dx and dy in widths and heights of the origin's box.
        nearest: (K,) bool; the arrow to a nearest object is thick.
    """
    figure = Figure(figsize=(4.2, 4.3))
    axes = figure.subplots()
    draw_image(axes, image, grey=True)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    for number, box in enumerate(boxes):
        draw_box(axes, box, VERMILION if number == origin else BLACK)
        if number == origin:
            continue
        colour, width = (VERMILION, 2.6) if nearest[number] else (BLUE, 1.6)
        ends = tuple(centres[origin]), tuple(centres[number])
        arrow = FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=14, shrinkA=0, shrinkB=0, zorder=3)
        arrow.set(color=colour, linewidth=width, path_effects=HALO)
        axes.add_patch(arrow)
        (dx, dy), below = offsets[number], centres[number, 1] >= centres[origin, 1]
        side: dict[str, Any] = {"ha": "center", "va": "bottom" if below else "top", "zorder": 4, "path_effects": HALO}
        place = (
            centres[number, 0],
            box[3] - 0.015 if below else box[1] + 0.015,
        )  # on the side that the arrow leaves free
        axes.text(*place, f"{number + 1}: {dx:+.1f}, {dy:+.1f}", fontsize=9.5, weight="bold", **side)
    write_above(axes, boxes[origin], str(origin + 1), 12, weight="bold")
    return figure


@styled
def heads(image: Image.Image, boxes: np.ndarray, reader: int, weights: Mapping[str, np.ndarray]) -> Figure:
    """Draw the attention of one object to all objects: a matrix for each block, with one row for each head.

    Args:
        image: the image, drawn with numbered boxes.
        boxes: (K, 4), corners as shares of the image.
        reader: index of the object that attends; its box is red.
        weights: block -> attention weights (heads, K). Drawn as weight times number of objects: 1 is uniform.
    """
    count = len(boxes)
    figure = Figure(figsize=(6.4, 1.5 + 0.95 * len(weights)))
    photo, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1, 1.3])[0]
    axes = photo.subplots()
    draw_image(axes, image)
    number_boxes(axes, boxes, [VERMILION if number == reader else BLACK for number in range(count)])
    panels = right.subplots(len(weights), 1, squeeze=False).ravel()
    limits = (0.0, count * max(float(each.max()) for each in weights.values()))
    for axes, (title, of_block) in zip(panels, weights.items(), strict=True):
        named = [f"head {head}" for head in range(1, len(of_block) + 1)]
        table = pd.DataFrame(count * of_block, index=named, columns=range(1, count + 1))
        draw_matrix(axes, table, "{:.1f}".format, limits, colours=MAP, annot_kws={"fontsize": 8.5})
        axes.tick_params(labelsize=9)
        axes.set_title(f"{title} block", fontsize=10, loc="center")
    panels[-1].set_xlabel(f"attention of object {reader + 1} to object", fontsize=9)
    label = "weight × number of objects\n(1 = uniform)"
    colour_bar(right, panels, Normalize(*limits), label, location="right", aspect=25, shrink=0.8)
    return figure


# Stage 2


class Pooled(NamedTuple):
    """The weights that pool an image into its vector v: of grid regions (R,) and objects (K,), times their number."""

    title: str
    image: Image.Image
    grid: np.ndarray
    boxes: np.ndarray
    objects: np.ndarray


@styled
def image_vectors(images: Sequence[Pooled]) -> Figure:
    """Draw a column for each image: the image, and the weights of its regions in v, on one scale."""
    figure = Figure(figsize=(2.6 * len(images), 5.2))
    panels = figure.subplots(2, len(images), squeeze=False)
    scale = scale_from_0(float(max(one.grid.max(), *one.objects)) for one in images)
    for (plain, weighted), one in zip(panels.T, images, strict=True):
        draw_image(plain, one.image)
        plain.set_title(one.title, fontsize=9.5, loc="center", parse_math=False)
        draw_regions(weighted, one.image, one.grid, scale)
        for box, weight in zip(one.boxes, one.objects, strict=True):
            draw_box(weighted, box, colormaps[MAP](scale(weight)), opacity(weight, scale, MAP))
            write_above(weighted, box, f"{weight:.1f}", 8, weight="bold")
    colour_bar(figure, panels[1], scale, "weight in v × number of regions (1 = uniform)")
    return figure


@styled
def relevance_histogram(judged: pd.DataFrame, bounds: tuple[float, float]) -> Figure:
    """Draw histograms of rho, a row for each kind of image, all on one scale; outlines show what lies behind.

    Args:
        judged: a line for each post: `image` (the row), `about` (a key of ABOUT_COLOURS) and `rho`.
        bounds: the smallest and the greatest rho that the model can give; dotted lines.
    """
    kinds = judged.image.unique()
    figure = Figure(figsize=(5.8, 0.9 + 1.25 * len(kinds)))
    rows = figure.subplots(len(kinds), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, kind in zip(rows, kinds, strict=True):
        of_kind = judged[judged.image == kind]
        for about, colour in ABOUT_COLOURS.items():
            rho = of_kind.rho[of_kind.about == about]
            if len(rho):
                share = np.full(len(rho), 100 / len(rho))
                bars: dict[str, Any] = {"bins": BINS, "range": (0, 1), "weights": share, "color": colour}
                axes.hist(rho, alpha=0.35, **bars)
                axes.hist(rho, histtype="step", linewidth=1.6, label=f"about {about}", **bars)
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
    """Draw mean rho by the topic of the words (rows) and the topic of the image (columns)."""
    figure = Figure(figsize=(5.8, 3.9))
    axes = figure.subplots()
    draw_matrix(axes, mean.astype(float), "{:.2f}".format, (0, 1), "mean relevance ρ", square=True)
    axes.set_xlabel("topic of the image")
    axes.set_ylabel("topic of the words")
    return figure


@styled
def integration(beta: pd.DataFrame) -> Figure:
    """Draw mean beta, one bar for each cue (rows); its grains (columns) are shares that sum to 1."""
    return stacked_shares(steady(100 * beta, 2), GRAIN_COLOURS, "share of the grain, mean β (%)")
