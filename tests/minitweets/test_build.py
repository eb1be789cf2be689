"""The generator: needs the icon packages of the extra `minitweets`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from hamner.errors import HamnerError

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
    image_cues = ("scene", "object", "relation", "position")
    assert all(value == 1 for value in ceilings["all"].values())
    assert all(ceilings["text_only"][cue] == 0.25 for cue in image_cues)
    assert ceilings["text_only"]["text"] == 1
    lost = {"no_objects": {"object": 0.25, "relation": 0.5, "position": 0.5}, "no_relations": {"relation": 0.5},
            "no_geometry": {"position": 0.5}, "no_relevance": {"unrelated": 0}}  # fmt: skip
    for ability, cues in lost.items():
        assert {cue: value for cue, value in ceilings[ability].items() if value < 1} == cues


def test_build_does_not_write_into_a_folder_that_holds_something(generator, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(HamnerError, match="not empty"):
        generator.build(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_sizes_that_cannot_be_balanced_are_refused(generator):
    from hamner.minitweets.posts import IMAGES

    with pytest.raises(HamnerError, match="100 images of kind single"):
        generator.plan(0, IMAGES | {"train": IMAGES["train"] | {"single": 100}})
