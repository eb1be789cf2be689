"""The settings of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from hamner.model.config import OWN_WORDS, ModelConfig
from hamner.settings import ConfigError, Rate, Share, setting, settings, sources
from hamner.vision.features import VisualSource

MAX_SEED = 400_000
"""Upper bound on the seed: an epoch's seed is 10,000 times the run's plus its number, and numpy's limit is 2**32."""

MOST_EPOCHS = 9_999
"""Upper bound on epochs: the next run's seeds begin there."""

MOST_POSTS = 65_536
"""Upper bound on the batch size, to catch typing errors."""

MOST_DECAY = 1_000
"""Upper bound on weight decay, to catch typing errors."""

MOST_NORM = 1e30
"""Upper bound on the clipped gradient norm, to catch typing errors."""

_FIRST = {"model": "width", "visual": "backbone"}


@settings(ConfigError)
class TrainConfig:
    """How a model is trained. Together with the corpus and the versions of the libraries it determines a run."""

    model: ModelConfig = setting(ModelConfig(), "ours", "the network")
    visual: VisualSource | None = setting(None, "ours", "where visual features come from; none for a text-only model")
    images: Literal["own", "exchanged", "shuffled", "blank"] = setting(
        "own",
        "ours",
        "controls: every post gets another post's image (shuffled) or a blank one, in all splits; or, in train "
        "only, a fifth of the posts exchange their images (exchanged)",
    )
    appended: tuple[str, ...] = setting(
        (), "ours", "a control: captions files; a text-only model reads each post's caption after its words"
    )
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] = setting(
        4, "ours", "passes over train, at most; the best one on valid is kept"
    )
    patience: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | None = setting(
        None,
        "ours",
        "the rate falls and the run ends after so many epochs without a better F1 on valid; none: no early end",
    )
    cooldown: Annotated[int, Field(ge=0, le=MOST_EPOCHS)] = setting(
        8, "ours", "with patience: the last epochs, in which the rate falls to 0 linearly"
    )
    batch_size: Annotated[int, Field(ge=1, le=MOST_POSTS)] = setting(
        16, "ours", "posts per step and process", sibling=24
    )
    optimizer: Literal["adamw", "muon"] = setting(
        "adamw", "ours", "what moves the matrices of the fusion; all else is moved by adamw"
    )
    encoder_lr: Rate = setting(1e-4, "ours", "peak learning rate of the text encoder", sibling=3e-5)
    head_lr: Rate = setting(1e-3, "ours", "peak learning rate of everything else")
    warmup: Share = setting(0.1, "sibling", "share of all steps in which the rate rises")
    weight_decay: Annotated[float, Field(ge=0, le=MOST_DECAY)] = setting(
        0.01, "sibling", "decay of weight matrices; none on biases, norms and single vectors"
    )
    clip: Annotated[float, Field(gt=0, le=MOST_NORM)] = setting(1.0, "ours", "largest gradient norm")
    precision: Literal["no", "bf16"] = setting("no", "ours", "mixed precision; `no` is float32")
    half_weights: bool = setting(
        False, "ours", "keep the weights in half precision, half the bytes; test is scored with what is kept"
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = setting(
        1, "ours", "fixes initial weights, batch order and dropout"
    )

    def __post_init__(self) -> None:
        if self.model.vision != (self.visual is not None):
            raise ConfigError("a model with vision needs a visual source, and one without it takes none")
        if self.optimizer == "muon" and not self.model.vision:
            raise ConfigError("optimizer=muon moves the matrices of the fusion, and a text-only model has none")
        if self.appended and self.model.vision:
            raise ConfigError("captions are appended to the words of a text-only model: turn vision off")
        if self.appended and self.model.words in OWN_WORDS:
            raise ConfigError(f"words={self.model.words} reads no captions: take words=pretrained")

    @property
    def captions(self) -> tuple[str, ...]:
        """The captions files, read in place of images or as words; empty for a run that reads no captions."""
        return self.appended if self.visual is None else self.visual.captions

    def with_captions(self, files: Sequence[Path | str]) -> TrainConfig:
        """The same config with other captions files. For a config that has captions."""
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
        model, visual = values.get("model", {}), values.get("visual")
        for name, part in (("model", model), ("visual", {} if visual is None else visual)):
            if not isinstance(part, dict):
                raise ConfigError(f"setting {name} cannot be {part!r}: it has parts, such as {name}.{_FIRST[name]}")
        parts = {
            "model": ModelConfig(**_known(ModelConfig, model)),
            "visual": None if visual is None else VisualSource(**_known(VisualSource, visual)),
        }
        return cls(**_known(cls, values) | parts)

    def field_sources(self) -> dict[str, str]:
        """Setting -> the source of its value (`stated`, `sibling`, `ours`); parts are named as for `--set`."""
        named = sources(self)
        for name, part in (("model", self.model), ("visual", self.visual)):
            if part is not None:
                del named[name]
                named |= {f"{name}.{key}": source for key, source in sources(part).items()}
        return named


def _known(config: type, values: dict[str, Any]) -> dict[str, Any]:
    """The values with tuples in place of JSON's lists. Raises ConfigError for a name that `config` does not have."""
    known = [item.name for item in fields(config)]
    for name in values:
        if name not in known:
            raise ConfigError(f"unknown setting {name!r}; there are {', '.join(known)}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
