"""`hamner measure`, `hamner lesion` and `hamner tables`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hamner.corpora.options import ColumnsOption, conversions_said, loaded
from hamner.errors import HamnerError
from hamner.escape import one_line
from hamner.terminal import echo

if TYPE_CHECKING:
    from hamner.corpora import Corpus


def measure(
    root: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="Read the corpora from DIR/NAME.")] = None,
    relatedness: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also compare relevance with the scores in DIR/tmr-NAME.tsv.")
    ] = None,
) -> None:
    """Measure what needs the real corpora, and write the numbers into data/measured.

    Counts the corpora's posts, and compares each run under data/runs with text only, with images of other posts, and
    with the full model: differences with 95 % intervals and tests. The tables hold numbers only, no words of the
    tweets. Exit status 1 if a run is left out, because its record or its predictions cannot be read.
    """
    from hamner.study.measured import write_measured  # loads torch

    with left_out() as reasons:
        for path in write_measured(root, relatedness):
            echo(f"{path} written")
    report(reasons)


def lesion(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of runs, with their weights.")],
    *,
    captions: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="The run's captions, where they lie elsewhere now; repeatable."),
    ] = None,
    root: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="Read the corpus from DIR/NAME.")] = None,
) -> None:
    """Replace each part of trained runs at test time, and print what that costs.

    An ablation (`hamner ablate`) trains without a part and asks whether it is necessary; a lesion asks whether the
    trained model uses it. Points of F1 and, for minitweets, of type accuracy by cue, mean over the runs of a row. The
    results are kept in RUN/lesions.json. The command may run in several processes: no run is tested twice.
    """
    from hamner.corpora.options import say
    from hamner.study.lesions import lesion_run, lesion_table, readable  # loads torch
    from hamner.training import Run
    from hamner.training.own_corpus import corpus_of_run
    from hamner.training.runs import RunInUseError

    loaded: dict[str, Corpus] = {}
    tested = []
    for run in [Run.load(folder) for folder in dict.fromkeys(runs)]:
        name = run.record["corpus"]["name"]
        if name not in loaded:
            loaded[name] = corpus_of_run(run, root=root)
            say(loaded[name].notes)
        try:
            lesion_run(run, loaded[name], captions=captions or ())
            tested.append(run)
        except RunInUseError as error:
            if len(runs) == 1:
                raise
            echo(f"skipped: {error}")
    if not tested:
        raise HamnerError("all these runs are in use by other processes: try again later")
    echo(readable(lesion_table(tested)))


def import_predictions(
    name: Annotated[str, typer.Argument(help="What the system is called in the tables.")],
    file: Annotated[
        Path, typer.Argument(help="JSON lines with id and tags, or CoNLL columns, the predicted tag last.")
    ],
    *,
    corpus: Annotated[str, typer.Option(help="Name or folder of the corpus whose test was tagged.")],
    seed: Annotated[int, typer.Option(min=0, help="Number of this run of the system.")] = 1,
    root: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="Read the corpus from DIR/CORPUS.")] = None,
    columns: ColumnsOption = None,
) -> None:
    """Score another system's predictions on test, and keep them beside the runs: `hamner tables` shows them.

    On minitweets the table `comparison` then says cue by cue what the system sees.
    """
    from hamner.study.outside import import_predictions as import_them  # loads torch

    with conversions_said():
        imported = import_them(name, file, loaded(corpus, root, columns), seed)
    for protocol, scores in imported.scores.items():
        echo(f"{protocol:>9}: F1 {100 * scores['overall']['f1']:.2f}")
    echo(f"{imported.folder} written; `hamner tables` puts it into the tables")


def tables() -> None:
    """Build the tables under data/tables from the run records under data/runs.

    A run whose record or predictions cannot be read is left out and named. Exit status 1 if one is, or if a table
    cannot be written.
    """
    from hamner.study.ablation_tables import minitweets_runs  # loads torch

    written, errors = write_all_tables()
    for path in written:
        echo(f"{path} written")
    with left_out():  # named by write_all_tables already
        others = minitweets_runs()[1]
    for run in others:
        echo(f"{run.folder} is not in minitweets.md: its settings or its data are not the study's")
    report(errors)


def write_all_tables() -> tuple[list[Path], list[str]]:
    """Write each table that can be written; returns the files, and one reason for each run or table left out."""
    from hamner.study import ablation_tables, build_up, comparison, lesions, outside, published, tables

    written: list[Path] = []
    with left_out() as reasons:
        for write in (
            tables.write_tables,
            ablation_tables.write_minitweets,
            comparison.write_comparison,
            build_up.write_build_up,
            lesions.write_lesions,
            published.write_published,
            outside.write_outside,
        ):
            try:
                written += write()
            except HamnerError as error:
                reasons.append(str(error))
    return written, list(dict.fromkeys(reasons))


@contextmanager
def left_out() -> Iterator[list[str]]:
    """Collect the reason of each LeftOutWarning in the block; the list is complete when the block has ended."""
    from hamner.study.tables import LeftOutWarning  # loads torch

    reasons: list[str] = []
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", LeftOutWarning)
            yield reasons
    finally:
        for warning in caught:
            if issubclass(warning.category, LeftOutWarning):
                reasons.append(str(warning.message))
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def report(reasons: list[str]) -> None:
    """Raise HamnerError with the reason, if there are any; several are printed before it, each once, one a line."""
    once = list(dict.fromkeys(reasons))
    if len(once) > 1:
        for reason in once:
            echo(one_line(reason), error=True)
        raise HamnerError(f"{len(once)} runs or tables are left out of the tables: see the lines above")
    if once:
        raise HamnerError(once[0])
