"""Opening images from anywhere: an upright 8-bit RGB image, or one sentence that says why not."""

from __future__ import annotations

import logging
import re
import stat
import struct
import threading
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from hamner.errors import HamnerError
from hamner.files import file_sha256
from hamner.image_metadata import exif_of, without_metadata

MAX_PIXELS = 50_000_000
"""Larger images are refused before a pixel is decoded: 50 million take 150 MB in RGB."""

MAX_BYTES = 4 * 3 * MAX_PIXELS
"""A larger file is not opened a second time without its metadata."""

TOO_LARGE = f"more than the {MAX_PIXELS:,} that are decoded; make the image smaller"

ImageInput = str | Path | Image.Image
"""What may be given as an image: a file's path, or a PIL image."""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
"""What images on the web come in. Pillow knows more, some of which start other programs (EPS starts Ghostscript)."""

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else its messages would go to standard error

# What Pillow's decoders raise on damaged files; OSError covers truncated files and files that are no images.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns such an image upright (Exif 2.32, tag 0x0112)."""


class ImageError(HamnerError):
    """A file cannot be used as an image; the message names the file and says why."""


class _PillowSilent:
    """While any thread is inside, Pillow's warnings (damaged EXIF, large images) do not reach standard error.

    `warnings.catch_warnings` alone is not enough: threads that leave in another order than they entered would put
    back each other's filters.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\b")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_PILLOW_SILENT = _PillowSilent()


def open_image(path: Path | str, least: int | None = None) -> Image.Image:
    """The image in a file, as `as_rgb` makes it; the first frame of an animated one. Metadata never cost the image.

    Args:
        path: The file.
        least: A JPEG may then come smaller, with at least `least` pixels a side: faster, and every byte is still read.

    Raises ImageError when the file is missing, is no image in one of FORMATS, is damaged or cut short, or has more
    than MAX_PIXELS pixels (its header says so: nothing is decoded).
    """
    path = Path(path)
    require_image_file(path)
    with _PILLOW_SILENT:
        try:
            return _decoded(path, least)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from error
        except DECODER_ERRORS as error:
            # Damaged metadata end Pillow's opening: the pixels get a second chance without them.
            if (image := _opened_without_metadata(path, least)) is not None:
                return image
            if isinstance(error, Image.UnidentifiedImageError):
                raise ImageError(f"{path}: not an image in a known format ({', '.join(FORMATS)})") from error
            if isinstance(error, Image.DecompressionBombError):
                raise ImageError(f"{path}: {TOO_LARGE}") from error
            raise ImageError(f"{path}: a damaged or unsupported image ({error or type(error).__name__})") from error


def _decoded(file: Path | BytesIO, least: int | None, exif: bytes = b"") -> Image.Image:
    """The RGB image in `file`; `exif` says how to turn it where the file itself does not."""
    with Image.open(file, formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageError(f"{width} x {height} pixels, {TOO_LARGE}")
        if least is not None:
            image.draft("RGB", (least, least))
        if exif:
            image.info["exif"] = exif
        return as_rgb(image)


def _opened_without_metadata(path: Path, least: int | None) -> Image.Image | None:
    """The image in `path` when its metadata alone are damaged, else None."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        data = path.read_bytes()
        bare = without_metadata(data)
        return None if bare == data else _decoded(BytesIO(bare), least, exif_of(data))
    except (ImageError, *DECODER_ERRORS):
        return None


def load_image(image: ImageInput) -> Image.Image:
    """The image in a file, or given as a PIL image, upright in RGB. Raises ImageError when it cannot be used."""
    if isinstance(image, str | Path):
        if re.match(r"\w\w+:/", str(image)):
            raise ImageError(f"{image}: only local files can be read; download it first")
        return open_image(image)
    if not isinstance(image, Image.Image):
        raise ImageError(f"an image is a file's path or a PIL image, not a {type(image).__name__}")
    if not image.width * image.height:
        raise ImageError("the image given has no pixels")
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"the image given: {image.width} x {image.height} pixels, {TOO_LARGE}")
    try:
        with _PILLOW_SILENT:
            return as_rgb(image)
    except DECODER_ERRORS as error:
        raise ImageError(f"the image given cannot be used ({error or type(error).__name__})") from error


def as_rgb(image: Image.Image) -> Image.Image:
    """`image` upright (EXIF orientation, where it can be read), 8-bit RGB, transparent parts on white.

    Raises ValueError for pixels that are no colours (floating-point or Lab).
    """
    if (turn := _turn(image)) is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I"):
        # Pillow keeps 16-bit grey as integers, and its own conversion would clip all above 255 to white.
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    elif image.mode in ("F", "LAB"):
        raise ValueError(f"pixels of mode {image.mode} are not supported")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What turns the image upright; None if nothing is to be done or the metadata cannot be read."""
    image.load()
    try:
        orientation: Any = image.getexif().get(ExifTags.Base.Orientation)
        return TURNS.get(orientation)
    except Exception:  # metadata hold anything, and Pillow raises anything
        return None


def image_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes, which it is known by. Raises ImageError when it cannot be read."""
    require_image_file(path)
    return file_sha256(path, ImageError)


def require_image_file(path: Path) -> None:
    """Raise ImageError unless `path` is a file with bytes in it."""
    # Asked beforehand, because opening a named pipe would wait for ever.
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise ImageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path}: not a file")
    if status.st_size == 0:
        raise ImageError(f"{path}: an empty file")
