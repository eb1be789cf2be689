"""Presets, ablation rows and controls, and the config of each row with a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hamner.errors import HamnerError, nearest
from hamner.extensions import short_name
from hamner.model.config import FUSIONS, OWN_WORDS, PEERS, ModelConfig, ModelConfigError
from hamner.training.config import ConfigError, TrainConfig

PARTS: dict[str, dict[str, Any]] = {
    "semantic": {"semantic": False},
    "spatial": {"spatial": False},
    "relevance": {"relevance": False},
    "integration": {"integration": False},
    "iteration": {"iterations": 1},
    "coattention": {"coattention": False},
}
"""The parts that can be added to the least model that sees, in the paper's order, and how each is left out. That model
has the grid, objects without an encoding, and one reading by words of regions."""


def _without(*parts: str) -> dict[str, Any]:
    return {name: value for part in parts for name, value in PARTS[part].items()}


BUILD_UP: dict[str, dict[str, Any]] = {
    "least": _without(*PARTS),
    **{f"up_to_{part}": _without(*list(PARTS)[number:]) for number, part in enumerate(list(PARTS)[:-2], start=1)},
}
"""The least model, and one part more in each row. `no_coattention` and `full` are the last two steps."""

ALONE: dict[str, dict[str, Any]] = {
    f"only_{part}": _without(*(other for other in PARTS if other != part)) for part in list(PARTS)[1:]
}
"""The least model with one part. `up_to_semantic` has the semantic encoding alone."""

CROSSED: dict[str, dict[str, Any]] = {
    "one_iteration_no_semantic": _without("semantic", "iteration"),
    "no_geometry": {"absolute_geometry": False, "relative_geometry": False},
}
"""Two parts left out at once, where one may take the place of the other. (For iteration and co-attention that is
`up_to_integration`.)"""

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
    **BUILD_UP,
    **ALONE,
    **CROSSED,
    "cnn_bilstm_crf": {"vision": False, "words": "cnn_bilstm"},
    **{peer: {"fusion": peer} for peer in PEERS},
}
"""Row -> the settings that it changes. *Stated*: the paper ablates the spatial and semantic encodings, relevance and
iteration. The other rows are *ours*."""

OF_TEXT = (
    "text_encoder",
    "frozen_text",
    "adapter_rank",
    "layers",
    "local_text",
    "word_shapes",
    "dropout",
    "width",
    "heads",
    "words",
)
"""The settings of a text-only model (`heads` must divide the width); all others are about images."""

OF_OWN_WORDS = ("dropout", "width")
"""The settings of OF_TEXT that a model without a pretrained text encoder reads."""

CONTROLS = ("exchanged_images", "blank_images", "shuffled_images")
"""The full model on other data. In training and test: each post has a blank image or another post's image. In training
alone (`exchanged_images`): a fifth of the posts exchange their images, most of which then do not fit the words."""


def ablate(config: ModelConfig, row: str) -> ModelConfig:
    """The config of one row of the full model `config`. A control changes the data and leaves the config as it is.

    `text_only` has the default of every setting about images: it is one run for all full models. `cnn_bilstm_crf` also
    has that of every setting about the pretrained encoder, which it does not read.

    Raises ModelConfigError for an unknown row, and for a `config` without vision.
    """
    if row not in ROWS and row not in CONTROLS:
        raise ModelConfigError(f"unknown ablation row {row!r}{nearest(row, (*ROWS, *CONTROLS))}")
    if not config.vision:
        raise ModelConfigError("ablation rows are changes of the full model: its config needs vision=True")
    if row == "text_only":
        return ModelConfig(**{name: getattr(config, name) for name in OF_TEXT})
    if row == "cnn_bilstm_crf":
        return ModelConfig(words="cnn_bilstm", **{name: getattr(config, name) for name in OF_OWN_WORDS})
    return replace(config, **ROWS.get(row, {}))


def row_of(config: ModelConfig) -> str:
    """The row of a config, by the settings that rows change; `custom` for none of them."""
    if config.vision and config.fusion not in FUSIONS:  # its other parts are those of `full`
        name = short_name(config.fusion)
        return config.fusion.replace(":", ".").replace("/", ".") if name in EVERY_ROW else name
    full = replace(ModelConfig(), vision=True)
    changed = {name: getattr(config, name) for row in ROWS.values() for name in row}
    different = {name: value for name, value in changed.items() if value != getattr(full, name)}
    if config.words in OWN_WORDS:
        return "cnn_bilstm_crf"
    if not config.vision:  # then the settings of images make no difference
        return "custom" if any(name in OF_TEXT for name in different) else "text_only"
    return next((row for row, settings in ROWS.items() if settings == different), "custom")


PRESETS: dict[str, dict[str, Any]] = {
    "standard": {"model": {"visual_dropout": 0.5}},
    "small": {
        "optimizer": "muon",
        "epochs": 40,
        "patience": 12,
        "cooldown": 10,
        "batch_size": 32,
        "head_lr": 1.5e-3,
        "weight_decay": 0.5,
        "model": {
            "frozen_text": True,
            "layers": "mix",
            "word_shapes": False,
            "width": 64,
            "dropout": 0.0,
            "visual_dropout": 0.5,
        },
        "visual": {"grid_side": 4},
    },
    "base": {
        "epochs": 4,
        "encoder_lr": 5e-5,
        "model": {"text_encoder": "mpnet", "visual_dropout": 0.5},
    },
    "adapter": {
        "epochs": 6,
        "encoder_lr": 1e-3,
        "half_weights": True,
        "model": {"adapter_rank": 32, "visual_dropout": 0.5},
    },
    "adapter_base": {
        "epochs": 5,
        "encoder_lr": 5e-4,
        "half_weights": True,
        "model": {"text_encoder": "mpnet", "adapter_rank": 16, "visual_dropout": 0.5},
    },
    "paper": {
        "epochs": 20,
        "batch_size": 24,
        "encoder_lr": 3e-5,
        "model": {"text_encoder": "bert-base-cased", "width": None, "heads": 12},
        "visual": {"backbone": "resnet152", "objects": "maskrcnn", "max_objects": 5},
    },
}
"""`standard`: the text encoder is trained too. `small`: a frozen encoder and a narrow model, for minitweets on a
laptop; Muon reaches in 40 epochs what AdamW does not in 80 (data/measured/tuning.csv), strong weight decay keeps the
model from learning its few images by heart, and a grid of 16 cells takes a third of a step's time less than one of 49.
`base`: `standard` with an encoder of base size; its encoder rate and epochs are *ours*, from one run, and are to be
tuned on valid only. `adapter`: `standard`, but an adapter of the text encoder is
trained in the place of its weights, and kept in half precision, so that the weights take less than 4 MB (*ours*).
`adapter_base`: the same for `mpnet`, whose weights take less than 8 MB.
`paper`: the settings of the first author's code for a sibling paper (MGCMT), because this paper's own are unknown; the
epochs are unknown in both, and `head_lr` is *ours*. MGCMT's dropout of 0.5 at the fusion of modalities is left out:
this network has one `dropout`."""


def preset(name: str) -> dict[str, Any]:
    """The settings of a preset, nested as in `TrainConfig.to_dict`. Raises HamnerError for an unknown name."""
    if name not in PRESETS:
        raise HamnerError(f"unknown preset {name!r}{nearest(name, PRESETS)}")
    return PRESETS[name]


def merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Merge nested settings; a later value replaces an earlier one."""
    result: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            below = result.get(name)
            result[name] = merged(below if isinstance(below, dict) else {}, value) if isinstance(value, dict) else value
    return result


