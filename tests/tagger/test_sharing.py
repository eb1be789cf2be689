from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from huggingface_hub.errors import LocalTokenNotFoundError

from hamner.escape import one_line
from hamner.tagger import Tagger, sharing
from hamner.tagger.sharing import SharingError, model_card, push_to_hub
from hamner.training import Run

NASTY = "x: [a](http://evil)\n---\n# <b>y</b> | z"


@pytest.fixture
def run(make_run, tiny_encoder, monkeypatch) -> Run:
    monkeypatch.setattr(sharing, "OFFLINE", (tiny_encoder,))  # as if the tiny encoder came in a package
    run = make_run(None)
    (run.folder / "predictions.jsonl.gz").write_bytes(b"")
    return run


def front_matter(card: str) -> tuple[dict, str]:
    _, front, body = card.split("---\n", 2)
    return yaml.safe_load(front), body


def test_a_tagger_written_to_a_folder_tags_the_same_there(run, tmp_path):
    (run.folder / "calibration.json").write_text('{"temperature": 1.5}')
    tagger = Tagger(run)
    folder = tagger.save_pretrained(tmp_path / "shared")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "calibration.json",
        "model.safetensors",
        "run.json",
    ]
    assert Tagger.from_pretrained(folder)("Kelso meets Orva") == tagger("Kelso meets Orva")
    (run.folder / "calibration.json").unlink()
    assert not (tagger.save_pretrained(folder) / "calibration.json").exists()


def test_a_card_says_what_the_record_says(run):
    front, body = front_matter(model_card(run))
    assert front["library_name"] == "hamner"
    assert front["pipeline_tag"] == "token-classification"
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["name"] == "tiny"
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
        "f1": 0.5,
        "precision": 0.5,
        "recall": 0.5,
    }
    assert "| strict | 50.00 | 50.00 | 50.00 |" in body
    assert "| MISC | 50.00 | 50.00 | 50.00 |" in body
    assert "Scores of entities are not calibrated." in body
    assert "licen" not in model_card(run).lower()


def test_nothing_in_a_record_is_read_as_yaml_or_markdown(run, tmp_path):
    record = json.loads((run.folder / "run.json").read_text())
    record["corpus"] = {"name": NASTY, "sha256": {NASTY: NASTY}}
    record["extensions"] = {"fusion": {"name": NASTY, "sha256": NASTY}}
    record["versions"]["hamner"] = NASTY
    front, body = front_matter(model_card(Run(tmp_path / "[a](b)", record)))
    assert front["model-index"][0]["results"][0]["dataset"]["name"] == one_line(NASTY)
    assert "](" not in body.replace("\\](", "")
    assert "\n---" not in body and "\n# <b>" not in body
    assert r"\[a\](b)" in body


def test_a_run_that_nobody_else_could_load_is_not_handed_on(run, make_run, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "README.md").write_text("mine")
    with pytest.raises(SharingError, match="holds files that are no run's"):
        Tagger(run).save_pretrained(tmp_path / "own")
    assert (tmp_path / "own" / "README.md").read_text() == "mine"
    with pytest.raises(SharingError, match="the run's own folder"):
        Tagger(run).save_pretrained(run.folder)
    with pytest.raises(SharingError, match="has no weights"):
        sharing.save_pretrained(Run(tmp_path, run.record), tmp_path / "new")
    monkeypatch.setattr(sharing, "OFFLINE", ())
    with pytest.raises(SharingError, match=r"the text encoder of .* is the folder .*tiny-bert, which nobody else has"):
        Tagger(run).save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_push_is_one_commit_of_what_is_saved(run, monkeypatch):
    pushed = []

    class Api:
        def create_repo(self, name, private, exist_ok):
            pushed.append((name, private, exist_ok))
            return f"the hub/{name}"

        def upload_folder(self, repo_id, folder_path, commit_message):
            pushed.append((repo_id, sorted(path.name for path in Path(folder_path).iterdir())))

    monkeypatch.setattr(sharing, "HfApi", Api)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert Tagger(run).push_to_hub("me/tweets", private=True) == "the hub/me/tweets"
    assert pushed == [
        ("me/tweets", True, True),
        ("me/tweets", ["README.md", "model.safetensors", "run.json"]),
    ]


def test_a_push_that_cannot_be_is_one_error_with_its_remedy(run, monkeypatch):
    class Api:
        def create_repo(self, *_, **__):
            raise LocalTokenNotFoundError("Token is required\nbut no token found")

    monkeypatch.setattr(sharing, "HfApi", Api)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(SharingError, match=r"me/tweets cannot be pushed \(Token is required\): log in with `hf auth"):
        push_to_hub(run, "me/tweets")
    with pytest.raises(SharingError, match="no name on the hub"):
        push_to_hub(run, "me/my tweets/2")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SharingError, match="HF_HUB_OFFLINE is set; unset it"):
        push_to_hub(run, "me/tweets")
