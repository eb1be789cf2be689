"""What a corpus takes for a word: "#NBA" and "Orva's" are one word in some, and "# NBA" and "Orva ' s" in others."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

from hamner.corpora.post import Post

MARKS = ("@", "#", "'", "-", "/", "_")
"""Marks that join what stands beside them in some corpora and are words of their own in others."""

INSIDE = 0.05
"""Share of a mark's occurrences inside words up to which these are exceptions."""


def plain_apostrophes(text: str) -> str:
    """`text` with the typographic apostrophe written as the plain one; as long as before."""
    return text.replace("’", "'")


def has_half_surrogate(text: str) -> bool:
    """Whether `text` holds half a surrogate pair, which is no character: no tokenizer or UTF-8 file can take it."""
    return any(unicodedata.category(character) == "Cs" for character in text)


def is_link(word: str) -> bool:
    """Whether a word is a web address."""
    return "://" in word or word.casefold().startswith("www.")


def marks_apart(posts: Iterable[Post]) -> tuple[str, ...]:
    """Those of MARKS that these posts write as words of their own; both apostrophes count as one.

    A tagger must split a raw text as its corpus did, or else it meets words in forms that it never saw.
    """
    alone: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for post in posts:
        for word in map(plain_apostrophes, post.words):
            if word in MARKS:
                alone[word] += 1
            elif any(letter.isalnum() for letter in word) and not is_link(word):
                inside.update(set(MARKS) & set(word))
    return tuple(mark for mark in MARKS if alone[mark] and inside[mark] <= INSIDE * (inside[mark] + alone[mark]))
