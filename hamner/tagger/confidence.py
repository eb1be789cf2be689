"""How sure the model is of an entity: the probability that the CRF gives to the whole span, and its calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from hamner.corpora.tags import Span
from hamner.model.decoder import FORBIDDEN, Decoder

NEARLY = 1e-6
"""Float32 cannot tell a confidence nearer to 0 or 1 than this from 0 or 1, whose logits are infinite."""

TEMPERATURES = (0.05, 20.0)
"""The least and the greatest that a calibration may have: beyond them every score is 0, 0.5 or 1."""


def span_probabilities(
    decoder: Decoder, emissions: Tensor, word_mask: Tensor, spans: Sequence[tuple[int, Span]]
) -> Tensor:
    """p(the span is an entity of its type, no shorter and no longer | post), (S,), for (row, span) pairs.

    Emissions (B, n, K) and mask (B, n) are the model's. The probability is summed over all well-formed tag paths that
    hold the span (Culotta and McCallum 2004, Confidence estimation for information extraction), by the chain rule

        p(B at i) * p(I at i+1 | B at i) * ... * (1 - p(I at j+1 | span))

    whose factors are marginals with the span's earlier words held fast. The product or minimum of each word's own
    marginal, as often used, would take neighbouring tags for independent, and would not see that an entity goes on.
    """
    number = {tag: k for k, tag in enumerate(decoder.tags)}
    factors: list[tuple[int, int, int, bool]] = []  # whose it is, its word and tag, whether that word is in the span
    fixed: list[tuple[int, int, int]] = []  # in which factor, which word, has which tag
    for which, (row, span) in enumerate(spans):
        begins, goes_on = number[f"B-{span.type}"], number[f"I-{span.type}"]
        goes_past = span.end < int(word_mask[row].sum())
        for word in range(span.start, span.end + goes_past):
            held = range(span.start, word)
            fixed += [(len(factors), earlier, begins if earlier == span.start else goes_on) for earlier in held]
            factors.append((which, word, begins if word == span.start else goes_on, word < span.end))
    certain = torch.ones(len(spans), device=emissions.device)
    if not factors:
        return certain
    which, word, tag, inside = torch.tensor(factors, device=emissions.device).T
    rows = torch.tensor([row for row, _ in spans], device=emissions.device)[which]
    allowed = torch.full((len(factors), emissions.shape[1]), -1, device=emissions.device)  # -1: any tag
    if fixed:
        factor, earlier, earlier_tag = torch.tensor(fixed, device=emissions.device).T
        allowed[factor, earlier] = earlier_tag
    other = allowed[:, :, None] != torch.arange(len(decoder.tags), device=emissions.device)  # (F, n, K)
    held_fast = emissions[rows].float().masked_fill(other & (allowed >= 0)[:, :, None], FORBIDDEN)
    p = decoder.marginals(held_fast, word_mask[rows])[torch.arange(len(factors)), word, tag].clamp(0, 1)  # (F,)
    return certain.scatter_reduce(0, which, torch.where(inside.bool(), p, 1 - p), "prod")


def calibrated(confidence: ArrayLike, temperature: float) -> np.ndarray:
    """sigmoid(logit(confidence) / temperature): above 1 it makes modest, below 1 bold (Guo et al., ICML 2017)."""
    p = np.clip(np.asarray(confidence, dtype=float), NEARLY, 1 - NEARLY)
    return 1 / (1 + np.exp(-np.log(p / (1 - p)) / temperature))
