"""From pixels, or captions in their stead, to frozen visual features.

The light parts are imported at once; what needs torchvision (backbones, `ImageExtractor`) on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hamner.images import ImageError, as_rgb, open_image
from hamner.vision.features import VisualFeatures, VisualSource
from hamner.vision.store import FeatureStore

if TYPE_CHECKING:
    from hamner.vision.backbones import load_backbone
    from hamner.vision.extractor import ImageExtractor

__all__ = [
    "FeatureStore",
    "ImageError",
    "ImageExtractor",
    "VisualFeatures",
    "VisualSource",
    "as_rgb",
    "load_backbone",
    "open_image",
]

_LATE = {"load_backbone": "hamner.vision.backbones", "ImageExtractor": "hamner.vision.extractor"}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
