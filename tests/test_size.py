"""The repository stays small: git keeps every version of every file for good."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MB = 1_000_000

FILE_LIMIT = 1 * MB
LARGER = {
    "data/minitweets/answers.jsonl": 3 * MB,
    "data/minitweets/annotations.jsonl": 1.4 * MB,
    "hamner/models/minitweets/model.safetensors": 4 * MB,
    "hamner/models/tweets/model.safetensors": 4 * MB,
    "hamner/models/tweets-mpnet/model.safetensors": 8 * MB,
}
"""The only files that may exceed FILE_LIMIT, each with its own limit in bytes."""

TREE_LIMIT = 43 * MB
IMAGES = "data/minitweets/images/"
"""TREE_LIMIT bounds all tracked files but these images, which are generated once."""


@pytest.fixture(scope="module")
def sizes() -> dict[str, int]:
    """Bytes of each tracked file that is in the working tree."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files are tracked is unknown")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    return {name: (ROOT / name).lstat().st_size for name in names if os.path.lexists(ROOT / name)}


def test_each_tracked_file_is_small(sizes: dict[str, int]) -> None:
    assert not {name: size for name, size in sizes.items() if size > LARGER.get(name, FILE_LIMIT)}


def test_all_tracked_files_together_are_small(sizes: dict[str, int]) -> None:
    counted = {name: size for name, size in sizes.items() if not name.startswith(IMAGES)}
    folders: dict[str, int] = {}
    for name, size in counted.items():
        folder = "/".join(name.split("/")[:2])
        folders[folder] = folders.get(folder, 0) + size
    assert sum(counted.values()) <= TREE_LIMIT, sorted(folders.items(), key=lambda item: -item[1])[:8]


def test_no_svg_is_tracked(sizes: dict[str, int]) -> None:
    assert not [name for name in sizes if name.endswith(".svg")]
