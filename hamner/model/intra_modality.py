"""Stage 1, each modality by itself: words to a sentence vector, frozen features to the memory [G; O_sem; O_spa].

s     = LN(W_s sum_i a_i h_i), a = softmax(h w)  the whole post; h is the encoder's last layer               *ours*
G     = LN(W_g F)                                the whole image, region by region                           *stated*
O     = LN(W_o f + E_c[class] + w_s score)       the objects (*stated*); this sum of their parts is          *ours*
O_sem = Block([g; O], psi), g = mean(G)          semantic encoding (*stated*); its form is                   *ours*
O_spa = Block(O + place, phi)                    spatial encoding (*stated*); its form is                    *ours*

F and f are standardised (`batch.ImageFeatures`) and, in training, some of their channels are dropped (*ours*).

Boxes enter the spatial block alone: a model without it reads no box. (Features still hint at an object's size: the crop
of a small object is blurred.) Objects attend to one another by content in the semantic block alone. Without it they are
still compared in stage 3, indirectly: words read regions, and regions read words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from hamner.model.attention import Attention, Dropout, FeedForward, masked_softmax
from hamner.model.batch import AttentionWeights, ImageFeatures
from hamner.model.config import ModelConfig

GRAINS = ("global", "semantic", "spatial")
ASPECTS = 4
"""The number of subspaces in which the semantic encoding compares two objects."""
NEAR_ZERO = 1e-3
"""The least side of a box, a thousandth of the image: without it a box without area would divide by 0."""


class Sentence(nn.Module):
    """The sentence vector s = LN(W_s sum_i a_i h_i), with a = softmax(h w).

    It reads the encoder's last layer h, not T (*ours*): T is trained to tell tags apart and loses the post's topic.
    """

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(hidden, 1, bias=False)
        self.project = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, words: Tensor, word_mask: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's last layer (B, n, d_enc) and the words' mask (B, n) to s (B, d) and its weights a (B, n)."""
        weights = masked_softmax(self.score(words).squeeze(-1), word_mask)  # (B, n)
        return self.norm(self.project(torch.einsum("bn,bnd->bd", weights, words))), weights


@dataclass(frozen=True)
class Memory:
    """The regions that words attend to, grain after grain, in the order of GRAINS.

    regions (B, M, d)
    mask    (B, M)
    sizes   the number of regions of each grain, 0 for one that the config leaves out; they sum to M
    """

    regions: Tensor
    mask: Tensor
    sizes: tuple[int, ...]

    @property
    def grain(self) -> Tensor:
        """Each region's grain (M,), as its number in GRAINS."""
        numbers = [self.mask.new_full((size,), grain, dtype=torch.long) for grain, size in enumerate(self.sizes)]
        return torch.cat(numbers)


class Vision(nn.Module):
    """Frozen features of C = `channels` channels, with `classes` class ids, to a memory of d = `width` channels."""

    def __init__(self, config: ModelConfig, width: int, channels: int, classes: int) -> None:
        super().__init__()
        dropout = config.visual_dropout
        self.grid = None
        if config.global_vision:
            self.grid = nn.Sequential(
                ChannelDropout(dropout, alike=True), nn.Linear(channels, width), nn.LayerNorm(width)
            )
        self.objects = Objects(width, channels, classes, dropout) if config.objects else None
        self.semantic = SemanticBlock(config, width) if config.objects and config.semantic else None
        self.spatial = SpatialBlock(config, width) if config.objects and config.spatial else None

    def forward(self, images: ImageFeatures) -> tuple[Memory, AttentionWeights]:
        """The memory, and an AttentionWeights that holds the weights of both blocks."""
        image_mask = images.image_mask[:, None]  # (B, 1)
        object_mask, box_mask = images.object_mask & image_mask, images.box_mask & image_mask  # (B, K)
        grains: list[tuple[Tensor, Tensor] | None] = [None] * len(GRAINS)
        scene = semantic = spatial = None
        if self.grid is not None:
            G = self.grid(images.grid)  # (B, R, d)
            scene = G.mean(1, keepdim=True)  # g (B, 1, d)
            grains[0] = G, image_mask.expand(G.shape[:2])
        if self.objects is not None:
            O = self.objects(images)  # noqa: E741  (B, K, d)
            if self.semantic is None and self.spatial is None:
                grains[1] = O, object_mask
            if self.semantic is not None:
                O_sem, semantic = self.semantic(O, object_mask, scene, image_mask)
                grains[1] = O_sem, object_mask
            if self.spatial is not None:
                O_spa, spatial = self.spatial(O, images.boxes, box_mask)
                grains[2] = O_spa, box_mask
        memory = Memory(
            torch.cat([grain[0] for grain in grains if grain is not None], 1),
            torch.cat([grain[1] for grain in grains if grain is not None], 1),
            tuple(0 if grain is None else grain[0].shape[1] for grain in grains),
        )
        return memory, AttentionWeights(memory.grain, semantic=semantic, spatial=spatial)


class ChannelDropout(Dropout):
    """Dropout of channels of frozen features in training (*ours*).

    With `alike`, the dropped channels are the same in all vectors of an image. A frozen backbone gives each image the
    same features in every epoch: without dropout the model memorises them.
    """

    def __init__(self, share: float, alike: bool = False) -> None:
        super().__init__(share)
        self.alike = alike

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, R, C) to the same shape."""
        if not self.training or not self.dropped:
            return features
        one = features[:, :1] if self.alike else features  # (B, 1, C) or (B, R, C)
        return features * self.kept(one.shape, features)


class Objects(nn.Module):
    """The objects O = LN(W_o f + E_c[class] + w_s score)."""

    def __init__(self, width: int, channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = ChannelDropout(dropout)
        self.feature = nn.Linear(channels, width)
        self.label = nn.Embedding(classes, width, padding_idx=0)
        self.score = nn.Linear(1, width, bias=False)
        self.norm = nn.LayerNorm(width)
        # An object's appearance dominates at the start: its class and score begin as small additions.
        for added in (self.label.weight, self.score.weight):
            nn.init.normal_(added, std=0.02)
        nn.init.zeros_(self.label.weight[0])

    def forward(self, images: ImageFeatures) -> Tensor:
        """Features of images to O (B, K, d)."""
        appearance = self.feature(self.dropout(images.objects))  # (B, K, d)
        return self.norm(appearance + self.label(images.classes) + self.score(images.scores[:, :, None]))


class Pairs(nn.Module):
    """From `count` numbers for each pair (i, j) of nodes to an attention bias and a message.

    The bias is added to the attention logits of i for j (after Hu et al. 2018, Relation Networks). The message (*ours*)
    passes from j to i. Attention weights sum to 1: without messages a node cannot tell three similar nodes from one.
    """

    def __init__(self, config: ModelConfig, width: int, count: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.hidden = nn.Sequential(nn.Linear(count, 64), nn.GELU())
        self.bias = nn.Linear(64, config.heads, bias=False)
        self.message = nn.Linear(64, width)

    def forward(self, pairs: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Pairs (B, K, K, count) to the bias (B, h, K, K), and `received` with these pairs."""
        hidden = self.hidden(pairs)  # (B, K, K, 64)
        return self.bias(hidden).permute(0, 3, 1, 2), partial(self.received, hidden=hidden)

    def received(self, weights: Tensor, hidden: Tensor) -> Tensor:
        """Weighted sum of the messages that each node receives: weights (B, h, K, K) to (B, K, d).

        The message from j to i is W_m hidden_ij + b, and each head weighs its own d/h channels of it. The messages are
        never made: sum_j a_ij (W_m hidden_ij + b) = W_m (sum_j a_ij hidden_ij) + b sum_j a_ij.
        """
        by_node = weights.transpose(1, 2)  # (B, K, h, K)
        gathered = by_node @ hidden  # (B, K, h, 64)
        rows = self.message.weight.unflatten(0, (self.heads, -1))  # (h, d/h, 64)
        bias = self.message.bias.unflatten(0, (self.heads, -1))  # (h, d/h)
        of_heads = torch.einsum("bkhc,hec->bkhe", gathered, rows) + by_node.sum(-1, keepdim=True) * bias
        return of_heads.flatten(2)


class SemanticBlock(nn.Module):
    """One pre-LN Transformer block over the nodes [g; O], biased by the similarity of each pair.

    psi_a(i, j) = cos(W_a x_i, W_a x_j) for a = 1..ASPECTS (*ours*): even random W_a give two objects of one kind a high
    similarity.
    """

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.aspects = nn.Linear(width, ASPECTS * (width // ASPECTS), bias=False)
        self.pairs = Pairs(config, width, ASPECTS)
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, config.heads)
        self.feed_forward = FeedForward(width)

    def forward(
        self, objects: Tensor, object_mask: Tensor, scene: Tensor | None, image_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The semantic encoding.

        Args:
            objects: O (B, K, d).
            object_mask: (B, K).
            scene: g (B, 1, d), or None for a model without the grid.
            image_mask: (B, 1), the scene's mask.

        Returns:
            O_sem (B, K, d) and the attention weights (B, h, 1+K, 1+K), or (B, h, K, K) without the scene.
        """
        nodes = objects if scene is None else torch.cat([scene, objects], 1)  # (B, 1+K, d)
        node_mask = object_mask if scene is None else torch.cat([image_mask, object_mask], 1)
        aspects = self.aspects(nodes).unflatten(-1, (ASPECTS, -1))  # (B, 1+K, a, d/a)
        unit = nn.functional.normalize(aspects, dim=-1)
        similarity = torch.einsum("biac,bjac->bija", unit, unit)  # psi (B, 1+K, 1+K, a)
        bias, received = self.pairs(similarity)
        x = self.norm(nodes)
        related, weights = self.attention(x, x, node_mask, bias, received)
        nodes = nodes + related
        nodes = nodes + self.feed_forward(nodes)
        return nodes[:, -objects.shape[1] :], weights


class SpatialBlock(nn.Module):
    """One block over the objects with the absolute and the relative geometry of their boxes.

    Absolute geometry is added to each object: Fourier features of its box, through an MLP and a LayerNorm (which puts
    them at the scale of the content; otherwise they are never learnt). Relative geometry takes the place of queries,
    keys and values: both the attention weights and the messages come from `phi` alone, so that an object learns where
    the others are, and not what they are.
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

    def forward(self, objects: Tensor, boxes: Tensor, box_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Objects O (B, K, d), boxes (B, K, 4) and the mask of known boxes (B, K) to the spatial encoding.

        Returns O_spa (B, K, d) and the attention weights (B, h, K, K), None without relative geometry.
        """
        nodes, weights = objects, None
        if self.position is not None:
            nodes = nodes + self.position(fourier(boxes))
        if self.pairs is not None:
            bias, received = self.pairs(phi(boxes, box_mask))  # (B, h, K, K)
            weights = masked_softmax(bias, box_mask[:, None, None, :])
            nodes = nodes + self.out(received(weights))
        return nodes + self.feed_forward(nodes), weights


def centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (..., 4) to their centres (..., 2), and their widths and heights (..., 2), at least NEAR_ZERO."""
    return (boxes[..., 2:] + boxes[..., :2]) / 2, (boxes[..., 2:] - boxes[..., :2]).clamp(min=NEAR_ZERO)


FOURIER = 4 * (1 + 2 * 4)
"""Numbers that `fourier` gives for a box."""


def fourier(boxes: Tensor) -> Tensor:
    """Absolute geometry, boxes (B, K, 4) to (B, K, 36): centre and size, with their sines and cosines.

    Centre x, centre y, width and height are scaled to [-1, 1]; the frequencies are pi, 2 pi, 4 pi and 8 pi.
    """
    place = torch.cat(centre_and_size(boxes), -1)  # (B, K, 4)
    waves = (place[..., None] * math.pi * 2.0 ** torch.arange(4, device=boxes.device)).flatten(-2)  # (B, K, 16)
    return torch.cat([2 * place - 1, waves.sin(), waves.cos()], -1)


PHI = 11
"""Numbers that `phi` gives for a pair of boxes."""


def phi(boxes: Tensor, box_mask: Tensor) -> Tensor:
    """Relative geometry, boxes (B, K, 4) to (B, K, K, 11): where box j lies, seen from box i.

    0 to 3: dx/w_i and dy/h_i, each within [-10, 10], log w_j/w_i and log h_j/h_i (after Hu et al. 2018, who take the
    logarithm of the first two as well). *Ours*: 4: IoU; 5 to 7: dx, dy and distance, in widths and heights of the
    image; 8 to 10: 1 if j is left of i, above i, the nearest to i of all known boxes (of several at one distance, all).
    """
    centre, size = centre_and_size(boxes)
    offset = centre[:, None] - centre[:, :, None]  # (B, K, K, 2), from i to j
    relative = (offset / size[:, :, None]).clamp(-10, 10)  # a tiny box would see all others at a huge distance
    ratio = (size[:, None] / size[:, :, None]).log()  # (B, K, K, 2)
    low = torch.maximum(boxes[:, None, :, :2], boxes[:, :, None, :2])
    high = torch.minimum(boxes[:, None, :, 2:], boxes[:, :, None, 2:])
    common = (high - low).clamp(min=0).prod(-1)  # (B, K, K)
    area = size.prod(-1)  # (B, K)
    iou = common / (area[:, None] + area[:, :, None] - common)
    distance = offset.norm(dim=-1)  # (B, K, K)
    others = box_mask[:, None] & ~torch.eye(boxes.shape[1], dtype=torch.bool, device=boxes.device)
    to_others = distance.masked_fill(~others, math.inf)
    nearest = (to_others <= to_others.min(-1, keepdim=True).values) & others
    flags = torch.stack([offset[..., 0] < 0, offset[..., 1] < 0, nearest], -1)  # (B, K, K, 3)
    return torch.cat([relative, ratio, iou[..., None], offset, distance[..., None], flags.to(boxes.dtype)], -1)
