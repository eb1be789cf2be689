"""A trained run put to other tests: the posts of another corpus, or images of which a share belong to other posts.

Predictions go into the run's folder, `retests/CORPUS.jsonl` or `retests/CORPUS-shuffledPERCENT.jsonl`, ids and tags as
in `predictions.jsonl`, so they can be committed and scored like those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from accelerate import PartialState
from torch.utils.data import DataLoader

from hamner.corpora.post import Corpus
from hamner.encoders import load_tokenizer
from hamner.errors import HamnerError
from hamner.evaluation import write_predictions
from hamner.files import written_whole
from hamner.training.batching import Split, collate, length_buckets, piece_limit, windows
from hamner.training.config import TrainConfig
from hamner.training.identity import difference, identity, require_data_of
from hamner.training.inputs import appended_texts, exchanged, images_of, open_store, posts_seen
from hamner.training.loop import predict, trained_model
from hamner.training.runs import RETESTS, Run, only_user_of
from hamner.vision.features import VisualFeatures
from hamner.vision.store import FEATURES


class OtherClassesError(HamnerError):
    """The objects of a corpus are of other classes than those that a run was trained on."""


class Retest(NamedTuple):
    """What a file of predictions is of: test of `corpus`, with `shuffled` percent of its images exchanged."""

    corpus: str
    shuffled: int
    file: Path


def planned(run: Run, corpus: Corpus, shuffled: int = 0) -> Retest:
    """What `retest` would make, whether it is there or not."""
    name = corpus.name + (f"-shuffled{shuffled}" if shuffled else "")
    return Retest(corpus.name, shuffled, run.folder / RETESTS / f"{name}.jsonl")


def retest(
    run: Run,
    corpus: Corpus,
    *,
    shuffled: int = 0,
    captions: Sequence[Path | str] = (),
    features: Path | str = FEATURES,
    progress: bool = True,
    wait: bool = False,
) -> Retest:
    """Tag test of `corpus` with `run`, and keep the predictions in its folder.

    `shuffled` percent of the posts, drawn from the run's seed, see one another's images (where posts share an image,
    one may get the very same); of two percentages the greater holds all posts of the smaller. `captions` are those of
    `corpus`, for a run that reads captions. Predictions that are there already, made by the same weights of the same
    posts and captions, are kept.

    Raises RunInUseError, unless it is to `wait`, when another process works in the run's folder, and HamnerError when
    the run has no weights, looks at no images to shuffle, or needs captions, when the objects of `corpus` are of
    other classes than those it was trained on (OtherClassesError), and when so small a share of the posts is fewer than
    two.
    """
    config = _config_of_test(run, corpus, shuffled, captions)
    found = planned(run, corpus, shuffled)
    origin = identity(corpus, config) | {"weights": run.record.get("weights_sha256")}
    with only_user_of(run.folder, wait):
        note = found.file.with_suffix(".json")
        if found.file.is_file() and _is_of(note, origin):
            return found
        if not run.weights.exists():
            raise HamnerError(f"{run.folder} has no weights: train the run into a folder of its own, and test that")
        note.unlink(missing_ok=True)  # first, for it must never stand beside other predictions than its own
        tags, relevance = _tagged(run, corpus, config, shuffled, Path(features), progress)
        ids = [post.id for post in corpus.test]
        judged = None if relevance is None else dict(zip(ids, relevance, strict=True))
        write_predictions(found.file, dict(zip(ids, tags, strict=True)), judged)
        with written_whole(note) as temporary:
            temporary.write_text(json.dumps(origin), encoding="utf-8")
    return found


def _is_of(note: Path, origin: dict[str, Any]) -> bool:
    """Whether the note beside a test's predictions says that they are of these weights and of these inputs."""
    try:
        kept = json.loads(note.read_text(encoding="utf-8"))
        return kept["weights"] == origin["weights"] and difference(kept, origin) is None
    except (OSError, ValueError, KeyError, TypeError, HamnerError):  # no note, or none that can be read
        return False


def _tagged(
    run: Run, corpus: Corpus, config: TrainConfig, shuffled: int, features: Path, progress: bool
) -> tuple[list[list[str]], list[float] | None]:
    """The run's tags of test of `corpus`, and its relevance."""
    device = PartialState().device
    store = open_store(corpus, config, features, str(device), progress)
    if store is not None:
        known = run.record["features"]["class_names"]
        if list(store.class_names) != known:
            raise OtherClassesError(
                f"{run.folder} knows the classes of objects {', '.join(known[:4])} ..., and {corpus.name} has "
                f"{', '.join(store.class_names[:4])} ...: one would be taken for another"
            )
    appended = appended_texts(config)
    if store is not None or appended is not None:
        posts_seen(corpus.test, f"{corpus.name} test", store, appended, allow_missing=1.0)
    model = trained_model(run, device)
    tokenizer = load_tokenizer(config.model.text_encoder, run.record.get("encoder_revision"))
    items = windows(corpus.test, tokenizer, piece_limit(tokenizer, model.text.encoder.config), appended)
    other = exchanged(len(corpus.test), config.seed, shuffled / 100)
    if shuffled and len(other) < 2:
        raise HamnerError(f"{shuffled} percent of {len(corpus.test)} posts leave no two to exchange their images")
    looks = None if store is None else _partly_exchanged(images_of(corpus.test, store, config), other)
    split = Split(items, looks)
    order = length_buckets(split.lengths(), 4 * config.batch_size, None)
    batches = DataLoader(split, batch_sampler=order, collate_fn=partial(collate, pad=tokenizer.pad_token_id))
    return predict(model, batches, items, len(corpus.test), device)


def _config_of_test(run: Run, corpus: Corpus, shuffled: int, captions: Sequence[Path | str]) -> TrainConfig:
    """The run's config with the captions of `corpus`, if this test can be taken at all; else HamnerError."""
    config, trained_on = run.config, run.record["corpus"]
    if corpus.name == trained_on["name"] and corpus.sha256 != trained_on["sha256"]:
        raise HamnerError(
            f"{corpus.folder} is called {corpus.name}, as the corpus that {run.folder} was trained on, and has other "
            "texts: rename it"
        )
    if corpus.name == trained_on["name"] and not captions:
        require_data_of(run, corpus)
    if not 0 <= shuffled <= 100:
        raise HamnerError(f"shuffled is a percentage from 0 to 100, not {shuffled}")
    if shuffled and (config.visual is None or config.images != "own"):
        raise HamnerError(f"{run.folder} was not trained on its own images, so there are none to shuffle")
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
    """The retests that a run's folder holds, by name of their files."""
    found = []
    for file in sorted((run.folder / RETESTS).glob("*.jsonl")):
        corpus, shuffled = re.fullmatch(r"(.+?)(?:-shuffled(\d+))?", file.stem).groups()  # type: ignore[union-attr]
        found.append(Retest(corpus, int(shuffled or 0), file))
    return found
