"""Read and write posts in the corpora's file format: CoNLL columns with an IMGID line before each post.

    IMGID:1015799
    RT<TAB>O
    Kelso<TAB>B-PER
    <blank line>

A word may be a no-break space or a U+0085, so nothing here calls `str.strip` or `str.splitlines`: a line ends at LF or
CR LF, and one tab parts the word from its tag. Further columns are refused, unless `Columns` names the two to read:
joined to the word, a column of gold labels would tell the model the answers.
"""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hamner.corpora.images import id_fault, images_in
from hamner.corpora.post import CorpusError, Post
from hamner.corpora.schemes import PREFIXES, ConvertedWarning, Place, SchemeError, to_bio
from hamner.corpora.tags import TAG_FORM, TAGS, TWITTER2015_TAGS, TYPES, is_spelt_other, is_tag, types_in
from hamner.corpora.words import has_half_surrogate
from hamner.files import decoded, read_whole, written_whole

ID_MARK = "IMGID:"
"""What a line begins with that gives a post's id."""

_COLUMNS = re.compile(r"word=(?P<word>-?[0-9]{1,6}),tag=(?P<tag>-?[0-9]{1,6})")


class Columns(NamedTuple):
    """The columns of the word and of its tag, counted from 0, or from -1 for the last one backwards."""

    word: int
    tag: int

    @classmethod
    def of(cls, given: str | Mapping[str, int] | Sequence[int]) -> Columns:
        """The columns in `word=0,tag=-1`, {"word": 0, "tag": -1} or (0, -1). Raises CorpusError for anything else."""
        if isinstance(given, str):
            match = _COLUMNS.fullmatch(given.replace(" ", ""))
            numbers = [] if match is None else [int(match["word"]), int(match["tag"])]
        elif isinstance(given, Mapping):
            numbers = [given["word"], given["tag"]] if given.keys() == {"word", "tag"} else []
        else:
            numbers = list(given)
        if len(numbers) != 2 or any(type(number) is not int for number in numbers):
            raise CorpusError(f"columns cannot be {_shortened(str(given))!r}; name both by number, as in word=0,tag=-1")
        if numbers[0] == numbers[1]:
            raise CorpusError(
                f"column {numbers[0]} cannot be the word and its tag; name two columns, as in word=0,tag=-1"
            )
        return cls(*numbers)

    def __str__(self) -> str:
        return f"word={self.word},tag={self.tag}"


class FilePost(NamedTuple):
    """A post as its file has it: the line of its IMGID, behind which its words stand, one a line; any scheme."""

    line: int
    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...]


class Read(NamedTuple):
    """Posts of several files, in BIO, and what was found out about their tags.

    posts        the posts of each file
    scheme       the scheme that all files were written in (`hamner.corpora.schemes`)
    notes        a line for the user about each conversion
    first_lines  type -> file name and line of the first word of that type
    """

    posts: list[tuple[Post, ...]]
    scheme: str
    notes: tuple[str, ...]
    first_lines: dict[str, str]


def read_posts(
    path: Path | str,
    images: Mapping[str, Path] | Path | None = None,
    columns: Columns | str | None = None,
) -> tuple[Post, ...]:
    """The posts of one file, in file order, with tags in BIO.

    Args:
        path: a file of posts in UTF-8, with or without a byte order mark.
        images: a folder with ID.jpg, ID.png and so on (`IMAGE_SUFFIXES` of `images.py`, preferred in this order), or a
            mapping from post id to file. A post without an image has `image` None.
        columns: the columns of word and tag, such as `word=0,tag=-1`, in a file with more columns. They may be parted
            by tabs, or by blanks where a line has no tab.

    Entity types are those of the file. `OTHER` is read as `MISC` where all other types are PER, LOC or ORG, as in
    Twitter-2015. BIOES, BILOU and IOB1 are converted to BIO, with a ConvertedWarning. An orphan I- in BIO stays as it
    is: the scoring protocol decides how it counts.

    Raises CorpusError ("path:line: what is wrong; remedy") for any other form.
    """
    path = Path(path)
    return parse_posts(read_whole(path, CorpusError), path, images, columns)


