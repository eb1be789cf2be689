from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from hamner.corpora import SPLITS, Corpus, Post, load_corpus, statistics
from hamner.errors import HamnerError
from hamner.study import measured


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


def test_a_corpus_that_was_not_measured_is_refused_with_the_names_of_those_that_were() -> None:
    with pytest.raises(HamnerError, match="twitter2015-original"):
        measured.measured_statistics("twitter2016")
