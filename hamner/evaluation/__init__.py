"""Score predicted tags: protocols, confidence intervals, significance tests, kinds of mistakes, calibration."""

from hamner.evaluation.intervals import (
    Interval,
    PairedTest,
    Spread,
    bootstrap_interval,
    bootstrap_interval_of_mean,
    clusters_of,
    over_seeds,
    paired_bootstrap,
    paired_bootstrap_of_means,
    welch,
    wilson,
)
from hamner.evaluation.mistakes import ERROR_KINDS, Match, count_kinds, match_posts, match_spans
from hamner.evaluation.predictions import PredictionsError, align, read_predictions, read_relevance, write_predictions
from hamner.evaluation.reliability import Reliability, reliability
from hamner.evaluation.scoring import PRF, Score, ScoringError, post_counts, score, training_mentions

__all__ = [
    "ERROR_KINDS",
    "PRF",
    "Interval",
    "Match",
    "PairedTest",
    "PredictionsError",
    "Reliability",
    "Score",
    "ScoringError",
    "Spread",
    "align",
    "bootstrap_interval",
    "bootstrap_interval_of_mean",
    "clusters_of",
    "count_kinds",
    "match_posts",
    "match_spans",
    "over_seeds",
    "paired_bootstrap",
    "paired_bootstrap_of_means",
    "post_counts",
    "read_predictions",
    "read_relevance",
    "reliability",
    "score",
    "training_mentions",
    "welch",
    "wilson",
    "write_predictions",
]
