"""Tables of results, built from run records. No number in them is typed by hand.

A damaged record never stops a table: `runs` leaves it out and warns (LeftOutWarning).
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd

from hamner.corpora import PROTOCOLS, TYPES, Post, project_folder
from hamner.errors import HamnerError
from hamner.escape import markdown, one_line
from hamner.evaluation import Spread, over_seeds, read_predictions
from hamner.files import written_whole
from hamner.training import Run
from hamner.training.identity import difference
from hamner.training.retest import retests
from hamner.training.rows import row_of_run
from hamner.training.runs import EARLIER_VERSION, encoder_name
from hamner.vision.features import VisualSource

EARLIER, MARK = "earlier", "†"
"""What stands in the column `version`, and behind a row's name, for runs of the version before this one."""

MEASURES = ("precision", "recall", "f1")


class LeftOutWarning(UserWarning):
    """A run is left out of a table; the message names it and the reason."""


def leave_out(reason: HamnerError | str) -> None:
    """Warn that a run is left out of what the caller makes."""
    warnings.warn(one_line(str(reason)), LeftOutWarning, stacklevel=3)


def runs(folder: Path | None = None) -> list[Run]:
    """Load all finished runs under `folder` (by default data/runs of the project), in the order of their names.

    A folder without run.json holds no finished run. A damaged run is left out, with a LeftOutWarning.
    """
    folder = folder or project_folder() / "data" / "runs"
    complete = []
    for run_folder in sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ():
        try:
            if (run_folder / "run.json").exists():
                run = Run.load(run_folder)
                encoder_name(run.config)  # an error now, for settings that this version does not know
                complete.append(run)
        except HamnerError as error:
            leave_out(error)
        except OSError as error:
            leave_out(f"{run_folder} cannot be read ({error.strerror or error}); let this user read it")
    return complete


def runs_of(corpus: str) -> list[Run]:
    """Load the finished runs of one corpus under data/runs, in the order of their folders' names."""
    return [run for run in runs() if run.record["corpus"]["name"] == corpus]


def without_mixtures(records: Sequence[Run]) -> list[Run]:
    """Leave out runs of one name that differ in more than their seed, or share a seed, with a LeftOutWarning."""
    mixed: set[Path] = set()
    for group in by_name(records):
        try:
            require_seeds_alone(group)
        except HamnerError as error:
            name = ", ".join(filter(None, name_of(group[0]).values()))
            leave_out(f"{error}. Until then all {len(group)} runs of {name} are left out")
            mixed |= {run.folder for run in group}
    return [run for run in records if run.folder not in mixed]


def with_predictions(records: Sequence[Run], tests: Mapping[str, Sequence[Post]]) -> list[Run]:
    """Leave out runs whose predictions, or those of their retests, cannot be read, with a LeftOutWarning.

    `tests` maps a corpus to the posts of its test split; retests on other corpora are not read.
    """
    readable = []
    for run in records:
        files = [(run.record["corpus"]["name"], run.predictions)]
        files += [(retest.corpus, retest.file) for retest in retests(run)]
        try:
            for corpus, file in files:
                if corpus in tests:
                    read_predictions(file, tests[corpus], run.types)
        except HamnerError as error:
            leave_out(error)
        else:
            readable.append(run)
    return readable


