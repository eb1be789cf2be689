"""What more images in minitweets buy: type accuracy by cue of the full model, trained on a share of train's images.

    python benchmarks/learning_curve.py

Each share is drawn kind by kind, and its posts are those on its images; the test split stays whole. A share's run
lies in data/models, so that the command goes on where it was stopped.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace

from hamner.corpora import Corpus, load_corpus, project_folder
from hamner.evaluation import read_predictions
from hamner.reproduction.model import trained_model
from hamner.study.minitweets import mentions_of, type_accuracy
from hamner.training import train
from hamner.training.rows import study_config
from hamner.vision.store import FEATURES

SHARES = (0.25, 0.5, 1.0)


def main() -> None:
    whole = load_corpus("minitweets")
    for share in SHARES:
        part = share_of_images(whole, share)
        folder = project_folder() / "data" / "models" / f"minitweets-share{share:g}"
        if share == 1:
            run = trained_model()  # that of the notebooks: the same run, so that it is not trained twice
        else:
            run = train(part, study_config(whole.name, "full"), folder, features=project_folder() / FEATURES)
        accuracy = type_accuracy(mentions_of(whole), read_predictions(run.predictions, whole.test))
        images = len({post.image for post in part.train})
        by_cue = ", ".join(f"{cue} {value:.3f}" for cue, value in accuracy.items())
        print(f"{images} images, {len(part.train)} posts: {by_cue}")


def share_of_images(corpus: Corpus, share: float) -> Corpus:
    """`corpus` with a share of train's images of each kind, and with the posts on these."""
    lines = (corpus.folder / "contents.jsonl").read_text(encoding="utf-8").splitlines()
    kinds: dict[str, list[str]] = {}
    for image in map(json.loads, lines):
        if image["split"] == "train":
            kinds.setdefault(image["kind"], []).append(image["image"])
    rng = random.Random(0)
    kept = {name for names in kinds.values() for name in rng.sample(names, round(share * len(names)))}
    train_posts = tuple(post for post in corpus.train if post.image is not None and post.image.name in kept)
    # Its own hash: else a run on another sample of the same files would be taken for one on this.
    sample = hashlib.sha256("\n".join(post.id for post in train_posts).encode()).hexdigest()
    name = f"{corpus.name}-share{share:g}"
    return replace(corpus, name=name, train=train_posts, sha256=corpus.sha256 | {"train posts": sample})


if __name__ == "__main__":
    main()
