"""Visual features from outside the package: a class of one's own, or a file of precomputed vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from PIL import Image

from hamner import extensions
from hamner.corpora.images import unmatched_images
from hamner.corpora.placeholders import about_repeated, glances_of, placeholders, repeated_images
from hamner.corpora.post import Corpus, Post
from hamner.errors import HamnerError
from hamner.extensions import Extension
from hamner.files import file_sha256, read_whole
from hamner.images import ImageError, image_sha256, open_image
from hamner.vision.captions import image_name
from hamner.vision.features import BACKBONES, HUBS, VECTORS, VisualFeatures, VisualSource, digest

NO_CLASS = "(none)"


class FeatureFileError(HamnerError):
    """A file of precomputed vectors cannot be read; the message names the file and the post."""


def is_vectors(name: str) -> bool:
    """Whether a source's name is that of a file of vectors."""
    return name.endswith(VECTORS)


def is_own_source(name: str) -> bool:
    """Whether a source's name is that of a class from outside the package."""
    return name not in (*BACKBONES, "captions") and not name.startswith(HUBS) and not is_vectors(name)


def source_named(name: str) -> Extension:
    """Where the source of this name comes from. Raises ExtensionError if there is none."""
    return extensions.locate(name, "source", {})


class ReadsImages:
    """What all extractors that read the images of posts tell about them."""

    def placeholders(self, posts: Sequence[Post]) -> dict[str, str]:
        """Post id -> why its image is taken for a placeholder."""
        return placeholders(posts)

    def left_over(self, corpus: Corpus, near: bool = False) -> list[str]:
        """Sentences about images that belong to no post, and about images that repeat (with `near`, almost)."""
        posts = [post for _, some in corpus.splits() for post in some]
        repeated = repeated_images(posts, glances_of(posts) if near else None)
        return [*unmatched_images(corpus).sentences(), *about_repeated(repeated)]


class ImageSource(ReadsImages):
    """The base of a source of one's own: give the four attributes and `describe`.

    regions     R, regions of an image's grid
    channels    C of every vector
    max_objects K >= 1, the most objects of an image
    class_names what a class id means; the first is that of no class

    It is built once, as `MySource(source, folder)`: the settings of the run's features, and the corpus's folder.
    Features are computed once for each image and kept; the name of the folder that keeps them holds the SHA-256 of the
    class's file, so that a changed class computes anew. What else the features depend on belongs into `identity`.
    """

    regions: int
    channels: int
    max_objects: int = 1
    class_names: tuple[str, ...] = (NO_CLASS,)
    workers: int = 1
    identity: dict[str, Any]

    def __init__(self, source: VisualSource, folder: Path) -> None:
        self.identity = {}

    def describe(self, image: Image.Image) -> VisualFeatures:
        """The features of an RGB image: `self.features(grid, ...)`."""
        raise NotImplementedError(f"{type(self).__name__} needs a method describe(image)")

    def features(
        self,
        grid: np.ndarray,
        objects: np.ndarray | Sequence[Sequence[float]] = (),
        boxes: np.ndarray | Sequence[Sequence[float]] | None = None,
        classes: np.ndarray | Sequence[int] | None = None,
        scores: np.ndarray | Sequence[float] | None = None,
    ) -> VisualFeatures:
        """Features from arrays: grid (R, C), and of k <= K objects their vectors (k, C), boxes (k, 4), classes, scores.

        Boxes are shares of the image, from 0 to 1; without `boxes` they are unknown. Raises ValueError for other
        shapes.
        """
        return padded(
            VisualFeatures.absent(self.regions, self.channels, self.max_objects), grid, objects, boxes, classes, scores
        )

    def key(self, post: Post) -> str:
        """The key of the post's features: the SHA-256 of its image. Raises ImageError without one."""
        if post.image is None:
            raise ImageError("no image")
        return image_sha256(post.image)

    def extract(self, post: Post) -> VisualFeatures:
        """The features of the post's image. Raises ImageError when it cannot be read."""
        if post.image is None:
            raise ImageError("no image")
        return self.describe(open_image(post.image))


def load_source(source: VisualSource, corpus_folder: Path) -> ImageSource:
    """The class that `source.backbone` names, built. Raises ExtensionError if it cannot be."""
    extension = source_named(source.backbone)
    found = extensions.load(extension, ImageSource)
    try:
        built = found(source, corpus_folder)
    except TypeError as error:
        raise extensions.ExtensionError(
            f"the source {source.backbone!r} cannot be built from (source, folder): {error}; see docs/EXTEND.md"
        ) from error
    for name in ("regions", "channels", "max_objects"):
        value = getattr(built, name, None)
        if type(value) is not int or value < 1:
            raise extensions.ExtensionError(
                f"the source {source.backbone!r} needs {name}, a whole number from 1 on, and has {value!r}"
            )
    given = getattr(built, "identity", {})
    built.identity = {"backbone": extensions.short_name(extension.name), "sha256": extension.sha256, "given": given}
    return built


