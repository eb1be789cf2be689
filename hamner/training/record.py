"""The parts of run.json, with their types and bounds."""

from __future__ import annotations

import reprlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hamner.corpora.tags import TYPES, is_tag
from hamner.model.config import MOST_CHANNELS
from hamner.settings import Share

Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

MOST_CLASSES = 100_000
"""Upper bound on classes of objects: each has a vector in the model."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _PRF(_Part):
    precision: Share
    recall: Share
    f1: Share


class _Scores(_Part):
    """What `hamner.evaluation.score` gives under one protocol."""

    overall: _PRF
    per_type: dict[str, _PRF]
    seen: _PRF
    unseen: _PRF


class _Protocols(_Part):
    seqeval: _Scores
    strict: _Scores
    repaired: _Scores


class _Splits(_Part):
    valid: _Protocols
    test: _Protocols


class _Columns(_Part):
    word: int
    tag: int


class _Corpus(_Part):
    name: str
    sha256: dict[str, str]
    scheme: Literal["BIO", "BIOES", "BILOU", "IOB1"] = "BIO"
    columns: _Columns | None = None


class _Features(_Part):
    channels: Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
    classes: Annotated[int, Field(ge=1, le=MOST_CLASSES)]
    class_names: list[str]
    store: str


class _Epoch(_Part):
    epoch: Annotated[int, Field(ge=1)]
    loss: float
    valid_f1: Share


class Record(_Part):
    """A finished run, as run.json holds it.

    corpus             name, and the SHA-256 of each of its files of posts; the scheme of their tags if it is not BIO,
                       and the columns of word and tag if they were chosen
    types              the entity types that the model knows; absent in older records, whose types are the four
    config             the settings, as `TrainConfig.to_dict` gives them
    inputs             SHA-256 of every other file that was read, see `identity`
    sources            setting -> whose its value is
    versions, machine  everything about them that can change a number
    features           the visual features; empty for a text-only model
    seen_posts         split -> how many posts had an image or a caption; empty for a text-only model
    marks_apart        the marks that are words of their own in this corpus
    history            one entry an epoch
    best_epoch         the epoch of the best F1 on valid
    converged, reason  whether the run had converged, and why (`convergence`); None and "" in earlier records
    weights_sha256     SHA-256 of model.safetensors; None: the weights were not kept, and the run cannot tag
    lexicon_sha256     SHA-256 of lexicon.json, of a model that reads words and letters; None for any other
    parameters         how many numbers the network has
    trained_parameters those that training changes: without a frozen text encoder's; None in earlier records
    peak_memory_bytes  of the process that ended the run
    scores             split -> protocol -> scores, as fractions
    """

    corpus: _Corpus
    types: Annotated[list[str], Field(min_length=1)] = list(TYPES)
    config: dict[str, Any]
    inputs: dict[str, Sha256]
    sources: dict[str, str]
    versions: dict[str, str]
    machine: dict[str, str | int]
    features: _Features | Annotated[dict[str, Any], Field(max_length=0)]
    seen_posts: dict[str, Count]
    marks_apart: list[str]
    history: list[_Epoch]
    best_epoch: Annotated[int, Field(ge=1)]
    converged: bool | None = None
    reason: str = ""
    seconds: Seconds
    cpu_seconds: Seconds
    peak_memory_bytes: Count | None
    weights_sha256: Sha256 | None
    lexicon_sha256: Sha256 | None = None
    parameters: Count
    trained_parameters: Count | None = None
    scores: _Splits


def problem_of(record: Any) -> str | None:
    """The first thing that is wrong with a record, in words; None for a good one."""
    try:
        read = Record.model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"] if part not in ("_Features", "dict[str,any]"))
        if not name:
            return "it is no JSON object"
        if first["type"] == "missing" or first["input"] is None:
            return f"it lacks {name}"
        return f"{name} cannot be {reprlib.repr(first['input'])} ({first['msg']})"
    if wrong := next((type for type in read.types if not is_tag(f"B-{type}")), None):
        return f"types cannot have {reprlib.repr(wrong)}"
    if len(set(read.types)) < len(read.types):
        return "types names one type twice"
    for split in ("valid", "test"):
        for protocol, scores in getattr(read.scores, split):
            # Types that train lacks stand behind those that the model knows.
            if not scores.per_type.keys() >= set(read.types) or not all(
                is_tag(f"B-{type}") for type in scores.per_type
            ):
                return f"scores.{split}.{protocol}.per_type must have {', '.join(read.types)}"
    return None
