"""Where a network runs: on which device, and on how many CPU threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hamner.errors import HamnerError

MOST_THREADS = 1024
"""More than any machine has cores for; a mistyped number would take all of its memory."""


class DeviceError(HamnerError):
    """This machine has no such device."""


def existing_device(name: str) -> torch.device:
    """The device called `name`, such as cpu or cuda. Raises DeviceError when this machine has none."""
    try:
        torch.zeros(1, device=name).sum().item()  # the kind "meta" has tensors without numbers
    except (RuntimeError, NotImplementedError, AssertionError, ImportError) as error:  # as builds of torch differ
        raise DeviceError(f"no device {name!r} on this machine: choose another, such as cpu") from error
    return torch.device(name)


@contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Within this block torch computes on `count` CPU threads, or, for None, on as many as before.

    Several threads add numbers in another order, by how many they are: with `count=1` a result does not depend on how
    many cores a machine has. Raises DeviceError for a count that is none.
    """
    if count is not None and not 1 <= count <= MOST_THREADS:
        raise DeviceError(f"threads must be from 1 to {MOST_THREADS}, not {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
