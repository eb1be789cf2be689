"""MGCMT: Liu, Wang, Li, Liu, Ren, Zhu, Sun 2022, Multi-Granularity Cross-Modality Representation Learning for NER on
Social Media (arXiv 2210.14163), by the first author of HamLearning.

Layer(x -> m) is a Transformer layer in which x reads m (see `blocks`). Two granularity levels, the grid and the
objects, pass through the same steps with layers of their own. Z are the grid's regions W F + b, or the objects
E[class] + W f + b:

M  = Layer(T -> T)                        the words
Z1 = Layer(Z -> Z), Z2 = Layer(Z -> Z)    regions among themselves, twice
A1 = Layer(M -> Z1)                       words read regions
A2 = Layer(M -> Layer(Z2 -> M))           words read regions that have read the words
A  = g A1 + (1 - g) A2, g = sigmoid(W [A1; A2])
H  = W [M; relu(W_f [A of the grid; A of the objects] + b)] + b
loss = 0.5 * NLL(span tags)               the same span detection as in UMT, by text alone

The steps follow the released code with its default settings. Where it differs. Left out are the semantic augmentation
of words by similar words' vectors and the character CNN: all peers have the same words. The released code knows an
object by its class alone; here its frozen feature is added, because not every source of features knows classes. An
object's box and score are not read. Where nothing is detected, words read nothing; the released code lets them read
padding. Dropout is `dropout`, and not 0.5 at the fusion. The released code projects the grid twice; here once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamner.model.attention import Dropout
from hamner.model.config import ModelConfig
from hamner.model.fusion import Fused, Seen, Sizes
from hamner.peers.blocks import Gate, Join, Layer, SpanDetection, projection, where_image

SPAN_WEIGHT = 0.5
"""The weight of the span detection's loss beside the tagger's."""


class Level(nn.Module):
    """One granularity level: words M (B, n, d) and regions Z (B, m, d) to what the words see of it, A (B, n, d)."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.regions, self.regions_again = Layer(config, width), Layer(config, width)
        self.read, self.regions_read, self.read_those = (Layer(config, width) for _ in range(3))
        self.gate = Gate(width)

    def forward(self, words: Tensor, word_mask: Tensor, regions: Tensor, mask: Tensor) -> Tensor:
        """`mask` (B, m) is of the regions."""
        direct = self.read(words, self.regions(regions, regions, mask), mask)
        those = self.regions_read(self.regions_again(regions, regions, mask), words, word_mask)
        return self.gate(direct, self.read_those(words, those, mask))


class Mgcmt(nn.Module):
    """Cross-modal Transformers at two granularity levels, gates between them, and text-based span detection."""

    def __init__(self, config: ModelConfig, sizes: Sizes) -> None:
        super().__init__()
        d = sizes.width
        self.text = Layer(config, d)
        self.grid = projection(sizes.channels, d, config.visual_dropout)
        self.feature = projection(sizes.channels, d, config.visual_dropout, alike=False)
        self.label = nn.Embedding(sizes.classes, d, padding_idx=0)
        nn.init.xavier_normal_(self.label.weight)
        nn.init.zeros_(self.label.weight[0])
        self.of_grid, self.of_objects = Level(config, d), Level(config, d)
        self.levels = nn.Linear(2 * d, d)
        self.dropout = Dropout(config.dropout)
        self.join = Join(d)
        self.span = SpanDetection(config, d, sizes.tags)

    def forward(self, seen: Seen) -> Fused:
        """H (B, n, d), in training with the loss of span detection; without an image H is T, to the bit."""
        images, there = seen.images, seen.images.image_mask[:, None]  # (B, 1)
        M = self.text(seen.words, seen.words, seen.word_mask)  # (B, n, d)
        regions = self.grid(images.grid)  # (B, R, d)
        objects = self.label(images.classes) + self.feature(images.objects)  # (B, K, d)
        of_grid = self.of_grid(M, seen.word_mask, regions, there.expand(regions.shape[:2]))  # (B, n, d)
        of_objects = self.of_objects(M, seen.word_mask, objects, images.object_mask & there)
        image = self.levels(self.dropout(torch.cat([of_grid, of_objects], -1))).relu()
        _, loss = self.span(seen)
        return Fused(where_image(seen, self.join(M, image)), loss=None if loss is None else SPAN_WEIGHT * loss)
