"""The command `hamner corpora build`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer

from hamner.corpora import project_folder
from hamner.errors import HamnerError
from hamner.minitweets import SEED

README = "README.md"


def build(
    name: Annotated[Literal["minitweets"], typer.Argument(help="The one corpus that is generated: minitweets.")],
    seed: Annotated[int, typer.Option(min=0, help="0 gives the corpus that comes with the project.")] = SEED,
    folder: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Write it to DIR. [default: data/minitweets]")
    ] = None,
) -> None:
    """Draw and write minitweets anew: the same seed gives the same files.

    Needs the icons: pip install 'hamner[minitweets]'. What was in the folder is replaced only when all is done.
    """
    # Imported here, for the icons come with the extra `minitweets` alone.
    try:
        from hamner.minitweets.build import build as build_corpus
    except ModuleNotFoundError as error:
        raise HamnerError(f"{error.name} is missing: pip install 'hamner[minitweets]'") from error

    home = project_folder() / "data" / name
    target = (folder or home).absolute()
    if not target.name or (target.exists() and not target.is_dir()):
        raise HamnerError(f"{target} cannot be a corpus: name a folder of its own with --to")
    building, before = (target.with_name(f".{target.name}.{state}") for state in ("building", "before"))
    if target.exists() and not (target / "answers.jsonl").exists() and any(target.iterdir()):
        raise HamnerError(f"{target} holds something else than {name}: name an empty folder with --to")
    try:
        for leftover in (building, before):
            shutil.rmtree(leftover, ignore_errors=True)
        building.mkdir(parents=True)
        if (home / README).exists():
            shutil.copy(home / README, building / README)
        build_corpus(building, seed)
        if target.exists():
            target.rename(before)
        building.rename(target)
        shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        raise HamnerError(f"{target} cannot be written ({error.strerror}); name another folder with --to") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    typer.echo(f"{target} is ready: hamner corpora check {name}")
