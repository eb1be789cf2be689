"""Stage 2: how much does the image count for the post (rho), and how much each of its grains (beta)?

v    = LN(sum_m a_m M_m), a = softmax_m(s^T W_k M_m / sqrt(d) - log n_grain(m))  n_g: the real regions of grain g
rho  = sigmoid(SHARPNESS * cos(W_t s, W_v v))                                    in (0, 1), one for each post
beta = softmax(tanh W[s; mean(G); mean(O_sem); mean(O_spa)])                     over the grains that are present

With nothing to see rho and beta are exactly 0: a post without an image, or, for a model without the grid, an image
without objects. It is *stated* that relevance is judged, that it decides how the grains are integrated, and that both
are learnt end to end. Both forms are *ours*.
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
        self.judges, self.weigh = config.relevance, None
        if config.relevance:
            self.key = nn.Linear(width, width, bias=False)
            self.vision_norm = nn.LayerNorm(width)
            self.of_text, self.of_vision = nn.Linear(width, width), nn.Linear(width, width)
        if config.weighs_grains:
            self.weigh = nn.Linear((1 + len(GRAINS)) * width, len(GRAINS))

    def forward(self, s: Tensor | None, memory: Memory, weights: AttentionWeights) -> tuple[Tensor, Tensor]:
        """Judge the image of each post.

        Args:
            s: the sentence (B, d); None where the config learns neither rho nor beta.
            memory: M regions of d channels.
            weights: takes up `vision_pool`.

        Returns:
            rho (B,) and beta (B, 3).

        The tanh (*ours*) leaves each of three grains a share between 0.06 and 0.79. Without it the grain that helps
        first soon takes all of the attention, and the others are never learnt.
        """
        grain = memory.grain  # (M,)
        one_hot = grain[:, None] == torch.arange(len(GRAINS), device=grain.device)  # (M, 3)
        members = (memory.mask[:, :, None] & one_hot).to(memory.regions.dtype)  # (B, M, 3)
        count = members.sum(1)  # (B, 3)
        present, size = count > 0, count.clamp(min=1)

        logits = torch.zeros_like(count)
        if self.weigh is not None and s is not None:
            means = torch.einsum("bmg,bmd->bgd", members, memory.regions) / size[:, :, None]  # (B, 3, d)
            logits = self.weigh(torch.cat([s, means.flatten(1)], -1)).tanh()  # (B, 3)
        beta = masked_softmax(logits, present)

        rho = torch.ones_like(count[:, 0])
        if self.judges and s is not None:
            fit = torch.einsum("bd,bmd->bm", s, self.key(memory.regions)) / math.sqrt(s.shape[-1])
            fit = fit - size.log()[:, grain]  # 49 regions of the grid weigh no more than 5 objects (*ours*)
            weights.vision_pool = masked_softmax(fit, memory.mask)  # (B, M)
            v = self.vision_norm(torch.einsum("bm,bmd->bd", weights.vision_pool, memory.regions))  # (B, d)
            similarity = torch.cosine_similarity(self.of_text(s), self.of_vision(v), dim=-1)  # (B,)
            rho = (SHARPNESS * similarity).sigmoid()
        return rho.masked_fill(~present.any(-1), 0.0), beta
