"""Read and write posts in the corpora's file format: CoNLL columns with an IMGID line before each post.

    IMGID:1015799
    RT<TAB>O
    Kelso<TAB>B-PER
    <blank line>

A word may be a no-break space or a U+0085, so nothing here calls `str.strip` or `str.splitlines`: a line ends at LF or
CR LF, and one tab parts the word from its tag. Further columns are refused: joined to the word, a column of gold
labels would tell the model the answers.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from hamner.corpora.images import id_fault, images_in
from hamner.corpora.post import CorpusError, Post
from hamner.corpora.tags import TAGS, TWITTER2015_TAGS
from hamner.corpora.words import has_half_surrogate
from hamner.files import decoded, read_whole, written_whole

ID_MARK = "IMGID:"
"""What a line begins with that gives a post's id."""


def read_posts(path: Path | str, images: Mapping[str, Path] | Path | None = None) -> tuple[Post, ...]:
    """The posts of one file, in file order.

    Args:
        path: a file of posts in UTF-8, with or without a byte order mark.
        images: a folder with ID.jpg, ID.png and so on (`IMAGE_SUFFIXES` of `images.py`, preferred in this order), or a
            mapping from post id to file. A post without an image has `image` None.

    `OTHER`, Twitter-2015's spelling, is read as `MISC`. An orphan I- stays as it is: the scoring protocol decides how
    it counts.

    Raises CorpusError ("path:line: what is wrong; remedy") for any other form.
    """
    path = Path(path)
    return parse_posts(read_whole(path, CorpusError), path, images)


def parse_posts(data: bytes, path: Path, images: Mapping[str, Path] | Path | None = None) -> tuple[Post, ...]:
    """`read_posts` for bytes already read; errors name `path`."""
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
            raise fault(
                opened_at[id], f"post {_shortened(id)!r} has no words", "give it words or remove its IMGID line"
            )
        posts.append(Post(id, tuple(words), tuple(tags), images.get(id)))
        id, words, tags = None, [], []

    text = decoded(data, path, CorpusError)
    if "\r" in text and "\n" not in text:
        raise fault(1, "lines end in CR alone", "turn each CR into LF: tr '\\r' '\\n' < OLD > NEW")
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if "\0" in line:
            raise fault(number, "NUL byte", "this is no text file, or a damaged one: get a fresh copy")
        if line == "":
            close()
        elif line.startswith(ID_MARK):
            close()
            id = line.removeprefix(ID_MARK)
            if "\t" in line:
                columns = line.split("\t")
                raise fault(number, f"an IMGID line of {_columns(columns)}", f"keep {_shortened(columns[0])!r} alone")
            if _ends_in_tag(id):
                raise fault(number, f"an IMGID line with a tag: {_shortened(line)!r}", "keep the id alone")
            if wrong := id_fault(id):
                raise fault(number, wrong, "an IMGID names one image file without its folder and suffix")
            if id in opened_at:
                wrong = f"IMGID {_shortened(id)!r} was already used on line {opened_at[id]}"
                remedy = (
                    "give each post of a file an IMGID of its own; posts that share an image name it in images.tsv, "
                    "beside the corpus: a line id<TAB>file for each post"
                )
                raise fault(number, wrong, remedy)
            opened_at[id] = number
        elif id is None:
            raise fault(number, "a word that belongs to no post", "begin each post with a line IMGID:<id>")
        else:
            word, tag = _word_and_tag(line, path, number)
            words.append(word)
            tags.append(tag)
    close()  # Twitter-2015 does not end with a blank line
    return tuple(posts)


