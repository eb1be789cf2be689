"""A run is a folder: run.json, predictions.jsonl, model.safetensors."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout

from hamner.corpora.post import Corpus
from hamner.corpora.registry import IMAGES
from hamner.errors import HamnerError
from hamner.files import file_sha256, written_whole
from hamner.images import ImageError, image_sha256
from hamner.model.text import encoder_weights
from hamner.training.config import TrainConfig
from hamner.training.rows import row_of_run
from hamner.vision.features import ANNOTATIONS, digest

CALIBRATION = "calibration.json"
RETESTS = "retests"
"""What a run's folder may also hold, made with its weights: a temperature, and predictions on other tests."""

LIBRARIES = ("hamner", "torch", "transformers", "pytorch-crf", "seqeval", "accelerate", "numpy")


class RunError(HamnerError):
    """A run folder is missing, damaged, in use, or holds another run."""


class RunInUseError(RunError):
    """Another process is at work in this folder."""


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and what its run.json says."""

    folder: Path
    record: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read a run folder. Raises RunError when it holds no finished run."""
        path = Path(folder) / "run.json"
        if os.path.isfile(folder):
            raise RunError(f"{folder} is a file: name the run's folder")
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(f"no finished run in {folder}: it has no run.json") from error
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{path} cannot be read ({error}); delete it and run again") from error
        wrong = _wrong_in(record)
        if wrong:
            raise RunError(
                f"{path} is no run record: it lacks {', '.join(wrong)}; restore it, or delete the folder and train "
                "the run again"
            )
        return cls(Path(folder), record)

    @property
    def config(self) -> TrainConfig:
        """The run's settings. Raises RunError when this version of the package does not know them."""
        try:
            return TrainConfig.from_dict(self.record["config"])
        except HamnerError as error:
            raise RunError(f"{self.folder / 'run.json'}: {error}; was it written by another version?") from error

    @property
    def shape(self) -> dict[str, int]:
        """The `channels` and `classes` of the visual features that the run was trained on. Raises RunError without."""
        features = self.record.get("features")
        shape: dict[str, Any] = {}
        if isinstance(features, dict):
            shape = {name: features.get(name) for name in ("channels", "classes")}
        if not shape or not all(isinstance(count, int) and count > 0 for count in shape.values()):
            raise RunError(f"{self.folder / 'run.json'} does not say what features the run looks at: train it again")
        return shape

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions.jsonl"

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    def f1(self, split: str = "test", protocol: str = "seqeval") -> float:
        """Micro F1, a fraction."""
        return self.record["scores"][split][protocol]["overall"]["f1"]


KINDS = {
    "config": dict, "corpus": dict, "corpus.name": str, "corpus.sha256": dict, "best_epoch": int, "scores": dict,
    "scores.valid.seqeval.overall.f1": float, "scores.test.seqeval.overall.f1": float,
}  # fmt: skip
"""What every record has, and of which kind it is."""

KINDS_OF_SOME = {"inputs": dict, "features": dict, "marks_apart": list}
"""What records have, but not the oldest ones."""


def _wrong_in(record: Any) -> list[str]:
    """What a record lacks, or has of another kind; of several parts of one thing the first."""
    wrong: list[str] = []
    for name, kind in (KINDS | KINDS_OF_SOME).items():
        value = record
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        old = name in KINDS_OF_SOME and isinstance(record, dict) and name not in record
        if not isinstance(value, kind) and not old and not any(name.startswith(f"{part}.") for part in wrong):
            wrong.append(name)
    return wrong


def encoder_name(config: TrainConfig) -> str:
    """How folders and tables name the text encoder: the last part of its name or path."""
    return Path(config.model.text_encoder).name


def run_name(corpus: str, config: TrainConfig) -> str:
    """CORPUS-ROW-ENCODER-seedN, with the visual source after the encoder where there is one."""
    parts = [corpus, row_of_run(config), encoder_name(config)]
    if config.visual is not None or config.appended:
        parts.append("captions" if config.visual is None else config.visual.backbone)
    return "-".join([*parts, f"seed{config.seed}"])


def identity(corpus: Corpus, config: TrainConfig) -> dict[str, Any]:
    """What makes two runs the same run: settings and data; what the files hold of captions, of images, of
    annotations, of the list that says whose image is whose, and of a text encoder's weights.
    """
    for name in config.captions:  # else they would seem to be others than a finished run's
        if not os.path.isfile(name):
            raise RunError(f"{name}: no such file; give the path of the captions")
    files = {name: Path(name) for name in config.captions}
    if config.visual is not None and not config.captions:
        files[IMAGES] = corpus.folder / IMAGES
    if config.visual is not None and config.visual.objects == "annotations":
        files[ANNOTATIONS] = corpus.folder / ANNOTATIONS
    # One that is not there is reported by whoever reads it.
    inputs = {name: file_sha256(file) for name, file in files.items() if os.path.isfile(file)}
    inputs |= encoder_sha256(config)
    if config.visual is not None and not config.captions:
        inputs["images"] = images_sha256(corpus)
    corpus_of = {"name": corpus.name, "sha256": corpus.sha256}
    return {"corpus": corpus_of, "config": config.to_dict(), "inputs": inputs}


