"""Small drawings of how words and image flow through each architecture of notebook 11."""

from __future__ import annotations

from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from hamner.drawing.colours import BLACK, BLUE, GREEN, GREY, ORANGE
from hamner.drawing.style import Drawn, styled
from hamner.study.who_sees_what import NAMES

COLOURS = {"text": BLUE, "image": ORANGE, "both": GREEN, "tags": GREY}
"""Colours of boxes: words, image, what reads both, and the decoder."""

Box = tuple[float, float, str, str]
"""Column, line, kind (of COLOURS), and what is written in the box."""

CRF = "emissions,\nCRF"
FLOWS: dict[str, tuple[dict[str, Box], str]] = {
    "cnn_bilstm_crf": (
        {
            "words": (0, 0, "text", "words"),
            "letters": (0, 1, "text", "letters"),
            "vectors": (1, 0, "text", "own vectors"),
            "cnn": (1, 1, "text", "CNN,\nmaximum"),
            "lstm": (2, 0.5, "text", "LSTM,\nboth ways"),
            "crf": (3, 0.5, "tags", CRF),
        },
        "words>vectors letters>cnn vectors>lstm cnn>lstm lstm>crf",
    ),
    "concatenation": (
        {
            "words": (0, 0, "text", "words T"),
            "grid": (0, 1, "image", "grid"),
            "mean": (1, 1, "image", "mean"),
            "join": (2, 0.5, "both", "W [T; mean]"),
            "crf": (3, 0.5, "tags", CRF),
        },
        "words>join grid>mean mean>join join>crf",
    ),
    "adacan": (
        {
            "words": (0, 0, "text", "words T"),
            "grid": (0, 2, "image", "grid"),
            "v": (1, 2, "both", "words pick\nregions"),
            "x": (2, 1, "both", "these pick\nwords"),
            "g": (3, 2, "both", "gate: image\nor words"),
            "s": (4, 1, "both", "gate: how\nmuch of it"),
            "crf": (5, 1, "tags", CRF),
        },
        "words>v grid>v words>x v>x v>g x>g g>s words>s s>crf",
    ),
    "umt": (
        {
            "words": (0, 0, "text", "words T"),
            "grid": (0, 2, "image", "grid"),
            "text": (1, 0, "text", "words read\nwords"),
            "p": (2, 2, "both", "regions read\nwords"),
            "a": (3, 2, "both", "words read\nthose"),
            "q": (3, 1, "both", "words read\nregions, gate"),
            "span": (3, 0, "text", "spans by\ntext alone"),
            "join": (4, 1.5, "both", "join"),
            "crf": (5, 1, "tags", CRF),
        },
        "words>text text>p grid>p text>q grid>q p>a a>join q>join text>span span>crf join>crf",
    ),
    "maf": (
        {
            "words": (0, 0, "text", "words T"),
            "grid": (0, 2, "image", "grid"),
            "w": (1, 2, "both", "words read\nregions"),
            "p": (2, 1.2, "both", "match p:\none number"),
            "scaled": (3, 2, "both", "times p,\ngate"),
            "join": (4, 1, "both", "join"),
            "crf": (5, 1, "tags", CRF),
        },
        "words>w grid>w words>p w>p w>scaled p>scaled words>join scaled>join join>crf",
    ),
    "mgcmt": (
        {
            "words": (1, 1.5, "text", "words read\nwords"),
            "grid": (0, 0, "image", "grid"),
            "objects": (0, 3, "image", "objects"),
            "z1": (1, 0, "image", "regions read\nregions"),
            "z2": (1, 3, "image", "objects read\nobjects"),
            "read": (2, 0, "both", "regions read\nwords"),
            "read2": (2, 3, "both", "objects read\nwords"),
            "a": (3, 0, "both", "words read\nboth, gate"),
            "a2": (3, 3, "both", "words read\nboth, gate"),
            "join": (4, 1.5, "both", "join"),
            "crf": (5, 1.5, "tags", CRF),
        },
        "grid>z1 objects>z2 words>read words>read2 z1>read z2>read2 read>a read2>a2 words>join a>join a2>join join>crf",
    ),
    "visual_prefix": (
        {
            "words": (0, 0, "text", "words T"),
            "grid": (0, 1, "image", "mean of grid"),
            "objects": (0, 2, "image", "objects"),
            "four": (1, 1.5, "image", "4 candidates\neach"),
            "gate": (2, 1.5, "image", "gate"),
            "one": (3, 0, "both", "words read\nprefix, words"),
            "two": (4, 0, "both", "words read\nprefix, words"),
            "crf": (5, 0, "tags", CRF),
        },
        "words>one grid>four objects>four four>gate gate>one one>two gate^two two>crf",
    ),
}
"""Architecture -> its boxes, and its arrows as START>END; START^END enters from below. Residual paths are left out."""

WIDE, HIGH, STEP = 0.92, 0.36, 0.5
"""Width and height of a box and the distance of two lines, in inches."""


@styled
def data_flow(name: str) -> Drawn:
    """Draw how words (blue) and image (orange) flow through an architecture of FLOWS; green boxes read both."""
    boxes, arrows = FLOWS[name]
    columns = 1 + max(column for column, *_ in boxes.values())
    lines = 1 + max(line for _, line, *_ in boxes.values())
    apart = (6.4 - WIDE - 0.1) / 5
    figure = Drawn(figsize=(6.4, 0.1 + STEP * lines), label=f"data flow of {NAMES[name]}")
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 6.4), ylim=(0.1 + STEP * lines, 0))
    axes.set_axis_off()
    left = (5 - columns + 1) * apart / 2  # narrower ones stand in the middle
    middle = {
        key: (left + 0.05 + WIDE / 2 + column * apart, 0.05 + STEP * (line + 0.5))
        for key, (column, line, *_) in boxes.items()
    }
    for arrow in arrows.split():
        start, end = arrow.replace("^", ">").split(">")
        (x1, y1), (x2, y2) = middle[start], middle[end]
        points = ((x1 + WIDE / 2, y1), (x2, y2 + HIGH / 2) if "^" in arrow else (x2 - WIDE / 2, y2))
        axes.add_patch(
            FancyArrowPatch(
                *points, arrowstyle="-|>", mutation_scale=8, color=BLACK, linewidth=0.8, shrinkA=0, shrinkB=0
            )
        )
    for key, (_, _, kind, label) in boxes.items():
        x, y = middle[key]
        colour = COLOURS[kind]
        frame = FancyBboxPatch((x - WIDE / 2, y - HIGH / 2), WIDE, HIGH, "round,pad=0,rounding_size=0.05", zorder=3)
        frame.set(facecolor=[0.84 + 0.16 * part for part in to_rgb(colour)], edgecolor=colour, linewidth=1.2)
        axes.add_patch(frame)
        axes.text(x, y, label, ha="center", va="center", fontsize=7.5, linespacing=1.05, zorder=4)
    return figure
