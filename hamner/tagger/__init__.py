"""Tag posts of your own with a trained run.

The names are imported on first use, so that `hamner tag --help` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hamner.tagger.calibration import calibrate, judged_entities
    from hamner.tagger.evidence import AttendedObject, Evidence
    from hamner.tagger.post import Entity, TaggedPost
    from hamner.tagger.tagger import Tagger, TaggerError

_HOME = {
    "Entity": "hamner.tagger.post",
    "Evidence": "hamner.tagger.evidence",
    "AttendedObject": "hamner.tagger.evidence",
    "TaggedPost": "hamner.tagger.post",
    "Tagger": "hamner.tagger.tagger",
    "TaggerError": "hamner.tagger.tagger",
    "calibrate": "hamner.tagger.calibration",
    "judged_entities": "hamner.tagger.calibration",
}

__all__ = [
    "AttendedObject",
    "Entity",
    "Evidence",
    "TaggedPost",
    "Tagger",
    "TaggerError",
    "calibrate",
    "judged_entities",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
