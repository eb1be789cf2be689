"""Image files without their metadata: EXIF, XMP, comments, colour profiles and text are cut out, no pixel is touched.

Pillow reads metadata while it opens a file, and a fault there ends the opening. A photo whose metadata are damaged has
whole pixels, so `hamner.images` opens such a file again from these bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

PNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
"""The chunks of a PNG file that its first image depends on."""

WEBP_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})
"""The chunks of a WebP file that its images depend on."""

WEBP_METADATA_FLAGS = 0x20 | 0x08 | 0x04
"""The flags in a VP8X chunk that promise a colour profile, EXIF and XMP."""

TIFF_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320}
    | {322, 323, 324, 325, 332, 338, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532}
)
"""The tags of a TIFF file that its pixels and their orientation (274) depend on (TIFF 6.0, appendix A)."""

_APP0, _APP14, _APP15, _COM, _SOS = 0xE0, 0xEE, 0xEF, 0xFE, 0xDA
JPEG_COLOURS = MappingProxyType({_APP0: 14, _APP14: 12})
"""The JPEG segments that say which colours the numbers mean (JFIF, Adobe) -> bytes that libjpeg needs of them."""

_EXIF_HEADER = b"Exif\0\0"


def without_metadata(data: bytes) -> bytes:
    """The bytes of an image file without metadata; `data` as it is for a format that this module does not know.

    A TIFF file keeps its orientation tag; that of other formats is in `exif_of`. A file that breaks off keeps its
    damage: decoding it fails as before.
    """
    for signature, cut in _CUTS.items():
        if data.startswith(signature):
            return cut(data)
    return data


def exif_of(data: bytes) -> bytes:
    """The first EXIF block of a JPEG, PNG or WebP file, from its byte order mark on; b"" where there is none."""
    if data.startswith(_JPEG):
        blocks = (body for marker, body, _ in _jpeg_segments(data) if marker == 0xE1 and body.startswith(_EXIF_HEADER))
    elif data.startswith(_PNG):
        blocks = (body for name, body, _ in _png_chunks(data) if name == b"eXIf")
    elif data.startswith(_RIFF):
        blocks = (body for name, body, _ in _riff_chunks(data) if name == b"EXIF")
    else:
        return b""
    return next(blocks, b"").removeprefix(_EXIF_HEADER)


def _jpeg_segments(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """(marker, body, whole segment) of each segment up to the first scan, which takes the rest of the file."""
    segments = []
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, size = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        end = len(data) if marker == _SOS else place + 2 + size
        segments.append((marker, data[place + 4 : end], data[place:end]))
        place = end
    if place < len(data):
        segments.append((0, b"", data[place:]))
    return segments


def _cut_jpeg(data: bytes) -> bytes:
    kept = [
        whole
        for marker, body, whole in _jpeg_segments(data)
        if not (_APP0 <= marker <= _APP15 or marker == _COM) or len(body) >= JPEG_COLOURS.get(marker, len(data))
    ]
    return data[:2] + b"".join(kept)


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """(name, body, whole chunk) of each chunk; of one that breaks off, what there is."""
    chunks = []
    place = len(_PNG)
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        end = place + 12 + size
        chunks.append((data[place + 4 : place + 8], data[place + 8 : end - 4], data[place:end]))
        place = end
    return chunks


def _cut_png(data: bytes) -> bytes:
    return _PNG + b"".join(whole for name, _, whole in _png_chunks(data) if name in PNG_CHUNKS)


def _riff_chunks(data: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """(name, body, whole chunk) of each chunk; bodies of odd size are followed by one byte of padding."""
    chunks = []
    place = 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        end = place + 8 + size + size % 2
        chunks.append((data[place : place + 4], data[place + 8 : place + 8 + size], data[place:end]))
        place = end
    return chunks


def _cut_webp(data: bytes) -> bytes:
    kept = b""
    for name, body, whole in _riff_chunks(data):
        if name == b"VP8X" and body:
            whole = whole[:8] + bytes([body[0] & ~WEBP_METADATA_FLAGS]) + whole[9:]
        if name in WEBP_CHUNKS:
            kept += whole
    return _RIFF + struct.pack("<I", 4 + len(kept)) + data[8:12] + kept


def _cut_gif(data: bytes) -> bytes:
    """Without comments and application data before the first image; the rest of the file as it is."""
    if len(data) < 13:
        return data
    place = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    kept = [data[:place]]
    while data[place : place + 1] == b"!":
        end = place + 2
        while end < len(data) and data[end]:
            end += 1 + data[end]
        end += 1
        if data[place + 1 : place + 2] == b"\xf9":  # the graphic control: which colour is transparent
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]])


def _cut_tiff(data: bytes) -> bytes:
    """With the first directory's entries cut down to TIFF_TAGS; offsets into the file stay right."""
    order = ">" if data.startswith(b"MM") else "<"
    try:
        (place,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, place)
    except struct.error:
        return data
    begin, end = place + 2, place + 2 + 12 * count
    entries = [data[entry : entry + 12] for entry in range(begin, min(end, len(data)), 12)]
    kept = [entry for entry in entries if struct.unpack_from(f"{order}H", entry.ljust(2, b"\0"))[0] in TIFF_TAGS]
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)  # no second directory
    return data[:place] + directory + data[place + len(directory) :]


_JPEG, _PNG, _RIFF = b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF"
_CUTS: Mapping[bytes, Callable[[bytes], bytes]] = MappingProxyType(
    {
        _JPEG: _cut_jpeg,
        _PNG: _cut_png,
        _RIFF: _cut_webp,
        b"GIF8": _cut_gif,
        b"II*\0": _cut_tiff,
        b"MM\0*": _cut_tiff,
    }
)
