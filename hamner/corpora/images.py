"""Which image is whose: posts and files are joined by name, and what is left over on either side is reported.

A file belongs to the post whose id is its name without the suffix, or to the posts that images.tsv gives it to.
"""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hamner.corpora.files import list_folder
from hamner.corpora.post import SPLITS, Corpus, CorpusError
from hamner.files import read_text

IMAGES = "images.tsv"
"""The file beside a corpus that names the image of each post, where posts share images: a line id<TAB>file each."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".jfif", ".gif", ".bmp", ".tif", ".tiff")
"""Suffixes of images, in small or capital letters. Of several files with one name the first in this order counts."""

TWITTER_SIZES = ("large", "orig", "medium", "small", "thumb")
"""Sizes that downloads from Twitter append to a suffix, after one of the signs in TWITTER_SIGNS: 1.jpg_large."""

TWITTER_SIGNS = "_-:"

_CLOSE = 0.75  # of difflib.get_close_matches: 1 is the same name
_MOST_COMPARED = 20_000  # ids that a name is compared with: more would take seconds


class ImageFolder(Mapping[str, Path]):
    """Post id -> image, for the images in a folder.

    An id also finds its image if it carries a suffix itself (1.jpg), has blanks around it, or spells its letters
    otherwise (decomposed, as macOS writes file names). A file of exactly this name comes first.
    """

    def __init__(self, folder: Path) -> None:
        files = [file for file in list_folder(folder) if image_suffix(file.name)]
        files.sort(key=lambda file: _order(image_suffix(file.name)))
        self._exact: dict[str, Path] = {}
        self._names: dict[str, Path] = {}
        for file in files:
            self._exact.setdefault(image_stem(file.name), file)
            self._names.setdefault(normal_name(file.name), file)

    def __getitem__(self, id: str) -> Path:
        return self._exact[id] if id in self._exact else self._names[normal_name(id)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._exact)

    def __len__(self) -> int:
        return len(self._exact)


def images_in(folder: Path) -> ImageFolder:
    """Post id -> image, for a folder with files ID.jpg, ID.png and so on (IMAGE_SUFFIXES)."""
    return ImageFolder(folder)


def images_of(folder: Path) -> Mapping[str, Path]:
    """Post id -> image file that exists, for a corpus's folder: by images.tsv where there is one, else by file name.

    Raises CorpusError for a malformed images.tsv and for a folder images/ that cannot be listed.
    """
    images = folder / "images"
    if not os.path.isdir(images):
        return {}
    if not os.path.lexists(folder / IMAGES):
        return images_in(images)
    present = {file.name: file for file in list_folder(images)}
    composed = {unicodedata.normalize("NFC", name): file for name, file in present.items()}
    files = {
        id: present.get(name) or composed.get(unicodedata.normalize("NFC", name.strip()))
        for id, name in listed_images(folder).items()
    }
    return {id: file for id, file in files.items() if file is not None}


def listed_images(folder: Path) -> dict[str, str]:
    """Post id -> name of a file in images/, as the images.tsv in a corpus's folder lists them.

    Raises CorpusError, naming the line.
    """
    path = folder / IMAGES
    listed: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(read_text(path, CorpusError).split("\n"), start=1):
        line = line.removesuffix("\r")
        if line == "":
            continue
        id, tab, file = line.partition("\t")
        if not tab or id_fault(id) or id_fault(file):
            raise CorpusError(f"{path}:{number}: {line[:80]!r} is no id<TAB>file; name a file of images/")
        if id in lines:
            raise CorpusError(f"{path}:{number}: {id!r} was already given an image on line {lines[id]}; remove one")
        lines[id] = number
        listed[id] = file
    return listed


def id_fault(id: str) -> str | None:
    """Why `id` cannot be the name of a file in a folder of images, or None."""
    if id == "":
        return "an empty IMGID"
    if id in (".", "..") or "/" in id or "\\" in id:
        return f"IMGID {id[:60]!r} is a path"
    if any(unicodedata.category(character) == "Cc" for character in id):
        return f"IMGID {id[:60]!r} holds a control character"
    return None


def image_suffix(name: str) -> str:
    """The suffix of an image's file name as it is written (".JPG", ".jpg_large"); "" if there is none."""
    stem, dot, suffix = name.rpartition(".")
    kind = suffix.lower()
    for sign in TWITTER_SIGNS:
        head, found, size = kind.partition(sign)
        if found and size in TWITTER_SIZES:
            kind = head
    return f".{suffix}" if stem and dot and f".{kind}" in IMAGE_SUFFIXES else ""


