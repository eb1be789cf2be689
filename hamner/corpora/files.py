"""Files are read whole and known by their SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hamner.corpora.post import CorpusError


def sha256(data: bytes) -> str:
    """The hex digest that names these exact bytes."""
    return hashlib.sha256(data).hexdigest()


def read_whole(path: Path) -> bytes:
    """The bytes of a file; CorpusError when it is not there or cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror}); give the path of a readable file") from error


def list_folder(folder: Path) -> list[Path]:
    """What lies in a folder, by name; CorpusError when it cannot be listed."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise CorpusError(f"{folder}: cannot be listed ({error.strerror}); give a folder you may read") from error
