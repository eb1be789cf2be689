"""Each stage against its equation, written once more as plain Python loops over numbers.

All weights are random, those that start at zero too, and everything is in double precision. A post's tensors become
nested lists; `linear`, `layer_norm` and the like work on one vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hamner.corpora.tags import TAGS
from hamner.model.adapter import LowRank, adapt
from hamner.model.attention import (
    Attention,
    Dropout,
    FeedForward,
    Groups,
    masked_softmax,
    softmax_by_group,
)
from hamner.model.batch import AttentionWeights, Batch, ImageFeatures
from hamner.model.config import ModelConfig, ModelConfigError
from hamner.model.decoder import Decoder
from hamner.model.hamner import HamNer
from hamner.model.interaction import CoAttention, Interaction, Reader
from hamner.model.intra_modality import (
    FOURIER,
    GRAINS,
    PHI,
    ChannelDropout,
    Memory,
    Objects,
    Pairs,
    SemanticBlock,
    Sentence,
    SpatialBlock,
    Vision,
    fourier,
    phi,
)
from hamner.model.relevance import Relevance
from hamner.model.text import SHAPES, TextStage
from tests.model.conftest import FULL, build, make_batch, tiny_bert

D, HEADS, B, N, K, R, C, CLASSES = 8, 2, 2, 4, 3, 3, 5, 4
CONFIG = ModelConfig(width=D, heads=HEADS, vision=True, dropout=0.0)

Vector = list[float]
Matrix = list[Vector]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(20)


def randomised(module: nn.Module) -> Any:
    """The module in double precision and eval mode, with random weights everywhere."""
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.7)
    return module


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double)


def masks(*lengths: int, of: int) -> Tensor:
    return torch.arange(of) < torch.tensor(lengths)[:, None]


def same(tensor: Tensor, expected: Any) -> None:
    expected = torch.as_tensor(expected, dtype=tensor.dtype)
    torch.testing.assert_close(tensor.detach(), expected, rtol=1e-7, atol=1e-8)


# One vector


def linear(layer: nn.Linear, x: Vector) -> Vector:
    bias = [0.0] * layer.out_features if layer.bias is None else layer.bias.tolist()
    return [b + dot(row, x) for row, b in zip(layer.weight.tolist(), bias, strict=True)]


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a: Vector, b: Vector) -> float:
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def plus(a: Vector, b: Vector, times: float = 1.0) -> Vector:
    return [x + times * y for x, y in zip(a, b, strict=True)]


def mean(vectors: Sequence[Vector]) -> Vector:
    return [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def mixed(weights: Vector, vectors: Sequence[Vector]) -> Vector:
    return [dot(weights, list(column)) for column in zip(*vectors, strict=True)]


def standard(x: Vector) -> Vector:
    average = sum(x) / len(x)
    variance = sum((value - average) ** 2 for value in x) / len(x)
    return [(value - average) / math.sqrt(variance + 1e-5) for value in x]


def layer_norm(norm: nn.LayerNorm, x: Vector) -> Vector:
    return [w * value + b for w, value, b in zip(norm.weight.tolist(), standard(x), norm.bias.tolist(), strict=True)]


def gelu(x: Vector) -> Vector:
    return [value * (1 + math.erf(value / math.sqrt(2))) / 2 for value in x]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softmax(logits: Vector, mask: Sequence[bool]) -> Vector:
    total = sum(math.exp(logit) for logit, real in zip(logits, mask, strict=True) if real)
    return [math.exp(logit) / total if real else 0.0 for logit, real in zip(logits, mask, strict=True)]


def by_group(logits: Vector, mask: Sequence[bool], sizes: Sequence[int], shares: Vector) -> Vector:
    weights, begin = [], 0
    for size, share in zip(sizes, shares, strict=True):
        part = slice(begin, begin + size)
        weights += [share * weight for weight in softmax(logits[part], mask[part])]
        begin += size
    return weights


def feed_forward(module: FeedForward, x: Vector) -> Vector:
    norm, first, _, second = module
    return linear(second, gelu(linear(first, layer_norm(norm, x))))


# Attention


def attend(
    module: Attention,
    query: Matrix,
    memory: Matrix,
    mask: Sequence[bool],
    bias: Any = None,
    message: Any = None,
    groups: tuple[Sequence[int], Vector] | None = None,
) -> tuple[Matrix, Any]:
    """What one post's query reads (n, d), and the weights (h, n, m)."""
    q, both = [linear(module.query, x) for x in query], [linear(module.key_value, x) for x in memory]
    k, v = [x[: len(x) // 2] for x in both], [x[len(x) // 2 :] for x in both]
    channels = len(q[0]) // module.heads
    read: Matrix = [[] for _ in query]
    weights: Any = []
    for head in range(module.heads):
        part = slice(head * channels, (head + 1) * channels)
        weights.append([])
        for i in range(len(query)):
            logits = [8 * cosine(q[i][part], k[j][part]) for j in range(len(memory))]
            if bias is not None:
                logits = plus(logits, bias[head][i])
            weights[-1].append(softmax(logits, mask) if groups is None else by_group(logits, mask, *groups))
            values = [v[j][part] if message is None else plus(v[j][part], message[i][j][part]) for j in range(len(k))]
            read[i] += mixed(weights[-1][-1], values)
    return [linear(module.out, x) for x in read], weights


def test_masked_softmax_shares_1_among_the_real_and_gives_nothing_where_nothing_is_real() -> None:
    logits, mask = random(3, 4), torch.tensor([[True] * 4, [True, False, True, False], [False] * 4])
    weights = masked_softmax(logits, mask)
    same(weights[:2], [softmax(logits[b].tolist(), mask[b].tolist()) for b in range(2)])
    assert torch.equal(weights[2], torch.zeros(4, dtype=torch.double))


def test_softmax_by_group_is_a_softmax_in_each_group_times_its_share() -> None:
    logits, mask, sizes = random(B, 2, 5), torch.tensor([True, True, False, True, True]), (2, 0, 3)
    shares = random(B, 3).softmax(-1)
    weights = softmax_by_group(logits, mask.expand(B, 1, 5), Groups(sizes, shares))
    expected = [
        [by_group(logits[b, i].tolist(), mask.tolist(), sizes, shares[b].tolist()) for i in range(2)] for b in range(B)
    ]
    same(weights, expected)


def test_attention_without_extras_is_scaled_dot_product_attention_of_unit_vectors() -> None:
    module, x, memory, mask = randomised(Attention(D, HEADS)), random(B, N, D), random(B, 5, D), masks(5, 3, of=5)

    def heads(values: Tensor) -> Tensor:
        return values.view(B, -1, HEADS, D // HEADS).transpose(1, 2)

    def unit(values: Tensor) -> Tensor:
        return values / values.norm(dim=-1, keepdim=True)

    keys, values = module.key_value(memory).chunk(2, -1)
    mixed = nn.functional.scaled_dot_product_attention(
        unit(heads(module.query(x))), unit(heads(keys)), heads(values), mask[:, None, None], scale=8.0
    )
    result, _ = module(x, memory, mask)
    torch.testing.assert_close(result, module.out(mixed.transpose(1, 2).reshape(B, N, D)))


@pytest.mark.parametrize("extras", [(), ("bias",), ("message",), ("groups",), ("bias", "message", "groups")])
def test_attention_adds_bias_and_messages_and_keeps_the_shares(extras: tuple[str, ...]) -> None:
    module, x, memory, mask = randomised(Attention(D, HEADS)), random(B, N, D), random(B, 5, D), masks(5, 3, of=5)
    mask[1, 4] = True  # no group is empty
    bias, message, shares = random(B, HEADS, N, 5), random(B, N, 5, D), random(B, 2).softmax(-1)
    by_head = message.unflatten(-1, (HEADS, -1))  # (B, n, m, h, d/h)
    given = {
        "bias": bias,
        "message": lambda weights: torch.einsum("bhnm,bnmhc->bnhc", weights, by_head).flatten(2),
        "groups": Groups((2, 3), shares),
    }
    result, weights = module(x, memory, mask, **{name: given[name] for name in extras})
    for b in range(B):
        plain = {"bias": bias[b].tolist(), "message": message[b].tolist(), "groups": ((2, 3), shares[b].tolist())}
        expected = attend(
            module, x[b].tolist(), memory[b].tolist(), mask[b].tolist(), **{name: plain[name] for name in extras}
        )
        same(result[b], expected[0])
        same(weights[b], expected[1])


def test_a_message_passes_from_j_to_i_with_the_weight_of_i_for_j() -> None:
    module, weights, numbers = randomised(Pairs(CONFIG, D, 3)), random(B, HEADS, N, N), random(B, N, N, 3)
    bias, received = module(numbers)
    channels = D // HEADS
    for b in range(B):
        of_heads, message = pairs_of(module, numbers[b].tolist())
        same(bias[b], of_heads)
        expected = [
            [sum(weights[b, c // channels, i, j] * message[i][j][c] for j in range(N)) for c in range(D)]
            for i in range(N)
        ]
        same(received(weights)[b], expected)


def test_the_feed_forward_network_is_layer_norm_and_two_layers_with_gelu_between() -> None:
    module, x = randomised(FeedForward(D)), random(N, D)
    assert module[1].out_features == 2 * D
    same(module(x), [feed_forward(module, row) for row in x.tolist()])


# Stage 1: text


class Encoder(nn.Module):
    """Stands in for an encoder whose words are read already."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=hidden, num_hidden_layers=layers)


@pytest.mark.parametrize("changes", [{}, {"local_text": False}, {"word_shapes": False}])
@pytest.mark.parametrize("layers", ["last", "mix"])
@pytest.mark.parametrize("frozen", [False, True])
def test_words_are_mixed_layers_and_a_convolution_over_embeddings_and_shapes(
    frozen: bool, layers: Any, changes: dict[str, Any]
) -> None:
    hidden, n = 6, 9
    config = replace(CONFIG, frozen_text=frozen, layers=layers, **changes)
    stage = randomised(TextStage(Encoder(hidden, 2), config))
    of_mix = 3 if layers == "mix" else 1
    batch = Batch(
        word_mask=masks(n, 5, of=n),
        index=torch.arange(B),
        shapes=torch.randint(0, 2, (B, n, len(SHAPES))).double(),
        word_layers=random(B, n, of_mix, hidden),
        word_embeddings=random(B, n, hidden),
    )
    T, last = stage(batch)
    assert torch.equal(last, batch.word_layers[:, :, -1])
    for b in range(B):
        columns: Matrix = []
        for i in range(n):
            embedding = batch.word_embeddings[b, i].tolist()
            embedding += batch.shapes[b, i].tolist() if config.word_shapes else []
            columns.append(embedding if batch.word_mask[b, i] else [0.0] * len(embedding))
        for i in range(n):
            h = batch.word_layers[b, i].tolist()
            word = h[-1]
            if layers == "mix":
                shares = softmax(stage.mix.tolist(), [True] * of_mix)
                word = mixed(shares, h)
            expected = linear(stage.project, word)
            if config.local_text:
                kernel = stage.local.weight.tolist()  # (d, hidden [+ shapes], 7)
                expected = plus(expected, stage.local.bias.tolist())
                for c in range(D):
                    for offset in range(7):
                        if 0 <= i + offset - 3 < n:
                            expected[c] += dot([row[offset] for row in kernel[c]], columns[i + offset - 3])
            same(T[b, i], expected)


def test_a_word_is_read_at_its_first_piece_in_each_layer() -> None:
    model, batch = build(vision=False), make_batch()
    layers, embeddings = model.text.read(batch)
    encoded = model.text.encoder(batch.pieces, batch.piece_mask.long(), output_hidden_states=True)
    table = model.text.encoder.get_input_embeddings().weight
    for b, length in enumerate(batch.word_mask.sum(1).tolist()):
        for i in range(length):
            position = batch.first_piece[b, i]
            for layer, states in enumerate(encoded.hidden_states):
                assert torch.equal(layers[b, i, layer], states[b, position])
            assert torch.equal(embeddings[b, i], table[batch.pieces[b, position]])
    last, _ = build(vision=False, layers="last").text.read(batch)
    assert torch.equal(last[:, :, 0], layers[:, :, -1])


@pytest.mark.parametrize("layers", ["last", "mix"])
def test_a_frozen_encoder_gives_standardised_embeddings_and_in_a_mix_standardised_layers(layers: Any) -> None:
    batch = make_batch()
    raw, frozen = build(vision=False, layers=layers), build(vision=False, layers=layers, frozen_text=True)
    for given, kept, standardised in zip(
        raw.text.read(batch), frozen.text.read(batch), (layers == "mix", True), strict=True
    ):
        vectors, expected = kept.flatten(0, -2), given.detach().flatten(0, -2)
        if standardised:
            expected = torch.tensor([standard(vector) for vector in expected.tolist()])
        torch.testing.assert_close(vectors, expected, rtol=1e-4, atol=1e-5)


def test_of_equal_width_the_encoders_last_layer_passes_unchanged_at_first() -> None:
    stage = TextStage(Encoder(D, 2), replace(CONFIG, dropout=0.0, word_shapes=False))
    batch = Batch(
        masks(3, of=3), torch.zeros(1), word_layers=torch.randn(1, 3, 1, D), word_embeddings=torch.ones(1, 3, D)
    )
    assert torch.equal(stage(batch)[0], batch.word_layers[:, :, 0])


# y = W x + b + 2 U D x


def test_an_adapter_adds_twice_u_d_x_to_a_frozen_linear_layer() -> None:
    linear_layer = nn.Linear(4, 3).double()
    adapted = LowRank(linear_layer, 2).double()
    nn.init.normal_(adapted.up)
    x = random(2, 5, 4)
    expected = linear_layer(x) + 2 * torch.einsum("or,ri,bni->bno", adapted.up, adapted.down, x)
    torch.testing.assert_close(adapted(x), expected)
    adapted(x).sum().backward()
    assert adapted.up.grad is not None and adapted.down.grad is not None
    assert linear_layer.weight.grad is None and linear_layer.bias.grad is None


def test_training_with_an_adapter_starts_at_the_pretrained_encoder_to_the_bit_and_moves_the_adapter_alone() -> None:
    batch = make_batch()
    plain, adapted = (HamNer(ModelConfig(width=16, adapter_rank=rank), tiny_bert(), TAGS).eval() for rank in (0, 3))
    for one, other in zip(plain.text.read(batch), adapted.text.read(batch), strict=True):
        assert torch.equal(one, other)
    learns = {name for name, parameter in adapted.text.encoder.named_parameters() if parameter.requires_grad}
    layers = [name for name, layer in plain.text.encoder.named_modules() if isinstance(layer, nn.Linear)]
    assert learns == {f"{name}.{part}" for name in layers for part in ("down", "up")}
    assert len(layers) == 12  # query, key, value and three more of two layers each
    assert all(
        parameter.shape in ((3, 32), (32, 3), (3, 64), (64, 3))
        for name, parameter in adapted.text.encoder.named_parameters()
        if name in learns
    )


def test_an_encoder_that_has_an_adapter_gets_a_new_one_in_its_place() -> None:
    encoder = tiny_bert()
    adapt(encoder, 2)
    adapt(encoder, 3)
    layers = [layer for layer in encoder.modules() if isinstance(layer, LowRank)]
    assert all(isinstance(layer.linear, nn.Linear) and len(layer.down) == 3 for layer in layers)
    with pytest.raises(ModelConfigError, match=r"Embedding has no linear layer, .*: leave adapter_rank at 0"):
        adapt(nn.Embedding(2, 2), 1)
    with pytest.raises(ModelConfigError, match="which frozen_text forbids: set adapter_rank to 0"):
        ModelConfig(frozen_text=True, adapter_rank=1)


def test_a_convolution_beside_a_frozen_encoder_starts_at_random() -> None:
    assert TextStage(Encoder(D, 2), replace(CONFIG, frozen_text=True)).local.weight.any()
    assert not TextStage(Encoder(D, 2), CONFIG).local.weight.any()


def test_the_sentence_pools_the_last_layer_with_weights_of_its_own() -> None:
    stage, h, mask = randomised(Sentence(6, D)), random(B, N, 6), masks(4, 2, of=N)
    s, weights = stage(h, mask)
    for b in range(B):
        rows = h[b].tolist()
        a = softmax([linear(stage.score, row)[0] for row in rows], mask[b].tolist())
        same(weights[b], a)
        same(s[b], layer_norm(stage.norm, linear(stage.project, mixed(a, rows))))


# Stage 1: vision


def make_images() -> ImageFeatures:
    corners = torch.rand(B, K, 2, 2, dtype=torch.double).sort(2).values
    return ImageFeatures(
        grid=4 + 3 * random(B, R, C),
        objects=3 * random(B, K, C) - 2,
        boxes=corners.flatten(2),
        classes=torch.randint(1, CLASSES, (B, K)),
        scores=torch.rand(B, K, dtype=torch.double),
        object_mask=masks(3, 2, of=K),
        box_mask=masks(2, 2, of=K),
        image_mask=torch.tensor([True, True]),
    )


def test_features_pass_unchanged_outside_training() -> None:
    features = 4 + 3 * random(B, R, C)
    assert torch.equal(ChannelDropout(0.5).eval()(features), features)


@pytest.mark.parametrize("alike", [True, False])
def test_in_training_channels_are_dropped_for_a_whole_image_if_alike_and_else_for_each_vector(alike: bool) -> None:
    features = 4 + 3 * random(8, R, 32)
    dropped = ChannelDropout(0.5, alike).train()(features)
    half_is_dropped(torch.zeros(()).double(), dropped, features)
    zero = dropped == 0
    assert (zero == zero[:, :1]).all() == alike
    assert not (zero == zero[:1]).all()


def objects_of(stage: Objects, images: ImageFeatures, b: int) -> Matrix:
    labels, expected = stage.label.weight.tolist(), []
    for k in range(K):
        appearance = linear(stage.feature, images.objects[b, k].tolist())
        sort = labels[images.classes[b, k]]
        expected.append(
            layer_norm(stage.norm, plus(plus(appearance, sort), linear(stage.score, [images.scores[b, k].item()])))
        )
    return expected


def test_an_object_is_the_norm_of_its_feature_its_class_and_its_score() -> None:
    stage, images = randomised(Objects(D, C, CLASSES, 0.5)), make_images()
    same(stage(images), [objects_of(stage, images, b) for b in range(B)])


def test_an_unknown_class_adds_nothing_and_stays_so() -> None:
    stage, images = Objects(D, C, CLASSES, 0.0).double(), make_images()
    assert not stage.label.weight[0].any()
    assert 0.01 < stage.label.weight[1:].std() < 0.03, "classes start as small additions"
    stage(images._replace(classes=torch.zeros_like(images.classes))).sum().backward()
    assert not stage.label.weight.grad.any()


FIRST, SECOND = [0.1, 0.2, 0.3, 0.6], [0.2, 0.5, 0.6, 0.6]
"""Two boxes: centres (0.2, 0.4) and (0.4, 0.55), sizes 0.2 x 0.4 and 0.4 x 0.1, 0.01 of 0.11 in common."""


def phi_of(*boxes: list[float], mask: Sequence[bool] | None = None) -> Tensor:
    known = torch.ones(1, len(boxes), dtype=torch.bool) if mask is None else torch.tensor([mask])
    return phi(torch.tensor([boxes], dtype=torch.double), known)[0]


def test_phi_of_two_boxes_is_what_one_works_out_by_hand() -> None:
    geometry = phi_of(FIRST, SECOND)
    assert geometry.shape == (2, 2, PHI)
    # dx/w_i, dy/h_i, log w_j/w_i, log h_j/h_i, IoU, dx, dy, distance, left, above, nearest
    seen_from_first = [1.0, 0.375, 0.69314718, -1.38629436, 0.09090909, 0.2, 0.15, 0.25, 0, 0, 1]
    seen_from_second = [-0.5, -1.5, -0.69314718, 1.38629436, 0.09090909, -0.2, -0.15, 0.25, 1, 1, 1]
    same(geometry[0, 1], seen_from_first)
    same(geometry[1, 0], seen_from_second)
    for i in range(2):
        same(geometry[i, i], [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0])


def test_boxes_apart_have_no_overlap_and_a_box_within_another_has_its_share() -> None:
    geometry = phi_of([0.0, 0.0, 0.4, 0.4], [0.1, 0.1, 0.3, 0.3], [0.6, 0.6, 0.9, 0.9], [0.6, 0.0, 0.8, 0.4])
    same(geometry[0, :, 4], [1, 0.25, 0, 0])
    same(geometry[2, :, 4], [0, 0, 1, 0])


def test_the_nearest_box_is_the_one_of_least_distance_among_the_known_ones() -> None:
    boxes = [[x - 0.05, 0.4, x + 0.05, 0.5] for x in (0.1, 0.2, 0.5, 0.7)]
    assert phi_of(*boxes)[..., -1].tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    without_second = phi_of(*boxes, mask=[True, False, True, True])[[0, 2, 3], :, -1]
    assert without_second.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    alone = phi_of(*boxes, mask=[True, False, False, False])
    assert alone[0, :, -1].tolist() == [0, 0, 0, 0]


def test_of_two_boxes_at_one_distance_both_are_nearest() -> None:
    boxes = [[0.25, 0.25, 0.75, 0.75], [0.0, 0.25, 0.25, 0.75], [0.75, 0.25, 1.0, 0.75]]
    assert phi_of(*boxes)[0, :, -1].tolist() == [0, 1, 1]


def test_distances_in_units_of_a_tiny_box_are_cut_at_10_and_a_box_has_some_size() -> None:
    flat = [0.5, 0.2, 0.5, 0.3]  # no width: 0.001 is taken
    geometry = phi_of(flat, [0.7, 0.2, 0.9, 0.4], [0.0, 0.2, 0.2, 0.4])
    assert geometry[0, :, 0].tolist() == [0, 10, -10]
    same(geometry[0, 1, 2:4], [math.log(200), math.log(2)])


def test_fourier_features_of_a_box_are_what_one_works_out_by_hand() -> None:
    place = [0.4, 0.2, 0.2, 0.4]  # centre and size
    (features,) = fourier(torch.tensor([[[0.3, 0.0, 0.5, 0.4]]], dtype=torch.double))[0]
    assert features.shape == (FOURIER,)
    same(features[:4], [-0.2, -0.6, -0.6, -0.2])
    sines = {
        0.2: [0.58778525, 0.95105652, 0.58778525, -0.95105652],
        0.4: [0.95105652, 0.58778525, -0.95105652, -0.58778525],
    }
    cosines = {
        0.2: [0.80901699, 0.30901699, -0.80901699, 0.30901699],
        0.4: [0.30901699, -0.80901699, 0.30901699, -0.80901699],
    }
    same(features[4:20], [value for x in place for value in sines[x]])
    same(features[20:], [value for x in place for value in cosines[x]])


def pairs_of(module: Pairs, numbers: list[list[Vector]]) -> tuple[Any, Any]:
    """Bias (h, n, n) and message (n, n, d) of one post's pairs."""
    hidden = [[gelu(linear(module.hidden[0], pair)) for pair in row] for row in numbers]
    bias = [[[linear(module.bias, pair)[head] for pair in row] for row in hidden] for head in range(HEADS)]
    return bias, [[linear(module.message, pair) for pair in row] for row in hidden]


@pytest.mark.parametrize("with_scene", [True, False])
def test_the_semantic_block_attends_by_content_and_by_the_cosines_of_four_aspects(with_scene: bool) -> None:
    block, objects = randomised(SemanticBlock(CONFIG, D)), random(B, K, D)
    scene, image_mask = random(B, 1, D), torch.tensor([[True], [False]])
    object_mask = masks(3, 2, of=K)
    result, weights = block(objects, object_mask, scene if with_scene else None, image_mask)
    for b in range(B):
        nodes = (scene[b].tolist() if with_scene else []) + objects[b].tolist()
        mask = (image_mask[b].tolist() if with_scene else []) + object_mask[b].tolist()
        aspects = [linear(block.aspects, node) for node in nodes]  # four vectors of two channels
        parts = [slice(2 * a, 2 * a + 2) for a in range(4)]
        psi = [[[cosine(x[part], y[part]) for part in parts] for y in aspects] for x in aspects]
        normed = [layer_norm(block.norm, node) for node in nodes]
        related, of_post = attend(block.attention, normed, normed, mask, *pairs_of(block.pairs, psi))
        nodes = [plus(node, more) for node, more in zip(nodes, related, strict=True)]
        nodes = [plus(node, feed_forward(block.feed_forward, node)) for node in nodes]
        same(result[b], nodes[with_scene:])
        same(weights[b], of_post)


@pytest.mark.parametrize("geometry", [(True, True), (True, False), (False, True), (False, False)])
def test_the_spatial_block_adds_the_place_and_attends_by_geometry_alone(geometry: tuple[bool, bool]) -> None:
    absolute, relative = geometry
    config = replace(CONFIG, absolute_geometry=absolute, relative_geometry=relative)
    block, objects, images = randomised(SpatialBlock(config, D)), random(B, K, D), make_images()
    result, weights = block(objects, images.boxes, images.box_mask)
    assert (weights is None) == (not relative)
    for b in range(B):
        nodes = objects[b].tolist()
        if absolute:
            first, _, second, norm = block.position
            places = fourier(images.boxes)[b].tolist()
            nodes = [
                plus(node, layer_norm(norm, linear(second, gelu(linear(first, place)))))
                for node, place in zip(nodes, places, strict=True)
            ]
        if relative:
            bias, message = pairs_of(block.pairs, phi(images.boxes, images.box_mask)[b].tolist())
            mask = images.box_mask[b].tolist()
            shares = [[softmax(row, mask) for row in of_head] for of_head in bias]
            same(weights[b], shares)
            channels = D // HEADS
            received = [
                [sum(shares[c // channels][i][j] * message[i][j][c] for j in range(K)) for c in range(D)]
                for i in range(K)
            ]
            nodes = [plus(node, linear(block.out, more)) for node, more in zip(nodes, received, strict=True)]
        same(result[b], [plus(node, feed_forward(block.feed_forward, node)) for node in nodes])


def test_the_memory_is_the_grid_and_both_encodings_with_their_masks() -> None:
    vision = randomised(Vision(replace(CONFIG, visual_dropout=0.5), D, C, CLASSES))
    images = make_images()._replace(image_mask=torch.tensor([True, False]))
    memory, weights = vision(images)
    assert memory.sizes == (R, K, K)
    assert memory.grain.tolist() == [0] * R + [1] * K + [2] * K
    assert torch.equal(weights.grain, memory.grain)
    assert memory.mask[0].tolist() == [True] * R + [True] * 3 + [True, True, False]
    assert not memory.mask[1].any()
    _, project, norm = vision.grid
    b = 0
    G = [layer_norm(norm, linear(project, row)) for row in images.grid[b].tolist()]
    same(memory.regions[b, :R], G)
    O = vision.objects(images)  # noqa: E741
    scene = torch.tensor([[mean(G)], [mean(G)]], dtype=torch.double)
    there = images.object_mask & images.image_mask[:, None]
    O_sem, semantic = vision.semantic(O, there, scene, images.image_mask[:, None])
    O_spa, spatial = vision.spatial(O, images.boxes, images.box_mask & images.image_mask[:, None])
    same(memory.regions[b, R : R + K], O_sem[b].detach())
    same(memory.regions[b, R + K :], O_spa[b].detach())
    same(weights.semantic[b], semantic[b].detach())
    same(weights.spatial[b], spatial[b].detach())


@pytest.mark.parametrize(
    ("left_out", "sizes"),
    [("global_vision", (0, K, K)), ("semantic", (R, 0, K)), ("spatial", (R, K, 0)), ("objects", (R, 0, 0))],
)
def test_a_grain_that_is_left_out_has_no_regions(left_out: str, sizes: tuple[int, ...]) -> None:
    memory, _ = Vision(replace(CONFIG, **{left_out: False}), D, C, CLASSES).double()(make_images())
    assert memory.sizes == sizes
    assert memory.regions.shape[1] == memory.mask.shape[1] == sum(sizes)
    assert memory.grain.tolist() == [grain for grain, size in enumerate(sizes) for _ in range(size)]


# Stage 2


SIZES = (3, 2, 2)


def make_memory() -> Memory:
    mask = torch.tensor([[True] * 7, [True, True, True, True, False, False, False]])
    return Memory(random(B, 7, D), mask, SIZES)


def judged(stage: Relevance, s: Vector, memory: Memory, b: int) -> tuple[Matrix, list[bool], Matrix]:
    """Of one post, for each grain: v_g, whether it is present, and the weights a of its regions."""
    read, present, weights = [], [], []
    for number in range(len(GRAINS)):
        regions = [m for m in range(7) if memory.grain[m] == number]
        real = [bool(memory.mask[b, m]) for m in regions]
        known = [memory.regions[b, m].tolist() for m in regions]
        asked = [dot(linear(stage.query, s), region) / math.sqrt(D) for region in known]
        a = softmax(asked, real) if any(real) else [0.0] * len(real)
        read.append(layer_norm(stage.vision_norm, mixed(a, known)))
        present.append(any(real))
        weights.append(a)
    return read, present, weights


@pytest.mark.parametrize("changes", [{}, {"relevance": False}, {"integration": False}])
def test_beta_weighs_grains_by_their_cosines_and_rho_judges_the_image_that_it_integrates(
    changes: dict[str, Any],
) -> None:
    stage, memory, s = randomised(Relevance(replace(CONFIG, **changes), D)), make_memory(), random(B, D)
    kept = AttentionWeights(memory.grain)
    rho, beta = stage(s, memory, kept)
    for b in range(B):
        sentence = s[b].tolist()
        v, present, weights = judged(stage, sentence, memory, b)
        fits = [0.0] * 3
        if "integration" not in changes:
            fits = [
                cosine(linear(stage.asked, sentence), linear(stage.of_grain[grain], v_g))
                for grain, v_g in zip(GRAINS, v, strict=True)
            ]
        shares = softmax(fits, present)
        same(beta[b], shares)
        if "relevance" in changes:
            same(rho[b], 1.0)
        else:
            image = linear(stage.of_image, mixed(shares, v))
            same(rho[b], sigmoid(4 * cosine(linear(stage.of_text, sentence), image)))
        same(kept.vision_pool[b], [share * a for share, pool in zip(shares, weights, strict=True) for a in pool])


def test_the_grain_that_fits_the_sentence_gets_the_greatest_share() -> None:
    stage, memory, s = randomised(Relevance(CONFIG, D)), make_memory(), random(1, D)
    memory = replace(memory, regions=memory.regions[:1], mask=memory.mask[:1])
    with torch.no_grad():
        for layer in (stage.asked, stage.of_text, stage.of_image, *stage.of_grain.values()):
            layer.weight.zero_()
        stage.of_grain["spatial"].bias.copy_(torch.tensor([1.0, *[0.0] * (D - 1)]))
        stage.asked.bias.copy_(torch.tensor([0.0, 1.0, *[0.0] * (D - 2)]))
        for grain, sign in (("global", 1.0), ("semantic", -1.0)):
            stage.of_grain[grain].bias.copy_(sign * stage.asked.bias)
        stage.of_image.bias.copy_(stage.of_text.bias)
    rho, beta = stage(s, memory, AttentionWeights(memory.grain))  # cosines 1, -1 and 0
    same(beta[0], softmax([1.0, -1.0, 0.0], [True] * 3))
    same(rho[0], sigmoid(4.0))


def test_an_image_with_nothing_to_see_has_no_relevance_and_no_shares() -> None:
    stage, memory = randomised(Relevance(CONFIG, D)), make_memory()
    memory = replace(memory, mask=memory.mask & torch.tensor([[True], [False]]))
    rho, beta = stage(random(B, D), memory, AttentionWeights(memory.grain))
    assert rho[0] > 0
    assert rho[1] == 0
    assert beta[1].tolist() == [0, 0, 0]


# Stage 3


def read(
    module: Reader,
    x: Matrix,
    memory: Matrix,
    mask: Sequence[bool],
    scale: float,
    groups: tuple[Sequence[int], Vector] | None = None,
) -> tuple[Matrix, Any]:
    normed, of_memory = [layer_norm(module.norm, row) for row in x], [layer_norm(module.memory_norm, m) for m in memory]
    more, weights = attend(module.attention, normed, of_memory, mask, groups=groups)
    x = [plus(row, add, scale) for row, add in zip(x, more, strict=True)]
    return [plus(row, feed_forward(module.feed_forward, row), scale) for row in x], weights


@pytest.mark.parametrize("grouped", [True, False])
def test_a_reader_adds_scaled_attention_and_then_a_scaled_feed_forward(grouped: bool) -> None:
    module, x, memory = randomised(Reader(CONFIG, D)), random(B, N, D), make_memory()
    scale, beta = torch.rand(B, dtype=torch.double), torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]]).double()
    mask = memory.mask
    result, weights = module(x, memory.regions, mask, scale, Groups(SIZES, beta) if grouped else None)
    for b in range(B):
        groups = (SIZES, beta[b].tolist()) if grouped else None
        regions = memory.regions[b].tolist()
        expected, shares = read(module, x[b].tolist(), regions, mask[b].tolist(), scale[b].item(), groups)
        same(result[b], expected)
        same(weights[b], shares)


def coattend(
    module: CoAttention,
    words: Matrix,
    regions: Matrix,
    word_mask: Sequence[bool],
    region_mask: Sequence[bool],
    rho: float,
    groups: tuple[Sequence[int], Vector],
) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """H (n, d), the weights over regions (n, M) and over words (M, n), and z (n, d)."""
    T, M = [layer_norm(module.norm, x) for x in words], [layer_norm(module.memory_norm, m) for m in regions]
    A = [[dot(linear(module.affinity, t), m) / math.sqrt(len(t)) for m in M] for t in T]
    over_regions = [by_group(row, region_mask, *groups) for row in A]
    over_words = [softmax([row[m] for row in A], word_mask) for m in range(len(M))]
    C1 = [mixed(weights, M) for weights in over_regions]
    S = [mixed(weights, T) for weights in over_words]
    C2 = [mixed(weights, S) for weights in over_regions]
    H, gates = [], []
    for i in range(len(T)):
        z = [sigmoid(logit) for logit in linear(module.gate, T[i] + C1[i] + C2[i])]
        said = linear(module.out, C1[i] + C2[i])
        H.append(plus(words[i], [gate * value for gate, value in zip(z, said, strict=True)], rho))
        gates.append(z)
    return H, over_regions, over_words, gates


def test_coattention_gives_each_word_the_regions_and_the_words_that_they_read() -> None:
    module, words, memory = randomised(CoAttention(CONFIG, D)), random(B, N, D), make_memory()
    rho, beta = torch.rand(B, dtype=torch.double), torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]]).double()
    word_mask = masks(4, 2, of=N)
    results = module(words, memory.regions, word_mask, memory.mask, rho, Groups(SIZES, beta))
    for b in range(B):
        of_post = [value[b].tolist() for value in (words, memory.regions, word_mask, memory.mask, rho)]
        for result, expected in zip(results, coattend(module, *of_post, (SIZES, beta[b].tolist())), strict=True):
            same(result[b], expected)


@pytest.mark.parametrize(
    ("iterations", "coattention"), [(0, True), (1, True), (2, True), (3, True), (1, False), (2, False)]
)
def test_words_read_regions_and_these_the_new_words_in_each_iteration(iterations: int, coattention: bool) -> None:
    stage = randomised(Interaction(replace(CONFIG, iterations=iterations, coattention=coattention), D))
    assert len(stage.words) == iterations
    assert len(stage.regions) == (iterations if coattention else iterations - 1)
    words, word_mask, memory = random(B, N, D), masks(4, 2, of=N), make_memory()
    rho, beta = torch.tensor([0.3, 0.8]).double(), torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]]).double()
    kept = AttentionWeights(memory.grain)
    H = stage(words, word_mask, memory, rho, beta, kept)
    kept = kept.detached()
    for b in range(B):
        T, M = words[b].tolist(), memory.regions[b].tolist()
        of_words, of_regions = word_mask[b].tolist(), memory.mask[b].tolist()
        groups = (SIZES, beta[b].tolist())
        for layer in range(iterations):
            T, weights = read(stage.words[layer], T, M, of_regions, rho[b].item(), groups)
            same(kept.word_to_region[b, layer], weights)
            if layer < len(stage.regions):
                M, weights = read(stage.regions[layer], M, T, of_words, 1.0)
                same(kept.region_to_word[b, layer], weights)
        if coattention:
            T, over_regions, over_words, z = coattend(
                stage.coattention, T, M, of_words, of_regions, rho[b].item(), groups
            )
            same(kept.co_regions[b], over_regions)
            same(kept.co_words[b], over_words)
            same(kept.gate[b], [sum(gates) / D for gates in z])
        same(H[b], T)
    assert (kept.word_to_region is None) == (iterations == 0)
    assert (kept.region_to_word is None) == (len(stage.regions) == 0)
    assert (kept.co_regions is None) == (not coattention)


