"""Training: settings, batches, the loop, run records.

The names are imported on first use: `hamner --help` should not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hamner.training.config import ConfigError, TrainConfig
    from hamner.training.loop import train
    from hamner.training.rows import study_config
    from hamner.training.runs import Run, RunError

_HOME = {
    "ConfigError": "hamner.training.config",
    "Run": "hamner.training.runs",
    "RunError": "hamner.training.runs",
    "TrainConfig": "hamner.training.config",
    "study_config": "hamner.training.rows",
    "train": "hamner.training.loop",
}

__all__ = ["ConfigError", "Run", "RunError", "TrainConfig", "study_config", "train"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
