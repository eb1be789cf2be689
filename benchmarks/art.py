"""What the images of minitweets reveal: linear probes, trained on train's images and tested on test's.

    python benchmarks/art.py          # prints the table, and writes it to data/measured/art.csv

`crop`: the type of an object from the backbone's features of its crop, the ceiling that the art sets for every cue that
needs the image. The others should be at chance, 0.25: from how an object is drawn and on what, from its colours, and
from the size of the image's file. `topic`: the topic from the mean of the three topic objects, chance 0.2.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hamner.corpora import Corpus, load_corpus, project_folder
from hamner.files import written_whole
from hamner.study.measured import ART
from hamner.vision import FeatureStore, VisualSource
from hamner.vision.objects import ANNOTATIONS, kept, read_annotations


def main() -> None:
    corpus = load_corpus("minitweets")
    store = FeatureStore.open(corpus, VisualSource())
    train, test = (objects(corpus, split, store) for split in ("train", "test"))
    regression = LogisticRegression(C=0.02, max_iter=1000)
    measured: list[tuple[str, str, str, float, int]] = []
    for name, probe in (
        ("crop", regression),
        ("drawing", make_pipeline(OneHotEncoder(), LogisticRegression())),
        ("colours", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))),
        ("file size", make_pipeline(StandardScaler(), LogisticRegression())),
    ):
        known, asked = ([item for item in part if item["type"]] for part in (train, test))
        probe.fit([item[name] for item in known], [item["type"] for item in known])
        right = probe.predict([item[name] for item in asked]) == [item["type"] for item in asked]
        measured.append(("type", name, "all", right.mean(), len(right)))
        if name == "crop":
            for kind in ("single", "marked", "pair", "group"):
                of_kind = right[[item["kind"] == kind for item in asked]]
                measured.append(("type", name, kind, of_kind.mean(), len(of_kind)))
    means = [topic_features(part) for part in (train, test)]
    regression.fit(*means[0])
    measured.append(("topic", "three things", "all", regression.score(*means[1]), len(means[1][1])))
    table = pd.DataFrame(measured, columns=["what", "told_from", "images", "accuracy", "cases"])
    print(table.round(3).to_string(index=False))
    with written_whole(project_folder() / "data" / "measured" / ART) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.4f")


def objects(corpus: Corpus, split: str, store: FeatureStore) -> list[dict[str, Any]]:
    """Collect what the probes see of each object in a split's images; `type` is None for a topic object."""
    drawn = {line["image"]: line for line in lines(corpus.folder / "contents.jsonl")}
    annotated = read_annotations(corpus.folder / ANNOTATIONS)
    seen = []
    for file, id in {post.image: post.id for post in corpus[split] if post.image is not None}.items():
        features, contents = store[id], drawn[file.name]
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
        for row, number in enumerate(kept(annotated[file.name], store.max_objects)):
            item = annotated[file.name][number]
            vector = features.objects[row]
            left, top, right, bottom = (round(share * pixels.shape[0]) for share in item.box)
            crop = pixels[top:bottom, left:right].reshape(-1, 3)
            colours, _ = np.histogramdd(crop, bins=4, range=[(0, 256)] * 3)
            seen.append(
                {
                    "image": file.name,
                    "kind": contents["kind"],
                    "topic": contents["topic"],
                    "type": contents["types"][number],
                    "crop": (vector - vector.mean()) / vector.std(),
                    "drawing": [contents["treatments"][number], item.name],
                    "colours": colours.ravel() / len(crop),
                    "file size": [file.stat().st_size],
                }
            )
    return seen


def topic_features(objects: list[dict[str, Any]]) -> tuple[np.ndarray, list[str]]:
    """Mean features of the topic objects of each image, (images, channels), and the images' topics."""
    images: dict[str, list[dict[str, Any]]] = {}
    for item in objects:
        if item["type"] is None:
            images.setdefault(item["image"], []).append(item)
    means = [np.mean([item["crop"] for item in items], 0) for items in images.values()]
    return np.array(means), [items[0]["topic"] for items in images.values()]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
