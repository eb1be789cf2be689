"""Training: from a corpus and a config to a run folder.

Everything random in an epoch (batch order, dropout) is drawn from generators seeded with the run's seed and the number
of the epoch. A checkpoint is written at the end of each epoch, so a killed run repeats only its unfinished epoch and
ends with exactly the same weights.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed
from torch import nn
from transformers import PreTrainedModel

from hamner.corpora.post import Corpus, Post
from hamner.corpora.tags import PROTOCOLS, TAGS, tags_of
from hamner.corpora.words import marks_apart
from hamner.devices import autocast_of, choose_device, cpu_threads, deterministic
from hamner.encoders import encoder_revision, fetch_encoder, load_encoder, load_tokenizer
from hamner.errors import HamnerError
from hamner.evaluation import score, training_mentions, write_predictions
from hamner.files import file_sha256
from hamner.model.batch import Batch
from hamner.model.config import ModelConfig
from hamner.model.hamner import HamNer
from hamner.model.lexicon import Lexicon
from hamner.terminal import echo, progress_bar
from hamner.training.batching import Split, Window, prepare
from hamner.training.checkpoints import (
    Progress,
    learned_state,
    load_checkpoint,
    load_learned_state,
    load_weights,
    mismatch,
    read_progress,
    read_weights,
    require_utf8,
    save_checkpoint,
    save_weights,
)
from hamner.training.config import TrainConfig
from hamner.training.convergence import convergence, falls_from, last_epoch, rate_at
from hamner.training.identity import (
    encoder_sha256,
    extensions_of,
    flat,
    identity,
    require_extensions_of,
    require_recordable,
    require_same,
    require_same_sums,
)
from hamner.training.inputs import (
    KeptFeatures,
    Words,
    appended_texts,
    images_of,
    open_store,
    posts_seen,
    read_words,
    reading_of,
)
from hamner.training.lexicons import lexicon_of, lexicon_sha256, read_lexicon, write_lexicon
from hamner.training.optimizer import Optimizer, parameter_groups
from hamner.training.runs import (
    CALIBRATION,
    RETESTS,
    Run,
    RunError,
    only_user_of,
    peak_memory,
    remove_leftovers,
    remove_weights_but,
    require_room,
    reset_peak_memory,
    run_name,
    surroundings,
    write_json,
)
from hamner.training.trackers import options_of, tracked
from hamner.vision.missing import ALLOWED_MISSING
from hamner.vision.store import FEATURES, FeatureStore

CHECKPOINT = "checkpoint.safetensors"

RUNS = Path("data/runs")


def build_model(
    config: ModelConfig,
    seed: int,
    channels: int = 0,
    classes: int = 1,
    revision: str | None = None,
    tags: tuple[str, ...] = TAGS,
    lexicon: Lexicon | None = None,
) -> HamNer:
    """The network with its pretrained encoder, or over a `lexicon`; all other weights are drawn from `seed`.

    `channels` and `classes` describe the visual features, as for `HamNer`; `revision` is that of an encoder on the hub.
    `tags` are the BIO tags that it gives, those of the corpus. The caller's random numbers stay as they were.
    """
    source = load_encoder(config.text_encoder, revision) if lexicon is None else lexicon
    return _drawn(config, source, tags, seed, channels, classes)


def _drawn(
    config: ModelConfig,
    source: PreTrainedModel | Lexicon,
    tags: tuple[str, ...],
    seed: int,
    channels: int = 0,
    classes: int = 1,
) -> HamNer:
    """The network over a text encoder or a lexicon, with all other weights drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the devices
        return HamNer(config, source, tags, channels, classes)


def _outline(
    config: ModelConfig,
    source: PreTrainedModel | Lexicon,
    tags: tuple[str, ...],
    channels: int = 0,
    classes: int = 1,
) -> HamNer:
    """The network over a text encoder or a lexicon with shapes alone: its other weights take no memory."""
    with torch.device("meta"):
        return HamNer(config, source, tags, channels, classes)


