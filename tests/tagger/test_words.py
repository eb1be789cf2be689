from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamner.corpora.words import MARKS
from hamner.errors import HamnerError
from hamner.tagger import words
from hamner.tagger.words import split_words

EMOJI = ["👨\u200d👩\u200d👧", "👍🏽", "❤\ufe0f", "🏳\ufe0f\u200d🌈", "🇪🇪", "1\ufe0f\u20e3"]
WORDS = ["@fan_1", "#TeamOrva", "https://t.co/a1?b=2", ":-)", "don't", "Jean-Luc", "cafe\u0301", *EMOJI]
PIECES = [*WORDS, "&amp;", "!!!!!!", " ", "\n", ". . ."]


def spelt(text: str, apart: Sequence[str] = ()) -> list[str]:
    return [text[start:end] for start, end in split_words(text, apart)]


@settings(max_examples=60)
@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join), st.sets(st.sampled_from(MARKS)).map(tuple))
def test_words_lose_and_change_no_character_but_white_space(text: str, apart: tuple[str, ...]) -> None:
    offsets = split_words(text, apart)
    assert "".join(text[start:end] for start, end in offsets) == "".join(text.split())
    assert all(start < end for start, end in offsets)
    assert offsets == sorted(offsets)
    assert all(not set(text[start:end]) & {" ", "\n", "\t"} for start, end in offsets)


def test_marks_that_a_corpus_keeps_apart_are_words_of_their_own() -> None:
    text = "@fan_1: Orva's #NBA-win don’t #️⃣ :-P www.a-b.ee https://t.co/a-1 AC/DC"
    assert spelt(text, MARKS) == [
        *("@", "fan", "_", "1", ":", "Orva", "'", "s", "#", "NBA", "-", "win", "don", "’", "t"),
        *("#️⃣", ":-P", "www.a-b.ee", "https://t.co/a-1", "AC", "/", "DC"),
    ]
    assert spelt("@fan Orva's #NBA", "'") == ["@fan", "Orva", "'", "s", "#NBA"]


@pytest.mark.parametrize("word", WORDS)
def test_what_belongs_together_is_one_word(word: str) -> None:
    assert spelt(f"Kelso {word} (left)") == ["Kelso", word, "(", "left", ")"]


def test_punctuation_is_apart_from_names() -> None:
    assert spelt("RT @fan: Kelso's in Orva!") == ["RT", "@fan", ":", "Kelso's", "in", "Orva", "!"]


def test_a_text_that_takes_too_long_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "SECONDS", 1e-6)
    with pytest.raises(HamnerError, match="200,000 characters without a space from character 0 on"):
        split_words("a." * 100_000)
