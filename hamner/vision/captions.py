"""Captions as a stand-in for images that are unavailable.

A frozen text encoder gives both: the caption's vector takes the place of the grid (R = 1), the vectors of its phrases
take the place of objects. There are no boxes: `box_mask` is False throughout. Results from this source are labelled as
a stand-in.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hamner.corpora.images import image_suffix, normal_name
from hamner.corpora.placeholders import MASK, MASKED_FROM
from hamner.corpora.post import Corpus, Post
from hamner.corpora.words import has_half_surrogate
from hamner.errors import HamnerError
from hamner.files import read_text
from hamner.images import ImageError
from hamner.vision.features import VisualFeatures, digest

SEPARATORS = (
    "in front of|on top of|in the middle of|on the side of|next to|close to"
    "|and|or|but|while|that|which|who"
    "|with|without|in|into|on|onto|at|by|to|from|for|over|under|behind|beside|near|above|below|between|through|around|against"
    "|is|are|was|were|has|have|holding|wearing|playing|riding|sitting|standing|looking|posing|walking|talking"
)
"""Words that a caption is cut at: conjunctions, prepositions and verbs between two objects. "of" is not among them:
"a group of people" is one object."""

REPEATED = 0.02
"""Share of a corpus's posts from which on one caption is taken for a placeholder's.

In the Twitter corpora a true caption stands in up to 1.2 % of the posts, the placeholder's in 7.4 % (Twitter-2017)."""

_CUT = re.compile(rf"[^\w\s'&#@/-]+|(?<![\w'-])(?:{SEPARATORS})(?![\w'-])", re.IGNORECASE)
_NO_NAME = frozenset(
    {"a", "an", "the", "this", "these", "those", "there", "he", "she", "it", "they"}
    | {"him", "her", "them", "his", "its", "their", "my", "your", "our"}
)


class CaptionError(HamnerError):
    """A captions file cannot be read; the message names the file and, where it has lines, the line."""


class TextEncoder(Protocol):
    """A frozen encoder of short texts. `identity` names its weights; `channels` is C."""

    identity: str
    channels: int

    def __call__(self, texts: Sequence[str], /) -> np.ndarray:
        """One vector a text: (N, C) float."""
        ...


def phrases(caption: str) -> list[str]:
    """The phrases of a caption, cut at punctuation and SEPARATORS; each phrase once, in order.

    "a man and a little girl standing next to a van" gives ["a man", "a little girl", "a van"]. Phrases that consist of
    articles and pronouns alone are left out.
    """
    cut = (" ".join(part.split()) for part in _CUT.split(caption))
    return list(dict.fromkeys(part for part in cut if set(part.lower().split()) - _NO_NAME))


def image_name(post: Post) -> str:
    """The key of a post's caption: its image file's name without suffix; the post's id if the image is not here.

    As `read_captions` spells it: composed letters (NFC), no blanks around it.
    """
    if post.image is None:
        return normal_name(post.id)
    return normal_name(post.image.name if image_suffix(post.image.name) else post.image.stem)


def read_captions(file: Path | str) -> dict[str, str]:
    """Read captions: image's name without its suffix -> caption.

    A file is a JSON object {"ID.jpg": "caption", ...} (CATR), or has a line `ID.jpg :caption` for each image (BLIP-2).

    Raises CaptionError.
    """
    file = Path(file)
    text = read_text(file, CaptionError)
    captions: dict[str, str] = {}
    for number, name, caption in _from_json(file, text) if text.lstrip().startswith("{") else _from_lines(file, text):
        if has_half_surrogate(name) or has_half_surrogate(caption):
            raise CaptionError(
                f"{file}:{number}: the caption of {ascii(name)[1:-1]} holds half a surrogate pair: mend or remove it"
            )
        if captions.setdefault(normal_name(Path(name).name), caption) != caption:
            raise CaptionError(f"{file}:{number}: a second, different caption for {name}; keep one of them")
    if not captions:
        raise CaptionError(f"{file}: no captions in it; write a line `ID.jpg :caption` for each image")
    return captions