# The whole


def test_the_model_hands_each_stage_what_the_equations_say() -> None:
    model = randomised(build(FULL))
    batch = make_batch()
    batch = batch.map(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)
    output = model(batch, keep_attention=True)
    T, last = model.text(batch)
    memory, of_vision = model.fusion.vision(batch.images)
    s, text_pool = model.fusion.sentence(last, batch.word_mask)
    kept = AttentionWeights(memory.grain)
    rho, beta = model.fusion.relevance(s, memory, kept)
    H = model.fusion.interaction(T, batch.word_mask, memory, rho, beta, kept)
    kept = kept.detached()
    same(output.emissions, (H @ model.decoder.classify.weight.T + model.decoder.classify.bias).detach())
    same(output.relevance, rho.detach())
    same(output.integration, beta.detach())
    same(output.loss, model.decoder.loss(output.emissions, batch.tags, batch.word_mask).detach())
    assert torch.equal(output.word_mask, batch.word_mask)
    expected = {"text_pool": text_pool, "semantic": of_vision.semantic, "spatial": of_vision.spatial}
    names = ("grain", "vision_pool", "word_to_region", "region_to_word", "co_regions", "co_words", "gate")
    for name, value in (expected | {name: getattr(kept, name) for name in names}).items():
        assert torch.equal(getattr(output.attention_weights, name), value), name


