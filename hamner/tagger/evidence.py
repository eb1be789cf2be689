"""The parts of an image that an entity rests on: its attention weights, and the drop in confidence under occlusion.

Attention shows what was read. Whether it mattered is another question (Jain and Wallace 2019), which occlusion answers
(after Zeiler and Fergus 2014): one part of the image is masked, and the confidence is computed again. Neither number is
rescaled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hamner.corpora.tags import Span
from hamner.model.batch import AttentionWeights, Batch, ImageFeatures
from hamner.model.hamner import HamNer
from hamner.tagger.confidence import calibrated, span_probabilities

OF_WORDS = ("word_mask", "shapes", "word_layers", "word_embeddings")
"""The fields of a batch that hold its words after the text encoder."""

FLAT = 0.995
"""Entropy, as a share of the maximum, above which a map of 49 regions counts as flat. Its standard deviation is then
below a fifth of its mean (a single region can still have more than twice the weight of the others)."""


@dataclass(frozen=True)
class AttendedObject:
    """An object of the image, with one entity's attention to it.

    box        x1, y1, x2, y2 as shares of the image; None if unknown
    name       its class; "" if unknown
    score      the detector's, in [0, 1]
    attention  weight times number of regions; 1 = uniform
    drop       fall in the entity's confidence when the object is masked; negative if it rises
    """

    box: tuple[float, float, float, float] | None
    name: str
    score: float
    attention: float
    drop: float


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence for one entity in the image.

    Attention comes from the forward pass that tagged the post: the weights of co-attention, or without co-attention
    those of the last iteration (mean over heads); mean over the entity's words. Each weight is multiplied by the number
    of regions, so that 1 is uniform: the grid's regions count once, an object once for each of its encodings. An
    object's attention is the mean over its encodings. It is often above 1, because few objects share what beta gives to
    their grains, while 49 regions share what it gives to the grid.

    grid_attention  (R,) of each region of the grid, from the top left; None for a model without the grid
    grid_drop       (R,) fall in confidence when a region's features are replaced by the grid's mean
    objects         the best detector score first
    image_drop      fall in confidence without the image
    """

    grid_attention: np.ndarray | None
    grid_drop: np.ndarray | None
    objects: tuple[AttendedObject, ...]
    image_drop: float

    @property
    def grid_entropy(self) -> float | None:
        """Entropy of the attention over the grid as a share of the maximum; 1 is flat."""
        if self.grid_attention is None or len(self.grid_attention) == 1:
            return None
        return entropy(self.grid_attention)

    @property
    def flat(self) -> bool:
        """Whether the attention over the grid is nearly uniform (see FLAT)."""
        return (self.grid_entropy or 0.0) > FLAT

    @property
    def most_attended(self) -> tuple[str, float]:
        """The name of the object or region with the most attention, and that attention."""
        return self._greatest(self.grid_attention, [item.attention for item in self.objects])

    @property
    def rests_on(self) -> tuple[str, float]:
        """The name of the object or region with the greatest drop, and that drop."""
        return self._greatest(self.grid_drop, [item.drop for item in self.objects])

    def _greatest(self, of_grid: np.ndarray | None, of_objects: Sequence[float]) -> tuple[str, float]:
        values = {
            f"object {number}" + (f" ({item.name})" if item.name else ""): value
            for number, (item, value) in enumerate(zip(self.objects, of_objects, strict=True), start=1)
        }
        if of_grid is not None:
            k, side = int(of_grid.argmax()), math.isqrt(len(of_grid))
            square = side > 1 and side**2 == len(of_grid)
            name = f"the region in row {k // side + 1}, column {k % side + 1}" if square else f"region {k + 1}"
            values[name] = float(of_grid[k])
        return max(values.items(), key=lambda one: one[1], default=("nothing", 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        grid = {"grid_attention": self.grid_attention, "grid_drop": self.grid_drop}
        return {
            "image_drop": self.image_drop,
            "objects": [asdict(item) for item in self.objects],
            **{name: None if values is None else values.tolist() for name, values in grid.items()},
        }


def entropy(weights: np.ndarray) -> float:
    """Entropy of a map (R,) of two regions or more as a share of the maximum: 1 is flat, 0 is a single region."""
    share = weights / weights.sum()
    return float(-(share * np.log(share.clip(min=1e-12))).sum() / np.log(len(share)))


def attention(attention_weights: AttentionWeights, images: ImageFeatures) -> Tensor:
    """Weight times number of regions, (B, n, M); 1 = uniform, 0 where the image is masked."""
    if attention_weights.co_regions is not None:
        weights = attention_weights.co_regions
    else:
        of_words = attention_weights.word_to_region
        assert isinstance(of_words, Tensor), "weights that are kept are stacked, and some word reads a region"
        weights = of_words[:, -1].mean(1)
    seen = images.image_mask[:, None]
    masks = (seen.expand(images.grid.shape[:2]), images.object_mask & seen, images.box_mask & seen)
    real = torch.cat([masks[grain] for grain in attention_weights.grain.unique_consecutive().tolist()], 1)  # (B, M)
    return weights * real.sum(1)[:, None, None]


def evidence_of(
    model: HamNer,
    batch: Batch,
    attention_weights: AttentionWeights,
    row: int,
    spans: Sequence[Span],
    names: Sequence[str],
    temperature: float | None,
) -> list[Evidence]:
    """The evidence for each span of the post in row `row`, which has an image; `names` are the names of its objects.

    `batch` holds the word vectors (`word_layers`): all occlusions take one forward pass without the text encoder.
    """
    images = batch.images
    assert images is not None
    has_grid = model.config.global_vision
    real = images.object_mask[row].nonzero()[:, 0].tolist() if model.config.objects else []
    output = model(occlusions(batch, row, images.grid.shape[1] if has_grid else 0, real))
    variants = len(output.emissions)
    asked = [(variant, span) for span in spans for variant in range(variants)]
    confidence = span_probabilities(model.decoder, output.emissions.float(), output.word_mask, asked).cpu().numpy()
    if temperature is not None:
        confidence = calibrated(confidence, temperature)
    confidence = confidence.reshape(len(spans), variants)
    drops = confidence[:, :1] - confidence[:, 1:]  # in one batch, so that a part without effect has a drop of exactly 0
    weights = attention(attention_weights, images)[row]  # (n, M)
    evidence = []
    for span, drop in zip(spans, drops, strict=True):
        attended = weights[span.start : span.end].mean(0)  # (M,)
        on_grid, semantic, spatial = (attended[attention_weights.grain == grain] for grain in range(3))
        without_image, without_region, without_object = np.split(drop, [1, variants - 1 - len(real)])
        objects = []
        for k, fall in zip(real, without_object.tolist(), strict=True):
            placed = bool(images.box_mask[row, k])
            encodings = [*semantic[k : k + 1], *(spatial[k : k + 1] if placed else ())]
            objects.append(
                AttendedObject(
                    box=tuple(images.boxes[row, k].tolist()) if placed else None,
                    name=names[k],
                    score=images.scores[row, k].item(),
                    attention=torch.stack(encodings).mean().item() if encodings else 0.0,
                    drop=fall,
                )
            )
        evidence.append(
            Evidence(
                grid_attention=on_grid.cpu().numpy() if has_grid else None,
                grid_drop=without_region if has_grid else None,
                objects=tuple(objects),
                image_drop=float(without_image[0]),
            )
        )
    return evidence


def occlusions(batch: Batch, row: int, regions: int, objects: Sequence[int]) -> Batch:
    """One post several times: unchanged, without its image, without each of `regions`, without each of `objects`."""
    assert batch.images is not None
    length = int(batch.word_mask[row].sum())
    variants = 2 + regions + len(objects)

    def repeated(values: Tensor) -> Tensor:
        return values[row].expand(variants, *values.shape[1:]).clone()

    words = {name: repeated(getattr(batch, name))[:, :length] for name in OF_WORDS}
    images = ImageFeatures(*map(repeated, batch.images))
    images.image_mask[1] = False
    region = torch.arange(regions, device=batch.word_mask.device)
    images.grid[2 + region, region] = images.grid[0].mean(0)
    for variant, k in enumerate(objects, start=2 + regions):
        images.object_mask[variant, k] = images.box_mask[variant, k] = False
    return Batch(index=torch.zeros(variants, dtype=torch.long, device=batch.word_mask.device), images=images, **words)
