"""Speed of training: `python benchmarks/training.py twitter2017 [--from DIR] [--batches 60]`.

Prints, for one and the same sample of posts,
- seconds with padding to the longest post of each batch, and with padding to 128 pieces as peers do it;
- which share of a training step goes to anything but the text encoder's own forward and backward pass.
Run it on an idle machine. Each figure is the median of three rounds, in which the variants take turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch.optim import AdamW

from hamner.corpora import load_corpus
from hamner.model.batch import Batch
from hamner.model.hamner import HamNer
from hamner.model.text import load_tokenizer
from hamner.training.batching import Split, Window, collate, length_buckets, piece_limit, windows
from hamner.training.config import TrainConfig
from hamner.training.loop import build_model, parameter_groups

ROUNDS = 3
FIXED = 128


def main(
    corpus: Annotated[str, typer.Argument(help="A known corpus or a folder.")] = "minitweets",
    root: Annotated[Path | None, typer.Option("--from", help="Read the corpus from DIR/CORPUS.")] = None,
    batches: Annotated[int, typer.Option(help="How many batches of the epoch to time.")] = 60,
    text_encoder: str = "minilm",
) -> None:
    """Time training steps."""
    config = TrainConfig.from_dict({"model": {"text_encoder": text_encoder}})
    model = build_model(config.model, config.seed)
    tokenizer = load_tokenizer(text_encoder)
    items = windows(load_corpus(corpus, root).train, tokenizer, piece_limit(tokenizer, model.text.encoder.config))
    split = Split(items)
    order = length_buckets(split.lengths(), config.batch_size, seed=1)[:batches]
    optimizer = AdamW(parameter_groups(model, config), fused=True)
    pad = tokenizer.pad_token_id

    def by_batch() -> Iterable[Batch]:
        return (collate([split[i] for i in chosen], pad) for chosen in order)

    def to_fixed() -> Iterable[Batch]:
        return (padded(collate([split[i] for i in chosen], pad), pad) for chosen in order)

    variants: dict[str, Callable[[], None]] = {
        "padding per batch": lambda: steps(model, optimizer, by_batch(), config.clip),
        f"padding to {FIXED}": lambda: steps(model, optimizer, to_fixed(), config.clip),
        "encoder alone": lambda: encoder_alone(model, by_batch()),
    }
    model.train()
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, variant in variants.items():
            begun = time.perf_counter()
            variant()
            seconds[name].append(time.perf_counter() - begun)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    epoch = len(items) / sum(map(len, order))
    print(f"{corpus}, {text_encoder}, {torch.get_num_threads()} threads, {len(order)} batches of {config.batch_size}")
    print(f"pieces per post: mean {mean_length(items):.1f}, longest {max(len(item.pieces) for item in items)}")
    for name, value in median.items():
        spread = max(seconds[name]) - min(seconds[name])
        print(f"{name:>20}: {value:6.1f} s (spread {spread:.1f} s), an epoch {value * epoch:6.1f} s")
    print(f"padding per batch is {median[f'padding to {FIXED}'] / median['padding per batch']:.1f} times as fast")
    print(f"outside the encoder: {100 * (1 - median['encoder alone'] / median['padding per batch']):.1f} % of a step")


def steps(model: HamNer, optimizer: AdamW, batches: Iterable[Batch], clip: float) -> None:
    """Training steps as in `hamner.training.loop`."""
    for batch in batches:
        loss = model(batch).loss
        assert loss is not None
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()


def encoder_alone(model: HamNer, batches: Iterable[Batch]) -> None:
    """The encoder's forward and backward pass on the same batches, and nothing else."""
    for batch in batches:
        assert batch.piece_mask is not None
        encoded = model.text.encoder(input_ids=batch.pieces, attention_mask=batch.piece_mask.long()).last_hidden_state
        encoded.backward(torch.ones_like(encoded))
        model.zero_grad()


def padded(batch: Batch, pad: int) -> Batch:
    """The batch with its pieces padded to FIXED."""
    assert batch.pieces is not None and batch.piece_mask is not None
    more = max(0, FIXED - batch.pieces.shape[1])
    return replace(
        batch,
        pieces=torch.nn.functional.pad(batch.pieces, (0, more), value=pad),
        piece_mask=torch.nn.functional.pad(batch.piece_mask, (0, more), value=False),
    )


def mean_length(items: list[Window]) -> float:
    """Mean number of pieces, special tokens included."""
    return statistics.fmean(len(item.pieces) for item in items)


if __name__ == "__main__":
    typer.run(main)
