"""docs/MODEL.md speaks of code that exists."""

from __future__ import annotations

import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

DOCUMENT = (Path(__file__).parents[2] / "docs" / "MODEL.md").read_text(encoding="utf-8")
MODULES = (
    "adapter",
    "attention",
    "batch",
    "config",
    "decoder",
    "hamner",
    "interaction",
    "intra_modality",
    "relevance",
    "text",
)
NAMES = sorted(set(re.findall(rf"`((?:{'|'.join(MODULES)})\.\w[\w.]*)`", DOCUMENT)))


@pytest.mark.parametrize("name", NAMES)
def test_a_code_name_in_the_document_exists(name: str) -> None:
    module, *path = name.split(".")
    assert callable(reduce(getattr, path, importlib.import_module(f"hamner.model.{module}")))


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"config"}))
def test_the_document_names_something_of_each_module(module: str) -> None:
    assert any(name.startswith(f"{module}.") for name in NAMES)
