from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hamner.corpora import Post
from hamner.errors import HamnerError
from hamner.evaluation import welch, write_predictions
from hamner.figures.comparisons import gains
from hamner.study.differences import COLUMNS, differences
from hamner.training import Run
from hamner.training.rows import config_of_row, full_settings, of_captions

POSTS = [Post(str(n), ("Kelso", "runs"), ("B-PER", "O")) for n in range(40)]


@pytest.fixture
def tagged(tmp_path: Path):
    """A run that finds the name in the first `right` posts."""

    def make(row: str, seed: int, right: int, captions: str = "captions.txt", **settings: object) -> Run:
        folder = tmp_path / f"{row}{seed}{captions}"
        tags = {post.id: post.tags if n < right else ("O", "O") for n, post in enumerate(POSTS)}
        write_predictions(folder / "predictions.jsonl", tags)
        config = config_of_row(full_settings("twitter2017", of_captions([captions]) | settings), row, seed)
        return Run(
            folder,
            {
                "corpus": {"name": "twitter2017", "sha256": {}},
                "config": config.to_dict(),
                "inputs": dict.fromkeys(config.captions, "0" * 64),
            },
        )

    return make


def test_a_row_is_compared_with_both_references_seed_by_seed_and_in_the_mean(tagged) -> None:
    found = [
        tagged("text_only", 1, 20),
        tagged("text_only", 2, 20),
        tagged("shuffled_images", 1, 30),
        *(tagged("full", seed, right) for seed, right in ((1, 40), (2, 20), (3, 40))),
    ]
    table = differences(found, POSTS, resamples=300)
    assert tuple(table.columns) == COLUMNS
    lines = table.set_index(["row", "reference", "seed"]).sort_index()
    f1 = {right: 200 * right / (right + len(POSTS)) for right in (20, 30, 40)}
    to_text = lines.loc[("full", "text_only")]
    assert to_text.difference[["1", "2"]].tolist() == pytest.approx([f1[40] - f1[20], 0])
    assert np.isnan(to_text.difference["3"])  # text only has no third seed, so the mean is over two
    assert to_text.f1["mean"] == pytest.approx((f1[40] + f1[20]) / 2)
    assert to_text.difference["mean"] == pytest.approx((f1[40] - f1[20]) / 2)
    mean = to_text.loc["mean"]
    assert 0 < mean.difference_low < mean.difference < mean.difference_high
    assert mean.p_value < 0.05
    to_shuffled = lines.loc[("full", "shuffled_images")]
    assert to_shuffled.difference["mean"] == pytest.approx(f1[40] - f1[30])
    assert lines.loc["text_only"].index.unique("reference").tolist() == [""]  # it has no images to shuffle
    assert lines.loc["text_only"].difference.isna().all()
    assert lines.loc[("text_only", "", "mean"), "f1"] == pytest.approx(f1[20])


def test_sources_are_kept_apart_and_text_only_serves_each(tagged) -> None:
    found = [tagged("text_only", 1, 20), tagged("full", 1, 30)]
    blind = tagged("full", 1, 40, "other", visual={"backbone": "efficientnet-lite0", "objects": "tiles"})
    table = differences([*found, blind], POSTS, resamples=50)
    of_full = table[(table.row == "full") & (table.seed == "1") & (table.reference == "text_only")]
    assert of_full.source.nunique() == 2
    assert of_full.difference.notna().all()
    (axes,) = gains(table).axes
    assert len(axes.get_yticklabels()) == 2  # a lane for each source


def test_any_row_may_be_the_reference_and_text_only_is_compared_with_it_too(tagged) -> None:
    rights = {"full": 40, "no_spatial": 20, "no_semantic": 40, "text_only": 9}
    found = [tagged(row, 1, right) for row, right in rights.items()]
    table = differences([*found, tagged("no_spatial", 2, 20)], POSTS, references=("full",), resamples=200)
    lines = table[table.reference == "full"].set_index(["row", "seed"])
    worse = lines.loc[("no_spatial", "1")]
    assert worse.difference_low < worse.difference < worse.difference_high < 0
    assert worse.p_value < 0.01
    assert lines.loc[("no_semantic", "1"), "p_value"] == 1
    assert np.isnan(lines.loc[("no_spatial", "2"), "difference"])
    assert lines.loc[("text_only", "mean"), "difference"] < worse.difference
    with pytest.raises(HamnerError, match="one seed twice"):
        differences([*found, tagged("full", 1, 9, "captions.txt")], POSTS, resamples=2)


def test_captions_as_words_are_compared_with_text_only(tagged) -> None:
    table = differences([tagged("text_only", 1, 20), tagged("caption_words", 1, 30)], POSTS, resamples=50)
    line = table[(table.row == "caption_words") & (table.seed == "1")].iloc[0]
    assert (line.reference, line.source) == ("text_only", "captions (stand-in)")
    assert line.difference > 0


def test_a_run_that_is_no_row_of_the_study_comes_last(tagged) -> None:
    table = differences(
        [tagged("no_relevance", 1, 30, model={"coattention": False}), tagged("full", 1, 20)], POSTS, resamples=9
    )
    assert list(dict.fromkeys(table.row)) == ["full", "custom"]


def test_runs_with_other_settings_are_refused(tagged) -> None:
    with pytest.raises(HamnerError, match="differ in more than their row and seed"):
        differences([tagged("text_only", 1, 20), tagged("full", 1, 30, epochs=9)], POSTS, resamples=2)


def test_the_figure_has_a_line_for_each_row_with_a_difference(tagged) -> None:
    found = [tagged(row, seed, 20 + seed) for row in ("text_only", "blank_images", "full") for seed in (1, 2)]
    figure = gains(differences(found, POSTS, resamples=50))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["full", "blank_images"]
    assert axes.get_title(loc="left") == "Twitter-2017"


def test_the_figure_shows_what_further_seeds_may_do_where_there_are_several(tagged) -> None:
    rights = {"text_only": (20, 22, 24), "full": (30, 31, 35), "blank_images": (25,)}
    found = [tagged(row, seed, right) for row, of_row in rights.items() for seed, right in enumerate(of_row, 1)]
    table = differences(found, POSTS, resamples=50)
    (axes,) = gains(table).axes
    thin = [lines for lines in axes.collections if lines.get_linewidths()[0] == 1]
    assert len(thin) == 1  # blank_images has one seed, of which nothing follows for others
    f1 = table[(table.seed != "mean") & ~table.duplicated(["row", "seed"])].groupby("row").f1.apply(list)
    ((start, end),) = thin[0].get_segments()
    assert (start[0], end[0]) == pytest.approx(welch(f1["full"], f1["text_only"]))
    assert start[1] == end[1] == 0  # the lane of full
