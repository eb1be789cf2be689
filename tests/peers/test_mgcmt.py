"""MGCMT: both granularity levels, posts without objects, and span detection beside the words."""

from __future__ import annotations

import pytest
import torch

from hamner.model.fusion import Seen
from hamner.peers.mgcmt import SPAN_WEIGHT, Level, Mgcmt
from tests.peers.conftest import SEEN_OBJECTS, D, built, by_hand, changed


@pytest.fixture
def peer() -> Mgcmt:
    return built(Mgcmt)


def seen_by_words(level: Level, words: torch.Tensor, regions: torch.Tensor) -> torch.Tensor:
    """A of one level and one post by hand."""
    M, Z = words, regions
    A1 = by_hand(level.read, M, by_hand(level.regions, Z, Z))
    A2 = by_hand(level.read_those, M, by_hand(level.regions_read, by_hand(level.regions_again, Z, Z), M))
    g = torch.sigmoid(level.gate.gate(torch.cat([A1, A2], -1)))
    return g * A1 + (1 - g) * A2


@pytest.mark.parametrize("post", [0, 1])
def test_words_follow_the_equations_at_both_levels(peer: Mgcmt, seen: Seen, post: int) -> None:
    words, K = seen.words[post, : int(seen.word_mask[post].sum())], SEEN_OBJECTS[post]
    M = by_hand(peer.text, words, words)
    labels = peer.label.weight[seen.images.classes[post, :K]]
    objects = labels + peer.feature[1](seen.images.objects[post, :K])
    levels = [
        seen_by_words(peer.of_grid, M, peer.grid[1](seen.images.grid[post])),
        seen_by_words(peer.of_objects, M, objects),
    ]
    expected = peer.join.linear(torch.cat([M, peer.levels(torch.cat(levels, -1)).relu()], -1))
    torch.testing.assert_close(peer(seen).words[post, : len(words)], expected, rtol=1e-4, atol=1e-5)


def test_an_image_without_objects_is_seen_by_its_grid_alone(peer: Mgcmt, seen: Seen) -> None:
    before = peer(seen).words[3]
    assert torch.equal(peer(changed(seen, objects=seen.images.objects + 1)).words[3], before)
    with_one = seen.images.object_mask.clone()
    with_one[3, 0] = True
    assert not torch.allclose(peer(changed(seen, object_mask=with_one)).words[3], before)


def test_an_object_is_known_by_its_class_and_by_its_feature(peer: Mgcmt, seen: Seen) -> None:
    before = peer(seen).words[0]
    classes = torch.where(seen.images.object_mask, seen.images.classes % 4 + 1, 0)
    assert not torch.allclose(peer(changed(seen, classes=classes)).words[0], before)
    assert not torch.allclose(peer(changed(seen, objects=-seen.images.objects)).words[0], before)


def test_spans_are_an_auxiliary_task_that_leaves_the_words_alone(peer: Mgcmt, seen: Seen) -> None:
    before = peer(seen).words
    with torch.no_grad():
        peer.span.decoder.classify.bias[1] += 1.0
    assert torch.equal(peer(seen).words, before)
    peer.train()
    torch.testing.assert_close(peer(seen).loss, SPAN_WEIGHT * peer.span(seen)[1])
    assert SPAN_WEIGHT == 0.5


def test_what_the_words_see_is_added_to_them_by_the_joining_layer_alone(peer: Mgcmt, seen: Seen) -> None:
    with torch.no_grad():
        peer.join.linear.weight[:, D:] = 0.0
        peer.join.linear.weight[:, :D] = torch.eye(D)
        peer.join.linear.bias.zero_()
    words = seen.words[0]
    torch.testing.assert_close(peer(seen).words[0], by_hand(peer.text, words, words), rtol=1e-4, atol=1e-5)
