"""The laws that the model is held to: what may change a post's output, and what never does."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD

from hamner.corpora.tags import TAGS
from hamner.model import relevance
from hamner.model.batch import AttentionWeights, Batch
from hamner.model.config import ModelConfig, ModelConfigError
from hamner.model.hamner import HamNer
from hamner.training.config import TrainConfig
from hamner.training.optimizer import parameter_groups
from hamner.training.rows import PEER_ROWS, ROWS, ablate
from tests.model.conftest import CHANNELS, FULL, build, tiny_bert, with_images

OWN_ROWS = [row for row in ROWS if row not in PEER_ROWS]
"""The rows of the paper's stages. The laws of its peers are in tests/peers."""

OBJECT_FIELDS = ("objects", "boxes", "classes", "scores", "object_mask", "box_mask")
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def without_images(batch: Batch) -> Batch:
    return replace(batch, images=None)


# Law 1: no image, rho = 0: the output equals the same network with the image switched off, bit for bit.


@pytest.mark.parametrize("row", OWN_ROWS)
def test_a_post_without_an_image_is_tagged_as_if_images_did_not_exist(row: str, batch: Batch) -> None:
    model = build(ablate(FULL, row))
    masked = with_images(batch, image_mask=torch.tensor([False, True, False, True]))
    without, bare = model(masked), model(without_images(batch))
    assert torch.equal(without.emissions[[0, 2]], bare.emissions[[0, 2]])
    if row != "text_only":
        assert torch.equal(without.relevance[[0, 2]], torch.zeros(2))
        assert torch.equal(bare.relevance, torch.zeros(4))
        assert without.relevance[1] > 0
        assert not torch.allclose(without.emissions[1, :3], bare.emissions[1, :3])


