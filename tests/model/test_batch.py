from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from hamner.model.batch import Batch
from tests.model.conftest import with_images


def tensors(batch: Batch) -> dict[str, Tensor]:
    named = {item.name: getattr(batch, item.name) for item in fields(batch) if item.name != "images"}
    return {name: value for name, value in (named | batch.images._asdict()).items() if value is not None}


@pytest.mark.parametrize("name", ["word_mask", "piece_mask"])
def test_a_mask_of_words_that_is_not_boolean_is_refused(batch: Batch, name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name} must be boolean \(True = real\), not torch.int64"):
        replace(batch, **{name: getattr(batch, name).long()})


@pytest.mark.parametrize("name", ["object_mask", "box_mask", "image_mask"])
def test_a_mask_of_images_that_is_not_boolean_is_refused(batch: Batch, name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name} must be boolean \(True = real\), not torch.float32"):
        with_images(batch, **{name: getattr(batch.images, name).float()})


def test_moving_a_batch_moves_every_tensor_that_is_there(batch: Batch) -> None:
    moved = batch.to("meta")
    assert {value.device.type for value in tensors(moved).values()} == {"meta"}
    assert tensors(moved).keys() == tensors(batch).keys()
    assert moved.word_layers is None
    assert torch.equal(batch.word_mask, batch.to("cpu").word_mask)


def test_a_batch_without_images_moves_as_well(batch: Batch) -> None:
    assert replace(batch, images=None).to("meta").images is None
