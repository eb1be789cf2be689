from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hamner.corpora import load_corpus, project_folder
from hamner.errors import HamnerError
from hamner.evaluation import align, read_predictions, score
from hamner.models import model_folder
from hamner.reproduction import bundle, model
from hamner.reproduction.model import MODEL, compare_with_bundled, compare_with_record, is_trained, train_apart
from hamner.study.minitweets import CUES
from hamner.training import Run
from hamner.training.rows import study_config
from hamner.training.runs import run_name


@pytest.fixture(scope="module")
def committed() -> Run:
    return Run.load(project_folder() / "data" / "runs" / run_name("minitweets", study_config("minitweets", "full")))


def test_the_committed_model_has_the_settings_that_are_trained_again(committed: Run) -> None:
    assert committed.config == study_config("minitweets", "full")


def test_the_committed_predictions_scored_anew_are_what_the_record_says(committed: Run) -> None:
    posts = load_corpus("minitweets").test
    gold, predicted = align(posts, read_predictions(committed.predictions, posts))
    anew = {"test": {"seqeval": score(gold, predicted).to_dict()}}
    f1, *by_cue, weights = compare_with_record(replace(committed, record=committed.record | {"scores": anew}))
    assert f1.endswith("as committed")
    assert weights.startswith("weights: ")
    assert len(by_cue) == len(CUES)  # of the very predictions that they are compared with; see the next test


def test_a_run_that_came_out_otherwise_is_said_to(committed: Run, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in gzip.decompress(committed.predictions.read_bytes()).splitlines()]
    silent = "".join(json.dumps(line | {"tags": ["O"] * len(line["tags"])}) + "\n" for line in lines)
    (tmp_path / "predictions.jsonl").write_text(silent)
    lines = compare_with_record(replace(committed, folder=tmp_path))
    assert lines[0].endswith("as committed")  # the record, and with it F1, is the same
    assert all(": 0.00, committed " in line for line in lines[1:-1])


def test_one_line_says_whether_the_weights_are_those_of_the_bundled_model_to_the_byte() -> None:
    bundled = Run.load(model_folder("minitweets"))
    assert compare_with_bundled(bundled).startswith("weights: the bundled model minitweets to the byte")
    other = replace(bundled, record=bundled.record | {"weights_sha256": "0" * 64})
    assert compare_with_bundled(other).startswith("weights: SHA-256 000000000000, and the bundled model minitweets has")


def test_a_bundled_model_has_the_settings_with_which_one_command_makes_it_again() -> None:
    assert Run.load(model_folder("minitweets")).config == study_config("minitweets", "full")
    for name in bundle.PRESETS:
        assert Run.load(model_folder(name)).config == bundle.tweets_config(name)


def test_a_model_is_packed_with_its_record_weights_temperature_and_predictions(tmp_path: Path) -> None:
    run = Run.load(model_folder("minitweets"))
    assert not bundle.bundle(run, tmp_path / "packed")
    assert {file.name for file in (tmp_path / "packed").iterdir()} == {file.name for file in run.folder.iterdir()}
    assert Run.load(tmp_path / "packed").record == run.record
    assert bundle.bundle(run, tmp_path / "packed")  # the same weights to the byte
    with pytest.raises(HamnerError, match=r"no model that comes along is called 'tweet'.*did you mean tweets"):
        bundle.main(["tweet"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no program `false`")
def test_a_process_that_fails_to_train_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.sys, "executable", shutil.which("false"))
    with pytest.raises(HamnerError, match=r"the model was not trained \(exit status 1\)"):
        asyncio.run(train_apart())


def test_a_model_is_trained_once_it_has_its_record_and_its_calibration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "project_folder", lambda: tmp_path)
    folder = tmp_path / "data" / "models" / MODEL
    folder.mkdir(parents=True)
    for part in ("run.json", "calibration.json"):
        assert not is_trained()
        (folder / part).touch()
    assert is_trained()


def test_the_process_that_trains_is_the_module_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    async def started(*command: object) -> object:
        asked.extend(command)
        return SimpleNamespace(wait=lambda: asyncio.sleep(0, result=0))

    monkeypatch.setattr(model.asyncio, "create_subprocess_exec", started)
    asyncio.run(train_apart())
    assert asked == [sys.executable, "-m", model.__name__]


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [(None, None, ""), (HamnerError("no \x1b room"), 1, "error: no \\x1b room\n"), (KeyboardInterrupt(), 130, "")],
)
def test_the_process_that_trains_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException | None,
    status: int | None,
    said: str,
) -> None:
    def trained() -> None:
        if raised:
            raise raised

    monkeypatch.setattr(model, "trained_model", trained)
    with nullcontext() if status is None else pytest.raises(SystemExit) as ended:
        model.main()
    assert status is None or (ended is not None and ended.value.code == status)
    assert capsys.readouterr().err == said
