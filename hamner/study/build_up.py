"""What each part adds: to the model before it in the build-up, and to the least model by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from hamner.corpora import load_corpus
from hamner.evaluation import over_seeds, welch
from hamner.minitweets import CUES
from hamner.study.ablation_tables import minitweets_runs, require_one_change
from hamner.study.minitweets import accuracies
from hamner.study.tables import with_predictions, without_mixtures, write_files
from hamner.training import Run
from hamner.training.rows import ALONE, BUILD_UP, PARTS


class Step(NamedTuple):
    """A row that has one part more than another row. `way` is "build-up" or "alone"."""

    way: str
    part: str
    row: str
    against: str


_BUILT = ("text_only", *BUILD_UP, "no_coattention", "full")
STEPS = (
    *(
        Step("build-up", part, row, before)
        for part, row, before in zip(("seeing", *PARTS), _BUILT[1:], _BUILT[:-1], strict=True)
    ),
    Step("alone", "semantic", "up_to_semantic", "least"),
    *(Step("alone", row.removeprefix("only_"), row, "least") for row in ALONE),
)
"""The build-up starts at text only; its first step is to see at all, with the grid and objects as they are."""


def gains_of_parts(runs: Sequence[Run]) -> pd.DataFrame:
    """Type accuracy on minitweets' test with and without each part: a line for each of STEPS and cue.

    Columns: way, part, row, against, cue; seeds, the number of seeds that both rows have; mean and before, the accuracy
    of the row and of the one that it is held against, over these seeds; gain, their difference; low and high, its 95 %
    interval over seeds (`welch`), None with one seed. 0 seeds and NaN where a record is missing. Fractions.

    Raises:
        HamnerError: runs were trained on another minitweets, or differ in more than their row and seed.
    """
    require_one_change(runs)
    of_run = accuracies(runs).pivot(index=["row", "cue"], columns="seed", values="accuracy")
    lines = []
    for step in STEPS:
        for cue in CUES:
            both = of_run.reindex([(step.row, cue), (step.against, cue)]).T.dropna()
            ours, others = (list(both[name]) for name in both.columns)
            line = {**step._asdict(), "cue": cue, "seeds": len(both)}
            if len(both):
                mean, before = over_seeds(ours).mean, over_seeds(others).mean
                low, high = welch(ours, others) or (None, None)
                line |= {"mean": mean, "before": before, "gain": mean - before, "low": low, "high": high}
            lines.append(line)
    columns = [*Step._fields, "cue", "seeds", "mean", "before", "gain", "low", "high"]
    return pd.DataFrame(lines).reindex(columns=columns)


def write_build_up(folder: Path | None = None) -> list[Path]:
    """Write build_up.csv into data/tables or `folder` from the study's own runs, unless no step has its two records."""
    corpus = load_corpus("minitweets")
    table = gains_of_parts(with_predictions(without_mixtures(minitweets_runs()[0]), {corpus.name: corpus.test}))
    if not table.seeds.any():
        return []
    return write_files({"build_up.csv": table}, folder)
