"""The study's runs: which rows it compares, and the config of each row of a corpus with a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hamner.model.ablations import CONTROLS, ablate, row_of
from hamner.training.config import ConfigError, TrainConfig
from hamner.training.presets import merged, preset

GRID = (
    "full", "text_only", "no_local_text", "no_global", "no_objects", "no_semantic", "no_spatial",
    "no_absolute_geometry", "no_relative_geometry", "no_relevance", "no_integration", "no_iteration", "one_iteration",
    "three_iterations", "four_iterations", "no_coattention", "blank_images", "shuffled_images",
)  # fmt: skip
"""The rows and controls that are trained when nobody names others; for captions see `rows_of`."""

CAPTION_WORDS = "caption_words"
"""The control that reads captions as words: text only, with each post's caption after it."""

OF_GEOMETRY = ("no_spatial", "no_absolute_geometry", "no_relative_geometry")
"""Rows that captions cannot exercise: a phrase has no place in the image, so there is nothing to take away."""

EVERY_ROW = (*GRID, CAPTION_WORDS)
"""Those that the tables know, in their order; captions as words need captions."""

SEEDS = (1, 2, 3)
"""The seeds of the study."""


def place(row: str) -> int:
    """Where tables put a row: in the order of EVERY_ROW, and any other one behind."""
    return EVERY_ROW.index(row) if row in EVERY_ROW else len(EVERY_ROW)


def row_of_run(config: TrainConfig) -> str:
    """The ablation row or control that a run is; `custom` when it is none."""
    of_model = row_of(config.model)
    if config.appended:
        return CAPTION_WORDS if of_model == "text_only" else "custom"
    if config.images == "own" or not config.model.vision:
        return of_model
    return f"{config.images}_images" if of_model == "full" else "custom"


def full_settings(corpus: str, given: dict[str, Any] | None = None, preset_name: str | None = None) -> dict[str, Any]:
    """The settings of the full model on a corpus, nested as in `TrainConfig.to_dict`: its preset, and `given` over it.

    Without `preset_name` that of the study: `small` for minitweets, `standard` for others.
    """
    name = preset_name or ("small" if corpus == "minitweets" else "standard")
    return merged(preset(name), {"model": {"vision": True}, "visual": {}}, given or {})


def of_captions(files: Sequence[Path | str]) -> dict[str, Any]:
    """The settings with which captions stand in for images."""
    return {"visual": {"backbone": "captions", "objects": "phrases", "captions": [str(file) for file in files]}}


def config_of_row(full: dict[str, Any], row: str, seed: int) -> TrainConfig:
    """The config of one row or control of the full model, with this seed. Raises HamnerError for an unknown row."""
    config = TrainConfig.from_dict(merged(full, {"seed": seed}))
    if row == CAPTION_WORDS:
        if config.visual is None or not config.visual.captions:
            raise ConfigError(f"the control {CAPTION_WORDS} reads captions: give their file with --captions")
        return replace(config, model=ablate(config.model, "text_only"), visual=None, appended=config.visual.captions)
    model = ablate(config.model, row)
    images: Any = row.removesuffix("_images") if row in CONTROLS else "own"
    return replace(config, model=model, visual=config.visual if model.vision else None, images=images)


def rows_of(full: dict[str, Any]) -> tuple[str, ...]:
    """The rows that the full model of these settings can exercise: those of GRID, or of EVERY_ROW for captions."""
    if full["visual"].get("backbone") != "captions":
        return GRID
    return tuple(row for row in EVERY_ROW if row not in OF_GEOMETRY)


def study_config(corpus: str, row: str, seed: int = 1) -> TrainConfig:
    """The config with which the study trains a row on a corpus: that of `hamner ablate` without further options."""
    return config_of_row(full_settings(corpus), row, seed)
