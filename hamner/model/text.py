"""Stage 1, text: one vector for each word.

T = W_t sum_l softmax(alpha)_l h^l + Conv_7([e; word shapes])  (B, n, d)

h^l is the encoder's layer l at the first piece of the word, e the piece's input embedding. With `layers="last"` the sum
is the last layer alone. h^l and e of a frozen encoder are standardised when they are read (h^l only in a mix). Beside
an encoder that is trained, the convolution starts at zero.

The first term sees the word in its whole post. The second sees its neighbours: the upper layers of a sentence encoder
lose what stands right beside a word, such as "Kelso (left)". Word shapes give an uncased encoder the capitals. The text
encoder is *stated*; the mix of its layers (after Peters et al. 2018), the convolution, the word shapes (after Collobert
et al. 2011), `width`, the standardising and the start at zero are *ours*.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hamner import extensions
from hamner.model.adapter import adapt
from hamner.model.attention import Dropout, zero_init
from hamner.model.batch import Batch
from hamner.model.config import OWN_WORDS, ModelConfig
from hamner.model.lexicon import Lexicon

SHAPES = ("capital first", "capitals only", "capital inside", "digit", "no letter", "@ first", "# first")
"""The properties that `word_shape` tests, in its order."""


def word_shape(word: str) -> tuple[float, ...]:
    """How a word is written, 1 or 0 for each of SHAPES: "McKelso" is "capital first" and "capital inside"."""
    capitals_only = word.isupper()
    return tuple(
        float(holds)
        for holds in (
            word[:1].isupper(),
            capitals_only,
            not capitals_only and any(letter.isupper() for letter in word[1:]),
            any(letter.isdigit() for letter in word),
            not any(letter.isalpha() for letter in word),
            word.startswith("@"),
            word.startswith("#"),
        )
    )


class Text(nn.Module):
    """What every text stage is: a batch to words T (B, n, width), and the encoder's last layer (B, n, hidden)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.width, self.hidden = width, hidden

    def once(self, batch: Batch) -> Batch:
        """The batch with what an encoder reads of its words, so that later passes need not read it again."""
        return batch


def build_text(config: ModelConfig, source: PreTrainedModel | Lexicon) -> Text:
    """The text stage over a pretrained encoder, or the one that `config.words` names over a lexicon."""
    if isinstance(source, Lexicon) != (config.words in OWN_WORDS):
        raise TypeError(
            f"words={config.words} is built over {'a lexicon' if config.words in OWN_WORDS else 'an encoder'}"
        )
    if isinstance(source, Lexicon):
        stage = extensions.load(extensions.locate(config.words, "text stage", OWN_WORDS), Text)
        return stage(source, config)
    return TextStage(source, config)


class TextStage(Text):
    """Word representations T (B, n, d); d is `config.width`, or the encoder's hidden size where that is None."""

    def __init__(self, encoder: PreTrainedModel, config: ModelConfig) -> None:
        hidden = encoder.config.hidden_size
        super().__init__(config.width or hidden, hidden)
        self.encoder = encoder
        self.frozen = config.frozen_text
        encoder.requires_grad_(not self.frozen)
        # BERT's pooler reads [CLS] for another task: its parameters would never get a gradient.
        if getattr(encoder, "pooler", None) is not None:
            encoder.register_module("pooler", None)
        if config.adapter_rank:
            adapt(encoder, config.adapter_rank)
        self.mix = nn.Parameter(torch.zeros(encoder.config.num_hidden_layers + 1)) if config.layers == "mix" else None
        self.shapes = config.word_shapes
        inputs = hidden + len(SHAPES) * self.shapes
        self.local = nn.Conv1d(inputs, self.width, kernel_size=7, padding=3) if config.local_text else None
        # Training starts at the pretrained encoder. A frozen encoder needs the convolution from the start: without it
        # attention cannot see "(left)" and memorises the images instead.
        if self.local is not None and not self.frozen:
            zero_init(self.local)
        self.project = nn.Linear(hidden, self.width)
        if self.width == hidden:
            nn.init.eye_(self.project.weight)
            nn.init.zeros_(self.project.bias)
        self.dropout = Dropout(config.dropout)

    def train(self, mode: bool = True) -> TextStage:
        """Set the mode of all modules but a frozen encoder, which always stays in eval mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Words T (B, n, d), and the encoder's last layer at each word (B, n, d_enc), which `Sentence` reads."""
        if batch.word_layers is None or batch.word_embeddings is None:
            layers, embedded = self.read(batch)
        else:
            layers, embedded = batch.word_layers, batch.word_embeddings
        words = last = layers[:, :, -1]  # (B, n, d_enc)
        if self.mix is not None:
            words = torch.einsum("l,bnld->bnd", self.mix.softmax(0), layers)
        text = self.project(words)  # (B, n, d)
        if self.local is not None:
            if self.shapes:
                if batch.shapes is None:
                    raise TypeError("this model reads word shapes, and the batch has none: give it `shapes`")
                embedded = torch.cat([embedded, batch.shapes], -1)
            embedded = embedded * batch.word_mask[:, :, None]  # (B, n, d_enc), with shapes (B, n, d_enc + 7)
            text = text + self.local(embedded.transpose(1, 2)).transpose(1, 2)
        return self.dropout(text), last

    def once(self, batch: Batch) -> Batch:
        """The batch with `word_layers` and `word_embeddings`, see `read`."""
        layers, embeddings = self.read(batch)
        return replace(batch, word_layers=layers, word_embeddings=embeddings)

    def read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run the encoder: its layers (B, n, L, d_enc) and input embeddings (B, n, d_enc) at each word's first piece.

        L is 1, the last layer, unless layers are mixed. A frozen encoder always gives the same: both can be kept and
        given to a later batch as `word_layers` and `word_embeddings`. They are standardised here, once (the layers only
        in a mix).
        """
        if batch.pieces is None or batch.piece_mask is None or batch.first_piece is None:
            raise TypeError("a batch needs either pieces, piece_mask, first_piece or word_layers, word_embeddings")
        rows = torch.arange(len(batch.pieces), device=batch.pieces.device)[:, None]
        # A frozen encoder reads in float32 in every precision: its word vectors are kept.
        exact = torch.autocast(batch.pieces.device.type, enabled=False) if self.frozen else nullcontext()
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen), exact:
            encoded = self.encoder(
                input_ids=batch.pieces,
                attention_mask=batch.piece_mask.long(),
                output_hidden_states=self.mix is not None,
            )
            read = (encoded.last_hidden_state,) if self.mix is None else encoded.hidden_states
            layers = torch.stack([layer[rows, batch.first_piece] for layer in read], 2)  # (B, n, L, d_enc)
            first = batch.pieces.gather(1, batch.first_piece)  # (B, n)
            # Detached: the embeddings get their gradient through the encoder. A second one for the whole vocabulary
            # would take as long as a layer.
            embedded = self.encoder.get_input_embeddings()(first).detach()
            if self.frozen:
                embedded = nn.functional.layer_norm(embedded, embedded.shape[-1:])
                layers = layers if self.mix is None else nn.functional.layer_norm(layers, layers.shape[-1:])
            return layers, embedded
