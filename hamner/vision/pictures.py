"""From a picture to its features: one picture at a time, so that they never depend on the pictures beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hamner.corpora.post import Post
from hamner.devices import existing_device
from hamner.vision.backbones import REGIONS, Backbone, load_backbone
from hamner.vision.features import VisualFeatures, VisualSource, digest
from hamner.vision.images import ImageError, image_sha256, open_image
from hamner.vision.objects import MARGIN, ObjectFinder, Objects, crop, object_finder


@dataclass(frozen=True)
class Prepared:
    """A picture as the backbone takes it: whole (1, 3, 224, 224), crops of its k objects (k, 3, S, S), both bytes."""

    whole: Tensor
    crops: Tensor
    objects: Objects


class PictureExtractor:
    """The whole picture through the backbone for the grid, and each object's crop through the same backbone.

    Batches are the crops of one picture, never of several: on a CPU such small batches are the fastest, and the sums
    inside a convolution, which differ in the last bit between batch sizes, come out the same in every corpus.
    """

    regions = REGIONS

    def __init__(self, backbone: Backbone, finder: ObjectFinder, max_objects: int, crop_size: int) -> None:
        self.backbone = backbone
        self.finder = finder
        self.class_names = finder.class_names
        self.channels = backbone.channels
        self.max_objects = max_objects
        self.crop_size = crop_size
        self.identity: dict[str, Any] = {
            "backbone": backbone.name,
            "weights": backbone.weights,
            "transform": backbone.transform_identity,
            "crop_size": crop_size,
            "margin": MARGIN,
            "finder": finder.identity,
        }

    @classmethod
    def load(cls, source: VisualSource, corpus_folder: Path, device: str = "cpu") -> PictureExtractor:
        """What `source` describes; annotations are read from `corpus_folder`.

        Raises WeightsError, AnnotationError, DeviceError.
        """
        existing_device(device)
        finder = object_finder(source, corpus_folder, device)
        backbone = load_backbone(source.backbone, source.weights, source.seed).to(device)
        return cls(backbone, finder, source.max_objects, source.crop_size)

    def key(self, post: Post) -> str:
        """What the post's features are known by: its picture's bytes, and what the data says is in it.

        Raises ImageError when there is no such file, AnnotationError when the data must say what is in it and does not.
        """
        if post.image is None:
            raise ImageError("no picture")
        pixels = image_sha256(post.image)
        known = self.finder.known(post.image)
        return digest([pixels, known]) if known else pixels

    def prepare(self, post: Post) -> Prepared:
        """Open the post's picture and cut out its objects. Raises ImageError when it cannot be read."""
        if post.image is None:
            raise ImageError("no picture")
        image = open_image(post.image)
        return self._cut(image, self.finder.find(post.image, image))

    def compute(self, prepared: Prepared) -> VisualFeatures:
        """Put a prepared picture through the backbone."""
        features = VisualFeatures.absent(self.regions, self.channels, self.max_objects)
        features.grid[:] = self.backbone.grid(prepared.whole)[0].cpu()
        count = len(prepared.crops)
        if count:
            features.objects[:count] = self.backbone.pooled(prepared.crops).cpu()
            features.boxes[:count] = prepared.objects.boxes
            features.classes[:count] = prepared.objects.classes
            features.scores[:count] = prepared.objects.scores
            features.object_mask[:count] = features.box_mask[:count] = True
        return replace(features, image_present=True)

    def encode(self, image: Image.Image, objects: Objects) -> VisualFeatures:
        """The features of an RGB picture with the given objects (at most `max_objects`)."""
        return self.compute(self._cut(image, objects))

    def _cut(self, image: Image.Image, objects: Objects) -> Prepared:
        crops = torch.empty(len(objects.boxes), 3, self.crop_size, self.crop_size, dtype=torch.uint8)
        for i, box in enumerate(objects.boxes.tolist()):
            crops[i] = self.backbone.transform(crop(image, box), self.crop_size)
        return Prepared(self.backbone.transform(image)[None], crops, objects)
