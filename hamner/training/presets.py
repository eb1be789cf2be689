"""Settings by name, so that a long command is a short one."""

from __future__ import annotations

from typing import Any

from hamner.errors import HamnerError

PRESETS: dict[str, dict[str, Any]] = {
    "standard": {"model": {"visual_dropout": 0.5}},
    "small": {
        "epochs": 24,
        "batch_size": 32,
        "head_lr": 1.5e-3,
        "weight_decay": 0.5,
        "model": {
            "frozen_text": True,
            "layers": "mix",
            "word_shapes": False,
            "width": 64,
            "dropout": 0.2,
            "visual_dropout": 0.5,
        },
    },
    "paper": {
        "epochs": 20,
        "batch_size": 24,
        "encoder_lr": 3e-5,
        "model": {"text_encoder": "bert-base-cased", "width": None, "heads": 12},
        "visual": {"backbone": "resnet152", "objects": "maskrcnn", "max_objects": 5},
    },
}
"""`standard`: a text encoder that learns along. `small`: a frozen encoder and a narrow model, for minitweets on a
laptop; of few images it soon knows each by heart, against which its strong weight decay helps. `paper`: what the
first author's code for a sibling (MGCMT) uses, for this paper's own settings are not known; its epochs are not known
either, and `head_lr` stays *ours*. Left out is its dropout of 0.5 where modalities are fused: here that is another
network, with the one `dropout`."""


def preset(name: str) -> dict[str, Any]:
    """The settings of preset `name`, nested as `TrainConfig.to_dict` has them. Raises HamnerError for another name."""
    if name not in PRESETS:
        raise HamnerError(f"unknown preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Nested settings put over one another; of two values for one setting the later holds."""
    result: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            below = result.get(name)
            result[name] = merged(below if isinstance(below, dict) else {}, value) if isinstance(value, dict) else value
    return result
