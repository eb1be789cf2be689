"""Training: from a corpus and a config to a run folder.

Everything random in an epoch (batch order, dropout) is drawn from generators seeded with the run's seed and the epoch's
number, and a checkpoint is written at the end of each epoch. So a killed run repeats its unfinished epoch exactly and
ends with the weights that it would have had.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from hamner.corpora.post import Corpus, Post
from hamner.corpora.tags import PROTOCOLS, TAGS
from hamner.corpora.words import marks_apart
from hamner.devices import cpu_threads
from hamner.encoders import encoder_revision, fetch_encoder, load_encoder, load_tokenizer
from hamner.errors import HamnerError
from hamner.evaluation import score, training_mentions, write_predictions
from hamner.files import file_sha256
from hamner.model.batch import Batch
from hamner.model.config import ModelConfig
from hamner.model.hamner import HamNer
from hamner.training.batching import Split, Window, collate, length_buckets, piece_limit, share_of, windows
from hamner.training.checkpoints import load_checkpoint, load_weights, read_progress, save_checkpoint, save_weights
from hamner.training.config import TrainConfig
from hamner.training.identity import encoder_sha256, identity, require_same, require_same_sums
from hamner.training.inputs import Words, appended_texts, images_of, open_store, posts_seen, read_words, reading_of
from hamner.training.runs import (
    CALIBRATION,
    RETESTS,
    Run,
    RunError,
    only_user_of,
    peak_memory,
    run_name,
    surroundings,
    write_json,
)
from hamner.vision.missing import ALLOWED_MISSING
from hamner.vision.store import FEATURES, FeatureStore

RUNS = Path("data/runs")


def build_model(
    config: ModelConfig, seed: int, channels: int = 0, classes: int = 1, revision: str | None = None
) -> HamNer:
    """The network with its pretrained encoder; all other weights are drawn from `seed`.

    `channels` and `classes` describe the visual features, as for `HamNer`; `revision` is that of an encoder on the hub.
    The caller's random numbers stay as they were.
    """
    encoder = load_encoder(config.text_encoder, revision)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the devices
        return HamNer(config, encoder, TAGS, channels, classes)


def trained_model(run: Run, device: torch.device) -> HamNer:
    """The network of a finished run with its weights, on `device`, to be used as it was tested: in the run's precision.

    Raises HamnerError when its weights are not there, or not as they were written, or when those of a frozen text
    encoder, which are not among them, have changed.
    """
    config = run.config
    revision = run.record.get("encoder_revision")
    if config.model.frozen_text:
        trained_with = run.record.get("inputs", {})
        for name, sha256 in encoder_sha256(config, revision).items():
            if trained_with.get(name, sha256) != sha256:
                raise RunError(
                    f"{run.folder} was trained with another {name} of {config.model.text_encoder} than there is now: "
                    "restore that one, or train the run again"
                )
    shape = {} if config.visual is None else run.shape
    model = build_model(config.model, config.seed, **shape, revision=revision)
    load_weights(model, run.weights, run.record.get("weights_sha256"))
    model.to(device).eval()
    if config.precision == "bf16":
        as_trained = torch.autocast(device.type, torch.bfloat16)
        model.forward = as_trained(model.forward)  # type: ignore[method-assign]
        if not config.model.frozen_text:  # what a frozen one reads is kept, and is read in float32
            model.text.read = as_trained(model.text.read)  # type: ignore[method-assign]
    return model


def parameter_groups(model: HamNer, config: TrainConfig) -> list[dict[str, Any]]:
    """Every trainable parameter, once: encoder and head at their own rates, matrices with decay, vectors without."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = config.encoder_lr if name.startswith("text.encoder.") else config.head_lr
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": members, "lr": rate, "peak_lr": rate, "weight_decay": decay}
        for (rate, decay), members in groups.items()
    ]


def warmup_then_linear(step: int, warmup: int, total: int) -> float:
    """The learning rate at `step` as a share of its peak: up over `warmup` steps, then down to 0 at `total`."""
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (total - step) / max(1, total - warmup))


