"""hamner: find names in tweets from their words and their images.

Start with `load_corpus` and `train`; the command `hamner --help` shows the same from a shell.
"""

from __future__ import annotations

import os
import platform
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hamner.corpora import Corpus, Post, load_corpus
    from hamner.errors import HamnerError
    from hamner.evaluation import score
    from hamner.model.config import ModelConfig
    from hamner.model.fusion import Fused, Seen, Sizes
    from hamner.tagger import Tagger
    from hamner.training import Run, TrainConfig, study_config, train
    from hamner.vision import VisualFeatures, VisualSource
    from hamner.vision.sources import ImageSource

_HOME = {
    "Corpus": "hamner.corpora",
    "Fused": "hamner.model.fusion",
    "HamnerError": "hamner.errors",
    "ImageSource": "hamner.vision.sources",
    "ModelConfig": "hamner.model.config",
    "Post": "hamner.corpora",
    "Run": "hamner.training",
    "Seen": "hamner.model.fusion",
    "Sizes": "hamner.model.fusion",
    "Tagger": "hamner.tagger",
    "TrainConfig": "hamner.training",
    "VisualFeatures": "hamner.vision",
    "VisualSource": "hamner.vision",
    "load_corpus": "hamner.corpora",
    "score": "hamner.evaluation",
    "study_config": "hamner.training",
    "train": "hamner.training",
}

__all__ = [
    "Corpus",
    "Fused",
    "HamnerError",
    "ImageSource",
    "ModelConfig",
    "Post",
    "Run",
    "Seen",
    "Sizes",
    "Tagger",
    "TrainConfig",
    "VisualFeatures",
    "VisualSource",
    "load_corpus",
    "score",
    "study_config",
    "train",
]

# One set of kernels on all x86-64 processors: AVX2 and AVX-512 differ in a sum's last digits, and over a training these
# become other predictions. torch and its libraries read the variables once, when they are loaded.
if platform.machine() in ("x86_64", "AMD64"):
    for _variable, _value in (
        ("ATEN_CPU_CAPABILITY", "avx2"),
        ("MKL_CBWR", "AVX2"),
        ("ONEDNN_MAX_CPU_ISA", "AVX2"),
    ):
        os.environ.setdefault(_variable, _value)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hamner")
    # Each name is imported when it is first used: `import hamner` alone loads no torch, torchvision or matplotlib.
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'hamner' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
