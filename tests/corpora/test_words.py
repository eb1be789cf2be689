from __future__ import annotations

from pathlib import Path

import pytest

from hamner.corpora import Post, load_corpus
from hamner.corpora.words import marks_apart


def posts(*texts: str) -> list[Post]:
    return [Post(str(number), tuple(text.split())) for number, text in enumerate(texts)]


def test_a_mark_is_apart_where_words_hardly_ever_hold_it() -> None:
    apart = ["Orva ' s # NBA - win"] * 19
    assert marks_apart(posts(*apart)) == ("#", "'", "-")
    assert marks_apart(posts(*apart, "#NBA")) == ("#", "'", "-")  # one in twenty
    assert marks_apart(posts(*apart, "#NBA #win")) == ("'", "-")
    assert marks_apart(posts("Orva’s #NBA-win @fan_1")) == ()
    assert marks_apart(posts("Orva ’ s")) == ("'",)


def test_links_and_words_without_letters_say_nothing() -> None:
    assert marks_apart(posts("a - b / c", "https://a-b.ee/c www.a-b.ee :-/ -- ")) == ("-", "/")


@pytest.mark.parametrize(
    ("name", "apart"),
    [
        ("twitter2015", ("'", "_")),
        ("twitter2017", ("@", "#", "'", "-", "/")),
    ],
)
def test_the_real_corpora_differ(real_corpora: Path, name: str, apart: tuple[str, ...]) -> None:
    assert marks_apart(load_corpus(name, real_corpora).train) == apart


def test_minitweets_joins_all() -> None:
    assert marks_apart(load_corpus("minitweets").train) == ()
