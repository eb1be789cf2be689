"""Tagging schemes: recognised, and converted to BIO.

BIO (IOB2) opens every entity with B-. The others, and what shows them:

    BIOES   ends an entity of several words with E-, and marks one of a single word with S-
    BILOU   the same with L- and U-
    IOB1    opens an entity with I-, and with B- only directly behind an entity of the same type

IOB1 is told from BIO with orphan I- tags, such as Twitter-2015, by two signs: at least FEWEST_ORPHANS I- tags open an
entity, and no B- opens one but directly behind an entity of its own type. With fewer such I- tags the file stays BIO.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from hamner.corpora.tags import orphans, repair

PREFIXES = "BIESLU"
"""The prefixes of all schemes."""

FEWEST_ORPHANS = 3
"""The fewest entities opened by I- that make a file IOB1. Below that it is BIO with a slip."""

_OF_PREFIX = {"E": "BIOES", "S": "BIOES", "L": "BILOU", "U": "BILOU"}
_ENDS = {"BIOES": ("E", "S"), "BILOU": ("L", "U")}

Place = tuple[int, int]
"""The number of a post and of a word in it, both from 0."""


class ConvertedWarning(UserWarning):
    """The tags of a file were converted to BIO; the message names file, scheme and evidence."""


class SchemeError(Exception):
    """Tags that belong to no scheme: the place, what is wrong there, and the remedy."""

    def __init__(self, place: Place, wrong: str, remedy: str) -> None:
        super().__init__(wrong)
        self.place, self.wrong, self.remedy = place, wrong, remedy


class Converted(NamedTuple):
    """Tags in BIO, the scheme that they were written in, and the evidence for it in words ("" for BIO)."""

    tags: list[tuple[str, ...]]
    scheme: str
    evidence: str

    def note(self, files: str) -> str:
        """The line that tells a user of the conversion."""
        return f"{files}: the tags are {self.scheme} ({self.evidence}), and were converted to BIO"


def to_bio(posts: Sequence[Sequence[str]], where: Callable[[Place], str]) -> Converted:
    """Recognise the scheme of well-formed tags, over all posts together, and convert them.

    Args:
        posts: the tags of each post.
        where: gives the file and line of a word, for messages.

    Raises SchemeError for tags of two schemes, and in BIOES and BILOU for a sequence that is malformed: an E- or I-
    that continues nothing, or a B- that is never ended.
    """
    shown: dict[str, Place] = {}
    for number, tags in enumerate(posts):
        for word, tag in enumerate(tags):
            if (scheme := _OF_PREFIX.get(tag[0])) is not None:
                shown.setdefault(scheme, (number, word))
    if not shown:
        return _without_ends(posts, where)

    def tag_and_place(place: Place) -> str:
        return f"{_short(posts[place[0]][place[1]])} in {where(place)}"

    (scheme, first), *others = sorted(shown.items(), key=lambda item: item[1])
    for other, place in others:
        wrong = (
            f"{_short(posts[place[0]][place[1]])} is a tag of {other}, but {tag_and_place(first)} is one of {scheme}"
        )
        raise SchemeError(place, wrong, "write all tags in one scheme, or correct the tag")
    evidence = tag_and_place(first)
    return Converted([_of_ends(tags, number, scheme, evidence) for number, tags in enumerate(posts)], scheme, evidence)


def _without_ends(posts: Sequence[Sequence[str]], where: Callable[[Place], str]) -> Converted:
    """BIO as it stands, or IOB1 converted."""
    opened = [(number, word) for number, tags in enumerate(posts) for word in orphans(tags)]
    if len(opened) < FEWEST_ORPHANS or any(_has_ordinary_b(tags) for tags in posts):
        return Converted([tuple(tags) for tags in posts], "BIO", "")
    evidence = (
        f"{len(opened)} entities begin with I-, the first in {where(opened[0])}, and none with B- but directly behind "
        "one of its type"
    )
    return Converted([tuple(repair(tags)) for tags in posts], "IOB1", evidence)


def _has_ordinary_b(tags: Sequence[str]) -> bool:
    """Whether some B- opens an entity that does not follow one of its own type directly."""
    return any(tag[0] == "B" and before[2:] != tag[2:] for before, tag in zip(("O", *tags), tags, strict=False))


def _of_ends(tags: Sequence[str], number: int, scheme: str, evidence: str) -> tuple[str, ...]:
    """BIO tags of one post in BIOES or BILOU."""
    end, single = _ENDS[scheme]
    as_read = f"the tags are read as {scheme}, because of {evidence}"
    converted = []
    begun: int | None = None  # the word of an open entity's B-
    for word, tag in enumerate((*tags, "O")):
        prefix, type = tag[0], tag[2:]
        if prefix in ("I", end):
            if begun is None or tags[begun][2:] != type:
                wrong = f"{_short(tag)} continues no entity of its type ({as_read})"
                raise SchemeError((number, word), wrong, f"begin the entity with B-, or write {single}- for one word")
        elif begun is not None:
            begin = _short(tags[begun])
            wrong = f"the entity that {begin} begins is never ended by {end}- ({as_read})"
            raise SchemeError((number, begun), wrong, f"end it with {end}-, or write {single}- for one word")
        if prefix in ("B", end):
            begun = word if prefix == "B" else None
        converted.append({single: "B-", end: "I-"}.get(prefix, tag[:2]) + type)
    return tuple(converted[:-1])


def _short(tag: str, most: int = 40) -> str:
    return repr(tag if len(tag) <= most else f"{tag[:most]}...")
