"""The command `hamner evaluate`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from hamner.corpora.options import ColumnsOption, conversions_said, loaded, say
from hamner.corpora.post import Corpus, Post
from hamner.corpora.registry import VERSIONS
from hamner.corpora.tags import PROTOCOLS
from hamner.errors import HamnerError
from hamner.escape import one_line
from hamner.terminal import SafeConsole, echo_json

if TYPE_CHECKING:
    from hamner.evaluation.scoring import Tags


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="A run's folder; or JSON lines with id and tags (.jsonl or .jsonl.gz), or CoNLL columns, tag last."
        ),
    ],
    other: Annotated[Path | None, typer.Argument(help="A second run or file; both are compared.")] = None,
    *,
    corpus: Annotated[
        str | None,
        typer.Option(
            help="Name or folder of the corpus; for other labels of the same posts, their known name. "
            "[default: that of the run]",
            show_default=False,
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="Read the corpus from DIR/CORPUS.")] = None,
    columns: ColumnsOption = None,
    split: Annotated[Literal["train", "valid", "test"], typer.Option(help="The split that was tagged.")] = "test",
    protocol: Annotated[
        Literal["seqeval", "strict", "repaired", "all"], typer.Option(help="How an I- without its B- is read.")
    ] = "seqeval",
    resamples: Annotated[int, typer.Option(min=1, max=1_000_000, help="Bootstrap resamples.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Score a run or a predictions file: overall, per type, seen and unseen, with a bootstrap interval over posts.

    Reads hamner's predictions.jsonl and the CoNLL files of other systems: columns with the word first and the
    predicted tag last, posts in the corpus's order or under IMGID lines; tags in BIOES, BILOU or IOB1 are converted to
    BIO. `--columns` is about the corpus's own files; a run remembers its corpus's. With OTHER, a paired bootstrap test
    compares the two.
    """
    from hamner.evaluation import align, read_predictions  # loads numpy

    source = _corpus_of(predictions, corpus, root, columns)
    if other is not None and other.is_dir():
        _require_same_corpus(other, predictions, source)
    predictions, other = _file_of(predictions, split), None if other is None else _file_of(other, split)
    posts = source[split]
    with conversions_said():
        gold, predicted = align(posts, read_predictions(predictions, posts, _types_of(predictions, source)))
        other_tags = None
        if other is not None:
            other_tags = align(posts, read_predictions(other, posts, _types_of(other, source)))[1]
    result: dict[str, Any] = {
        "corpus": source.name,
        "sha256": source.sha256,
        "split": split,
        "posts": len(posts),
        "predictions": str(predictions),
        "other": None if other is None else str(other),
        "protocols": {
            name: assess(posts, source.train, gold, predicted, other_tags, name, resamples=resamples, seed=seed)
            for name in (PROTOCOLS if protocol == "all" else (protocol,))
        },
    }
    if as_json:
        echo_json(result)
    else:
        print_tables(result, SafeConsole())


def _corpus_of(predictions: Path, corpus: str | None, root: Path | None, columns: str | None) -> Corpus:
    """The corpus that is named; else that of the run. Raises HamnerError for a file whose corpus nobody names."""
    if not predictions.is_dir():
        if not os.path.lexists(predictions):
            raise HamnerError(f"{predictions}: no such file or folder; give a run's folder, or a predictions file")
        if corpus is None:
            raise typer.BadParameter("a file does not say which corpus it tags: name it with --corpus")
        return loaded(corpus, root, columns)
    from hamner.training.own_corpus import corpus_of_run  # loads torch
    from hamner.training.runs import Run

    run = Run.load(predictions)
    if corpus is not None and corpus in VERSIONS and corpus != run.record["corpus"]["name"]:
        return loaded(corpus, root, columns)  # `align` refuses the predictions unless they are of its posts
    source = corpus_of_run(run, corpus, root, columns)
    say(source.notes)
    return source


def _require_same_corpus(folder: Path, predictions: Path, corpus: Corpus) -> None:
    """Raise HamnerError for a run that was trained on other posts than the run `predictions`, or than `corpus`."""
    from hamner.training.runs import Run  # loads torch

    recorded = Run.load(folder).record["corpus"]
    trained_on = {"name": corpus.name, "sha256": corpus.sha256}
    if predictions.is_dir():
        trained_on = Run.load(predictions).record["corpus"]
    if recorded["sha256"] != trained_on["sha256"]:
        raise HamnerError(
            f"{folder} was trained on {recorded['name']!r}, and not on these posts of {trained_on['name']!r}: "
            "runs of one corpus can be compared"
        )


