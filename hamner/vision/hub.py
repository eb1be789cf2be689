"""Vision encoders of the Hugging Face hub and of timm, as frozen backbones: CLIP, DINOv2, ConvNeXt, ViT, Swin ...

`hf:NAME` is an encoder on the hub, or a folder that holds one (transformers); `timm:NAME` is one of timm's networks.
The images are prepared with the mean and standard deviation that the encoder was trained with.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hamner.files import read_whole
from hamner.vision.backbones import Backbone, WeightsError, seeded

CONFIGS = ("preprocessor_config.json", "processor_config.json")


def load_hub_backbone(name: str, weights: str = "pretrained", seed: int = 0) -> Backbone:
    """The backbone `hf:NAME` or `timm:NAME`. `weights="random"` needs the encoder's config alone.

    Raises WeightsError when the encoder is not here and cannot be fetched, brings its own code, has no weights in
    safetensors format, or gives no map of regions.
    """
    hub, _, rest = name.partition(":")
    return _of_transformers(name, rest, weights, seed) if hub == "hf" else _of_timm(name, rest, weights, seed)


class _HubFeatures(nn.Module):
    """The last map (B, C, h, w) of a transformers encoder: tokens of patches are put back into their grid."""

    def __init__(self, encoder: nn.Module, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.size = size

    def forward(self, pixels: Tensor) -> Tensor:
        return as_map(self.encoder(pixel_values=pixels).last_hidden_state, self.encoder.config)


def as_map(features: Tensor, config: Any = None) -> Tensor:
    """Features of an encoder as a map (B, C, h, w): maps stay, tokens (B, T, C) lose those that stand for no patch.

    Class and register tokens stand before the patches: of T tokens the last side * side are patches, side * side being
    the number that the config's sizes of image and patch give, or the greatest square up to T.
    """
    if features.ndim == 4:
        return features
    tokens = features.shape[1]
    size, patch = getattr(config, "image_size", None), getattr(config, "patch_size", None)
    side = size // patch if isinstance(size, int) and isinstance(patch, int) else int(tokens**0.5)
    if not 0 < side * side <= tokens:
        raise WeightsError(f"the encoder gives {tokens} tokens, which are no square of {side} x {side} patches")
    return features[:, tokens - side * side :].transpose(1, 2).unflatten(2, (side, side))


def _of_transformers(name: str, encoder: str, weights: str, seed: int) -> Backbone:
    from transformers import AutoConfig, AutoModel

    folder = _folder(encoder)
    for file in (folder / "config.json", *(folder / one for one in CONFIGS)):
        if file.exists() and "auto_map" in _json(file):
            raise WeightsError(f"{name} brings its own code ({file.name} has auto_map), which hamner never runs")
    mean, std = _mean_and_std(folder, name)
    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        config = getattr(config, "vision_config", config)  # of an encoder of images and texts
        with seeded(seed):
            if weights == "random":
                network = AutoModel.from_config(config)
            else:
                network, info = AutoModel.from_pretrained(
                    str(folder), config=config, trust_remote_code=False, local_files_only=True, use_safetensors=True,
                    dtype=torch.float32, output_loading_info=True,
                )  # fmt: skip
                if absent := sorted(key for key in info["missing_keys"] if "pooler" not in key):
                    raise WeightsError(f"the weights of {name} lack {len(absent)} tensors, such as {absent[0]}")
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"{name} cannot be loaded: {reason}; name a vision encoder of transformers") from error
    size = getattr(config, "image_size", 224)
    size = size if isinstance(size, int) else 224
    network = getattr(network, "vision_model", network)
    return _backbone(name, _HubFeatures(network, size), size, mean, std)


def _folder(encoder: str) -> Path:
    if os.path.isdir(encoder):
        return Path(encoder)
    from huggingface_hub import snapshot_download

    patterns = ["config.json", "*.safetensors", "*.safetensors.index.json", *CONFIGS]
    try:
        return Path(snapshot_download(encoder, allow_patterns=patterns, ignore_patterns=["*/*"]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(
            f"the vision encoder {encoder!r} is not on this machine and cannot be fetched ({reason}): connect once and "
            "try again, or give a folder that holds it, as hf:FOLDER"
        ) from error


def _json(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(read_whole(file, WeightsError))
    except ValueError as error:
        raise WeightsError(f"{file}: not valid JSON ({error}); get the encoder anew") from error
    return read if isinstance(read, dict) else {}


def _mean_and_std(folder: Path, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for file in (folder / one for one in CONFIGS):
        if file.exists():
            read = _json(file)
            read = read.get("image_processor", read)
            if "image_mean" in read and "image_std" in read:
                return tuple(read["image_mean"]), tuple(read["image_std"])
    raise WeightsError(
        f"{name} does not say how its images are prepared: its folder needs a {CONFIGS[0]} with image_mean and "
        "image_std"
    )


class _TimmFeatures(nn.Module):
    """The last map (B, C, h, w) of a timm network, whichever of its three layouts it has."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.network.forward_features(pixels)
        if features.ndim == 4 and features.shape[1] != self.network.num_features:  # (B, h, w, C), as Swin's
            features = features.permute(0, 3, 1, 2)
        if features.ndim == 3:
            features = features[:, getattr(self.network, "num_prefix_tokens", 0) :]
        return as_map(features)


def _of_timm(name: str, network: str, weights: str, seed: int) -> Backbone:
    try:
        import timm
    except ImportError as error:
        raise WeightsError(f"{name} needs the package timm: pip install timm") from error
    try:
        with seeded(seed):
            built = timm.create_model(network, pretrained=weights == "pretrained", num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:  # an unknown name is a RuntimeError
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"{name} cannot be loaded: {reason}; timm.list_models() gives the names") from error
    prepared = built.pretrained_cfg
    return _backbone(name, _TimmFeatures(built), prepared["input_size"][-1], prepared["mean"], prepared["std"])


def _backbone(name: str, network: nn.Module, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Backbone:
    """The backbone around a network, which is run once for its number of channels."""
    network.eval()
    with torch.inference_mode():
        channels = network(torch.zeros(1, 3, size, size)).shape[1]
    return Backbone(name, network, channels, tuple(mean), tuple(std), size)
