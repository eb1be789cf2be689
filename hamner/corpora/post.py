"""`Post` and `Corpus`: tweets with their tags and images, in three splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hamner.corpora.tags import label_set, tags_of, types_in
from hamner.errors import HamnerError

if TYPE_CHECKING:
    from hamner.corpora.reader import Columns

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
    it was measured on. `notes` has a line for the user about each conversion of the tags. `scheme` is the one that the
    files are written in (`hamner.corpora.schemes`), and `columns` the columns that were chosen, or None. `first_lines`
    maps a type to the file and line where it first occurs.
    """

    name: str
    folder: Path
    train: tuple[Post, ...]
    valid: tuple[Post, ...]
    test: tuple[Post, ...]
    sha256: dict[str, str]
    notes: tuple[str, ...] = ()
    scheme: str = "BIO"
    columns: Columns | None = None
    first_lines: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The entity types that a model learns here, those of train: PER, LOC, ORG and MISC, or others, sorted.

        They are the four wherever train has no other type, even if it lacks one of them.
        """
        return label_set(types_in(post.tags for post in self.train))

    @property
    def tags(self) -> tuple[str, ...]:
        """The BIO tags of `types`."""
        return tags_of(self.types)

    @cached_property
    def held_out_types(self) -> tuple[str, ...]:
        """The types that occur in valid or test alone, sorted: no model can find them, and each counts as missed."""
        found = types_in(post.tags for posts in (self.valid, self.test) for post in posts)
        return tuple(sorted(found - set(self.types)))

    @property
    def every_type(self) -> tuple[str, ...]:
        """The types of all splits: `types`, then `held_out_types`."""
        return self.types + self.held_out_types

    def __getitem__(self, split: str) -> tuple[Post, ...]:
        """The posts of `split`, one of "train", "valid", "test"."""
        if split not in SPLITS:
            raise KeyError(f"no split {split!r}: a corpus has {', '.join(SPLITS)}")
        return getattr(self, split)

    def splits(self) -> Iterator[tuple[str, tuple[Post, ...]]]:
        """(name, posts) of each split, in the order train, valid, test."""
        return ((split, self[split]) for split in SPLITS)
