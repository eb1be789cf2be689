"""BIO tags over entity types, and the protocols that read them as entities.

A corpus's types are those of its train split (`label_set`). The corpora that hamner knows have the four of `TYPES`.

An I- tag where no entity is open (an *orphan* I-) can be read in more than one way, and Twitter-2015 has hundreds of
them. Each way of reading is a *protocol* with a name, and every score names its protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from hamner.escape import UNSEEN


def tags_of(types: Iterable[str]) -> tuple[str, ...]:
    """The BIO tags of these types: O, then B- and I- of each type, in the types' order."""
    return ("O", *(f"{position}-{type}" for type in types for position in "BI"))


TYPES = ("PER", "LOC", "ORG", "MISC")
"""The types of the known corpora, and of every corpus that has no others."""
TAGS = tags_of(TYPES)
PROTOCOLS = ("seqeval", "strict", "repaired")

TWITTER2015_TAGS = {"B-OTHER": "B-MISC", "I-OTHER": "I-MISC"}
"""Twitter-2015's spelling of the fourth type -> ours, see `is_spelt_other`."""

TAG_FORM = "a tag is O, or B- or I- and a type, such as B-PER"
"""What `is_tag` accepts, for messages."""


@lru_cache(maxsize=20_000)
def is_tag(text: str, prefixes: str = "BI") -> bool:
    """Whether `text` is O, or one of the prefixes, a hyphen and a type.

    A type is not empty, holds no white space and no control character, and has no hyphen at its ends, which seqeval's
    strict mode would cut off.
    """
    if text == "O":
        return True
    prefix, hyphen, type = text[:1], text[1:2], text[2:]
    return (
        prefix != ""
        and prefix in prefixes
        and hyphen == "-"
        and type != ""
        and type.strip("-") == type
        and UNSEEN.search(type) is None
        and not any(character.isspace() for character in type)
    )


def types_in(sequences: Iterable[Sequence[str] | None]) -> frozenset[str]:
    """The types that occur in tags; a post without tags has none."""
    return frozenset(tag[2:] for tags in sequences for tag in tags or () if tag != "O")


def label_set(found: Collection[str]) -> tuple[str, ...]:
    """The types of a corpus whose train split has the types `found`: TYPES if all are among these, else sorted."""
    return TYPES if set(found) <= set(TYPES) else tuple(sorted(found))


def is_spelt_other(found: Collection[str]) -> bool:
    """Whether OTHER means MISC where the types `found` occur: only if all others are among TYPES, as in Twitter-2015.

    A corpus of other types keeps its OTHER.
    """
    return "OTHER" in found and set(found) - {"OTHER"} <= set(TYPES)


class Span(NamedTuple):
    """An entity: words `start` to `end` (exclusive) of a post, of one type."""

    type: str
    start: int
    end: int


def orphans(tags: Sequence[str]) -> list[int]:
    """Positions of I- tags that continue no entity of their own type."""
    previous = ("O", *tags)
    return [i for i, tag in enumerate(tags) if tag[0] == "I" and previous[i][2:] != tag[2:]]


def repair(tags: Sequence[str]) -> list[str]:
    """The tags with every orphan I- turned into B-."""
    orphaned = set(orphans(tags))
    return ["B" + tag[1:] if i in orphaned else tag for i, tag in enumerate(tags)]


def spans(tags: Sequence[str], protocol: str = "seqeval") -> list[Span]:
    """The entities that a protocol reads from tags, in their order.

    `seqeval`: the default mode of the seqeval library, which follows conlleval: an orphan I- opens an entity.
    `strict`: IOB2, seqeval's mode="strict": only B- opens an entity, and an orphan I- is no entity.
    `repaired`: every orphan I- is rewritten as B-, then the tags are read as `strict`. On BIO tags the spans are those
    of `seqeval`. The protocol has its own name because some papers repair their files before scoring.

    Raises ValueError for an unknown protocol.
    """
    return list(_spans(tuple(tags), protocol))


@lru_cache(maxsize=20_000)  # a study compares many runs on one test split, and they agree on most posts
def _spans(tags: tuple[str, ...], protocol: str) -> tuple[Span, ...]:
    if protocol == "seqeval":
        # What the library's get_entities reads, which a test compares. Importing it takes a fifth of the time to tag
        # one text, because it imports scikit-learn.
        repaired = repair(tags)
        ends = [i for i, tag in enumerate([*repaired, "O"]) if tag[0] != "I"]
        return tuple(
            Span(repaired[start][2:], start, end) for start, end in pairwise(ends) if repaired[start][0] == "B"
        )
    if protocol == "strict":
        from seqeval.scheme import IOB2, Entities

        read = Entities([list(tags)], IOB2).entities[0]
        return tuple(Span(entity.tag, entity.start, entity.end) for entity in read)
    if protocol == "repaired":
        return _spans(tuple(repair(tags)), "strict")
    raise ValueError(f"unknown protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")


def mention(words: Sequence[str], span: Span) -> tuple[str, str]:
    """(type, name) of an entity; the name is its words, case-folded and joined by spaces.

    A mention in test is *seen* when train has the same mention.
    """
    return span.type, " ".join(words[span.start : span.end]).casefold()