def train(
    corpus: Corpus,
    config: TrainConfig | None = None,
    folder: Path | str | None = None,
    *,
    features: Path | str = FEATURES,
    progress: bool = True,
    wait: bool = False,
    threads: int | None = None,
    kept: dict[str, dict[str, Words]] | None = None,
    allow_missing: float = ALLOWED_MISSING,
) -> Run:
    """Train on `corpus`, keep the best epoch on valid, score test once, and leave a run folder.

    Visual features are kept under `features`; those that are not there yet are computed first. Training takes as many
    CPU `threads` as torch has; with 1, its result does not depend on how many cores there are. What a frozen text
    encoder reads is put into `kept`, and the next run that is given it and would read the same takes it from there: of
    many runs on one corpus only the first reads.

    A folder that already holds this run is returned as it is; one that was cut off goes on where it stopped. Under
    `accelerate launch` the same call trains on several devices.

    At most a share `allow_missing` of each split's posts may lack an image or caption.

    Raises HamnerError for what is no corpus, MissingImagesError when more posts lack an image, RunError when `folder`
    holds another run or other files, or when the loss is no number any more, and RunInUseError, unless it is to `wait`,
    when another process trains in `folder`.
    """
    if not isinstance(corpus, Corpus):
        raise HamnerError(f"train takes a corpus, not {corpus!r}: give it hamner.load_corpus(NAME OR FOLDER)")
    if not isinstance(config, TrainConfig | None):
        raise HamnerError(f"train takes a TrainConfig, not {config!r}: make one with hamner.TrainConfig(...)")
    config = config or TrainConfig()
    folder = Path(folder) if folder is not None else RUNS / run_name(corpus.name, config)
    try:
        accelerator = Accelerator(mixed_precision=config.precision)
    except ValueError as error:
        raise RunError(
            f"precision {config.precision!r} cannot be had in this process ({error}); start another"
        ) from error
    with _alone_in(folder, accelerator, wait):
        accelerator.wait_for_everyone()  # or some would not see the run that the main process waited for
        with accelerator.main_process_first():
            fetch_encoder(config.model.text_encoder)
        wanted = identity(corpus, config)
        if (folder / "run.json").exists():
            run = Run.load(folder)
            require_same(folder, run.record, wanted)
            return run
        torch.use_deterministic_algorithms(True, warn_only=True)
        # That also fills whatever memory is taken, over a thousand times a step, for the sake of code that reads what
        # it never wrote; nothing here does.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with a fixed workspace
        progress = progress and accelerator.is_main_process
        with accelerator.main_process_first():
            store = open_store(corpus, config, Path(features), str(accelerator.device), progress)
        with cpu_threads(threads):
            return _train(
                corpus,
                config,
                folder,
                store,
                accelerator,
                progress,
                wanted,
                {} if kept is None else kept,
                allow_missing,
            )


@contextmanager
def _alone_in(folder: Path, accelerator: Accelerator, wait: bool) -> Iterator[None]:
    """Hold `folder`, which must be a run's or empty, for this training; only the main process asks for it."""
    if not accelerator.is_main_process:
        yield
        return
    try:  # listed once, for another process may be putting its lock there right now
        names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    except OSError as error:
        raise RunError(f"cannot read {folder}: {error.strerror or error}; choose another folder") from error
    if names and names.isdisjoint({".lock", "run.json", "checkpoint.safetensors"}):
        raise RunError(f"{folder} holds files that are no run's, and could be overwritten: choose another folder")
    with only_user_of(folder, wait):
        # Half-written by a process that was killed, by us or by safetensors: under the lock nobody writes but us.
        for file in (*folder.glob(".*.safetensors.*"), *folder.glob(".tmp*")):
            file.unlink()
        yield


