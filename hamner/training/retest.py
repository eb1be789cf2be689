"""Other tests of a trained run: the test split of another corpus, or its own with a share of the images exchanged.

Predictions go into the run's folder, `retests/CORPUS.jsonl.gz` or `retests/CORPUS-shuffledPERCENT.jsonl.gz`, in the
form of `predictions.jsonl.gz`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from accelerate import PartialState

from hamner.corpora.post import Corpus
from hamner.corpora.tags import types_in
from hamner.devices import autocast_of
from hamner.errors import HamnerError
from hamner.evaluation import write_predictions
from hamner.files import read_text
from hamner.model.hamner import HamNer
from hamner.training.batching import Split, prepare
from hamner.training.config import TrainConfig
from hamner.training.identity import difference, identity, require_data_of, require_recordable
from hamner.training.inputs import KeptFeatures, appended_texts, exchanged, images_of, open_store, posts_seen
from hamner.training.lexicons import tokenizer_of
from hamner.training.loop import predict, trained_model
from hamner.training.runs import RETESTS, Run, only_user_of, remove_leftovers, write_json
from hamner.vision.features import VisualFeatures
from hamner.vision.missing import ALLOWED_MISSING
from hamner.vision.store import FEATURES


class OtherClassesError(HamnerError):
    """The objects of a corpus are of other classes than those that a run was trained on."""


class OtherTypesError(HamnerError):
    """The entities of a corpus are of types that a run was not trained on."""


class Retest(NamedTuple):
    """A file of predictions on test of `corpus`, with `shuffled` percent of the images exchanged."""

    corpus: str
    shuffled: int
    file: Path


def planned(run: Run, corpus: Corpus, shuffled: int = 0) -> Retest:
    """The retest that `retest` makes, with its file, whether that exists or not."""
    name = corpus.name + (f"-shuffled{shuffled}" if shuffled else "")
    plain = run.folder / RETESTS / f"{name}.jsonl"
    packed = plain.with_suffix(".jsonl.gz")
    return Retest(corpus.name, shuffled, plain if plain.exists() and not packed.exists() else packed)


def retest(
    run: Run,
    corpus: Corpus,
    *,
    shuffled: int = 0,
    captions: Sequence[Path | str] = (),
    features: Path | str = FEATURES,
    progress: bool = True,
    wait: bool = False,
    allow_missing: float = ALLOWED_MISSING,
) -> Retest:
    """Tag test of `corpus` with `run`, and keep the predictions in the run's folder.

    Predictions that exist already, made by the same weights from the same posts and captions, are kept.

    Args:
        run: a finished run with its weights
        corpus: the corpus whose test split is tagged
        shuffled: percentage of the posts, drawn from the run's seed, that exchange their images. The posts of a smaller
            percentage are among those of a greater one. Two posts may share one image
        captions: captions files of `corpus`, for a run that reads captions
        features: where visual features are kept
        progress: whether to show bars
        wait: whether to wait for another process that works in the run's folder
        allow_missing: share of test, from 0 to 1, that may lack an image or caption. Ignored for the run's own data:
            training has checked them

    Raises:
        RunInUseError: another process works in the run's folder, and `wait` is False
        MissingImagesError: more posts of test lack an image or caption
        OtherTypesError: test of `corpus` has entities of types that the run does not know
        OtherClassesError: the objects of `corpus` are of other classes than those the run was trained on
        HamnerError: the run has no weights, has no images to shuffle, or needs captions; or fewer than two posts would
            exchange their images
    """
    config = config_of_test(run, corpus, shuffled, captions)
    test = planned(run, corpus, shuffled)
    origin = identity(corpus, config) | {"weights": run.record["weights_sha256"]}
    require_recordable(run.folder, origin)
    note = run.folder / RETESTS / f"{test.file.name.partition('.jsonl')[0]}.json"
    if test.file.is_file() and _is_of(note, origin):
        return test  # without the lock: the folder may be on a read-only disk
    with only_user_of(run.folder, wait):
        if test.file.is_file() and _is_of(note, origin):
            return test
        if not run.weights.exists():
            raise HamnerError(f"{run.folder} has no weights: train the run into another folder, and test that")
        remove_leftovers(run.folder)
        note.unlink(missing_ok=True)  # first: it must never stand beside predictions that are not its own
        model, split = prepared_test(
            run,
            corpus,
            config,
            shuffled=shuffled,
            features=Path(features),
            progress=progress,
            allow_missing=1.0 if difference(run.record, origin) is None else allow_missing,
        )
        device = PartialState().device
        with autocast_of(config.precision, device):
            batches = split.batches(4 * config.batch_size)
            tags, relevance = predict(model, batches, split.windows, len(corpus.test), device)
        ids = [post.id for post in corpus.test]
        judged = None if relevance is None else dict(zip(ids, relevance, strict=True))
        write_predictions(test.file, dict(zip(ids, tags, strict=True)), judged, run.types)
        write_json(origin, note)
    return test


def _is_of(note: Path, origin: dict[str, Any]) -> bool:
    """Whether the note beside a file of predictions names these weights and these inputs."""
    try:
        kept = json.loads(read_text(note))
        return kept["weights"] == origin["weights"] and difference(kept, origin) is None
    except (ValueError, KeyError, TypeError, AttributeError, HamnerError):  # no note, or a damaged one
        return False


def prepared_test(
    run: Run,
    corpus: Corpus,
    config: TrainConfig,
    *,
    shuffled: int = 0,
    features: Path = FEATURES,
    progress: bool = True,
    allow_missing: float = ALLOWED_MISSING,
) -> tuple[HamNer, Split]:
    """The run's network and the test split of `corpus`, prepared for it. Arguments as in `retest`."""
    device = PartialState().device
    store = open_store(corpus, config, features, str(device), progress)
    if store is not None:
        known = run.record["features"]["class_names"]
        if list(store.class_names) != known:
            raise OtherClassesError(
                f"{run.folder} was trained on the classes of objects {', '.join(known[:4])} ..., and {corpus.name} has "
                f"{', '.join(store.class_names[:4])} ...: the run cannot be tested on them"
            )
    appended = appended_texts(config)
    if store is not None or appended is not None:
        posts_seen(corpus.test, f"{corpus.name} test", store, appended, allow_missing)
    model = trained_model(run, device)
    tokenizer = tokenizer_of(run)
    other = exchanged(len(corpus.test), config.seed, shuffled / 100)
    if shuffled and len(other) < 2:
        raise HamnerError(f"{shuffled} percent of {len(corpus.test)} posts leave no two to exchange their images")
    own = (
        None
        if store is None
        else _partly_exchanged(images_of(corpus.test, KeptFeatures(store), config, train=False), other)
    )
    return model, prepare(corpus.test, model, tokenizer, own, appended)