def test_rho_0_is_the_text_only_model_bit_for_bit(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build()
    for side, value in ((model.fusion.relevance.of_text, 1.0), (model.fusion.relevance.of_image, -1.0)):
        nn.init.zeros_(side.weight)
        nn.init.constant_(side.bias, value)  # text and image point in opposite directions: cos = -1
    monkeypatch.setattr(relevance, "SHARPNESS", 1e4)  # and the sigmoid of -1e4 is 0
    text_only = HamNer(replace(FULL, vision=False), tiny_bert(), TAGS).eval()
    text_only.load_state_dict(model.state_dict(), strict=False)
    seen = model(batch)
    assert torch.equal(seen.relevance, torch.zeros(4))
    assert torch.equal(seen.emissions, text_only(batch).emissions)
    assert torch.equal(seen.loss, text_only(without_images(batch)).loss)


@pytest.mark.parametrize("row", OWN_ROWS)
def test_training_starts_at_the_text_only_model(row: str, batch: Batch) -> None:
    model = HamNer(ablate(FULL, row), tiny_bert(), TAGS, CHANNELS, 6).eval()
    assert torch.equal(model(batch).emissions, model(without_images(batch)).emissions)


def test_heads_must_divide_the_width_of_the_encoder() -> None:
    with pytest.raises(ModelConfigError, match="must divide the text encoder's hidden size"):
        HamNer(ModelConfig(width=None, heads=7), tiny_bert(), TAGS)


def test_a_text_only_model_ignores_images(batch: Batch) -> None:
    model = build(vision=False)
    seen = model(batch, keep_attention=True)
    assert torch.equal(seen.emissions, model(without_images(batch)).emissions)
    assert (seen.relevance, seen.integration, seen.attention_weights) == (None, None, None)


# Law 2: padding, batch order and batch size never change a post's output.


def real_emissions(model: HamNer, batch: Batch) -> list[torch.Tensor]:
    output = model(batch)
    return [row[mask] for row, mask in zip(output.emissions, output.word_mask, strict=True)]


@pytest.mark.parametrize("row", OWN_ROWS)
def test_a_post_alone_gets_the_output_that_it_gets_in_a_batch(row: str, batch: Batch) -> None:
    model = build(ablate(FULL, row))
    together = real_emissions(model, batch)
    for i, expected in enumerate(together):
        (alone,) = real_emissions(model, batch.map(lambda value, i=i: value[i : i + 1]))
        torch.testing.assert_close(alone, expected, **TOLERANCE)


def test_the_order_of_a_batch_does_not_matter(model: HamNer, batch: Batch) -> None:
    order = [2, 0, 3, 1]
    expected, shuffled = model(batch), model(batch.map(lambda value: value[order]))
    torch.testing.assert_close(shuffled.emissions, expected.emissions[order], **TOLERANCE)
    torch.testing.assert_close(shuffled.relevance, expected.relevance[order], **TOLERANCE)
    torch.testing.assert_close(shuffled.integration, expected.integration[order], **TOLERANCE)


def padded(value: torch.Tensor, by: int, fill: float) -> torch.Tensor:
    return torch.cat([value, torch.full((len(value), by, *value.shape[2:]), fill).to(value.dtype)], 1)


def test_what_stands_at_padding_is_never_seen(model: HamNer, batch: Batch) -> None:
    words = {name: padded(getattr(batch, name), 2, 0) for name in ("word_mask", "first_piece", "tags")}
    words["shapes"] = padded(batch.shapes, 2, 1)
    pieces = {"pieces": padded(batch.pieces, 3, 7), "piece_mask": padded(batch.piece_mask, 3, 0)}
    objects = {
        name: padded(getattr(batch.images, name), 2, fill)
        for name, fill in zip(OBJECT_FIELDS, (9.0, 0.4, 3, 0.9, 0, 0), strict=True)
    }
    wider, expected = model(with_images(replace(batch, **words, **pieces), **objects)), model(batch)
    for row, length in enumerate(batch.word_mask.sum(1).tolist()):
        torch.testing.assert_close(wider.emissions[row, :length], expected.emissions[row, :length], **TOLERANCE)
    torch.testing.assert_close(wider.relevance, expected.relevance, **TOLERANCE)
    torch.testing.assert_close(wider.loss, expected.loss, **TOLERANCE)


# Law 3: permuting the objects, with their boxes, never changes the output.


def test_the_order_of_objects_does_not_matter(model: HamNer, batch: Batch) -> None:
    order = [3, 1, 0, 2]
    permuted = with_images(batch, **{name: getattr(batch.images, name)[:, order] for name in OBJECT_FIELDS})
    torch.testing.assert_close(model(permuted).emissions, model(batch).emissions, **TOLERANCE)


# Law 4: boxes are seen by the spatial branch alone, objects only when they are on.


def moved(batch: Batch) -> Batch:
    shape = batch.images.boxes.shape[:2]
    boxes = torch.rand(*shape, 2, 2, generator=torch.Generator().manual_seed(9)).sort(2).values
    return with_images(batch, boxes=boxes.flatten(2))


def test_without_the_spatial_branch_moving_boxes_changes_nothing(batch: Batch) -> None:
    model = build(spatial=False)
    assert torch.equal(model(moved(batch)).emissions, model(batch).emissions)


def test_objects_are_compared_in_the_semantic_block_alone(batch: Batch) -> None:
    """Another first object changes what every other one is in O_sem, and of O_spa its own row and nothing else."""
    images = batch.images
    objects = images.objects.clone()
    objects[:, 0] += torch.randn(objects.shape[-1], generator=torch.Generator().manual_seed(9))
    vision = build().fusion.vision
    (before, weights), (after, other) = vision(images), vision(images._replace(objects=objects))
    assert torch.equal(weights.spatial, other.spatial)
    changed = [(before.regions - after.regions)[:, before.grain == grain].abs().amax(-1) for grain in (1, 2)]
    others = images.object_mask & (torch.arange(objects.shape[1]) > 0)
    assert (changed[0][others] > 0).all()
    assert (changed[1][others] == 0).all()
    assert (changed[1][:, 0][images.image_mask & images.object_mask[:, 0]] > 0).all()


@pytest.mark.parametrize("geometry", [{}, {"absolute_geometry": False}, {"relative_geometry": False}])
def test_with_the_spatial_branch_moving_boxes_changes_the_output(geometry: dict[str, Any], batch: Batch) -> None:
    model = build(**geometry)
    assert not torch.allclose(model(moved(batch)).emissions[:3], model(batch).emissions[:3], **TOLERANCE)


def test_the_box_of_an_object_that_has_none_is_never_seen(model: HamNer, batch: Batch) -> None:
    images = batch.images
    nonsense = with_images(batch, boxes=torch.where(images.box_mask[:, :, None], images.boxes, 0.7))
    torch.testing.assert_close(model(nonsense).emissions, model(batch).emissions, **TOLERANCE)


def test_without_objects_changing_them_changes_nothing(batch: Batch) -> None:
    model = build(objects=False)
    images = batch.images
    changed = {"objects": -images.objects, "classes": images.classes.flip(0), "scores": 1 - images.scores}
    other = with_images(moved(batch), **changed)
    assert torch.equal(model(other).emissions, model(batch).emissions)
    assert not torch.allclose(build()(other).emissions, build()(batch).emissions)


def test_boxes_without_area_give_finite_outputs(model: HamNer, batch: Batch) -> None:
    output = model(with_images(batch, boxes=torch.zeros_like(batch.images.boxes)))
    assert output.emissions.isfinite().all()


# Law 5: every trainable parameter learns, and nothing frozen ever changes.


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("row", OWN_ROWS)
def test_every_trainable_parameter_gets_a_gradient(row: str, frozen: bool, batch: Batch) -> None:
    model = build(replace(ablate(FULL, row), frozen_text=frozen)).train()
    model(batch).loss.backward()
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert not [name for name, p in trainable.items() if p.grad is None]
    # BERT's own keys have a bias that softmax does not see, and words without a second segment leave one unread.
    ours = {name: p for name, p in trainable.items() if not name.startswith("text.encoder.")}
    still = [name for name, p in ours.items() if not p.grad.any()]
    assert not still
    assert all(p.grad.isfinite().all() for p in trainable.values())


def test_the_second_step_moves_what_starts_behind_a_zero(batch: Batch) -> None:
    model = HamNer(FULL, tiny_bert(), TAGS, CHANNELS, 6).train()
    optimizer = SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(batch).loss.backward()
        optimizer.step()
    still = [n for n, p in model.named_parameters() if not p.grad.any() and not n.startswith("text.encoder.")]
    # The regions' own reading starts at zero as well, and is seen one step later.
    assert all(name.startswith("fusion.interaction.regions") for name in still)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("row", OWN_ROWS)
def test_every_trainable_parameter_is_in_the_optimizer_once(row: str, frozen: bool) -> None:
    model = build(replace(ablate(FULL, row), frozen_text=frozen))
    given = [id(p) for group in parameter_groups(model, TrainConfig()) for p in group["params"]]
    assert sorted(given) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    of_encoder = {id(p) for p in model.text.encoder.parameters()}
    assert of_encoder & set(given) == (set() if frozen else of_encoder)


def test_a_frozen_encoder_stays_in_eval_mode_and_never_changes(batch: Batch) -> None:
    model = build(frozen_text=True).train()
    assert not any(module.training for module in model.text.encoder.modules())
    assert model.fusion.vision.training
    before = {name: value.clone() for name, value in model.text.encoder.state_dict(keep_vars=True).items()}
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    optimizer = SGD((p for p in model.parameters() if p.requires_grad), lr=1.0)
    model(batch).loss.backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model.text.encoder.state_dict().items())
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())


