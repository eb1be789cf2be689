"""Tables of ablation rows: measured accuracy beside the expected one, and differences between rows.

No number is typed here. Expectations come from minitweets' generator (ceilings.json), measurements from the runs under
data/runs.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hamner.corpora import TYPES, load_corpus
from hamner.errors import HamnerError
from hamner.evaluation import over_seeds, welch
from hamner.minitweets import CUES
from hamner.model.config import OWN_WORDS, ModelConfig
from hamner.study.minitweets import accuracies, ceilings, learned_ceilings, measured, sampling_error
from hamner.study.tables import (
    markdown_table,
    name_of,
    results,
    runs_of,
    with_predictions,
    without_mixtures,
    write_files,
)
from hamner.training import Run
from hamner.training.identity import difference, flat, identity
from hamner.training.rows import (
    CAPTION_WORDS,
    EVERY_ROW,
    OF_OWN_WORDS,
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
    "no_global": "no_global",
    "no_objects": "no_objects",
    "no_semantic": "no_relations",
    "no_spatial": "no_geometry",
    "no_relevance": "no_relevance",
    "no_integration": "no_grains",
    "no_iteration": "no_reading",
    "blank_images": "text_only",
    "shuffled_images": "text_only",
}
"""Row -> the ability that a tagger loses with this part (`hamner.minitweets.ceilings.ABILITIES`).

Every other row keeps all abilities: its ceiling is that of `all`."""

OF_STUDY = tuple(row for row in EVERY_ROW if row != CAPTION_WORDS)
"""The rows and controls that can be trained on minitweets, which has no captions."""

GUESS = 1 / len(TYPES)
"""Type accuracy of a guess; `expected_beside_measured` tolerates two standard errors of it."""


def minitweets_runs() -> tuple[list[Run], list[Run]]:
    """Load the runs on minitweets under data/runs: those of the study, and the others.

    The study's runs have this minitweets, and the study's settings for their row and seed.
    """
    corpus = load_corpus("minitweets")
    data = identity(corpus, study_config(corpus.name, "full"))
    chosen: list[Run] = []
    others: list[Run] = []
    for run in runs_of(corpus.name):
        row, seed = row_of_run(run.config), run.config.seed
        wanted = data | {"config": study_config(corpus.name, row, seed).to_dict()} if row in OF_STUDY else None
        same = wanted is not None and difference(run.record, wanted) is None
        (chosen if same else others).append(run)
    return chosen, others


def coverage(runs: Sequence[Run]) -> pd.DataFrame:
    """List the study's SEEDS with and without a record: rows by `recorded` and `missing`, in words."""
    of_row: dict[str, set[int]] = {}
    for run in runs:
        of_row.setdefault(row_of_run(run.config), set()).add(run.config.seed)
    lines = {}
    for row in OF_STUDY:
        recorded = of_row.get(row, set())
        lines[row] = {
            "recorded": ", ".join(map(str, sorted(recorded))) or "none",
            "missing": ", ".join(str(seed) for seed in SEEDS if seed not in recorded) or "none",
        }
    return pd.DataFrame(lines).T.rename_axis("row")


def require_one_change(runs: Sequence[Run]) -> None:
    """Check that runs differ in seed, ablation row and control only, so that a difference is the price of one part.

    Settings of images are compared among runs with images, those of a pretrained encoder among runs that have one.

    Raises:
        HamnerError: two runs differ in another setting; the message names it.
    """
    of_rows = {f"model.{part}" for changes in ROWS.values() for part in changes} | {"seed", "images", "appended"}
    of_vision = {f"model.{field.name}" for field in fields(ModelConfig) if field.name not in OF_TEXT}
    of_vision |= {"visual", "optimizer"}
    of_encoder = {f"model.{name}" for name in OF_TEXT if name not in OF_OWN_WORDS}
    visual = [run for run in runs if run.config.visual is not None]
    own = [run for run in runs if run.config.model.words in OWN_WORDS]
    others = [run for run in runs if run.config.model.words not in OWN_WORDS]
    mixed = [*others[:1], *own]
    for group, apart_from in (
        (others, of_rows | of_vision),
        (visual, of_rows),
        (own, of_rows | of_vision),
        (mixed, of_rows | of_vision | of_encoder),
    ):
        for run in group[1:]:
            if unlike := difference(group[0].record, run.record, apart_from):
                raise HamnerError(
                    f"{group[0].folder} and {run.folder} differ in more than their row and seed ({unlike.key}): "
                    "compare them separately, or train one of them again with the other's settings"
                )


