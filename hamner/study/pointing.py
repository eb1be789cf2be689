"""Where words look in an image, whether that is where the answer is, and what stage 3 makes of it; with the figures.

Attention here is always that of the forward pass which tagged the post, as weight times number of regions: 1 is
uniform. It is never stretched to look well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hamner.corpora import Corpus, Post, project_folder
from hamner.corpora.tags import Span
from hamner.errors import HamnerError
from hamner.model.batch import AttentionWeights, Batch, Output
from hamner.model.hamner import HamNer
from hamner.study.minitweets import Mention
from hamner.tagger.confidence import span_probabilities
from hamner.tagger.evidence import attention, occlusions
from hamner.tagger.tagger import Tagger
from hamner.training.batching import Split, collate, piece_limit, windows
from hamner.vision.features import ANNOTATIONS
from hamner.vision.store import FEATURES, FeatureStore

if TYPE_CHECKING:
    from hamner.vision.objects import FoundObject

BATCH = 32


def visual_features(tagger: Tagger, corpus: Corpus, posts: Sequence[Post], folder: Path | None = None) -> FeatureStore:
    """The features of these posts as the tagger's run saw them, computed now where `folder` does not hold them.

    `folder` is data/features of the project. Raises HamnerError for a text-only run, or one that learnt from captions.
    """
    source = tagger.config.visual
    if source is None or source.backbone == "captions":
        raise HamnerError(f"the run in {tagger.run.folder} looks at no images: take one that was trained on images")
    from hamner.vision.extractor import ImageExtractor  # here, for it brings torchvision with it

    extractor = ImageExtractor.load(source, corpus.folder, str(tagger.device))
    store = FeatureStore(project_folder() / FEATURES if folder is None else folder, extractor)
    store.fill(posts, progress=False)
    return store


@torch.no_grad()
def forward(tagger: Tagger, posts: Sequence[Post], store: FeatureStore) -> tuple[Batch, Output]:
    """One forward pass over all these posts, with its attention weights.

    The batch holds the words as the text encoder read them.

    Raises HamnerError when a post is longer than the text encoder takes at once.
    """
    cut = windows(posts, tagger.tokenizer, piece_limit(tagger.tokenizer, tagger.model.text.encoder.config))
    if len(cut) > len(posts):
        raise HamnerError("a post is longer than the text encoder takes at once: leave it out here")
    split = Split(cut, lambda number: store[posts[number].id])
    batch = collate([split[number] for number in range(len(cut))], tagger.tokenizer.pad_token_id).to(tagger.device)
    layers, embeddings = tagger.model.text.read(batch)
    batch = replace(batch, word_layers=layers, word_embeddings=embeddings)
    return batch, tagger.model(batch, keep_attention=True)


@torch.no_grad()
def word_states(model: HamNer, batch: Batch) -> dict[str, Tensor]:
    """The words at each step of stage 3, (B, n, d): T0 as the text stage left them, T1 ... TL after each iteration, H.

    They are caught in one forward pass. H is what the decoder reads; without co-attention it is TL itself.
    """
    steps = {"T0": model.text} | {f"T{number}": read for number, read in enumerate(model.interaction.words, start=1)}
    if model.interaction.coattention is not None:
        steps["H"] = model.interaction.coattention
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


def answer_boxes(corpus: Corpus, mentions: Sequence[Mention]) -> list[np.ndarray]:
    """The boxes of the objects that carry the answer to each mention, (a, 4), as shares of the image.

    Raises HamnerError where an image's objects are not annotated.
    """
    return [
        np.array([objects[number].box for number in name.objects], np.float32).reshape(-1, 4)
        for name, objects in zip(mentions, _annotated(corpus, mentions), strict=True)
    ]


def _annotated(corpus: Corpus, mentions: Sequence[Mention]) -> list[list[FoundObject]]:
    """The annotated objects of each mention's image."""
    from hamner.vision.objects import read_annotations  # here, for it brings torchvision with it

    annotated = read_annotations(corpus.folder / ANNOTATIONS)
    images = {post.id: post.image for _, posts in corpus.splits() for post in posts}
    found = []
    for name in mentions:
        image = images[name.post]
        if image is None or image.name not in annotated:
            raise HamnerError(f"post {name.post} has no image whose objects are annotated")
        found.append(annotated[image.name])
    return found


