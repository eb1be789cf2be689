"""Four posts with images of up to four objects, one post without an image, and peers whose zeros are no zeros."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hamner.corpora.tags import TAGS
from hamner.model.batch import ImageFeatures
from hamner.model.config import ModelConfig
from hamner.model.fusion import Seen, Sizes

D, HIDDEN, CHANNELS, CLASSES, REGIONS = 8, 10, 6, 5, 3
CONFIG = ModelConfig(vision=True, width=D, heads=2, dropout=0.0)
SIZES = Sizes(D, HIDDEN, CHANNELS, CLASSES, TAGS)
WITHOUT = 2
"""The post without an image."""
SEEN_OBJECTS = (2, 4, 0, 0)
"""The last post has an image on which nothing was detected."""


def make_seen(lengths: tuple[int, ...] = (4, 3, 2, 3), seed: int = 0) -> Seen:
    g = torch.Generator().manual_seed(seed)
    B, n, K = len(lengths), max(lengths), max(SEEN_OBJECTS)
    word_mask = torch.arange(n) < torch.tensor(lengths)[:, None]
    object_mask = torch.arange(K) < torch.tensor(SEEN_OBJECTS)[:, None]
    there = torch.arange(B) != WITHOUT
    return Seen(
        words=torch.randn(B, n, D, generator=g),
        word_mask=word_mask,
        layer=torch.randn(B, n, HIDDEN, generator=g),
        images=ImageFeatures(
            grid=torch.randn(B, REGIONS, CHANNELS, generator=g) * there[:, None, None],
            objects=torch.randn(B, K, CHANNELS, generator=g) * object_mask[:, :, None],
            boxes=torch.zeros(B, K, 4),
            classes=torch.randint(1, CLASSES, (B, K), generator=g) * object_mask,
            scores=torch.rand(B, K, generator=g) * object_mask,
            object_mask=object_mask,
            box_mask=object_mask,
            image_mask=there,
        ),
        tags=torch.randint(0, len(TAGS), (B, n), generator=g) * word_mask,
    )


def changed(seen: Seen, **features: Tensor) -> Seen:
    """The posts with some of their visual features changed."""
    return replace(seen, images=seen.images._replace(**features))


def rows(seen: Seen, index: slice | list[int]) -> Seen:
    """Some of the posts alone."""
    parts = {name: getattr(seen, name)[index] for name in ("words", "word_mask", "layer", "tags")}
    return Seen(images=ImageFeatures(*(value[index] for value in seen.images)), **parts)


def built(peer: type[nn.Module], seed: int = 1, **settings: Any) -> Any:
    """A peer in eval mode with random weights, the zeros of its branches too: as it may be after some training."""
    torch.manual_seed(0)
    fusion = peer(replace(CONFIG, **settings), SIZES)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=g)
    return fusion.eval()


def by_hand(layer: Any, x: Tensor, memory: Tensor) -> Tensor:
    """A Transformer layer of `blocks` on one post without padding, x (n, d) and memory (m, d), head by head."""
    attention = layer.attention
    weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    q, k, v = (y @ w.T + b for y, w, b in zip((x, memory, memory), weights, biases, strict=True))
    size = D // CONFIG.heads
    heads = [slice(h * size, (h + 1) * size) for h in range(CONFIG.heads)]
    read = [(q[:, h] @ k[:, h].T / size**0.5).softmax(-1) @ v[:, h] for h in heads]
    x = normed(x + attention.out_proj(torch.cat(read, -1)), layer.norm)
    first, _, second = layer.feed_forward
    return normed(x + second(nn.functional.gelu(first(x))), layer.out_norm)


def normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """LayerNorm, written out."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


@pytest.fixture
def seen() -> Seen:
    return make_seen()