def parse_posts(
    data: bytes,
    path: Path,
    images: Mapping[str, Path] | Path | None = None,
    columns: Columns | str | None = None,
) -> tuple[Post, ...]:
    """`read_posts` for bytes already read; errors name `path`."""
    if not isinstance(images, Mapping):
        images = {} if images is None else images_in(images)
    read = parse_files({path: data}, images, columns)
    for note in read.notes:
        warnings.warn(note, ConvertedWarning, stacklevel=3)
    return read.posts[0]


def parse_files(files: Mapping[Path, bytes], images: Mapping[str, Path], columns: Columns | str | None = None) -> Read:
    """The posts of several files of one corpus. The scheme and the types are found over all of them together."""
    chosen = None if columns is None else Columns.of(columns)
    parsed = {path: _file_posts(data, path, chosen) for path, data in files.items()}
    every = [(path, post) for path, posts in parsed.items() for post in posts]

    def line_of(place: Place) -> tuple[Path, int]:
        path, post = every[place[0]]
        return path, post.line + 1 + place[1]

    def where(place: Place) -> str:
        path, line = line_of(place)
        return f"{path.name}:{line}"

    try:
        converted = to_bio([post.tags for _, post in every], where)
    except SchemeError as fault:
        path, line = line_of(fault.place)
        raise CorpusError(f"{path}:{line}: {fault.wrong}; {fault.remedy}") from None
    types = types_in(converted.tags)
    renamed = TWITTER2015_TAGS if is_spelt_other(types) else {}
    known = {*TYPES, "OTHER", *types}
    first_lines: dict[str, str] = {}
    finished: dict[Path, list[Post]] = {path: [] for path in files}
    for number, ((path, post), bio) in enumerate(zip(every, converted.tags, strict=True)):
        if _ends_in_tag(post.id, known):
            wrong = f"an IMGID line with a tag: {_shortened(ID_MARK + post.id)!r}"
            raise CorpusError(f"{path}:{post.line}: {wrong}; keep the id alone")
        tags = tuple(renamed.get(tag, tag) for tag in bio)
        for word, tag in enumerate(tags):
            if tag != "O" and tag[2:] not in first_lines:
                first_lines[tag[2:]] = where((number, word))
        finished[path].append(Post(post.id, post.words, tags, images.get(post.id)))
    names = ", ".join(path.name for path in files)
    notes = () if converted.scheme == "BIO" else (converted.note(names),)
    return Read([tuple(posts) for posts in finished.values()], converted.scheme, notes, first_lines)


def _file_posts(data: bytes, path: Path, columns: Columns | None) -> list[FilePost]:
    """The posts of a file with their tags as they stand there, each a well-formed one."""
    posts: list[FilePost] = []
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
        posts.append(FilePost(opened_at[id], id, tuple(words), tuple(tags)))
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
                parts = line.split("\t")
                raise fault(number, f"an IMGID line of {_columns(parts)}", f"keep {_shortened(parts[0])!r} alone")
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
            word, tag = _word_and_tag(line, path, number, columns)
            words.append(word)
            tags.append(tag)
    close()  # Twitter-2015 does not end with a blank line
    return posts


def _word_and_tag(line: str, path: Path, number: int, chosen: Columns | None) -> tuple[str, str]:
    """The word and the tag of a line. Raises CorpusError for wrong columns, and for what is no word or tag."""

    def fault(wrong: str, remedy: str) -> CorpusError:
        return CorpusError(f"{path}:{number}: {wrong}; {remedy}")

    word, tag = _two_columns(line, path, number) if chosen is None else _chosen_columns(line, path, number, chosen)
    if word == "":
        raise fault("an empty word", "write a word before the tab, or remove the line")
    if wrong := _word_fault(word):
        raise fault(wrong, "keep the word and its tag")
    if not is_tag(tag, PREFIXES):
        raise fault(f"unknown tag {_shortened(tag)!r}", TAG_FORM)
    return word, tag


