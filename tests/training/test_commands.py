from __future__ import annotations

import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import tracking
from accelerate.tracking import GeneralTracker
from typer import Typer
from typer.testing import CliRunner

import hamner.training.inputs as inputs
import hamner.training.loop as loop
import hamner.training.retest as retest_module
from hamner.corpora import Corpus, CorpusError, load_corpus
from hamner.corpora.tags import spans
from hamner.corpora.words import marks_apart
from hamner.devices import DeviceError
from hamner.errors import HamnerError
from hamner.evaluation import read_predictions, read_relevance, score
from hamner.tagger import Tagger
from hamner.tagger.tagger import TaggerError
from hamner.training import Run, RunError, trackers
from hamner.training.commands import ablate, retest, sweep, train
from hamner.training.config import TrainConfig
from hamner.training.identity import flat, identity
from hamner.training.inputs import exchanged, images_of
from hamner.training.retest import retests
from hamner.training.rows import (
    CAPTION_WORDS,
    EVERY_ROW,
    OF_GEOMETRY,
    PRESETS,
    STUDY_ROWS,
    config_of_row,
    full_settings,
    merged,
    of_captions,
    row_of_run,
    rows_of,
    study_config,
)
from hamner.training.runs import only_user_of, run_name
from hamner.training.sweep import retest_sweep

app = Typer()
app.command("train")(train)
app.command("ablate")(ablate)
app.command("retest")(retest)
app.command("sweep")(sweep)


