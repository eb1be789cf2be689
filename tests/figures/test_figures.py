from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from types import ModuleType

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hamner.corpora import project_folder
from hamner.drawing import colours, style
from hamner.drawing.captions import read_captions
from hamner.figures import (
    architecture,
    attention_maps,
    build,
    comparisons,
    corpora,
    decoding,
    peers,
    stages,
    training,
)

FIGURES = project_folder() / "figures"
MODULES = (
    architecture,
    attention_maps,
    build,
    comparisons,
    stages,
    corpora,
    decoding,
    peers,
    training,
)


def some_figure() -> Figure:
    return corpora.post_lengths({"twitter2017": [8, 20, 20, 31]})


def test_a_figure_is_saved_as_png_alone(tmp_path: Path) -> None:
    style.save(some_figure(), "lengths", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lengths.png"]


def test_an_environment_variable_names_the_folder_for_svg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(style.SVG_FOLDER, str(tmp_path / "svg"))
    style.save(some_figure(), "lengths", tmp_path / "png")
    assert (tmp_path / "svg" / "lengths.svg").read_bytes().startswith(b"<?xml")
    assert [path.name for path in (tmp_path / "png").iterdir()] == ["lengths.png"]


def test_a_figure_saved_twice_is_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("one", "two"):
        monkeypatch.setenv(style.SVG_FOLDER, str(tmp_path / folder))
        style.save(some_figure(), "lengths", tmp_path / folder)
    for form in ("png", "svg"):
        one, two = ((tmp_path / folder / f"lengths.{form}").read_bytes() for folder in ("one", "two"))
        assert one == two


def test_a_saved_figure_tells_neither_date_nor_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(style.SVG_FOLDER, str(tmp_path))
    style.save(some_figure(), "lengths", tmp_path)
    for form in ("png", "svg"):
        data = (tmp_path / f"lengths.{form}").read_bytes()
        assert not re.search(rb"dc:date|matplotlib\.org|Software", data)


def test_the_style_holds_whatever_is_set_elsewhere_and_changes_nothing_there(tmp_path: Path) -> None:
    style.save(some_figure(), "plain", tmp_path)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        style.save(some_figure(), "set", tmp_path)
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "set.png").read_bytes()


def test_a_notebook_shows_a_saved_figure_at_half_its_width_and_height_in_half_its_bytes(tmp_path: Path) -> None:
    saved = style.save(some_figure(), "lengths", tmp_path)
    data, metadata = saved._repr_png_()
    full, shown = Image.open(saved.path), Image.open(BytesIO(data))
    assert shown.size == (full.width // 2, full.height // 2) == (560, full.height // 2)  # 5.6 inches, 200 dots an inch
    assert metadata == {"width": 560, "alt": "lengths"}
    assert len(data) < saved.path.stat().st_size / 2
    assert saved._repr_png_() == (data, metadata)


def test_a_figure_of_the_study_is_described_to_readers_who_cannot_see_it(tmp_path: Path) -> None:
    saved = style.save(some_figure(), "post_lengths", tmp_path)
    assert saved._repr_png_()[1]["alt"] == read_captions()["post_lengths"].alt


def test_a_notebook_shows_the_colours_of_the_figure(tmp_path: Path) -> None:
    image = Image.effect_noise((400, 300), 60).convert("RGB")
    image.paste(Image.linear_gradient("L").resize((400, 20)).convert("RGB"), (0, 0))
    image.paste(style.VERMILION, (20, 40, 24, 60))
    png = BytesIO()
    image.save(png, "png")
    data, _ = style.for_notebook(png.getvalue(), "")
    half = np.asarray(image.resize((200, 150), Image.Resampling.LANCZOS), int)
    difference = np.abs(np.asarray(Image.open(BytesIO(data)).convert("RGB"), int) - half)
    assert difference.mean() < 4
    assert difference.max() < 40  # also where a colour is rare


def test_a_corpus_of_ones_own_is_drawn_under_its_name() -> None:
    columns = ["corpus", "encoder", "source", "row", "reference", "seed", "f1", "difference"]
    lines = [["my-posts", "minilm", "", "full", "text_only", seed, 80.0, 1.0] for seed in ("1", "mean")]
    table = pd.DataFrame(lines, columns=columns).assign(difference_low=0.5, difference_high=1.5)
    assert comparisons.gains(table).axes[0].get_title(loc="left") == "my-posts"
    assert corpora.post_lengths({"my-posts": [8, 20]}).axes[0].get_title(loc="left").startswith("my-posts: ")


def test_the_marginals_figure_frames_the_best_path() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    axes = decoding.marginals(["a", "b"], ["O", "B-PER"], probabilities, ["O", "B-PER"]).axes[0]
    assert [patch.get_xy() for patch in axes.patches] == [(0, 0), (1, 1)]
    assert {text.get_text() for text in axes.texts} == {"0.90", "0.10", "0.20", "0.80"}


def test_every_figure_stands_in_the_readme_with_its_notebook_function_and_command() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([b\d]\db?)_\w+ \| `(\w+)\.(\w+)` \| `hamner reproduce --only ([b\d]\db?)` \|$",
        (FIGURES / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    names = {name for name, *_ in rows}
    contact_sheets = {path.stem for path in FIGURES.glob("minitweets_*.png")}  # made with the corpus, by its generator
    assert names == {path.stem for path in FIGURES.glob("*.png")} - contact_sheets
    assert {(module, function) for _, _, module, function, _ in rows} == {
        (module.__name__.rsplit(".")[-1], name)
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and inspect.signature(function).return_annotation == "Figure"
        if not name.startswith("_")
    }
    for name, notebook, module, function, command in rows:
        assert callable(getattr(importlib.import_module(f"hamner.figures.{module}"), function))
        assert notebook == command
        (source,) = (FIGURES.parent / "notebooks" / "py").glob(f"{notebook}_*.py")
        text = source.read_text(encoding="utf-8")
        assert f"{module}.{function}(" in text and re.search(rf',\s*"{name}",?\s*\)', text), name


def test_every_figure_is_shown_by_its_notebook() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (FIGURES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    notebooks = FIGURES.parent / "notebooks"
    shown = {stem: (notebooks / f"{stem}.ipynb").read_text(encoding="utf-8") for _, stem in rows}
    assert len(rows) > 40
    # What a cell shows is its last value: a figure that is saved before it stays in the folder alone.
    assert [name for name, stem in rows if f'"figures/{name}.png"' not in shown[stem]] == []


@pytest.mark.parametrize(
    "package", ["hamner", "hamner.figures", "hamner.study", "hamner.playground", "hamner.reproduction"]
)
def test_importing_a_package_loads_neither_torch_nor_matplotlib(package: str) -> None:
    code = f"import sys, {package}; print({{'matplotlib', 'torch', 'torchvision'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rsplit(".")[-1])
def test_no_figure_module_reads_a_file(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    imported = [name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names]
    imported += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {getattr(function, "attr", getattr(function, "id", "")) for function in called}
    reading = {"open", "load", "load_image", "open_image", "read_text", "read_bytes", "read_csv", "read_json", "imread"}
    assert not names & reading
    assert not {"os", "io", "pathlib", "load_corpus", "project_folder"} & set(imported)


@pytest.mark.parametrize("colour", [colours.TYPE_COLOURS, style.CORPUS_COLOURS], ids=["types", "corpora"])
def test_no_two_things_share_a_colour(colour: dict[str, str]) -> None:
    assert len(set(colour.values())) == len(colour)
