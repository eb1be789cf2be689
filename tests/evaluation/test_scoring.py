from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from hamner.corpora import load_corpus
from hamner.corpora.post import Post
from hamner.corpora.tags import PROTOCOLS, TAGS, TYPES, spans
from hamner.evaluation import PRF, ScoringError, post_counts, score, training_mentions

SEQEVAL = {"seqeval": {}, "strict": {"mode": "strict", "scheme": IOB2}}

tag_sequences = st.lists(st.sampled_from(TAGS), max_size=9)


@st.composite
def gold_and_predicted(draw, max_posts=6):
    """Random tags, half of the time close to the gold, so that correct entities are common."""
    gold, predicted = [], []
    for tags in draw(st.lists(tag_sequences, min_size=1, max_size=max_posts)):
        gold.append(tags)
        predicted.append([draw(st.sampled_from((tag, tag, draw(st.sampled_from(TAGS))))) for tag in tags])
    return gold, predicted


def posts_for(tags, words=None):
    return [
        Post(str(i), tuple(words[i] if words else "w" * len(sequence)), tuple(sequence))
        for i, sequence in enumerate(tags)
    ]


@pytest.mark.parametrize("protocol", SEQEVAL)
@given(tags=gold_and_predicted())
def test_scores_equal_those_of_the_seqeval_library(protocol, tags):
    ours = score(*tags, protocol)
    options = {**SEQEVAL[protocol], "zero_division": 0}
    assert ours.overall.precision == pytest.approx(precision_score(*tags, **options))
    assert ours.overall.recall == pytest.approx(recall_score(*tags, **options))
    assert ours.overall.f1 == pytest.approx(f1_score(*tags, **options))


@pytest.mark.parametrize("protocol", SEQEVAL)
@given(tags=gold_and_predicted())
def test_scores_per_type_equal_the_report_of_the_seqeval_library(protocol, tags):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's mean of an empty list, where no type occurs
        report = classification_report(*tags, output_dict=True, zero_division=0, **SEQEVAL[protocol])
    for type, ours in score(*tags, protocol).per_type.items():
        if type not in report:
            assert ours == PRF(0, 0, 0)
            continue
        theirs = report[type]
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"])
        )
        assert ours.gold == theirs["support"]


@given(tags=gold_and_predicted())
def test_repaired_scores_as_seqeval_on_bio_tags(tags):
    repaired, seqeval = score(*tags, "repaired"), score(*tags, "seqeval")
    assert (repaired.overall, repaired.per_type) == (seqeval.overall, seqeval.per_type)


@given(tags=tag_sequences)
def test_every_entity_read_strictly_is_also_read_by_seqeval(tags):
    assert set(spans(tags, "strict")) <= set(spans(tags, "seqeval"))


def test_an_orphan_is_an_entity_for_seqeval_and_none_for_strict():
    tags = [["O", "I-PER", "I-PER", "B-LOC"]]
    assert score(tags, tags, "seqeval").overall == PRF(correct=2, predicted=2, gold=2)
    assert score(tags, tags, "strict").overall == PRF(correct=1, predicted=1, gold=1)


def test_an_entity_needs_its_type_and_both_its_ends():
    gold = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "O"], ["B-ORG", "O", "O"]]
    predicted = [["B-PER", "O", "O"], ["B-ORG", "O", "O"], ["B-ORG", "O", "B-MISC"]]
    result = score(gold, predicted)
    assert result.overall == PRF(correct=1, predicted=4, gold=3)
    assert result.overall.precision == 1 / 4
    assert result.overall.recall == 1 / 3
    assert result.overall.f1 == pytest.approx(2 / 7)
    assert result.per_type == {"PER": PRF(0, 1, 1), "LOC": PRF(0, 0, 1), "ORG": PRF(1, 2, 1), "MISC": PRF(0, 1, 0)}


def test_nothing_predicted_and_nothing_to_find_score_zero():
    result = score([["O", "O"]], [["O", "O"]])
    assert (result.overall.precision, result.overall.recall, result.overall.f1) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(tags=gold_and_predicted())
def test_types_and_posts_each_add_up_to_the_overall_counts(protocol, tags):
    result = score(*tags, protocol)
    overall = [result.overall.correct, result.overall.predicted, result.overall.gold]
    assert post_counts(*tags, protocol).sum(axis=0).tolist() == overall
    assert [sum(getattr(prf, key) for prf in result.per_type.values()) for key in PRF.__slots__] == overall


