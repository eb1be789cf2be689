"""From files to tags: the full model on posts with their images, of minitweets and, where at hand, real ones."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hamner.corpora import Corpus, load_corpus
from hamner.model.config import ModelConfig
from hamner.tagger import Tagger, calibrate
from hamner.training import Run, RunError, TrainConfig, train
from hamner.training.retest import retest
from hamner.vision import VisualSource

CORPORA = os.environ.get("HAMNER_CORPORA")
IMAGES = sorted((Path(CORPORA).parent / "images").glob("twitter201*/*")) if CORPORA else []
REAL = pytest.mark.skipif(not IMAGES, reason="HAMNER_CORPORA names no folder with real images beside it")


@pytest.fixture(scope="module", params=["annotations", "tiles", pytest.param("real", marks=REAL)])
def source(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def imaged(source: str, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A few posts with images; the splits are the same posts, for this is not about what is learnt."""
    if source != "real":
        corpus = load_corpus("minitweets")
        some = corpus.train[::300]
        return replace(corpus, train=some, valid=some, test=some)
    posts = []
    for name in ("twitter2015", "twitter2017"):
        known = {post.id: post for _, split in load_corpus(name, Path(CORPORA or "")).splits() for post in split}
        posts += [replace(known[path.stem], image=path) for path in IMAGES if path.parent.name == name]
    assert len(posts) == len(IMAGES)
    return Corpus("imaged", tmp_path_factory.mktemp("imaged"), *[tuple(posts)] * 3, {})


@pytest.fixture(scope="module")
def run(source: str, imaged: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    model = ModelConfig(vision=True, frozen_text=True, width=32)
    visual = VisualSource(objects="tiles" if source == "real" else source, crop_size=64)
    config = TrainConfig(epochs=3, batch_size=10, head_lr=1e-2, model=model, visual=visual)
    return train(imaged, config, folder / "run", features=folder / "features", progress=False)


def test_the_full_model_trains_on_posts_with_their_images(run: Run, imaged: Corpus) -> None:
    losses = [epoch["loss"] for epoch in run.record["history"]]
    assert losses[0] > losses[1] > losses[2]
    assert run.record["features"]["channels"] == 1280
    assert set(run.record["seen_posts"].values()) == {len(imaged.test)}


def test_a_post_is_tagged_with_its_image(run: Run, imaged: Corpus) -> None:
    tagger = Tagger.from_pretrained(run.folder)
    for post in imaged.test[::7]:
        tagged = tagger(words=post.words, image=post.image)
        assert tagged.words == post.words
        assert len(tagged.tags) == len(post.words)
        assert tagged.relevance is not None
        assert 0 < tagged.relevance < 1
        without = tagger(words=post.words)
        assert without.relevance is None
        tagged.show()


def test_a_run_in_half_precision_tags_a_post_with_its_image(run: Run, imaged: Corpus, tmp_path: Path) -> None:
    config = replace(run.config, precision="bf16")
    half = train(imaged, config, tmp_path, features=run.folder.parent / "features", progress=False)
    tagged = Tagger.from_pretrained(half.folder).many(
        [post.words for post in imaged.test[:8]], [post.image for post in imaged.test[:8]]
    )
    evidence = [entity.evidence for post in tagged for entity in post.entities if entity.evidence is not None]
    assert evidence
    assert all(math.isfinite(each.image_drop) for each in evidence)
    assert {each.grid_attention.dtype.name for each in evidence if each.grid_attention is not None} == {"float32"}
    tagged[0].show()


def test_other_images_than_those_of_training_are_refused(run: Run, imaged: Corpus) -> None:
    posts = tuple(replace(post, image=imaged.test[0].image) for post in imaged.test)
    swapped = replace(imaged, train=posts, valid=posts, test=posts)
    for use in (lambda: calibrate(run, swapped), lambda: retest(run, swapped)):
        with pytest.raises(RunError, match="was trained with other data: its inputs has images = "):
            use()
    assert not (run.folder / "calibration.json").exists()


def test_the_tagger_is_calibrated_on_what_it_was_trained_with(
    run: Run, imaged: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hamner.tagger.calibration.fit_temperature", lambda *_: 2.0)  # so few entities fit none
    monkeypatch.setattr("hamner.tagger.tagger.FEWEST_ENTITIES", 1)
    temperature = calibrate(run, imaged, features=run.folder.parent / "features")
    tagger = Tagger.from_pretrained(run.folder)
    assert tagger.temperature == temperature == 2.0
    assert all(post.calibrated for post in tagger.many([post.words for post in imaged.test[:3]]))
