"""What every peer is held to: images that are absent, padding, batches, gradients, seeds."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import pytest
import torch
from torch import nn

from hamner.model.batch import ImageFeatures
from hamner.model.config import PEERS
from hamner.model.fusion import Seen, Sizes
from tests.peers.conftest import CHANNELS, CONFIG, SIZES, WITHOUT, built, changed, make_seen, rows

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
USES_TAGS = {"umt", "mgcmt"}
HAS_LOSS = {"umt", "mgcmt", "maf"}
SEES_OBJECTS = {"mgcmt", "visual_prefix"}

each_peer = pytest.mark.parametrize("name", PEERS)


def peer(name: str) -> type[nn.Module]:
    module, _, attribute = PEERS[name].partition(":")
    return getattr(import_module(module), attribute)


def test_naming_the_peers_imports_no_torch() -> None:
    code = "import sys, hamner.peers; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@each_peer
def test_a_post_without_an_image_gets_its_words_back_bit_for_bit(name: str, seen: Seen) -> None:
    fused = built(peer(name))(seen)
    assert torch.equal(fused.words[WITHOUT], seen.words[WITHOUT])
    others = [0, 1, 3]
    assert not torch.isclose(fused.words[others], seen.words[others]).all(-1)[seen.word_mask[others]].any()


@each_peer
def test_what_stands_in_the_features_of_an_absent_image_is_never_seen(name: str, seen: Seen) -> None:
    fusion = built(peer(name))
    grid, objects, mask = (getattr(seen.images, part).clone() for part in ("grid", "objects", "object_mask"))
    grid[WITHOUT], objects[WITHOUT], mask[WITHOUT] = 1e6, 1e6, True
    fused, expected = fusion(changed(seen, grid=grid, objects=objects, object_mask=mask)), fusion(seen)
    assert torch.equal(fused.words, expected.words)


@each_peer
def test_a_batch_without_any_image_gets_its_words_and_finite_gradients(name: str, seen: Seen) -> None:
    fusion = built(peer(name)).train()
    words = seen.words.clone().requires_grad_()
    fused = fusion(replace(seen, words=words, images=ImageFeatures.absent(len(words), CHANNELS)))
    assert torch.equal(fused.words, words)
    (fused.words.sum() + (0.0 if fused.loss is None else fused.loss)).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in fusion.parameters())
    assert words.grad.isfinite().all()


@each_peer
def test_a_post_alone_gets_the_words_that_it_gets_in_a_batch(name: str, seen: Seen) -> None:
    fusion = built(peer(name))
    together = fusion(seen)
    for post, length in enumerate(seen.word_mask.sum(1).tolist()):
        alone = fusion(rows(seen, [post]))
        torch.testing.assert_close(alone.words[0, :length], together.words[post, :length], **TOLERANCE)
        if together.relevance is not None:
            torch.testing.assert_close(alone.relevance[0], together.relevance[post], **TOLERANCE)


def padded(value: torch.Tensor, fill: float) -> torch.Tensor:
    return torch.cat([value, torch.full((len(value), 2, *value.shape[2:]), fill).to(value.dtype)], 1)


@each_peer
def test_what_stands_at_padding_is_never_seen(name: str, seen: Seen) -> None:
    fusion = built(peer(name)).train()
    filler = {"objects": 9.0, "boxes": 0.4, "classes": 3, "scores": 0.9, "object_mask": 0, "box_mask": 0}
    objects = {part: padded(getattr(seen.images, part), fill) for part, fill in filler.items()}
    words = {"words": 9.0, "word_mask": 0, "layer": 9.0, "tags": 0}
    wider = changed(
        replace(seen, **{part: padded(getattr(seen, part), fill) for part, fill in words.items()}), **objects
    )
    got, expected = fusion(wider), fusion(seen)
    for post, length in enumerate(seen.word_mask.sum(1).tolist()):
        torch.testing.assert_close(got.words[post, :length], expected.words[post, :length], **TOLERANCE)
    if expected.loss is not None:
        torch.testing.assert_close(got.loss, expected.loss, **TOLERANCE)


@each_peer
def test_gradients_reach_every_parameter(name: str, seen: Seen) -> None:
    fusion = built(peer(name)).train()
    fused = fusion(seen)
    target = torch.randn(fused.words.shape, generator=torch.Generator().manual_seed(2))
    ((fused.words * target).sum() + (0.0 if fused.loss is None else fused.loss)).backward()
    dead = [
        part for part, value in fusion.named_parameters() if value.grad is None or not value.grad.abs().max() > 1e-7
    ]
    assert not dead


@each_peer
def test_the_first_steps_of_training_move_every_parameter(name: str, seen: Seen) -> None:
    torch.manual_seed(0)
    fusion = peer(name)(CONFIG, SIZES).train()
    before = {part: value.detach().clone() for part, value in fusion.named_parameters()}
    steps = torch.optim.SGD(fusion.parameters(), lr=0.1)
    for _ in range(3):  # a layer before one that starts at zero moves in the second step
        steps.zero_grad()
        fused = fusion(seen)
        (fused.words.square().mean() + (0.0 if fused.loss is None else fused.loss)).backward()
        steps.step()
    assert not [part for part, value in fusion.named_parameters() if torch.equal(value, before[part])]


@each_peer
def test_one_seed_gives_one_result_with_dropout_too(name: str, seen: Seen) -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        fusion = peer(name)(replace(CONFIG, dropout=0.4, visual_dropout=0.4), SIZES).train()
        results.append(fusion(seen))
    assert torch.equal(results[0].words, results[1].words)
    if results[0].loss is not None:
        assert torch.equal(results[0].loss, results[1].loss)


@each_peer
def test_frozen_features_lose_channels_in_training_as_visual_dropout_says(name: str, seen: Seen) -> None:
    fusion = built(peer(name), visual_dropout=0.5)
    kept = fusion(seen).words
    assert torch.equal(built(peer(name))(seen).words, kept)
    torch.manual_seed(0)
    dropped = fusion.train()(seen).words
    for post in (0, 1, 3):
        assert not torch.allclose(dropped[post], kept[post])


@each_peer
def test_an_auxiliary_loss_is_there_in_training_alone(name: str, seen: Seen) -> None:
    fusion = built(peer(name))
    assert fusion(seen).loss is None
    fusion.train()
    assert (fusion(seen).loss is not None) == (name in HAS_LOSS)
    assert (fusion(replace(seen, tags=None)).loss is not None) == (name in HAS_LOSS - USES_TAGS)


@each_peer
def test_only_peers_with_objects_see_objects_and_none_sees_a_box(name: str, seen: Seen) -> None:
    fusion = built(peer(name))
    expected = fusion(seen).words
    objects = seen.images.objects.flip(-1)
    assert torch.equal(fusion(changed(seen, objects=objects)).words, expected) == (name not in SEES_OBJECTS)
    moved = changed(seen, boxes=torch.rand_like(seen.images.boxes), scores=seen.images.scores / 2)
    assert torch.equal(fusion(moved).words, expected)


@each_peer
def test_a_peer_sees_which_image_it_has_and_not_where_in_the_grid_a_region_lies(name: str, seen: Seen) -> None:
    fusion = built(peer(name))
    expected = fusion(seen).words
    there = seen.images.image_mask
    other = fusion(changed(seen, grid=seen.images.grid.roll(1, -1))).words
    assert not torch.isclose(other, expected).all(-1)[there[:, None] & seen.word_mask].any()
    turned = fusion(changed(seen, grid=seen.images.grid.flip(1))).words
    torch.testing.assert_close(turned, expected, **TOLERANCE)


@each_peer
def test_any_set_of_tags_and_any_number_of_heads_fits(name: str, seen: Seen) -> None:
    sizes = Sizes(SIZES.width, SIZES.hidden, SIZES.channels, SIZES.classes, ("O", "B-DRUG", "B-DOSE", "I-DOSE"))
    fusion = peer(name)(replace(CONFIG, heads=4), sizes).train()
    fused = fusion(replace(seen, tags=seen.tags % 4))
    assert fused.words.isfinite().all()


@each_peer
def test_in_bfloat16_words_and_loss_stay_near_those_of_float32(name: str, seen: Seen) -> None:
    fusion = built(peer(name)).train()
    expected = fusion(seen)
    with torch.autocast("cpu", torch.bfloat16):
        got = fusion(seen)
    torch.testing.assert_close(got.words.float(), expected.words, rtol=0.1, atol=0.3)
    assert torch.equal(got.words[WITHOUT].float(), seen.words[WITHOUT])
    if expected.loss is not None:
        torch.testing.assert_close(got.loss.float(), expected.loss, rtol=0.1, atol=0.05)


def test_the_peers_differ_in_what_they_give() -> None:
    words = [built(peer(name))(make_seen()).words for name in PEERS]
    for i, one in enumerate(words):
        assert not any(torch.allclose(one, other) for other in words[:i])