@given(tags=gold_and_predicted(), data=st.data())
def test_seen_and_unseen_add_up_to_the_overall_counts(tags, data):
    gold, _ = tags
    words = [data.draw(st.lists(st.sampled_from("ab"), min_size=len(t), max_size=len(t))) for t in gold]
    mentions = data.draw(st.sets(st.tuples(st.sampled_from(TYPES), st.sampled_from(["a", "b", "a b", "b b a"]))))
    result = score(*tags, posts=posts_for(gold, words), mentions=mentions)
    for key in PRF.__slots__:
        assert getattr(result.seen, key) + getattr(result.unseen, key) == getattr(result.overall, key)


def test_seen_means_the_same_words_with_the_same_type_whatever_their_case():
    training = [Post("1", ("New", "York", "by", "Kelso"), ("B-LOC", "I-LOC", "O", "B-PER"))]
    mentions = training_mentions(training)
    assert mentions == {("LOC", "new york"), ("PER", "kelso")}
    posts = [Post("2", ("NEW", "YORK", "Kelso", "York"), ("B-LOC", "I-LOC", "B-ORG", "B-LOC"))]
    predicted = [["B-LOC", "I-LOC", "B-PER", "B-LOC"]]
    result = score([posts[0].tags], predicted, posts=posts, mentions=mentions)
    assert result.seen == PRF(correct=1, predicted=2, gold=1)  # Kelso as a PER is known, but is not what the gold says
    assert result.unseen == PRF(correct=1, predicted=1, gold=2)


def test_without_training_mentions_seen_and_unseen_stay_unknown():
    result = score([["B-PER"]], [["B-PER"]])
    assert result.seen is None
    assert result.unseen is None


def test_to_dict_survives_json_with_every_figure():
    posts = posts_for([["B-PER", "O"]])
    result = score([["B-PER", "O"]], [["B-PER", "B-LOC"]], posts=posts, mentions=frozenset())
    back = json.loads(json.dumps(result.to_dict()))
    assert back["protocol"] == "seqeval"
    assert back["overall"] == pytest.approx(
        {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "correct": 1, "predicted": 2, "gold": 1}
    )
    assert set(back["per_type"]) == set(TYPES)
    assert back["seen"]["gold"] == 0
    assert back["unseen"]["gold"] == 1


@pytest.mark.parametrize(
    ("gold", "predicted", "options", "message"),
    [
        ([["O"], ["O", "O"]], [["O"], ["O"]], {}, r"post 1: 2 gold tags but 1 predicted"),
        ([["O"], ["O"]], [["O"]], {}, r"2 posts have gold tags but 1 "),
        ([["O"]], [["B_CAT"]], {}, r"post 0: unknown predicted tag 'B_CAT'"),
        ([["I"]], [["O"]], {}, r"post 0: unknown gold tag 'I'"),
        ([["O"]], [["O"]], {"protocol": "conll"}, r"unknown protocol 'conll'.*seqeval, strict, repaired"),
        ([["O"]], [["O"]], {"mentions": frozenset()}, r"pass posts="),
        ([["O"]], [["O"]], {"posts": []}, r"0 posts but gold tags for 1"),
        ([["O"]], [["B_CAT"]], {"posts": [Post("73", ("a",))]}, r"post 0 \(id 73\): unknown"),
        ([["O"]], [["O"]], {"posts": [Post("73", ("a", "b"))]}, r"post 0 \(id 73\): 2 words but 1 gold tags"),
    ],
)
def test_what_cannot_be_scored_is_an_error_that_names_the_post(gold, predicted, options, message):
    with pytest.raises(ScoringError, match=message):
        score(gold, predicted, **options)


def test_training_posts_without_tags_are_refused():
    with pytest.raises(ScoringError, match="post 7 has no gold tags"):
        training_mentions([Post("7", ("a",))])


@pytest.mark.skipif("HAMNER_CORPORA" not in os.environ, reason="HAMNER_CORPORA names no folder with the real corpora")
@pytest.mark.parametrize(("name", "percent"), [("twitter2015", 33), ("twitter2017", 54)])
def test_the_known_share_of_test_mentions_occurs_in_training(name, percent):
    corpus = load_corpus(str(Path(os.environ["HAMNER_CORPORA"]) / name))
    gold = [post.tags for post in corpus.test]
    result = score(gold, gold, posts=corpus.test, mentions=training_mentions(corpus.train))
    assert round(100 * result.seen.gold / result.overall.gold) == percent
