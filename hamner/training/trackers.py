"""Trackers of experiments (TensorBoard, Weights & Biases, MLflow ...), as accelerate knows them.

They watch a run and are no part of it: its record and its numbers are the same with them and without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import ProjectConfiguration

from hamner.errors import HamnerError, nearest

PROJECT = "hamner"
"""What the project is called in a tracker; TensorBoard's files go into the run's folder, under this name."""


class TrackerError(HamnerError):
    """There is no such tracker, or its package is not installed, or it does not start."""


def options_of(track: Sequence[str], folder: Path) -> dict[str, Any]:
    """The options with which an `Accelerator` logs to these trackers.

    Raises TrackerError for an unknown name, and for a tracker whose package is missing: accelerate would say nothing.
    """
    available = list(map(str, get_available_trackers()))
    for name in track:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = sorted(LOGGER_TYPE_TO_CLASS)
            raise TrackerError(f"no tracker is called {name!r}{nearest(name, known)}; there are {', '.join(known)}")
        if name not in available:
            raise TrackerError(f"the tracker {name} needs its package: pip install {name.replace('_', '-')}")
    return {"log_with": list(track), "project_config": ProjectConfiguration(str(folder))} if track else {}


@contextmanager
def tracked(accelerator: Accelerator, config: Mapping[str, Any], folder: Path) -> Iterator[None]:
    """Within this block `accelerator.log` reaches its trackers, which know the run by its folder and its settings.

    Raises TrackerError when one does not start, as without a network or a login.
    """
    if not accelerator.log_with:
        yield
        return
    plain = {name: value if isinstance(value, int | float | str) else str(value) for name, value in config.items()}
    options = {"wandb": {"name": folder.name}, "mlflow": {"run_name": folder.name}, "trackio": {"name": folder.name}}
    try:
        accelerator.init_trackers(PROJECT, plain, options)
    except Exception as error:  # each tracker raises errors of its own
        reason = str(error).strip().partition("\n")[0]
        raise TrackerError(f"{', '.join(map(str, accelerator.log_with))} does not start ({reason})") from error
    try:
        yield
    finally:
        for tracker in accelerator.trackers:  # `end_training` would end the group of processes as well
            tracker.finish()
