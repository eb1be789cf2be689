"""A raw post to its words, each with its place in the text."""

from __future__ import annotations

import re

from hamner.errors import HamnerError

SECONDS = 5.0
"""The longest that one run of characters without a space may take: NLTK's patterns can take quadratic time."""


def split_words(text: str) -> list[tuple[int, int]]:
    """(start, end) of each word in `text`; no character but white space is left out.

    Words are those of NLTK's tokenizer for tweets (after Potts and O'Connor), which keeps handles, hashtags, links and
    emoticons whole. Its pattern is used without its clean-up, which rewrites the text (entities, runs of "!!!!") and so
    loses the offsets. Words never end inside what a reader sees as one character (a grapheme cluster): an emoji stays
    with its skin tone, its variation selector, and all that is joined to it.

    Raises HamnerError for text that is made to be slow.
    """
    # Imported here, for NLTK brings much with it that a list of words does not need.
    import regex
    from nltk.tokenize import TweetTokenizer

    pattern = TweetTokenizer().WORD_RE
    words: list[tuple[int, int]] = []
    for run in re.finditer(r"\S+", text):
        characters = {run.start() + match.end() for match in regex.finditer(r"\X", run.group())}
        start = run.start()
        try:
            for match in pattern.finditer(text, run.start(), run.end(), timeout=SECONDS):
                if match.end() in characters:
                    words.append((start, match.end()))
                    start = match.end()
        except TimeoutError as error:
            raise HamnerError(
                f"the text cannot be split into words in {SECONDS:.0f} s: it has {len(run.group()):,} characters "
                f"without a space from character {run.start()} on; give a list of words instead"
            ) from error
    return words
