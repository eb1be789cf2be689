"""AdaCAN: Zhang, Fu, Liu, Huang 2018, Adaptive Co-attention Network for Named Entity Recognition in Tweets (AAAI).

For each word h_t, with the regions v_i = tanh(W_I F_i + b_I):

a_ti = softmax_i(w_a^T tanh(W_v v_i + W_h h_t + b))    word-guided visual attention
v_t  = sum_i a_ti v_i
c_tj = softmax_j(w_c^T tanh(W_x h_j + W_u v_t + b))    image-guided textual attention
x_t  = sum_j c_tj h_j
g_t  = sigmoid(w_g^T [p; q]), p = tanh(W_p v_t + b), q = tanh(W_q x_t + b)
m_t  = g_t p + (1 - g_t) q                             gated multimodal fusion
s_t  = sigmoid(w_s^T [h_t; m_t] + b)                   filtration gate: how much of m_t gets through
H_t  = W [h_t; s_t tanh(W_m m_t + b)] + b

Where it differs. The words h are the frame's and not those of a BiLSTM over word and character vectors; the grid is
the frame's and not VGG-16's. Inside both tanh the paper writes a circled plus, which re-implementations read as
concatenation. Then h_t adds the same number to the logits of all regions, softmax cancels it, and every word reads the
same image; so we add, as Yang et al. 2016 (Stacked Attention Networks) do with the same sign. The paper's s_t has two
halves of d channels each and multiplies d channels: here it is one number for each word. W maps to d channels and not
to tags: the decoder follows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamner.model.attention import masked_softmax
from hamner.model.config import ModelConfig
from hamner.model.fusion import Fused, Seen, Sizes
from hamner.peers.blocks import Join, projection, where_image


class Additive(nn.Module):
    """Attention by a layer of tanh: weights softmax_j(w^T tanh(W_k key_j + W_q query_i + b))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.key, self.query = nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """The keys (B, m, d), with mask (B, m), as each element of the query (B, n, d) reads them: (B, n, d)."""
        pairs = torch.tanh(self.query(query)[:, :, None] + self.key(keys)[:, None])  # (B, n, m, d)
        return masked_softmax(self.score(pairs).squeeze(-1), mask[:, None]) @ keys


class AdaCan(nn.Module):
    """Co-attention between words and regions, then a gate between both and a gate for their mixture."""

    def __init__(self, config: ModelConfig, sizes: Sizes) -> None:
        super().__init__()
        d = sizes.width
        self.grid = projection(sizes.channels, d, config.visual_dropout)
        self.reads_regions, self.reads_words = Additive(d), Additive(d)
        self.of_image, self.of_text = nn.Linear(d, d), nn.Linear(d, d)
        self.fusion_gate = nn.Linear(2 * d, 1, bias=False)
        self.filter = nn.Linear(2 * d, 1)
        self.reserved = nn.Linear(d, d)
        self.join = Join(d)

    def forward(self, seen: Seen) -> Fused:
        """H (B, n, d); without an image H is T, to the bit."""
        h, regions = seen.words, self.grid(seen.images.grid).tanh()  # (B, n, d), (B, R, d)
        there = seen.images.image_mask[:, None].expand(regions.shape[:2])
        v = self.reads_regions(h, regions, there)  # (B, n, d)
        x = self.reads_words(v, h, seen.word_mask)
        p, q = self.of_image(v).tanh(), self.of_text(x).tanh()
        g = self.fusion_gate(torch.cat([p, q], -1)).sigmoid()  # (B, n, 1)
        m = g * p + (1 - g) * q
        s = self.filter(torch.cat([h, m], -1)).sigmoid()  # (B, n, 1)
        return Fused(where_image(seen, self.join(h, s * self.reserved(m).tanh())))
