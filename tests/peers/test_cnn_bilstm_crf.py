"""CNN-BiLSTM-CRF: words by their letters, their own vectors and their post."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hamner.peers.cnn_bilstm_crf import BUCKETS, LONGEST, WORD, CnnBiLstm, spell, word_numbers
from tests.peers.conftest import CONFIG, D

POSTS = (("Kelso", "was", "here"), ("@KELSO", "ünï"), ("no",))


def masked(posts: tuple[tuple[str, ...], ...]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(words) for words in posts])
    return spell(posts), torch.arange(int(lengths.max())) < lengths[:, None]


@pytest.fixture
def reader() -> CnnBiLstm:
    torch.manual_seed(0)
    reader = CnnBiLstm(CONFIG, D).eval()
    with torch.no_grad():
        reader.word.weight.normal_(std=0.5)
    return reader


def test_letters_are_bytes_plus_one_and_end_after_the_longest() -> None:
    letters = spell((("ü", "x" * 99),))
    assert letters[0, 0, :3].tolist() == [0xC3 + 1, 0xBC + 1, 0]
    assert letters[0, 1].tolist() == [ord("x") + 1] * LONGEST


def test_a_words_number_ignores_capitals_and_nothing_else() -> None:
    numbers = word_numbers(spell((("Kelso", "KELSO", "kelso", "kelsO@", "Z[", "z[", "A@", "a@"),)))[0].tolist()
    assert len(set(numbers[:3])) == 1
    assert numbers[3] != numbers[0]
    assert numbers[4] == numbers[5] and numbers[6] == numbers[7]
    assert word_numbers(spell((("[", "{"),)))[0].diff().item() != 0  # "[" follows "Z": it is no capital
    assert word_numbers(spell((("@", "`"),)))[0].diff().item() != 0  # "@" stands before "A"


def test_the_numbers_are_the_same_on_every_machine() -> None:
    by_hand = 0
    for byte in b"kelso":
        by_hand = (by_hand * 1_000_003 + byte + 1) % (2**31 - 1)
    assert word_numbers(spell((("Kelso",),))).item() == by_hand % BUCKETS


def test_few_words_share_a_number() -> None:
    words = [f"{first}{second}{number}" for first in "abcdefgh" for second in "stuvwxyz" for number in range(16)]
    numbers = word_numbers(spell((words,)))[0]
    assert len(numbers.unique()) > 0.98 * len(words)  # 1,024 words at random in 65,536 numbers: 99.2 %


def test_each_word_follows_the_equations(reader: CnnBiLstm) -> None:
    letters, mask = masked(POSTS)
    got = reader(letters, mask)
    for post, words in enumerate(POSTS):
        x = []
        for i, word in enumerate(words):
            spelt = reader.letter(letters[post, i, : len(word.encode())])
            around = torch.cat([torch.zeros(1, 30), spelt, torch.zeros(1, 30)])
            filters = reader.conv.weight.permute(2, 1, 0)  # (3, letter, filter)
            windows = [sum(around[t + k] @ filters[k] for k in range(3)) + reader.conv.bias for t in range(len(spelt))]
            x.append(torch.cat([reader.word(word_numbers(letters[post, i])), torch.stack(windows).amax(0)]))
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
    together = reader(*masked(POSTS))
    assert torch.equal(together[2, 1:], torch.zeros(2, D))
    for post, words in enumerate(POSTS):
        torch.testing.assert_close(reader(*masked((words,)))[0], together[post, : len(words)])


def test_a_new_word_starts_without_a_vector_of_its_own() -> None:
    assert torch.equal(CnnBiLstm(CONFIG, D).word.weight, torch.zeros(BUCKETS, WORD))


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    reader = CnnBiLstm(replace(CONFIG, dropout=0.1), D)
    letters, mask = masked(POSTS)
    reader(letters, mask).square().sum().backward()
    assert not [name for name, value in reader.named_parameters() if not value.grad.abs().max() > 0]
    moved = reader.word.weight.grad.abs().sum(1).nonzero().squeeze(1).tolist()
    assert set(moved) == set(word_numbers(letters)[mask].tolist())
