"""A fusion and a source of one's own: trained, loaded in a new process, tagged with; and how each can fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from PIL import Image

from hamner import Fused, HamnerError, ModelConfig, Seen, Sizes, Tagger, TrainConfig, VisualSource, train
from hamner.corpora import Corpus, load_corpus, write_posts
from hamner.evaluation import read_relevance
from hamner.extensions import locate
from hamner.model.batch import ImageFeatures
from hamner.model.fusion import build_fusion, checked
from hamner.training.loop import trained_model
from hamner.training.rows import row_of_run
from hamner.training.runs import Run, run_name
from hamner.vision.store import FeatureStore
from tests.training.conftest import invented_posts

EXTEND = Path(__file__).parents[2] / "docs" / "EXTEND.md"


def code_of(title: str) -> str:
    """The first block of Python in the section `title` of docs/EXTEND.md: what readers copy is what is tested."""
    section = EXTEND.read_text(encoding="utf-8").partition(f"## {title}\n")[2]
    return section.partition("```python\n")[2].partition("```")[0]


FUSION, SOURCE = code_of("A fusion"), code_of("A source")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside the checkout with both files, in which the test works."""
    (tmp_path / "my_fusion.py").write_text(FUSION)
    (tmp_path / "my_source.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def corpus(folder: Path) -> Corpus:
    """A corpus whose posts have images of one colour."""
    images = folder / "seen" / "images"
    images.mkdir(parents=True)
    for split, copies in (("train", 2), ("valid", 1), ("test", 1)):
        posts = [
            replace(post, words=(*post.words, f"#{split}"), tags=(*(post.tags or ()), "O"))
            for post in invented_posts(copies, split)
        ]
        write_posts(posts, folder / "seen" / f"{split}.txt")
        for number, post in enumerate(posts):
            Image.new("RGB", (8, 8), (20 * number, 40, 200 - 10 * number)).save(images / f"{post.id}.png")
    return load_corpus(folder / "seen")


def config_of(encoder: str, **model: object) -> TrainConfig:
    """A run of two epochs of the fusion and the source in the folder."""
    settings = {"text_encoder": encoder, "width": 16, "heads": 2, "vision": True, "fusion": "my_fusion:Brightness"}
    return TrainConfig(
        model=ModelConfig(**(settings | model)),
        visual=VisualSource.from_features("my_source:Colours"),
        epochs=2,
    )


@pytest.fixture
def run(folder: Path, corpus: Corpus, tiny_encoder: str) -> Run:
    return train(corpus, config_of(tiny_encoder), folder / "run", features=folder / "features", progress=False)


def test_a_fusion_and_a_source_of_ones_own_are_trained_and_named(run: Run, corpus: Corpus) -> None:
    record = run.record
    assert row_of_run(run.config) == "Brightness"
    assert run_name("seen", run.config).split("-")[1] == "Brightness"
    assert "Colours" in run_name("seen", run.config)
    assert set(read_relevance(run.predictions)) == {post.id for post in corpus.test}
    assert record["extensions"]["fusion"]["module"] == "my_fusion"
    assert re.fullmatch("[0-9a-f]{64}", record["extensions"]["source"]["sha256"])
    assert record["features"]["channels"] == 3 and record["features"]["class_names"] == ["(none)", "whole"]
    assert all(0 <= record["scores"]["test"]["seqeval"]["overall"][name] <= 1 for name in ("f1", "recall"))


def test_the_run_tags_in_a_new_process(run: Run, corpus: Corpus) -> None:
    image = corpus.test[0].image
    here = Tagger(run)("Kelso scored twice in Orva", image)
    code = (
        "from hamner import Tagger; import sys; "
        "post = Tagger.from_pretrained('run')('Kelso scored twice in Orva', sys.argv[1]); print(*post.tags)"
    )
    project = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(image)], capture_output=True, text=True, env=environment, cwd=run.folder.parent
    )
    assert done.returncode == 0, done.stderr
    assert tuple(done.stdout.split()) == here.tags
    assert here.relevance is not None and 0 < here.relevance < 1
    assert here.integration is None  # this fusion weighs no grains


