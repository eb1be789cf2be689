"""What the reader has set, and what the bundled model says then. No widgets here: `controls` has them.

Each answer comes from one forward pass of the trained model, and nothing is trained. Changes of the input are made in
the image itself; those of relevance, integration and parts are the lesions of `hamner.study.lesions`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from hamner.corpora import Post, load_corpus
from hamner.errors import HamnerError, nearest
from hamner.figures.attention_maps import Look
from hamner.files import read_text
from hamner.images import open_image
from hamner.minitweets import CUES
from hamner.model.ham import ham_of
from hamner.model.intra_modality import GRAINS
from hamner.models import OF_IMAGES
from hamner.playground.moving import Place, moved
from hamner.study.lesions import LESIONS, Lesion, beta_set, lesioned, nothing_judged, rho_set
from hamner.study.minitweets import answers_of
from hamner.study.pointing import forward, of_objects
from hamner.tagger.evidence import attention
from hamner.tagger.figure import drawable
from hamner.tagger.tagger import Tagger
from hamner.vision.extractor import ImageExtractor
from hamner.vision.features import VisualFeatures
from hamner.vision.objects import Annotations, ImageObject, Objects, kept

OWN, NONE = "own", "none"
"""Names in the place of an image's file: the post's own image, and no image."""

IMAGES_KEPT = 64
"""Images whose features are kept, the last that were seen: half a megabyte each."""

ITERATIONS, CO_ATTENTION = "iteration_identity", "coattention_identity"
PARTS = (
    "local_text_zero",
    "semantic_identity",
    "spatial_identity",
    "absolute_geometry_zero",
    "relative_geometry_zero",
    ITERATIONS,
    "regions_identity",
    CO_ATTENTION,
)
"""The lesions that take a part out and need no other post. rho and beta are set by number."""


@dataclass(frozen=True)
class State:
    """What the reader has set.

    Attributes:
        post: id of a post of the test split.
        image: OWN, NONE, or the file name of another image of the test split.
        moved: number of an object, from 1 -> the new centre of its box, x and y as shares of the image.
        rho: the relevance; None leaves it as judged.
        beta: weights of the grains (global, semantic, spatial), divided by their sum; None leaves them as judged.
        out: the parts that are taken out, of PARTS.
    """

    post: str
    image: str = OWN
    moved: Mapping[int, Place] = field(default_factory=dict)
    rho: float | None = None
    beta: tuple[float, float, float] | None = None
    out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Thing:
    """An object of the image: its box, its annotated class, and the type that it shows, None for a topic object.

    Objects are numbered from 1, the best score first, as `TaggedPost.show` numbers them.
    """

    number: int
    box: tuple[float, float, float, float]
    name: str
    type: str | None

    @property
    def centre(self) -> Place:
        """The centre of the box."""
        x1, y1, x2, y2 = self.box
        return (x1 + x2) / 2, (y1 + y2) / 2

    @property
    def label(self) -> str:
        """Number, class and type, as in `1 badge, PER`."""
        return f"{self.number} {self.name}" + (f", {self.type}" if self.type else "")

    @property
    def short(self) -> str:
        """Number and type, as in `1 PER`; the number alone for a topic object."""
        return f"{self.number} {self.type or ''}".strip()


@dataclass(frozen=True, eq=False)
class Said:
    """What the model says of a post of n words and an image with R regions and k objects.

    Attributes:
        post: the post, with its gold tags.
        tags: the best path, a tag for each word.
        marginals: (n, K) probability of each tag at each word (not calibrated).
        kinds: the K tags.
        rho: the relevance that the words met; None without an image.
        beta: the shares of the grains; None without an image.
        image: as the model saw it; None without one.
        things: the k objects.
        on_grid: (n, R) attention of each word, weight times number of regions (1 is uniform): that of co-attention,
            or without it that of the last iteration; 0 where no word reads a region.
        on_objects: (n, k) the same, mean over the encodings of an object.
    """

    post: Post
    tags: tuple[str, ...]
    marginals: np.ndarray
    kinds: tuple[str, ...]
    rho: float | None
    beta: tuple[float, ...] | None
    image: Image.Image | None
    things: tuple[Thing, ...]
    on_grid: np.ndarray
    on_objects: np.ndarray

    @property
    def gold(self) -> tuple[str, ...]:
        """The gold tags."""
        assert self.post.tags is not None, "every post of minitweets has tags"
        return self.post.tags

    @property
    def probabilities(self) -> tuple[float, ...]:
        """The marginal probability of each word's tag."""
        return tuple(float(row[self.kinds.index(tag)]) for row, tag in zip(self.marginals, self.tags, strict=True))

    @property
    def first_name(self) -> int:
        """The number of the first word that is in a name by gold."""
        return next((number for number, tag in enumerate(self.gold) if tag != "O"), 0)

    def probability(self, word: int, type: str) -> float:
        """The marginal probability that a word begins a name of this type."""
        return float(self.marginals[word, self.kinds.index(f"B-{type}")])


