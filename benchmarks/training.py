"""Speed of training: `python benchmarks/training.py twitter2017 [--from DIR] [--batches 60] [--width 128]
[--device cuda]`.

Times training steps on one sample of posts and prints
- seconds with padding to the longest post of each batch, and with padding to 128 pieces as in peers' code;
- the share of a step outside the text encoder's own forward and backward pass;
- a step of the full model as a multiple of a text-only step, with random features of an image (49 regions, 8 objects)
  and of a caption that stands in for one (1 region, 8 phrases).
Run it on an idle machine. The variants take turns for three rounds; each figure is the median.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from hamner.corpora import load_corpus
from hamner.devices import existing_device
from hamner.encoders import fetch_encoder, load_tokenizer
from hamner.model.batch import Batch
from hamner.model.config import ModelConfig
from hamner.model.hamner import HamNer
from hamner.training.batching import Split, Window, length_buckets, prepare
from hamner.training.config import TrainConfig
from hamner.training.loop import build_model
from hamner.training.optimizer import Optimizer, parameter_groups
from hamner.vision.features import VisualFeatures

ROUNDS = 3
FIXED = 128
OBJECTS = 8
WIDTH = ModelConfig().width
SOURCES = {"an image": (49, 1280), "a caption": (1, 384)}
"""Input -> its regions and channels: those of efficientnet-lite0 and of a phrase encoder."""


def main(
    corpus: Annotated[str, typer.Argument(help="A known corpus or a folder.")] = "minitweets",
    root: Annotated[Path | None, typer.Option("--from", help="Read the corpus from DIR/CORPUS.")] = None,
    batches: Annotated[int, typer.Option(help="How many batches of the epoch to time.")] = 60,
    text_encoder: str = "minilm",
    width: Annotated[int | None, typer.Option(help="Channels of the model.")] = WIDTH,
    device: Annotated[str, typer.Option(help="cpu, or a GPU such as cuda.")] = "cpu",
) -> None:
    """Time training steps."""
    place = existing_device(device)
    config = TrainConfig.from_dict({"model": {"text_encoder": text_encoder, "width": width}})
    fetch_encoder(text_encoder)
    model = build_model(config.model, config.seed).to(place)
    tokenizer = load_tokenizer(text_encoder)
    split = prepare(load_corpus(corpus, root).train, model, tokenizer)
    items = split.windows
    order = length_buckets(split.lengths(), config.batch_size, seed=1)[:batches]
    optimizer = Optimizer(parameter_groups(model, config))

    def by_batch() -> Iterable[Batch]:
        return (split.batch(chosen).to(place) for chosen in order)

    def to_fixed() -> Iterable[Batch]:
        return (padded(split.batch(chosen), split.pad).to(place) for chosen in order)

    def with_vision(regions: int, channels: int) -> Callable[[], None]:
        full = build_model(replace(config.model, vision=True), config.seed, channels).to(place).train()
        of_full = Optimizer(parameter_groups(full, config))
        images = random_features(regions, channels)
        illustrated = Split(items, split.pad, lambda number: images[number % len(images)])
        return lambda: steps(full, of_full, (illustrated.batch(chosen).to(place) for chosen in order), config.clip)

    variants: dict[str, Callable[[], None]] = {
        "padding per batch": lambda: steps(model, optimizer, by_batch(), config.clip),
        f"padding to {FIXED}": lambda: steps(model, optimizer, to_fixed(), config.clip),
        "encoder alone": lambda: encoder_alone(model, by_batch()),
    } | {f"full with {name}": with_vision(*shape) for name, shape in SOURCES.items()}
    model.train()
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, variant in variants.items():
            begun = time.perf_counter()
            variant()
            if place.type == "cuda":
                torch.cuda.synchronize()  # calls return before the GPU has finished
            seconds[name].append(time.perf_counter() - begun)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    epoch = len(items) / sum(map(len, order))
    print(
        f"{corpus}, {text_encoder} on {place}, {torch.get_num_threads()} threads, "
        f"{len(order)} batches of {config.batch_size}"
    )
    print(f"pieces per post: mean {mean_length(items):.1f}, longest {max(len(item.pieces) for item in items)}")
    for name, value in median.items():
        spread = max(seconds[name]) - min(seconds[name])
        print(f"{name:>20}: {value:6.1f} s (spread {spread:.1f} s), an epoch {value * epoch:6.1f} s")
    print(f"padding per batch is {median[f'padding to {FIXED}'] / median['padding per batch']:.1f} times as fast")
    print(f"outside the encoder: {100 * (1 - median['encoder alone'] / median['padding per batch']):.1f} % of a step")
    for name in SOURCES:
        ratio = median[f"full with {name}"] / median["padding per batch"]
        print(f"a step of the full model with {name} takes {ratio:.2f} times a text-only step")


def steps(model: HamNer, optimizer: Optimizer, batches: Iterable[Batch], clip: float) -> None:
    """Run training steps as `hamner.training.loop` does."""
    for batch in batches:
        loss = model(batch).loss
        assert loss is not None
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()


def encoder_alone(model: HamNer, batches: Iterable[Batch]) -> None:
    """Run only the encoder's forward and backward pass on the same batches."""
    for batch in batches:
        assert batch.piece_mask is not None
        encoded = model.text.encoder(input_ids=batch.pieces, attention_mask=batch.piece_mask.long()).last_hidden_state
        encoded.backward(torch.ones_like(encoded))
        model.zero_grad()


def random_features(regions: int, channels: int, count: int = 64) -> list[VisualFeatures]:
    """Draw features of `count` images from a normal distribution."""
    random = np.random.default_rng(0)
    corners = np.sort(random.random((count, OBJECTS, 2, 2)), axis=2).reshape(count, OBJECTS, 4)
    return [
        VisualFeatures(
            grid=random.standard_normal((regions, channels), np.float32),
            objects=random.standard_normal((OBJECTS, channels), np.float32),
            boxes=boxes.astype(np.float32),
            classes=np.zeros(OBJECTS, np.int32),
            scores=np.ones(OBJECTS, np.float32),
            object_mask=np.ones(OBJECTS, bool),
            box_mask=np.ones(OBJECTS, bool),
            image_present=True,
        )
        for boxes in corners
    ]


def padded(batch: Batch, pad: int) -> Batch:
    """Pad the pieces of a batch to FIXED."""
    assert batch.pieces is not None and batch.piece_mask is not None
    more = max(0, FIXED - batch.pieces.shape[1])
    return replace(
        batch,
        pieces=torch.nn.functional.pad(batch.pieces, (0, more), value=pad),
        piece_mask=torch.nn.functional.pad(batch.piece_mask, (0, more), value=False),
    )


def mean_length(items: Sequence[Window]) -> float:
    """The mean number of pieces of a post, special tokens included."""
    return statistics.fmean(len(item.pieces) for item in items)


if __name__ == "__main__":
    typer.run(main)