def results(records: Sequence[Run], split: str = "test") -> pd.DataFrame:
    """Precision, recall and F1 over seeds: a line for each corpus, encoder, row, source and protocol.

    A column holds the mean over seeds, as a fraction: `f1` over all entities, `f1_seen` and `f1_unseen`, `f1_PER` and
    so on. Columns that end in `_sd`, `_min` and `_max` hold the spread. Types other than the four of `TYPES` stand in
    brackets, `f1_[person]`, so that a type called `seen` has a column of its own; a line without the type has NaN.

    Raises:
        HamnerError: runs of one name differ in more than their seed, or share a seed.
    """
    lines: list[dict[str, Any]] = []
    for group in by_name(records):
        require_seeds_alone(group)
        name = name_of(group[0])
        types = _types_of(group)
        for protocol in PROTOCOLS:
            scores = [run.record["scores"][split][protocol] for run in group]
            line = name | {"protocol": protocol, "seeds": len(group)}
            for measure in MEASURES:
                line |= _columns(measure, over_seeds([score["overall"][measure] for score in scores]))
            parts = {part: [score[part] for score in scores] for part in ("seen", "unseen")}
            parts |= {_column_of(type): [score["per_type"][type] for score in scores] for type in types}
            for part, of_part in parts.items():
                for measure in MEASURES:
                    line |= _columns(f"{measure}_{part}", over_seeds([score[measure] for score in of_part]))
            line["version"] = EARLIER if group[0].is_of_earlier_version else ""
            line["minutes"] = over_seeds([run.record["seconds"] / 60 for run in group]).mean
            lines.append(line)
    table = pd.DataFrame(lines)
    key = ["corpus", "encoder", "row", "source", "protocol"]
    return table.sort_values(key, ignore_index=True) if lines else table


def _types_of(group: Sequence[Run]) -> list[str]:
    """The types that all runs of a group have scores of: those that their model knows, then those of test alone."""
    of_runs = [run.record["scores"]["test"][protocol]["per_type"] for run in group for protocol in PROTOCOLS]
    known = group[0].types
    return [*known, *sorted(set.intersection(*map(set, of_runs)) - set(known))]


def _column_of(type: str) -> str:
    return type if type in TYPES else f"[{type}]"


def name_of(run: Run) -> dict[str, str]:
    """Name a run without its seed, as tables do: corpus, encoder, row, and visual source ("" for text only)."""
    appended = run.config.appended
    source = run.config.visual or (VisualSource.from_captions(*appended) if appended else None)
    return {
        "corpus": run.record["corpus"]["name"],
        "encoder": encoder_name(run.config),
        "row": row_of_run(run.config),
        "source": "" if source is None else source.label,
    }


def by_name(records: Sequence[Run]) -> list[list[Run]]:
    """Group runs by their name (`name_of`), in the order of each name's first run."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in records:
        groups.setdefault(tuple(name_of(run).values()), []).append(run)
    return list(groups.values())


def by_row(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Group runs of one corpus by their ablation row.

    Raises:
        HamnerError: runs of one row differ in more than their seed, or share a seed.
    """
    rows: dict[str, list[Run]] = {}
    for run in runs:
        rows.setdefault(row_of_run(run.config), []).append(run)
    for group in rows.values():
        require_seeds_alone(group)
    return rows


def results_markdown(table: pd.DataFrame) -> str:
    """Write `results` in Markdown: percent, mean ± standard deviation over seeds."""
    header = ["precision", "recall", "F1", "F1 range", "F1 seen", "F1 unseen"]
    rows = []
    for line in table.to_dict("records"):
        cells = [_percent(line, measure) for measure in MEASURES]
        cells.append(f"{100 * line['f1_min']:.2f} to {100 * line['f1_max']:.2f}")
        rows.append([*_named(line), line["protocol"], str(line["seeds"]), *cells])
        rows[-1] += [_percent(line, f"f1_{part}") for part in ("seen", "unseen")]
    return markdown_table(["corpus", "encoder", "row", "source", "protocol"], ["seeds", *header], rows)


def per_type_markdown(table: pd.DataFrame) -> str:
    """Write the scores of each type in Markdown (seqeval protocol): percent, mean ± standard deviation over seeds."""
    own = [name[len("f1_[") : -1] for name in map(str, table) if name.startswith("f1_[") and name.endswith("]")]
    rows = [
        [*_named(line), type, str(line["seeds"]), *(_percent(line, f"{m}_{_column_of(type)}") for m in MEASURES)]
        for line in table.to_dict("records")
        if line["protocol"] == "seqeval"
        for type in (*TYPES, *own)
        if not pd.isna(line.get(f"f1_{_column_of(type)}"))
    ]
    return markdown_table(["corpus", "encoder", "row", "source", "type"], ["seeds", "precision", "recall", "F1"], rows)


