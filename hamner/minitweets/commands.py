"""`hamner corpora build`: draw and write minitweets."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from hamner.corpora import project_folder
from hamner.errors import HamnerError
from hamner.files import swap_folders
from hamner.minitweets import SEED
from hamner.terminal import echo

README = "README.md"


def build(
    name: Annotated[Literal["minitweets"], typer.Argument(help="The only corpus that can be built: minitweets.")],
    seed: Annotated[int, typer.Option(min=0, help="0 gives the corpus that comes with the project.")] = SEED,
    scale: Annotated[
        int, typer.Option(min=1, max=16, help="Draw N times the images for train; test stays as it is.", metavar="N")
    ] = 1,
    folder: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Write it to DIR. [default: data/minitweets]")
    ] = None,
) -> None:
    """Draw and write minitweets: the same seed gives the same files.

    Needs the icons: pip install 'hamner[minitweets]'. The folder's old corpus is replaced in one step, by a whole one.
    """
    # Imported here: only the extra `minitweets` installs the icons.
    try:
        from hamner.minitweets.build import build as build_corpus
    except ModuleNotFoundError as error:
        raise HamnerError(f"{error.name} is missing: pip install 'hamner[minitweets]'") from error

    home = project_folder() / "data" / name
    if scale > 1 and folder is None:
        raise HamnerError(f"a corpus of scale {scale} is too large for {home}: name another folder with --to")
    target = (folder or home).absolute()
    if not target.name or (os.path.exists(target) and not os.path.isdir(target)):
        raise HamnerError(f"{target} cannot be a corpus: name a folder of its own with --to")
    try:
        with _only_builder_of(target):
            building, before = (_beside(target, state) for state in ("building", "before"))
            _clear_up(target, building, before)
            if target.exists() and not (target / "answers.jsonl").exists() and any(target.iterdir()):
                raise HamnerError(f"{target} holds other files than {name}: name an empty folder with --to")
            building.mkdir()
            try:
                if (home / README).exists():
                    shutil.copy(home / README, building / README)
                build_corpus(building, seed, scale)
                _replace(target, building, before)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise HamnerError(f"{target} cannot be written ({error.strerror}); name another folder with --to") from error
    echo(f"{target} is ready: hamner corpora check {name}")


def _beside(target: Path, state: str) -> Path:
    return target.with_name(f".{target.name}.{state}")


@contextmanager
def _only_builder_of(target: Path) -> Iterator[None]:
    """Lock `target` for this process; the lock ends with the process. Raises HamnerError when another one holds it."""
    from filelock import FileLock, Timeout

    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_beside(target, "lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise HamnerError(f"another process is building {target}; wait for it, or name another with --to") from error
    try:
        yield
    finally:
        lock.release()


def _clear_up(target: Path, building: Path, before: Path) -> None:
    """Remove what killed builds left. Only where folders cannot be swapped does a kill leave the old corpus aside."""
    if before.exists() and not target.exists():
        before.rename(target)
    for leftover in (building, before):
        shutil.rmtree(leftover, ignore_errors=True)


def _replace(target: Path, building: Path, before: Path) -> None:
    """Put the whole corpus at `building` in the place of `target`; the old corpus, if any, is removed afterwards."""
    if not target.exists():
        building.rename(target)
    elif not swap_folders(building, target):
        target.rename(before)
        building.rename(target)
        shutil.rmtree(before, ignore_errors=True)
