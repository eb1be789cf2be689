"""BIO tags over four entity types, and how tags are read as entities.

The same tags can be read as entities in more than one way once an I- stands where no entity is open (an *orphan* I-),
and Twitter-2015 has hundreds of those. Each way is a *protocol* with a name, and every score says which one it used.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

TYPES = ("PER", "LOC", "ORG", "MISC")
TAGS = ("O", *(f"{position}-{type}" for type in TYPES for position in "BI"))
PROTOCOLS = ("seqeval", "strict", "repaired")


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
    """Read tags as entities.

    `seqeval`: the default mode of the seqeval library, which follows conlleval: an orphan I- opens an entity.
    `strict`: IOB2, seqeval's mode="strict": only B- opens an entity, an orphan I- is none.
    `repaired`: orphan I- are first rewritten as B-, then read strictly. On BIO tags this gives the spans of `seqeval`,
    because both let an orphan open an entity; it is named apart since some peers repair their files before scoring.

    Raises ValueError for an unknown protocol.
    """
    return list(_spans(tuple(tags), protocol))


@lru_cache(maxsize=20_000)  # runs on one test agree on most posts, and a study compares each run with many others
def _spans(tags: tuple[str, ...], protocol: str) -> tuple[Span, ...]:
    # Imported here, for seqeval brings scikit-learn with it: seconds that reading a corpus should not cost.
    if protocol == "seqeval":
        from seqeval.metrics.sequence_labeling import get_entities

        return tuple(Span(type, first, last + 1) for type, first, last in get_entities(list(tags)))
    if protocol == "strict":
        from seqeval.scheme import IOB2, Entities

        read = Entities([list(tags)], IOB2).entities[0]
        return tuple(Span(entity.tag, entity.start, entity.end) for entity in read)
    if protocol == "repaired":
        return _spans(tuple(repair(tags)), "strict")
    raise ValueError(f"unknown protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")


def mention(words: Sequence[str], span: Span) -> tuple[str, str]:
    """What an entity is called: its type and its words, case-folded and joined by spaces.

    A mention of the test split is *seen* when the training split has the same one.
    """
    return span.type, " ".join(words[span.start : span.end]).casefold()
