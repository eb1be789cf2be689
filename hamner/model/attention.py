"""The building blocks of all stages: masked softmax, dropout, multi-head attention, and the feed-forward network.

Attention is written out because torch.nn has no module with all four of: an additive bias and a message for each pair,
a fixed share of attention for each group of keys, weights for the caller, and an output that can start at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

SCALE = 8.0
"""Attention logits are SCALE times the cosine of query and key (query-key normalisation, Henry et al. 2020; the value
is *ours*). With a dot product, weight decay keeps the logits so small that attention stays flat: training learns the
images by heart before it learns which region the words name."""


class Groups(NamedTuple):
    """Consecutive groups of keys, each with a fixed share of the attention.

    sizes  the number of keys in each of the g groups, 0 for an absent group; they sum to m
    shares (B, g)
    """

    sizes: tuple[int, ...]
    shares: Tensor


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension where `mask` is True; exactly 0 elsewhere, also where a whole row is masked."""
    weights = (logits + _mask_bias(mask, logits.dtype)).softmax(-1)
    return weights * mask.any(-1, keepdim=True).to(logits.dtype)


def _mask_bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where `mask` is True, the lowest number of `dtype` elsewhere.

    Adding it takes a fifth of the time of `masked_fill`, because the mask has one row for all heads and queries.
    """
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)


def softmax_by_group(logits: Tensor, mask: Tensor, groups: Groups) -> Tensor:
    """Softmax within each group of the last dimension, times the group's share.

    Args:
        logits: (B, ..., m).
        mask: boolean; broadcasts to the logits.
        groups: how the m keys are divided.
    """
    logits = logits + _mask_bias(mask, logits.dtype)
    parts = zip(logits.split(groups.sizes, -1), mask.split(groups.sizes, -1), groups.shares.unbind(-1), strict=True)
    weights, shares = [], []
    for part, real, share in parts:
        weights.append(part.softmax(-1))
        share = share.view(-1, *[1] * (mask.ndim - 1)) * real.any(-1, keepdim=True)  # (B, 1, ..., 1)
        shares.append(share.expand(real.shape))
    return torch.cat(weights, -1) * torch.cat(shares, -1)


def unit(vectors: Tensor) -> Tensor:
    """Vectors (..., d) scaled to length 1; a zero vector stays as it is."""
    return nn.functional.normalize(vectors, dim=-1)


def zero_init(layer: nn.Module) -> None:
    """Set all weights of a layer to 0: the branch that ends in it adds nothing until training changes it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Dropout(nn.Module):
    """torch.nn.Dropout with four random decisions from each random 64-bit number: a third of the time on a CPU.

    `share`, the probability that an element becomes 0, is rounded to a 65,536th.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.dropped = round(share * 65_536)

    def forward(self, values: Tensor) -> Tensor:
        """Values of any shape to the same shape; in eval mode unchanged."""
        if not self.training or not self.dropped:
            return values
        return values * self.kept(values.shape, values)

    def kept(self, shape: torch.Size, like: Tensor) -> Tensor:
        """Factors of this shape: 0, or the number that makes up for what is dropped. On the device of `like`."""
        count = math.prod(shape)
        random = torch.empty(-(-count // 4), dtype=torch.int64, device=like.device).random_(-(2**63), None)
        kept = random.view(torch.int16)[:count].view(shape) >= self.dropped - 32_768
        return kept.to(like.dtype).mul_(65_536 / (65_536 - self.dropped))


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) from a query to a memory, both of `width` channels, by cosines."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        # Keys, then values: one product instead of two. (The keys need no bias; softmax is invariant to it.)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor,
        bias: Tensor | None = None,
        message: Callable[[Tensor], Tensor] | None = None,
        groups: Groups | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Read the memory with each element of the query.

        Args:
            query: (B, n, d).
            memory: (B, m, d).
            mask: (B, m), of the memory.
            bias: added to the logits; broadcasts to (B, h, n, m).
            message: from the attention weights to what is added to the values that are read, (B, n, d); see
                `intra_modality.Pairs`.
            groups: the memory in groups with fixed shares of the attention; without them one softmax over all.

        Returns:
            The result (B, n, d) and the attention weights (B, h, n, m).
        """
        q = self.query(query).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, h, n, d/h)
        k, v = self.key_value(memory).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, h, m, d/h) each
        logits = SCALE * unit(q) @ unit(k).transpose(-1, -2)  # (B, h, n, m)
        if bias is not None:
            logits = logits + bias
        mask = mask[:, None, None, :]  # (B, 1, 1, m)
        weights = masked_softmax(logits, mask) if groups is None else softmax_by_group(logits, mask, groups)
        result = (weights @ v).transpose(1, 2).flatten(2)  # (B, n, d)
        if message is not None:
            result = result + message(weights)
        return self.out(result), weights


class FeedForward(nn.Sequential):
    """LayerNorm and two linear layers with GELU between them, (..., d) to (..., d)."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