@pytest.fixture
def arguments(tiny: Corpus, tiny_folder: Path, tiny_encoder: str, tmp_path, monkeypatch) -> list[str]:
    """What a command needs to train on captions, which stand in for images, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    posts = [post for _, part in tiny.splits() for post in part]
    captions = "".join(
        f"{post.id}.jpg :a {post.words[0]} next to a van and number {i}\n" for i, post in enumerate(posts)
    )
    (tmp_path / "captions.txt").write_text(captions, encoding="utf-8")
    return [str(tiny_folder), "--text-encoder", tiny_encoder, "--captions", "captions.txt", "--epochs", "1"]


def without_captions(arguments: list[str]) -> list[str]:
    return [argument for argument in arguments if argument not in ("--captions", "captions.txt")]


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


@pytest.mark.parametrize("command", ["train", "ablate", "sweep"])
def test_a_test_split_of_training_posts_is_refused_unless_allowed(command, arguments, tiny_folder, monkeypatch):
    folder = Path(shutil.copytree(tiny_folder, "leaky"))
    text = (folder / "train.txt").read_text(encoding="utf-8")
    (folder / "test.txt").write_text(text.replace("IMGID:train", "IMGID:other"), encoding="utf-8")
    arguments = [command, "leaky", *without_captions(arguments)[1:]]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, CorpusError)
    assert "24 of 24 posts of test (100.0 %) stand in train with the same words" in str(result.exception)
    assert not Path("data/runs").exists()
    reached = []
    monkeypatch.setattr("hamner.training.train", lambda corpus, *_, **__: reached.append(corpus) or sys.exit())
    monkeypatch.setattr("hamner.training.sweep.train_sweep", lambda parts, *_: reached.append(parts[0].corpus))
    result = CliRunner().invoke(app, [*arguments, "--allow-leaks"])
    assert [corpus.name for corpus in reached] == ["leaky"]
    assert "note: 24 of 24 posts of test" in result.stderr


def test_a_text_only_training_says_so_before_anything_else(arguments, tiny_folder, monkeypatch):
    monkeypatch.setattr("hamner.training.train", lambda *_, **__: sys.exit())
    words = without_captions(arguments)
    folder = Path(shutil.copytree(tiny_folder, "leaky"))
    text = (folder / "valid.txt").read_text(encoding="utf-8")
    (folder / "test.txt").write_text(text.replace("IMGID:valid", "IMGID:other"), encoding="utf-8")
    result = CliRunner().invoke(app, ["train", "leaky", *words[1:], "--allow-leaks"])
    assert result.output.splitlines()[0] == "training on words alone: with --row full the tagger reads images too"
    assert "note: " in result.output
    assert "words alone" not in CliRunner().invoke(app, ["train", *arguments, "--row", "full"]).output


def test_a_run_trains_on_the_device_that_is_named_and_on_no_other(arguments, tiny_folder, monkeypatch):
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "cpu")  # put back as it was when the test ends
    words = without_captions(arguments)
    invoke("train", *words, "--device", "cpu", "--run", "here")
    assert Run.load(Path("here")).record["machine"]["device"] == "cpu"
    for command in (["train", *words], ["ablate", *words], ["sweep", *words], ["retest", "here"]):
        result = CliRunner().invoke(app, [*command, "--device", "meta"])
        assert isinstance(result.exception, DeviceError), command
        assert str(result.exception) == "no device 'meta' on this machine: choose another, such as cpu"
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = CliRunner().invoke(app, ["train", *words, "--device", "cpu"])
    assert "accelerate launch gives each process a device of its own" in str(result.exception)


def test_trackers_are_told_of_each_epoch_and_of_test(arguments, monkeypatch):
    told, ended = [], []

    class Notebook(GeneralTracker):
        name, requires_logging_directory, tracker = "notebook", False, None

        def __init__(self, project):
            super().__init__()
            told.append(project)

        def store_init_configuration(self, values):
            told.append(values)

        def log(self, values, step=None, **_):
            told.append((step, values))

        def finish(self):
            ended.append(True)

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "notebook", Notebook)
    monkeypatch.setattr(trackers, "get_available_trackers", lambda: ["notebook"])
    words = [*without_captions(arguments)[:-1], "2"]
    invoke("train", *words, "--run", "watched", "--track", "notebook")
    invoke("train", *words, "--run", "alone")
    watched, alone = (Run.load(Path(folder)) for folder in ("watched", "alone"))
    project, settings, *epochs, test = told
    assert (project, settings["epochs"], settings["model.vision"]) == ("hamner", 2, False)
    assert all(isinstance(value, int | float | str) for value in settings.values())
    entries = enumerate(watched.record["history"], start=1)
    assert epochs == [(number, {name: entry[name] for name in ("loss", "valid_f1")}) for number, entry in entries]
    assert test == (2, {"test_f1": watched.f1()})
    assert ended == [True]
    assert watched.record["weights_sha256"] == alone.record["weights_sha256"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tensorbord", r"no tracker is called 'tensorbord': did you mean tensorboard\?"),
        ("wandb", "the tracker wandb needs its package: pip install wandb"),
    ],
)
def test_a_tracker_that_is_not_there_is_an_error_and_not_silence(name, message, arguments, monkeypatch):
    monkeypatch.setattr(trackers, "get_available_trackers", list)
    result = CliRunner().invoke(app, ["train", *without_captions(arguments), "--run", "none", "--track", name])
    assert isinstance(result.exception, HamnerError)
    assert re.match(message, str(result.exception))
    assert not Path("none").exists()


def test_a_grid_on_captions_of_other_posts_is_refused(arguments, tiny):
    captions = Path("captions.txt").read_text(encoding="utf-8")
    of_test = {post.id for post in tiny.test}
    left = [line for line in captions.splitlines() if line.split(".jpg")[0] not in of_test]
    Path("captions.txt").write_text("\n".join(left), encoding="utf-8")
    for row in ("full", "caption_words"):
        result = CliRunner().invoke(app, ["train", *arguments, "--row", row])
        assert isinstance(result.exception, HamnerError)
        assert f"none of the {len(tiny.test)} posts of tiny test has an image or caption" in str(result.exception)


@pytest.mark.parametrize(
    "command", [("train", "--row", "full"), ("ablate", "--row", "full", "--seeds", "1"), ("sweep", "--seeds", "1")]
)
def test_a_run_that_sees_too_few_posts_asks_to_be_told_so(command, arguments, tiny, monkeypatch):
    monkeypatch.setattr("hamner.training.rows.rows_of", lambda full: ("full",))  # of `sweep`
    if command[0] == "sweep":
        arguments[arguments.index("captions.txt")] = "tiny=captions.txt"
    captions = Path("captions.txt").read_text(encoding="utf-8").splitlines()
    half = {post.id for post in tiny.train[::2]}
    left = [line for line in captions if line.split(".jpg")[0] not in half]
    Path("captions.txt").write_text("\n".join(left), encoding="utf-8")
    result = CliRunner().invoke(app, [command[0], *arguments, *command[1:]])
    assert isinstance(result.exception, HamnerError)
    assert f"{len(half)} of the {len(tiny.train)} posts of tiny train have no image or caption" in str(result.exception)
    assert str(result.exception).endswith("or allow it: --allow-missing 0.5")
    invoke(command[0], *arguments, *command[1:], "--allow-missing", "0.5")


def test_a_run_says_how_many_posts_it_saw_and_what_it_read(arguments, tiny):
    gone = tiny.train[0].id
    lines = Path("captions.txt").read_text(encoding="utf-8").splitlines()
    Path("captions.txt").write_text("\n".join(line for line in lines if not line.startswith(f"{gone}.jpg")))
    for row in ("full", "caption_words"):
        invoke("train", *arguments, "--row", row, "--run", row)
        record = Run.load(Path(row)).record
        assert record["seen_posts"] == {
            "train": len(tiny.train) - 1, "valid": len(tiny.valid), "test": len(tiny.test)
        }  # fmt: skip
        assert list(record["inputs"]) == ["captions.txt", "text encoder model.safetensors"]
        assert record["marks_apart"] == list(marks_apart(tiny.train))
    Path("captions.txt").write_text("\n".join(lines).replace("a van", "a bus"), encoding="utf-8")
    result = CliRunner().invoke(app, ["train", *arguments, "--row", "full", "--run", "full"])
    assert "holds another run: its inputs has captions.txt = " in str(result.exception)


@pytest.mark.parametrize("row", ["full", "caption_words"])
def test_captions_may_lie_elsewhere_as_long_as_their_bytes_are_the_same(arguments, row):
    invoke("train", *arguments, "--row", row, "--run", "run")
    record = Path("run/run.json").read_bytes()
    text = Path("captions.txt").read_text(encoding="utf-8")
    moved = [argument.replace("captions.txt", "moved.txt") for argument in arguments]

    Path("moved.txt").write_text(text.replace("a van", "a bus"), encoding="utf-8")
    result = CliRunner().invoke(app, ["train", *moved, "--row", row, "--run", "run"])
    assert "holds another run: its config has " in str(result.exception)
    assert "captions.txt" in str(result.exception)

    Path("captions.txt").rename("moved.txt")
    invoke("train", *moved, "--row", row, "--run", "run")
    assert Path("run/run.json").read_bytes() == record

    Path("moved.txt").unlink()
    result = CliRunner().invoke(app, ["train", *moved, "--row", row, "--run", "run"])
    assert str(result.exception) == "moved.txt: no such file; give the path of the captions"


def test_captions_are_nothing_to_a_text_only_model(arguments):
    result = CliRunner().invoke(app, ["train", *arguments])
    assert result.exit_code == 2
    assert "add --row full" in result.output


def test_captions_are_read_as_words_where_that_is_asked_for(arguments, tiny):
    invoke("train", *arguments, "--row", "caption_words", "--run", "words")
    without = without_captions(arguments)
    invoke("train", *without, "--row", "text_only", "--run", "plain")
    words, plain = Run.load(Path("words")), Run.load(Path("plain"))
    assert row_of_run(words.config) == "caption_words"
    assert run_name("tiny", words.config) == "tiny-caption_words-tiny-bert-captions-seed1"
    assert not words.config.model.vision
    assert words.weights.read_bytes() != plain.weights.read_bytes()  # the captions were read
    with pytest.raises(TaggerError, match="is a control of the study that read a caption after each post"):
        Tagger(words)
    result = CliRunner().invoke(app, ["train", *without, "--row", "caption_words"])
    assert "give their file with --captions" in str(result.exception)


def test_a_trained_run_is_put_to_other_tests(arguments, tiny):
    invoke("train", *arguments, "--row", "full", "--run", "full")
    said = invoke("retest", "full", "--on", str(tiny.folder), "--shuffled", "0", "--shuffled", "100")
    run = Run.load(Path("full"))
    found = {(test.corpus, test.shuffled): test.file for test in retests(run)}
    assert found.keys() == {("tiny", 0), ("tiny", 100)}
    assert all(str(file) in said for file in found.values())
    # As in training: its own test gives the run's predictions again, other images another relevance.
    assert found["tiny", 0].read_bytes() == run.predictions.read_bytes()
    other, own = (read_relevance(file) for file in (found["tiny", 100], run.predictions))
    assert list(other) == [post.id for post in tiny.test]
    assert other != own


def test_a_test_is_taken_once_until_something_changes(arguments, tiny):
    chosen = [*arguments, "--set", "batch_size=4"]
    for seed in ("1", "2"):
        invoke("train", *chosen, "--row", "full", "--run", f"run{seed}", "--seed", seed)
    test = ["retest", "run1", "run2", "--on", str(tiny.folder), "--shuffled", "100"]
    said = invoke(*test)
    files = [Path(f"run{seed}/retests/tiny-shuffled100.jsonl.gz") for seed in (1, 2)]
    assert all(str(file) in said for file in files)
    made = [file.stat().st_mtime_ns for file in files]
    assert [line for line in said.splitlines() if "F1" in line] == invoke(*test).splitlines()
    assert [file.stat().st_mtime_ns for file in files] == made
    shutil.copy("captions.txt", "moved.txt")
    invoke(*test, "--captions", "moved.txt")
    weights = Path("run1/model.safetensors").rename("kept")
    assert str(files[0]) in invoke(*test)  # what is there already needs no weights
    weights.rename("run1/model.safetensors")
    assert [file.stat().st_mtime_ns for file in files] == made
    Path("others.txt").write_text(Path("captions.txt").read_text(encoding="utf-8").replace("van", "fox"))
    invoke("retest", "run1", "--on", str(tiny.folder), "--shuffled", "100", "--captions", "others.txt")
    assert files[0].stat().st_mtime_ns > made[0]
    files[1].unlink()  # a test that is taken already needs no lock
    with only_user_of(Path("run2")):
        assert "skipped: another process works in run2" in invoke(*test)
        alone = CliRunner().invoke(app, ["retest", "run2", "--on", str(tiny.folder), "--shuffled", "100"])
        assert isinstance(alone.exception, RunError)


@pytest.mark.parametrize("frozen", ["true", "false"])
def test_a_run_in_half_precision_is_tested_and_tags_in_half_precision(arguments, tiny, frozen):
    half = ["--set", "precision=bf16", "--set", f"model.frozen_text={frozen}", "--set", "batch_size=4"]
    invoke("train", *arguments, *half, "--row", "full", "--run", "half")
    invoke("retest", "half", "--on", str(tiny.folder))
    run = Run.load(Path("half"))
    assert Path("half/retests/tiny.jsonl.gz").read_bytes() == run.predictions.read_bytes()
    tags, tagger = read_predictions(run.predictions), Tagger(run)
    store = inputs.open_store(tiny, run.config, Path("data/features"), "cpu", progress=False)
    for post in tiny.test:
        tagged = tagger(words=post.words, features=store[post.id])
        assert [entity.type for entity in tagged.entities] == [span.type for span in spans(tags[post.id])]

    shutil.copytree("half", "whole", ignore=shutil.ignore_patterns("retests"))
    record = run.record | {"config": run.record["config"] | {"precision": "no"}}
    Path("whole/run.json").write_text(json.dumps(record), encoding="utf-8")
    invoke("retest", "whole", "--on", str(tiny.folder))
    assert read_relevance(Path("whole/retests/tiny.jsonl.gz")) != read_relevance(run.predictions)


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ("text_only", ["--shuffled", "50"], "does not see its own images in test"),
        ("text_only", ["--captions", "captions.txt"], "reads no captions"),
        ("shuffled_images", ["--shuffled", "50"], "does not see its own images in test"),
    ],
)
def test_a_test_that_a_run_cannot_take_is_one_clear_error(arguments, tiny, row, options, message):
    chosen = without_captions(arguments) if row == "text_only" else arguments
    invoke("train", *chosen, "--row", row, "--run", "run")
    result = CliRunner().invoke(app, ["retest", "run", "--on", str(tiny.folder), *options])
    assert isinstance(result.exception, HamnerError)
    assert message in str(result.exception)
    assert not list(Path("run").glob("retests/*"))


def test_another_corpus_needs_its_own_captions_and_a_test_needs_weights(arguments, tiny):
    invoke("train", *arguments, "--row", "full", "--run", "run")
    other = Path(shutil.copytree(tiny.folder, "other"))
    result = CliRunner().invoke(app, ["retest", "run", "--on", str(other)])
    assert "give those of other with --captions" in str(result.exception)
    Path("others.txt").write_text("nobody.jpg :a van\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["retest", "run", "--on", str(other), "--captions", "others.txt"])
    assert "posts of other test has an image or caption" in str(result.exception)
    half = {post.id for post in tiny.test[::2]}
    lines = Path("captions.txt").read_text(encoding="utf-8").splitlines()
    Path("others.txt").write_text("\n".join(line for line in lines if line.split(".jpg")[0] not in half), "utf-8")
    result = CliRunner().invoke(app, ["retest", "run", "--on", str(other), "--captions", "others.txt"])
    assert str(result.exception).endswith("or allow it: --allow-missing 0.5")
    invoke("retest", "run", "--on", str(other), "--captions", "others.txt", "--allow-missing", "0.5")
    invoke("retest", "run", "--on", str(other), "--captions", "captions.txt")
    (other / "test.txt").write_text("IMGID:1\nKelso\tB-PER\n", encoding="utf-8")
    same_name = Path(shutil.copytree(other, "elsewhere/tiny"))
    result = CliRunner().invoke(app, ["retest", "run", "--on", str(same_name), "--captions", "captions.txt"])
    assert "is called tiny, as the corpus that run was trained on, but has other texts" in str(result.exception)
    Path("run/model.safetensors").unlink()
    result = CliRunner().invoke(app, ["retest", "run", "--on", str(other), "--captions", "captions.txt"])
    assert "has no weights" in str(result.exception)


def test_a_run_is_not_tested_where_its_classes_mean_something_else(arguments, tiny):
    invoke("train", *arguments, "--row", "full", "--run", "run")
    record = json.loads(Path("run/run.json").read_text(encoding="utf-8"))
    record["features"]["class_names"] = ["(none)", "badge"]
    Path("run/run.json").write_text(json.dumps(record), encoding="utf-8")
    result = CliRunner().invoke(app, ["retest", "run", "--on", str(tiny.folder)])
    assert "was trained on the classes of objects (none), badge ..., and tiny has (none) ..." in str(result.exception)


def test_a_greater_share_exchanges_the_same_images_and_more():
    some, more, all_ = (exchanged(20, 1, share) for share in (0.25, 0.5, 1.0))
    assert [len(other) for other in (some, more, all_)] == [5, 10, 20]
    assert some.keys() < more.keys() < all_.keys()
    for other in (some, more, all_):
        assert other.keys() == set(other.values())  # each image serves once
        assert all(number != taken for number, taken in other.items())
    assert exchanged(20, 2) != all_


def test_a_finished_run_without_its_weights_is_said_to_be_no_tagger(arguments):
    here = ["train", *without_captions(arguments), "--run", "here"]
    assert "weights are not here" not in invoke(*here)
    Path("here/model.safetensors").unlink()
    assert "weights are not here" in invoke(*here)


def test_the_help_of_ablate_names_every_row():
    assert ablate.__doc__
    assert [row for row in EVERY_ROW if row not in re.findall(r"\w+", ablate.__doc__)] == []


def test_of_exchanged_images_the_posts_of_train_exchange_theirs_and_no_others(arguments, monkeypatch):
    asked = []

    def noted(posts, features, config, *, train):
        asked.append((config.images, posts[0].words[-1], train))
        return images_of(posts, features, config, train=train)

    monkeypatch.setattr(loop, "images_of", noted)
    invoke("ablate", *arguments, "--row", "exchanged_images", "--seeds", "1")
    splits = {"#train": True, "#valid": False, "#test": False}
    assert asked == [("exchanged", word, train) for word, train in splits.items()]


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


@pytest.fixture
def two_corpora(arguments, tiny, monkeypatch) -> list[str]:
    """What `hamner sweep` needs for two rows on two corpora."""
    monkeypatch.setattr("hamner.training.rows.rows_of", lambda full: ("full", "text_only"))
    shutil.copytree(tiny.folder, "other")
    captions = ["--captions", "tiny=captions.txt", "--captions", "other=captions.txt"]
    return ["sweep", arguments[0], "other", *arguments[1:3], "--epochs", "1", "--seeds", "1", *captions]


def test_the_grid_is_made_once_with_its_tests(two_corpora):
    said = invoke(*two_corpora)
    assert said.count("posts with visual features") == 2
    assert "data/runs has all 4 runs" in said
    assert "are impossible" not in said
    noise = ("shuffled25", "shuffled50", "shuffled75", "shuffled100")
    for name, other in (("tiny", "other"), ("other", "tiny")):
        found = {
            row: {
                path.name.removesuffix(".jsonl.gz")
                for path in Path(f"data/runs/{name}-{row}-seed1/retests").glob("*.jsonl.gz")
            }
            for row in ("full-tiny-bert-captions", "text_only-tiny-bert")
        }
        own = {f"{name}-{share}" for share in noise}
        assert found == {"full-tiny-bert-captions": {other, *own}, "text_only-tiny-bert": {other}}
    files = [path for path in Path("data/runs").rglob("*") if path.suffix in (".json", ".gz", ".safetensors")]
    made = {path: path.stat().st_mtime_ns for path in files}
    assert "are impossible" not in invoke(*two_corpora)
    assert {path: path.stat().st_mtime_ns for path in files} == made


def test_a_grid_without_weights_names_the_tests_that_it_cannot_take(two_corpora):
    invoke(*two_corpora)
    run = Path("data/runs/tiny-full-tiny-bert-captions-seed1")
    (run / "model.safetensors").unlink()
    assert "are impossible" not in invoke(*two_corpora)  # they were taken while the weights were there
    gone = run / "retests" / "other.jsonl.gz"
    gone.unlink()
    said = " ".join(invoke(*two_corpora).split())
    assert f"1 of the tests are impossible, such as {gone}: the weights of its run are not here" in said


@contextmanager
def held_until(folder: Path, file: Path) -> Iterator[None]:
    """Another process, so to speak, is at work in `folder` until `file` is there."""
    held = threading.Event()

    def hold() -> None:
        with only_user_of(folder):
            held.set()
            while not file.exists():
                time.sleep(0.01)

    other = threading.Thread(target=hold, daemon=True)
    other.start()
    assert held.wait(timeout=10)
    yield
    other.join(timeout=10)
    assert not other.is_alive()


def test_a_grid_goes_on_elsewhere_where_another_process_is_and_then_waits(two_corpora):
    first = Path("data/runs/tiny-full-tiny-bert-captions-seed1")
    last = Path("data/runs/other-text_only-tiny-bert-seed1/run.json")
    with held_until(first, last):
        invoke(*two_corpora)
    assert (first / "run.json").stat().st_mtime_ns > last.stat().st_mtime_ns


def test_the_tests_of_a_grid_too_go_on_elsewhere_and_then_wait(two_corpora, tiny):
    invoke(*two_corpora)
    runs = [Run.load(path.parent) for path in sorted(Path("data/runs").glob("*/run.json"))]
    first, last = runs[0].folder, runs[-1].folder / "retests" / "other.jsonl.gz"
    assert first.name == "other-full-tiny-bert-captions-seed1"
    for folder in Path("data/runs").glob("*/retests"):
        shutil.rmtree(folder)
    captions = {name: [Path("captions.txt")] for name in ("tiny", "other")}
    with held_until(first, last):
        assert retest_sweep(runs, [tiny, load_corpus("other")], captions) == {}
    assert (first / "retests" / "tiny.jsonl.gz").stat().st_mtime_ns > last.stat().st_mtime_ns


def test_the_tests_of_a_grid_take_as_many_threads_as_its_runs(two_corpora, monkeypatch):
    threads = []
    real = retest_module.predict
    monkeypatch.setattr(
        retest_module, "predict", lambda *given: threads.append(torch.get_num_threads()) or real(*given)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        invoke(*two_corpora, "--threads", "1")
        assert threads == [1] * 12
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_where_objects_are_of_other_classes_a_grid_says_so_and_takes_the_other_tests(two_corpora, monkeypatch):
    real = inputs.open_store

    def with_classes(corpus, *given):
        store = real(corpus, *given)
        if store is not None and corpus.name == "other":
            store.class_names = ("(none)", "badge")
        return store

    monkeypatch.setattr(loop, "open_store", with_classes)
    monkeypatch.setattr(retest_module, "open_store", with_classes)
    said = " ".join(invoke(*two_corpora).split())
    assert said.count("1 of the tests are impossible") == 2
    for name, other in (("tiny", "other"), ("other", "tiny")):
        folder = f"data/runs/{name}-full-tiny-bert-captions-seed1"
        assert (
            f"such as {folder}/retests/{other}.jsonl.gz: {folder} was trained on the classes of objects (none)" in said
        )
    assert len(list(Path("data/runs").glob("*/retests/*.jsonl.gz"))) == 12 - 2


def test_two_corpora_of_one_name_have_no_grid(two_corpora, tiny):
    shutil.copytree(tiny.folder, "elsewhere/other")
    result = CliRunner().invoke(app, [*two_corpora, "elsewhere/other"])
    assert result.exit_code == 2
    assert "2 of the corpora are called other" in " ".join(result.output.replace("│", " ").split())
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        (["captions.txt"], "'captions.txt' is not CORPUS=FILE with one of tiny, other"),
        (["twitter=captions.txt"], "is not CORPUS=FILE with one of tiny, other"),
        (["tiny=captions.txt"], "there are none for other"),
    ],
)
def test_captions_of_a_grid_are_those_of_all_its_corpora(two_corpora, captions, message):
    options = [option for given in captions for option in ("--captions", given)]
    result = CliRunner().invoke(app, [*two_corpora[: two_corpora.index("--captions")], *options])
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
    assert not Path("data").exists()


def test_features_of_a_grid_are_made_once_with_a_report(arguments):
    chosen = ["--row", "full", "--row", "no_semantic", "--row", "text_only", "--seeds", "1"]
    assert invoke("ablate", *arguments, *chosen).count("posts with visual features") == 1
    shutil.rmtree("data/features")
    invoke("ablate", *arguments, *chosen)  # all finished: nothing is looked at again
    assert not Path("data/features").exists()


def test_captions_leave_out_the_rows_of_geometry_and_are_read_as_words_too():
    images = full_settings("twitter2017")
    captions = full_settings("twitter2017", of_captions(["captions.txt"]))
    assert rows_of(images) == STUDY_ROWS
    assert set(STUDY_ROWS) - set(rows_of(captions)) == set(OF_GEOMETRY)
    assert set(rows_of(captions)) - set(STUDY_ROWS) == {CAPTION_WORDS}


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


def test_the_preset_base_is_standard_with_another_encoder_and_rate_for_four_epochs():
    settings = {name: full_settings("corpus", preset_name=name) for name in ("standard", "base")}
    standard, base = (flat(TrainConfig.from_dict(given).to_dict()) for given in settings.values())
    changed = {name: value for name, value in base.items() if value != standard[name]}
    assert changed == {"model.text_encoder": "mpnet", "encoder_lr": 5e-5}
    assert base["epochs"] == 4


@pytest.mark.parametrize(("name", "more"), [("adapter", set()), ("adapter_base", {"model.text_encoder"})])
def test_an_adapters_preset_is_standard_with_one_in_half_precision_and_rate_and_epochs_of_its_own(name, more):
    settings = [full_settings("corpus", preset_name=one) for one in ("standard", name)]
    standard, adapter = (flat(TrainConfig.from_dict(given).to_dict()) for given in settings)
    changed = {name for name, value in adapter.items() if value != standard[name]}
    assert changed == {"model.adapter_rank", "half_weights", "encoder_lr", "epochs"} | more


def test_the_later_of_two_settings_holds_and_the_rest_stays():
    below = {"epochs": 3, "model": {"width": 8, "layers": "mix"}}
    assert merged(below, {"model": {"width": 16}}) == {"epochs": 3, "model": {"width": 16, "layers": "mix"}}
    assert json.dumps(below) == json.dumps({"epochs": 3, "model": {"width": 8, "layers": "mix"}})


def test_every_row_of_the_grid_has_a_name_of_its_own():
    names = {run_name("corpus", study_config("corpus", row)) for row in STUDY_ROWS}
    assert len(names) == len(STUDY_ROWS)
    assert not any("custom" in name for name in names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "seed=5"], "seed is set by --seed"),
        (["--set", "images=shuffled"], "images is set by --row shuffled_images, blank_images or exchanged_images"),
        (["--set", "epochs=2"], "the setting 'epochs' is given twice"),
        (["--row", "text_only", "--set", "visual.max_objects=3"], "a text_only model reads no images"),
    ],
)
def test_a_setting_that_would_not_hold_is_refused(arguments, options, message):
    chosen = without_captions(arguments) if "text_only" in options else arguments
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["train", *chosen, "--row", "full", *options])
    assert result.exit_code == 2
    assert message in result.output
    assert not Path("data/runs").exists()


def test_a_folder_of_a_known_corpus_gets_the_settings_of_its_name(monkeypatch, tiny):
    given = []
    monkeypatch.setattr("hamner.corpora.load_corpus", lambda *_: replace(tiny, name="minitweets"))
    monkeypatch.setattr("hamner.training.train", lambda corpus, config, *_, **__: given.append(config) or stop())
    CliRunner().invoke(app, ["train", "some/folder/minitweets", "--row", "full"])
    assert given == [study_config("minitweets", "full")]


def stop() -> None:
    raise HamnerError("enough")


def test_another_list_of_images_is_another_run(tiny, tmp_path):
    config = study_config("twitter2017", "full")
    corpus = replace(tiny, folder=tmp_path)
    without = identity(corpus, config)["inputs"]
    (tmp_path / "images.tsv").write_text("1\tp.png\n")
    with_list = identity(corpus, config)["inputs"]
    (tmp_path / "images.tsv").write_text("1\tq.png\n")
    assert "images.tsv" not in without
    assert with_list["images.tsv"] != identity(corpus, config)["inputs"]["images.tsv"]