class Playground:
    """Answers for each State with the model `minitweets`, which comes along, or with another tagger.

    Nothing has to be trained or computed before: features come from the image itself, once for each.

    Raises:
        HamnerError: the tagger was not trained on annotated objects, or has another fusion than the paper's stages.
    """

    def __init__(self, tagger: Tagger | None = None) -> None:
        self.tagger = Tagger.from_pretrained(OF_IMAGES) if tagger is None else tagger
        self.corpus = load_corpus("minitweets")
        ham_of(self.tagger.model)
        source = self.tagger.config.visual
        if source is None or source.objects != "annotations":
            raise HamnerError(
                f"the run in {self.tagger.run.folder} was not trained on annotated objects: choose one that was"
            )
        self._extractor = ImageExtractor.load(source, self.corpus.folder, str(self.tagger.device))
        self._posts = {post.id: post for post in self.corpus.test}
        self._files = {post.image.name: post.image for post in self.corpus.test if post.image is not None}
        self._see = lru_cache(IMAGES_KEPT)(self._see_anew)

    @cached_property
    def by_cue(self) -> dict[str, list[Post]]:
        """The test posts that have a name of each cue, in the order of the corpus."""
        of_cue: dict[str, dict[str, Post]] = {cue: {} for cue in CUES}
        for name in answers_of(self.corpus):
            of_cue[name.cue][name.post] = self._posts[name.post]
        return {cue: list(posts.values()) for cue, posts in of_cue.items()}

    @cached_property
    def singles(self) -> dict[tuple[str, str], str]:
        """(type, topic) -> the first test image that shows one subject of this type beside things of this topic."""
        found: dict[tuple[str, str], str] = {}
        for file, content in self._contents.items():
            if content["kind"] == "single" and file in self._files:
                (type,) = (type for type in content["types"] if type is not None)
                found.setdefault((type, content["topic"]), file)
        return found

    @cached_property
    def _contents(self) -> dict[str, dict[str, Any]]:
        lines = read_text(self.corpus.folder / "contents.jsonl").splitlines()
        return {content["image"]: content for content in map(json.loads, lines)}

    def say(self, state: State) -> Said:
        """What the model says in this state.

        Raises:
            HamnerError: the state names a post, image, object or part that does not exist, or a number out of range.
        """
        post = self._post(state)
        image, features, things = self._look(state)
        with ExitStack() as changed:
            for lesion in _lesions(state):
                changed.enter_context(lesioned(self.tagger.model, lesion, nothing_judged()))
            batch, output = forward(self.tagger, [post], {post.id: features})
        weights = output.attention_weights
        assert weights is not None and batch.images is not None
        if CO_ATTENTION in state.out:  # its weights are there still, but reach no word
            weights = replace(weights, co_regions=None)
        assert output.relevance is not None and output.integration is not None
        looks = attention(weights, batch.images)[0].cpu()  # (n, M)
        if {CO_ATTENTION, ITERATIONS} <= set(state.out):
            looks = torch.zeros_like(looks)
        decoder = self.tagger.model.decoder
        (path,) = decoder.decode(output.emissions, output.word_mask)
        return Said(
            post=post,
            tags=tuple(decoder.tags[tag] for tag in path),
            marginals=decoder.marginals(output.emissions, output.word_mask)[0].cpu().numpy(),
            kinds=decoder.tags,
            rho=None if image is None else output.relevance[0].item(),
            beta=None if image is None else tuple(output.integration[0].tolist()),
            image=image,
            things=things,
            on_grid=looks[:, weights.grain.cpu() == 0].numpy(),
            on_objects=of_objects(weights, looks)[:, : len(things)].numpy(),
        )

    def _post(self, state: State) -> Post:
        if state.post not in self._posts:
            raise HamnerError(f"minitweets has no test post {state.post!r}: take the id of one of corpus.test")
        return self._posts[state.post]

    def things(self, state: State) -> tuple[Thing, ...]:
        """The objects of the state's image, where they are before any is moved."""
        name = self._name(state)
        return () if name == NONE else self._things(name, self._annotated(name))

    def _name(self, state: State) -> str:
        """The file name of the state's image; NONE without one."""
        own = self._post(state).image
        assert own is not None, "every post of minitweets has an image"
        name = own.name if state.image == OWN else state.image
        if name != NONE and name not in self._files:
            raise HamnerError(f"minitweets has no test image {name!r}: give {OWN!r}, {NONE!r} or a file of its images")
        return name

    def _things(self, name: str, objects: list[ImageObject]) -> tuple[Thing, ...]:
        types = self._contents[name]["types"]
        best = enumerate(kept(objects, self._extractor.max_objects), start=1)
        return tuple(Thing(place, objects[k].box, objects[k].name, types[k]) for place, k in best)

    def _look(self, state: State) -> tuple[Image.Image | None, VisualFeatures, tuple[Thing, ...]]:
        """The image, its features and its objects; all absent without an image."""
        name, extractor = self._name(state), self._extractor
        numbers = [] if name == NONE else kept(self._annotated(name), extractor.max_objects)
        for number, place in state.moved.items():
            if not 1 <= number <= len(numbers):
                raise HamnerError(f"{name} has no object {number}: it has {len(numbers)}, numbered from 1")
            if not all(isfinite(share) and 0 <= share <= 1 for share in place):
                raise HamnerError(f"object {number} cannot be at {place}: x and y are shares of the image, from 0 to 1")
        if name == NONE:
            return None, VisualFeatures.absent(extractor.regions, extractor.channels, extractor.max_objects), ()
        places = {numbers[number - 1]: place for number, place in state.moved.items()}
        image, objects, features = self._see(name, tuple(sorted(places.items())))
        return image, features, self._things(name, objects)

    def _see_anew(
        self, name: str, places: tuple[tuple[int, Place], ...]
    ) -> tuple[Image.Image, list[ImageObject], VisualFeatures]:
        """An image by its file name, with some of its objects in other places; its objects and its features."""
        if places:
            image, objects = moved(name, self._annotated(name), dict(places))
        else:
            image, objects = open_image(self._files[name]), self._annotated(name)
        found = Objects.of(objects, self._extractor.class_names, self._extractor.max_objects)
        return image, objects, self._extractor.encode(image, found)

    def _annotated(self, name: str) -> list[ImageObject]:
        finder = self._extractor.finder
        assert isinstance(finder, Annotations), "this is the source of the run"
        return finder.annotated[name]


