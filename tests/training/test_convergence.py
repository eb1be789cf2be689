from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamner.training import TrainConfig
from hamner.training.convergence import convergence, falls_from, last_epoch, rate_at

PATIENT = TrainConfig(epochs=20, patience=3, cooldown=4)
RISING = [0.01 * epoch for epoch in range(1, 21)]
PLATEAU = [0.1, 0.3, 0.5, 0.4, 0.5, 0.45, 0.44]
"""The third epoch is the best; epochs 4, 5 and 6 are not better: an equal F1 is no rise."""


def test_the_rate_falls_after_the_plateau_and_the_run_ends_after_the_cooldown() -> None:
    assert falls_from(PLATEAU[:5], PATIENT) == 17  # not known yet: as late as possible
    assert falls_from(PLATEAU[:6], PATIENT) == falls_from(PLATEAU, PATIENT) == 7
    assert last_epoch(PLATEAU[:6], PATIENT) == 10
    assert falls_from([*PLATEAU, 0.9, 0.95], PATIENT) == 7, "what comes after the decision does not change it"


def test_a_run_that_still_rises_has_all_its_epochs_and_the_falling_rate_at_their_end() -> None:
    assert falls_from(RISING, PATIENT) == 17
    assert last_epoch(RISING, PATIENT) == 20


@given(st.lists(st.floats(0, 1), max_size=30), st.integers(1, 25), st.integers(1, 6), st.integers(0, 9))
def test_a_run_resumed_after_any_epoch_decides_as_an_uninterrupted_one(f1, epochs, patience, cooldown) -> None:
    config = TrainConfig(epochs=epochs, patience=patience, cooldown=cooldown)
    done: list[float] = []
    decided = []
    while len(done) < min(last_epoch(done, config), len(f1)):
        decided.append(falls_from(done, config) <= len(done) + 1)
        done.append(f1[len(done)])
    assert len(done) <= epochs
    assert decided == sorted(decided), "a rate that falls never stops falling"
    for epoch in range(len(done)):
        assert last_epoch(done[:epoch], config) > epoch, "no earlier end is seen with hindsight"
        assert (falls_from(done, config) <= epoch + 1) == decided[epoch]


def test_the_rate_rises_then_falls_to_zero() -> None:
    rates = [rate_at(step, warmup=10, falls=10, end=100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1
    assert rates[100] == 0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert [rate_at(step, 0, 0, 2) for step in range(3)] == [1, 0.5, 0]


def test_with_patience_the_rate_is_constant_until_it_falls() -> None:
    rates = [rate_at(step, warmup=4, falls=8, end=12) for step in range(13)]
    assert rates == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]


def test_a_rate_that_would_fall_in_the_warm_up_falls_from_its_end_on() -> None:
    assert [rate_at(step, warmup=2, falls=0, end=4) for step in range(5)] == [0.5, 1, 1, 0.5, 0]
    slow = TrainConfig(epochs=20, patience=1, cooldown=4, warmup=0.25)
    assert falls_from([0.1] * 4, slow) == 17
    assert falls_from([0.1] * 5, slow) == falls_from([0.1] * 9, slow) == 6


def test_a_run_shorter_than_its_cooldown_has_the_rate_of_a_run_without_patience() -> None:
    short = TrainConfig(epochs=3, patience=8, cooldown=10)
    assert [falls_from([0.1] * done, short) for done in range(3)] == [1, 1, 1]
    assert [last_epoch([0.1] * done, short) for done in range(4)] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("f1", "config", "expected"),
    [
        ([*PLATEAU, 0.6, 0.7, 0.8], PATIENT, (True, "F1 on valid did not rise for 3 epochs after epoch 3")),
        (RISING, PATIENT, (False, "F1 on valid rose in epoch 16, less than 3 epochs before the rate had to fall")),
        (
            [0.1, 0.4, 0.3, 0.2, 0.3],
            TrainConfig(epochs=5),
            (True, "F1 on valid is highest in epoch 2, 3 epochs before the last"),
        ),
        (
            [0.1, 0.2, 0.4, 0.2, 0.3],
            TrainConfig(epochs=5),
            (False, "F1 on valid is highest in epoch 3, one of the last 3 of 5"),
        ),
        (
            [0.1],
            TrainConfig(epochs=1, patience=1, cooldown=4),
            (False, "the rate fell from the first epoch on, so that no plateau could show"),
        ),
    ],
)
def test_convergence_is_stated_with_its_reason(f1, config, expected) -> None:
    assert tuple(convergence(f1, config)) == expected
