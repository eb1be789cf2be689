"""A tagged post as a figure: words with entities, the image with boxes, and each entity's attention."""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import groupby
from textwrap import wrap
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle
from PIL import Image

from hamner.drawing.colours import BLACK, GREY
from hamner.drawing.parts import HALO, MAP, colour_bar, draw_box, draw_image, draw_regions, scale_from_0
from hamner.drawing.style import Drawn, styled
from hamner.escape import figure_text
from hamner.images import load_image
from hamner.tagger.evidence import AttendedObject
from hamner.tagger.post import Entity, TaggedPost

COLUMNS = 72
"""Characters a line."""

NOTE_COLUMNS = 105

PANELS = 3
"""Images a row."""

PIXELS = 480
"""The longer side of an image in a figure."""

SANS, MONO = "DejaVu Sans", "DejaVu Sans Mono"
CJK = ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL")
"""First words of the Unicode names of Chinese, Japanese and Korean letters."""

Line = list[tuple[int, str, Entity | None]]


@styled
def tagged_post(post: TaggedPost) -> Figure:
    """Draw the words above, then the image with its objects, then one grey image with the attention of each entity.

    Attention is weight times number of regions (1 = uniform), on one scale for the whole post; a title says when an
    entity's map over the grid is flat. Types have names, and colours that people with any colour vision can tell apart.
    """
    lines = _lines(post)
    seen = [entity for entity in post.entities if entity.evidence is not None]
    panels = 0 if post.image is None else 1 + len(seen)
    rows = -(-panels // PANELS)
    notes = [part for note in post.notes for part in wrap(drawable(note), NOTE_COLUMNS)]
    heights = [0.5 + 0.5 * len(lines) + 0.2 * len(notes), 2.5 * rows + 0.6 * bool(seen)]
    figure = Drawn(figsize=(6.4, heights[0] + (heights[1] if rows else 0)), label=in_words(post))
    if not rows:
        _draw_words(figure.subplots(), lines, notes, post)
        return figure
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    _draw_words(above.subplots(), lines, notes, post)
    axes = below.subplots(rows, min(PANELS, panels), squeeze=False).ravel()
    for one in axes:
        one.set_axis_off()
    assert post.image is not None
    image = load_image(post.image)
    image.thumbnail((PIXELS, PIXELS))
    _draw_objects(axes[0], image, seen)
    if seen:
        scale = scale_from_0(_greatest(entity) for entity in seen)
        for one, entity in zip(axes[1:], seen, strict=False):
            _draw_attention(one, image, entity, scale)
        colour_bar(below, axes, scale, "attention × number of regions (1 = uniform)")
    return figure


def in_words(post: TaggedPost) -> str:
    """The tagged post in words, for readers who cannot see its figure: the text, its entities, and the relevance."""
    found = ", ".join(f"{entity.text} ({entity.type}, {entity.score:.2f})" for entity in post.entities)
    image = "no image seen" if post.relevance is None else f"relevance of the image {post.relevance:.2f}"
    return figure_text(f"A tagged post: {post.text} | entities: {found or 'none'} | {image}")


def drawable(text: str, family: str = SANS) -> str:
    """`text` as it is drawn: characters that the font lacks in words, control characters as escapes.

    A pictograph becomes its Unicode name, "[face with tears of joy]"; letters in a row become their number and
    script, "[5 letters: CJK]"; joiners and variation selectors, which have no shape, are left out.
    """
    text = "".join(c for c in figure_text(text) if unicodedata.category(c) != "Cf" and not _is_selector(c))
    return "".join(_in_words(kind, "".join(part)) for kind, part in groupby(text, lambda c: _kind(c, family)))


def _in_words(kind: str, part: str) -> str:
    if kind == "drawn":
        return part
    if kind == "symbol":
        return "".join(f"[{unicodedata.name(c, '').lower() or f'U+{ord(c):04X}'}]" for c in part)
    letters = sum(unicodedata.category(c)[0] == "L" for c in part)
    return f"[{letters} letter{'' if letters == 1 else 's'}: {kind}]"


def _kind(character: str, family: str) -> str:
    """`drawn` if the font has the character, or it is a blank; the script of a letter; else `symbol`."""
    if character.isspace() or ord(character) in _charmap(family):
        return "drawn"
    script = unicodedata.name(character, "").partition(" ")[0]
    if unicodedata.category(character)[0] not in "LM" or script in ("", "COMBINING"):
        return "symbol"
    return "CJK" if script in CJK else script.capitalize()


def _is_selector(character: str) -> bool:
    return "VARIATION SELECTOR" in unicodedata.name(character, "")


@cache
def _charmap(family: str) -> frozenset[int]:
    """The code points that a font has a shape for."""
    return frozenset(get_font(findfont(FontProperties(family=family))).get_charmap())


def _lines(post: TaggedPost) -> list[Line]:
    """The words in lines of up to COLUMNS characters: (column, text, entity or None), an entity in one piece."""
    of_word = {word: entity for entity in post.entities for word in range(entity.words[0], entity.words[1] + 1)}
    pieces: list[tuple[str, Entity | None]] = []
    for number, word in enumerate(post.words):
        entity = of_word.get(number)
        if entity is not None and number > entity.words[0]:
            continue
        shown = word if entity is None else " ".join(post.words[entity.words[0] : entity.words[1] + 1])
        shown = " ".join(drawable(shown, MONO).split()) or ("[invisible]" if entity is not None else "")
        pieces += [(shown[start : start + COLUMNS], entity) for start in range(0, len(shown), COLUMNS)]
    lines: list[Line] = [[]]
    column = 0
    for shown, entity in pieces:
        if column and column + len(shown) > COLUMNS:
            lines.append([])
            column = 0
        lines[-1].append((column, shown, entity))
        column += len(shown) + 1
    return lines


def _draw_words(axes: Axes, lines: list[Line], notes: list[str], post: TaggedPost) -> None:
    axes.set_axis_off()
    axes.set_xlim(-0.5, COLUMNS + 0.5)
    axes.set_ylim(len(lines) + 0.4 * len(notes), -0.6)
    for row, line in enumerate(lines):
        for column, shown, entity in line:
            # In a monospaced font a word's place follows from its column. A "$" in a tweet is no mathematics.
            style: dict[str, Any] = {"family": MONO, "va": "center", "parse_math": False}
            if entity is None:
                axes.text(column, row, shown, fontsize=10, **style)
                continue
            colour = post.colours.get(entity.type, GREY)
            axes.add_patch(Rectangle((column - 0.3, row - 0.25), len(shown) + 0.6, 0.5, color=colour, alpha=0.25, lw=0))
            axes.text(column, row, shown, fontsize=10, **style)
            label = f"{drawable(entity.type)} {entity.score:.2f}"
            axes.text(column, row + 0.42, label, fontsize=7.5, color=colour, weight="bold", parse_math=False)
    heading = "no image was seen" if post.relevance is None else f"relevance of the image {post.relevance:.2f}"
    if not post.calibrated:
        heading += "; scores are not calibrated"
    axes.set_title(heading, fontsize=9.5, color=GREY)
    for number, note in enumerate(notes):
        axes.text(0, len(lines) + 0.4 * number, note, fontsize=7.5, color=GREY, va="center", parse_math=False)


def _draw_objects(axes: Axes, image: Image.Image, seen: list[Entity]) -> None:
    """Draw the image in colour with the boxes of its objects."""
    draw_image(axes, image)
    axes.set_title("the image", fontsize=9)
    if seen and seen[0].evidence is not None:
        for number, item in enumerate(seen[0].evidence.objects, start=1):
            _draw_object(axes, item, f"{number} {drawable(item.name)}".strip(), BLACK)


def _draw_attention(axes: Axes, image: Image.Image, entity: Entity, scale: Normalize) -> None:
    evidence = entity.evidence
    assert evidence is not None
    draw_regions(axes, image, evidence.grid_attention, scale)
    for number, item in enumerate(evidence.objects, start=1):
        _draw_object(axes, item, f"{number}: {item.attention:.1f}", colormaps[MAP](scale(item.attention)))
    name = drawable(entity.text)
    name = name if len(name) <= 22 else name[:21] + "…"
    title = f"{name} {entity.type}\n{entity.score:.2f}, without image {entity.score - evidence.image_drop:.2f}"
    if evidence.flat:
        title += "\nattention over the grid is flat"
    axes.set_title(title, fontsize=8.5, parse_math=False)


def _draw_object(axes: Axes, item: AttendedObject, label: str, colour: Any) -> None:
    if item.box is None:
        return
    draw_box(axes, item.box, colour)
    x1, y1, _, _ = item.box
    axes.text(x1 + 0.02, y1 + 0.02, label, va="top", fontsize=7.5, path_effects=HALO, parse_math=False)


def _greatest(entity: Entity) -> float:
    """The greatest attention of an entity to a region or an object."""
    assert entity.evidence is not None
    grid = entity.evidence.grid_attention
    return max([0.0 if grid is None else float(grid.max()), *(item.attention for item in entity.evidence.objects)])
