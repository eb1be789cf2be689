"""Write the corpus: texts, images, and their known answers."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from hamner.corpora.post import Post
from hamner.corpora.reader import write_posts
from hamner.errors import HamnerError
from hamner.files import written_whole
from hamner.minitweets import SEED
from hamner.minitweets.ceilings import ceilings
from hamner.minitweets.posts import IMAGES, Plan, Written, plan
from hamner.minitweets.scenes import Scene, render
from hamner.terminal import echo, progress_bar

COLOURS = 18
"""Colours of an image's palette: few, for small files, without a visible loss."""


def build(folder: Path, seed: int = SEED, scale: int = 1) -> None:
    """Write the whole corpus to `folder`, which must be missing or empty but for README.md.

    Train has `scale` times the images; valid and test stay as they are. The same arguments give the same files. Raises
    HamnerError when the folder holds other files or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and any(entry.name != "README.md" for entry in folder.iterdir()):
        raise HamnerError(f"{folder} is not empty; name an empty folder, or remove its files")
    started = time.perf_counter()
    plans = plan(seed, scaled(scale))
    write_texts(folder, plans)
    images = [image for part in plans for image in part.images]
    for image in progress_bar(images, counts="images", unit="image"):
        with written_whole(folder / "images" / _file(image.id)) as temporary:
            draw_image(image, seed).save(temporary, "WEBP", lossless=True, method=4)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    posts = sum(len(part.posts) for part in plans)
    echo(f"{posts} posts, {len(images)} images, {size / 1e6:.1f} MB in {time.perf_counter() - started:.0f} s")


def scaled(scale: int) -> dict[str, dict[str, int]]:
    """Numbers of images, `scale` times as many for train."""
    return IMAGES | {"train": {kind: scale * number for kind, number in IMAGES["train"].items()}}


def draw_image(scene: Scene, seed: int = SEED) -> Image.Image:
    """Draw an image in COLOURS colours; the result depends on the image's id and the seed alone."""
    return few_colours(exact_image(scene, seed))


def exact_image(scene: Scene, seed: int = SEED) -> Image.Image:
    """Draw an image in all its colours; the result depends on the image's id and the seed alone."""
    return render(scene, random.Random(f"{scene.id} {seed}"))


def few_colours(image: Image.Image) -> Image.Image:
    """The image in COLOURS colours, chosen from all of its own."""
    return image.quantize(COLOURS, kmeans=1, dither=Image.Dither.NONE).convert("RGB")


def _file(image: str) -> str:
    """File name of an image: lossless WebP, which is smaller than PNG."""
    return f"{image}.webp"


def write_texts(folder: Path, plans: list[Plan]) -> None:
    """Write everything but the images: texts, images.tsv, annotations, answers, contents of the images, ceilings."""
    for part in plans:
        write_posts((Post(post.id, post.words, post.tags()) for post in part.posts), folder / f"{part.split}.txt")
    posts = [post for part in plans for post in part.posts]
    images = [(part.split, image) for part in plans for image in part.images]
    _write(folder / "images.tsv", (f"{post.id}\t{_file(post.image)}" for post in posts))
    _write(folder / "annotations.jsonl", (_line(_annotation(image)) for _, image in images))
    _write(folder / "answers.jsonl", (_line(_answer(post)) for post in posts))
    _write(
        folder / "contents.jsonl",
        (_line(_contents(image, split)) for split, image in images),
    )
    _write(folder / "ceilings.json", [json.dumps(ceilings(plans), indent=1)])


def _write(file: Path, lines: Iterable[str]) -> None:
    with written_whole(file) as temporary:
        temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def _annotation(image: Scene) -> dict[str, Any]:
    objects = [{"box": placed.box, "class": placed.carrier, "score": placed.score} for placed in image.objects]
    return {"image": _file(image.id), "objects": objects}


def _answer(post: Written) -> dict[str, Any]:
    return {
        "id": post.id,
        "cue": post.cue,
        "side": post.side,
        "topic": post.topic,
        "relevant": post.relevant,
        "template": post.template,
        "mentions": [mention._asdict() for mention in post.mentions],
    }


def _contents(image: Scene, split: str) -> dict[str, Any]:
    return {
        "image": _file(image.id),
        "split": split,
        "kind": image.kind,
        "direction": image.direction,
        "topic": image.topic,
        "whole": image.whole and [image.whole.type, image.whole.concept.key, image.whole.treatment],
        "ringed": next((i for i, placed in enumerate(image.objects) if placed.ringed), None),
        "types": [placed.type for placed in image.objects],
        "icons": [placed.concept.key for placed in image.objects],
        "treatments": [placed.treatment for placed in image.objects],
    }
