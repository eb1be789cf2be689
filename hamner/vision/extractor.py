"""From an image to its features: one image at a time, so that they never depend on the images beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from hamner.corpora.post import Post
from hamner.devices import cpu_threads, existing_device
from hamner.images import ImageError, image_sha256, open_image
from hamner.vision.backbones import REGIONS, Backbone, load_backbone
from hamner.vision.features import VisualFeatures, VisualSource, digest
from hamner.vision.objects import MARGIN, ObjectFinder, Objects, crop, object_finder

MOST_WORKERS = 8
"""Images at a time at most, for each needs memory of its own."""


class ImageExtractor:
    """The whole image through the backbone for the grid, and each object's crop through the same backbone.

    Batches are the crops of one image, never of several, and on one CPU thread: on several cores so many images at
    a time are the fastest, and the sums inside a convolution, which differ in the last bit between batch sizes and
    numbers of threads, come out the same in every corpus and whatever the number of cores.
    """

    regions = REGIONS

    def __init__(self, backbone: Backbone, finder: ObjectFinder, max_objects: int, crop_size: int) -> None:
        self.backbone = backbone
        self.finder = finder
        self.class_names = finder.class_names
        self.channels = backbone.channels
        self.max_objects = max_objects
        self.crop_size = crop_size
        self.workers = min(MOST_WORKERS, torch.get_num_threads())
        self.identity: dict[str, Any] = {
            "backbone": backbone.name,
            "weights": backbone.weights,
            "transform": backbone.transform_identity,
            "crop_size": crop_size,
            "margin": MARGIN,
            "finder": finder.identity,
            "threads": 1,
        }

    @classmethod
    def load(cls, source: VisualSource, corpus_folder: Path, device: str = "cpu") -> ImageExtractor:
        """What `source` describes; annotations are read from `corpus_folder`.

        Raises WeightsError, AnnotationError, DeviceError.
        """
        existing_device(device)
        finder = object_finder(source, corpus_folder, device)
        backbone = load_backbone(source.backbone, source.weights, source.seed).to(device)
        return cls(backbone, finder, source.max_objects, source.crop_size)

    def key(self, post: Post) -> str:
        """What the post's features are known by: its image's bytes, and what the data says is in it.

        Raises ImageError when there is no such file, AnnotationError when the data must say what is in it and does not.
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
            features.grid[:] = self.backbone.grid(self.backbone.transform(image)[None])[0].cpu()
            if crops:
                features.objects[: len(crops)] = self.backbone.pooled(torch.stack(crops)).cpu()
        features.boxes[: len(crops)] = objects.boxes
        features.classes[: len(crops)] = objects.classes
        features.scores[: len(crops)] = objects.scores
        features.object_mask[: len(crops)] = features.box_mask[: len(crops)] = True
        return replace(features, image_present=True)
