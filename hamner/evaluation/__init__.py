"""Scoring of predicted tags: protocols, intervals and tests, kinds of mistakes, calibration."""

from hamner.evaluation.calibration import Reliability, reliability
from hamner.evaluation.intervals import (
    Interval,
    PairedTest,
    Spread,
    bootstrap_interval,
    over_seeds,
    paired_bootstrap,
    wilson,
)
from hamner.evaluation.mistakes import KINDS, Match, count_kinds, match_posts, match_spans
from hamner.evaluation.predictions import PredictionsError, align, read_predictions, write_predictions
from hamner.evaluation.scoring import PRF, Score, ScoringError, post_counts, score, training_mentions

__all__ = [
    "KINDS",
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
    "count_kinds",
    "match_posts",
    "match_spans",
    "over_seeds",
    "paired_bootstrap",
    "post_counts",
    "read_predictions",
    "reliability",
    "score",
    "training_mentions",
    "wilson",
    "write_predictions",
]
