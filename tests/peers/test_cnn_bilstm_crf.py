"""CNN-BiLSTM-CRF: words by their letters, their own vectors and their post."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hamner.corpora.post import Post
from hamner.model.batch import Batch
from hamner.model.config import ModelConfig
from hamner.model.hamner import HamNer
from hamner.model.lexicon import LONGEST, Lexicon
from hamner.peers import cnn_bilstm_crf
from hamner.peers.cnn_bilstm_crf import FORGOTTEN, LSTM, CnnBiLstm
from hamner.training.batching import Split, spelt
from tests.peers.conftest import D

POSTS = (("Kelso", "was", "here"), ("@KELSO", "ünï"), ("no",))
LEXICON = Lexicon.of(POSTS)
CONFIG = ModelConfig(words="cnn_bilstm", width=D, heads=2, dropout=0.0)


def batch_of(posts: tuple[tuple[str, ...], ...], tags: str | None = None) -> Batch:
    gold = [None if tags is None else (tags,) * len(words) for words in posts]
    some = [Post(str(number), words, of_post) for number, (words, of_post) in enumerate(zip(posts, gold, strict=True))]
    return Split(spelt(some, LEXICON), 0).batch(range(len(posts)))


@pytest.fixture
def reader() -> CnnBiLstm:
    torch.manual_seed(0)
    return CnnBiLstm(LEXICON, CONFIG).eval()


def test_each_word_follows_the_equations(reader: CnnBiLstm) -> None:
    got, _ = reader(batch_of(POSTS))
    for post, words in enumerate(POSTS):
        x = []
        for word in words:
            spelling = reader.letter(torch.tensor(LEXICON.spell(word)[: len(word)]))
            around = torch.cat([torch.zeros(1, 30), spelling, torch.zeros(1, 30)])
            filters = reader.conv.weight.permute(2, 1, 0)  # (3, letter, filter)
            windows = [sum(around[t + k] @ filters[k] for k in range(3)) + reader.conv.bias for t in range(len(word))]
            own = reader.word.weight[1 + sorted({w.lower() for p in POSTS for w in p}).index(word.lower())]
            x.append(torch.cat([own, torch.stack(windows).amax(0)]))
        both = [direction(reader, x, ""), direction(reader, x[::-1], "_reverse")[::-1]]
        expected = torch.stack([reader.project(torch.cat(pair)) for pair in zip(*both, strict=True)])
        torch.testing.assert_close(got[post, : len(words)], expected, rtol=1e-4, atol=1e-5)


def direction(reader: CnnBiLstm, x: list[torch.Tensor], name: str) -> list[torch.Tensor]:
    """One direction of the LSTM, step by step."""
    part = {key: getattr(reader.lstm, f"{key}_l0{name}") for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    h, c, states = torch.zeros(D), torch.zeros(D), []
    for step in x:
        gates = part["weight_ih"] @ step + part["bias_ih"] + part["weight_hh"] @ h + part["bias_hh"]
        i, f, g, o = gates.chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return states


def test_a_post_alone_gets_the_words_that_it_gets_in_a_batch(reader: CnnBiLstm) -> None:
    together, _ = reader(batch_of(POSTS))
    assert torch.equal(together[2, 1:], torch.zeros(2, D))
    for post, words in enumerate(POSTS):
        torch.testing.assert_close(reader(batch_of((words,)))[0][0], together[post, : len(words)])


def test_a_new_word_is_known_by_its_spelling_alone(reader: CnnBiLstm) -> None:
    assert not reader.word.weight[0].any()
    one, other = reader(batch_of((("wash",), ("hash",))))[0][:, 0]
    assert not torch.allclose(one, other)
    with torch.no_grad():
        reader.conv.weight.zero_()
    one, other, known = reader(batch_of((("wash",), ("hash",), ("was",))))[0][:, 0]
    assert torch.equal(one, other) and not torch.allclose(one, known)


def test_a_new_letter_is_a_letter_and_no_end(reader: CnnBiLstm) -> None:
    short, longer = reader(batch_of((("no",), ("noq",))))[0][:, 0]
    assert not torch.allclose(short, longer)


def test_training_reads_some_words_without_their_own_vectors(
    reader: CnnBiLstm, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (("was",),)
    as_known, as_new = (reader(batch_of(words))[0], None)
    reader.word.weight.data[LEXICON.numbers(["was"])[0]] = 0
    as_new = reader(batch_of(words))[0]
    torch.manual_seed(0)
    reader = CnnBiLstm(LEXICON, CONFIG).train()
    got = torch.cat([reader(batch_of(words))[0] for _ in range(200)])
    new = torch.isclose(got, as_new, atol=1e-6).all(-1).sum().item()
    known = torch.isclose(got, as_known, atol=1e-6).all(-1).sum().item()
    assert new + known == 200
    assert abs(new / 200 - FORGOTTEN) < 0.1  # 3 standard errors
    monkeypatch.setattr(cnn_bilstm_crf, "FORGOTTEN", 1.0)
    torch.testing.assert_close(reader(batch_of(words))[0], as_new)


def test_gradients_reach_every_parameter_and_the_vectors_of_the_words_that_were_read() -> None:
    torch.manual_seed(0)
    model = HamNer(replace(CONFIG, dropout=0.1), LEXICON, ("O", "B-PER"))
    batch = batch_of(POSTS, "O")
    for _ in range(8):  # some words are forgotten in each pass
        model(batch).loss.backward()
    assert not [name for name, value in model.named_parameters() if not value.grad.abs().max() > 0]
    assert isinstance(model.text, CnnBiLstm)
    moved = model.text.word.weight.grad.abs().sum(1).nonzero().squeeze(1).tolist()
    assert moved == list(range(1, len(LEXICON.words) + 1))


def test_without_a_width_the_words_have_as_many_channels_as_the_papers_lstm() -> None:
    assert CnnBiLstm(LEXICON, replace(CONFIG, width=None)).width == LSTM == 200


def test_it_needs_letters(reader: CnnBiLstm) -> None:
    with pytest.raises(TypeError, match="letters"):
        reader(replace(batch_of(POSTS), letters=None))


def test_one_seed_gives_one_result_with_dropout_too() -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append(CnnBiLstm(LEXICON, replace(CONFIG, dropout=0.4)).train()(batch_of(POSTS))[0])
    assert torch.equal(*results)


def test_only_the_letters_that_are_read_count(reader: CnnBiLstm) -> None:
    cut, longer = reader(batch_of((("x" * LONGEST,), ("x" * LONGEST + "was",))))[0][:, 0]
    assert torch.equal(cut, longer)
