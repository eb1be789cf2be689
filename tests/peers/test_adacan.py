"""AdaCAN's equations, one word at a time, and its two gates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hamner.model.fusion import Seen
from hamner.peers.adacan import AdaCan, Additive
from tests.peers.conftest import D, built


@pytest.fixture
def peer() -> AdaCan:
    return built(AdaCan)


def read(attention: Additive, query: Tensor, keys: Tensor) -> Tensor:
    """What one query (d,) reads of the keys (m, d)."""
    asked = attention.query.weight @ query + attention.query.bias
    logits = [attention.score.weight[0] @ torch.tanh(attention.key.weight @ key + asked) for key in keys]
    return torch.stack(logits).softmax(0) @ keys


def test_each_word_follows_the_equations(peer: AdaCan, seen: Seen) -> None:
    got = peer(seen).words
    for post, length in ((0, 4), (1, 3), (3, 3)):
        words = seen.words[post, :length]
        regions = torch.tanh(peer.grid[1](seen.images.grid[post]))
        for t, h in enumerate(words):
            v = read(peer.reads_regions, h, regions)
            x = read(peer.reads_words, v, words)
            p, q = torch.tanh(peer.of_image(v)), torch.tanh(peer.of_text(x))
            g = torch.sigmoid(peer.fusion_gate(torch.cat([p, q])))
            m = g * p + (1 - g) * q
            s = torch.sigmoid(peer.filter(torch.cat([h, m])))
            u = s * torch.tanh(peer.reserved(m))
            expected = peer.join.linear(torch.cat([h, u]))
            torch.testing.assert_close(got[post, t], expected, rtol=1e-4, atol=1e-5)


def test_two_words_of_a_post_read_different_regions(peer: AdaCan, seen: Seen) -> None:
    regions = torch.tanh(peer.grid[1](seen.images.grid))
    v = peer.reads_regions(seen.words, regions, torch.ones(regions.shape[:2], dtype=torch.bool))
    assert not torch.allclose(v[0, 0], v[0, 1], atol=1e-3)


def test_a_closed_filter_lets_the_words_through_alone(peer: AdaCan, seen: Seen) -> None:
    with torch.no_grad():
        peer.filter.bias.fill_(-1e4)
        peer.join.linear.weight[:, :D] = torch.eye(D)
        peer.join.linear.bias.zero_()
    torch.testing.assert_close(peer(seen).words, seen.words)


@pytest.mark.parametrize("image_alone", [True, False])
def test_the_fusion_gate_chooses_between_the_image_and_the_text(peer: AdaCan, seen: Seen, image_alone: bool) -> None:
    with torch.no_grad():  # p is 1 in all channels, so that its weights alone open or close the gate
        peer.of_image.bias.fill_(50.0)
        peer.fusion_gate.weight.zero_()
        peer.fusion_gate.weight[:, :D] = 50.0 if image_alone else -50.0
        peer.reads_words.score.weight.zero_()  # the text that is read is the mean word, whatever the image
    words = seen.words[0]
    m = torch.ones(D) if image_alone else peer.of_text(words.mean(0)).tanh()
    s = peer.filter(torch.cat([words, m.expand(len(words), D)], -1)).sigmoid()
    torch.testing.assert_close(peer(seen).words[0], peer.join(words, s * peer.reserved(m).tanh()), rtol=1e-4, atol=1e-5)
