from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from scipy.stats import t as student_t

from hamner.corpora import Post
from hamner.evaluation import (
    ScoringError,
    bootstrap_interval,
    bootstrap_interval_of_mean,
    clusters_of,
    intervals,
    over_seeds,
    paired_bootstrap,
    paired_bootstrap_of_means,
    score,
    welch,
    wilson,
)

FOUND, MISSED = ["B-PER", "O"], ["O", "O"]


def tagged(correct: int, posts: int) -> tuple[list[list[str]], list[list[str]]]:
    """Gold with one entity a post, and predictions that find it in the first `correct` posts only."""
    return [FOUND] * posts, [FOUND] * correct + [MISSED] * (posts - correct)


def test_the_estimate_is_the_score_and_lies_inside_its_interval():
    gold, predicted = tagged(60, 100)
    interval = bootstrap_interval(gold, predicted)
    assert interval.estimate == pytest.approx(score(gold, predicted).overall.f1)
    assert interval.low < interval.estimate < interval.high


def test_the_interval_agrees_with_resampling_posts_one_by_one():
    rng = random.Random(1)
    tags = ["B-PER", "I-PER", "B-LOC", "O", "O"]
    gold = [rng.choices(tags, k=6) for _ in range(80)]
    predicted = [[tag if rng.random() < 0.8 else rng.choice(tags) for tag in post] for post in gold]
    values = []
    for _ in range(800):
        drawn = rng.choices(range(80), k=80)
        values.append(score([gold[i] for i in drawn], [predicted[i] for i in drawn]).overall.f1)
    interval = bootstrap_interval(gold, predicted)
    assert (interval.low, interval.high) == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.015)


