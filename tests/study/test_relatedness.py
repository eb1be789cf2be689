from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hamner.errors import HamnerError
from hamner.figures.comparisons import relevance_by_relatedness
from hamner.study.relatedness import GROUPS, agreement, by_score, read_scores

POSTS = 200


@pytest.fixture
def scores() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    strong = rng.random(POSTS)
    table = pd.DataFrame({"strong": strong, "weak": rng.random(POSTS), "unreadable": np.arange(POSTS) % 10 == 0})
    table.index = [f"p{number}" for number in range(POSTS)]
    return table


def test_rho_that_follows_one_score_agrees_with_it_alone(scores: pd.DataFrame) -> None:
    rho = (scores.strong**3).to_dict()  # the same order, other values: a rank correlation sees no difference
    numbers = agreement(rho, scores, resamples=200)
    assert numbers["strong"] == numbers["strong_low"] == pytest.approx(1)
    assert numbers["weak_low"] < 0 < numbers["weak_high"]
    assert (numbers["posts"], numbers["unreadable"]) == (POSTS, POSTS // 10)


def test_the_auc_counts_pairs_of_a_readable_and_an_unreadable_image(scores: pd.DataFrame) -> None:
    rho = scores.strong.where(~scores.unreadable, 0.5)
    readable, unreadable = rho[~scores.unreadable].to_numpy(), rho[scores.unreadable].to_numpy()
    by_hand = (readable[:, None] > unreadable).mean() + 0.5 * (readable[:, None] == unreadable).mean()
    assert agreement(rho.to_dict(), scores, resamples=2)["auc"] == pytest.approx(by_hand)
    some = scores[~scores.unreadable]
    assert np.isnan(agreement(some.strong.to_dict(), some, resamples=2)["auc"])


def test_posts_are_grouped_by_score_and_the_unreadable_stand_apart(scores: pd.DataFrame) -> None:
    rho = scores.strong.where(~scores.unreadable, 0.0).to_dict()
    table = by_score(rho, scores).set_index("group")
    groups = [str(number + 1) for number in range(GROUPS)]
    assert table.posts[groups].tolist() == [(POSTS - POSTS // 10) // GROUPS] * GROUPS
    assert table.rho[groups].is_monotonic_increasing
    assert table.loc["unreadable", ["posts", "rho"]].tolist() == [POSTS // 10, 0]


def test_a_post_without_score_is_one_clear_error(scores: pd.DataFrame) -> None:
    with pytest.raises(HamnerError, match=r"1 of 2 posts have no relatedness score, the first is other"):
        agreement({"p1": 0.5, "other": 0.5}, scores)


HEAD = "imgid\tsplit\tstrong\tweak\timage_unreadable\n"


def test_scores_are_read_with_their_ids_as_text(tmp_path: Path) -> None:
    file = tmp_path / "tmr.tsv"
    file.write_text(HEAD + "0012\ttest\t0.25\t0.5\t1\n7\ttest\t0.1\t0.2\t0\n")
    table = read_scores(file)
    assert table.loc["0012"].tolist() == [0.25, 0.5, True]
    assert table.index.tolist() == ["0012", "7"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id\tstrong\n1\t0.5\n", "no table of relatedness scores"),
        (HEAD + "1\ttest\thigh\t0.5\t0\n", "no table of relatedness scores"),
        (HEAD + "1\ttest\t0.5\t0.5\t0\n1\ttest\t0.5\t0.5\t0\n", "the post 1 has two lines; keep one"),
        (HEAD + "1\ttest\t\t0.5\t0\n", "a score is no number"),
        (HEAD + "1\ttest\t0.5\t0.5\t0.7\n", "neither 0 nor 1"),
        ("", "no table of relatedness scores"),
    ],
)
def test_a_damaged_table_of_scores_is_one_clear_error(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "tmr.tsv"
    file.write_text(content)
    with pytest.raises(HamnerError, match=message) as error:
        read_scores(file)
    assert str(error.value).startswith(str(file))


def test_the_figure_has_a_panel_for_each_corpus_and_a_line_for_each_run(scores: pd.DataFrame) -> None:
    table = pd.concat(
        by_score(scores.strong.to_dict(), scores).assign(
            corpus=corpus, encoder="minilm", source="captions", row=row, seed=seed
        )
        for corpus in ("twitter2015", "twitter2017")
        for row in ("full", "shuffled_images")
        for seed in (1, 2)
    )
    panels = relevance_by_relatedness(table).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["Twitter-2015", "Twitter-2017"]
    assert all(len([line for line in axes.lines if len(line.get_xdata()) == GROUPS]) == 4 for axes in panels)
