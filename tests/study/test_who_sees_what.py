"""What each architecture can see follows from what it is given and from what reads what."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from hamner.corpora import Corpus, load_corpus
from hamner.figures.comparisons import who_sees_what
from hamner.figures.peers import FLOWS, data_flow
from hamner.minitweets import CUES
from hamner.model.config import FUSIONS
from hamner.peers import adacan, visual_prefix
from hamner.study.minitweets import ceilings, learned_ceilings
from hamner.study.who_sees_what import (
    ARCHITECTURES,
    LACKS,
    NAMES,
    can_see,
    expected,
    expected_beside_measured,
    expected_of_learner,
    inputs_read,
    main_table,
)
from hamner.training.rows import GROUPS, ROWS
from tests.peers.conftest import built, make_seen
from tests.peers.test_all_peers import peer

FUSED = [name for name in ARCHITECTURES if name not in ("text_only", "cnn_bilstm_crf")]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus("minitweets")


def fusion_of(name: str) -> str:
    return "ham" if name == "full" else name


def test_every_architecture_of_the_comparison_has_its_expectation() -> None:
    assert set(ARCHITECTURES) == set(GROUPS["comparison"]) == set(NAMES)
    assert {fusion_of(name) for name in FUSED} == set(FUSIONS)
    assert set(FLOWS) == set(ARCHITECTURES) - {"text_only", "full"}


def test_who_reads_no_image_lacks_images_and_nothing_else_is_said_of_it() -> None:
    blind = [name for name, lacks in LACKS.items() if "text_only" in lacks]
    assert blind == [name for name in ARCHITECTURES if ROWS[name].get("vision") is False]
    assert all(LACKS[name] == ("text_only",) for name in blind)


@pytest.mark.parametrize("name", FUSED)
def test_what_an_architecture_lacks_changes_nothing_to_the_bit(name: str) -> None:
    read, lacks = inputs_read(fusion_of(name)), LACKS[name]
    assert read.grid
    assert read.objects == ("no_objects" not in lacks)
    assert (read.boxes or read.place) == ("no_geometry" not in lacks)
    assert read.word == ("no_relevance" not in lacks)
    assert (read.grid and read.objects) == ("no_grains" not in lacks)  # two granularity levels


WORDS, REGIONS, OBJECTS = 5, 3, 4


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> set[tuple[int, int]]:
    """Each reading of a forward pass as (elements that read, elements that are read)."""
    calls: set[tuple[int, int]] = set()
    attention, additive = torch.nn.MultiheadAttention.forward, adacan.Additive.forward
    product = torch.nn.functional.scaled_dot_product_attention

    def of_layer(self, query, key, *rest, **named):
        calls.add((query.shape[1], key.shape[1]))
        return attention(self, query, key, *rest, **named)

    def of_additive(self, query, keys, mask):
        calls.add((query.shape[1], keys.shape[1]))
        return additive(self, query, keys, mask)

    def of_prefix(q, k, *rest):
        calls.add((q.shape[2], k.shape[2]))
        return product(q, k, *rest)

    monkeypatch.setattr(torch.nn.MultiheadAttention, "forward", of_layer)
    monkeypatch.setattr(adacan.Additive, "forward", of_additive)
    monkeypatch.setattr(visual_prefix.nn.functional, "scaled_dot_product_attention", of_prefix)
    return calls


@pytest.mark.parametrize("name", [name for name in FUSED if name != "full"])
def test_regions_read_words_or_one_another_in_no_architecture_that_lacks_it(
    name: str, reads: set[tuple[int, int]]
) -> None:
    built(peer(name))(make_seen((WORDS, 3, 2, 3)))
    regions = (REGIONS, OBJECTS)
    assert any(who in regions and whom == WORDS for who, whom in reads) == ("no_reading" not in LACKS[name])
    assert any(who == whom and who in regions for who, whom in reads) == ("no_relations" not in LACKS[name])


def test_the_ceiling_of_an_architecture_is_the_lowest_of_what_it_lacks(corpus: Corpus) -> None:
    table, of_ability = expected(corpus), ceilings(corpus)
    assert list(table.index) == list(ARCHITECTURES)
    for name, lacks in LACKS.items():
        for cue in CUES:
            assert table.loc[name, cue] == min([1.0, *(of_ability.loc[ability, cue] for ability in lacks)])
    assert table.loc["umt", ["object", "odd", "position", "described", "other", "level"]].tolist() == [
        0.25, 0.5, 0.5, 0.5, 0.5, 0.5
    ]  # fmt: skip
    assert table.loc["concatenation", "unrelated"] == 0.0
    assert can_see(corpus).loc["mgcmt"].sum() == len(CUES) - 1
    assert expected_of_learner().loc["full"].tolist() == learned_ceilings().loc["all"].tolist()


def comparison_of(**measured: float) -> pd.DataFrame:
    lines = [
        {"kind": "peer" if name in FLOWS else "paper", "name": name, "seeds": 3} | dict.fromkeys(CUES, value)
        for name, value in measured.items()
    ]
    return pd.DataFrame(lines, columns=["kind", "name", "seeds", *CUES])


def test_what_was_measured_stands_beside_what_was_expected(corpus: Corpus) -> None:
    table = expected_beside_measured(comparison_of(umt=0.5, full=1.0), corpus).set_index(["name", "cue"])
    assert len(table) == len(ARCHITECTURES) * len(CUES)
    assert table.loc[("umt", "odd"), "verdict"] == "at the ceiling"
    assert table.loc[("umt", "object"), "verdict"] == "above"
    assert table.loc[("umt", "scene"), "verdict"] == "below"
    assert (table.loc["full"].verdict == "at the ceiling").all()
    assert table.loc[("maf", "scene"), "seeds"] == 0
    assert np.isnan(table.loc[("maf", "scene"), "measured"]) and table.loc[("maf", "scene"), "verdict"] == ""


def test_an_architecture_without_a_record_is_not_trained_yet_and_never_zero(corpus: Corpus) -> None:
    left, right = who_sees_what(expected_beside_measured(comparison_of(umt=0.4), corpus)).axes[:2]
    written = [text.get_text() for text in right.texts]
    assert written.count("not trained yet") == len(ARCHITECTURES) - 1
    assert "0" not in written and written.count("40") == len(CUES)
    assert [label.get_text() for label in left.get_yticklabels()] == list(NAMES.values())
    nothing = who_sees_what(expected_beside_measured(comparison_of(), corpus)).axes[1]
    assert [text.get_text() for text in nothing.texts] == ["not trained yet"] * len(ARCHITECTURES)


def test_the_main_table_says_what_is_not_trained_and_what_is_unknown() -> None:
    costs = {"f1": 0.5, "parameters": 22_762_803, "trained": float("nan"), "seconds": 9.8, "memory": 2.96}
    table = main_table(comparison_of(umt=0.4).assign(**costs))
    assert list(table.index) == list(NAMES.values())
    assert table.loc["UMT"].tolist() == ["3", "50.0", "22,762,803", "unknown", "10", "3.0"]
    assert (table.drop("UMT") == "not trained yet").all(axis=None)
    assert (main_table(comparison_of()) == "not trained yet").all(axis=None)


@pytest.mark.parametrize("name", FLOWS)
def test_every_arrow_of_a_data_flow_leads_from_box_to_box_and_all_lead_to_the_tags(name: str) -> None:
    boxes, arrows = FLOWS[name]
    pairs = [tuple(arrow.replace("^", ">").split(">")) for arrow in arrows.split()]
    assert {end for pair in pairs for end in pair} == set(boxes)
    assert {box for box in boxes if box not in {start for start, _ in pairs}} == {"crf"}
    kinds = {kind for _, _, kind, _ in boxes.values()}
    assert ("image" in kinds) == (LACKS[name] != ("text_only",))
    assert all(boxes[start][0] < boxes[end][0] for start, end in pairs)  # from left to right
    assert len(data_flow(name).axes[0].texts) == len(boxes)
