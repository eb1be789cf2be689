"""Metadata never cost the image: whatever they hold, the pixels are those of the file without them."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hamner.image_metadata import exif_of, without_metadata
from hamner.images import ImageError, open_image

HALVES = Image.new("RGB", (40, 20), "red")
HALVES.paste("blue", (20, 0, 40, 20))


def saved(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    HALVES.save(buffer, kind, **options)
    return buffer.getvalue()


def png_with(name: bytes, body: bytes, crc: int | None = None) -> bytes:
    """A PNG with a chunk of its own after the header (which takes 33 bytes)."""
    whole = saved("PNG")
    crc = zlib.crc32(name + body) if crc is None else crc
    return whole[:33] + struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc) + whole[33:]


def jpeg_with(marker: int, body: bytes) -> bytes:
    whole = saved("JPEG")
    return whole[:2] + bytes([0xFF, marker]) + struct.pack(">H", 2 + len(body)) + body + whole[2:]


def webp_with(name: bytes, body: bytes, flag: int) -> bytes:
    """A WebP in extended form (RFC 9649), with one chunk of metadata in front of the pixels."""
    pixels = saved("WEBP", lossless=True)[12:]
    body += b"\0" * (len(body) % 2)
    extended = b"VP8X" + struct.pack("<I", 10) + bytes([flag, 0, 0, 0]) + (39).to_bytes(3, "little")
    extended += (19).to_bytes(3, "little")
    chunks = extended + name + struct.pack("<I", len(body)) + body + pixels
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def gif_with(label: int, body: bytes) -> bytes:
    """A GIF with an extension block in front of the image; its global colour table ends where the next block begins."""
    whole = saved("GIF")
    start = 13 + (3 << (whole[10] & 7) + 1)
    blocks = b"".join(bytes([len(body[i : i + 255])]) + body[i : i + 255] for i in range(0, len(body), 255))
    return whole[:start] + bytes([0x21, label]) + blocks + b"\0" + whole[start:]


def tiff_with(tag: int, kind: int, count: int, value: int) -> bytes:
    """A TIFF whose directory, moved to the end of the file, has one entry more."""
    whole = saved("TIFF")
    (place,) = struct.unpack_from("<I", whole, 4)
    (entries,) = struct.unpack_from("<H", whole, place)
    old = [whole[i : i + 12] for i in range(place + 2, place + 2 + 12 * entries, 12)]
    new = sorted(
        [*old, struct.pack("<HHII", tag, kind, count, value)], key=lambda entry: struct.unpack("<H", entry[:2])
    )
    directory = struct.pack("<H", len(new)) + b"".join(new) + bytes(4)
    return whole[:4] + struct.pack("<I", len(whole)) + whole[8:] + directory


BOMB = zlib.compress(bytes(64 * 2**20))  # 64 MiB of zeros in 64 kB
XMP = b"http://ns.adobe.com/xap/1.0/\0"
METADATA = {
    "PNG EXIF that is none": png_with(b"eXIf", b"This is no EXIF"),
    "PNG empty EXIF": png_with(b"eXIf", b""),
    "PNG compressed text that is a bomb": png_with(b"zTXt", b"Comment\0\0" + BOMB),
    "PNG international text that is a bomb": png_with(b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
    "PNG XMP that is a bomb": png_with(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB),
    "PNG colour profile that is a bomb": png_with(b"iCCP", b"sRGB\0\0" + BOMB),
    "PNG colour profile without an end": png_with(b"iCCP", b"sRGB\0\0" + BOMB[:20]),
    "PNG text of many megabytes": png_with(b"tEXt", b"Comment\0" + b"a" * 80 * 2**20),
    "PNG text with a wrong checksum": png_with(b"tEXt", b"Comment\0hello", crc=1),
    "PNG raw profile that is no hexadecimal": png_with(b"tEXt", b"Raw profile type exif\0\nexif\n 9\nzz"),
    "PNG short gamma": png_with(b"gAMA", b"\0"),
    "PNG short size": png_with(b"pHYs", b"\0"),
    "PNG short primaries": png_with(b"cHRM", b"\0\0"),
    "JPEG EXIF that is none": jpeg_with(0xE1, b"Exif\0\0This is no EXIF"),
    "JPEG EXIF that points past its end": jpeg_with(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "JPEG EXIF of one byte": jpeg_with(0xE1, b"Exif\0\0I"),
    "JPEG XMP that is none": jpeg_with(0xE1, XMP + b'\xff tiff:Orientation="9"'),
    "JPEG colour profile without its parts": jpeg_with(0xE2, b"ICC_PROFILE\0\x09\x01abc"),
    "JPEG short colour profile": jpeg_with(0xE2, b"ICC_PROFILE\0"),
    "JPEG list of images that is none": jpeg_with(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff"),
    "JPEG Photoshop block that is none": jpeg_with(0xED, b"Photoshop 3.0\0" + b"8BIM\x03\xed\xff"),
    "JPEG comment that is no text": jpeg_with(0xFE, bytes(range(256)) * 255),
    "JPEG short JFIF": jpeg_with(0xE0, b"JFIF\0"),
    "JPEG short Adobe": jpeg_with(0xEE, b"Adobe\0"),
    "WEBP EXIF that is none": webp_with(b"EXIF", b"This is no EXIF", 8),
    "WEBP colour profile that is none": webp_with(b"ICCP", b"This is no profile", 32),
    "WEBP XMP that is none": webp_with(b"XMP ", b"<x", 4),
    "GIF comment of many blocks": gif_with(0xFE, b"comment" * 200_000),
    "GIF application data": gif_with(0xFF, b"XMP DataXMP" + b"x" * 1000),
    "GIF short application data": gif_with(0xFF, b"NETSCAPE2.0"),
    "TIFF EXIF directory beyond the file": tiff_with(34665, 4, 1, 0xFFFFFFF0),
    "TIFF EXIF directory of text": tiff_with(34665, 2, 4, 0x41414141),
    "TIFF description of 4 GB": tiff_with(270, 2, 0xFFFFFFFF, 8),
    "TIFF resolution of text": tiff_with(282, 2, 4, 0x41414141),
    "TIFF unit of text": tiff_with(296, 2, 4, 0x41414141),
    "TIFF colour profile of one number": tiff_with(34675, 3, 1, 7),
}


def is_halves(image: Image.Image) -> bool:
    expected = np.asarray(HALVES).astype(int)
    return image.size == HALVES.size and np.abs(np.asarray(image).astype(int) - expected)[:, 2:-2].mean() < 12


@pytest.mark.parametrize("name", METADATA)
def test_damaged_or_huge_metadata_leave_the_pixels(name: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(METADATA[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_halves(open_image(path))


@pytest.mark.parametrize("name", METADATA)
def test_what_is_cut_out_leaves_a_file_that_opens_to_the_same_pixels(name: str) -> None:
    with Image.open(io.BytesIO(without_metadata(METADATA[name]))) as image:
        assert is_halves(image.convert("RGB"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_file_without_metadata_loses_nothing_by_the_cut(kind: str) -> None:
    whole = saved(kind, **({"lossless": True} if kind == "WEBP" else {}))
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in (whole, without_metadata(whole))]
    assert np.array_equal(np.asarray(images[0]), np.asarray(images[1]))


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "png exif": lambda data: png_with(b"eXIf", data),
    "png text": lambda data: png_with(b"tEXt", data),
    "png compressed text": lambda data: png_with(b"zTXt", data),
    "png international text": lambda data: png_with(b"iTXt", data),
    "png profile": lambda data: png_with(b"iCCP", data),
    "jpeg exif": lambda data: jpeg_with(0xE1, b"Exif\0\0" + data),
    "jpeg exif with a header": lambda data: jpeg_with(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + data),
    "jpeg xmp": lambda data: jpeg_with(0xE1, XMP + data),
    "jpeg profile": lambda data: jpeg_with(0xE2, b"ICC_PROFILE\0" + data),
    "jpeg images": lambda data: jpeg_with(0xE2, b"MPF\0" + data),
    "jpeg photoshop": lambda data: jpeg_with(0xED, b"Photoshop 3.0\0" + data),
    "jpeg comment": lambda data: jpeg_with(0xFE, data),
    "webp exif": lambda data: webp_with(b"EXIF", data, 8),
    "webp profile": lambda data: webp_with(b"ICCP", data, 32),
    "gif comment": lambda data: gif_with(0xFE, data),
    "gif application": lambda data: gif_with(0xFF, data),
}


@settings(max_examples=400, deadline=None)
@given(form=st.sampled_from(sorted(FORMS)), data=st.binary(max_size=200))
def test_no_bytes_of_metadata_cost_the_image(form: str, data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any metadata"
    path.write_bytes(FORMS[form](data))
    image = open_image(path)
    assert sorted(image.size) == [20, 40]  # these bytes can be a proper orientation


def damaged_exif(orientation: int) -> bytes:
    """An EXIF block whose orientation can be read and whose resolution is text, which Pillow cannot write back."""
    entries = [(0x0112, 3, 1, orientation), (0x011A, 2, 4, 0x41414141), (0x0128, 2, 4, 0x41414141)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + directory + bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        jpeg_with(0xE1, b"Exif\0\0" + damaged_exif(6)),
        png_with(b"eXIf", damaged_exif(6)),
        webp_with(b"EXIF", damaged_exif(6), 8),
    ],
    ids=["jpeg", "png", "webp"],
)
def test_an_orientation_that_can_be_read_turns_the_image_whatever_stands_beside_it(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(data)
    image = open_image(path)
    assert image.size == (20, 40)
    red, _, blue = image.getpixel((10, 4))  # type: ignore[misc]
    assert red > 200 > 50 > blue


def test_the_orientation_stays_when_other_metadata_have_to_be_cut_out(tmp_path: Path) -> None:
    turned = png_with(b"eXIf", damaged_exif(6))
    bomb = png_with(b"zTXt", b"Comment\0\0" + BOMB)
    path = tmp_path / "image"
    path.write_bytes(bomb[: -len(saved("PNG")) + 33] + turned[33:])
    assert open_image(path).size == (20, 40)
    assert exif_of(path.read_bytes()) == damaged_exif(6)


def test_every_orientation_is_undone(tmp_path: Path) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        HALVES.save(tmp_path / "a.png", exif=exif)
        assert open_image(tmp_path / "a.png").size == ((40, 20) if orientation < 5 else (20, 40))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(value: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    HALVES.save(tmp_path / "a.png", exif=exif)
    assert open_image(tmp_path / "a.png").size == (40, 20)


def test_damaged_pixels_stay_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(png_with(b"zTXt", b"Comment\0\0" + BOMB)[:-30])
    with pytest.raises(ImageError, match=r"image\.png: a damaged or unsupported image"):
        open_image(path)


def test_pillow_says_nothing_on_standard_error_also_from_several_threads(tmp_path: Path) -> None:
    code = """
import sys, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from hamner.images import open_image
before = list(warnings.filters)
with ThreadPoolExecutor(8) as threads:
    list(threads.map(open_image, sorted(Path(sys.argv[1]).iterdir()) * 20))
assert warnings.filters == before
warnings.warn("heard")
"""
    for number, data in enumerate(
        [jpeg_with(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40), tiff_with(270, 2, 0xFFFFFFFF, 8)]
    ):
        (tmp_path / str(number)).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code, tmp_path], capture_output=True, text=True, check=True
    )
    assert [line for line in done.stderr.splitlines() if "Warning" in line] == ["<string>:10: UserWarning: heard"]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda file: open_image(file).mode, sorted(tmp_path.iterdir()))) == ["RGB", "RGB"]