STUDY_ROWS = (
    "full", "text_only", "no_local_text", "no_global", "no_objects", "no_semantic", "no_spatial",
    "no_absolute_geometry", "no_relative_geometry", "no_relevance", "no_integration", "no_iteration", "one_iteration",
    "three_iterations", "four_iterations", "no_coattention", "exchanged_images", "blank_images", "shuffled_images",
)  # fmt: skip
"""The rows and controls that are trained by default; for captions see `rows_of`."""

CAPTION_WORDS = "caption_words"
"""The control that reads captions as words: text only, with each post's caption after its words."""

OF_GEOMETRY = ("no_spatial", "no_absolute_geometry", "no_relative_geometry")
"""Rows that make no difference with captions: a phrase has no box."""

PEER_ROWS = ("cnn_bilstm_crf", *PEERS)
"""Other published taggers, in the order of history: one without images, then the fusions."""

EVERY_ROW = (*STUDY_ROWS, *BUILD_UP, *ALONE, *CROSSED, *PEER_ROWS, CAPTION_WORDS)
"""All rows and controls, in the order of the tables; `caption_words` needs captions."""

GROUPS = {"build_up": tuple(BUILD_UP), "alone": tuple(ALONE), "crossed": tuple(CROSSED), "peers": PEER_ROWS}
GROUPS["comparison"] = ("text_only", *PEER_ROWS, "full")
"""Names that stand for several rows."""

