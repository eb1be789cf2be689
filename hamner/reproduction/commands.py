"""`hamner reproduce`, `hamner students`, `hamner figures`, `hamner book`, `hamner badges`
and `hamner slides`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hamner.corpora import project_folder
from hamner.errors import HamnerError
from hamner.files import written_whole
from hamner.reproduction.numbering import in_full, number_of
from hamner.study.commands import write_all_tables
from hamner.terminal import echo

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from hamner.training import Run


def reproduce(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NN", help="Only this notebook, e.g. 05, 03b or b1; repeatable."),
    ] = None,
) -> None:
    """Execute the notebooks, write figures/ and the tables again, and compare all with the committed files.

    Trains the model that notebooks show, unless data/models/minitweets-full holds it: delete that folder to train anew.
    Notebooks are executed meanwhile, with the model that comes along; those that show it once more if it comes out with
    other weights. Needs the bundled corpus and the committed run records, no network. Exit status 1 if a cell fails or
    a run has to be left out of the tables; the notebook of a failing cell keeps its file.
    """
    notebooks = _notebooks()
    sources = _sources(only)
    figures = _contents(project_folder() / "figures")
    results = _contents(project_folder() / "data" / "tables")
    states: dict[str, str] = {}
    committed = {source: notebooks.committed(notebooks.executed_path(source)) for source in sources}
    if not only:
        _draw_contact_sheets()

    def write(source: Path, executed: NotebookNode) -> None:
        states[source.stem] = notebooks.compare(executed, committed[source])
        notebooks.write(executed, notebooks.executed_path(source))

    failures = _execute(sources, write)
    model = _trained_model(sources)
    states |= {name: f"FAILED: {error}" for name, error in failures.items()}

    _, errors = write_all_tables()
    if model is not None:
        echo("\nModel trained on minitweets")
        for line in import_module("hamner.reproduction.model").compare_with_record(model):
            echo(f"  {line}")
    echo("\nNotebooks")
    for source in sources:
        echo(f"  {source.stem}: {states[source.stem]}")
    echo("Figures")
    for line in _changes(figures, _contents(project_folder() / "figures")):
        echo(f"  {line}")
    echo("Tables")
    for line in _changes(results, _contents(project_folder() / "data" / "tables")):
        echo(f"  {line}")
    for error in errors:
        echo(f"  FAILED: {error}")
    if failures or errors:
        raise typer.Exit(1)


def students(
    folder: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Write them to DIR. [default: notebooks/students, by format]"),
    ] = None,
    form: Annotated[
        Literal["plain", "nbgrader", "otter"],
        typer.Option("--format", help="For a class alone, or for the tool that will grade it."),
    ] = "plain",
) -> None:
    """Write a copy of the notebooks for a class: without outputs and solutions; the cells that check answers stay.

    For nbgrader, DIR is a course: go there for `nbgrader generate_assignment hamner --create`. For Otter-Grader, DIR
    holds what `otter assign NOTEBOOK FOLDER` reads. Both tools are installed apart from hamner.
    """
    notebooks = _notebooks()
    copies = import_module("hamner.reproduction.students")
    default = notebooks.notebooks_folder() / "students"
    folder = folder or (default if form == "plain" else default / form)
    if folder.resolve() == notebooks.notebooks_folder().resolve():
        raise HamnerError(f"{folder} holds the executed notebooks, which would be overwritten: name another with --to")
    make, inner = copies.FORMATS[form]
    for source in notebooks.notebook_sources():
        notebooks.write(make(source), folder / inner / f"{source.stem}.ipynb")
    if form == "nbgrader":
        with written_whole(folder / "nbgrader_config.py", HamnerError) as temporary:
            temporary.write_text(copies.NBGRADER_CONFIG, encoding="utf-8")
    echo(f"{folder} is ready")


def figures(
    svg: Annotated[
        bool, typer.Option("--svg", help="Draw every figure of the notebooks as SVG; this executes the notebooks.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NN", help="With --svg: only this notebook; repeatable.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="With --svg: write them to DIR. [default: figures]")
    ] = None,
) -> None:
    """Draw the contact sheets of minitweets into figures/: six posts of each cue with their images and answers.

    With --svg, draw the figures of the notebooks as SVG instead; the notebooks' files stay as they are. Each figure is
    committed as PNG, which `hamner reproduce --only NN` draws again: see figures/README.md.
    """
    if not svg:
        if only or folder:
            raise HamnerError(f"{'--only' if only else '--to'} needs --svg: contact sheets are PNG, in figures/")
        for path in _draw_contact_sheets():
            echo(f"{path} written")
        return
    from hamner.drawing.style import SVG_FOLDER  # loads matplotlib

    folder = (folder or project_folder() / "figures").absolute()
    sources = _sources(only)
    failures = _execute(sources, lambda source, executed: None, {SVG_FOLDER: str(folder)})
    echo(f"the figures of {len(sources) - len(failures)} notebooks are in {folder}")
    if failures:
        raise HamnerError("; ".join(map(str, failures.values())))


REPOSITORY = typer.Option(
    "--repository",
    metavar="URL",
    help="Address of the repository on GitHub, for the buttons. [default: where this checkout was cloned from]",
)


def book(
    folder: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Write the site to DIR. [default: build/book/html]")
    ] = None,
    repository: Annotated[str | None, REPOSITORY] = None,
    branch: Annotated[str, typer.Option("--branch", help="Branch that the buttons open.")] = "main",
) -> None:
    """Build the site: the executed notebooks, docs/ and the course as static pages, with the slides in slides/.

    Nothing is executed, and the pages need no network. Needs the extra `site`: `make book` installs it.
    """
    from hamner.reproduction import site

    root = project_folder()
    work = root / "build" / "book"
    folder = (folder or work / "html").absolute()
    where = site.repository_of(root, repository, branch)
    site.assemble(root, work / "source", where)
    site.build(root / "docs" / "book", work / "source", folder, "html", site.buttons(where))
    site.copy_mathjax(folder / "_static" / "mathjax")
    _decks(root, work / "slides", folder / "slides")
    if where is None:
        echo("no buttons for Binder and Colab: name your repository with --repository https://github.com/OWNER/NAME")
    echo(f"open {folder / 'index.html'}")


def badges(
    repository: Annotated[str | None, REPOSITORY] = None,
    branch: Annotated[str, typer.Option("--branch", help="Branch that the badges open.")] = "main",
) -> None:
    """Write badges into README.md that open your repository's notebooks in Binder and Colab."""
    from hamner.reproduction import site

    where = site.repository_of(project_folder(), repository, branch)
    if where is None:
        raise HamnerError("this checkout was cloned from no address on GitHub or GitLab: name yours with --repository")
    readme = project_folder() / "README.md"
    site.badges(readme, where)
    echo(f"{readme}: badges of {where.url}")


