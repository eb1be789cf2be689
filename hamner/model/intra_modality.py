"""Stage 1, each modality by itself: words to a sentence vector, frozen features to the memory [G; O_sem; O_spa].

s      = LN(W_s sum_i a_i h_i), a = softmax(h w)  the whole post, h the encoder's last layer        *ours*

G      = LN(W_g F)                           the whole image, region by region        *stated*
O      = LN(W_o f + E_c[class] + w_s score)  its objects *stated*; how they are put together is *ours*
                                             (F and f standardised and, in training, with some channels dropped)
O_sem  = Block([g; O], psi), g = mean(G)     what the objects are to one another and to the scene, without geometry
O_spa  = Block(O + place, phi)               where they are, and where from one another

That there is a semantic and a spatial encoding is *stated*, their form is *ours*. All geometry is in the spatial block
alone, and objects are compared with one another in the semantic block alone: leaving one out leaves all of it out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hamner.model.attention import Attention, FeedForward, masked_softmax, passed
from hamner.model.batch import ImageFeatures
from hamner.model.config import ModelConfig

GRAINS = ("global", "semantic", "spatial")
ASPECTS = 4
"""In how many respects the semantic encoding compares two objects."""
NEAR_ZERO = 1e-3
"""A thousandth of the image: the least side of a box, so that a degenerate one divides by no zero."""


class Sentence(nn.Module):
    """The encoder's last layer (B, n, d_enc) and the words' mask to s = LN(W_s sum_i a_i h_i) (B, d), and a (B, n).

    Not made of T (*ours*): T is bent to tell tags and what stands beside a word, and loses what the post is about.
    """

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(hidden, 1, bias=False)
        self.project = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, words: Tensor, word_mask: Tensor) -> tuple[Tensor, Tensor]:
        weights = masked_softmax(self.score(words).squeeze(-1), word_mask)
        return self.norm(self.project(torch.einsum("bn,bnd->bd", weights, words))), weights


@dataclass(frozen=True)
class Memory:
    """The regions that words may look at, (B, M, d), their mask (B, M), and which of GRAINS each is of, (M,)."""

    regions: Tensor
    mask: Tensor
    grain: Tensor


class Vision(nn.Module):
    """Frozen features of `channels` channels and objects of `classes` classes to a memory of `width` channels."""

    def __init__(self, config: ModelConfig, width: int, channels: int, classes: int) -> None:
        super().__init__()
        dropout = config.visual_dropout
        self.grid = None
        if config.global_vision:
            self.grid = nn.Sequential(
                Standardised(dropout, alike=True), nn.Linear(channels, width), nn.LayerNorm(width)
            )
        self.objects = Objects(width, channels, classes, dropout) if config.objects else None
        self.semantic = SemanticBlock(config, width) if config.objects and config.semantic else None
        self.spatial = SpatialBlock(config, width) if config.objects and config.spatial else None

    def forward(self, images: ImageFeatures) -> tuple[Memory, dict[str, Tensor]]:
        """The memory, and the weights of both blocks, by their names in the trace."""
        seen = images.image_mask[:, None]  # (B, 1)
        grains: list[tuple[int, Tensor, Tensor]] = []
        looks: dict[str, Tensor] = {}
        scene = None
        if self.grid is not None:
            G = self.grid(images.grid)  # (B, R, d)
            scene = G.mean(1, keepdim=True)  # g (B, 1, d)
            grains.append((0, G, seen.expand(G.shape[:2])))
        if self.objects is not None:
            O = self.objects(images)  # noqa: E741  (B, K, d)
            there, placed = images.object_mask & seen, images.box_mask & seen
            if self.semantic is not None:
                O_sem, looks["semantic"] = self.semantic(O, there, scene, seen)
                grains.append((1, O_sem, there))
            if self.spatial is not None:
                O_spa, weights = self.spatial(O, images.boxes, placed)
                looks |= {} if weights is None else {"spatial": weights}
                grains.append((2, O_spa, placed))
        memory = Memory(
            torch.cat([regions for _, regions, _ in grains], 1),
            torch.cat([mask for _, _, mask in grains], 1),
            torch.cat([mask.new_full(mask.shape[1:], grain, dtype=torch.long) for grain, _, mask in grains]),
        )
        return memory, looks


class Standardised(nn.Module):
    """Each feature vector (B, R, C) with mean 0 and variance 1, for sources differ in scale by more than ten times.

    In training some channels are dropped, of all R vectors the same ones if these are to be treated `alike` (*ours*).
    A frozen backbone sees each image just once: without dropout an image is the same numbers in every epoch, and
    soon known by heart.
    """

    def __init__(self, dropout: float, alike: bool = False) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.alike = alike

    def forward(self, features: Tensor) -> Tensor:
        features = nn.functional.layer_norm(features, features.shape[-1:])
        if not self.training:
            return features
        kept = torch.ones_like(features[:, :1] if self.alike else features)
        return features * self.dropout(kept)


class Objects(nn.Module):
    """O = LN(W_o f + E_c[class] + w_s score), (B, K, d)."""

    def __init__(self, width: int, channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.standardised = Standardised(dropout)
        self.feature = nn.Linear(channels, width)
        self.label = nn.Embedding(classes, width, padding_idx=0)
        self.score = nn.Linear(1, width, bias=False)
        self.norm = nn.LayerNorm(width)
        # What an object looks like comes first: its class and score start as small additions.
        for added in (self.label.weight, self.score.weight):
            nn.init.normal_(added, std=0.02)
        nn.init.zeros_(self.label.weight[0])

    def forward(self, images: ImageFeatures) -> Tensor:
        looks = self.feature(self.standardised(images.objects))
        return self.norm(looks + self.label(images.classes) + self.score(images.scores[:, :, None]))


class Pairs(nn.Module):
    """How each pair of nodes stands to one another, `count` numbers, to a bias and a message.

    The bias is added to the logits of attention (after Hu et al. 2018, Relation Networks); the message (*ours*) passes
    from j to i. Attention weights sum to 1, so that without it no node can tell "three are like me" from "one is", or
    "two are left of me" from "one is".
    """

    def __init__(self, config: ModelConfig, width: int, count: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(count, 64), nn.GELU())
        self.bias = nn.Linear(64, config.heads, bias=False)
        self.message = nn.Linear(64, width)

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs (B, K, K, count) to the bias (B, h, K, K) and the message (B, K, K, d)."""
        hidden = self.hidden(pairs)
        return self.bias(hidden).permute(0, 3, 1, 2), self.message(hidden)


