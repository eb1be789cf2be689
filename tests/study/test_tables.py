from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from hamner.corpora import PROTOCOLS, Post
from hamner.errors import HamnerError
from hamner.evaluation import write_predictions
from hamner.study.tables import (
    LeftOutWarning,
    per_type_markdown,
    results,
    results_markdown,
    runs,
    with_predictions,
    without_mixtures,
)
from hamner.training import Run, TrainConfig
from tests.records import complete_record


def prf(f1: float) -> dict[str, float]:
    return {"precision": f1, "recall": f1, "f1": f1}


def record(seed: int, f1: float, **settings: object) -> dict:
    return complete_record(f1, TrainConfig.from_dict({"seed": seed, **settings}))


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


def test_captions_are_told_apart_by_their_bytes_and_not_by_their_path():
    def reads(seed: int, file: str, sha256: str) -> dict:
        visual = {"backbone": "captions", "objects": "phrases", "captions": [file]}
        return record(seed, 0.8, model={"vision": True}, visual=visual) | {"inputs": {file: sha256}}

    moved = results(as_runs(reads(1, "here.txt", "abc"), reads(2, "there.txt", "abc")))
    assert set(moved.seeds) == {2}
    for other in (reads(2, "here.txt", "def"), reads(2, "there.txt", "def")):
        with pytest.raises(HamnerError, match="differ in more than their seed"):
            results(as_runs(reads(1, "here.txt", "abc"), other))


def test_runs_that_read_other_images_are_never_averaged():
    other = [record(seed, 0.8) | {"inputs": {"images": images}} for seed, images in ((1, "abc"), (2, "def"))]
    with pytest.raises(HamnerError, match=r"differ in more than their seed \(images\)"):
        results(as_runs(*other))


def test_one_seed_twice_is_an_error():
    with pytest.raises(HamnerError, match="one seed twice: run0, run1"):
        results(as_runs(record(1, 0.8), record(1, 0.8)))


def write_record(folder: Path, name: str, contents: dict | bytes) -> Path:
    file = folder / name / "run.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(contents if isinstance(contents, bytes) else json.dumps(contents).encode())
    return file


def complete(seed: int, **settings: object) -> dict:
    return record(seed, 0.8, **settings)


def edited(place: str, value: object) -> dict:
    """A complete record in which one part is another value, or absent (None)."""
    damaged = complete(2)
    *parts, last = place.split(".")
    part = damaged
    for key in parts:
        part = part[key]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return damaged


