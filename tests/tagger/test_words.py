from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamner.errors import HamnerError
from hamner.tagger import words
from hamner.tagger.words import split_words

EMOJI = ["👨\u200d👩\u200d👧", "👍🏽", "❤\ufe0f", "🏳\ufe0f\u200d🌈", "🇪🇪", "1\ufe0f\u20e3"]
WORDS = ["@fan_1", "#TeamOrva", "https://t.co/a1?b=2", ":-)", "don't", "Jean-Luc", "cafe\u0301", *EMOJI]
PIECES = [*WORDS, "&amp;", "!!!!!!", " ", "\n", ". . ."]


def spelt(text: str) -> list[str]:
    return [text[start:end] for start, end in split_words(text)]


@settings(max_examples=60)
@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_words_lose_and_change_no_character_but_white_space(text: str) -> None:
    offsets = split_words(text)
    assert "".join(text[start:end] for start, end in offsets) == "".join(text.split())
    assert all(start < end for start, end in offsets)
    assert offsets == sorted(offsets)
    assert all(not set(text[start:end]) & {" ", "\n", "\t"} for start, end in offsets)


@pytest.mark.parametrize("word", WORDS)
def test_what_belongs_together_is_one_word(word: str) -> None:
    assert spelt(f"Kelso {word} (left)") == ["Kelso", word, "(", "left", ")"]


def test_punctuation_is_apart_from_names() -> None:
    assert spelt("RT @fan: Kelso's in Orva!") == ["RT", "@fan", ":", "Kelso's", "in", "Orva", "!"]


def test_a_text_that_takes_too_long_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "SECONDS", 1e-6)
    with pytest.raises(HamnerError, match="200,000 characters without a space from character 0 on"):
        split_words("a." * 100_000)
