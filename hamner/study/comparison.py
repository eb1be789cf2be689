"""Every architecture on minitweets, cue by cue: the paper's, its peers, those of one's own, and other systems.

All of them have the same words, the same features and the same scorer, where nothing else is said. What an architecture
can see is what its cues show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hamner.corpora import Corpus, load_corpus
from hamner.errors import HamnerError
from hamner.evaluation import over_seeds, read_predictions
from hamner.minitweets import CUES
from hamner.model.config import FUSIONS
from hamner.study.minitweets import answers_of, type_accuracy
from hamner.study.outside import Outside, by_system, outside_runs
from hamner.study.tables import (
    by_name,
    leave_out,
    markdown_table,
    name_of,
    runs_of,
    with_predictions,
    without_mixtures,
    write_files,
)
from hamner.training import Run
from hamner.training.rows import GROUPS, PEER_ROWS

KINDS = ("paper", "peer", "own", "outside")
"""Whose an architecture is: the paper's stages or text only; a peer's; the reader's own; another system's."""


COSTS = {"parameters": "parameters", "trained": "trained", "seconds": "s an epoch", "memory": "GB"}
"""What an architecture costs: columns of `comparison`, and how the page calls them."""


def kind_of(run: Run) -> str | None:
    """Which of KINDS a run is; None for an ablation of the paper's stages and for a control."""
    row = name_of(run)["row"]
    if run.config.model.vision and run.config.model.fusion not in FUSIONS and run.config.images == "own":
        return "own"
    return "peer" if row in PEER_ROWS else "paper" if row in ("full", "text_only") else None


def comparison(runs: Sequence[Run], imports: Sequence[Outside], corpus: Corpus) -> pd.DataFrame:
    """Type accuracy by cue on minitweets' test: a line for each architecture, encoder and source of features.

    Columns: kind, name, encoder, source, seeds, f1 (seqeval), parameters, trained (those that training changes; NaN in
    earlier records of a frozen encoder), seconds (of training an epoch), memory (peak in GB), and one for each of CUES;
    fractions, means over seeds.
    """
    answers = answers_of(corpus)
    lines: list[dict[str, Any]] = []
    for group in by_name([run for run in runs if kind_of(run) is not None]):
        name = name_of(group[0])
        lines.append(
            {"kind": kind_of(group[0]), "name": name["row"], "encoder": name["encoder"], "source": name["source"]}
            | {"seeds": len(group), "f1": over_seeds([run.f1() for run in group]).mean}
            | {"parameters": group[0].record["parameters"], "trained": _trained(group)}
            | {"seconds": _seconds(group), "memory": _memory(group)}
            | _by_cue([read_predictions(run.predictions, corpus.test) for run in group], answers)
        )
    for (name_of_corpus, system), group_outside in by_system(imports).items():
        here = [one for one in group_outside if name_of_corpus == corpus.name and one.sha256 == corpus.sha256]
        if not here:
            continue
        try:
            predicted = [read_predictions(one.predictions, corpus.test) for one in here]
        except HamnerError as error:
            leave_out(error)
            continue
        f1 = over_seeds([one.scores["seqeval"]["overall"]["f1"] for one in here]).mean
        lines.append({"kind": "outside", "name": system, "seeds": len(here), "f1": f1} | _by_cue(predicted, answers))
    table = pd.DataFrame(lines)
    columns = ["kind", "name", "encoder", "source", "seeds", "f1", *COSTS, *CUES]
    table = table.reindex(columns=columns)
    order = {name: place for place, name in enumerate(GROUPS["comparison"])}
    return table.sort_values(
        by=["kind", "name"],
        key=lambda column: column.map(lambda value: KINDS.index(value) if value in KINDS else order.get(value, 99)),
        kind="stable",
        ignore_index=True,
    )


def _trained(group: Sequence[Run]) -> float:
    known = [run.record["trained_parameters"] for run in group if run.record.get("trained_parameters") is not None]
    if not known and not group[0].config.model.frozen_text:
        known = [group[0].record["parameters"]]
    return float(known[0]) if known else float("nan")


def _memory(group: Sequence[Run]) -> float:
    known = [run.record["peak_memory_bytes"] / 1e9 for run in group if run.record["peak_memory_bytes"] is not None]
    return over_seeds(known).mean if known else float("nan")


def _seconds(group: Sequence[Run]) -> float:
    epochs = [epoch.get("train_seconds") for run in group for epoch in run.record["history"]]
    known = [seconds for seconds in epochs if seconds is not None]
    return over_seeds(known).mean if known else float("nan")


def _by_cue(predicted: Sequence[Mapping[str, tuple[str, ...]]], answers: Any) -> dict[str, float]:
    """Mean over seeds of the type accuracy of each cue."""
    accuracy = [type_accuracy(answers, dict(tags)) for tags in predicted]
    return {cue: over_seeds([of_seed[cue] for of_seed in accuracy]).mean for cue in CUES}


def write_comparison(folder: Path | None = None) -> list[Path]:
    """Write comparison.csv and comparison.md into data/tables, or into `folder`, if there is anything to compare."""
    corpus = load_corpus("minitweets")
    chosen = [run for run in runs_of(corpus.name) if run.record["corpus"]["sha256"] == corpus.sha256]
    readable = with_predictions(without_mixtures(chosen), {corpus.name: corpus.test})
    table = comparison(readable, outside_runs(), corpus)
    if table.empty:
        return []
    note = (
        "Type accuracy by cue on minitweets' test, in percent, mean over seeds. Kind: the paper's stages and text\n"
        "only, peers from earlier papers, architectures of one's own, and predictions of other systems. Trained are\n"
        "all parameters but those of a frozen text encoder; GB is the peak memory of training. Written by `hamner\n"
        "tables`; do not edit.\n\n"
    )
    rows = []
    for line in table.to_dict("records"):
        text = ["" if pd.isna(line[part]) else str(line[part]) for part in ("kind", "name", "encoder", "source")]
        known = ["" if pd.isna(line[part]) else f"{line[part]:,.0f}" for part in ("parameters", "trained", "seconds")]
        known.append("" if pd.isna(line["memory"]) else f"{line['memory']:.1f}")
        rows.append(
            [*text, str(line["seeds"]), f"{100 * line['f1']:.1f}", *known, *(f"{100 * line[cue]:.1f}" for cue in CUES)]
        )
    names, numbers = ["kind", "name", "encoder", "features"], ["seeds", "F1", *COSTS.values(), *CUES]
    return write_files({"comparison.csv": table, "comparison.md": note + markdown_table(names, numbers, rows)}, folder)
