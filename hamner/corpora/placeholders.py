"""Placeholders: images that a service puts in the place of lost ones, such as a grey box "Image not found".

A placeholder is known by its repetition: one image under many file names. Two images are the same if their files are,
byte for byte. They are nearly the same if their thumbnails are: a placeholder that was compressed or resized again.
Posts that share one file (`images.tsv`) share it on purpose and do not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hamner.corpora.post import Post
from hamner.images import ImageError, image_sha256, open_image

MASK = "hamner features --mask-placeholders, hamner train --set visual.mask_placeholders=true"
"""The options that mask placeholders, for messages."""

SIDE = 16
"""Pixels a side of the thumbnails that are compared."""

NEAR = 0.12
"""Images are nearly the same if their thumbnails differ by at most this share of their contrast (root mean squares).

Of 420 real images saved again as JPEG of quality 30, half differ by less than 0.02 and 19 of 20 by less than 0.04.
Different images differ by more than 0.4."""

MASKED_FROM = 3
"""Files with the same image that make it a placeholder to be masked. Two may be one image that was posted twice."""

_ROWS = 512  # thumbnails compared at a time: 512 x 10,000 distances take 20 MB


@dataclass(frozen=True)
class RepeatedImage:
    """One image under several file names: its files, the ids of its posts, and whether all bytes are the same."""

    files: tuple[Path, ...]
    posts: tuple[str, ...]
    identical: bool

    def __str__(self) -> str:
        same = "have one and the same image" if self.identical else "have nearly the same image"
        return f"{len(self.posts):,} posts under different names {same}, the first is {self.files[0].name}"


@dataclass(frozen=True)
class Glance:
    """An image at a glance: a thumbnail (SIDE, SIDE, 3) in 8 bits, and whether the image is of one colour."""

    thumbnail: np.ndarray
    blank: bool


def glance(path: Path) -> Glance:
    """Decode an image to its end. Raises ImageError when it cannot be read."""
    image = open_image(path, least=64)
    blank = all(low == high for low, high in (band.getextrema() for band in image.split()))
    return Glance(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)), blank)


def repeated_images(posts: Iterable[Post], glances: Mapping[Path, Glance] | None = None) -> list[RepeatedImage]:
    """The images that several files hold, the most frequent first.

    Args:
        posts: Their images count, whatever the split.
        glances: Image -> its `glance`; nearly the same images count too. Without it, identical files alone.
    """
    users: dict[Path, list[str]] = defaultdict(list)
    for post in posts:
        if post.image is not None:
            users[post.image].append(post.id)
    same: dict[str, list[Path]] = defaultdict(list)
    for path in users:
        try:
            same[image_sha256(path)].append(path)
        except ImageError:
            continue  # reported where the image is opened
    groups = list(same.values())
    if glances is not None:
        seen = [group for group in groups if group[0] in glances]
        groups = [group for group in groups if group[0] not in glances]
        for numbers in _near([glances[group[0]].thumbnail for group in seen]):
            groups.append([path for number in numbers for path in seen[number]])
    sha256 = {path: digest for digest, paths in same.items() for path in paths}
    repeated = [
        RepeatedImage(
            tuple(files), tuple(id for file in files for id in users[file]), len({sha256[file] for file in files}) == 1
        )
        for files in groups
        if len(files) > 1
    ]
    return sorted(repeated, key=lambda one: -len(one.files))


def glances_of(posts: Iterable[Post]) -> dict[Path, Glance]:
    """The `glance` of each image of `posts` that can be read."""
    glances: dict[Path, Glance] = {}
    for path in dict.fromkeys(post.image for post in posts if post.image is not None):
        with suppress(ImageError):  # reported where its features are computed
            glances[path] = glance(path)
    return glances


def placeholders(posts: Sequence[Post]) -> dict[str, str]:
    """Post id -> why its image is taken for a placeholder: MASKED_FROM files or more hold it, or nearly so."""
    return {
        id: f"a placeholder: {len(repeated.files):,} files hold this image, the first is {repeated.files[0].name}"
        for repeated in repeated_images(posts, glances_of(posts))
        if len(repeated.files) >= MASKED_FROM
        for id in repeated.posts
    }


def about_repeated(repeated: Sequence[RepeatedImage], most: int = 3) -> list[str]:
    """What a report says about repeated images: a sentence for each of the `most` frequent, one for the others."""
    sentences = [
        f"{one}: {'a placeholder for a lost one?' if len(one.files) >= MASKED_FROM else 'posted twice?'}"
        for one in repeated[:most]
    ]
    if len(repeated) > most:
        others = sum(len(one.posts) for one in repeated[most:])
        sentences.append(f"{len(repeated) - most:,} more images are repeated under other names, by {others:,} posts")
    if repeated and len(repeated[0].files) >= MASKED_FROM:
        sentences.append(f"to treat images of {MASKED_FROM} files or more as missing: {MASK}")
    return sentences


def _near(thumbnails: Sequence[np.ndarray]) -> list[list[int]]:
    """The numbers of the thumbnails in groups: each belongs to the first one that it nearly equals."""
    if not thumbnails:
        return []
    pixels = np.stack(thumbnails).reshape(len(thumbnails), -1).astype(np.float32)
    norms = (pixels**2).sum(1)
    allowed = np.maximum(1.0, NEAR * pixels.std(1)) ** 2 * pixels.shape[1]  # squared distance, at least 1 level
    first = np.arange(len(pixels))
    for begin in range(0, len(pixels), _ROWS):
        some = slice(begin, begin + _ROWS)
        distances = norms[some, None] + norms - 2 * pixels[some] @ pixels.T
        first[some] = (distances <= allowed[some, None]).argmax(1)  # the diagonal is 0: always one
    groups: dict[int, list[int]] = defaultdict(list)
    for number in range(len(pixels)):
        root = number
        while first[root] < root:
            root = first[root]
        groups[int(root)].append(number)
    return list(groups.values())