def _word_and_tag(line: str, path: Path, number: int) -> tuple[str, str]:
    """The two columns of a line. Raises CorpusError for any other number of columns, and for what is no word or tag."""

    def fault(wrong: str, remedy: str) -> CorpusError:
        return CorpusError(f"{path}:{number}: {wrong}; {remedy}")

    file = shlex.quote(str(path))
    columns = line.split("\t")
    if len(columns) == 1:
        parts = line.split()
        if len(parts) > 1 and _is_tag(parts[-1]):
            command = f"""awk 'NF > 1 {{print $1 "\\t" $NF; next}} 1' {file} > NEW"""
            raise fault(f"{_columns(parts)}, parted by blanks", f"write word<TAB>tag, for example: {command}")
        raise fault(f"no tab in {_shortened(line)!r}", "write word<TAB>tag, or leave the line empty to end the post")
    if len(columns) > 2:
        tagged = next((place for place in range(len(columns), 1, -1) if _is_tag(columns[place - 1])), len(columns))
        remedy = f"keep the word and its tag, for example: cut -f 1,{tagged} {file} > NEW"
        raise fault(f"{_columns(columns)}, but a line is word<TAB>tag", remedy)
    word, tag = columns
    if word == "":
        raise fault("an empty word", "write a word before the tab, or remove the line")
    if wrong := _word_fault(word):
        raise fault(wrong, "keep the word and its tag")
    if not _is_tag(tag):
        raise fault(f"unknown tag {_shortened(tag)!r}", f"use one of {', '.join(TAGS)}")
    return word, TWITTER2015_TAGS.get(tag, tag)


def _is_tag(text: str) -> bool:
    return text in TAGS or text in TWITTER2015_TAGS


def _ends_in_tag(id: str) -> bool:
    """Whether an id is followed by a blank and a tag: a column that would cost the post its image."""
    _, blank, last = id.rpartition(" ")
    return blank != "" and _is_tag(last)


def _columns(columns: list[str], most: int = 6) -> str:
    shown = ", ".join(repr(_shortened(column, 20)) for column in columns[:most])
    return f"{len(columns)} columns ({shown}{', ...' if len(columns) > most else ''})"


def _word_fault(word: str) -> str | None:
    """What shows that `word` is more than one column, or no text, or None.

    A word may be white space alone, and hold the control characters U+0080 to U+009F: the corpora have such words.
    """
    for character in word:
        if character < " " or character == "\x7f":
            return f"a control character, U+{ord(character):04X}, in the word {_shortened(word)!r}"
    parts = word.split()
    if len(parts) > 1:
        return f"white space in a word: {_columns(parts)} before the tab"
    if parts and parts[0] != word:
        return f"white space beside the word {_shortened(word)!r}"
    return None


def write_posts(posts: Iterable[Post], path: Path | str) -> None:
    """Write tagged posts so that `read_posts` gives them back; the file is written whole or not at all.

    Raises CorpusError, naming the post, for what the format cannot hold (no tags, a space inside a word ...).
    """
    path = Path(path)
    lines: list[str] = []
    seen: set[str] = set()
    for post in posts:
        if wrong := _post_fault(post) or ("its id is that of another post" if post.id in seen else None):
            raise CorpusError(f"{path}: post {post.id!r} cannot be written: {wrong}; mend the post first")
        seen.add(post.id)
        lines.append(f"{ID_MARK}{post.id}")
        lines.extend(f"{word}\t{tag}" for word, tag in zip(post.words, post.tags or (), strict=True))
        lines.append("")
    with written_whole(path, CorpusError) as temporary:
        temporary.write_bytes("".join(line + "\n" for line in lines).encode())


def _post_fault(post: Post) -> str | None:
    if wrong := id_fault(post.id):
        return wrong
    if _ends_in_tag(post.id):
        return "its id ends in a blank and a tag"
    if not post.words or post.tags is None or len(post.tags) != len(post.words):
        return "it needs words and one tag for each"
    if unknown := set(post.tags) - set(TAGS):
        return f"unknown tag {min(unknown)!r}"
    if has_half_surrogate(post.id):
        return f"{post.id!r} holds half a surrogate pair, which UTF-8 cannot encode"
    for word in post.words:
        if word == "":
            return "a word is empty"
        if wrong := _word_fault(word):
            return wrong
        if word.startswith(ID_MARK):
            return f"the word {_shortened(word)!r} reads like the line that begins a post"
        if has_half_surrogate(word):
            return f"{word!r} holds half a surrogate pair, which UTF-8 cannot encode"
    return None


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
