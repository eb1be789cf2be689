from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hamner.corpora import Post
from hamner.encoders import load_tokenizer
from hamner.training import TrainConfig
from hamner.training.batching import Split, windows
from hamner.training.inputs import KeptFeatures, images_of
from hamner.vision.features import VisualFeatures

REGIONS, CHANNELS, OBJECTS = 3, 5, 2
SIZE = (REGIONS + OBJECTS) * CHANNELS * 2
"""Bytes of one image's features in half precision."""


def features(seed: int) -> VisualFeatures:
    random = np.random.default_rng(seed)
    absent = VisualFeatures.absent(REGIONS, CHANNELS, OBJECTS)
    grid = (4 + 3 * random.standard_normal((REGIONS, CHANNELS))).astype(np.float16)
    objects = random.standard_normal((OBJECTS, CHANNELS)).astype(np.float16)
    objects[1] = 0  # padding
    return replace(absent, grid=grid, objects=objects, image_present=True)


class Store:
    """Posts a and b share image 0, c has image 1, and d has none; counts what is read."""

    regions, channels, max_objects = REGIONS, CHANNELS, OBJECTS

    def __init__(self) -> None:
        self.image = {"a": 0, "b": 0, "c": 1}
        self.read: list[str] = []

    def image_of(self, post_id: str) -> int | None:
        return self.image.get(post_id)

    def __getitem__(self, post_id: str) -> VisualFeatures:
        self.read.append(post_id)
        if post_id == "d":
            return VisualFeatures.absent(REGIONS, CHANNELS, OBJECTS)
        return features(self.image[post_id])


def test_each_vector_gets_mean_0_and_variance_1_in_its_own_precision_and_padding_stays_0() -> None:
    raw = features(0)
    standardised = raw.standardised()
    assert standardised.is_standardised and not raw.is_standardised
    for name in ("grid", "objects"):
        vectors, expected = getattr(standardised, name), getattr(raw, name).astype(np.float64)
        assert vectors.dtype == np.float16
        expected = (expected - expected.mean(-1, keepdims=True)) / np.sqrt(expected.var(-1, keepdims=True) + 1e-5)
        np.testing.assert_allclose(vectors, expected, atol=2e-3)
    assert not standardised.objects[1].any()
    exact = replace(raw, grid=raw.grid.astype(np.float32)).standardised().grid
    assert exact.dtype == np.float32
    np.testing.assert_allclose(exact.mean(-1), 0, atol=1e-6)
    assert standardised.standardised() is standardised


def test_posts_of_one_image_have_their_features_read_and_standardised_once() -> None:
    store: Any = Store()
    kept = KeptFeatures(store)
    assert kept["a"] is kept["b"] is kept["a"]
    assert np.array_equal(kept["c"].grid, features(1).standardised().grid)
    assert kept["c"] is kept["c"]
    assert store.read == ["a", "c"]


def test_memory_is_bounded_and_what_it_does_not_hold_is_read_again() -> None:
    store: Any = Store()
    kept = KeptFeatures(store, limit=SIZE)
    for _ in range(2):
        assert np.array_equal(kept["a"].grid, features(0).standardised().grid)
        assert np.array_equal(kept["c"].grid, features(1).standardised().grid)
    assert store.read == ["a", "c", "c"]


def test_posts_without_an_image_are_not_taken_for_one_another() -> None:
    store: Any = Store()
    kept = KeptFeatures(store)
    assert not kept["d"].image_present
    with pytest.raises(KeyError):
        kept["unknown"]


def test_a_batch_holds_standardised_features_whatever_gives_them() -> None:
    tokenizer = load_tokenizer("minilm")
    cut = windows([Post("a", ("Kelso",), None)], tokenizer, 16)
    for given in (features(0), features(0).standardised()):
        batch = Split(cut, tokenizer.pad_token_id, lambda _, given=given: given).batch([0])
        np.testing.assert_array_equal(batch.images.grid[0], features(0).standardised().grid.astype(np.float32))


@pytest.mark.parametrize("images", ["own", "blank", "shuffled"])
def test_a_control_puts_a_blank_image_or_the_one_of_another_post_in_an_images_place(images: Any) -> None:
    posts = [Post(name, ("Kelso",), None) for name in ("a", "c", "d")]
    store: Any = Store()
    given = [
        images_of(posts, KeptFeatures(store), replace(TrainConfig(), images=images), train=True)(i) for i in range(3)
    ]
    own = [store[post.id].standardised().grid.tolist() for post in posts]
    seen = [one.grid.tolist() for one in given]
    if images == "own":
        assert seen == own
    elif images == "blank":
        assert not np.any(seen)
        assert [one.image_present for one in given] == [True, True, False]
    else:
        assert sorted(seen) == sorted(own)
        assert all(one != other for one, other in zip(seen, own, strict=True))


def test_exchanged_images_are_those_of_a_fifth_of_train_and_no_other_split() -> None:
    posts = [Post(str(number), ("Kelso",), None) for number in range(20)]
    store: Any = {post.id: features(number) for number, post in enumerate(posts)}
    exchanging = replace(TrainConfig(), images="exchanged", seed=3)
    of_train = images_of(posts, store, exchanging, train=True)
    moved = [number for number in range(20) if of_train(number) is not store[str(number)]]
    assert len(moved) == 4
    assert {id(of_train(number)) for number in moved} == {id(store[str(number)]) for number in moved}
    of_valid = images_of(posts, store, exchanging, train=False)
    assert all(of_valid(number) is store[str(number)] for number in range(20))
