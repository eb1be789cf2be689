"""Make the models that come along again: `make models`, or `python -m hamner.reproduction.bundle NAME`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hamner.corpora import load_corpus, project_folder
from hamner.devices import cpu_threads
from hamner.errors import HamnerError, nearest
from hamner.models import BUNDLED, PARTS, model_folder
from hamner.reproduction.model import trained_model
from hamner.tagger import calibrate
from hamner.terminal import echo
from hamner.training import Run, TrainConfig, train
from hamner.training.rows import config_of_row, full_settings
from hamner.training.runs import CALIBRATION
from hamner.vision.store import FEATURES

TWEETS = "twitter2017"
"""The corpus of the models of real tweets."""


PRESETS = {"tweets": "adapter", "tweets-mpnet": "adapter_base"}
"""Bundled model of real tweets -> its preset: `hamner train twitter2017 --preset NAME` has the same settings."""


def tweets_config(name: str) -> TrainConfig:
    """The settings of a bundled model of real tweets."""
    return config_of_row(full_settings(TWEETS, preset_name=PRESETS[name]), "text_only", seed=1)


def trained_tweets(name: str) -> Run:
    """Train and calibrate a model of real tweets in data/models, or load it from there. Uses one thread."""
    folder, features = project_folder() / "data" / "models" / name, project_folder() / FEATURES
    corpus = load_corpus(TWEETS)
    run = train(corpus, tweets_config(name), folder, features=features, threads=1)
    if not (folder / CALIBRATION).exists():
        with cpu_threads(1):
            calibrate(run, corpus, features=features)
    return run


TRAINED = {"minitweets": trained_model} | {name: partial(trained_tweets, name) for name in PRESETS}
"""Bundled model -> how it is trained."""


def bundle(run: Run, folder: Path) -> bool:
    """Copy what a model consists of, and its predictions on test, from `run` to `folder`.

    Returns whether the weights there were the same to the byte before.
    """
    before = folder / PARTS[1]
    same = before.is_file() and before.read_bytes() == run.weights.read_bytes()
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*PARTS, run.predictions.name):
        shutil.copyfile(run.folder / name, folder / name)
    return same


def main(names: Sequence[str]) -> None:
    """Train the models `names`, by default all, and put them into the package."""
    for name in names or BUNDLED:
        if name not in TRAINED:
            raise HamnerError(f"no model that comes along is called {name!r}{nearest(name, TRAINED)}")
        folder = model_folder(name)
        same = bundle(TRAINED[name](), folder)
        echo(f"{folder}: {'the same weights to the byte' if same else 'written anew'}")


if __name__ == "__main__":
    main(sys.argv[1:])
