from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hamner.corpora.post import Corpus, Post
from hamner.corpora.tags import Span, spans
from hamner.devices import DeviceError
from hamner.errors import HamnerError
from hamner.files import file_sha256
from hamner.images import load_image
from hamner.tagger import AttendedObject, Evidence, Tagger, TaggerError, calibrate
from hamner.tagger.calibration import fit_temperature
from hamner.tagger.confidence import calibrated
from hamner.training import Run, RunError
from hamner.training.checkpoints import CheckpointError
from hamner.vision import ImageError, VisualSource
from hamner.vision.extractor import ImageExtractor
from hamner.vision.objects import ImageObject, Objects

TEXT = (
    "RT @fan : Kelso (left) meets Orva near the old port of Tallin tonight #couch 👨\u200d👩\u200d👧 https://t.co/a1b2"
)


@pytest.fixture(scope="module")
def run(make_run) -> Run:
    return make_run()


@pytest.fixture(scope="module")
def tagger(run: Run, extractor: ImageExtractor) -> Tagger:
    return Tagger(run, extractor=extractor)


@pytest.fixture(scope="module")
def text_only(make_run) -> Tagger:
    return Tagger(make_run(objects=None))


def test_entities_are_where_their_offsets_say(tagger: Tagger, photo: Path) -> None:
    post = tagger(TEXT, photo)
    assert post.entities
    assert post.text == TEXT
    assert [Span(entity.type, entity.words[0], entity.words[1] + 1) for entity in post.entities] == spans(post.tags)
    for entity in post.entities:
        assert TEXT[entity.start : entity.end] == entity.text
        assert entity.start == post.offsets[entity.words[0]][0]
        assert entity.end == post.offsets[entity.words[1]][1]
        assert 0 <= entity.score <= 1


def test_words_are_tagged_as_the_text_that_they_came_from(tagger: Tagger, photo: Path) -> None:
    post = tagger(TEXT, photo)
    again = tagger(words=post.words, image=photo)
    assert again.tags == post.tags
    assert again.text == " ".join(post.words)
    assert [entity.score for entity in again.entities] == [entity.score for entity in post.entities]
    assert all(again.text[entity.start : entity.end] == entity.text for entity in again.entities)


def test_a_post_is_given_as_the_keys_of_the_pipeline(tagger: Tagger) -> None:
    post = tagger(TEXT)
    plain = json.loads(json.dumps(post.to_dict()))
    assert [entity.keys() for entity in plain["entities"]] == [
        {"entity_group", "score", "word", "start", "end"} for _ in post.entities
    ]
    assert plain["entities"][0]["entity_group"] == post.entities[0].type


def test_a_image_is_the_same_as_a_path_and_in_memory(tagger: Tagger, photo: Path) -> None:
    with Image.open(photo) as image:
        assert tagger(TEXT, photo) == tagger(TEXT, str(photo)) == tagger(TEXT, image)


def test_several_posts_are_tagged_as_each_alone(tagger: Tagger, photo: Path) -> None:
    texts = [TEXT, "Kelso", "nothing to see", "Mira Star in Port Elm"] * 5
    images = [photo, None, photo, None] * 5
    together = tagger.many(texts, images)
    alone = [tagger(text, image) for text, image in zip(texts[:4], images[:4], strict=True)]
    for post, single in zip(together, alone * 5, strict=True):
        assert (post.tags, post.notes) == (single.tags, single.notes)
        assert post.relevance == pytest.approx(single.relevance, abs=1e-5)
        assert [entity.score for entity in post.entities] == pytest.approx(
            [entity.score for entity in single.entities], abs=1e-5
        )


def test_a_image_counts_as_relevance_and_integration_say(tagger: Tagger, photo: Path) -> None:
    post = tagger(TEXT, photo)
    assert 0 < post.relevance < 1
    assert post.integration.keys() == {"global", "semantic", "spatial"}
    assert sum(post.integration.values()) == pytest.approx(1)
    assert post.notes == ()


def test_a_run_without_relevance_says_that_it_does_not_judge(make_run, extractor: ImageExtractor, photo: Path) -> None:
    post = Tagger(make_run(relevance=False), extractor=extractor)(TEXT, photo)
    assert post.relevance == 1
    assert post.notes == ("the run does not judge relevance: it is 1 wherever there is an image",)