SEEDS = (1, 2, 3)
"""The seeds of the study."""


def place(row: str) -> int:
    """A row's place in the tables: its place in EVERY_ROW, and the end for any other row."""
    return EVERY_ROW.index(row) if row in EVERY_ROW else len(EVERY_ROW)


def row_of_run(config: TrainConfig) -> str:
    """The ablation row or control of a run; `custom` for none of them."""
    of_model = row_of(config.model)
    if config.appended:
        return CAPTION_WORDS if of_model == "text_only" else "custom"
    if config.images == "own" or not config.model.vision:
        return of_model
    return f"{config.images}_images" if of_model == "full" else "custom"


def full_settings(corpus: str, given: dict[str, Any] | None = None, preset_name: str | None = None) -> dict[str, Any]:
    """The settings of the full model on a corpus, nested as in `TrainConfig.to_dict`: a preset, changed by `given`.

    The default preset is `small` for minitweets and `standard` for other corpora.
    """
    name = preset_name or ("small" if corpus == "minitweets" else "standard")
    return merged(preset(name), {"model": {"vision": True}, "visual": {}}, given or {})


def of_captions(files: Sequence[Path | str]) -> dict[str, Any]:
    """The settings with which captions stand in for images."""
    return {"visual": {"backbone": "captions", "objects": "phrases", "captions": [str(file) for file in files]}}


def of_features(name: str) -> dict[str, Any]:
    """The settings with which a source of one's own gives the visual features: a class, or a file of vectors."""
    return {"visual": {"backbone": name, "objects": "own"}}


WITHOUT_FUSION: dict[str, Any] = {"visual": None, "optimizer": "adamw"}
"""What a run has that reads no images, whatever the full model has."""


def config_of_row(full: dict[str, Any], row: str, seed: int) -> TrainConfig:
    """The config of one row or control of the full model, with this seed. Raises HamnerError for an unknown row."""
    config = TrainConfig.from_dict(merged(full, {"seed": seed}))
    if row == CAPTION_WORDS:
        if config.visual is None or not config.visual.captions:
            raise ConfigError(f"the control {CAPTION_WORDS} reads captions: give their file with --captions")
        captions = config.visual.captions
        return replace(config, model=ablate(config.model, "text_only"), appended=captions, **WITHOUT_FUSION)
    model = ablate(config.model, row)
    if not model.vision:
        return replace(config, model=model, **WITHOUT_FUSION)
    images: Any = row.removesuffix("_images") if row in CONTROLS else "own"
    return replace(config, model=model, images=images)


def rows_of(full: dict[str, Any]) -> tuple[str, ...]:
    """The rows that make a difference with these settings: STUDY_ROWS; with captions EVERY_ROW without OF_GEOMETRY."""
    if full["visual"].get("backbone") != "captions":
        return STUDY_ROWS
    return tuple(row for row in (*STUDY_ROWS, CAPTION_WORDS) if row not in OF_GEOMETRY)


def study_config(corpus: str, row: str, seed: int = 1) -> TrainConfig:
    """The study's config of a row on a corpus: that of `hamner ablate` without further options."""
    return config_of_row(full_settings(corpus), row, seed)
