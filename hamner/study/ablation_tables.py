"""The study's tables of ablation rows from run records: beside what they must cost, and beside one another.

No number is typed here. Expectations come from minitweets' generator (ceilings.json), measurements from the runs under
data/runs. The figure of the first is at the end.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hamner.corpora import TYPES, load_corpus, project_folder
from hamner.errors import HamnerError
from hamner.evaluation import over_seeds, welch
from hamner.files import written_whole
from hamner.minitweets import CUES
from hamner.model.config import ModelConfig
from hamner.study.minitweets import accuracies, ceilings, measured, sampling_error
from hamner.study.tables import markdown_table, name_of, results, runs_of
from hamner.training import Run
from hamner.training.identity import difference, flat, identity
from hamner.training.rows import (
    EVERY_ROW,
    OF_TEXT,
    ROWS,
    SEEDS,
    STUDY_ROWS,
    config_of_row,
    full_settings,
    of_captions,
    row_of_run,
    study_config,
)

ABILITY = {
    "text_only": "text_only",
    "no_objects": "no_objects",
    "no_semantic": "no_relations",
    "no_spatial": "no_geometry",
    "no_relevance": "no_relevance",
    "blank_images": "text_only",
    "shuffled_images": "text_only",
}
"""Row -> what a tagger lacks that lacks this part (`hamner.minitweets.ceilings.ABILITIES`). The other rows take no
ability away by themselves, so their ceiling is that of `all`."""

GUESS = 1 / len(TYPES)
"""Type accuracy of a guess. Two sampling errors of it are the yardstick of `expected_beside_measured`."""


def minitweets_runs() -> tuple[list[Run], list[Run]]:
    """The committed runs on minitweets that the study's table is made from, and those that it leaves out.

    Left out is what somebody tried: another minitweets, or other settings than the study's for that row and seed.
    """
    corpus = load_corpus("minitweets")
    data = identity(corpus, study_config(corpus.name, "full"))
    chosen: list[Run] = []
    others: list[Run] = []
    for run in runs_of(corpus.name):
        row, seed = row_of_run(run.config), run.config.seed
        of_study = data | {"config": study_config(corpus.name, row, seed).to_dict()} if row in STUDY_ROWS else None
        same = of_study is not None and difference(run.record, of_study) is None
        (chosen if same else others).append(run)
    return chosen, others


def coverage(found: Sequence[Run]) -> pd.DataFrame:
    """Which of the study's SEEDS have a record: ablation rows by `recorded` and `missing`, in words."""
    of_row: dict[str, set[int]] = {}
    for run in found:
        of_row.setdefault(row_of_run(run.config), set()).add(run.config.seed)
    lines = {}
    for row in STUDY_ROWS:
        recorded = of_row.get(row, set())
        lines[row] = {
            "recorded": ", ".join(map(str, sorted(recorded))) or "none",
            "missing": ", ".join(str(seed) for seed in SEEDS if seed not in recorded) or "none",
        }
    return pd.DataFrame(lines).T.rename_axis("row")


def require_one_change(found: Sequence[Run]) -> None:
    """Raise HamnerError unless runs differ in seed, row and control alone.

    Else what a row costs would not be the price of its part. Settings of images are compared among runs that see any.
    """
    of_rows = {f"model.{part}" for changes in ROWS.values() for part in changes} | {"seed", "images", "appended"}
    of_vision = {f"model.{field.name}" for field in fields(ModelConfig) if field.name not in OF_TEXT} | {"visual"}
    visual = [run for run in found if run.config.visual is not None]
    for group, apart_from in ((found, of_rows | of_vision), (visual, of_rows)):
        for run in group[1:]:
            if unlike := difference(group[0].record, run.record, apart_from):
                raise HamnerError(
                    f"{group[0].folder} and {run.folder} differ in more than their row and seed ({unlike.key}): "
                    "compare them apart, or train one of them again with the other's settings"
                )


