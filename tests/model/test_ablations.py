from __future__ import annotations

from dataclasses import asdict

import pytest

from hamner.model.ablations import CONTROLS, ROWS, ablate
from hamner.model.config import ModelConfig, ModelConfigError, sources
from hamner.training.config import TrainConfig
from hamner.vision.features import VisualSource
from tests.model.conftest import FULL, build


@pytest.mark.parametrize("row", [row for row in ROWS if row not in ("full", "two_iterations")])
def test_a_row_is_one_change_of_the_full_config(row: str) -> None:
    before, after = asdict(FULL), asdict(ablate(FULL, row))
    assert len([name for name in before if before[name] != after[name]]) == 1


@pytest.mark.parametrize("row", ["full", "two_iterations", *CONTROLS])
def test_the_full_row_and_the_controls_leave_the_config_as_it_is(row: str) -> None:
    assert ablate(FULL, row) == FULL


@pytest.mark.parametrize("row", [row for row, change in ROWS.items() if False in change.values()])
def test_a_row_that_takes_a_part_away_takes_its_weights_away(row: str) -> None:
    def weights(config: ModelConfig) -> int:
        return sum(parameter.numel() for parameter in build(config).parameters())

    assert weights(ablate(FULL, row)) < weights(FULL)


def test_an_unknown_row_is_an_error_that_lists_the_rows() -> None:
    with pytest.raises(ModelConfigError, match=r"no_magic.*no_spatial.*blank_images"):
        ablate(FULL, "no_magic")


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
        ({"semantic": False, "spatial": False}, "objects are in no encoding"),
        ({"global_vision": False, "objects": False}, "nothing is left"),
        ({"iterations": 0, "coattention": False}, "no word would look"),
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
