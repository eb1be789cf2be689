"""How long the first answer takes, as ratios in one run: `python benchmarks/first_answer.py [--run FOLDER]
[--rounds 5] [--skip-batch]`.

Each thing is measured beside its bound, in turns, and the medians are divided:

    hamner --help                  a bare process that imports typer                                       at most 4
    a mistyped corpus              answers before torch, transformers, accelerate or matplotlib is loaded
    hamner tag TEXT                a bare process that loads the same text encoder and runs one forward    at most 1.2
    a post in a batch of 64        the bare encoders' forwards on the same posts (and their images)        at most 1.3

Times are CPU seconds (of the process and its children), which a busy machine changes little. `--run` is the folder of a
run that has its weights: with one that reads images, the fourth line is measured with images too.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

HELP, TAG, BATCH = 4.0, 1.2, 1.3
"""The bounds."""

HEAVY = ("torch", "transformers", "accelerate", "matplotlib", "torchvision", "scipy")
TEXT = "Kelso meets Orva Berg in Port Elm tonight"

BARE = """
import sys, torch
from transformers import AutoModel, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
encoder = AutoModel.from_pretrained(sys.argv[1]).eval()
with torch.inference_mode():
    encoder(**tokenizer(sys.argv[2], return_tensors="pt"))
"""

MISTYPED = f"""
import sys
sys.argv = ["hamner", "train", "twiter2017"]
from hamner.cli import main
try:
    main()
except SystemExit as ended:
    assert ended.code == 1, ended.code
print(*(name for name in {HEAVY!r} if name in sys.modules))
"""


def main(
    run: Annotated[Path | None, typer.Option(help="A run's folder, with its weights.")] = None,
    image: Annotated[Path | None, typer.Option(help="An image, for a run that reads images.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns; the median counts.")] = 5,
) -> None:
    """Time the first answers."""
    report("hamner --help", "import typer", HELP, *in_turns(rounds, hamner("--help"), python("-c", "import typer")))
    loaded = subprocess.run([sys.executable, "-c", MISTYPED], capture_output=True, text=True, check=True)
    print(f"a mistyped corpus: {loaded.stderr.strip()} [loaded before: {loaded.stdout.strip() or 'nothing heavy'}]")
    if run is None:
        return
    from hamner.encoders import encoder_folder
    from hamner.training import Run

    encoder = str(encoder_folder(Run.load(run).config.model.text_encoder))
    tag = hamner("tag", TEXT, "--run", str(run))
    report("hamner tag TEXT", "the bare encoder", TAG, *in_turns(rounds, tag, python("-c", BARE, encoder, TEXT)))
    report("64 posts, no image", "the bare encoder", BATCH, *in_turns(rounds, *batch(run, None)))
    if image is not None:
        report("64 posts, an image", "the bare encoders", BATCH, *in_turns(rounds, *batch(run, image)))


def hamner(*arguments: str) -> Callable[[], float]:
    return python("-m", "hamner", *arguments)


def python(*arguments: str) -> Callable[[], float]:
    """CPU seconds of a Python process with these arguments."""

    def measure() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return measure


def batch(run: Path, image: Path | None) -> Sequence[Callable[[], float]]:
    """The tagger on 64 posts, and the forwards of its encoders alone on the same ones."""
    import torch

    from hamner.corpora import load_corpus
    from hamner.images import open_image
    from hamner.tagger import Tagger
    from hamner.vision.extractor import ImageExtractor
    from hamner.vision.objects import crop

    tagger = Tagger.from_pretrained(run)
    texts = [" ".join(post.words) for post in load_corpus("minitweets").test[:64]]
    images = None if image is None else [image] * len(texts)
    pieces = tagger.tokenizer(texts, padding=True, return_tensors="pt")
    encoder = tagger.model.text.encoder
    tagger.many(texts[:2], None if images is None else images[:2], evidence=False)  # loads what is loaded once
    seen = None
    if image is not None:
        extractor = tagger._extractor
        assert isinstance(extractor, ImageExtractor)
        opened, transform = open_image(image), extractor.backbone.transform
        boxes = extractor.finder.find(image, opened).boxes.tolist()
        crops = [transform(crop(opened, box), extractor.crop_size) for box in boxes]
        seen = extractor.backbone, transform(opened)[None], torch.stack(crops) if crops else None, extractor.grid_side

    def tagged() -> float:
        begun = time.process_time()
        tagger.many(texts, images, evidence=False, batch_size=64)
        return time.process_time() - begun

    @torch.inference_mode()
    def bare() -> float:
        begun = time.process_time()
        encoder(input_ids=pieces["input_ids"], attention_mask=pieces["attention_mask"])
        if seen is not None:
            backbone, whole, crops, side = seen
            for _ in texts:
                backbone.grid(whole, side)
                if crops is not None:
                    backbone.pooled(crops)
        return time.process_time() - begun

    return tagged, bare


def in_turns(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each, measured in turns."""
    times = [[measure() for measure in measures] for _ in range(rounds)]
    return [statistics.median(of_one) for of_one in zip(*times, strict=True)]


def report(what: str, beside: str, bound: float, seconds: float, bare: float) -> None:
    """Print one line: the ratio, and whether it is within its bound."""
    ratio = seconds / bare
    verdict = "" if ratio <= bound else "  TOO SLOW"
    print(f"{what:>20}: {seconds:6.2f} s, {beside}: {bare:6.2f} s, ratio {ratio:.2f}, at most {bound:g}{verdict}")


if __name__ == "__main__":
    typer.run(main)
