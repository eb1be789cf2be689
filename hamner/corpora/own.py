"""Your own posts: read from a table or a folder, checked, and their right answers turned into tags.

A table has a row for each post and these columns:

    id      a name that no other post has
    text    the text, as it was posted
    image   the image's file inside the folder; empty for a post without one
    names   the right answer, where it is known: `Nora Whitfield=PER; Elmsford=LOC` (see `name_spans`)
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hamner.corpora.files import list_folder
from hamner.corpora.post import CorpusError
from hamner.corpora.reader import images_in
from hamner.corpora.tags import TYPES
from hamner.files import decoded, read_text, read_whole
from hamner.images import ImageError, open_image

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = ",;\t|"
"""What may part the columns of a table."""

MOST_COMPARED = 500
"""A misspelt name is compared with at most so many others: more would take minutes where many names are wrong."""

COLUMNS = ("id", "text", "image", "names")

_CHARACTERS = re.compile(r"\[([0-9]+):([0-9]+)\]")
_NO_IMAGES = frozenset({".txt", ".csv", ".tsv", ".json", ".jsonl", ".md"})
"""Suffixes of files beside the images that are none themselves."""


@lru_cache(maxsize=100)
def _named(types: tuple[str, ...]) -> re.Pattern[str]:
    """What a name with its type matches, for these types."""
    either = "|".join(map(re.escape, types))
    return re.compile(rf"(?P<name>.+?)\s*=\s*(?P<type>{either})(?:#(?P<which>all|[1-9][0-9]*))?", re.DOTALL)


class SplitText(Protocol):
    """A text with the place of each of its words: word i is `text[offsets[i][0]:offsets[i][1]]`."""

    @property
    def text(self) -> str:
        """The raw text."""
        ...

    @property
    def offsets(self) -> Sequence[tuple[int, int]]:
        """(start, end) of each word, in characters."""
        ...


class NameSpan(NamedTuple):
    """Characters `start` to `end` (exclusive) of a text, the name of an entity of `type`."""

    start: int
    end: int
    type: str


def read_table(file: Path | str, needed: Sequence[str] = ("id", "text")) -> pd.DataFrame:
    """The table in a CSV file, with the columns that are `needed`; every value is a string, as it stands there.

    The columns are parted by commas, semicolons, tabs or `|`: the first line decides. Text is UTF-8, or UTF-16 with a
    byte order mark (Excel's "Unicode text"). Ids keep their zeros and all their digits, and a post "NA" is a text.
    Column names are read in any case; a table without the column `image` gets one that is empty.

    Raises CorpusError, naming the file and the line, for another encoding, columns that are missing or there twice, and
    a line with more or fewer values than there are columns.
    """
    import pandas as pd

    file = Path(file)
    data = read_whole(file, CorpusError)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise CorpusError(f"{file}: damaged UTF-16 ({error.reason}); save it as UTF-8") from error
    else:
        text = decoded(data, file, CorpusError)
    first = text.lstrip("\r\n").partition("\n")[0]
    try:
        delimiter = csv.Sniffer().sniff(first, DELIMITERS).delimiter
    except csv.Error:  # a single column
        delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[list[str]] = []
    columns: list[str] = []
    try:
        for row in rows:
            if not row:
                continue
            if not columns:
                columns = _columns(row, file, needed)
            elif len(row) != len(columns):
                wrong = f"{len(row)} values, but there are {len(columns)} columns ({', '.join(columns)})"
                remedy = f'put values that hold a "{delimiter}" or a line end into double quotes'
                raise CorpusError(f"{file}:{rows.line_num}: {wrong}; {remedy}")
            else:
                records.append(row)
    except csv.Error as error:
        raise CorpusError(f"{file}:{rows.line_num}: {error}; write a double quote inside quotes twice") from error
    if not columns:
        raise CorpusError(f"{file}: an empty table; write a line of column names: {', '.join(COLUMNS)}")
    table = pd.DataFrame(records, columns=columns, dtype=str)
    return table if "image" in table else table.assign(image="")


def _columns(row: list[str], file: Path, needed: Sequence[str]) -> list[str]:
    """The column names in the first row; known ones in lower case. Raises CorpusError for missing or repeated names."""
    columns = [name.strip().casefold() if name.strip().casefold() in COLUMNS else name.strip() for name in row]
    shown = ", ".join(repr(name[:40]) for name in columns)
    if missing := [name for name in needed if name not in columns]:
        raise CorpusError(
            f"{file}:1: no column {' and no column '.join(missing)} among {shown}; name it in the first line"
        )
    if len(set(columns)) < len(columns):
        raise CorpusError(f"{file}:1: a column is there twice among {shown}; rename one of the two")
    return columns


def read_folder(folder: Path | str) -> pd.DataFrame:
    """A table of the posts in a folder: a text file ID.txt for each, and beside it its image ID.jpg, .jpeg, .png or
    .webp (preferred in this order). Suffixes are read in any case; line ends at the end of a text are left out.

    Raises CorpusError for a folder without texts and for a text that cannot be read.
    """
    import pandas as pd

    folder = Path(folder)
    texts = [file for file in list_folder(folder) if file.suffix.lower() == ".txt"]
    if not texts:
        raise CorpusError(f"{folder}: no text file in it; write each post to ID.txt, or read a table by read_table")
    images = images_in(folder)
    rows = [
        {
            "id": file.stem,
            "text": read_text(file, CorpusError).rstrip("\r\n"),
            "image": images[file.stem].name if file.stem in images else "",
        }
        for file in texts
    ]
    return pd.DataFrame(rows, columns=["id", "text", "image"])


def complaints(
    table: pd.DataFrame,
    folder: Path | str,
    *,
    offsets: Iterable[Sequence[tuple[int, int]]] | None = None,
    annotated: Iterable[str] | None = None,
    types: Sequence[str] = TYPES,
) -> list[str]:
    """Everything that would give a wrong number later, a sentence each; an empty list for a sound table.

    Ids that are empty or there twice, empty texts, images that are missing or cannot be opened, image files of the
    folder that no post names, and names that `name_spans` refuses.

    Args:
        table: a row for each post, as `read_table` and `read_folder` give it.
        folder: the images' folder.
        offsets: for each post the (start, end) of its words; without them words are runs of letters and digits.
        annotated: file names that have a line in annotations.jsonl: they must be those of the table's images.
        types: the entity types of the corpus or run (`Corpus.types`, `Run.types`).
    """
    folder = Path(folder)
    rows = table.to_dict("records")
    return [
        *_wrong_posts(rows),
        *_wrong_images(rows, folder),
        *_wrong_names(rows, list(offsets) if offsets is not None else [None] * len(rows), types),
        *([] if annotated is None else _wrong_annotations(rows, list(annotated))),
    ]


def _wrong_posts(rows: Sequence[Mapping[str, str]]) -> Iterable[str]:
    for id, count in Counter(row["id"] for row in rows).items():
        if not id.strip():
            yield f"{count} posts have an empty id: give each post an id of its own"
        elif count > 1:
            yield f"{id}: {count} posts have this id: give each post an id of its own"
    for row in rows:
        if not row["text"].strip():
            yield f"{row['id']}: the text is empty: write it, or remove the post"


def _wrong_images(rows: Sequence[Mapping[str, str]], folder: Path) -> Iterable[str]:
    present = {file.name for file in list_folder(folder) if file.is_file() and not file.name.startswith(".")}
    named = {row["image"] for row in rows if row["image"]}
    refused: dict[str, str] = {}  # posts may share an image
    for name in named:
        if not os.path.lexists(folder / name):
            continue
        try:
            open_image(folder / name, least=64)
        except ImageError as error:
            refused[name] = str(error).removeprefix(f"{folder / name}: ")
    for row in rows:
        name = row["image"]
        if name in refused:
            yield f"{row['id']}: {name}: {refused[name]}; get it afresh, or leave the post's image empty to go on"
        elif name and not os.path.lexists(folder / name):
            near = _nearest(name, present - named)
            yield f"{row['id']}: no image {name} in {folder}{f', but {near}' if near else ''}: correct the name"
    unclaimed = {name for name in present - named if Path(name).suffix.lower() not in _NO_IMAGES}
    for name in sorted(unclaimed):
        near = _nearest(name, {row["id"] for row in rows if not row["image"]})
        yield f"{name}: no post names this file{f' (perhaps post {near})' if near else ''}: name it, or move it away"


def _wrong_names(
    rows: Sequence[Mapping[str, str]], offsets: Sequence[Sequence[tuple[int, int]] | None], types: Sequence[str]
) -> Iterable[str]:
    for row, places in zip(rows, offsets, strict=True):
        try:
            name_spans(row["text"], row.get("names", ""), places, types)
        except CorpusError as error:
            yield f"{row['id']}: {error}"


def _wrong_annotations(rows: Sequence[Mapping[str, str]], annotated: list[str]) -> Iterable[str]:
    named = {row["image"] for row in rows if row["image"]}
    for name in sorted(named - set(annotated)):
        yield f"{name}: annotations.jsonl has no line for this image: add one, with an empty list if it shows no object"
    for name in sorted(set(annotated) - named):
        near = _nearest(name, named - set(annotated))
        yield f"{name}: boxes in annotations.jsonl, but no post has this image{f' (perhaps {near})' if near else ''}"


def _nearest(name: str, others: Iterable[str]) -> str | None:
    """The name among `others` with the same stem in any case; else the most similar one, if they are few enough."""
    stems = {Path(other).stem.casefold(): other for other in sorted(others)}
    stem = Path(name).stem.casefold()
    if stem in stems:
        return stems[stem]
    near = difflib.get_close_matches(stem, stems, n=1, cutoff=0.75) if len(stems) <= MOST_COMPARED else []
    return stems[near[0]] if near else None


def name_spans(
    text: str, names: str, offsets: Sequence[tuple[int, int]] | None = None, types: Sequence[str] = TYPES
) -> list[NameSpan]:
    """The places of names in a text, in the text's order.

    Args:
        text: the post's raw text.
        names: `NAME=TYPE`, parted by semicolons: `Nora Whitfield=PER; Elmsford=LOC`. A name that occurs as often as it
            is listed takes its occurrences in their order: `Quar=PER; Quar=LOC`. Otherwise say which one, counted from
            1: `Quar=PER#2`, or `Quar=PER#all`. Characters take the place of a name in brackets, from the first to
            one beyond the last: `[0:14]=PER`.
        offsets: (start, end) of the text's words, in characters; a name is made of whole words. Without them words are
            runs of letters and digits.
        types: the entity types of the corpus or run (`Corpus.types`, `Run.types`).

    An occurrence inside a longer name of the list does not count: in "Nora Zelt and Zelt" the list
    `Nora Zelt=PER; Zelt=PER` means the second Zelt.

    Raises CorpusError, one sentence with a remedy, for another form, a name that does not occur or only inside a word,
    a name that occurs more often than it is listed, and names that overlap.
    """
    spans: list[NameSpan] = []
    by_name: dict[str, list[tuple[str, str | None]]] = {}
    form = f"write names as `Nora Whitfield={types[0]}; Elmsford={types[1 % len(types)]}`"
    for part in filter(None, map(str.strip, names.split(";"))):
        match = _named(tuple(types)).fullmatch(part)
        if match is None:
            raise CorpusError(f"{part[:60]!r} is no name with its type (one of {', '.join(types)}); {form}")
        if characters := _CHARACTERS.fullmatch(match["name"]):
            spans.append(_by_characters(text, int(characters[1]), int(characters[2]), match["type"], offsets))
        else:
            by_name.setdefault(match["name"].strip(), []).append((match["type"], match["which"]))
    for name in sorted(by_name, key=len, reverse=True):  # a longer name first: it may hold a shorter one
        spans += _by_name(text, name, by_name[name], spans, offsets)
    spans.sort()
    for one, other in pairwise(spans):
        if other.start < one.end:
            both = f"{text[one.start : one.end]!r} and {text[other.start : other.end]!r}"
            raise CorpusError(f"{both} overlap from character {other.start} on; keep one of the two")
    return spans


def gold_tags(post: SplitText, names: str, types: Sequence[str] = TYPES) -> tuple[str, ...]:
    """BIO tags of a post's words for a list of names (see `name_spans`, also for its types and errors)."""
    tags = ["O"] * len(post.offsets)
    for span in name_spans(post.text, names, post.offsets, types):
        inside = [i for i, (start, end) in enumerate(post.offsets) if span.start <= start and end <= span.end]
        tags[inside[0]] = f"B-{span.type}"
        for i in inside[1:]:
            tags[i] = f"I-{span.type}"
    return tuple(tags)


def _by_characters(text: str, start: int, end: int, type: str, offsets: Sequence[tuple[int, int]] | None) -> NameSpan:
    """The span of `[start:end]=type`, which must be whole words of the text."""
    if not start < end <= len(text):
        wrong = f"[{start}:{end}] is no part of the text, which has {len(text)} characters"
        raise CorpusError(f"{wrong}; count from 0, the end is one beyond the last character")
    if not _whole(text, start, end, offsets):
        remedy = "begin and end where words do"
        raise CorpusError(f"[{start}:{end}] is {text[start:end]!r}, which cuts {_around(text, start, end)!r}; {remedy}")
    return NameSpan(start, end, type)


def _by_name(
    text: str,
    name: str,
    listed: Sequence[tuple[str, str | None]],
    taken: Sequence[NameSpan],
    offsets: Sequence[tuple[int, int]] | None,
) -> list[NameSpan]:
    """The occurrences of `name` that its list of (type, which) means, beside the spans that are `taken`."""
    starts = [match.start() for match in re.finditer(f"(?={re.escape(name)})", text)]
    if not starts:
        place = text.casefold().find(name.casefold())
        near = f": is {text[place : place + len(name)]!r} meant?" if place >= 0 else "; correct it"
        raise CorpusError(f"{name!r} does not occur in the text{near}")
    whole = [start for start in starts if _whole(text, start, start + len(name), offsets)]
    if not whole:
        word = _around(text, starts[0], starts[0] + len(name))
        raise CorpusError(f"{name!r} occurs only inside {word!r}; name whole words")
    free = [
        NameSpan(start, start + len(name), "")
        for start in whole
        if not any(span.start < start + len(name) and start < span.end for span in taken)
    ]
    times = f"{name!r} occurs {len(free)} times" + (" outside of longer names" if len(free) < len(whole) else "")
    which = [choice for _, choice in listed]
    if which == ["all"]:
        return [span._replace(type=listed[0][0]) for span in free]
    if all(choice is None for choice in which):
        if len(listed) < len(free):
            type = listed[0][0]
            remedy = f"say which one is meant, {name}={type}#1, or {name}={type}#all"
            raise CorpusError(f"{times}, but the list has it {len(listed)} times; {remedy}")
        which = [str(number) for number in range(1, len(listed) + 1)]
    elif None in which or "all" in which:
        raise CorpusError(
            f"{name!r} is listed with and without a number; give each one its own, as in {name}={listed[0][0]}#1"
        )
    spans = []
    for (type, _), choice in zip(listed, which, strict=True):
        if int(choice or 0) > len(free):
            raise CorpusError(f"{times}, so there is no {name}={type}#{choice}; correct the list")
        spans.append(free[int(choice or 0) - 1]._replace(type=type))
    return spans


def _whole(text: str, start: int, end: int, offsets: Sequence[tuple[int, int]] | None) -> bool:
    """Whether the characters are whole words: those of `offsets`, or runs of letters and digits."""
    if offsets is not None:
        return any(start == a for a, _ in offsets) and any(end == b for _, b in offsets)
    return not any(0 < cut < len(text) and text[cut - 1].isalnum() and text[cut].isalnum() for cut in (start, end))


def _around(text: str, start: int, end: int) -> str:
    """The characters with all that stands beside them without a space."""
    left, right = text[:start].split(" "), text[end:].split(" ")
    return f"{left[-1][-40:]}{text[start:end]}{right[0][:40]}"
