from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest
from hypothesis import settings

from hamner.errors import HamnerError

# A busy machine must not fail a property test for slowness, and two runs must try the same examples.
settings.register_profile("hamner", deadline=None, derandomize=True)
settings.load_profile("hamner")


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    """`hamner.minitweets.build`; tests that use it are skipped without the icons."""
    try:
        return import_module("hamner.minitweets.build")
    except (HamnerError, ImportError) as error:  # HamnerError without the icons, ImportError without fontTools
        pytest.skip(f"the icons are not installed: {error}")
