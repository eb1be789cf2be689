from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from hamner.tagger import Evidence, TaggedPost, Tagger
from hamner.vision.pictures import PictureExtractor

WORDS = ["$a_{b$", "Kelso", "(", "left", ")", "meets", "\\frac", "Orva", "\u200d", "x" * 200]


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.fixture(scope="module")
def post(make_run, extractor: PictureExtractor, photo: Path) -> TaggedPost:
    return Tagger(make_run(), extractor=extractor)(WORDS, photo)


def test_a_figure_shows_words_entities_picture_and_scale(post: TaggedPost) -> None:
    figure = post.show()
    shown = texts(figure)
    assert "$a_{b$" in shown
    for entity in post.entities:
        assert f"{entity.type} {entity.score:.2f}" in shown
        assert f"without picture {entity.score - entity.evidence.picture_drop:.2f}" in shown
    assert "attention × number of regions (1 = uniform)" in shown
    assert f"relevance of the picture {post.relevance:.2f}; scores are not calibrated" in shown
    assert len([axes for axes in figure.axes if axes.images]) == 1 + len(post.entities)
    figure.savefig(io.BytesIO())


def test_without_a_picture_there_are_words_alone(make_run) -> None:
    post = Tagger(make_run(objects=None))(WORDS)
    figure = post.show()
    assert not any(axes.images for axes in figure.axes)
    assert post.notes[0] in texts(figure)


def test_an_even_map_is_called_flat() -> None:
    even, uneven = np.ones(49), np.linspace(0, 2, 49)
    assert Evidence(even, even, (), 0.0).flat
    assert not Evidence(uneven, even, (), 0.0).flat
    assert not Evidence(None, None, (), 0.0).flat


def test_drawing_leaves_the_state_of_pyplot_alone(post: TaggedPost) -> None:
    post.show()
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []
