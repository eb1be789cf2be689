"""Stage 1, each modality by itself: words to a sentence vector, frozen features to the memory [G; O_sem; O_spa].

s      = LN(W_s sum_i a_i h_i), a = softmax(h w)  the whole post, h the encoder's last layer        *ours*

G      = LN(W_g F)                           the whole picture, region by region        *stated*
O      = LN(W_o f + E_c[class] + w_s score)  its objects *stated*; how they are put together is *ours*
O_sem  = Block([g; O], psi), g = mean(G)     what the objects are to one another and to the scene, without geometry
O_spa  = Block(O + place, phi)               where they are, and where from one another

That there is a semantic and a spatial encoding is *stated*, their form is *ours*. All geometry is in the spatial block
alone, so that leaving it out leaves out all geometry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hamner.model.attention import Attention, FeedForward, masked_softmax
from hamner.model.batch import Pictures
from hamner.model.config import ModelConfig

GRAINS = ("global", "semantic", "spatial")
ASPECTS = 4
"""In how many respects the semantic encoding compares two objects."""
NEAR_ZERO = 1e-3
"""A thousandth of the picture: the least side of a box, so that a degenerate one divides by no zero."""


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
        noise = config.visual_noise
        self.grid = None
        if config.global_vision:
            self.grid = nn.Sequential(nn.Linear(channels, width), nn.LayerNorm(width), Noise(noise))
        self.objects = Objects(width, channels, classes, noise) if config.objects else None
        self.semantic = SemanticBlock(config, width) if config.objects and config.semantic else None
        self.spatial = SpatialBlock(config, width) if config.objects and config.spatial else None

    def forward(self, pictures: Pictures) -> tuple[Memory, dict[str, Tensor]]:
        """The memory, and the weights of both blocks, by their names in the trace."""
        seen = pictures.image_mask[:, None]  # (B, 1)
        grains: list[tuple[int, Tensor, Tensor]] = []
        looks: dict[str, Tensor] = {}
        scene = None
        if self.grid is not None:
            G = self.grid(standardised(pictures.grid))  # (B, R, d)
            scene = G.mean(1, keepdim=True)  # g (B, 1, d)
            grains.append((0, G, seen.expand(G.shape[:2])))
        if self.objects is not None:
            O = self.objects(pictures)  # noqa: E741  (B, K, d)
            there, placed = pictures.object_mask & seen, pictures.box_mask & seen
            if self.semantic is not None:
                O_sem, looks["semantic"] = self.semantic(O, there, scene, seen)
                grains.append((1, O_sem, there))
            if self.spatial is not None:
                O_spa, looks["spatial"] = self.spatial(O, pictures.boxes, placed)
                grains.append((2, O_spa, placed))
        memory = Memory(
            torch.cat([regions for _, regions, _ in grains], 1),
            torch.cat([mask for _, _, mask in grains], 1),
            torch.cat([mask.new_full(mask.shape[1:], grain, dtype=torch.long) for grain, _, mask in grains]),
        )
        return memory, looks


def standardised(features: Tensor) -> Tensor:
    """Each feature vector with mean 0 and variance 1: sources differ in scale by more than ten times (*ours*)."""
    return nn.functional.layer_norm(features, features.shape[-1:])


class Noise(nn.Module):
    """In training, Gaussian noise of standard deviation `scale` on each number (*ours*).

    A frozen backbone sees each picture just once: without noise a picture is the same numbers in every epoch, and soon
    known by heart.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * torch.randn_like(x) if self.training and self.scale else x