def trained_model(run: Run, device: torch.device) -> HamNer:
    """The network of a finished run with its weights, on `device`, in eval mode.

    Call it within `autocast_of(run.config.precision, device)`, the precision in which it was trained and tested.

    Raises HamnerError if the weights are missing or changed, or if those of a text encoder that was frozen or adapted,
    which lie outside the run's folder, have changed.
    """
    config = run.config
    require_extensions_of(run)
    revision = run.record.get("encoder_revision")
    if run.record["weights_sha256"] is None:
        raise RunError(f"the weights of {run.folder} were not kept: train the run into another folder")
    if config.model.frozen_text or config.model.adapter_rank:
        for name, sha256 in encoder_sha256(config, revision).items():
            if run.record["inputs"].get(name, sha256) != sha256:
                raise RunError(
                    f"{run.folder} was trained with another {name} of {config.model.text_encoder} than there is now: "
                    "restore that file, or train the run again"
                )
    shape, tags = {} if config.visual is None else run.shape, tags_of(run.types)
    source = read_lexicon(run) or load_encoder(config.model.text_encoder, revision)
    state = read_weights(run.weights, run.record["weights_sha256"])
    if unlike := mismatch(_outline(config.model, source, tags, **shape), state):  # before the network takes memory
        raise RunError(
            f"{run.folder / 'run.json'}: its settings describe another model than {run.weights.name} holds: {unlike}; "
            "restore run.json, or train the run again"
        )
    model = _drawn(config.model, source, tags, config.seed, **shape)
    load_learned_state(model, state, run.weights)
    return model.to(device).eval()


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
    device: str | None = None,
    track: Sequence[str] = (),
) -> Run:
    """Train on `corpus`, keep the best epoch on valid, score test once, and write a run folder.

    A folder that already holds this run is returned as it is; an unfinished run continues. Under `accelerate launch`
    the same call trains on several devices.

    Args:
        corpus: the corpus, see `hamner.load_corpus`
        config: the settings; by default those of a text-only model
        folder: the run's folder; by default data/runs/NAME
        features: where visual features are kept; missing ones are computed first
        progress: whether to show bars
        wait: whether to wait for another process that trains in `folder`
        threads: CPU threads; by default as many as torch has. With 1 the result does not depend on the number of cores
        kept: word vectors of a frozen text encoder, shared between runs: the first run fills it, the next reuse it
        allow_missing: the share of each split's posts that may lack an image or caption
        device: cpu, or a GPU such as cuda; by default a GPU if there is one
        track: trackers of experiments that are told of each epoch, such as tensorboard or wandb (`trackers.py`)

    Raises:
        RunError: `folder` holds another run or other files, or cannot hold this one, or the loss is no longer finite
        RunInUseError: another process trains in `folder`, and `wait` is False
        MissingImagesError: more posts of a split lack an image or caption
        HamnerError: the corpus, the features or a setting is wrong
    """
    if not isinstance(corpus, Corpus):
        raise HamnerError(f"train takes a corpus, not {corpus!r}: give it hamner.load_corpus(NAME OR FOLDER)")
    if not isinstance(config, TrainConfig | None):
        raise HamnerError(f"train takes a TrainConfig, not {config!r}: make one with hamner.TrainConfig(...)")
    config = config or TrainConfig()
    folder = Path(folder) if folder is not None else RUNS / run_name(corpus.name, config)
    accelerator = _accelerator(device, track, folder)
    if config.model.words == "pretrained":
        with accelerator.main_process_first():
            fetch_encoder(config.model.text_encoder)  # its files are part of the run's identity
    task = _Task(corpus, config, folder, accelerator, identity(corpus, config), progress, allow_missing)
    require_utf8(folder)
    require_recordable(folder, task.identity)
    if (run := _finished(task)) is not None and not os.path.exists(folder / CHECKPOINT):
        return run  # without the lock: the folder may be on a read-only disk
    with _alone_in(folder, accelerator, wait), deterministic():
        accelerator.wait_for_everyone()  # or some would not see the run that the main process waited for
        if (run := _finished(task)) is not None:
            return run
        with tracked(accelerator, flat(config.to_dict()), folder):
            with accelerator.main_process_first():
                store = open_store(corpus, config, Path(features), str(accelerator.device), task.shows_bars)
            with cpu_threads(threads):
                prepared = _prepare(task, store, {} if kept is None else kept)
                return _record(task, prepared, _fit(task, prepared))


