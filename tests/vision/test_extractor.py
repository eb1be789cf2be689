"""From image files to features with the real backbones; real tweets' images where they are at hand."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from hamner.corpora.post import Corpus, Post
from hamner.devices import cpu_threads
from hamner.vision import FeatureStore, ImageExtractor, VisualSource, load_backbone, open_image
from hamner.vision.commands import features as features_command
from hamner.vision.objects import MaskRCNN, NoObjects, Objects, Tiles, crop

CORPORA = os.environ.get("HAMNER_CORPORA")
IMAGES = sorted((Path(CORPORA).parent / "images").glob("*/*.jpg")) if CORPORA else []
needs_images = pytest.mark.skipif(not IMAGES, reason="HAMNER_CORPORA names no folder with real images beside it")


def draw(path: Path, seed: int = 0) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (90, 120, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    posts = [Post(str(i), ("word",), image=draw(tmp_path / f"{i}.png", i)) for i in range(3)]
    objects = [
        {"box": [0.5, 0.5, 1, 1], "class": "dog", "score": 0.5},
        {"box": [0, 0, 0.5, 0.5], "class": "cat", "score": 0.9},
    ]
    lines = [{"image": f"{i}.png", "objects": objects[:i]} for i in range(3)]
    (tmp_path / "annotations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Corpus("three", tmp_path, tuple(posts[:1]), tuple(posts[1:2]), tuple(posts[2:]), {})


def test_the_default_source_gives_grid_and_annotated_objects(corpus: Corpus, tmp_path: Path) -> None:
    source = VisualSource(max_objects=4)
    store = FeatureStore.open(corpus, source, tmp_path / "features", progress=False)
    assert store.class_names == ("(none)", "cat", "dog")
    assert [store[id].object_mask.sum() for id in "012"] == [0, 1, 2]
    features = store["2"]
    assert features.grid.shape == (49, 1280)
    assert features.objects.shape == (4, 1280)
    assert features.classes.tolist() == [1, 2, 0, 0]
    assert features.boxes[:2].tolist() == [[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]
    assert features.box_mask.tolist() == [True, True, False, False]
    assert not features.objects[2:].any()

    backbone = load_backbone("efficientnet-lite0")
    image = open_image(corpus.test[0].image or "")
    grid = backbone.grid(backbone.transform(image)[None])[0].numpy()
    cat = backbone.pooled(backbone.transform(crop(image, (0, 0, 0.5, 0.5)), source.crop_size)[None])[0].numpy()
    assert features.grid == pytest.approx(grid, abs=0.01)
    assert features.objects[0] == pytest.approx(cat, abs=0.01)


def test_changed_annotations_are_computed_anew(corpus: Corpus, tmp_path: Path) -> None:
    source = VisualSource(max_objects=4)
    FeatureStore.open(corpus, source, tmp_path / "features", progress=False)
    file = tmp_path / "annotations.jsonl"
    file.write_text(file.read_text().replace("[0, 0, 0.5, 0.5]", "[0, 0, 0.25, 0.25]"))
    store = FeatureStore.open(corpus, source, tmp_path / "features", progress=False)
    assert store["2"].boxes[0].tolist() == [0, 0, 0.25, 0.25]


def test_features_never_depend_on_the_images_beside_them(corpus: Corpus, tmp_path: Path) -> None:
    alone = Corpus("one", tmp_path, (), (), corpus.test, {})
    stores = [
        FeatureStore.open(posts, VisualSource(objects="tiles"), tmp_path / name, progress=False)
        for name, posts in (("all", corpus), ("alone", alone))
    ]
    assert np.array_equal(stores[0]["2"].grid, stores[1]["2"].grid)
    assert np.array_equal(stores[0]["2"].objects, stores[1]["2"].objects)


def test_the_command_fills_a_store_and_reports(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1.png").unlink()
    monkeypatch.setattr("hamner.vision.commands.loaded", lambda name, root, columns: corpus)
    app = Typer()
    app.command()(features_command)
    arguments = ["three", "--objects", "none", "--folder", str(tmp_path / "features")]
    first, second = (CliRunner().invoke(app, arguments) for _ in range(2))
    assert first.exit_code == second.exit_code == 0, first.output
    assert "three: 2 posts with visual features, 1 without" in first.stderr
    assert "1.png: No such file" in first.stderr
    assert "image/s" not in first.stderr  # nobody watches
    assert Path(first.stdout.strip()).is_dir()
    assert "2/2" not in second.stderr


@needs_images
@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_every_real_image_opens(path: Path) -> None:
    image = open_image(path)
    assert image.mode == "RGB"
    with Image.open(path) as raw:
        assert sorted(image.size) == sorted(raw.size)


@needs_images
def test_real_images_go_through_lite0_and_tiles(tmp_path: Path) -> None:
    posts = tuple(Post(path.stem, ("word",), image=path) for path in IMAGES[::40])
    corpus = Corpus("real", tmp_path, posts, (), (), {})
    store = FeatureStore.open(corpus, VisualSource(objects="tiles"), tmp_path / "features", progress=False)
    assert store.missing == []
    grids = np.stack([store[post.id].grid for post in posts])
    assert grids.std(axis=0).max() > 0.1  # the images differ
    assert all(store[post.id].object_mask.sum() == 5 for post in posts)


@needs_images
def test_a_real_image_goes_through_resnet152_and_mask_rcnn(tmp_path: Path) -> None:
    finder = MaskRCNN(max_objects=2, min_score=0.0, weights="random")
    finder.network.transform.min_size = (224,)  # not the usual 800 pixels: this test is not about speed
    finder.network.rpn._pre_nms_top_n = finder.network.rpn._post_nms_top_n = {"training": 50, "testing": 50}
    backbone = load_backbone("resnet152", weights="random")
    extractor = ImageExtractor(backbone, finder, max_objects=2, crop_size=128)
    store = FeatureStore(tmp_path, extractor)
    store.fill([Post("a", ("word",), image=IMAGES[0])], progress=False)
    features = store["a"]
    assert features.grid.shape == (49, 2048)
    assert features.object_mask.any()
    assert np.isfinite(features.objects).all()


def test_features_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    extractor = ImageExtractor(load_backbone("efficientnet-lite0"), Tiles(), max_objects=8, crop_size=128)
    post = Post("a", ("word",), image=draw(tmp_path / "a.png"))
    found = []
    for count in (1, 2, 3):
        with cpu_threads(count):
            found.append(extractor.extract(post))
            assert torch.get_num_threads() == count
    with ThreadPoolExecutor(1) as elsewhere:
        found.append(elsewhere.submit(extractor.extract, post).result())
    for features in found[1:]:
        assert np.array_equal(features.grid, found[0].grid)
        assert np.array_equal(features.objects, found[0].objects)


def test_an_image_in_memory_can_be_encoded_with_any_objects(tmp_path: Path) -> None:
    extractor = ImageExtractor(load_backbone("efficientnet-lite0"), NoObjects(), max_objects=8, crop_size=128)
    image = open_image(draw(tmp_path / "a.png"))
    assert extractor.encode(image, Objects.of([], (), 8)).object_mask.sum() == 0
    assert extractor.encode(image, Tiles().find(tmp_path, image)).object_mask.sum() == 5
