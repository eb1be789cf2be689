from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from hamner.drawing.matrix import draw_matrix


def test_a_matrix_has_its_numbers_in_ink_that_can_be_read_and_nothing_where_there_is_none() -> None:
    figure = Figure()
    axes = figure.subplots()
    values = pd.DataFrame([[0.0, 0.5], [np.nan, 1.0]], index=["above", "below"], columns=["a", "b"])
    draw_matrix(axes, values, "{:.1f}".format, (0, 1))
    written = {text.get_position(): (text.get_text(), text.get_color() == "white") for text in axes.texts}
    assert written == {(0.5, 0.5): ("0.0", False), (1.5, 0.5): ("0.5", False), (1.5, 1.5): ("1.0", True)}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["above", "below"]
    assert figure.axes == [axes]


@pytest.mark.parametrize(("limits", "ticks"), [((0, 1), [0, 0.5, 1]), ((-1, 1), [-1, 0, 1])])
def test_a_label_adds_a_bar_with_the_scales_ends_and_middle(limits: tuple[float, float], ticks: list[float]) -> None:
    figure = Figure()
    draw_matrix(figure.subplots(), pd.DataFrame([[0.2]]), str, limits, "share")
    _, bar = figure.axes
    assert bar.get_ylabel() == "share"
    assert bar.get_yticks().tolist() == ticks
    assert bar.get_ylim() == limits
