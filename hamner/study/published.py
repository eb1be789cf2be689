"""Published numbers, and ours beside them, in percent.

Published numbers come from hamner/published, ours from data/runs and data/measured; none is typed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hamner.corpora import TYPES
from hamner.corpora.registry import PUBLISHED
from hamner.drawing.style import CORPUS_NAMES
from hamner.errors import HamnerError
from hamner.study.measured import measured_differences
from hamner.study.tables import MEASURES, markdown_table, results, runs_of, without_mixtures, write_files
from hamner.training import Run

ENCODER_SIZES = ("none", "small", "base", "large", "unknown")
"""Sizes of text encoders; F1 is comparable within a size only. `small` is minilm, 6 layers of width 384, ours alone."""

LABELS: Mapping[str, tuple[str, ...]] = {
    "original": ("twitter2015-original",),
    "umt": ("twitter2015", "twitter2017"),
    "hvpnet": ("twitter2015-hvpnet",),
    "unknown": (),
}
"""Version of the labels that a number was measured on -> the known corpora with these labels.

`unknown` where neither the source nor the model's repository says which files were used. F1 on Twitter-2015 is
comparable within a version only: docs/CORPORA.md.
"""

PAPER, OURS = "HamLearning (the paper itself)", "measured here"


def numbers(file: str = "published.csv") -> pd.DataFrame:
    """Read published numbers from hamner/published: percent, each with its source and its status.

    Raises:
        HamnerError: the file is damaged, a row with the status "not seen" has a number, or an encoder size or a version
            of the labels is none of ENCODER_SIZES or LABELS.
    """
    path = PUBLISHED / file
    try:
        table = pd.read_csv(path)
        numbers = table[["precision", "recall", "f1"]].notna().any(axis=1) if "status" in table else None
    except (OSError, ValueError, KeyError) as error:
        raise HamnerError(f"{path}: no published numbers ({error}); restore it with `git checkout`") from error
    if numbers is not None and (wrong := table[(table.status == "not seen") & numbers].model.tolist()):
        raise HamnerError(f"{path}: {wrong[0]} has a number and the status 'not seen'; write its status and its source")
    for column, known in (("encoder_size", ENCODER_SIZES), ("labels", tuple(LABELS))):
        for line in table[~table[column].isin(known)].to_dict("records") if column in table else ():
            raise HamnerError(
                f"{path}: {line['model']} has the {column} {line[column]!r}; it is one of {', '.join(known)}"
            )
    return table


def encoder_size(encoder: str) -> str:
    """The size of a text encoder of our runs, one of ENCODER_SIZES."""
    named = {"minilm": "small", "mpnet": "base"}
    if encoder in named:
        return named[encoder]
    return next((size for size in ("base", "large") if size in encoder), "unknown")


def beside_published(corpus: str, runs: Sequence[Run]) -> pd.DataFrame:
    """The main table of one corpus: the paper's row first, then published models and our rows by encoder size.

    Within a size, models are sorted by F1; those without a number come first.

    Columns, in percent:
        encoder_size, model, precision, recall, f1: our rows are means over seeds.
        labels: version of the labels that the number was measured on, one of LABELS.
        low, high: 95 % bootstrap interval of F1 over posts, if data/measured has it for these runs.
        sd, seeds, status: standard deviation over seeds, number of seeds, and the number's status.
        row: ablation row of ours, NaN for published models.
        minus_paper: F1 minus the paper's F1, for models of the paper's encoder size; NaN while the paper's is unknown.
    """
    theirs = numbers()
    theirs = theirs[theirs.corpus == corpus]
    lines = theirs[["encoder_size", "model", "labels", "precision", "recall", "f1", "status"]].to_dict("records")
    table = results([run for run in runs if run.record["corpus"]["name"] == corpus])
    for line in () if table.empty else table[table.protocol == "seqeval"].itertuples():
        entry = {"encoder_size": encoder_size(line.encoder), "status": OURS, "row": line.row, "seeds": line.seeds}
        entry["model"] = _model(line)
        entry["labels"] = next((labels for labels, corpora in LABELS.items() if corpus in corpora), "unknown")
        entry |= {measure: 100 * getattr(line, measure) for measure in MEASURES}
        lines.append(entry | _interval(line) | {"sd": 100 * line.f1_sd})
    columns = ["encoder_size", "model", "labels", *MEASURES, "low", "high", "sd", "seeds", "status", "row"]
    all_rows = pd.DataFrame(lines, columns=columns)
    all_rows = all_rows.astype({"seeds": "Int64", "sd": float, "low": float, "high": float})
    of_paper = all_rows.model == PAPER
    paper = all_rows[of_paper]
    comparable = all_rows.encoder_size.isin(paper.encoder_size) & ~of_paper
    all_rows["minus_paper"] = (all_rows.f1 - paper.f1.max()).where(comparable)
    order = all_rows.encoder_size.map(ENCODER_SIZES.index).where(~of_paper, -1)
    return all_rows.assign(order=order).sort_values(["order", "f1"], na_position="first").drop(columns="order")


def _interval(line: Any) -> dict[str, float]:
    """low and high of the mean F1 of a line of `results`, if data/measured has them for the same runs."""
    table = measured_differences()
    of_line = (table.corpus == line.corpus) & (table.encoder == line.encoder)
    of_line &= (table.row == line.row) & (table.source == line.source) & (table.seed == "mean")
    same_mean = (table.f1 - 100 * line.f1).abs() < 1e-4  # another mean means other seeds
    return next(iter(table[of_line & same_mean][["low", "high"]].to_dict("records")), {})


def write_published(folder: Path | None = None) -> list[Path]:
    """Write published.md into data/tables, or into `folder`: `beside_published` of each corpus."""
    page = (
        "Test scores in percent, the paper's own row first, empty until somebody reads its tables. Ours are means\n"
        "over seeds (seqeval protocol) with the 95 % bootstrap interval over posts; notebook 09 prints the commands.\n"
        "Never rank models of one size of text encoder against those of another, nor numbers on one version of the\n"
        "labels against those on another (docs/CORPORA.md). Written by `hamner tables`; do not edit.\n"
    )
    names = ["model", "encoder", "labels", "status"]
    for corpus in sorted(numbers().corpus.unique()):
        rows = []
        for line in beside_published(corpus, without_mixtures(runs_of(corpus))).itertuples():
            rows.append([line.model, line.encoder_size, line.labels, line.status])
            rows[-1] += map(_cell, (line.precision, line.recall, line.f1))
            rows[-1].append("" if np.isnan(line.low) else f"{line.low:.2f} to {line.high:.2f}")
            rows[-1] += ["" if pd.isna(line.seeds) else str(line.seeds), _cell(line.minus_paper)]
        page += f"\n## {CORPUS_NAMES.get(corpus, corpus)}\n\n"
        page += markdown_table(names, ["precision", "recall", "F1", "interval", "seeds", "minus the paper"], rows)
    return write_files({"published.md": page}, folder)


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"


def per_type_beside_published(corpus: str, runs: Sequence[Run]) -> pd.DataFrame:
    """F1 of each type in percent, indexed by model: published reruns, and means over seeds of our rows."""
    theirs = numbers("published_per_type.csv")
    lines = theirs[theirs.corpus == corpus].set_index("model")[list(TYPES)]
    table = results([run for run in runs if run.record["corpus"]["name"] == corpus])
    if table.empty:
        return lines
    ours = table[table.protocol == "seqeval"]
    measured_here = 100 * ours[[f"f1_{type}" for type in TYPES]].set_axis(list(TYPES), axis=1)
    return pd.concat([lines, measured_here.set_axis([_model(line) for line in ours.itertuples()])])


def _model(line: Any) -> str:
    """Name a line of `results` in a table."""
    return ", ".join(part for part in (f"hamner {line.row}", line.encoder, line.source) if part)
