"""Predictions of other systems: CoNLL columns with the word first and the predicted tag last.

    IMGID:1015799
    RT O O
    Kelso B-PER B-ORG
    <blank line>

Columns are parted by tabs or blanks; those between the first and the last, such as the gold tags that conlleval wants,
are not scored. IMGID lines may be missing: then the posts stand in the corpus's order. Every word is compared with the
corpus, so no tag lands on another word.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hamner.corpora.post import Post
from hamner.corpora.tags import TAGS, TWITTER2015_TAGS
from hamner.errors import HamnerError

IMGID, DOCSTART = "IMGID:", "-DOCSTART-"

FORMS = """a line is {"id": "1234", "tags": ["B-PER", "O"]}, or, in CoNLL columns, the word first and its tag last"""
"""Both forms of a file of predictions, for messages."""


class PredictionsError(HamnerError):
    """A predictions file that cannot be read or written, or does not fit the corpus."""


class Row(NamedTuple):
    """One word of a file: its line number and its columns."""

    line: int
    columns: tuple[str, ...]


class Block(NamedTuple):
    """One post of a file: the line of its IMGID, or of its first word, its id or None, and its words."""

    line: int
    id: str | None
    rows: tuple[Row, ...]


def in_columns(line: str) -> bool:
    """Whether a file whose first line that is not blank is `line` consists of CoNLL columns, not of JSON lines."""
    columns = _columns(line)
    tagged = len(columns) > 1 and (columns[-1] in TAGS or not line.startswith(("{", "[")))
    return tagged or line.startswith((IMGID, DOCSTART))


def tags_in_columns(
    lines: Sequence[str], path: Path, posts: Sequence[Post] | None
) -> list[tuple[int, str, tuple[str, ...]]]:
    """(line, post id, tags) of each post of a file, in its order; `path` is named in errors.

    Raises PredictionsError, with the line, for lines that are no columns, for unknown tags, for words that are not
    those of `posts`, and for a last column that is the corpus's gold.
    """
    blocks = _blocks(lines, path)
    if blocks and blocks[0].id is None:
        if posts is None:
            raise _fault(path, blocks[0].line, "no IMGID lines", "give the posts, whose order tells the ids")
        for block, post in zip(blocks, posts, strict=False):
            _require_words(block, post, path)
        if len(blocks) != len(posts):
            more = "fewer" if len(blocks) < len(posts) else "more"
            wrong = f"the file ends with {len(blocks)} posts, {more} than the {len(posts)} of this split"
            raise _fault(path, len(lines), wrong, "give every post once, in the corpus's order")
        blocks = [block._replace(id=post.id) for block, post in zip(blocks, posts, strict=True)]
    of_id = {post.id: post for post in posts or ()}
    for block in blocks:
        if block.id in of_id:
            _require_words(block, of_id[block.id], path)
    _require_predictions_last(blocks, of_id, path)
    return [(block.line, str(block.id), tuple(row.columns[-1] for row in block.rows)) for block in blocks]


def _blocks(lines: Sequence[str], path: Path) -> list[Block]:
    blocks: list[Block] = []
    width: tuple[int, int] | None = None  # columns, and the line that set their number
    id: str | None = None
    begun = 0
    rows: list[Row] = []

    def close() -> None:
        nonlocal id, begun, rows
        if id is not None and not rows:
            raise _fault(path, begun, f"post {id!r} has no words", "give its words, or remove the IMGID line")
        if rows:
            if blocks and (blocks[0].id is None) != (id is None):
                raise _fault(path, rows[0].line, "only some posts have an IMGID line", "give one to every post or none")
            blocks.append(Block(begun if id is not None else rows[0].line, id, tuple(rows)))
        id, rows = None, []

    for number, line in enumerate(lines, start=1):
        columns = _columns(line)
        if not columns or line.startswith(DOCSTART):
            close()
        elif line.startswith(IMGID) and columns[-1] not in TAGS:
            close()
            id, begun = line.rstrip("\r").removeprefix(IMGID), number
        else:
            if len(columns) < 2:
                raise _fault(path, number, f"one column, {line!r}", FORMS)
            width = width or (len(columns), number)
            if len(columns) != width[0]:
                wrong = f"{len(columns)} columns, but line {width[1]} has {width[0]}"
                raise _fault(path, number, wrong, "give every word as many columns, parted by tabs")
            if columns[-1] not in TAGS:
                wrong = f"unknown tag {columns[-1]!r} in the last column"
                raise _fault(path, number, wrong, f"the tags are {', '.join(TAGS)}; {FORMS}")
            rows.append(Row(number, columns))
    close()
    return blocks


def _columns(line: str) -> tuple[str, ...]:
    """The columns of a line, `OTHER` read as `MISC`; none for a blank line. A word may hold a no-break space."""
    parts = line.rstrip("\r").split("\t") if "\t" in line else line.rstrip("\r").split(" ")
    columns = [part for part in parts if part]
    return (*columns[:1], *map(misc, columns[1:]))


def misc(tag: str) -> str:
    """A tag with Twitter-2015's `OTHER` as `MISC`."""
    return TWITTER2015_TAGS.get(tag, tag)


def _require_words(block: Block, post: Post, path: Path) -> None:
    """Raise PredictionsError, with the first line that differs, unless the words of `block` are those of `post`."""
    for row, word in zip(block.rows, post.words, strict=False):
        if row.columns[0] != word:
            wrong = f"the word {row.columns[0]!r} where post {post.id!r} of the corpus has {word!r}"
            raise _fault(path, row.line, wrong, "give every word of every post, in the corpus's order")
    if len(block.rows) != len(post.words):
        wrong = f"post {post.id!r} ends after {len(block.rows)} words, and in the corpus it has {len(post.words)}"
        raise _fault(path, block.rows[-1].line, wrong, "give every word of the post: was it truncated?")


def _require_predictions_last(blocks: Sequence[Block], posts: dict[str, Post], path: Path) -> None:
    """Raise PredictionsError when the last column is the gold and another column is not: its F1 would be 100."""
    pairs = [
        (row, gold)
        for block in blocks
        if block.id in posts
        for row, gold in zip(block.rows, posts[block.id].tags or (), strict=False)
    ]
    if not pairs or any(row.columns[-1] != gold for row, gold in pairs):
        return
    for place in range(1, len(pairs[0][0].columns) - 1):
        if all(row.columns[place] in TAGS for row, _ in pairs):
            other = next((row for row, gold in pairs if row.columns[place] != gold), None)
            if other is not None:
                wrong = f"the last column is the corpus's gold in every line, and column {place + 1} is not"
                raise _fault(path, other.line, wrong, "put the predicted tags last")


def _fault(path: Path, line: int, wrong: str, remedy: str) -> PredictionsError:
    return PredictionsError(f"{path}, line {line}: {wrong}; {remedy}")
