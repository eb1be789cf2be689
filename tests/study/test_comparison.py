"""Other systems beside the runs: imports of predictions, and the comparison by cue."""

from __future__ import annotations

import gzip
import json
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hamner import ModelConfig, TrainConfig, VisualSource
from hamner.corpora import Corpus, load_corpus
from hamner.errors import HamnerError
from hamner.evaluation import write_predictions
from hamner.minitweets import CUES
from hamner.study.comparison import comparison
from hamner.study.outside import import_predictions, outside_runs, outside_table, read_outside
from hamner.study.tables import LeftOutWarning
from hamner.training import Run
from tests.records import complete_record


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus("minitweets")


@pytest.fixture
def gold_file(corpus: Corpus, tmp_path: Path) -> Path:
    file = tmp_path / "gold.jsonl"
    write_predictions(file, {post.id: post.tags or () for post in corpus.test})
    return file


@pytest.fixture
def nothing_file(corpus: Corpus, tmp_path: Path) -> Path:
    file = tmp_path / "nothing.jsonl"
    write_predictions(file, {post.id: ("O",) * len(post.words) for post in corpus.test})
    return file


def test_an_import_has_the_scores_of_the_same_scorer(corpus: Corpus, gold_file: Path, tmp_path: Path) -> None:
    imported = import_predictions("oracle", gold_file, corpus, runs=tmp_path / "runs")
    assert imported.scores["strict"]["overall"]["f1"] == 1.0
    assert read_outside(imported.folder) == imported
    assert imported.folder.name == "minitweets-oracle-outside-seed1"
    table = outside_table(outside_runs(tmp_path / "runs"))
    assert table.set_index("protocol").f1.to_dict() == {"seqeval": 1.0, "strict": 1.0, "repaired": 1.0}


def test_columns_of_another_system_are_imported(corpus: Corpus, tmp_path: Path) -> None:
    lines = []
    for post in corpus.test:
        lines += [f"{word} {tag}" for word, tag in zip(post.words, post.tags or (), strict=True)]
        lines.append("")
    (tmp_path / "columns.txt").write_text("\n".join(lines))
    imported = import_predictions("conll", tmp_path / "columns.txt", corpus, runs=tmp_path / "runs")
    assert imported.scores["seqeval"]["overall"]["f1"] == 1.0


def test_the_same_import_again_changes_nothing_and_another_is_refused(
    corpus: Corpus, gold_file: Path, nothing_file: Path, tmp_path: Path
) -> None:
    imported = import_predictions("one", gold_file, corpus, runs=tmp_path / "runs")
    before = (imported.folder / "outside.json").stat().st_mtime_ns
    assert import_predictions("one", gold_file, corpus, runs=tmp_path / "runs") == imported
    assert (imported.folder / "outside.json").stat().st_mtime_ns == before
    with pytest.raises(HamnerError, match="holds other predictions: give another --seed or name"):
        import_predictions("one", nothing_file, corpus, runs=tmp_path / "runs")


