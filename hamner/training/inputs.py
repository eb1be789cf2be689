"""The inputs of a run: visual features, captions, the features that controls put in their place, and the word vectors
of a frozen text encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hamner.corpora.post import Corpus, Post
from hamner.encoders import PhraseEncoder
from hamner.model.hamner import HamNer
from hamner.terminal import progress_bar
from hamner.training.batching import Split
from hamner.training.config import TrainConfig
from hamner.vision.captions import image_name, read_captions_of
from hamner.vision.features import VisualFeatures
from hamner.vision.missing import require_seen
from hamner.vision.store import FeatureStore

Words = list[tuple[Tensor, Tensor]]
"""The word vectors of each window of a split, from a frozen text encoder (`TextStage.read`)."""


def open_store(corpus: Corpus, config: TrainConfig, folder: Path, device: str, progress: bool) -> FeatureStore | None:
    """Open the visual features of `config`; compute those that `folder` lacks. None for a text-only model."""
    if config.visual is None:
        return None
    encoder = PhraseEncoder(config.model.text_encoder) if config.visual.backbone == "captions" else None
    return FeatureStore.open(corpus, config.visual, folder, encoder=encoder, device=device, progress=progress)


def appended_texts(config: TrainConfig) -> Callable[[Post], str] | None:
    """A function from a post to the caption that is read after its words ("" without one); None if none are read."""
    if not config.appended:
        return None
    captions = read_captions_of(config.appended)
    return lambda post: captions.get(image_name(post), "")


def posts_seen(
    posts: Sequence[Post],
    where: str,
    store: FeatureStore | None,
    appended: Callable[[Post], str] | None,
    allow_missing: float,
) -> int:
    """Count the posts that have visual features or a caption. `where` names them in the error.

    Raises MissingImagesError when more than a share `allow_missing` of them has none.
    """
    without = {} if store is None else dict(store.missing)
    if appended is not None:
        without |= {post.id: "no caption" for post in posts if appended(post) == ""}
    return require_seen(posts, without, where, allow_missing)


IN_MEMORY = 2**31
"""Bytes of features that training keeps in memory; those of further images are read from disk in each epoch."""


class KeptFeatures:
    """The standardised features of a store's posts. Each image is read and standardised once while memory lasts."""

    def __init__(self, store: FeatureStore, limit: int = IN_MEMORY) -> None:
        self._store = store
        self._left = limit
        self._kept: dict[int | None, VisualFeatures] = {}

    def __getitem__(self, post_id: str) -> VisualFeatures:
        """The post's standardised features. Raises what the store raises."""
        image = self._store.image_of(post_id)
        if image in self._kept:
            return self._kept[image]
        features = self._store[post_id].standardised()
        size = features.grid.nbytes + features.objects.nbytes
        if image is not None and size <= self._left:
            self._left -= size
            self._kept[image] = features
        return features

    def blank(self, post_id: str) -> VisualFeatures:
        """A blank image (all features 0, no object) if the post has an image, and none otherwise."""
        store = self._store
        absent = VisualFeatures.absent(store.regions, store.channels, store.max_objects)
        return replace(absent, image_present=self[post_id].image_present)


EXCHANGED = 0.2
"""Share of train's posts whose images the control `exchanged_images` exchanges (*ours*)."""


def images_of(
    posts: Sequence[Post], features: KeptFeatures, config: TrainConfig, *, train: bool
) -> Callable[[int], VisualFeatures]:
    """A function from a post's number to its visual features, or to those that a control puts in their place.

    `exchanged`: in `train`, a share EXCHANGED of the posts, drawn from the run's seed, takes the images of one another;
    all other posts, and those of other splits, have their own.
    `shuffled`: the features of another post, drawn from the run's seed; each post's features are used once.
    With both, the two posts may share one image, or a topic.
    `blank`: a blank image (all features 0, no object) wherever the post has an image.
    """
    if config.images == "blank":
        return lambda number: features.blank(posts[number].id)
    share = {"own": 0.0, "exchanged": EXCHANGED * train, "shuffled": 1.0}[config.images]
    other = exchanged(len(posts), config.seed, share)
    return lambda number: features[posts[other.get(number, number)].id]


def exchanged(posts: int, seed: int, share: float = 1.0) -> dict[int, int]:
    """Post number -> number of the post whose image it takes, for a `share` of all posts, drawn from `seed`.

    The posts stand in a random circle and each takes the next one's image: each image is used once, and no post keeps
    its own unless it is alone.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(posts, generator=generator).tolist()[: round(share * posts)]
    return {number: order[(place + 1) % len(order)] for place, number in enumerate(order)}


def reading_of(config: TrainConfig, wanted: dict[str, Any], device: torch.device) -> str:
    """A key for the result of `read_words` in a run of identity `wanted`: runs with one key have the same word vectors.

    The batch size is part of the key: padding can change a last digit.
    """
    files = {name: sha for name, sha in wanted["inputs"].items() if name.startswith("text encoder")}
    files |= {name: wanted["inputs"].get(name) for name in config.appended}
    model = config.model.text_encoder, config.model.layers
    return repr((wanted["corpus"], files, model, config.batch_size, str(device), torch.get_num_threads()))


@torch.inference_mode()
def read_words(model: HamNer, split: Split, config: TrainConfig, device: torch.device, progress: str | bool) -> Words:
    """Run the frozen text encoder once over all windows; no epoch runs it again. `progress` labels the bar."""
    model.eval()
    batches = Split(split.windows, split.pad).batches(4 * config.batch_size)
    words: dict[int, tuple[Tensor, Tensor]] = {}
    counts = f"word vectors of {progress}, batches"
    for batch in progress_bar(batches, counts=counts, unit="batch", shown=bool(progress)):
        read = model.text.once(batch.to(device))
        layers, embeddings = read.word_layers, read.word_embeddings
        assert layers is not None and embeddings is not None
        for row, number in enumerate(batch.index.tolist()):
            length = len(split.windows[number].first_piece)
            words[number] = layers[row, :length].cpu().clone(), embeddings[row, :length].cpu().clone()
    return [words[number] for number in range(len(split))]
