"""The identity of a run: settings, data, and the bytes of all files that it reads."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hamner.corpora.images import IMAGES
from hamner.corpora.post import Corpus
from hamner.encoders import encoder_weights
from hamner.extensions import Extension
from hamner.files import file_sha256
from hamner.images import ImageError, image_sha256
from hamner.model.config import FUSIONS, OWN_WORDS
from hamner.model.fusion import fusion_named
from hamner.training.config import TrainConfig
from hamner.training.runs import Run, RunError
from hamner.vision.features import ANNOTATIONS, digest
from hamner.vision.sources import is_own_source, is_vectors, source_named


def identity(corpus: Corpus, config: TrainConfig) -> dict[str, Any]:
    """What makes two runs the same run: settings, texts, how their tags were read unless as BIO in two columns, and the
    SHA-256 of every other file that is read: captions, images, annotations, the list of images, and the text encoder's
    weights.
    """
    for name in config.captions:
        if not os.path.isfile(name):
            raise RunError(f"{name}: no such file; give the path of the captions")
    files = {name: Path(name) for name in config.captions}
    if config.visual is not None and not config.captions:
        files[IMAGES] = corpus.folder / IMAGES
    if config.visual is not None and is_vectors(config.visual.backbone):
        files[config.visual.backbone] = Path(config.visual.backbone)
    if config.visual is not None and config.visual.objects == "annotations":
        files[ANNOTATIONS] = corpus.folder / ANNOTATIONS
    # A file that is absent is reported where it is read.
    inputs = {name: file_sha256(file) for name, file in files.items() if os.path.isfile(file)}
    inputs |= encoder_sha256(config) | extensions_sha256(config)
    if config.visual is not None and not config.captions and not is_vectors(config.visual.backbone):
        inputs["images"] = images_sha256(corpus)
    corpus_of: dict[str, Any] = {"name": corpus.name, "sha256": corpus.sha256}
    if corpus.scheme != "BIO":  # only where it happened: other records stay as they are
        corpus_of["scheme"] = corpus.scheme
    if corpus.columns is not None:
        corpus_of["columns"] = corpus.columns._asdict()
    return {"corpus": corpus_of, "config": config.to_dict(), "inputs": inputs}


def encoder_sha256(config: TrainConfig, revision: str | None = None) -> dict[str, str]:
    """The SHA-256 of each file of the text encoder's weights, as `identity` names them; none for words of its own."""
    if config.model.words in OWN_WORDS:
        return {}
    files = encoder_weights(config.model.text_encoder, revision)
    return {f"text encoder {file.name}": file_sha256(file) for file in files}


def extensions_of(config: TrainConfig) -> dict[str, Extension]:
    """The fusion and the source from outside the package that a run uses. Raises ExtensionError for a missing one."""
    found = {}
    if config.model.vision and config.model.fusion not in FUSIONS:
        found["fusion"] = fusion_named(config.model.fusion)
    if config.visual is not None and is_own_source(config.visual.backbone):
        found["source"] = source_named(config.visual.backbone)
    return found


def extensions_sha256(config: TrainConfig) -> dict[str, str]:
    """The SHA-256 of each file of `extensions_of`, as `identity` names them."""
    return {f"{kind} {each.name}": each.sha256 for kind, each in extensions_of(config).items()}


def require_extensions_of(run: Run) -> None:
    """Raise RunError if a class from outside the package is missing, or has changed since `run` was trained.

    Called before any of its code runs.
    """
    for name, sha256 in extensions_sha256(run.config).items():
        if run.record["inputs"].get(name) != sha256:
            raise RunError(
                f"{run.folder} was trained with another {name} than there is now: restore that file, or train the run "
                "again"
            )


def images_sha256(corpus: Corpus) -> str:
    """One SHA-256 of the images of all posts, by their bytes; a missing or unreadable image counts as none."""
    of_file: dict[Path | None, str] = {None: ""}
    of_post: dict[str, str] = {}
    for _, posts in corpus.splits():
        for post in posts:
            if post.image is not None and post.image not in of_file:
                try:
                    of_file[post.image] = image_sha256(post.image)
                except ImageError:
                    of_file[post.image] = ""
            of_post[post.id] = of_file[post.image]
    return digest(of_post)


