from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hamner.model.batch import Batch


def test_a_mask_that_is_not_boolean_is_refused(batch: Batch) -> None:
    with pytest.raises(TypeError, match="object_mask must be boolean"):
        replace(batch, object_mask=batch.object_mask.long())


def test_half_a_image_is_refused(batch: Batch) -> None:
    with pytest.raises(TypeError, match="boxes missing"):
        replace(batch, boxes=None)


def test_moving_a_batch_moves_every_tensor_that_is_there(batch: Batch) -> None:
    moved = batch.to("meta")
    assert {value.device.type for value in moved.tensors().values()} == {"meta"}
    assert moved.tensors().keys() == batch.tensors().keys()
    assert moved.word_layers is None
    assert torch.equal(batch.word_mask, batch.to("cpu").word_mask)
