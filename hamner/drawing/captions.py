"""Captions and alt texts of the figures: figures/captions.csv, the one source for notebooks, site and slides."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from hamner.corpora.registry import project_folder
from hamner.errors import HamnerError
from hamner.files import read_text

COLUMNS = ["figure", "caption", "alt"]


class Caption(NamedTuple):
    """What a figure says below it, and the words for readers who cannot see it."""

    text: str
    alt: str


def read_captions(file: Path | None = None) -> dict[str, Caption]:
    """Read the caption of each figure by its name, `same_words` for figures/same_words.png.

    Args:
        file: a CSV file with the columns figure, caption, alt; figures/captions.csv of the project if None.

    Raises:
        HamnerError: the file cannot be read, a line lacks a value, or a figure stands in it twice.
    """
    file = file or project_folder() / "figures" / "captions.csv"
    lines = csv.reader(read_text(file).splitlines())
    if next(lines, None) != COLUMNS:
        raise HamnerError(f"{file}, line 1: its columns must be {','.join(COLUMNS)}")
    captions: dict[str, Caption] = {}
    for values in lines:
        if len(values) != len(COLUMNS) or not all(value.strip() for value in values):
            raise HamnerError(f"{file}, line {lines.line_num}: give a figure's name, its caption and its alt text")
        name, text, alt = values
        if name in captions:
            raise HamnerError(f"{file}, line {lines.line_num}: {name} has a caption already; delete one")
        captions[name] = Caption(text, alt)
    return captions