def test_a_fusions_auxiliary_loss_is_added_to_the_decoders() -> None:
    model, batch = build(FULL), make_batch()
    plain = model(batch)
    fuse = model.fusion.forward
    model.fusion.forward = lambda seen: replace(fuse(seen), loss=torch.tensor(3.0))  # type: ignore[method-assign]
    torch.testing.assert_close(model(batch).loss, plain.loss + 3)
    assert model(replace(batch, tags=None)).loss is None


def half_is_dropped(before: Tensor, after: Tensor, added: Tensor) -> None:
    change = (after - before).detach()
    dropped = change == 0
    assert 0.2 < dropped.double().mean() < 0.8
    torch.testing.assert_close(change, 2 * added.detach() * ~dropped)


@pytest.mark.parametrize("zero", ["attention.out", "feed_forward.3"])
def test_in_training_a_reader_drops_from_both_of_its_branches(zero: str) -> None:
    module, x, memory = randomised(Reader(replace(CONFIG, dropout=0.5), D)), random(B, N, D), make_memory()
    for parameter in module.get_submodule(zero).parameters():
        nn.init.zeros_(parameter)
    given = (x, memory.regions, memory.mask, torch.ones(B, dtype=torch.double))
    added = module.eval()(*given)[0] - x
    half_is_dropped(x, module.train()(*given)[0], added)


