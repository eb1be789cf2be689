from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from hamner.corpora.tags import TAGS, Span, orphans, spans
from hamner.model.decoder import Decoder
from hamner.tagger.calibration import fit_temperature
from hamner.tagger.confidence import calibrated, span_probabilities


def test_a_span_has_the_sum_of_all_well_formed_paths_that_hold_it() -> None:
    torch.manual_seed(0)
    decoder, words = Decoder(4, TAGS, 0.0), 4
    emissions = 2 * torch.randn(1, words, len(TAGS))
    crf = decoder.crf
    total, held = 0.0, dict.fromkeys((Span("PER", 0, 2), Span("LOC", 1, 2), Span("ORG", 2, 4), Span("MISC", 0, 4)), 0.0)
    with torch.no_grad():
        for path in product(range(len(TAGS)), repeat=words):
            tags = [TAGS[k] for k in path]
            if orphans(tags):
                continue
            score = crf.start_transitions[path[0]] + crf.end_transitions[path[-1]]
            score += emissions[0, range(words), path].sum() + sum(crf.transitions[move] for move in pairwise(path))
            total += score.exp().item()
            for span in set(spans(tags)) & held.keys():
                held[span] += score.exp().item()
    # A longer post beside it, so that there is padding.
    padded = torch.cat([emissions, torch.randn(1, 2, len(TAGS))], 1).repeat(2, 1, 1)
    mask = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    found = span_probabilities(decoder, padded, mask, [(0, span) for span in held])
    assert found.tolist() == pytest.approx([value / total for value in held.values()], abs=1e-5)


def test_no_spans_have_no_probabilities() -> None:
    assert span_probabilities(Decoder(4, TAGS, 0.0), torch.zeros(1, 1, 9), torch.ones(1, 1) > 0, []).shape == (0,)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_temperature_that_confidences_were_made_with_is_found(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    honest = 0.01 + 0.98 * torch.rand(20_000, generator=generator)
    right = torch.rand(20_000, generator=generator) < honest
    stated = calibrated(honest, 1 / temperature)
    assert fit_temperature(stated, right) == pytest.approx(temperature, rel=0.05)
    assert calibrated(stated, temperature) == pytest.approx(honest.numpy(), abs=1e-4)


def test_calibration_never_changes_the_order_and_stays_finite() -> None:
    scaled = calibrated([0.0, 0.1, 0.5, 0.9, 1.0], 3.0)
    assert (scaled[1:] > scaled[:-1]).all()
    assert scaled[2] == 0.5
    assert scaled[0] > 0
    assert scaled[-1] < 1
