from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from hamner.drawing.parts import (
    CHANGES,
    MAP,
    MOST_OPAQUE,
    draw_regions,
    number_boxes,
    opacity,
    scale_from_0,
    shared_legend,
    stacked_shares,
    steady,
    whole_percents,
    write_above,
)


@pytest.mark.parametrize(("values", "top"), [([0.1, 0.3], 2.0), ([0.1, 3.25], 3.25), ([3.2500001, 1], 3.25), ([], 2.0)])
def test_a_scale_runs_from_0_to_the_rounded_maximum_and_to_2_at_least(values: list[float], top: float) -> None:
    scale = scale_from_0(values)
    assert (scale.vmin, scale.vmax) == (0, top)


def test_marks_that_differ_in_a_floats_last_digits_are_drawn_alike() -> None:
    values = np.array([0.12345, 7.0])
    assert (steady(values) == steady(values * (1 + 1e-7))).all()
    assert steady(values, 1).tolist() == [0.1, 7]


@pytest.mark.parametrize(("values", "maps"), [(np.arange(9.0), 1), (np.arange(8.0), 0), (None, 0)])
def test_only_a_square_grid_is_drawn_as_a_map_over_the_image(values: np.ndarray | None, maps: int) -> None:
    axes = Figure().subplots()
    draw_regions(axes, Image.new("RGB", (40, 20)), values, scale_from_0([1]))
    assert len(axes.images) == 1 + maps
    if maps:
        assert axes.images[1].get_array().tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_shares_stand_side_by_side_and_small_ones_have_no_number() -> None:
    figure = stacked_shares(pd.DataFrame({"a": [97.0, 40.0], "b": [3.0, 60.0]}), {"a": "#000000", "b": "#ffff99"}, "%")
    (axes,) = figure.axes
    assert [(text.get_text(), text.get_color() == "white") for text in axes.texts] == [
        ("97", True),
        ("40", True),
        ("60", False),
    ]
    assert [bar.get_x() for bar in axes.patches] == [0, 0, 97, 40]


def test_a_shared_legend_has_each_label_once_whichever_panel_it_is_in() -> None:
    figure = Figure()
    one, other = figure.subplots(1, 2)
    one.plot([0], label="a")
    other.plot([0], label="a")
    other.plot([1], label="b")
    shared_legend(figure, (one, other))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    empty = Figure()
    shared_legend(empty, [empty.subplots()])
    assert not empty.legends


@pytest.mark.parametrize(
    ("shares", "written"),
    [([36.4, 33.6, 15.6, 14.4], [36, 34, 16, 14]), ([35.6, 33.6, 15.6, 15.2], [36, 34, 15, 15]), ([50, 50], [50, 50])],
)
def test_whole_percents_sum_to_100(shares: list[float], written: list[int]) -> None:
    whole = whole_percents(pd.Series(shares))
    assert whole.tolist() == written and whole.sum() == 100


def test_what_counts_little_leaves_the_image_clear() -> None:
    attention, change = Normalize(0, 4), Normalize(-1, 1)
    assert opacity(np.array([0.0, 2.0, 4.0]), attention, MAP).tolist() == [0, MOST_OPAQUE / 2, MOST_OPAQUE]
    assert opacity(np.array([-1.0, 0.0, 1.0]), change, CHANGES).tolist() == [MOST_OPAQUE, 0, MOST_OPAQUE]


@pytest.mark.parametrize("top", [0.4, 0.02])
def test_a_label_stands_above_its_box_and_not_on_what_the_box_shows(top: float) -> None:
    axes = Figure().subplots()
    write_above(axes, (0.2, top, 0.5, 0.7), "3.1")
    (label,) = axes.texts
    assert label.get_position() == (0.35, top)
    assert label.get_va() == "bottom"


def test_numbers_stand_on_the_corners_of_their_boxes_and_do_not_meet() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(1, 0))
    close = [(0.05, 0.05, 0.3, 0.3), (0.32, 0.05, 0.6, 0.3), (0.0, 0.4, 0.6, 1.0), (0.27, 0.67, 0.33, 0.73)]
    number_boxes(axes, np.array(close), ["black"] * 4)
    assert [text.get_position() for text in axes.texts] == [box[:2] for box in close]
    figure.draw_without_rendering()
    plates = [text.get_bbox_patch().get_window_extent() for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4"]
    assert not any(one.overlaps(other) for one, other in combinations(plates, 2))
