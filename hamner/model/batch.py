"""What goes into the model and what comes out of it: tensors alone."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor


class ImageFeatures(NamedTuple):
    """The frozen features of B posts' images: R regions of a grid and up to K >= 1 objects, each of C channels.

    grid        (B, R, C) the backbone's last map
    objects     (B, K, C)
    boxes       (B, K, 4) x1, y1, x2, y2 as shares of the image, in [0, 1]
    classes     (B, K) class ids, 0 = padding or unknown
    scores      (B, K) how sure the detector was, in [0, 1]
    object_mask (B, K)
    box_mask    (B, K) where the object's box is known
    image_mask  (B,)   where the post has an image
    """

    grid: Tensor
    objects: Tensor
    boxes: Tensor
    classes: Tensor
    scores: Tensor
    object_mask: Tensor
    box_mask: Tensor
    image_mask: Tensor


@dataclass(frozen=True)
class Batch:
    """B posts, padded to the longest of them. Masks are boolean, True = real.

    word_mask   (B, n) a post has at least one word
    index       (B,)   which item of the data set each row is
    tags        (B, n) tag ids, 0 at padding; None when they are not known
    shapes      (B, n, 7) how each word is written, as `word_shape` gives it; for models with `word_shapes`

    The words, for the text encoder to read:

    pieces      (B, P) word-piece ids, the encoder's special tokens included
    piece_mask  (B, P)
    first_piece (B, n) position in `pieces` of each word's first piece, 0 at padding

    or read already, by `TextStage.read` of a frozen encoder, which is then not run:

    word_layers     (B, n, L, d_enc) the encoder's layers at each word's first piece
    word_embeddings (B, n, d_enc)    its input embeddings there

    And the fields of `Images`, all of them or none.
    """

    word_mask: Tensor
    index: Tensor
    tags: Tensor | None = None
    shapes: Tensor | None = None
    pieces: Tensor | None = None
    piece_mask: Tensor | None = None
    first_piece: Tensor | None = None
    word_layers: Tensor | None = None
    word_embeddings: Tensor | None = None
    grid: Tensor | None = None
    objects: Tensor | None = None
    boxes: Tensor | None = None
    classes: Tensor | None = None
    scores: Tensor | None = None
    object_mask: Tensor | None = None
    box_mask: Tensor | None = None
    image_mask: Tensor | None = None

    def __post_init__(self) -> None:
        for name, value in self.tensors().items():
            if name.endswith("mask") and value.dtype != torch.bool:
                raise TypeError(f"{name} must be boolean (True = real), not {value.dtype}")
        absent = [name for name in ImageFeatures._fields if getattr(self, name) is None]
        if absent and len(absent) < len(ImageFeatures._fields):
            raise TypeError(f"a batch has all visual fields or none: {', '.join(absent)} missing")

    @property
    def images(self) -> ImageFeatures | None:
        """The visual fields, when the batch has them."""
        if self.grid is None:
            return None
        return ImageFeatures(*(getattr(self, name) for name in ImageFeatures._fields))

    def tensors(self) -> dict[str, Tensor]:
        """Name -> tensor, of those that are there."""
        return {item.name: value for item in fields(self) if (value := getattr(self, item.name)) is not None}

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch on `device`."""
        return replace(
            self, **{name: value.to(device, non_blocking=non_blocking) for name, value in self.tensors().items()}
        )


@dataclass(frozen=True)
class Trace:
    """What one forward pass looked at, as it was in that very pass. None where the config has no such part.

    Rows of weights sum to 1 over the last dimension, and are all 0 where there was nothing to look at. The M regions
    are those of the memory [G; O_sem; O_spa]: `grain` (M,) says which are which (0 global, 1 semantic, 2 spatial).

    text_pool      (B, n)          how much each word counts in s
    vision_pool    (B, M)          how much each region counts in v
    semantic       (B, h, 1+K, 1+K) among the scene (first, if there is one) and the objects
    spatial        (B, h, K, K)    among the objects, by where they are
    word_to_region (B, L, h, n, M) in each iteration
    region_to_word (B, L, h, M, n) in each iteration; the last is missing without co-attention, where nothing reads it
    co_regions     (B, n, M)       co-attention, softmax over regions
    co_words       (B, M, n)       co-attention, softmax over words
    gate           (B, n)          z, mean over its channels
    """

    grain: Tensor
    text_pool: Tensor | None = None
    vision_pool: Tensor | None = None
    semantic: Tensor | None = None
    spatial: Tensor | None = None
    word_to_region: Tensor | None = None
    region_to_word: Tensor | None = None
    co_regions: Tensor | None = None
    co_words: Tensor | None = None
    gate: Tensor | None = None


@dataclass(frozen=True)
class Output:
    """What one forward pass gives.

    emissions   (B, n, 9) scores of the tags at each word
    word_mask   (B, n)
    loss        mean negative log-likelihood per post; None when the batch has no tags
    relevance   (B,)   rho: how much the image counts; 0 with nothing to see. None in a text-only model
    integration (B, 3) beta: how much each grain counts (global, semantic, spatial); sums to 1, or 0 with nothing to see
    trace       what was looked at, when it was asked for and there were images
    """

    emissions: Tensor
    word_mask: Tensor
    loss: Tensor | None = None
    relevance: Tensor | None = None
    integration: Tensor | None = None
    trace: Trace | None = None
