"""Tables of results, built from run records and published numbers. No number in them is typed by hand."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd

from hamner.corpora import PROTOCOLS, TYPES, project_folder
from hamner.errors import HamnerError
from hamner.evaluation import Spread, over_seeds
from hamner.files import written_whole
from hamner.training import Run
from hamner.training.identity import difference
from hamner.training.rows import row_of_run
from hamner.training.runs import encoder_name
from hamner.vision.features import VisualSource

MEASURES = ("precision", "recall", "f1")


def runs(folder: Path | None = None) -> list[Run]:
    """All finished runs under `folder` (data/runs of the project), by name."""
    folder = folder or project_folder() / "data" / "runs"
    return [Run.load(path.parent) for path in sorted(folder.glob("*/run.json"))]


def runs_of(corpus: str) -> list[Run]:
    """The committed runs of one corpus, by name of their folder."""
    return [run for run in runs() if run.record["corpus"]["name"] == corpus]


def results(records: Sequence[Run], split: str = "test") -> pd.DataFrame:
    """One line for each corpus, encoder, row, source and protocol: spread of precision, recall and F1 over seeds.

    Each measure, of all entities, of seen and unseen ones (`f1_seen`) and of each type (`f1_PER`), has its mean, and
    with `_sd`, `_min` and `_max` behind it its spread. Fractions. Raises HamnerError where runs of one name
    differ in more than their seed, or have the same: a number of them would be one of a mixture.
    """
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in records:
        groups.setdefault(tuple(name_of(run).values()), []).append(run)
    lines: list[dict[str, Any]] = []
    for group in groups.values():
        _require_seeds_alone(group)
        name = name_of(group[0])
        for protocol in PROTOCOLS:
            scores = [run.record["scores"][split][protocol] for run in group]
            line = name | {"protocol": protocol, "seeds": len(group)}
            for measure in MEASURES:
                line |= _columns(measure, over_seeds([score["overall"][measure] for score in scores]))
            parts = {part: [score[part] for score in scores] for part in ("seen", "unseen")}
            parts |= {type: [score["per_type"][type] for score in scores] for type in TYPES}
            for part, of_part in parts.items():
                for measure in MEASURES:
                    line |= _columns(f"{measure}_{part}", over_seeds([score[measure] for score in of_part]))
            line["minutes"] = over_seeds([run.record["seconds"] / 60 for run in group]).mean
            lines.append(line)
    table = pd.DataFrame(lines)
    key = ["corpus", "encoder", "row", "source", "protocol"]
    return table.sort_values(key, ignore_index=True) if lines else table


def name_of(run: Run) -> dict[str, str]:
    """How tables name a run, whatever its seed: corpus, encoder, row, and source of what it sees ("" for text only)."""
    appended = run.config.appended
    source = run.config.visual or (VisualSource.from_captions(*appended) if appended else None)
    return {
        "corpus": run.record["corpus"]["name"],
        "encoder": encoder_name(run.config),
        "row": row_of_run(run.config),
        "source": "" if source is None else source.label,
    }


def by_row(found: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs of one corpus by their row.

    Raises HamnerError where two of a row differ in more than their seed, or have the same: a number of that row would
    be one of a mixture.
    """
    rows: dict[str, list[Run]] = {}
    for run in found:
        rows.setdefault(row_of_run(run.config), []).append(run)
    for group in rows.values():
        _require_seeds_alone(group)
    return rows


def results_markdown(table: pd.DataFrame) -> str:
    """The table for people: percent, mean ± standard deviation over seeds."""
    header = ["precision", "recall", "F1", "F1 range", "F1 seen", "F1 unseen"]
    rows = []
    for line in table.to_dict("records"):
        cells = [_percent(line, measure) for measure in MEASURES]
        cells.append(f"{100 * line['f1_min']:.2f} to {100 * line['f1_max']:.2f}")
        rows.append([*_named(line), line["protocol"], str(line["seeds"]), *cells])
        rows[-1] += [_percent(line, f"f1_{part}") for part in ("seen", "unseen")]
    return markdown_table(["corpus", "encoder", "row", "source", "protocol"], ["seeds", *header], rows)


def per_type_markdown(table: pd.DataFrame) -> str:
    """Precision, recall and F1 of each type (seqeval protocol): percent, mean ± standard deviation over seeds."""
    rows = [
        [*_named(line), type, str(line["seeds"]), *(_percent(line, f"{measure}_{type}") for measure in MEASURES)]
        for line in table.to_dict("records")
        if line["protocol"] == "seqeval"
        for type in TYPES
    ]
    return markdown_table(["corpus", "encoder", "row", "source", "type"], ["seeds", "precision", "recall", "F1"], rows)


def _named(line: dict[Hashable, Any]) -> list[str]:
    return [line[part] for part in ("corpus", "encoder", "row", "source")]


def _percent(line: dict[Hashable, Any], measure: str) -> str:
    sd = line[f"{measure}_sd"]
    return f"{100 * line[measure]:.2f}" + ("" if pd.isna(sd) else f" ± {100 * sd:.2f}")


def markdown_table(names: Sequence[str], numbers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown with a column for each of `names`, to the left, and each of `numbers`, to the right."""
    lines = [[*names, *numbers], ["---"] * len(names) + ["---:"] * len(numbers), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def write_tables(folder: Path | None = None) -> list[Path]:
    """Write results.csv, results.md and results_per_type.md under data/tables from data/runs."""
    folder = folder or project_folder() / "data" / "tables"
    table = results(runs())
    note = (
        "Test scores of the runs under `data/runs`, in percent: mean ± standard deviation over seeds{}. "
        "Written by `hamner tables`; do not edit.\n\n"
    )
    with written_whole(folder / "results.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6f")
    pages = {
        "results.md": note.format("") + results_markdown(table),
        "results_per_type.md": note.format(", by type (seqeval protocol)") + per_type_markdown(table),
    }
    for name, page in pages.items():
        with written_whole(folder / name) as temporary:
            temporary.write_text(page, encoding="utf-8")
    return [folder / name for name in ("results.csv", *pages)]


def _require_seeds_alone(group: Sequence[Run]) -> None:
    """Raise HamnerError unless these runs of one name differ in their seed, and in nothing else."""
    for run in group[1:]:
        if unlike := difference(group[0].record, run.record, ("seed",)):
            raise HamnerError(
                f"{group[0].folder} and {run.folder} differ in more than their seed ({unlike.key}): keep those with "
                "other settings or data in another folder"
            )
    seeds = [run.config.seed for run in group]
    if len(set(seeds)) < len(seeds):
        raise HamnerError(f"one seed twice: {', '.join(str(run.folder) for run in group)}; keep one of them")


def _columns(measure: str, spread: Spread) -> dict[str, float]:
    return {
        measure: spread.mean,
        f"{measure}_sd": nan if spread.sd is None else spread.sd,
        f"{measure}_min": spread.min,
        f"{measure}_max": spread.max,
    }