def _train(
    corpus: Corpus,
    config: TrainConfig,
    folder: Path,
    store: FeatureStore | None,
    accelerator: Accelerator,
    progress: bool,
    wanted: dict[str, Any],
    kept: dict[str, dict[str, Words]],
    allow_missing: float,
) -> Run:
    around = surroundings(accelerator.device, accelerator.num_processes)
    begun_with = around | {"features": None if store is None else store.folder.name}
    appended = appended_texts(config)
    seen = {}
    if store is not None or appended is not None:
        seen = {
            name: posts_seen(posts, f"{corpus.name} {name}", store, appended, allow_missing)
            for name, posts in corpus.splits()
        }
    begun, begun_cpu = time.perf_counter(), time.process_time()  # features are made once, and for other runs too
    shape: dict[str, Any] = {} if store is None else {"channels": store.channels, "classes": len(store.class_names)}
    model = build_model(config.model, config.seed, **shape)
    tokenizer = load_tokenizer(config.model.text_encoder)
    data = {
        name: Split(
            windows(posts, tokenizer, piece_limit(tokenizer, model.text.encoder.config), appended),
            None if store is None else images_of(posts, store, config),
        )
        for name, posts in corpus.splits()
    }
    optimizer = AdamW(parameter_groups(model, config), fused=True)
    model, optimizer = accelerator.prepare(model, optimizer)
    bare: HamNer = accelerator.unwrap_model(model)
    bare_optimizer: Optimizer = getattr(optimizer, "optimizer", optimizer)
    collated = partial(collate, pad=tokenizer.pad_token_id)
    if config.model.frozen_text:
        reading = reading_of(config, wanted, accelerator.device)
        if reading not in kept:
            kept.clear()  # of two readings there is rarely room for both
            kept[reading] = {
                name: read_words(bare, split, collated, config, accelerator.device, progress and name)
                for name, split in data.items()
            }
        for name, split in data.items():
            split.words = kept[reading][name]

    checkpoint = folder / "checkpoint.safetensors"
    state: dict[str, Any] = {"history": [], "best_epoch": 0, "best_f1": -1.0, "seconds": 0.0, "cpu_seconds": 0.0}
    if checkpoint.exists():
        begun_as = read_progress(checkpoint)
        require_same(folder, begun_as, wanted)
        require_same_sums(folder, begun_as, begun_with)
        # The best so far: found out now, if they are lost or damaged.
        load_weights(bare, folder / "model.safetensors", begun_as["state"].get("weights_sha256"))
        state = load_checkpoint(checkpoint, bare, bare_optimizer)["state"]
    else:  # what was made with weights that are now trained anew
        for file in (folder / CALIBRATION, *folder.glob(f"{RETESTS}/*.json*")):
            file.unlink(missing_ok=True)
    earlier = state["seconds"], state["cpu_seconds"]

    def batches(split: Split, seed: int | None, size: int) -> DataLoader:
        numbers = length_buckets(split.lengths(), size, seed)
        mine = share_of(numbers, accelerator.process_index, accelerator.num_processes)
        return DataLoader(split, batch_sampler=mine, collate_fn=collated)

    def predicted(name: str) -> tuple[list[list[str]], list[float] | None]:
        scoring = batches(data[name], None, 4 * config.batch_size)
        return predict(bare, scoring, data[name].windows, len(corpus[name]), accelerator.device)

    steps = len(batches(data["train"], 0, config.batch_size))
    for epoch in range(len(state["history"]) + 1, config.epochs + 1):
        epoch_begun = time.perf_counter()
        epoch_seed = 10_000 * config.seed + epoch
        set_seed(epoch_seed, device_specific=True)
        bar = tqdm(
            batches(data["train"], epoch_seed, config.batch_size),
            desc=f"epoch {epoch}/{config.epochs}",
            disable=not progress,
            unit="batch",
        )
        loss = _learn(model, optimizer, bar, accelerator, config, (epoch - 1) * steps, config.epochs * steps)
        trained = time.perf_counter()
        if not math.isfinite(loss):
            raise RunError(
                f"{folder}: the loss of epoch {epoch} is {loss}, nothing can be learnt any more; "
                "delete the folder and choose lower rates"
            )
        valid = score(_gold(corpus.valid), predicted("valid")[0]).overall.f1
        state["history"].append(
            {
                "epoch": epoch,
                "loss": loss,
                "valid_f1": valid,
                "train_seconds": round(trained - epoch_begun, 3),
                "valid_seconds": round(time.perf_counter() - trained, 3),
            }
        )
        if progress:
            tqdm.write(f"epoch {epoch}: loss {loss:.3f}, valid F1 {100 * valid:.2f}")
        if accelerator.is_main_process:
            if valid > state["best_f1"]:
                state |= {"best_f1": valid, "best_epoch": epoch}
                save_weights(bare, folder / "model.safetensors")
                state["weights_sha256"] = file_sha256(folder / "model.safetensors")
            state["seconds"] = earlier[0] + time.perf_counter() - begun
            state["cpu_seconds"] = earlier[1] + time.process_time() - begun_cpu
            save_checkpoint(checkpoint, bare, bare_optimizer, wanted | begun_with | {"state": state})
        accelerator.wait_for_everyone()

    load_weights(bare, folder / "model.safetensors")
    tags = {"valid": predicted("valid")[0]}
    tags["test"], relevance = predicted("test")
    record = wanted | {
        "sources": config.field_sources(),
        **around,
        **({"encoder_revision": of_hub} if (of_hub := encoder_revision(config.model.text_encoder)) else {}),
        "features": {} if store is None else shape | {"class_names": store.class_names, "store": store.folder.name},
        "seen_posts": seen,
        "marks_apart": marks_apart(corpus.train),
        "history": state["history"],
        "best_epoch": state["best_epoch"],
        "seconds": round(earlier[0] + time.perf_counter() - begun, 1),
        "cpu_seconds": round(earlier[1] + time.process_time() - begun_cpu, 1),
        "peak_memory_bytes": peak_memory(),
        "weights_sha256": file_sha256(folder / "model.safetensors"),
        "parameters": sum(parameter.numel() for parameter in bare.parameters()),
        "scores": _scores(corpus, tags),
    }
    if accelerator.is_main_process:
        ids = [post.id for post in corpus.test]
        judged = None if relevance is None else dict(zip(ids, relevance, strict=True))
        write_predictions(folder / "predictions.jsonl", dict(zip(ids, tags["test"], strict=True)), judged)
        write_json(record, folder / "run.json")
        checkpoint.unlink(missing_ok=True)
    accelerator.wait_for_everyone()
    return Run.load(folder)


