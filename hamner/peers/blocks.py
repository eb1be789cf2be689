"""What several peers are made of, as their papers describe it.

Layer          x' = LN(x + MHA(x -> memory)), then LN(x' + FF(x'))                     Devlin et al. 2019
Gate           g a + (1 - g) b, g = sigmoid(W [a; b])
SpanDetection  does a word begin an entity, continue one or belong to none, by text alone?  Yu et al. 2020

For all peers, *ours*: a post without an image gets its words back, bit for bit; the released codes give such a post a
placeholder image. The layer that joins words and image starts as the identity on the words' half and as 0 on the
image's. Channels of the frozen features are dropped as `visual_dropout` says.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamner.model.attention import Dropout
from hamner.model.config import ModelConfig
from hamner.model.decoder import Decoder
from hamner.model.fusion import Seen
from hamner.model.intra_modality import ChannelDropout


class Layer(nn.Module):
    """A post-LN Transformer layer in which x reads a memory; with x as its own memory it is self-attention."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, config.heads, dropout=config.dropout, batch_first=True)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm, self.out_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """x (B, n, d) after reading the memory (B, m, d) with its mask (B, m); a memory all masked adds nothing."""
        empty = ~mask.any(-1, keepdim=True)  # (B, 1); softmax over nothing is not a number
        read, _ = self.attention(x, memory, memory, key_padding_mask=~(mask | empty), need_weights=False)
        x = self.norm(x + self.dropout(read.masked_fill(empty[:, :, None], 0.0)))
        return self.out_norm(x + self.dropout(self.feed_forward(x)))


class Gate(nn.Module):
    """A mixture of two readings of a word, channel by channel: g a + (1 - g) b with g = sigmoid(W [a; b])."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two times (B, n, d) to (B, n, d)."""
        g = self.gate(torch.cat([a, b], -1)).sigmoid()
        return g * a + (1 - g) * b


class Join(nn.Module):
    """A linear layer over words and what they see of the image: W [words; image] + b. W starts as [I 0] and b as 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * width, width)
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, words: Tensor, image: Tensor) -> Tensor:
        """Two times (B, n, d) to (B, n, d)."""
        return self.linear(torch.cat([words, image], -1))


def projection(channels: int, width: int, dropout: float, alike: bool = True) -> nn.Sequential:
    """Channel dropout on frozen features (B, R, C), then a linear layer to (B, R, d); see `ChannelDropout`."""
    return nn.Sequential(ChannelDropout(dropout, alike), nn.Linear(channels, width))


def mean_word(values: Tensor, word_mask: Tensor) -> Tensor:
    """The mean of (B, n, d) over the real words, (B, d)."""
    return (values * word_mask[:, :, None]).sum(1) / word_mask.sum(1, keepdim=True)


def where_image(seen: Seen, joint: Tensor) -> Tensor:
    """`joint` (B, n, d) for posts with an image, and the words as they came for the others."""
    return torch.where(seen.images.image_mask[:, None, None], joint, seen.words)


SPAN = ("O", "B-span", "I-span")
"""Tags of entity span detection: an entity's first word, its other words, and all words outside."""


def span_tags(tags: tuple[str, ...]) -> Tensor:
    """For each of the K tags the id of its span tag (K,): "I-PER" is "I-span"."""
    return torch.tensor(["OBI".index(tag[0]) for tag in tags])


def conversion(tags: tuple[str, ...]) -> Tensor:
    """The matrix W_c (3, K) from span tags to tags: each span tag is shared out among the tags that it can be."""
    fits = nn.functional.one_hot(span_tags(tags), len(SPAN)).T.float()
    return fits / fits.sum(1, keepdim=True).clamp(min=1)


class SpanDetection(nn.Module):
    """An auxiliary tagger of spans without types: a Transformer layer over words alone, a linear layer and a CRF."""

    spans: Tensor

    def __init__(self, config: ModelConfig, width: int, tags: tuple[str, ...]) -> None:
        super().__init__()
        self.layer = Layer(config, width)
        self.decoder = Decoder(width, SPAN, config.dropout)
        self.register_buffer("spans", span_tags(tags), persistent=False)

    def forward(self, seen: Seen) -> tuple[Tensor, Tensor | None]:
        """The span tags' scores (B, n, 3), and in training their mean negative log-likelihood per post.

        The loss is None in eval mode and where the tags are unknown. It counts posts without an image too.
        """
        scores = self.decoder(self.layer(seen.words, seen.words, seen.word_mask))
        if not self.training or seen.tags is None:
            return scores, None
        return scores, self.decoder.loss(scores.float(), self.spans[seen.tags], seen.word_mask)
