"""What every fusion takes and gives: the place in the model where words meet an image."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hamner.model.batch import AttentionWeights, ImageFeatures


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
    """

    words: Tensor
    relevance: Tensor | None = None
    integration: Tensor | None = None
    weights: AttentionWeights | None = None
    loss: Tensor | None = None
