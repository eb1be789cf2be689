from __future__ import annotations

from pathlib import Path

import pytest

from hamner.corpora import Post
from hamner.evaluation import write_predictions
from hamner.figures.comparisons import noise
from hamner.study.generalisation import COLUMNS, generalisation
from hamner.training import Run
from hamner.training.rows import config_of_row, full_settings, of_captions

TESTS = {
    "twitter2017": [Post(str(n), ("Kelso", "runs"), ("B-PER", "O")) for n in range(40)],
    "twitter2015": [Post(str(n), ("Orva",), ("B-LOC",)) for n in range(10)],
}


def write(file: Path, corpus: str, right: int) -> None:
    posts = TESTS[corpus]
    write_predictions(
        file, {post.id: post.tags if n < right else ["O"] * len(post.words) for n, post in enumerate(posts)}
    )


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Two seeds of the full model and one of text only, tested elsewhere, and one run that was not."""
    made = []
    for row, seed in (("full", 1), ("full", 2), ("text_only", 1), ("no_global", 1)):
        folder = tmp_path / f"{row}{seed}"
        config = config_of_row(full_settings("twitter2017", of_captions(["captions.txt"])), row, seed)
        write(folder / "predictions.jsonl", "twitter2017", 40)
        if row != "no_global":
            write(folder / "retests" / "twitter2015.jsonl", "twitter2015", 5)
        if row == "full":
            write(folder / "retests" / "twitter2017-shuffled50.jsonl", "twitter2017", 20 * seed)
        if row == "full":
            write(folder / "retests" / "somebodys.jsonl", "twitter2015", 5)
        made.append(
            Run(
                folder,
                {
                    "corpus": {"name": "twitter2017", "sha256": {}},
                    "config": config.to_dict(),
                    "inputs": dict.fromkeys(config.captions, "0" * 64),
                },
            )
        )
    return made


def test_each_test_of_a_run_has_a_line_and_so_has_the_mean_over_seeds(runs: list[Run]) -> None:
    table = generalisation(runs, TESTS, resamples=100)
    assert tuple(table.columns) == COLUMNS
    assert set(table.row) == {"full", "text_only"}
    assert set(table.tested_on) == set(TESTS)  # not somebody's, of which there is no test here
    lines = table.set_index(["row", "tested_on", "shuffled", "seed"]).sort_index()
    f1 = {share: 200 * share / (1 + share) for share in (0.5, 1)}
    assert lines.loc[("text_only", "twitter2015", 0, "1"), "f1"] == pytest.approx(f1[0.5])
    assert lines.loc[("full", "twitter2017", 0), "f1"].tolist() == [100, 100, 100]
    shuffled = lines.loc[("full", "twitter2017", 50)]
    assert shuffled.f1[["1", "2", "mean"]].tolist() == pytest.approx([f1[0.5], 100, (f1[0.5] + 100) / 2])
    assert shuffled.low["1"] < shuffled.f1["1"] < shuffled.high["1"]


def test_exchanged_images_are_compared_with_the_posts_own(runs: list[Run]) -> None:
    lines = generalisation(runs, TESTS, resamples=100).set_index(["row", "tested_on", "shuffled", "seed"]).sort_index()
    shuffled = lines.loc[("full", "twitter2017", 50)]
    fall = 100 - 200 * 0.5 / 1.5
    assert shuffled.difference[["1", "2", "mean"]].tolist() == pytest.approx([-fall, 0, -fall / 2])
    assert shuffled.difference_low["1"] < -fall < shuffled.difference_high["1"] < 0
    assert shuffled.p_value[["1", "2"]].tolist() == pytest.approx([1 / 101, 1])
    compared = ["difference", "difference_low", "difference_high", "p_value"]
    assert lines.drop(index=("full", "twitter2017", 50))[compared].isna().all(axis=None)


def test_a_retest_never_takes_the_place_of_the_runs_own_test(runs: list[Run]) -> None:
    write(runs[2].folder / "retests" / "twitter2017.jsonl", "twitter2017", 3)
    lines = generalisation(runs[2:3], TESTS, resamples=50).set_index(["tested_on", "seed"])
    assert lines.loc[("twitter2017", "1"), "f1"] == 100


def test_a_run_whose_own_test_is_not_here_is_shown_on_the_others(runs: list[Run]) -> None:
    found = generalisation(runs, {"twitter2015": TESTS["twitter2015"]}, resamples=50)
    assert set(found.trained_on) == {"twitter2017"}
    assert set(found.tested_on) == {"twitter2015"}


def test_without_retests_there_is_no_line(runs: list[Run]) -> None:
    assert generalisation(runs[-1:], TESTS).empty


def test_the_figure_shows_each_share_and_text_only(runs: list[Run]) -> None:
    figure = noise(generalisation(runs, TESTS, resamples=50))
    assert figure.get_supxlabel() == "captions that belong to other posts (%)"
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Twitter-2017"
    assert any(line.get_linestyle() == "--" and list(line.get_ydata()) == [100, 100] for line in axes.lines)
    assert any(list(line.get_xdata()) == [0, 50] for line in axes.lines)
