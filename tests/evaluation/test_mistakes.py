from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamner.corpora.tags import PROTOCOLS, TAGS, TYPES, Span, spans
from hamner.evaluation import ERROR_KINDS, count_kinds, match_posts, match_spans, score

pairs = st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), max_size=10).map(
    lambda tags: ([gold for gold, _ in tags], [predicted for _, predicted in tags])
)
any_spans = st.sets(
    st.tuples(st.sampled_from(TYPES), st.integers(0, 6), st.integers(1, 4)).map(lambda t: Span(t[0], t[1], t[1] + t[2]))
)


@pytest.mark.parametrize(
    ("gold", "predicted", "kind"),
    [
        (Span("PER", 0, 2), Span("PER", 0, 2), "correct"),
        (Span("PER", 0, 2), Span("LOC", 0, 2), "wrong_type"),
        (Span("PER", 0, 2), Span("PER", 1, 3), "wrong_boundary"),
        (Span("PER", 0, 2), Span("LOC", 0, 3), "wrong_both"),
    ],
)
def test_an_overlapping_pair_is_named_by_what_is_wrong_with_it(gold, predicted, kind):
    assert match_spans([gold], [predicted]) == [(kind, gold, predicted)]


def test_entities_that_only_touch_are_missed_and_spurious():
    gold, predicted = Span("PER", 0, 2), Span("PER", 2, 3)
    assert match_spans([gold], [predicted]) == [("missed", gold, None), ("spurious", None, predicted)]


def test_a_split_entity_is_one_wrong_boundary_and_one_spurious():
    gold, short, long = Span("PER", 0, 3), Span("PER", 0, 1), Span("PER", 1, 3)
    assert match_spans([gold], [short, long]) == [("wrong_boundary", gold, long), ("spurious", None, short)]


def test_the_milder_mistake_is_paired_first():
    gold, other_type, other_ends = Span("PER", 0, 2), Span("LOC", 0, 2), Span("PER", 1, 3)
    assert match_spans([gold], [other_ends, other_type])[0] == ("wrong_type", gold, other_type)


@given(gold=any_spans, predicted=any_spans)
def test_every_entity_stands_in_exactly_one_match(gold, predicted):
    matches = match_spans(gold, predicted)
    assert Counter(match.gold for match in matches if match.gold) == Counter(gold)
    assert Counter(match.predicted for match in matches if match.predicted) == Counter(predicted)
    assert all((m.kind == "missed") == (m.predicted is None) for m in matches)
    assert all((m.kind == "spurious") == (m.gold is None) for m in matches)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(tags=pairs)
def test_kinds_add_up_to_the_counts_of_the_score(protocol, tags):
    gold, predicted = [tags[0]], [tags[1]]
    kinds = count_kinds(match_posts(gold, predicted, protocol))
    overall = score(gold, predicted, protocol).overall
    paired = kinds["correct"] + kinds["wrong_type"] + kinds["wrong_boundary"] + kinds["wrong_both"]
    assert tuple(kinds) == ERROR_KINDS
    assert kinds["correct"] == overall.correct
    assert paired + kinds["missed"] == overall.gold == len(spans(gold[0], protocol))
    assert paired + kinds["spurious"] == overall.predicted
