"""What the images and words of minitweets reveal: linear probes, trained on train and tested on test.

    python benchmarks/art.py    # prints two tables, and writes data/measured/art.csv and learned_ceilings.csv

art.csv. `crop`: the type of an object from the backbone's features of its crop, the ceiling that the art sets for every
cue that needs the image. These should be at chance, 0.25: the type from how an object is drawn and on what, from its
colours, and from the size of the image's file. `topic`: the topic from the mean of the three topic objects, chance 0.2.
`size`: which of two subjects is the smaller, from their crops, chance 0.5. `ring`: the ringed subject's cell, from the
cells of the grid, chance about 0.02.

learned_ceilings.csv. What a learner reaches without one ability (`hamner.minitweets.ceilings`), cue by cue: probes take
the place of the tagger. They are told which object is meant where the missing ability does not hide it, and guess where
it does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hamner.corpora import TYPES, Corpus, load_corpus, project_folder
from hamner.files import written_whole
from hamner.minitweets import CUES
from hamner.minitweets.ceilings import ABILITIES
from hamner.study.measured import ART
from hamner.study.minitweets import LEARNED
from hamner.training import study_config
from hamner.vision import FeatureStore
from hamner.vision.objects import ANNOTATIONS, kept, read_annotations

COLUMNS = ["what", "told_from", "images", "accuracy", "cases"]


class Seen(NamedTuple):
    """What the probes see of one image: its contents, the objects by number, and the grid (cells, channels)."""

    contents: dict[str, Any]
    objects: dict[int, dict[str, Any]]
    grid: np.ndarray

    def subjects(self) -> list[dict[str, Any]]:
        return [item for item in self.objects.values() if item["type"]]

    def topic_objects(self) -> np.ndarray:
        return np.mean([item["crop"] for item in self.objects.values() if not item["type"]], 0)


class Name(NamedTuple):
    """A name of a post: its mention and its post's answer (answers.jsonl), its words, and its image."""

    mention: dict[str, Any]
    answer: dict[str, Any]
    words: str
    image: Seen


def main() -> None:
    corpus = load_corpus("minitweets")
    store = FeatureStore.open(corpus, study_config("minitweets", "full").visual)
    (train, known), (test, asked) = (read(corpus, split, store) for split in ("train", "test"))
    art, crop, topic, size = probe_art(train, test)
    show(pd.DataFrame(art, columns=COLUMNS), ART)
    learner = Learner(train, known, crop, topic, size)
    right = {ability: learner.accuracies(ability, asked) for ability in ABILITIES}
    lines = [(ability, cue, right[ability][cue]) for ability in ABILITIES for cue in CUES]
    show(pd.DataFrame(lines, columns=["ability", "cue", "accuracy"]), LEARNED)


def show(table: pd.DataFrame, name: str) -> None:
    print(table.round(3).to_string(index=False))
    with written_whole(project_folder() / "data" / "measured" / name) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.4f")


def regression() -> LogisticRegression:
    """A probe of standardised features."""
    return LogisticRegression(C=0.02, max_iter=1000)


def read(corpus: Corpus, split: str, store: FeatureStore) -> tuple[list[Seen], list[Name]]:
    """The images of a split, and the names of its posts."""
    drawn = {line["image"]: line for line in lines(corpus.folder / "contents.jsonl")}
    annotated = read_annotations(corpus.folder / ANNOTATIONS)
    answers = {line["id"]: line for line in lines(corpus.folder / "answers.jsonl")}
    seen: dict[str, Seen] = {}
    names = []
    for post in corpus[split]:
        assert post.image is not None
        if post.image.name not in seen:
            features, contents = store[post.id], drawn[post.image.name]
            numbers = kept(annotated[post.image.name], store.max_objects)
            items = {
                number: look(post.image, annotated[post.image.name][number], contents, number, features.objects[row])
                for row, number in enumerate(numbers)
            }
            seen[post.image.name] = Seen(contents, items, standardised(features.grid.astype(np.float32)))
        for mention in answers[post.id]["mentions"]:
            words = [*post.words[: mention["start"]], "xname", *post.words[mention["end"] :]]
            own = [f"own{word}" for word in post.words[mention["start"] : mention["end"]]]
            names.append(Name(mention, answers[post.id], " ".join([*words, *own]), seen[post.image.name]))
    return list(seen.values()), names


