"""The command `hamner`. Exit status: 0 done, 1 data, settings or machine are at fault, 2 a mistyped command."""

from __future__ import annotations

import errno
import os
import sys

import typer

from hamner.corpora.commands import app as corpora
from hamner.errors import HamnerError
from hamner.evaluation.commands import evaluate
from hamner.minitweets.commands import build
from hamner.reproduction.commands import figures, reproduce, students
from hamner.study.commands import measure, tables
from hamner.tagger.commands import calibrate, tag
from hamner.training.commands import ablate, retest, sweep, train
from hamner.vision.commands import features

app = typer.Typer(
    name="hamner",
    help="Find names in tweets from their words and their images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
corpora.command()(build)
app.add_typer(corpora, name="corpora")
app.command()(evaluate)
app.command()(features)
app.command()(train)
app.command()(ablate)
app.command()(retest)
app.command()(sweep)
app.command()(tag)
app.command()(calibrate)
app.command()(tables)
app.command()(figures)
app.command()(reproduce)
app.command()(students)
app.command()(measure)


def main() -> None:
    """Run the command; a HamnerError becomes one line on standard error."""
    try:
        app()
    except HamnerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            print(f"error: the output cannot be written ({error.strerror})", file=sys.stderr)
        elif not isinstance(error, BrokenPipeError):
            raise
        # Or the reader of our output has gone (`| head`). Nothing is left to say, not even while Python closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