def expected_beside_measured(found: Sequence[Run]) -> pd.DataFrame:
    """Type accuracy on minitweets' test of every ablation row, by cue: a line for each row and cue.

    Columns: row, cue, ability (that is missing), expected (the generator's ceiling), seeds, names, mean, sd, min, max
    over seeds, cost (mean of `full` minus mean, over the seeds that both have), tolerance (two sampling errors of a
    guess on that many names: smaller differences say nothing), and verdict: `as expected`; `lower` or `higher` by more
    than the tolerance than the ceiling where that is below 1, else than `full` with those seeds (and `full` than 1);
    `full lacks it` where that is not above the row's ceiling. Without a record: seeds 0, NaN, and no verdict.

    Raises HamnerError for runs of another minitweets, or such as differ in more than their row and seed.
    """
    chosen = [run for run in found if row_of_run(run.config) in STUDY_ROWS]
    require_one_change(chosen)
    ceiling = ceilings(load_corpus("minitweets"))
    lines = pd.DataFrame([(row, cue) for row in STUDY_ROWS for cue in CUES], columns=["row", "cue"])
    lines["ability"] = [ABILITY.get(row, "all") for row in lines.row]
    lines["expected"] = [float(ceiling.loc[line.ability, line.cue]) for line in lines.itertuples()]
    by_run = accuracies(chosen)
    table = lines.merge(measured(by_run), how="left", on=["row", "cue"])
    table["seeds"] = table["seeds"].fillna(0).astype(int)
    spread = ["mean", "sd", "min", "max"]
    table[spread] = table[spread].astype(float)
    table["tolerance"] = 2 * sampling_error(GUESS, table.names.astype(float))
    own, full = _over_shared_seeds(by_run)
    table["cost"] = [full[line.row][line.cue] - own[line.row][line.cue] for line in table.itertuples()]
    table["verdict"] = [
        _verdict(line.mean, 1.0 if line.row == "full" else full[line.row][line.cue], line.expected, line.tolerance)
        for line in table.itertuples()
    ]
    return table


def _over_shared_seeds(by_run: pd.DataFrame) -> tuple[dict[str, pd.Series], dict[str, pd.Series]]:
    """Type accuracy by cue of each ablation row, and of `full`, mean over the seeds that both have."""
    of_run = by_run.pivot(index=["row", "seed"], columns="cue", values="accuracy").reindex(columns=list(CUES))
    own: dict[str, pd.Series] = {}
    full: dict[str, pd.Series] = {}
    for row in STUDY_ROWS:
        seeds = [seed for other, seed in of_run.index if other == row and ("full", seed) in of_run.index]
        for name, means in ((row, own), ("full", full)):
            means[row] = of_run[of_run.index.isin([(name, seed) for seed in seeds])].mean()
    return own, full


