"""Muon: its equations, which parameters it moves, and that AdamW moves the others as ever."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from hamner.model.config import ModelConfig
from hamner.model.hamner import HamNer
from hamner.training.checkpoints import Progress, load_checkpoint, save_checkpoint
from hamner.training.config import ConfigError, TrainConfig
from hamner.training.loop import build_model
from hamner.training.optimizer import Optimizer, orthogonal, parameter_groups
from hamner.training.rows import config_of_row, full_settings


def seeing(encoder: str) -> tuple[HamNer, TrainConfig]:
    """A small full model whose fusion Muon moves, and its config."""
    changed = {"optimizer": "muon", "model": {"text_encoder": encoder, "width": 32}, "visual": {"objects": "none"}}
    config = config_of_row(full_settings("minitweets", changed), "full", 1)
    return build_model(config.model, config.seed, channels=24, classes=3), config


@pytest.mark.parametrize("shape", [(3, 16, 40), (3, 40, 16)])
def test_directions_stay_and_singular_values_become_about_1(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    U, S, V = torch.linalg.svd(orthogonal(matrices), full_matrices=False)
    before = torch.linalg.svd(matrices, full_matrices=False)
    assert S.min() > 0.6 and S.max() < 1.25
    torch.testing.assert_close(U @ V, before.U @ before.Vh, atol=1e-4, rtol=0)


def test_a_matrix_moves_as_with_the_muon_of_torch_but_for_bfloat16() -> None:
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(32, 48)) for _ in range(2)]
    theirs = [nn.Parameter(matrix.detach().clone()) for matrix in ours]
    settings = {"lr": 0.01, "weight_decay": 0.5}
    one = Optimizer([{"params": ours, "muon": True} | settings])
    other = torch.optim.Muon(theirs, adjust_lr_fn="match_rms_adamw", **settings)
    for _ in range(4):
        for here, there in zip(ours, theirs, strict=True):
            here.grad = torch.randn_like(here)
            there.grad = here.grad.clone()
        before = [matrix.detach().clone() for matrix in ours]
        one.step(), other.step()
        for start, here, there in zip(before, ours, theirs, strict=True):
            assert (here - there).norm() < 0.05 * (here - start).norm()


def test_all_else_moves_as_with_adamw() -> None:
    torch.manual_seed(0)
    ours, matrix = nn.Parameter(torch.randn(20)), nn.Parameter(torch.randn(32, 48))
    theirs = nn.Parameter(ours.detach().clone())
    one = Optimizer([{"params": [ours], "lr": 0.01, "muon": False}, {"params": [matrix], "lr": 0.01, "muon": True}])
    other = torch.optim.AdamW([theirs], lr=0.01, fused=True)
    for _ in range(3):
        ours.grad, matrix.grad = torch.randn_like(ours), torch.randn_like(matrix)
        theirs.grad = ours.grad.clone()
        one.step(), other.step()
    assert torch.equal(ours, theirs)


def test_the_size_of_a_step_is_that_of_adamw() -> None:
    torch.manual_seed(0)
    matrix = nn.Parameter(torch.zeros(64, 128))
    optimizer = Optimizer([{"params": [matrix], "lr": 0.01, "weight_decay": 0.0, "muon": True}])
    matrix.grad = torch.randn_like(matrix)
    optimizer.step()
    assert matrix.square().mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.15)


def test_muon_moves_the_wide_matrices_of_the_fusion_and_nothing_else(tiny_encoder: str) -> None:
    model, config = seeing(tiny_encoder)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    moved = {
        names[id(parameter)]
        for group in parameter_groups(model, config)
        for parameter in group["params"]
        if group["muon"]
    }
    assert moved and all(name.startswith("fusion.") and name.endswith("weight") for name in moved)
    assert moved > {"fusion.vision.grid.1.weight", "fusion.relevance.of_text.weight"}
    left = {name: parameter for name, parameter in model.named_parameters() if name not in moved}
    assert {"fusion.vision.objects.label.weight", "fusion.vision.semantic.pairs.hidden.0.weight"} < left.keys()
    wide = [name for name, one in left.items() if one.ndim == 2 and min(one.shape) >= 16 and "fusion" in name]
    assert not [name for name in wide if "label" not in name]


def test_rows_without_a_fusion_have_none_of_it() -> None:
    full = full_settings("minitweets", {"optimizer": "muon"})
    assert {row: config_of_row(full, row, 1).optimizer for row in ("full", "umt", "text_only", "cnn_bilstm_crf")} == {
        "full": "muon",
        "umt": "muon",
        "text_only": "adamw",
        "cnn_bilstm_crf": "adamw",
    }
    with pytest.raises(ConfigError, match="optimizer=muon moves the matrices of the fusion"):
        TrainConfig(model=ModelConfig(), optimizer="muon")


def test_what_a_checkpoint_restores_goes_on_as_what_was_not_cut(tiny_encoder: str, tmp_path: Path) -> None:
    model, config = seeing(tiny_encoder)
    optimizer = Optimizer(parameter_groups(model, config))

    def step(model: HamNer, optimizer: Optimizer, seed: int) -> None:
        torch.manual_seed(seed)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.randn_like(parameter)
        optimizer.step()
        optimizer.zero_grad()

    step(model, optimizer, 1)
    save_checkpoint(tmp_path / "checkpoint.safetensors", model, optimizer, Progress(), {})
    again, _ = seeing(tiny_encoder)
    resumed = Optimizer(parameter_groups(again, config))
    load_checkpoint(tmp_path / "checkpoint.safetensors", again, resumed)
    for seed in (2, 3):
        step(model, optimizer, seed), step(again, resumed, seed)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
