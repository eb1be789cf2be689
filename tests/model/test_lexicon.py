"""The words and letters of train, each with a number."""

from __future__ import annotations

import json

import pytest

from hamner.model.lexicon import LONGEST, Lexicon, LexiconError

LEXICON = Lexicon.of((("Kelso", "was"), ("KELSO", "ü")))


def test_words_are_counted_without_capitals_and_letters_with_them() -> None:
    assert LEXICON.words == ("kelso", "was", "ü")
    assert LEXICON.letters == tuple(sorted(set("KelsowasKELSOü")))
    assert LEXICON.numbers(["WAS", "kElso", "Orva", "ü"]) == [2, 1, 0, 3]


def test_a_word_is_spelt_by_its_letters_up_to_the_longest() -> None:
    number = {letter: i for i, letter in enumerate(LEXICON.letters, start=2)}
    assert LEXICON.spell("wäs")[:4] == [number["w"], 1, number["s"], 0]
    assert LEXICON.spell("w" * 99) == [number["w"]] * LONGEST
    assert len(LEXICON.spell("")) == LONGEST and not any(LEXICON.spell(""))


def test_a_lexicon_survives_the_way_through_its_file() -> None:
    text = LEXICON.to_json()
    assert Lexicon.from_json(text) == LEXICON
    assert Lexicon.of((("ü", "KELSO"), ("was", "Kelso"))).to_json() == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no lexicon"),
        ("[]", "no lexicon"),
        ('{"words": []}', "no lexicon"),
        ("[" * 100_000, "no lexicon"),
        (json.dumps({"words": [1], "letters": []}), "words are no list of strings"),
        (json.dumps({"words": [], "letters": [""]}), "letters are no list of strings"),
        (json.dumps({"words": {"a": 1}, "letters": []}), "words are no list of strings"),
        (json.dumps({"words": ["b", "a"], "letters": []}), "words are not sorted"),
        (json.dumps({"words": [], "letters": ["a", "a"]}), "letters are not sorted, or one stands there twice"),
    ],
)
def test_any_other_text_is_refused(text: str, problem: str) -> None:
    with pytest.raises(LexiconError, match=problem):
        Lexicon.from_json(text)