@pytest.mark.parametrize(
    ("name", "message"), [("full", "is a row of this project"), ("../up", "is no name"), ("", "is no name")]
)
def test_a_name_that_would_mislead_is_refused(
    corpus: Corpus, gold_file: Path, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(HamnerError, match=message):
        import_predictions(name, gold_file, corpus, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": 3}', '{"scores": {"seqeval": {"overall": {"f1": 7}}}}'])
def test_a_damaged_import_is_named_and_the_others_stay(
    corpus: Corpus, gold_file: Path, tmp_path: Path, content: str
) -> None:
    import_predictions("good", gold_file, corpus, runs=tmp_path / "runs")
    bad = import_predictions("bad", gold_file, corpus, runs=tmp_path / "runs")
    (bad.folder / "outside.json").write_text(content)
    with pytest.warns(LeftOutWarning, match="bad-outside-seed1/outside.json is no import of predictions"):
        assert [one.name for one in outside_runs(tmp_path / "runs")] == ["good"]


MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(corpus: Corpus, tmp_path: Path) -> MakeRun:
    def make(config: TrainConfig, name: str, tags: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Run:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        record = complete_record(config=config, corpus={"name": corpus.name, "sha256": corpus.sha256}, parameters=77)
        record |= {"peak_memory_bytes": 2_500_000_000} | ({"trained_parameters": 7} if name == "umt" else {})
        (folder / "run.json").write_text(json.dumps(record))
        run = Run.load(folder)
        write_predictions(run.predictions, {post.id: tags(post.tags or ()) for post in corpus.test})
        return run

    return make


def test_the_comparison_has_a_line_for_each_architecture_in_the_order_of_history(
    corpus: Corpus, make_run: MakeRun, gold_file: Path, nothing_file: Path, tmp_path: Path
) -> None:
    seeing = TrainConfig(model=ModelConfig(vision=True), visual=VisualSource())

    def of(fusion: str) -> TrainConfig:
        return replace(seeing, model=replace(seeing.model, fusion=fusion))

    def right(tags: tuple[str, ...]) -> tuple[str, ...]:
        return tags

    def nothing(tags: tuple[str, ...]) -> tuple[str, ...]:
        return ("O",) * len(tags)

    runs = [
        make_run(of("mine:Mine"), "mine", right),
        make_run(of("umt"), "umt", nothing),
        make_run(of("concatenation"), "concatenation", nothing),
        make_run(TrainConfig(model=ModelConfig(words="cnn_bilstm")), "letters", nothing),
        make_run(seeing, "full", right),
        make_run(replace(seeing, model=replace(seeing.model, semantic=False)), "no_semantic", right),
        make_run(replace(seeing, images="shuffled"), "shuffled", right),
        make_run(TrainConfig(), "text", nothing),
    ]
    imports = [import_predictions("oracle", gold_file, corpus, runs=tmp_path / "outside")]
    imports.append(import_predictions("silent", nothing_file, corpus, runs=tmp_path / "outside"))
    table = comparison(runs, imports, corpus)
    assert list(zip(table.kind, table["name"], strict=True)) == [
        ("paper", "text_only"),
        ("paper", "full"),
        ("peer", "cnn_bilstm_crf"),
        ("peer", "concatenation"),
        ("peer", "umt"),
        ("own", "Mine"),
        ("outside", "oracle"),
        ("outside", "silent"),
    ]
    by_name = table.set_index("name")
    assert (by_name.loc[["Mine", "full", "oracle"], list(CUES)] == 1.0).all(axis=None)
    assert (by_name.loc[["umt", "silent", "text_only"], list(CUES)] == 0.0).all(axis=None)
    assert by_name.loc["Mine", "parameters"] == by_name.loc["Mine", "trained"] == 77  # its encoder is trained too
    assert by_name.loc["umt", "trained"] == 7
    assert by_name.loc["umt", "memory"] == 2.5


def test_trained_parameters_of_a_frozen_encoder_are_unknown_in_earlier_records(
    corpus: Corpus, make_run: MakeRun
) -> None:
    run = make_run(TrainConfig(model=ModelConfig(frozen_text=True)), "frozen", lambda tags: tags)
    (line,) = comparison([run], [], corpus).to_dict("records")
    assert line["parameters"] == 77 and math.isnan(line["trained"])


def test_an_import_on_other_posts_is_not_compared(corpus: Corpus, gold_file: Path, tmp_path: Path) -> None:
    imported = import_predictions("oracle", gold_file, corpus, runs=tmp_path / "runs")
    other = replace(imported, sha256={"test.txt": "0" * 64})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert comparison([], [other], corpus).empty


def test_an_import_whose_predictions_are_damaged_is_left_out(corpus: Corpus, gold_file: Path, tmp_path: Path) -> None:
    imported = import_predictions("oracle", gold_file, corpus, runs=tmp_path / "runs")
    imported.predictions.write_bytes(gzip.compress(b'{"id": "test-0001"}\n'))
    with pytest.warns(LeftOutWarning, match="predictions.jsonl.gz"):
        assert comparison([], [imported], corpus).empty
