"""From pixels, or captions in their stead, to frozen visual features.

The names are imported on first use: `hamner --help` should not wait for numpy, nor features for torchvision.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hamner.corpora.registry import checkout
from hamner.files import cache_folder

if TYPE_CHECKING:
    from hamner.images import ImageError, as_rgb, open_image
    from hamner.vision.backbones import load_backbone
    from hamner.vision.extractor import ImageExtractor
    from hamner.vision.features import VisualFeatures, VisualSource
    from hamner.vision.store import FeatureStore

FEATURES = Path("data/features") if checkout() else cache_folder() / "features"
"""Where features are kept unless another folder is named: without a checkout in the user's cache."""

_HOME = {
    "FeatureStore": "hamner.vision.store",
    "ImageError": "hamner.images",
    "ImageExtractor": "hamner.vision.extractor",
    "VisualFeatures": "hamner.vision.features",
    "VisualSource": "hamner.vision.features",
    "as_rgb": "hamner.images",
    "load_backbone": "hamner.vision.backbones",
    "open_image": "hamner.images",
}

__all__ = [
    "FEATURES",
    "FeatureStore",
    "ImageError",
    "ImageExtractor",
    "VisualFeatures",
    "VisualSource",
    "as_rgb",
    "load_backbone",
    "open_image",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
