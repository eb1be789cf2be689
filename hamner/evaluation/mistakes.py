"""The kinds of mistakes a tagger makes, from pairs of gold and predicted entities.

The kinds follow MUC-5 (Chinchor and Sundheim 1993).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hamner.corpora.tags import Span
from hamner.evaluation.scoring import Tags, read_spans

ERROR_KINDS = ("correct", "wrong_type", "wrong_boundary", "wrong_both", "missed", "spurious")


class Match(NamedTuple):
    """A gold entity and the predicted entity paired with it; `missed` has no predicted one, `spurious` no gold one."""

    kind: str
    gold: Span | None
    predicted: Span | None


def match_posts(gold: Sequence[Tags], predicted: Sequence[Tags], protocol: str = "seqeval") -> list[list[Match]]:
    """The matches of each post (`match_spans`). Raises ScoringError where the tags cannot be compared."""
    return [match_spans(*pair) for pair in zip(*read_spans(gold, predicted, protocol), strict=True)]


def match_spans(gold: Iterable[Span], predicted: Iterable[Span]) -> list[Match]:
    """Pair the entities of one post; each entity is in exactly one match.

    Overlapping entities are paired one to one, in this order: `correct`; the same words with another type
    (`wrong_type`); an overlap with the same type (`wrong_boundary`); any overlap (`wrong_both`). Within a kind the
    longest overlap comes first, then the leftmost. Entities without a partner are `missed` (gold) or `spurious`
    (predicted). So gold = correct + the three wrong kinds + missed, predicted = correct + the three + spurious.
    """
    unmatched_gold, unmatched_predicted = sorted(set(gold)), sorted(set(predicted))
    candidates = []
    for truth in unmatched_gold:
        for guess in unmatched_predicted:
            overlap = min(truth.end, guess.end) - max(truth.start, guess.start)
            if overlap > 0:
                candidates.append(
                    (ERROR_KINDS.index(_kind(truth, guess)), -overlap, truth.start, guess.start, truth, guess)
                )
    matches = []
    for kind, _, _, _, truth, guess in sorted(candidates):
        if truth in unmatched_gold and guess in unmatched_predicted:
            unmatched_gold.remove(truth)
            unmatched_predicted.remove(guess)
            matches.append(Match(ERROR_KINDS[kind], truth, guess))
    matches += [Match("missed", truth, None) for truth in unmatched_gold]
    matches += [Match("spurious", None, guess) for guess in unmatched_predicted]
    return matches


def count_kinds(matches: Iterable[Iterable[Match]]) -> dict[str, int]:
    """How often each kind occurs over all posts, zeros included."""
    counts = Counter(match.kind for post in matches for match in post)
    return {kind: counts[kind] for kind in ERROR_KINDS}


def _kind(gold: Span, predicted: Span) -> str:
    same_boundary = (gold.start, gold.end) == (predicted.start, predicted.end)
    if gold.type == predicted.type:
        return "correct" if same_boundary else "wrong_boundary"
    return "wrong_type" if same_boundary else "wrong_both"