def look(file: Path, item: Any, contents: dict[str, Any], number: int, vector: np.ndarray) -> dict[str, Any]:
    """What the probes see of one object; `type` is None for a topic object."""
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    left, top, right, bottom = (round(share * pixels.shape[0]) for share in item.box)
    inside = pixels[top:bottom, left:right].reshape(-1, 3)
    colours, _ = np.histogramdd(inside, bins=4, range=[(0, 256)] * 3)
    return {
        "kind": contents["kind"],
        "type": contents["types"][number],
        "box": item.box,
        "crop": standardised(vector.astype(np.float32)),
        "drawing": [contents["treatments"][number], item.name],
        "colours": colours.ravel() / len(inside),
        "file size": [file.stat().st_size],
    }


def standardised(vectors: np.ndarray) -> np.ndarray:
    """Each vector with mean 0 and variance 1; a constant one, as of an empty cell, becomes 0."""
    return (vectors - vectors.mean(-1, keepdims=True)) / np.sqrt(vectors.var(-1, keepdims=True) + 1e-5)


def probe_art(train: list[Seen], test: list[Seen]) -> tuple[list[tuple[str, str, str, float, int]], Any, Any, Any]:
    """The lines of art.csv, and the probes of an object's type, of the topic, and of the smaller of two subjects."""
    measured: list[tuple[str, str, str, float, int]] = []
    known, asked = ([item for image in part for item in image.subjects()] for part in (train, test))
    for name, probe in (
        ("crop", crop := regression()),
        ("drawing", make_pipeline(OneHotEncoder(), LogisticRegression())),
        ("colours", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))),
        ("file size", make_pipeline(StandardScaler(), LogisticRegression())),
    ):
        probe.fit([item[name] for item in known], [item["type"] for item in known])
        right = probe.predict([item[name] for item in asked]) == [item["type"] for item in asked]
        measured.append(("type", name, "all", right.mean(), len(right)))
        if name == "crop":
            for kind in ("single", "marked", "pair", "group", "level"):
                of_kind = right[[item["kind"] == kind for item in asked]]
                measured.append(("type", name, kind, of_kind.mean(), len(of_kind)))
    topic = regression().fit([image.topic_objects() for image in train], [image.contents["topic"] for image in train])
    of_test = [image.topic_objects() for image in test]
    accuracy = topic.score(of_test, [image.contents["topic"] for image in test])
    measured.append(("topic", "three things", "all", accuracy, len(test)))
    size = regression().fit(*sizes(train))
    measured.append(("size", "two crops", "pair", size.score(*sizes(test)), len(sizes(test)[1])))
    return measured, crop, topic, size


def area(item: dict[str, Any]) -> float:
    left, top, right, bottom = item["box"]
    return float((right - left) * (bottom - top))


def sizes(images: list[Seen]) -> tuple[list[np.ndarray], list[bool]]:
    """Differences of the two crops of pairs that differ in size, in both orders; whether the first is the bigger."""
    differences, bigger = [], []
    for image in images:
        if image.contents["direction"] == "size":
            one, other = sorted(image.subjects(), key=area)
            differences += [one["crop"] - other["crop"], other["crop"] - one["crop"]]
            bigger += [False, True]
    return differences, bigger


def cell_of(item: dict[str, Any], cells: int) -> int:
    """The cell of the grid that holds the centre of the object."""
    side = round(cells**0.5)
    left, top, right, bottom = item["box"]
    return int((top + bottom) / 2 * side) * side + int((left + right) / 2 * side)


