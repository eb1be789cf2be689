from __future__ import annotations

import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hamner.images import MAX_PIXELS, image_sha256
from hamner.vision import ImageError, open_image

HALVES = Image.new("RGB", (40, 20), "red")
HALVES.paste("blue", (20, 0, 40, 20))


def test_a_plain_image_keeps_its_pixels(tmp_path: Path) -> None:
    HALVES.save(tmp_path / "a.png")
    image = open_image(tmp_path / "a.png")
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), np.asarray(HALVES))


def test_a_image_that_its_exif_data_turns_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    HALVES.save(tmp_path / "a.png", exif=exif)
    image = open_image(tmp_path / "a.png")
    assert image.size == (20, 40)
    assert image.getpixel((10, 5)) == (255, 0, 0)
    assert image.getpixel((10, 35)) == (0, 0, 255)


def test_transparent_parts_turn_white(tmp_path: Path) -> None:
    image = HALVES.convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 20, 20))
    image.save(tmp_path / "rgba.png")
    assert open_image(tmp_path / "rgba.png").getpixel((5, 5)) == (255, 255, 255)
    assert open_image(tmp_path / "rgba.png").getpixel((30, 5)) == (0, 0, 255)
    Image.new("LA", (4, 4), (0, 0)).save(tmp_path / "la.png")
    assert open_image(tmp_path / "la.png").getpixel((0, 0)) == (255, 255, 255)


def test_the_transparent_colour_of_a_palette_turns_white(tmp_path: Path) -> None:
    palette = HALVES.quantize(2)
    red = palette.getpixel((0, 0))
    palette.save(tmp_path / "a.png", transparency=red)
    assert open_image(tmp_path / "a.png").getpixel((0, 0)) == (255, 255, 255)
    assert open_image(tmp_path / "a.png").getpixel((30, 0)) == (0, 0, 255)


@pytest.mark.parametrize(
    ("mode", "value"), [("L", 128), ("1", 1), ("P", 128), ("CMYK", (0, 0, 0, 127)), ("YCbCr", (128,) * 3)]
)
def test_other_kinds_of_colour_become_rgb(tmp_path: Path, mode: str, value: int | tuple[int, ...]) -> None:
    image = Image.new(mode, (8, 8), value)
    if mode == "P":
        image.putpalette([level for level in range(256) for _ in range(3)])
    image.save(tmp_path / "a.tiff")
    opened = open_image(tmp_path / "a.tiff")
    assert opened.mode == "RGB"
    assert opened.getpixel((0, 0)) == pytest.approx((255,) * 3 if mode == "1" else (128,) * 3, abs=1)


def test_a_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert open_image(tmp_path / "a.jpg").getpixel((8, 8)) == pytest.approx((255, 0, 0), abs=40)


def test_sixteen_bit_grey_is_scaled_and_not_clipped_to_white(tmp_path: Path) -> None:
    levels = np.array([[0, 257 * 100, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    assert np.asarray(open_image(tmp_path / "a.png"))[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_an_animated_image_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert open_image(tmp_path / f"a.{suffix}").getpixel((4, 4)) == (255, 0, 0)


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header promises an image of this size, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(50_000, 50_000), (50_000, 2_000), (MAX_PIXELS // 1000 + 1, 1000)])
def test_a_image_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(*size))
    started = time.perf_counter()
    with pytest.raises(ImageError, match=r"bomb\.png: .*more than the 50,000,000"):
        open_image(tmp_path / "bomb.png")
    assert time.perf_counter() - started < 0.5


def test_a_image_that_is_wide_but_small_is_opened(tmp_path: Path) -> None:
    Image.new("RGB", (50_000, 2)).save(tmp_path / "wide.png")
    assert open_image(tmp_path / "wide.png").size == (50_000, 2)


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / "bad.jpg"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    if kind == "truncated":
        buffer = io.BytesIO()
        noise.save(buffer, "JPEG")
        path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    elif kind == "text":
        path.write_text("<html>404 Not Found</html>")
    elif kind == "postscript":
        noise.save(path, "EPS")
    elif kind == "floats":
        Image.fromarray(np.ones((4, 4), np.float32)).save(path, "TIFF")
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("truncated", "damaged or unsupported"),
        ("text", "not an image"),
        ("postscript", "not an image"),
        ("floats", "damaged or unsupported"),
        ("empty", "an empty file"),
        ("folder", "not a file"),
        ("pipe", "not a file"),
        ("missing", "No such file"),
    ],
)
def test_what_is_no_image_ends_in_one_sentence_that_names_the_file(tmp_path: Path, kind: str, why: str) -> None:
    path = bad_file(tmp_path, kind)
    with pytest.raises(ImageError) as raised:
        open_image(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert why in message
    assert "\n" not in message


def test_a_name_that_no_file_can_have_is_an_image_error() -> None:
    with pytest.raises(ImageError):
        open_image("a\0b.png")


def test_a_image_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        HALVES.save(tmp_path / name)
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes() + b"\0")
    assert image_sha256(tmp_path / "a.png") == image_sha256(tmp_path / "b.png") != image_sha256(tmp_path / "c.png")


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    HALVES.save(buffer, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}))
    return buffer.getvalue()


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8),
    kept=st.floats(0, 1),
)
def test_a_damaged_image_either_opens_or_is_an_image_error(
    tmp_path_factory: pytest.TempPathFactory, kind: str, changes: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(encoded(kind))
    for place, value in changes:
        data[int(place * len(data))] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data[: 1 + int(kept * len(data))])
    try:
        result = open_image(path).mode
    except ImageError as error:
        result = str(error)
    assert result == "RGB" or (result.startswith(f"{path}: ") and "\n" not in result)