class Difference(NamedTuple):
    """Where two runs differ: a `key` of their `part` (corpus, config or inputs), with the value in each run."""

    part: str
    key: str
    one: Any
    other: Any


def difference(one: Mapping[str, Any], other: Mapping[str, Any], apart_from: Collection[str] = ()) -> Difference | None:
    """The first difference between two runs, given as records or as `identity` gives them; None if they are one run.

    Settings named in `apart_from`, and their parts, may differ. Captions are compared by their bytes and not by their
    path. Files that only one of the runs reads follow from its settings: a text-only model reads no images.
    """
    config, wanted = (TrainConfig.from_dict(run["config"]) for run in (one, other))
    inputs, wanted_inputs = one["inputs"], other["inputs"]
    if [inputs[name] for name in config.captions] == [wanted_inputs[name] for name in wanted.captions]:
        inputs = {name: sha256 for name, sha256 in inputs.items() if name not in config.captions}
        wanted_inputs = {name: sha256 for name, sha256 in wanted_inputs.items() if name not in wanted.captions}
        config = config.with_captions(wanted.captions)
    shared = inputs.keys() & wanted_inputs
    pairs = {
        "corpus": (flat(one["corpus"]), flat(other["corpus"])),
        "config": tuple(_without(flat(each.to_dict()), apart_from) for each in (config, wanted)),
        "inputs": tuple({name: each[name] for name in shared} for each in (inputs, wanted_inputs)),
    }
    for part, (here, there) in pairs.items():
        for key in sorted(here.keys() | there.keys()):
            if here.get(key) != there.get(key):
                return Difference(part, key, here.get(key), there.get(key))
    return None


def _without(settings: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    starts = tuple(f"{name}." for name in names)
    return {key: value for key, value in settings.items() if not f"{key}.".startswith(starts)}


def require_recordable(folder: Path, record: dict[str, Any]) -> None:
    """Raise RunError for a value that run.json cannot hold, such as a path that is not UTF-8: before it is trained."""
    for name, value in flat(record).items():
        try:
            json.dumps({name: value}, ensure_ascii=False).encode("utf-8")
        except (ValueError, TypeError) as error:
            raise RunError(
                f"the record of {folder} cannot hold {name} = {value!r}, which is not UTF-8: rename the file or folder "
                "(with a name in UTF-8, set PYTHONUTF8=1)"
            ) from error


def require_same(folder: Path, begun: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise RunError, naming the first difference, unless `begun` (a record or a checkpoint) is of the run `wanted`."""
    try:
        unlike = difference(begun, wanted)
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{folder} holds a damaged checkpoint ({error!r}): delete the folder and train again") from error
    if unlike:
        raise RunError(
            f"{folder} holds another run: its {unlike.part} has {unlike.key} = {unlike.one!r}, "
            f"yours {unlike.other!r}; choose another folder or delete that one"
        )


def require_data_of(run: Run, corpus: Corpus) -> None:
    """Raise RunError, naming the first difference, unless corpus, images, captions, annotations and text encoder are
    those that `run` was trained with.
    """
    if unlike := difference(run.record, identity(corpus, run.config)):
        raise RunError(
            f"{run.folder} was trained with other data: its {unlike.part} has {unlike.key} = {unlike.one!r}, and here "
            f"it is {unlike.other!r}; restore what it was trained with, or train it again"
        )


def require_same_sums(folder: Path, begun: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise RunError if a checkpoint was begun with other versions, machine or features than there are `now`.

    They decide the last digits: the number of threads or processes, the device, versions of libraries, and how the
    features were computed.
    """
    remedies = {
        "machine.threads": "use --threads {}",
        "machine.processes": "use accelerate launch --num_processes {}",
        "features": "restore those",
    }
    parts = ("machine", "versions", "features")
    before, after = (flat({part: run.get(part) for part in parts}) for run in (begun, now))
    for name, value in before.items():
        if value != after.get(name):
            usual = "install that version" if name.startswith("versions.") else "continue on such a machine"
            remedy = remedies.get(name, usual).format(value)
            raise RunError(
                f"the run in {folder} was begun with {name} = {value!r}, and would continue with "
                f"{after.get(name)!r}: {remedy}, or delete the folder"
            )


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings on one level, with the names that `--set` takes, such as `model.width`."""
    level: dict[str, Any] = {}
    for key, value in values.items():
        level |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return level
