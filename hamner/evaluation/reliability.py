"""Reliability of confidences: of the entities with confidence 0.8, about 80 % should be right.

References: Naeini, Cooper and Hauskrecht (AAAI 2015) for the expected calibration error; Guo et al. (ICML 2017) for
reliability diagrams; Nguyen and O'Connor (EMNLP 2015) for bins of equal mass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hamner.evaluation.scoring import ScoringError


@dataclass(frozen=True, eq=False)
class Reliability:
    """The bins of a reliability diagram, from low confidence to high, without empty bins.

    Three arrays of shape (bins,): `confidence`, the mean confidence; `accuracy`, the share that is correct; `count`,
    the number of predictions. `error` is the expected calibration error: the mean of |accuracy - confidence| over bins,
    weighted by their count.
    """

    binning: str
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    error: float


def reliability(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    bins: int = 10,
    binning: Literal["equal_width", "equal_mass"] = "equal_width",
) -> Reliability:
    """Sort predictions into bins by `confidence` (0 to 1) and take the share of `correct` ones (0 or 1) in each.

    `equal_width`: bins (k/bins, (k+1)/bins], the usual choice. `equal_mass`: bins between quantiles of the confidence,
    with about the same number of predictions each; the error varies less when most confidences are near 1. Equal
    confidences stay in one bin, so there can be fewer bins.

    Raises ScoringError for arrays that do not fit together or values outside their range.
    """
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if confidence.ndim != 1 or confidence.shape != correct.shape or not confidence.size:
        raise ScoringError(f"need two equally long, non-empty lists, not shapes {confidence.shape} and {correct.shape}")
    if not ((confidence >= 0) & (confidence <= 1)).all() or not np.isin(correct, (0, 1)).all():
        raise ScoringError("a confidence lies in [0, 1], and correct is 0 or 1 (or a boolean)")
    if bins < 1 or binning not in ("equal_width", "equal_mass"):
        raise ScoringError(f"need bins >= 1 and binning equal_width or equal_mass, not {bins} and {binning!r}")
    fractions = np.linspace(0, 1, bins + 1)[1:-1]
    inner_edges = fractions if binning == "equal_width" else np.quantile(confidence, fractions)
    index = np.digitize(confidence, inner_edges, right=True)
    count = np.bincount(index)
    filled = count > 0
    count = count[filled]
    mean_confidence = np.bincount(index, weights=confidence)[filled] / count
    accuracy = np.bincount(index, weights=correct)[filled] / count
    error = float(np.average(np.abs(accuracy - mean_confidence), weights=count))
    return Reliability(binning, mean_confidence, accuracy, count, error)
