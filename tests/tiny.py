"""A tiny text encoder for tests that train."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from hamner.encoders import load_tokenizer


def save_tiny_encoder(folder: Path) -> str:
    """Save a text encoder with minilm's word pieces and small random weights; returns its folder."""
    tokenizer = load_tokenizer("minilm")
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
