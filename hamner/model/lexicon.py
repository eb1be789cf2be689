"""The words and letters of train, each with a number: what a text stage without a pretrained encoder reads.

Number 0 is a word that train lacks. Of letters, 0 is the place after a word's end and 1 a letter that train lacks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from hamner.errors import HamnerError

LONGEST = 24
"""Letters of a word that are read; the rest is cut off."""


class LexiconError(HamnerError):
    """A text is no lexicon."""


@dataclass(frozen=True)
class Lexicon:
    """Words in lower case, and letters as they are written, both sorted."""

    words: tuple[str, ...]
    letters: tuple[str, ...]

    @classmethod
    def of(cls, posts: Iterable[Sequence[str]]) -> Lexicon:
        """The lexicon of posts, each given as its words."""
        written = {word for words in posts for word in words}
        lower = {word.lower() for word in written}
        return cls(tuple(sorted(lower)), tuple(sorted({letter for word in written for letter in word})))

    @cached_property
    def _numbers(self) -> tuple[dict[str, int], dict[str, int]]:
        return {word: i for i, word in enumerate(self.words, 1)}, {one: i for i, one in enumerate(self.letters, 2)}

    def numbers(self, words: Sequence[str]) -> list[int]:
        """The number of each word, whether or not it has capitals."""
        return [self._numbers[0].get(word.lower(), 0) for word in words]

    def spell(self, word: str) -> list[int]:
        """The numbers of a word's letters, LONGEST of them: 0 after its end."""
        spelt = [self._numbers[1].get(letter, 1) for letter in word[:LONGEST]]
        return spelt + [0] * (LONGEST - len(spelt))

    def to_json(self) -> str:
        """The lexicon as a JSON object of two lists."""
        return json.dumps({"words": self.words, "letters": self.letters}, ensure_ascii=False, indent=0) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Lexicon:
        """The lexicon that `to_json` wrote. Raises LexiconError for any other text."""
        try:
            read = json.loads(text)
            words, letters = read["words"], read["letters"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise LexiconError(f"it is no lexicon ({error!r})") from error
        for name, entries in (("words", words), ("letters", letters)):
            if not isinstance(entries, list) or not all(isinstance(entry, str) and entry for entry in entries):
                raise LexiconError(f"its {name} are no list of strings")
            if entries != sorted(set(entries)):
                raise LexiconError(f"its {name} are not sorted, or one stands there twice")
        return cls(tuple(words), tuple(letters))
