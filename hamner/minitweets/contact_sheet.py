"""Contact sheets: a figure of six posts of one cue, with their images, boxes, answers and tags."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from hamner.corpora.post import Post
from hamner.corpora.reader import read_posts
from hamner.drawing.colours import TYPE_COLOURS
from hamner.drawing.parts import ink
from hamner.files import written_whole


def contact_sheet(folder: Path, cue: str, split: str = "test", seed: int = 0) -> Figure:
    """Draw six posts with names of `cue`, and their images: boxes of answers in their type's colour, names tagged."""
    posts = {post.id: post for post in read_posts(folder / f"{split}.txt")}
    images = dict(line.split("\t") for line in (folder / "images.tsv").read_text(encoding="utf-8").splitlines())
    answers = [
        answer | {"image": images[answer["id"]]}
        for answer in _lines(folder / "answers.jsonl")
        if answer["id"] in posts and cue in [mention["cue"] for mention in answer["mentions"]]
    ]
    boxes = {line["image"]: [item["box"] for item in line["objects"]] for line in _lines(folder / "annotations.jsonl")}
    random.Random(f"{cue} {seed}").shuffle(answers)
    figure, axes = plt.subplots(2, 3, figsize=(10.5, 9.4), layout="constrained")
    for axis, answer in zip(axes.flat, _each_image_once(answers), strict=False):
        with Image.open(folder / "images" / answer["image"]) as image:
            side = image.width
            axis.imshow(image.convert("RGB"))
        _draw_boxes(axis, answer, boxes[answer["image"]], side)
        axis.set(xticks=[], yticks=[], xlim=(0, side), ylim=(side * 1.42, 0))
        axis.set_frame_on(False)
        _write_words(axis, posts[answer["id"]], answer["mentions"], side)
    return figure


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _each_image_once(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({answer["image"]: answer for answer in answers}.values())


def _draw_boxes(axis: Axes, answer: dict[str, Any], boxes: list[list[float]], side: int) -> None:
    types = {i: mention["type"] for mention in answer["mentions"] for i in mention["objects"]}
    names = {i: mention["name"] for mention in answer["mentions"] for i in mention["objects"]}
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        place, width, height = (side * x1, side * y1), side * (x2 - x1), side * (y2 - y1)
        if i not in types:
            axis.add_patch(
                Rectangle(place, width, height, fill=False, edgecolor="#444444", linewidth=0.7, linestyle=":")
            )
            continue
        for colour, line in (("white", 5), (TYPE_COLOURS[types[i]], 2.6)):
            axis.add_patch(Rectangle(place, width, height, fill=False, edgecolor=colour, linewidth=line))
        label = f"{names[i]}: {types[i]}" if len(answer["mentions"]) > 1 else types[i]
        ground = TYPE_COLOURS[types[i]]
        style = {"boxstyle": "square,pad=0.15", "facecolor": ground, "edgecolor": "white"}
        axis.text(
            place[0] + 3, place[1] + 4, label, fontsize=8, color=ink(ground), va="center", fontweight="bold", bbox=style
        )


def _write_words(axis: Axes, post: Post, mentions: list[dict[str, Any]], side: int) -> None:
    """Write the post below its image, each name in its type's colour with its type behind it."""
    marked = {i: mention["type"] for mention in mentions for i in range(mention["start"], mention["end"])}
    last = {mention["end"] - 1: f" [{mention['type']}]" for mention in mentions}
    x, y, line = 0.0, side * 1.06, side * 0.075
    for i, word in enumerate(post.words):
        text = _printable(word) + last.get(i, "")
        width = side * 0.0262 * len(text)
        if x > 0 and x + width > side:
            x, y = 0.0, y + line
        colour, weight = (TYPE_COLOURS[marked[i]], "bold") if i in marked else ("#555555", "normal")
        look: dict[str, Any] = {"fontsize": 9.5, "family": "monospace", "color": colour, "fontweight": weight}
        axis.text(x, y, text, va="center", parse_math=False, **look)
        x += width + side * 0.026


def _printable(word: str) -> str:
    """The word, or a smiley for an emoji, which the figure's font lacks."""
    return word if all(ord(character) < 0x2000 or character == "\u2026" for character in word) else "\u263a"


def write_contact_sheets(folder: Path, figures: Path, cues: tuple[str, ...]) -> list[Path]:
    """Write `minitweets_<cue>.png` for each cue, each whole or not at all, and return the files."""
    written = []
    for cue in cues:
        figure = contact_sheet(folder, cue)
        file = figures / f"minitweets_{cue}.png"
        with written_whole(file) as temporary:
            figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
        plt.close(figure)
        written.append(file)
    return written
