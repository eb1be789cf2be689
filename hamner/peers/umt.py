"""UMT: Yu, Jiang, Yang, Xia 2020, Improving Multimodal NER via Entity Span Detection with Unified Multimodal
Transformer (ACL): its multimodal interaction module, visual gate and entity span detection.

Layer(x -> m) is a Transformer layer in which x reads m (see `blocks`); V = W_v F + b_v are the regions.

R = Layer(T -> T)
P = Layer(V -> R), A = Layer(R -> P)           image-aware words
Q = Layer(R -> V)                              word-aware vision
B = sigmoid(W_g [A; Q] + b_g) * Q              visual gate
U = scores of span tags by Layer'(T -> T)      entity span detection, with a CRF of its own
H = W [A; B] + b
U W_c is added to the tags' scores             W_c shares each span tag out among its types
loss = 0.5 * NLL(span tags)                    the paper's lambda

Where it differs. T has one vector for each word, not for each word
piece. The regions are the frame's grid and not ResNet-152's 49. The released code projects F twice, for the two
directions; here both share V.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamner.model.config import ModelConfig
from hamner.model.fusion import Fused, Seen, Sizes
from hamner.peers.blocks import Join, Layer, SpanDetection, conversion, projection, where_image

SPAN_WEIGHT = 0.5
"""The weight of the span detection's loss beside the tagger's."""


class Umt(nn.Module):
    """Cross-modal Transformers in both directions, a visual gate, and text-based span detection."""

    conversion: Tensor

    def __init__(self, config: ModelConfig, sizes: Sizes) -> None:
        super().__init__()
        d = sizes.width
        self.grid = projection(sizes.channels, d, config.visual_dropout)
        self.text = Layer(config, d)
        self.regions_read_words, self.words_read_those, self.words_read_regions = (Layer(config, d) for _ in range(3))
        self.gate = nn.Linear(2 * d, d)
        self.join = Join(d)
        self.span = SpanDetection(config, d, sizes.tags)
        self.register_buffer("conversion", conversion(sizes.tags), persistent=False)

    def forward(self, seen: Seen) -> Fused:
        """H (B, n, d), in training with the loss of span detection; without an image H is T, to the bit."""
        V = self.grid(seen.images.grid)  # (B, R, d)
        there = seen.images.image_mask[:, None].expand(V.shape[:2])
        R = self.text(seen.words, seen.words, seen.word_mask)  # (B, n, d)
        P = self.regions_read_words(V, R, seen.word_mask)  # (B, R, d)
        A = self.words_read_those(R, P, there)  # (B, n, d)
        Q = self.words_read_regions(R, V, there)
        B = self.gate(torch.cat([A, Q], -1)).sigmoid() * Q
        U, loss = self.span(seen)  # (B, n, 3)
        spans = U @ self.conversion.to(U.dtype) * seen.images.image_mask[:, None, None]  # (B, n, K)
        loss = None if loss is None else SPAN_WEIGHT * loss
        return Fused(where_image(seen, self.join(A, B)), loss=loss, emissions=spans)
