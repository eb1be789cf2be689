from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hamner.vision.features import VisualSource
from hamner.vision.objects import (
    AnnotationError,
    Annotations,
    DetectionError,
    ImageObject,
    MaskRCNN,
    NoObjects,
    Objects,
    Tiles,
    crop,
    kept,
    object_finder,
    read_annotations,
)

BLANK = Image.new("RGB", (100, 50))
DOG = {"box": [0.1, 0.2, 0.5, 0.6], "class": "dog", "score": 0.9}
CAT = {"box": [0, 0, 1, 1], "class": "cat", "score": 0.95}


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "annotations.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_annotations_give_the_best_objects_first(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        {"image": "a.png", "objects": [DOG, CAT, {**DOG, "score": 0.1}]},
        "",
        {"image": "b.png", "objects": []},
    )
    finder = Annotations(file, max_objects=2)
    assert finder.class_names == ("(none)", "cat", "dog")
    found = finder.find(tmp_path / "a.png", BLANK)
    assert found.classes.tolist() == [1, 2]
    assert found.scores.tolist() == pytest.approx([0.95, 0.9])
    assert found.boxes == pytest.approx(np.array([[0, 0, 1, 1], [0.1, 0.2, 0.5, 0.6]]))
    assert finder.find(tmp_path / "b.png", BLANK).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "not of the form"),
        ({"objects": []}, "not of the form"),
        ({"image": "b.png"}, '"objects" must be a list'),
        ({"image": "a.png", "objects": []}, "the image a.png is there twice"),
        ({"image": "b.png", "objects": [{"box": [0, 0, 1, 1]}]}, 'an object needs "box", "class"'),
        ({"image": "b.png", "objects": [{**DOG, "box": [0, 0, 1]}]}, '"box" must be [x1, y1, x2, y2]'),
        ({"image": "b.png", "objects": [{**DOG, "box": [0, 0, 224, 224]}]}, '"box" must be [x1, y1, x2, y2]'),
        ({"image": "b.png", "objects": [{**DOG, "box": [0, 0, float("nan"), 1]}]}, '"box" must be [x1, y1, x2, y2]'),
        ({"image": "b.png", "objects": [{**DOG, "box": [0.5, 0, 0.5, 1]}]}, "x1 < x2"),
        ({"image": "b.png", "objects": [{**DOG, "score": 97}]}, '"score" must be from 0 to 1'),
        ({"image": "b.png", "objects": [{"box": [0, 0, 1, 1], "class": "dog"}]}, '"score" must be from 0 to 1'),
        ({"image": "b.png", "objects": [{**DOG, "score": True}]}, '"score" must be from 0 to 1, not true'),
        ({"image": "b.png", "objects": [{**DOG, "score": float("nan")}]}, '"score" must be from 0 to 1'),
        ({"image": "b.png", "objects": [{**DOG, "score": "0.5"}]}, '"score" must be from 0 to 1'),
        ({"image": "b.png", "objects": [{**DOG, "score": 10**4000}]}, '"score" must be from 0 to 1'),
        ({"image": "b.png", "objects": [{**DOG, "box": [False, False, True, True]}]}, '"box" must be [x1, y1, x2, y2]'),
        ({"image": "b.png", "objects": [{**DOG, "box": [0, 0, 1, -(10**4000)]}]}, '"box" must be [x1, y1, x2, y2]'),
        ('{"image": "b.png", "objects": [{"box": [0, 0, 1, 1], "class": "dog", "score": 1' + "0" * 5000 + "}]}", ""),
        ('{"image": "b.png", "objects": [{"box": [0, 0, 1, 1], "class": "dog", "score": 1e999}]}', '"score" must be'),
        ('{"image": "b.png", "objects": [{"box": [0, 0, 1, 1], "class": "\\ud800", "score": 1}]}', "half a surrogate"),
        ({"image": "b.png", "objects": [{**DOG, "class": 3}]}, 'an object needs "box", "class"'),
    ],
)
def test_a_wrong_annotation_is_named_by_file_and_line(tmp_path: Path, line: Any, why: str) -> None:
    file = write(tmp_path, {"image": "a.png", "objects": [DOG]}, line)
    with pytest.raises(AnnotationError) as raised:
        Annotations(file, max_objects=2)
    assert str(raised.value).startswith(f"{file}:2: ")
    assert why in str(raised.value)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_annotations_that_are_no_file_are_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "annotations.jsonl"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.mkdir()
    with pytest.raises(AnnotationError, match=r"annotations\.jsonl: cannot be read"):
        Annotations(file, max_objects=2)


@pytest.mark.parametrize("score", [-0.1, 1.5, 97.0, float("nan"), float("inf")])
def test_scores_of_a_detector_outside_0_to_1_are_refused(score: float) -> None:
    with pytest.raises(DetectionError, match="score must be from 0 to 1, not"):
        Objects(np.array([[0, 0, 1, 1]], np.float32), np.array([1], np.int32), np.array([score], np.float32))


@pytest.mark.parametrize("box", [(0, 0, 224, 224), (0.5, 0, 0.2, 1), (0, float("nan"), 1, 1), (-0.1, 0, 1, 1)])
def test_boxes_of_a_detector_beyond_the_image_are_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(DetectionError, match="box must be x1, y1, x2, y2 from 0 to 1"):
        Objects.of([ImageObject(box, "dog", 0.5)], ("(none)", "dog"), 5)


