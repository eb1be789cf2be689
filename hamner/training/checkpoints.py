"""Weights, optimizer state and progress in safetensors files: no pickle is written or read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from hamner.errors import HamnerError
from hamner.files import file_sha256, written_whole


class CheckpointError(HamnerError):
    """A file of weights is missing, damaged, or belongs to another model."""


def learned_state(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers that training changes; frozen ones are loaded from their own files instead."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    frozen_modules = {name.rsplit(".", 1)[0] for name in frozen}
    return {
        name: tensor.contiguous()
        for name, tensor in model.state_dict().items()
        if name not in frozen and name.rsplit(".", 1)[0] not in frozen_modules
    }


def mismatch(model: nn.Module, state: dict[str, Tensor]) -> str | None:
    """The first difference between the weights `state` and those that `model` learns, in words; None without one.

    Names, shapes and types are compared, and no values: `model` may be on torch's meta device.
    """
    expected = learned_state(model)
    if other := sorted(state.keys() ^ expected.keys()):
        return f"the weights lack {other[0]}" if other[0] in expected else f"the model has no {other[0]}"
    for name, tensor in expected.items():
        if _form(state[name]) != _form(tensor):
            return f"{name} is {_form(state[name])} in the weights and {_form(tensor)} in the model"
    return None


def _form(tensor: Tensor) -> str:
    return f"{' x '.join(map(str, tensor.shape))} {str(tensor.dtype).removeprefix('torch.')}".strip()


def load_learned_state(model: nn.Module, state: dict[str, Tensor], origin: Path) -> None:
    """Put `learned_state` back. Raises CheckpointError if names, shapes or types are not those of this model."""
    if unlike := mismatch(model, state):
        raise CheckpointError(
            f"{origin} was written by another model ({unlike}); delete {origin.parent} and train again"
        )
    model.load_state_dict(state, strict=False)


def save_weights(model: nn.Module, path: Path, half: bool = False) -> None:
    """Write the learned state of `model` to `path`; with `half` in half precision (float16), half the bytes."""
    state = learned_state(model)
    if half:
        state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    _write(state, path)


def load_weights(model: nn.Module, path: Path, sha256: str | None = None) -> None:
    """Read `path` into `model`. Raises CheckpointError if the file's SHA-256 is not `sha256`, where that is given."""
    load_learned_state(model, read_weights(path, sha256), path)


def read_weights(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """The tensors that `save_weights` wrote, half precision as float32. Raises CheckpointError as `load_weights` does.

    The model computes in float32 with the rounded weights.
    """
    state = _read(path)[0]
    if sha256 is not None and file_sha256(path) != sha256:
        raise CheckpointError(f"{path} is not as it was written; delete {path.parent} and train again")
    return {name: tensor.float() if tensor.dtype == torch.float16 else tensor for name, tensor in state.items()}


@dataclass(config=ConfigDict(strict=True, extra="forbid"))
class Progress:
    """How far a run has come.

    history         one entry an epoch
    best_epoch      the epoch of the best F1 on valid, 0 before the first
    best_f1         its F1, -1 before the first
    weights         the name of the file that holds its weights
    weights_sha256  the SHA-256 of that file
    seconds, cpu_seconds  the time that training has taken so far, in all processes that worked on the run in turn
    """

    history: list[dict[str, Annotated[int | float, Field(allow_inf_nan=False)]]] = field(default_factory=list)
    best_epoch: Annotated[int, Field(ge=0)] = 0
    best_f1: Annotated[float, Field(ge=-1, le=1)] = -1.0
    weights: Annotated[str, Field(pattern=r"^(model-epoch\d+\.safetensors)?$")] = ""
    weights_sha256: str = ""
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    cpu_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: Optimizer, progress: Progress, begun: dict[str, Any]
) -> None:
    """Write all that training needs to continue: weights, the optimizer's moments, progress, and `begun`.

    `begun` holds the run's identity and surroundings as plain values: they must be the same when the run continues.
    """
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    tensors = {f"model/{name}": tensor for name, tensor in learned_state(model).items()}
    for parameter, moments in optimizer.state.items():
        tensors |= {f"optimizer/{key}/{names[parameter]}": value.contiguous() for key, value in moments.items()}
    metadata = {"progress": json.dumps(begun | {"state": asdict(progress)}), "sha256": _sha256(tensors)}
    _write(tensors, path, metadata)


def read_progress(path: Path) -> tuple[Progress, dict[str, Any]]:
    """The progress of a checkpoint and what it was begun with, without its tensors.

    Raises CheckpointError for a file that is damaged, or no checkpoint.
    """
    begun = _read(path, tensors=False)[1]
    try:
        # As JSON: strict mode takes a dataclass from Python as an instance alone.
        return TypeAdapter(Progress).validate_json(json.dumps(begun.pop("state", None))), begun
    except ValidationError as error:
        part = ".".join(["state", *map(str, error.errors()[0]["loc"])])
        raise CheckpointError(
            f"{path} is no checkpoint of this version ({part}: {error.errors()[0]['msg']}); "
            f"delete {path.parent} and train again"
        ) from error


def load_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
    """Restore the weights and moments that `save_checkpoint` wrote.

    Raises CheckpointError for a file that is damaged, or was written by another model.
    """
    tensors = _read(path, summed=True)[0]
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind not in groups:
            raise CheckpointError(f"{path} is no checkpoint (it holds {name!r}); delete {path.parent} and train again")
        groups[kind][rest] = tensor
    load_learned_state(model, groups["model"], path)
    parameters = dict(model.named_parameters())
    for name, value in groups["optimizer"].items():
        key, _, of = name.partition("/")
        parameter = parameters.get(of)
        if parameter is None or value.shape not in (parameter.shape, torch.Size()):
            raise CheckpointError(
                f"{path} was written by another optimizer (it holds {name!r}); delete {path.parent} and train again"
            )
        # The step count goes to the parameter's device too: the fused AdamW refuses it elsewhere.
        optimizer.state[parameter][key] = value.to(parameter.device)


def require_utf8(path: Path) -> None:
    """Raise CheckpointError for a path that is not UTF-8: safetensors opens no other."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CheckpointError(f"{path}: its name is not UTF-8, so it cannot hold weights; rename the folder") from error


def _sha256(tensors: dict[str, Tensor]) -> str:
    """One SHA-256 of all tensors, with their names."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _write(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    with written_whole(path, CheckpointError) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # safetensors reports a full disk in this way
            raise OSError(str(error)) from error


def _read(path: Path, tensors: bool = True, summed: bool = False) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the JSON object of a file; a `summed` one holds the SHA-256 of its tensors.

    Raises CheckpointError for a file that is absent or damaged, or holds NaN or infinity.
    """
    require_utf8(path)
    try:
        if path.exists() and not path.is_file():  # opening a named pipe would wait for ever
            raise OSError("not a regular file")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        read = load_file(path) if tensors else {}
        if summed and metadata.get("sha256") != _sha256(read):
            raise ValueError("its tensors are not those that were written")
        for name, tensor in read.items():
            if not tensor.isfinite().all():
                raise ValueError(f"{name} holds NaN or infinity")
        progress = json.loads(metadata.get("progress", "{}"))
        if not isinstance(progress, dict):
            raise ValueError("its progress is no JSON object")
        return read, progress
    except FileNotFoundError as error:
        raise CheckpointError(f"no weights at {path}; delete {path.parent} and train again") from error
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); delete {path.parent} and train again") from error
