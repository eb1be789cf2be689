"""Training: settings, batches, the loop, run records."""

from hamner.training.config import ConfigError, TrainConfig
from hamner.training.loop import train
from hamner.training.runs import Run, RunError

__all__ = ["ConfigError", "Run", "RunError", "TrainConfig", "train"]
