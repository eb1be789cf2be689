from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.stats import binom

from hamner.corpora import load_corpus
from hamner.errors import HamnerError
from hamner.study.minitweets import (
    CUES,
    accuracies,
    answers_of,
    ceilings,
    grain_accuracy,
    learned_ceilings,
    sampling_error,
    type_accuracy,
)
from hamner.study.tables import runs

IMAGE_CUES = [cue for cue in CUES if cue not in ("text", "unrelated")]


@pytest.fixture(scope="module")
def corpus():
    return load_corpus("minitweets")


def test_every_name_of_test_has_an_answer_that_its_tags_agree_with(corpus):
    tags = {post.id: post.tags for post in corpus.test}
    names = answers_of(corpus)
    assert {name.cue for name in names} == set(CUES)
    assert all(tags[name.post][name.start] == f"B-{name.type}" for name in names)
    assert len(names) == sum(tag[0] == "B" for post in corpus.test for tag in post.tags)


def test_gold_tags_have_every_type_right_and_all_o_none(corpus):
    names = answers_of(corpus)
    assert (type_accuracy(names, {post.id: post.tags for post in corpus.test}) == 1).all()
    assert (type_accuracy(names, {post.id: ("O",) * len(post.tags) for post in corpus.test}) == 0).all()


def test_one_type_for_all_names_is_at_chance_on_ambiguous_ones(corpus):
    guess = {post.id: ("B-PER",) * len(post.tags) for post in corpus.test}
    accuracy = type_accuracy(answers_of(corpus), guess)
    assert (accuracy[IMAGE_CUES] == 0.25).all()


def test_a_corpus_without_answers_says_so(corpus, tmp_path):
    with pytest.raises(HamnerError, match="only minitweets has known answers"):
        answers_of(replace(corpus, folder=tmp_path))


def test_text_alone_is_at_chance_where_the_image_has_the_answer(corpus):
    table = ceilings(corpus)
    assert (table.loc["text_only", IMAGE_CUES] == 0.25).all()
    assert (table.loc["all"] == 1).all()


def test_text_alone_was_measured_at_its_ceiling(corpus):
    """The proof that the words do not give the answer away: within three sampling errors, each seed."""
    found = [run for run in runs() if run.folder.name.startswith("minitweets-text_only-")]
    assert found
    for run in found:
        table = accuracies([run]).set_index("cue")
        ceiling = ceilings(corpus).loc["text_only", IMAGE_CUES]
        error = sampling_error(ceiling, table.names[ceiling.index])
        assert ((table.accuracy[ceiling.index] - ceiling).abs() < 3 * error).all()
        assert table.accuracy["text"] > 0.95


def test_betas_grain_is_judged_post_by_post(corpus):
    """A constant beta is at chance, whatever it favours; the grain that the words are about is right everywhere."""
    names = answers_of(corpus)
    level = [name for name in names if name.cue == "level"]
    for constant in ([1, 0, 0], [0, 1, 0], [1 / 3] * 3):
        assert grain_accuracy(names, {name.post: constant for name in level}) == 0.5
    gold = {name.post: [0.6, 0.3, 0.1] if name.side == "global" else [0.3, 0.1, 0.6] for name in level}
    assert grain_accuracy(names, gold) == 1
    assert grain_accuracy(names, {post: beta[::-1] for post, beta in gold.items()}) == 0


def test_what_a_learner_reaches_is_known_beside_each_ceiling(corpus):
    counted, learned = ceilings(corpus), learned_ceilings()
    assert set(learned.index) == set(counted.index)
    assert learned.loc["all"].between(0.8, 1).all()
    assert learned.loc["text_only", "unrelated"] > 0.9


def test_a_sampling_error_is_the_deviation_of_a_binomial_share():
    assert sampling_error(0.25, 300) == pytest.approx(binom(300, 0.25).std() / 300)
    assert sampling_error(1.0, 300) == 0


def test_a_run_on_another_minitweets_is_refused(corpus):
    run = next(run for run in runs() if run.folder.name.startswith("minitweets-"))
    other = replace(run, record=run.record | {"corpus": {"name": "minitweets", "sha256": "0" * 64}})
    with pytest.raises(HamnerError, match="trained on another minitweets"):
        accuracies([other])