def padded(
    absent: VisualFeatures,
    grid: Any,
    objects: Any = (),
    boxes: Any = None,
    classes: Any = None,
    scores: Any = None,
) -> VisualFeatures:
    """`absent` with these arrays put into it. Raises ValueError, naming the part, for shapes that do not fit."""
    regions, channels = absent.grid.shape
    vectors = np.asarray(objects, np.float32).reshape(-1, channels) if len(objects) else np.zeros((0, channels))
    count, most = len(vectors), len(absent.objects)
    if count > most:
        raise ValueError(f"{count} objects, and at most {most} were announced")
    parts = {
        "grid": (grid, (regions, channels)),
        "objects": (vectors, (count, channels)),
        "boxes": (boxes, (count, 4)),
        "classes": (classes, (count,)),
        "scores": (scores, (count,)),
    }
    for name, (value, shape) in parts.items():
        if value is None:
            continue
        given = np.asarray(value)
        if given.shape != shape:
            raise ValueError(f"{name} of shape {given.shape} instead of {shape}")
        getattr(absent, name)[: shape[0]] = given
    if scores is None:
        absent.scores[:count] = 1
    absent.object_mask[:count] = True
    absent.box_mask[:count] = boxes is not None
    return replace(absent, image_present=True)


class VectorFile:
    """Precomputed vectors of posts or images, from one file.

    A .safetensors file holds `regions` (N, R, C), and may hold `objects` (N, K, C) with `object_mask` (N, K), `boxes`
    (N, K, 4), `classes` (N, K) and `scores` (N, K); its metadata holds `ids`, a JSON list of N names. A .parquet file
    has a row for each id: `id`, `regions` (a list of R lists of C numbers), and may have `objects`, `boxes`, `classes`
    and `scores`. An id is a post's id, or the name of its image without suffix. Where there are boxes and no objects,
    the regions are the objects, and their mean is the grid.

    Raises FeatureFileError, naming the file and the id.
    """

    workers = 1

    def __init__(self, file: Path) -> None:
        self.file = file
        rows = list(_safetensors_rows(file) if file.suffix == ".safetensors" else _parquet_rows(file))
        self._rows: dict[str, dict[str, np.ndarray]] = {}
        for id, row in rows:
            if id in self._rows:
                raise FeatureFileError(f"{file}: the id {id!r} is there twice; keep one")
            self._rows[id] = row
        if not self._rows:
            raise FeatureFileError(f"{file}: no vectors in it")
        shapes = {id: row["regions"].shape for id, row in self._rows.items()}
        first = next(iter(shapes))
        self.regions, self.channels = shapes[first]
        for id, shape in shapes.items():
            if shape != shapes[first]:
                raise FeatureFileError(
                    f"{file}: {id!r} has regions of shape {shape}, and {first!r} of {shapes[first]}; where their "
                    "number varies, give them as objects"
                )
        self.max_objects = max(1, *(len(row.get("objects", ())) for row in self._rows.values()))
        most = max((int(row["classes"].max(initial=0)) for row in self._rows.values() if "classes" in row), default=0)
        self.class_names = (NO_CLASS, *(f"class {number}" for number in range(1, most + 1)))
        self.identity: dict[str, Any] = {"backbone": file.stem, "file": file_sha256(file)}

    def key(self, post: Post) -> str:
        """The key of the post's features. Raises ImageError when the file has neither its id nor its image's name."""
        return digest(self._id(post))

    def _id(self, post: Post) -> str:
        for id in (post.id, image_name(post)):
            if id in self._rows:
                return id
        raise ImageError(f"no vectors in {self.file.name}")

    def extract(self, post: Post) -> VisualFeatures:
        """The post's vectors. Raises FeatureFileError for shapes that do not fit together."""
        id = self._id(post)
        absent = VisualFeatures.absent(self.regions, self.channels, self.max_objects)
        row = self._rows[id]
        try:
            return padded(absent, row["regions"], *(row.get(name) for name in _OF_OBJECTS))
        except ValueError as error:
            raise FeatureFileError(f"{self.file}: {id!r} has {error}") from error

    def placeholders(self, posts: Sequence[Post]) -> dict[str, str]:
        """None: vectors do not tell what was in an image."""
        return {}

    def left_over(self, corpus: Corpus, near: bool = False) -> list[str]:
        """A sentence about vectors that belong to no post."""
        names = {name for _, posts in corpus.splits() for post in posts for name in (post.id, image_name(post))}
        unclaimed = [id for id in self._rows if id not in names]
        if not unclaimed:
            return []
        return [
            f"{len(unclaimed):,} of the vectors in {self.file.name} belong to no post, the first to {unclaimed[0]!r}"
        ]


