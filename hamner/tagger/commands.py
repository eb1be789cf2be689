"""`hamner tag` and `hamner calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from hamner.errors import HamnerError
from hamner.escape import one_line
from hamner.files import written_whole
from hamner.terminal import SafeConsole, echo, echo_json

if TYPE_CHECKING:
    from hamner.tagger.evidence import Evidence
    from hamner.tagger.post import TaggedPost


FIGURE_FORMS = ("png", "svg", "pdf")
"""matplotlib knows more, of which pgf hands the tweet to LaTeX as a program."""


def tag(
    text: Annotated[str, typer.Argument(help="The post's raw text; if it begins with -, last and after --.")],
    run: Annotated[Path, typer.Option(help="Folder of a finished run with its weights.")],
    image: Annotated[Path | None, typer.Option(help="The post's image.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Also draw the post into this file: .png, .svg or .pdf.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or a GPU such as cuda.")] = "cpu",
) -> None:
    """Tag the names in one post of your own, with its image or without.

    The score is the probability that exactly these words are an entity of this type. "without image" is the score of
    the same words when the model sees no image. Below the table, each entity is followed by the object or region with
    the most attention, and by the one whose masking lowers the score most. `--json` prints all values.
    """
    if figure is not None:
        _require_figure_form(figure)
    from hamner.tagger.tagger import Tagger  # here, because torch takes seconds to load

    post = Tagger.from_pretrained(run, device)(text, image)
    if as_json:
        echo_json(post.to_dict())
    else:
        print_post(post, SafeConsole())
    if figure is not None:
        save_figure(post, figure)


def print_post(post: TaggedPost, console: Console) -> None:
    """Print a tagged post: a table of its entities, the evidence of each, relevance, notes."""
    if post.entities:
        with_evidence = any(entity.evidence is not None for entity in post.entities)
        table = Table()
        table.add_column("type")
        table.add_column("entity", overflow="fold")
        table.add_column("score", justify="right")
        if with_evidence:
            table.add_column("without image", justify="right")
        table.add_column("characters", justify="right")
        for entity in post.entities:
            row = [entity.type, one_line(entity.text), f"{entity.score:.2f}"]
            if with_evidence:
                row.append("" if entity.evidence is None else f"{entity.score - entity.evidence.image_drop:.2f}")
            table.add_row(*row, f"{entity.start}-{entity.end}")
        console.print(table)
        for entity in post.entities:
            if entity.evidence is not None:
                console.print(one_line(f"{entity.text}: {_in_words(entity.evidence)}"), soft_wrap=True)
    else:
        console.print("no entities")
    if post.relevance is not None and post.integration is not None:
        shares = ", ".join(f"{grain} {share:.2f}" for grain, share in post.integration.items())
        console.print(f"relevance of the image {post.relevance:.2f}; of its grains: {shares}", soft_wrap=True)
    if not post.calibrated:
        console.print("scores are not calibrated: run `hamner calibrate` on the run's folder once", soft_wrap=True)
    for note in post.notes:
        console.print(one_line(note), soft_wrap=True)


def _in_words(evidence: Evidence) -> str:
    """Attention and occlusion in one line; objects are numbered as in the figure."""
    place, attention = evidence.most_attended
    masked, drop = evidence.rests_on
    line = f"looked most at {place}, {attention:.1f} times as much as at an average one; "
    if drop < 0.005:
        return line + "no object or region by itself raises its score"
    return line + f"without {masked} its score falls by {drop:.2f}"


def calibrate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run with its weights.")],
    *,
    corpus: Annotated[
        str | None, typer.Option(help="Name or folder of the run's corpus. [default: the name in the run's record]")
    ] = None,
    root: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="Read the corpus from DIR/CORPUS.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or a GPU such as cuda.")] = "cpu",
) -> None:
    """Calibrate a run's scores: of the entities with score 0.8 about 80 % shall be right.

    Fits one number, a temperature, on the valid split of the run's own corpus and writes it to RUN/calibration.json;
    `hamner tag` and `Tagger` apply it from then on. The tags do not change. Needs at least 50 entities in valid.
    """
    from hamner.tagger.calibration import calibrate as calibrate_run
    from hamner.training import Run
    from hamner.training.own_corpus import corpus_of_run
    from hamner.training.runs import CALIBRATION

    trained = Run.load(run)
    temperature = calibrate_run(trained, corpus_of_run(trained, corpus, root), device)
    echo(f"{trained.folder / CALIBRATION}: temperature {temperature:.2f}")


def save_figure(post: TaggedPost, path: Path) -> None:
    """Draw a tagged post into a file, whole or not at all. Raises HamnerError unless it is a .png, .svg or .pdf."""
    form = _require_figure_form(path)
    from hamner.drawing.style import write_figure  # here, because matplotlib loads slowly

    with written_whole(path) as temporary:
        write_figure(post.show(), temporary, form)


def _require_figure_form(path: Path) -> str:
    form = path.suffix[1:].lower()
    if form not in FIGURE_FORMS:
        raise HamnerError(f"{path}: a figure is a .png, .svg or .pdf: give the file one of these endings")
    return form
