"""A post and a corpus of posts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hamner.errors import HamnerError

SPLITS = ("train", "valid", "test")


class CorpusError(HamnerError):
    """A corpus cannot be read, fetched or written as it stands."""


@dataclass(frozen=True, slots=True)
class Post:
    """One tweet: its words, their tags where they are known, and its image where there is one.

    `words` and `tags` are of one length. A word is never empty but may be anything else, also characters that no
    encoder has a piece for. `image` is the image's file, or None when the corpus has no image for this post.
    """

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    image: Path | None = None


@dataclass(frozen=True)
class Corpus:
    """Posts in three splits, and what identifies them.

    `sha256` gives the hash of each file that was read (file name -> hex digest): run records carry it, so that a result
    names the exact text that it was measured on.
    """

    name: str
    folder: Path
    train: tuple[Post, ...]
    valid: tuple[Post, ...]
    test: tuple[Post, ...]
    sha256: dict[str, str]

    def __getitem__(self, split: str) -> tuple[Post, ...]:
        """The posts of `split`, one of "train", "valid", "test"."""
        if split not in SPLITS:
            raise KeyError(f"no split {split!r}: a corpus has {', '.join(SPLITS)}")
        return getattr(self, split)

    def splits(self) -> Iterator[tuple[str, tuple[Post, ...]]]:
        """(name, posts) of each split, in the order train, valid, test."""
        return ((split, self[split]) for split in SPLITS)