def _from_json(file: Path, text: str) -> list[tuple[int, str, str]]:
    try:
        # A caption that is a number is refused below, however many digits it has.
        record = json.loads(text, object_pairs_hook=list, parse_int=str.encode, parse_float=str.encode)
    except json.JSONDecodeError as error:
        raise CaptionError(f"{file}:{error.lineno}: {error.msg}; correct the JSON there") from error
    except RecursionError as error:
        raise CaptionError(f'{file}: nested too deep; captions are one object {{"ID.jpg": "caption"}}') from error
    for name, caption in record:
        if not isinstance(caption, str):
            raise CaptionError(f"{file}: the caption of {name!r} must be a string in quotes; correct it")
    return [(1, name, caption.strip()) for name, caption in record]


def _from_lines(file: Path, text: str) -> list[tuple[int, str, str]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        name, separator, caption = line.partition(" :")
        if not separator or not name:
            raise CaptionError(f"{file}:{number}: not of the form `ID.jpg :caption`")
        rows.append((number, name, caption.strip()))
    return rows


def read_captions_of(files: Sequence[Path | str]) -> dict[str, str]:
    """`read_captions` of several files together. Raises CaptionError also if two files differ about an image."""
    captions: dict[str, str] = {}
    for file in files:
        for name, caption in read_captions(file).items():
            if captions.setdefault(name, caption) != caption:
                raise CaptionError(f"{file}: a second, different caption for {name}; keep one of the files")
    return captions


class CaptionExtractor:
    """Posts to `VisualFeatures` through their captions: that of the post's image name, or of its id."""

    class_names: tuple[str, ...] = ("(none)",)
    regions = 1
    workers = 1  # tokenizers cannot be shared between threads

    def __init__(self, files: Sequence[Path | str], encode: TextEncoder, max_objects: int) -> None:
        self.captions = read_captions_of(files)
        self.encode = encode
        self.channels = encode.channels
        self.max_objects = max_objects
        self.identity: dict[str, Any] = {
            "backbone": "captions",
            "encoder": encode.identity,
            "separators": SEPARATORS,
            "threads": 1,
        }

    def key(self, post: Post) -> str:
        """The key of the post's features: its caption's SHA-256. Raises ImageError when it has no caption."""
        return digest(self._caption(post))

    def _caption(self, post: Post) -> str:
        caption = self.captions.get(image_name(post), "")
        if not caption:
            raise ImageError("no caption")
        return caption

    def placeholders(self, posts: Sequence[Post]) -> dict[str, str]:
        """Post id -> why its caption is taken for a placeholder's."""
        return {
            id: f"a placeholder: {len(ids):,} posts have the caption {caption!r}"
            for caption, ids in self._repeated(posts).items()
            for id in ids
        }

    def left_over(self, corpus: Corpus, near: bool = False) -> list[str]:
        """Sentences about captions that belong to no post, and about a caption that too many posts have."""
        posts = [post for _, some in corpus.splits() for post in some]
        claimed = {image_name(post) for post in posts}
        sentences = []
        if unclaimed := [name for name in self.captions if name not in claimed]:
            count = "1 caption belongs" if len(unclaimed) == 1 else f"{len(unclaimed):,} captions belong"
            sentences.append(
                f"{count} to no post, the first is that of {unclaimed[0]!r}: a caption is named as its image"
            )
        sentences += [
            f"{len(ids):,} posts have the caption {caption!r}: that of a placeholder for lost images? {MASK}"
            for caption, ids in self._repeated(posts).items()
        ]
        return sentences

    def _repeated(self, posts: Sequence[Post]) -> dict[str, list[str]]:
        """Caption -> ids of its posts, for captions of at least MASKED_FROM images and REPEATED of all posts."""
        users: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))  # caption -> image -> ids
        for post in posts:
            if caption := self.captions.get(image_name(post)):
                users[caption][image_name(post)].append(post.id)
        return {
            caption: [id for ids in images.values() for id in ids]
            for caption, images in users.items()
            if len(images) >= max(MASKED_FROM, REPEATED * len(posts))
        }

    def extract(self, post: Post) -> VisualFeatures:
        """Encode the post's caption and its phrases. Raises ImageError when it has no caption."""
        caption = self._caption(post)
        parts = phrases(caption)[: self.max_objects]
        vectors = np.asarray(self.encode([caption, *parts]), np.float32)  # (1 + k, C)
        features = VisualFeatures.absent(self.regions, self.channels, self.max_objects)
        features.grid[0] = vectors[0]
        features.objects[: len(parts)] = vectors[1:]
        features.scores[: len(parts)] = 1
        features.object_mask[: len(parts)] = True
        return replace(features, image_present=True)
