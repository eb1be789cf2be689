from __future__ import annotations

import pytest

from hamner.corpora import load_corpus
from hamner.errors import HamnerError
from hamner.study.minitweets import CUES, ceilings, mentions_of, type_accuracy


@pytest.fixture(scope="module")
def corpus():
    return load_corpus("minitweets")


def test_every_name_of_test_has_an_answer_that_its_tags_agree_with(corpus):
    tags = {post.id: post.tags for post in corpus.test}
    names = mentions_of(corpus)
    assert {name.cue for name in names} == set(CUES)
    assert all(tags[name.post][name.start] == f"B-{name.type}" for name in names)
    assert len(names) == sum(tag[0] == "B" for post in corpus.test for tag in post.tags)


def test_gold_tags_have_every_type_right_and_all_o_none(corpus):
    names = mentions_of(corpus)
    assert (type_accuracy(names, {post.id: post.tags for post in corpus.test}) == 1).all()
    assert (type_accuracy(names, {post.id: ("O",) * len(post.tags) for post in corpus.test}) == 0).all()


def test_one_type_for_all_names_is_at_chance_on_ambiguous_ones(corpus):
    guess = {post.id: ("B-PER",) * len(post.tags) for post in corpus.test}
    accuracy = type_accuracy(mentions_of(corpus), guess)
    assert (accuracy[["scene", "object", "relation", "position"]] == 0.25).all()


def test_a_corpus_without_answers_says_so(corpus, tmp_path):
    from dataclasses import replace

    with pytest.raises(HamnerError, match="only minitweets has known ones"):
        mentions_of(replace(corpus, folder=tmp_path))


def test_text_alone_is_at_chance_where_the_picture_has_the_answer(corpus):
    table = ceilings(corpus)
    assert (table.loc["text_only", ["scene", "object", "relation", "position"]] == 0.25).all()
    assert (table.loc["all"] == 1).all()