def _accelerator(device: str | None, track: Sequence[str], folder: Path) -> Accelerator:
    if device is not None:
        choose_device(device)
    try:
        accelerator = Accelerator(mixed_precision="no", **options_of(track, folder))  # the precision is `autocast_of`
    except ValueError as error:
        raise RunError(f"this process has used accelerate with other settings ({error}); start another") from error
    if device is not None and accelerator.device != torch.device(device):
        raise RunError(f"this process has used accelerate on {accelerator.device}: start another to train on {device}")
    return accelerator


@dataclass(frozen=True)
class _Task:
    """What is to be trained, where and by which processes. `identity` makes it this run and no other.

    At most a share `allow_missing` of a split's posts may lack an image or caption.
    """

    corpus: Corpus
    config: TrainConfig
    folder: Path
    accelerator: Accelerator
    identity: dict[str, Any]
    progress: bool
    allow_missing: float

    @property
    def is_main(self) -> bool:
        return self.accelerator.is_main_process

    @property
    def shows_bars(self) -> bool:
        return self.progress and self.is_main


@dataclass
class _Prepared:
    """All that an epoch needs.

    model    the network as the accelerator wraps it; `network` is the same without the wrapper
    splits   train, valid and test as the network takes them
    record   the part of the run's record that is known before training
    begun    seconds and CPU seconds at which this process began
    earlier  seconds and CPU seconds of the processes that worked on the run before
    lexicon  the words and letters of train, for a model that reads them
    """

    model: nn.Module
    network: HamNer
    optimizer: Optimizer
    splits: dict[str, Split]
    record: dict[str, Any]
    begun: tuple[float, float]
    earlier: tuple[float, float] = (0.0, 0.0)
    lexicon: Lexicon | None = None


def _finished(task: _Task) -> Run | None:
    """The run, if the folder holds it already. Raises RunError if it holds another one."""
    if not os.path.exists(task.folder / "run.json"):  # False for a name that is too long or unreadable as well
        return None
    run = Run.load(task.folder)
    require_same(task.folder, run.record, task.identity)
    return run


@contextmanager
def _alone_in(folder: Path, accelerator: Accelerator, wait: bool) -> Iterator[None]:
    """Hold `folder`, which must be empty or a run's, for this training; only the main process takes the lock."""
    if not accelerator.is_main_process:
        yield
        return
    try:  # listed once: another process may create its lock at this moment
        names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    except OSError as error:
        raise RunError(f"cannot read {folder}: {error.strerror or error}; choose another folder") from error
    if names and names.isdisjoint({".lock", "run.json", CHECKPOINT}):
        raise RunError(f"{folder} holds files that are no run's, and could be overwritten: choose another folder")
    with only_user_of(folder, wait):
        remove_leftovers(folder)
        if (folder / "run.json").exists():  # killed after the record was written
            (folder / CHECKPOINT).unlink(missing_ok=True)
        yield


