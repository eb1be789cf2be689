from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from hamner.corpora import load_corpus, project_folder
from hamner.evaluation import align, read_predictions, score
from hamner.reproduction.model import compare_with_record
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
    f1, *by_cue = compare_with_record(replace(committed, record=committed.record | {"scores": anew}))
    assert f1.endswith("as committed")
    assert len(by_cue) == len(CUES)  # of the very predictions that they are compared with; see the next test


def test_a_run_that_came_out_otherwise_is_said_to(committed: Run, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in gzip.decompress(committed.predictions.read_bytes()).splitlines()]
    silent = "".join(json.dumps(line | {"tags": ["O"] * len(line["tags"])}) + "\n" for line in lines)
    (tmp_path / "predictions.jsonl").write_text(silent)
    lines = compare_with_record(replace(committed, folder=tmp_path))
    assert lines[0].endswith("as committed")  # the record, and with it F1, is the same
    assert all(": 0.00, committed " in line for line in lines[1:])