@torch.no_grad()
def seen_objects(tagger: Tagger, corpus: Corpus, mentions: Sequence[Mention], store: FeatureStore) -> pd.DataFrame:
    """How each name saw each object of its image: a row for each pair of a name and an object.

    post, start  the name (`start` is its first word)
    cue, type    what the corpus knows of it
    said         the type that the tagger gives to its first word, "" for none
    relevance    rho of the post
    object       the object's number among the features
    answer       whether it carries the answer
    attention    of the name's first word: weight times number of regions, mean over the object's encodings
    drop         by how much the probability of what the tagger said falls when the object is taken away
    image_drop the same, when the whole image is taken away

    Where the tagger said nothing, drops are those of the right answer. Raises HamnerError for a run that took its
    objects from elsewhere than the annotations: which of them answer is not known.
    """
    from hamner.vision.objects import kept  # here, for it brings torchvision with it

    if tagger.config.visual is None or tagger.config.visual.objects != "annotations":
        raise HamnerError(f"the run in {tagger.run.folder} has not seen the annotated objects: take one that has")
    posts = {post.id: post for _, some in corpus.splits() for post in some}
    annotated = _annotated(corpus, mentions)
    rows: list[dict[str, Any]] = []
    for begin in range(0, len(mentions), BATCH):
        some = mentions[begin : begin + BATCH]
        batch, output = forward(tagger, [posts[name.post] for name in some], store)
        attention_weights = output.attention_weights
        assert attention_weights is not None and output.relevance is not None and batch.images is not None
        weights = attention(attention_weights, batch.images)  # (B, n, M)
        decoded = tagger.model.decoder.decode(output.emissions, output.word_mask)
        for row, name in enumerate(some):
            said = tagger.model.decoder.tags[decoded[row][name.start]][2:]
            real = batch.images.object_mask[row].nonzero()[:, 0].tolist()
            image, *drops = _drops(tagger, batch, row, Span(said or name.type, name.start, name.end), real)
            numbers = kept(annotated[begin + row], batch.images.boxes.shape[1])
            looked = of_objects(attention_weights, weights[row, name.start])
            known = {"post": name.post, "start": name.start, "cue": name.cue, "type": name.type, "said": said}
            known |= {"relevance": output.relevance[row].item(), "image_drop": image}
            rows += [
                known | {"object": k, "answer": numbers[k] in name.objects, "attention": looked[k].item(), "drop": drop}
                for k, drop in zip(real, drops, strict=True)
            ]
    return pd.DataFrame(rows)


def _drops(tagger: Tagger, batch: Batch, row: int, span: Span, objects: Sequence[int]) -> list[float]:
    """By how much the span's probability falls without the image, and without each of the objects."""
    output = tagger.model(occlusions(batch, row, 0, objects))
    asked = [(variant, span) for variant in range(len(output.emissions))]
    p = span_probabilities(tagger.model.decoder, output.emissions, output.word_mask, asked)
    return (p[0] - p[1:]).tolist()


def of_objects(attention_weights: AttentionWeights, weights: Tensor) -> Tensor:
    """Weights over the regions (..., M) to those over the K objects (..., K): the mean over an object's encodings.

    An object without a known box has one encoding alone, and so half its weight here.
    """
    masks = [attention_weights.grain == grain for grain in (1, 2)]  # (M,) each
    encodings = [weights[..., mask] for mask in masks if mask.any()]
    return torch.stack(encodings).mean(0)


# The pointing game


def pointing_game(seen: pd.DataFrame) -> pd.DataFrame:
    """Does a name point at an object that carries its answer? A row for each name that has one; `seen` as above.

    attention, occlusion  1 where the object of most attention (of greatest drop) carries the answer, 0 where it does
                          not; of objects that tie, the share that does
    chance                the share of the image's objects that do
    right                 whether the tagger gave the name its type

    After Zhang et al. 2018, Top-down neural attention by excitation backprop; with objects in the place of pixels.
    """
    games = []
    for (post, start), objects in seen.groupby(["post", "start"], sort=False):
        if objects.answer.any():
            first = objects.iloc[0]
            games.append(
                {
                    "post": post,
                    "start": start,
                    "cue": first.cue,
                    "right": first.said == first.type,
                    "attention": _points_at_answer(objects, "attention"),
                    "occlusion": _points_at_answer(objects, "drop"),
                    "chance": objects.answer.mean(),
                }
            )
    return pd.DataFrame(games)


def _points_at_answer(objects: pd.DataFrame, by: str) -> float:
    return objects.answer[objects[by] == objects[by].max()].mean()


# Figures
