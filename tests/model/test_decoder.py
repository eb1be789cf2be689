"""The decoder against brute force: every path of a short post, one by one."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from hamner.corpora.tags import TAGS, orphans
from hamner.model.decoder import Decoder, forbidden_moves

LENGTHS = (1, 2, 3, 4)
FEW = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


@pytest.fixture
def decoder() -> Decoder:
    torch.manual_seed(5)
    decoder = Decoder(8, FEW, dropout=0.0).eval()
    for parameter in decoder.crf.parameters():
        torch.nn.init.normal_(parameter)
    return decoder


def make_emissions() -> tuple[torch.Tensor, torch.Tensor]:
    emissions = 2 * torch.randn(len(LENGTHS), max(LENGTHS), len(FEW), generator=torch.Generator().manual_seed(2))
    return emissions, torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]


def path_scores(decoder: Decoder, emissions: torch.Tensor) -> dict[tuple[int, ...], torch.Tensor]:
    """Every path over the words of one post (n, K), with its score."""
    crf, scores = decoder.crf, {}
    for path in product(range(len(FEW)), repeat=len(emissions)):
        score = crf.start_transitions[path[0]] + crf.end_transitions[path[-1]]
        score = score + sum(emissions[i, tag] for i, tag in enumerate(path))
        scores[path] = score + sum(crf.transitions[a, b] for a, b in pairwise(path))
    return scores


def well_formed(path: tuple[int, ...]) -> bool:
    return not orphans([FEW[tag] for tag in path])


def test_the_likelihood_equals_the_share_of_the_path_among_all_paths(decoder: Decoder) -> None:
    emissions, mask = make_emissions()
    tags = torch.randint(0, len(FEW), mask.shape, generator=torch.Generator().manual_seed(3)) * mask
    losses = []
    for row, length in enumerate(LENGTHS):
        scores = path_scores(decoder, emissions[row, :length])
        total = torch.stack(list(scores.values())).logsumexp(0)
        losses.append(total - scores[tuple(tags[row, :length].tolist())])
    torch.testing.assert_close(decoder.loss(emissions, tags, mask), torch.stack(losses).mean())


def test_the_best_path_is_the_best_of_all_well_formed_paths(decoder: Decoder) -> None:
    emissions, mask = make_emissions()
    for row, (length, path_of_post) in enumerate(zip(LENGTHS, decoder.decode(emissions, mask), strict=True)):
        scores = path_scores(decoder, emissions[row, :length])
        assert tuple(path_of_post) == max(filter(well_formed, scores), key=lambda path: scores[path])


def test_marginals_equal_the_sums_over_all_well_formed_paths(decoder: Decoder) -> None:
    emissions, mask = make_emissions()
    marginals = decoder.marginals(emissions, mask)
    for row, length in enumerate(LENGTHS):
        scores = {path: s for path, s in path_scores(decoder, emissions[row, :length]).items() if well_formed(path)}
        shares = torch.stack(list(scores.values())).softmax(0)
        expected = torch.zeros(length, len(FEW))
        for path, share in zip(scores, shares, strict=True):
            for i, tag in enumerate(path):
                expected[i, tag] += share
        torch.testing.assert_close(marginals[row, :length], expected, rtol=1e-4, atol=1e-5)
        assert not marginals[row, length:].any()


def test_marginals_of_a_word_sum_to_1_and_work_where_gradients_are_off(decoder: Decoder) -> None:
    emissions, mask = make_emissions()
    with torch.no_grad():
        marginals = decoder.marginals(emissions, mask)
    torch.testing.assert_close(marginals.sum(-1), mask.float())
    assert all(parameter.grad is None for parameter in decoder.parameters())


def test_decoding_never_makes_a_move_that_bio_forbids() -> None:
    torch.manual_seed(7)
    decoder = Decoder(8, TAGS, dropout=0.0)
    inside = torch.tensor([20.0 if tag[0] == "I" else 0.0 for tag in TAGS])  # every word prefers I-
    emissions = 5 * torch.randn(50, 9, len(TAGS)) + inside
    for path in decoder.decode(emissions, torch.ones(50, 9, dtype=torch.bool)):
        assert orphans([TAGS[tag] for tag in path]) == []


def test_a_tag_may_follow_another_exactly_when_that_leaves_no_orphan() -> None:
    start, moves = forbidden_moves(TAGS)
    assert start.tolist() == [bool(orphans([tag])) for tag in TAGS]
    for a, b in product(range(len(TAGS)), repeat=2):
        assert moves[a, b].item() == (1 in orphans([TAGS[a], TAGS[b]]))


def test_training_may_see_moves_that_decoding_forbids(decoder: Decoder) -> None:
    emissions, mask = make_emissions()
    orphan = torch.full(mask.shape, FEW.index("I-PER")) * mask
    loss = decoder.loss(emissions, orphan, mask)
    assert 0 < loss.item() < 100


def test_decoding_and_marginals_leave_the_users_random_numbers_and_the_crf_as_they_were(decoder: Decoder) -> None:
    emissions, mask = make_emissions()
    before, weights = torch.get_rng_state(), [parameter.clone() for parameter in decoder.crf.parameters()]
    decoder.decode(emissions, mask)
    decoder.marginals(emissions, mask)
    assert torch.equal(torch.get_rng_state(), before)
    for parameter, kept in zip(decoder.crf.parameters(), weights, strict=True):
        assert torch.equal(parameter, kept)
        assert parameter.requires_grad
