"""Posts in two splits: weighed, named, and refused where a score on them would measure memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hamner.corpora import Corpus, CorpusError, Post, load_corpus
from hamner.corpora.leaks import MOST, leaks, require_disjoint


def posts(split: str, count: int, repeated: tuple[Post, ...] = ()) -> tuple[Post, ...]:
    """`count` posts of which the first repeat the words of `repeated`, with other ids and tags."""
    copies = tuple(Post(f"copy-{split}-{i}", post.words, ("B-PER",)) for i, post in enumerate(repeated))
    own = tuple(Post(f"{split}-{i}", (f"{split}{i}",), ("O",)) for i in range(count - len(copies)))
    return copies + own


def corpus(in_valid: int = 0, in_test: int = 0, test_from_valid: int = 0) -> Corpus:
    train = posts("train", 100)
    valid = posts("valid", 20, train[:in_valid])
    test = posts("test", 40, (*train[50 : 50 + in_test], *valid[::-1][:test_from_valid]))
    return Corpus("own", Path("own"), train, valid, test, {})


def test_splits_without_a_common_post_have_no_leak() -> None:
    assert require_disjoint(corpus()) == []


def test_a_post_counts_by_its_words_whatever_its_id_and_tags() -> None:
    (leak,) = leaks(corpus(in_test=3))
    assert leak[:2] == ("train", "test")
    assert leak.ids == ("copy-test-0", "copy-test-1", "copy-test-2")
    assert leak.share == 3 / 40


@pytest.mark.parametrize(
    "repost",
    [
        "kelso SCORED twice https://t.co/Zw1",
        "Kelso scored twice",
        "RT @fan : Kelso scored twice http://t.co/a",
        "RT @fan Kelso scored twice",
        "Ｋelso scored twice t.co/b www.c.de",
    ],
)
def test_a_repost_with_another_link_or_in_capitals_is_the_same_post(repost: str) -> None:
    original, other = "Kelso scored twice http://t.co/Ab9", "Kelso scored once http://t.co/Ab9"
    of = {text: Post(text, tuple(text.split()), None) for text in (original, other, repost)}
    own = Corpus("own", Path("own"), (of[original],), (of[other],), (of[repost],), {})
    assert [leak[:3] for leak in leaks(own)] == [("train", "test", (repost,))]


def test_posts_of_links_alone_are_the_same_only_with_the_same_links() -> None:
    a, b = (Post(link, (link,), None) for link in ("http://t.co/a", "http://t.co/b"))
    assert leaks(Corpus("own", Path("own"), (a,), (b,), (), {})) == []
    assert [leak.ids for leak in leaks(Corpus("own", Path("own"), (a,), (), (a, b), {}))] == [(a.id,)]


def test_a_few_common_posts_are_said_and_no_error() -> None:
    (leak,) = require_disjoint(corpus(in_valid=1))
    assert leak.share == MOST
    assert str(leak) == "1 of 20 posts of valid (5.0 %) stand in train with the same words: copy-valid-0"


@pytest.mark.parametrize(
    ("leaky", "sentence"),
    [
        (
            {"in_valid": 2},
            "2 of 20 posts of valid (10.0 %) stand in train with the same words: copy-valid-0, copy-valid-1; valid",
        ),
        (
            {"in_test": 3},
            "3 of 40 posts of test (7.5 %) stand in train with the same words: copy-test-0, copy-test-1, copy-test-2;",
        ),
        ({"in_test": 40}, "copy-test-2, ...; test is no held-out split: its score measures memory of train"),
        ({"test_from_valid": 20}, "test is no held-out split: the best epoch was picked on its posts"),
    ],
)
def test_many_common_posts_are_an_error_that_says_how_many_which_and_what_they_mean(
    leaky: dict[str, int], sentence: str
) -> None:
    with pytest.raises(CorpusError, match=re.escape(sentence)) as error:
        require_disjoint(corpus(**leaky))
    assert "--allow-leaks" in str(error.value)
    assert require_disjoint(corpus(**leaky), allowed=True)


def test_minitweets_has_no_post_in_two_splits() -> None:
    assert leaks(load_corpus("minitweets")) == []