def _lesions(state: State) -> list[Lesion]:
    """What the state replaces in the model."""
    found = []
    for name in state.out:
        if name not in PARTS:
            raise HamnerError(f"no part is called {name!r}{nearest(name, PARTS)}")
        found.append(LESIONS[name])
    if state.rho is not None:
        if not 0 <= state.rho <= 1:
            raise HamnerError(f"rho cannot be {state.rho}: give a number from 0 to 1, or None to leave it as judged")
        found.append(rho_set(state.rho))
    if state.beta is not None:
        if len(state.beta) != len(GRAINS) or not all(isfinite(one) and one >= 0 for one in state.beta):
            raise HamnerError(f"beta cannot be {state.beta}: give a weight of 0 or more for {', '.join(GRAINS)}")
        if not any(state.beta):
            raise HamnerError("beta cannot be 0 for every grain: to see nothing, set rho to 0")
        found.append(beta_set(state.beta))
    return found


def _look(title: str, said: Said, word: int) -> Look:
    """One panel of the figure: its title names the word, its tag, rho and beta."""
    shown = drawable(said.post.words[word])
    lines = [f"{title}: {shown} {said.tags[word]} {said.probabilities[word]:.2f}"]
    if said.rho is not None and said.beta is not None:
        lines.append(f"ρ {said.rho:.2f}  β {' '.join(f'{share:.2f}' for share in said.beta)}")
    boxes = np.array([thing.box for thing in said.things]).reshape(-1, 4)
    return Look("\n".join(lines), said.image, said.on_grid[word], boxes, said.on_objects[word])


def looks(before: Said, after: Said, word: int) -> tuple[list[str], Look, Look]:
    """The arguments of `hamner.figures.attention_maps.before_and_after` for the attention of one word."""
    return [thing.short for thing in after.things], _look("before", before, word), _look("now", after, word)


def differences(before: Said, after: Said) -> pd.DataFrame:
    """A line for each word: its gold tag, the tag and its probability before and now, and whether the tag changed.

    Raises:
        HamnerError: the two are about different posts.
    """
    if before.post.id != after.post.id:
        raise HamnerError(f"{before.post.id} and {after.post.id} are different posts: compare one post with itself")
    return pd.DataFrame(
        {
            "word": before.post.words,
            "gold": before.gold,
            "before": before.tags,
            "p before": before.probabilities,
            "now": after.tags,
            "p now": after.probabilities,
            "changed": ["" if old == new else "changed" for old, new in zip(before.tags, after.tags, strict=True)],
        }
    ).set_index("word")