def _named(line: dict[Hashable, Any]) -> list[str]:
    """Corpus, encoder, row and source; the row has a MARK where its runs are of the earlier version."""
    mark = f" {MARK}" if line["version"] == EARLIER else ""
    return [line["corpus"], line["encoder"], f"{line['row']}{mark}", line["source"]]


def _percent(line: dict[Hashable, Any], measure: str) -> str:
    sd = line[f"{measure}_sd"]
    return f"{100 * line[measure]:.2f}" + ("" if pd.isna(sd) else f" ± {100 * sd:.2f}")


def markdown_table(names: Sequence[str], numbers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown: columns of `names`, aligned left, then columns of `numbers`, aligned right.

    Cells are escaped: a name from a run's record adds no column, line or link.
    """
    ruler = ["---"] * len(names) + ["---:"] * len(numbers)
    header, *body = ([*map(markdown, cells)] for cells in ([*names, *numbers], *rows))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, ruler, *body))


def write_files(files: Mapping[str, pd.DataFrame | str], folder: Path | None = None, decimals: int = 6) -> list[Path]:
    """Write tables as CSV, and pages of Markdown as they are, into data/tables or `folder`; returns their paths.

    `files` maps a file's name to what goes into it; each file is written whole or not at all. Fractions are rounded to
    `decimals`.
    """
    folder = folder or project_folder() / "data" / "tables"
    for name, content in files.items():
        with written_whole(folder / name) as temporary:
            if isinstance(content, str):
                temporary.write_text(content, encoding="utf-8")
            else:
                content.to_csv(temporary, index=False, lineterminator="\n", float_format=f"%.{decimals}f")
    return [folder / name for name in files]


def write_tables(folder: Path | None = None) -> list[Path]:
    """Write results.csv, results.md and results_per_type.md into data/tables, or into `folder`, from data/runs."""
    table = results(without_mixtures(runs()))
    note = (
        "Test scores of the runs under `data/runs`, in percent: mean ± standard deviation over seeds{}. "
        "Written by `hamner tables`; do not edit.\n\n"
    )
    if len(table) and (table.version == EARLIER).any():
        note += (
            f"{MARK} By the version before this one, in which stages 2 and 3 had other forms; commit {EARLIER_VERSION} "
            "makes these runs again.\n\n"
        )
    files: dict[str, pd.DataFrame | str] = {
        "results.csv": table,
        "results.md": note.format("") + results_markdown(table),
        "results_per_type.md": note.format(", by type (seqeval protocol)") + per_type_markdown(table),
    }
    return write_files(files, folder)


def require_seeds_alone(group: Sequence[Run]) -> None:
    """Raise HamnerError unless these runs of one name differ in their seed and in nothing else."""
    for run in group[1:]:
        if run.is_of_earlier_version != group[0].is_of_earlier_version:
            raise HamnerError(
                f"{group[0].folder} and {run.folder} are of two versions: move the earlier one out of data/runs"
            )
        if unlike := difference(group[0].record, run.record, ("seed",)):
            raise HamnerError(
                f"{group[0].folder} and {run.folder} differ in more than their seed ({unlike.key}): move the run "
                "with the other settings or data out of data/runs"
            )
    seeds = [run.config.seed for run in group]
    if len(set(seeds)) < len(seeds):
        raise HamnerError(f"one seed twice: {', '.join(str(run.folder) for run in group)}; keep one of these runs")


def _columns(measure: str, spread: Spread) -> dict[str, float]:
    return {
        measure: spread.mean,
        f"{measure}_sd": nan if spread.sd is None else spread.sd,
        f"{measure}_min": spread.min,
        f"{measure}_max": spread.max,
    }