# Law 6: the attention weights are those of the very pass that produced the tags, and their rows sum to 1.


@pytest.mark.parametrize("row", [row for row in OWN_ROWS if row != "text_only"])
def test_rows_of_attention_weights_sum_to_1(row: str, batch: Batch) -> None:
    model = build(ablate(FULL, row))
    output = model(batch, keep_attention=True)
    names = [item.name for item in fields(AttentionWeights) if item.name not in ("grain", "gate")]
    maps = {name: getattr(output.attention_weights, name) for name in names}
    looked = {name: weights.sum(-1) for name, weights in maps.items() if weights is not None}
    sums = torch.cat([weights.flatten() for weights in looked.values()])
    torch.testing.assert_close(sums, torch.where(sums > 0.5, 1.0, 0.0), **TOLERANCE)
    # The last post has no objects: without the grid there is nothing to look at.
    looking = torch.tensor([True, True, True, row != "no_global"])
    has_boxes = batch.images.box_mask.any(-1)
    assert has_boxes.tolist() == [True, True, True, False]
    something = {"text_pool": [True] * 4, "region_to_word": [True] * 4, "co_words": [True] * 4}
    something |= {"spatial": has_boxes}
    for name, of_posts in looked.items():
        there = torch.as_tensor(something.get(name, looking))
        assert of_posts[there].min() > 0.99, name
        assert not of_posts[~there].any(), name
    torch.testing.assert_close(output.integration[looking].sum(-1), torch.ones(4)[looking])
    assert ((output.relevance[looking] > 0) & (output.relevance[looking] <= 1)).all()


def test_nothing_masked_is_looked_at(model: HamNer, batch: Batch) -> None:
    images = batch.images._replace(image_mask=torch.tensor([True, True, False, True]))
    kept = model(replace(batch, images=images), keep_attention=True).attention_weights
    region_mask = torch.cat([torch.ones(4, 5, dtype=torch.bool), images.object_mask, images.box_mask], 1)
    region_mask[2] = False
    assert torch.equal(kept.grain, torch.tensor([0] * 5 + [1] * 4 + [2] * 4))
    for weights in (kept.vision_pool, kept.co_regions, kept.word_to_region):
        unseen = ~region_mask.view(4, *[1] * (weights.ndim - 2), -1).expand_as(weights)
        assert not weights[unseen].any()
    assert not kept.co_words[(~batch.word_mask)[:, None].expand_as(kept.co_words)].any()
    assert not kept.text_pool[~batch.word_mask].any()


