from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from hamner.corpora import PROTOCOLS, TAGS, Span, mention, orphans, repair, spans

tag_sequences = st.lists(st.sampled_from([*TAGS, "B-geo-loc", "I-geo-loc"]))


def test_an_orphan_opens_an_entity_by_seqeval_and_none_by_strict() -> None:
    tags = ["O", "I-PER", "I-PER", "O", "B-LOC"]
    assert orphans(tags) == [1]
    assert spans(tags, "seqeval") == [Span("PER", 1, 3), Span("LOC", 4, 5)]
    assert spans(tags, "strict") == [Span("LOC", 4, 5)]
    assert repair(tags) == ["O", "B-PER", "I-PER", "O", "B-LOC"]


def test_an_i_of_another_type_is_an_orphan() -> None:
    assert orphans(["B-PER", "I-LOC"]) == [1]


@given(tag_sequences)
def test_repaired_tags_have_no_orphan_and_the_same_spans_for_every_protocol(tags: list[str]) -> None:
    repaired = repair(tags)
    assert orphans(repaired) == []
    assert len({tuple(spans(repaired, protocol)) for protocol in PROTOCOLS}) == 1


@given(tag_sequences)
def test_spans_are_those_of_the_seqeval_library(tags: list[str]) -> None:
    assert [(span.type, span.start, span.end - 1) for span in spans(tags)] == get_entities(tags)


def test_tagging_a_text_does_not_wait_for_scikit_learn() -> None:
    code = "import sys; from hamner.corpora import spans; spans(['B-PER']); sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@given(tag_sequences)
def test_every_b_and_every_orphan_opens_one_span(tags: list[str]) -> None:
    assert len(spans(tags)) == sum(tag[0] == "B" for tag in tags) + len(orphans(tags))


def test_an_unknown_protocol_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="seqeval, strict, repaired"):
        spans(["O"], "loose")


def test_a_mention_is_its_type_and_its_words_whatever_their_case() -> None:
    assert mention(["at", "NEW", "York"], Span("LOC", 1, 3)) == ("LOC", "new york")
