"""Images: which objects they show, where, and how they are drawn.

Each image is of one *kind*: `single` (one subject fills it), `pair` (two subjects of different type), `marked` (one
subject of each type, a ring around one), `group` (three subjects of one type and one of another) or `level` (a subject
of one type fills it and is no object, for no detector boxes it; three small subjects of another type are objects). Each
also shows three small *topic objects*, which have no type.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, replace

import resvg_py
from PIL import Image

from hamner.corpora.tags import TYPES
from hamner.minitweets.art import CARRIERS, TREATMENTS, draw, random_palette, shade, silhouette
from hamner.minitweets.backgrounds import SIDE, background
from hamner.minitweets.icons import Concept, Icons

IMAGE_KINDS = ("single", "pair", "marked", "group", "level")
DIRECTIONS = ("horizontal", "vertical", "size")
TOPIC_OBJECTS = 3
RING = 1.22
"""Outer size of a ring, as a multiple of the size of its object."""
_CELL = SIDE / 3
_JITTER = 0.025  # largest error of a detector's box on each side, as a share of the object's size


@dataclass(frozen=True)
class Placed:
    """An object in an image. `type` is None for a topic object; x, y is its centre and `size` its side, in pixels.

    It is as sharp as an object whose side is `detail` pixels, where that is not None.
    """

    type: str | None
    concept: Concept
    x: float
    y: float
    size: float
    carrier: str
    treatment: str
    ringed: bool = False
    detail: float | None = None
    box: tuple[float, float, float, float] = (0, 0, 1, 1)
    score: float = 1.0


@dataclass(frozen=True)
class Scene:
    """An image before it is drawn.

    direction  how the two subjects of a pair differ in position or size
    whole      the subject that fills an image of kind `level`; it is none of the objects
    """

    id: str
    kind: str
    topic: str
    objects: tuple[Placed, ...]
    direction: str = ""
    whole: Placed | None = None

    def shown(self) -> frozenset[str]:
        """The types that the image shows."""
        placed = self.objects if self.whole is None else (*self.objects, self.whole)
        return frozenset(one.type for one in placed if one.type is not None)

    def subjects(self) -> list[int]:
        """Indices of the objects that have a type."""
        return [i for i, placed in enumerate(self.objects) if placed.type is not None]


def compose(
    id: str, kind: str, types: tuple[str, ...], topic: str, icons: Icons, rng: random.Random, direction: str = ""
) -> Scene:
    """Compose an image whose subjects have these `types`.

    `single`: one type. `pair`: first the left, upper or bigger subject. `marked`: the type with the ring; the other
    three types are added. `group`: the type of the three, then the type of the one. `level`: the type of the whole,
    then the type of the objects.
    """
    whole = None
    if kind == "single":
        placed = [
            _subject(
                types[0],
                icons,
                rng,
                SIDE / 2 + rng.uniform(-5, 5),
                SIDE / 2 + rng.uniform(-5, 5),
                rng.uniform(126, 138),
            )
        ]
        spots = [(x, y) for x in (26.0, SIDE - 26.0) for y in (26.0, SIDE - 26.0)]
        topic_objects = _topic_objects(topic, icons, rng, rng.sample(spots, TOPIC_OBJECTS), 42, 2)
    elif kind == "level":
        x, y = (SIDE / 2 + rng.uniform(-2, 2) for _ in "xy")
        whole = _subject(types[0], icons, rng, x, y, rng.uniform(114, 120))
        edge = (26.0, SIDE / 2, SIDE - 26.0)
        spots = rng.sample([(x, y) for x in edge for y in edge if (x, y) != (SIDE / 2, SIDE / 2)], 3 + TOPIC_OBJECTS)
        placed = []
        for x, y in spots[TOPIC_OBJECTS:]:
            subject = _subject(
                types[1], icons, rng, x + rng.uniform(-1, 1), y + rng.uniform(-1, 1), rng.uniform(44, 48)
            )
            placed.append(_distinct(subject, placed, icons, rng))
        topic_objects = _topic_objects(topic, icons, rng, spots[:TOPIC_OBJECTS], 42, 2)
    elif kind == "pair":
        placed, spots = _pair(types, icons, rng, direction)
        topic_objects = _topic_objects(topic, icons, rng, spots, 46, 3)
    else:
        if kind == "marked":
            shown = [types[0], *(type for type in TYPES if type != types[0])]
        else:
            shown = [types[1]] + 3 * [types[0]]
        cells = rng.sample([(x, y) for x in range(3) for y in range(3)], len(shown) + TOPIC_OBJECTS)
        centres = [((x + 0.5) * _CELL, (y + 0.5) * _CELL) for x, y in cells]
        placed = []
        for type, (x, y) in zip(shown, centres, strict=False):
            ringed = kind == "marked" and type == types[0]
            size = rng.uniform(50, 56) if ringed else rng.uniform(58, 69)
            slack = (_CELL - size * (RING if ringed else 1) - 5) / 2
            subject = _subject(type, icons, rng, x + rng.uniform(-slack, slack), y + rng.uniform(-slack, slack), size)
            placed.append(_distinct(subject, placed, icons, rng))
        if kind == "marked":
            placed[0] = replace(placed[0], ringed=True)
        topic_objects = _topic_objects(topic, icons, rng, centres[len(shown) :], 50, 7)
    objects = [_detected(item, rng) for item in (*placed, *topic_objects)]
    rng.shuffle(objects)
    return Scene(id, kind, topic, tuple(objects), direction, whole)


def _subject(type: str, icons: Icons, rng: random.Random, x: float, y: float, size: float) -> Placed:
    treatment = rng.choice(TREATMENTS)
    concept = icons.subject(type, treatment == "line", rng)
    return Placed(type, concept, x, y, size, rng.choice(CARRIERS), treatment)


def _distinct(subject: Placed, others: list[Placed], icons: Icons, rng: random.Random) -> Placed:
    while subject.type is not None and subject.concept in [other.concept for other in others]:
        subject = replace(subject, concept=icons.subject(subject.type, subject.treatment == "line", rng))
    return subject


def _pair(
    types: tuple[str, ...], icons: Icons, rng: random.Random, direction: str
) -> tuple[list[Placed], list[tuple[float, float]]]:
    """Two subjects that differ clearly in `direction` and in their carriers, and three free spots.

    Subjects of different size are equally sharp: an enlarged crop does not tell which was the small one.
    """
    if direction == "size":
        sizes = [rng.uniform(104, 114), rng.uniform(48, 56)]
        flip_x, flip_y = (rng.choice((lambda v: v, lambda v: SIDE - v)) for _ in "xy")
        free = [(180, 40), (180, 112), (180, 184), (100, 184), (36, 184)]
        spots = [(flip_x(x), flip_y(y)) for x, y in rng.sample(free, TOPIC_OBJECTS + 1)]
        places = [(flip_x(64), flip_y(64)), spots.pop()]
    else:
        sizes = [rng.uniform(70, 88), rng.uniform(70, 88)]
        far = rng.choice((True, False))
        along = (rng.uniform(50, 58), SIDE - rng.uniform(50, 58))
        places = [(x, rng.uniform(48, 120) if far else rng.uniform(104, 176)) for x in along]
        spots = [(x, SIDE - 30 if far else 30) for x in (40, SIDE / 2, SIDE - 40)]
        if direction == "vertical":
            places, spots = [(y, x) for x, y in places], [(y, x) for x, y in spots]
    pair = [
        replace(_subject(type, icons, rng, x, y, size), carrier=carrier)
        for type, (x, y), size, carrier in zip(types, places, sizes, rng.sample(CARRIERS, 2), strict=True)
    ]
    if direction == "size":
        pair[0] = replace(pair[0], detail=sizes[1])
    return pair, spots


def _topic_objects(
    topic: str, icons: Icons, rng: random.Random, spots: list[tuple[float, float]], size: float, slack: float
) -> list[Placed]:
    """Topic objects, one at each spot."""
    concepts = icons.topic_objects[topic]
    chosen = (
        rng.sample(concepts, TOPIC_OBJECTS)
        if len(concepts) >= TOPIC_OBJECTS
        else [rng.choice(concepts) for _ in range(TOPIC_OBJECTS)]
    )
    return [
        Placed(
            None,
            concept,
            x + rng.uniform(-slack, slack),
            y + rng.uniform(-slack, slack),
            size * rng.uniform(0.92, 1.08),
            "sticker",
            "colour",  # of no use as a hint: topic objects have no type
        )
        for concept, (x, y) in zip(chosen, spots, strict=True)
    ]


def _detected(placed: Placed, rng: random.Random) -> Placed:
    """The object with a box and a score as a detector would give it; the box includes the ring."""
    half = placed.size / 2 * (RING if placed.ringed else 1.0)
    error = _JITTER * placed.size
    sides = (placed.x - half, placed.y - half, placed.x + half, placed.y + half)
    x1, y1, x2, y2 = (round(min(1.0, max(0.0, (side + rng.uniform(-error, error)) / SIDE)), 3) for side in sides)
    return replace(placed, box=(x1, y1, x2, y2), score=round(rng.uniform(0.8, 0.99), 2))


def render(scene: Scene, rng: random.Random) -> Image.Image:
    """Draw the image: RGB, SIDE x SIDE."""
    parts = [background(rng)]
    if scene.whole is not None:
        parts.append(_placed_markup(scene.whole, "whole", rng))
    parts += [_placed_markup(placed, str(i), rng) for i, placed in enumerate(scene.objects)]
    parts += [_ring(placed, rng) for placed in scene.objects if placed.ringed]
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}">{"".join(parts)}</svg>'
    data = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE, skip_system_fonts=True)
    image = Image.open(io.BytesIO(bytes(data))).convert("RGB")
    for placed in scene.objects:
        if placed.detail is not None:
            _coarsen(image, placed, placed.detail)
    return image


def _coarsen(image: Image.Image, placed: Placed, detail: float) -> None:
    """Take from the object and its surroundings what an object of `detail` pixels could not show."""
    half = 0.55 * placed.size
    left, top, right, bottom = (round(centre + side) for side in (-half, half) for centre in (placed.x, placed.y))
    region = image.crop((left, top, right, bottom))
    small = round(region.width * detail / placed.size)
    coarse = region.resize((small, small), Image.Resampling.LANCZOS).resize(region.size, Image.Resampling.BILINEAR)
    image.paste(coarse, (left, top))


def _placed_markup(placed: Placed, number: str, rng: random.Random) -> str:
    """SVG of a carrier with its drawing: dark ink on light paper, or light ink on dark paper."""
    # Twemoji's own colours need light paper. No carrier is red: its edge would resemble a ring.
    hue, dark = (0.08 + 0.84 * rng.random(), rng.random() < 0.5 and placed.treatment != "colour")
    paper = (
        shade(hue, rng.uniform(0.2, 0.32), rng.uniform(0.3, 0.7))
        if dark
        else shade(hue, rng.uniform(0.88, 0.97), rng.uniform(0.3, 0.9))
    )
    ink = shade(rng.random(), rng.uniform(0.75, 0.92) if dark else rng.uniform(0.2, 0.38), rng.uniform(0.5, 0.95))
    palette = random_palette(rng, (0.45, 0.95) if dark else (0.16, 0.74))
    drawing = draw(placed.concept, placed.treatment, ink, palette, number, rng)
    if placed.carrier == "sticker":
        # A sticker has no carrier: a wide rim in the paper's colour keeps it legible on any background.
        scale, rim = 0.88, silhouette(drawing, paper, drawing.side * 0.11)
        base = ""
    else:
        scale, rim = {"badge": 0.7, "card": 0.82, "sign": 0.72}[placed.carrier], ""
        base = _carrier(placed, paper, shade(hue, 0.75 if dark else 0.45, 0.6))
    zoom = placed.size * scale / drawing.side
    tilt = rng.uniform(-8, 8)
    middle = drawing.side / 2
    moved = (
        f"translate({placed.x:.2f} {placed.y:.2f}) rotate({tilt:.1f}) scale({zoom:.5f}) "
        f"translate({-drawing.x - middle:.3f} {-drawing.y - middle:.3f})"
    )
    return f'{base}<g transform="{moved}">{rim}{drawing.markup}</g>'


def _carrier(placed: Placed, paper: str, edge: str) -> str:
    line = placed.size / 32  # in proportion, or an enlarged crop would tell the size
    x, y, half = placed.x, placed.y, (placed.size - line) / 2
    style = f'fill="{paper}" stroke="{edge}" stroke-width="{line:.2f}"'
    if placed.carrier == "badge":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{half:.1f}" {style}/>'
    if placed.carrier == "card":
        corner, side = f'x="{x - half:.1f}" y="{y - half:.1f}"', f"{2 * half:.1f}"
        return f'<rect {corner} width="{side}" height="{side}" rx="{half / 4:.1f}" {style}/>'
    cut = half * 0.58
    corners = [
        (-half, -cut),
        (-cut, -half),
        (cut, -half),
        (half, -cut),
        (half, cut),
        (cut, half),
        (-cut, half),
        (-half, cut),
    ]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}" {style}/>'


def _ring(placed: Placed, rng: random.Random) -> str:
    """SVG of a ring that seems drawn by hand: a thin red ellipse, which the grid of the whole image hardly shows."""
    radius = placed.size / 2 * (RING - 0.04)
    ellipse = (
        f'<ellipse cx="{placed.x:.1f}" cy="{placed.y:.1f}" rx="{radius:.1f}" ry="{radius * rng.uniform(0.92, 1):.1f}" '
        f'fill="none" '
        f'transform="rotate({rng.randrange(180)} {placed.x:.1f} {placed.y:.1f})"'
    )
    return f'{ellipse} stroke="#fff" stroke-width="3"/>{ellipse} stroke="#d5001c" stroke-width="1.6"/>'
