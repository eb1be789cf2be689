"""`hamner tag` and `hamner calibrate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hamner.errors import HamnerError
from hamner.escape import one_line, shortened
from hamner.files import written_whole
from hamner.models import BUNDLED, OF_IMAGES, OF_TEXT, model_folder
from hamner.terminal import SafeConsole, echo, echo_json, progress_bar

if TYPE_CHECKING:
    from hamner.tagger.evidence import Evidence
    from hamner.tagger.files import GivenPost
    from hamner.tagger.post import TaggedPost
    from hamner.tagger.tagger import Tagger


FIGURE_FORMS = ("png", "svg", "pdf")
"""matplotlib knows more, of which pgf hands the tweet to LaTeX as a program."""


def tag(
    text: Annotated[
        str | None,
        typer.Argument(help="The post's raw text; if it begins with -, last and after --.", show_default=False),
    ] = None,
    *,
    run: Annotated[
        str | None,
        typer.Option(
            help=f"A model that comes along ({', '.join(BUNDLED)}), the folder of a finished run with its weights, or "
            "OWNER/NAME on the Hugging Face hub. [default: tweets]",
            autocompletion=_models,
            show_default=False,
        ),
    ] = None,
    image: Annotated[Path | None, typer.Option(help="The post's image.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Also draw the post into this file: .png, .svg or .pdf.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Tag all posts of a file instead: .csv, .tsv, .jsonl, or - for lines of standard input."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=4096, help="With --file: posts that are read together.")] = 16,
    device: Annotated[str, typer.Option(help="cpu, or a GPU such as cuda.")] = "cpu",
) -> None:
    """Tag the names in a post of your own, with its image or without, or in all posts of a file.

    Without --run, the model `tweets` reads the words. An image needs a run that reads images, such as `minitweets`.

    The score is the probability that exactly these words are an entity of this type. "without image" is the score of
    the same words when the model sees no image. Below the table, each entity is followed by the object or region with
    the most attention, and by the one whose masking lowers the score most. `--json` prints all values.

    A file's posts stand in a column or key `text`; `id` and `image`, a file beside it, may be there too. Each post is
    printed in a line, its entities in brackets; with `--json` it is a line of JSON. Attention and masking are left out.
    """
    if text is None and file is None:
        raise typer.BadParameter("give a TEXT, or a file of posts with --file")
    if text is not None and file is not None:
        raise typer.BadParameter("give a TEXT or --file, not both")
    if file is not None and (image is not None or figure is not None):
        raise typer.BadParameter("--image and --figure are for one TEXT; in a file each post names its own image")
    if figure is not None:
        _require_figure_form(figure)
    if file is not None:
        tag_file(file, run, device, batch_size, as_json)
        return
    model = model_folder(run or OF_TEXT)  # a mistyped name is an error before torch is loaded
    from hamner.tagger.tagger import Tagger  # here, because torch takes seconds to load

    assert text is not None
    post = Tagger.from_pretrained(model, device)(text, image)
    if image is not None and run is None:
        _say_which_model_reads_images()
    if as_json:
        echo_json(post.to_dict())
    else:
        print_post(post, SafeConsole())
    if figure is not None:
        save_figure(post, figure)


def _models(begun: str) -> list[str]:
    """The models that come along and begin so, for the shell to complete."""
    return [name for name in BUNDLED if name.startswith(begun)]


def _say_which_model_reads_images() -> None:
    echo(
        f"note: {OF_TEXT} reads words alone, and the image changed nothing; of the models that come along "
        f"{OF_IMAGES} reads images: hamner tag TEXT --image FILE --run {OF_IMAGES}",
        error=True,
    )


def tag_file(file: Path, run: str | None, device: str, batch_size: int, as_json: bool) -> None:
    """Tag the posts of a file and print each in a line, in the file's order.

    Posts with an empty text are left out and named, and so are columns and keys that are not read. Posts before one at
    fault are printed.
    """
    model = model_folder(run or OF_TEXT)  # a mistyped name is an error before torch is loaded
    from hamner.tagger.files import given_posts
    from hamner.tagger.tagger import Tagger

    posts = given_posts(file)
    tagger = Tagger.from_pretrained(model, device)
    ids, empty, notes, unread = set[str](), list[str](), Counter[str](), dict[str, None]()
    number, fault, images = 0, None, False
    with progress_bar(counts="posts tagged", unit="post") as bar:
        while fault is None:
            some, fault, last = _next_posts(posts, batch_size, ids)
            unread |= dict.fromkeys(name for given in some for name in given.unread)
            empty += [given.where for given in some if not given.text.strip()]
            images = images or any(given.image is not None for given in some)
            some = [given for given in some if given.text.strip()]
            tagged, wrong = _tagged(tagger, some, batch_size)
            fault = wrong or fault
            for given, post in zip(some, tagged, strict=False):
                number += 1
                notes.update(post.notes)
                if as_json:
                    echo_json({"id": given.id or None, "number": number} | post.to_dict(), indent=None)
                else:
                    relevance = "" if post.relevance is None else f"  (relevance {post.relevance:.2f})"
                    echo(one_line(f"{given.id or f'({number})'}  {in_brackets(post)}{relevance}"))
            bar.update(len(tagged))
            if last:
                break
    for note, count in notes.items():
        echo(f"note on {count} of {number} posts: {one_line(note)}", error=True)
    if images and run is None:
        _say_which_model_reads_images()
    if unread:
        echo(shortened(f"not read: {one_line(', '.join(unread))}"), error=True)
    if empty:
        echo(f"left out for want of a text: {one_line(', '.join(empty[:5]))} ({len(empty)} in all)", error=True)
    if fault is not None:
        raise fault
    if not number:
        raise HamnerError(f"{file}: no posts")


def _next_posts(
    posts: Iterator[GivenPost], count: int, ids: set[str]
) -> tuple[list[GivenPost], HamnerError | None, bool]:
    """The next posts, the fault that ends them, and whether they are the last; `ids` are those before them."""
    some: list[GivenPost] = []
    try:
        for given in islice(posts, count):
            if given.id and given.id in ids:
                return (
                    some,
                    HamnerError(f"{given.where}: the id {given.id} is there twice; give each post its own"),
                    True,
                )
            ids.add(given.id)
            some.append(given)
    except HamnerError as error:
        return some, error, True
    return some, None, len(some) < count


def _tagged(tagger: Tagger, some: list[GivenPost], batch_size: int) -> tuple[list[TaggedPost], HamnerError | None]:
    """The posts of one batch, tagged up to the first one at fault, and its error, which names it."""
    options: dict[str, Any] = {"evidence": False, "batch_size": batch_size}
    try:
        names = [given.where for given in some]
        return tagger.many(
            [given.text for given in some], [given.image for given in some], names=names, **options
        ), None
    except HamnerError:
        tagged: list[TaggedPost] = []
        for given in some:
            try:
                tagged += tagger.many([given.text], [given.image], names=[given.where], **options)
            except HamnerError as error:
                return tagged, error
        return tagged, None


def in_brackets(post: TaggedPost) -> str:
    """The text with each entity in brackets, its type and its score behind it: `[Kelso PER 0.93] runs`."""
    parts, begin = [], 0
    for entity in post.entities:
        parts += [post.text[begin : entity.start], f"[{entity.text} {entity.type} {entity.score:.2f}]"]
        begin = entity.end
    return "".join([*parts, post.text[begin:]])


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
    if post.relevance is not None:
        shares = ", ".join(f"{grain} {share:.2f}" for grain, share in (post.integration or {}).items())
        of_grains = f"; of its grains: {shares}" if shares else ""
        console.print(f"relevance of the image {post.relevance:.2f}{of_grains}", soft_wrap=True)
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
    from hamner.corpora.options import say
    from hamner.tagger.calibration import calibrate as calibrate_run
    from hamner.training import Run
    from hamner.training.own_corpus import corpus_of_run
    from hamner.training.runs import CALIBRATION

    trained = Run.load(run)
    source = corpus_of_run(trained, corpus, root)
    say(source.notes)
    temperature = calibrate_run(trained, source, device)
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
