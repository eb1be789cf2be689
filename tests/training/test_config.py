from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamner.model.config import ModelConfig, ModelConfigError
from hamner.training import ConfigError, TrainConfig
from hamner.training.rows import merged, preset


@given(st.integers(1, 99), st.floats(1e-6, 1), st.sampled_from(["last", "mix"]), st.booleans())
def test_a_config_survives_the_way_through_its_record(epochs, rate, layers, local):
    config = TrainConfig(epochs=epochs, encoder_lr=rate, model=ModelConfig(layers=layers, local_text=local))
    assert TrainConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, r"unknown setting 'epoch'; there are .*epochs"),
        ({"model": {"layer": "mix"}}, r"unknown setting 'layer'; there are .*layers"),
        ({"model": {"layers": "all"}}, r"setting layers cannot be 'all': it must be one of 'last', 'mix'"),
        ({"epochs": "3"}, r"setting epochs cannot be '3': it must be int"),
        ({"epochs": True}, r"setting epochs cannot be True: it must be int from 1 to 9,999"),
        ({"epochs": 0}, r"epochs must be from 1 to 9,999, not 0"),
        ({"head_lr": -1}, r"head_lr must be above 0 and at most 100, not -1"),
        ({"appended": "captions.txt"}, r"setting appended cannot be 'captions.txt': it must be tuple"),
        ({"appended": ["c"], "model": {"vision": True}, "visual": {}}, r"of a text-only model: turn vision off"),
        ({"seed": -1}, r"seed must be from 0 to 400,000, not -1"),
        ({"seed": 20240101}, r"seed must be from 0 to 400,000"),
        ({"visual": "resnet152"}, r"setting visual cannot be 'resnet152': it has parts, such as visual.backbone"),
        ({"model": "bert"}, r"setting model cannot be 'bert': it has parts, such as model.width"),
        ({"batch_size": 10**9}, r"batch_size must be from 1 to 65,536, not 1000000000"),
        (
            {"encoder_lr": 10**400},
            r"encoder_lr cannot be 10*\.\.\.0*: it must be a finite number above 0 and at most 100",
        ),
        ({"encoder_lr": 1e300}, r"encoder_lr must be above 0 and at most 100, not 1e\+300$"),
        (
            {"head_lr": "1" * 5000},
            r"head_lr cannot be '1*\.\.\.1*': it must be a finite number above 0 and at most 100",
        ),
        ({"weight_decay": 10**18}, r"weight_decay must be from 0 to 1,000, not 10*$"),
        ({"clip": 1e300}, r"clip must be above 0 and at most 1e\+30, not 1e\+300$"),
        ({"epochs": 10**5000}, r"epochs must be from 1 to 9,999, not a number of more than 4,300 digits"),
        ({"model": {"iterations": 10**6}}, r"iterations must be from 0 to 32, not 1000000"),
        ({"model": {"width": 10**12}}, r"width must be at most 16,384, not 1000000000000"),
        ({"model": {"heads": 10**12}}, r"heads must be from 1 to 16,384, not 1000000000000"),
        ({"visual": {"crop_size": 10**7}, "model": {"vision": True}}, r"crop_size must be from 32 to 1,024"),
        ({"model": {"width": True}}, r"setting width cannot be True: it must be int"),
        ({"model": {"dropout": 1}}, r"dropout must be at least 0 and below 1, not 1"),
        ({"visual": {"max_objects": 10**6}, "model": {"vision": True}}, r"max_objects must be from 1 to 1,000"),
        ({"warmup": 2.0}, r"warmup must be from 0 to 1, not 2.0"),
    ],
)
def test_a_wrong_setting_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_dict(values)


def test_files_survive_the_way_through_json():
    config = TrainConfig(appended=("a.txt", "b.json"))
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_every_setting_names_whose_its_value_is():
    sources = TrainConfig().field_sources()
    assert set(sources.values()) <= {"stated", "sibling", "ours"}
    assert sources["warmup"] == "sibling"
    assert sources["model.local_text"] == "ours"


def test_a_changed_value_is_no_longer_the_siblings_and_its_own_value_is():
    ours = TrainConfig(weight_decay=1.0, model=ModelConfig(dropout=0.2)).field_sources()
    assert (ours["weight_decay"], ours["model.dropout"]) == ("ours", "ours")
    paper = TrainConfig.from_dict(merged(preset("paper"), {"model": {"vision": True}})).field_sources()
    taken = ("batch_size", "encoder_lr", "weight_decay", "model.text_encoder", "model.width", "model.heads")
    assert {paper[name] for name in taken} == {"sibling"}
    assert (paper["epochs"], paper["head_lr"], paper["model.spatial"]) == ("ours", "ours", "stated")
    seen = {name: paper[f"visual.{name}"] for name in ("backbone", "objects", "max_objects", "crop_size")}
    assert seen == {"backbone": "sibling", "objects": "sibling", "max_objects": "sibling", "crop_size": "ours"}
    assert "visual" not in paper


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": "none"}, "images cannot be 'none': it must be one of 'own', 'exchanged', 'shuffled', 'blank'"),
        ({"epochs": 2.5}, "setting epochs cannot be 2.5"),
        ({"head_lr": math.nan}, "setting head_lr cannot be nan: it must be a finite number"),
        ({"clip": math.inf}, "setting clip cannot be inf"),
        ({"weight_decay": -1.0}, "weight_decay must be from 0 to 1,000, not -1.0"),
        ({"appended": (1,)}, "setting appended cannot be"),
        ({"model": {}}, "setting model cannot be {}"),
    ],
)
def test_a_config_made_in_python_is_checked_too(settings, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        TrainConfig(**settings)


def test_an_unknown_setting_in_python_is_named_too():
    with pytest.raises(ConfigError, match="unknown setting 'epoch'; there are model"):
        TrainConfig(epoch=3)  # type: ignore[call-arg]


def test_a_model_config_made_in_python_is_checked_too():
    with pytest.raises(ModelConfigError, match="layers cannot be 'first'"):
        ModelConfig(layers="first")  # type: ignore[arg-type]
