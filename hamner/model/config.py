"""The model's settings, each with its source."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal

from pydantic import Field

from hamner.extensions import syntax_fault
from hamner.settings import ConfigError, setting, settings

PEERS = {
    "adacan": "hamner.peers.adacan:AdaCan",
    "concatenation": "hamner.peers.concatenation:Concatenation",
    "umt": "hamner.peers.umt:Umt",
    "maf": "hamner.peers.maf:Maf",
    "visual_prefix": "hamner.peers.visual_prefix:VisualPrefix",
    "mgcmt": "hamner.peers.mgcmt:Mgcmt",
}
"""Fusions of earlier papers, in the order of history. Name -> module:Class, which is imported when it is built."""

OWN_WORDS = {"cnn_bilstm": "hamner.peers.cnn_bilstm_crf:CnnBiLstm"}
"""Text stages that read words and letters of train in place of a pretrained encoder. Name -> module:Class."""

FUSIONS = {"ham": "hamner.model.ham:Ham", **PEERS}
"""Fusions that come with the package: that of the paper, and those of its peers. Name -> module:Class."""

MOST_CHANNELS = 16_384
"""Upper bound of `width`, to catch typing errors."""

MOST_ITERATIONS = 32
"""Upper bound on iterations, to catch typing errors: each has weights of its own."""

DropoutShare = Annotated[float, Field(ge=0, lt=1)]


class ModelConfigError(ConfigError):
    """A setting of the model has a value that it cannot have, or settings contradict each other."""


@settings(ModelConfigError)
class ModelConfig:
    """The parts of the network. An ablation is one named change of this config (see `training.rows`).

    Raises ModelConfigError for a value that a setting cannot have, and for settings that cannot be combined.
    """

    text_encoder: str = setting(
        "minilm",
        "ours",
        "minilm (bundled), mpnet (extra `base`), or a Hugging Face encoder's name or folder",
        sibling="bert-base-cased",
    )
    words: Literal["pretrained", "cnn_bilstm"] = setting(
        "pretrained", "ours", "by that encoder; or cnn_bilstm, by letters and vectors of its own, without images"
    )
    frozen_text: bool = setting(False, "ours", "do not train the text encoder")
    adapter_rank: Annotated[int, Field(ge=0, le=MOST_CHANNELS)] = setting(
        0, "ours", "train a low-rank adapter of each linear layer of the text encoder in place of its weights; 0: none"
    )
    layers: Literal["last", "mix"] = setting("last", "ours", "the encoder's last layer, or a learned mix of all layers")
    local_text: bool = setting(True, "ours", "width-7 convolution over the encoder's word embeddings")
    word_shapes: bool = setting(True, "ours", "the convolution also reads the words' shapes (capitals, digits, @, #)")
    dropout: DropoutShare = setting(
        0.1, "sibling", "dropout on word representations, in the interaction, and before the classifier"
    )
    width: Annotated[int, Field(ge=1, le=MOST_CHANNELS)] | None = setting(
        128, "ours", "channels of all representations; None: the text encoder's hidden size", sibling=None
    )
    heads: Annotated[int, Field(ge=1, le=MOST_CHANNELS)] = setting(
        4, "ours", "attention heads of each block outside the text encoder", sibling=12
    )
    vision: bool = setting(False, "stated", "read images; without it the model is text-only")
    fusion: str = setting(
        "ham", "stated", "where words meet the image: ham (the paper's stages), a peer, or module:Class of your own"
    )
    visual_dropout: DropoutShare = setting(0.0, "ours", "dropout on the frozen features of images")
    global_vision: bool = setting(True, "stated", "the grid of the whole image, and the scene vector")
    objects: bool = setting(True, "stated", "objects, in the encodings that are on")
    semantic: bool = setting(True, "stated", "semantic encoding: relations of objects and scene by content")
    spatial: bool = setting(True, "stated", "spatial encoding: relations of objects by their boxes")
    absolute_geometry: bool = setting(True, "ours", "spatial encoding: each box's place in the image")
    relative_geometry: bool = setting(True, "ours", "spatial encoding: the relative position of each pair of boxes")
    relevance: bool = setting(True, "stated", "learn rho, how much an image counts; without it rho = 1 for every image")
    integration: bool = setting(
        True, "stated", "beta, how much each grain counts, by its relevance; without it all count alike"
    )
    iterations: Annotated[int, Field(ge=0, le=MOST_ITERATIONS)] = setting(
        2, "ours", "rounds of cross-attention between words and regions (iterating is stated)"
    )
    coattention: bool = setting(True, "stated", "co-attention (its gate is ours) after the iterations")

    def __post_init__(self) -> None:
        if fault := syntax_fault(self.fusion):
            raise ModelConfigError(f"fusion cannot be {self.fusion!r}: {fault}")
        if self.fusion != "ham" and (changed := [name for name in OF_HAM if getattr(self, name) != DEFAULTS[name]]):
            raise ModelConfigError(
                f"{' and '.join(changed)}: of the fusion ham alone, and this is {self.fusion}; leave the default"
            )
        if self.words in OWN_WORDS and self.vision:
            raise ModelConfigError(f"words={self.words} reads no image: turn vision off, or take words=pretrained")
        if self.frozen_text and self.adapter_rank:
            raise ModelConfigError(
                "an adapter trains the text encoder, which frozen_text forbids: set adapter_rank to 0, or frozen_text "
                "to false"
            )
        if (self.width or self.heads) % self.heads:
            raise ModelConfigError(f"heads ({self.heads}) must divide the width ({self.width})")
        if not any(self.grains):
            raise ModelConfigError("no part of the image is left: turn global_vision or objects on, or vision off")
        if not self.iterations and not self.coattention:
            raise ModelConfigError(
                "no word reads a region: set iterations to at least 1, turn coattention on, or vision off"
            )

    @property
    def grains(self) -> tuple[bool, bool, bool]:
        """Which grains (granularity levels) the memory holds: global, semantic, spatial.

        Objects with neither encoding take the semantic grain's place as they are.
        """
        return (
            self.global_vision,
            self.objects and (self.semantic or not self.spatial),
            self.objects and self.spatial,
        )

    @property
    def weighs_grains(self) -> bool:
        """Whether beta follows relevance: a single grain has nothing to be weighed against."""
        return self.integration and sum(self.grains) > 1


OF_HAM = (
    "global_vision", "objects", "semantic", "spatial", "absolute_geometry", "relative_geometry", "relevance",
    "integration", "iterations", "coattention",
)  # fmt: skip
"""The settings that only the fusion `ham` reads: the parts of the paper."""

DEFAULTS = {item.name: item.default for item in fields(ModelConfig) if item.name in OF_HAM}
