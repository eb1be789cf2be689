"""Concatenation: each word beside the mean of the image's regions (known as BERT-ResNet-CRF).

v   = W_v mean_r(F_r) + b_v          the image, the same for each word
H_i = W [T_i; v] + b

The plainest multimodal tagger, a baseline in many papers and the idea of none. The linear layer after the
concatenation is the decoder's in the papers; here it stands before the decoder, whose input has d channels. Both
together are one linear map, so that no function is lost. Nothing but the mean of the grid is seen: no place in the
image, no object.
"""

from __future__ import annotations

from torch import nn

from hamner.model.config import ModelConfig
from hamner.model.fusion import Fused, Seen, Sizes
from hamner.peers.blocks import Join, projection, where_image


class Concatenation(nn.Module):
    """The mean of the grid beside each word."""

    def __init__(self, config: ModelConfig, sizes: Sizes) -> None:
        super().__init__()
        self.grid = projection(sizes.channels, sizes.width, config.visual_dropout)
        self.join = Join(sizes.width)

    def forward(self, seen: Seen) -> Fused:
        """H (B, n, d); without an image H is T, to the bit."""
        image = self.grid(seen.images.grid).mean(1, keepdim=True)  # v (B, 1, d)
        return Fused(where_image(seen, self.join(seen.words, image.expand_as(seen.words))))
