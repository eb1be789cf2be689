"""Opening images from anywhere: an upright 8-bit RGB image, or one sentence that says why not."""

from __future__ import annotations

import re
import stat
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from hamner.errors import HamnerError
from hamner.files import file_sha256

MAX_PIXELS = 50_000_000
"""Larger images are refused before a pixel is decoded: 50 million take 150 MB in RGB."""

TOO_LARGE = f"more than the {MAX_PIXELS:,} that are decoded; make the image smaller"

ImageInput = str | Path | Image.Image
"""What may be given as an image: a file's path, or a PIL image."""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
"""What images on the web come in. Pillow knows more, some of which start other programs (EPS starts Ghostscript)."""

# What Pillow's decoders raise on damaged files; an OSError covers truncated files and those that are no images.
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


class ImageError(HamnerError):
    """A file cannot be used as an image; the message names the file and says why."""


def open_image(path: Path | str, least: int | None = None) -> Image.Image:
    """The image in `path` as `as_rgb` makes it; of an animated one the first frame.

    With `least`, a JPEG may come smaller, with at least so many pixels a side: that is faster and meets every byte.

    Raises ImageError when the file is missing, is no image in one of FORMATS, is damaged or cut short, or has more
    than MAX_PIXELS pixels (which its header says, so that nothing is decoded).
    """
    path = Path(path)
    _require_file(path)
    try:
        with warnings.catch_warnings():
            # Our own limit is below the size at which Pillow warns.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise ImageError(f"{path}: {width} x {height} pixels, {TOO_LARGE}")
                if least is not None:
                    image.draft("RGB", (least, least))
                return as_rgb(image)
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{path}: not an image in a known format ({', '.join(FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: {TOO_LARGE}") from error
    except DECODER_ERRORS as error:
        raise ImageError(f"{path}: a damaged or unsupported image ({error or type(error).__name__})") from error


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
        return as_rgb(image)
    except DECODER_ERRORS as error:
        raise ImageError(f"the image given cannot be used ({error or type(error).__name__})") from error


def as_rgb(image: Image.Image) -> Image.Image:
    """`image` upright (EXIF orientation), 8-bit RGB, transparent parts on white.

    Raises ValueError for pixels that are no colours (floating-point or Lab).
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # Pillow keeps 16-bit grey as integers, and its own conversion would clip all above 255 to white.
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    elif image.mode in ("F", "LAB"):
        raise ValueError(f"pixels of mode {image.mode} are not supported")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def image_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes, which it is known by. Raises ImageError when it cannot be read."""
    _require_file(path)
    try:
        return file_sha256(path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error


def _require_file(path: Path) -> None:
    # Asked beforehand, because opening a named pipe would wait for ever.
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise ImageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path}: not a file")
    if status.st_size == 0:
        raise ImageError(f"{path}: an empty file")
