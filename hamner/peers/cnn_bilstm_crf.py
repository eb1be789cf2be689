"""CNN-BiLSTM-CRF: Ma and Hovy 2016, End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF (ACL).

c_i = max_t Conv_3(E_c[letters of word i])_t     how the word is spelt: 30 filters over vectors of 30 channels
w_i = E_w[number of word i]                      the word itself, 100 channels
T   = W [LSTM(x); LSTM backwards(x)] + b, x = [w; c]

It is no fusion: its words are its own, it takes the place of the text stage, and it sees no image. The CRF is the
decoder's. Dropout (`dropout`, 0.5 in the paper) on the letters' vectors and on what enters and leaves the LSTM.

Where it differs. The paper starts E_w from GloVe, which knows 400,000 words; nothing pretrained comes with this one.
Its words and letters are those of train (`Lexicon`). A word that train lacks has the vector 0. So that its spelling and
its neighbours are learnt too, in training each word loses its own vector with probability FORGOTTEN. W maps to d
channels (200, the paper's LSTM, where `width` is None); the paper's linear layer to tags is the decoder's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from hamner.model.attention import Dropout
from hamner.model.batch import Batch
from hamner.model.config import ModelConfig
from hamner.model.lexicon import Lexicon
from hamner.model.text import Text

LETTER, FILTERS, WORD, LSTM = 30, 30, 100, 200

FORGOTTEN = 0.25
"""Share of the words that training reads without their own vectors (*ours*)."""


class CnnBiLstm(Text):
    """Words by their letters, by a vector of their own and by their post, without anything pretrained."""

    def __init__(self, lexicon: Lexicon, config: ModelConfig) -> None:
        width = config.width or LSTM
        super().__init__(width, hidden=width)
        self.letter = nn.Embedding(len(lexicon.letters) + 2, LETTER, padding_idx=0)
        nn.init.uniform_(self.letter.weight[2:], -((3 / LETTER) ** 0.5), (3 / LETTER) ** 0.5)
        nn.init.zeros_(self.letter.weight[1])  # a letter that train lacks
        self.conv = nn.Conv1d(LETTER, FILTERS, kernel_size=3, padding=1)
        self.word = nn.Embedding(len(lexicon.words) + 1, WORD, padding_idx=0)
        nn.init.uniform_(self.word.weight[1:], -((3 / WORD) ** 0.5), (3 / WORD) ** 0.5)
        self.lstm = nn.LSTM(WORD + FILTERS, width, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * width, width)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Words T (B, n, d), 0 at padding, twice: there is no other layer."""
        if batch.pieces is None or batch.letters is None:
            raise TypeError("this model reads words and letters: give the batch `pieces` and `letters`")
        B, n, _ = batch.letters.shape
        words = batch.pieces  # (B, n)
        if self.training:
            words = words.masked_fill(torch.rand(words.shape, device=words.device) < FORGOTTEN, 0)
        x = torch.cat([self.word(words), self.spelling(batch.letters.flatten(0, 1)).view(B, n, -1)], -1)
        lengths = batch.word_mask.sum(1).cpu()
        packed = pack_padded_sequence(self.dropout(x), lengths, batch_first=True, enforce_sorted=False)
        read, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=n)  # (B, n, 2 d)
        text = self.project(self.dropout(read)) * batch.word_mask[:, :, None]
        return text, text

    def spelling(self, letters: Tensor) -> Tensor:
        """Letters of m words (m, L) to c (m, FILTERS)."""
        features = self.conv(self.dropout(self.letter(letters)).transpose(1, 2))  # (m, FILTERS, L)
        return features.masked_fill(letters[:, None] == 0, torch.finfo(features.dtype).min).amax(-1)
