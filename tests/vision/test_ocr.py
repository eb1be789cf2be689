from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from typer import Typer
from typer.testing import CliRunner

from hamner.errors import HamnerError
from hamner.vision import ocr as module
from hamner.vision.captions import phrases, read_captions
from hamner.vision.commands import ocr
from hamner.vision.ocr import MOST_CHARACTERS, OcrError, rapidocr

INSTALLED = all(importlib.util.find_spec(name) for name in ("rapidocr", "onnxruntime"))

app = Typer()
app.command()(ocr)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, colour in (("1.jpg", "red"), ("2.png", "blue"), ("3.webp", "white")):
        Image.new("RGB", (70, 70), colour).save(folder / name)
    (folder / "4.jpg").write_bytes(b"<html>")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def reader(monkeypatch):
    """Reads the same lines from every red and every blue image, and none from others."""

    def read(image):
        red, _, blue = image.getpixel((35, 35))
        return ["ORIENTAL  HOTEL", "\x1b[2JLAGOS", ""] if red > 200 > blue else ["May 21st"] if blue > 200 > red else []

    monkeypatch.setattr(module, "rapidocr", lambda: read)


def invoke(*arguments: str | Path) -> tuple[str, str]:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout, result.stderr


def test_the_words_in_images_become_captions(images, reader, tmp_path):
    said, faults = invoke(images, "--to", tmp_path / "words.json")
    assert read_captions(tmp_path / "words.json") == {"1": "ORIENTAL HOTEL, [2JLAGOS", "2": "May 21st"}
    assert "words in 2 of 4 images" in said
    assert "1 images cannot be read, such as" in faults and "4.jpg" in faults


def test_words_stand_behind_the_caption_of_their_image_and_each_line_is_a_phrase(images, reader, tmp_path):
    (tmp_path / "captions.txt").write_text("1.jpg :a poster of three men.\n3.webp :a wall\n", encoding="utf-8")
    invoke(images, "--to", tmp_path / "both.json", "--captions", tmp_path / "captions.txt")
    both = read_captions(tmp_path / "both.json")
    assert both == {"1": "a poster of three men, ORIENTAL HOTEL, [2JLAGOS", "2": "May 21st", "3": "a wall"}
    assert phrases(both["1"])[:2] == ["a poster of three men", "ORIENTAL HOTEL"]


def test_a_page_full_of_words_is_cut_at_a_line(tmp_path, images):
    words, _ = module.words_in_images([images / "1.jpg"], lambda image: ["word " * 15] * 30)
    (text,) = words.values()
    assert MOST_CHARACTERS - 80 < len(text) <= MOST_CHARACTERS
    assert text.endswith("word") and text.count(",") == 4


def test_a_folder_without_images_and_packages_that_are_missing_are_errors_with_a_remedy(tmp_path, monkeypatch):
    for folder, message in ((tmp_path, "no image in it"), (tmp_path / "none", "cannot be listed")):
        with pytest.raises(HamnerError, match=message):
            CliRunner().invoke(app, [str(folder), "--to", "words.json"], catch_exceptions=False)
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(OcrError, match="pip install rapidocr onnxruntime"):
        rapidocr()


@pytest.mark.skipif(not INSTALLED, reason="rapidocr and onnxruntime are not installed (an extra: hamner[ocr])")
def test_the_real_reader_reads_a_sign():
    image = Image.new("RGB", (480, 160), "white")
    ImageDraw.Draw(image).text((40, 50), "ORIENTAL HOTEL", "black", ImageFont.load_default(48))
    assert rapidocr()(image) == ["ORIENTAL HOTEL"]
    assert rapidocr()(Image.new("RGB", (100, 100))) == []
