from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hamner.vision import focus
from hamner.vision.features import VisualSource
from hamner.vision.focus import Focus, FocusError, salient
from hamner.vision.objects import object_finder

INSTALLED = all(importlib.util.find_spec(name) for name in ("img_focus", "onnxruntime"))


def importance(*parts: tuple[slice, slice, float]) -> np.ndarray:
    found = np.full((100, 200), 0.1, np.float32)
    for rows, columns, value in parts:
        found[rows, columns] = value
    return found


def test_a_part_that_stands_out_is_a_box_with_the_mean_inside_as_its_score():
    (one,) = salient(importance((slice(20, 60), slice(40, 80), 0.9)))
    assert one.box == pytest.approx((0.2, 0.2, 0.4, 0.6))
    assert (one.name, one.score) == ("salient", pytest.approx(0.9))


def test_a_face_has_a_box_within_that_of_its_figure():
    figure, face = (slice(10, 90), slice(50, 150), 0.6), (slice(10, 40), slice(80, 120), 0.9)
    found = sorted(salient(importance(figure, face)), key=lambda one: one.score)
    assert [one.box for one in found] == [
        pytest.approx((0.25, 0.1, 0.75, 0.9)),
        pytest.approx((0.4, 0.1, 0.6, 0.4)),
    ]


def test_two_parts_are_two_boxes_and_specks_and_flat_maps_are_none():
    apart = importance((slice(0, 30), slice(0, 30), 0.9), (slice(60, 90), slice(100, 150), 0.8))
    assert len(salient(apart)) == 2
    assert salient(importance((slice(0, 9), slice(0, 11), 0.9))) == []
    assert len(salient(importance((slice(0, 10), slice(0, 10), 0.9)))) == 1
    assert salient(np.full((9, 9), 0.5, np.float32)) == []


def test_of_boxes_that_are_nearly_one_the_highest_level_stays():
    (one,) = salient(importance((slice(10, 90), slice(10, 110), 0.6), (slice(12, 90), slice(10, 110), 0.9)))
    assert one.box[1] == pytest.approx(0.12)


class Session:
    """A network for which the brightness of a pixel is its importance."""

    def get_inputs(self):
        return [SimpleNamespace(name="image")]

    def run(self, _, given):
        (pixels,) = given["image"]
        assert pixels.dtype == np.float32 and pixels.shape == (3, 224, 224)
        return [(pixels * focus.STD[:, None, None] + focus.MEAN[:, None, None]).mean(0)[None, None]]


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (640, 640), (224, 7)])
def test_boxes_are_shares_of_the_image_whatever_its_shape(size, monkeypatch, tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"")
    monkeypatch.setattr(focus, "_weights", lambda: weights)
    monkeypatch.setattr(focus, "_session", lambda file: Session())
    image = Image.new("RGB", size)
    width, height = size
    ImageDraw.Draw(image).rectangle([width * 0.25, 0, width * 0.75 - 1, height - 1], fill="white")
    finder = object_finder(VisualSource(objects="img-focus"), tmp_path)
    assert isinstance(finder, Focus)
    found = finder.find(Path(), image)
    assert found.boxes == pytest.approx(np.array([[0.25, 0, 0.75, 1]]), abs=0.02)
    assert found.classes.tolist() == [1]
    assert found.scores == pytest.approx([1], abs=0.02)
    assert finder.identity["objects"] == "img-focus" and len(finder.identity["weights"]) == 64
    assert finder.known(Path()) == ""


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "img_focus", None)
    with pytest.raises(FocusError, match="pip install img-focus onnxruntime"):
        Focus(8)
    monkeypatch.setattr(focus, "_weights", lambda: Path("weights"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(FocusError, match="pip install onnxruntime"):
        Focus(8)


@pytest.mark.skipif(not INSTALLED, reason="img-focus and onnxruntime are not installed (an extra: hamner[objects])")
def test_the_real_network_finds_the_one_thing_in_an_image():
    image = Image.new("RGB", (320, 240), "seagreen")
    draw = ImageDraw.Draw(image)
    draw.ellipse([200, 60, 280, 180], fill="orange", outline="black", width=4)
    finder = Focus(8)
    boxes = finder.find(Path(), image).boxes
    assert len(boxes) >= 1
    x1, y1, x2, y2 = boxes[0]
    assert x1 < 240 / 320 < x2 and y1 < 120 / 240 < y2
    assert (finder.find(Path(), image).boxes == boxes).all()