def encoder_sha256(config: TrainConfig) -> dict[str, str]:
    """The SHA-256 of each file of the text encoder's weights, as `identity` names them; none of one on the hub."""
    return {f"text encoder {file.name}": file_sha256(file) for file in encoder_weights(config.model.text_encoder)}


def images_sha256(corpus: Corpus) -> str:
    """One SHA-256 for which image, by its bytes, each post of `corpus` has, if it has one that can be read."""
    of_file: dict[Path | None, str] = {None: ""}
    of_post: dict[str, str] = {}
    for _, posts in corpus.splits():
        for post in posts:
            if post.image is not None and post.image not in of_file:
                try:
                    of_file[post.image] = image_sha256(post.image)
                except ImageError:
                    of_file[post.image] = ""
            of_post[post.id] = of_file[post.image]
    return digest(of_post)


@contextmanager
def only_user_of(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold a run's folder for this process; the lock goes with the process, however that ends.

    Raises RunInUseError, unless it is to `wait`, when another process holds it, and RunError when it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        raise RunInUseError(f"another process is at work in {folder}; wait for it or choose another folder") from error
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror or error}; choose another folder") from error
    try:
        yield
    finally:
        lock.release()


class Difference(NamedTuple):
    """In what two runs differ: a `key` of their `part` (corpus, config or inputs), and what each of them has there."""

    part: str
    key: str
    one: Any
    other: Any


def difference(one: Mapping[str, Any], other: Mapping[str, Any], apart_from: Collection[str] = ()) -> Difference | None:
    """The first difference between two runs, given as records or as `identity` gives them; None if they are one run.

    Settings named in `apart_from`, and parts of them, may differ. Files that both kept the bytes of are compared by
    these, and captions may then lie anywhere; where their bytes were not kept, only their place can say.
    """
    # Through TrainConfig, so that a record from before a setting was there has its default.
    config, wanted = (TrainConfig.from_dict(run.get("config", {})) for run in (one, other))
    inputs, wanted_inputs = one.get("inputs", {}), other.get("inputs", {})
    captions = [inputs.get(name) for name in config.captions]
    if captions == [wanted_inputs.get(name) for name in wanted.captions] and None not in captions:
        inputs = {name: sha256 for name, sha256 in inputs.items() if name not in config.captions}
        config = config.with_captions(wanted.captions)
    shared = inputs.keys() & wanted_inputs
    pairs = {
        "corpus": (flat(one.get("corpus", {})), flat(other.get("corpus", {}))),
        "config": tuple(_without(flat(each.to_dict()), apart_from) for each in (config, wanted)),
        "inputs": tuple({name: each[name] for name in shared} for each in (inputs, wanted_inputs)),
    }
    for part, (here, there) in pairs.items():
        for key in sorted(here.keys() | there.keys()):
            if here.get(key) != there.get(key):
                return Difference(part, key, here.get(key), there.get(key))
    return None


def _without(settings: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    starts = tuple(f"{name}." for name in names)
    return {key: value for key, value in settings.items() if not f"{key}.".startswith(starts)}


def require_same(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise RunError, naming the first difference, unless `found` (a record or a checkpoint) is of the run `wanted`."""
    if unlike := difference(found, wanted):
        raise RunError(
            f"{folder} holds another run: its {unlike.part} has {unlike.key} = {unlike.one!r}, "
            f"yours {unlike.other!r}; choose another folder or delete that one"
        )


def require_data_of(run: Run, corpus: Corpus) -> None:
    """Raise RunError, naming the first difference, unless `corpus`, its images or captions, their annotations and the
    text encoder are those that `run` was trained with; what its record did not keep is not compared.
    """
    if unlike := difference(run.record, identity(corpus, run.config)):
        raise RunError(
            f"{run.folder} was trained with other data: its {unlike.part} has {unlike.key} = {unlike.one!r}, and here "
            f"it is {unlike.other!r}; restore what it was trained with, or train it again"
        )


def require_same_sums(folder: Path, found: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise RunError when a checkpoint was begun on what would give other sums than there are `now`: another number of
    threads or processes, another device, other versions of libraries, or features that were computed in another way.

    They decide the last digits, and with them the model: a run that went on would be neither one nor the other.
    """
    remedies = {
        "machine.threads": "use --threads {}",
        "machine.processes": "use accelerate launch --num_processes {}",
        "features": "restore those",
    }
    parts = ("machine", "versions", "features")
    begun, going_on = (flat({part: run.get(part) for part in parts}) for run in (found, now))
    for name, before in begun.items():
        if before is not None and before != going_on.get(name):
            usual = "install that version" if name.startswith("versions.") else "go on on such a machine"
            remedy = remedies.get(name, usual).format(before)
            raise RunError(
                f"the run in {folder} was begun with {name} = {before!r}, and this would go on with "
                f"{going_on.get(name)!r}: {remedy}, or delete the folder"
            )


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings on one level, with the names that `--set` takes, such as `model.width`."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def surroundings(device: torch.device, processes: int) -> dict[str, Any]:
    """Versions and machine, as far as they can change a number."""
    return {
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "machine": {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
            "processes": processes,
        },
    }


def peak_memory() -> int | None:
    """The most memory that this process has held so far, earlier runs included, in bytes; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource  # which only Unix has

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def write_json(record: dict[str, Any], path: Path) -> None:
    """Write a record, indented, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
