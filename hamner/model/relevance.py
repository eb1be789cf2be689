"""Stage 2: how much does each grain of the image count (beta), and how much the image (rho)?

For each grain g, with its real regions M_m:

v_g  = LN(sum_m a_m M_m), a = softmax_m(s^T W_k M_m / sqrt(d))  the part of the grain that the sentence asks for
c_g  = cos(W_t s, W_g v_g)                                      how well it fits the sentence
beta = softmax_g(c_g)                                           over the grains that are present
v    = sum_g beta_g v_g                                         the image, integrated by relevance
rho  = sigmoid(SHARPNESS * cos(W_r s, W_v v))                   in (0, 1), one for each post

Of three grains each has a share from 0.06 to 0.79. A sharper softmax soon gives one grain everything, and what the
others know is never learnt.

beta and rho have projections of their own, because they answer different questions: which grain are the words about,
and is the image about the same thing as the words? With nothing to see rho and beta are exactly 0: a post without an
image, or, for a model without the grid, an image without objects. It is *stated* that relevance is judged, that it
guides how the grains are integrated, and that both are learnt end to end. Both forms are *ours*.
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
"""Bounds rho between sigmoid(-4) = 0.018 and sigmoid(4) = 0.982 (*ours*). Most images help, so that an unbounded logit
saturates the sigmoid before the few misleading images can train it."""


class Relevance(nn.Module):
    """The relevance rho of the image and the shares beta of its grains."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.judges, self.weighs = config.relevance, config.weighs_grains
        if self.judges or self.weighs:
            self.query = nn.Linear(width, width, bias=False)
            self.vision_norm = nn.LayerNorm(width)
        if self.weighs:
            self.asked = nn.Linear(width, width)
            there = zip(GRAINS, config.grains, strict=True)
            self.of_grain = nn.ModuleDict({grain: nn.Linear(width, width) for grain, is_there in there if is_there})
        if self.judges:
            self.of_text, self.of_image = nn.Linear(width, width), nn.Linear(width, width)

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
        rho = torch.ones_like(fit[:, 0])
        if s is None:
            return rho.masked_fill(~present.any(-1), 0.0), masked_softmax(fit, present)
        query = self.query(s)[:, :, None] / math.sqrt(s.shape[-1])  # (B, d, 1)
        regions = memory.regions.split(memory.sizes, 1)
        pools = [masked_softmax((of_g @ query).squeeze(-1), mask) for of_g, mask in zip(regions, masks, strict=True)]
        read = [(a[:, None] @ of_g).squeeze(1) for a, of_g in zip(pools, regions, strict=True)]
        v = self.vision_norm(torch.stack(read, 1))  # (B, 3, d)
        if self.weighs:
            asked, absent = self.asked(s), torch.zeros_like(v[:, 0])  # (B, d)
            of_grains = [
                self.of_grain[grain](v[:, g]) if grain in self.of_grain else absent for g, grain in enumerate(GRAINS)
            ]
            fit = torch.cosine_similarity(asked[:, None], torch.stack(of_grains, 1), dim=-1)
        beta = masked_softmax(fit, present)
        if self.judges:
            image = self.of_image((beta[:, None] @ v).squeeze(1))  # (B, d)
            rho = (SHARPNESS * torch.cosine_similarity(self.of_text(s), image, dim=-1)).sigmoid()
        shares = zip(pools, beta.unbind(-1), strict=True)
        weights.vision_pool = torch.cat([share[:, None] * pool for pool, share in shares], -1)  # (B, M)
        return rho.masked_fill(~present.any(-1), 0.0), beta
