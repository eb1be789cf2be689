"""The feature store: each image goes through the backbone once, and never again.

A store is a folder, one for each way of computing features (`identity`: backbone, weights, transform, objects ...). It
holds shards: safetensors files of up to SHARD images in half precision. A shard is written whole and never changed. Its
header lists the keys of its images: SHA-256 of the image's bytes (and of its annotations). So corpora share a store,
posts share an image, a killed process loses at most one shard, and a renamed image is not computed again.

Two processes may fill one store: the first holds a lock that ends with it, the second waits and then loads the result
(side by side they would only compete for the cores). Reading takes no lock. Each image is read through a memory map
that is closed at once, so features never pile up in memory. Checksum and values are verified: a damaged or crafted file
is an error, never a wrong number.

A shard is deleted only if it was read whole and cannot be parsed. One that cannot be read (a failing disk, a network
drive) is an error, and stays: it can hold hours of work.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import safetensors
import safetensors.numpy
from filelock import FileLock, Timeout

from hamner.corpora.post import Corpus, Post
from hamner.errors import HamnerError
from hamner.files import written_whole
from hamner.images import ImageError
from hamner.terminal import echo, progress_bar
from hamner.vision import FEATURES as FEATURES
from hamner.vision.captions import CaptionExtractor, TextEncoder
from hamner.vision.features import SourceError, VisualFeatures, VisualSource, as_folder, digest
from hamner.vision.sources import ImageSource, VectorFile, is_own_source, is_vectors, load_source

if TYPE_CHECKING:
    from hamner.vision.extractor import ImageExtractor

SHARD = 32
"""Images a shard: so few that a killed run loses little, so many that 100,000 images make but 3,125 files."""

VERSION = 1
"""Part of every store's name: to be raised when the same identity would no longer give the same numbers."""

STORED = {
    "grid": np.float16,
    "objects": np.float16,
    "boxes": np.float32,
    "classes": np.int32,
    "scores": np.float32,
    "object_mask": np.bool_,
    "box_mask": np.bool_,
}


_LEFTOVER = re.compile(r"\.(\d+\.safetensors|source\.json)\.[a-z0-9_]+(\.part)?")
"""Names of the temporary files that a killed process leaves in a store."""


class FeatureError(HamnerError):
    """The store cannot be filled or read."""


_KEPT = "nothing was deleted; check the disk or its permissions and try again"


class _DamagedError(Exception):
    """A shard that was read whole and cannot be parsed."""


class Extractor(Protocol):
    """Computes a post's features: `ImageExtractor`, `CaptionExtractor`. Up to `workers` threads may call `extract`."""

    identity: dict[str, Any]
    class_names: tuple[str, ...]
    regions: int
    channels: int
    max_objects: int
    workers: int

    def key(self, post: Post) -> str:
        """The key of the post's features: a SHA-256. Raises ImageError when it has no image."""
        ...

    def extract(self, post: Post) -> VisualFeatures:
        """The post's features, the same in any thread. Raises ImageError when its image cannot be read."""
        ...


