"""A tagged post as HTML, for notebooks: the words with their entities as displaCy draws them, and the image beside."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from hamner.drawing.colours import GREY, colour_of
from hamner.errors import HamnerError
from hamner.escape import visible
from hamner.images import load_image

if TYPE_CHECKING:
    from hamner.tagger.post import Entity, TaggedPost

SIDE = 320
"""Longest side of the image in pixels."""

_MARK = (
    "padding:.3em .5em;margin:0 .2em;border-radius:.35em;border:1.5px solid {colour};background:{colour}33;"
    "-webkit-box-decoration-break:clone;box-decoration-break:clone"  # a name over two lines has two whole frames
)
_LABEL = "font-size:.75em;font-weight:bold;margin-left:.5em;opacity:.75;white-space:nowrap"


def html_of(post: TaggedPost) -> str:
    """The post as one HTML element; nothing of its text, its names or its image's path is read as HTML."""
    parts, begin = [], 0
    for entity in post.entities:
        parts += [_text(post.text[begin : entity.start]), _mark(entity, colour_of(entity.type, post.types))]
        begin = entity.end
    parts.append(_text(post.text[begin:]))
    lines = list(post.notes)
    if post.relevance is not None:
        lines.insert(0, f"relevance of the image {post.relevance:.2f}")
    picture = ""
    if post.image is not None:
        try:
            picture = _picture(post)
        except HamnerError as error:
            lines.append(f"the image cannot be shown: {error}")
    notes = "".join(f'<div style="font-size:.85em;color:{GREY}">{_text(line)}</div>' for line in lines)
    words = f'<div style="line-height:2.4;white-space:pre-wrap">{"".join(parts)}</div>'
    return (
        '<div class="tex2jax_ignore mathjax_ignore" style="display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start">'
        f'{picture}<div style="flex:1 1 18em">{words}{notes}</div></div>'
    )


def _text(text: str) -> str:
    return escape(visible(text))


def _mark(entity: Entity, colour: str) -> str:
    label = f'<span style="{_LABEL}">{_text(entity.type)} {entity.score:.2f}</span>'
    return f'<mark style="{_MARK.format(colour=colour)};color:inherit">{_text(entity.text)}{label}</mark>'


def _picture(post: TaggedPost) -> str:
    """The image, inside the element itself: a notebook keeps it when the file is gone."""
    assert post.image is not None
    image = load_image(post.image)
    image.thumbnail((SIDE, SIDE))
    data = BytesIO()
    image.save(data, "PNG")
    source = base64.b64encode(data.getvalue()).decode("ascii")
    return f'<img src="data:image/png;base64,{source}" alt="the image of the post" style="max-width:40%">'