def slides(
    folder: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Write the lectures to DIR. [default: build/slides/html]")
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also print each lecture to PDF; needs a Chromium.")] = False,
) -> None:
    """Build the lectures as reveal.js pages. Their numbers come from data/tables, their figures from figures/.

    Needs the extra `site`: `make slides` installs it.
    """
    root = project_folder()
    folder = (folder or root / "build" / "slides" / "html").absolute()
    lectures = _decks(root, root / "build" / "slides" / "work", folder)
    echo(f"{', '.join(str(lecture) for lecture in lectures)} written")
    if pdf:
        from hamner.reproduction.printing import print_slides

        for file in print_slides(lectures):
            echo(f"{file} written")


def _decks(root: Path, work: Path, folder: Path) -> list[Path]:
    """Build the lectures into `folder`; returns their pages."""
    from hamner.reproduction import course, site

    lectures = course.assemble_slides(root, work / "source")
    site.build(root / "docs" / "slides", work / "source", folder, "revealjs")
    site.copy_mathjax(folder / "_static" / "mathjax")
    return [folder / f"{lecture.stem}.html" for lecture in lectures]


def _sources(only: Sequence[str] | None) -> list[Path]:
    """The sources of the notebooks with these numbers (5 is 05, 3b is 03b, b1 is of the build track), or of all.

    Raises HamnerError for a number without notebook.
    """
    sources = _notebooks().notebook_sources()
    wanted = {in_full(number) for number in only or []}
    numbers = [number_of(source) for source in sources]
    if unknown := sorted(wanted.difference(numbers)):
        raise HamnerError(f"no notebook has the number {' or '.join(unknown)}; there are {', '.join(numbers)}")
    return [source for source, number in zip(sources, numbers, strict=True) if not wanted or number in wanted]


