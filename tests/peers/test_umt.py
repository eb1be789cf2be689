"""UMT: the paths of its Transformers, the visual gate, and span detection."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hamner.corpora.tags import TAGS
from hamner.model.fusion import Seen
from hamner.peers.umt import SPAN_WEIGHT, Umt
from tests.peers.conftest import D, built, by_hand, changed


@pytest.fixture
def peer() -> Umt:
    return built(Umt)


def parts(peer: Umt, seen: Seen, post: int) -> tuple[torch.Tensor, ...]:
    """A, Q and U of one post by hand."""
    words = seen.words[post, : int(seen.word_mask[post].sum())]
    V = peer.grid[1](seen.images.grid[post])
    R = by_hand(peer.text, words, words)
    P = by_hand(peer.regions_read_words, V, R)
    A = by_hand(peer.words_read_those, R, P)
    Q = by_hand(peer.words_read_regions, R, V)
    return A, Q, peer.span.decoder.classify(by_hand(peer.span.layer, words, words))


@pytest.mark.parametrize("post", [0, 1, 3])
def test_words_follow_the_equations(peer: Umt, seen: Seen, post: int) -> None:
    A, Q, U = parts(peer, seen, post)
    B = torch.sigmoid(peer.gate(torch.cat([A, Q], -1))) * Q
    shared = torch.stack([U[:, "OBI".index(tag[0])] * (1 if tag == "O" else 0.25) for tag in TAGS], -1)
    fused = peer(seen)
    expected = peer.join.linear(torch.cat([A, B], -1))
    torch.testing.assert_close(fused.words[post, : len(A)], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fused.emissions[post, : len(A)], shared, rtol=1e-4, atol=1e-5)


def test_a_closed_visual_gate_leaves_the_image_aware_words(peer: Umt, seen: Seen) -> None:
    with torch.no_grad():
        peer.gate.bias.fill_(-1e4)
        peer.join.linear.weight[:, :D] = torch.eye(D)
        peer.join.linear.bias.zero_()
    A, _, _ = parts(peer, seen, 0)
    torch.testing.assert_close(peer(seen).words[0], A, rtol=1e-4, atol=1e-5)


def test_the_loss_is_half_of_the_span_detections(peer: Umt, seen: Seen) -> None:
    peer.train()
    _, of_spans = peer.span(seen)
    torch.testing.assert_close(peer(seen).loss, SPAN_WEIGHT * of_spans)
    assert SPAN_WEIGHT == 0.5


def test_the_loss_depends_on_spans_and_not_on_types_or_the_image(peer: Umt, seen: Seen) -> None:
    peer.train()
    loss = peer(seen).loss
    retyped = torch.tensor([0, 3, 4, 5, 6, 7, 8, 1, 2])[seen.tags]  # PER -> LOC -> ORG -> MISC -> PER
    assert torch.equal(peer(replace(seen, tags=retyped)).loss, loss)
    assert torch.equal(peer(changed(seen, grid=-seen.images.grid)).loss, loss)
    outside = replace(seen, tags=torch.zeros_like(seen.tags))
    assert not torch.isclose(peer(outside).loss, loss)


def test_span_detection_adds_to_the_tags_scores_where_there_is_an_image(peer: Umt, seen: Seen) -> None:
    before = peer(seen).emissions
    with torch.no_grad():
        peer.span.decoder.classify.bias[1] += 1.0  # every word looks more like the begin of an entity
    moved = peer(seen).emissions - before
    starts = torch.tensor([0.25 if tag[0] == "B" else 0.0 for tag in TAGS])
    torch.testing.assert_close(moved[0, 0], starts, rtol=1e-3, atol=1e-5)
    assert not peer(seen).emissions[~seen.images.image_mask].any()
