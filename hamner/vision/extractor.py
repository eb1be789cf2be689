"""From an image to its features, one image at a time: features never depend on the other images of a corpus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from hamner.corpora.post import Post
from hamner.devices import cpu_threads, existing_device
from hamner.images import ImageError, image_sha256, open_image
from hamner.vision.backbones import Backbone, load_backbone
from hamner.vision.features import VisualFeatures, VisualSource, digest
from hamner.vision.objects import MARGIN, ObjectFinder, Objects, crop, object_finder
from hamner.vision.sources import ReadsImages

MOST_WORKERS = 8
"""Upper bound on images that are processed at a time: each needs memory of its own."""


class ImageExtractor(ReadsImages):
    """The backbone reads the whole image for the grid, and the crop of each object.

    A batch holds the crops of one image, never of several, and runs on one CPU thread. The sums inside a convolution
    differ in the last bit between batch sizes and numbers of threads: so features are the same in every corpus and on
    any number of cores. It is also the fastest way on several cores, which process one image each.
    """

    def __init__(
        self, backbone: Backbone, finder: ObjectFinder, max_objects: int, crop_size: int, grid_side: int = 7
    ) -> None:
        self.backbone = backbone
        self.finder = finder
        self.class_names = finder.class_names
        self.channels = backbone.channels
        self.max_objects = max_objects
        self.crop_size = crop_size
        self.grid_side = grid_side
        self.regions = grid_side**2
        self.workers = min(MOST_WORKERS, torch.get_num_threads())
        self.identity: dict[str, Any] = {
            "backbone": backbone.name,
            "weights": backbone.weights,
            "transform": backbone.transform_identity,
            "crop_size": crop_size,
            "grid_side": grid_side,
            "margin": MARGIN,
            "finder": finder.identity,
            "threads": 1,
        }

    @classmethod
    def load(cls, source: VisualSource, corpus_folder: Path, device: str = "cpu") -> ImageExtractor:
        """Load the extractor that `source` describes; annotations are read from `corpus_folder`.

        Raises WeightsError, AnnotationError, DeviceError.
        """
        existing_device(device)
        finder = object_finder(source, corpus_folder, device)
        backbone = load_backbone(source.backbone, source.weights, source.seed).to(device)
        return cls(backbone, finder, source.max_objects, source.crop_size, source.grid_side)

    def key(self, post: Post) -> str:
        """The key of the post's features: a SHA-256 of its image's bytes and of the annotations that it has.

        Raises ImageError when there is no such file, AnnotationError when annotations are used and it has none.
        """
        if post.image is None:
            raise ImageError("no image")
        pixels = image_sha256(post.image)
        known = self.finder.known(post.image)
        return digest([pixels, known]) if known else pixels

    def extract(self, post: Post) -> VisualFeatures:
        """The features of the post's image. Raises ImageError when it cannot be read."""
        if post.image is None:
            raise ImageError("no image")
        image = open_image(post.image)
        with cpu_threads(1):
            return self.encode(image, self.finder.find(post.image, image))

    def encode(self, image: Image.Image, objects: Objects) -> VisualFeatures:
        """The features of an RGB image with the given objects (at most `max_objects`)."""
        features = VisualFeatures.absent(self.regions, self.channels, self.max_objects)
        crops = [self.backbone.transform(crop(image, box), self.crop_size) for box in objects.boxes.tolist()]
        with cpu_threads(1):
            features.grid[:] = self.backbone.grid(self.backbone.transform(image)[None], self.grid_side)[0].cpu()
            if crops:
                features.objects[: len(crops)] = self.backbone.pooled(torch.stack(crops)).cpu()
        features.boxes[: len(crops)] = objects.boxes
        features.classes[: len(crops)] = objects.classes
        features.scores[: len(crops)] = objects.scores
        features.object_mask[: len(crops)] = features.box_mask[: len(crops)] = True
        return replace(features, image_present=True)
