"""The generator: needs the icon packages of the extra `minitweets`."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from hamner.errors import HamnerError

if TYPE_CHECKING:
    from hamner.minitweets.scenes import Placed

FOLDER = Path(__file__).parents[2] / "data" / "minitweets"


@pytest.fixture(scope="module")
def plans(generator):
    return generator.plan(0)


def pixels(image: Image.Image) -> str:
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def test_the_texts_rebuild_byte_for_byte(generator, plans, tmp_path):
    generator.write_texts(tmp_path, plans)
    rebuilt = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert len(rebuilt) == 8
    assert rebuilt == {name: (FOLDER / name).read_bytes() for name in rebuilt}


def test_a_slice_of_the_images_rebuilds_pixel_for_pixel(generator, plans):
    for image in [part.images[i] for part in plans for i in (0, 1, 2, -1)]:
        with Image.open(FOLDER / "images" / f"{image.id}.webp") as committed:
            assert pixels(generator.draw_image(image)) == pixels(committed)


def test_another_seed_gives_another_corpus(generator, plans):
    other = generator.plan(1)
    assert {post.words for post in other[0].posts} != {post.words for post in plans[0].posts}


def test_ceilings_are_what_the_design_says(plans):
    ceilings = json.loads((FOLDER / "ceilings.json").read_text())
    image_cues = ("scene", "object", "odd", "majority", "position", "described", "other", "level")
    assert all(value == 1 for value in ceilings["all"].values())
    assert all(ceilings["text_only"][cue] == 0.25 for cue in image_cues)
    assert ceilings["text_only"]["text"] == ceilings["text_only"]["unrelated"] == 1
    of_two = {"odd": 0.5, "position": 0.5, "described": 0.5, "other": 0.5}
    one_grain = pytest.approx(2 / 3, abs=1e-4)  # its own type, and for the other grain one of three
    lost = {"no_global": {"level": one_grain}, "no_objects": {"object": 0.25, "level": one_grain} | of_two,
            "no_relations": {"odd": 0.5}, "no_geometry": {"position": 0.5}, "no_relevance": {"unrelated": 0},
            "no_grains": {"level": 0.5}, "no_reading": {"other": 0.5}}  # fmt: skip
    assert set(ceilings) == {"all", "text_only", *lost}
    for ability, cues in lost.items():
        assert {cue: value for cue, value in ceilings[ability].items() if value < 1} == cues


def test_a_larger_corpus_has_the_same_valid_and_test(generator, plans):
    larger = generator.plan(0, generator.scaled(2))
    assert larger[1:] == plans[1:]
    assert len(larger[0].images) == 2 * len(plans[0].images)
    assert len(larger[0].posts) == 2 * len(plans[0].posts)


def test_the_bigger_subject_of_a_pair_is_as_coarse_as_the_smaller_one(plans):
    from hamner.minitweets.scenes import render

    def edges(image: Image.Image, big: Placed) -> float:
        """Root mean square of the change from one pixel's slope to the next in the bigger subject."""
        half = big.size / 2
        crop = np.asarray(image.crop((big.x - half, big.y - half, big.x + half, big.y + half)), float)
        return float(np.diff(crop, 2, axis=1).std())

    for image in [image for image in plans[2].images if image.direction == "size"][:4]:
        (number,) = (i for i, placed in enumerate(image.objects) if placed.detail is not None)
        big = image.objects[number]
        sharp = replace(
            image, objects=(*image.objects[:number], replace(big, detail=None), *image.objects[number + 1 :])
        )
        coarse, fine = (edges(render(one, random.Random(0)), big) for one in (image, sharp))
        assert coarse < 0.6 * fine


def test_build_does_not_write_into_a_folder_that_holds_something(generator, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(HamnerError, match="not empty"):
        generator.build(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_sizes_that_cannot_be_balanced_are_refused(generator):
    from hamner.minitweets.posts import IMAGES

    with pytest.raises(HamnerError, match="100 images of kind single"):
        generator.plan(0, IMAGES | {"train": IMAGES["train"] | {"single": 100}})


def test_every_carrier_has_words_for_its_shape(generator):
    from hamner.minitweets.art import CARRIERS
    from hamner.minitweets.templates import SHAPES

    assert set(SHAPES) == set(CARRIERS)
    words = [word for of_carrier in SHAPES.values() for word in of_carrier]
    assert len(set(words)) == len(words)