def test_without_a_image_there_is_no_relevance_and_a_note_says_why(tagger: Tagger) -> None:
    post = tagger(TEXT)
    assert post.relevance is None
    assert post.integration is None
    assert post.notes == ("no image: the words alone were read",)
    assert all(entity.evidence is None for entity in post.entities)


def test_a_text_only_run_looks_at_no_image_and_says_so(text_only: Tagger, photo: Path) -> None:
    post, of_words = text_only(TEXT, photo), text_only(TEXT)
    assert replace(post, image=None, notes=()) == of_words
    assert post.relevance is None
    assert post.notes == ("the run is text-only: it reads no image",)
    assert of_words.notes == (), "nobody gave it an image"


def test_a_post_longer_than_the_encoder_takes_is_put_together_again(
    tagger: Tagger, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list = []
    together = tagger._together
    monkeypatch.setattr(tagger, "_together", lambda asked, parts: read.extend(parts) or together(asked, parts))
    words = TEXT.split() * 12
    post = tagger(words=words, image=photo)
    assert len(post.tags) == len(words)
    assert "windows" in post.notes[-1]
    assert post.entities[-1].words[1] > 100
    assert all(post.text[entity.start : entity.end] == entity.text for entity in post.entities)
    assert len(read) > 1
    assert post.relevance == max(part.relevance for part in read)


def test_the_drop_without_the_image_is_what_tagging_without_it_gives(tagger: Tagger, photo: Path) -> None:
    texts = [TEXT.split()[start:] for start in range(10)]
    compared = []
    for alone, post in zip(tagger.many(texts), tagger.many(texts, [photo] * 10), strict=True):
        without = {(entity.type, entity.words): entity.score for entity in alone.entities}
        compared += [
            (entity.evidence.image_drop, entity.score - without[entity.type, entity.words])
            for entity in post.entities
            if (entity.type, entity.words) in without
        ]
    drops, expected = zip(*compared, strict=True)
    assert drops == pytest.approx(expected, abs=1e-5)
    assert max(map(abs, drops)) > 0.001


def test_what_has_no_effect_has_a_drop_of_exactly_zero(make_run, extractor: ImageExtractor, photo: Path) -> None:
    # Untrained, stage 3 adds nothing to a word: whatever is hidden, the tags stay.
    post = Tagger(make_run(looked=False), extractor=extractor)(TEXT, photo)
    assert post.entities
    for entity in post.entities:
        assert entity.evidence.image_drop == 0
        assert not entity.evidence.grid_drop.any()
        assert [item.drop for item in entity.evidence.objects] == [0] * 5


def test_hiding_one_object_is_the_same_as_not_having_it(tagger: Tagger, extractor: ImageExtractor, photo: Path) -> None:
    image = Image.open(photo).convert("RGB")
    features = extractor.encode(image, extractor.finder.find(photo, image))
    post = tagger(TEXT, features=features)
    features.object_mask[2] = features.box_mask[2] = False
    hidden = {(entity.type, entity.words): entity.score for entity in tagger(TEXT, features=features).entities}
    both = [entity for entity in post.entities if (entity.type, entity.words) in hidden]
    assert both
    for entity in both:
        expected = entity.score - hidden[entity.type, entity.words]
        assert entity.evidence.objects[2].drop == pytest.approx(expected, abs=1e-5)


def test_the_greatest_attention_and_the_greatest_drop_are_named() -> None:
    objects = [
        AttendedObject(None, name, 1.0, attention, drop) for name, attention, drop in (("", 2, 0.1), ("fox", 1, 0.5))
    ]
    grid = np.zeros(49)
    grid[[0, 15]] = 3, 4
    seen = Evidence(grid, grid / 10, tuple(objects), 0.0)
    assert seen.most_attended == ("the region in row 3, column 2", 4)
    assert seen.rests_on == ("object 2 (fox)", 0.5)
    assert Evidence(None, None, tuple(objects), 0.0).most_attended == ("object 1", 2)
    assert Evidence(np.ones(2), np.ones(2), (), 0.0).most_attended == ("region 1", 1)
    assert Evidence(None, None, (), 0.0).rests_on == ("nothing", 0)


def test_plain_values_hold_the_evidence_of_each_entity(tagger: Tagger, photo: Path) -> None:
    post = tagger(TEXT, photo)
    values = json.loads(json.dumps(post.to_dict()))
    assert len(values["evidence"]) == len(values["entities"]) == len(post.entities) > 0
    for entity, seen in zip(post.entities, values["evidence"], strict=True):
        assert seen["image_drop"] == entity.evidence.image_drop
        assert seen["grid_attention"] == entity.evidence.grid_attention.tolist()
        assert seen["grid_drop"] == entity.evidence.grid_drop.tolist()
        assert [item["drop"] for item in seen["objects"]] == [item.drop for item in entity.evidence.objects]
    assert tagger(TEXT).to_dict()["evidence"] == [None] * len(tagger(TEXT).entities)


def test_a_raw_text_is_split_as_the_runs_corpus_is(make_run) -> None:
    run = make_run(objects=None)
    assert Tagger(run)("@fan Orva's").words == ("@fan", "Orva's")
    kept = replace(run, record=run.record | {"marks_apart": ["@", "'"]})
    assert Tagger(kept)("@fan Orva's").words == ("@", "fan", "Orva", "'", "s")


@pytest.mark.parametrize("changes", [{}, {"coattention": False}, {"global_vision": False}, {"spatial": False}])
def test_attention_is_weight_times_number_of_regions(
    changes: dict, make_run, extractor: ImageExtractor, photo: Path
) -> None:
    run = make_run(**changes)
    post = Tagger(run, extractor=extractor)(TEXT, photo)
    assert post.entities
    for entity in post.entities:
        encodings = 1 if "spatial" in changes else 2
        values = [item.attention for item in entity.evidence.objects for _ in range(encodings)]
        if run.config.model.global_vision:
            values += entity.evidence.grid_attention.tolist()
        assert len(values) == 5 * encodings + (49 if run.config.model.global_vision else 0)
        assert sum(values) / len(values) == pytest.approx(1, abs=1e-4)
        assert (entity.evidence.grid_drop is None) == (not run.config.model.global_vision)


def test_a_run_that_learnt_from_annotated_objects_sees_tiles_of_unknown_class(
    make_run, extractor: ImageExtractor, photo: Path
) -> None:
    tagger = Tagger(make_run("annotations"), extractor=extractor)
    post = tagger(TEXT, photo)
    assert sum("tiles" in note for note in post.notes) == 1
    assert [item.name for item in post.entities[0].evidence.objects] == ["tile"] * 5
    image = Image.open(photo).convert("RGB")
    features = extractor.encode(image, extractor.finder.find(photo, image))
    features.classes[:] = 0
    assert tagger(TEXT, features=features).tags == post.tags
    assert tagger(TEXT, features=features).relevance == post.relevance


@pytest.mark.parametrize("place", ["images", ""])
def test_an_image_that_stands_beside_its_annotations_is_tagged_with_them(
    make_run, extractor: ImageExtractor, photo: Path, tmp_path: Path, place: str
) -> None:
    run = make_run("annotations")
    run.record["features"]["class_names"] = ["(none)", "badge", "card"]
    tagger = Tagger(run, extractor=extractor)
    copy = tmp_path / place / "p1.png"
    copy.parent.mkdir(exist_ok=True)
    Image.open(photo).save(copy)
    objects = [
        {"box": [0.1, 0.1, 0.5, 0.9], "class": name, "score": score} for name, score in (("card", 0.5), ("?", 0.9))
    ]
    lines = [{"image": "p1.png", "objects": objects}, {"image": "p2.png", "objects": []}]
    (tmp_path / "annotations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    post = tagger(TEXT, copy)
    assert post.notes == (
        f"objects are those of {tmp_path / 'annotations.jsonl'}; the run does not know the classes ?",
    )
    assert [item.name for item in post.entities[0].evidence.objects] == ["", "card"]  # best score first; "?" is unknown
    known = [ImageObject(tuple(item["box"]), item["class"], item["score"]) for item in objects]
    features = extractor.encode(Image.open(copy).convert("RGB"), Objects.of(known, ["(none)", "badge", "card"], 8))
    assert tagger(TEXT, features=features).tags == post.tags
    copy.rename(copy.with_name("p3.png"))  # a name without a line
    assert any("tiles" in note for note in tagger(TEXT, copy.with_name("p3.png")).notes)
    other = tmp_path / "holiday" / "p1.png"  # another picture of that name, in a folder that is no corpus's
    other.parent.mkdir()
    Image.open(photo).save(other)
    assert any("tiles" in note for note in tagger(TEXT, other).notes)


def test_annotations_of_another_form_are_left_aside_and_named_and_read_again_when_they_change(
    make_run, extractor: ImageExtractor, photo: Path, tmp_path: Path
) -> None:
    run = make_run("annotations")
    run.record["features"]["class_names"] = ["(none)", "badge"]
    tagger = Tagger(run, extractor=extractor)
    Image.open(photo).save(tmp_path / "p1.png")
    file = tmp_path / "annotations.jsonl"
    file.write_text('{"id": 1, "entities": []}\n')
    notes = tagger(TEXT, tmp_path / "p1.png").notes
    assert any("left aside" in note and "annotations.jsonl:1" in note for note in notes)
    assert any("tiles" in note for note in notes)
    file.write_text('{"image": "p1.png", "objects": []}\n')
    os.utime(file, ns=(1, 1))
    assert tagger(TEXT, tmp_path / "p1.png").notes == (f"objects are those of {file}",)


def test_a_run_that_learnt_from_captions_names_the_remedy(make_run, photo: Path) -> None:
    tagger = Tagger(make_run(visual=VisualSource.from_captions("captions.txt")))
    with pytest.raises(TaggerError, match="was trained on captions and cannot read an image: tag without one, or"):
        tagger(TEXT, photo)
    assert tagger(TEXT).tags


def test_features_of_another_source_are_refused(tagger: Tagger, extractor: ImageExtractor, photo: Path) -> None:
    image = Image.open(photo).convert("RGB")
    features = extractor.encode(image, extractor.finder.find(photo, image))
    wide = replace(features, grid=features.grid.repeat(2, axis=1), objects=features.objects.repeat(2, axis=1))
    unknown = replace(features, classes=np.full_like(features.classes, 9))
    for wrong, message in (
        (wide, "have 12 channels and the run was trained on 6"),
        (replace(features, grid=np.full_like(features.grid, np.nan)), "hold features that are NaN or infinite"),
        (unknown, "hold an object of a class that has no name"),
        ("features", "features are VisualFeatures"),
    ):
        with pytest.raises(TaggerError, match=message):
            tagger(TEXT, features=wrong)


def test_a_tagger_is_made_of_a_run() -> None:
    with pytest.raises(TaggerError, match=r"use Tagger\.from_pretrained\(NAME\)"):
        Tagger("data/models/tiny")


@pytest.mark.parametrize("content", [b"no image", b"", None])
@pytest.mark.parametrize("objects", ["tiles", None])
def test_a_image_that_cannot_be_opened_is_one_error_that_names_it(
    content: bytes | None, objects: str | None, tagger: Tagger, text_only: Tagger, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=r"photo\.jpg"):
        (tagger if objects else text_only)(TEXT, path)
    with pytest.raises(ImageError, match="the image given"):
        (tagger if objects else text_only)(TEXT, Image.new("F", (4, 4)))
    with pytest.raises(ImageError, match="not a bytes"):
        (tagger if objects else text_only)(TEXT, content or b"")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no words"),
        (" \n", "no words"),
        ([[]], "no words"),
        ([["a", ""]], "word 1"),
        ([[3]], "word 0"),
        ("a \udce9", "half"),
        ([None], "not None"),
        ([math.nan], "not nan"),
        ([{"a", "b"}], "a text or a list of words"),
        (math.nan, "several posts are a list of texts, not float"),
    ],
)
def test_a_post_without_words_is_an_error(text: object, message: str, text_only: Tagger) -> None:
    with pytest.raises(TaggerError, match=message):
        text_only(text)


