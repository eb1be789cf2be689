"""MAF: the matching score that scales the image, the gate, and the losses of matching and alignment."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity

from hamner.model.fusion import Seen
from hamner.peers.maf import OF_TEXT, TAGGING, TEMPERATURE, Maf
from tests.peers.conftest import WITHOUT, D, built, by_hand, changed, rows

PAIRED = [0, 1, 3]
"""The posts with an image."""


@pytest.fixture
def peer() -> Maf:
    return built(Maf)


def view(peer: Maf, seen: Seen, post: int, image: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Words, W and p of one post with the image of another."""
    words = seen.words[post, : int(seen.word_mask[post].sum())]
    W = by_hand(peer.reads, words, peer.grid(seen.images.grid[image]))
    return words, W, torch.sigmoid(peer.match(torch.cat([words.mean(0), W.mean(0)])))[0]


@pytest.mark.parametrize("post", PAIRED)
def test_words_and_score_follow_the_equations(peer: Maf, seen: Seen, post: int) -> None:
    words, W, p = view(peer, seen, post, post)
    G = torch.sigmoid(peer.text_gate(words) + p * W @ peer.image_gate.weight.T)
    fused = peer(seen)
    expected = peer.join.linear(torch.cat([words, G * p * W], -1))
    torch.testing.assert_close(fused.words[post, : len(words)], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fused.relevance[post], p)


def test_the_matching_score_lies_between_0_and_1_and_is_0_without_an_image(peer: Maf, seen: Seen) -> None:
    p = peer(seen).relevance
    assert ((p[PAIRED] > 0) & (p[PAIRED] < 1)).all()
    assert p[WITHOUT] == 0


def test_an_image_that_does_not_match_is_not_seen(peer: Maf, seen: Seen) -> None:
    with torch.no_grad():
        peer.match.bias.fill_(-1e4)
        peer.join.linear.weight[:, :D] = torch.eye(D)
        peer.join.linear.bias.zero_()
    fused = peer(seen)
    torch.testing.assert_close(fused.words, seen.words)
    assert torch.equal(fused.relevance, torch.zeros(4))


def test_the_loss_pairs_each_post_with_its_own_and_with_the_next_image(peer: Maf, seen: Seen) -> None:
    matching = alignment = 0.0
    texts = {i: peer.align_text(seen.layer[i, : int(seen.word_mask[i].sum())].mean(0)) for i in PAIRED}
    images = {i: peer.align_image(seen.images.grid[i].mean(0)) for i in PAIRED}
    alike = {(i, j): cosine_similarity(texts[i], images[j], dim=0) / TEMPERATURE for i in PAIRED for j in PAIRED}
    for post, other in zip(PAIRED, [1, 3, 0], strict=True):
        matching -= (view(peer, seen, post, post)[2].log() + (1 - view(peer, seen, post, other)[2]).log()) / 2
        to_images = sum(alike[post, j].exp() for j in PAIRED)
        to_texts = sum(alike[i, post].exp() for i in PAIRED)
        alignment -= OF_TEXT * (alike[post, post].exp() / to_images).log()
        alignment -= (1 - OF_TEXT) * (alike[post, post].exp() / to_texts).log()
    expected = (1 - TAGGING) / TAGGING * (matching + alignment) / 4
    torch.testing.assert_close(peer.train()(seen).loss, expected, rtol=1e-4, atol=1e-5)


def test_alignment_of_identical_pairs_costs_less_than_of_swapped_ones(peer: Maf, seen: Seen) -> None:
    posts = torch.tensor(PAIRED)
    with torch.no_grad():
        for first, _, second in (peer.align_text, peer.align_image):
            for layer in (first, second):
                layer.weight.copy_(torch.eye(*layer.weight.shape))
                layer.bias.zero_()
    grid, layer = torch.zeros_like(seen.images.grid), torch.zeros_like(seen.layer)
    for channel, post in enumerate(PAIRED):  # text and image of a post point in one direction of their own
        grid[post, :, channel], layer[post, :, channel] = 1.0, 1.0
    seen = Seen(seen.words, seen.word_mask, layer, seen.images)
    own, swapped = peer.alignment(seen, grid, posts) / 3, peer.alignment(seen, grid[[1, 3, 2, 0]], posts) / 3
    assert own.item() == pytest.approx(math.log(1 + 2 * math.exp(-1 / TEMPERATURE)), abs=1e-6)
    assert swapped.item() == pytest.approx(math.log(2 + math.exp(1 / TEMPERATURE)), rel=1e-5)


def test_training_on_the_loss_tells_matched_from_swapped_images(peer: Maf, seen: Seen) -> None:
    steps = torch.optim.Adam(peer.train().parameters(), lr=0.01)
    for _ in range(60):
        steps.zero_grad()
        peer(seen).loss.backward()
        steps.step()
    own = peer.eval()(seen).relevance[PAIRED]
    swapped = peer(changed(seen, grid=seen.images.grid[[1, 3, 2, 0]])).relevance[PAIRED]
    assert own.min() > 0.7
    assert swapped.max() < 0.3


def test_a_single_image_has_nothing_to_be_told_from(peer: Maf, seen: Seen) -> None:
    p = view(peer, seen, 0, 0)[2]
    one = peer.train()(rows(seen, [0, WITHOUT])).loss
    torch.testing.assert_close(one, (1 - TAGGING) / TAGGING * -p.log() / 2 / 2)


def test_the_numbers_are_those_of_the_released_code() -> None:
    assert (TEMPERATURE, OF_TEXT, TAGGING) == (0.179, 0.7, 0.62)