def _prepare(task: _Task, store: FeatureStore | None, kept: dict[str, dict[str, Words]]) -> _Prepared:
    """Build the network, its optimizer and the three splits, and check that the folder can hold the run."""
    corpus, config, device = task.corpus, task.config, task.accelerator.device
    appended = appended_texts(config)
    seen = {}
    if store is not None or appended is not None:
        seen = {
            name: posts_seen(posts, f"{corpus.name} {name}", store, appended, task.allow_missing)
            for name, posts in corpus.splits()
        }
    begun = time.perf_counter(), time.process_time()  # without the features, which other runs use too
    reset_peak_memory()
    shape: dict[str, Any] = {} if store is None else {"channels": store.channels, "classes": len(store.class_names)}
    lexicon = lexicon_of(corpus, config)
    source = lexicon or load_encoder(config.model.text_encoder)
    if task.is_main:  # before the network takes memory
        outline = _outline(config.model, source, corpus.tags, **shape)
        require_room(task.folder, sum(tensor.nbytes for tensor in learned_state(outline).values()))
    model = _drawn(config.model, source, corpus.tags, config.seed, **shape)
    tokenizer = lexicon or load_tokenizer(config.model.text_encoder)
    splits = {}
    features = None if store is None else KeptFeatures(store)  # of all splits: they share images
    for name, posts in corpus.splits():
        of_posts = None if features is None else images_of(posts, features, config, train=name == "train")
        splits[name] = prepare(posts, model, tokenizer, of_posts, appended)
    optimizer = Optimizer(parameter_groups(model, config))
    wrapped, optimizer = task.accelerator.prepare(model, optimizer)
    network: HamNer = task.accelerator.unwrap_model(wrapped)
    _attach_words(task, network, splits, kept)
    record = task.identity | {
        "types": list(corpus.types),
        "sources": config.field_sources(),
        **surroundings(device, task.accelerator.num_processes),
        **({"extensions": from_outside} if (from_outside := _extensions(config)) else {}),
        **_origin_of_words(config, lexicon),
        "features": {} if store is None else shape | {"class_names": store.class_names, "store": store.folder.name},
        "seen_posts": seen,
        "marks_apart": marks_apart(corpus.train),
    }
    if task.is_main:
        require_recordable(task.folder, record)
    inner = getattr(optimizer, "optimizer", optimizer)
    return _Prepared(wrapped, network, inner, splits, record, begun, lexicon=lexicon)


def _origin_of_words(config: TrainConfig, lexicon: Lexicon | None) -> dict[str, str]:
    """What a record says about the source of words: the commit of an encoder on the hub, or a lexicon's SHA-256."""
    if lexicon is not None:
        return {"lexicon_sha256": lexicon_sha256(lexicon)}
    revision = encoder_revision(config.model.text_encoder)
    return {"encoder_revision": revision} if revision else {}


def _extensions(config: TrainConfig) -> dict[str, dict[str, str]]:
    """Name, module, version and SHA-256 of each class from outside the package."""
    return {kind: each.to_dict() for kind, each in extensions_of(config).items()}


def _attach_words(task: _Task, network: HamNer, splits: dict[str, Split], kept: dict[str, dict[str, Words]]) -> None:
    """Give the splits the word vectors of a frozen text encoder, read now or by an earlier run."""
    if not task.config.model.frozen_text or task.config.model.words != "pretrained":
        return
    device = task.accelerator.device
    reading = reading_of(task.config, task.identity, device)
    if reading not in kept:
        kept.clear()  # memory rarely holds two readings
        kept[reading] = {
            name: read_words(network, split, task.config, device, task.shows_bars and name)
            for name, split in splits.items()
        }
    for name, split in splits.items():
        split.words = kept[reading][name]


