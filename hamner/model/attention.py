"""The building blocks of all stages: masked softmax, multi-head attention, and the feed-forward network.

Attention is written out because torch.nn has no module with all four of: an additive bias and a message for each pair,
a fixed share of attention for each group of keys, weights for the caller, and an output that can start at zero.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Groups(NamedTuple):
    """Consecutive groups of keys, each with a fixed share of the attention.

    sizes  the number of keys in each of the g groups, 0 for an absent group; they sum to m
    shares (B, g)
    """

    sizes: tuple[int, ...]
    shares: Tensor


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension where `mask` is True; exactly 0 elsewhere, also where a whole row is masked."""
    weights = logits.masked_fill(~mask, torch.finfo(logits.dtype).min).softmax(-1)
    return weights.masked_fill(~mask, 0.0)


def softmax_by_group(logits: Tensor, mask: Tensor, groups: Groups) -> Tensor:
    """Softmax within each group of the last dimension, times the group's share.

    Args:
        logits: (B, ..., m).
        mask: boolean; broadcasts to the logits.
        groups: how the m keys are divided.
    """
    parts = zip(logits.split(groups.sizes, -1), mask.split(groups.sizes, -1), groups.shares.unbind(-1), strict=True)
    to_logits = (-1, *[1] * (logits.ndim - 1))  # (B,) to (B, 1, ..., 1)
    return torch.cat([share.view(to_logits) * masked_softmax(part, real) for part, real, share in parts], -1)


def zero_init(layer: nn.Module) -> None:
    """Set all weights of a layer to 0: the branch that ends in it adds nothing until training changes it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) from a query to a memory, both of `width` channels."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)  # softmax is invariant to a bias of the keys
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor,
        bias: Tensor | None = None,
        message: Tensor | None = None,
        groups: Groups | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Read the memory with each element of the query.

        Args:
            query: (B, n, d).
            memory: (B, m, d).
            mask: (B, m), of the memory.
            bias: added to the logits; broadcasts to (B, h, n, m).
            message: (B, n, m, d), added to the value that passes from each element of the memory to each of the query.
            groups: the memory in groups with fixed shares of the attention; without them one softmax over all.

        Returns:
            The result (B, n, d) and the attention weights (B, h, n, m).
        """
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, h, length, d/h)
            for project, x in ((self.query, query), (self.key, memory), (self.value, memory))
        )
        logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # (B, h, n, m)
        if bias is not None:
            logits = logits + bias
        mask = mask[:, None, None, :]  # (B, 1, 1, m)
        weights = masked_softmax(logits, mask) if groups is None else softmax_by_group(logits, mask, groups)
        result = (weights @ v).transpose(1, 2).flatten(2)  # (B, n, d)
        if message is not None:
            result = result + weighted_messages(weights, message)
        return self.out(result), weights


def weighted_messages(weights: Tensor, message: Tensor) -> Tensor:
    """Attention-weighted sum of pairwise messages: weights (B, h, n, m) and messages (B, n, m, d) to (B, n, d).

    Each head weighs its own d/h channels of the messages.
    """
    by_head = message.unflatten(-1, (weights.shape[1], -1))  # (B, n, m, h, d/h)
    return torch.einsum("bhnm,bnmhc->bnhc", weights, by_head).flatten(2)


class FeedForward(nn.Sequential):
    """LayerNorm and two linear layers with GELU between them, (..., d) to (..., d)."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