def test_elsewhere_the_run_is_refused_in_a_sentence_that_names_the_module(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(HamnerError, match=r"'my_fusion:Brightness' needs the module 'my_fusion'"):
        trained_model(run, torch.device("cpu"))


@pytest.mark.parametrize("file", ["my_fusion.py", "my_source.py"])
def test_a_changed_file_is_refused_before_its_code_runs(run: Run, folder: Path, file: str) -> None:
    (folder / file).write_text("raise RuntimeError('this code ran')\n")
    with pytest.raises(HamnerError, match=r"was trained with another (fusion|source) my_\w+:\w+ than there is now"):
        trained_model(run, torch.device("cpu"))


def test_a_changed_file_is_read_anew_in_the_same_process(folder: Path) -> None:
    config, sizes = ModelConfig(vision=True, fusion="my_fusion:Brightness"), Sizes(16, 16, 3, 2, ("O",))
    assert not hasattr(build_fusion(config, sizes), "changed")
    (folder / "my_fusion.py").write_text(FUSION + "\n    changed = True\n")
    assert hasattr(build_fusion(config, sizes), "changed")


def test_features_are_computed_anew_when_the_source_changes(folder: Path, corpus: Corpus) -> None:
    source = VisualSource.from_features("my_source:Colours")
    before = FeatureStore.open(corpus, source, folder / "features", progress=False)
    (folder / "my_source.py").write_text(SOURCE.replace("/ 255", "/ 510"))
    after = FeatureStore.open(corpus, source, folder / "features", progress=False)
    id = corpus.test[0].id
    assert before.folder != after.folder
    np.testing.assert_allclose(before[id].grid, 2 * after[id].grid, rtol=2e-3)


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("nowhere:X", "", r"needs the module 'nowhere', which is neither in .* nor installed"),
        ("models/none.py:X", "", r"there is no file .*none\.py"),
        ("mine:Fusoin", "class Fusion: pass", r"mine\.py has no 'Fusoin': did you mean Fusion\?"),
        ("mine:Fusion", "class Fusion: pass", r"is no torch Module: write `class Fusion\(Module\)`"),
        ("mine:Fusion", "x = 1\nimport no_such_module", r"mine\.py:2: cannot be imported \(ModuleNotFoundError"),
        ("mine:Fusion", "x = 1\nif x\n  pass", r"mine\.py:2: cannot be imported \(SyntaxError"),
        (
            "mine:Fusion",
            "from torch import nn\nclass Fusion(nn.Module):\n  def __init__(self): super().__init__()",
            r"the fusion 'mine:Fusion' cannot be built from \(config, sizes\)",
        ),
    ],
)
def test_what_is_wrong_with_a_fusion_is_said_in_one_sentence(folder: Path, name: str, code: str, message: str) -> None:
    (folder / "mine.py").write_text(code)
    with pytest.raises(HamnerError, match=message):
        build_fusion(ModelConfig(vision=True, fusion=name), Sizes(16, 16, 3, 2, ("O",)))


@pytest.mark.parametrize("name", ["a b", "module:1st", "mod-ule:Class", "../x:Class", "module:", ""])
def test_a_name_that_can_be_none_is_refused_by_the_config(name: str) -> None:
    with pytest.raises(HamnerError, match="fusion cannot be"):
        ModelConfig(vision=True, fusion=name)


def test_the_paper_s_parts_are_no_settings_of_another_fusion() -> None:
    with pytest.raises(HamnerError, match=r"semantic and iterations: of the fusion ham alone"):
        ModelConfig(vision=True, fusion="umt", semantic=False, iterations=3)


def seen_of(posts: int = 2, words: int = 3) -> Seen:
    images = ImageFeatures.absent(posts, 4)
    return Seen(torch.zeros(posts, words, 8), torch.ones(posts, words).bool(), torch.zeros(posts, words, 6), images)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "gave int: give hamner.Fused, or the words alone"),
        (torch.zeros(2, 3, 9), r"gave words of shape \(2, 3, 9\) instead of \(2, 3, 8\)"),
        (Fused(torch.zeros(2, 3, 8), relevance=torch.zeros(2, 1)), r"gave relevance of shape \(2, 1\)"),
        (Fused(torch.zeros(2, 3, 8), loss=torch.zeros(2)), r"gave loss of shape \(2,\)"),
        (Fused(torch.zeros(2, 3, 8), emissions=torch.zeros(2, 3, 4)), r"gave emissions of shape \(2, 3, 4\)"),
    ],
)
def test_a_fusion_that_gives_other_shapes_is_refused(given: object, message: str) -> None:
    with pytest.raises(HamnerError, match=message):
        checked(given, seen_of(), "mine", 9)


def test_a_tensor_alone_is_a_fusion_s_words() -> None:
    words = torch.ones(2, 3, 8)
    assert checked(words, seen_of(), "mine", 9).words is words


def test_a_class_called_like_a_row_has_its_module_in_its_name() -> None:
    config = TrainConfig(
        model=ModelConfig(vision=True, fusion="my_module:full"), visual=VisualSource.from_features("my_source:Colours")
    )
    assert row_of_run(config) == "my_module.full"


