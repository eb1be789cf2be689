"""Stage 2: is the image about the post, and which of its grains count?

v    = LN(attention-pooled [G; O_sem; O_spa] with s as the query)
rho  = sigmoid(SHARPNESS * cos(W_t s, W_v v))                 in (0, 1), one per post; 0 with nothing to see
beta = softmax(tanh W[s; mean(G); mean(O_sem); mean(O_spa)])  over the grains that are present

There is nothing to see without an image, nor in one without objects for a model without the grid: then rho and beta
are exactly 0. That relevance is judged and decides how grains are integrated, end to end, is *stated*; both forms are
*ours*.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hamner.model.attention import masked_softmax
from hamner.model.config import ModelConfig
from hamner.model.intra_modality import GRAINS, Memory

SHARPNESS = 4.0
"""rho lies between sigmoid(-4) = 0.018 and sigmoid(4) = 0.982. Most images help, so that a free logit would run off
to where the sigmoid is flat before the few that mislead could teach it anything (*ours*)."""


class Relevance(nn.Module):
    """The sentence s (B, d) and the memory to rho (B,) and beta (B, 3); s is None where neither is learnt."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.judges, self.weigh = config.relevance, None
        if config.relevance:
            self.key = nn.Linear(width, width, bias=False)
            self.vision_norm = nn.LayerNorm(width)
            self.of_text, self.of_vision = nn.Linear(width, width), nn.Linear(width, width)
        if config.weighs_grains:
            self.weigh = nn.Linear((1 + len(GRAINS)) * width, len(GRAINS))

    def forward(self, s: Tensor | None, memory: Memory) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """rho, beta, and the weights, by their names in the trace.

        The tanh (*ours*) leaves each of three grains a share between 0.06 and 0.79: without it the grain that helps
        first soon has all of it, and what the others could tell is never learnt.
        """
        belongs = memory.grain[:, None] == torch.arange(len(GRAINS), device=memory.grain.device)  # (M, 3)
        members = (memory.mask[:, :, None] & belongs).to(memory.regions.dtype)  # (B, M, 3)
        count = members.sum(1)  # (B, 3)
        present, size = count > 0, count.clamp(min=1)

        logits = torch.zeros_like(count)
        if self.weigh is not None and s is not None:
            means = torch.einsum("bmg,bmd->bgd", members, memory.regions) / size[:, :, None]
            logits = self.weigh(torch.cat([s, means.flatten(1)], -1)).tanh()  # (B, 3)
        beta = masked_softmax(logits, present)

        rho, looks = torch.ones_like(count[:, 0]), {}
        if self.judges and s is not None:
            fit = torch.einsum("bd,bmd->bm", s, self.key(memory.regions)) / math.sqrt(s.shape[-1])
            fit = fit - size.log()[:, memory.grain]  # every grain counts alike, however many regions it has (*ours*)
            looks["vision_pool"] = masked_softmax(fit, memory.mask)
            v = self.vision_norm(torch.einsum("bm,bmd->bd", looks["vision_pool"], memory.regions))
            likeness = torch.cosine_similarity(self.of_text(s), self.of_vision(v), dim=-1)
            rho = (SHARPNESS * likeness).sigmoid()
        return rho.masked_fill(~present.any(-1), 0.0), beta, looks
