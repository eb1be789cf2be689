"""What kind of mistake a tagger makes: gold and predicted entities paired off.

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
    """A gold and a predicted entity that belong together; `missed` has no predicted one, `spurious` no gold one."""

    kind: str
    gold: Span | None
    predicted: Span | None


def match_posts(gold: Sequence[Tags], predicted: Sequence[Tags], protocol: str = "seqeval") -> list[list[Match]]:
    """The matches of each post; see `match_spans`. Raises ScoringError where the tags cannot be compared."""
    return [match_spans(*pair) for pair in zip(*read_spans(gold, predicted, protocol), strict=True)]


def match_spans(gold: Iterable[Span], predicted: Iterable[Span]) -> list[Match]:
    """Pair the entities of one post; each stands in exactly one match.

    Entities that overlap are paired one to one: first the `correct`, then the same words with another type
    (`wrong_type`), then an overlap with the same type (`wrong_boundary`), then any overlap (`wrong_both`); within a
    kind the longest overlap first, then from the left. What is left over is `missed` (gold) or `spurious` (predicted).
    Hence gold = correct + the three wrong + missed, predicted = correct + the three wrong + spurious.
    """
    left_gold, left_predicted = sorted(set(gold)), sorted(set(predicted))
    candidates = []
    for truth in left_gold:
        for guess in left_predicted:
            overlap = min(truth.end, guess.end) - max(truth.start, guess.start)
            if overlap > 0:
                candidates.append(
                    (ERROR_KINDS.index(_kind(truth, guess)), -overlap, truth.start, guess.start, truth, guess)
                )
    matches = []
    for kind, _, _, _, truth, guess in sorted(candidates):
        if truth in left_gold and guess in left_predicted:
            left_gold.remove(truth)
            left_predicted.remove(guess)
            matches.append(Match(ERROR_KINDS[kind], truth, guess))
    matches += [Match("missed", truth, None) for truth in left_gold]
    matches += [Match("spurious", None, guess) for guess in left_predicted]
    return matches


def count_kinds(matches: Iterable[Iterable[Match]]) -> dict[str, int]:
    """How often each kind occurs over all posts, zeros included."""
    found = Counter(match.kind for post in matches for match in post)
    return {kind: found[kind] for kind in ERROR_KINDS}


def _kind(gold: Span, predicted: Span) -> str:
    same_boundary = (gold.start, gold.end) == (predicted.start, predicted.end)
    if gold.type == predicted.type:
        return "correct" if same_boundary else "wrong_boundary"
    return "wrong_type" if same_boundary else "wrong_both"
