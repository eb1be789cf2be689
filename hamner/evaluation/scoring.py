"""Precision, recall and F1 of entities: an entity is correct when its type and both its ends are right.

Each way to read tags as entities (`hamner.corpora.tags.spans`) gives another F1, so a `Score` has the name of its
protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hamner.corpora.post import Post
from hamner.corpora.tags import PROTOCOLS, TAG_FORM, TYPES, Span, is_tag, mention, spans, types_in
from hamner.errors import HamnerError

Tags = Sequence[str]
Mention = tuple[str, str]  # (type, case-folded surface)


class ScoringError(HamnerError):
    """Gold tags, predictions or confidences that cannot be scored."""


@dataclass(frozen=True, slots=True)
class PRF:
    """Precision, recall and F1 as fractions from 0 to 1, with their counts.

    A value whose denominator is zero (nothing predicted, nothing gold) is 0.0, as with seqeval's zero_division=0.
    """

    correct: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        # The harmonic mean of precision and recall, written in counts.
        return 2 * self.correct / (self.predicted + self.gold) if self.predicted + self.gold else 0.0

    def to_dict(self) -> dict[str, float | int]:
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "correct": self.correct,
            "predicted": self.predicted,
            "gold": self.gold,
        }


@dataclass(frozen=True)
class Score:
    """The score of one set of predictions under one protocol.

    `overall` is the micro average: counts are summed over posts and types, then divided. `per_type` has PER, LOC, ORG
    and MISC where there are no other types, else those of gold in alphabetical order, then those of predictions alone.
    `seen` and `unseen` are None when no training mentions were given.
    """

    protocol: str
    overall: PRF
    per_type: dict[str, PRF]
    seen: PRF | None = None
    unseen: PRF | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts and numbers, ready for JSON."""
        return {
            "protocol": self.protocol,
            "overall": self.overall.to_dict(),
            "per_type": {type: prf.to_dict() for type, prf in self.per_type.items()},
            "seen": self.seen and self.seen.to_dict(),
            "unseen": self.unseen and self.unseen.to_dict(),
        }


def score(
    gold: Sequence[Tags],
    predicted: Sequence[Tags],
    protocol: str = "seqeval",
    *,
    posts: Sequence[Post] | None = None,
    mentions: Collection[Mention] | None = None,
    types: Sequence[str] = (),
) -> Score:
    """Score predicted tags against gold tags, one sequence of tags per post in each.

    With `posts`, in the same order, an error names the post by its id. With `mentions` (from `training_mentions`) as
    well, seen and unseen entities have their own scores: an entity, gold or predicted, is *seen* when training has the
    same type and the same case-folded words. The counts of the two parts add up to `overall`. `types` stand first in
    `per_type`, whether they occur or not: those that a model has learnt.

    Raises ScoringError for an unknown protocol or tag, for lengths that differ, and for `mentions` without `posts`.
    """
    if mentions is not None and posts is None:
        raise ScoringError("seen and unseen entities need the words of the posts: pass posts= along with mentions=")
    gold_spans, predicted_spans = read_spans(gold, predicted, protocol, posts=posts)
    in_gold = {(i, span) for i, of_post in enumerate(gold_spans) for span in of_post}
    in_predicted = {(i, span) for i, of_post in enumerate(predicted_spans) for span in of_post}

    def part(chosen: Collection[tuple[int, Span]]) -> PRF:
        """The score of the entities in `chosen` alone."""
        return PRF(
            correct=sum(entity in in_gold and entity in in_predicted for entity in chosen),
            predicted=sum(entity in in_predicted for entity in chosen),
            gold=sum(entity in in_gold for entity in chosen),
        )

    everything = in_gold | in_predicted
    seen = unseen = None
    if mentions is not None and posts is not None:
        known = {(i, span) for i, span in everything if mention(posts[i].words, span) in mentions}
        seen, unseen = part(known), part(everything - known)
    in_order = _types(gold, predicted, types)
    per_type = {type: part([(i, span) for i, span in everything if span.type == type]) for type in in_order}
    return Score(protocol, part(everything), per_type, seen, unseen)


def _types(gold: Sequence[Tags], predicted: Sequence[Tags], first: Sequence[str]) -> tuple[str, ...]:
    """The types of `per_type`: `first`, then those that occur; without `first` PER, LOC, ORG and MISC may suffice."""
    of_gold, of_predicted = types_in(gold), types_in(predicted)
    if not first and of_gold | of_predicted <= set(TYPES):
        return TYPES
    return tuple(dict.fromkeys((*first, *sorted(of_gold), *sorted(of_predicted))))


def training_mentions(posts: Iterable[Post]) -> frozenset[Mention]:
    """(type, case-folded surface) of every entity in `posts`; the surface is the entity's words joined by blanks.

    Entities are read in seqeval's default mode under every protocol, so *seen* means the same in each. Case is folded
    because tweets write one name in many ways. Exact case lowers the share of seen test entities from 33.3 % to 31.6 %
    on Twitter-2015 and from 53.6 % to 51.7 % on Twitter-2017.
    """
    mentions: set[Mention] = set()
    for post in posts:
        if post.tags is None:
            raise ScoringError(f"post {post.id} has no gold tags, so its entities are unknown: give tagged posts")
        mentions.update(mention(post.words, span) for span in spans(post.tags))
    return frozenset(mentions)


def read_spans(
    gold: Sequence[Tags], predicted: Sequence[Tags], protocol: str = "seqeval", *, posts: Sequence[Post] | None = None
) -> tuple[list[list[Span]], list[list[Span]]]:
    """The gold and the predicted entities of each post.

    Raises ScoringError, naming the first post at fault, unless both have one valid tag for each word.
    """
    _check_protocol(protocol)
    if len(gold) != len(predicted):
        raise ScoringError(f"{len(gold)} posts have gold tags but {len(predicted)} have predicted tags")
    if posts is not None and len(posts) != len(gold):
        raise ScoringError(f"there are {len(posts)} posts but gold tags for {len(gold)}")
    for i, (truth, guess) in enumerate(zip(gold, predicted, strict=True)):
        name = f"post {i}" if posts is None else f"post {i} (id {posts[i].id})"
        if len(truth) != len(guess):
            raise ScoringError(f"{name}: {len(truth)} gold tags but {len(guess)} predicted tags")
        if posts is not None and len(posts[i].words) != len(truth):
            raise ScoringError(f"{name}: {len(posts[i].words)} words but {len(truth)} gold tags")
        for side, tags in (("gold", truth), ("predicted", guess)):
            for tag in tags:
                if not is_tag(tag):
                    raise ScoringError(f"{name}: unknown {side} tag {tag!r}; {TAG_FORM}")
    return [spans(tags, protocol) for tags in gold], [spans(tags, protocol) for tags in predicted]


def post_counts(gold: Sequence[Tags], predicted: Sequence[Tags], protocol: str = "seqeval") -> np.ndarray:
    """Correct, predicted and gold entities of each post: integers of shape (posts, 3).

    Their sum over posts gives the overall score; a bootstrap sums them over resampled posts.
    """
    gold_spans, predicted_spans = read_spans(gold, predicted, protocol)
    rows = [
        (len(set(truth) & set(guess)), len(guess), len(truth))
        for truth, guess in zip(gold_spans, predicted_spans, strict=True)
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _check_protocol(protocol: str) -> None:
    if protocol not in PROTOCOLS:
        raise ScoringError(f"unknown protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