class Objects(nn.Module):
    """O = LN(W_o f + E_c[class] + w_s score), (B, K, d)."""

    def __init__(self, width: int, channels: int, classes: int, noise: float) -> None:
        super().__init__()
        self.feature = nn.Linear(channels, width)
        self.label = nn.Embedding(classes, width, padding_idx=0)
        self.score = nn.Linear(1, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.noise = Noise(noise)
        # What an object looks like comes first: its class and score start as small additions.
        for added in (self.label.weight, self.score.weight):
            nn.init.normal_(added, std=0.02)
        nn.init.zeros_(self.label.weight[0])

    def forward(self, pictures: Pictures) -> Tensor:
        looks = self.feature(standardised(pictures.objects))
        return self.noise(self.norm(looks + self.label(pictures.classes) + self.score(pictures.scores[:, :, None])))


class RelationBlock(nn.Module):
    """One pre-LN Transformer block whose attention knows how each pair of nodes stands to one another.

    From `pairs` numbers of each pair an MLP gives what is added to the logits (after Hu et al. 2018, Relation Networks)
    and, *ours*, a message that passes from j to i beside j's value. Attention weights sum to 1, so that without it no
    node can tell "three are like me" from "one is", or "two are left of me" from "one is".
    """

    def __init__(self, config: ModelConfig, width: int, pairs: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, config.heads)
        self.feed_forward = FeedForward(width)
        self.pair = nn.Sequential(nn.Linear(pairs, 64), nn.GELU()) if pairs else None
        self.bias = nn.Linear(64, config.heads, bias=False) if pairs else None
        self.message = nn.Linear(64, width) if pairs else None

    def forward(self, nodes: Tensor, mask: Tensor, pairs: Tensor | None) -> tuple[Tensor, Tensor]:
        """Nodes (B, K, d), their mask (B, K) and pairs (B, K, K, P) to nodes (B, K, d) and the weights (B, h, K, K)."""
        bias = message = None
        if pairs is not None and self.pair is not None and self.bias is not None and self.message is not None:
            pair = self.pair(pairs)  # (B, K, K, 64)
            bias = self.bias(pair).permute(0, 3, 1, 2)  # (B, h, K, K)
            message = self.message(pair)  # (B, K, K, d)
        x = self.norm(nodes)
        related, weights = self.attention(x, x, mask, bias, message)
        nodes = nodes + related
        return nodes + self.feed_forward(nodes), weights


class SemanticBlock(nn.Module):
    """A relation block over [g; O], the scene is a node too; a pair's numbers say in what respects the two are alike.

    psi_a(i, j) = cos(W_a x_i, W_a x_j) in ASPECTS respects a: two of a kind are alike in most from the start (*ours*).
    """

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.aspects = nn.Linear(width, ASPECTS * (width // ASPECTS), bias=False)
        self.block = RelationBlock(config, width, ASPECTS)

    def forward(self, objects: Tensor, mask: Tensor, scene: Tensor | None, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Objects (B, K, d), their mask, the scene (B, 1, d) or None and its mask (B, 1) to O_sem and the weights."""
        nodes = objects if scene is None else torch.cat([scene, objects], 1)  # (B, 1+K, d)
        node_mask = mask if scene is None else torch.cat([seen, mask], 1)
        of = nn.functional.normalize(self.aspects(nodes).unflatten(-1, (ASPECTS, -1)), dim=-1)
        alike = torch.einsum("biac,bjac->bija", of, of)
        nodes, weights = self.block(nodes, node_mask, alike)
        return nodes[:, -objects.shape[1] :], weights


class SpatialBlock(nn.Module):
    """A relation block over the objects; a pair's numbers say how the two boxes lie (`phi`).

    Absolute geometry: Fourier features of the box, through an MLP and a LayerNorm (at the scale of the content, else it
    is never learnt), added to the block's input. Relative geometry: phi.
    """

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.position = None
        if config.absolute_geometry:
            self.position = nn.Sequential(
                nn.Linear(FOURIER, width), nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width)
            )
        self.relative = config.relative_geometry
        self.block = RelationBlock(config, width, PHI if self.relative else 0)

    def forward(self, objects: Tensor, boxes: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Objects (B, K, d), boxes (B, K, 4), mask of known boxes (B, K) to O_spa and the weights (B, h, K, K)."""
        if self.position is not None:
            objects = objects + self.position(fourier(boxes))
        return self.block(objects, mask, phi(boxes, mask) if self.relative else None)


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

    (dx/w_i, dy/h_i, log w_j/w_i, log h_j/h_i, IoU, is-left, is-above), and *ours*: (dx, dy, distance) in units of the
    picture, and whether j is the nearest to i of all real boxes.
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
