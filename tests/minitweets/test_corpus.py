"""Laws that the committed corpus keeps. They need neither icons nor renderer."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageStat
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from hamner.corpora.post import SPLITS, Corpus
from hamner.corpora.registry import load_corpus
from hamner.corpora.tags import TYPES, spans
from hamner.minitweets.contact_sheet import write_contact_sheets
from hamner.study.minitweets import sampling_error

FOLDER = Path(__file__).parents[2] / "data" / "minitweets"
BALANCED = ("scene", "object", "odd", "majority", "position", "described", "other", "level")


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(FOLDER)


@pytest.fixture(scope="module")
def answers(corpus: Corpus) -> dict[str, dict[str, Any]]:
    """Post id -> answer, with the name of the post's image."""
    images = {post.id: post.image.name for _, part in corpus.splits() for post in part if post.image is not None}
    return {answer["id"]: answer | {"image": images[answer["id"]]} for answer in lines("answers.jsonl")}


@pytest.fixture(scope="module")
def annotations() -> dict[str, list[dict[str, Any]]]:
    return {line["image"]: line["objects"] for line in lines("annotations.jsonl")}


@pytest.fixture(scope="module")
def images() -> dict[str, dict[str, Any]]:
    return {line["image"]: line for line in lines("contents.jsonl")}


def test_every_post_has_an_answer_and_a_image(corpus, answers):
    posts = [post for _, part in corpus.splits() for post in part]
    assert {post.id for post in posts} == set(answers)
    assert all(post.image is not None and post.image.is_file() for post in posts)


def test_splits_share_no_image(corpus):
    images = [{post.image for post in part} for _, part in corpus.splits()]
    assert not (images[0] & images[1] or images[0] & images[2] or images[1] & images[2])


def test_splits_share_no_icon_in_any_style(images):
    icons = {
        split: {
            icon
            for line in images.values()
            if line["split"] == split
            for icon in (*line["icons"], *(line["whole"] or ())[1:2])
        }
        for split in SPLITS
    }
    assert not (icons["train"] & icons["valid"] or icons["train"] & icons["test"] or icons["valid"] & icons["test"])


def test_no_text_occurs_twice_in_the_corpus(corpus):
    texts = Counter(post.words for _, part in corpus.splits() for post in part)
    assert max(texts.values()) == 1


def test_names_said_to_be_unseen_do_not_occur_in_train(corpus, answers):
    train = " \n ".join(" ".join(post.words) for post in corpus.train)
    known = {mention["name"] for post in corpus.train for mention in answers[post.id]["mentions"]}
    for split in ("valid", "test"):
        mentions = [mention for post in corpus[split] for mention in answers[post.id]["mentions"]]
        unseen = {mention["name"] for mention in mentions if not mention["seen"]}
        assert len(unseen) >= 16
        assert not any(f" {name} " in train for name in unseen)
        assert {mention["name"] for mention in mentions if mention["seen"]} <= known


@pytest.mark.parametrize("split", SPLITS)
def test_names_meet_every_type_equally_often_in_each_cue(split, corpus, answers):
    """Neither the name nor the wording, which names the cue and the grain, tells a type."""
    every = [(answers[post.id], mention) for post in corpus[split] for mention in answers[post.id]["mentions"]]
    for cue in BALANCED:
        counts = Counter(
            (mention["name"], answer["side"] if cue == "level" else "", mention["type"])
            for answer, mention in every
            if mention["cue"] == cue
        )
        counts = Counter({((name, side), type): count for (name, side, type), count in counts.items()})
        assert len(counts) == 4 * len({name for name, _ in counts})
        assert all(count == counts[name, type] for (name, _), count in counts.items() for type in TYPES)


@pytest.mark.parametrize("split", SPLITS)
def test_types_come_equally_often_in_text_and_unrelated(split, corpus, answers):
    for cue in ("text", "unrelated"):
        counts = Counter(m["type"] for post in corpus[split] for m in answers[post.id]["mentions"] if m["cue"] == cue)
        assert set(counts) == set(TYPES)
        assert len(set(counts.values())) == 1


def test_a_clear_name_has_one_type_everywhere_and_is_never_ambiguous(answers):
    types = defaultdict(set)
    kinds = defaultdict(set)
    for answer in answers.values():
        for mention in answer["mentions"]:
            types[mention["name"]].add(mention["type"])
            kinds[mention["name"]].add(mention["kind"])
    assert all(len(of_name) == 1 for of_name in kinds.values())
    assert all(len(types[name]) == 1 for name, of_name in kinds.items() if of_name == {"clear"})


def test_mentions_are_the_tagged_spans(corpus, answers):
    for _, part in corpus.splits():
        for post in part:
            told = [(m["type"], m["start"], m["end"]) for m in answers[post.id]["mentions"]]
            assert [tuple(span) for span in spans(post.tags, "strict")] == told
            for mention in answers[post.id]["mentions"]:
                assert " ".join(post.words[mention["start"] : mention["end"]]) == mention["name"]