def expected_beside_measured(runs: Sequence[Run]) -> pd.DataFrame:
    """Type accuracy on minitweets' test beside the generator's ceiling: a line for each ablation row and cue.

    Columns:
        row, cue, ability: the ability that the row lacks.
        expected: the ceiling of a tagger without that ability, counted in the corpus.
        learned: the same ceiling for a learner, measured by probes (`learned_ceilings`).
        seeds, names, mean, sd, min, max: measured over seeds; 0 and NaN without a record.
        cost: mean of `full` minus mean, over the seeds that both rows have.
        tolerance: two standard errors of the difference of two guesses on that many names; less is noise.
        verdict: `as expected`, `lower` or `higher`, by more than the tolerance. The reference is the ceiling where it
            is below 1, else `full` over the same seeds (for `full` itself: 1). `full lacks it` where `full` does not
            exceed the row's ceiling. Empty without a record.

    Raises:
        HamnerError: a run was trained on another minitweets, or two runs differ in more than their row and seed.
    """
    chosen = [run for run in runs if row_of_run(run.config) in STUDY_ROWS]
    require_one_change(chosen)
    ceiling = ceilings(load_corpus("minitweets"))
    lines = pd.DataFrame([(row, cue) for row in STUDY_ROWS for cue in CUES], columns=["row", "cue"])
    lines["ability"] = [ABILITY.get(row, "all") for row in lines.row]
    lines["expected"] = [float(ceiling.loc[line.ability, line.cue]) for line in lines.itertuples()]
    learned = learned_ceilings()
    lines["learned"] = [float(learned.loc[line.ability, line.cue]) for line in lines.itertuples()]
    by_run = accuracies(chosen)
    table = lines.merge(measured(by_run), how="left", on=["row", "cue"])
    table["seeds"] = table["seeds"].fillna(0).astype(int)
    spread = ["mean", "sd", "min", "max"]
    table[spread] = table[spread].astype(float)
    table["tolerance"] = 2 * math.sqrt(2) * sampling_error(GUESS, table.names.astype(float))
    own, full = _over_shared_seeds(by_run)
    table["cost"] = [full[line.row][line.cue] - own[line.row][line.cue] for line in table.itertuples()]
    table["verdict"] = [
        _verdict(line.mean, 1.0 if line.row == "full" else full[line.row][line.cue], line.expected, line.tolerance)
        for line in table.itertuples()
    ]
    return table


def _over_shared_seeds(by_run: pd.DataFrame) -> tuple[dict[str, pd.Series], dict[str, pd.Series]]:
    """Mean type accuracy by cue of each ablation row, and of `full`, over the seeds that both have."""
    of_run = by_run.pivot(index=["row", "seed"], columns="cue", values="accuracy").reindex(columns=list(CUES))
    own: dict[str, pd.Series] = {}
    full: dict[str, pd.Series] = {}
    for row in STUDY_ROWS:
        seeds = [seed for other, seed in of_run.index if other == row and ("full", seed) in of_run.index]
        for name, means in ((row, own), ("full", full)):
            means[row] = of_run[of_run.index.isin([(name, seed) for seed in seeds])].mean()
    return own, full


def by_cue(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Arrange one column of `expected_beside_measured` as a table of rows by cues."""
    return table.pivot(index="row", columns="cue", values=column).loc[list(STUDY_ROWS), list(CUES)]


def write_minitweets(folder: Path | None = None) -> list[Path]:
    """Write minitweets.csv and minitweets.md into data/tables, or into `folder`: expected and measured accuracy.

    The tables are made from the study's own runs (`minitweets_runs`).
    """
    corpus = load_corpus("minitweets")
    of_study = with_predictions(without_mixtures(minitweets_runs()[0]), {corpus.name: corpus.test})
    table = expected_beside_measured(of_study)
    note = (
        "Type accuracy on minitweets' test in percent, without the ability that the row removes: the ceiling counted\n"
        "in the corpus / the ceiling that linear probes reach / measured (mean over seeds; a dash where there is no\n"
        "record yet). A row above its ceilings has the ability elsewhere in the model. Written by `hamner tables`; do\n"
        "not edit.\n\n"
    )
    rows = []
    for row, of_row in table.groupby("row", sort=False):
        cells = [
            f"{100 * line.expected:.0f} / {100 * line.learned:.0f} / "
            + ("-" if np.isnan(line.mean) else f"{100 * line.mean:.1f}")
            for line in of_row[["expected", "learned", "mean"]].itertuples(index=False)
        ]
        rows.append([str(row), str(of_row.seeds.iloc[0]), *cells])
    page = note + markdown_table(["row"], ["seeds", *CUES], rows)
    return write_files({"minitweets.csv": table, "minitweets.md": page}, folder)


def over_runs(runs: Sequence[Run], reference: str = "text_only") -> pd.DataFrame:
    """F1 on test (seqeval protocol, percent) of each row of each corpus, beside the row `reference`.

    Row and reference have the same encoder and the same source. Text only has no source: it is the reference of rows
    of every source; beside a reference of one source it has its own line.

    Columns: corpus, encoder, row, source, seeds, f1, sd; shared_seeds, the number of seeds that both rows have;
    difference of the means over these; low and high, the 95 % interval of the difference over seeds (`welch`). The
    interval measures how much training varies, not how much the test posts do: only records are read, no gold tags.

    Raises:
        HamnerError: runs of one name differ in more than their seed, or share a seed.
    """
    table = results(runs)
    if table.empty:
        return table
    table = table[table.protocol == "seqeval"]
    by_seed: dict[tuple[str, ...], dict[int, float]] = {}
    for run in runs:
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
    """Write the `hamner train` command that makes this run: row, seed, threads, and each setting unlike its preset.

    Raises:
        HamnerError: the run is no ablation row, so that no single option makes it.
    """
    row, corpus, config = row_of_run(run.config), run.record["corpus"]["name"], run.config
    if row not in EVERY_ROW:
        raise HamnerError(f"{run.folder} is no ablation row; read its settings in its run.json")
    words = ["hamner", "train", corpus, "--row", row, "--seed", str(config.seed)]
    given: dict[str, Any] = {}
    if config.captions:
        words += [word for file in config.captions for word in ("--captions", file)]
        given = of_captions(config.captions)
    start = flat(config_of_row(full_settings(corpus, given), row, config.seed).to_dict())
    for name, value in flat(config.to_dict()).items():
        if value != start[name]:
            words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    if threads := run.record.get("machine", {}).get("threads"):  # the number of threads changes the last digits
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
