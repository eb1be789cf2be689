"""Stage 1, text: from words to one vector a word.

T = W_t layers(pieces)[first piece of the word] + Conv_7([word embeddings; word shapes]), (B, n, d).
(Layers and embeddings of a frozen encoder are standardised; beside one that learns the convolution starts from zero.)

The first term is BERT's view of the word in its whole post. The second is the local one: a sentence encoder's upper
layers wash out what stands right beside a word, and "Kelso (left)" is lost without it; and an uncased encoder never
learns that a word had a capital. That a text encoder is used is *stated*; the learned mix of its layers (after Peters
et al. 2018), the convolution, the word shapes (after Collobert et al. 2011), `width` and what stands in brackets are
*ours*.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hamner.model.attention import from_zero
from hamner.model.batch import Batch
from hamner.model.config import ModelConfig

SHAPES = ("capital first", "capitals only", "capital inside", "digit", "no letter", "@ first", "# first")
"""What `word_shape` says of a word, in its order."""


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


class TextStage(nn.Module):
    """Word representations T, (B, n, d); d is `config.width`, or the encoder's hidden size where that is None."""

    def __init__(self, encoder: PreTrainedModel, config: ModelConfig) -> None:
        super().__init__()
        hidden = encoder.config.hidden_size
        self.encoder = encoder
        self.width = config.width or hidden
        self.frozen = config.frozen_text
        encoder.requires_grad_(not self.frozen)
        # BERT's pooler reads [CLS] for another task: it would be a parameter without a gradient.
        if getattr(encoder, "pooler", None) is not None:
            encoder.register_module("pooler", None)
        self.mix = nn.Parameter(torch.zeros(encoder.config.num_hidden_layers + 1)) if config.layers == "mix" else None
        self.shapes = config.word_shapes
        read = hidden + len(SHAPES) * self.shapes
        self.local = nn.Conv1d(read, self.width, kernel_size=7, padding=3) if config.local_text else None
        # An encoder that learns starts as it is. Beside a frozen one a word's neighbours must show from the start: from
        # zero, attention has nothing to tell "(left)" by, and learns the images by heart instead.
        if self.local is not None and not self.frozen:
            from_zero(self.local)
        self.project = nn.Linear(hidden, self.width)
        if self.width == hidden:
            nn.init.eye_(self.project.weight)
            nn.init.zeros_(self.project.bias)
        self.dropout = nn.Dropout(config.dropout)

    def train(self, mode: bool = True) -> TextStage:
        """Training mode for all but a frozen encoder, which stays in eval mode for ever."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Words T (B, n, d), and the encoder's last layer at each word (B, n, d_enc), of which the sentence is made."""
        if batch.word_layers is None or batch.word_embeddings is None:
            layers, embedded = self.read(batch)
        else:
            layers, embedded = batch.word_layers, batch.word_embeddings
        words = layers[:, :, -1]  # (B, n, d_enc)
        if self.mix is not None:
            mixed = nn.functional.layer_norm(layers, layers.shape[-1:]) if self.frozen else layers
            words = torch.einsum("l,bnld->bnd", self.mix.softmax(0), mixed)
        text = self.project(words)  # (B, n, d)
        if self.local is not None:
            if self.frozen:
                embedded = nn.functional.layer_norm(embedded, embedded.shape[-1:])
            if self.shapes:
                if batch.shapes is None:
                    raise TypeError("this model reads word shapes, and the batch has none")
                embedded = torch.cat([embedded, batch.shapes], -1)
            embedded = embedded * batch.word_mask[:, :, None]  # (B, n, d_enc), with shapes (B, n, d_enc + 7)
            text = text + self.local(embedded.transpose(1, 2)).transpose(1, 2)
        return self.dropout(text), layers[:, :, -1]

    def read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run the encoder: its layers (B, n, L, d_enc) and input embeddings (B, n, d_enc) at each word's first piece.

        L is 1, the last layer alone, unless layers are mixed. Of a frozen encoder both can be kept and given to a later
        batch as `word_layers` and `word_embeddings`.
        """
        if batch.pieces is None or batch.piece_mask is None or batch.first_piece is None:
            raise TypeError("a batch has either pieces, piece_mask and first_piece, or word_layers and word_embeddings")
        rows = torch.arange(len(batch.pieces), device=batch.pieces.device)[:, None]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            encoded = self.encoder(
                input_ids=batch.pieces,
                attention_mask=batch.piece_mask.long(),
                output_hidden_states=self.mix is not None,
            )
            read = (encoded.last_hidden_state,) if self.mix is None else encoded.hidden_states
            layers = torch.stack([layer[rows, batch.first_piece] for layer in read], 2)  # (B, n, L, d_enc)
            first = batch.pieces.gather(1, batch.first_piece)  # (B, n)
            # Detached: the encoder itself teaches its embeddings, and a second gradient for the whole vocabulary would
            # take as long as a layer.
            return layers, self.encoder.get_input_embeddings()(first).detach()