def test_boxes_lie_inside_the_image(annotations):
    for objects in annotations.values():
        for item in objects:
            x1, y1, x2, y2 = item["box"]
            assert 0 <= x1 < x2 <= 1
            assert 0 <= y1 < y2 <= 1


def test_objects_do_not_cover_one_another(annotations):
    for image, objects in annotations.items():
        boxes = [item["box"] for item in objects]
        for i, one in enumerate(boxes):
            for other in boxes[:i]:
                wide, high = (min(one[k + 2], other[k + 2]) - max(one[k], other[k]) for k in (0, 1))
                shared = max(0, wide) * max(0, high)
                smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
                assert shared < 0.15 * smaller, image


def test_a_detectors_class_says_nothing_of_the_type(annotations, images):
    counts = defaultdict(Counter)
    for image, objects in annotations.items():
        for item, type in zip(objects, images[image]["types"], strict=True):
            if type is not None:
                counts[item["class"]][type] += 1
    for of_class in counts.values():
        assert all(abs(of_class[type] / of_class.total() - 0.25) < 0.05 for type in TYPES)


def test_an_answers_objects_are_in_the_image_and_of_the_right_type(answers, images):
    for answer in answers.values():
        types = images[answer["image"]]["types"]
        for mention in answer["mentions"]:
            assert (mention["objects"] == []) == (answer["cue"] == "unrelated" or answer["side"] == "global")
            assert all(types[i] == mention["type"] for i in mention["objects"])
            if answer["side"] == "global":
                assert images[answer["image"]]["whole"][0] == mention["type"]


def test_the_whole_of_a_level_image_is_of_another_type_than_its_objects_and_no_object_itself(images):
    of_level = [line for line in images.values() if line["kind"] == "level"]
    assert of_level
    for line in of_level:
        whole, icon, _ = line["whole"]
        (type,) = set(line["types"]) - {None}
        assert type != whole
        assert icon not in line["icons"]
    assert all(line["whole"] is None for line in images.values() if line["kind"] != "level")


@pytest.mark.parametrize("split", SPLITS)
def test_an_image_of_level_is_asked_for_both_grains_with_one_name(split, corpus, answers):
    """So neither the name nor the image nor a constant grain tells the type."""
    asked = defaultdict(list)
    for post in corpus[split]:
        if answers[post.id]["cue"] == "level":
            asked[answers[post.id]["image"]].append(answers[post.id])
    assert asked
    for both in asked.values():
        assert {answer["side"] for answer in both} == {"global", "objects"}
        assert len({answer["mentions"][0]["name"] for answer in both}) == 1


def test_words_of_the_two_grains_share_no_template(answers):
    used = defaultdict(set)
    for answer in answers.values():
        if answer["cue"] == "level":
            used[answer["side"]].add(answer["template"])
    assert len(used["global"]) == len(used["objects"]) == 16
    assert not used["global"] & used["objects"]


@pytest.mark.parametrize("split", SPLITS)
def test_the_same_two_names_swap_their_types_when_the_other_object_is_described(split, corpus, answers, annotations):
    """The name of `other` gets its type from what is told of `described`, and from nothing else."""
    asked = defaultdict(list)
    for post in corpus[split]:
        answer = answers[post.id]
        if answer["cue"] == "other":
            by_cue = {mention["cue"]: mention for mention in answer["mentions"]}
            (told,), (rest,) = (by_cue[cue]["objects"] for cue in ("described", "other"))
            classes = [annotations[answer["image"]][number]["class"] for number in (told, rest)]
            assert classes[0] == answer["side"] != classes[1]
            asked[answer["image"]].append(tuple((by_cue[cue]["name"], by_cue[cue]["type"]) for cue in by_cue))
    assert asked
    for one, two in asked.values():
        assert {name for name, _ in one} == {name for name, _ in two}
        assert all(dict(one)[name] != dict(two)[name] for name, _ in one)


def test_a_default_name_suggests_one_type_and_an_image_of_its_topic_overrules_it(corpus, answers):
    """In train it is rarer in `unrelated` than in `scene`, twice, and still most often of the type that it suggests."""
    types, own = defaultdict(Counter), defaultdict(set)
    for post in corpus.train:
        for mention in answers[post.id]["mentions"]:
            if mention["kind"] == "default":
                types[mention["name"]][mention["cue"], mention["type"]] += 1
                own[mention["name"]] |= {mention["type"]} if mention["cue"] == "unrelated" else set()
    assert len(types) == 48
    for name, counts in types.items():
        (suggested,) = own[name]
        scene = {type: counts["scene", type] for type in TYPES}
        assert set(scene.values()) == {6}
        assert counts["unrelated", suggested] == 12


