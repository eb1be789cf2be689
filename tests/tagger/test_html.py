from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from hamner.tagger.post import Entity, TaggedPost


def tagged(text: str, *places: tuple[int, int, str], **more: object) -> TaggedPost:
    """A post with entities at these characters."""
    entities = tuple(Entity(text[start:end], type, start, end, 0.875, (0, 0)) for start, end, type in places)
    given = {"relevance": None, "integration": None, "calibrated": True} | more
    return TaggedPost(text=text, words=(), offsets=(), tags=(), entities=entities, **given)  # type: ignore[arg-type]


class Reader(HTMLParser):
    """The text, the elements and the attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.elements, self.attributes = "", list[str](), list[tuple[str, str | None]]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_words_stand_there_with_type_and_score_behind_each_entity() -> None:
    page = Reader(tagged("Kelso meets\nOrva !", (0, 5, "PER"), (12, 16, "ORG"))._repr_html_())
    assert page.text == "KelsoPER 0.88 meets\nOrvaORG 0.88 !"
    assert page.elements.count("mark") == 2


HOSTILE = [
    "$AAPL beats $TSLA",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a & b &lt; &amp;",
    "'</mark>",
    "a\u202eb\x1b",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_tweet_holds_is_read_as_html(text: str) -> None:
    post = tagged(text, (0, len(text), "PER"), notes=(text,), relevance=0.5)
    page = Reader(post._repr_html_())
    assert set(page.elements) == {"div", "mark", "span"}
    assert {name for name, _ in page.attributes} == {"style", "class"}
    assert ("class", "tex2jax_ignore mathjax_ignore") in page.attributes  # a cashtag is no formula
    shown = text.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b")
    assert page.text == f"{shown}PER 0.88relevance of the image 0.50{shown}"


def test_a_type_of_anothers_corpus_is_shown_and_escaped() -> None:
    assert "<b>" not in tagged("Kelso", (0, 5, "<b>"))._repr_html_()


def test_the_image_stands_inside_the_page_and_small(photo: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.open(photo).resize((1200, 900)).save(large)
    page = tagged("Kelso", image=large)._repr_html_()
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert Image.open(BytesIO(base64.b64decode(data))).size == (320, 240)
    assert str(tmp_path) not in page


def test_an_image_that_is_gone_leaves_a_line_and_the_words(tmp_path: Path) -> None:
    page = Reader(tagged("Kelso", image=tmp_path / "<gone>.png")._repr_html_())
    assert "img" not in page.elements
    assert page.text.startswith("Kelso")
    assert "the image cannot be shown: " in page.text
    assert "<gone>.png" in page.text


def test_spacys_displacy_finds_what_it_reads() -> None:
    values = tagged("Kelso meets Orva", (0, 5, "PER"), (12, 16, "ORG")).to_dict()
    assert values["text"] == "Kelso meets Orva"
    assert values["ents"] == [{"start": 0, "end": 5, "label": "PER"}, {"start": 12, "end": 16, "label": "ORG"}]
    assert values["title"] is None
