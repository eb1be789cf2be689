"""A run is a folder: run.json, predictions.jsonl, model.safetensors."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from hamner.errors import HamnerError
from hamner.files import written_whole
from hamner.training.config import TrainConfig
from hamner.training.rows import row_of_run

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


RECORD_FIELDS = {
    "config": dict, "corpus": dict, "corpus.name": str, "corpus.sha256": dict, "best_epoch": int, "scores": dict,
    "scores.valid.seqeval.overall.f1": float, "scores.test.seqeval.overall.f1": float,
}  # fmt: skip
"""What every record has, and of which kind it is."""

LATER_FIELDS = {"inputs": dict, "features": dict, "marks_apart": list}
"""What records have, but not the oldest ones."""


def _wrong_in(record: Any) -> list[str]:
    """What a record lacks, or has of another kind; of several parts of one thing the first."""
    wrong: list[str] = []
    for name, kind in (RECORD_FIELDS | LATER_FIELDS).items():
        value = record
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        old = name in LATER_FIELDS and isinstance(record, dict) and name not in record
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
