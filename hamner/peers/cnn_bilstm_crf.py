"""CNN-BiLSTM-CRF: Ma and Hovy 2016, End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF (ACL).

c_i = max_t Conv_3(E_c[letters of word i])_t     how the word is spelt: 30 filters over vectors of 30 channels
w_i = E_w[number of word i]                      the word itself, 100 channels
T   = W [LSTM(x); LSTM backwards(x)] + b, x = [w; c]

It is no fusion: its words are its own, it takes the place of the text stage, and it sees no image. The CRF is the
decoder's. Dropout (`dropout`, 0.5 in the paper) on the letters' vectors and on what enters and leaves the LSTM.

Where it differs. The paper starts E_w from GloVe; nothing pretrained comes with this one. It has no vocabulary either:
letters are the bytes of UTF-8, and the number of a word is a hash of its letters in lower case. E_w starts at 0: a word
that training has not seen is known by its spelling alone, unless it shares its number with a word of the training set
(15,000 words: a fifth of all new words). W maps to d channels; the paper's linear layer to tags is the decoder's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from hamner.model.attention import Dropout
from hamner.model.config import ModelConfig

LONGEST = 24
"""Bytes of a word that are read; the rest is cut off."""

BUCKETS = 65_536
"""How many numbers there are for words."""

LETTER, FILTERS, WORD = 30, 30, 100
MULTIPLIER, PRIME = 1_000_003, 2**31 - 1


def spell(posts: Sequence[Sequence[str]]) -> Tensor:
    """The letters of all words of B posts, (B, n, LONGEST): bytes of UTF-8 plus 1, and 0 after the end."""
    letters = torch.zeros(len(posts), max(map(len, posts)), LONGEST, dtype=torch.long)
    for row, words in enumerate(posts):
        for column, word in enumerate(words):
            spelt = word.encode()[:LONGEST]
            letters[row, column, : len(spelt)] = torch.tensor(list(spelt), dtype=torch.long) + 1
    return letters


def word_numbers(letters: Tensor) -> Tensor:
    """The number of each word from 0 to BUCKETS - 1, (B, n), whether or not its letters A to Z are capitals."""
    capital = (letters > ord("A")) & (letters <= ord("Z") + 1)
    number = torch.zeros_like(letters[..., 0])
    for letter in (letters + 32 * capital).unbind(-1):
        number = torch.where(letter > 0, (number * MULTIPLIER + letter) % PRIME, number)
    return number % BUCKETS


class CnnBiLstm(nn.Module):
    """Words by their letters, by a vector of their own and by their post, without anything pretrained."""

    def __init__(self, config: ModelConfig, width: int) -> None:
        super().__init__()
        self.letter = nn.Embedding(257, LETTER, padding_idx=0)
        nn.init.uniform_(self.letter.weight[1:], -((3 / LETTER) ** 0.5), (3 / LETTER) ** 0.5)
        self.conv = nn.Conv1d(LETTER, FILTERS, kernel_size=3, padding=1)
        self.word = nn.Embedding(BUCKETS, WORD)
        nn.init.zeros_(self.word.weight)
        self.lstm = nn.LSTM(WORD + FILTERS, width, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * width, width)
        self.dropout = Dropout(config.dropout)

    def forward(self, letters: Tensor, word_mask: Tensor) -> Tensor:
        """Letters (B, n, L), see `spell`, and the words' mask (B, n) to words T (B, n, d); 0 at padding."""
        B, n, _ = letters.shape
        x = torch.cat([self.word(word_numbers(letters)), self.spelling(letters.flatten(0, 1)).view(B, n, -1)], -1)
        lengths = word_mask.sum(1).cpu()
        packed = pack_padded_sequence(self.dropout(x), lengths, batch_first=True, enforce_sorted=False)
        read, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=n)
        return self.project(self.dropout(read)) * word_mask[:, :, None]

    def spelling(self, letters: Tensor) -> Tensor:
        """Letters of m words (m, L) to c (m, FILTERS)."""
        features = self.conv(self.dropout(self.letter(letters)).transpose(1, 2))  # (m, FILTERS, L)
        return features.masked_fill(letters[:, None] == 0, torch.finfo(features.dtype).min).amax(-1)
