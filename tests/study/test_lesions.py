from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from hamner import ModelConfig, Run, TrainConfig, load_corpus
from hamner.cli import app
from hamner.corpora import Corpus
from hamner.errors import HamnerError
from hamner.files import file_sha256
from hamner.minitweets import CUES
from hamner.model.batch import Batch, ImageFeatures
from hamner.model.hamner import HamNer
from hamner.study import lesions
from hamner.study.lesions import INTACT, LESIONS, Judged, judge, lesion_run, lesion_table, lesioned, of_model
from hamner.study.minitweets import answers_of
from hamner.study.tables import LeftOutWarning
from hamner.training.checkpoints import save_weights
from hamner.training.identity import identity
from hamner.training.loop import build_model
from hamner.vision import VisualSource
from tests.records import complete_record
from tests.tiny import save_tiny_encoder

B, N, R, K, C = 4, 5, 3, 2, 6


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny-bert")


def settings(encoder: str, **changes: object) -> ModelConfig:
    basis = {"text_encoder": encoder, "frozen_text": True, "word_shapes": False, "width": 8, "heads": 2}
    return ModelConfig(**basis | {"vision": True} | changes)


def network(encoder: str, channels: int = C, **changes: object) -> HamNer:
    """A model to whose words images matter."""
    model = build_model(settings(encoder, **changes), 1, channels, 40)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("text.encoder."):
                parameter += 0.5 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@pytest.fixture
def batch() -> Batch:
    """Four posts, the third without an image."""
    generator = torch.Generator().manual_seed(0)
    here = torch.tensor([True, True, False, True])
    corners = torch.rand(B, K, 2, 2, generator=generator).sort(2).values.flatten(2)
    objects = here[:, None].expand(B, K)
    return Batch(
        word_mask=torch.ones(B, N, dtype=torch.bool),
        index=torch.arange(B),
        word_layers=torch.randn(B, N, 1, 16, generator=generator),
        word_embeddings=torch.randn(B, N, 16, generator=generator),
        images=ImageFeatures(
            grid=torch.randn(B, R, C, generator=generator),
            objects=torch.randn(B, K, C, generator=generator),
            boxes=corners,
            classes=torch.ones(B, K, dtype=torch.long),
            scores=torch.ones(B, K),
            object_mask=objects,
            box_mask=objects,
            image_mask=here,
        ),
    )


def caught(model: HamNer, module: nn.Module, batch: Batch) -> tuple[tuple, object]:
    """The inputs and the output of a module in one pass."""
    calls = []
    handle = module.register_forward_hook(lambda _, inputs, output: calls.append((inputs, output)))
    try:
        model(batch)
    finally:
        handle.remove()
    return calls[0]


def test_each_lesion_changes_the_emissions_of_posts_with_images_and_is_gone_afterwards(encoder, batch):
    model = network(encoder)
    assert of_model(model) == list(LESIONS)
    with torch.no_grad():
        intact = model(batch).emissions
        judged = replace(judge(model, [batch], B, seed=1), now=batch.index)
        for name, lesion in LESIONS.items():
            with lesioned(model, lesion, judged):
                changed = model(batch).emissions
            with_image = torch.tensor([0, 1, 3])
            assert not torch.allclose(changed[with_image], intact[with_image], atol=1e-4), name
            if name != "local_text_zero":
                assert torch.allclose(changed[2], intact[2], atol=1e-6), name  # a post without an image
            assert torch.equal(model(batch).emissions, intact), name


@pytest.mark.parametrize("name", ["semantic", "spatial"])
def test_identity_of_an_encoding_hands_on_the_objects_themselves(encoder, batch, name):
    model = network(encoder)
    judged = judge(model, [batch], B, seed=1)
    objects = caught(model, model.fusion.vision.objects, batch)[1]
    with lesioned(model, LESIONS[f"{name}_identity"], judged):
        memory = caught(model, model.fusion.vision, batch)[1][0]
    start = R if name == "semantic" else R + K
    assert torch.equal(memory.regions[:, start : start + K], objects)


def test_a_spatial_encoding_without_both_geometries_depends_on_no_box(encoder, batch):
    model = network(encoder)
    judged = judge(model, [batch], B, seed=1)
    moved = replace(batch, images=batch.images._replace(boxes=batch.images.boxes.flip(0)))
    absolute, relative = "absolute_geometry_zero", "relative_geometry_zero"
    for name, other in ((absolute, relative), (relative, absolute)):
        with lesioned(model, LESIONS[name], judged):
            assert not torch.equal(model(batch).emissions, model(moved).emissions)
            with lesioned(model, LESIONS[other], judged):
                assert torch.equal(model(batch).emissions, model(moved).emissions)


