"""Runs with a tiny random encoder and network, as training would leave them, and images seen by a tiny backbone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers import BertConfig, BertModel
from typer import Typer

from hamner.encoders import load_tokenizer
from hamner.files import file_sha256
from hamner.model.config import ModelConfig
from hamner.tagger.commands import tag
from hamner.training import Run, TrainConfig
from hamner.training.checkpoints import save_weights
from hamner.training.loop import build_model
from hamner.vision import VisualSource
from hamner.vision.backbones import Backbone
from hamner.vision.extractor import ImageExtractor
from hamner.vision.objects import Tiles
from tests.records import complete_record

CHANNELS = 6
POSITIONS = 40

MakeRun = Callable[..., Run]


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoders") / "tiny-bert"
    tokenizer = load_tokenizer("minilm")
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=POSITIONS, **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def make_run(tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """A finished run; `objects=None` makes it text-only. With `looked`, images have come to matter to it."""

    def make(
        objects: str | None = "tiles", looked: bool = True, visual: VisualSource | None = None, **model: Any
    ) -> Run:
        if visual is None and objects is not None:
            visual = VisualSource(objects=objects, crop_size=64)
        settings = {"text_encoder": tiny_encoder, "width": 16, "heads": 2, "vision": visual is not None} | model
        config = TrainConfig(model=ModelConfig(**settings), visual=visual)
        shape = {"channels": CHANNELS, "classes": 3} if visual is not None else {}
        network = build_model(config.model, 1, **shape)
        if looked:
            generator = torch.Generator().manual_seed(2)
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    if not name.startswith("text.encoder."):
                        parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
        folder = tmp_path_factory.mktemp("runs")
        save_weights(network, folder / "model.safetensors")
        record = complete_record(
            config=config,
            corpus={"name": "tiny", "sha256": {"train.txt": "0"}},
            features=shape and shape | {"class_names": [], "store": ""},
            weights_sha256=file_sha256(folder / "model.safetensors"),
        )
        (folder / "run.json").write_text(json.dumps(record))
        return Run.load(folder)

    return make


@pytest.fixture(scope="session")
def extractor() -> ImageExtractor:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(3, CHANNELS, kernel_size=32, stride=32), nn.ReLU())  # 224 pixels to 7 x 7 regions
    return ImageExtractor(Backbone("tiny", network, CHANNELS, (0.5,) * 3, (0.5,) * 3), Tiles(8), 8, 64)


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    Image.fromarray(pixels).resize((120, 90)).save(path)
    return path


@pytest.fixture
def command(extractor: ImageExtractor, monkeypatch: pytest.MonkeyPatch) -> Typer:
    """`hamner tag`, with images seen by the tiny backbone."""
    monkeypatch.setattr(ImageExtractor, "load", lambda *settings: extractor)
    app = Typer()
    app.command()(tag)
    return app
