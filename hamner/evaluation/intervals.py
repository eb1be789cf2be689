"""Uncertainty of a score: bootstrap over posts, paired test between two taggers, spread over seeds.

Posts are resampled, not entities: the entities of one post share its words and its image and are not independent. Posts
that share an image are not independent either: with `clusters` they are drawn together (`clusters_of`). Both bootstraps
measure the variation over *test posts* with the tagger held fixed. `over_seeds` and `welch` measure the variation over
*training runs* with the posts held fixed.

References: Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapters 13 and 16; Koehn, *Statistical
significance tests for machine translation evaluation* (EMNLP 2004); Berg-Kirkpatrick, Burkett and Klein, *An empirical
investigation of statistical significance in NLP* (EMNLP 2012); Davison and Hinkley, *Bootstrap Methods and their
Application* (1997), sections 3.8 (clusters) and 4.2; Welch, *The generalization of "Student's" problem* (Biometrika
1947).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hamner.corpora.post import Post
from hamner.evaluation.scoring import ScoringError, Tags, post_counts

AT_ONCE = 10_000
"""Resamples drawn together. One has hundreds of numbers on a large test set, so a million at once fill the memory."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its percentile bootstrap interval at confidence `level`."""

    estimate: float
    low: float
    high: float
    level: float
    resamples: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PairedTest:
    """Difference in F1 of two taggers (first minus second), its interval, and the two-sided p value."""

    difference: float
    low: float
    high: float
    p_value: float
    level: float
    resamples: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Spread:
    """Mean, sample standard deviation (n - 1), minimum and maximum over n runs; `sd` is None for one run."""

    n: int
    mean: float
    sd: float | None
    min: float
    max: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def bootstrap_interval(
    gold: Sequence[Tags],
    predicted: Sequence[Tags],
    protocol: str = "seqeval",
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> Interval:
    """Percentile bootstrap interval of micro F1 (a fraction) over posts drawn with replacement.

    With `clusters`, one for each post, the posts of a cluster are drawn together.
    """
    return bootstrap_interval_of_mean(
        gold, [predicted], protocol, resamples=resamples, level=level, seed=seed, clusters=clusters
    )


def bootstrap_interval_of_mean(
    gold: Sequence[Tags],
    predicted: Sequence[Sequence[Tags]],
    protocol: str = "seqeval",
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> Interval:
    """Percentile bootstrap interval of the mean F1 of several taggers, such as seeds, each scored on each resample."""
    counts = _by_cluster(_side_by_side(gold, predicted, protocol), clusters)
    drawn = _resampled_sums(counts, resamples, level, seed)
    low, high = _percentiles(_mean_f1(drawn), level)
    return Interval(float(_mean_f1(counts.sum(axis=0))), low, high, level, resamples)


def paired_bootstrap(
    gold: Sequence[Tags],
    predicted: Sequence[Tags],
    other: Sequence[Tags],
    protocol: str = "seqeval",
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> PairedTest:
    """Paired bootstrap test of two taggers on the same posts: both are scored on each resample.

    With d the difference in F1 on all posts and d* on a resample, p = (1 + #{|d* - d| >= |d|}) / (1 + resamples).
    d* - d is the difference by chance under the null hypothesis of no difference. This is the two-sided form of the
    test of Berg-Kirkpatrick et al. (2012), who count d* > 2d. The 1 counts the observed posts themselves (Davison and
    Hinkley 1997) and keeps p above zero.
    """
    return paired_bootstrap_of_means(
        gold, [predicted], [other], protocol, resamples=resamples, level=level, seed=seed, clusters=clusters
    )


def paired_bootstrap_of_means(
    gold: Sequence[Tags],
    predicted: Sequence[Sequence[Tags]],
    others: Sequence[Sequence[Tags]],
    protocol: str = "seqeval",
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> PairedTest:
    """Paired bootstrap test of two groups of taggers by their mean F1, such as the seeds of two ablation rows.

    The trained taggers are held fixed: the interval does not cover the variation over further seeds.
    """
    ours = _side_by_side(gold, predicted, protocol)
    counts = _by_cluster(np.concatenate([ours, _side_by_side(gold, others, protocol)], axis=1), clusters)

    def difference(sums: np.ndarray) -> np.ndarray:
        return _mean_f1(sums[..., : ours.shape[1]]) - _mean_f1(sums[..., ours.shape[1] :])

    drawn = difference(_resampled_sums(counts, resamples, level, seed))
    observed = float(difference(counts.sum(axis=0)))
    rounding = 1e-12  # ties that rounding breaks count as ties
    at_least_as_far = int(np.count_nonzero(np.abs(drawn - observed) >= abs(observed) - rounding))
    low, high = _percentiles(drawn, level)
    return PairedTest(observed, low, high, (1 + at_least_as_far) / (1 + resamples), level, resamples)


def over_seeds(values: Sequence[float]) -> Spread:
    """Mean and spread of one value over runs that differ only in their seed."""
    if not values:
        raise ScoringError("no runs to summarise: at least one value is needed")
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Spread(len(values), statistics.fmean(values), sd, min(values), max(values))


def welch(values: Sequence[float], others: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Welch's t interval of the mean of `values` minus the mean of `others`, each with one value for each seed.

    It covers the difference between the expected values over seeds. The runs count as independent, with a variance of
    their own in each group; where a seed acts alike on both groups the interval is too wide. None when a group has one
    run or neither group varies.
    """
    if min(len(values), len(others)) < 2 or len({*values}) == len({*others}) == 1:
        return None
    from scipy.stats import ttest_ind  # takes seconds to load, and most who import this need no t

    interval = ttest_ind(values, others, equal_var=False).confidence_interval(level)
    return float(interval.low), float(interval.high)


def clusters_of(posts: Sequence[Post]) -> list[str]:
    """The cluster of each post: posts that share an image's file are in one; a post without an image is its own."""
    return [f"post {post.id}" if post.image is None else f"image {post.image.name}" for post in posts]


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval (1927) of a share measured on `count` cases; it stays within 0 and 1."""
    z = statistics.NormalDist().inv_cdf(0.975)
    middle = share + z**2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return (middle - half) / (1 + z**2 / count), (middle + half) / (1 + z**2 / count)


def _side_by_side(gold: Sequence[Tags], taggers: Sequence[Sequence[Tags]], protocol: str) -> np.ndarray:
    """Correct, predicted and gold counts by post, tagger beside tagger: (posts, 3 x taggers)."""
    if not taggers:
        raise ScoringError("no predictions to resample: at least one tagger is needed")
    return np.concatenate([post_counts(gold, predicted, protocol) for predicted in taggers], axis=1)


def _by_cluster(counts: np.ndarray, clusters: Sequence[Hashable] | None) -> np.ndarray:
    """Counts (posts, columns) added up over the posts of each cluster: (clusters, columns)."""
    if clusters is None:
        return counts
    if len(clusters) != len(counts):
        raise ScoringError(f"{len(clusters)} clusters for {len(counts)} posts: each post needs one")
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    summed = np.zeros((len(numbers), counts.shape[1]), counts.dtype)
    np.add.at(summed, [numbers[cluster] for cluster in clusters], counts)
    return summed


def _resampled_sums(counts: np.ndarray, resamples: int, level: float, seed: int) -> np.ndarray:
    """Sums over posts of `counts` (posts, columns) in each resample: (resamples, columns).

    Posts with equal counts are interchangeable, so a resample is a multinomial draw over the distinct rows. The
    distribution is the one of drawing posts one by one; it is faster, and the order of posts has no effect.
    """
    if not len(counts):
        raise ScoringError("no posts to resample: a bootstrap needs at least one")
    if resamples < 1 or not 0 < level < 1:
        raise ScoringError(f"a bootstrap needs resamples >= 1 and 0 < level < 1, not {resamples} and {level}")
    kinds, multiplicity = np.unique(counts, axis=0, return_counts=True)
    random, share = np.random.default_rng(seed), multiplicity / len(counts)
    sizes = [min(AT_ONCE, resamples - begin) for begin in range(0, resamples, AT_ONCE)]
    return np.concatenate([random.multinomial(len(counts), share, size=size) @ kinds for size in sizes])


def _f1(sums: np.ndarray) -> np.ndarray:
    """F1 from (..., 3) sums of correct, predicted and gold; 0 where nothing is predicted and nothing is gold."""
    total = sums[..., 1] + sums[..., 2]
    return 2 * sums[..., 0] / np.maximum(total, 1)  # total 0 means correct 0, and 0 / 1 is the 0 wanted


def _mean_f1(sums: np.ndarray) -> np.ndarray:
    """Mean over taggers of their F1, from (..., 3 x taggers) sums."""
    return _f1(sums.reshape(*sums.shape[:-1], -1, 3)).mean(axis=-1)


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