_OF_OBJECTS = ("objects", "boxes", "classes", "scores")


def _row(file: Path, id: str, values: dict[str, Any]) -> dict[str, np.ndarray]:
    """One row as arrays: regions always, and objects where there are any."""
    row: dict[str, np.ndarray] = {}
    for name, value in values.items():
        try:
            row[name] = np.asarray(value, np.int64 if name == "classes" else np.float32)
        except (ValueError, TypeError) as error:
            raise FeatureFileError(f"{file}: {name} of {id!r} is no array of numbers ({error})") from error
        wanted = {"classes": 1, "scores": 1}.get(name, 2)
        if row[name].ndim != wanted and row[name].size:
            raise FeatureFileError(f"{file}: {name} of {id!r} has {row[name].ndim} dimensions instead of {wanted}")
    if "boxes" in row and "objects" not in row:
        row["objects"], row["regions"] = row["regions"], row["regions"].mean(0, keepdims=True)
    if "objects" not in row and (alone := sorted(row.keys() & set(_OF_OBJECTS))):
        raise FeatureFileError(
            f"{file}: {id!r} has {', '.join(alone)} and no objects; give their vectors, or leave it out"
        )
    return row


def _safetensors_rows(file: Path) -> Iterable[tuple[str, dict[str, np.ndarray]]]:
    data = read_whole(file, FeatureFileError)
    try:
        tensors = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        ids = json.loads(header["__metadata__"]["ids"])
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FeatureFileError(
            f"{file}: no file of vectors ({error}); give the tensor `regions`, and `ids`, a JSON list, as metadata"
        ) from error
    unknown = sorted(tensors.keys() - {"regions", "object_mask", *_OF_OBJECTS})
    if unknown or "regions" not in tensors:
        raise FeatureFileError(
            f"{file}: {'unknown tensor ' + unknown[0] if unknown else 'no tensor regions'}; a file of vectors has "
            f"regions, and may have object_mask, {', '.join(_OF_OBJECTS)}"
        )
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise FeatureFileError(f"{file}: its `ids` are no JSON list of names")
    for name, tensor in tensors.items():
        if len(tensor) != len(ids):
            raise FeatureFileError(f"{file}: {name} has {len(tensor)} rows, and there are {len(ids)} ids")
    mask = tensors.pop("object_mask", None)
    if mask is not None:
        for name in tensors.keys() & set(_OF_OBJECTS):
            if tensors[name].shape[:2] != mask.shape:
                given = tensors[name].shape[:2]
                raise FeatureFileError(f"{file}: {name} begins with {given}, and object_mask with {mask.shape}")
    for number, id in enumerate(ids):
        values = {name: tensor[number] for name, tensor in tensors.items()}
        if mask is not None:
            real = mask[number].astype(bool)
            values |= {name: values[name][real] for name in _OF_OBJECTS if name in values}
        yield id, _row(file, id, values)


def _parquet_rows(file: Path) -> Iterable[tuple[str, dict[str, np.ndarray]]]:
    import pandas as pd

    try:
        table = pd.read_parquet(file)
    except ImportError as error:
        raise FeatureFileError(f"{file}: reading parquet needs pyarrow (pip install pyarrow)") from error
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise FeatureFileError(f"{file} cannot be read ({error}); give a parquet file") from error
    if missing := [name for name in ("id", "regions") if name not in table]:
        raise FeatureFileError(f"{file}: no column {missing[0]}; there are {', '.join(map(repr, table.columns))}")
    if unknown := [name for name in table.columns if name not in ("id", "regions", *_OF_OBJECTS)]:
        raise FeatureFileError(f"{file}: unknown column {unknown[0]!r}; leave it out")
    for record in table.to_dict("records"):
        id = record.pop("id")
        if not isinstance(id, str):
            raise FeatureFileError(f"{file}: the id {id!r} is no text; write ids as strings")
        given = {name: value for name, value in record.items() if value is not None}
        nested = {name: list(map(list, value)) if name in ("regions", "objects", "boxes") else value
                  for name, value in given.items()}  # fmt: skip
        yield id, _row(file, id, nested)
