"""Weights and optimizer state in safetensors files: no pickle is written or read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from hamner.errors import HamnerError
from hamner.files import file_sha256, written_whole


class CheckpointError(HamnerError):
    """A file of weights is missing, damaged, or belongs to another model."""


def learned_state(model: nn.Module) -> dict[str, Tensor]:
    """What training may change: all parameters and buffers but frozen ones, which are loaded by their name instead."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    frozen_modules = {name.rsplit(".", 1)[0] for name in frozen}
    return {
        name: tensor.contiguous()
        for name, tensor in model.state_dict().items()
        if name not in frozen and name.rsplit(".", 1)[0] not in frozen_modules
    }


def load_learned_state(model: nn.Module, state: dict[str, Tensor], origin: Path) -> None:
    """Put `learned_state` back. Raises CheckpointError when the names or shapes are not this model's."""
    expected = learned_state(model)
    if state.keys() != expected.keys() or any(state[name].shape != expected[name].shape for name in expected):
        different = sorted(state.keys() ^ expected.keys()) or ["shapes"]
        raise CheckpointError(f"{origin} was written by another model (differs in {', '.join(different[:3])})")
    model.load_state_dict(state, strict=False)


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the learned state of `model` to `path`."""
    _write(learned_state(model), path)


def load_weights(model: nn.Module, path: Path, sha256: str | None = None) -> None:
    """Read `path` into `model`. With `sha256`, that of the file as it was written, any change of it is an error."""
    state = _read(path)[0]
    if sha256 is not None and file_sha256(path) != sha256:
        raise CheckpointError(f"{path} is not as it was written: delete {path.parent} and train again")
    load_learned_state(model, state, path)


def save_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer, progress: dict[str, Any]) -> None:
    """Write what training needs to go on from here: weights, the optimizer's moments, and `progress` (JSON-able)."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    tensors = {f"model/{name}": tensor for name, tensor in learned_state(model).items()}
    for parameter, moments in optimizer.state.items():
        tensors |= {f"optimizer/{key}/{names[parameter]}": value.contiguous() for key, value in moments.items()}
    _write(tensors, path, {"progress": json.dumps(progress), "sha256": _sha256(tensors)})


def read_progress(path: Path) -> dict[str, Any]:
    """The `progress` of a checkpoint, without its tensors."""
    progress = _read(path, tensors=False)[1]
    if not isinstance(progress.get("state"), dict):
        raise CheckpointError(f"{path} is no checkpoint of a run; delete {path.parent} and train again")
    return progress


def load_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Restore what `save_checkpoint` wrote; returns its `progress`."""
    tensors, progress = _read(path)
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        kind, rest = name.split("/", 1)
        groups[kind][rest] = tensor
    load_learned_state(model, groups["model"], path)
    parameters = dict(model.named_parameters())
    for name, value in groups["optimizer"].items():
        key, parameter = name.split("/", 1)
        # Beside their parameter, the step count too: the fused AdamW would refuse it elsewhere.
        optimizer.state[parameters[parameter]][key] = value.to(parameters[parameter].device)
    return progress


def _sha256(tensors: dict[str, Tensor]) -> str:
    """One SHA-256 of all tensors, with their names."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _write(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    with written_whole(path, CheckpointError) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # how it reports a full disk
            raise OSError(str(error)) from error


def _read(path: Path, tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        read = load_file(path) if tensors else {}
        if tensors and metadata.get("sha256") not in (None, _sha256(read)):  # None: where it is not kept
            raise ValueError("its tensors are not those that were written")
        return read, json.loads(metadata.get("progress", "{}"))
    except FileNotFoundError as error:
        raise CheckpointError(f"no weights at {path}; delete {path.parent} and train again") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); delete {path.parent} and train again") from error
