"""An entity's confidence: the CRF's probability of the whole span, and its calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from hamner.corpora.tags import Span
from hamner.model.decoder import FORBIDDEN, Decoder

NEARLY = 1e-6
"""The least distance of a confidence from 0 and 1, whose logits are infinite; float32 has no finer ones near 1."""

TEMPERATURES = (0.05, 20.0)
"""The least and the greatest temperature: beyond them every score is 0, 0.5 or 1."""

FEWEST_ENTITIES = 50
"""The fewest entities that a temperature is fitted on. A share of 50 entities has a 95 % interval of up to ±14 %."""


def span_probabilities(
    decoder: Decoder, emissions: Tensor, word_mask: Tensor, spans: Sequence[tuple[int, Span]]
) -> Tensor:
    """p(the span is an entity of its type, no shorter and no longer | post), (S,), for (row, span) pairs.

    Args:
        emissions: (B, n, K), the model's.
        word_mask: (B, n), the model's.
        spans: S pairs of a row of the batch and a span in it.

    The probability is the sum over all well-formed tag paths that hold the span (Culotta and McCallum 2004, Confidence
    estimation for information extraction). The chain rule gives it as

        p(B at i) * p(I at i+1 | B at i) * ... * (1 - p(I at j+1 | span))

    Each factor is a marginal with the span's earlier words clamped to their tags. The product or the minimum of the
    words' own marginals is often used instead: it takes neighbouring tags as independent and ignores the span's end.
    """
    number = {tag: k for k, tag in enumerate(decoder.tags)}
    factors: list[tuple[int, int, int, bool]] = []  # span, word, tag, whether the word is inside the span
    clamped: list[tuple[int, int, int]] = []  # factor, word, tag
    for which, (row, span) in enumerate(spans):
        begins, goes_on = number[f"B-{span.type}"], number[f"I-{span.type}"]
        goes_past = span.end < int(word_mask[row].sum())
        for word in range(span.start, span.end + goes_past):
            held = range(span.start, word)
            clamped += [(len(factors), earlier, begins if earlier == span.start else goes_on) for earlier in held]
            factors.append((which, word, begins if word == span.start else goes_on, word < span.end))
    certain = torch.ones(len(spans), device=emissions.device)
    if not factors:
        return certain
    which, word, tag, inside = torch.tensor(factors, device=emissions.device).T
    rows = torch.tensor([row for row, _ in spans], device=emissions.device)[which]
    allowed = torch.full((len(factors), emissions.shape[1]), -1, device=emissions.device)  # -1: any tag
    if clamped:
        factor, earlier, earlier_tag = torch.tensor(clamped, device=emissions.device).T
        allowed[factor, earlier] = earlier_tag
    other = allowed[:, :, None] != torch.arange(len(decoder.tags), device=emissions.device)  # (F, n, K)
    clamped_emissions = emissions[rows].float().masked_fill(other & (allowed >= 0)[:, :, None], FORBIDDEN)
    p = decoder.marginals(clamped_emissions, word_mask[rows])[torch.arange(len(factors)), word, tag].clamp(0, 1)  # (F,)
    return certain.scatter_reduce(0, which, torch.where(inside.bool(), p, 1 - p), "prod")


def calibrated(confidence: ArrayLike, temperature: float) -> np.ndarray:
    """sigmoid(logit(confidence) / temperature): a temperature above 1 moves scores to 0.5 (Guo et al., ICML 2017)."""
    p = np.clip(np.asarray(confidence, dtype=float), NEARLY, 1 - NEARLY)
    return 1 / (1 + np.exp(-np.log(p / (1 - p)) / temperature))
