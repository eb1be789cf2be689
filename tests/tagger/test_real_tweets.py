"""The full model on real tweets with their real pictures, where these are at hand: from files to tags."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hamner.corpora import Corpus, load_corpus
from hamner.model.config import ModelConfig
from hamner.tagger import Tagger
from hamner.training import Run, TrainConfig, train
from hamner.vision import VisualSource

CORPORA = os.environ.get("HAMNER_CORPORA")
PICTURES = sorted((Path(CORPORA).parent / "images").glob("*/*")) if CORPORA else []
pytestmark = pytest.mark.skipif(not PICTURES, reason="HAMNER_CORPORA names no folder with real pictures beside it")


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The real posts whose pictures are there; the splits are the same posts, for this is not about what is learnt."""
    posts = []
    for name in ("twitter2015", "twitter2017"):
        known = {post.id: post for _, split in load_corpus(name, Path(CORPORA or "")).splits() for post in split}
        posts += [replace(known[path.stem], image=path) for path in PICTURES if path.parent.name == name]
    assert len(posts) == len(PICTURES)
    return Corpus("pictured", tmp_path_factory.mktemp("pictured"), *[tuple(posts)] * 3, {})


@pytest.fixture(scope="module")
def run(pictured: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    model = ModelConfig(vision=True, frozen_text=True, width=32)
    config = TrainConfig(epochs=2, batch_size=10, head_lr=1e-2, model=model, visual=VisualSource(objects="tiles"))
    return train(pictured, config, folder / "run", features=folder / "features", progress=False)


def test_the_full_model_trains_on_real_posts_with_their_pictures(run: Run) -> None:
    first, second = (epoch["loss"] for epoch in run.record["history"])
    assert second < first
    assert run.record["features"]["channels"] == 1280


def test_a_real_tweet_is_tagged_with_its_picture(run: Run, pictured: Corpus) -> None:
    tagger = Tagger.from_pretrained(run.folder)
    for post in pictured.test[::7]:
        tagged = tagger(post.words, post.image)
        assert tagged.words == post.words
        assert len(tagged.tags) == len(post.words)
        assert tagged.relevance is not None
        assert 0 < tagged.relevance < 1
        without = tagger(post.words)
        assert without.relevance is None
        tagged.show()
