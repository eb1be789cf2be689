from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hamner.model.batch import Batch
from hamner.model.hamner import HamNer
from hamner.model.text import SHAPES, word_shape
from tests.model.conftest import FULL, build


def read_already(model: HamNer, batch: Batch) -> Batch:
    layers, embedded = model.text.read(batch)
    return replace(batch, pieces=None, piece_mask=None, first_piece=None, word_layers=layers, word_embeddings=embedded)


@pytest.mark.parametrize("layers", ["last", "mix"])
def test_words_read_beforehand_give_what_the_encoder_gives(layers: str, batch: Batch) -> None:
    model = build(replace(FULL, frozen_text=True), layers=layers)
    cached = read_already(model, batch)
    expected = model(batch).emissions
    model.text.encoder = None  # it is not needed any more
    assert torch.equal(model(cached).emissions, expected)


def test_a_batch_with_neither_pieces_nor_read_words_is_an_error(batch: Batch) -> None:
    model = build()
    with pytest.raises(TypeError, match="either pieces"):
        model(replace(batch, pieces=None))


def test_the_local_convolution_sees_three_words_to_either_side_and_no_further(batch: Batch) -> None:
    model = build(vision=False, frozen_text=True)
    n = 9
    layers, embedded = torch.zeros(1, n, 3, 32), torch.zeros(1, n, 32)
    mask = torch.ones(1, n, dtype=torch.bool)
    words = Batch(
        word_mask=mask,
        index=torch.zeros(1),
        shapes=torch.zeros(1, n, len(SHAPES)),
        word_layers=layers,
        word_embeddings=embedded,
    )
    marked = embedded.clone()
    marked[0, 4] = torch.randn(32)
    written = words.shapes.clone()
    written[0, 4, 0] = 1
    for other in (replace(words, word_embeddings=marked), replace(words, shapes=written)):
        change = (model.text(words)[0] != model.text(other)[0]).any(-1)[0]
        assert change.tolist() == [False] + [True] * 7 + [False]


@pytest.mark.parametrize(
    ("word", "shapes"),
    [
        ("kelso", ()),
        ("Kelso", ("capital first",)),
        ("McKelso", ("capital first", "capital inside")),
        ("iPhone7", ("capital inside", "digit")),
        ("NATO", ("capital first", "capitals only")),
        ("Élan", ("capital first",)),
        ("2-1", ("digit", "no letter")),
        ("@", ("no letter", "@ first")),
        ("#Kelso", ("capital inside", "# first")),
        ("", ("no letter",)),
    ],
)
def test_a_words_shape_is_how_it_is_written(word: str, shapes: tuple[str, ...]) -> None:
    assert {name for name, holds in zip(SHAPES, word_shape(word), strict=True) if holds} == set(shapes)


def test_a_model_that_reads_shapes_refuses_a_batch_without_and_one_that_does_not_needs_none(batch: Batch) -> None:
    plain = replace(batch, shapes=None)
    with pytest.raises(TypeError, match="reads word shapes"):
        build()(plain)
    blind = build(word_shapes=False)
    assert torch.equal(blind(plain).emissions, blind(batch).emissions)
    assert not torch.equal(build()(batch).emissions, build()(replace(batch, shapes=1 - batch.shapes)).emissions)


def test_the_convolution_does_not_move_the_encoders_embeddings(batch: Batch) -> None:
    model = build(vision=False)
    model.text.read(batch)[1].requires_grad_().sum().backward()
    assert model.text.encoder.get_input_embeddings().weight.grad is None


def test_without_local_text_the_embeddings_are_not_seen(batch: Batch) -> None:
    model = build(local_text=False, frozen_text=True)
    cached = read_already(model, batch)
    other = replace(cached, word_embeddings=-cached.word_embeddings)
    assert torch.equal(model(other).emissions, model(cached).emissions)


def test_the_width_is_the_encoders_hidden_size_unless_it_is_set(batch: Batch) -> None:
    assert build(width=None).text(batch)[0].shape == (4, 5, 32)
    assert build(width=8).text(batch)[0].shape == (4, 5, 8)
