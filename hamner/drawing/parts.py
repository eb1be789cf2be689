"""Parts of figures: images, maps over their regions, boxes, colour bars, stacked shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isqrt
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from PIL import Image

from hamner.drawing.colours import BLACK

MAP, CHANGES = "YlOrRd", "PuOr"
"""Colour maps over an image: of shares, such as attention, from pale to dark; of changes, from fall to rise."""
MOST_OPAQUE = 0.75
"""Of a map over an image. The more neutral a value, the more transparent: what counts little leaves the image clear."""
ROOM = 11
"""Points between an image and its title in which a label of `write_above` has room."""
HALO = (withStroke(linewidth=2.5, foreground="white"),)
"""A white edge that sets lines and letters off from the image below."""


def steady(values: Any, digits: int = 3) -> Any:
    """Values rounded for drawing: the last digits of a float differ between machines and would move marks slightly."""
    return np.round(values, digits)


def scale_from_0(values: Iterable[float]) -> Normalize:
    """A colour scale from 0 to the greatest value, rounded by `steady`, and at least to 2; 1 is uniform attention."""
    return Normalize(0, max(2.0, float(steady(max(values, default=0.0)))))


def draw_image(axes: Axes, image: Image.Image, grey: bool = False) -> None:
    """Draw an image on axes from 0 to 1 with (0, 0) at the top left, the coordinates of boxes."""
    style: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255} if grey else {}
    axes.imshow(image.convert("L" if grey else "RGB"), extent=(0, 1, 1, 0), aspect=image.height / image.width, **style)
    axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(1, 0))
    axes.spines[:].set_visible(False)


def draw_regions(
    axes: Axes, image: Image.Image, values: np.ndarray | None, scale: Normalize, colours: str = MAP
) -> None:
    """Draw a map over the grey image, one value for each region of a square grid; without one, the image alone."""
    draw_image(axes, image, grey=True)
    if values is not None and (side := isqrt(len(values))) ** 2 == len(values):
        place: dict[str, Any] = {"extent": (0, 1, 1, 0), "aspect": image.height / image.width}
        cells = values.reshape(side, side)
        axes.imshow(cells, cmap=colours, norm=scale, alpha=opacity(cells, scale, colours), **place)


def opacity(values: Any, scale: Normalize, colours: str) -> Any:
    """How opaque to draw values over an image, from 0 at the neutral end (of CHANGES: the middle) to MOST_OPAQUE."""
    share = np.ma.filled(scale(values), 0)
    return MOST_OPAQUE * np.clip(np.abs(2 * share - 1) if colours == CHANGES else share, 0, 1)


def draw_box(axes: Axes, box: Sequence[float] | np.ndarray, colour: Any, filled: float = 0) -> None:
    """Draw the box x1, y1, x2, y2 as an outline with a halo; `filled` is the opacity of its area."""
    x1, y1, x2, y2 = box
    shape: dict[str, Any] = {"fill": False, "linewidth": 1.8, "path_effects": HALO}
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, edgecolor=colour, **shape))
    if filled:
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, facecolor=colour, alpha=float(filled), linewidth=0))


def number_boxes(axes: Axes, boxes: np.ndarray, colours: Sequence[str]) -> None:
    """Draw boxes (K, 4) in their colours, with their numbers from 1.

    A number stands on its box's upper left corner: there it hides little of what is in the box, and no other number.
    """
    for number, (box, colour) in enumerate(zip(boxes, colours, strict=True), start=1):
        draw_box(axes, box, colour)
        plate: dict[str, Any] = {
            "boxstyle": "round,pad=0.2",
            "facecolor": colour,
            "edgecolor": "white",
            "linewidth": 0.6,
        }
        middle: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 4}
        axes.text(box[0], box[1], str(number), fontsize=8, weight="bold", color="white", bbox=plate, **middle)


def write_above(axes: Axes, box: Sequence[float] | np.ndarray, label: str, size: float = 7.5, **style: Any) -> None:
    """Write a label on the upper edge of a box, where it hides nothing of what the box shows.

    The label of a box at the top of the image stands over the image's edge: a title there needs `pad=ROOM`.
    """
    above: dict[str, Any] = {"ha": "center", "va": "bottom", "zorder": 4, "path_effects": HALO}
    axes.text((box[0] + box[2]) / 2, box[1], label, fontsize=size, **above, **style)


def colour_bar(
    figure: Any, panels: Iterable[Axes], scale: Normalize, label: str, colours: str = MAP, **place: Any
) -> None:
    """Draw the colour bar of `panels` below them; `figure` is a figure or a subfigure."""
    below: dict[str, Any] = {"location": "bottom", "shrink": 0.6, "aspect": 30, "ticks": MaxNLocator(4)} | place
    bar = figure.colorbar(ScalarMappable(scale, colours), ax=list(panels), **below)
    bar.set_label(label)
    bar.outline.set_visible(False)


def stacked_shares(shares: pd.DataFrame, colours: Mapping[str, str], label: str) -> Figure:
    """A figure with one bar for each row: its columns, in percent, side by side in their colours."""
    figure = Figure(figsize=(5.6, 0.9 + 0.48 * len(shares)))
    axes = figure.subplots()
    left, written = np.zeros(len(shares)), shares[list(colours)].apply(whole_percents, axis=1)
    for column, colour in colours.items():
        width = shares[column].to_numpy(dtype=float)
        axes.barh(range(len(shares)), width, left=left, height=0.72, color=colour, edgecolor="white", label=column)
        for row, (start, share) in enumerate(zip(left, width, strict=True)):
            if share >= 4:  # a narrower part has no room for its number
                place: dict[str, Any] = {"ha": "center", "va": "center", "color": ink(colour)}
                axes.text(start + share / 2, row, str(written[column].iloc[row]), **place)
        left += width
    axes.set_yticks(range(len(shares)), shares.index)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(label)
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(colours), handlelength=1.2)
    return figure


def whole_percents(shares: pd.Series) -> pd.Series:
    """Shares in percent as whole numbers with the rounded sum of all (the largest remainders are rounded up)."""
    whole = np.floor(shares)
    short = int(round(shares.sum()) - whole.sum())
    up = (shares - whole).sort_values(ascending=False, kind="stable").index[:short]
    return (whole + shares.index.isin(up)).astype(int)


def shared_legend(figure: Figure, panels: Iterable[Axes]) -> None:
    """Draw one legend above all panels, with each label once."""
    once = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if once:
        figure.legend(list(once.values()), list(once), loc="outside upper center", ncols=len(once))


def ink(background: Any) -> str:
    """Black or white: the one that is readable on the background colour."""
    red, green, blue = to_rgb(background)
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5 else BLACK
