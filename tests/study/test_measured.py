from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from hamner.corpora import SPLITS, Corpus, Post, load_corpus, statistics
from hamner.errors import HamnerError
from hamner.evaluation import write_predictions
from hamner.study import measured
from hamner.study.tables import LeftOutWarning, name_of, runs_of
from hamner.training import Run
from hamner.training.rows import config_of_row, full_settings, of_captions


@pytest.fixture(scope="session")
def real_corpora() -> Path:
    named = os.environ.get("HAMNER_CORPORA")
    if not named:
        pytest.skip("HAMNER_CORPORA names no folder with the real corpora")
    return Path(named)


@pytest.mark.parametrize("name", measured.REAL)
def test_the_committed_counts_are_those_of_the_real_corpora(name: str, real_corpora: Path) -> None:
    corpus = load_corpus(name, real_corpora)
    counted = pd.concat([statistics(corpus), measured.repeated_texts(corpus)])
    pd.testing.assert_frame_equal(measured.measured_statistics(name), counted, check_names=False)


def test_the_committed_lengths_are_those_of_the_real_corpora(real_corpora: Path) -> None:
    found = measured.piece_lengths(load_corpus("twitter2017", real_corpora))
    assert {split: sorted(lengths) for split, lengths in found.items()} == measured.measured_lengths("twitter2017")


@pytest.mark.parametrize("name", measured.REAL)
def test_there_is_a_committed_length_for_each_post(name: str) -> None:
    posts = measured.measured_statistics(name).loc["posts"]
    assert {split: len(lengths) for split, lengths in measured.measured_lengths(name).items()} == dict(posts)


def test_a_text_that_recurs_in_a_later_split_is_counted_once() -> None:
    def posts(*texts: str) -> tuple[Post, ...]:
        return tuple(Post(f"{i}", tuple(text.split()), ("O",) * len(text.split())) for i, text in enumerate(texts))

    corpus = Corpus("own", Path("own"), posts("a b", "c"), posts("c", "d"), posts("a b", "a b", "d", "c"), {})
    table = measured.repeated_texts(corpus)
    assert list(table.columns) == list(SPLITS)
    assert table.loc["texts_in_train", "valid":].tolist() == [1, 2]
    assert table.loc["texts_in_valid", "test"] == 2
    assert table["train"].isna().all()


@pytest.fixture
def one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """A corpus called twitter2017 with one run of the full model, and no other real corpus or run."""
    posts = tuple(Post(f"p{n}", ("Kelso", "runs"), ("B-PER", "O")) for n in range(20))
    corpus = Corpus("twitter2017", tmp_path, posts, posts, posts, {})
    write_predictions(
        tmp_path / "predictions.jsonl", {post.id: post.tags for post in posts}, {f"p{n}": n / 20 for n in range(20)}
    )
    config = config_of_row(full_settings("twitter2017", of_captions(["captions.txt"])), "full", 1)
    run = Run(tmp_path, {"corpus": {"name": corpus.name, "sha256": {}}, "config": config.to_dict(), "inputs": {}})
    monkeypatch.setattr(measured, "runs_of", lambda name: [run] if name == corpus.name else [])
    monkeypatch.setattr(measured, "load_corpus", lambda name, root: corpus)
    return corpus


def test_what_is_measured_and_written_is_what_is_read(one_run: Corpus, tmp_path: Path, monkeypatch) -> None:
    scores = "".join(f"p{n}\ttest\t{n}\t{-n}\t0\n" for n in range(20))
    (tmp_path / "tmr-twitter2017.tsv").write_text("imgid\tsplit\tstrong\tweak\timage_unreadable\n" + scores)
    paths = measured.write_measured(None, tmp_path, tmp_path / "out")
    assert {path.name for path in paths} == {path.name for path in (tmp_path / "out").iterdir()}
    monkeypatch.setattr(measured, "_folder", lambda: tmp_path / "out")
    differences = measured.measured_differences()
    assert differences[["row", "seed", "reference", "f1"]].values.tolist() == [
        ["full", "1", "", 100.0],
        ["full", "mean", "", 100.0],
    ]
    agreement, groups = measured.measured_relatedness()
    assert agreement[["posts", "unreadable", "strong", "weak"]].values.tolist() == [[20, 0, 1, -1]]
    assert groups.group.tolist() == ["1", "2", "3", "4", "5"]
    assert groups.rho.is_monotonic_increasing


