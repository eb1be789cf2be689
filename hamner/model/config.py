"""The model's settings, each with the place that it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hamner.errors import HamnerError
from hamner.settings import require_kinds, setting

MOST_CHANNELS = 16_384
"""The widest model that a config may ask for: beyond it there is only a mistyped number."""


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
        0.1, "sibling", "dropout on word representations, in the interaction, and before the classifier"
    )
    width: int | None = setting(
        128, "ours", "channels of all representations; None: the text encoder's hidden size", sibling=None
    )
    heads: int = setting(4, "ours", "attention heads of each block outside the text encoder", sibling=12)
    vision: bool = setting(False, "stated", "look at images; without it the model is text-only")
    visual_dropout: float = setting(0.0, "ours", "dropout on the frozen features of images")
    global_vision: bool = setting(True, "stated", "the grid of the whole image, and the scene vector")
    objects: bool = setting(True, "stated", "objects, in whichever encodings are on")
    semantic: bool = setting(True, "stated", "semantic encoding: objects and scene related by what they are")
    spatial: bool = setting(True, "stated", "spatial encoding: objects related by where they are")
    absolute_geometry: bool = setting(True, "ours", "spatial encoding: each box's place in the image")
    relative_geometry: bool = setting(True, "ours", "spatial encoding: how each pair of boxes lies")
    relevance: bool = setting(
        True, "stated", "judge how much an image counts; else rho = 1 wherever there is something to see"
    )
    integration: bool = setting(True, "stated", "weigh the grains; else beta is uniform over those present")
    iterations: int = setting(2, "ours", "how often words and regions read one another (that they iterate is stated)")
    coattention: bool = setting(True, "stated", "co-attention (its gate is ours) after the iterations")

    def __post_init__(self) -> None:
        require_kinds(ModelConfig, vars(self), ModelConfigError)
        if self.width is not None and not 1 <= self.width <= MOST_CHANNELS:
            raise ModelConfigError(f"width must be from 1 to {MOST_CHANNELS:,}, not {self.width}")
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