def test_a_detector_whose_weights_are_nan_gives_no_objects_but_an_error(tmp_path: Path) -> None:
    class Broken(torch.nn.Module):
        def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
            nan = float("nan")
            boxes = torch.tensor([[0.0, 0.0, nan, 9.0], [0.0, 0.0, 9.0, 9.0]])
            return [{"boxes": boxes, "labels": torch.tensor([1, 2]), "scores": torch.tensor([0.9, nan])}]

    finder = MaskRCNN(max_objects=3, min_score=0.0, weights="random", seed=0)
    finder.network = Broken()
    with pytest.raises(DetectionError):
        finder.find(tmp_path, BLANK)


def test_what_is_kept_says_which_object_a_row_of_the_features_is() -> None:
    scores = (0.5, 0.9, 0.1, 0.5)
    found = [ImageObject((0.0, 0.0, 0.2 * n, 1.0), "dog", score) for n, score in enumerate(scores, start=1)]
    numbers = kept(found, 3)
    assert numbers == [1, 0, 3]  # of equal scores the first
    objects = Objects.of(found, ("(none)", "dog"), 3)
    assert np.allclose(objects.boxes, [found[number].box for number in numbers])


def test_a_image_that_the_annotations_leave_out_is_an_error(tmp_path: Path) -> None:
    finder = Annotations(write(tmp_path, {"image": "a.png", "objects": [DOG]}), max_objects=2)
    with pytest.raises(AnnotationError, match=r"no line for the image b\.png"):
        finder.known(tmp_path / "b.png")


def test_annotations_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "annotations.jsonl"
    file.write_text('{"image": "1.jpg", "objects": []}\n', encoding="utf-8-sig")
    assert read_annotations(file) == {"1.jpg": []}


def test_missing_annotations_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="no such file; write one, or take objects from tiles"):
        object_finder(VisualSource(objects="annotations"), tmp_path)


def test_tiles_are_four_quarters_and_the_centre(tmp_path: Path) -> None:
    found = Tiles(5).find(tmp_path, BLANK)
    assert {Tiles.class_names[id] for id in found.classes} == {"tile"}
    assert found.scores.tolist() == [1] * 5
    sizes = [crop(BLANK, box).size for box in found.boxes]
    assert sizes == [(55, 28), (55, 28), (55, 28), (55, 28), (60, 30)]  # the centre alone has its margin all round
    areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1)
    assert areas.tolist() == [0.25] * 5
    assert len(np.unique(found.boxes, axis=0)) == 5
    assert len(Tiles(3).find(tmp_path, BLANK).boxes) == 3


def test_none_finds_nothing(tmp_path: Path) -> None:
    assert len(NoObjects().find(tmp_path, BLANK).boxes) == 0


def test_mask_rcnn_gives_boxes_within_the_image_and_classes_of_coco(tmp_path: Path) -> None:
    finder = MaskRCNN(max_objects=3, min_score=0.0, weights="random", seed=0)
    finder.network.transform.min_size = (64,)  # a small image stays small: this test is not about speed
    finder.network.rpn._pre_nms_top_n = finder.network.rpn._post_nms_top_n = {"training": 50, "testing": 50}
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    found = finder.find(tmp_path, noise)
    assert 0 < len(found.boxes) <= 3
    assert ((found.boxes >= 0) & (found.boxes <= 1)).all()
    assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
    assert (np.diff(found.scores) <= 0).all()
    assert (finder.class_names[1], finder.class_names[90]) == ("person", "toothbrush")
    assert set(found.classes.tolist()) <= set(range(1, 91))
    again = finder.find(tmp_path, noise)
    assert np.array_equal(found.boxes, again.boxes)
    finder.network.roi_heads.score_thresh = 1.0
    assert len(finder.find(tmp_path, noise).boxes) == 0


shares = st.floats(0, 1, width=32)


sides = st.integers(1, 300)


@given(x=st.tuples(shares, shares), y=st.tuples(shares, shares), size=st.tuples(sides, sides))
def test_a_crop_lies_within_the_image_and_covers_its_box(
    x: tuple[float, float], y: tuple[float, float], size: tuple[int, int]
) -> None:
    width, height = size
    columns = np.broadcast_to(np.arange(width), (height, width))
    rows = np.broadcast_to(np.arange(height)[:, None], (height, width))
    pixels = np.stack([columns % 256, rows % 256, columns // 256 + 2 * (rows // 256)], -1)  # each says where it is
    image = Image.fromarray(pixels.astype(np.uint8))
    (x1, x2), (y1, y2) = sorted(x), sorted(y)
    cut = np.asarray(crop(image, (x1, y1, x2, y2))).astype(int)
    found_columns, found_rows = cut[..., 0] + 256 * (cut[..., 2] % 2), cut[..., 1] + 256 * (cut[..., 2] // 2)
    assert cut.size > 0
    assert found_columns.min() <= x1 * width
    assert found_columns.max() + 1 >= x2 * width
    assert found_rows.min() <= y1 * height
    assert found_rows.max() + 1 >= y2 * height
    assert cut.shape[1] <= 1.2 * (x2 - x1) * width + 2
    assert cut.shape[0] <= 1.2 * (y2 - y1) * height + 2
