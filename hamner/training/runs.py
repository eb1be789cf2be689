"""A run is a folder: run.json, predictions.jsonl.gz, model.safetensors; lexicon.json if it reads words and letters."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from hamner.corpora.tags import TYPES
from hamner.errors import HamnerError
from hamner.files import read_text, written_whole
from hamner.model.config import OWN_WORDS
from hamner.training.config import TrainConfig
from hamner.training.record import problem_of
from hamner.training.rows import row_of_run

CALIBRATION = "calibration.json"
RETESTS = "retests"
"""A run's folder may also hold what was made with its weights: a temperature, and predictions on other tests."""

EARLIER_VERSION = "524ec7b0"
"""The last commit of the version before this one."""

LIBRARIES = ("hamner", "torch", "transformers", "pytorch-crf", "seqeval", "accelerate", "numpy")

_WEIGHTS_OF_AN_EPOCH = re.compile(r"model-epoch\d+\.safetensors")
_TEMPORARY = re.compile(
    r"\.tmp[A-Za-z0-9]{6}"  # made by safetensors
    r"|\.((run|lesions|lexicon)\.json|predictions\.jsonl(\.gz)?|[a-z0-9-]+\.safetensors)"
    r"\.[a-z0-9_]{8}\.part"  # made by `written_whole`
)
_TEMPORARY_RETEST = re.compile(r"\..+\.json(l(\.gz)?)?\.[a-z0-9_]{8}\.part")


class RunError(HamnerError):
    """A run folder is missing, damaged, in use, or holds another run."""


class RunInUseError(RunError):
    """Another process works in this folder."""


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and its record, which `Run.load` reads from run.json."""

    folder: Path
    record: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read a run folder. Raises RunError if it holds no finished run, or a record with a part that cannot be."""
        path = Path(folder) / "run.json"
        if os.path.isfile(folder):
            raise RunError(f"{folder} is a file: name the run's folder")
        if not os.path.lexists(path):
            raise RunError(
                f"no finished run in {folder}: it has no run.json; name the folder of a finished run, or train one "
                f"there with hamner train CORPUS --run {shlex.quote(str(folder))}"
            )
        try:
            record = json.loads(read_text(path, RunError))
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path} cannot be read ({error}); delete it and run again") from error
        if problem := problem_of(record):
            raise RunError(
                f"{path} is no run record: {problem}; restore it, or delete the folder and train the run again"
            )
        return cls(Path(folder), record)

    @property
    def config(self) -> TrainConfig:
        """The run's settings. Raises RunError if this version of the package does not know them."""
        try:
            return TrainConfig.from_dict(self.record["config"])
        except HamnerError as error:
            raise RunError(f"{self.folder / 'run.json'}: {error}; was it written by another version?") from error

    @property
    def shape(self) -> dict[str, int]:
        """The `channels` and `classes` of the features that the run was trained on. Raises RunError if it had none."""
        features = self.record["features"]
        if not features:
            raise RunError(f"{self.folder / 'run.json'} names no visual features: train the run again")
        return {name: features[name] for name in ("channels", "classes")}

    @property
    def types(self) -> tuple[str, ...]:
        """The entity types that the model knows."""
        return tuple(self.record.get("types", TYPES))

    @property
    def is_of_earlier_version(self) -> bool:
        """Whether an earlier version of the package trained the run; the commit EARLIER_VERSION makes it again.

        Its record was written before records said whether a run had converged. On words alone the model was the same,
        with other random draws in dropout; with images, stages 2 and 3 had other forms.
        """
        return "converged" not in self.record

    @property
    def predictions(self) -> Path:
        """The predictions on test: predictions.jsonl.gz, or predictions.jsonl where only that exists."""
        plain = self.folder / "predictions.jsonl"
        packed = self.folder / "predictions.jsonl.gz"
        return plain if plain.exists() and not packed.exists() else packed

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def lexicon(self) -> Path:
        return self.folder / "lexicon.json"

    def f1(self, split: str = "test", protocol: str = "seqeval") -> float:
        """Micro F1, a fraction."""
        return self.record["scores"][split][protocol]["overall"]["f1"]


def encoder_name(config: TrainConfig) -> str:
    """How folders and tables name what reads the words: the last part of the encoder's name or path, or `words`."""
    if config.model.words in OWN_WORDS:
        return config.model.words
    return Path(config.model.text_encoder).name


def run_name(corpus: str, config: TrainConfig) -> str:
    """CORPUS-ROW-ENCODER-seedN, with the visual source after the encoder where there is one."""
    parts = [corpus, row_of_run(config), encoder_name(config)]
    if config.visual is not None or config.appended:
        parts.append("captions" if config.visual is None else config.visual.short)
    return "-".join([*parts, f"seed{config.seed}"])


@contextmanager
def only_user_of(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold a run's folder for this process; the lock ends with the process, even if that is killed.

    If another process holds the folder, `wait` for it or raise RunInUseError. Raises RunError if the folder cannot be
    written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        raise RunInUseError(f"another process works in {folder}; wait for it or choose another folder") from error
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror or error}; choose another folder") from error
    try:
        yield
    finally:
        lock.release()


def remove_leftovers(folder: Path) -> None:
    """Remove the half-written files of processes that were killed; call it under the lock (`only_user_of`)."""
    for place, pattern in ((folder, _TEMPORARY), (folder / RETESTS, _TEMPORARY_RETEST)):
        for file in place.glob(".*"):
            if pattern.fullmatch(file.name) and file.is_file():
                file.unlink(missing_ok=True)


def remove_weights_but(name: str, folder: Path) -> None:
    """Remove the weights of all epochs but those in the file `name`, which the checkpoint names."""
    for file in folder.glob("model-epoch*.safetensors"):
        if _WEIGHTS_OF_AN_EPOCH.fullmatch(file.name) and file.name != name:
            file.unlink(missing_ok=True)


def require_room(folder: Path, weights: int) -> None:
    """Raise RunError unless the disk has room for a run whose weights have this many bytes.

    Two files of weights (the best and a better one) and two checkpoints (weights and two moments, old and new): eight
    times the weights.
    """
    kept = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    needed, free = 8 * weights - kept, shutil.disk_usage(folder).free
    if free < needed:
        raise RunError(
            f"the disk of {folder} has {free / 1e6:,.0f} MB left, and the run needs {needed / 1e6:,.0f} MB: make room, "
            "or choose another folder"
        )


def surroundings(device: torch.device, processes: int) -> dict[str, Any]:
    """Versions and machine: everything about them that can change a number."""
    return {
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "machine": {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "processor": platform.machine(),
            "kernels": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
            "processes": processes,
        },
    }


def reset_peak_memory() -> None:
    """Begin the peak of this process's memory anew, so that a run's is its own. On Linux alone."""
    with suppress(OSError):  # another system, or a container that hides it
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory() -> int | None:
    """The peak memory of this process in bytes since `reset_peak_memory`; None on Windows.

    Where that cannot be, earlier runs of the process are included.
    """
    if sys.platform == "win32":
        return None
    import resource  # which only Unix has

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def write_json(record: dict[str, Any], path: Path) -> None:
    """Write a record, indented, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
