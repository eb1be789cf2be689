"""The optimiser: AdamW, and for the weight matrices of the fusion Muon.

Muon (Jordan et al. 2024) moves a matrix by its momentum with all singular values set to about 1, so that a direction
that few posts ask for is learnt as fast as one that all ask for. `torch.optim.Muon` does the same in bfloat16 and one
matrix after another; on a CPU that takes more time than the rest of a step. Here it is float32, and matrices of one
shape go together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from hamner.model.hamner import HamNer
from hamner.training.config import TrainConfig

MOMENTUM = 0.95
NARROW = 16
"""Matrices with fewer rows or columns are moved by AdamW: they have few directions (*ours*)."""
COEFFICIENTS, ROUNDS = (3.4445, -4.775, 2.0315), 5
"""Of the Newton-Schulz iteration (Jordan et al. 2024)."""
LIKE_ADAMW = 0.2
"""Root mean square of a step in units of the rate, as AdamW has it: both take the same rate (Liu et al. 2025)."""


class Optimizer(AdamW):
    """AdamW; groups with `muon=True` hold matrices, which are moved by Muon."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, fused=True)
        for group in self.param_groups:
            group.setdefault("muon", False)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move all parameters that have a gradient. Afterwards the matrices of Muon have none."""
        for group in self.param_groups:
            if group["muon"]:
                self._move(group)
        return super().step(closure)  # parameters without a gradient stay where they are

    def _move(self, group: dict[str, Any]) -> None:
        of_shape: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is not None:
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
                direction = parameter.grad.lerp(momentum, MOMENTUM)  # as Nesterov: a step ahead
                of_shape[parameter.shape].append((parameter, direction))
        for shape, pairs in of_shape.items():
            moves = orthogonal(torch.stack([direction for _, direction in pairs]))
            rate = group["lr"] * LIKE_ADAMW * max(shape) ** 0.5
            for (parameter, _), move in zip(pairs, moves, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(move, alpha=rate)
                parameter.grad = None


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices (k, m, n) with singular values of about 1 (0.7 to 1.2) in place of theirs, but for those near 0.

    The Newton-Schulz iteration X <- aX + (bA + cA^2) X, with A = X X^T, from matrices of norm 1.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    X = matrices.mT if tall else matrices  # the smaller A
    X = X / X.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ROUNDS):
        A = X @ X.mT
        X = torch.baddbmm(X, torch.baddbmm(A, A, A, beta=b, alpha=c), X, beta=a)
    return X.mT if tall else X


def parameter_groups(model: HamNer, config: TrainConfig) -> list[dict[str, Any]]:
    """Every trainable parameter, once: encoder and head at their own rates, matrices with decay, vectors without.

    With `optimizer="muon"` the matrices of the fusion that are no embeddings are in a group with `muon=True`.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = config.encoder_lr if name.startswith("text.encoder.") else config.head_lr
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            wide = parameter.ndim == 2 and min(parameter.shape) >= NARROW and id(parameter) not in embeddings
            muon = config.optimizer == "muon" and name.startswith("fusion.") and wide
            groups[rate, decay, muon].append(parameter)
    return [
        {"params": members, "lr": rate, "peak_lr": rate, "weight_decay": decay, "muon": muon}
        for (rate, decay, muon), members in groups.items()
    ]
