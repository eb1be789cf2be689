"""The command `hamner`. Exit status: 0 done, 1 data, settings or machine are at fault, 2 a mistyped command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hamner.corpora.commands import app as corpora
from hamner.errors import HamnerError
from hamner.evaluation.commands import evaluate
from hamner.minitweets.commands import build
from hamner.study.commands import measure, reproduce, tables
from hamner.tagger.commands import tag
from hamner.vision.commands import features

app = typer.Typer(
    name="hamner",
    help="Find names in tweets from their words and their pictures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
corpora.command()(build)
app.add_typer(corpora, name="corpora")
app.command()(evaluate)
app.command()(features)
app.command()(tag)
app.command()(tables)
app.command()(reproduce)
app.command()(measure)


@app.command()
def train(
    corpus: Annotated[str, typer.Argument(help="A known corpus (`hamner corpora list`) or a folder of one's own.")],
    text_encoder: Annotated[str, typer.Option(help="minilm, or a Hugging Face encoder's name or folder.")] = "minilm",
    seed: Annotated[int, typer.Option(help="Fixes initial weights, batch order and dropout.")] = 1,
    epochs: Annotated[int | None, typer.Option(help="Passes over train; the best one on valid is kept.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Any other setting, e.g. `--set encoder_lr=3e-5`; repeatable."
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="The run's folder. [default: data/runs/CORPUS-text_only-ENCODER-seedN]")
    ] = None,
    root: Annotated[Path | None, typer.Option("--from", help="Read the corpus from DIR/CORPUS.")] = None,
) -> None:
    """Train a tagger, keep its best epoch on valid, score test once.

    The run's folder holds run.json (settings, data hashes, versions, scores), predictions.jsonl and the weights. The
    same command again does nothing if the run is finished, and goes on where it stopped if it was cut off. Under
    `accelerate launch -m hamner train ...` it uses several devices.
    """
    # Imported here, for torch takes seconds to load and `hamner --help` should not wait for it.
    from accelerate import PartialState

    from hamner.corpora import load_corpus
    from hamner.training import TrainConfig
    from hamner.training import train as train_run

    values: dict[str, Any] = {"seed": seed, "model": {"text_encoder": text_encoder}}
    if epochs is not None:
        values["epochs"] = epochs
    for assignment in settings or []:
        _assign(values, assignment)
    finished = train_run(load_corpus(corpus, root), TrainConfig.from_dict(values), run)
    if not PartialState().is_main_process:
        return
    typer.echo(f"{finished.folder}: best epoch {finished.record['best_epoch']}")
    for split in ("valid", "test"):
        overall = finished.record["scores"][split]["seqeval"]["overall"]
        typer.echo(
            f"{split:>6}: precision {100 * overall['precision']:.2f}, recall {100 * overall['recall']:.2f}, "
            f"F1 {100 * overall['f1']:.2f} (seqeval protocol)"
        )


def _assign(values: dict[str, Any], assignment: str) -> None:
    """Put NAME=VALUE, where a dot in NAME reaches into a part, into nested `values`."""
    name, equals, value = assignment.partition("=")
    if not equals:
        raise typer.BadParameter(f"{assignment!r} is not of the form NAME=VALUE", param_hint="--set")
    *path, last = name.split(".")
    for part in path:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise typer.BadParameter(f"the setting {part!r} has no parts", param_hint="--set")
    try:
        values[last] = json.loads(value)
    except ValueError:
        values[last] = value  # a plain word, such as `mix`


def main() -> None:
    """Run the command; a HamnerError becomes one line on standard error."""
    try:
        app()
    except HamnerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing is left to say, not even while Python closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
