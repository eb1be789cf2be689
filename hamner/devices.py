"""Where and how a network runs: device, precision, CPU threads."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from hamner.errors import HamnerError

MOST_THREADS = 1024
"""Upper bound, to catch typing errors: each thread takes memory."""


class DeviceError(HamnerError):
    """The device does not exist on this machine."""


def existing_device(name: str) -> torch.device:
    """The device called `name`, such as cpu or cuda. Raises DeviceError if this machine has none."""
    try:
        torch.zeros(1, device=name).sum().item()  # reads a number: tensors on the device "meta" have none
    except (RuntimeError, NotImplementedError, AssertionError, ImportError) as error:  # it depends on torch's build
        raise DeviceError(f"no device {name!r} on this machine: choose another, such as cpu") from error
    return torch.device(name)


def choose_device(name: str) -> None:
    """Let accelerate compute on the device `name` in this process, which has not used accelerate yet.

    Raises DeviceError for a device that does not exist, and under `accelerate launch` with several processes.
    """
    existing_device(name)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise DeviceError(f"accelerate launch gives each process a device of its own: leave {name!r} (--device) out")
    os.environ["ACCELERATE_TORCH_DEVICE"] = name  # read once, when accelerate is first used


def autocast_of(precision: str, device: torch.device) -> torch.autocast:
    """The context in which a model of this `precision` (`no` or `bf16`) is called, in training and afterwards."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Within this block torch computes on `count` CPU threads; None leaves their number as it is.

    The number of threads decides the order of additions and with it the last digits. With `count=1` a result does not
    depend on the number of cores. Raises DeviceError if `count` is not from 1 to MOST_THREADS.
    """
    if count is not None and not 1 <= count <= MOST_THREADS:
        raise DeviceError(f"threads must be from 1 to {MOST_THREADS}, not {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deterministic() -> Iterator[None]:
    """Within this block torch uses deterministic algorithms; afterwards they and all random states are as before.

    CUBLAS_WORKSPACE_CONFIG stays set: cuBLAS reads it once.
    """
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    states = random.getstate(), np.random.get_state()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with a fixed workspace
    torch.use_deterministic_algorithms(True, warn_only=True)
    # That also fills all memory that is allocated, over a thousand times a step, to protect code that reads memory
    # which it never wrote. No code here does.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = memory  # type: ignore[attr-defined]
        random.setstate(states[0])
        np.random.set_state(states[1])
