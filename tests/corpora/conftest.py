from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_corpora() -> Path:
    """The folder with the real corpora; the tests that need it are skipped without it."""
    named = os.environ.get("HAMNER_CORPORA")
    if not named:
        pytest.skip("HAMNER_CORPORA names no folder with the real corpora")
    return Path(named)


@pytest.fixture
def corpus_folder(tmp_path: Path) -> Path:
    """A small corpus of invented posts, `own`, without images."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "train.txt").write_text("IMGID:1\nKelso\tB-PER\nran\tO\n\nIMGID:2\nOrva\tB-ORG\n\n", encoding="utf-8")
    (folder / "valid.txt").write_text("IMGID:3\nhello\tO\n\n", encoding="utf-8")
    (folder / "test.txt").write_text("IMGID:4\nKELSO\tB-PER\nand\tO\nOrva\tB-LOC\n", encoding="utf-8")
    return folder
