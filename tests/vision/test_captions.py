from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamner.corpora.post import Corpus, Post
from hamner.images import ImageError
from hamner.vision import FeatureStore, VisualSource
from hamner.vision.captions import CaptionError, CaptionExtractor, image_name, phrases, read_captions


class Letters:
    """Encodes a text as the counts of a, b and c in it."""

    identity = "letters-1"
    channels = 3

    def __call__(self, texts: Sequence[str], /) -> np.ndarray:
        return np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float32)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a man and a little girl standing next to a van", ["a man", "a little girl", "a van"]),
        ("A group of people on a stage.", ["A group of people", "a stage"]),
        ("person, person, person", ["person"]),
        ("a man sitting at a table with a menu in front of him", ["a man", "a table", "a menu"]),
        ("a sandwich", ["a sandwich"]),  # holds "and", but is not cut at it
        ("a brother-in-law's house", ["a brother-in-law's house"]),
        ("the and it", []),
        ("", []),
    ],
)
def test_a_caption_is_cut_into_its_phrases(caption: str, expected: list[str]) -> None:
    assert phrases(caption) == expected


@given(st.text())
def test_phrases_are_parts_of_the_caption_and_none_is_empty(caption: str) -> None:
    flat = " ".join(caption.split())
    for phrase in phrases(caption):
        assert phrase.strip()
        assert phrase in flat


def test_both_forms_of_captions_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("O_1.jpg :a red : blue flag\n\n7.jpg :\n")
    (tmp_path / "record.json").write_text(json.dumps({"O_1.jpg": "a flag ", "7.jpg": "a van"}))
    assert read_captions(tmp_path / "lines.txt") == {"O_1": "a red : blue flag", "7": ""}
    assert read_captions(tmp_path / "record.json") == {"O_1": "a flag", "7": "a van"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1.jpg :a van\n2.jpg a flag\n", ":2: not of the form"),
        ("1.jpg :a van\n1.jpg :a flag\n", ":2: a second, different caption for 1.jpg"),
        ('{"1.jpg": "a van"\n"2.jpg": "a flag"}', ":2: "),
        ('{"1.jpg": 3}', "must be a string"),
        ('{"1.jpg": "a van", "1.jpg": "a flag"}', "a second, different caption"),
        ("", "no captions in it"),
    ],
)
def test_a_wrong_captions_file_is_named_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "captions"
    file.write_text(text)
    with pytest.raises(CaptionError) as raised:
        read_captions(file)
    assert str(raised.value).startswith(str(file))
    assert why in str(raised.value)


def test_a_missing_captions_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CaptionError, match="cannot be read"):
        read_captions(tmp_path / "none.txt")


