"""The colours of all figures and pages.

They come from Okabe and Ito, *Color Universal Design* (2008): people with any colour vision tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

BLACK, GREY, PALE = "#000000", "#7f7f7f", "#e3e3e3"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
BROWN, OLIVE = "#8C5A2B", "#7A8B00"
"""Two more, for the cues of minitweets alone."""

TYPE_COLOURS = {"PER": BLUE, "LOC": GREEN, "ORG": ORANGE, "MISC": PURPLE}
"""The colours of the known corpora's types."""

PALETTE = (BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW)


def colours_of(types: Iterable[str]) -> dict[str, str]:
    """Type -> its colour. PER, LOC, ORG and MISC keep theirs; other types take the rest of PALETTE in turn, in order.

    With more types than colours the colours repeat.
    """
    types = tuple(types)
    known = {type: TYPE_COLOURS[type] for type in types if type in TYPE_COLOURS}
    left = [colour for colour in PALETTE if colour not in known.values()]
    turn = cycle(left)
    return {type: known.get(type) or next(turn) for type in types}


def colour_of(type: str, types: Iterable[str] = tuple(TYPE_COLOURS)) -> str:
    """The colour of one type among all `types` of its model or corpus; grey for one that is not among them."""
    return colours_of(types).get(type, GREY)
