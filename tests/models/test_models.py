from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from safetensors import safe_open

from hamner.corpora import project_folder
from hamner.encoders import EncoderError, encoder_folder
from hamner.errors import HamnerError
from hamner.models import BUNDLED, OF_IMAGES, OF_TEXT, ModelError, model_folder, trained_or_bundled
from hamner.tagger import Tagger
from hamner.training import Run

HOME = Path(__file__).resolve().parents[2] / "hamner" / "models"
MB = 1_000_000


@pytest.fixture(scope="module")
def tweets() -> Tagger:
    return Tagger.from_pretrained("tweets")


def test_the_bundled_models_are_those_that_have_a_name() -> None:
    assert {folder.name for folder in HOME.iterdir() if (folder / "run.json").exists()} == set(BUNDLED)
    page = (HOME / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in BUNDLED)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_model_is_small_calibrated_and_without_a_pickle(name: str) -> None:
    most = 8 if name == "tweets-mpnet" else 4
    assert sum(file.stat().st_size for file in model_folder(name).iterdir()) <= most * MB
    assert {file.suffix for file in model_folder(name).iterdir()} == {".json", ".safetensors", ".gz"}
    assert (model_folder(name) / "calibration.json").exists()


@pytest.mark.parametrize(("name", "promised"), [("tweets", 0.825), ("tweets-mpnet", 0.87)])
def test_a_model_of_real_tweets_is_as_accurate_as_promised_and_its_weights_are_half_precision(
    name: str, promised: float
) -> None:
    run = Run.load(model_folder(name))
    assert run.record["corpus"]["name"] == "twitter2017"
    assert run.f1() >= promised
    with safe_open(run.weights, framework="pt") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118


@pytest.mark.parametrize("name", BUNDLED)
def test_the_page_says_what_the_records_say(name: str) -> None:
    run, page = Run.load(model_folder(name)), (HOME / "README.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
    assert f"| {100 * run.f1():.2f} |" in line
    assert f"| {run.weights.stat().st_size / MB:.1f} MB |" in line
    if name.startswith("tweets"):
        assert f" {100 * run.record['scores']['test']['seqeval']['unseen']['f1']:.2f}" in page


def test_a_bundled_model_tags_by_its_name(tweets: Tagger) -> None:
    assert tweets.run.folder == model_folder("tweets")
    post = tweets("Barack Obama meets Angela Merkel in Berlin")
    assert [(entity.text, entity.type) for entity in post.entities] == [
        ("Barack Obama", "PER"),
        ("Angela Merkel", "PER"),
        ("Berlin", "LOC"),
    ]
    assert post.calibrated


def test_the_model_of_base_size_tags_or_says_what_it_needs() -> None:
    try:
        encoder_folder("mpnet")
    except EncoderError:
        with pytest.raises(HamnerError, match="make base"):
            Tagger.from_pretrained("tweets-mpnet")
        return
    (entity,) = Tagger.from_pretrained("tweets-mpnet")("Angela Merkel is late").entities
    assert (entity.text, entity.type) == ("Angela Merkel", "PER")


def test_a_picture_of_the_bundled_corpus_is_seen_with_its_annotated_objects() -> None:
    image = project_folder() / "data" / "minitweets" / "images" / "p2692.webp"
    (post,) = Tagger.from_pretrained(OF_IMAGES).many(["Lunch with Kelso"], [image], evidence=False)
    assert any(note.startswith("objects are those of ") for note in post.notes)
    assert not any("tiles" in note for note in post.notes)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no model is called 'tweet', nor is a folder: did you mean .*tweets.*OWNER/"):
        Tagger.from_pretrained("tweet")


def test_a_name_stands_for_the_bundled_model_and_a_path_for_a_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tweets").mkdir()
    assert model_folder("tweets") == HOME / "tweets"
    assert model_folder(Path("tweets")) == Path("tweets") and model_folder("./tweets") == Path("tweets")
    (tmp_path / "mine").mkdir()
    assert model_folder("mine") == Path("mine")
    with pytest.raises(ModelError, match="mine is not on the hub, so it has no revision 'abc': leave the revision out"):
        model_folder("mine", "abc")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What the hub was asked for; it has one model, someone/tagger, at any revision."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    requests: list[dict[str, Any]] = []

    def snapshot_download(name: str, **options: Any) -> str:
        requests.append({"name": name, **options})
        if name != "someone/tagger":
            raise OSError("404 Client Error.\nmore")
        return str(shutil.copytree(HOME / "minitweets", tmp_path / "snapshot", dirs_exist_ok=True))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return requests


def test_a_model_on_the_hub_is_fetched_without_code_or_pickles(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    tagger = Tagger.from_pretrained("someone/tagger", revision="abc")
    assert tagger.run.folder == tmp_path / "snapshot"
    (request,) = asked
    assert (request["name"], request["revision"], request["local_files_only"]) == ("someone/tagger", "abc", False)
    assert request["allow_patterns"] == ["run.json", "model.safetensors", "calibration.json"]


def test_a_model_that_the_hub_does_not_have_is_one_sentence(asked: list[dict[str, Any]], monkeypatch) -> None:
    with pytest.raises(ModelError, match=r"'no/model' is no folder, and cannot be .* \(404 Client Error\.\): check"):
        model_folder("no/model")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=r"cannot be fetched from the hub \(HF_HUB_OFFLINE is set\)"):
        model_folder("no/model")
    assert [request["local_files_only"] for request in asked] == [False, True]


def test_a_mistyped_folder_is_not_asked_of_the_hub(asked: list[dict[str, Any]], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for folder in ("runs/frist", str(tmp_path / "runs"), os.path.join("..", "x"), "a/b/c"):
        assert model_folder(folder) == Path(folder)
    assert not asked


def test_a_run_with_other_weights_goes_before_the_bundled_one_and_the_line_says_which(tmp_path: Path, capsys) -> None:
    trained, bundled = tmp_path / "minitweets-full", HOME / "minitweets"

    def chosen() -> tuple[Path, str]:
        return trained_or_bundled(trained), capsys.readouterr().out

    comes_along = bundled, "model: minitweets, which comes with hamner\n"
    assert chosen() == comes_along
    shutil.copytree(bundled, trained)
    assert chosen() == comes_along  # it came out to the byte
    record = json.loads((trained / "run.json").read_text())
    for text in (json.dumps(record | {"weights_sha256": "0" * 64}), "[]", "damaged"):
        (trained / "run.json").write_text(text)
        assert chosen() == (trained, "model: minitweets-full, trained on this machine\n")
    (trained / "model.safetensors").unlink()  # a record alone cannot tag
    assert chosen() == comes_along
    assert trained_or_bundled(trained, OF_TEXT) == HOME / "tweets"
