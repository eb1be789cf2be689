"""Posts in a file, one after the other: a table, JSON lines, or plain lines from standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hamner.errors import HamnerError
from hamner.files import read_text

TABLES = (".csv", ".tsv")
JSON_LINES = (".jsonl", ".ndjson")
STANDARD_INPUT = Path("-")

READ = ("id", "text", "image")
"""The columns of a table, or the keys of a line of JSON, that say something about a post here."""


class GivenPost(NamedTuple):
    """A post in a file: `where` names its row or line for an error, `id` is "" without one.

    `unread` are the names of the other columns or keys that stand beside it.
    """

    where: str
    id: str
    text: str
    image: Path | None
    unread: tuple[str, ...] = ()


def given_posts(file: Path) -> Iterator[GivenPost]:
    """The posts of a file; images stand beside it, or have whole paths.

    A table (.csv, .tsv) has a column `text`, and `id` and `image` if you like (see `hamner.corpora.own.read_table`). A
    line of JSON (.jsonl, .ndjson) is a text, or an object with these keys. From standard input (`-`) each line is a
    text. Empty lines are no posts; a post with an empty text is one, for the caller to leave out.

    Raises HamnerError, naming the line, for what is none of these.
    """
    if file == STANDARD_INPUT:
        return _of_lines()
    if file.suffix.lower() in TABLES:
        return _of_table(file)
    if file.suffix.lower() in JSON_LINES:
        return _of_json(file)
    endings = ", ".join((*TABLES, *JSON_LINES))
    raise HamnerError(f"{file}: a file of posts ends in {endings}; for plain lines, give them to hamner tag --file -")


def _of_lines() -> Iterator[GivenPost]:
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise HamnerError(f"line {number} of standard input: not UTF-8 ({error.reason}); convert it") from error
        if text:
            yield GivenPost(f"line {number} of standard input", "", text, None)


def _of_table(file: Path) -> Iterator[GivenPost]:
    from hamner.corpora.own import read_table  # loads pandas

    table = read_table(file, needed=("text",))
    unread = tuple(name for name in table.columns if name not in READ)
    for number, row in enumerate(table.to_dict("records"), start=1):
        image = Path(file.parent, row["image"]) if row["image"].strip() else None
        yield GivenPost(f"{file}: row {number}", row.get("id", ""), row["text"], image, unread)


def _of_json(file: Path) -> Iterator[GivenPost]:
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            given = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise HamnerError(f"{where}: no JSON ({error}); each line is one text or one object") from error
        fields = {"text": given} if isinstance(given, str) else given
        if not isinstance(fields, dict) or not isinstance(fields.get("text"), str):
            raise HamnerError(f'{where}: no text; write {{"text": "...", "image": "photo.jpg", "id": "7"}}')
        image, id = fields.get("image"), fields.get("id")
        if not isinstance(image, str | None):
            raise HamnerError(f"{where}: image is {image!r:.60}; write the name of a file, or leave it out")
        if not isinstance(id, str | int | None) or isinstance(id, bool):
            raise HamnerError(f"{where}: id is {id!r:.60}; write a text or a whole number")
        beside = Path(file.parent, image) if image else None
        unread = tuple(name for name in fields if name not in READ)
        yield GivenPost(where, "" if id is None else str(id), fields["text"], beside, unread)