def vectors(corpus: Corpus, file: Path, **change: object) -> None:
    """A file of vectors for every post: three regions, and two objects of which some posts have one."""
    ids = [post.id for _, posts in corpus.splits() for post in posts]
    rng = np.random.default_rng(0)
    mask = np.ones((len(ids), 2), bool)
    mask[::2, 1] = False
    tensors = {
        "regions": rng.normal(size=(len(ids), 3, 5)).astype(np.float32),
        "objects": rng.normal(size=(len(ids), 2, 5)).astype(np.float32),
        "object_mask": mask,
        "boxes": np.tile(np.array([0.1, 0.1, 0.5, 0.5], np.float32), (len(ids), 2, 1)),
        "classes": np.ones((len(ids), 2), np.int64),
        "scores": np.full((len(ids), 2), 0.5, np.float32),
    }
    for name, value in change.items():
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value  # type: ignore[assignment]
    safetensors.numpy.save_file(tensors, file, metadata={"ids": json.dumps(ids)})


def test_a_file_of_vectors_gives_the_features(corpus: Corpus, folder: Path, tiny_encoder: str) -> None:
    vectors(corpus, folder / "mine.safetensors")
    store = FeatureStore.open(
        corpus, VisualSource.from_features("mine.safetensors"), folder / "features", progress=False
    )
    tensors = safetensors.numpy.load_file(folder / "mine.safetensors")
    first, second = store[corpus.train[0].id], store[corpus.train[1].id]
    np.testing.assert_allclose(first.grid, tensors["regions"][0], rtol=2e-3, atol=1e-4)
    assert first.object_mask.tolist() == [True, False] and second.object_mask.tolist() == [True, True]
    assert not first.objects[1].any() and first.box_mask.tolist() == [True, False]
    config = replace(config_of(tiny_encoder, fusion="ham"), visual=VisualSource.from_features("mine.safetensors"))
    run = train(corpus, config, folder / "vectors", features=folder / "features", progress=False)
    assert row_of_run(run.config) == "full" and "mine" in run_name("seen", run.config)
    with pytest.raises(HamnerError, match=r"trained on vectors from mine\.safetensors and cannot read an image"):
        Tagger(run)("Kelso scored", corpus.test[0].image)
    assert Tagger(run)("Kelso scored", features=first).words == ("Kelso", "scored")


def test_vectors_with_boxes_and_no_objects_are_objects(corpus: Corpus, folder: Path) -> None:
    ids = sum(len(posts) for _, posts in corpus.splits())
    boxes = np.tile(np.array([0.1, 0.1, 0.5, 0.5], np.float32), (ids, 3, 1))
    vectors(corpus, folder / "m.safetensors", objects=None, object_mask=None, classes=None, scores=None, boxes=boxes)
    store = FeatureStore.open(corpus, VisualSource.from_features("m.safetensors"), folder / "features", progress=False)
    features = store[corpus.train[0].id]
    regions = safetensors.numpy.load_file(folder / "m.safetensors")["regions"][0]
    np.testing.assert_allclose(features.grid[0], regions.mean(0), rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(features.objects, regions, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regions": None}, "no tensor regions"),
        ({"colour": np.zeros((24, 1))}, "unknown tensor colour"),
        ({"boxes": np.zeros((3, 2, 4), np.float32)}, "boxes has 3 rows, and there are"),
        (
            {"scores": np.full((24, 3), 0.5, np.float32)},
            r"scores begins with \(24, 3\), and object_mask with \(24, 2\)",
        ),
    ],
)
def test_a_wrong_file_of_vectors_is_named(corpus: Corpus, folder: Path, change: dict, message: str) -> None:
    vectors(corpus, folder / "mine.safetensors", **change)
    with pytest.raises(HamnerError, match=message):
        FeatureStore.open(corpus, VisualSource.from_features("mine.safetensors"), folder / "features", progress=False)


def test_a_post_without_vectors_counts_as_one_without_an_image(corpus: Corpus, folder: Path) -> None:
    vectors(corpus, folder / "mine.safetensors")
    other = folder / "other"
    for split, copies in (("train", 1), ("valid", 1), ("test", 1)):
        write_posts(invented_posts(copies, f"new{split}"), other / f"{split}.txt")
    store = FeatureStore.open(
        load_corpus(other), VisualSource.from_features("mine.safetensors"), folder / "features", progress=False
    )
    assert {reason for _, reason in store.missing} == {"no vectors in mine.safetensors"}


def test_an_installed_package_registers_a_fusion_by_entry_point(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = folder / "site"
    info = package / "brightness-1.5.dist-info"
    info.mkdir(parents=True)
    (package / "brightness.py").write_text(FUSION)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brightness\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[hamner.fusions]\nbright = brightness:Brightness\n")
    (info / "RECORD").write_text("brightness.py,,\n")
    monkeypatch.syspath_prepend(str(package))
    found = locate("bright", "fusion", {})
    assert (found.module, found.attribute, found.version) == ("brightness", "Brightness", "1.5")
    model = build_fusion(ModelConfig(vision=True, fusion="bright"), Sizes(16, 16, 3, 2, ("O",)))
    assert type(model).__name__ == "Brightness"
    with pytest.raises(HamnerError, match=r"no fusion is called 'brigth': did you mean bright\?"):
        locate("brigth", "fusion", {})
