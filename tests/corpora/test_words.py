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


def test_a_habit_is_a_sample_that_the_posts_write_otherwise_than_tweets_in_general() -> None:
    assert marks_apart(posts("Kelso . . . Lee ! !", "the 5 th of May at 1 : 30", "&amp ; : ) https : //t . co/a")) == (
        *("! !", "&amp ;", ". .", "1 : 1", "1 a", ": )", "https ://a"),
    )
    assert marks_apart(posts("Kelso ... Lee !! 5th of May at 1:30 &amp; :) https://t.co/a")) == ()


def test_runs_and_whole_units_are_as_most_of_them_are_and_joints_as_nearly_all() -> None:
    assert marks_apart(posts("! !", "! !", "!!")) == ("! !",)
    assert marks_apart(posts("! !", "!!", "!!")) == ()
    assert marks_apart(posts(*["1 . 5"] * 19, "1.5")) == ("1 . 1",)
    assert marks_apart(posts(*["1 . 5"] * 19, "1.5", "2.5")) == ()  # the others may have had spaces


def test_marks_that_mostly_stand_in_words_join_them() -> None:
    assert marks_apart(posts(*["Kelso/Orva"] * 5)) == ("a/a",)
    assert marks_apart(posts(*["Kelso/Orva"] * 4)) == ()  # slips of a tokenizer
    assert marks_apart(posts(*["May 21, 2017"] * 5)) == ("1,",)
    assert marks_apart(posts(*["*Kelso and * Orva"] * 5, *["Orva*"] * 5)) == ("*a", "a*")
    assert marks_apart(posts(*["(Kelso"] * 5, *["( Orva"] * 6)) == ()


def test_a_link_takes_the_punctuation_after_it_where_it_mostly_did() -> None:
    assert marks_apart(posts(*['http://t.co/a"'] * 5)) == ('http://a"',)
    assert marks_apart(posts(*['http://t.co/a"'] * 5, *['http://t.co/a "'] * 6)) == ()


@pytest.mark.parametrize(
    ("name", "apart"),
    [
        ("twitter2015", ("'", "_")),
        ("twitter2017", ("@", "#", "'", "-", "/")),
    ],
)
def test_the_real_corpora_differ(real_corpora: Path, name: str, apart: tuple[str, ...]) -> None:
    habits = marks_apart(load_corpus(name, real_corpora).train)
    assert tuple(habit for habit in habits if len(habit) == 1) == apart


def test_minitweets_joins_all() -> None:
    assert marks_apart(load_corpus("minitweets").train) == ()
