"""The visual prefix: keys and values before those of the words, chosen by a gate in each layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hamner.model.fusion import Seen
from hamner.peers.visual_prefix import CANDIDATES, LAYERS, PrefixLayer, VisualPrefix
from tests.peers.conftest import CONFIG, SEEN_OBJECTS, D, built, changed, normed


@pytest.fixture
def peer() -> VisualPrefix:
    return built(VisualPrefix)


def by_hand(layer: PrefixLayer, x: Tensor, elements: list[list[Tensor]]) -> Tensor:
    """One layer on one post: x (n, d) with, for each element of the prefix, its candidates (2 d,)."""
    keys, values = [], []
    for candidates in elements:
        mean = sum(candidates) / CANDIDATES
        shares = nn.functional.leaky_relu(layer.choose(mean)).softmax(0)
        key, value = sum(share * one for share, one in zip(shares, candidates, strict=True)).split(D)
        keys.append(key)
        values.append(value)
    for word in x:
        key, value = layer.key_value(word).split(D)
        keys.append(key)
        values.append(value)
    K, V, q, size = torch.stack(keys), torch.stack(values), layer.query(x), D // CONFIG.heads
    heads = [slice(h * size, (h + 1) * size) for h in range(CONFIG.heads)]
    read = torch.cat([(q[:, h] @ K[:, h].T / size**0.5).softmax(-1) @ V[:, h] for h in heads], -1)
    x = normed(x + layer.out(read), layer.norm)
    return normed(x + layer.feed_forward(x), layer.out_norm)


@pytest.mark.parametrize("post", [0, 1, 3])
def test_words_follow_the_equations(peer: VisualPrefix, seen: Seen, post: int) -> None:
    image = [seen.images.grid[post].mean(0), *seen.images.objects[post, : SEEN_OBJECTS[post]]]
    first, _, second = peer.candidates
    elements = [list(second(first(one).tanh()).split(2 * D)) for one in image]
    x = seen.words[post, : int(seen.word_mask[post].sum())]
    for layer in peer.layers:
        x = by_hand(layer, x, elements)
    assert len(peer.layers) == LAYERS
    torch.testing.assert_close(peer(seen).words[post, : len(x)], x, rtol=1e-4, atol=1e-5)


def test_each_layer_chooses_its_own_prefix(peer: VisualPrefix, seen: Seen) -> None:
    before = peer(seen).words
    with torch.no_grad():
        peer.layers[1].choose.weight.zero_()
        peer.layers[1].choose.bias.copy_(torch.tensor([1e4, 0.0, 0.0, 0.0]))
    second = peer(seen).words
    assert not torch.allclose(second[0], before[0])
    last = peer.candidates[2]
    with torch.no_grad():  # the other three candidates are closed off in layer 2, and still read by layer 1
        peer.layers[0].choose.weight.zero_()
        peer.layers[0].choose.bias.copy_(torch.tensor([1e4, 0.0, 0.0, 0.0]))
        expected = peer(seen).words
        last.weight[2 * D :] += 1.0
        last.bias[2 * D :] -= 3.0
    torch.testing.assert_close(peer(seen).words, expected)


def test_no_element_of_the_prefix_becomes_a_word(peer: VisualPrefix, seen: Seen) -> None:
    fewer = changed(seen, object_mask=torch.zeros_like(seen.images.object_mask))
    assert peer(seen).words.shape == peer(fewer).words.shape == seen.words.shape
    assert torch.equal(peer(fewer).words[3], peer(seen).words[3])
    assert not torch.allclose(peer(fewer).words[0], peer(seen).words[0])
