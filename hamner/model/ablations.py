"""The ablation rows: the model without one of its parts. Each is one named change of the full model's config."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hamner.model.config import ModelConfig, ModelConfigError

ROWS: dict[str, dict[str, Any]] = {
    "full": {},
    "text_only": {"vision": False},
    "no_local_text": {"local_text": False},  # and with it word shapes, which the convolution reads
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
"""Row -> the settings that it changes. That the paper ablates the spatial and semantic encodings, relevance and
iteration is *stated*; the other rows are *ours*."""

OF_TEXT = ("text_encoder", "frozen_text", "layers", "local_text", "word_shapes", "dropout", "width", "heads")
"""The settings that a text-only model has (`heads` because it must divide the width); all others are about images."""

CONTROLS = ("blank_images", "shuffled_images")
"""The full model on other data, at training and at test: a blank image, or another post's, in place of its own."""


def ablate(config: ModelConfig, row: str) -> ModelConfig:
    """The config of row `row` of the full model `config`; a control leaves it as it is, for it changes the data.

    `text_only` has the defaults of all that is about images, so that it is one run beside whichever full model.

    Raises ModelConfigError for an unknown row, and when `config` has no vision that could be taken away.
    """
    if row not in ROWS and row not in CONTROLS:
        raise ModelConfigError(f"unknown ablation row {row!r}; there are {', '.join((*ROWS, *CONTROLS))}")
    if not config.vision:
        raise ModelConfigError("ablation rows are changes of the full model: its config needs vision=True")
    if row == "text_only":
        return ModelConfig(**{name: getattr(config, name) for name in OF_TEXT})
    return replace(config, **ROWS.get(row, {}))


def row_of(config: ModelConfig) -> str:
    """The row that `config` is, by the settings that rows change; `custom` when it is none of them."""
    full = replace(ModelConfig(), vision=True)
    changed = {name: getattr(config, name) for row in ROWS.values() for name in row}
    different = {name: value for name, value in changed.items() if value != getattr(full, name)}
    if not config.vision:  # then what is about images makes no difference
        return "custom" if any(name in OF_TEXT for name in different) else "text_only"
    return next((row for row, settings in ROWS.items() if settings == different), "custom")