def _fit(task: _Task, prepared: _Prepared) -> Progress:
    """Train all epochs that are left, with a checkpoint after each; returns the progress after the last."""
    begun_with = {name: prepared.record[name] for name in ("versions", "machine")}
    begun_with["features"] = prepared.record["features"].get("store")
    state = _resumed(task, prepared, begun_with)
    prepared.earlier = state.seconds, state.cpu_seconds
    while len(state.history) < last_epoch(_valid_f1(state), task.config):
        epoch = len(state.history) + 1
        state.history.append(_epoch(task, prepared, _valid_f1(state)))
        task.accelerator.log({name: state.history[-1][name] for name in ("loss", "valid_f1")}, step=epoch)
        improved = state.history[-1]["valid_f1"] > state.best_f1
        if improved:
            state.best_f1, state.best_epoch = float(state.history[-1]["valid_f1"]), epoch
            state.weights = f"model-epoch{epoch}.safetensors"
        state.seconds, state.cpu_seconds = _spent(prepared)
        if task.is_main:
            if improved:
                save_weights(prepared.network, task.folder / state.weights, task.config.half_weights)
                state.weights_sha256 = file_sha256(task.folder / state.weights)
            checkpoint = task.folder / CHECKPOINT
            save_checkpoint(checkpoint, prepared.network, prepared.optimizer, state, task.identity | begun_with)
            remove_weights_but(state.weights, task.folder)
        task.accelerator.wait_for_everyone()
    return state


def _valid_f1(state: Progress) -> list[float]:
    return [float(epoch["valid_f1"]) for epoch in state.history]


def _spent(prepared: _Prepared) -> tuple[float, float]:
    """Seconds and CPU seconds of the whole run so far, in this process and in those before it."""
    now = time.perf_counter(), time.process_time()
    seconds, cpu_seconds = (
        before + end - begin for before, begin, end in zip(prepared.earlier, prepared.begun, now, strict=True)
    )
    return seconds, cpu_seconds


def _resumed(task: _Task, prepared: _Prepared, begun_with: dict[str, Any]) -> Progress:
    """The progress of the folder's checkpoint, restored with its weights; without one, that of a new run."""
    checkpoint = task.folder / CHECKPOINT
    if not checkpoint.exists():
        if task.is_main:  # made with weights that are now trained again
            for file in (task.folder / CALIBRATION, *task.folder.glob(f"{RETESTS}/*.json*")):
                file.unlink(missing_ok=True)
        return Progress()
    state, begun_as = read_progress(checkpoint)
    require_same(task.folder, begun_as, task.identity)
    require_same_sums(task.folder, begun_as, begun_with)
    # Missing or damaged weights are an error now, and not after the last epoch.
    load_weights(prepared.network, _best_weights(task.folder, state), state.weights_sha256)
    load_checkpoint(checkpoint, prepared.network, prepared.optimizer)
    return state


def _best_weights(folder: Path, state: Progress) -> Path:
    """The file of the best epoch's weights: a process that was killed at the very end had renamed it already."""
    named = folder / state.weights
    return named if named.exists() else folder / "model.safetensors"


def _epoch(task: _Task, prepared: _Prepared, valid_f1: list[float]) -> dict[str, int | float]:
    """Train the epoch after those whose F1 on valid is given, and score valid; returns its entry in the history."""
    epoch = len(valid_f1) + 1
    config, accelerator = task.config, task.accelerator
    begun = time.perf_counter()
    seed = 10_000 * config.seed + epoch
    set_seed(seed, device_specific=True)
    share = accelerator.process_index, accelerator.num_processes
    batches = prepared.splits["train"].batches(config.batch_size, seed, *share)
    counts = f"epoch {epoch}/{config.epochs}, batches"
    bar = progress_bar(batches, counts=counts, unit="batch", shown=task.shows_bars)
    steps = len(batches)
    warmup = int(config.warmup * config.epochs * steps)
    falls = (falls_from(valid_f1, config) - 1) * steps
    rate = partial(rate_at, warmup=warmup, falls=falls, end=last_epoch(valid_f1, config) * steps)
    loss = _learn(task, prepared, bar, (rate(step) for step in count((epoch - 1) * steps)))
    trained = time.perf_counter()
    if not math.isfinite(loss):
        raise RunError(
            f"{task.folder}: the loss of epoch {epoch} is {loss}, and training cannot continue; "
            "delete the folder and choose lower learning rates"
        )
    valid = score(_gold(task.corpus.valid), _predicted(task, prepared, "valid")[0]).overall.f1
    if task.shows_bars:
        echo(f"epoch {epoch}: loss {loss:.3f}, valid F1 {100 * valid:.2f}")
    return {
        "epoch": epoch,
        "loss": loss,
        "valid_f1": valid,
        "train_seconds": round(trained - begun, 3),
        "valid_seconds": round(time.perf_counter() - trained, 3),
    }


