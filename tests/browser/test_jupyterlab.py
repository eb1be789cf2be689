"""The notebooks in a real JupyterLab, driven with a headless Chromium: `make test-browser`.

JupyterLab runs on a copy of the project, so that neither the committed notebooks nor figures/ change. Images of what
the browser showed are kept in the folder that the environment variable HAMNER_SCREENSHOTS names, if it is set.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_server.serverapp import list_running_servers
from nbformat.v4 import new_code_cell, new_notebook
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from hamner.corpora import TYPES, load_corpus
from hamner.reproduction.notebooks import METADATA

ROOT = Path(__file__).resolve().parents[2]
START, RUN = 120, 600  # seconds that JupyterLab has to start, and a notebook to run, on a busy machine

RUN_ALL = """
window.outcome = null;
(async () => {
  const panel = jupyterapp.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  await jupyterapp.commands.execute('notebook:run-all-cells');
  await jupyterapp.commands.execute('docmanager:save');
  // A broken image is told by its width below.
  await Promise.all([...panel.node.querySelectorAll('img')].map(img => img.decode().catch(() => null)));
})().then(() => { window.outcome = 'done'; }, error => { window.outcome = String(error); });
"""

CODE_CELLS = """
const complaint = ['error', 'stderr'].map(kind => `[data-mime-type="application/vnd.jupyter.${kind}"]`).join();
return jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code').map(cell => ({
  source: cell.model.sharedModel.getSource(),
  count: cell.model.executionCount,
  text: cell.outputArea.node.textContent,
  images: [...cell.outputArea.node.querySelectorAll('img')].map(img => img.naturalWidth),
  complaints: [...cell.outputArea.node.querySelectorAll(complaint)].map(output => output.textContent),
}));
"""


@dataclass(frozen=True)
class Lab:
    """A JupyterLab that is running: its address and token, and the copy of the project that it serves."""

    url: str
    token: str
    project: Path


@dataclass(frozen=True)
class Shown:
    """A notebook after Run All Cells: its code cells as the page shows them, and the file as it was saved."""

    cells: list[dict[str, Any]]
    saved: list[nbformat.NotebookNode]
    screenshots: Path

    def cell(self, source: str) -> dict[str, Any]:
        """The one code cell whose source holds this text."""
        (found,) = [cell for cell in self.cells if source in cell["source"]]
        return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    project, home = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("jupyter")
    (project / "notebooks").mkdir()
    (project / "data").symlink_to(ROOT / "data")
    shutil.copy(ROOT / "pyproject.toml", project)  # by this file hamner knows a checkout
    shutil.copytree(ROOT / "hamner", project / "hamner", ignore=shutil.ignore_patterns("__pycache__"))
    # Nobody's own settings, and no question whether to fetch Jupyter's news.
    settings = home / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    settings.joinpath("notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    folders = {f"JUPYTER_{kind}_DIR": str(home) for kind in ("CONFIG", "DATA", "RUNTIME")}
    options = ["--no-browser", "--allow-root", "--port-retries=100", "--LabApp.expose_app_in_browser=True"]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={project}"],
            env={**os.environ, **folders, "IPYTHONDIR": str(home), "PYTHONPATH": str(project)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + START
        while not (running := list(list_running_servers(str(home)))):
            if server.poll() is not None or time.monotonic() > until:
                pytest.fail(f"JupyterLab did not start:\n{(home / 'log').read_text()}")
            time.sleep(0.2)
        yield Lab(running[0]["url"], running[0]["token"], project)
    finally:
        server.terminate()  # it ends its kernels
        server.wait(timeout=60)


def run_all(chrome: Chrome, lab: Lab, notebook: Path, screenshots: Path) -> Shown:
    """Open a copy of this notebook without its outputs, run all its cells and save it."""
    document = nbformat.read(notebook, as_version=4)
    for cell in document.cells:
        if cell.cell_type == "code":  # what is seen afterwards was made now
            cell.outputs, cell.execution_count = [], None
    copy = lab.project / "notebooks" / notebook.name
    nbformat.write(document, copy)
    screenshots = Path(os.environ.get("HAMNER_SCREENSHOTS") or screenshots)
    try:
        chrome.get(f"{lab.url}lab/tree/notebooks/{copy.name}?reset&token={lab.token}")
        opened = "return Boolean(window.jupyterapp?.shell.currentWidget?.content?.widgets)"
        WebDriverWait(chrome, START).until(lambda browser: browser.execute_script(opened))
        chrome.execute_script(RUN_ALL)
        outcome = WebDriverWait(chrome, RUN, poll_frequency=1).until(lambda b: b.execute_script("return outcome"))
    except TimeoutException:
        outcome = "it did not come to its end in time"
    pages = photograph(chrome, screenshots, copy.stem)
    assert outcome == "done", f"{copy.name}: {outcome}; see {pages}"
    saved = [cell for cell in nbformat.read(copy, as_version=4).cells if cell.cell_type == "code"]
    return Shown(chrome.execute_script(CODE_CELLS), saved, pages)


def photograph(chrome: Chrome, folder: Path, name: str) -> Path:
    """Scroll through the notebook; FOLDER/NAME holds a screenshot of each page, in order."""
    folder = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    cells = "const cells = document.querySelector('.jp-WindowedPanel-outer'); const top = cells?.scrollTop;"
    further = "cells?.scrollBy(0, cells.clientHeight - 50); return cells?.scrollTop > top"
    more = chrome.execute_script(f"{cells} cells?.scrollTo(0, 0); return true")
    number = 0
    while more:
        number += 1
        time.sleep(0.5)  # a cell is laid out when it is first seen
        chrome.save_screenshot(folder / f"{number:02}.png")
        more = chrome.execute_script(cells + further)
    return folder


def problems(shown: Shown) -> list[str]:
    """What is wrong with a notebook that has run: errors, warnings, cells that did not run, images not shown."""
    found = []
    for number, (cell, saved) in enumerate(zip(shown.cells, shown.saved, strict=True), start=1):
        complaints = [text.strip().split("\n")[-1] for text in cell["complaints"]]
        complaints += [output.evalue for output in saved.outputs if output.output_type == "error"]
        complaints += [output.text for output in saved.outputs if output.get("name") == "stderr"]
        if cell["count"] != number:
            complaints.append("it did not run")
        images = [output for output in saved.outputs if "image/png" in output.get("data", {})]
        if len(cell["images"]) != len(images) or not all(width > 0 for width in cell["images"]):
            complaints.append(f"{len(images)} images, of these widths on the page: {cell['images']}")
        found += [f"code cell {number}: {complaint}" for complaint in complaints]
    return found


def assert_clean(shown: Shown) -> None:
    """Fail with all that is wrong, and the folder of the screenshots."""
    if found := problems(shown):
        pytest.fail("\n".join([*found, f"see {shown.screenshots}"]), pytrace=False)


def test_a_notebook_without_a_model_runs(chrome: Chrome, lab: Lab, tmp_path: Path) -> None:
    shown = run_all(chrome, lab, ROOT / "notebooks" / "05_crf_and_scoring.ipynb", tmp_path)
    assert_clean(shown)
    said = re.search(r"forward algorithm (\S+), brute force (\S+)", shown.cell("forward algorithm")["text"])
    assert said, shown.screenshots
    assert float(said[1]) == pytest.approx(float(said[2]), abs=1e-4)
    assert shown.cell("decoding.marginals")["images"]


def test_the_quickstart_shows_a_tagged_post(chrome: Chrome, lab: Lab, tmp_path: Path) -> None:
    shown = run_all(chrome, lab, ROOT / "notebooks" / "00_quickstart.ipynb", tmp_path)
    assert_clean(shown)
    entities = shown.cell("entity.to_dict()")["text"].split()
    assert "entity_group" in entities
    assert set(entities) & set(TYPES)
    assert set(entities) & {word for post in load_corpus("minitweets").test for word in post.words}
    (image,) = next(cell for cell in shown.cells if cell["source"] == "tagged.show()")["images"]
    assert image > 300, shown.screenshots


def test_a_notebook_of_the_build_track_runs_and_its_checks_pass(chrome: Chrome, lab: Lab, tmp_path: Path) -> None:
    shutil.copy(ROOT / "notebooks" / "b1_words_and_geometry.ipynb", lab.project / "notebooks")  # its answers are read
    shown = run_all(chrome, lab, ROOT / "notebooks" / "b2_objects_and_their_relations.ipynb", tmp_path)
    assert_clean(shown)
    for stage in ("Objects", "SemanticBlock", "SpatialBlock"):
        assert f"Right: {stage}." in shown.cell(f'right("{stage}")')["text"]


def test_the_playground_answers_in_its_panel(chrome: Chrome, lab: Lab, tmp_path: Path) -> None:
    shown = run_all(chrome, lab, ROOT / "notebooks" / "13_playground.ipynb", tmp_path)
    assert_clean(shown)
    cells = "jupyterapp.shell.currentWidget.content.widgets"
    panel = f"{cells}.map(cell => cell.node.querySelector('.widget-hbox')).find(Boolean)"
    answer = f"return {panel}.querySelector('img').src"
    before = chrome.execute_script(answer)
    chrome.execute_script(f"{panel}.querySelector('input[type=checkbox]').click()")  # rho is no longer as judged
    chrome.execute_script(f"[...{panel}.querySelectorAll('input[type=checkbox]')].at(-1).click()")  # no co-attention
    WebDriverWait(chrome, START).until(lambda browser: browser.execute_script(answer) != before)


def test_what_goes_wrong_in_a_notebook_is_seen(chrome: Chrome, lab: Lab, tmp_path: Path) -> None:
    sources = [
        "print('fine')",
        "import warnings; warnings.warn('mind the gap')",
        "from IPython.display import Image; Image(b'broken', format='png')",
        "raise ValueError('not so fine')",
        "print('never reached')",
    ]
    notebook = tmp_path / "raises.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources], metadata=METADATA), notebook)
    found = problems(run_all(chrome, lab, notebook, tmp_path))
    assert not [problem for problem in found if "cell 1" in problem]
    for number, said in ((2, "mind the gap"), (3, "[0]"), (4, "not so fine"), (5, "it did not run")):
        assert [problem for problem in found if f"cell {number}:" in problem and said in problem], found
