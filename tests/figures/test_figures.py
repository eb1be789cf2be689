from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from hamner.corpora import project_folder
from hamner.drawing import style
from hamner.figures import architecture, attention_maps, comparisons, stages, text_side

FIGURES = project_folder() / "figures"
MODULES = (
    architecture,
    attention_maps,
    comparisons,
    stages,
    text_side,
)


def some_figure() -> Figure:
    return text_side.post_lengths({"twitter2017": [8, 20, 20, 31]})


def test_a_figure_saved_twice_is_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        style.save(some_figure(), "lengths", tmp_path / folder)
    for form in ("png", "svg"):
        one, two = ((tmp_path / folder / f"lengths.{form}").read_bytes() for folder in ("one", "two"))
        assert one == two


def test_a_saved_figure_tells_neither_date_nor_program(tmp_path: Path) -> None:
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


def test_a_notebook_shows_a_saved_figure_at_half_its_pixels(tmp_path: Path) -> None:
    data, metadata = style.save(some_figure(), "lengths", tmp_path)._repr_png_()
    assert data == (tmp_path / "lengths.png").read_bytes()
    assert metadata["width"] == 560  # 5.6 inches at 200 pixels an inch


def test_the_marginals_figure_frames_the_best_path() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    axes = text_side.marginals(["a", "b"], ["O", "B-PER"], probabilities, ["O", "B-PER"]).axes[0]
    assert [patch.get_xy() for patch in axes.patches] == [(0, 0), (1, 1)]
    assert {text.get_text() for text in axes.texts} == {"0.90", "0.10", "0.20", "0.80"}


def test_every_figure_stands_in_the_readme_with_its_notebook_function_and_command() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\d\d)_\w+ \| `(\w+)\.(\w+)` \| `hamner reproduce --only (\d\d)` \| .+\. \|$",
        (FIGURES / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    names = {name for name, *_ in rows}
    assert names == {path.stem for path in FIGURES.glob("*.svg")}
    contact_sheets = {path.stem for path in FIGURES.glob("minitweets_*.png")}  # made with the corpus, by its generator
    assert names == {path.stem for path in FIGURES.glob("*.png")} - contact_sheets
    assert {(module, function) for _, _, module, function, _ in rows} == {
        (module.__name__.rsplit(".")[-1], name)
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and inspect.signature(function).return_annotation == "Figure"
    }
    for name, notebook, module, function, command in rows:
        assert callable(getattr(importlib.import_module(f"hamner.figures.{module}"), function))
        assert notebook == command
        (source,) = (FIGURES.parent / "notebooks" / "py").glob(f"{notebook}_*.py")
        text = source.read_text(encoding="utf-8")
        assert f"{module}.{function}(" in text and f', "{name}")' in text, name


def test_importing_hamner_does_not_load_matplotlib() -> None:
    code = "import sys, hamner; sys.exit('matplotlib' in sys.modules or 'torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("colour", [style.TYPE_COLOURS, style.CORPUS_COLOURS], ids=["types", "corpora"])
def test_no_two_things_share_a_colour(colour: dict[str, str]) -> None:
    assert len(set(colour.values())) == len(colour)
