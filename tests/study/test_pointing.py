from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from transformers import BertConfig, BertModel

from hamner import ModelConfig, Run, Tagger, TrainConfig, load_corpus
from hamner.encoders import load_tokenizer
from hamner.errors import HamnerError
from hamner.figures import attention_maps
from hamner.files import file_sha256
from hamner.study import pointing
from hamner.study.minitweets import CUES, answers_of
from hamner.tagger.evidence import AttendedObject, Evidence, entropy
from hamner.training.checkpoints import save_weights
from hamner.training.loop import build_model
from hamner.vision import VisualSource
from hamner.vision.extractor import ImageExtractor


@pytest.fixture(scope="module")
def corpus():
    return load_corpus("minitweets")


@pytest.fixture(scope="module")
def names(corpus):
    """A name that needs the image, of each of three cues."""
    return [next(name for name in answers_of(corpus) if name.cue == cue) for cue in ("object", "position", "scene")]


def make_tagger(corpus, folder: Path, visual: VisualSource | None) -> Tagger:
    """A tagger with random weights, to which images matter."""
    tokenizer = load_tokenizer("minilm")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    settings = {"word_shapes": False, "width": None, "heads": 2}
    model = ModelConfig(text_encoder=str(folder / "encoder"), vision=visual is not None, **settings)
    config, features = TrainConfig(model=model, visual=visual), {}
    if visual is not None:
        extractor = ImageExtractor.load(visual, corpus.folder)
        features = {"channels": extractor.channels, "classes": len(extractor.class_names)}
    network = build_model(config.model, 1, **features)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if not name.startswith("text.encoder."):
                parameter += 0.2 * torch.randn(parameter.shape)
    save_weights(network, folder / "model.safetensors")
    record = {"config": config.to_dict(), "inputs": {}, "features": features, "marks_apart": []}
    return Tagger(Run(folder, record | {"weights_sha256": file_sha256(folder / "model.safetensors")}))


@pytest.fixture(scope="module")
def tagger(corpus, tmp_path_factory):
    return make_tagger(corpus, tmp_path_factory.mktemp("run"), VisualSource(weights="random", crop_size=32))


@pytest.fixture(scope="module")
def posts(corpus, names):
    by_id = {post.id: post for post in corpus.test}
    return [by_id[name.post] for name in names]


