from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from PIL import Image

from hamner.drawing.colours import BLUE, PALE
from hamner.figures import build


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_window_leaves_out_words_that_the_convolution_does_not_read() -> None:
    axes = build.window(list("abcdefghij"), at=5).axes[0]
    from matplotlib.colors import to_rgba

    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    unseen = [place for place, box in enumerate(boxes) if box.get_facecolor() == to_rgba(PALE)]
    assert unseen == [0, 1, 9]
    assert boxes[5].get_facecolor() == to_rgba(BLUE)
    assert len([patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]) == 7


def test_the_two_boxes_are_measured() -> None:
    written = " ".join(texts(build.two_boxes((0.0, 0.2, 0.4, 0.6), (0.2, 0.5, 1.0, 0.7))))
    for number in ("$w_i$ = 0.4", "$w_j$ = 0.8", "$dx$ = +0.4", "$dy$ = +0.2", "overlap"):
        assert number in written
    assert "overlap" not in texts(build.two_boxes((0.0, 0.0, 0.1, 0.1), (0.2, 0.5, 1.0, 0.7)))


def test_fast_waves_tell_places_apart_that_slow_ones_do_not() -> None:
    figure = build.waves((0.50, 0.56))
    values = [[float(text.get_text()) for text in axes.texts] for axes in figure.axes]
    assert values == [[1.0, 0.98], [0.0, -0.37], [0.0, 0.68], [0.0, 1.0]]


def test_cosines_name_each_vector_and_print_each_pair() -> None:
    figure = build.cosines({"x1": (3.0, 4.0), "x2": (4.0, -3.0)}, np.eye(2))
    assert texts(figure) == ["x1 = (3, 4)", "x2 = (4, -3)", "1.00", "0.00", "0.00", "1.00"]


def test_what_a_node_receives_is_the_weighted_sum() -> None:
    assert " receives 4" in texts(build.received(np.array([8.0, 4, -4]), np.array([0.5, 0.25, 0.25])))


def test_the_memory_has_a_cell_for_each_region_of_each_grain() -> None:
    image = Image.new("RGB", (40, 40), "white")
    boxes = np.array([[0.1, 0.1, 0.3, 0.3], [0.6, 0.1, 0.9, 0.4]])
    _, strip = build.memory(image, boxes, side=3).axes[:2]
    assert len(strip.patches) == 9 + 2 + 2
    assert [text.get_text() for text in strip.texts if ":" in text.get_text()] == [
        "$G$: global",
        "$O_{sem}$: semantic",
        "$O_{spa}$: spatial",
    ]


def test_relevance_falls_with_the_angle_and_shares_are_printed() -> None:
    figure = build.relevance((1, 0, -1), (0.67, 0.24, 0.09))
    rho = figure.axes[0].lines[0].get_ydata()
    assert rho[0] == pytest.approx(0.982, abs=1e-3) and rho[-1] == pytest.approx(0.018, abs=1e-3)
    assert texts(figure) == ["0.67", "0.24", "0.09"]


def test_the_sum_of_each_grain_stands_below_its_bars() -> None:
    weights = {"one": np.full(4, 0.25), "by grain": np.array([0.1, 0.1, 0.5, 0.3])}
    assert texts(build.two_softmaxes(weights, (2, 1, 1))) == [
        "global\nΣ 0.50",
        "semantic\nΣ 0.25",
        "spatial\nΣ 0.25",
        "global\nΣ 0.20",
        "semantic\nΣ 0.50",
        "spatial\nΣ 0.30",
    ]


def test_the_trellis_has_every_move_and_one_thick_path() -> None:
    axes = build.trellis(["a", "b", "c"], ["O", "B"], np.arange(6.0).reshape(3, 2), [1, 0, 0]).axes[0]
    widths = sorted(patch.get_linewidth() for patch in axes.patches)
    assert widths == [0.8] * 6 + [2.8] * 2


def test_training_draws_a_bar_for_each_set_of_weights_and_what_it_saw() -> None:
    table = pd.DataFrame({"with its image": [0.25, 0.8], "without": [0.25, 0.3]}, index=["untrained", "trained"])
    loss, bars = build.training([4.0, 2.0, 1.0], table).axes[:2]
    assert [bar.get_height() for bar in bars.patches] == [25.0, 80.0, 25.0, 30.0]
    assert loss.lines[0].get_ydata()[0] == pytest.approx(4.0, rel=0.01)
