"""`Post` and `Corpus`: tweets with their tags and images, in three splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hamner.errors import HamnerError

SPLITS = ("train", "valid", "test")


class CorpusError(HamnerError):
    """A corpus cannot be read, fetched or written; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Post:
    """One tweet: its words, their tags if known, and its image if there is one.

    `words` and `tags` have one length. A word is never empty, but may consist of characters for which no encoder has a
    word piece. `image` is the image's file, or None when the corpus has no image of this post.
    """

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    image: Path | None = None


@dataclass(frozen=True)
class Corpus:
    """Posts in three splits, with the hashes of their files.

    `sha256` maps each file's name to its SHA-256 in hex digits. Run records hold it: a result names the exact text that
    it was measured on.
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