def _types_of(file: Path, corpus: Corpus) -> tuple[str, ...]:
    """The types that predictions can have: the corpus's, and for a run's retest those of the run, which can be more."""
    folder = file.absolute().parent
    if not (folder.parent / "run.json").is_file():
        return corpus.every_type
    from hamner.training.runs import RETESTS, Run  # loads torch

    if folder.name != RETESTS:
        return corpus.every_type
    return tuple(dict.fromkeys((*corpus.every_type, *Run.load(folder.parent).types)))


def _file_of(predictions: Path, split: str) -> Path:
    """The file with the predictions of a run, which are of test; a file is its own."""
    if not predictions.is_dir():
        return predictions
    from hamner.training.runs import Run  # loads torch

    if split != "test":
        raise HamnerError(f"{predictions} keeps its predictions on test alone: leave --split {split} out")
    return Run.load(predictions).predictions


def assess(
    posts: Sequence[Post],
    training: Sequence[Post],
    gold: Sequence[Tags],
    predicted: Sequence[Tags],
    other: Sequence[Tags] | None,
    protocol: str,
    *,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """The result of `hamner evaluate` under one protocol, as plain dicts and numbers (fractions from 0 to 1)."""
    from hamner.evaluation import bootstrap_interval, clusters_of, paired_bootstrap, score, training_mentions

    mentions = training_mentions(training)
    scored = score(gold, predicted, protocol, posts=posts, mentions=mentions).to_dict()
    drawn: dict[str, Any] = {"resamples": resamples, "seed": seed, "clusters": clusters_of(posts)}
    scored["interval"] = bootstrap_interval(gold, predicted, protocol, **drawn).to_dict()
    scored["interval"]["drawn"] = len(set(drawn["clusters"]))
    if other is not None:
        scored["other"] = score(gold, other, protocol, posts=posts, mentions=mentions).to_dict()
        test = paired_bootstrap(gold, predicted, other, protocol, **drawn)
        scored["paired"] = test.to_dict()
    return scored


def print_tables(result: dict[str, Any], console: Console) -> None:
    """Print the result of `evaluate`, one table for each protocol; precision, recall and F1 in percent."""
    for protocol, scored in result["protocols"].items():
        table = Table(title=f"{result['corpus']} {result['split']}, {result['posts']} posts, protocol {protocol}")
        table.add_column("entities")
        for heading in ("P", "R", "F1", "correct", "predicted", "gold"):
            table.add_column(heading, justify="right")
        sections = (
            {"overall": scored["overall"]},
            scored["per_type"],
            {"seen in training": scored["seen"], "unseen": scored["unseen"]},
        )
        for section in sections:
            for name, prf in section.items():
                fractions = (f"{100 * prf[key]:.2f}" for key in ("precision", "recall", "f1"))
                table.add_row(name, *fractions, *(str(prf[key]) for key in ("correct", "predicted", "gold")))
            table.add_section()
        console.print(table)
        interval = scored["interval"]
        console.print(
            f"F1 {_percent(interval['estimate'])}, {interval['level']:.0%} interval {_range(interval)} "
            f"({interval['resamples']} bootstrap resamples of {_drawn(interval['drawn'], result['posts'])})",
            soft_wrap=True,
        )
        if "paired" in scored:
            paired = scored["paired"]
            console.print(
                f"F1 of {one_line(result['other'])}: {_percent(scored['other']['overall']['f1'])}; "
                f"difference {100 * paired['difference']:+.2f}, {paired['level']:.0%} interval {_range(paired)}, "
                f"p = {paired['p_value']:.4f} (paired bootstrap, two-sided)",
                soft_wrap=True,
            )


def _drawn(clusters: int, posts: int) -> str:
    if clusters == posts:
        return f"{posts} posts"
    return f"{clusters} groups of posts that share an image"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _range(interval: dict[str, float]) -> str:
    return f"{_percent(interval['low'])} to {_percent(interval['high'])}"
