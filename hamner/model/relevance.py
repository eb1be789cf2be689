"""Stage 2: how well does each grain of the image fit the post, and so how much does each count (beta), and all (rho)?

For each grain g, with its real regions M_m:

v_g  = LN(sum_m a_m M_m), a = softmax_m(s^T W_k M_m / sqrt(d))  the part of the grain that the sentence asks for
c_g  = cos(W_t s, W_g v_g)                                      how well it fits the sentence
beta = softmax_g(SHARPNESS * c_g)                               over the grains that are present
rho  = sigmoid(SHARPNESS * max_g c_g)                           in (0, 1), one for each post

One judgement decides both: a grain that fits counts more than one that does not, and the image counts as much as its
best grain. With nothing to see rho and beta are exactly 0: a post without an image, or, for a model without the grid,
an image without objects. It is *stated* that relevance is judged, that it guides how the grains are integrated, and
that both are learnt end to end. Both forms are *ours*.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hamner.model.attention import masked_softmax
from hamner.model.batch import AttentionWeights
from hamner.model.config import ModelConfig
from hamner.model.intra_modality import GRAINS, Memory

SHARPNESS = 4.0
"""Bounds rho between sigmoid(-4) = 0.018 and sigmoid(4) = 0.982, and the ratio of two grains' shares by exp(8)
(*ours*). Most images help, so that an unbounded logit saturates the sigmoid before the few misleading images can train
it."""


class Relevance(nn.Module):
    """The relevance rho of the image and the shares beta of its grains."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.judges, self.weighs = config.relevance, config.weighs_grains
        if self.judges or self.weighs:
            self.query = nn.Linear(width, width, bias=False)
            self.vision_norm = nn.LayerNorm(width)
            self.of_text = nn.Linear(width, width)
            present = (config.global_vision, config.objects and config.semantic, config.objects and config.spatial)
            self.of_grain = nn.ModuleDict(
                {grain: nn.Linear(width, width) for grain, there in zip(GRAINS, present, strict=True) if there}
            )

    def forward(self, s: Tensor | None, memory: Memory, weights: AttentionWeights) -> tuple[Tensor, Tensor]:
        """Judge the image of each post.

        Args:
            s: the sentence (B, d); None where the config learns neither rho nor beta.
            memory: M regions of d channels.
            weights: takes up `vision_pool`.

        Returns:
            rho (B,) and beta (B, 3). With `relevance=False` rho is 1, and with `integration=False` beta is uniform,
            wherever something can be seen.
        """
        masks = memory.mask.split(memory.sizes, 1)  # (B, M_g) for each grain g
        present = torch.stack([mask.any(-1) for mask in masks], -1)  # (B, 3)
        fit = torch.zeros_like(present, dtype=memory.regions.dtype)  # (B, 3), c_g
        pools: list[Tensor] = []
        if s is not None:
            text = self.of_text(s)  # (B, d)
            query = self.query(s)[:, :, None] / math.sqrt(s.shape[-1])  # (B, d, 1)
            judged = []
            for grain, regions, mask in zip(GRAINS, memory.regions.split(memory.sizes, 1), masks, strict=True):
                a = masked_softmax((regions @ query).squeeze(-1), mask)  # (B, M_g)
                pools.append(a)
                if grain not in self.of_grain:
                    judged.append(fit[:, 0])
                    continue
                v = self.vision_norm((a[:, None] @ regions).squeeze(1))  # (B, d)
                judged.append(torch.cosine_similarity(text, self.of_grain[grain](v), dim=-1))
            fit = torch.stack(judged, -1)

        beta = masked_softmax(SHARPNESS * fit if self.weighs else torch.zeros_like(fit), present)
        rho = torch.ones_like(fit[:, 0])
        if self.judges and s is not None:
            rho = (SHARPNESS * fit.masked_fill(~present, -1.0).amax(-1)).sigmoid()
        if pools:
            shares = zip(pools, beta.unbind(-1), strict=True)
            weights.vision_pool = torch.cat([share[:, None] * pool for pool, share in shares], -1)  # (B, M)
        return rho.masked_fill(~present.any(-1), 0.0), beta
