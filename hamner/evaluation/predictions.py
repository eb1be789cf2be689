"""`predictions.jsonl`: one JSON object a line, {"id": ..., "tags": [...]}, with "relevance" if the model judges images.

The file holds no words, so it can be published although the tweets cannot. Other keys are allowed and ignored. As
`predictions.jsonl.gz` the same lines are compressed with gzip; both forms are read.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hamner.corpora.post import Post
from hamner.corpora.tags import TAG_FORM, TYPES, is_spelt_other, is_tag, types_in
from hamner.evaluation.columns import FORMS, IMGID, PredictionsError, in_columns, tags_in_columns, without_other
from hamner.evaluation.scoring import Tags
from hamner.files import read_whole, written_whole

MOST_BYTES = 2**27
"""Upper bound on the size of a file, uncompressed: 100 times the predictions on the largest corpus."""

GZIP = b"\x1f\x8b"
"""The first bytes of every gzip file."""


def write_predictions(
    path: str | Path,
    predictions: Mapping[str, Tags],
    relevance: Mapping[str, float] | None = None,
    types: Collection[str] | None = None,
) -> None:
    """Write the tags of each post, in the mapping's order, and the relevance of its image to four digits, if given.

    A `path` that ends in .gz is compressed; equal lines give equal bytes. The file is written whole or not at all.
    `types` are those of the model; without them OTHER beside PER, LOC and ORG alone is refused, as it is read as MISC.

    Raises PredictionsError, before anything is written, for what `read_predictions` or `read_relevance` would refuse.
    """
    path = Path(path)
    lines = []
    if types is None and is_spelt_other(types_in(predictions.values())):
        types = TYPES
    for id, tags in predictions.items():
        record: dict[str, object] = {"id": id, "tags": list(tags)}
        if relevance is not None:
            record["relevance"] = round(relevance[id], 4)
        if (
            problem := _malformed(record)
            or _of_other_type(record, types)
            or (None if relevance is None else _no_share(record))
        ):
            raise PredictionsError(f"{path} is not written: {problem}")
        lines.append(json.dumps(record) + "\n")
    content = "".join(lines).encode("ascii")  # json.dumps escapes everything else
    with written_whole(path, PredictionsError) as temporary:
        temporary.write_bytes(_compressed(content) if path.suffix == ".gz" else content)


def _compressed(content: bytes) -> bytes:
    """gzip with a fixed header: no name, no time."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def read_predictions(
    path: str | Path, posts: Sequence[Post] | None = None, types: Collection[str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Tags by post id, in the file's order; blank lines are skipped.

    Reads JSON lines in BIO and, of other systems, CoNLL columns (`hamner.evaluation.columns`). With `posts`, the file
    must hold exactly those: every post once, with one tag a word.

    `types` are the entity types of the corpus or run (`Corpus.every_type`, `Run.types`); a tag of another type is an
    error. Without them they are PER, LOC, ORG and MISC if `posts` have gold tags of no other type, else any. `OTHER`
    counts as `MISC` unless `types` have it, or, where they are unknown, unless the file has types of its own.

    Raises PredictionsError that names the file, the line and what is wrong there.
    """
    path = Path(path)
    lines = _lines(path)
    lengths = None if posts is None else {post.id: len(post.words) for post in posts}
    if types is None and posts and types_in(post.tags for post in posts) <= set(TYPES):
        types = TYPES
    if in_columns(next((line for line in lines if line.strip()), "")):
        tagged = tags_in_columns(lines, path, posts, types)
    else:
        tagged = _tagged(list(_records(lines, path)), path, types)
    predictions: dict[str, tuple[str, ...]] = {}
    for number, id, tags in tagged:
        if id in predictions:
            raise PredictionsError(f"{path}, line {number}: post {id!r} stands here a second time; keep one of the two")
        if lengths is not None and (problem := _misfit(id, tags, lengths)):
            raise PredictionsError(f"{path}, line {number}: {problem}")
        predictions[id] = tags
    if lengths is not None and (missing := _without_prediction(lengths, predictions)):
        raise PredictionsError(f"{path}: {missing}")
    return predictions


def _tagged(
    records: Sequence[tuple[int, dict[str, Any]]], path: Path, types: Collection[str] | None
) -> list[tuple[int, str, tuple[str, ...]]]:
    """(line, post id, tags) of each record. Raises PredictionsError, with the line, for a type not among `types`."""
    tagged = []
    renamed = without_other([record["tags"] for _, record in records], types)
    for (number, record), tags in zip(records, renamed, strict=True):
        if problem := _of_other_type({"id": record["id"], "tags": tags}, types):
            raise PredictionsError(f"{path}, line {number}: {problem}")
        tagged.append((number, record["id"], tags))
    return tagged


def read_relevance(path: str | Path) -> dict[str, float]:
    """The relevance of each post's image by post id, in the file's order: from 0 to 1.

    Raises PredictionsError that names the file and the line, also where a post has none, as after a text-only model.
    """
    path = Path(path)
    relevance: dict[str, float] = {}
    for number, record in _records(_lines(path), path):
        id = record["id"]
        if id in relevance:
            raise PredictionsError(f"{path}, line {number}: post {id!r} stands here a second time: keep one")
        if problem := _no_share(record):
            raise PredictionsError(f"{path}, line {number}: {problem}")
        relevance[id] = record["relevance"]
    return relevance


def _lines(path: Path) -> list[str]:
    """The lines of a file, without the byte order mark that Windows editors put first."""
    lines: list[str] = []
    content = _read(path).removeprefix(codecs.BOM_UTF8)
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise PredictionsError(f"{path}, line {number}: not UTF-8; save the file as UTF-8") from error
    return lines


def _records(lines: Sequence[str], path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line's number and content, without blank lines. Raises PredictionsError for a malformed line."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise PredictionsError(f"{where}: not a JSON object ({error}); {FORMS}") from error
        if problem := _malformed(record):
            raise PredictionsError(f"{where}: {problem}")
        yield number, record


def _read(path: Path) -> bytes:
    """The bytes of a file, decompressed if it is a gzip file. PredictionsError for a .gz that is none."""
    content = read_whole(path, PredictionsError)
    if content.startswith(GZIP):
        try:
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MOST_BYTES + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise PredictionsError(f"{path} is a damaged gzip file ({error}); restore it, or make it again") from error
    elif path.suffix == ".gz":
        raise PredictionsError(f"{path} is no gzip file, though its name ends in .gz; compress it, or rename it")
    if len(content) > MOST_BYTES:
        raise PredictionsError(
            f"{path} holds more than {MOST_BYTES:,} bytes, too many for predictions; give another file"
        )
    return content


def align(posts: Sequence[Post], predictions: Mapping[str, Tags]) -> tuple[list[Tags], list[Tags]]:
    """(gold, predicted) tags in the order of `posts`, ready for `score`.

    Raises PredictionsError unless every post has gold tags and exactly one prediction with one tag a word.
    """
    lengths = {post.id: len(post.words) for post in posts}
    for id, tags in predictions.items():
        if problem := _misfit(id, tags, lengths):
            raise PredictionsError(problem)
    if missing := _without_prediction(lengths, predictions):
        raise PredictionsError(missing)
    gold: list[Tags] = []
    for post in posts:
        if post.tags is None:
            raise PredictionsError(f"post {post.id!r} has no gold tags to score against")
        gold.append(post.tags)
    return gold, [predictions[post.id] for post in posts]


def _malformed(record: object) -> str | None:
    """What is wrong with one line's content by itself, or None."""
    if not isinstance(record, dict):
        return f"no JSON object; {FORMS}"
    for key in ("id", "tags"):
        if key not in record:
            return f'the key "{key}" is missing; {FORMS}'
    id, tags = record["id"], record["tags"]
    if not isinstance(id, str):
        return f'"id" must be a string; {FORMS}'
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return f'post {id!r}: "tags" must be a list of strings; {FORMS}'
    for tag in tags:
        if not is_tag(tag):
            return f"post {id!r}: unknown tag {tag!r}; {TAG_FORM}"
    return None


def _of_other_type(record: Mapping[str, Any], types: Collection[str] | None) -> str | None:
    """The first tag of a line that is of none of `types`, in words, or None."""
    if types is not None:
        for tag in record["tags"]:
            if tag != "O" and tag[2:] not in types:
                return f"post {record['id']!r}: unknown tag {tag!r}; the types are {', '.join(types)}"
    return None


def _no_share(record: Mapping[str, Any]) -> str | None:
    """What is wrong with the relevance in a line that is not malformed, or None."""
    id = record["id"]
    if "relevance" not in record:
        return f'post {id!r} has no "relevance"; models that judge images write it: train such a model, or tag again'
    value = record["relevance"]
    if type(value) not in (int, float) or not 0 <= value <= 1:  # a JSON true is an int here, but no share
        return f'post {id!r}: "relevance" must be a number from 0 to 1, not {value!r}'
    return None


def _misfit(id: str, tags: Tags, lengths: Mapping[str, int]) -> str | None:
    """What keeps a prediction from fitting the corpus, whose posts have `lengths` words, or None."""
    if id not in lengths:
        bare = id.strip().removeprefix(IMGID)
        near = next((name for name in (bare, Path(bare).name, Path(bare).stem) if name in lengths), None)
        remedy = "were the predictions made for another one?" if near is None else f"do you mean {near!r}?"
        return f"post {id!r} is not in this split of the corpus; {remedy}"
    if len(tags) != lengths[id]:
        return f"post {id!r} has {lengths[id]} words but {len(tags)} predicted tags; one tag a word is needed"
    return None


def _without_prediction(lengths: Mapping[str, int], predictions: Mapping[str, Tags]) -> str | None:
    missing = [id for id in lengths if id not in predictions]
    if not missing:
        return None
    return f"{len(missing)} of {len(lengths)} posts have no prediction, the first is post {missing[0]!r}: predict all"