def test_posts_of_one_cluster_are_drawn_together():
    gold, predicted = tagged(60, 100)
    clusters = [number // 4 for number in range(100)]  # all right or all wrong: 25 cases, not 100
    one, many = (bootstrap_interval(gold, predicted, clusters=of) for of in (clusters, list(range(100))))
    assert one.estimate == many.estimate
    assert one.high - one.low == pytest.approx(2 * (many.high - many.low), rel=0.1)
    few = bootstrap_interval(*tagged(15, 25))
    assert (one.low, one.high) == (few.low, few.high)


def test_clusters_of_their_own_change_nothing_and_hold_for_the_paired_test_too():
    gold, predicted = tagged(60, 100)
    _, other = tagged(52, 100)
    assert bootstrap_interval(gold, predicted, clusters=list(range(100))) == bootstrap_interval(gold, predicted)
    clusters = [number // 4 for number in range(100)]
    test = paired_bootstrap(gold, predicted, other, clusters=clusters)
    few = paired_bootstrap(*tagged(15, 25), tagged(13, 25)[1])
    assert (test.low, test.high, test.p_value) == (few.low, few.high, few.p_value)


def test_each_post_needs_a_cluster():
    with pytest.raises(ScoringError, match="99 clusters for 100 posts"):
        bootstrap_interval(*tagged(60, 100), clusters=range(99))


def test_posts_with_one_image_are_one_cluster_and_posts_without_are_none():
    posts = [Post("1", ("a",)), Post("2", ("a",)), *(Post(id, ("a",), image=Path("p1.png")) for id in ("3", "p1.png"))]
    one, two, three, four = clusters_of(posts)
    assert three == four
    assert len({one, two, three}) == 3


def test_drawing_in_parts_changes_nothing(monkeypatch):
    gold, predicted = tagged(60, 100)
    whole = bootstrap_interval(gold, predicted, resamples=1000)
    monkeypatch.setattr(intervals, "AT_ONCE", 300)
    assert bootstrap_interval(gold, predicted, resamples=1000) == whole


def test_a_wider_level_gives_a_wider_interval_and_fewer_posts_too():
    ninety_five = bootstrap_interval(*tagged(60, 100))
    ninety_nine = bootstrap_interval(*tagged(60, 100), level=0.99)
    few_posts = bootstrap_interval(*tagged(6, 10))
    assert ninety_nine.high - ninety_nine.low > ninety_five.high - ninety_five.low
    assert few_posts.high - few_posts.low > ninety_five.high - ninety_five.low


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    recall, posts = 0.7, 150
    truth = 2 * recall / (1 + recall)  # precision is 1: a post's entity is either found or not
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        interval = bootstrap_interval(*tagged(rng.binomial(posts, recall), posts), resamples=500, seed=seed)
        covered += interval.low <= truth <= interval.high
    assert 0.90 <= covered / 200 <= 0.99


def test_one_seed_gives_one_interval_and_another_seed_another():
    tags = tagged(61, 97)
    interval = bootstrap_interval(*tags, resamples=50, seed=3)
    assert interval == bootstrap_interval(*tags, resamples=50, seed=3)
    assert interval != bootstrap_interval(*tags, resamples=50, seed=4)


def test_the_order_of_posts_changes_nothing():
    gold, predicted = tagged(61, 97)
    other = predicted[::-1]
    order = random.Random(0).sample(range(97), 97)
    gold_, predicted_, other_ = ([tags[i] for i in order] for tags in (gold, predicted, other))
    assert bootstrap_interval(gold_, predicted_) == bootstrap_interval(gold, predicted)
    assert paired_bootstrap(gold_, predicted_, other_) == paired_bootstrap(gold, predicted, other)


def test_identical_predictions_differ_by_nothing():
    gold, predicted = tagged(60, 100)
    test = paired_bootstrap(gold, predicted, predicted)
    assert (test.difference, test.low, test.high, test.p_value) == (0, 0, 0, 1)


def test_a_clearly_better_tagger_gets_a_small_p_value_and_a_positive_interval():
    gold, better = tagged(90, 100)
    _, worse = tagged(60, 100)
    test = paired_bootstrap(gold, better, worse)
    assert test.difference == pytest.approx(score(gold, better).overall.f1 - score(gold, worse).overall.f1)
    assert test.p_value < 0.001
    assert 0 < test.low < test.difference < test.high


def test_swapping_the_two_taggers_flips_the_sign_and_keeps_the_p_value():
    gold, predicted = tagged(55, 100)
    other = predicted[::-1]
    other[0] = FOUND
    there, back = paired_bootstrap(gold, predicted, other), paired_bootstrap(gold, other, predicted)
    assert there.difference == pytest.approx(-back.difference)
    assert there.p_value == pytest.approx(back.p_value, abs=0.03)


def test_one_post_that_differs_is_no_significant_difference():
    gold, predicted = tagged(60, 100)
    _, other = tagged(61, 100)
    assert paired_bootstrap(gold, predicted, other).p_value > 0.3


def test_two_taggers_of_equal_skill_are_called_different_about_as_often_as_the_p_value_says():
    rng = np.random.default_rng(0)
    posts, rejected = 150, 0
    for seed in range(200):
        first, second = ([FOUND if found else MISSED for found in rng.random(posts) < 0.7] for _ in range(2))
        rejected += paired_bootstrap([FOUND] * posts, first, second, resamples=500, seed=seed).p_value <= 0.05
    assert 0.01 <= rejected / 200 <= 0.10


@pytest.mark.parametrize("options", [{"resamples": 0}, {"level": 1.0}, {"level": 95}])
def test_a_bootstrap_refuses_settings_that_mean_nothing(options):
    with pytest.raises(ScoringError, match="resamples >= 1 and 0 < level < 1"):
        bootstrap_interval([FOUND], [FOUND], **options)


def test_no_posts_cannot_be_resampled():
    with pytest.raises(ScoringError, match="no posts"):
        bootstrap_interval([], [])


def test_the_spread_over_seeds_divides_by_n_minus_one():
    spread = over_seeds([0.80, 0.82, 0.87])
    assert (spread.n, spread.min, spread.max) == (3, 0.80, 0.87)
    assert spread.mean == pytest.approx(0.83)
    assert spread.sd == pytest.approx(np.std([0.80, 0.82, 0.87], ddof=1))


def test_one_seed_has_a_mean_but_no_deviation():
    assert over_seeds([0.8]).mean == 0.8
    assert over_seeds([0.8]).sd is None


def test_no_seeds_are_an_error():
    with pytest.raises(ScoringError, match="no runs"):
        over_seeds([])


@given(st.integers(1, 1000), st.floats(0, 1))
def test_the_interval_of_a_share_holds_it_and_stays_between_0_and_1(count: int, share: float) -> None:
    low, high = wilson(share, count)
    assert -1e-9 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1 + 1e-9


def test_the_interval_of_a_share_is_that_of_scipy() -> None:
    expected = binomtest(30, 100).proportion_ci(method="wilson")
    assert wilson(0.3, 100) == pytest.approx((expected.low, expected.high))


def test_the_interval_over_seeds_is_welchs() -> None:
    # By hand: means 82 and 80, variances 1 and 4 of three each, so a standard error of sqrt(5/3) with
    # (1/3 + 4/3)^2 / (((1/3)^2 + (4/3)^2) / 2) = 2.94 degrees of freedom, of which t takes its 97.5 % point.
    low, high = welch([81, 82, 83], [78, 80, 82])  # type: ignore[misc]
    half = float(student_t.ppf(0.975, 50 / 17)) * (5 / 3) ** 0.5
    assert (low, high) == pytest.approx((2 - half, 2 + half))
    assert welch([78, 80, 82], [81, 82, 83]) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], [2.0, 3.0]), ([1.0, 2.0], [3.0]), ([2.0, 2.0], [2.0, 2.0])])
def test_where_nothing_varies_over_seeds_nothing_is_said(ours: list[float], theirs: list[float]) -> None:
    assert welch(ours, theirs) is None


def test_a_mean_over_seeds_is_estimated_as_the_mean_of_scores_and_is_surer_than_one_seed():
    posts = 120
    rng = np.random.default_rng(0)
    gold = [FOUND] * posts
    seeds = [[FOUND if found else MISSED for found in rng.random(posts) < 0.6] for _ in range(4)]
    mean = bootstrap_interval_of_mean(gold, seeds)
    one = bootstrap_interval(gold, seeds[0])
    assert mean.estimate == pytest.approx(np.mean([score(gold, tags).overall.f1 for tags in seeds]))
    # Each of these taggers is right where it is by itself, so resampling four at once moves their mean half as far.
    assert mean.high - mean.low < 0.7 * (one.high - one.low)


def test_means_of_two_rows_are_compared_on_the_same_resamples():
    gold, worse = tagged(50, 100)
    better = [FOUND] * 70 + [MISSED] * 30
    test = paired_bootstrap_of_means(gold, [better, worse], [worse, worse])
    single = paired_bootstrap(gold, better, worse)
    assert test.difference == pytest.approx(single.difference / 2)
    assert (test.low, test.high) == pytest.approx((single.low / 2, single.high / 2), abs=1e-9)
    assert paired_bootstrap_of_means(gold, [better, worse], [worse, better]).p_value == 1


def test_no_taggers_have_no_mean():
    with pytest.raises(ScoringError, match="at least one tagger"):
        bootstrap_interval_of_mean([FOUND], [])
