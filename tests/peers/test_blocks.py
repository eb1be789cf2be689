"""The parts that several peers share, against their equations."""

from __future__ import annotations

import itertools

import pytest
import torch

from hamner.corpora.tags import TAGS
from hamner.model.fusion import Seen
from hamner.peers.blocks import SPAN, Gate, Join, Layer, SpanDetection, conversion, mean_word, span_tags
from tests.peers.conftest import CONFIG, D, by_hand, rows


@pytest.fixture
def layer() -> Layer:
    torch.manual_seed(3)
    return Layer(CONFIG, D).eval()


def test_a_layer_reads_the_real_part_of_its_memory_head_by_head(layer: Layer) -> None:
    x, memory = torch.randn(2, 3, D), torch.randn(2, 5, D)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    got = layer(x, memory, mask)
    torch.testing.assert_close(got[0], by_hand(layer, x[0], memory[0]))
    torch.testing.assert_close(got[1], by_hand(layer, x[1], memory[1, :2]))


def test_a_memory_without_anything_real_adds_nothing_not_even_a_bias(layer: Layer) -> None:
    with torch.no_grad():
        layer.attention.out_proj.bias += 1.0
    x, memory = torch.randn(2, 3, D), torch.randn(2, 5, D, requires_grad=True)
    got = layer(x, memory, torch.tensor([[True] * 5, [False] * 5]))
    alone = layer.norm(x[1])
    torch.testing.assert_close(got[1], layer.out_norm(alone + layer.feed_forward(alone)))
    got.sum().backward()
    assert memory.grad[0].abs().sum() > 0
    assert torch.equal(memory.grad[1], torch.zeros(5, D))


def test_a_gate_goes_from_one_reading_to_the_other() -> None:
    a, b, gate = torch.randn(1, 2, D), torch.randn(1, 2, D), Gate(D)
    g = (torch.cat([a, b], -1) @ gate.gate.weight.T + gate.gate.bias).sigmoid()
    torch.testing.assert_close(gate(a, b), g * a + (1 - g) * b)
    with torch.no_grad():
        gate.gate.bias.fill_(1e4)
    torch.testing.assert_close(gate(a, b), a)


def test_joining_starts_as_the_words_alone() -> None:
    words = torch.randn(1, 2, D)
    torch.testing.assert_close(Join(D)(words, torch.randn(1, 2, D)), words, rtol=0, atol=0)


def test_the_mean_word_counts_real_words_alone() -> None:
    values = torch.tensor([[[1.0], [3.0], [99.0]]])
    assert mean_word(values, torch.tensor([[True, True, False]])).tolist() == [[2.0]]


def test_a_span_tag_is_shared_out_evenly_among_its_types() -> None:
    tags = ("I-PER", "O", "B-PER", "B-LOC")
    assert [SPAN[i] for i in span_tags(tags)] == ["I-span", "O", "B-span", "B-span"]
    assert conversion(tags).tolist() == [[0, 1, 0, 0], [0, 0, 0.5, 0.5], [1, 0, 0, 0]]
    four_types = conversion(TAGS)
    assert four_types.sum(1).tolist() == [1, 1, 1]
    assert four_types[1, TAGS.index("B-LOC")] == 0.25


def test_a_label_set_without_inner_tags_has_an_empty_row() -> None:
    assert conversion(("O", "B-PER")).tolist() == [[1, 0], [0, 1], [0, 0]]


def test_the_span_loss_is_the_mean_over_posts_of_the_crfs_negative_log_likelihood(seen: Seen) -> None:
    torch.manual_seed(3)
    spans = SpanDetection(CONFIG, D, TAGS).train()
    _, loss = spans(seen)
    expected = []
    for post, length in enumerate(seen.word_mask.sum(1).tolist()):
        words = seen.words[post, :length]
        scores = spans.decoder.classify(by_hand(spans.layer, words, words))
        gold = ["OBI".index(TAGS[tag][0]) for tag in seen.tags[post, :length].tolist()]
        every_path = torch.stack(
            [path_score(spans, scores, path) for path in itertools.product(range(3), repeat=length)]
        )
        expected.append(every_path.logsumexp(0) - path_score(spans, scores, gold))
    torch.testing.assert_close(loss, torch.stack(expected).mean())


def path_score(spans: SpanDetection, scores: torch.Tensor, path: tuple[int, ...] | list[int]) -> torch.Tensor:
    crf = spans.decoder.crf
    score = crf.start_transitions[path[0]] + crf.end_transitions[path[-1]]
    score = score + sum(scores[i, tag] for i, tag in enumerate(path))
    return score + sum(crf.transitions[a, b] for a, b in itertools.pairwise(path))


def test_spans_are_found_by_text_alone(seen: Seen) -> None:
    spans = SpanDetection(CONFIG, D, TAGS).eval()
    scores, loss = spans(seen)
    assert loss is None
    other = rows(seen, [0, 1, 2, 3])
    assert torch.equal(spans(Seen(other.words, other.word_mask, other.layer * 2, other.images, None))[0], scores)
