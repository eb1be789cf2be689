"""The pointing game on minitweets: do attention and occlusion of a name point at the object that carries its answer?

Attention weights come from the forward pass that tagged the post. They are given as weight times number of regions: 1
is uniform.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from hamner.corpora import Corpus, Post, project_folder
from hamner.corpora.tags import Span
from hamner.devices import autocast_of
from hamner.errors import HamnerError
from hamner.model.batch import AttentionWeights, Batch, Output
from hamner.model.ham import ham_of
from hamner.model.hamner import HamNer
from hamner.study.minitweets import Answer
from hamner.tagger.confidence import span_probabilities
from hamner.tagger.evidence import attention, occlusions
from hamner.tagger.tagger import Tagger
from hamner.training.batching import prepare
from hamner.vision.features import ANNOTATIONS, VisualFeatures
from hamner.vision.store import FEATURES, FeatureStore

if TYPE_CHECKING:
    from hamner.vision.objects import ImageObject

BATCH = 32


def visual_features(tagger: Tagger, corpus: Corpus, posts: Sequence[Post], folder: Path | None = None) -> FeatureStore:
    """Load the features of these posts from the visual source of the tagger's run; missing ones are computed.

    Args:
        tagger: a tagger whose run was trained on images.
        corpus: the corpus of the posts.
        posts: the posts.
        folder: where features are stored; by default data/features of the project.

    Raises:
        HamnerError: the run is text only, or was trained on captions.
    """
    source = tagger.config.visual
    if source is None or source.backbone == "captions":
        raise HamnerError(f"the run in {tagger.run.folder} was trained without images: choose one with images")
    from hamner.vision.extractor import ImageExtractor  # imported here: it loads torchvision

    extractor = ImageExtractor.load(source, corpus.folder, str(tagger.device))
    store = FeatureStore(project_folder() / FEATURES if folder is None else folder, extractor)
    store.fill(posts, progress=False)
    return store


@torch.no_grad()
def forward(
    tagger: Tagger, posts: Sequence[Post], store: FeatureStore | Mapping[str, VisualFeatures]
) -> tuple[Batch, Output]:
    """Run one forward pass over these posts, with attention weights. The batch keeps what the text encoder gave.

    `store` holds the features of each post by its id.

    Raises:
        HamnerError: a post is longer than the text encoder's limit.
    """
    split = prepare(posts, tagger.model, tagger.tokenizer, lambda number: store[posts[number].id])
    if len(split) > len(posts):
        raise HamnerError("a post is longer than the text encoder's limit: leave it out")
    batch = split.batch(range(len(split))).to(tagger.device)
    with autocast_of(tagger.config.precision, tagger.device):
        batch = tagger.model.text.once(batch)
        return batch, tagger.model(batch, keep_attention=True)


@torch.no_grad()
def word_states(model: HamNer, batch: Batch) -> dict[str, Tensor]:
    """Catch the words after each step of stage 3 in one forward pass: step -> (B, n, d).

    T0 comes from the text stage, T1 to TL from the iterations. The decoder reads H; without co-attention H is TL.
    """
    interaction = ham_of(model).interaction
    steps: dict[str, nn.Module] = {"T0": model.text}
    steps |= {f"T{number}": read for number, read in enumerate(interaction.words, start=1)}
    if interaction.coattention is not None:
        steps["H"] = interaction.coattention
    caught: dict[str, Tensor] = {}

    def catch(step: str) -> Any:
        return lambda module, inputs, output: caught.update({step: output[0]})

    hooks = [module.register_forward_hook(catch(step)) for step, module in steps.items()]
    try:
        model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return caught | {"H": caught[list(steps)[-1]]}


def answer_boxes(corpus: Corpus, answers: Sequence[Answer]) -> list[np.ndarray]:
    """The boxes of the objects that carry each answer, (a, 4), as shares of the image.

    Raises:
        HamnerError: the objects of an image are not annotated.
    """
    return [
        np.array([objects[number].box for number in name.objects], np.float32).reshape(-1, 4)
        for name, objects in zip(answers, _annotated(corpus, answers), strict=True)
    ]


def _annotated(corpus: Corpus, answers: Sequence[Answer]) -> list[list[ImageObject]]:
    """The annotated objects of the image of each name."""
    from hamner.vision.objects import read_annotations  # imported here: it loads torchvision

    annotated = read_annotations(corpus.folder / ANNOTATIONS)
    images = {post.id: post.image for _, posts in corpus.splits() for post in posts}
    objects = []
    for name in answers:
        image = images[name.post]
        if image is None or image.name not in annotated:
            raise HamnerError(f"post {name.post} has no image whose objects are annotated")
        objects.append(annotated[image.name])
    return objects


@torch.no_grad()
def object_evidence(tagger: Tagger, corpus: Corpus, answers: Sequence[Answer], store: FeatureStore) -> pd.DataFrame:
    """Measure attention and occlusion of each object for each name: a line for each pair of a name and an object.

    post, start  the name; `start` is its first word
    image        the file of its image
    cue, type    its cue and its gold type
    predicted    the type that the tagger gives to its first word, "" for none
    relevance    rho of the post
    object       the object's number among the features
    answer       whether the object carries the answer
    attention    of the name's first word: weight times number of regions, mean over the object's encodings
    drop         fall in the probability of the predicted type when the object is hidden
    exchanged    the same when the object's place is taken by an object of the next other image among the answers; NaN
                 where there is none
    image_drop   the same when the whole image is hidden

    Where no type is predicted, drops are those of the gold type.

    Raises:
        HamnerError: the run was trained on other objects than the annotated ones, whose answers are unknown.
    """
    from hamner.vision.objects import kept  # imported here: it loads torchvision

    if tagger.config.visual is None or tagger.config.visual.objects != "annotations":
        raise HamnerError(f"the run in {tagger.run.folder} was not trained on annotated objects: choose one that was")
    posts = {post.id: post for _, some in corpus.splits() for post in some}
    annotated = _annotated(corpus, answers)
    rows: list[dict[str, Any]] = []
    for begin in range(0, len(answers), BATCH):
        some = answers[begin : begin + BATCH]
        batch, output = forward(tagger, [posts[name.post] for name in some], store)
        attention_weights = output.attention_weights
        assert attention_weights is not None and output.relevance is not None and batch.images is not None
        weights = attention(attention_weights, batch.images)  # (B, n, M)
        decoded = tagger.model.decoder.decode(output.emissions, output.word_mask)
        for row, name in enumerate(some):
            predicted = tagger.model.decoder.tags[decoded[row][name.start]][2:]
            real = batch.images.object_mask[row].nonzero()[:, 0].tolist()
            span = Span(predicted or name.type, name.start, name.end)
            image, drops, exchanged = _drops(tagger, batch, row, span, real)
            numbers = kept(annotated[begin + row], batch.images.boxes.shape[1])
            to_objects = of_objects(attention_weights, weights[row, name.start])
            image_file = posts[name.post].image
            known: dict[str, Any] = {"post": name.post, "image": image_file and image_file.name, "start": name.start}
            known |= {"cue": name.cue, "type": name.type}
            known |= {"predicted": predicted, "relevance": output.relevance[row].item(), "image_drop": image}
            rows += [
                known
                | {
                    "object": k,
                    "answer": numbers[k] in name.objects,
                    "attention": to_objects[k].item(),
                    "drop": drop,
                    "exchanged": other,
                }
                for k, drop, other in zip(real, drops, exchanged, strict=True)
            ]
    return pd.DataFrame(rows)


def _drops(
    tagger: Tagger, batch: Batch, row: int, span: Span, objects: list[int]
) -> tuple[float, list[float], list[float]]:
    """The fall in the span's probability: without the image, without each object, with each object exchanged."""
    hidden = occlusions(batch, row, 0, objects * 2)
    donated = _exchange(hidden, batch, row, objects)
    with autocast_of(tagger.config.precision, tagger.device):
        output = tagger.model(hidden)
    asked = [(variant, span) for variant in range(len(output.emissions))]
    p = span_probabilities(tagger.model.decoder, output.emissions, output.word_mask, asked)
    image, *drops = (p[0] - p[1:]).tolist()
    exchanged = drops[len(objects) :] if donated else [math.nan] * len(objects)
    return image, drops[: len(objects)], exchanged


