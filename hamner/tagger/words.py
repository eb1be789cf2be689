"""A raw post to its words, each with its place in the text."""

from __future__ import annotations

from collections.abc import Sequence

from hamner.corpora.words import Habits
from hamner.errors import HamnerError

LIMIT = 100_000
"""Longest text in characters, to catch whole files given as one post; the longest posts on X have 25,000."""


def split_words(text: str, apart: Sequence[str] = ()) -> list[tuple[int, int]]:
    """(start, end) of each word in `text`, as the tagger's corpus writes words.

    No character but white space is left out. A word never ends inside a grapheme cluster: an emoji keeps its skin tone
    and its variation selector. The time is linear in the text's length.

    Args:
        text: A raw post.
        apart: The habits of the corpus, from `hamner.corpora.words.marks_apart`. Without them, links, smileys, HTML
            escapes, handles, hashtags, numbers, and words with an apostrophe or a hyphen are one word each.

    Raises:
        HamnerError: The text has more than LIMIT characters.
    """
    if len(text) > LIMIT:
        raise HamnerError(
            f"the text has {len(text):,} characters; a post has at most {LIMIT:,}: split it into posts, and tag each"
        )
    return Habits(apart).words(text)