def _learn(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Batch],
    accelerator: Accelerator,
    config: TrainConfig,
    done: int,
    total: int,
) -> float:
    """One epoch, after `done` of `total` steps; its mean loss."""
    model.train()
    losses = []
    for step, batch in enumerate(batches, start=done):
        share = warmup_then_linear(step, int(config.warmup * total), total)
        for group in optimizer.param_groups:
            group["lr"] = share * group["peak_lr"]
        loss = model(batch.to(accelerator.device)).loss
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    return accelerator.reduce(torch.stack(losses).mean(), "mean").item()


def _scores(corpus: Corpus, tags: dict[str, list[list[str]]]) -> dict[str, dict[str, Any]]:
    """Split -> protocol -> what `score` finds in these tags."""
    mentions = training_mentions(corpus.train)
    return {
        name: {
            protocol: score(_gold(corpus[name]), found, protocol, posts=corpus[name], mentions=mentions).to_dict()
            for protocol in PROTOCOLS
        }
        for name, found in tags.items()
    }


def _gold(posts: Sequence[Post]) -> list[tuple[str, ...]]:
    return [post.tags for post in posts if post.tags is not None]


@torch.inference_mode()
def predict(
    model: HamNer, batches: Iterable[Batch], items: Sequence[Window], posts: int, device: torch.device | str = "cpu"
) -> tuple[list[list[str]], list[float] | None]:
    """Tags of each post, those of its windows put together again, and its image's relevance.

    The second is None of a model that does not judge images. Of several windows of a post, which judge one image by
    different words, the greatest relevance counts.
    """
    model.eval()
    found: list[tuple[int, list[int], float | None]] = []
    for batch in batches:
        output = model(batch.to(device))
        rho = [None] * len(batch.index) if output.relevance is None else output.relevance.tolist()
        decoded = model.decoder.decode(output.emissions, output.word_mask)
        found += zip(batch.index.tolist(), decoded, rho, strict=True)
    of_window = {number: (path, rho) for number, path, rho in gather_object(found)}
    tags: list[list[str]] = [[] for _ in range(posts)]
    relevance = [0.0] * posts
    for number, item in enumerate(items):
        path, rho = of_window[number]
        tags[item.post] += [model.decoder.tags[i] for i in path]
        relevance[item.post] = max(relevance[item.post], rho or 0.0)
    return tags, relevance if model.config.vision and model.config.relevance else None
