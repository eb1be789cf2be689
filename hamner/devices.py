"""Which device a network runs on, by name."""

from __future__ import annotations

import torch

from hamner.errors import HamnerError


class DeviceError(HamnerError):
    """This machine has no such device."""


def existing_device(name: str) -> torch.device:
    """The device called `name`, such as cpu or cuda. Raises DeviceError when this machine has none."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # AssertionError: a torch that was built without this kind
        raise DeviceError(f"no device {name!r} on this machine: choose another, such as cpu") from error
    return torch.device(name)
