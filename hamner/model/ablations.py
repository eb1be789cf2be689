"""The ablation rows: what the model is without one of its parts. Each is one named change of the full model's config."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hamner.model.config import ModelConfig, ModelConfigError

ROWS: dict[str, dict[str, Any]] = {
    "full": {},
    "text_only": {"vision": False},
    "no_local_text": {"local_text": False},
    "no_global": {"global_vision": False},
    "no_objects": {"objects": False},
    "no_semantic": {"semantic": False},
    "no_spatial": {"spatial": False},
    "no_absolute_geometry": {"absolute_geometry": False},
    "no_relative_geometry": {"relative_geometry": False},
    "no_relevance": {"relevance": False},
    "no_integration": {"integration": False},
    "no_iteration": {"iterations": 0},
    "one_iteration": {"iterations": 1},
    "two_iterations": {"iterations": 2},
    "three_iterations": {"iterations": 3},
    "four_iterations": {"iterations": 4},
    "no_coattention": {"coattention": False},
}
"""Row -> the settings that it changes. Which modules the paper itself ablates is *stated* for spatial, semantic, relevance and
iteration; the other rows are *ours*."""

CONTROLS = ("blank_images", "shuffled_images")
"""The full model on other data, at training and at test: a blank picture, or another post's, in place of each post's own."""


def ablate(config: ModelConfig, row: str) -> ModelConfig:
    """The config of ablation row `row` of the full model `config`; a control leaves it as it is, for it changes the data.

    Raises ModelConfigError for an unknown row, and when `config` has no vision that could be taken away.
    """
    if row not in ROWS and row not in CONTROLS:
        raise ModelConfigError(f"unknown ablation row {row!r}; there are {', '.join((*ROWS, *CONTROLS))}")
    if not config.vision:
        raise ModelConfigError("ablation rows are changes of the full model: its config needs vision=True")
    return replace(config, **ROWS.get(row, {}))