def _two_columns(line: str, path: Path, number: int) -> tuple[str, str]:
    def fault(wrong: str, remedy: str) -> CorpusError:
        return CorpusError(f"{path}:{number}: {wrong}; {remedy}")

    columns = line.split("\t")
    if len(columns) == 2:
        return columns[0], columns[1]
    file = shlex.quote(str(path))
    if len(columns) == 1:
        parts = line.split()
        if len(parts) > 1 and is_tag(parts[-1], PREFIXES):
            command = f"""awk 'NF > 1 {{print $1 "\\t" $NF; next}} 1' {file} > NEW"""
            remedy = f"read them with --columns word=0,tag=-1, or write word<TAB>tag, for example: {command}"
            raise fault(f"{_columns(parts)}, parted by blanks", remedy)
        raise fault(f"no tab in {_shortened(line)!r}", "write word<TAB>tag, or leave the line empty to end the post")
    usual = {*TAGS, *TWITTER2015_TAGS}
    tags = [place for place in range(1, len(columns)) if is_tag(columns[place], PREFIXES)]
    place = next(reversed([place for place in tags if columns[place] in usual] or tags), len(columns) - 1)
    remedy = (
        f"keep the word and its tag: read them with --columns word=0,tag={place}, or write them alone, "
        f"for example: cut -f 1,{place + 1} {file} > NEW"
    )
    raise fault(f"{_columns(columns)}, but a line is word<TAB>tag", remedy)


def _chosen_columns(line: str, path: Path, number: int, chosen: Columns) -> tuple[str, str]:
    """The two columns that the user named; all others are dropped here."""
    columns = line.split("\t") if "\t" in line else [part for part in line.split(" ") if part]
    for name, place in zip(chosen._fields, chosen, strict=True):
        if not -len(columns) <= place < len(columns):
            wrong = f"no column {place} for the {name} among {_columns(columns)}"
            raise CorpusError(
                f"{path}:{number}: {wrong}; mend the line, or name another column than --columns {chosen}"
            )
    if chosen.word % len(columns) == chosen.tag % len(columns):
        wrong = f"the word and the tag are the same column of {_columns(columns)}"
        raise CorpusError(f"{path}:{number}: {wrong}; mend the line, or name another column than --columns {chosen}")
    return columns[chosen.word], columns[chosen.tag]


def _ends_in_tag(id: str, types: Iterable[str]) -> bool:
    """Whether an id is followed by a blank and a tag of these types: a column that would cost the post its image."""
    _, blank, last = id.rpartition(" ")
    return blank != "" and is_tag(last, PREFIXES) and (last == "O" or last[2:] in types)


def _columns(columns: list[str], most: int = 6) -> str:
    shown = ", ".join(repr(_shortened(column, 20)) for column in columns[:most])
    count = "1 column" if len(columns) == 1 else f"{len(columns)} columns"
    return f"{count} ({shown}{', ...' if len(columns) > most else ''})"


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

    Raises CorpusError, naming the post, for what the format cannot hold (no tags, a space inside a word ...), and for
    tags that would be read as others: OTHER beside PER, LOC, ORG and MISC, and orphan I- tags that look like IOB1.
    """
    path, posts = Path(path), list(posts)
    types = types_in(post.tags for post in posts)
    lines: list[str] = []
    seen: set[str] = set()
    for post in posts:
        if wrong := _post_fault(post, types) or ("its id is that of another post" if post.id in seen else None):
            raise CorpusError(f"{path}: post {post.id!r} cannot be written: {wrong}; mend the post first")
        seen.add(post.id)
        lines.append(f"{ID_MARK}{post.id}")
        lines.extend(f"{word}\t{tag}" for word, tag in zip(post.words, post.tags or (), strict=True))
        lines.append("")
    if to_bio([post.tags or () for post in posts], str).scheme != "BIO":
        wrong = "its I- tags open so many entities, and its B- tags so few, that it would be read as IOB1"
        raise CorpusError(f"{path}: the posts cannot be written: {wrong}; open each entity with B- (`repair`)")
    with written_whole(path, CorpusError) as temporary:
        temporary.write_bytes("".join(line + "\n" for line in lines).encode())


def _post_fault(post: Post, types: frozenset[str]) -> str | None:
    if wrong := id_fault(post.id):
        return wrong
    if _ends_in_tag(post.id, {*TYPES, "OTHER", *types}):
        return "its id ends in a blank and a tag"
    if not post.words or post.tags is None or len(post.tags) != len(post.words):
        return "it needs words and one tag for each"
    if unknown := [tag for tag in post.tags if not is_tag(tag)]:
        return f"unknown tag {min(unknown)!r}; {TAG_FORM}"
    if is_spelt_other(types) and "OTHER" in types_in([post.tags]):
        return "its type OTHER would be read as MISC, as in Twitter-2015"
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
