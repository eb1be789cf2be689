"""What goes into the model and what comes out of it: tensors alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor


class ImageFeatures(NamedTuple):
    """The frozen features of B posts' images: a grid of R regions and up to K >= 1 objects, each of C channels.

    Each vector of C channels is standardised: its mean is 0 and its variance 1 (*ours*), because feature sources differ
    in scale by a factor of ten. `VisualFeatures.standardised` does so once for each image.

    grid        (B, R, C) the backbone's last map
    objects     (B, K, C)
    boxes       (B, K, 4) x1, y1, x2, y2 as shares of the image, in [0, 1]
    classes     (B, K) class ids, 0 = padding or unknown
    scores      (B, K) the detector's scores, in [0, 1]
    object_mask (B, K)
    box_mask    (B, K) True where the object's box is known
    image_mask  (B,)   True where the post has an image
    """

    grid: Tensor
    objects: Tensor
    boxes: Tensor
    classes: Tensor
    scores: Tensor
    object_mask: Tensor
    box_mask: Tensor
    image_mask: Tensor

    @classmethod
    def absent(cls, posts: int, channels: int, device: torch.device | str = "cpu") -> ImageFeatures:
        """Features of posts without an image: one region and one object, all 0 and masked."""
        vectors, flags = torch.zeros(posts, 1, channels, device=device), torch.zeros(posts, 1, device=device)
        masked = flags.bool()
        return cls(
            vectors, vectors, flags[..., None].expand(-1, -1, 4), flags.long(), flags, masked, masked, masked[:, 0]
        )


@dataclass(frozen=True)
class Batch:
    """B posts, padded to the longest of them. Masks are boolean, True = real.

    word_mask (B, n) each post has at least one word
    index     (B,)   the post's number in the data set
    images    the posts' visual features; None for a model without vision
    tags      (B, n) tag ids, 0 at padding; None where they are unknown
    shapes    (B, n, 7) how each word is written, see `text.word_shape`; for models with `word_shapes`

    The words, as the text encoder reads them:

    pieces      (B, P) word-piece ids, with the encoder's special tokens
    piece_mask  (B, P)
    first_piece (B, n) position in `pieces` of each word's first piece, 0 at padding

    or as a text stage with a `Lexicon` reads them, to which each word is one piece:

    pieces      (B, n) the words' numbers, 0 at padding
    letters     (B, n, L) the numbers of their letters, 0 after a word's end

    or the word vectors that `TextStage.read` has computed before, with which the encoder is not run again:

    word_layers     (B, n, L, d_enc) the encoder's layers at each word's first piece
    word_embeddings (B, n, d_enc)    its input embeddings there

    Raises TypeError for a mask that is not boolean.
    """

    word_mask: Tensor
    index: Tensor
    images: ImageFeatures | None = None
    tags: Tensor | None = None
    shapes: Tensor | None = None
    pieces: Tensor | None = None
    piece_mask: Tensor | None = None
    first_piece: Tensor | None = None
    letters: Tensor | None = None
    word_layers: Tensor | None = None
    word_embeddings: Tensor | None = None

    def __post_init__(self) -> None:
        masks = {"word_mask": self.word_mask, "piece_mask": self.piece_mask}
        if self.images is not None:
            masks |= {name: value for name, value in self.images._asdict().items() if name.endswith("mask")}
        for name, mask in masks.items():
            if mask is not None and mask.dtype != torch.bool:
                raise TypeError(f"{name} must be boolean (True = real), not {mask.dtype}")

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with `change` applied to each of its tensors."""
        changed = {
            item.name: change(value) for item in fields(self) if isinstance(value := getattr(self, item.name), Tensor)
        }
        images = None if self.images is None else ImageFeatures(*map(change, self.images))
        return replace(self, images=images, **changed)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch on `device`."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))


@dataclass
class AttentionWeights:
    """The attention weights of one forward pass, kept as each stage computes them. None for a part that is absent.

    Weights sum to 1 over the last dimension; they are all 0 where everything is masked. The M regions are those of the
    memory [G; O_sem; O_spa]; `grain` (M,) gives each region's grain: 0 global, 1 semantic, 2 spatial.

    text_pool      (B, n)           of the words in s
    vision_pool    (B, M)           of the regions in v_g, times the share beta of their grain
    semantic       (B, h, 1+K, 1+K) between the scene (first, if the model has the grid) and the objects
    spatial        (B, h, K, K)     between the objects, by geometry
    word_to_region (B, L, h, n, M)  in each iteration; until `detached` stacks them, L of (B, h, n, M)
    region_to_word (B, L, h, M, n)  likewise; without co-attention the last iteration has none
    co_regions     (B, n, M)        co-attention, softmax over regions
    co_words       (B, M, n)        co-attention, softmax over words
    gate           (B, n)           z, mean over its channels (a gate: it does not sum to 1)
    """

    grain: Tensor
    text_pool: Tensor | None = None
    vision_pool: Tensor | None = None
    semantic: Tensor | None = None
    spatial: Tensor | None = None
    word_to_region: Tensor | Sequence[Tensor] | None = None
    region_to_word: Tensor | Sequence[Tensor] | None = None
    co_regions: Tensor | None = None
    co_words: Tensor | None = None
    gate: Tensor | None = None

    @property
    def of_words(self) -> bool:
        """Whether they say which regions each word reads."""
        return self.co_regions is not None or self.word_to_region is not None

    def detached(self) -> AttentionWeights:
        """The same weights without their gradients, in float32 after a pass in bfloat16, iterations stacked."""
        kept = {item.name: value for item in fields(self) if (value := getattr(self, item.name)) is not None}
        for name in ("word_to_region", "region_to_word"):
            if name in kept:
                kept[name] = torch.stack([weights.detach() for weights in kept[name]], 1)
        return AttentionWeights(**{name: float32(value.detach()) for name, value in kept.items()})


def float32(values: Tensor) -> Tensor:
    """bfloat16 as float32, for numpy and for sums over many tags; other precisions stay as they are."""
    return values.float() if values.dtype == torch.bfloat16 else values


@dataclass(frozen=True)
class Output:
    """The result of one forward pass.

    emissions         (B, n, K) scores of the K tags at each word
    word_mask         (B, n)
    loss              mean negative log-likelihood per post; None when the batch has no tags
    relevance         (B,)   rho, how much the image counts; 0 with nothing to see; None in a text-only model
    integration       (B, 3) beta, how much each grain counts (global, semantic, spatial); sums to 1, or is 0 with
                             nothing to see; None in a text-only model
    attention_weights None unless the caller asked for them and the batch has images
    """

    emissions: Tensor
    word_mask: Tensor
    loss: Tensor | None = None
    relevance: Tensor | None = None
    integration: Tensor | None = None
    attention_weights: AttentionWeights | None = None
