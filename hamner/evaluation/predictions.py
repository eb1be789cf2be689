"""`predictions.jsonl`: one JSON object a line, {"id": ..., "tags": [...]}.

Ids and tags only: the file can be published although the tweets cannot. Other keys are allowed and not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from hamner.corpora.post import Post
from hamner.corpora.tags import TAGS
from hamner.errors import HamnerError
from hamner.evaluation.scoring import Tags
from hamner.files import written_whole


class PredictionsError(HamnerError):
    """A predictions file that cannot be read or written, or does not fit the corpus."""


def write_predictions(path: str | Path, predictions: Mapping[str, Tags]) -> None:
    """Write tags by post id, in the mapping's order; the file appears whole or not at all.

    Raises PredictionsError, before anything is written, for what `read_predictions` would refuse.
    """
    path = Path(path)
    lines = []
    for id, tags in predictions.items():
        record = {"id": id, "tags": list(tags)}
        if problem := _malformed(record):
            raise PredictionsError(f"{path} is not written: {problem}")
        lines.append(json.dumps(record) + "\n")
    with written_whole(path, PredictionsError) as temporary:
        temporary.write_text("".join(lines), encoding="ascii")  # json.dumps escapes everything else


def read_predictions(path: str | Path, posts: Sequence[Post] | None = None) -> dict[str, tuple[str, ...]]:
    """Tags by post id, in the file's order; blank lines are skipped.

    With `posts`, the file must hold exactly those: every post once, with one tag a word.

    Raises PredictionsError that names the file, the line and what is wrong there.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PredictionsError(f"{path} cannot be read: {error.strerror}") from error
    predictions: dict[str, tuple[str, ...]] = {}
    lengths = None if posts is None else {post.id: len(post.words) for post in posts}
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise PredictionsError(f"{where}: not UTF-8; save the file as UTF-8") from error
        except (ValueError, RecursionError) as error:
            raise PredictionsError(f"{where}: not a JSON object ({error})") from error
        if problem := _malformed(record):
            raise PredictionsError(f"{where}: {problem}")
        id, tags = record["id"], tuple(record["tags"])
        if id in predictions:
            raise PredictionsError(f"{where}: post {id!r} stands here a second time; keep one of the two")
        if lengths is not None and (problem := _misfit(id, tags, lengths)):
            raise PredictionsError(f"{where}: {problem}")
        predictions[id] = tags
    if lengths is not None and (missing := _without_prediction(lengths, predictions)):
        raise PredictionsError(f"{path}: {missing}")
    return predictions


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
        return 'expected an object like {"id": "1234", "tags": ["B-PER", "O"]}'
    for key in ("id", "tags"):
        if key not in record:
            return f'the key "{key}" is missing'
    id, tags = record["id"], record["tags"]
    if not isinstance(id, str):
        return '"id" must be a string'
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return f'post {id!r}: "tags" must be a list of strings'
    for tag in tags:
        if tag not in TAGS:
            return f"post {id!r}: unknown tag {tag!r}; the tags are {', '.join(TAGS)}"
    return None


def _misfit(id: str, tags: Tags, lengths: Mapping[str, int]) -> str | None:
    """What keeps a prediction from fitting the corpus, whose posts have `lengths` words, or None."""
    if id not in lengths:
        return f"post {id!r} is not in this split of the corpus; were the predictions made for another one?"
    if len(tags) != lengths[id]:
        return f"post {id!r} has {lengths[id]} words but {len(tags)} predicted tags; one tag a word is needed"
    return None


def _without_prediction(lengths: Mapping[str, int], predictions: Mapping[str, Tags]) -> str | None:
    missing = [id for id in lengths if id not in predictions]
    if not missing:
        return None
    return f"{len(missing)} of {len(lengths)} posts have no prediction, the first is post {missing[0]!r}"
