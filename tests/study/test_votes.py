from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamner.corpora import Post
from hamner.corpora.tags import TAGS, spans
from hamner.errors import HamnerError
from hamner.evaluation import bootstrap_interval, write_predictions
from hamner.study.votes import COLUMNS, vote, votes
from hamner.training import Run
from hamner.training.rows import config_of_row, full_settings

POSTS = [Post(str(n), ("Kelso", "Moss", "runs"), ("B-PER", "I-PER", "O")) for n in range(6)]
RIGHT, SHORT, OTHER, NONE = ("B-PER", "I-PER", "O"), ("B-PER", "O", "O"), ("B-LOC", "I-LOC", "O"), ("O", "O", "O")


def test_an_entity_is_voted_for_as_a_whole_and_needs_more_than_half():
    assert vote([[RIGHT], [RIGHT], [SHORT]]) == [RIGHT]
    assert vote([[RIGHT], [SHORT], [OTHER]]) == [NONE]
    assert vote([[RIGHT], [NONE]]) == [NONE]  # a half is not more than half
    assert vote([[SHORT], [SHORT], [RIGHT]]) == [SHORT]
    assert vote([[("B-PER", "B-PER", "O")], [RIGHT], [("O", "B-PER", "O")]]) == [("O", "B-PER", "O")]


@given(st.lists(st.lists(st.sampled_from(TAGS), min_size=6, max_size=6), min_size=1, max_size=5))
def test_exactly_the_entities_of_more_than_half_are_read_back(taggers):
    (voted,) = vote([[tuple(tags)] for tags in taggers])
    found = [set(spans(tags)) for tags in taggers]
    wanted = {span for of in found for span in of if 2 * sum(span in others for others in found) > len(found)}
    assert set(spans(voted)) == wanted


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Three seeds of text only, of which each errs in another post, and two of another row."""
    made = []
    for row, seed in (("text_only", 1), ("text_only", 2), ("text_only", 3), ("full", 1), ("full", 2)):
        folder = tmp_path / f"{row}{seed}"
        tags = {post.id: NONE if n == seed else RIGHT for n, post in enumerate(POSTS)}
        write_predictions(folder / "predictions.jsonl", tags)
        config = config_of_row(full_settings("twitter2017"), row, seed).to_dict()
        made.append(Run(folder, {"corpus": {"name": "twitter2017", "sha256": {}}, "config": config, "inputs": {}}))
    return made


def test_the_vote_of_a_row_is_scored_beside_the_mean_of_its_seeds(runs: list[Run]) -> None:
    table = votes(runs, POSTS, resamples=200)
    assert tuple(table.columns) == COLUMNS
    (line,) = table.to_dict("records")  # two seeds are no row
    assert (line["row"], line["seeds"]) == ("text_only", 3)
    assert line["f1"] == 100
    assert line["mean"] == pytest.approx(100 * 2 * (5 / 6) / (1 + 5 / 6))
    gold = [post.tags for post in POSTS]
    assert line["low"] == 100 * bootstrap_interval(gold, gold, resamples=200).low


def test_runs_that_differ_in_more_than_their_seed_have_no_vote(runs: list[Run]) -> None:
    runs[1].record["config"]["epochs"] = 99
    with pytest.raises(HamnerError, match="epochs"):
        votes(runs, POSTS)