def test_attention_weights_are_those_of_the_pass_that_gave_the_output(model: HamNer, batch: Batch) -> None:
    torch.manual_seed(3)
    kept = model.train()(batch, keep_attention=True)
    torch.manual_seed(3)
    silent = model(batch)
    assert silent.attention_weights is None
    assert torch.equal(kept.emissions, silent.emissions)
    assert not kept.attention_weights.co_regions.requires_grad
    last = model.fusion.interaction.coattention
    seen: dict[str, torch.Tensor] = {}
    handle = last.register_forward_hook(lambda module, given, result: seen.update(weights=result[1]))
    output = model(batch, keep_attention=True)  # dropout makes this pass unlike any other
    handle.remove()
    assert torch.equal(output.attention_weights.co_regions, seen["weights"])
    assert not torch.equal(output.attention_weights.co_regions, kept.attention_weights.co_regions)


def test_beta_is_0_for_absent_grains_and_1_in_all(model: HamNer, batch: Batch) -> None:
    boxless = with_images(batch, box_mask=torch.zeros_like(batch.images.box_mask))
    beta = model(boxless).integration
    assert torch.equal(beta[:, 2], torch.zeros(4))
    assert torch.equal(beta[3], torch.tensor([1.0, 0.0, 0.0])), "the last post has no objects"
    torch.testing.assert_close(beta.sum(-1), torch.ones(4))


def test_without_integration_all_present_grains_count_alike(batch: Batch) -> None:
    output = build(integration=False)(batch)
    torch.testing.assert_close(output.integration[0], torch.full((3,), 1 / 3))
    torch.testing.assert_close(output.integration[3], torch.tensor([1.0, 0.0, 0.0]))


def test_without_relevance_rho_is_1_wherever_there_is_an_image(batch: Batch) -> None:
    output = build(relevance=False)(with_images(batch, image_mask=torch.tensor([True, False, True, True])))
    assert output.relevance.tolist() == [1.0, 0.0, 1.0, 1.0]


def test_rho_keeps_away_from_where_the_sigmoid_is_flat(batch: Batch) -> None:
    rho = build()(batch).relevance
    assert ((rho == 0) | ((rho > 0.017) & (rho < 0.983))).all()
    assert (rho > 0).any()


@pytest.mark.parametrize("row", ["full", "no_integration", "no_spatial"])
def test_beta_is_the_share_of_its_attention_that_a_word_gives_to_a_grain(row: str, batch: Batch) -> None:
    output = build(ablate(FULL, row))(batch, keep_attention=True)
    kept = output.attention_weights
    for weights in (kept.co_regions, kept.word_to_region):  # (B, n, M), (B, L, h, n, M)
        for grain in range(3):
            given = weights.flatten(1, -2)[..., kept.grain == grain].sum(-1)
            torch.testing.assert_close(given, output.integration[:, grain, None].expand_as(given), **TOLERANCE)


def test_one_grain_counts_at_most_exp_2_times_as_much_as_another(batch: Batch) -> None:
    model = build()
    with torch.no_grad():
        model.fusion.relevance.asked.weight.zero_()
        for grain, sign in (("global", 1.0), ("semantic", -1.0), ("spatial", 1.0)):
            model.fusion.relevance.of_grain[grain].weight.zero_()
            model.fusion.relevance.of_grain[grain].bias.copy_(sign * model.fusion.relevance.asked.bias)
    shares = model(batch).integration[0]
    torch.testing.assert_close(shares[0] / shares[1], torch.tensor(2.0).exp(), **TOLERANCE)
    torch.testing.assert_close(shares[0], shares[2], **TOLERANCE)


def test_channels_are_dropped_in_training_alone_and_alike_in_all_of_an_image(batch: Batch) -> None:
    dropping, plain = build(visual_dropout=0.5), build()
    assert torch.equal(dropping(batch).emissions, plain(batch).emissions)
    dropping.train(), plain.train()
    objects, grid = (part(getattr(batch.images, name)) for part, name in reading(dropping))
    known, whole = (part(getattr(batch.images, name)) for part, name in reading(plain))
    of_grid, of_objects = grid == 0, objects == 0
    assert (of_grid == of_grid[:, :1]).all()
    assert not (of_objects == of_objects[:, :1]).all()
    assert not (of_grid[0] == of_grid[1]).all()
    torch.testing.assert_close(grid, 2 * whole * ~of_grid)  # what is kept makes up for what is not
    torch.testing.assert_close(objects, 2 * known * ~of_objects)


def reading(model: HamNer) -> list[tuple[nn.Module, str]]:
    return [(model.fusion.vision.objects.dropout, "objects"), (model.fusion.vision.grid[0], "grid")]
