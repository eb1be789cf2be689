from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest
import torch

from hamner.devices import DeviceError, cpu_threads, deterministic


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def test_deterministic_algorithms_and_random_numbers_are_as_before_afterwards() -> None:
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draws()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with suppress(KeyboardInterrupt), deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        draws()
        raise KeyboardInterrupt
    assert draws() == expected
    assert not torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        with deterministic():
            assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("count", [0, -1, 100_000])
def test_a_number_of_threads_out_of_bounds_is_refused(count: int) -> None:
    with pytest.raises(DeviceError, match=f"threads must be from 1 to 1024, not {count}"), cpu_threads(count):
        pass
