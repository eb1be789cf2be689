"""A low-rank adapter (LoRA, Hu et al. 2022): a frozen text encoder learns by a small addition to each linear layer.

y = W x + b + SCALE U D x      W (out, in) and b frozen, D (rank, in) and U (out, rank) learned

U starts at zero, so training starts at the pretrained encoder. A run with an adapter keeps D and U alone: W comes with
the encoder.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hamner.model.config import ModelConfigError

SCALE = 2.0
"""The factor before U D x (*ours*; alpha / rank in Hu et al.)."""


class LowRank(nn.Module):
    """A frozen linear layer and its adapter: (..., in) to (..., out)."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down = nn.Parameter(torch.empty(rank, linear.in_features))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + SCALE * (x @ self.down.T @ self.up.T)


def adapt(encoder: nn.Module, rank: int) -> None:
    """Freeze `encoder` and give each of its linear layers an adapter; one that has an adapter gets a new one.

    Raises ModelConfigError if it has no linear layer.
    """
    encoder.requires_grad_(False)
    adapted = 0
    for parent in list(encoder.modules()):
        for name, layer in [] if isinstance(parent, LowRank) else list(parent.named_children()):
            linear = layer.linear if isinstance(layer, LowRank) else layer
            if isinstance(linear, nn.Linear):
                setattr(parent, name, LowRank(linear, rank))
                adapted += 1
    if not adapted:
        raise ModelConfigError(
            f"{type(encoder).__name__} has no linear layer, which an adapter needs: leave adapter_rank at 0, or choose "
            "another text encoder"
        )