def _learn(task: _Task, prepared: _Prepared, batches: Iterable[Batch], rates: Iterable[float]) -> float:
    """Take the steps of one epoch with these learning rates, as shares of the peak; returns the mean loss."""
    config, accelerator, optimizer = task.config, task.accelerator, prepared.optimizer
    prepared.model.train()
    losses = []
    for batch, share in zip(batches, rates, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = share * group["peak_lr"]
        with autocast_of(config.precision, accelerator.device):
            loss = prepared.model(batch.to(accelerator.device)).loss
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(prepared.model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    return accelerator.reduce(torch.stack(losses).mean(), "mean").item()


def _predicted(task: _Task, prepared: _Prepared, name: str) -> tuple[list[list[str]], list[float] | None]:
    """Tags and relevance of each post of the split `name`, see `predict`."""
    accelerator, split = task.accelerator, prepared.splits[name]
    share = accelerator.process_index, accelerator.num_processes
    batches = split.batches(4 * task.config.batch_size, None, *share)
    with autocast_of(task.config.precision, accelerator.device):
        return predict(prepared.network, batches, split.windows, len(task.corpus[name]), accelerator.device)


def _record(task: _Task, prepared: _Prepared, state: Progress) -> Run:
    """Score the best epoch, write predictions and run.json, and remove what only an unfinished run needs."""
    folder = task.folder
    best = _best_weights(folder, state)
    load_weights(prepared.network, best)
    tags = {"valid": _predicted(task, prepared, "valid")[0]}
    tags["test"], relevance = _predicted(task, prepared, "test")
    scores = _scores(task.corpus, tags)
    task.accelerator.log({"test_f1": scores["test"]["seqeval"]["overall"]["f1"]}, step=len(state.history))
    if task.is_main:
        run = Run(folder, {})
        seconds, cpu_seconds = _spent(prepared)
        os.replace(best, run.weights)
        if prepared.lexicon is not None:
            write_lexicon(prepared.lexicon, run)
        ids = [post.id for post in task.corpus.test]
        judged = None if relevance is None else dict(zip(ids, relevance, strict=True))
        write_predictions(run.predictions, dict(zip(ids, tags["test"], strict=True)), judged, task.corpus.types)
        record = prepared.record | {
            "history": state.history,
            "best_epoch": state.best_epoch,
            **convergence(_valid_f1(state), task.config)._asdict(),
            "seconds": round(seconds, 1),
            "cpu_seconds": round(cpu_seconds, 1),
            "peak_memory_bytes": peak_memory(),
            "weights_sha256": state.weights_sha256,
            "parameters": sum(parameter.numel() for parameter in prepared.network.parameters()),
            "trained_parameters": sum(
                parameter.numel() for parameter in prepared.network.parameters() if parameter.requires_grad
            ),
            "scores": scores,
        }
        write_json(record, folder / "run.json")
        (folder / CHECKPOINT).unlink(missing_ok=True)
        remove_weights_but("", folder)
    task.accelerator.wait_for_everyone()
    return Run.load(folder)


def _scores(corpus: Corpus, tags: dict[str, list[list[str]]]) -> dict[str, dict[str, Any]]:
    """Split -> protocol -> what `score` finds in these tags."""
    mentions = training_mentions(corpus.train)
    return {
        name: {
            protocol: score(
                _gold(corpus[name]), found, protocol, posts=corpus[name], mentions=mentions, types=corpus.types
            ).to_dict()
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

    The second is None if the model has no relevance stage. Of several windows of a post, the greatest relevance counts.
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
    judged = model.config.relevance and all(rho is not None for _, rho in of_window.values())
    return tags, relevance if judged else None
