"""One style for all figures, and how a figure gets to disk.

Colours are those of Okabe and Ito, *Color Universal Design* (2008), which people with any colour vision tell apart;
maps run from light to dark in one hue for the same reason. Figures are at most 6.4 inches wide, mostly, so that their
letters can still be read at half a page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib.style
from matplotlib.figure import Figure

from hamner.corpora.registry import project_folder
from hamner.files import written_whole

P = ParamSpec("P")

BLACK, GREY, PALE = "#000000", "#7f7f7f", "#e3e3e3"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

TYPE_COLOURS = {"PER": BLUE, "LOC": GREEN, "ORG": ORANGE, "MISC": PURPLE}
CORPUS_COLOURS = {"twitter2015": BLUE, "twitter2015-original": SKY, "twitter2017": VERMILION, "minitweets": GREEN}
CORPUS_NAMES = {
    "twitter2015": "Twitter-2015",
    "twitter2015-original": "Twitter-2015, original",
    "twitter2017": "Twitter-2017",
    "minitweets": "minitweets",
}

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.grid": False,
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same on every machine
    "font.size": 11,
    "grid.color": PALE,
    "image.cmap": "Blues",
    "legend.fontsize": 10,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "hamner",  # ids inside an SVG are otherwise random
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}

UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
"""What a file of each kind must not say of itself, for the same figure to have the same bytes."""


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let `draw` make its figure in the style, whatever matplotlib's settings are elsewhere, and leave those alone."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return in_style


def shown(png: bytes, alt: str) -> tuple[bytes, dict[str, Any]]:
    """A PNG for Jupyter, at half its pixels: sharp on screens that have two to a point."""
    width = int.from_bytes(png[16:20], "big")  # of its header
    return png, {"width": width // 2, "alt": alt}


class Drawn(Figure):
    """A figure that a notebook shows as the last value of a cell, without any magic."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        png = BytesIO()
        with matplotlib.style.context(["default", STYLE]):
            self.savefig(png, format="png", metadata=UNDATED["png"])
        return shown(png.getvalue(), str(self.get_label()))


@dataclass(frozen=True)
class SavedFigure:
    """A figure that was saved; as the last value of a notebook's cell it is shown."""

    path: Path

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        return shown(self.path.read_bytes(), self.path.stem.replace("_", " "))

    def __repr__(self) -> str:
        return f"figures/{self.path.name}"


def save(figure: Figure, name: str, folder: Path | None = None) -> SavedFigure:
    """Write `figure` as NAME.png and NAME.svg into the project's figures/ (or `folder`); a notebook shows the Image.

    The same figure gives the same bytes: no date, no version, no random id. Raises HamnerError when the folder cannot
    be written to.
    """
    folder = project_folder() / "figures" if folder is None else folder
    for form, metadata in UNDATED.items():
        with (
            written_whole(folder / f"{name}.{form}") as temporary,
            matplotlib.style.context(["default", STYLE]),
        ):
            figure.savefig(temporary, format=form, metadata=metadata)
    return SavedFigure(folder / f"{name}.png")
