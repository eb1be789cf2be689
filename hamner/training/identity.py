"""What makes two runs the same run: settings, data, and the bytes of all files that they read."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hamner.corpora.images import IMAGES
from hamner.corpora.post import Corpus
from hamner.encoders import encoder_weights
from hamner.files import file_sha256
from hamner.images import ImageError, image_sha256
from hamner.training.config import TrainConfig
from hamner.training.runs import Run, RunError
from hamner.vision.features import ANNOTATIONS, digest


def identity(corpus: Corpus, config: TrainConfig) -> dict[str, Any]:
    """What makes two runs the same run: settings and data; what the files hold of captions, of images, of
    annotations, of the list that says whose image is whose, and of a text encoder's weights.
    """
    for name in config.captions:  # else they would seem to be others than a finished run's
        if not os.path.isfile(name):
            raise RunError(f"{name}: no such file; give the path of the captions")
    files = {name: Path(name) for name in config.captions}
    if config.visual is not None and not config.captions:
        files[IMAGES] = corpus.folder / IMAGES
    if config.visual is not None and config.visual.objects == "annotations":
        files[ANNOTATIONS] = corpus.folder / ANNOTATIONS
    # One that is not there is reported by whoever reads it.
    inputs = {name: file_sha256(file) for name, file in files.items() if os.path.isfile(file)}
    inputs |= encoder_sha256(config)
    if config.visual is not None and not config.captions:
        inputs["images"] = images_sha256(corpus)
    corpus_of = {"name": corpus.name, "sha256": corpus.sha256}
    return {"corpus": corpus_of, "config": config.to_dict(), "inputs": inputs}


def encoder_sha256(config: TrainConfig, revision: str | None = None) -> dict[str, str]:
    """The SHA-256 of each file of the text encoder's weights, as `identity` names them."""
    files = encoder_weights(config.model.text_encoder, revision)
    return {f"text encoder {file.name}": file_sha256(file) for file in files}


def images_sha256(corpus: Corpus) -> str:
    """One SHA-256 for which image, by its bytes, each post of `corpus` has, if it has one that can be read."""
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
    """In what two runs differ: a `key` of their `part` (corpus, config or inputs), and what each of them has there."""

    part: str
    key: str
    one: Any
    other: Any


def difference(one: Mapping[str, Any], other: Mapping[str, Any], apart_from: Collection[str] = ()) -> Difference | None:
    """The first difference between two runs, given as records or as `identity` gives them; None if they are one run.

    Settings named in `apart_from`, and parts of them, may differ. Files that both kept the bytes of are compared by
    these, and captions may then lie anywhere; where their bytes were not kept, only their place can say.
    """
    # Through TrainConfig, so that a record from before a setting was there has its default.
    config, wanted = (TrainConfig.from_dict(run.get("config", {})) for run in (one, other))
    inputs, wanted_inputs = one.get("inputs", {}), other.get("inputs", {})
    captions = [inputs.get(name) for name in config.captions]
    if captions == [wanted_inputs.get(name) for name in wanted.captions] and None not in captions:
        inputs = {name: sha256 for name, sha256 in inputs.items() if name not in config.captions}
        config = config.with_captions(wanted.captions)
    shared = inputs.keys() & wanted_inputs
    pairs = {
        "corpus": (flat(one.get("corpus", {})), flat(other.get("corpus", {}))),
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


def require_same(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise RunError, naming the first difference, unless `found` (a record or a checkpoint) is of the run `wanted`."""
    if unlike := difference(found, wanted):
        raise RunError(
            f"{folder} holds another run: its {unlike.part} has {unlike.key} = {unlike.one!r}, "
            f"yours {unlike.other!r}; choose another folder or delete that one"
        )


def require_data_of(run: Run, corpus: Corpus) -> None:
    """Raise RunError, naming the first difference, unless `corpus`, its images or captions, their annotations and the
    text encoder are those that `run` was trained with; what its record did not keep is not compared.
    """
    if unlike := difference(run.record, identity(corpus, run.config)):
        raise RunError(
            f"{run.folder} was trained with other data: its {unlike.part} has {unlike.key} = {unlike.one!r}, and here "
            f"it is {unlike.other!r}; restore what it was trained with, or train it again"
        )


def require_same_sums(folder: Path, found: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise RunError when a checkpoint was begun on what would give other sums than there are `now`: another number of
    threads or processes, another device, other versions of libraries, or features that were computed in another way.

    They decide the last digits, and with them the model: a run that went on would be neither one nor the other.
    """
    remedies = {
        "machine.threads": "use --threads {}",
        "machine.processes": "use accelerate launch --num_processes {}",
        "features": "restore those",
    }
    parts = ("machine", "versions", "features")
    begun, going_on = (flat({part: run.get(part) for part in parts}) for run in (found, now))
    for name, before in begun.items():
        if before is not None and before != going_on.get(name):
            usual = "install that version" if name.startswith("versions.") else "go on on such a machine"
            remedy = remedies.get(name, usual).format(before)
            raise RunError(
                f"the run in {folder} was begun with {name} = {before!r}, and this would go on with "
                f"{going_on.get(name)!r}: {remedy}, or delete the folder"
            )


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings on one level, with the names that `--set` takes, such as `model.width`."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found
