from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hamner.corpora import PROTOCOLS, TYPES, VERSIONS, project_folder
from hamner.errors import HamnerError
from hamner.figures.comparisons import f1_by_encoder_size
from hamner.study import published
from hamner.study.measured import measured_differences
from hamner.study.published import ENCODER_SIZES, LABELS, PAPER, beside_published, write_published
from hamner.study.tables import runs_of
from hamner.training import Run
from hamner.training.rows import config_of_row, full_settings, row_of_run


def test_the_papers_own_row_is_empty_until_it_is_filled_in_and_then_gives_differences(monkeypatch):
    read = published.numbers()
    blank = read.assign(f1=read.f1.where(read.model != PAPER))
    monkeypatch.setattr(published, "numbers", lambda: blank)
    empty = beside_published("twitter2017", [])
    assert empty[empty.model == PAPER][["f1", "minus_paper"]].isna().all(axis=None)
    assert empty.minus_paper.isna().all()
    filled = blank.assign(f1=read.f1.where(read.model != PAPER, 80.0))
    monkeypatch.setattr(published, "numbers", lambda: filled)
    lit = beside_published("twitter2017", [])
    assert set(lit[lit.minus_paper.notna()].encoder_size) == {"base"}
    bert = lit[lit.model == "BERT"].iloc[0]
    assert bert.minus_paper == pytest.approx(bert.f1 - 80)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f1": 50.0}, "status 'not seen'"),
        ({"precision": 50.0}, "status 'not seen'"),
        ({"recall": 50.0}, "status 'not seen'"),
        ({"encoder_size": "huge"}, r"published\.csv: .* has the encoder_size 'huge'; it is one of none, small, base"),
        ({"encoder_size": None}, "has the encoder_size nan"),
        ({"labels": "mine"}, r"published\.csv: .* has the labels 'mine'; it is one of original, umt, hvpnet, unknown"),
        ({"labels": None}, "has the labels nan"),
    ],
)
def test_published_numbers_that_cannot_be_are_refused(change, message, monkeypatch, tmp_path):
    published.numbers().assign(**change).to_csv(tmp_path / "published.csv", index=False)
    monkeypatch.setattr(published, "PUBLISHED", tmp_path)
    with pytest.raises(HamnerError, match=message):
        published.numbers()


def test_every_version_of_the_labels_is_a_known_corpus_and_each_of_the_real_ones_is_a_version():
    named = [corpus for corpora in LABELS.values() for corpus in corpora]
    assert sorted(named) == sorted(name for name in VERSIONS if name != "minitweets")


def test_each_number_stands_beside_the_labels_that_it_was_measured_on():
    lines = beside_published("twitter2015", runs_of("twitter2015"))
    labels = lines.set_index("model").labels
    assert (labels["AdaCAN (Zhang et al. 2018)"], labels["UMT"], labels["HVPNeT"]) == ("original", "umt", "hvpnet")
    assert set(lines[lines.status == "measured here"].labels) == {"umt"}
    relabelled = run_of()
    relabelled.record["corpus"]["name"] = "twitter2015-hvpnet"
    assert list(beside_published("twitter2015-hvpnet", [relabelled]).labels) == ["hvpnet"]
    own = run_of()
    own.record["corpus"]["name"] = "a corpus of one's own"
    assert list(beside_published("a corpus of one's own", [own]).labels) == ["unknown"]


def test_the_rows_that_an_undamaged_table_has_too_are_read_there():
    numbers = published.numbers().query("corpus == 'twitter2017'").set_index("model")
    confirmed = ["CNN-BiLSTM-CRF", "BERT-CRF", "AdaCAN-BERT-CRF (printed as AdaCAN-CNN-BiLSTM-CRF)", "ViLBERT"]
    assert set(numbers.loc[confirmed].status) == {"read in a table"}
    assert numbers.loc["ViLBERT", ["precision", "recall", "f1"]].tolist() == [84.62, 85.47, 85.04]
    assert "84.73" in numbers.loc["ViLBERT"].note


def test_the_papers_star_is_drawn_when_its_number_is_there():
    tables = {corpus: beside_published(corpus, []) for corpus in ("twitter2015", "twitter2017")}

    def legend(tables):
        return [text.get_text() for text in f1_by_encoder_size(tables).legends[0].get_texts()]

    assert "the paper" not in legend(tables)
    tables["twitter2017"].loc[tables["twitter2017"].model == PAPER, "f1"] = 80.0
    assert "the paper" in legend(tables)


def run_of(seed: int = 1, encoder: str = "minilm") -> Run:
    """A text-only run on Twitter-2017 with whatever scores."""
    prf = {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    part = {"overall": prf, "seen": prf, "unseen": prf, "per_type": dict.fromkeys(TYPES, prf)}
    full = full_settings("twitter2017", {"model": {"text_encoder": encoder}})
    record = {
        "corpus": {"name": "twitter2017", "sha256": {}},
        "config": config_of_row(full, "text_only", seed).to_dict(),
        "inputs": {},
        "scores": {"test": dict.fromkeys(PROTOCOLS, part)},
        "seconds": 60.0,
    }
    return Run(Path("run"), record)


def test_our_rows_never_stand_among_models_with_another_encoder():
    encoders = {
        "minilm": "small",
        "mpnet": "base",
        "bert-base-cased": "base",
        "some/roberta-large": "large",
        "a-folder": "unknown",
    }
    lines = beside_published("twitter2017", [run_of(encoder=encoder) for encoder in encoders])
    mine = lines[lines.status == "measured here"]
    sizes = {name.rsplit("/")[-1]: size for name, size in encoders.items()}
    assert dict(zip(mine.model.str.removeprefix("hamner text_only, "), mine.encoder_size, strict=True)) == sizes
    assert set(lines[lines.encoder_size == "small"].status) == {"measured here"}
    assert lines.model.iloc[0] == PAPER
    assert lines.encoder_size.iloc[1:].map(ENCODER_SIZES.index).is_monotonic_increasing


def test_an_interval_stands_beside_the_mean_of_the_runs_that_it_was_measured_of_and_no_other():
    committed = [run for run in runs_of("twitter2017") if row_of_run(run.config) == "text_only"]
    of_mean = measured_differences().query("corpus == 'twitter2017' and row == 'text_only' and seed == 'mean'")

    def interval(found):
        lines = beside_published("twitter2017", found)
        return lines[lines.status == "measured here"][["low", "high"]].iloc[0].tolist()

    assert interval(committed) == of_mean[["low", "high"]].iloc[0].tolist()
    assert np.isnan(interval(committed[1:])).all()
    assert np.isnan(interval([run_of()])).all()


def test_the_committed_table_of_published_numbers_is_the_one_written_now_and_starts_with_the_papers_row(tmp_path):
    (file,) = write_published(tmp_path)
    page = file.read_text(encoding="utf-8")
    assert page == (project_folder() / "data" / "tables" / file.name).read_text(encoding="utf-8")
    for corpus, title in (("twitter2015", "Twitter-2015"), ("twitter2017", "Twitter-2017")):
        header, _, first, *others = page.partition(f"## {title}\n\n")[2].partition("\n\n")[0].splitlines()
        assert first.startswith(f"| {PAPER} | base | ")
        assert len(others) == len(beside_published(corpus, runs_of(corpus))) - 1
        assert {line.count("|") for line in others} == {header.count("|")}
