"""The settings of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from hamner.errors import HamnerError
from hamner.model.config import ModelConfig
from hamner.settings import require_kinds, setting, sources
from hamner.vision.features import VisualSource

MAX_SEED = 400_000
"""Each epoch has a seed of its own, 10,000 times the run's and its number, and numpy takes none from 2 ** 32 on."""

_FIRST = {"model": "width", "visual": "backbone"}


class ConfigError(HamnerError):
    """A setting is unknown or has a value that it cannot have."""


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. With the corpus and the versions of the libraries it determines a run."""

    model: ModelConfig = setting(ModelConfig(), "ours", "the network")
    visual: VisualSource | None = setting(None, "ours", "where visual features come from; none for a text-only model")
    images: Literal["own", "shuffled", "blank"] = setting(
        "own", "ours", "controls: every post gets another post's image, or a blank one, in all splits"
    )
    appended: tuple[str, ...] = setting(
        (), "ours", "a control: captions files; a text-only model reads each post's caption after its words"
    )
    epochs: int = setting(4, "ours", "passes over train; the best one on valid is kept")
    batch_size: int = setting(16, "ours", "posts per step and process", sibling=24)
    encoder_lr: float = setting(1e-4, "ours", "peak learning rate of the text encoder", sibling=3e-5)
    head_lr: float = setting(1e-3, "ours", "peak learning rate of everything else")
    warmup: float = setting(0.1, "sibling", "share of the steps in which the rate rises; then it falls to 0 linearly")
    weight_decay: float = setting(0.01, "sibling", "decay of weight matrices; none on biases, norms and single vectors")
    clip: float = setting(1.0, "ours", "largest gradient norm")
    precision: Literal["no", "bf16"] = setting("no", "ours", "mixed precision; `no` is float32")
    seed: int = setting(1, "ours", "fixes initial weights, batch order and dropout")

    def __post_init__(self) -> None:
        require_kinds(TrainConfig, vars(self), ConfigError)
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("encoder_lr", "head_lr", "clip"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.weight_decay < 0:
            raise ConfigError(f"weight_decay must be at least 0, not {self.weight_decay}")
        if self.model.vision != (self.visual is not None):
            raise ConfigError("a model with vision needs a visual source, and one without it takes none")
        if self.appended and self.model.vision:
            raise ConfigError("captions are appended to the words of a text-only model: turn vision off")
        if not 0 <= self.seed <= MAX_SEED:
            raise ConfigError(f"seed must be from 0 to {MAX_SEED:,}, not {self.seed}")
        if not 0 <= self.warmup <= 1:
            raise ConfigError(f"warmup is a share of the steps, from 0 to 1, not {self.warmup}")

    @property
    def captions(self) -> tuple[str, ...]:
        """The captions files, be they read in place of images or as words; none for a run that reads no captions."""
        return self.appended if self.visual is None else self.visual.captions

    def with_captions(self, files: Sequence[Path | str]) -> TrainConfig:
        """The same, with these captions files in the place of its own. For a config that has some."""
        names = tuple(map(str, files))
        if self.visual is None:
            return replace(self, appended=names)
        return replace(self, visual=replace(self.visual, captions=names))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they stand in run.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The config that `to_dict` described. Raises ConfigError for an unknown key or a value of the wrong kind.

        Lists may stand for tuples, for JSON has no others.
        """
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        model, visual = values.pop("model", {}), values.pop("visual", None)
        for name, part in (("model", model), ("visual", {} if visual is None else visual)):
            if not isinstance(part, dict):
                raise ConfigError(f"setting {name} cannot be {part!r}: it has parts, such as {name}.{_FIRST[name]}")
        model = ModelConfig(**_checked(ModelConfig, model))
        if visual is not None:
            visual = {name: tuple(value) if isinstance(value, list) else value for name, value in visual.items()}
            visual = VisualSource(**_checked(VisualSource, visual))
        return cls(model=model, visual=visual, **_checked(cls, values))

    def field_sources(self) -> dict[str, str]:
        """Setting -> whose its value is (`stated`, `sibling`, `ours`); parts have the names that `--set` takes."""
        found = sources(self)
        for name, part in (("model", self.model), ("visual", self.visual)):
            if part is not None:
                del found[name]
                found |= {f"{name}.{key}": source for key, source in sources(part).items()}
        return found


def _checked(config: type, values: dict[str, Any]) -> dict[str, Any]:
    known = [item.name for item in fields(config)]
    for name in values:
        if name not in known:
            raise ConfigError(f"unknown setting {name!r}; there are {', '.join(known)}")
    require_kinds(config, values, ConfigError)
    return values
