"""Ceilings: the best accuracy that a tagger without one ability can reach, computed from the corpus.

A tagger without an ability cannot tell some posts apart: they give it the same *view*. Its best answer is the type that
is most frequent in train among the mentions of that view (one of them, if several are). The accuracy of this answer on
test is the ceiling.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from hamner.corpora.tags import TYPES

if TYPE_CHECKING:
    from hamner.minitweets.posts import Mention, Plan, Written
    from hamner.minitweets.scenes import Scene

ABILITIES = ("all", "text_only", "no_objects", "no_relations", "no_geometry", "no_relevance")
"""`all`: no ability is missing. The others name the missing one: images; telling objects from the whole image;
comparing objects with one another; positions of objects; judging whether image and words share a topic."""


def ceilings(plans: Sequence[Plan]) -> dict[str, dict[str, float]]:
    """Ability -> cue -> accuracy on test of the best tagger, from 0 to 1 (`ABILITIES` says what it lacks)."""
    train, test = (next(part for part in plans if part.split == split) for split in ("train", "test"))
    default = {
        mention.name: mention.type for post in train.posts if post.cue == "unrelated" for mention in post.mentions
    }
    return {ability: _accuracies(ability, train, test, default) for ability in ABILITIES}


def _accuracies(ability: str, train: Plan, test: Plan, default: dict[str, str]) -> dict[str, float]:
    rules: dict[Hashable, Counter[str]] = defaultdict(Counter)
    for view, nameless, _, mention in _views(ability, train, default):
        rules[view][mention.type] += 1
        rules[nameless][mention.type] += 1  # for names that do not occur in train
    right: dict[str, list[float]] = defaultdict(list)
    for view, nameless, post, mention in _views(ability, test, default):
        counts = rules[view] if view in rules else rules[nameless]
        best = [type for type in TYPES if counts[type] == max(counts.values())]
        right[post.cue].append((mention.type in best) / len(best))
    return {cue: round(sum(values) / len(values), 4) for cue, values in sorted(right.items())}


def _views(ability: str, part: Plan, default: dict[str, str]) -> list[tuple[Hashable, Hashable, Written, Mention]]:
    """(view, view without the name, post, mention) of every mention."""
    images = {image.id: image for image in part.images}
    views: list[tuple[Hashable, Hashable, Written, Mention]] = []
    for post in part.posts:
        for mention in post.mentions:
            wording, *rest = _view(ability, post, mention, images[post.image])
            # Under other wordings names are balanced over the types and tell nothing.
            name = default.get(mention.name) if wording == "neutral" else None
            views.append(((wording, *rest, name), (wording, *rest), post, mention))
    return views


def _view(ability: str, post: Written, mention: Mention, image: Scene) -> tuple[Hashable, ...]:
    """The view of a mention: the kind of wording first, then all that the tagger gets from the image."""
    if post.cue == "text":
        return ("text", mention.type)
    neutral = post.cue in ("scene", "unrelated")
    wording = "neutral" if neutral else post.cue
    if ability == "text_only":
        return (wording,)
    shown = frozenset(image.objects[i].type for i in image.subjects())
    blurred = (
        (ability == "no_objects" and not neutral)
        or (ability == "no_relations" and post.cue == "relation")
        or (ability == "no_geometry" and post.cue == "position")
    )
    if blurred:
        return (wording, shown)  # the types in the image, but not the type that is meant
    if neutral:
        match = None if ability == "no_relevance" else post.topic == image.topic
        return (wording, shown, match)
    return (wording, mention.type)