def image_stem(name: str) -> str:
    """A file name without the suffix of an image."""
    return name.removesuffix(image_suffix(name))


def normal_name(name: str) -> str:
    """One spelling for names that a reader takes for the same: without suffix and blanks around it, composed (NFC)."""
    return unicodedata.normalize("NFC", image_stem(name.strip())).strip()


def _order(suffix: str) -> tuple[int, str]:
    plain = suffix.lower()
    rank = IMAGE_SUFFIXES.index(plain) if plain in IMAGE_SUFFIXES else len(IMAGE_SUFFIXES)
    return rank, suffix


@dataclass(frozen=True)
class UnmatchedImages:
    """What the join of posts and images leaves over.

    posts     split -> ids of posts without an image
    files     files in images/, at any depth, that belong to no post
    outside   where no post has an image: files that have a post's name, beside images/ or in another folder
    absent    post id -> file that images.tsv names and that is not there
    unknown   ids in images.tsv that no post has
    shadow    file that belongs to no post -> the file that was taken for its post
    total     number of posts
    listed    whether there is an images.tsv
    """

    folder: Path
    posts: Mapping[str, tuple[str, ...]]
    files: tuple[Path, ...]
    outside: tuple[Path, ...]
    absent: Mapping[str, str]
    unknown: tuple[str, ...]
    shadow: Mapping[Path, Path]
    total: int
    listed: bool

    @property
    def count(self) -> int:
        """How many posts have no image."""
        return sum(map(len, self.posts.values()))

    def sentences(self) -> list[str]:
        """What is left over, one sentence for each side with the likeliest match and the remedy; none if nothing is."""
        return [*self.about_posts(), *self.about_files()]

    def about_files(self) -> list[str]:
        """Lines of images.tsv without a file or without a post, and files that no post claims."""
        return [*self._about_absent(), *self._about_unknown(), *self._about_unclaimed(), *self.about_outside()]

    def about_outside(self) -> list[str]:
        """Images that lie beside images/ or in a folder of another name."""
        if not self.outside:
            return []
        count = "1 image lies" if len(self.outside) == 1 else f"{len(self.outside):,} images lie"
        first = self.outside[0].relative_to(self.folder).as_posix()
        return [f"{count} outside of images/, the first is {first!r}: move them into {self.folder / 'images'}"]

    def about_posts(self) -> list[str]:
        """Posts without an image, by split."""
        if not self.count:
            return []
        counts = "/".join(str(len(self.posts.get(split, ()))) for split in SPLITS)
        first = next(id for ids in self.posts.values() for id in ids)
        return [f"{counts} (train/valid/test) of {self.total:,} posts have no image, the first is {first}"]

    def _about_absent(self) -> list[str]:
        if not self.absent:
            return []
        id, file = next(iter(self.absent.items()))
        names = [path.relative_to(self.folder / "images").as_posix() for path in self.files]
        match = _likeliest(file, names)
        remedy = f"is it images/{match}?" if match else "add the files or correct the lines"
        count = "1 file that is" if len(self.absent) == 1 else f"{len(self.absent):,} files that are"
        return [f"{IMAGES} names {count} not in images/, the first is {file!r} of post {id!r}: {remedy}"]

    def _about_unknown(self) -> list[str]:
        if not self.unknown:
            return []
        first, without = self.unknown[0], [id for ids in self.posts.values() for id in ids]
        match = _likeliest(first, without)
        remedy = f"is it post {match!r}?" if match else "correct or remove the lines"
        count = "1 id that no post has" if len(self.unknown) == 1 else f"{len(self.unknown):,} ids that no post has"
        return [f"{IMAGES} names {count}, the first is {first!r}: {remedy}"]

    def _about_unclaimed(self) -> list[str]:
        """A sentence for each kind of file that nobody claims."""
        images = self.folder / "images"
        without = [id for ids in self.posts.values() for id in ids]
        plain = {_plain(id): id for id in reversed(without)}
        by_remedy: dict[str, list[Path]] = defaultdict(list)
        for file in self.files:
            by_remedy[self._kind(file)].append(file)
        sentences = []
        for kind, files in by_remedy.items():
            matched = [(file, match) for file in files if (match := plain.get(_plain(file.name)))]
            first, match = matched[0] if matched else (files[0], _likeliest(files[0].name, without))
            count = "1 file in images/ belongs" if len(files) == 1 else f"{len(files):,} files in images/ belong"
            example = "the first is" if first == files[0] else "one is"
            text = f"{count} to no post, {example} {first.relative_to(images).as_posix()!r}"
            whose = f", likeliest the image of post {match!r}" if match else ""
            if kind == "shadow":
                text += f"; {self.shadow[first].name!r} was taken for that post: remove one of the two"
            elif self.listed:
                text += f"{whose}: give it to a post in {IMAGES}, one line id<TAB>file for each post"
            elif kind == "subfolder":
                text += f"{whose}: move the files from subfolders into images/ itself"
            elif kind == "suffix":
                text += (
                    f"{whose}: an image is found by the name ID.jpg; other suffixes are {', '.join(IMAGE_SUFFIXES[1:])}"
                )
            elif match:
                text += f"{whose}: rename it {match}{image_suffix(first.name)}, or name it in {IMAGES}"
            else:
                text += f": name each file after its post, ID.jpg, or list post and file in {IMAGES}"
            sentences.append(text)
        return sentences

    def _kind(self, file: Path) -> str:
        if file in self.shadow:
            return "shadow"
        if file.parent != self.folder / "images":
            return "subfolder"
        return "name" if image_suffix(file.name) else "suffix"


