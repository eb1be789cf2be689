from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from hamner.devices import cpu_threads
from hamner.encoders import EncoderError, PhraseEncoder, encoder_source, load_encoder, load_tokenizer
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


def test_a_folder_without_an_encoder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="holds no text encoder"):
        load_encoder(str(tmp_path))


def test_an_encoder_that_cannot_be_fetched_is_one_sentence_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str, **options: object) -> None:
        raise OSError("no connection")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", unreachable)
    with pytest.raises(EncoderError, match=r"connect once.*minilm"):
        load_tokenizer("bert-base-cased")


def test_the_bundled_encoder_is_a_folder_with_safetensors() -> None:
    assert list(Path(encoder_source("minilm")).glob("*.safetensors"))


def test_an_encoder_whose_weights_are_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=9, **shape)).save_pretrained(tmp_path)
    assert load_encoder(str(tmp_path)).config.hidden_size == 16
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    with pytest.raises(EncoderError, match=r"lack 16 of its tensors, such as encoder\.layer\.1\."):
        load_encoder(str(tmp_path))


def test_phrases_are_encoded_on_one_thread_whatever_the_number_of_cores() -> None:
    encode, threads = PhraseEncoder("minilm"), []
    encode.encoder.register_forward_hook(lambda *_: threads.append(torch.get_num_threads()))
    with cpu_threads(3):
        assert np.isfinite(encode(["a man and a little girl", "a van"])).all()
        assert torch.get_num_threads() == 3
    assert threads == [1]
