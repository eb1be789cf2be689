"""Train the model that the notebooks show, and compare it with its committed record."""

from __future__ import annotations

from hamner.corpora import load_corpus, project_folder
from hamner.devices import cpu_threads
from hamner.evaluation import read_predictions
from hamner.minitweets import CUES
from hamner.study.minitweets import answers_of, type_accuracy
from hamner.tagger import calibrate
from hamner.training import Run, train
from hamner.training.rows import study_config
from hamner.training.runs import CALIBRATION, run_name
from hamner.vision.store import FEATURES

NAME = "minitweets"
MODEL = "minitweets-full"
"""The folder under data/models that notebooks load the model from."""


def trained_model() -> Run:
    """Load the full model on minitweets from data/models/minitweets-full; train and calibrate it first if needed.

    Training uses one thread: weights that differ in their last digits after one step differ in all digits after a
    thousand.
    """
    folder, features = project_folder() / "data" / "models" / MODEL, project_folder() / FEATURES
    corpus, config = load_corpus(NAME), study_config(NAME, "full")
    run = train(corpus, config, folder, features=features, threads=1)
    if not (folder / CALIBRATION).exists():
        with cpu_threads(1):
            calibrate(run, corpus, features=features)
    return run


def compare_with_record(run: Run) -> list[str]:
    """Write a line for each headline number of `run`: as committed, or its value beside the committed one."""
    record = Run.load(project_folder() / "data" / "runs" / run_name(NAME, run.config))
    corpus = load_corpus(NAME)
    answers = answers_of(corpus)
    measured = type_accuracy(answers, read_predictions(run.predictions, corpus.test))
    committed = type_accuracy(answers, read_predictions(record.predictions, corpus.test))
    numbers = {"F1 on test (seqeval)": (run.f1(), record.f1())}
    numbers |= {f"type accuracy, {cue}": (measured[cue], committed[cue]) for cue in CUES}
    return [
        f"{name}: {100 * mine:.2f}, " + ("as committed" if mine == theirs else f"committed {100 * theirs:.2f}")
        for name, (mine, theirs) in numbers.items()
    ]
