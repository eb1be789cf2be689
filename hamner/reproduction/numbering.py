"""The numbers of notebooks, and their order: 00 to 13, where 03b is the second half of 03, then b1 to b4."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

NUMBER = r"[a-z]?\d\d?[a-z]?"
"""What a notebook's name begins with: 03 of 03_relevance, 03b of 03b_integration, b2 of b2_geometry."""

_PARTS = re.compile(r"([a-z]?)(\d+)([a-z]?)")
_NUMBERED = re.compile(rf"{NUMBER}(?=_)")


def number_of(notebook: Path) -> str:
    """`03b` of 03b_integration.ipynb; "" for a file whose name has no number."""
    found = _NUMBERED.match(notebook.stem)
    return found[0] if found else ""


def numbered(files: Iterable[Path]) -> list[Path]:
    """The files whose names begin with a number, in the order in which they are read: 03, 03b, 04, ..., b1, b2."""
    return sorted((file for file in files if number_of(file)), key=_order)


def _order(notebook: Path) -> tuple[str, int, str]:
    found = _PARTS.fullmatch(number_of(notebook))
    assert found
    return found[1], int(found[2]), found[3]


def in_full(number: str) -> str:
    """A number as a reader types it, as files have it: 05 for 5, 03b for 3b and 03B; others as they are."""
    found = _PARTS.fullmatch(number.lower())
    if found is None:
        return number
    return found[0] if found[1] else f"{found[2].zfill(2)}{found[3]}"