def test_words_may_be_anything_that_is_not_empty(text_only: Tagger) -> None:
    words = ["\u200d", "\u3000", "a\u00a0b", "x" * 5000, "$a_b^c$", "[bold]"]
    assert text_only(words=words).words == tuple(words)


def test_loading_leaves_the_random_numbers_of_others_alone(run: Run) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Tagger.from_pretrained(run.folder)
    assert torch.equal(torch.rand(3), expected)


def test_a_folder_that_cannot_tag_says_why(make_run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no finished run"):
        Tagger.from_pretrained(tmp_path)
    run = make_run(objects=None)
    with pytest.raises(DeviceError, match="no device 'warp'"):
        Tagger(run, "warp")
    data = bytearray(run.weights.read_bytes())
    data[-1] ^= 1
    run.weights.write_bytes(data)
    with pytest.raises(CheckpointError, match="is not as it was written"):
        Tagger(Run(run.folder, run.record | {"weights_sha256": file_sha256(run.folder / "run.json")}))
    run.weights.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged"):
        Tagger(run)
    run.weights.unlink()
    with pytest.raises(TaggerError, match=r"without its weights \(model.safetensors\): train it into another folder"):
        Tagger(run)


def test_calibrating_fits_on_valid_and_later_taggers_use_it(make_run, tmp_path: Path) -> None:
    run = make_run(objects=None)
    before = Tagger(run)(TEXT)
    posts = [Post(str(number), tuple(TEXT.split())[number % 9 :]) for number in range(54)]
    tags = [post.tags for post in Tagger(run).many([post.words for post in posts], evidence=False)]
    valid = tuple(
        replace(post, tags=tuple(["O"] * len(own) if number % 4 else own))
        for number, (post, own) in enumerate(zip(posts, tags, strict=True))
    )
    corpus = Corpus("tiny", tmp_path, (), valid, (), run.record["corpus"]["sha256"])
    temperature = calibrate(run, corpus)
    record = json.loads((run.folder / "calibration.json").read_text())
    assert record["temperature"] == temperature
    assert 0 < record["correct"] < record["entities"] == sum(len(spans(own)) for own in tags)
    assert record["negative_log_likelihood"]["after"] < record["negative_log_likelihood"]["before"]
    after = Tagger(run)(TEXT)
    assert (before.calibrated, after.calibrated) == (False, True)
    assert [entity.score for entity in after.entities] == pytest.approx(
        calibrated([entity.score for entity in before.entities], temperature), abs=1e-5
    )
    assert calibrate(run, corpus) == temperature  # an earlier temperature does not count twice
    with pytest.raises(TaggerError, match="trained on tiny, not on this other"):
        calibrate(run, Corpus("other", tmp_path, (), valid, (), {"train.txt": "1"}))


def test_a_temperature_from_next_to_nothing_is_refused_and_nothing_is_written(make_run, tmp_path: Path) -> None:
    run = make_run(objects=None)
    tags = Tagger(run)(words=TEXT.split()).tags
    corpus = Corpus("tiny", tmp_path, (), (Post("1", tuple(TEXT.split()), tags),), (), run.record["corpus"]["sha256"])
    with pytest.raises(TaggerError, match=r"predicts \d+ entities in valid, and a temperature needs at least 50"):
        calibrate(run, corpus)
    everything_right = tuple(Post(str(number), tuple(TEXT.split()), tags) for number in range(60))
    with pytest.raises(TaggerError, match=r"(\d+) of \1 entities in valid are right, and the fit ends at"):
        calibrate(run, replace(corpus, valid=everything_right))
    assert not (run.folder / "calibration.json").exists()


@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [
        ([0.9] * 49, [True] * 49, "predicts 49 entities in valid"),
        ([0.9] * 60, [True] * 60, "60 of 60 entities in valid are right, and the fit ends at 0.05"),
        ([0.9] * 60, [False] * 60, "0 of 60 entities in valid are right, and the fit ends at 20.00"),
        ([0.5] * 60, [True, False] * 30, "30 of 60 entities in valid are right, and the fit ends at"),
        ([0.9, np.nan] * 30, [True] * 60, "some scores are not from 0 to 1"),
    ],
)
def test_a_fit_without_a_minimum_inside_the_range_is_refused(
    confidence: list[float], correct: list[bool], message: str
) -> None:
    with pytest.raises(TaggerError, match=message):
        fit_temperature(confidence, correct)