def test_a_learner_of_words_is_at_chance_where_the_image_counts_and_learns_what_names_suggest(corpus, answers):
    """The words leak nothing, and `unrelated` can be learnt from text: default names are not drowned by `scene`."""
    asked = {}
    for split in ("train", "test"):
        posts = [(post, mention) for post in corpus[split] for mention in answers[post.id]["mentions"]]
        words = [
            " ".join((*p.words[: m["start"]], "NAME", *p.words[m["end"] :], *m["name"].replace(" ", " own").split()))
            for p, m in posts
        ]
        asked[split] = words, np.array([m["type"] for _, m in posts]), np.array([m["cue"] for _, m in posts])
    learner = make_pipeline(CountVectorizer(token_pattern=r"\S+", min_df=2), LogisticRegression(C=0.03, max_iter=500))
    learner.fit(*asked["train"][:2])
    words, types, cues = asked["test"]
    right = learner.predict(words) == types
    for cue in BALANCED:
        of_cue = right[cues == cue]
        assert abs(of_cue.mean() - 0.25) < 3 * sampling_error(0.25, len(of_cue)), cue
    assert right[cues == "unrelated"].mean() > 0.9
    assert right[cues == "text"].mean() > 0.98


def test_icons_of_test_are_many_in_each_type(images):
    icons = defaultdict(set)
    for line in images.values():
        if line["split"] == "test":
            for type, icon in zip(line["types"], line["icons"], strict=True):
                icons[type] |= {icon}
    assert {type: len(icons[type]) >= 15 for type in TYPES} == dict.fromkeys(TYPES, True)


def test_words_and_image_are_of_one_topic_unless_the_post_is_unrelated(answers, images):
    for answer in answers.values():
        assert answer["relevant"] == (answer["cue"] != "unrelated")
        assert answer["relevant"] == (answer["topic"] == images[answer["image"]]["topic"])


def test_the_image_of_an_unrelated_post_shows_a_wrong_type(answers, images):
    for answer in answers.values():
        if answer["cue"] == "unrelated":
            shown = set(images[answer["image"]]["types"]) - {None}
            assert len(shown) == 1
            assert answer["mentions"][0]["type"] not in shown


def test_left_is_left_and_big_is_big(answers, annotations, corpus):
    words_first = {"left", "top", "above", "upper", "biggest", "big", "bigger"}
    words = {post.id: post.words for _, part in corpus.splits() for post in part}
    checked = 0
    for answer in answers.values():
        if answer["cue"] != "position":
            continue
        first, second = (annotations[answer["image"]][mention["objects"][0]]["box"] for mention in answer["mentions"])
        value = {
            "horizontal": lambda box: (box[0] + box[2]) / 2,
            "vertical": lambda box: (box[1] + box[3]) / 2,
            "size": lambda box: box[0] - box[2],
        }[answer["side"]]
        opposite = {"right", "bottom", "below", "lower", "smallest", "small", "smaller"}
        directions = [word.lower() for word in words[answer["id"]] if word.lower() in words_first | opposite]
        assert len(directions) == 2
        # In every template the first name goes with the first direction.
        low, high = (first, second) if directions[0] in words_first else (second, first)
        assert value(low) + 0.1 < value(high)
        checked += 1
    assert checked > 1000


def test_there_are_at_least_150_templates(answers):
    assert len({answer["template"] for answer in answers.values()}) >= 150


def test_scene_and_unrelated_use_the_same_templates(answers):
    used = {cue: {a["template"] for a in answers.values() if a["cue"] == cue} for cue in ("scene", "unrelated")}
    assert used["scene"] == used["unrelated"]


def test_no_two_images_are_alike(corpus):
    files = sorted((FOLDER / "images").iterdir())
    assert (
        len({file.read_bytes() for file in files})
        == len(files)
        == len({p.image for _, part in corpus.splits() for p in part})
    )


def test_images_are_small_squares_and_the_corpus_has_at_most_15_megabytes():
    total = 0
    for file in FOLDER.rglob("*"):
        total += file.stat().st_size if file.is_file() else 0
    with Image.open(next(iter((FOLDER / "images").iterdir()))) as image:
        assert image.size == (224, 224)
    assert total <= 15_000_000


def test_a_contact_sheet_comes_out_as_it_is_committed(tmp_path: Path) -> None:
    (file,) = write_contact_sheets(FOLDER, tmp_path, ("scene",))
    with Image.open(file) as drawn, Image.open(FOLDER.parents[1] / "figures" / file.name) as committed:
        assert drawn.size == committed.size
        apart = ImageChops.difference(drawn.convert("RGB"), committed.convert("RGB"))
    assert max(ImageStat.Stat(apart).mean) < 1  # of 255; another machine may round an edge otherwise
