"""The generator for tests that need it, where the packages of the extra `minitweets` are installed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest

from hamner.errors import HamnerError


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    """`hamner.minitweets.build`; tests that use it are skipped without the icons."""
    try:
        return import_module("hamner.minitweets.build")
    except (HamnerError, ImportError) as error:  # HamnerError without the icons, ImportError without fontTools
        pytest.skip(f"the icons are not installed: {error}")
