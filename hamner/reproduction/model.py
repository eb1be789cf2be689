"""Train the model that the notebooks show, and compare it with its committed record and the model that comes along."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from hamner.corpora import load_corpus, project_folder
from hamner.devices import cpu_threads
from hamner.errors import HamnerError
from hamner.evaluation import read_predictions
from hamner.minitweets import CUES
from hamner.models import model_folder
from hamner.study.minitweets import answers_of, type_accuracy
from hamner.tagger import calibrate
from hamner.terminal import echo
from hamner.training import Run, train
from hamner.training.rows import study_config
from hamner.training.runs import CALIBRATION, run_name
from hamner.vision.store import FEATURES

NAME = "minitweets"
MODEL = "minitweets-full"
"""The folder under data/models that notebooks load the model from, if its weights are not the bundled ones."""


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


def is_trained() -> bool:
    """Whether data/models holds the model already, with its calibration."""
    folder = project_folder() / "data" / "models" / MODEL
    return (folder / "run.json").exists() and (folder / CALIBRATION).exists()


async def train_apart() -> None:
    """Run `trained_model` in a process of its own. A run that was cut goes on where it was.

    Raises HamnerError if that process fails; it says why on standard error.
    """
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "hamner.reproduction.model")
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):  # Ctrl-C reached it, too
            process.terminate()
        await process.wait()
        raise
    if status:
        raise HamnerError(f"the model was not trained (exit status {status}): what is wrong stands above")


def compare_with_record(run: Run) -> list[str]:
    """Write a line for each headline number of `run`: as committed, or its value beside the committed one.

    The last line says whether its weights are those of the bundled model to the byte.
    """
    record = Run.load(project_folder() / "data" / "runs" / run_name(NAME, run.config))
    corpus = load_corpus(NAME)
    answers = answers_of(corpus)
    measured = type_accuracy(answers, read_predictions(run.predictions, corpus.test))
    committed = type_accuracy(answers, read_predictions(record.predictions, corpus.test))
    numbers = {"F1 on test (seqeval)": (run.f1(), record.f1())}
    numbers |= {f"type accuracy, {cue}": (measured[cue], committed[cue]) for cue in CUES}
    lines = [
        f"{name}: {100 * mine:.2f}, " + ("as committed" if mine == theirs else f"committed {100 * theirs:.2f}")
        for name, (mine, theirs) in numbers.items()
    ]
    return [*lines, compare_with_bundled(run)]


def is_bundled(run: Run) -> bool:
    """Whether the weights of `run` are those of the bundled model."""
    return bool(run.record["weights_sha256"] == Run.load(model_folder(NAME)).record["weights_sha256"])


def compare_with_bundled(run: Run) -> str:
    """Whether the weights of `run` are those of the model `minitweets` that comes along, by their SHA-256."""
    mine, bundled = (each.record["weights_sha256"] for each in (run, Run.load(model_folder(NAME))))
    if is_bundled(run):
        return f"weights: the bundled model {NAME} to the byte (SHA-256 {mine[:12]})"
    return f"weights: SHA-256 {mine[:12]}, and the bundled model {NAME} has {bundled[:12]}"


def main() -> None:
    """Train the model; an error of hamner's is one line, and Ctrl-C during the training none."""
    try:
        trained_model()
    except HamnerError as error:
        echo(f"error: {error}", error=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
