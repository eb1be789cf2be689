"""What more images in minitweets gain: type accuracy by cue of the full model, trained on a share of train's images.

    python benchmarks/learning_curve.py          # shares of the bundled corpus
    python benchmarks/learning_curve.py DIR      # of a larger one: hamner corpora build minitweets --scale 4 --to DIR

Each share is drawn separately for each kind of image; a share's posts are the posts of its images. The test split
stays whole, and is the same in a larger corpus. Runs lie in data/models, so that a stopped command continues where it
was.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from dataclasses import replace
from pathlib import Path

from hamner.corpora import Corpus, load_corpus, project_folder
from hamner.evaluation import read_predictions
from hamner.reproduction.model import trained_model
from hamner.study.minitweets import answers_of, type_accuracy
from hamner.training import train
from hamner.training.rows import study_config
from hamner.vision.store import FEATURES

SHARES = (0.25, 0.5, 1.0)


def main() -> None:
    whole = load_corpus(Path(sys.argv[1]) if len(sys.argv) > 1 else "minitweets")
    for share in SHARES:
        part = share_of_images(whole, share)
        folder = project_folder() / "data" / "models" / f"{whole.name}-share{share:g}"
        if share == 1 and len(sys.argv) == 1:
            run = trained_model()  # the notebooks train the same run
        else:
            run = train(part, study_config("minitweets", "full"), folder, features=project_folder() / FEATURES)
        accuracy = type_accuracy(answers_of(whole), read_predictions(run.predictions, whole.test))
        images = len({post.image for post in part.train})
        by_cue = ", ".join(f"{cue} {value:.3f}" for cue, value in accuracy.items())
        print(f"{images} images, {len(part.train)} posts: {by_cue}")


def share_of_images(corpus: Corpus, share: float) -> Corpus:
    """Keep a share of train's images of each kind, and the posts of these images."""
    lines = (corpus.folder / "contents.jsonl").read_text(encoding="utf-8").splitlines()
    kinds: dict[str, list[str]] = {}
    for image in map(json.loads, lines):
        if image["split"] == "train":
            kinds.setdefault(image["kind"], []).append(image["image"])
    rng = random.Random(0)
    kept = {name for names in kinds.values() for name in rng.sample(names, round(share * len(names)))}
    train_posts = tuple(post for post in corpus.train if post.image is not None and post.image.name in kept)
    # A hash of the sample, so that runs on other samples of the same files are other runs.
    sample = hashlib.sha256("\n".join(post.id for post in train_posts).encode()).hexdigest()
    name = f"{corpus.name}-share{share:g}"
    return replace(corpus, name=name, train=train_posts, sha256=corpus.sha256 | {"train posts": sample})


if __name__ == "__main__":
    main()