DAMAGED = {
    "no seconds": (edited("seconds", None), "it lacks seconds"),
    "seconds as text": (edited("seconds", "5"), "seconds cannot be '5'"),
    "endless seconds": (edited("seconds", float("inf")), "seconds cannot be inf"),
    "seconds below zero": (edited("seconds", -1), "seconds cannot be -1"),
    "no protocol": (edited("scores.test.strict", None), "it lacks scores.test.strict"),
    "no seen": (edited("scores.test.seqeval.seen", None), "it lacks scores.test.seqeval.seen"),
    "no types": (edited("scores.test.seqeval.per_type", None), "it lacks scores.test.seqeval.per_type"),
    "types in a list": (edited("scores.test.seqeval.per_type", [1]), "per_type cannot be [1]"),
    "precision as text": (edited("scores.test.seqeval.overall.precision", "x"), "overall.precision cannot be 'x'"),
    "F1 not a number": (edited("scores.test.strict.overall.f1", float("nan")), "overall.f1 cannot be nan"),
    "F1 in percent": (edited("scores.test.strict.overall.f1", 70.5), "overall.f1 cannot be 70.5"),
    "F1 true": (edited("scores.test.strict.overall.f1", True), "overall.f1 cannot be True"),
    "unknown setting": (edited("config.no_such_setting", 1), "no_such_setting"),
    "no JSON": (b"{", "cannot be read"),
    "another JSON": (b"[1]", "is no run record"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_record_is_left_out_and_named_and_the_others_stay(name: str, tmp_path: Path) -> None:
    contents, reason = DAMAGED[name]
    write_record(tmp_path, "a", complete(1))
    bad = write_record(tmp_path, "b", contents)
    write_record(tmp_path, "c", complete(3))
    (tmp_path / "still training").mkdir()  # no record, so no run yet
    (tmp_path / "notes.txt").write_text("a file beside the folders")
    with pytest.warns(LeftOutWarning) as warned:
        read = runs(tmp_path)
    assert [run.folder.name for run in read] == ["a", "c"]
    (message,) = (str(warning.message) for warning in warned)
    assert message.startswith(str(bad)) and reason in message
    assert set(results(read).seeds) == {2}


def test_a_folder_that_may_not_be_read_is_left_out_and_named(tmp_path: Path, monkeypatch) -> None:
    write_record(tmp_path, "a", complete(1))
    locked = write_record(tmp_path, "b", complete(2)).parent
    exists = Path.exists

    def refuse(path: Path, **options: bool) -> bool:
        if path.parent == locked:
            raise PermissionError(13, "Permission denied")
        return exists(path, **options)

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.warns(LeftOutWarning, match=f"{locked} cannot be read .Permission denied.; let this user read it"):
        assert [run.folder.name for run in runs(tmp_path)] == ["a"]


def test_a_folder_without_runs_has_none(tmp_path: Path) -> None:
    assert runs(tmp_path) == runs(tmp_path / "absent") == []


def test_a_mixture_is_left_out_and_named_and_runs_of_other_names_stay() -> None:
    mixed = as_runs(complete(1), complete(2, epochs=9), complete(1, model={"local_text": False}))
    with pytest.warns(
        LeftOutWarning, match="run0 and run1 differ in more than their seed .epochs.: .* all 2 runs of tiny"
    ):
        assert without_mixtures(mixed) == mixed[2:]
    assert without_mixtures(mixed[1:]) == mixed[1:]


def test_a_run_whose_predictions_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    posts = [Post("1", ("Kelso", "ran"), ("B-PER", "O"))]
    found = []
    for seed in (1, 2, 3, 4):
        write_record(tmp_path, f"seed{seed}", complete(seed))
        write_predictions(tmp_path / f"seed{seed}" / "predictions.jsonl", {"1": ("O", "O")})
        found.append(Run.load(tmp_path / f"seed{seed}"))
    found[1].predictions.unlink()
    found[2].predictions.write_text('{"id": "1", "tags": ["O"]}\n')
    (found[3].folder / "retests").mkdir()
    (found[3].folder / "retests" / "tiny-shuffled50.jsonl").write_text("no JSON\n")
    with pytest.warns(LeftOutWarning) as warned:
        assert with_predictions(found, {"tiny": posts}) == found[:1]
    messages = [str(warning.message) for warning in warned]
    files = [found[1].predictions, found[2].predictions, found[3].folder / "retests" / "tiny-shuffled50.jsonl"]
    assert len(messages) == len(files)
    assert all(message.startswith(str(file)) for message, file in zip(messages, files, strict=True))
    assert with_predictions(found, {"another": posts}) == found  # files of other corpora are not read


def test_every_committed_run_scores_as_its_predictions_do():
    from hamner.corpora import load_corpus
    from hamner.corpora.registry import VERSIONS, folder_of
    from hamner.evaluation import align, read_predictions, score, training_mentions

    of_corpus = defaultdict(list)
    for run in runs():
        of_corpus[run.record["corpus"]["name"]].append(run)
    here = [name for name in of_corpus if (folder_of(VERSIONS[name]) / "test.txt").exists()]
    assert "minitweets" in here  # it is bundled
    for name in here:
        corpus = load_corpus(name)
        mentions = training_mentions(corpus.train)
        for run in of_corpus[name]:
            assert run.record["corpus"]["sha256"] == corpus.sha256
            gold, predicted = align(corpus.test, read_predictions(run.predictions, corpus.test))
            for protocol in PROTOCOLS:
                stated = run.record["scores"]["test"][protocol]
                assert score(gold, predicted, protocol, posts=corpus.test, mentions=mentions).to_dict() == stated


def test_the_committed_tables_are_those_of_the_committed_runs(tmp_path: Path):
    from hamner.corpora import project_folder
    from hamner.study.tables import write_tables

    for path in write_tables(tmp_path):
        assert path.read_bytes() == (project_folder() / "data" / "tables" / path.name).read_bytes()


def of_earlier_version(seed: int, **settings: object) -> dict:
    earlier = record(seed, 0.7, **settings)
    del earlier["converged"]
    return earlier


def test_runs_of_the_earlier_version_are_marked_wherever_a_table_names_them():
    seeing = {"model": {"vision": True}, "visual": {}}
    table = results(as_runs(of_earlier_version(1, **seeing), of_earlier_version(2, **seeing), record(1, 0.8)))
    assert dict(zip(table.row, table.version, strict=True)) == {"full": "earlier", "text_only": ""}
    for page in (results_markdown(table), per_type_markdown(table)):
        assert "| full † |" in page and "| text_only |" in page


def test_runs_of_two_versions_are_never_averaged():
    with pytest.raises(HamnerError, match="run0 and run1 are of two versions"):
        results(as_runs(of_earlier_version(1), record(2, 0.9)))


def test_the_committed_runs_of_the_earlier_version_are_those_on_real_tweets():
    committed = runs()
    assert {run.record["corpus"]["name"] for run in committed if run.is_of_earlier_version} == {
        "twitter2015",
        "twitter2017",
    }
    assert not [run for run in committed if run.record["corpus"]["name"] == "minitweets" and run.is_of_earlier_version]