def test_of_shuffled_images_posts_whose_own_is_unreadable_are_left_out(one_run: Corpus, tmp_path: Path, monkeypatch):
    (tmp_path / "tmr-twitter2017.tsv").write_text(
        "imgid\tsplit\tstrong\tweak\timage_unreadable\n"
        + "".join(f"p{n}\ttest\t{n}\t{-n}\t{n % 2}\n" for n in range(20))
    )
    agreement, groups = measured.measure_relatedness(tmp_path)
    assert agreement[["posts", "unreadable"]].values.tolist() == [[20, 10]]
    (run,) = measured.runs_of("twitter2017")
    shuffled = run.config.to_dict() | {"images": "shuffled"}
    monkeypatch.setattr(measured, "runs_of", lambda name: [replace(run, record=run.record | {"config": shuffled})])
    agreement, groups = measured.measure_relatedness(tmp_path)
    assert agreement[["posts", "unreadable"]].values.tolist() == [[10, 0]]
    assert agreement.auc.isna().all()
    assert "unreadable" not in set(groups.group)


def test_a_run_without_relevance_is_left_out_and_named(one_run: Corpus, tmp_path: Path) -> None:
    scores = "".join(f"p{n}\ttest\t{n}\t{-n}\t0\n" for n in range(20))
    (tmp_path / "tmr-twitter2017.tsv").write_text("imgid\tsplit\tstrong\tweak\timage_unreadable\n" + scores)
    write_predictions(tmp_path / "predictions.jsonl", {post.id: post.tags for post in one_run.test})
    with (
        pytest.warns(LeftOutWarning, match=re.escape(str(tmp_path / "predictions.jsonl"))),
        pytest.raises(HamnerError, match="of a corpus with runs"),  # it was the only one
    ):
        measured.measure_relatedness(tmp_path)


def test_runs_with_other_settings_than_text_only_are_left_out_of_the_comparison(tmp_path: Path) -> None:
    def run(row: str, **settings: object) -> Run:
        config = config_of_row(full_settings("twitter2017", of_captions(["captions.txt"]) | settings), row, 1)
        inputs = dict.fromkeys(config.captions, "c" * 64)
        corpus = {"name": "twitter2017", "sha256": {}}
        return Run(tmp_path / row, {"corpus": corpus, "config": config.to_dict(), "inputs": inputs})

    text_only, full, other = run("text_only"), run("full"), run("no_spatial", epochs=9)
    assert measured.comparable([full, text_only]) == [full, text_only]
    with pytest.warns(
        LeftOutWarning, match=r"differ in more than their row and seed \(epochs\).* all 1 runs of minilm"
    ):
        assert measured.comparable([text_only, other]) == [text_only]


def test_a_folder_without_scores_is_said_before_anything_is_measured(one_run: Corpus, tmp_path: Path) -> None:
    with pytest.raises(HamnerError, match=r"holds no tmr-CORPUS\.tsv"):
        measured.write_measured(None, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_any_run_there_is_an_empty_table_of_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "runs_of", lambda name: [])
    monkeypatch.setattr(measured, "load_corpus", lambda name, root: Corpus(name, Path(), (), (), (), {}))
    assert all(table.empty for table in measured.measure_runs())


def test_the_committed_differences_are_those_of_the_committed_runs() -> None:
    table = measured.measured_differences()
    for name in measured.REAL:
        for run in runs_of(name):
            line = table[table.seed == str(run.config.seed)]
            for part, value in name_of(run).items():
                line = line[line[part] == value]
            assert line.f1.unique() == pytest.approx([100 * run.f1()], abs=1e-3), run.folder
    assert len(table[table.seed != "mean"].groupby(["corpus", "encoder", "source", "row", "seed"])) == sum(
        len(runs_of(name)) for name in measured.REAL
    )


def test_the_committed_differences_come_out_again_from_the_real_corpora(real_corpora: Path) -> None:
    again = measured.differences(runs_of("twitter2017"), load_corpus("twitter2017", real_corpora).test)
    table = measured.measured_differences()
    pd.testing.assert_frame_equal(
        table[table.corpus == "twitter2017"].reset_index(drop=True), again, check_dtype=False, atol=1e-3
    )


def test_a_corpus_that_was_not_measured_is_refused_with_the_names_of_those_that_were() -> None:
    with pytest.raises(HamnerError, match="twitter2015-original"):
        measured.measured_statistics("twitter2016")
