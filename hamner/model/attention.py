"""The parts that all stages are built of: attention that shows its weights, and the feed-forward network.

Attention is written out, not taken from torch.nn, because it needs what those do not offer together: an additive bias
and a message from each pair, shares of attention for groups, weights to look at, and an output that can start at zero.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension where `mask` is True; exactly 0 elsewhere, and in rows where nothing is real."""
    weights = logits.masked_fill(~mask, torch.finfo(logits.dtype).min).softmax(-1)
    return weights.masked_fill(~mask, 0.0)


def softmax_by_group(logits: Tensor, mask: Tensor, group: Tensor, share: Tensor) -> Tensor:
    """Softmax within each group of the last dimension, times the group's share.

    Logits (B, ..., m) and a mask that broadcasts to them, the group of each element (m,) in rising order, and each
    group's share (B, groups).
    """
    sizes = group.bincount(minlength=share.shape[-1]).tolist()
    of_groups = zip(logits.split(sizes, -1), mask.split(sizes, -1), share.unbind(-1), strict=True)
    return torch.cat(
        [
            masked_softmax(part, real) * of_group.view(-1, *[1] * (logits.ndim - 1))
            for part, real, of_group in of_groups
            if part.shape[-1]
        ],
        -1,
    )


def from_zero(layer: nn.Module) -> None:
    """Set all weights of a layer to 0: a branch that ends in it says nothing until it has learnt to."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) from a query to a memory, both of `width` channels."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)  # softmax would not see a bias here
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        mask: Tensor,
        bias: Tensor | None = None,
        message: Tensor | None = None,
        groups: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(B, n, d), (B, m, d) and the memory's mask (B, m) to the result (B, n, d) and the weights (B, h, n, m).

        `bias`, broadcast to (B, h, n, m), is added to the logits; `message` (B, n, m, d) to the value that passes from
        each element of the memory to each of the query; `groups` are the last two arguments of `softmax_by_group`.
        """
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, h, length, d/h)
            for project, x in ((self.query, query), (self.key, memory), (self.value, memory))
        )
        logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # (B, h, n, m)
        if bias is not None:
            logits = logits + bias
        mask = mask[:, None, None, :]
        weights = masked_softmax(logits, mask) if groups is None else softmax_by_group(logits, mask, *groups)
        mixed = weights @ v  # (B, h, n, d/h)
        result = mixed.transpose(1, 2).flatten(2)
        if message is not None:
            result = result + passed(weights, message)
        return self.out(result), weights


def passed(weights: Tensor, message: Tensor) -> Tensor:
    """What arrives of messages (B, n, m, d), of which each head has its part, with weights (B, h, n, m): (B, n, d)."""
    heads = message.unflatten(-1, (weights.shape[1], -1))
    return torch.einsum("bhnm,bnmhc->bnhc", weights, heads).flatten(2)


class FeedForward(nn.Sequential):
    """LayerNorm and two layers with GELU between them, (..., d) to (..., d)."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
