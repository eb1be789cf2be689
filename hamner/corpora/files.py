"""A corpus's files: known by their SHA-256, listed by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hamner.corpora.post import CorpusError


def sha256(data: bytes) -> str:
    """SHA-256 of these bytes, as hex digits."""
    return hashlib.sha256(data).hexdigest()


def list_folder(folder: Path) -> list[Path]:
    """The entries of a folder, sorted by name. Raises CorpusError when it cannot be listed."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise CorpusError(f"{folder}: cannot be listed ({error.strerror}); give a folder that you may read") from error
