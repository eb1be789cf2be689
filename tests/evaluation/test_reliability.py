from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamner.evaluation import ScoringError, reliability

BINNINGS = ("equal_width", "equal_mass")
outcomes = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def test_a_case_worked_by_hand():
    found = reliability([0.1, 0.3, 0.8, 0.9, 1.0], [0, 1, 1, 0, 1], bins=2)
    assert found.count.tolist() == [2, 3]
    assert found.confidence == pytest.approx([0.2, 0.9])
    assert found.accuracy == pytest.approx([1 / 2, 2 / 3])
    assert found.error == pytest.approx((2 * 0.3 + 3 * (0.9 - 2 / 3)) / 5)


@pytest.mark.parametrize("binning", BINNINGS)
def test_honest_confidences_have_next_to_no_error_and_boastful_ones_have_theirs(binning):
    rng = np.random.default_rng(0)
    chance = rng.uniform(0, 0.7, size=20_000)
    correct = rng.random(20_000) < chance
    assert reliability(chance, correct, binning=binning).error < 0.02
    assert reliability(chance + 0.3, correct, binning=binning).error == pytest.approx(0.3, abs=0.02)


def test_equal_mass_bins_hold_equally_many():
    confidence = np.random.default_rng(0).beta(8, 1, size=1000)
    assert reliability(confidence, confidence > 0.5, binning="equal_mass").count.tolist() == [100] * 10
    assert len(set(reliability(confidence, confidence > 0.5).count.tolist())) > 1


def test_equal_width_bins_are_closed_on_the_right():
    assert reliability([0.0, 0.5, 0.51, 1.0], [1, 1, 1, 1], bins=2).count.tolist() == [2, 2]


def test_equal_confidences_are_never_split_between_bins():
    found = reliability([0.9] * 8 + [0.95], [1] * 4 + [0] * 5, binning="equal_mass")
    assert found.count.tolist() == [8, 1]


@pytest.mark.parametrize("binning", BINNINGS)
@given(outcomes=outcomes, bins=st.integers(1, 12), data=st.data())
def test_bins_lose_nothing_and_the_order_of_predictions_does_not_matter(binning, outcomes, bins, data):
    found = reliability(*zip(*outcomes, strict=True), bins=bins, binning=binning)
    shuffled = reliability(*zip(*data.draw(st.permutations(outcomes)), strict=True), bins=bins, binning=binning)
    assert found.count.sum() == len(outcomes)
    assert (found.count > 0).all()
    assert found.count @ found.accuracy == pytest.approx(sum(correct for _, correct in outcomes))
    assert 0 <= found.error <= 1 + 1e-12
    assert shuffled.error == pytest.approx(found.error)


@pytest.mark.parametrize(
    ("confidence", "correct", "options", "message"),
    [
        ([], [], {}, "non-empty"),
        ([0.5], [1, 0], {}, "equally long"),
        ([1.5], [1], {}, "lies in"),
        ([float("nan")], [1], {}, "lies in"),
        ([0.5], [0.5], {}, "correct is 0 or 1"),
        ([0.5], [1], {"bins": 0}, "bins >= 1"),
        ([0.5], [1], {"binning": "magic"}, "'magic'"),
    ],
)
def test_what_cannot_be_binned_is_an_error(confidence, correct, options, message):
    with pytest.raises(ScoringError, match=message):
        reliability(confidence, correct, **options)
