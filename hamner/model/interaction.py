"""Stage 3: L rounds of bidirectional cross-attention between words and regions, then co-attention.

T^l = T^(l-1) + rho * MHA(LN T^(l-1) -> LN M^(l-1), shares beta), then T^l + rho * FF(T^l)
M^l = M^(l-1) +       MHA(LN M^(l-1) -> LN T^l),                  then M^l +       FF(M^l)

Iterative cross-modal Transformers and co-attention are *stated*. *Ours*: L = 2. rho scales all that stage 3 adds to a
word, so that rho = 0 is the text-only model. Each branch starts at zero, so that training starts at the text-only
model. A word attends to each grain by itself, and beta is the grain's share of its attention: in one softmax over all
regions the grain that helps first takes all attention, and the information of the others is never learnt.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hamner.model.attention import Attention, Dropout, FeedForward, Groups, masked_softmax, softmax_by_group, zero_init
from hamner.model.batch import AttentionWeights
from hamner.model.config import ModelConfig
from hamner.model.intra_modality import Memory


class Interaction(nn.Module):
    """The iterations and co-attention: words T^0 and the memory M^0 to H."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.words = nn.ModuleList(Reader(config, width) for _ in range(config.iterations))
        # Only co-attention reads the regions of the last iteration.
        rounds = config.iterations if config.coattention else config.iterations - 1
        self.regions = nn.ModuleList(Reader(config, width) for _ in range(rounds))
        self.coattention = CoAttention(config, width) if config.coattention else None

    def forward(
        self,
        words: Tensor,
        word_mask: Tensor,
        memory: Memory,
        rho: Tensor,
        beta: Tensor,
        weights: AttentionWeights,
    ) -> Tensor:
        """Let words and regions read one another.

        Args:
            words: T^0 (B, n, d).
            word_mask: (B, n).
            memory: M^0 (B, M, d).
            rho: (B,).
            beta: (B, 3).
            weights: takes up those of each iteration and of co-attention.

        Returns:
            H (B, n, d); T^L where the config leaves co-attention out.
        """
        T, M = words, memory.regions
        grains = Groups(memory.sizes, beta)
        word_to_region, region_to_word = [], []
        for layer, read in enumerate(self.words):
            T, of_words = read(T, M, memory.mask, rho, grains)
            word_to_region.append(of_words)  # (B, h, n, M)
            if layer < len(self.regions):
                M, of_regions = self.regions[layer](M, T, word_mask)
                region_to_word.append(of_regions)  # (B, h, M, n)
        weights.word_to_region, weights.region_to_word = word_to_region or None, region_to_word or None
        if self.coattention is None:
            return T
        H, weights.co_regions, weights.co_words, z = self.coattention(T, M, word_mask, memory.mask, rho, grains)
        weights.gate = z.mean(-1)
        return H


class Reader(nn.Module):
    """A pre-LN cross-attention block: x + scale * MHA(LN x -> LN memory), then x + scale * FF(x).

    Without `scale` it is 1.
    """

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.norm, self.memory_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, config.heads)
        self.feed_forward = FeedForward(width)
        self.dropout = Dropout(config.dropout)
        zero_init(self.attention.out)
        zero_init(self.feed_forward[-1])

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor, scale: Tensor | None = None, groups: Groups | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (B, n, d) after reading the memory (B, m, d), and the attention weights (B, h, n, m).

        `mask` (B, m) and `groups` are of the memory; `scale` (B,) multiplies all that is added to x.
        """
        read, weights = self.attention(self.norm(x), self.memory_norm(memory), mask, groups=groups)
        x = _added(x, self.dropout(read), scale)
        return _added(x, self.dropout(self.feed_forward(x)), scale), weights


def _added(x: Tensor, more: Tensor, scale: Tensor | None) -> Tensor:
    """x + scale * more, with one number of `scale` (B,) for each post."""
    return x + more if scale is None else torch.addcmul(x, scale[:, None, None], more)


class CoAttention(nn.Module):
    """Each word reads the regions, and the words that these read (after Xiong et al. 2017; form and gate *ours*).

    T  = LN(words), M = LN(regions)
    A  = (T W_c) M^T / sqrt(d)      affinity of each word and each region
    C1 = softmax_regions(A) M       the softmax over regions has the shares beta, grain by grain
    S' = softmax_words(A^T) T
    C2 = softmax_regions(A) S'
    z  = sigmoid(W_z [T; C1; C2])
    H  = words + rho * z * W_h [C1; C2]
    """

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.norm, self.memory_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.affinity = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(3 * width, width)
        self.out = nn.Linear(2 * width, width)
        self.dropout = Dropout(config.dropout)
        zero_init(self.out)

    def forward(
        self,
        words: Tensor,
        regions: Tensor,
        word_mask: Tensor,
        region_mask: Tensor,
        rho: Tensor,
        grains: Groups,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Words (B, n, d) and regions (B, M, d) to H (B, n, d).

        Returns also the weights over the regions (B, n, M) and over the words (B, M, n), and the gate z (B, n, d).
        """
        T, M = self.norm(words), self.memory_norm(regions)
        A = self.affinity(T) / math.sqrt(T.shape[-1]) @ M.transpose(1, 2)  # (B, n, M)
        over_regions = softmax_by_group(A, region_mask[:, None, :], grains)  # (B, n, M)
        over_words = masked_softmax(A.transpose(1, 2), word_mask[:, None, :])  # (B, M, n)
        C1 = over_regions @ M  # (B, n, d)
        C2 = over_regions @ (over_words @ T)  # S' = over_words @ T (B, M, d)
        z = self.gate(torch.cat([T, C1, C2], -1)).sigmoid()  # (B, n, d)
        H = words + rho[:, None, None] * z * self.dropout(self.out(torch.cat([C1, C2], -1)))
        return H, over_regions, over_words, z
