from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from hamner.corpora import PROTOCOLS, TYPES
from hamner.errors import HamnerError
from hamner.study.tables import results, results_markdown, runs
from hamner.training import Run, TrainConfig


def prf(f1: float) -> dict[str, float]:
    return {"precision": f1, "recall": f1, "f1": f1}


def record(seed: int, f1: float, **settings: object) -> dict:
    score = {"overall": prf(f1), "per_type": {type: prf(f1) for type in TYPES}, "seen": prf(f1), "unseen": prf(f1)}
    return {
        "corpus": {"name": "tiny", "sha256": {}},
        "config": TrainConfig.from_dict({"seed": seed, **settings}).to_dict(),
        "scores": {split: {protocol: copy.deepcopy(score) for protocol in PROTOCOLS} for split in ("valid", "test")},
        "seconds": 60.0,
    }


def as_runs(*records: dict) -> list[Run]:
    return [Run(Path(f"run{number}"), json.loads(json.dumps(each))) for number, each in enumerate(records)]


def test_runs_that_differ_in_their_seed_are_one_line_with_mean_and_spread():
    table = results(as_runs(record(1, 0.8), record(2, 0.82), record(3, 0.84)))
    assert len(table) == len(PROTOCOLS)
    line = table[table.protocol == "seqeval"].iloc[0]
    assert (line.corpus, line.encoder, line.row, line.seeds) == ("tiny", "minilm", "text_only", 3)
    assert line.f1 == pytest.approx(0.82)
    assert line.f1_sd == pytest.approx(0.02)
    assert (line.f1_min, line.f1_max, line.minutes) == (0.8, 0.84, 1)
    assert "| 82.00 ± 2.00 | 80.00 to 84.00 |" in results_markdown(table)


def test_one_seed_has_no_deviation():
    table = results(as_runs(record(1, 0.8)))
    assert table.f1_sd.isna().all()
    assert "±" not in results_markdown(table)


def test_runs_with_other_settings_are_never_averaged():
    with pytest.raises(HamnerError, match=r"run0 and run1 differ in more than their seed \(epochs\)"):
        results(as_runs(record(1, 0.8), record(2, 0.9, epochs=9)))


def test_captions_are_told_apart_by_their_bytes_and_by_their_place_only_where_those_are_not_known():
    def reads(seed: int, file: str, sha256: str | None) -> dict:
        visual = {"backbone": "captions", "objects": "phrases", "captions": [file]}
        inputs = {} if sha256 is None else {file: sha256}
        return record(seed, 0.8, model={"vision": True}, visual=visual) | {"inputs": inputs}

    moved = results(as_runs(reads(1, "here.txt", "abc"), reads(2, "there.txt", "abc"), reads(3, "here.txt", None)))
    assert set(moved.seeds) == {3}
    for other in (reads(2, "here.txt", "def"), reads(2, "there.txt", "def"), reads(2, "there.txt", None)):
        with pytest.raises(HamnerError, match="differ in more than their seed"):
            results(as_runs(reads(1, "here.txt", "abc"), other))


def test_runs_that_read_other_images_are_never_averaged():
    other = [record(seed, 0.8) | {"inputs": {"images": images}} for seed, images in ((1, "abc"), (2, "def"))]
    with pytest.raises(HamnerError, match=r"differ in more than their seed \(images\)"):
        results(as_runs(*other))


def test_one_seed_twice_is_an_error():
    with pytest.raises(HamnerError, match="one seed twice: run0, run1"):
        results(as_runs(record(1, 0.8), record(1, 0.8)))


def test_every_committed_run_scores_as_its_predictions_do():
    from hamner.corpora import load_corpus
    from hamner.corpora.registry import VERSIONS, folder_of
    from hamner.evaluation import align, read_predictions, score, training_mentions

    committed = runs()
    checked = 0
    for run in committed:
        name = run.record["corpus"]["name"]
        if not (folder_of(VERSIONS[name]) / "test.txt").exists():
            continue
        corpus = load_corpus(name)
        assert run.record["corpus"]["sha256"] == corpus.sha256
        gold, predicted = align(corpus.test, read_predictions(run.predictions, corpus.test))
        mentions = training_mentions(corpus.train)
        for protocol in PROTOCOLS:
            stated = run.record["scores"]["test"][protocol]
            assert score(gold, predicted, protocol, posts=corpus.test, mentions=mentions).to_dict() == stated
        checked += 1
    assert checked  # those on minitweets at least: it is bundled


def test_the_committed_tables_are_those_of_the_committed_runs(tmp_path: Path):
    from hamner.corpora import project_folder
    from hamner.study.tables import write_tables

    for path in write_tables(tmp_path):
        assert path.read_bytes() == (project_folder() / "data" / "tables" / path.name).read_bytes()
