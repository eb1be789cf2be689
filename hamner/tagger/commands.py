"""`hamner tag` and `hamner calibrate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hamner.errors import HamnerError
from hamner.files import written_whole

if TYPE_CHECKING:
    from hamner.tagger.evidence import Evidence
    from hamner.tagger.post import TaggedPost


def tag(
    text: Annotated[str, typer.Argument(help="the post's raw text")],
    run: Annotated[Path, typer.Option(help="folder of a finished run, with its weights")],
    image: Annotated[Path | None, typer.Option(help="the post's image")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
    figure: Annotated[Path | None, typer.Option(help="also draw the post into this file (.png, .svg, .pdf)")] = None,
    device: Annotated[str, typer.Option(help="cpu, or a GPU such as cuda")] = "cpu",
) -> None:
    """Find the names in one post of your own, with its image or without.

    A score is the probability that exactly these words are an entity of this type; "without image" is the score that
    the same words would have had if the model had seen no image. Below the table is what in the image each entity
    rests on: where its words looked most, and what its score loses most by when that is masked. `--json` has all of it.
    """
    from hamner.tagger.tagger import Tagger  # here, for torch takes seconds to load

    post = Tagger.from_pretrained(run, device)(text, image)
    if as_json:
        typer.echo(json.dumps(post.to_dict(), ensure_ascii=False, indent=2))
    else:
        print_post(post, Console())
    if figure is not None:
        save_figure(post, figure)


def print_post(post: TaggedPost, console: Console) -> None:
    """Print a tagged post: its entities as a table, what each rests on, then relevance and notes."""
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
            row = [entity.type, escape(entity.text), f"{entity.score:.2f}"]
            if with_evidence:
                row.append("" if entity.evidence is None else f"{entity.score - entity.evidence.image_drop:.2f}")
            table.add_row(*row, f"{entity.start}-{entity.end}")
        console.print(table)
        for entity in post.entities:
            if entity.evidence is not None:
                console.print(escape(f"{entity.text}: {_in_words(entity.evidence)}"), soft_wrap=True)
    else:
        console.print("no entities")
    if post.relevance is not None and post.integration is not None:
        grains = ", ".join(f"{grain} {share:.2f}" for grain, share in post.integration.items())
        console.print(f"relevance of the image {post.relevance:.2f}; of its grains: {grains}", soft_wrap=True)
    if not post.calibrated:
        console.print("scores are not calibrated: run `hamner calibrate` on the run's folder once", soft_wrap=True)
    for note in post.notes:
        console.print(escape(note), soft_wrap=True)


def _in_words(evidence: Evidence) -> str:
    """Attention and occlusion in a line; objects have the numbers that the figure shows."""
    looked_at, attention = evidence.looked_at
    rests_on, drop = evidence.rests_on
    said = f"looked most at {looked_at}, {attention:.1f} times as much as at an average one; "
    if drop < 0.005:
        return said + "no object or region by itself raises its score"
    return said + f"without {rests_on} its score falls by {drop:.2f}"


def calibrate(
    run: Annotated[Path, typer.Argument(help="folder of a finished run, with its weights")],
    *,
    root: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="Read the corpus from DIR/CORPUS.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or a GPU such as cuda")] = "cpu",
) -> None:
    """Make a run's scores honest: of the entities with score 0.8 about 80 % shall be right.

    Fits one number, a temperature, on the valid split of the run's own corpus and leaves it in RUN/calibration.json;
    `hamner tag` and `Tagger` use it from then on. Which entities are found does not change.
    """
    from hamner.corpora import load_corpus
    from hamner.tagger.calibration import calibrate as calibrate_run
    from hamner.training import Run
    from hamner.training.runs import CALIBRATION

    trained = Run.load(run)
    temperature = calibrate_run(trained, load_corpus(trained.record["corpus"]["name"], root), device)
    typer.echo(f"{trained.folder / CALIBRATION}: temperature {temperature:.2f}")


def save_figure(post: TaggedPost, path: Path) -> None:
    """Draw a tagged post into a file, whole or not at all. Raises HamnerError for an unknown kind of file."""
    drawn = post.show()
    form = path.suffix[1:].lower()
    known = drawn.canvas.get_supported_filetypes()
    if form not in known:
        raise HamnerError(
            f"a figure cannot be written as {path.name!r}: choose an ending of {', '.join(sorted(known))}"
        )
    with written_whole(path) as temporary:
        drawn.savefig(temporary, format=form)
