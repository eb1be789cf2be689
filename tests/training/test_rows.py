from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch

from hamner.model.config import ModelConfig, ModelConfigError
from hamner.settings import sources
from hamner.training.config import TrainConfig
from hamner.training.rows import ALONE, BUILD_UP, CONTROLS, CROSSED, OF_TEXT, PARTS, ROWS, ablate, row_of
from hamner.vision.features import VisualSource
from tests.model.conftest import FULL, build, make_batch

OTHERS = {
    "words": "cnn_bilstm", "frozen_text": True, "layers": "last", "local_text": False, "word_shapes": False,
    "dropout": 0.2, "width": 32, "heads": 2, "visual_dropout": 0.5, "global_vision": False, "objects": True,
    "semantic": False, "spatial": True, "absolute_geometry": False, "relative_geometry": False, "relevance": False,
    "integration": False, "iterations": 1, "coattention": False,
}  # fmt: skip
"""A value for every setting that no text encoder needs, other than FULL's where there is another one."""


SEVERAL = (*BUILD_UP, *ALONE, *CROSSED, "cnn_bilstm_crf")
"""The rows that change several settings."""


@pytest.mark.parametrize("row", [row for row in ROWS if row not in ("full", "two_iterations", *SEVERAL)])
def test_a_row_is_one_change_of_the_full_config(row: str) -> None:
    before, after = asdict(FULL), asdict(ablate(FULL, row))
    assert len([name for name in before if before[name] != after[name]]) == 1


def test_a_text_only_run_is_one_run_beside_whichever_full_model() -> None:
    other = replace(FULL, visual_dropout=0.5, iterations=3, spatial=False)
    assert ablate(other, "text_only") == ablate(FULL, "text_only")
    assert ablate(replace(other, width=32), "text_only").width == 32


def test_no_setting_of_images_reaches_a_text_only_model() -> None:
    other = replace(FULL, vision=False, **{name: OTHERS[name] for name in OTHERS.keys() - set(OF_TEXT)})
    assert OTHERS.keys() | {"text_encoder", "vision", "fusion", "adapter_rank"} == asdict(FULL).keys()
    one, another = build(ablate(FULL, "text_only")), build(other)
    batch = make_batch()
    assert torch.equal(one(batch).emissions, another(batch).emissions)
    assert [name for name, _ in one.named_parameters()] == [name for name, _ in another.named_parameters()]


@pytest.mark.parametrize("row", ["full", "two_iterations", *CONTROLS])
def test_the_full_row_and_the_controls_leave_the_config_as_it_is(row: str) -> None:
    assert ablate(FULL, row) == FULL


def weights(config: ModelConfig) -> int:
    return sum(parameter.numel() for parameter in build(config).parameters())


@pytest.mark.parametrize(
    "row", [row for row, change in ROWS.items() if False in change.values() and "words" not in change]
)
def test_a_row_that_takes_a_part_away_takes_its_weights_away(row: str) -> None:
    assert weights(ablate(FULL, row)) < weights(FULL)


def test_the_build_up_adds_one_part_in_each_row_and_ends_with_the_full_model() -> None:
    steps = [ablate(FULL, row) for row in (*BUILD_UP, "no_coattention", "full")]
    for before, after, part in zip(steps[:-1], steps[1:], PARTS, strict=True):
        (setting,) = PARTS[part]
        assert replace(before, **{setting: getattr(FULL, setting)}) == after != before


def test_a_part_alone_is_the_only_one_that_the_least_model_gets() -> None:
    least = ablate(FULL, "least")
    for row in ALONE:
        (setting,) = PARTS[row.removeprefix("only_")]
        assert replace(least, **{setting: getattr(FULL, setting)}) == ablate(FULL, row)
    assert {row.removeprefix("only_") for row in ALONE} | {"semantic"} == set(PARTS)


@pytest.mark.parametrize("row", [row for row in ROWS if row != "two_iterations"])
def test_no_two_rows_are_one_model_and_each_is_known_by_its_settings(row: str) -> None:
    assert row_of(ablate(replace(ModelConfig(), vision=True), row)) == row


def test_a_text_only_model_of_other_text_is_not_the_row() -> None:
    assert row_of(ablate(FULL, "text_only")) == row_of(ModelConfig(coattention=False)) == "text_only"
    assert row_of(ModelConfig(local_text=False)) == "custom"


def test_an_unknown_row_is_an_error_that_lists_the_rows() -> None:
    with pytest.raises(ModelConfigError, match=r"no_magic.*no_spatial.*blank_images"):
        ablate(FULL, "no_magic")
    with pytest.raises(ModelConfigError, match=r"'no_spacial': did you mean no_spatial( or |\?)"):
        ablate(FULL, "no_spacial")


def test_nothing_can_be_taken_from_a_text_only_model() -> None:
    with pytest.raises(ModelConfigError, match="vision=True"):
        ablate(ModelConfig(), "no_spatial")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width"),
        ({"width": 10, "heads": 4}, "divide"),
        ({"heads": 0}, "heads"),
        ({"iterations": -1}, "iterations"),
        ({"dropout": 1.0}, "dropout"),
        ({"global_vision": False, "objects": False}, "no part of the image is left"),
        ({"iterations": 0, "coattention": False}, "no word reads a region"),
    ],
)
def test_settings_that_do_not_go_together_are_one_clear_error(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ModelConfigError, match=message):
        ModelConfig(**settings)  # type: ignore[arg-type]


def test_every_setting_says_where_it_comes_from() -> None:
    assert set(sources(ModelConfig).values()) <= {"stated", "sibling", "ours"}
    assert sources(ModelConfig)["spatial"] == "stated"


def test_a_config_survives_the_way_through_a_run_record() -> None:
    config = TrainConfig(model=ablate(FULL, "no_semantic"), visual=VisualSource())
    assert TrainConfig.from_dict(config.to_dict()) == config