def test_phrases_stand_in_for_objects_and_the_caption_for_the_grid(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1.jpg :aa with bb\n2.jpg :\n")
    extractor = CaptionExtractor([tmp_path / "a.txt"], Letters(), max_objects=3)
    features = extractor.extract(Post("1", ("w",)))
    assert features.grid.tolist() == [[2, 2, 0]]
    assert features.objects.tolist() == [[2, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert features.object_mask.tolist() == [True, True, False]
    assert not features.box_mask.any()
    assert features.image_present
    assert len(CaptionExtractor([tmp_path / "a.txt"], Letters(), 1).extract(Post("1", ("w",))).objects) == 1


def test_a_post_has_the_caption_of_its_image(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1.jpg :a van\n2.jpg :a flag\n3.jpg :\n")
    extractor = CaptionExtractor([tmp_path / "a.txt"], Letters(), max_objects=3)
    assert extractor.key(Post("1", ("w",), image=Path("2.png"))) == extractor.key(Post("2", ("w",)))
    assert extractor.key(Post("1", ("w",))) != extractor.key(Post("2", ("w",)))
    for id in ("3", "4"):
        with pytest.raises(ImageError, match="no caption"):
            extractor.key(Post(id, ("w",)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a.jpg": "\\ud800 man"}', r"captions\.json:1: the caption of a\.jpg holds half a surrogate pair"),
        ("[" * 100_000, r"captions\.json"),
        ('{"a.jpg": ' + "[" * 100_000, r"captions\.json: nested too deep"),
        ('{"a.jpg": ' + "9" * 5000 + "}", r"captions\.json: the caption of 'a\.jpg' must be a string in quotes"),
        ('{"a.jpg": [1' + "0" * 5000 + "]}", r"captions\.json: the caption of 'a\.jpg' must be a string in quotes"),
        ('{"a.jpg": 1e999, "b.jpg": true}', r"the caption of 'a\.jpg' must be a string in quotes"),
        ('{"a.jpg": {"b": "c"}}', r"the caption of 'a\.jpg' must be a string in quotes"),
        ('{"\\ud800.jpg": "a man"}', r"the caption of \\ud800\.jpg holds half a surrogate pair"),
    ],
)
def test_json_that_holds_no_captions_is_one_error(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "captions.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CaptionError, match=message):
        read_captions(file)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_captions_that_are_no_file_are_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "captions.txt"
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")
    with pytest.raises(CaptionError, match=r"captions\.txt: cannot be read \(not a regular file\)"):
        read_captions(file)


def test_a_caption_is_joined_to_its_post_by_forgiving_names(tmp_path: Path) -> None:
    names = ["1.jpg", "2.jpg_large", unicodedata.normalize("NFD", "Café.jpg"), "4.5.jpg"]
    (tmp_path / "a.txt").write_text("".join(f"{name} :caption {i}\n" for i, name in enumerate(names)), "utf-8")
    captions = read_captions(tmp_path / "a.txt")
    posts = [
        Post("1.jpg", ("w",)),
        Post("1", ("w",)),
        Post("x", ("w",), image=Path("1.jpg_orig")),
        Post("2", ("w",)),
        Post(unicodedata.normalize("NFC", "Café"), ("w",)),
        Post("4.5", ("w",)),
    ]
    assert [captions[image_name(post)][-1] for post in posts] == list("000123")


def corpus_of(folder: Path, ids: list[str]) -> Corpus:
    return Corpus("c", folder, tuple(Post(id, (f"w{id}",)) for id in ids), (), (), {})


def test_captions_that_belong_to_no_post_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1.jpg :a van\n8.jpg :a flag\n9.jpg :a cat\n")
    extractor = CaptionExtractor([tmp_path / "a.txt"], Letters(), max_objects=3)
    assert extractor.left_over(corpus_of(tmp_path, ["1", "2"])) == [
        "2 captions belong to no post, the first is that of '8': a caption is named as its image"
    ]
    assert extractor.left_over(corpus_of(tmp_path, ["1", "8", "9"])) == []


def test_a_caption_that_many_posts_have_is_a_placeholder_and_can_be_masked(tmp_path: Path) -> None:
    ids = [str(i) for i in range(200)]
    placeholder = {str(i): "a man on a skateboard in the snow" for i in range(4)}
    usual = {str(i): "a group of people" for i in range(4, 7)}  # 1.5 % of the posts
    lines = [f"{id}.jpg :{(placeholder | usual).get(id, f'the number {id}')}\n" for id in ids]
    (tmp_path / "a.txt").write_text("".join(lines))
    corpus = corpus_of(tmp_path, ids)
    extractor = CaptionExtractor([tmp_path / "a.txt"], Letters(), max_objects=3)
    (sentence,) = extractor.left_over(corpus)
    assert sentence.startswith("4 posts have the caption 'a man on a skateboard in the snow': that of a placeholder")
    source = VisualSource.from_captions(str(tmp_path / "a.txt"))
    kept = FeatureStore.open(corpus, source, tmp_path / "features", encoder=Letters(), progress=False)
    assert kept.missing == []
    source = replace(source, mask_placeholders=True)
    masked = FeatureStore.open(corpus, source, tmp_path / "features", encoder=Letters(), progress=False)
    reason = "a placeholder: 4 posts have the caption 'a man on a skateboard in the snow'"
    assert masked.missing == [(id, reason) for id in placeholder]
    assert not masked["0"].image_present
    assert masked["7"].image_present
    assert masked.folder == kept.folder