def test_a_temperature_gives_scores_that_are_right_as_often_as_they_say() -> None:
    correct = [True] * 70 + [False] * 30
    assert calibrated(0.9, fit_temperature([0.9] * 100, correct)) == pytest.approx(0.7, abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[]",
        "3",
        '{"temperature": 0}',
        '{"temperature": 0.05}',
        '{"temperature": NaN}',
        '{"temperature": 1e300}',
        '{"temperature": true}',
        '{"temperature": "1.5"}',
        '{"temperature": [1.5]}',
        '{"temperature": 1.5, "entities": 49}',
        '{"temperature": 1.5, "entities": "many"}',
    ],
)
def test_a_damaged_calibration_is_never_used(text: str, make_run) -> None:
    run = make_run(objects=None)
    (run.folder / "calibration.json").write_text(text)
    with pytest.raises(HamnerError, match=r"calibration\.json.*delete it"):
        Tagger(run)


def test_a_calibration_may_begin_with_a_byte_order_mark(make_run) -> None:
    run = make_run(objects=None)
    (run.folder / "calibration.json").write_text('{"temperature": 1.5, "entities": 60}', encoding="utf-8-sig")
    assert Tagger(run).temperature == 1.5


def test_a_calibration_that_is_no_file_is_refused_at_once(make_run) -> None:
    run = make_run(objects=None)
    os.mkfifo(run.folder / "calibration.json")
    with pytest.raises(TaggerError, match=r"calibration\.json.*delete it"):
        Tagger(run)


