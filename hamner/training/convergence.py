"""When a run ends, how its learning rate falls, and whether it had converged.

Without `patience` a run has `epochs` epochs. Its rate falls linearly from the end of the warm-up.

With `patience` the rate is constant after the warm-up until F1 on valid has not risen for `patience` epochs. Then it
falls linearly to 0 over `cooldown` epochs, and the run ends. It falls at the earliest after the warm-up, and at the
latest in time for the run to end after `epochs` epochs. A constant rate needs no known length, and its plateau is one
of the model, not of a rate that is 0 already.

Every decision depends on the epochs' F1 on valid alone, which the checkpoint holds: a run that was killed and resumed
decides as if it had not been.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hamner.training.config import TrainConfig

LAST = 3
"""A run of fixed length has converged if its best epoch is none of so many last ones."""


class Convergence(NamedTuple):
    """Whether a finished run had converged, and the observation that shows it."""

    converged: bool
    reason: str


def falls_from(valid_f1: Sequence[float], config: TrainConfig) -> int:
    """The first epoch of the falling rate, as known after the epochs whose F1 on valid is given.

    Until F1 has reached a plateau, it is the latest possible one. Epochs count from 1.
    """
    if config.patience is None:
        return 1  # the warm-up is not over: the rate falls from its end on
    latest = max(1, config.epochs - config.cooldown + 1)
    best, waited = -1.0, 0
    for epoch, f1 in enumerate(valid_f1[: latest - 1], start=1):
        waited = 0 if f1 > best else waited + 1
        best = max(best, f1)
        if waited >= config.patience and epoch >= config.warmup * config.epochs:
            return epoch + 1
    return latest


def last_epoch(valid_f1: Sequence[float], config: TrainConfig) -> int:
    """The epoch after which the run ends, as known after the epochs whose F1 on valid is given."""
    if config.patience is None:
        return config.epochs
    return min(config.epochs, falls_from(valid_f1, config) + config.cooldown - 1)


def rate_at(step: int, warmup: int, falls: int, end: int) -> float:
    """The learning rate at `step` as a share of its peak: up over `warmup` steps, 1 until `falls`, then to 0 at `end`.

    In the warm-up step s has the share (s + 1) / warmup, so that the first step is not lost. A rate that would fall in
    the warm-up falls from its end on.
    """
    if step < warmup:
        return (step + 1) / warmup
    falls = max(falls, warmup)
    return 1.0 if step < falls else max(0.0, (end - step) / max(1, end - falls))


def convergence(valid_f1: Sequence[float], config: TrainConfig) -> Convergence:
    """Whether a run with this F1 on valid in its epochs had converged."""
    if config.patience is None:
        best = 1 + max(range(len(valid_f1)), key=lambda i: valid_f1[i])
        later = len(valid_f1) - best
        if later >= LAST:
            return Convergence(True, f"F1 on valid is highest in epoch {best}, {later} epochs before the last")
        return Convergence(False, f"F1 on valid is highest in epoch {best}, one of the last {LAST} of {len(valid_f1)}")
    before = falls_from(valid_f1, config) - 1
    if not before:
        return Convergence(False, "the rate fell from the first epoch on, so that no plateau could show")
    best = 1 + max(range(before), key=lambda i: valid_f1[i])
    if before - best >= config.patience:
        return Convergence(True, f"F1 on valid did not rise for {config.patience} epochs after epoch {best}")
    return Convergence(
        False, f"F1 on valid rose in epoch {best}, less than {config.patience} epochs before the rate had to fall"
    )
