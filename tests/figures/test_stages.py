from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from PIL import Image

from hamner.drawing.colours import VERMILION
from hamner.figures import stages
from hamner.model.intra_modality import GRAINS
from hamner.tagger.post import Entity, TaggedPost

IMAGE = Image.new("RGB", (40, 40), "white")
BOXES = np.array([[0.1, 0.1, 0.3, 0.3], [0.6, 0.1, 0.9, 0.4], [0.1, 0.6, 0.4, 0.9]])


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def tagged(type: str | None, relevance: float | None) -> TaggedPost:
    entities = () if type is None else (Entity("Kelso", type, 0, 5, 0.91, (0, 0)),)
    return TaggedPost(
        text="Kelso sleeps",
        words=("Kelso", "sleeps"),
        offsets=((0, 5), (6, 12)),
        tags=("O", "O"),
        entities=entities,
        relevance=relevance,
        integration=None,
        calibrated=False,
        image=None if relevance is None else IMAGE,
    )


def same_words(posts: dict[str, TaggedPost]) -> Figure:
    return stages.same_words(posts, {title: IMAGE for title, post in posts.items() if post.image is not None})


def test_each_image_is_shown_with_the_answer_that_it_leads_to_and_its_relevance() -> None:
    figure = same_words({"one": tagged("PER", 0.97), "two": tagged(None, 0.05), "none": tagged("LOC", None)})
    assert figure.get_suptitle() == "Kelso sleeps"
    assert texts(figure) == ["Kelso: PER 0.91", "relevance 0.97", "no entity", "relevance 0.05", "Kelso: LOC 0.91", ""]


def test_panels_that_are_not_needed_stay_empty() -> None:
    figure = same_words({str(number): tagged("PER", 0.5) for number in range(4)})
    assert [axes.axison for axes in figure.axes] == [False] * 6
    assert len(texts(figure)) == 8


def test_similarity_numbers_the_objects_and_prints_every_pair() -> None:
    figure = stages.similarity(IMAGE, BOXES, np.array([[1.0, 0.5, -0.9], [0.5, 1.0, 0.0], [-0.9, 0.0, 1.0]]))
    image, matrix = figure.axes[:2]
    assert [text.get_text() for text in image.texts] == ["1", "2", "3"]
    assert [text.get_text() for text in matrix.texts] == [
        "1.0",
        "0.5",
        "-0.9",
        "0.5",
        "1.0",
        "0.0",
        "-0.9",
        "0.0",
        "1.0",
    ]


def test_geometry_draws_an_arrow_from_one_object_to_each_other() -> None:
    share = np.array([[0.0, 0.0], [2.5, 0.0], [0.0, 2.5]])
    figure = stages.geometry(IMAGE, BOXES, 0, share, np.array([False, True, False]))
    arrows = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    assert [arrow.get_linewidth() for arrow in arrows] == [2.6, 1.6]  # the nearest is thicker
    assert texts(figure) == ["2: +2.5, +0.0", "3: +0.0, +2.5", "1"]


def test_heads_are_drawn_as_weight_times_number_of_objects() -> None:
    weights = np.array([[1 / 3, 1 / 3, 1 / 3], [0.0, 1.0, 0.0]])
    figure = stages.heads(IMAGE, BOXES, 0, {"semantic": weights, "spatial": weights[::-1]})
    uniform, one = ["1.0"] * 3, ["0.0", "3.0", "0.0"]
    assert texts(figure) == ["1", "2", "3", *uniform, *one, *one, *uniform]


def test_the_object_that_attends_is_the_one_box_in_red() -> None:
    figure = stages.heads(IMAGE, BOXES, 1, {"semantic": np.full((2, 3), 1 / 3)})
    plates = [text.get_bbox_patch() for text in figure.axes[0].texts]
    assert [plate.get_facecolor() == to_rgba(VERMILION) for plate in plates if plate] == [False, True, False]


def test_regions_of_all_images_share_one_scale() -> None:
    flat, steep = np.ones(49), np.linspace(0, 5, 49)
    one = stages.Pooled("one", IMAGE, flat, BOXES, np.ones(3))
    other = stages.Pooled("other", IMAGE, steep, BOXES, np.array([0.5, 7.0, 1.0]))
    figure = stages.image_vectors([one, other])
    scales = {axes.images[1].get_clim() for axes in figure.axes if len(axes.images) == 2}
    assert scales == {(0.0, 7.0)}


def test_each_colour_of_a_histogram_sums_to_a_hundred_percent() -> None:
    judged = pd.DataFrame(
        [
            ("own", "the words", 0.9),
            ("own", "the words", 0.8),
            ("own", "something else", 0.1),
            ("blank", "nothing", 0.5),
        ],
        columns=["image", "about", "rho"],
    )
    figure = stages.relevance_histogram(judged, (0.02, 0.98))
    own, blank = figure.axes
    heights = [
        [patch.get_height() for patch in container if isinstance(patch, Rectangle)] for container in own.containers
    ]
    assert [pytest.approx(100)] * 2 == [sum(bars) for bars in heights]
    assert len(blank.containers) == 1
    assert {text.get_text() for text in figure.legends[0].texts} == {
        "about the words",
        "about something else",
        "about nothing",
    }


def test_topics_are_printed_where_words_and_image_cross() -> None:
    mean = pd.DataFrame([[0.9, 0.1], [0.2, 0.8]], index=["food", "travel"], columns=["food", "travel"])
    figure = stages.relevance_of_topics(mean)
    assert texts(figure) == ["0.90", "0.10", "0.20", "0.80"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["food", "travel"]


def test_the_grains_of_a_cue_fill_its_bar() -> None:
    beta = pd.DataFrame([[0.5, 0.3, 0.2], [0.02, 0.9, 0.08]], index=["scene", "object"], columns=list(GRAINS))
    figure = stages.integration(beta)
    bars = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    for row in (0, 1):
        assert sum(bar.get_width() for bar in bars[row::2]) == pytest.approx(100)
    assert texts(figure) == ["50", "30", "90", "20", "8"]  # two percent have no room for a number


def test_an_image_that_is_not_square_keeps_its_shape(tmp_path: Path) -> None:
    wide = Image.new("RGB", (80, 40), "white")
    figure = stages.similarity(wide, BOXES, np.eye(3))
    assert figure.axes[0].get_aspect() == 0.5