class SemanticBlock(nn.Module):
    """One pre-LN Transformer block over [g; O], the scene is a node too, that knows in what respects two are alike.

    psi_a(i, j) = cos(W_a x_i, W_a x_j) in ASPECTS respects a: two of a kind are alike in most from the start (*ours*).
    """

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.aspects = nn.Linear(width, ASPECTS * (width // ASPECTS), bias=False)
        self.pairs = Pairs(config, width, ASPECTS)
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, config.heads)
        self.feed_forward = FeedForward(width)

    def forward(self, objects: Tensor, mask: Tensor, scene: Tensor | None, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Objects (B, K, d), their mask, the scene (B, 1, d) or None and its mask (B, 1) to O_sem and the weights."""
        nodes = objects if scene is None else torch.cat([scene, objects], 1)  # (B, 1+K, d)
        node_mask = mask if scene is None else torch.cat([seen, mask], 1)
        of = nn.functional.normalize(self.aspects(nodes).unflatten(-1, (ASPECTS, -1)), dim=-1)
        alike = torch.einsum("biac,bjac->bija", of, of)
        x = self.norm(nodes)
        related, weights = self.attention(x, x, node_mask, *self.pairs(alike))
        nodes = nodes + related
        nodes = nodes + self.feed_forward(nodes)
        return nodes[:, -objects.shape[1] :], weights


class SpatialBlock(nn.Module):
    """A block over the objects that knows where each box lies, and how each pair of them does (`phi`).

    Absolute geometry: Fourier features of the box, through an MLP and a LayerNorm (at the scale of the content, else it
    is never learnt), added to the object. Relative geometry: who attends to whom, and what passes between them, comes
    from phi alone. So an object learns where the others are and not what they are.
    """

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.position = self.pairs = None
        if config.absolute_geometry:
            self.position = nn.Sequential(
                nn.Linear(FOURIER, width), nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width)
            )
        if config.relative_geometry:
            self.pairs, self.out = Pairs(config, width, PHI), nn.Linear(width, width)
        self.feed_forward = FeedForward(width)

    def forward(self, objects: Tensor, boxes: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Objects (B, K, d), boxes (B, K, 4), mask of known boxes (B, K) to O_spa and the weights (B, h, K, K)."""
        nodes, weights = objects, None
        if self.position is not None:
            nodes = nodes + self.position(fourier(boxes))
        if self.pairs is not None:
            bias, message = self.pairs(phi(boxes, mask))
            weights = masked_softmax(bias, mask[:, None, None, :])
            nodes = nodes + self.out(passed(weights, message))
        return nodes + self.feed_forward(nodes), weights


def centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (..., 4) to their centres (..., 2) and widths and heights (..., 2)."""
    return (boxes[..., 2:] + boxes[..., :2]) / 2, (boxes[..., 2:] - boxes[..., :2]).clamp(min=NEAR_ZERO)


FOURIER = 4 * (1 + 2 * 4)


def fourier(boxes: Tensor) -> Tensor:
    """Absolute geometry, (B, K, 4) to (B, K, 36): centre and size, and their sines and cosines at four frequencies."""
    place = torch.cat(centre_and_size(boxes), -1)  # (B, K, 4)
    waves = (place[..., None] * math.pi * 2.0 ** torch.arange(4, device=boxes.device)).flatten(-2)  # (B, K, 16)
    return torch.cat([2 * place - 1, waves.sin(), waves.cos()], -1)


PHI = 11


def phi(boxes: Tensor, mask: Tensor) -> Tensor:
    """Relative geometry, (B, K, 4) to (B, K, K, 11): how box j lies as seen from box i.

    dx/w_i, dy/h_i, log w_j/w_i, log h_j/h_i (after Hu et al. 2018, who take the logarithm of the first two as well);
    and *ours*: IoU, (dx, dy, distance) in units of the image, is-left, is-above, and whether j is the nearest to i of
    all real boxes.
    """
    centre, size = centre_and_size(boxes)
    offset = centre[:, None] - centre[:, :, None]  # (B, K, K, 2), from i to j
    share = (offset / size[:, :, None]).clamp(-10, 10)  # a speck of a box would see all others at a huge distance
    ratio = (size[:, None] / size[:, :, None]).log()
    low = torch.maximum(boxes[:, None, :, :2], boxes[:, :, None, :2])
    high = torch.minimum(boxes[:, None, :, 2:], boxes[:, :, None, 2:])
    common = (high - low).clamp(min=0).prod(-1)  # (B, K, K)
    area = size.prod(-1)
    iou = common / (area[:, None] + area[:, :, None] - common)
    distance = offset.norm(dim=-1)
    others = mask[:, None] & ~torch.eye(boxes.shape[1], dtype=torch.bool, device=boxes.device)
    apart = distance.masked_fill(~others, math.inf)
    nearest = (apart <= apart.min(-1, keepdim=True).values) & others
    flags = torch.stack([offset[..., 0] < 0, offset[..., 1] < 0, nearest], -1)
    return torch.cat([share, ratio, iou[..., None], offset, distance[..., None], flags.to(boxes.dtype)], -1)