def config_of_test(run: Run, corpus: Corpus, shuffled: int, captions: Sequence[Path | str]) -> TrainConfig:
    """The run's config with the captions of `corpus`. Raises HamnerError if this test is impossible."""
    config, trained_on = run.config, run.record["corpus"]
    if corpus.name == trained_on["name"] and corpus.sha256 != trained_on["sha256"]:
        raise HamnerError(
            f"{corpus.folder} is called {corpus.name}, as the corpus that {run.folder} was trained on, but has other "
            "texts: rename it"
        )
    if corpus.name == trained_on["name"] and not captions:
        require_data_of(run, corpus)
    foreign = types_in(post.tags for post in corpus.test) - set(run.types)
    if foreign and corpus.name != trained_on["name"]:
        raise OtherTypesError(
            f"{run.folder} knows the entity types {', '.join(run.types)}, and test of {corpus.name} has "
            f"{', '.join(sorted(foreign))}, which it cannot find: test it on a corpus of its own types"
        )
    if not 0 <= shuffled <= 100:
        raise HamnerError(f"shuffled is a percentage from 0 to 100, not {shuffled}")
    if shuffled and (config.visual is None or config.images not in ("own", "exchanged")):
        raise HamnerError(f"{run.folder} does not see its own images in test, so there are none to shuffle")
    if config.captions and not captions and corpus.name != trained_on["name"]:
        raise HamnerError(f"{run.folder} reads captions: give those of {corpus.name} with --captions")
    if captions and not config.captions:
        raise HamnerError(f"{run.folder} reads no captions: leave out --captions")
    return config.with_captions(captions) if captions else config


def _partly_exchanged(
    own: Callable[[int], VisualFeatures], other: Mapping[int, int]
) -> Callable[[int], VisualFeatures]:
    return lambda number: own(other.get(number, number))


def retests(run: Run) -> list[Retest]:
    """The retests in a run's folder, in the order of their files' names."""
    tests = []
    for file in sorted((run.folder / RETESTS).glob("*.jsonl*")):
        match = re.fullmatch(r"(.+?)(?:-shuffled(\d+))?\.jsonl(?:\.gz)?", file.name)
        if match is not None and not file.name.startswith("."):
            tests.append(Retest(match[1], int(match[2] or 0), file))
    return tests
