"""Files: written whole or not at all, told apart by their bytes, and fetched or not."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hamner.errors import HamnerError


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def written_whole(path: Path, error_type: type[HamnerError] = HamnerError) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; on success it becomes `path` in one step.

    A reader sees the old file or the new one and never a half. On any error the temporary file is removed and what
    stood at `path` before stays. Raises `error_type` when the folder cannot be written to or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp makes files that only their owner may read
        os.replace(temporary, path)
    except OSError as error:
        remedy = "choose a folder that you may write to and that has room"
        raise error_type(f"{path} cannot be written ({error.strerror or error}); {remedy}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def hub_is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids to fetch weights, as its own library reads it."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
