"""The course's slides: their text, with each number read from data/tables and each figure with its alt text.

A slide names a number by what it is, as in `{{ f1("minitweets", "full") }}`; no result is typed into a slide.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, TemplateError, TemplateSyntaxError

from hamner.drawing.captions import read_captions
from hamner.errors import HamnerError, nearest
from hamner.files import read_text, written_whole
from hamner.minitweets import CUES

CUT = ":::{revealjs-section}\n:data-state: cut\n:::"
"""Marks a slide that the 45 minutes version leaves out."""

CORPORA = ("minitweets", "twitter2015", "twitter2017")


def assemble_slides(root: Path, folder: Path) -> list[Path]:
    """Write the lectures with their numbers and figures into `folder`, for Sphinx.

    Args:
        root: the project: docs/slides, figures and data/tables.
        folder: emptied first.

    Returns:
        The lectures that were written.

    Raises:
        HamnerError: a lecture asks for a number, figure or function that does not exist; names file and line.
    """
    shutil.rmtree(folder, ignore_errors=True)
    functions = slide_functions(root)
    lectures = []
    for source in sorted((root / "docs" / "slides").glob("lecture*.md")):
        lecture = folder / source.name
        with written_whole(lecture) as temporary:
            temporary.write_text(filled_in(source, functions), encoding="utf-8")
        lectures.append(lecture)
    shutil.copytree(root / "figures", folder / "figures", ignore=shutil.ignore_patterns("*.md", "*.csv", "*.svg"))
    return lectures


def filled_in(source: Path, functions: Mapping[str, Callable[..., str] | str]) -> str:
    """The text of a lecture with each `{{ ... }}` replaced. Raises HamnerError naming file, line and remedy."""
    lines = []
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    for number, line in enumerate(read_text(source).split("\n"), start=1):
        if "{{" not in line:
            lines.append(line)
            continue
        try:
            lines.append(environment.from_string(line).render(functions))
        except (HamnerError, TemplateError, TemplateSyntaxError, TypeError) as error:
            raise HamnerError(f"{source}, line {number}: {error}") from error
    return "\n".join(lines)


def slide_functions(root: Path) -> dict[str, Callable[..., str] | str]:
    """What a slide can ask for: `cut`, and functions of the names of figures, corpora, rows, cues and lesions."""
    captions = read_captions(root / "figures" / "captions.csv")

    @cache
    def table(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(read_text(root / name).splitlines()))

    def one(name: str, **wanted: str) -> dict[str, str]:
        """The line of a table with these values."""
        found = [line for line in table(name) if all(line[key] == value for key, value in wanted.items())]
        if len(found) != 1:
            asked = ", ".join(f"{key} {value}" for key, value in wanted.items())
            raise HamnerError(f"{name} has {len(found)} lines with {asked}; name one that `hamner tables` writes")
        return found[0]

    def figure(name: str, *, height: int | None = None, style: str | None = None) -> str:
        if name not in captions:
            raise HamnerError(f"no figure is called {name}{nearest(name, captions)}")
        options = {"alt": captions[name].alt, "height": f"{height}px" if height else None, "class": style}
        lines = [f":{option}: {value}" for option, value in options.items() if value]
        return "\n".join([f"```{{image}} figures/{name}.png", *lines, "```"])

    def top_row(name: str) -> str:
        return figure(name, style="top-row")

    def f1(corpus: str, row: str) -> str:
        line = one("data/tables/results.csv", corpus=corpus, row=row, protocol="seqeval", encoder="minilm")
        spread = f" ± {100 * float(line['f1_sd']):.1f}" if line["f1_sd"] else ""
        return f"{100 * float(line['f1']):.1f}{spread} ({line['seeds']})"

    def f1_table(*rows: str) -> str:
        cells = [[corpus, *(f1(corpus, row) for row in rows)] for corpus in CORPORA]
        return _markdown(["corpus", *(f"`{row}` (seeds)" for row in rows)], cells)

    def ceiling(row: str, cue: str) -> str:
        return f"{100 * float(one('data/tables/minitweets.csv', row=row, cue=cue)['expected']):.0f}"

    def accuracy(row: str, cue: str) -> str:
        mean = one("data/tables/minitweets.csv", row=row, cue=cue)["mean"]
        return f"{100 * float(mean):.0f}" if mean else "–"

    def cue_table(*rows: str) -> str:
        cells = [
            [
                f"`{row}`",
                *(f"*{ceiling(row, cue)}* / **{accuracy(row, cue)}**" for cue in CUES),
                one("data/tables/minitweets.csv", row=row, cue=CUES[0])["seeds"],
            ]
            for row in rows
        ]
        return _markdown(["", *CUES, "seeds"], cells)

    def most_hurt(*lesions: str) -> str:
        cells = []
        for lesion in lesions:
            of_full = [line for line in table("data/tables/lesions.csv") if line["row"] == "full"]
            lines = [line for line in of_full if line["lesion"] == lesion]
            of_cue = {line["measure"]: float(line["change"]) for line in lines if line["measure"] in CUES}
            if not of_cue:
                raise HamnerError(f"data/tables/lesions.csv has no lesion {lesion} of the row full")
            worst = min(of_cue, key=lambda cue: of_cue[cue])
            cells.append([f"`{lesion}`", f"`{worst}`", f"{of_cue[worst]:+.0f} points".replace("-", "−")])
        return _markdown(["lesion", "costs most on", "change of type accuracy"], cells)

    def corpora_table() -> str:
        cells = []
        for corpus in CORPORA[1:]:
            statistics = table("hamner/published/statistics.csv")
            of = {line["quantity"]: line for line in statistics if line["corpus"] == corpus}
            counts = " / ".join(f"{int(of['posts'][split]):,}" for split in ("train", "valid", "test"))
            cells.append([corpus, counts, f"{sum(int(of['entities'][part]) for part in ('train', 'valid', 'test')):,}"])
        return _markdown(["corpus (published counts)", "posts: train / valid / test", "entities"], cells)

    return {
        "cut": CUT,
        "figure": figure,
        "top_row": top_row,
        "f1": f1,
        "f1_table": f1_table,
        "ceiling": ceiling,
        "accuracy": accuracy,
        "cue_table": cue_table,
        "most_hurt": most_hurt,
        "corpora_table": corpora_table,
    }


def _markdown(header: list[str], cells: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
