"""What the model sees of one image, and which source it comes from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from hamner.settings import ConfigError, Share, setting, settings

BACKBONES = ("efficientnet-lite0", "resnet152")
ANNOTATIONS = "annotations.jsonl"
"""The file beside a corpus in which the source annotations finds its objects."""
MAX_OBJECTS = 1000
"""Every pair of objects is compared: more of them would fill any memory."""
FINDERS = ("annotations", "tiles", "maskrcnn", "none")


class SourceError(ConfigError):
    """A visual source is asked for that does not exist, or whose parts do not fit together."""


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
    image_present whether there is an image, or what stands in for it
    """

    grid: np.ndarray
    objects: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    object_mask: np.ndarray
    box_mask: np.ndarray
    image_present: bool

    @classmethod
    def absent(cls, regions: int, channels: int, max_objects: int) -> VisualFeatures:
        """The features of a post without an image: everything is masked."""
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


@settings(SourceError)
class VisualSource:
    """Where visual features come from; plain values, so that a run's record can hold it.

    Raises SourceError for a value that does not exist.
    """

    backbone: str = setting(
        "efficientnet-lite0",
        "ours",
        "efficientnet-lite0, resnet152, or captions (`from_captions`)",
        sibling="resnet152",
    )
    objects: str = setting(
        "annotations",
        "ours",
        "annotations (annotations.jsonl beside the corpus), tiles (fixed crops), maskrcnn, or none",
        sibling="maskrcnn",
    )
    max_objects: Annotated[int, Field(ge=1, le=MAX_OBJECTS)] = setting(
        8, "ours", "K: the objects of best score are kept", sibling=5
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

    def __post_init__(self) -> None:
        if self.backbone == "captions":
            if self.objects != "phrases" or not self.captions:
                raise SourceError("the source captions needs captions files: VisualSource.from_captions(file, ...)")
        else:
            _choose("backbone", self.backbone, (*BACKBONES, "captions"))
            _choose("objects", self.objects, FINDERS)
            if self.captions:
                raise SourceError(
                    f"captions files are of no use to the backbone {self.backbone}: leave one of them out"
                )

    @classmethod
    def from_captions(cls, *files: str, max_objects: int = 8) -> VisualSource:
        """Captions as a stand-in where there are no images: the caption for the grid, its phrases for objects."""
        return cls(backbone="captions", objects="phrases", max_objects=max_objects, captions=tuple(map(str, files)))

    @property
    def label(self) -> str:
        """How tables and figures name this source."""
        if self.backbone == "captions":
            return "captions (stand-in)"
        random = " (random weights)" if self.weights == "random" else ""
        return f"{self.backbone} + {self.objects}{random}"


def digest(value: object) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SourceError(f"{name} cannot be {value!r}: choose one of {', '.join(choices)}")