class FeatureStore:
    """Post id -> `VisualFeatures`, for the posts that it was filled with.

    `missing` lists (post id, reason) of all posts whose features are absent; `class_names` says what a class id means;
    a grid has `regions` regions, a post up to `max_objects` objects, both of `channels` channels.
    """

    def __init__(self, folder: Path, extractor: Extractor) -> None:
        self.extractor = extractor
        self.identity = extractor.identity | {"max_objects": extractor.max_objects, "version": VERSION}
        self.folder = Path(folder) / f"{as_folder(extractor.identity['backbone'])}-{digest(self.identity)[:16]}"
        self.class_names = extractor.class_names
        self.regions, self.channels = extractor.regions, extractor.channels
        self.max_objects = extractor.max_objects
        self._place: dict[str, int] = {}  # post id -> shard number * SHARD + row
        self._reason: dict[str, str] = {}  # post id -> why it has no features

    @classmethod
    def open(
        cls,
        corpus: Corpus,
        source: VisualSource,
        folder: Path = FEATURES,
        *,
        encoder: TextEncoder | None = None,
        device: str = "cpu",
        progress: bool = True,
        near: bool = False,
    ) -> FeatureStore:
        """The features of all posts of `corpus`; those that `folder` lacks are computed on `device` now.

        The source `captions` needs a text `encoder`. With `progress`, a bar counts images, and a report follows on
        standard error: posts without features with the reasons, images or captions that belong to no post, and images
        that repeat under other names. With `near`, nearly the same images count too: each is decoded once more.

        Raises HamnerError when weights, annotations or captions are missing or wrong, or the folder cannot be written.
        """
        extractor: CaptionExtractor | ImageExtractor | ImageSource | VectorFile
        if source.backbone == "captions":
            if encoder is None:
                raise SourceError("the source captions needs a text encoder: FeatureStore.open(..., encoder=...)")
            extractor = CaptionExtractor(source.captions, encoder, source.max_objects)
        elif is_vectors(source.backbone):
            extractor = VectorFile(Path(source.backbone))
        elif is_own_source(source.backbone):
            extractor = load_source(source, corpus.folder)
        else:
            from hamner.vision.extractor import ImageExtractor  # here, because it imports torchvision

            extractor = ImageExtractor.load(source, corpus.folder, device)
        store = cls(folder, extractor)
        posts = [post for _, some in corpus.splits() for post in some]
        masked = extractor.placeholders(posts) if source.mask_placeholders else {}
        store.fill(posts, progress=progress, masked=masked)
        if progress:
            echo("\n".join([store.report(corpus.name), *extractor.left_over(corpus, near)]), error=True)
        return store

    def fill(self, posts: Iterable[Post], progress: bool = True, masked: Mapping[str, str] | None = None) -> None:
        """Compute the features that the folder lacks.

        `masked` maps ids of posts that are to have no features to the reason.

        Raises FeatureError when two different images belong to one post id.
        """
        masked = masked or {}
        first: dict[str, Post] = {}  # key -> the first post that has it
        keys: dict[str, str] = {}
        for post in posts:
            if post.id in masked:
                self._reason[post.id] = masked[post.id]
                continue
            try:
                key = self.extractor.key(post)
            except ImageError as error:
                self._reason[post.id] = str(error)
                continue
            if keys.setdefault(post.id, key) != key:
                raise FeatureError(
                    f"two posts have the id {post.id!r} and different images: give each an id of its own"
                )
            first.setdefault(key, post)
        places = self._scan(first)
        unreadable: dict[str, str] = {}
        if len(places) < len(first):
            with self._locked():
                places = self._scan(first, mend=True)
                unreadable = self._compute(first, places, progress)
        elif any(_LEFTOVER.fullmatch(file.name) for file in self._files()):
            with (
                suppress(HamnerError),
                self._locked(wait=False) as locked,
            ):  # a store on a read-only disk is complete too
                if locked:
                    self._remove_leftovers()
        for id, key in keys.items():
            if key in places:
                self._place[id] = places[key]
            else:
                self._reason[id] = unreadable[key]

    def __getitem__(self, post_id: str) -> VisualFeatures:
        """The post's features, as precise as they are kept (STORED); all masked when its image is missing.

        Raises KeyError for a post that the store was not filled with, FeatureError for a damaged file.
        """
        if post_id in self._reason:
            return VisualFeatures.absent(self.regions, self.channels, self.max_objects)
        if post_id not in self._place:
            raise KeyError(f"the store was not filled with a post {post_id!r}")
        number, row = divmod(self._place[post_id], SHARD)
        file = self._shard(number)
        try:
            file.open("rb").close()  # Python says why it cannot be opened; safetensors always says "No such file"
            with safetensors.safe_open(file, framework="numpy") as shard:
                record = {name: shard.get_slice(name)[row] for name in STORED}
                checksum = int(shard.get_slice("crc32")[row])
        except OSError as error:
            raise FeatureError(f"{file} cannot be read ({error.strerror or error}): {_KEPT}") from error
        except (safetensors.SafetensorError, LookupError, TypeError, ValueError) as error:
            raise FeatureError(f"{file} is damaged ({error}): delete it, and it is computed anew") from error
        if _checksum(record) != checksum:
            raise FeatureError(f"{file} is damaged: delete it, and it is computed anew")
        features = VisualFeatures(**record, image_present=True)
        if fault := self._fault(features):
            raise FeatureError(f"{file} holds {fault}: delete it, and it is computed anew")
        return features

    def _fault(self, features: VisualFeatures) -> str | None:
        """What keeps features from being those of this store's extractor; None for nothing."""
        expected = VisualFeatures.absent(self.regions, self.channels, self.max_objects)
        for name, kind in STORED.items():
            value, shape = getattr(features, name), getattr(expected, name).shape
            if value.shape != shape or value.dtype != kind:
                return f"{name} of shape {value.shape} and type {value.dtype} instead of {shape} and {np.dtype(kind)}"
        return features.fault(len(self.class_names))

    def image_of(self, post_id: str) -> int | None:
        """A number for the post's image: posts that share an image have one number; None without features."""
        return self._place.get(post_id)

    def __contains__(self, post_id: str) -> bool:
        return post_id in self._place or post_id in self._reason

    @property
    def missing(self) -> list[tuple[str, str]]:
        """(post id, reason) of each post without features."""
        return list(self._reason.items())

    def report(self, name: str, most: int = 20) -> str:
        """How many posts have features, and why others have none: the `most` most frequent reasons."""
        lines = [f"{name}: {len(self._place):,} posts with visual features, {len(self._reason):,} without"]
        reasons = Counter(self._reason.values())
        lines += [f"  {count:,} x {reason}" for reason, count in reasons.most_common(most)]
        if len(reasons) > most:
            lines.append(f"  and {len(reasons) - most:,} more reasons: see FeatureStore.missing")
        return "\n".join(lines)

    def _shard(self, number: int) -> Path:
        return self.folder / f"{number:06}.safetensors"

    def _files(self) -> list[Path]:
        """The regular files in the store; none if the folder does not exist yet."""
        try:
            return [file for file in self.folder.iterdir() if file.is_file()]
        except (FileNotFoundError, NotADirectoryError):
            return []  # whoever writes to such a folder reports it
        except OSError as error:
            raise FeatureError(f"{self.folder} cannot be listed ({error.strerror}): {_KEPT}") from error

    def _numbers(self) -> list[int]:
        names = [file.name.partition(".") for file in self._files()]
        return sorted(int(stem) for stem, _, suffix in names if suffix == "safetensors" and stem.isdecimal())

    def _next_number(self) -> int:
        """The number of the next shard: no entry of its name exists, be it a folder or a named pipe."""
        number = max(self._numbers(), default=-1) + 1
        while os.path.lexists(self._shard(number)):
            number += 1
        return number

    @contextmanager
    def _locked(self, wait: bool = True) -> Iterator[bool]:
        """Hold the store's lock; yields False, without it, if another process has it and `wait` is False."""
        lock = FileLock(self.folder / ".lock")  # the system releases it when the process dies, however it dies
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if not wait:
                    yield False
                    return
                echo(f"another process is filling {self.folder}: waiting for it", error=True)
                lock.acquire()
        except OSError as error:
            raise FeatureError(f"cannot write to {self.folder} ({error.strerror}): choose another folder") from error
        try:
            yield True
        finally:
            lock.release()

    def _remove_leftovers(self) -> None:
        """Delete what killed processes left half written. Only under the lock: then nobody else is writing."""
        for file in self._files():
            if _LEFTOVER.fullmatch(file.name):
                file.unlink(missing_ok=True)

    def _scan(self, wanted: Collection[str], mend: bool = False) -> dict[str, int]:
        """key -> place, for all wanted keys in the store. `mend` (under the lock) deletes damaged shards.

        Raises FeatureError for a shard that cannot be read; nothing is deleted then.
        """
        places = {}
        for number in self._numbers():
            file = self._shard(number)
            try:
                keys = _keys(file)
            except FileNotFoundError:
                continue  # another process deleted it: it was damaged
            except OSError as error:
                raise FeatureError(f"{file} cannot be read ({error.strerror or error}): {_KEPT}") from error
            except _DamagedError as error:
                if mend:
                    echo(f"{file} is damaged ({error}): its images are computed anew", error=True)
                    file.unlink(missing_ok=True)
                continue
            places.update({key: number * SHARD + row for row, key in enumerate(keys) if key in wanted})
        return places

    def _compute(self, first: Mapping[str, Post], places: dict[str, int], progress: bool) -> dict[str, str]:
        """Extract what `places` lacks and add it there; returns key -> reason of what could not be read."""
        self._remove_leftovers()
        if not (self.folder / "source.json").exists():
            with written_whole(self.folder / "source.json") as temporary:
                temporary.write_text(json.dumps(self.identity, indent=2) + "\n", encoding="utf-8")
        pending = [key for key in first if key not in places]
        number = self._next_number()
        unreadable: dict[str, str] = {}
        batch: dict[str, VisualFeatures] = {}
        extracted = self._extracted(first[key] for key in pending)
        counts = f"features of images for {self.folder.name}"
        for key in progress_bar(pending, counts=counts, unit="image", shown=progress):
            try:
                batch[key] = next(extracted).result()
            except ImageError as error:
                unreadable[key] = str(error)
                continue
            if len(batch) == SHARD:
                places.update(self._write(number, batch))
                number, batch = self._next_number(), {}
        if batch:
            places.update(self._write(number, batch))
        return unreadable

    def _extracted(self, posts: Iterable[Post]) -> Iterator[Future[VisualFeatures]]:
        """The features of posts in their order, a few of them ahead, however long the corpus is."""
        with ThreadPoolExecutor(self.extractor.workers) as threads:
            ahead: deque[Future[VisualFeatures]] = deque()
            for post in posts:
                ahead.append(threads.submit(self.extractor.extract, post))
                if len(ahead) > 2 * self.extractor.workers:
                    yield ahead.popleft()
            yield from ahead

    def _write(self, number: int, batch: dict[str, VisualFeatures]) -> dict[str, int]:
        with np.errstate(over="ignore"):  # an overflow becomes infinite, which `_fault` refuses
            records = [
                {name: getattr(features, name).astype(kind) for name, kind in STORED.items()}
                for features in batch.values()
            ]
        for record in records:
            if fault := self._fault(VisualFeatures(**record, image_present=True)):
                raise FeatureError(
                    f"{self.extractor.identity['backbone']} gives {fault} in half precision (up to 65,504): nothing of "
                    "this shard was kept; check the weights and the objects"
                )
        tensors = {name: np.stack([record[name] for record in records]) for name in STORED}
        tensors["crc32"] = np.array([_checksum(record) for record in records], np.uint32)
        with written_whole(self._shard(number)) as temporary:
            temporary.write_bytes(safetensors.numpy.save(tensors, metadata={"keys": " ".join(batch)}))
        return {key: number * SHARD + row for row, key in enumerate(batch)}


def _keys(file: Path) -> list[str]:
    """The keys in a shard's header. Raises OSError, or _DamagedError if the file was read whole and is no shard."""
    file.open("rb").close()  # Python says why it cannot be opened; safetensors always says "No such file"
    try:
        with safetensors.safe_open(file, framework="numpy") as shard:
            return shard.metadata()["keys"].split()
    except (safetensors.SafetensorError, KeyError, TypeError):
        pass
    data = file.read_bytes()
    try:
        safetensors.deserialize(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return header["__metadata__"]["keys"].split()
    except (safetensors.SafetensorError, KeyError, TypeError) as error:
        raise _DamagedError(error) from error


def _checksum(record: Mapping[str, np.ndarray]) -> int:
    total = 0
    for name in STORED:
        total = zlib.crc32(record[name].tobytes(), total)
    return total
