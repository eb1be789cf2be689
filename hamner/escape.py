"""Text from outside (tweets, file names, names in files) made safe for where it goes: a terminal, Markdown, a figure.

Ids, class names and captions are whatever a file says, and a tweet is whatever somebody wrote. Escape sequences can
rewrite a terminal, bidirectional controls can reverse what a reader sees (Boucher and Anderson 2023, "Trojan Source"),
and Markdown can hide a link. One function for each place turns such text into what it looks like.
"""

from __future__ import annotations

import re

UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff\ufff9-\ufffb]")
"""Control characters but tab and line feed, bidirectional controls, line separators and half surrogates.

Zero-width joiners and variation selectors stay: emoji are made of them."""

MARKDOWN = re.compile(r"[\\`*\[\]<>|~$]|&(?=#?\w+;)|(?<!\w)_|_(?!\w)")
"""What GitHub's Markdown gives a meaning to inside a table's cell. An underscore inside a word has none."""

LONGEST = 1000
"""Characters of an error message: beyond it the middle is left out, where a long value stands."""


def visible(text: str) -> str:
    r"""`text` for a terminal: characters that could steer it are written as escapes, such as `\x1b` and `\u202e`."""
    return UNSEEN.sub(_escaped, text)


def one_line(text: str) -> str:
    r"""`visible` text in one line: line feeds and tabs are written as `\n` and `\t`."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def shortened(text: str, longest: int = LONGEST) -> str:
    """`text` without its middle where it has more than `longest` characters; its beginning and its end stay."""
    if len(text) <= longest:
        return text
    mark = f" [... {len(text):,} characters in all ...] "
    end = (longest - len(mark)) // 3
    return text[: longest - len(mark) - end] + mark + text[-end:]


def markdown(text: str) -> str:
    """`text` for a cell of a Markdown table: one line, with the marks of links, emphasis, HTML and columns escaped."""
    return MARKDOWN.sub(r"\\\g<0>", " ".join(visible(text).split()))


def figure_text(text: str) -> str:
    """`text` for a figure: control characters as escapes, white space other than line feeds as blanks.

    An SVG that holds a control character is no XML. Mathematics is a matter of matplotlib's `parse_math=False`.
    """
    return visible(re.sub(r"[^\S\n]", " ", text))


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
