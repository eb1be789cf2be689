"""A model that reads words and letters of train: trained, kept with its lexicon, loaded anew, tagged with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import hamner.training.loop as loop
from hamner.cli import app
from hamner.corpora import Corpus
from hamner.encoders import load_tokenizer
from hamner.errors import HamnerError
from hamner.model.config import ModelConfig, ModelConfigError
from hamner.model.lexicon import Lexicon
from hamner.settings import ConfigError
from hamner.study.lesions import lesion_run
from hamner.tagger import Tagger
from hamner.training import Run, RunError, train
from hamner.training.batching import Split, prepare, spelt, windows
from hamner.training.config import TrainConfig
from hamner.training.loop import build_model, trained_model
from hamner.training.rows import PRESETS, ablate, config_of_row, full_settings, row_of_run
from hamner.training.runs import peak_memory, reset_peak_memory, run_name

SETTINGS = {"epochs": 15, "batch_size": 4, "head_lr": 1e-2, "model": {"width": 16, "frozen_text": True}}
CONFIG = config_of_row(full_settings("tiny", SETTINGS), "cnn_bilstm_crf", 1)
POST = "Anna Berg scored in Orvaska"


@pytest.fixture(scope="module")
def run(tiny: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny, CONFIG, tmp_path_factory.mktemp("runs") / "run", progress=False)


@pytest.fixture
def copy(run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(run.folder, tmp_path / "copy")), run.record)


def test_it_learns_and_keeps_the_words_and_letters_of_train(run: Run, tiny: Corpus) -> None:
    assert run.f1("valid") > 0.7
    assert row_of_run(run.config) == "cnn_bilstm_crf"
    assert run_name("tiny", run.config) == "tiny-cnn_bilstm_crf-cnn_bilstm-seed1"
    kept = Lexicon.from_json(run.lexicon.read_text(encoding="utf-8"))
    assert kept == Lexicon.of(post.words for post in tiny.train)
    assert "#valid" not in kept.words and "#train" in kept.words
    assert not [name for name in run.record["inputs"] if "encoder" in name]


def test_the_same_call_trains_nothing_and_a_killed_run_ends_with_the_same_weights(
    run: Run, tiny: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(tiny, CONFIG, run.folder, progress=False).record == run.record

    def cut(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_scores", cut)  # after the last epoch
        with pytest.raises(KeyboardInterrupt):
            train(tiny, CONFIG, tmp_path / "run", progress=False)
    assert (
        train(tiny, CONFIG, tmp_path / "run", progress=False).record["weights_sha256"] == run.record["weights_sha256"]
    )


def test_a_runs_peak_of_memory_is_its_own(run: Run) -> None:
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("this system cannot begin the peak anew")
    before = bytearray(b"x" * 400_000_000)
    high = peak_memory()
    del before
    reset_peak_memory()
    now = peak_memory()
    assert high is not None and now is not None and now < high - 300_000_000
    assert run.record["trained_parameters"] == run.record["parameters"]


def command(*words: str) -> str:
    """What `hamner` prints in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-m", "hamner", *words], capture_output=True, text=True, encoding="utf-8", env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tag_and_evaluate_take_the_run_in_a_new_process(run: Run, tiny_folder: Path) -> None:
    here = Tagger(run)(POST)
    there = json.loads(command("tag", POST, "--run", str(run.folder), "--json"))
    assert there["entities"] == [one.to_dict() for one in here.entities]
    assert here.entities
    evaluated = ["evaluate", str(run.folder), "--corpus", str(tiny_folder), "--json", "--resamples", "20"]
    scored = json.loads(CliRunner().invoke(app, evaluated).stdout)
    assert scored["protocols"]["seqeval"]["overall"]["f1"] == pytest.approx(run.f1())


def damaged(run: Run, how: str) -> None:
    lexicon = Lexicon.from_json(run.lexicon.read_text(encoding="utf-8"))
    if how == "missing":
        run.lexicon.unlink()
    elif how == "cut":
        run.lexicon.write_text(lexicon.to_json()[:-9], encoding="utf-8")
    else:  # as many words, so that the weights would fit
        changed = replace(lexicon, words=(*lexicon.words[:-1], f"{lexicon.words[-1]}x"))
        run.lexicon.write_text(changed.to_json(), encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "problem"), [("missing", "no such file"), ("cut", "no lexicon"), ("changed", "is not as it was written")]
)
def test_a_run_whose_lexicon_is_not_as_it_was_is_refused(copy: Run, how: str, problem: str) -> None:
    damaged(copy, how)
    with pytest.raises(RunError, match=rf"lexicon\.json.*{problem}.*train again"):
        trained_model(copy, torch.device("cpu"))


def test_it_has_no_lesions(run: Run, tiny: Corpus) -> None:
    with pytest.raises(HamnerError, match="words=cnn_bilstm: lesions are of"):
        lesion_run(run, tiny)


def test_no_other_model_gets_letters(tiny: Corpus) -> None:
    tokenizer = load_tokenizer("minilm")
    batch = Split(windows(tiny.valid, tokenizer, 64), tokenizer.pad_token_id).batch(range(4))
    assert batch.letters is None


def test_a_word_is_one_piece_and_a_post_one_window(tiny: Corpus) -> None:
    lexicon = Lexicon.of(post.words for post in tiny.train)
    cut = spelt(tiny.test, lexicon)
    batch = Split(cut, 0).batch(range(len(cut)))
    assert torch.equal(batch.piece_mask, batch.word_mask)
    for post, window, pieces in zip(tiny.test, cut, batch.pieces, strict=True):
        assert pieces[: len(post.words)].tolist() == lexicon.numbers(post.words) == window.pieces.tolist()
    assert batch.letters is not None and batch.letters[0, 0].tolist() == lexicon.spell(tiny.test[0].words[0])
    assert [window.tags.tolist() for window in cut] == [
        window.tags.tolist() for window in windows(tiny.test, load_tokenizer("minilm"), 64)
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_the_row_and_it_keeps_no_setting_of_an_encoder(name: str) -> None:
    config = config_of_row(full_settings("corpus", preset_name=name), "cnn_bilstm_crf", 1)
    default = ModelConfig()
    assert row_of_run(config) == "cnn_bilstm_crf" and config.visual is None
    assert replace(config.model, width=default.width, dropout=default.dropout) == replace(default, words="cnn_bilstm")


def test_a_lexicon_in_the_place_of_an_encoder_and_the_reverse_are_refused(run: Run, tiny: Corpus) -> None:
    with pytest.raises(TypeError, match="words=pretrained is built over an encoder"):
        build_model(ModelConfig(), 1, lexicon=Lexicon(("a",), ("a",)))
    with pytest.raises(TypeError, match="give its lexicon in place of a tokenizer"):
        prepare(tiny.test, trained_model(run, torch.device("cpu")), load_tokenizer("minilm"))


def test_what_it_cannot_read_is_refused() -> None:
    with pytest.raises(ModelConfigError, match="words=cnn_bilstm reads no image"):
        ModelConfig(words="cnn_bilstm", vision=True)
    with pytest.raises(ConfigError, match="words=cnn_bilstm reads no captions"):
        TrainConfig(model=ModelConfig(words="cnn_bilstm"), appended=("captions.tsv",))
    with pytest.raises(ModelConfigError, match="words"):
        ModelConfig(words="by_hand")
    assert ablate(ModelConfig(vision=True, width=32, text_encoder="mpnet"), "cnn_bilstm_crf").text_encoder == "minilm"
