"""What every fusion takes and gives: the place in the model where words meet an image.

A fusion is a `torch.nn.Module` that is built from a `ModelConfig` and `Sizes` and turns `Seen` into `Fused`. FUSIONS
come with the package; one of your own is loaded by name (`hamner.extensions`, docs/EXTEND.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from hamner import extensions
from hamner.errors import HamnerError
from hamner.extensions import Extension
from hamner.model.batch import AttentionWeights, ImageFeatures
from hamner.model.config import FUSIONS, ModelConfig


class FusionError(HamnerError):
    """A fusion cannot be built, or gives something else than `Fused`."""


@dataclass(frozen=True)
class Sizes:
    """The sizes that a fusion is built for.

    width    d, channels of the words that it takes and gives
    hidden   d_enc, channels of the text encoder's last layer
    channels C, of the visual features
    classes  number of the objects' class ids, 0 included
    tags     the K tags in the order of their ids
    """

    width: int
    hidden: int
    channels: int
    classes: int
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """What a fusion takes: B posts of up to n words. Masks are boolean, True = real.

    words     (B, n, d) T, from the text stage
    word_mask (B, n)
    layer     (B, n, d_enc) the text encoder's last layer at each word, for a reading of the post as a whole
    images    their features; `images.image_mask` says which posts have an image
    tags      (B, n) tag ids, 0 at padding, for an auxiliary loss; None where they are unknown
    """

    words: Tensor
    word_mask: Tensor
    layer: Tensor
    images: ImageFeatures
    tags: Tensor | None = None


@dataclass(frozen=True)
class Fused:
    """What a fusion gives.

    words       (B, n, d) H, for the decoder
    relevance   (B,) how much the image counts, for a fusion that judges it
    integration (B, 3) how much each grain counts, for a fusion that weighs them
    weights     attention weights, for a fusion that keeps them
    loss        an auxiliary loss, a mean over posts that is added to the decoder's
    emissions   (B, n, K) scores of the tags that are added to the decoder's, for a fusion that has some of its own
    """

    words: Tensor
    relevance: Tensor | None = None
    integration: Tensor | None = None
    weights: AttentionWeights | None = None
    loss: Tensor | None = None
    emissions: Tensor | None = None


def fusion_named(name: str) -> Extension:
    """Where the fusion of this name comes from. Raises ExtensionError if there is none."""
    return extensions.locate(name, "fusion", FUSIONS)


def build_fusion(config: ModelConfig, sizes: Sizes) -> nn.Module:
    """The fusion that `config` names. Raises ExtensionError or FusionError if it cannot be loaded or built."""
    found = extensions.load(fusion_named(config.fusion), nn.Module)
    try:
        return found(config, sizes)
    except TypeError as error:
        raise FusionError(
            f"the fusion {config.fusion!r} cannot be built from (config, sizes): {error}; see docs/EXTEND.md"
        ) from error


def checked(fused: object, seen: Seen, name: str, tags: int) -> Fused:
    """What a fusion gave, as `Fused`; a tensor alone is its words.

    Raises FusionError for any other object, and for words of another shape than they came in, or scores of other than
    `tags` tags.
    """
    if isinstance(fused, Tensor):
        fused = Fused(fused)
    if not isinstance(fused, Fused):
        raise FusionError(f"the fusion {name!r} gave {type(fused).__name__}: give hamner.Fused, or the words alone")
    shapes = {
        "words": (fused.words, seen.words.shape),
        "relevance": (fused.relevance, seen.words.shape[:1]),
        "loss": (fused.loss, ()),
        "emissions": (fused.emissions, (*seen.words.shape[:2], tags)),
    }
    for part, (value, shape) in shapes.items():
        if value is not None and tuple(value.shape) != tuple(shape):
            raise FusionError(
                f"the fusion {name!r} gave {part} of shape {tuple(value.shape)} instead of {tuple(shape)}"
            )
    return fused