def _shows_model(source: Path) -> bool:
    """Whether a notebook shows the model that is trained for it."""
    from hamner.reproduction import model  # loads torch

    return f'"{model.MODEL}"' in source.read_text(encoding="utf-8")


def _trained_model(sources: Sequence[Path]) -> Run | None:
    """The model that these notebooks show, trained now where it is not yet; None if they show none."""
    from hamner.reproduction import model

    return model.trained_model() if any(map(_shows_model, sources)) else None


def _execute(
    sources: Sequence[Path],
    keep: Callable[[Path, NotebookNode], None],
    environment: Mapping[str, str] | None = None,
) -> dict[str, HamnerError]:
    """Execute notebooks, and `keep` each one that succeeds; returns the errors of the others.

    Two processes of one thread are at work at a time. One of them trains the model that notebooks show, where it is
    not trained yet; meanwhile they show the bundled one. Where it comes out with other weights, they are executed once
    more, and show those.
    """
    import asyncio

    from hamner.reproduction import model  # loads torch

    notebooks = _notebooks()
    showing = [source for source in sources if _shows_model(source)]
    trains = bool(showing) and not model.is_trained()
    if showing and not trains:
        model.trained_model()  # another run in its folder is an error now, and not after the last notebook
    failures: dict[str, HamnerError] = {}

    async def all_of_them(sources: Sequence[Path], trains: bool) -> None:
        free = asyncio.Semaphore(2)

        async def train() -> None:
            async with free:
                await model.train_apart()

        async def one_after_another(chain: Sequence[Path]) -> None:
            for source in chain:
                async with free:
                    started = time.monotonic()
                    try:
                        keep(source, await notebooks.executed(source, environment))
                        failures.pop(source.stem, None)
                    except notebooks.NotebookError as error:
                        failures[source.stem] = error
                    failed = " FAILED" if source.stem in failures else ""
                    echo(f"{source.stem} ... {time.monotonic() - started:.0f} s{failed}")

        built = [source for source in sources if number_of(source).startswith("b")]  # they read one another
        chains = [built, *([source] for source in sources if source not in built)]  # the longest chain first
        await asyncio.gather(*([train()] if trains else []), *map(one_after_another, chains))

    asyncio.run(all_of_them(sources, trains))
    if trains and not model.is_bundled(model.trained_model()):
        echo("the model came out with other weights than the bundled one: once more, with these")
        asyncio.run(all_of_them(showing, trains=False))
    return failures


def _draw_contact_sheets() -> list[Path]:
    from hamner.minitweets import CUES
    from hamner.minitweets.contact_sheet import write_contact_sheets  # loads matplotlib

    return write_contact_sheets(project_folder() / "data" / "minitweets", project_folder() / "figures", CUES)


def _notebooks() -> ModuleType:
    """Import `hamner.reproduction.notebooks` when a command needs it: Jupyter loads slowly and is an extra."""
    try:
        return import_module("hamner.reproduction.notebooks")
    except ModuleNotFoundError as error:
        raise HamnerError(f"{error.name} is missing: pip install 'hamner[notebooks]'") from error


def _contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for form in ("png", "csv", "md") for path in folder.glob(f"*.{form}"))
    return {path.name: path.read_bytes() for path in files}


def _changes(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """Say how many files stayed as they were, then name each new and each changed one."""
    changed = [f"{name}: {'differs' if name in before else 'new'}" for name in after if before.get(name) != after[name]]
    return [f"{len(after) - len(changed)} of {len(after)} files as committed", *changed]