def test_one_text_is_not_taken_for_many(text_only: Tagger) -> None:
    with pytest.raises(TaggerError, match="several posts are a list of texts, not str"):
        text_only.many("ab")


def test_a_list_of_texts_is_a_batch_and_words_are_one_post(text_only: Tagger) -> None:
    texts = [TEXT, "Kelso (left) meets Orva", TEXT.split()]
    posts = text_only(texts, batch_size=2)
    assert [post.text for post in posts] == [TEXT, texts[1], " ".join(texts[2])]
    alone = [text_only(TEXT), text_only(texts[1]), text_only(words=texts[2])]
    assert [(post.words, post.tags) for post in posts] == [(post.words, post.tags) for post in alone]
    assert text_only([]) == []
    assert [post.text for post in text_only(["Kelso", "Orva"])] == ["Kelso", "Orva"]  # two posts, not two words


def test_images_of_a_batch_stand_beside_its_texts(tagger: Tagger, photo: Path) -> None:
    one, other = tagger([TEXT, TEXT], [photo, None])
    assert one.relevance is not None
    assert other.relevance is None
    with pytest.raises(TaggerError, match="list, one or None for each text"):
        tagger([TEXT, TEXT], str(photo))


def test_a_generator_is_read_one_batch_at_a_time(text_only: Tagger) -> None:
    given = []

    def texts() -> Iterator[str]:
        for number in range(5):
            given.append(number)
            yield f"Kelso {number}"

    posts = text_only(texts(), batch_size=2)
    assert given == []
    assert next(posts).text == "Kelso 0"
    assert given == [0, 1]
    assert [post.text for post in posts] == [f"Kelso {number}" for number in range(1, 5)]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ((), {}, "give a text, a list of texts, or the words"),
        ((TEXT,), {"words": ["Kelso"]}, "give a text, a list of texts, or the words"),
        ((["Kelso"],), {"features": 1}, r"tagger\.many\(texts, features="),
        ((iter(["Kelso"]), "a.png"), {}, "an iterator of texts has no images"),
        (([TEXT],), {"batch_size": 0}, "batch_size must be a whole number from 1 to 4,096, not 0"),
        ((["Kelso", 7],), {}, "a post is a text or a list of words, not 7"),
        ((7,), {}, "several posts are a list of texts, not int"),
        (({"Kelso": 1},), {}, "several posts are a list of texts, not dict"),
        ((), {"words": "Anna Berg"}, "words are a list"),
        ((TEXT,), {"batch_size": 0}, "batch_size must be"),
        ((["Anna", " "],), {}, "text 1: there are no words"),
    ],
)
def test_what_is_neither_a_post_nor_a_batch_is_one_clear_error(
    text_only: Tagger, given: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaggerError, match=message):
        text_only(*given, **options)


def test_a_wrong_batch_size_is_an_error_in_a_generator_too(text_only: Tagger) -> None:
    with pytest.raises(TaggerError, match="batch_size"):
        next(text_only(iter([TEXT]), batch_size="2"))


@pytest.mark.parametrize("word", ["Kelso Moss", "Kelso\n", " ", "a\tb"])
def test_a_word_with_a_blank_is_refused_and_the_remedy_named(text_only: Tagger, word: str) -> None:
    with pytest.raises(TaggerError, match=r"word 1 is .*holds a blank.*batch, tagger\(\[text, text\]\)"):
        text_only(words=["Orva", word])


def test_images_are_neither_fetched_nor_empty() -> None:
    with pytest.raises(ImageError, match="download it first"):
        load_image("https://example.com/a.jpg")
    with pytest.raises(ImageError, match="no pixels"):
        load_image(Image.new("RGB", (0, 3)))
