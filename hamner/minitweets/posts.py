"""The plan of the posts: images, names, types and words of every cue, balanced exactly.

In each split, each ambiguous name occurs with every type equally often in each cue but `text` and `unrelated`, and so
does each default name in `scene`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

from hamner.corpora.post import SPLITS
from hamner.corpora.tags import TYPES
from hamner.errors import HamnerError
from hamner.minitweets import GRAINS
from hamner.minitweets.icons import TOPICS, Icons, icons_by_split
from hamner.minitweets.names import Names, names_by_split
from hamner.minitweets.scenes import DIRECTIONS, IMAGE_KINDS, Scene, compose
from hamner.minitweets.templates import DIRECTIONS as DIRECTION_WORDS
from hamner.minitweets.templates import DOINGS, EVENTS, SHAPES, TEMPLATES, tweet

IMAGES = {
    "train": {"single": 384, "marked": 192, "pair": 576, "group": 576, "level": 192},
    "valid": dict.fromkeys(IMAGE_KINDS, 64),
    "test": dict.fromkeys(IMAGE_KINDS, 128),
}
"""Images of each kind; each has two posts of its cue, or of both cues of pairs (`_single` for images of one subject).
Train has most pairs and groups because `position` and `odd` are learnt last."""

DEFAULT_POSTS = {"train": 3, "valid": 2, "test": 2}
"""Of the four posts of `scene` on an image, those with a default name. With three in train, a default name occurs there
twice as often in `scene` as in `unrelated`: a tagger that cannot judge relevance does best to believe every image,
while a tagger that sees no image does best to believe the name."""

_MATCHINGS = tuple(((TYPES[0], TYPES[i]), tuple(type for type in TYPES[1:] if type != TYPES[i])) for i in (1, 2, 3))
"""The three ways to part the four types into two pairs."""

_CYCLES = tuple((TYPES[0], *rest) for rest in permutations(TYPES[1:]))
"""The six cyclic orders of the types: the four pairs of neighbours in one have each type first once and second once."""


class Mention(NamedTuple):
    """A name: words `start` to `end` (exclusive) of a post. `objects`: indices of the objects that carry the answer."""

    cue: str
    name: str
    start: int
    end: int
    type: str
    kind: str  # "clear", "ambiguous" or "default"
    seen: bool  # whether the name occurs in train
    objects: tuple[int, ...]


@dataclass(frozen=True)
class Written:
    """A post with its known answers.

    cue   what it is made for; that of its names, but for the first name of `other`, whose cue is `described`
    side  the direction (`position`), the carrier that is described (`other`), the grain (`level`), else ""
    """

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
    for split in reversed(SPLITS):  # train last: valid and test are the same whatever the size of train
        rng = random.Random(f"{split} {seed}")
        builder = _Split(names[split], icons[split], images[split], DEFAULT_POSTS[split], number, rng)
        wanted = builder.wanted()
        rng.shuffle(wanted)
        worded = _Wording(names[split], used, rng)
        posts = tuple(worded.post(f"{split}-{i:04d}", want) for i, want in enumerate(wanted, start=1))
        plans.append(Plan(split, tuple(builder.images), posts))
        number += len(builder.images)
    return plans[::-1]


class _Split:
    """Composes the images of one split and plans their posts."""

    def __init__(
        self,
        names: Names,
        icons: Icons,
        many: dict[str, int],
        default_posts: int,
        first_number: int,
        rng: random.Random,
    ) -> None:
        self.names, self.icons, self.many, self.default_posts, self.rng = names, icons, many, default_posts, rng
        self.ambiguous = (*names.seen, *names.unseen)
        for kind, number in many.items():
            multiple = {"single": 4 // (4 - default_posts) * len(self.ambiguous), "group": 4, "level": 4}.get(
                kind, 2 * len(self.ambiguous)
            )
            if number < 1 or number % multiple:
                raise HamnerError(
                    f"{number} images of kind {kind} cannot balance the names; take a multiple of {multiple}"
                )
        images = sum(many.values())
        self.numbers = iter(rng.sample(range(first_number + 1, first_number + images + 1), images))
        self.topics = {kind: iter(_evenly(TOPICS, many[kind], rng)) for kind in IMAGE_KINDS}
        self.images: list[Scene] = []

    def wanted(self) -> list[_Wanted]:
        posts = [*self._single(), *self._marked(), *self._pairs(), *self._groups(), *self._levels()]
        posts += self._text()
        self.images.sort(key=lambda image: image.id)
        return posts

    def _image(self, kind: str, types: tuple[str, ...], direction: str = "") -> Scene:
        id = f"p{next(self.numbers):04d}"
        image = compose(id, kind, types, next(self.topics[kind]), self.icons, self.rng, direction)
        self.images.append(image)
        return image

    def _single(self) -> Iterator[_Wanted]:
        """Plan eight posts of `scene` and three of `unrelated` for each two images of one subject."""
        images = self.many["single"] // 4  # of each type
        for turn, type in enumerate(TYPES):
            names = list(self.names.default) * (self.default_posts * images // len(self.names.default))
            names += self.ambiguous * ((4 - self.default_posts) * images // len(self.ambiguous))
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
        names = [name for name, type in self.names.default.items() if type != TYPES[turn]]
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
        """Plan two posts of `position` and two of `other` for each image of two subjects.

        All have the same two names. The second of each two swaps the types: in `position` by swapping the names, in
        `other` by describing the other subject.
        """
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
                    for told, rest in (types, types[::-1]):
                        shape = image.objects[of[told][0]].carrier
                        mentions = ((one, told, of[told]), (other, rest, of[rest]))
                        yield _Wanted(image, "other", shape, image.topic, mentions)

    def _groups(self) -> Iterator[_Wanted]:
        """Plan a post of `majority` and one of `odd`, with the same name, for each image of three and one."""
        for image, name, (majority, odd) in self._two_types("group"):
            for cue, type in (("majority", majority), ("odd", odd)):
                yield _Wanted(image, cue, "", image.topic, ((name, type, self._of_type(image, type)),))

    def _levels(self) -> Iterator[_Wanted]:
        """Plan two posts of `level`, with the same name, for each image whose whole has another type than its objects.

        One post is about the whole, the other about the objects.
        """
        for image, name, types in self._two_types("level"):
            for grain, type in zip(GRAINS, types, strict=True):
                yield _Wanted(image, "level", grain, image.topic, ((name, type, self._of_type(image, type)),))

    def _two_types(self, kind: str) -> Iterator[tuple[Scene, str, tuple[str, str]]]:
        """(image, name, its two types) of all images of `kind`: a name meets each type as first and as second."""
        for turn, name in enumerate(_evenly(self.ambiguous, self.many[kind] // 4, self.rng)):
            cycle = _CYCLES[turn % len(_CYCLES)]
            for types in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
                yield self._image(kind, types), name, types

    @staticmethod
    def _of_type(image: Scene, type: str) -> tuple[int, ...]:
        return tuple(i for i in image.subjects() if image.objects[i].type == type)

    def _text(self) -> Iterator[_Wanted]:
        """Posts of `text`, each on another image that shows its type; the kinds of image come equally often."""
        for type in TYPES:
            clear = [name for name, of in (*self.names.clear, *self.names.clear_unseen) if of == type]
            names = iter(_evenly(clear, len(IMAGE_KINDS) * (self.many["single"] // 16), self.rng))
            for kind in IMAGE_KINDS:
                fitting = [image for image in self.images if image.kind == kind and self._shows(image, type)]
                for image in self.rng.sample(fitting, self.many["single"] // 16):
                    yield _Wanted(image, "text", "", image.topic, ((next(names), type, self._of_type(image, type)),))

    @staticmethod
    def _shows(image: Scene, type: str) -> bool:
        return any(placed.type == type for placed in image.objects)


class _Wording:
    """Puts posts into words."""

    def __init__(self, names: Names, used: set[tuple[str, ...]], rng: random.Random) -> None:
        self.rng, self.used = rng, used
        self.default = names.default
        self.unseen = {*names.unseen, *(name for name, _ in names.clear_unseen), *names.default_unseen}
        self.templates: dict[str, Iterator[tuple[str, str]]] = {}

    def post(self, id: str, want: _Wanted) -> Written:
        """Put a post into words that no earlier post has."""
        while True:
            template, words, starts = self._words(want)
            if words not in self.used:
                break
        self.used.add(words)
        cues = ("described", "other") if want.cue == "other" else (want.cue,) * len(want.mentions)
        mentions = tuple(
            Mention(
                cue,
                name,
                start,
                start + len(name.split()),
                type,
                "clear" if want.cue == "text" else "default" if name in self.default else "ambiguous",
                name not in self.unseen,
                objects,
            )
            for cue, (name, type, objects), start in zip(cues, want.mentions, starts, strict=True)
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
        if want.cue == "other":
            keys = ["a", "b"]
            slots["da"] = rng.choice(SHAPES[want.side])
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
        part = {"text": want.mentions[0][1], "other": ""}.get(want.cue, want.side)
        key = f"{want.cue} {part}".strip()
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
