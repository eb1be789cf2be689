"""Ceilings: the best accuracy that a tagger without one ability can reach, computed from the corpus.

A tagger without an ability cannot tell some posts apart: they give it the same *view*. Its best answer is the type that
is most frequent in train among the mentions of that view (one of them, if several are). The accuracy of this answer on
test is the ceiling.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING

from hamner.corpora.tags import TYPES

if TYPE_CHECKING:
    from hamner.minitweets.posts import Mention, Plan, Written
    from hamner.minitweets.scenes import Scene

ABILITIES = (
    "all", "text_only", "no_global", "no_objects", "no_relations", "no_geometry", "no_relevance", "no_grains",
    "no_reading",
)  # fmt: skip
"""`all`: no ability is missing. The others name the missing one: images; the image as a whole; telling objects from it
and from one another; comparing objects with one another; positions of objects; judging whether image and words share a
topic; weighing whole and objects by the words; regions that read words, and so know that another one is described."""

BLURRED = {
    "no_objects": ("object", "odd", "position", "described", "other"),
    "no_relations": ("odd",),
    "no_geometry": ("position",),
    "no_grains": ("level",),
    "no_reading": ("other",),
}
"""Ability -> the cues where a tagger without it knows which types the image shows, but not which of them is meant.

`majority` is not among them: the mean of all objects, or of the whole image, shows it."""


def ceilings(plans: Sequence[Plan]) -> dict[str, dict[str, float]]:
    """Ability -> cue -> accuracy on test of the best tagger, from 0 to 1 (`ABILITIES` says what it lacks)."""
    train, test = (next(part for part in plans if part.split == split) for split in ("train", "test"))
    default = {
        mention.name: mention.type
        for part in (train, test)
        for post in part.posts
        if post.cue == "unrelated"
        for mention in post.mentions
    }
    return {ability: _accuracies(ability, train, test, default) for ability in ABILITIES}


def _accuracies(ability: str, train: Plan, test: Plan, default: dict[str, str]) -> dict[str, float]:
    rules: dict[Hashable, Counter[str]] = defaultdict(Counter)
    for view, mention in _views(ability, train, default):
        rules[view][mention.type] += 1
    right: dict[str, list[float]] = defaultdict(list)
    for view, mention in _views(ability, test, default):
        counts = rules[view]
        best = [type for type in TYPES if counts[type] == max(counts.values(), default=0)]
        right[mention.cue].append((mention.type in best) / len(best))
    return {cue: round(sum(values) / len(values), 4) for cue, values in sorted(right.items())}


def _views(ability: str, part: Plan, default: dict[str, str]) -> Iterator[tuple[Hashable, Mention]]:
    """(view, mention) of every mention."""
    images = {image.id: image for image in part.images}
    for post in part.posts:
        for mention in post.mentions:
            yield _view(ability, post, mention, images[post.image], default), mention


def _view(ability: str, post: Written, mention: Mention, image: Scene, default: dict[str, str]) -> tuple[Hashable, ...]:
    """The view of a mention: the kind of wording first, then all that the tagger gets from name and image."""
    cue = mention.cue
    if cue == "text":
        return ("text", mention.type)
    neutral = cue in ("scene", "unrelated")
    # Names under other wordings are balanced over the types and tell nothing.
    wording = ("neutral", default.get(mention.name)) if neutral else (cue, post.side if cue == "level" else "")
    if ability == "text_only":
        return wording
    if cue in BLURRED.get(ability, ()):
        return (*wording, image.shown())
    if cue == "level" and ability in ("no_global", "no_objects"):
        objects = frozenset(image.objects[i].type for i in image.subjects())
        return (*wording, objects if ability == "no_global" else image.shown() - objects)
    if neutral:
        match = None if ability == "no_relevance" else post.topic == image.topic
        return (*wording, image.shown(), match)
    return (*wording, mention.type)