@pytest.fixture(scope="module")
def store(tagger, corpus, posts, tmp_path_factory):
    return pointing.visual_features(tagger, corpus, posts, tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def evidence(tagger, corpus, names, store):
    return pointing.object_evidence(tagger, corpus, names, store)


class TestWhatWasSeen:
    def test_a_text_only_run_has_no_visual_features(self, corpus, tmp_path):
        blind = make_tagger(corpus, tmp_path, None)
        with pytest.raises(HamnerError, match="was trained without images"):
            pointing.visual_features(blind, corpus, corpus.test[:1])

    def test_answers_are_marked_among_annotated_objects_alone(self, corpus, names, store, tmp_path):
        other = make_tagger(corpus, tmp_path, VisualSource(weights="random", crop_size=32, objects="tiles"))
        with pytest.raises(HamnerError, match="was not trained on annotated objects"):
            pointing.object_evidence(other, corpus, names, store)

    def test_every_object_of_an_image_has_a_row_and_its_answers_are_marked(self, evidence, names, store):
        assert len(evidence) == sum(int(store[name.post].object_mask.sum()) for name in names)
        assert evidence.groupby("post").answer.sum().to_dict() == {name.post: len(name.objects) for name in names}

    def test_an_answer_is_the_object_with_the_annotated_box(self, evidence, corpus, names, store):
        for name, boxes in zip(names, pointing.answer_boxes(corpus, names), strict=True):
            marked = evidence[(evidence.post == name.post) & evidence.answer]
            assert np.allclose(np.sort(store[name.post].boxes[marked.object], 0), np.sort(boxes, 0))

    def test_attention_and_drops_equal_the_evidence_of_the_tagger(self, evidence, tagger, posts, names, store):
        compared = 0
        for post, name in zip(posts, names, strict=True):
            for entity in tagger(words=post.words, features=store[post.id]).entities:
                if entity.words == (name.start, name.end - 1) and name.end == name.start + 1:
                    rows = evidence[evidence.post == post.id]
                    of_tagger = entity.evidence.objects
                    assert np.allclose(rows.attention, [item.attention for item in of_tagger], atol=1e-4)
                    assert np.allclose(rows["drop"], [item.drop for item in of_tagger], atol=1e-4)
                    assert np.allclose(rows.image_drop, entity.evidence.image_drop, atol=1e-4)
                    compared += 1
        assert compared

    def test_an_exchanged_object_is_in_its_place_what_the_next_image_shows(self, tagger, posts, store):
        batch, _ = pointing.forward(tagger, posts, store)
        real = batch.images.object_mask[0].nonzero()[:, 0].tolist()
        hidden = pointing.occlusions(batch, 0, 0, real * 2)
        assert pointing._exchange(hidden, batch, 0, real)
        for number, k in enumerate(real):
            gone, exchanged = 2 + number, 2 + len(real) + number
            assert not hidden.images.object_mask[gone, k] and not hidden.images.box_mask[gone, k]
            assert hidden.images.object_mask[exchanged].equal(batch.images.object_mask[0])
            assert hidden.images.boxes[exchanged].equal(batch.images.boxes[0])
            donor = number % int(batch.images.object_mask[1].sum())
            assert hidden.images.objects[exchanged, k].equal(batch.images.objects[1, donor])
            others = [other for other in real if other != k]
            assert hidden.images.objects[exchanged, others].equal(batch.images.objects[0, others])

    def test_exchanging_is_measured_for_each_object_unless_there_is_no_other_image(
        self, evidence, tagger, corpus, names, store
    ):
        assert evidence.exchanged.notna().all()
        assert not np.allclose(evidence.exchanged, evidence["drop"])
        assert pointing.object_evidence(tagger, corpus, names[:1], store).exchanged.isna().all()

    def test_the_states_of_the_words_end_at_what_the_decoder_reads(self, tagger, posts, store):
        batch, output = pointing.forward(tagger, posts, store)
        states = pointing.word_states(tagger.model, batch)
        assert list(states) == ["T0", "T1", "T2", "H"]
        assert torch.equal(tagger.model.decoder(states["H"]), output.emissions)
        assert not torch.equal(states["T0"], states["H"])

    def test_looking_at_the_states_leaves_no_hook_behind(self, tagger, posts, store):
        pointing.word_states(tagger.model, pointing.forward(tagger, posts, store)[0])
        assert not any(module._forward_hooks for module in tagger.model.modules())


def objects_of(name: str, answer: list[bool], attention: list[float], drop: list[float]) -> pd.DataFrame:
    known = {"post": name, "image": f"{name}.webp", "start": 0, "cue": "object", "type": "PER"}
    known |= {"predicted": "PER", "relevance": 1.0}
    return pd.DataFrame({"object": range(len(answer)), "answer": answer, "attention": attention, "drop": drop} | known)


class TestThePointingGame:
    def test_the_object_of_most_attention_counts_if_it_carries_the_answer(self):
        hit = objects_of("a", [False, True], [0.5, 2.0], [0.3, 0.1])
        miss = objects_of("b", [False, True], [2.0, 0.5], [0.1, 0.3])
        games = pointing.pointing_game(pd.concat([hit, miss]))
        assert games.attention.tolist() == [1, 0]
        assert games.occlusion.tolist() == [0, 1]
        assert games.chance.tolist() == [0.5, 0.5]

    def test_objects_that_tie_share_the_point_so_that_what_does_not_matter_is_at_chance(self):
        games = pointing.pointing_game(objects_of("a", [True, False, False, True], [1.0] * 4, [0.0] * 4))
        assert games.attention[0] == games.occlusion[0] == games.chance[0] == 0.5

    def test_a_name_without_an_answer_does_not_play(self):
        assert pointing.pointing_game(objects_of("a", [False, False], [1, 2], [0, 0])).empty


def test_entropy_is_1_for_a_flat_map_and_0_for_a_single_region():
    assert entropy(np.ones(49)) == pytest.approx(1)
    assert entropy(np.eye(49)[3]) == pytest.approx(0)


class TestFigures:
    def evidence(self) -> Evidence:
        item = AttendedObject(box=(0.1, 0.1, 0.5, 0.5), name="card", score=0.9, attention=3.0, drop=-0.2)
        return Evidence(np.linspace(0, 2, 49), np.linspace(-0.1, 0.4, 49), (item,), 0.6)

    def test_maps_share_one_scale_below_and_are_stretched_above(self):
        maps = {"a": np.linspace(0, 3, 49), "b": np.linspace(0.99, 1.01, 49)}
        axes = attention_maps.honest_scales(Image.new("RGB", (20, 20)), maps).axes
        limits = [one.images[1].get_clim() for one in axes[:4]]
        assert limits == [(0, 3), (pytest.approx(0.99), pytest.approx(1.01)), (0, 3), (0, 3)]

    def test_the_scale_of_drops_has_its_middle_at_0_and_reaches_the_greatest(self):
        case = attention_maps.Case("one", Image.new("RGB", (20, 20)), self.evidence(), np.array([[0.1, 0.1, 0.5, 0.5]]))
        axes = attention_maps.attention_and_occlusion([case]).axes
        assert axes[1].images[1].get_clim() == (0, 3)
        assert axes[2].images[1].get_clim() == (-0.4, 0.4)
        assert [text.get_text() for text in axes[1].texts + axes[2].texts] == ["3.0", "-0.20"]

    def test_the_pointing_figure_has_a_line_for_each_cue_that_played(self, evidence):
        axes = attention_maps.pointing(pointing.pointing_game(evidence)).axes[0]
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == ["scene (1)", "object (1)", "position (1)"]

    def test_names_that_share_an_image_do_not_make_the_interval_of_the_game_narrower(self):
        shared = pd.concat([objects_of(name, [False, True], [0.5, 2.0], [0.3, 0.1]) for name in "ab"])
        apart = pointing.pointing_game(shared)
        together = pointing.pointing_game(shared.assign(image="a.webp"))
        width = {}
        for title, games in {"apart": apart, "together": together}.items():
            low, high = attention_maps.pointing(games).axes[0].lines[0].get_xdata()
            width[title] = high - low
        assert width["together"] > width["apart"]

    def test_each_object_is_a_dot_in_its_cue(self, evidence):
        axes = attention_maps.attention_against_drop(evidence).axes
        dots = [sum(len(line.get_xdata()) for line in one.lines[2:]) for one in axes]
        assert dots == [(evidence.cue == cue).sum() for cue in CUES]

    def test_labels_of_cues_that_end_alike_do_not_overlap(self):
        ends = pd.DataFrame([[0.2] * len(CUES), [0.98] * len(CUES)], index=["T0", "H"], columns=list(CUES))
        heights = sorted(text.get_position()[1] for text in attention_maps.refinement(ends).axes[0].texts)
        assert (np.diff(heights) > 0.05).all()

    def test_word_maps_share_one_scale(self):
        maps = {"a": np.full((2, 3), 0.5), "b": np.full((2, 3), 4.0)}
        axes = attention_maps.word_maps(["x", "$y"], ["grid", "1", "2"], maps).axes
        assert [one.images[0].get_clim() for one in axes[:2]] == [(0, 4), (0, 4)]

    def test_the_gate_is_drawn_for_names_and_other_words_of_each_cue(self):
        rows = [(cue, name, 0.5, 0.1) for cue in CUES for name in (True, False)]
        axes = attention_maps.gate(pd.DataFrame(rows, columns=["cue", "name", "gate", "moved"])).axes
        assert [len(one.patches) for one in axes] == [2 * len(CUES)] * 2
