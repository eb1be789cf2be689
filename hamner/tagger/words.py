"""A raw post to its words, each with its place in the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from hamner.corpora.words import is_link, plain_apostrophes
from hamner.errors import HamnerError

SECONDS = 5.0
"""The longest that one run of characters without a space may take: NLTK's patterns can take quadratic time."""


def split_words(text: str, apart: Sequence[str] = ()) -> list[tuple[int, int]]:
    """(start, end) of each word in `text`; no character but white space is left out.

    Words are those of NLTK's tokenizer for tweets (after Potts and O'Connor), which keeps handles, hashtags, links and
    emoticons whole. Its pattern is used without its clean-up, which rewrites the text (entities, runs of "!!!!") and so
    loses the offsets. Words never end inside what a reader sees as one character (a grapheme cluster): an emoji stays
    with its skin tone, its variation selector, and all that is joined to it.

    The marks `apart` are words of their own wherever they stand, but in links, emoticons and words without a letter or
    digit: give those that the tagger's corpus keeps apart (`hamner.corpora.words.marks_apart`).

    Raises HamnerError for text that is made to be slow.
    """
    # Imported here, for NLTK brings much with it that a list of words does not need.
    import regex
    from nltk.tokenize import TweetTokenizer
    from nltk.tokenize.casual import EMOTICON_RE

    pattern = TweetTokenizer().WORD_RE
    words: list[tuple[int, int]] = []
    for run in re.finditer(r"\S+", text):
        characters = {run.start() + match.end() for match in regex.finditer(r"\X", run.group())}
        start = run.start()
        try:
            for match in pattern.finditer(text, run.start(), run.end(), timeout=SECONDS):
                if match.end() in characters:
                    word = text[start : match.end()]
                    whole = is_link(word) or EMOTICON_RE.fullmatch(word) or not any(map(str.isalnum, word))
                    words += _parts(text, start, match.end(), () if whole else apart, characters)
                    start = match.end()
        except TimeoutError as error:
            raise HamnerError(
                f"the text cannot be split into words in {SECONDS:.0f} s: it has {len(run.group()):,} characters "
                f"without a space from character {run.start()} on; give a list of words instead"
            ) from error
    return words


def _parts(text: str, start: int, end: int, apart: Sequence[str], characters: set[int]) -> list[tuple[int, int]]:
    """A word from `start` to `end` cut before and after each mark of `apart` that is a whole character to a reader."""
    cuts = {start, end}
    for place in range(start, end):
        if plain_apostrophes(text[place]) in apart and {place, place + 1} <= characters | {start}:
            cuts |= {place, place + 1}
    return list(pairwise(sorted(cuts)))
