"""One style for all figures, and how a figure is saved and shown.

Colours are those of `colours`: people with any colour vision tell them apart. Maps run from light to dark in one hue
for the same reason. Figures are at most 6.7 inches wide: their letters stay readable at half a page.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib.style
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from hamner.corpora.registry import project_folder
from hamner.drawing.captions import read_captions
from hamner.drawing.colours import BLUE, GREEN, PALE, SKY, VERMILION
from hamner.escape import figure_text
from hamner.files import written_whole

P = ParamSpec("P")

CORPUS_COLOURS = {"twitter2015": BLUE, "twitter2015-original": SKY, "twitter2017": VERMILION, "minitweets": GREEN}
CORPUS_NAMES = {
    "twitter2015": "Twitter-2015",
    "twitter2015-original": "Twitter-2015, original",
    "twitter2015-hvpnet": "Twitter-2015, HVPNeT's labels",
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

METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Metadata that matplotlib leaves out of each kind of file, so that the same figure has the same bytes."""

SVG_FOLDER = "HAMNER_SVG_FOLDER"
"""Environment variable: the folder into which `save` also writes each figure as SVG. `hamner figures --svg` sets it."""


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a figure function: it draws in STYLE, and matplotlib's own settings stay as they are."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return in_style


def for_notebook(png: bytes, alt: str) -> tuple[bytes, dict[str, Any]]:
    """Shrink a PNG for a notebook: half its width and height, at most 256 colours, a sixth of its bytes.

    Returns the PNG and its metadata for Jupyter: width in pixels, and the text for readers who cannot see it.
    """
    with Image.open(BytesIO(png)) as image:
        half = image.convert("RGB").resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    # Maximum coverage keeps the rare colours at both ends of a colour bar; median cut loses them.
    palette = half.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2)
    small = BytesIO()
    palette.save(small, "png", optimize=True)
    return small.getvalue(), {"width": half.width, "alt": alt}


def write_figure(figure: Figure, file: Path | BytesIO, form: str, dpi: float | None = None) -> None:
    """Write `figure` as `form` (png, svg or pdf) in the style, its texts without control characters.

    The same figure gives the same bytes: no date, no version, no random id. `dpi` are the pixels an inch of a PNG, 200
    by default.
    """
    for text in figure.findobj(Text):
        if (safe := figure_text(text.get_text())) != text.get_text():
            text.set_text(safe)
    with matplotlib.style.context(["default", STYLE]):
        figure.savefig(file, format=form, metadata=METADATA[form], dpi=dpi or STYLE["savefig.dpi"])


class Drawn(Figure):
    """A figure that a notebook shows as the last value of a cell, without any magic."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        png = BytesIO()
        write_figure(self, png, "png")
        return for_notebook(png.getvalue(), str(self.get_label()))


@dataclass(frozen=True)
class SavedFigure:
    """A saved figure, and the words for readers who cannot see it.

    A notebook shows the figure, smaller, as the last value of a cell.
    """

    path: Path
    alt: str

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        return for_notebook(self.path.read_bytes(), self.alt)

    def __repr__(self) -> str:
        return f"figures/{self.path.name}"


def save(figure: Figure, name: str, folder: Path | None = None) -> SavedFigure:
    """Write `figure` as NAME.png into the project's figures/ or into `folder`; a notebook shows the result.

    Where the environment variable HAMNER_SVG_FOLDER names a folder, NAME.svg is written there too. The same figure
    gives the same bytes: no date, no version, no random id. Its alt text stands in figures/captions.csv; a figure of
    one's own has its name instead.

    Raises:
        HamnerError: a folder cannot be written to, or figures/captions.csv cannot be read.
    """
    png = (project_folder() / "figures" if folder is None else folder) / f"{name}.png"
    files = [png]
    if svg_folder := os.environ.get(SVG_FOLDER):
        files.append(Path(svg_folder) / f"{name}.svg")
    for file in files:
        form = file.suffix[1:]
        with written_whole(file) as temporary:
            write_figure(figure, temporary, form)
    captions = project_folder() / "figures" / "captions.csv"  # not there where hamner is installed without a checkout
    described = read_captions(captions).get(name) if captions.exists() else None
    return SavedFigure(png, described.alt if described else name.replace("_", " "))
