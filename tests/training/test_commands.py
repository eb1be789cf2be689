from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from hamner.corpora import Corpus
from hamner.evaluation import read_predictions, read_relevance, score
from hamner.training import Run, RunError
from hamner.training.commands import ablate, train
from hamner.training.presets import PRESETS, merged
from hamner.training.rows import GRID, config_of_row, full_settings, study_config
from hamner.training.runs import row_of_run, run_name

app = Typer()
app.command("train")(train)
app.command("ablate")(ablate)


@pytest.fixture
def arguments(tiny: Corpus, tiny_folder: Path, tiny_encoder: str, tmp_path, monkeypatch) -> list[str]:
    """What a command needs to train on captions, which stand in for pictures, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    posts = [post for _, part in tiny.splits() for post in part]
    captions = "".join(
        f"{post.id}.jpg :a {post.words[0]} next to a van and number {i}\n" for i, post in enumerate(posts)
    )
    (tmp_path / "captions.txt").write_text(captions, encoding="utf-8")
    return [str(tiny_folder), "--text-encoder", tiny_encoder, "--captions", "captions.txt", "--epochs", "1"]


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_full_model_trains_on_captions_from_the_command_line(arguments, tiny):
    said = invoke("train", *arguments, "--row", "full", "--set", "batch_size=4")
    run = Run.load(Path("data/runs/tiny-full-tiny-bert-captions-seed1"))
    assert str(run.folder) in said
    assert run.config.model.vision
    assert run.config.visual is not None
    assert run.config.visual.captions == ("captions.txt",)
    relevance = read_relevance(run.predictions)
    assert list(relevance) == [post.id for post in tiny.test]
    assert all(0 < rho < 1 for rho in relevance.values())
    assert run.record["features"]["channels"] == 16
    predictions = read_predictions(run.predictions, tiny.test)
    assert score([p.tags for p in tiny.test], [predictions[p.id] for p in tiny.test]).overall.f1 == run.f1()


def test_a_finished_run_without_its_weights_is_said_to_be_no_tagger(arguments):
    here = ["train", *arguments, "--run", "here"]
    assert "weights are not here" not in invoke(*here)
    Path("here/model.safetensors").unlink()
    assert "weights are not here" in invoke(*here)


def test_ablate_trains_each_row_once_and_the_second_time_not_at_all(arguments):
    chosen = ["--row", "full", "--row", "no_semantic", "--row", "text_only", "--row", "shuffled_images"]
    invoke("ablate", *arguments, *chosen, "--seeds", "2")
    records = sorted(Path("data/runs").glob("*/run.json"))
    assert len(records) == 8
    written = {path: path.stat().st_mtime_ns for path in records}
    runs = [Run.load(path.parent) for path in records]
    assert {row_of_run(run.config) for run in runs} == {"full", "no_semantic", "text_only", "shuffled_images"}
    assert all(run.folder.name == run_name("tiny", run.config) for run in runs)
    weights = {
        run.record["parameters"] for run in runs if row_of_run(run.config) in ("full", "no_semantic", "text_only")
    }
    assert len(weights) == 3
    invoke("ablate", *arguments, *chosen, "--seeds", "2")
    assert {path: path.stat().st_mtime_ns for path in records} == written


def test_a_folder_with_other_settings_is_not_taken_for_the_run(arguments):
    invoke("ablate", *arguments, "--row", "full", "--seeds", "1")
    result = CliRunner().invoke(app, ["ablate", *arguments, "--row", "full", "--seeds", "1", "--set", "clip=2"])
    assert isinstance(result.exception, RunError)
    assert "clip" in str(result.exception)


def test_captions_and_a_backbone_do_not_go_together(arguments):
    result = CliRunner().invoke(app, ["train", *arguments, "--row", "full", "--backbone", "resnet152"])
    assert result.exit_code == 2
    assert "leave out --backbone" in result.output


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_config_of_the_full_model(name):
    assert row_of_run(config_of_row(full_settings("corpus", preset_name=name), "full", 1)) == "full"


def test_the_later_of_two_settings_holds_and_the_rest_stays():
    below = {"epochs": 3, "model": {"width": 8, "layers": "mix"}}
    assert merged(below, {"model": {"width": 16}}) == {"epochs": 3, "model": {"width": 16, "layers": "mix"}}
    assert json.dumps(below) == json.dumps({"epochs": 3, "model": {"width": 8, "layers": "mix"}})


def test_every_row_of_the_grid_has_a_name_of_its_own():
    names = {run_name("corpus", study_config("corpus", row)) for row in GRID}
    assert len(names) == len(GRID)
    assert not any("custom" in name for name in names)
