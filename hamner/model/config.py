"""The model's settings, each with the place that it comes from."""

from __future__ import annotations

import math
import types
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hamner.errors import HamnerError

Source = Literal["stated", "sibling", "ours"]
"""`stated` by the paper's abstract or a summary of its body; `sibling`: the first author's code (MGCMT); or `ours`."""

_UNKNOWN = object()


def setting(default: Any, source: Source, help: str, sibling: Any = _UNKNOWN) -> Any:
    """A dataclass field that carries its source and one line of help.

    `sibling` is the value that the first author's code has, where that is known and is not the default.
    """
    return field(
        default=default,
        metadata={"source": source, "help": help, "sibling": default if source == "sibling" else sibling},
    )


def sources(config: object) -> dict[str, str]:
    """Field name -> source, for every field of a config, or of a class with its defaults.

    `stated`: the part that the field turns on or off is the paper's, be it on or off here. Else whose the value is.
    """
    return {item.name: _source(item, getattr(config, item.name)) for item in fields(config)}  # type: ignore[arg-type]


def _source(item: Field, value: Any) -> str:
    if item.metadata["source"] == "stated":
        return "stated"
    return "sibling" if value == item.metadata["sibling"] else "ours"


def require_kinds(config: type, values: dict[str, Any], error: type[HamnerError]) -> None:
    """Raise `error` for a value that the field of its name cannot have, be it of another kind, NaN or infinite."""
    hints = get_type_hints(config)
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise error(f"setting {name} cannot be {value!r}: it must be {_spelt(hints[name])}")


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(isinstance(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _spelt(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if hint is float:
        return "a finite number"
    return getattr(hint, "__name__", str(hint))


class ModelConfigError(HamnerError):
    """Settings of the model that do not go together."""


@dataclass(frozen=True)
class ModelConfig:
    """What the network is made of. An ablation row is one named change of this (see `ablations`).

    Raises ModelConfigError for settings that do not go together.
    """

    text_encoder: str = setting(
        "minilm", "ours", "minilm (bundled), or a Hugging Face encoder's name or folder", sibling="bert-base-cased"
    )
    frozen_text: bool = setting(False, "ours", "keep the text encoder's weights as they are")
    layers: Literal["last", "mix"] = setting("last", "ours", "the encoder's last layer, or a learned mix of all layers")
    local_text: bool = setting(True, "ours", "width-7 convolution over the encoder's word embeddings")
    word_shapes: bool = setting(
        True, "ours", "the convolution also reads how words are written (capitals, digits, @, #)"
    )
    dropout: float = setting(
        0.1, "sibling", "dropout on word representations, in each block, and before the classifier"
    )
    width: int | None = setting(
        128, "ours", "channels of all representations; None: the text encoder's hidden size", sibling=None
    )
    heads: int = setting(4, "ours", "attention heads of each block outside the text encoder", sibling=12)
    vision: bool = setting(False, "stated", "look at pictures; without it the model is text-only")
    visual_dropout: float = setting(0.0, "ours", "dropout on the frozen features of pictures")
    global_vision: bool = setting(True, "stated", "the grid of the whole picture, and the scene vector")
    objects: bool = setting(True, "stated", "objects, in whichever encodings are on")
    semantic: bool = setting(True, "stated", "semantic encoding: objects and scene related by what they are")
    spatial: bool = setting(True, "stated", "spatial encoding: objects related by where they are")
    absolute_geometry: bool = setting(True, "ours", "spatial encoding: each box's place in the picture")
    relative_geometry: bool = setting(True, "ours", "spatial encoding: how each pair of boxes lies")
    relevance: bool = setting(True, "stated", "judge how much a picture counts; else rho = 1 wherever there is one")
    integration: bool = setting(True, "stated", "weigh the grains; else beta is uniform over those present")
    iterations: int = setting(2, "ours", "how often words and regions read one another (that they iterate is stated)")
    coattention: bool = setting(True, "stated", "co-attention (its gate is ours) after the iterations")

    def __post_init__(self) -> None:
        require_kinds(ModelConfig, vars(self), ModelConfigError)
        if self.width is not None and self.width < 1:
            raise ModelConfigError(f"width must be at least 1, not {self.width}")
        if self.heads < 1 or (self.width or self.heads) % self.heads:
            raise ModelConfigError(f"heads ({self.heads}) must divide the width ({self.width})")
        if self.iterations < 0:
            raise ModelConfigError(f"iterations must be at least 0, not {self.iterations}")
        for name in ("dropout", "visual_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ModelConfigError(f"{name} is a share from 0 to below 1, not {getattr(self, name)}")
        if self.objects and not (self.semantic or self.spatial):
            raise ModelConfigError("objects are in no encoding: turn semantic or spatial on, or objects off")
        if not self.grains:
            raise ModelConfigError("nothing is left to look at: for a text-only model turn vision off")
        if not self.iterations and not self.coattention:
            raise ModelConfigError("no word would look at a region: turn iterations or coattention on, or vision off")

    @property
    def grains(self) -> int:
        """How many kinds of region the memory has: global, semantic, spatial."""
        return self.global_vision + (self.objects and self.semantic) + (self.objects and self.spatial)

    @property
    def weighs_grains(self) -> bool:
        """Whether beta is learnt: of one grain alone there is nothing to weigh."""
        return self.integration and self.grains > 1
