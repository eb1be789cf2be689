"""The playground: change one thing about a post of minitweets, and see what the bundled model says at once.

`Playground` answers for a `State` and needs no widgets; `Controls` is its panel for notebooks, made of ipywidgets. The
names are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hamner.playground.controls import Controls
    from hamner.playground.state import NONE, OWN, Playground, Said, State, Thing, differences, looks

_HOME = {
    "Controls": "hamner.playground.controls",
    **dict.fromkeys(
        ("NONE", "OWN", "Playground", "Said", "State", "Thing", "differences", "looks"), "hamner.playground.state"
    ),
}

__all__ = ["NONE", "OWN", "Controls", "Playground", "Said", "State", "Thing", "differences", "looks"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
