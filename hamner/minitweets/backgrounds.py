"""Flat backgrounds: plain or one of eleven patterns, with random colours, sizes and angles."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from hamner.minitweets.art import shade

SIDE = 224
"""Images are squares of this many pixels."""

Pattern = Callable[[random.Random, Callable[[], str]], str]


def background(rng: random.Random) -> str:
    """Draw a plain background or a random pattern: SVG elements that fill a SIDE x SIDE image."""
    hue, lightness, saturation = rng.random(), rng.uniform(0.62, 0.93), rng.uniform(0.25, 0.75)

    def colour() -> str:
        return shade(
            (hue + rng.gauss(0, 0.04)) % 1, min(0.95, max(0.5, lightness + rng.uniform(-0.07, 0.07))), saturation
        )

    plain = f'<rect width="{SIDE}" height="{SIDE}" fill="{shade(hue, lightness, saturation)}"/>'
    if rng.random() < 0.65:  # a pattern takes a quarter more bytes
        return plain
    pattern = rng.choice(PATTERNS)
    # Without half-tones at its edges, a background takes few colours of the palette and few bytes.
    return f'<g shape-rendering="crispEdges">{plain}{pattern(rng, colour)}</g>'


def _turned(markup: str, angle: float) -> str:
    return f'<g transform="rotate({angle:.0f} {SIDE / 2} {SIDE / 2})">{markup}</g>'


def _stripes(rng: random.Random, colour: Callable[[], str]) -> str:
    width, stripe = rng.uniform(10, 30), colour()
    bars = "".join(
        f'<rect x="{-80 + 2 * width * i:.1f}" y="-80" width="{width:.1f}" height="{SIDE + 160}" fill="{stripe}"/>'
        for i in range(int((SIDE + 160) / (2 * width)) + 1)
    )
    return _turned(bars, rng.uniform(0, 180))


def _dots(rng: random.Random, colour: Callable[[], str]) -> str:
    gap, dot = rng.uniform(20, 40), colour()
    radius, rows = gap * rng.uniform(0.15, 0.36), int(400 / gap)
    dots = "".join(
        f'<circle cx="{-80 + gap * (x + y % 2 / 2):.1f}" cy="{-80 + gap * y:.1f}" r="{radius:.1f}"/>'
        for x in range(rows)
        for y in range(rows)
    )
    return _turned(f'<g fill="{dot}">{dots}</g>', rng.uniform(0, 90))


def _confetti(rng: random.Random, colour: Callable[[], str]) -> str:
    return "".join(
        f'<rect x="{rng.uniform(0, SIDE):.0f}" y="{rng.uniform(0, SIDE):.0f}" width="{rng.uniform(8, 20):.0f}" '
        f'height="6" rx="3" '
        f'fill="{colour()}" transform="rotate({rng.randrange(180)} {SIDE / 2} {SIDE / 2})"/>'
        for _ in range(rng.randrange(35, 60))
    )


def _waves(rng: random.Random, colour: Callable[[], str]) -> str:
    gap, height, length = rng.uniform(24, 40), rng.uniform(4, 14), rng.uniform(40, 90)
    waves = []
    for row in range(int(380 / gap)):
        top = -70 + gap * row
        bends = "".join(f"t{length / 2:.1f} 0" for _ in range(int(800 / length)))
        waves.append(
            f'<path d="M-80 {top:.1f}q{length / 4:.1f} {height:.1f} {length / 2:.1f} 0{bends}v{gap / 2:.1f}H-80z"/>'
        )
    return _turned(f'<g fill="{colour()}">{"".join(waves)}</g>', rng.uniform(-40, 40))


def _hills(rng: random.Random, colour: Callable[[], str]) -> str:
    sun = (
        f'<circle cx="{rng.uniform(20, 204):.0f}" cy="{rng.uniform(20, 80):.0f}" r="{rng.uniform(16, 34):.0f}" '
        f'fill="{colour()}"/>'
    )
    hills = "".join(
        f'<ellipse cx="{rng.uniform(0, SIDE):.0f}" cy="{SIDE + 20}" rx="{rng.uniform(70, 170):.0f}" '
        f'ry="{rng.uniform(50, 150):.0f}" '
        f'fill="{colour()}"/>'
        for _ in range(rng.randrange(2, 5))
    )
    return sun + hills


def _checks(rng: random.Random, colour: Callable[[], str]) -> str:
    size = rng.uniform(18, 44)
    count = int(400 / size)
    squares = "".join(
        f'<rect x="{-80 + size * x:.1f}" y="{-80 + size * y:.1f}" width="{size:.1f}" height="{size:.1f}"/>'
        for x in range(count)
        for y in range(count)
        if (x + y) % 2
    )
    return _turned(f'<g fill="{colour()}">{squares}</g>', rng.uniform(0, 90))


def _rays(rng: random.Random, colour: Callable[[], str]) -> str:
    x, y, rays, ray = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.randrange(7, 16), colour()
    start, wedges = rng.random(), []
    for i in range(rays):
        ends = [2 * math.pi * (i + start + half) / rays for half in (0, 0.5)]
        points = " ".join(f"{x + 400 * math.cos(end):.0f},{y + 400 * math.sin(end):.0f}" for end in ends)
        wedges.append(f'<polygon points="{x:.0f},{y:.0f} {points}"/>')
    return f'<g fill="{ray}">{"".join(wedges)}</g>'


def _rings(rng: random.Random, colour: Callable[[], str]) -> str:
    x, y, gap = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(14, 30)
    circles = "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{gap * (2 * i + 1):.0f}"/>' for i in range(int(320 / gap / 2) + 1)
    )
    return f'<g fill="none" stroke="{colour()}" stroke-width="{gap:.1f}">{circles}</g>'


def _bubbles(rng: random.Random, colour: Callable[[], str]) -> str:
    return "".join(
        f'<circle cx="{rng.uniform(0, SIDE):.0f}" cy="{rng.uniform(0, SIDE):.0f}" r="{rng.uniform(8, 52):.0f}" '
        f'fill="{colour()}"/>'
        for _ in range(rng.randrange(8, 18))
    )


def _triangles(rng: random.Random, colour: Callable[[], str]) -> str:
    return "".join(
        '<polygon points="'
        + " ".join(f"{x + rng.uniform(-55, 55):.0f},{y + rng.uniform(-55, 55):.0f}" for _ in range(3))
        + f'" fill="{colour()}"/>'
        for x, y in ((rng.uniform(0, SIDE), rng.uniform(0, SIDE)) for _ in range(rng.randrange(10, 22)))
    )


def _zigzag(rng: random.Random, colour: Callable[[], str]) -> str:
    gap, tooth, width = rng.uniform(24, 44), rng.uniform(8, 22), rng.uniform(5, 12)
    lines = "".join(
        f"M-80 {-80 + gap * row:.1f}" + f"l{tooth:.1f} {tooth:.1f}l{tooth:.1f} {-tooth:.1f}" * int(400 / (2 * tooth))
        for row in range(int(390 / gap))
    )
    return _turned(
        f'<path d="{lines}" fill="none" stroke="{colour()}" stroke-width="{width:.1f}"/>', rng.uniform(0, 180)
    )


PATTERNS: tuple[Pattern, ...] = (
    _stripes,
    _dots,
    _confetti,
    _waves,
    _hills,
    _checks,
    _rays,
    _rings,
    _bubbles,
    _triangles,
    _zigzag,
)
