"""A matrix as a heat map with its numbers in the cells (seaborn), in the style of all figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from hamner.drawing.parts import colour_bar, ink


def draw_matrix(
    axes: Axes,
    values: pd.DataFrame,
    shown: Callable[[float], str],
    limits: tuple[float, float],
    label: str = "",
    colours: str = "Blues",
    shrink: float = 1.0,
    **style: Any,
) -> None:
    """Draw `values` as a heat map; `shown` writes each number, in black or white ink, and NaN stays empty.

    The cell of row i and column j has its corners at (j, i) and (j + 1, i + 1). With a `label`, a colour bar stands
    beside the matrix. `style` goes to seaborn's heatmap.
    """
    scale = Normalize(*limits)
    written = values.map(lambda value: "" if pd.isna(value) else shown(value))
    bounds = {"vmin": limits[0], "vmax": limits[1]}  # else seaborn warns where every value is NaN
    sns.heatmap(values, annot=written, fmt="", cmap=colours, norm=scale, cbar=False, ax=axes, **bounds, **style)
    cells = np.asarray(axes.collections[0].get_facecolor())[values.notna().to_numpy().ravel()]
    for number, background in zip(axes.texts, cells, strict=True):
        number.set_color(ink(background))  # seaborn writes white on pale blue
    axes.set(xlabel="", ylabel="")  # seaborn writes the names of the index here
    axes.tick_params(length=0)
    axes.tick_params(axis="y", rotation=0)
    if label:
        ticks = (limits[0], sum(limits) / 2, limits[1])
        colour_bar(axes.figure, [axes], scale, label, colours, location="right", shrink=shrink, aspect=20, ticks=ticks)
