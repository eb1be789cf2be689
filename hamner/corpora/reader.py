"""Read and write posts in the IMGID form of CoNLL that the Twitter corpora come in.

    IMGID:1015799
    RT<TAB>O
    Kelso<TAB>B-PER
    <blank line>

A word may be a no-break space or hold a U+0085 or U+2028, so nothing here calls `str.strip` or `str.splitlines`: a line
ends at LF (one CR before it belongs to the line end) and the tag is what follows the line's last tab.
"""

from __future__ import annotations

import codecs
import shlex
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from hamner.corpora.files import list_folder, read_whole
from hamner.corpora.post import CorpusError, Post
from hamner.corpora.tags import TAGS
from hamner.corpora.words import has_half_surrogate
from hamner.files import written_whole

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_TWITTER2015_TAGS = {"B-OTHER": "B-MISC", "I-OTHER": "I-MISC"}
_BOM = "\ufeff"


def read_posts(path: Path | str, images: Mapping[str, Path] | Path | None = None) -> tuple[Post, ...]:
    """The posts of one file, in file order.

    `images` says where images are: a folder with ID.jpg, ID.jpeg, ID.png or ID.webp (the first of these that is
    there), or a mapping from post id to file. A post whose image is not there has image None. `OTHER`,
    Twitter-2015's spelling, is read as `MISC`. An I- after O is read as it stands: how it counts is the scoring
    protocol's affair.

    Raises CorpusError ("path:line: what is wrong; remedy") for anything that is not in this form.
    """
    path = Path(path)
    return parse_posts(read_whole(path), path, images)


def parse_posts(data: bytes, path: Path, images: Mapping[str, Path] | Path | None = None) -> tuple[Post, ...]:
    """What `read_posts` does, for bytes already read; `path` is named in errors."""
    if not isinstance(images, Mapping):
        images = {} if images is None else images_in(images)
    posts: list[Post] = []
    opened_at: dict[str, int] = {}  # post id -> line of its IMGID
    id: str | None = None
    words: list[str] = []
    tags: list[str] = []

    def fault(line: int, wrong: str, remedy: str) -> CorpusError:
        return CorpusError(f"{path}:{line}: {wrong}; {remedy}")

    def close() -> None:
        nonlocal id, words, tags
        if id is None:
            return
        if not words:
            raise fault(opened_at[id], f"post {id!r} has no words", "give it words or remove its IMGID line")
        posts.append(Post(id, tuple(words), tuple(tags), images.get(id)))
        id, words, tags = None, [], []

    text = _decode(data, path)
    if "\r" in text and "\n" not in text:
        raise fault(1, "lines end in CR alone", "turn each CR into LF: tr '\\r' '\\n' < OLD > NEW")
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if "\0" in line:
            raise fault(number, "NUL byte", "this is no text file, or a damaged one: get a fresh copy")
        if line == "":
            close()
        elif line.startswith("IMGID:") and "\t" not in line:
            close()
            id = line.removeprefix("IMGID:")
            if wrong := id_fault(id):
                raise fault(number, wrong, "an IMGID names one image file without its folder and suffix")
            if id in opened_at:
                wrong = f"IMGID {id!r} was already used on line {opened_at[id]}"
                raise fault(number, wrong, "give each post of a file an IMGID of its own")
            opened_at[id] = number
        elif "\t" not in line:
            remedy = "write word<TAB>tag, or leave the line empty to end the post"
            raise fault(number, f"no tab in {_shortened(line)!r}", remedy)
        elif id is None:
            raise fault(number, "a word that belongs to no post", "begin each post with a line IMGID:<id>")
        else:
            word, tag = line.rsplit("\t", 1)
            tag = _TWITTER2015_TAGS.get(tag, tag)
            if word == "":
                raise fault(number, "an empty word", "write a word before the tab, or remove the line")
            if tag not in TAGS:
                raise fault(number, f"unknown tag {_shortened(tag)!r}", f"use one of {', '.join(TAGS)}")
            words.append(word)
            tags.append(tag)
    close()  # Twitter-2015 does not end with a blank line
    return tuple(posts)


def write_posts(posts: Iterable[Post], path: Path | str) -> None:
    """Write tagged posts so that `read_posts` gives them back; the file is written whole or not at all.

    Raises CorpusError, naming the post, for what the form cannot hold (no tags, a line feed in a word ...).
    """
    path = Path(path)
    lines: list[str] = []
    seen: set[str] = set()
    for post in posts:
        if wrong := _post_fault(post) or (f"is there twice in {path.name}" if post.id in seen else None):
            raise CorpusError(f"{path}: post {post.id!r} cannot be written: {wrong}; mend the post first")
        seen.add(post.id)
        lines.append(f"IMGID:{post.id}")
        lines.extend(f"{word}\t{tag}" for word, tag in zip(post.words, post.tags or (), strict=True))
        lines.append("")
    with written_whole(path, CorpusError) as temporary:
        temporary.write_bytes("".join(line + "\n" for line in lines).encode())


def images_in(folder: Path) -> dict[str, Path]:
    """Post id -> image, for a folder with ID.jpg, ID.jpeg, ID.png or ID.webp (preferred in this order)."""
    images: dict[str, Path] = {}
    files = [file for file in list_folder(folder) if file.suffix.lower() in IMAGE_SUFFIXES]
    for file in sorted(files, key=lambda file: IMAGE_SUFFIXES.index(file.suffix.lower())):
        images.setdefault(file.stem, file)
    return images


def id_fault(id: str) -> str | None:
    """What keeps `id` from being the name of a file in a folder of images, or None."""
    if id == "":
        return "an empty IMGID"
    if id in (".", "..") or "/" in id or "\\" in id:
        return f"IMGID {id!r} is a path"
    if any(unicodedata.category(character) == "Cc" for character in id):
        return f"IMGID {id!r} holds a control character"
    return None


def _post_fault(post: Post) -> str | None:
    if wrong := id_fault(post.id):
        return wrong
    if not post.words or post.tags is None or len(post.tags) != len(post.words):
        return "it needs words and one tag for each"
    if unknown := set(post.tags) - set(TAGS):
        return f"unknown tag {min(unknown)!r}"
    for text in (post.id, *post.words):
        if text == "" or "\n" in text or "\0" in text:
            return f"{text!r} is no word: it is empty or holds a line feed or NUL"
        if has_half_surrogate(text):
            return f"{text!r} holds half a surrogate pair, which UTF-8 cannot encode"
    return None


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _decode(data: bytes, path: Path) -> str:
    try:
        # Windows editors put a byte order mark first; before "IMGID:" it cannot be part of a word.
        return data.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        name = shlex.quote(str(path))
        encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "latin1"
        raise CorpusError(
            f"{path}:{line}: byte {column} of the line, 0x{data[error.start]:02X}, is not UTF-8; "
            f"if the file is {encoding}, convert it: "
            f"iconv -f {encoding} -t utf-8 {name} > {shlex.quote(path.name + '.utf8')}"
        ) from error
