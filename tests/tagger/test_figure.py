from __future__ import annotations

import io
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from hamner.tagger import Evidence, TaggedPost, Tagger
from hamner.tagger.figure import COLUMNS, MONO, drawable
from hamner.tagger.post import Entity
from hamner.vision.extractor import ImageExtractor

WORDS = ["$a_{b$", "Kelso", "(", "left", ")", "meets", "\\frac", "Orva", "\u200d", "x" * 200]


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.fixture(scope="module")
def post(make_run, extractor: ImageExtractor, photo: Path) -> TaggedPost:
    return Tagger(make_run(), extractor=extractor)(words=WORDS, image=photo)


def test_a_figure_shows_words_entities_image_and_scale(post: TaggedPost) -> None:
    figure = post.show()
    shown = texts(figure)
    assert "$a_{b$" in shown
    for entity in post.entities:
        assert f"{entity.type} {entity.score:.2f}" in shown
        assert f"without image {entity.score - entity.evidence.image_drop:.2f}" in shown
    assert "attention × number of regions (1 = uniform)" in shown
    assert f"relevance of the image {post.relevance:.2f}; scores are not calibrated" in shown
    assert len([axes for axes in figure.axes if axes.images]) == 1 + len(post.entities)
    figure.savefig(io.BytesIO())


def test_a_notebook_shows_the_figure_without_any_magic(post: TaggedPost) -> None:
    formatter = DisplayFormatter()
    data, metadata = formatter.format(post.show())
    png = data["image/png"]
    assert png.startswith(b"\x89PNG")
    assert metadata["image/png"]["width"] == Image.open(io.BytesIO(png)).width
    found = ", ".join(f"{entity.text} ({entity.type}, {entity.score:.2f})" for entity in post.entities)
    in_words = f"A tagged post: {post.text} | entities: {found} | relevance of the image {post.relevance:.2f}"
    assert metadata["image/png"]["alt"] == in_words  # for readers who cannot see it
    assert formatter.format(post.show())[0]["image/png"] == png


def test_without_a_image_there_are_words_alone(make_run, extractor: ImageExtractor) -> None:
    post = Tagger(make_run(), extractor=extractor)(words=WORDS)
    figure = post.show()
    assert not any(axes.images for axes in figure.axes)
    assert post.notes[0] in texts(figure)
    assert figure.get_label().endswith("| no image seen")


def test_an_even_map_is_called_flat() -> None:
    even, uneven = np.ones(49), np.linspace(0, 2, 49)
    assert Evidence(even, even, (), 0.0).flat
    assert not Evidence(uneven, even, (), 0.0).flat
    assert not Evidence(None, None, (), 0.0).flat


def test_drawing_leaves_the_state_of_pyplot_alone(post: TaggedPost) -> None:
    post.show()
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


WITH_EMOJI = [
    "so",
    "\U0001f602\ufe0f",
    "Kelso\u200d\U0001f680",
    "\U0001f469\u200d\U0001f680",
    "東京タワー",
    "Orva",
    *["\U0001f602"] * 9,
]


def tagged(words: list[str], *names: int) -> TaggedPost:
    """A text-only post in which the words `names` are people."""
    entities = tuple(Entity(words[name], "PER", 0, 1, 0.9, (name, name)) for name in names)
    nowhere = tuple((0, 1) for _ in words)
    tags = tuple("B-PER" if number in names else "O" for number in range(len(words)))
    return TaggedPost(
        " ".join(words), tuple(words), nowhere, tags, entities, None, None, False, ("no \U0001f602 here",)
    )


def test_a_post_with_emoji_is_drawn_without_a_warning_and_is_itself_unchanged() -> None:
    post = tagged(WITH_EMOJI, 2, 5)
    before = replace(post)
    with warnings.catch_warnings(action="error"):
        figure = post.show()
        figure.savefig(io.BytesIO())
    shown = texts(figure)
    for said in ("[face with tears of joy]", "Kelso[rocket]", "[woman][rocket]", "[5 letters: CJK]", "Orva"):
        assert said in shown
    assert "PER 0.90" in shown
    assert post == before
    assert post.words == tuple(WITH_EMOJI)


def test_the_colour_of_an_entity_lies_under_its_letters_as_they_are_drawn() -> None:
    axes = tagged(WITH_EMOJI, 2, 5).show().axes[0]
    by_place = {text.get_position(): text.get_text() for text in axes.texts}
    patches = [(patch.get_x() + 0.3, patch.get_y() + 0.25, patch.get_width() - 0.6) for patch in axes.patches]
    assert [by_place[x, y] for x, y, _ in patches] == ["Kelso[rocket]", "Orva"]
    assert [round(width) for _, _, width in patches] == [len("Kelso[rocket]"), len("Orva")]


def test_lines_wrap_by_what_is_drawn() -> None:
    axes = tagged(WITH_EMOJI).show().axes[0]
    words = [text for text in axes.texts if text.get_fontfamily() == [MONO]]
    assert len(words) == len(WITH_EMOJI)
    assert len({text.get_position()[1] for text in words}) > 2
    assert all(text.get_position()[0] + len(text.get_text()) <= COLUMNS for text in words)


def test_a_name_of_nothing_visible_keeps_its_label() -> None:
    shown = texts(tagged(["so", "\u200d"], 1).show())
    assert "[invisible]" in shown
    assert "PER 0.90" in shown


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("Zoë $5 é", "Zoë $5 é"),
        ("1\ufe0f\u20e3", "1[combining enclosing keycap]"),
        ("\U0001f44d\U0001f3fd", "[thumbs up sign][emoji modifier fitzpatrick type-4]"),
        ("한", "[1 letter: CJK]"),
        ("กข ก", "[2 letters: Thai] [1 letter: Thai]"),
        ("\U000f0000", "[U+F0000]"),
        ("a\u200db", "ab"),
    ],
)
def test_what_the_font_lacks_is_put_in_words(text: str, drawn: str) -> None:
    assert drawable(text, MONO) == drawn
