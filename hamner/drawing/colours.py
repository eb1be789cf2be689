"""The colours of all figures and pages.

They come from Okabe and Ito, *Color Universal Design* (2008): people with any colour vision tell them apart.
"""

from __future__ import annotations

BLACK, GREY, PALE = "#000000", "#7f7f7f", "#e3e3e3"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
BROWN, OLIVE = "#8C5A2B", "#7A8B00"
"""Two more, for the cues of minitweets alone."""

TYPE_COLOURS = {"PER": BLUE, "LOC": GREEN, "ORG": ORANGE, "MISC": PURPLE}
