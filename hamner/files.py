"""Files: read whole, written whole or not at all, and swapped in one step."""

from __future__ import annotations

import codecs
import ctypes
import hashlib
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from hamner.errors import HamnerError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BYTE_ORDER_MARK = "\ufeff"
"""What Windows editors put at the start of a UTF-8 text."""

MOST_BYTES = 2**30
"""Upper bound on the size of a file that is read whole: larger files would fill the memory."""

PART = ".part"
"""Suffix of a file that is being written; git ignores it."""


def file_sha256(path: Path, error_type: type[HamnerError] = HamnerError) -> str:
    """SHA-256 of a file's bytes. Raises `error_type` for what is no regular file, and for one that cannot be read."""
    with _opened(path, error_type) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_whole(path: Path | str, error_type: type[HamnerError] = HamnerError) -> bytes:
    """The bytes of a regular file.

    Raises `error_type` for a file that cannot be read or is larger than MOST_BYTES, and for a folder, named pipe or
    device: reading a pipe would wait for ever, and /dev/zero has no end.
    """
    with _opened(path, error_type) as file:
        if (size := os.fstat(file.fileno()).st_size) > MOST_BYTES:
            raise error_type(
                f"{path}: cannot be read ({size:,} bytes, and at most {MOST_BYTES:,} are read); give another file"
            )
        return file.read()


@contextmanager
def _opened(path: Path | str, error_type: type[HamnerError]) -> Iterator[BufferedReader]:
    """A regular file, open for reading; what fails while it is read is an `error_type` as well."""
    try:
        # Without O_NONBLOCK, opening a named pipe waits for its writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise error_type(f"{path}: cannot be read (not a regular file); give the path of a readable file")
            yield file
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = getattr(error, "strerror", None) or error
        raise error_type(f"{path}: cannot be read ({reason}); give the path of a readable file") from error


def read_text(path: Path | str, error_type: type[HamnerError] = HamnerError) -> str:
    """The text of a UTF-8 file, without the byte order mark that Windows editors put first; line ends stay as they are.

    Raises `error_type` as `read_whole` does, and for other encodings, with the command that converts the file.
    """
    return decoded(read_whole(path, error_type), Path(path), error_type)


def decoded(data: bytes, path: Path, error_type: type[HamnerError] = HamnerError) -> str:
    """`read_text` for bytes already read; errors name `path`."""
    try:
        return data.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "latin1"
        raise error_type(
            f"{path}:{line}: byte {column} of the line, 0x{data[error.start]:02X}, is not UTF-8; "
            f"if the file is {encoding}, convert it: "
            f"iconv -f {encoding} -t utf-8 {shlex.quote(str(path))} > {shlex.quote(path.name + '.utf8')}"
        ) from error


@contextmanager
def written_whole(path: Path, error_type: type[HamnerError] = HamnerError) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; on success it becomes `path` in one step.

    A reader sees the old file or the new one, never a half. On any error the temporary file is removed and the old file
    stays. Temporary files of killed processes are removed: each process locks its own, and the lock ends with it.

    Raises `error_type` when the folder cannot be written to or the disk is full.
    """
    path = Path(path)
    temporary = handle = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        handle, temporary = _locked_temporary(path)
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
        if handle is not None:
            os.close(handle)


def _locked_temporary(path: Path) -> tuple[int | None, Path]:
    """A new empty file beside `path`, locked by the handle where the system has such locks."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        if fcntl is None:  # Windows, which also cannot rename a file that is open
            os.close(handle)
            return None, Path(name)
        with suppress(OSError):  # file systems without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # another process took it for abandoned, before it was locked


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files that killed processes left beside `path`: those that no process has locked."""
    if fcntl is None:
        return
    prefix = f".{path.name}."
    abandoned = re.compile(re.escape(prefix) + r"[a-z0-9_]{8}" + re.escape(PART))
    with os.scandir(path.parent) as entries:
        names = [entry.path for entry in entries if entry.name.startswith(prefix) and abandoned.fullmatch(entry.name)]
    for name in names:
        with suppress(OSError):  # in use, or removed by another process
            handle = os.open(name, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name)
            finally:
                os.close(handle)


def swap_folders(one: Path, other: Path) -> bool:
    """Exchange two folders of one file system in one step; False, and nothing done, where the system cannot.

    Linux can (renameat2(2), RENAME_EXCHANGE); Python has no call for it.
    """
    exchange = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if exchange is None:
        return False
    here = -100  # AT_FDCWD
    return exchange(here, os.fsencode(one), here, os.fsencode(other), 2) == 0  # RENAME_EXCHANGE


def cache_folder() -> Path:
    """The folder of what hamner keeps for a user: the environment variable HAMNER_CACHE, else the user's cache.

    It holds unpacked text encoders, and without a checkout corpora and features.
    """
    import pooch  # here, because it loads slowly

    return Path(os.environ.get("HAMNER_CACHE") or pooch.os_cache("hamner"))


def hub_is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids downloads from the Hugging Face hub, by that library's own reading of it."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
