"""Visual prefix: what remains of HVPNeT outside the text encoder. It is not HVPNeT.

HVPNeT is Chen, Zhang, Li, Yao, Deng, Tan, Huang, Si, Chen 2022, Good Visual Guidance Makes a Better Extractor:
Hierarchical Visual Prefix for Multimodal Entity and Relation Extraction (Findings of NAACL). There an image gives a
prefix of keys and values to the self-attention of every layer of BERT, and comes from four stages of a ResNet. In this
frame the text encoder runs before the fusion (often it is frozen, and its words are kept), and an image is the last
map of its backbone. What remains: 2 self-attention layers over the words, each with a prefix from that map.

I   = [mean_r F_r; f_1; ...; f_K]                        the whole image, then its objects
P   = W_2 tanh(W_1 I + b_1) + b_2                        4 candidates for each element of I, each a key and a value
g_l = softmax(leaky_relu(W_l mean_c P_c + b_l))          layer l's gate over the candidates
[K_l; V_l] = sum_c g_lc P_c                              the prefix of layer l
X   = LN(X + softmax(Q [K_l; K]^T / sqrt(d_h)) [V_l; V] W_o), then LN(X + FF(X)); X starts as T, and H is the last X

The four candidates are those of the released code, whose gate weighs four projections of the stages' concatenation.
The released code cuts each feature map into 4 elements of the prefix; here the whole image and each object are one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamner.model.attention import Dropout
from hamner.model.config import ModelConfig
from hamner.model.fusion import Fused, Seen, Sizes
from hamner.model.intra_modality import ChannelDropout
from hamner.peers.blocks import where_image

LAYERS, CANDIDATES = 2, 4


class PrefixLayer(nn.Module):
    """A post-LN self-attention layer whose keys and values begin with a prefix."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.heads, self.dropped = config.heads, config.dropout
        self.choose = nn.Linear(2 * width, CANDIDATES)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm, self.out_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, candidates: Tensor, mask: Tensor) -> Tensor:
        """x (B, n, d) with candidates (B, m, 4, 2 d) for the prefix; `mask` (B, m + n) is of the prefix and of x."""
        gate = nn.functional.leaky_relu(self.choose(candidates.mean(2))).softmax(-1)  # (B, m, 4)
        prefix = torch.einsum("bmc,bmcd->bmd", gate, candidates)  # (B, m, 2 d)
        q = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, h, n, d/h)
        both = torch.cat([prefix, self.key_value(x)], 1)  # (B, m + n, 2 d)
        k, v = both.unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, h, m + n, d/h) each
        dropped = self.dropped if self.training else 0.0
        read = nn.functional.scaled_dot_product_attention(q, k, v, mask[:, None, None], dropped)
        x = self.norm(x + self.dropout(self.out(read.transpose(1, 2).flatten(2))))
        return self.out_norm(x + self.dropout(self.feed_forward(x)))


class VisualPrefix(nn.Module):
    """Self-attention layers over words that also read a gated prefix of the image and its objects."""

    def __init__(self, config: ModelConfig, sizes: Sizes) -> None:
        super().__init__()
        d = sizes.width
        self.channels = ChannelDropout(config.visual_dropout)
        self.candidates = nn.Sequential(nn.Linear(sizes.channels, d), nn.Tanh(), nn.Linear(d, CANDIDATES * 2 * d))
        self.layers = nn.ModuleList(PrefixLayer(config, d) for _ in range(LAYERS))

    def forward(self, seen: Seen) -> Fused:
        """H (B, n, d); without an image H is T, to the bit."""
        images, there = seen.images, seen.images.image_mask[:, None]  # (B, 1)
        image = torch.cat([images.grid.mean(1, keepdim=True), images.objects], 1)  # I (B, 1 + K, C)
        P = self.candidates(self.channels(image)).unflatten(-1, (CANDIDATES, -1))  # (B, 1 + K, 4, 2 d)
        mask = torch.cat([there, images.object_mask & there, seen.word_mask], 1)  # (B, 1 + K + n)
        x = seen.words
        for layer in self.layers:
            x = layer(x, P, mask)
        return Fused(where_image(seen, x))
