"""Stage 3: words and regions read one another, L times, and then weigh one another at once.

T^l = T^(l-1) + rho * MHA(LN T^(l-1) -> LN M^(l-1), shares beta), then + rho * FF
M^l = M^(l-1) +       MHA(LN M^(l-1) -> LN T^l),                  then + FF

Iterative cross-modal Transformers and co-attention are *stated*. *Ours*: L = 2; rho scales all that stage 3 adds to a
word, so that rho = 0 is the text-only model itself; each branch starts at zero, so that training starts there too; and
a word attends to each grain by itself, with beta as the grain's share of its attention. In one softmax over all regions
the grain that helps first takes all attention, and what only another one tells is never found.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hamner.model.attention import Attention, FeedForward, from_zero, masked_softmax, softmax_by_group
from hamner.model.config import ModelConfig
from hamner.model.intra_modality import Memory


class Interaction(nn.Module):
    """Words T^0 (B, n, d) and the memory M^0 (B, M, d) to H (B, n, d)."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.words = nn.ModuleList(Reader(config, width) for _ in range(config.iterations))
        # What the regions read last is seen by co-attention alone.
        rounds = config.iterations if config.coattention else config.iterations - 1
        self.regions = nn.ModuleList(Reader(config, width) for _ in range(rounds))
        self.coattention = CoAttention(config, width) if config.coattention else None

    def forward(
        self, words: Tensor, word_mask: Tensor, memory: Memory, rho: Tensor, beta: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """With rho (B,) and beta (B, 3); also the weights, by their names in the trace."""
        T, M = words, memory.regions
        to_regions, to_words = [], []
        for layer, read in enumerate(self.words):
            T, weights = read(T, M, memory.mask, rho, (memory.grain, beta))
            to_regions.append(weights)  # (B, h, n, M)
            if layer < len(self.regions):
                M, weights = self.regions[layer](M, T, word_mask, torch.ones_like(rho))
                to_words.append(weights)  # (B, h, M, n)
        layers = {"word_to_region": to_regions, "region_to_word": to_words}
        looks = {name: torch.stack(weights, 1) for name, weights in layers.items() if weights}
        if self.coattention is not None:
            T, more = self.coattention(T, M, word_mask, memory.mask, rho, (memory.grain, beta))
            looks |= more
        return T, looks


class Reader(nn.Module):
    """A pre-LN cross-attention block: x + scale * MHA(LN x -> LN memory), then + scale * FF."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.norm, self.memory_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, config.heads)
        self.feed_forward = FeedForward(width)
        self.dropout = nn.Dropout(config.dropout)
        from_zero(self.attention.out)
        from_zero(self.feed_forward[-1])

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Tensor,
        scale: Tensor,
        groups: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        scale = scale[:, None, None]  # (B, 1, 1)
        read, weights = self.attention(self.norm(x), self.memory_norm(memory), mask, groups=groups)
        x = x + scale * self.dropout(read)
        return x + scale * self.dropout(self.feed_forward(x)), weights


class CoAttention(nn.Module):
    """Each word sees the regions, and the post as the regions see it (after Xiong et al. 2017; *ours* in form).

    T = LN(words); M = LN(regions); A = (T W_c) M^T / sqrt(d);
    C1 = softmax_regions(A) M; S' = softmax_words(A^T) T; C2 = softmax_regions(A) S'; softmax_regions with shares beta;
    z = sigmoid(W_z [T; C1; C2]); H = words + rho * z * W_h [C1; C2].
    """

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.norm, self.memory_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.affinity = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(3 * width, width)
        self.out = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(config.dropout)
        from_zero(self.out)

    def forward(
        self,
        words: Tensor,
        regions: Tensor,
        word_mask: Tensor,
        region_mask: Tensor,
        rho: Tensor,
        groups: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Words (B, n, d) and regions (B, M, d) to H (B, n, d), and the weights by their names in the trace."""
        T, M = self.norm(words), self.memory_norm(regions)
        A = self.affinity(T) @ M.transpose(1, 2) / math.sqrt(T.shape[-1])  # (B, n, M)
        over_regions = softmax_by_group(A, region_mask[:, None, :], *groups)
        over_words = masked_softmax(A.transpose(1, 2), word_mask[:, None, :])  # (B, M, n)
        C1 = over_regions @ M  # (B, n, d)
        C2 = over_regions @ (over_words @ T)
        z = self.gate(torch.cat([T, C1, C2], -1)).sigmoid()  # (B, n, d)
        H = words + rho[:, None, None] * z * self.dropout(self.out(torch.cat([C1, C2], -1)))
        return H, {"co_regions": over_regions, "co_words": over_words, "gate": z.mean(-1)}