def unmatched_images(corpus: Corpus) -> UnmatchedImages:
    """What the join of a corpus's posts and the files in its folder images/ leaves over.

    A file counts if it has an image's suffix or the name of a post without an image. Raises CorpusError when the folder
    cannot be listed.
    """
    posts = {split: tuple(post.id for post in some if post.image is None) for split, some in corpus.splits()}
    without = {id for ids in posts.values() for id in ids}
    names = {normal_name(id) for id in without}
    claimed = {post.image for _, some in corpus.splits() for post in some if post.image is not None}
    taken = {normal_name(path.name): path for path in claimed}
    listed = os.path.lexists(corpus.folder / IMAGES)
    files = tuple(
        file
        for file in _files_below(corpus.folder / "images")
        if file not in claimed and (image_suffix(file.name) or names & {normal_name(file.name), normal_name(file.stem)})
    )
    shadow = {} if listed else {file: taken[name] for file in files if (name := normal_name(file.name)) in taken}
    lines = listed_images(corpus.folder) if listed else {}
    absent = {id: file for id, file in lines.items() if id in without}
    ids = {post.id for _, some in corpus.splits() for post in some}
    total = sum(len(some) for _, some in corpus.splits())
    unknown = tuple(id for id in lines if id not in ids)
    outside: tuple[Path, ...] = ()
    if not claimed and not files:
        own = {_plain(name) for name in without} | {_plain(name) for name in absent.values()}
        beside = _files_below(corpus.folder, levels=1)
        outside = tuple(file for file in beside if image_suffix(file.name) and _plain(file.name) in own)
    return UnmatchedImages(corpus.folder, posts, files, outside, absent, unknown, shadow, total, listed)


def _files_below(folder: Path, levels: int | None = None) -> list[Path]:
    """The files in a folder and in its subfolders, but hidden ones; `levels` of subfolders, by default all."""
    files = []
    for path, subfolders, names in os.walk(folder):
        last = levels is not None and len(Path(path).relative_to(folder).parts) == levels
        subfolders[:] = [] if last else sorted(name for name in subfolders if not name.startswith("."))
        files += [Path(path, name) for name in sorted(names) if not name.startswith(".")]
    return files


def _likeliest(name: str, candidates: Sequence[str]) -> str | None:
    """The candidate that a reader takes for the same name, or nearly the same; None if there is none."""
    plain = _plain(name)
    for candidate in candidates:
        if _plain(candidate) == plain:
            return candidate
    near = difflib.get_close_matches(plain, [_plain(some) for some in candidates[:_MOST_COMPARED]], 1, _CLOSE)
    return next(candidate for candidate in candidates if _plain(candidate) == near[0]) if near else None


def _plain(name: str) -> str:
    """A name without its folders, suffixes, leading zeros and signs, in small letters and compatible forms (NFKC)."""
    stem = unicodedata.normalize("NFKC", name.rpartition("/")[2]).casefold().strip()
    while suffix := image_suffix(stem):
        stem = stem.removesuffix(suffix)
    stem = re.sub(r"\.(heic|avif|svg|jp2|image|img|bin)$", "", stem)
    return re.sub(r"[\W_]+", "", stem).lstrip("0") or stem
