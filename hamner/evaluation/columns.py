"""Predictions of other systems: CoNLL columns with the word first and the predicted tag last.

    IMGID:1015799
    RT O O
    Kelso B-PER B-ORG
    <blank line>

Columns are parted by tabs or blanks; those between the first and the last, such as the gold tags that conlleval wants,
are not scored. Tags in BIOES, BILOU and IOB1 are converted to BIO, with a ConvertedWarning. IMGID lines may be missing:
then the posts stand in the corpus's order. Every word is compared with the corpus, so no tag lands on another word.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from hamner.corpora.post import Post
from hamner.corpora.schemes import PREFIXES, Converted, ConvertedWarning, SchemeError, to_bio
from hamner.corpora.tags import TAG_FORM, TWITTER2015_TAGS, TYPES, is_spelt_other, is_tag, types_in
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
    tagged = len(columns) > 1 and (is_tag(columns[-1], PREFIXES) or not line.startswith(("{", "[")))
    return tagged or line.startswith((IMGID, DOCSTART))


def tags_in_columns(
    lines: Sequence[str], path: Path, posts: Sequence[Post] | None, types: Collection[str] | None
) -> list[tuple[int, str, tuple[str, ...]]]:
    """(line, post id, tags) of each post of a file, in its order; `path` is named in errors.

    Raises PredictionsError, with the line, for lines that are no columns, for unknown tags, for a type that is not
    among `types`, for words that are not those of `posts`, and for a last column that is the corpus's gold.
    """
    blocks = _blocks(lines, path)
    try:
        converted = _column(blocks, -1, types)
    except SchemeError as fault:
        raise _fault(path, blocks[fault.place[0]].rows[fault.place[1]].line, fault.wrong, fault.remedy) from None
    if converted.scheme != "BIO":
        warnings.warn(converted.note(str(path)), ConvertedWarning, stacklevel=3)
    for block, tags in zip(blocks, converted.tags, strict=True):
        for row, tag in zip(block.rows, tags, strict=True):
            if types is not None and tag != "O" and tag[2:] not in types:
                wrong = f"unknown tag {row.columns[-1]!r} in the last column"
                raise _fault(path, row.line, wrong, f"the types are {', '.join(types)}")
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
    _require_predictions_last(blocks, converted.tags, of_id, path, types)
    return [(block.line, str(block.id), tags) for block, tags in zip(blocks, converted.tags, strict=True)]


def _column(blocks: Sequence[Block], place: int, types: Collection[str] | None) -> Converted:
    """The tags of one column in BIO, with `OTHER` as `MISC` where it means that. Raises SchemeError."""
    column = [[row.columns[place] for row in block.rows] for block in blocks]
    converted = to_bio(column, lambda place: f"line {blocks[place[0]].rows[place[1]].line}")
    return converted._replace(tags=without_other(converted.tags, types))


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
        elif line.startswith(IMGID) and not is_tag(columns[-1]):
            close()
            id, begun = line.rstrip("\r").removeprefix(IMGID), number
        else:
            if len(columns) < 2:
                raise _fault(path, number, f"one column, {line!r}", FORMS)
            width = width or (len(columns), number)
            if len(columns) != width[0]:
                wrong = f"{len(columns)} columns, but line {width[1]} has {width[0]}"
                raise _fault(path, number, wrong, "give every word as many columns, parted by tabs")
            if not is_tag(columns[-1], PREFIXES):
                raise _fault(path, number, f"unknown tag {columns[-1]!r} in the last column", f"{TAG_FORM}; {FORMS}")
            rows.append(Row(number, columns))
    close()
    return blocks


def _columns(line: str) -> tuple[str, ...]:
    """The columns of a line; none for a blank line. A word may hold a no-break space."""
    parts = line.rstrip("\r").split("\t") if "\t" in line else line.rstrip("\r").split(" ")
    return tuple(part for part in parts if part)


def without_other(sequences: Sequence[Sequence[str]], types: Collection[str] | None) -> list[tuple[str, ...]]:
    """The tags with Twitter-2015's `OTHER` as `MISC`, unless `types` have it, or the tags have types of one's own."""
    means_misc = is_spelt_other(types_in(sequences)) if types is None else "MISC" in types and "OTHER" not in types
    renamed = TWITTER2015_TAGS if means_misc else {}
    return [tuple(renamed.get(tag, tag) for tag in tags) for tags in sequences]


def _require_words(block: Block, post: Post, path: Path) -> None:
    """Raise PredictionsError, with the first line that differs, unless the words of `block` are those of `post`."""
    for row, word in zip(block.rows, post.words, strict=False):
        if row.columns[0] != word:
            wrong = f"the word {row.columns[0]!r} where post {post.id!r} of the corpus has {word!r}"
            raise _fault(path, row.line, wrong, "give every word of every post, in the corpus's order")
    if len(block.rows) != len(post.words):
        wrong = f"post {post.id!r} ends after {len(block.rows)} words, and in the corpus it has {len(post.words)}"
        raise _fault(path, block.rows[-1].line, wrong, "give every word of the post: was it truncated?")


def _require_predictions_last(
    blocks: Sequence[Block],
    tags: Sequence[Sequence[str]],
    posts: dict[str, Post],
    path: Path,
    types: Collection[str] | None,
) -> None:
    """Raise PredictionsError when the last column is the gold and another column is not: its F1 would be 100.

    Another column counts if it holds tags of the corpus's types alone; a column of chunks, I-NP, does not.
    """
    known = [(block, predicted) for block, predicted in zip(blocks, tags, strict=True) if block.id in posts]
    gold = [posts[str(block.id)].tags or () for block, _ in known]
    if not known or any(tuple(predicted) != truth for (_, predicted), truth in zip(known, gold, strict=True)):
        return
    chosen = [block for block, _ in known]
    usual = {*TYPES, "OTHER", *(types or ()), *types_in(gold)}
    for place in range(1, len(chosen[0].rows[0].columns) - 1):
        column = [row.columns[place] for block in chosen for row in block.rows]
        if not all(is_tag(tag, PREFIXES) and (tag == "O" or tag[2:] in usual) for tag in column):
            continue
        try:
            other = _column(chosen, place, types)
        except SchemeError:  # no tags of entities
            continue
        for block, guessed, truth in zip(chosen, other.tags, gold, strict=True):
            for row, tag, right in zip(block.rows, guessed, truth, strict=True):
                if tag != right:
                    wrong = f"the last column is the corpus's gold in every line, and column {place + 1} is not"
                    raise _fault(path, row.line, wrong, "put the predicted tags last")


def _fault(path: Path, line: int, wrong: str, remedy: str) -> PredictionsError:
    return PredictionsError(f"{path}, line {line}: {wrong}; {remedy}")
