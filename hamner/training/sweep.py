"""Many runs and their tests from one command.

Finished runs are skipped and unfinished ones resumed. Several processes or machines may share the folder: no run is
trained twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from accelerate import PartialState

from hamner.corpora.post import Corpus
from hamner.devices import cpu_threads
from hamner.terminal import progress_bar
from hamner.training.config import TrainConfig
from hamner.training.inputs import Words, open_store
from hamner.training.loop import train
from hamner.training.retest import OtherClassesError, OtherTypesError, planned, retest
from hamner.training.rows import config_of_row, row_of_run
from hamner.training.runs import Run, RunInUseError, run_name
from hamner.vision.missing import ALLOWED_MISSING
from hamner.vision.store import FEATURES

Done = TypeVar("Done")

SHARES = (25, 50, 75, 100)
"""Percentages of exchanged images, to measure the effect of noise."""


class Part(NamedTuple):
    """A corpus, the settings of the full model on it, and the rows to train there."""

    corpus: Corpus
    full: dict[str, Any]
    rows: Sequence[str]

    def configs(self, seed: int) -> list[TrainConfig]:
        return [config_of_row(self.full, row, seed) for row in self.rows]


def train_sweep(
    parts: Sequence[Part],
    seeds: Iterable[int],
    folder: Path,
    threads: int | None = None,
    allow_missing: float = ALLOWED_MISSING,
) -> list[Run]:
    """Train every row of each part with every seed, seed by seed. Runs of other processes are awaited, then loaded."""
    todo = {
        run_name(part.corpus.name, config): (part.corpus, config)
        for seed in seeds
        for part in parts
        for config in part.configs(seed)
    }
    opened = set()
    kept: dict[str, dict[str, Words]] = {}
    work: list[tuple[str, Callable[..., Run]]] = []
    for name, (corpus, config) in todo.items():
        # Once for all rows of a corpus, with one bar and one report.
        if config.visual is not None and corpus.name not in opened and not os.path.exists(folder / name / "run.json"):
            open_store(corpus, config, FEATURES, str(PartialState().device), progress=True)
            opened.add(corpus.name)
        trained = partial(train, corpus, config, folder / name, progress=False, threads=threads, kept=kept)
        work.append((name, partial(trained, allow_missing=allow_missing)))
    return _shared(work, "run")


def retest_sweep(
    runs: Sequence[Run],
    corpora: Sequence[Corpus],
    captions: Mapping[str, Sequence[Path]],
    threads: int | None = None,
    allow_missing: float = ALLOWED_MISSING,
) -> dict[Path, str]:
    """Test text_only and full on each other corpus, and full on its own corpus with SHARES of the images exchanged.

    `captions` are given by corpus, for runs that read captions. Returns the files of the tests that are impossible,
    with the reason: the weights of the run are missing, the objects of the two corpora are of other classes, or the
    entities of the other corpus are of types that the run does not know.
    """
    missing: dict[Path, str] = {}
    work: list[tuple[str, Callable[..., None]]] = []

    def take(run: Run, corpus: Corpus, share: int, file: Path, wait: bool) -> None:
        given = captions.get(corpus.name, ()) if run.config.visual is not None else ()
        try:
            retest(
                run,
                corpus,
                shuffled=share,
                captions=given,
                progress=False,
                wait=wait,
                allow_missing=allow_missing,
            )
        except (OtherClassesError, OtherTypesError) as error:
            missing[file] = str(error)

    for run in runs:
        own, row = run.record["corpus"]["name"], row_of_run(run.config)
        for corpus in corpora:
            if row not in ("full", "text_only") or (corpus.name == own and row != "full"):
                continue
            for share in SHARES if corpus.name == own else (0,):
                test = planned(run, corpus, share)
                if run.weights.exists():
                    name = f"{run.folder.name} on {test.file.stem}"
                    work.append((name, partial(take, run, corpus, share, test.file)))
                elif not test.file.exists():
                    missing[test.file] = "the weights of its run are not here: make the runs in another --folder"
    with cpu_threads(threads):
        _shared(work, "test")
    return missing


def _shared(work: Sequence[tuple[str, Callable[..., Done]]], unit: str) -> list[Done]:
    """Do each named piece of work under a bar: first those that no other process holds, then the others, in turn."""
    done: list[Done] = []
    with progress_bar(counts=f"{unit}s", unit=unit, shown=bool(work), total=len(work)) as bar:
        for wait in (False, True):
            busy = []
            for name, do in work:
                bar.set_postfix_str(name)
                try:
                    done.append(do(wait=wait))
                    bar.update()
                except RunInUseError:
                    if wait:
                        raise
                    busy.append((name, do))
            work = busy
    return done
