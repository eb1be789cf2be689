"""Predictions of other systems, imported beside the runs: the same gold tags and the same scorer.

An import is a folder data/runs/CORPUS-NAME-outside-seedN with predictions.jsonl.gz and outside.json. It holds no
run.json: nothing is known of how the system was trained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hamner.corpora import PROTOCOLS, Corpus, project_folder
from hamner.errors import HamnerError
from hamner.evaluation import align, over_seeds, read_predictions, score, training_mentions, write_predictions
from hamner.extensions import NAME
from hamner.files import file_sha256, read_text
from hamner.study.tables import leave_out, markdown_table, write_files
from hamner.training.rows import EVERY_ROW
from hamner.training.runs import write_json

OUTSIDE_FILE = "outside.json"


class OutsideError(HamnerError):
    """Predictions of another system cannot be imported, or an import is damaged."""


@dataclass(frozen=True)
class Outside:
    """Imported predictions: the system's name, the seed, the corpus with the hashes of its files, and the scores."""

    folder: Path
    name: str
    seed: int
    corpus: str
    sha256: dict[str, str]
    file_sha256: str
    scores: dict[str, Any]

    @property
    def predictions(self) -> Path:
        """The predictions on test."""
        return self.folder / "predictions.jsonl.gz"


def import_predictions(name: str, file: Path, corpus: Corpus, seed: int = 1, runs: Path | None = None) -> Outside:
    """Score another system's predictions on test, and keep both under `runs` (by default data/runs).

    Args:
        name: what the system is called in tables; no name of a row
        file: JSON lines, or CoNLL columns with the word first and the predicted tag last (`read_predictions`)
        corpus: the corpus whose test was tagged
        seed: a number for each of several runs of the system

    Raises HamnerError for a name that is a row's or no name, for predictions that do not fit the corpus, and where
    other predictions have the same name and seed.
    """
    if not NAME.fullmatch(name):
        raise OutsideError(f"{name!r} is no name for a system: use letters, digits, `_`, `.` and `-`")
    if name in EVERY_ROW:
        raise OutsideError(f"{name!r} is a row of this project: give the system another name")
    predictions = read_predictions(file, corpus.test, types=corpus.every_type)
    gold, tags = align(corpus.test, predictions)
    mentions = training_mentions(corpus.train)
    scores = {
        protocol: score(gold, tags, protocol, posts=corpus.test, mentions=mentions).to_dict() for protocol in PROTOCOLS
    }
    folder = (runs or project_folder() / "data" / "runs") / f"{corpus.name}-{name}-outside-seed{seed}"
    outside = Outside(folder, name, seed, corpus.name, dict(corpus.sha256), file_sha256(file), scores)
    if (folder / OUTSIDE_FILE).exists():
        if read_outside(folder) != outside:
            raise OutsideError(f"{folder} holds other predictions: give another --seed or name, or remove that folder")
        return outside
    if folder.exists():
        raise OutsideError(f"{folder} is there and holds no import: give another name")
    write_predictions(outside.predictions, predictions, types=corpus.every_type)
    write_json({part: value for part, value in asdict(outside).items() if part != "folder"}, folder / OUTSIDE_FILE)
    return outside


def read_outside(folder: Path) -> Outside:
    """The import in a folder. Raises OutsideError for a damaged one."""
    path = folder / OUTSIDE_FILE
    try:
        read = Outside(folder=folder, **json.loads(read_text(path)))
        f1 = read.scores["seqeval"]["overall"]["f1"]
        if not (
            isinstance(f1, float | int) and 0 <= f1 <= 1 and type(read.seed) is int and re.fullmatch(NAME, read.name)
        ):
            raise ValueError(f"an F1 of {f1!r}, seed {read.seed!r} or name {read.name!r} cannot be")
    except (HamnerError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OutsideError(f"{path} is no import of predictions ({error}); import them again") from error
    return read


def outside_runs(runs: Path | None = None) -> list[Outside]:
    """All imports under `runs`, in the order of their names. A damaged one is left out, with a LeftOutWarning."""
    folder = runs or project_folder() / "data" / "runs"
    found = []
    for one in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (one / OUTSIDE_FILE).is_file():
            try:
                found.append(read_outside(one))
            except HamnerError as error:
                leave_out(error)
    return found


def by_system(imports: Sequence[Outside]) -> dict[tuple[str, str], list[Outside]]:
    """Imports by corpus and system. Those of another version of a corpus are left out, with a LeftOutWarning."""
    groups: dict[tuple[str, str], list[Outside]] = {}
    for one in imports:
        group = groups.setdefault((one.corpus, one.name), [])
        if group and group[0].sha256 != one.sha256:
            leave_out(f"{one.folder} has other files of {one.corpus} than {group[0].folder}: import one of them again")
        else:
            group.append(one)
    return groups


def outside_table(imports: Sequence[Outside]) -> pd.DataFrame:
    """Precision, recall and F1 on test of each system and protocol: fractions, mean and deviation over seeds."""
    lines = []
    for (corpus, name), group in by_system(imports).items():
        for protocol in PROTOCOLS:
            line: dict[str, Any] = {"corpus": corpus, "system": name, "protocol": protocol, "seeds": len(group)}
            for measure in ("precision", "recall", "f1"):
                spread = over_seeds([one.scores[protocol]["overall"][measure] for one in group])
                line |= {measure: spread.mean, f"{measure}_sd": spread.sd}
            lines.append(line)
    return pd.DataFrame(lines)


def write_outside(folder: Path | None = None) -> list[Path]:
    """Write outside.csv and outside.md into data/tables, or into `folder`; nothing where nothing was imported."""
    table = outside_table(outside_runs())
    if table.empty:
        return []
    note = (
        "Scores on test of other systems, from their predictions (`hamner import-predictions`): percent, mean over\n"
        "seeds. Written by `hamner tables`; do not edit.\n\n"
    )
    rows = [
        [line.corpus, line.system, line.protocol, str(line.seeds)]
        + [f"{100 * value:.2f}" for value in (line.precision, line.recall, line.f1)]
        for line in table.itertuples()
    ]
    names, numbers = ["corpus", "system", "protocol"], ["seeds", "precision", "recall", "F1"]
    return write_files({"outside.csv": table, "outside.md": note + markdown_table(names, numbers, rows)}, folder)
