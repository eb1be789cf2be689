"""Words in images, read by RapidOCR (PP-OCRv6; Apache-2.0) and put where captions go.

A picture of a poster or of a screen names what the tweet is about, and no caption of a machine spells names. The words
are written into a captions file, behind the captions of another one if there is one; `--captions` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hamner.corpora.files import list_folder
from hamner.corpora.images import image_suffix, normal_name
from hamner.errors import HamnerError
from hamner.escape import UNSEEN
from hamner.files import written_whole
from hamner.images import ImageError, open_image
from hamner.terminal import progress_bar

LEAST_SCORE = 0.5
"""Lines that are read with less certainty are left out; it is RapidOCR's own bound."""

MOST_CHARACTERS = 400
"""Characters of an image's words that are kept, whole lines: the phrases of a page would crowd out all else."""


class OcrError(HamnerError):
    """RapidOCR is not installed, or a folder has no image."""


ReadWords = Callable[[Image.Image], list[str]]
"""An RGB image to the lines of words in it, from top to bottom."""


def rapidocr() -> ReadWords:
    """A reader by RapidOCR, with the weights inside its package and on one CPU thread.

    Raises OcrError when it is not installed.
    """
    try:
        import onnxruntime  # noqa: F401  RapidOCR would say so only at the first image
        from rapidocr import RapidOCR
    except ImportError as error:
        raise OcrError("words in images need packages that are missing: pip install rapidocr onnxruntime") from error
    engine = RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.text_score": LEAST_SCORE,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )

    def read(image: Image.Image) -> list[str]:
        found: Any = engine(np.ascontiguousarray(np.asarray(image)[:, :, ::-1]))  # it takes blue, green, red
        return list(found.txts or ())

    return read


def words_in_images(files: Iterable[Path], read: ReadWords) -> tuple[dict[str, str], dict[str, str]]:
    """Name of an image's file -> the words in it, in one line; and name -> why it cannot be read.

    Images without a word are in neither.
    """
    words: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    for file in progress_bar(list(files), counts="images read", unit="image"):
        try:
            lines = read(open_image(file))
        except ImageError as error:
            unreadable[file.name] = str(error)
            continue
        if text := _one_line(lines):
            words[file.name] = text
    return words, unreadable


def _one_line(lines: Iterable[str]) -> str:
    """The lines joined by commas, at which phrases are cut; no control character, and at most MOST_CHARACTERS."""
    text = ""
    for line in lines:
        plain = " ".join(UNSEEN.sub(" ", line).split())
        longer = f"{text}, {plain}" if text else plain
        if len(longer) > MOST_CHARACTERS:
            break
        text = longer or text
    return text.strip(" ,")


def beside_captions(words: Mapping[str, str], captions: Mapping[str, str]) -> dict[str, str]:
    """Image's name -> its caption, then the words in it; of images that have one of the two alone, that one.

    `captions` are as `read_captions` gives them: without suffix.
    """
    joined = dict(captions)
    for name, text in words.items():
        caption = captions.get(normal_name(name), "").rstrip(" .,;")
        joined[normal_name(name)] = f"{caption}, {text}" if caption else text
    return joined


def write_captions(captions: Mapping[str, str], file: Path) -> None:
    """Write captions as `read_captions` reads them: a JSON object, whole or not at all."""
    with written_whole(file) as temporary:
        temporary.write_text(json.dumps(dict(captions), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def images_of_folder(folder: Path) -> list[Path]:
    """The image files of a folder, in the order of their names. Raises OcrError for a folder without any."""
    files = sorted(file for file in list_folder(folder) if image_suffix(file.name))
    if not files:
        raise OcrError(f"{folder}: no image in it; give the folder that holds the images, such as CORPUS/images")
    return files