def by_cue(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """One column of `expected_beside_measured`, row by cue."""
    return table.pivot(index="row", columns="cue", values=column).loc[list(STUDY_ROWS), list(CUES)]


def write_minitweets(folder: Path | None = None) -> list[Path]:
    """Write data/tables/minitweets.csv and minitweets.md: what each row must cost on minitweets, and what it did.

    They are made from the study's own runs (`minitweets_runs`).
    """
    folder = folder or project_folder() / "data" / "tables"
    table = expected_beside_measured(minitweets_runs()[0])
    note = (
        "Type accuracy on minitweets' test in percent: the best that a tagger without this ability can do / what was\n"
        "measured (mean over seeds; a dash where there is no record yet). A row above its best has the ability\n"
        "elsewhere in the model. Written by `hamner tables`; do not edit.\n\n"
    )
    rows = []
    for row, of_row in table.groupby("row", sort=False):
        cells = [
            f"{100 * line.expected:.0f} / " + ("-" if np.isnan(line.mean) else f"{100 * line.mean:.1f}")
            for line in of_row[["expected", "mean"]].itertuples(index=False)
        ]
        rows.append([str(row), str(of_row.seeds.iloc[0]), *cells])
    with written_whole(folder / "minitweets.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6f")
    with written_whole(folder / "minitweets.md") as temporary:
        temporary.write_text(note + markdown_table(["row"], ["seeds", *CUES], rows), encoding="utf-8")
    return [folder / "minitweets.csv", folder / "minitweets.md"]


def over_runs(found: Sequence[Run], reference: str = "text_only") -> pd.DataFrame:
    """F1 on test (seqeval protocol, percent) of each row of each corpus, beside `reference`.

    A line's reference has the same encoder and source. Text only has no source: as a reference it is everyone's, and
    itself it is compared where the reference has one source alone. Two lines of one name are an error, as in `results`.

    Columns: corpus, encoder, row, source, seeds, f1, sd, then shared_seeds (how many both rows have), difference (of
    the means over these), and low and high, its 95 % interval over seeds (`welch`). Only records are needed, no gold
    text, so this says how much training varies and nothing of the test posts.
    """
    table = results(found)
    if table.empty:
        return table
    table = table[table.protocol == "seqeval"]
    by_seed: dict[tuple[str, ...], dict[int, float]] = {}
    for run in found:
        by_seed.setdefault(tuple(name_of(run).values()), {})[run.config.seed] = run.f1()
    lines = []
    for line in table.itertuples():
        mine = by_seed[line.corpus, line.encoder, line.row, line.source]
        references = {
            source: f1
            for (*name, source), f1 in by_seed.items()
            if name == [line.corpus, line.encoder, reference] and (source == line.source or "" in (source, line.source))
        }
        theirs = next(iter(references.values())) if len(references) == 1 else {}
        shared = sorted(mine.keys() & theirs.keys())
        entry = {"corpus": line.corpus, "encoder": line.encoder, "row": line.row, "source": line.source}
        entry |= {"seeds": line.seeds, "f1": 100 * line.f1, "sd": 100 * line.f1_sd, "shared_seeds": 0}
        if shared and line.row != reference:
            ours, others = ([100 * f1[seed] for seed in shared] for f1 in (mine, theirs))
            entry |= {"shared_seeds": len(shared), "difference": over_seeds(ours).mean - over_seeds(others).mean}
            if interval := welch(ours, others):
                entry["low"], entry["high"] = interval
        lines.append(entry)
    columns = ["corpus", "encoder", "row", "source", "seeds", "f1", "sd", "shared_seeds", "difference", "low", "high"]
    return pd.DataFrame(lines, columns=columns)


def command_of(run: Run) -> str:
    """The `hamner train` command that makes this run, with every setting in which it differs from its preset
    and on as many threads.

    Raises HamnerError for a run that is no ablation row: no single option makes it.
    """
    row, corpus, config = row_of_run(run.config), run.record["corpus"]["name"], run.config
    if row not in EVERY_ROW:
        raise HamnerError(f"{run.folder} is no ablation row; its settings stand in its run.json")
    words = ["hamner", "train", corpus, "--row", row, "--seed", str(config.seed)]
    given: dict[str, Any] = {}
    if config.captions:
        words += [word for file in config.captions for word in ("--captions", file)]
        given = of_captions(config.captions)
    start = flat(config_of_row(full_settings(corpus, given), row, config.seed).to_dict())
    for name, value in flat(config.to_dict()).items():
        if value != start[name]:
            words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    if threads := run.record.get("machine", {}).get("threads"):  # they decide the last digits, and with them the model
        words += ["--threads", str(threads)]
    return shlex.join(words)


def _verdict(mean: float, full: float, ceiling: float, tolerance: float) -> str:
    if np.isnan(mean) or np.isnan(full):
        return ""
    if ceiling < 1 and full <= ceiling + tolerance:
        return "full lacks it"
    wanted = ceiling if ceiling < 1 else full
    if abs(mean - wanted) <= tolerance:
        return "as expected"
    return "lower" if mean < wanted else "higher"