def _exchange(hidden: Batch, batch: Batch, row: int, objects: list[int]) -> bool:
    """In the last variants of `hidden`, show another image's objects in the places of `objects`; False without one.

    Only what an object looks like is exchanged: its place stays.
    """
    images, of_all = hidden.images, batch.images
    assert images is not None and of_all is not None
    order = [(row + step) % len(of_all.grid) for step in range(1, len(of_all.grid))]
    others = [at for at in order if of_all.object_mask[at].any() and not of_all.grid[at].equal(of_all.grid[row])]
    if not others:
        return False
    donors = of_all.object_mask[others[0]].nonzero()[:, 0].tolist()
    for number, k in enumerate(objects):
        variant, donor = 2 + len(objects) + number, (others[0], donors[number % len(donors)])
        for name in ("objects", "classes", "scores"):
            getattr(images, name)[variant, k] = getattr(of_all, name)[donor]
        images.object_mask[variant, k] = True
        images.box_mask[variant, k] = of_all.box_mask[row, k]
    return True


def of_objects(attention_weights: AttentionWeights, weights: Tensor) -> Tensor:
    """Turn attention weights over regions (..., M) into weights over the K objects (..., K).

    An object's weight is the mean over its two encodings; an object without a box has the semantic one alone, so its
    weight is half.
    """
    masks = [attention_weights.grain == grain for grain in (1, 2)]  # (M,) each
    encodings = [weights[..., mask] for mask in masks if mask.any()]
    return torch.stack(encodings).mean(0)


def pointing_game(evidence: pd.DataFrame) -> pd.DataFrame:
    """Play the pointing game: does a name point at an object that carries its answer?

    `evidence` has the lines of `object_evidence`. The table has a line for each name with such an object:

    attention, occlusion  1 if the object with most attention (or the greatest drop) carries the answer, else 0; for
                          tied objects the share that carries it
    chance                the share of the image's objects that carry the answer
    right                 whether the tagger predicted the name's gold type

    After Zhang et al. 2018, Top-down neural attention by excitation backprop, with objects in the place of pixels.
    """
    games = []
    for (post, start), objects in evidence.groupby(["post", "start"], sort=False):
        if objects.answer.any():
            first = objects.iloc[0]
            games.append(
                {
                    "post": post,
                    "image": first.image,
                    "start": start,
                    "cue": first.cue,
                    "right": first.predicted == first.type,
                    "attention": _points_at_answer(objects, "attention"),
                    "occlusion": _points_at_answer(objects, "drop"),
                    "chance": objects.answer.mean(),
                }
            )
    return pd.DataFrame(games)


def _points_at_answer(objects: pd.DataFrame, by: str) -> float:
    return objects.answer[objects[by] == objects[by].max()].mean()
