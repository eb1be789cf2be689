"""A model so small that a test takes no time: a random BERT of 32 channels, 5 regions, up to 4 objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel

from hamner.corpora.tags import TAGS
from hamner.model.batch import Batch, ImageFeatures
from hamner.model.config import ModelConfig
from hamner.model.hamner import HamNer
from hamner.model.text import SHAPES

CHANNELS, CLASSES = 12, 6
FULL = ModelConfig(layers="mix", width=16, vision=True)


def tiny_bert() -> BertModel:
    torch.manual_seed(0)
    return BertModel(
        BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    )


def build(config: ModelConfig = FULL, **changes: Any) -> HamNer:
    """A model with random weights, the zeros of its branches too: as it may be after some training."""
    model = HamNer(replace(config, **changes), tiny_bert(), TAGS, CHANNELS, CLASSES)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("text.encoder."):
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def make_batch(
    lengths: tuple[int, ...] = (5, 3, 1, 4), objects: tuple[int, ...] = (3, 4, 2, 0), seed: int = 0
) -> Batch:
    """Posts of `lengths` words, one or two pieces each, with images of so many `objects`; the last box is unknown."""
    g, shaped = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    B, n, K, R = len(lengths), max(lengths), max(objects), 5
    spelt = [torch.randint(1, 3, (length,), generator=g) for length in lengths]
    P = max(int(pieces.sum()) for pieces in spelt) + 2
    first = torch.zeros(B, n, dtype=torch.long)
    for row, pieces in enumerate(spelt):
        first[row, : len(pieces)] = 1 + pieces.cumsum(0) - pieces
    word_mask = torch.arange(n) < torch.tensor(lengths)[:, None]
    piece_mask = torch.arange(P) < torch.tensor([int(pieces.sum()) + 2 for pieces in spelt])[:, None]
    object_mask = torch.arange(K) < torch.tensor(objects)[:, None]
    box_mask = object_mask.clone()
    box_mask[0, objects[0] - 1] = False
    corners = torch.rand(B, K, 2, 2, generator=g).sort(2).values  # (B, K, low and high, x and y)
    return Batch(
        word_mask=word_mask,
        index=torch.arange(B),
        tags=torch.randint(0, len(TAGS), (B, n), generator=g) * word_mask,
        shapes=torch.randint(0, 2, (B, n, len(SHAPES)), generator=shaped) * word_mask[:, :, None],
        pieces=torch.randint(1, 50, (B, P), generator=g) * piece_mask,
        piece_mask=piece_mask,
        first_piece=first,
        images=ImageFeatures(
            grid=torch.randn(B, R, CHANNELS, generator=g),
            objects=torch.randn(B, K, CHANNELS, generator=g) * object_mask[:, :, None],
            boxes=corners.flatten(2) * box_mask[:, :, None],
            classes=torch.randint(0, CLASSES, (B, K), generator=g) * object_mask,
            scores=torch.rand(B, K, generator=g) * object_mask,
            object_mask=object_mask,
            box_mask=box_mask,
            image_mask=torch.ones(B, dtype=torch.bool),
        ),
    )


@pytest.fixture
def batch() -> Batch:
    return make_batch()


@pytest.fixture
def model() -> HamNer:
    return build()


def with_images(batch: Batch, **changed: torch.Tensor) -> Batch:
    """The batch with some of its visual features changed."""
    return replace(batch, images=batch.images._replace(**changed))
