"""The command `hamner`. Exit status: 0 done; 1 a fault in data, settings or machine; 2 a mistyped command."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException
from typer.rich_utils import rich_format_error

from hamner.corpora.commands import app as corpora
from hamner.errors import HamnerError
from hamner.escape import one_line, shortened
from hamner.minitweets.commands import build
from hamner.reproduction.commands import badges, book, figures, reproduce, slides, students
from hamner.study.commands import import_predictions, lesion, measure, tables
from hamner.tagger.commands import calibrate, tag
from hamner.terminal import echo, survive_any_encoding
from hamner.training.commands import ablate, retest, sweep, train
from hamner.training.evaluate import evaluate
from hamner.vision.commands import features, ocr

app = typer.Typer(
    name="hamner",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
corpora.command()(build)
app.add_typer(corpora, name="corpora")
app.command()(evaluate)
app.command()(features)
app.command()(ocr)
app.command()(train)
app.command()(ablate)
app.command()(retest)
app.command()(sweep)
app.command()(lesion)
app.command("import-predictions")(import_predictions)
app.command()(tag)
app.command()(calibrate)
app.command()(tables)
app.command()(figures)
app.command()(reproduce)
app.command()(students)
app.command()(book)
app.command()(slides)
app.command()(badges)
app.command()(measure)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        echo(f"hamner {version('hamner')}")
        raise typer.Exit()


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Find names in tweets from their words and their images."""


def main() -> None:
    """Run the command; a HamnerError becomes one line on standard error."""
    survive_any_encoding()
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except TyperException as error:
        _explain(error)
        sys.exit(2)
    except HamnerError as error:
        echo(f"error: {error}", error=True)
        sys.exit(1)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            echo(f"error: the output cannot be written ({error.strerror})", error=True)
        elif not isinstance(error, BrokenPipeError):
            raise
        # A reader such as `| head` has closed our output: nothing is left to say, not even while Python closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _explain(error: TyperException) -> None:
    """Print typer's own account of a mistyped command, its quotations made safe."""
    command = getattr(getattr(error, "ctx", None), "command", None)
    message = shortened(one_line(str(error.message)))
    if getattr(command, "name", None) == "tag" and message.startswith("No such option"):
        message += ". A text that begins with - stands last, after --: hamner tag --run RUN -- TEXT"
    error.message = message
    rich_format_error(error)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
