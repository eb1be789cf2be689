"""The plan of the posts: images, names, types and words of every cue, balanced exactly.

In each split, each ambiguous name occurs with every type equally often in each of `scene`, `object`, `relation` and
`position`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hamner.corpora.post import SPLITS
from hamner.corpora.tags import TYPES
from hamner.errors import HamnerError
from hamner.minitweets.icons import TOPICS, Icons, icons_by_split
from hamner.minitweets.names import Names, names_by_split
from hamner.minitweets.scenes import DIRECTIONS, IMAGE_KINDS, Scene, compose
from hamner.minitweets.templates import DIRECTIONS as DIRECTION_WORDS
from hamner.minitweets.templates import DOINGS, EVENTS, TEMPLATES, tweet

IMAGES = {
    "train": {"single": 384, "marked": 192, "pair": 768, "group": 768},
    "valid": dict.fromkeys(IMAGE_KINDS, 64),
    "test": dict.fromkeys(IMAGE_KINDS, 128),
}
"""Images of each kind; each has two posts of its cue (`_single` for images of one subject). Train has most pairs and
groups because `position` and `relation` are learnt last."""

_MATCHINGS = tuple(((TYPES[0], TYPES[i]), tuple(type for type in TYPES[1:] if type != TYPES[i])) for i in (1, 2, 3))
"""The three ways to part the four types into two pairs. A name that takes all three has every type equally often."""


class Mention(NamedTuple):
    """A name: words `start` to `end` (exclusive) of a post. `objects`: indices of the objects that carry the answer."""

    name: str
    start: int
    end: int
    type: str
    kind: str  # "clear" or "ambiguous"
    seen: bool  # whether the name occurs in train
    objects: tuple[int, ...]


@dataclass(frozen=True)
class Written:
    """A post with its known answers. `side`: "odd" or "majority" (relation), the direction (position), else ""."""

    id: str
    image: str
    cue: str
    side: str
    topic: str
    template: str
    words: tuple[str, ...]
    mentions: tuple[Mention, ...]

    @property
    def relevant(self) -> bool:
        """Whether image and words have one topic."""
        return self.cue != "unrelated"

    def tags(self) -> tuple[str, ...]:
        """BIO tags of the words."""
        tags = ["O"] * len(self.words)
        for mention in self.mentions:
            tags[mention.start : mention.end] = [f"I-{mention.type}"] * (mention.end - mention.start)
            tags[mention.start] = f"B-{mention.type}"
        return tuple(tags)


@dataclass(frozen=True)
class Plan:
    """One split: its images, not yet drawn, and its posts in random order."""

    split: str
    images: tuple[Scene, ...]
    posts: tuple[Written, ...]


class _Wanted(NamedTuple):
    """A post without its words yet: (name, type, objects) of each mention."""

    image: Scene
    cue: str
    side: str
    topic: str
    mentions: tuple[tuple[str, str, tuple[int, ...]], ...]


def plan(seed: int, images: dict[str, dict[str, int]] = IMAGES) -> list[Plan]:
    """Plan all images and posts of the three splits; the same arguments give the same plan.

    No two posts have the same words. Raises HamnerError for numbers of images that cannot balance the names.
    """
    names, icons = names_by_split(seed), icons_by_split(seed)
    plans: list[Plan] = []
    used: set[tuple[str, ...]] = set()
    number = 0
    for split in SPLITS:
        rng = random.Random(f"{split} {seed}")
        builder = _Split(names[split], icons[split], images[split], number, rng)
        wanted = builder.wanted()
        rng.shuffle(wanted)
        worded = _Wording(names[split], used, rng)
        posts = tuple(worded.post(f"{split}-{i:04d}", want) for i, want in enumerate(wanted, start=1))
        plans.append(Plan(split, tuple(builder.images), posts))
        number += len(builder.images)
    return plans


class _Split:
    """Composes the images of one split and plans their posts."""

    def __init__(self, names: Names, icons: Icons, many: dict[str, int], first_number: int, rng: random.Random) -> None:
        self.names, self.icons, self.many, self.rng = names, icons, many, rng
        self.ambiguous = (*names.seen, *names.unseen)
        for kind, number in many.items():
            if number < 1 or number % (2 * len(self.ambiguous)):
                multiple = 2 * len(self.ambiguous)
                raise HamnerError(
                    f"{number} images of kind {kind} cannot balance the names; take a multiple of {multiple}"
                )
        images = sum(many.values())
        self.numbers = iter(rng.sample(range(first_number + 1, first_number + images + 1), images))
        self.topics = {kind: iter(_evenly(TOPICS, many[kind], rng)) for kind in IMAGE_KINDS}
        self.images: list[Scene] = []

    def wanted(self) -> list[_Wanted]:
        posts = [*self._single(), *self._marked(), *self._pairs(), *self._groups()]
        posts += self._text()
        self.images.sort(key=lambda image: image.id)
        return posts

    def _image(self, kind: str, types: tuple[str, ...], direction: str = "") -> Scene:
        id = f"p{next(self.numbers):04d}"
        image = compose(id, kind, types, next(self.topics[kind]), self.icons, self.rng, direction)
        self.images.append(image)
        return image

    def _single(self) -> Iterator[_Wanted]:
        """Plan eight posts of `scene` and three of `unrelated` for each two images of one subject.

        Names with a default type are frequent in `scene`: a tagger that cannot judge relevance does best to follow the
        image, and so fails in `unrelated` alone.
        """
        images = self.many["single"] // 4  # of each type
        often = [name for name in self.names.seen if name in self.names.default]
        rest = [name for name in self.ambiguous if name not in often]
        for turn, type in enumerate(TYPES):
            names = rest * (2 * images // len(self.ambiguous) if self.names.unseen else 1)
            names += [often[i % len(often)] for i in range(4 * images - len(names))]
            couples = iter(_couples(names, self.rng))
            others = self._wrong_defaults(turn, 3 * images // 2)
            for number in range(images):
                image = self._image("single", (type,))
                answer = tuple(image.subjects())
                for name in (*next(couples), *next(couples)):
                    yield _Wanted(image, "scene", "", image.topic, ((name, type, answer),))
                for name in others[3 * number // 2 : 3 * (number + 1) // 2]:
                    topic = self.rng.choice([topic for topic in TOPICS if topic != image.topic])
                    yield _Wanted(image, "unrelated", "", topic, ((name, self.names.default[name], ()),))

    def _wrong_defaults(self, turn: int, count: int) -> list[str]:
        """`count` names for `unrelated` on images of type number `turn`: each default type but this, equally often."""
        names = [name for name in self.names.seen if self.names.default.get(name, TYPES[turn]) != TYPES[turn]]
        return _evenly(names, count, self.rng)

    def _marked(self) -> Iterator[_Wanted]:
        """Plan two posts of `object` for each image with a ring."""
        for type in TYPES:
            for couple in _couples(_evenly(self.ambiguous, self.many["marked"] // 2, self.rng), self.rng):
                image = self._image("marked", (type,))
                answer = tuple(i for i in image.subjects() if image.objects[i].ringed)
                for name in couple:
                    yield _Wanted(image, "object", "", image.topic, ((name, type, answer),))

    def _pairs(self) -> Iterator[_Wanted]:
        """Plan two posts of `position` for each image of two subjects: the same two names, swapped in the second."""
        turns = {frozenset(pair): self.rng.randrange(6) for matching in _MATCHINGS for pair in matching}
        for turn in range(self.many["pair"] // len(self.ambiguous)):
            names = self.rng.sample(self.ambiguous, len(self.ambiguous))
            for couple, (one, other) in enumerate(zip(names[::2], names[1::2], strict=True)):
                for pair in _MATCHINGS[(couple + turn) % 3]:
                    turns[frozenset(pair)] += 1
                    orders = turns[frozenset(pair)]
                    direction, first = DIRECTIONS[orders % 3], orders // 3 % 2
                    types = (pair[first], pair[1 - first])
                    image = self._image("pair", types, direction)
                    of = {type: tuple(i for i in image.subjects() if image.objects[i].type == type) for type in types}
                    for a, b in ((one, other), (other, one)):
                        mentions = ((a, types[0], of[types[0]]), (b, types[1], of[types[1]]))
                        yield _Wanted(image, "position", direction, image.topic, mentions)

    def _groups(self) -> Iterator[_Wanted]:
        """Plan two posts of `relation` for each image of three and one: the same name for the one and for the three."""
        for turn in range(self.many["group"] // len(self.ambiguous) // 2):
            for place, name in enumerate(self.ambiguous):
                flip = (place // 3 + turn // 3) % 2
                for pair in _MATCHINGS[(place + turn) % 3]:
                    majority, odd = pair[flip], pair[1 - flip]
                    image = self._image("group", (majority, odd))
                    for side, type in (("odd", odd), ("majority", majority)):
                        answer = tuple(i for i in image.subjects() if image.objects[i].type == type)
                        yield _Wanted(image, "relation", side, image.topic, ((name, type, answer),))

    def _text(self) -> Iterator[_Wanted]:
        """Posts of `text`, each on another image that shows its type; the kinds of image come equally often."""
        for type in TYPES:
            clear = [name for name, of in (*self.names.clear, *self.names.clear_unseen) if of == type]
            names = iter(_evenly(clear, self.many["single"] // 4, self.rng))
            for kind in IMAGE_KINDS:
                fitting = [image for image in self.images if image.kind == kind and self._shows(image, type)]
                for image in self.rng.sample(fitting, self.many["single"] // 16):
                    answer = tuple(i for i in image.subjects() if image.objects[i].type == type)
                    yield _Wanted(image, "text", "", image.topic, ((next(names), type, answer),))

    @staticmethod
    def _shows(image: Scene, type: str) -> bool:
        return any(placed.type == type for placed in image.objects)


class _Wording:
    """Puts posts into words."""

    def __init__(self, names: Names, used: set[tuple[str, ...]], rng: random.Random) -> None:
        self.rng, self.used = rng, used
        self.clear = {*names.clear, *names.clear_unseen}
        self.unseen = {*names.unseen, *(name for name, _ in names.clear_unseen)}
        self.templates: dict[str, Iterator[tuple[str, str]]] = {}

    def post(self, id: str, want: _Wanted) -> Written:
        """Put a post into words that no earlier post has."""
        while True:
            template, words, starts = self._words(want)
            if words not in self.used:
                break
        self.used.add(words)
        mentions = tuple(
            Mention(
                name,
                start,
                start + len(name.split()),
                type,
                "clear" if want.cue == "text" else "ambiguous",
                name not in self.unseen,
                objects,
            )
            for (name, type, objects), start in zip(want.mentions, starts, strict=True)
        )
        return Written(
            id,
            want.image.id,
            want.cue,
            want.side,
            want.topic,
            template,
            words,
            tuple(sorted(mentions, key=lambda m: m.start)),
        )

    def _words(self, want: _Wanted) -> tuple[str, tuple[str, ...], list[int]]:
        """(template id, words, first word of each mention's name)."""
        rng = self.rng
        id, template = self._template(want)
        slots = {"event": rng.choice(EVENTS[want.topic].split("|")), "doing": rng.choice(DOINGS[want.topic].split("|"))}
        keys = ["name"]
        if want.cue == "position":
            # The order of the two names is random, so it tells nothing.
            keys = rng.choice((["a", "b"], ["b", "a"]))
            slots |= {"d" + key: word for key, word in zip(keys, rng.choice(DIRECTION_WORDS[want.side]), strict=True)}
        slots |= {key: name for key, (name, _, _) in zip(keys, want.mentions, strict=True)}
        words: list[str] = []
        starts: dict[str, int] = {}
        fixed: set[int] = set()
        for word in template.split():
            key = word[1:-1] if word[0] == "{" else ""
            if key in keys:
                starts[key] = len(words)
            filled = slots[key].split() if key else [word]
            if key not in ("", "event", "doing"):
                fixed |= set(range(len(words), len(words) + len(filled)))
            words += filled
        if words[0].islower() and rng.random() < 0.5:
            words[0] = words[0].capitalize()
        styled, moved = tweet(words, fixed, want.topic, rng)
        return id, tuple(styled), [starts[key] + moved for key in keys]

    def _template(self, want: _Wanted) -> tuple[str, str]:
        """The next template of the cue: all in turn, in a new random order each round."""
        key = f"{want.cue} {want.mentions[0][1] if want.cue == 'text' else want.side}".strip()
        key = "scene" if key == "unrelated" else key  # one sequence for both: neither gets words of its own
        if key not in self.templates:
            self.templates[key] = _forever(lambda: self.rng.sample(TEMPLATES[key], len(TEMPLATES[key])))
        return next(self.templates[key])


def _forever(a_round: Callable[[], Sequence[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    while True:
        yield from a_round()


def _evenly(items: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """`count` items in random order; the numbers of any two items differ by at most one."""
    rounds = [item for _ in range(count // len(items)) for item in items]
    rounds += rng.sample(list(items), count % len(items))
    rng.shuffle(rounds)
    return rounds


def _couples(names: list[str], rng: random.Random) -> list[tuple[str, str]]:
    """The names in random couples of two different names."""
    while True:
        rng.shuffle(names)
        couples = list(zip(names[::2], names[1::2], strict=True))
        for i, (one, other) in enumerate(couples):
            if one == other:  # swap with a couple that does not have this name
                j = next((j for j, couple in enumerate(couples) if one not in couple), None)
                if j is None:
                    break
                couples[i], couples[j] = (one, couples[j][1]), (couples[j][0], other)
        else:
            return couples
