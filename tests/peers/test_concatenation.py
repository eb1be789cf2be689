"""Concatenation of the mean region to each word."""

from __future__ import annotations

import torch

from hamner.model.fusion import Seen
from hamner.peers.concatenation import Concatenation
from tests.peers.conftest import REGIONS, D, built, changed


def test_a_word_is_joined_with_the_projected_mean_of_the_grid(seen: Seen) -> None:
    peer = built(Concatenation)
    project, (of_word, of_image) = peer.grid[1], peer.join.linear.weight.split(D, 1)
    image = seen.images.grid[0].mean(0) @ project.weight.T + project.bias
    expected = seen.words[0] @ of_word.T + image @ of_image.T + peer.join.linear.bias
    torch.testing.assert_close(peer(seen).words[0], expected)


def test_only_the_mean_of_the_regions_counts(seen: Seen) -> None:
    peer = built(Concatenation)
    flat = seen.images.grid.mean(1, keepdim=True).expand(-1, REGIONS, -1)
    torch.testing.assert_close(peer(changed(seen, grid=flat)).words, peer(seen).words)
