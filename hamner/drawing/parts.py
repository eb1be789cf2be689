"""The parts that figures are put together from: images, maps over their regions, boxes, colour bars, shares."""

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

from hamner.drawing.style import BLACK

MAP = "viridis"
"""Colours of a map over an image: attention and the like, from little (dark) to much (light)."""
HALO = (withStroke(linewidth=2.5, foreground="white"),)
"""A white edge, so that what is drawn over an image can be told from it."""


def steady(values: Any, digits: int = 3) -> Any:
    """Values rounded for drawing: a float's last digits are not the same in every run, and would move marks a hair."""
    return np.round(values, digits)


def scale_from_0(values: Iterable[float]) -> Normalize:
    """A scale from 0 to the greatest value, `steady`, and to 2 at least, where 1 is uniform."""
    return Normalize(0, max(2.0, float(steady(max(values, default=0.0)))))


def draw_image(axes: Axes, image: Image.Image, grey: bool = False) -> None:
    """An image on axes that run from 0 to 1, (0, 0) at the top left, like boxes."""
    look: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255} if grey else {}
    axes.imshow(image.convert("L" if grey else "RGB"), extent=(0, 1, 1, 0), aspect=image.height / image.width, **look)
    axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(1, 0))
    axes.spines[:].set_visible(False)


def draw_regions(
    axes: Axes, image: Image.Image, values: np.ndarray | None, scale: Normalize, colours: str = MAP
) -> None:
    """A map over the grey image, one value for each region of a square grid; of another grid, or None, no map."""
    draw_image(axes, image, grey=True)
    if values is not None and (side := isqrt(len(values))) ** 2 == len(values):
        place: dict[str, Any] = {"extent": (0, 1, 1, 0), "aspect": image.height / image.width}
        cells = values.reshape(side, side)
        axes.imshow(cells, cmap=colours, norm=scale, alpha=0.55, interpolation="nearest", **place)


def draw_box(axes: Axes, box: Sequence[float] | np.ndarray, colour: Any, filled: bool = False) -> None:
    """The box x1, y1, x2, y2 as an outline with a halo; `filled`, in its colour, half transparent."""
    x1, y1, x2, y2 = box
    shape: dict[str, Any] = {"fill": False, "linewidth": 1.8, "path_effects": HALO}
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, edgecolor=colour, **shape))
    if filled:
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, facecolor=colour, alpha=0.55, linewidth=0))


def write_in(axes: Axes, box: Sequence[float] | np.ndarray, label: str, size: float = 7.5, **style: Any) -> None:
    """A label in the middle of a box."""
    x1, y1, x2, y2 = box
    middle: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 4, "path_effects": HALO}
    axes.text((x1 + x2) / 2, (y1 + y2) / 2, label, fontsize=size, **middle, **style)


def colour_bar(
    figure: Any, panels: Iterable[Axes], scale: Normalize, label: str, colours: str = MAP, **place: Any
) -> None:
    """What the colours below `panels` mean; `figure` may be a part of one."""
    below: dict[str, Any] = {"location": "bottom", "shrink": 0.6, "aspect": 30, "ticks": MaxNLocator(4)} | place
    bar = figure.colorbar(ScalarMappable(scale, colours), ax=list(panels), **below)
    bar.set_label(label)
    bar.outline.set_visible(False)


def stacked_shares(shares: pd.DataFrame, colours: Mapping[str, str], label: str) -> Figure:
    """A bar for each row, its columns side by side in percent and in their colours; a figure of its own."""
    figure = Figure(figsize=(5.6, 0.9 + 0.48 * len(shares)))
    axes = figure.subplots()
    left = np.zeros(len(shares))
    for column, colour in colours.items():
        width = shares[column].to_numpy(dtype=float)
        axes.barh(range(len(shares)), width, left=left, height=0.72, color=colour, edgecolor="white", label=column)
        for row, (start, share) in enumerate(zip(left, width, strict=True)):
            if share >= 4:  # a narrower piece has no room for its number
                place: dict[str, Any] = {"ha": "center", "va": "center", "color": ink(colour)}
                axes.text(start + share / 2, row, f"{share:.0f}", **place)
        left += width
    axes.set_yticks(range(len(shares)), shares.index)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(label)
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(colours), handlelength=1.2)
    return figure


def shared_legend(figure: Figure, panels: Iterable[Axes]) -> None:
    """One legend above all panels, each label once, whichever panel has it."""
    once = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if once:
        figure.legend(list(once.values()), list(once), loc="outside upper center", ncols=len(once))


def ink(ground: Any) -> str:
    """Black or white, whichever can be read on a colour."""
    red, green, blue = to_rgb(ground)
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5 else BLACK
