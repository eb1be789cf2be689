"""docs/ARCHITECTURE.md says what is: its rooms and its functions exist."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")


def resolved(name: str) -> object:
    """The object with a dotted name such as hamner.vision.store.FeatureStore.fill."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: object = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            value = getattr(value, part)
        return value
    raise ModuleNotFoundError(name)


def test_a_posts_way_has_ten_lines_and_each_names_a_function_that_exists() -> None:
    way = PAGE.partition("## A post's way")[2]
    lines = re.findall(r"^\d+\. (.*)$", way, re.MULTILINE)
    assert len(lines) == 10
    for line in lines:
        names = re.findall(r"`(hamner\.[\w.]+)`", line)
        assert names, line
        assert all(callable(resolved(name)) for name in names), line


def test_the_ground_plan_has_every_room_and_no_other() -> None:
    plan = PAGE.partition("hamner/             the package")[2].partition("```")[0]
    described = {name.rstrip("/") for name in re.findall(r"^  ([\w.]+/?) ", plan, re.MULTILINE)}
    there = {path.name for path in (ROOT / "hamner").iterdir() if not path.name.startswith("__")} - {"py.typed"}
    assert described == there


def test_the_top_of_the_ground_plan_exists() -> None:
    plan = PAGE.partition("```\n")[2].partition("  errors.py")[0]
    names = re.findall(r"^([\w./]+)  ", plan, re.MULTILINE)
    assert len(names) == 8
    assert all((ROOT / name).exists() for name in names)


def test_the_readme_links_to_the_page_once() -> None:
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("(docs/ARCHITECTURE.md)") == 1