def stage_two(model: HamNer, name: str, judged: Judged, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    with lesioned(model, LESIONS[name], judged), torch.no_grad():
        output = model(batch)
    return output.relevance, output.integration


def test_lesions_of_stage_two_replace_rho_or_beta_as_their_names_say(encoder, batch):
    model = network(encoder)
    judged = replace(judge(model, [batch], B, seed=1), now=batch.index)
    rho, beta, seen = judged.rho, judged.beta, torch.tensor([0, 1, 3])
    assert judged.seen.tolist() == [True, True, False, True]
    assert sorted(judged.other[seen].tolist()) == [0, 1, 3]
    assert (judged.other[seen] != seen).all()
    expected = {
        "rho_one": (torch.ones(B), beta),
        "rho_mean": (rho[seen].mean().expand(B), beta),
        "rho_other": (rho[judged.other], beta),
        "beta_uniform": (rho, torch.full((B, 3), 1 / 3)),
        "beta_mean": (rho, beta[seen].mean(0).expand(B, 3)),
        "beta_other": (rho, beta[judged.other]),
    }
    for name, (wanted_rho, wanted_beta) in expected.items():
        got_rho, got_beta = stage_two(model, name, judged, batch)
        assert torch.allclose(got_rho[seen], wanted_rho[seen], atol=1e-6), name
        assert torch.allclose(got_beta[seen], wanted_beta[seen], atol=1e-6), name
        assert got_rho[2] == 0, name
        assert (got_beta[2] == 0).all(), name


def test_shares_go_only_to_grains_that_are_present(encoder, batch):
    model = network(encoder)
    none = torch.zeros(B, K, dtype=torch.bool)
    bare = replace(batch, images=batch.images._replace(object_mask=none, box_mask=none))
    judged = replace(judge(model, [batch], B, seed=1), now=batch.index)
    for name in ("beta_uniform", "beta_mean", "beta_other"):
        assert torch.allclose(stage_two(model, name, judged, bare)[1][0], torch.tensor([1.0, 0.0, 0.0])), name


@pytest.mark.parametrize(
    ("changes", "without"),
    [
        ({"semantic": False}, {"semantic_identity"}),
        ({"spatial": False}, {"spatial_identity", "absolute_geometry_zero", "relative_geometry_zero"}),
        ({"absolute_geometry": False}, {"absolute_geometry_zero"}),
        ({"relative_geometry": False}, {"relative_geometry_zero"}),
        ({"relevance": False}, {"rho_one", "rho_mean", "rho_other"}),
        ({"integration": False}, {"beta_uniform", "beta_mean", "beta_other"}),
        ({"iterations": 0}, {"iteration_identity", "regions_identity"}),
        ({"coattention": False}, {"coattention_identity"}),
        ({"local_text": False}, {"local_text_zero"}),
        ({"vision": False}, set(LESIONS) - {"local_text_zero"}),
    ],
)
def test_a_part_that_the_model_lacks_has_no_lesion(encoder, changes, without):
    model = network(encoder, **changes)
    missing = set(LESIONS) - set(of_model(model))
    assert missing == without
    judged = Judged(torch.zeros(0), torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
    for name in missing:
        with (
            pytest.raises(HamnerError, match=r"the model has no .* to replace"),
            lesioned(model, LESIONS[name], judged),
        ):
            pass


@pytest.fixture(scope="module")
def some() -> Corpus:
    """Two posts of each cue of minitweets, in all splits alike."""
    corpus = load_corpus("minitweets")
    answers = answers_of(corpus)
    chosen = {name.post for cue in CUES for name in [name for name in answers if name.cue == cue][:2]}
    posts = tuple(post for post in corpus.test if post.id in chosen)
    return replace(corpus, train=posts, valid=posts, test=posts)


@pytest.fixture
def run(encoder: str, some: Corpus, tmp_path: Path) -> Run:
    """A run with random weights on minitweets."""
    config = TrainConfig(batch_size=8, model=settings(encoder), visual=VisualSource(crop_size=64))
    from hamner.vision.extractor import ImageExtractor

    extractor = ImageExtractor.load(config.visual, some.folder)
    classes = list(extractor.class_names)
    model = build_model(config.model, 1, extractor.channels, len(classes))
    save_weights(model, tmp_path / "model.safetensors")
    shape = {"channels": extractor.channels, "classes": len(classes)}
    record = complete_record(config=config, features=shape | {"class_names": classes, "store": "efficientnet-lite0"})
    record |= identity(some, config) | {"weights_sha256": file_sha256(tmp_path / "model.safetensors")}
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return Run.load(tmp_path)


def test_the_results_of_a_run_are_kept_and_not_made_twice(run: Run, some: Corpus, tmp_path: Path, monkeypatch):
    results = lesion_run(run, some, features=tmp_path / "features", progress=False)
    assert list(results) == [INTACT, *LESIONS]
    assert all(set(result["by_cue"]) == set(CUES) for result in results.values())
    monkeypatch.setattr(lesions, "prepared_test", None)
    assert lesion_run(run, some, features=tmp_path / "features", progress=False) == results
    table = lesion_table([run])
    assert len(table) == len(LESIONS) * (1 + len(CUES))
    assert (table.seeds == 1).all()
    assert ((table.lesioned - table.intact - table.change).abs() < 1e-9).all()
    assert lesions.readable(table).splitlines()[0].startswith("minitweets")


def test_changes_are_averaged_over_the_seeds_of_a_row(run: Run, tmp_path: Path):
    copies = []
    for seed, (intact, cut) in enumerate(((0.8, 0.5), (0.9, 0.7))):
        folder = tmp_path / str(seed)
        folder.mkdir()
        kept = {INTACT: {"f1": intact}, "rho_one": {"f1": cut}}
        kept = {"weights": run.record["weights_sha256"], "results": kept}
        (folder / "lesions.json").write_text(json.dumps(kept), encoding="utf-8")
        record = run.record | {"config": run.record["config"] | {"seed": seed}}
        copies.append(Run(folder, record))
    (line,) = lesion_table(copies).itertuples()
    assert (line.lesion, line.part, line.measure, line.seeds) == ("rho_one", "relevance", "f1", 2)
    assert line.intact == pytest.approx(85)
    assert line.lesioned == pytest.approx(60)
    assert line.change == pytest.approx(-25)
    assert line.sd == pytest.approx(50**0.5)


def test_runs_that_differ_in_more_than_their_seed_are_no_mean(run: Run, tmp_path: Path):
    kept = {"weights": run.record["weights_sha256"], "results": {INTACT: {"f1": 0.5}, "rho_one": {"f1": 0.4}}}
    (run.folder / "lesions.json").write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(HamnerError, match="one seed twice"):
        lesion_table([run, run])
    other = Run(run.folder, run.record | {"config": run.record["config"] | {"epochs": 9, "seed": 2}})
    with pytest.raises(HamnerError, match=r"differ in more than their seed \(epochs\)"):
        lesion_table([run, other])


def test_the_table_leaves_out_damaged_results_and_is_not_written_without_any(run: Run, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(lesions, "runs", lambda: [run])
    assert lesions.write_lesions(tmp_path / "tables") == []
    kept = {"weights": run.record["weights_sha256"], "results": {INTACT: {"f1": 0.5}, "rho_one": {"f1": 0.4}}}
    (run.folder / "lesions.json").write_text(json.dumps(kept), encoding="utf-8")
    (path,) = lesions.write_lesions(tmp_path)
    assert path.read_text().splitlines()[1].endswith("rho_one,relevance,rho = 1,f1,1,50.0000,40.0000,-10.0000,")
    (run.folder / "lesions.json").write_text("[]", encoding="utf-8")
    with pytest.warns(LeftOutWarning, match=r"lesions\.json is damaged"):
        assert lesions.write_lesions(tmp_path / "tables") == []


def test_a_run_without_weights_or_with_other_data_is_one_clear_error(run: Run, some: Corpus, tmp_path: Path):
    swapped = tuple(replace(post, image=some.test[0].image) for post in some.test)
    with pytest.raises(HamnerError, match="images"):
        lesion_run(run, replace(some, train=swapped, valid=swapped, test=swapped), progress=False)
    run.weights.unlink()
    with pytest.raises(HamnerError, match="has no weights: train the run into another folder"):
        lesion_run(run, some, features=tmp_path / "features", progress=False)


def test_results_of_other_weights_do_not_count(run: Run):
    kept = {"weights": "another", "results": {INTACT: {"f1": 0.5}}}
    (run.folder / "lesions.json").write_text(json.dumps(kept), encoding="utf-8")
    assert lesions.read_lesions(run) is None


@pytest.mark.parametrize(
    "results", ["5", "{}", '{"intact": {"f1": NaN}}', '{"intact": {"f1": 0.5}, "other": {"f1": 0.5}}', "[" * 5000]
)
def test_a_damaged_file_of_results_is_named(run: Run, results: str):
    text = f'{{"weights": "{run.record["weights_sha256"]}", "results": {results}}}'
    (run.folder / "lesions.json").write_text(text, encoding="utf-8")
    with pytest.raises(HamnerError, match=r"lesions\.json is damaged .*delete it, and run hamner lesion again"):
        lesions.read_lesions(run)


def test_the_command_prints_points_and_names_another_corpus(run: Run, some: Corpus, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("hamner.training.own_corpus.corpus_of_run", lambda *_, **__: some)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["lesion", str(run.folder)], catch_exceptions=False)
    assert "intact in percent, then changes in points" in result.stdout
    assert all(name in result.stdout for name in (INTACT, *LESIONS, *CUES))
    with pytest.raises(HamnerError, match="was trained on another corpus: give minitweets"):
        lesion_run(run, replace(some, sha256={}), progress=False)
