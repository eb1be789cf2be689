"""The model that the notebooks show, trained here, beside the record of the one that was committed."""

from __future__ import annotations

from hamner.corpora import load_corpus, project_folder
from hamner.devices import cpu_threads
from hamner.evaluation import read_predictions
from hamner.minitweets import CUES
from hamner.study.minitweets import mentions_of, type_accuracy
from hamner.tagger import calibrate
from hamner.training import Run, train
from hamner.training.rows import study_config
from hamner.training.runs import CALIBRATION, run_name
from hamner.vision.store import FEATURES

NAME = "minitweets"
MODEL = "minitweets-full"
"""The folder under data/models that notebooks load it from."""


def trained_model() -> Run:
    """The full model on minitweets under data/models/minitweets-full; trained and calibrated where it is not yet.

    On one thread: a model that differs in its last digits after one step is another model after a thousand.
    """
    folder, features = project_folder() / "data" / "models" / MODEL, project_folder() / FEATURES
    corpus, config = load_corpus(NAME), study_config(NAME, "full")
    run = train(corpus, config, folder, features=features, threads=1)
    if not (folder / CALIBRATION).exists():
        with cpu_threads(1):
            calibrate(run, corpus, features=features)
    return run


def compare_with_record(run: Run) -> list[str]:
    """One line for each headline number of `run`: as committed, or how it differs from the record under data/runs."""
    record = Run.load(project_folder() / "data" / "runs" / run_name(NAME, run.config))
    corpus = load_corpus(NAME)
    mentions = mentions_of(corpus)
    found = type_accuracy(mentions, read_predictions(run.predictions, corpus.test))
    known = type_accuracy(mentions, read_predictions(record.predictions, corpus.test))
    numbers = {"F1 on test (seqeval)": (run.f1(), record.f1())}
    numbers |= {f"type accuracy, {cue}": (found[cue], known[cue]) for cue in CUES}
    return [
        f"{name}: {100 * mine:.2f}, " + ("as committed" if mine == theirs else f"committed {100 * theirs:.2f}")
        for name, (mine, theirs) in numbers.items()
    ]
