"""Stage 3: words and regions read one another, L times, and then weigh one another at once.

T^l = T^(l-1) + rho * MHA(LN T^(l-1) -> LN M^(l-1), bias log beta), then + rho * FF
M^l = M^(l-1) +       MHA(LN M^(l-1) -> LN T^l),                    then + FF

Iterative cross-modal Transformers and co-attention are *stated*. *Ours*: L = 2; rho scales all that stage 3 adds to a
word, so that rho = 0 is the text-only model itself; and each branch starts at zero, so that training starts there too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hamner.model.attention import Attention, FeedForward, from_zero, masked_softmax
from hamner.model.config import ModelConfig


class Interaction(nn.Module):
    """One reading: the words read the regions, then, if `both_ways`, the regions read the words."""

    def __init__(self, config: ModelConfig, width: int, both_ways: bool) -> None:
        super().__init__()
        self.words = Reader(config, width)
        self.regions = Reader(config, width) if both_ways else None

    def forward(
        self, words: Tensor, word_mask: Tensor, regions: Tensor, region_mask: Tensor, rho: Tensor, log_beta: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """T (B, n, d) and M (B, M, d) to the next T and M, and the weights (B, h, n, M) and (B, h, M, n)."""
        words, to_regions = self.words(words, regions, region_mask, rho, log_beta[:, None, None, :])
        to_words = None
        if self.regions is not None:
            regions, to_words = self.regions(regions, words, word_mask, torch.ones_like(rho), None)
        return words, regions, to_regions, to_words


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
        self, x: Tensor, memory: Tensor, mask: Tensor, scale: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        scale = scale[:, None, None]  # (B, 1, 1)
        read, weights = self.attention(self.norm(x), self.memory_norm(memory), mask, bias)
        x = x + scale * self.dropout(read)
        return x + scale * self.dropout(self.feed_forward(x)), weights


class CoAttention(nn.Module):
    """Each word sees the regions, and the post as the regions see it (after Xiong et al. 2017; *ours* in form).

    A = (T W_c) M^T / sqrt(d) + log beta, T and M after a LayerNorm;
    C1 = softmax_regions(A) M; S' = softmax_words(A^T) T; C2 = softmax_regions(A) S';
    z = sigmoid(W_z [T; C1; C2]); H = T + rho * z * W_h [C1; C2].
    """

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.norm, self.memory_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.affinity = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(3 * width, width)
        self.out = nn.Linear(2 * width, width)
        from_zero(self.out)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, words: Tensor, word_mask: Tensor, regions: Tensor, region_mask: Tensor, rho: Tensor, log_beta: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """T (B, n, d), M (B, M, d) to H (B, n, d), the weights (B, n, M) and (B, M, n), and the gate's mean (B, n)."""
        T, M = self.norm(words), self.memory_norm(regions)
        A = self.affinity(T) @ M.transpose(1, 2) / math.sqrt(T.shape[-1]) + log_beta[:, None, :]  # (B, n, M)
        over_regions = masked_softmax(A, region_mask[:, None, :])
        over_words = masked_softmax(A.transpose(1, 2), word_mask[:, None, :])  # (B, M, n)
        C1 = over_regions @ M  # (B, n, d)
        C2 = over_regions @ (over_words @ T)
        z = self.gate(torch.cat([T, C1, C2], -1)).sigmoid()  # (B, n, d)
        H = words + rho[:, None, None] * z * self.dropout(self.out(torch.cat([C1, C2], -1)))
        return H, over_regions, over_words, z.mean(-1)