class Learner:
    """Probes that answer in the place of a tagger."""

    def __init__(self, train: list[Seen], names: list[Name], crop: Any, topic: Any, size: Any) -> None:
        self.crop, self.topic, self.size = crop, topic, size
        # Single words and strong regularisation: chosen on valid, where word pairs learn the train posts by heart.
        self.text = make_pipeline(
            CountVectorizer(token_pattern=r"\S+", min_df=2), LogisticRegression(C=0.03, max_iter=1000)
        ).fit([name.words for name in names], [name.mention["type"] for name in names])
        self.grids = {  # from the mean of the grid: (cue, side) -> type
            key: regression().fit([of.image.grid.mean(0) for of in some], [of.mention["type"] for of in some])
            for key, some in self._by_question(names)
        }
        self.objects_mean = regression().fit(
            *zip(
                *[(mean_crop(of.image), of.mention["type"]) for of in names if of.mention["cue"] == "odd"], strict=True
            )
        )
        marked = [image for image in train if image.contents["kind"] == "marked"]
        ringed = [cell_of(image.objects[image.contents["ringed"]], len(image.grid)) for image in marked]
        self.ring = LogisticRegression(C=0.02, max_iter=1000, class_weight="balanced").fit(
            np.concatenate([image.grid for image in marked]),
            np.concatenate([np.arange(len(image.grid)) == cell for image, cell in zip(marked, ringed, strict=True)]),
        )
        cells = [
            (image.grid[cell_of(item, len(image.grid))], item["type"]) for image in marked for item in image.subjects()
        ]
        self.cell = regression().fit(*zip(*cells, strict=True))

    @staticmethod
    def _by_question(names: list[Name]) -> Iterator[tuple[tuple[str, str], list[Name]]]:
        for key in (("level", "global"), ("level", "objects"), ("odd", ""), ("majority", "")):
            some = [of for of in names if (of.mention["cue"], of.answer["side"]) == key]
            if key == ("level", "global"):  # one subject fills the images of `scene` too
                some += [of for of in names if of.mention["cue"] == "scene"]
            yield key, some

    def accuracies(self, ability: str, names: list[Name]) -> dict[str, float]:
        """Accuracy by cue without one ability; a guess between two types counts as the mean of both."""
        by_cue: dict[str, list[float]] = {cue: [] for cue in CUES}
        by_words = self.text.predict([name.words for name in names])
        for name, of_text in zip(names, by_words, strict=True):
            types = [of_text] if ability == "text_only" else self._types(ability, name, of_text)
            by_cue[name.mention["cue"]].append(float(np.mean([type == name.mention["type"] for type in types])))
        return {cue: float(np.mean(right)) for cue, right in by_cue.items()}

    def _of(self, items: list[dict[str, Any]]) -> str:
        """The type that crops show, on average."""
        shares = self.crop.predict_proba([item["crop"] for item in items]).mean(0)
        return str(self.crop.classes_[shares.argmax()])

    def _of_grid(self, name: Name, side: str = "") -> str:
        return str(self.grids[name.mention["cue"], side].predict([name.image.grid.mean(0)])[0])

    def _types(self, ability: str, name: Name, of_text: str) -> list[str]:
        """The types between which the learner guesses."""
        cue, image = name.mention["cue"], name.image
        subjects = image.subjects()
        meant = [image.objects[number] for number in name.mention["objects"] if number in image.objects]
        if cue == "text":
            return [of_text]
        if cue in ("scene", "unrelated"):
            believes = self.topic.predict([image.topic_objects()])[0] == name.answer["topic"]
            return [self._of(subjects) if believes or ability == "no_relevance" else of_text]
        if cue == "level":
            return self._of_level(ability, name, subjects)
        if ability == "no_objects":
            if cue == "object":
                cell = self.ring.decision_function(image.grid).argmax()
                return [str(self.cell.predict([image.grid[cell]])[0])]
            return [self._of_grid(name)] if cue in ("odd", "majority") else [self._of([item]) for item in subjects]
        if ability == "no_relations" and cue == "odd":
            return [str(self.objects_mean.predict([mean_crop(image)])[0])]
        if ability == "no_reading" and cue == "other":
            return [self._of([item]) for item in subjects]
        if ability == "no_geometry" and cue == "position":
            if name.answer["side"] != "size":
                return [self._of([item]) for item in subjects]
            one, other = sorted(subjects, key=area)
            right = bool(self.size.predict([other["crop"] - one["crop"]])[0])
            return [self._of(meant if right else [item for item in subjects if item is not meant[0]])]
        return [self._of(meant)]

    def _of_level(self, ability: str, name: Name, objects: list[dict[str, Any]]) -> list[str]:
        """The types that a learner guesses in a post of `level`: of one grain, by exclusion that of the other."""
        side = name.answer["side"]
        whole, parts = self._of_grid(name, "global"), self._of(objects)
        if ability == "no_global" and side == "global":
            return [type for type in TYPES if type != parts]
        if ability == "no_objects" and side == "objects":
            return [self._of_grid(name, "objects")]  # the grid shows them too, small
        if ability == "no_grains":
            return [whole, parts]
        return [whole if side == "global" else parts]


def mean_crop(image: Seen) -> np.ndarray:
    """The mean of the subjects' crops: it does not compare them."""
    return np.mean([item["crop"] for item in image.subjects()], 0)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