def test_in_training_words_coattention_and_decoder_drop_channels() -> None:
    config = replace(CONFIG, dropout=0.5)
    text = randomised(TextStage(Encoder(6, 2), replace(config, local_text=False)))
    batch = Batch(masks(4, 4, of=N), torch.arange(B), word_layers=random(B, N, 1, 6), word_embeddings=random(B, N, 6))
    half_is_dropped(torch.zeros(()).double(), text.train()(batch)[0], text.eval()(batch)[0])

    module, words, memory = randomised(CoAttention(config, D)), random(B, N, D), make_memory()
    shares = Groups(SIZES, torch.full((B, 3), 1 / 3, dtype=torch.double))
    given = (words, memory.regions, masks(4, 2, of=N), memory.mask, torch.ones(B, dtype=torch.double), shares)
    half_is_dropped(words, module.train()(*given)[0], module.eval()(*given)[0] - words)

    decoder = Decoder(D, tuple("ABCDEFGH"), 0.5).double()
    nn.init.eye_(decoder.classify.weight)
    nn.init.zeros_(decoder.classify.bias)
    half_is_dropped(torch.zeros(()).double(), decoder.train()(words), decoder.eval()(words))


def test_tiny_bert_has_no_pooler_left_in_the_model() -> None:
    assert tiny_bert().pooler is not None
    assert build(vision=False).text.encoder.pooler is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_drops_this_share_of_all_elements_and_makes_up_for_it(share: float) -> None:
    module, ones = Dropout(share), torch.ones(301, 999)
    assert torch.equal(module.eval()(ones), ones)
    torch.manual_seed(3)
    first = module.train()(ones)
    assert (first == 0).double().mean().item() == pytest.approx(share, abs=0.005)
    assert first.mean().item() == pytest.approx(1, abs=0.02)
    assert first.unique().tolist() == pytest.approx([0, 1 / (1 - share)], rel=1e-4)
    # Elements beside and below one another are independent.
    zero = (first == 0).double()
    for pair in (zero[:, 1:] * zero[:, :-1], zero[1:] * zero[:-1], zero[:, 4:] * zero[:, :-4]):
        assert pair.mean().item() == pytest.approx(share**2, abs=0.005)
    torch.manual_seed(3)
    assert torch.equal(module(ones), first)
    assert not torch.equal(module(ones), first)


def test_no_dropout_draws_no_random_number() -> None:
    values = random(3, 4)
    state = torch.get_rng_state()
    assert torch.equal(Dropout(0.0).train()(values), values)
    assert torch.equal(torch.get_rng_state(), state)
