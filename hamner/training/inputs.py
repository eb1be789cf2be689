"""What a run looks at: the words that a frozen text encoder reads once, visual features, and what controls put in their
place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from hamner.corpora.post import Corpus, Post
from hamner.encoders import PhraseEncoder
from hamner.escape import visible
from hamner.model.batch import Batch
from hamner.model.hamner import HamNer
from hamner.training.batching import Item, Split, length_buckets
from hamner.training.config import TrainConfig
from hamner.vision.captions import image_name, read_captions_of
from hamner.vision.features import VisualFeatures
from hamner.vision.missing import require_seen
from hamner.vision.store import FeatureStore

Words = list[tuple[Tensor, Tensor]]
"""What a frozen text encoder makes of each window of a split (`TextStage.read`)."""


def open_store(corpus: Corpus, config: TrainConfig, folder: Path, device: str, progress: bool) -> FeatureStore | None:
    """The visual features that `config` asks for, computed now where they are not there yet."""
    if config.visual is None:
        return None
    encoder = PhraseEncoder(config.model.text_encoder) if config.visual.backbone == "captions" else None
    return FeatureStore.open(corpus, config.visual, folder, encoder=encoder, device=device, progress=progress)


def appended_texts(config: TrainConfig) -> Callable[[Post], str] | None:
    """The caption that is read after a post's words, "" where it has none; None where none are to be read."""
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


def images_of(posts: Sequence[Post], store: FeatureStore, config: TrainConfig) -> Callable[[int], VisualFeatures]:
    """The visual features of a post by its number, or, for a control, what takes their place.

    `shuffled`: those of another post (which may share its image), drawn from the run's seed; each serves once.
    `blank`: an image with nothing on it, all features 0 and no object, wherever the post has an image.
    """
    if config.images == "own":
        return lambda number: store[posts[number].id]
    if config.images == "blank":
        absent = VisualFeatures.absent(store.regions, store.channels, store.max_objects)
        return lambda number: replace(absent, image_present=store[posts[number].id].image_present)
    other = exchanged(len(posts), config.seed)
    return lambda number: store[posts[other[number]].id]


def exchanged(posts: int, seed: int, share: float = 1.0) -> dict[int, int]:
    """Which post's image a post takes, for a `share` of all, drawn from `seed`: the next one in a random circle.

    So each image serves once, and none stays where it was, unless it is alone.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(posts, generator=generator).tolist()[: round(share * posts)]
    return {number: order[(place + 1) % len(order)] for place, number in enumerate(order)}


def reading_of(config: TrainConfig, wanted: dict[str, Any], device: torch.device) -> str:
    """All that `read_words` depends on in a run of identity `wanted`, so that two runs with one key read the same.

    The size of batches is part of it: their padding can change a last digit.
    """
    files = {name: sha for name, sha in wanted["inputs"].items() if name.startswith("text encoder")}
    files |= {name: wanted["inputs"].get(name) for name in config.appended}
    model = config.model.text_encoder, config.model.layers
    return repr((wanted["corpus"], files, model, config.batch_size, str(device), torch.get_num_threads()))


@torch.inference_mode()
def read_words(
    model: HamNer,
    split: Split,
    collated: Callable[[Sequence[Item]], Batch],
    config: TrainConfig,
    device: torch.device,
    progress: str | bool,
) -> Words:
    """What the frozen text encoder makes of each window: run once here, and not again in any epoch."""
    model.eval()
    plain = Split(split.windows)
    words: dict[int, tuple[Tensor, Tensor]] = {}
    numbers = length_buckets(split.lengths(), 4 * config.batch_size, None)
    for batch in tqdm(
        DataLoader(plain, batch_sampler=numbers, collate_fn=collated),
        desc=visible(f"words of {progress}"),
        disable=not progress,
        unit="batch",
    ):
        layers, embeddings = model.text.read(batch.to(device))
        for row, number in enumerate(batch.index.tolist()):
            length = len(split.windows[number].first_piece)
            words[number] = layers[row, :length].cpu().clone(), embeddings[row, :length].cpu().clone()
    return [words[number] for number in range(len(split))]
