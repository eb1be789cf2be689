"""Backbones of transformers and timm, with tiny random weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPModel,
    ConvNextConfig,
    ConvNextModel,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    ViTConfig,
    ViTModel,
)

from hamner.errors import HamnerError
from hamner.vision import VisualSource, load_backbone
from hamner.vision.extractor import ImageExtractor
from hamner.vision.hub import as_map
from hamner.vision.objects import ImageObject, Objects, Tiles

SMALL = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 32,
    "patch_size": 8,
}
ENCODERS = {
    "vit": lambda: ViTModel(ViTConfig(**SMALL)),
    "dinov2": lambda: Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**SMALL, num_register_tokens=4)),
    "convnext": lambda: ConvNextModel(ConvNextConfig(hidden_sizes=[4, 6, 8, 12], depths=[1, 1, 1, 1], image_size=32)),
    "clip": lambda: CLIPModel(
        CLIPConfig(
            vision_config=SMALL,
            text_config={name: SMALL[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")}
            | {"intermediate_size": 16, "vocab_size": 20},
            projection_dim=8,
        )
    ),
}
REGIONS = {"vit": 16, "dinov2": 16, "convnext": 1, "clip": 16}


def saved(kind: str, folder: Path) -> str:
    torch.manual_seed(0)
    ENCODERS[kind]().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2]})
    )
    return f"hf:{folder}"


@pytest.fixture
def image() -> Image.Image:
    return Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 50).convert("RGB")


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_hub_encoder_gives_a_grid_without_class_and_register_tokens(
    tmp_path: Path, image: Image.Image, kind: str
) -> None:
    backbone = load_backbone(saved(kind, tmp_path))
    grid = backbone.grid(backbone.transform(image)[None])
    assert grid.shape == (1, REGIONS[kind], 12) and backbone.channels == 12
    assert not backbone.training and not any(one.requires_grad for one in backbone.parameters())
    if kind != "convnext":  # the encoder's own tokens, in order
        pixels = (backbone.transform(image)[None].float() - backbone.mean) / backbone.std
        with torch.inference_mode():
            encoder = ENCODERS[kind]().from_pretrained(tmp_path).eval()
            tokens = getattr(encoder, "vision_model", encoder)(pixel_values=pixels).last_hidden_state
        torch.testing.assert_close(grid, tokens[:, -16:], atol=1e-5, rtol=1e-4)
        assert backbone.transform(image, 128).shape == (3, 32, 32)  # it takes one size alone


@pytest.mark.parametrize("kind", ["vit", "convnext"])
def test_whole_images_and_crops_go_through_a_hub_encoder(tmp_path: Path, image: Image.Image, kind: str) -> None:
    backbone = load_backbone(saved(kind, tmp_path))
    extractor = ImageExtractor(backbone, Tiles(), 3, 64, grid_side=2)
    features = extractor.encode(image, Objects.of([ImageObject((0, 0, 0.5, 0.5), "tile", 1.0)], ("", "tile"), 3))
    assert features.grid.shape == (4, 12) and features.object_mask.tolist() == [True, False, False]
    assert features.objects[0].any() and not features.objects[1].any()


def test_other_weights_have_another_identity(tmp_path: Path) -> None:
    one = load_backbone(saved("vit", tmp_path / "a"))
    two = load_backbone(f"hf:{tmp_path / 'a'}", weights="random", seed=3)
    assert one.weights != two.weights
    assert two.weights == load_backbone(f"hf:{tmp_path / 'a'}", weights="random", seed=3).weights


def test_class_and_register_tokens_stand_before_the_patches() -> None:
    tokens = torch.arange(1.0, 11.0)[None, :, None]  # one class token, and nine patches
    assert as_map(tokens).flatten().tolist() == list(range(2, 11))
    with pytest.raises(HamnerError, match="no square of 4 x 4 patches"):
        as_map(tokens, ViTConfig(image_size=32, patch_size=8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be loaded"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "does not say how its images are prepared"),
        (lambda folder: (folder / "preprocessor_config.json").write_text("{"), "not valid JSON"),
        (lambda folder: _edit(folder, {"auto_map": {"AutoModel": "x.Y"}}), "brings its own code"),
        (lambda folder: _edit(folder, {"num_hidden_layers": 3}), r"lack \d+ tensors"),
        (lambda folder: _edit(folder, {"model_type": "no-such-type"}), "cannot be loaded"),
    ],
)
def test_what_is_wrong_with_a_hub_encoder_is_said_in_one_sentence(tmp_path: Path, change, message: str) -> None:
    name = saved("vit", tmp_path)
    change(tmp_path)
    with pytest.raises(HamnerError, match=message):
        load_backbone(name)


def _edit(folder: Path, change: dict) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))


def test_an_encoder_that_is_not_here_is_named_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HamnerError, match=r"'nobody/nothing' is not on this machine .*: connect once"):
        load_backbone("hf:nobody/nothing")


def test_timm_s_networks_are_backbones(image: Image.Image) -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    for name, side in (("resnet10t", 6), ("vit_tiny_patch16_224", 14)):
        backbone = load_backbone(f"timm:{name}", weights="random")
        grid = backbone.grid(backbone.transform(image)[None])
        assert grid.shape[1] == side**2 and grid.shape[2] == backbone.channels
    with pytest.raises(HamnerError, match=r"timm:no_such cannot be loaded"):
        load_backbone("timm:no_such")


def test_without_timm_its_networks_are_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(HamnerError, match="needs the package timm"):
        load_backbone("timm:resnet10t", weights="random")


@pytest.mark.parametrize("backbone", ["resnet5", "hf:", "timm:", "vgg"])
def test_a_backbone_that_is_none_is_refused_by_the_source(backbone: str) -> None:
    with pytest.raises(HamnerError, match=re.escape(f"backbone cannot be '{backbone}'")):
        VisualSource(backbone=backbone)


def test_names_on_the_hub_make_names_of_folders() -> None:
    assert VisualSource(backbone="hf:openai/clip-vit-base-patch32").short == "clip-vit-base-patch32"
    assert VisualSource(backbone="timm:convnext_tiny.fb_in22k").short == "convnext_tiny.fb_in22k"
    assert VisualSource.from_features("folder/my vectors.parquet").short == "my-vectors"
    assert VisualSource.from_features("my_source:Colours").short == "Colours"
