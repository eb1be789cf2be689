"""What is installed works elsewhere: a wheel in an empty folder, and notebook 00 where hamner was not installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from hamner.models import BUNDLED
from hamner.reproduction.notebooks import read_source

ROOT = Path(__file__).resolve().parents[1]
MB = 1_000_000

SCRIPT = """
import json
from hamner.cli import main
from hamner.corpora.registry import checkout, corpora_folder, project_folder
from hamner.corpora.report import published_counts
from hamner.study.published import numbers
from hamner.tagger import Tagger
from hamner.vision.store import FEATURES
import hamner

post = Tagger.from_pretrained("tweets")("Angela Merkel in Berlin")
print(json.dumps({
    "home": hamner.__file__,
    "version": hamner.__version__,
    "entities": [entity.text for entity in post.entities],
    "checkout": checkout() is not None,
    "corpora": str(corpora_folder()),
    "features": str(FEATURES),
    "posts": int(published_counts("twitter2017").loc["posts", "test"]),
    "published": len(numbers()),
}))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unpacked wheel; beside it lies the wheel. It is built from the tracked files alone."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files are tracked is unknown")
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "hamner", "pyproject.toml", "README.md", "LICENSE"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in map(os.fsdecode, filter(None, listed.split(b"\0"))):
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(ROOT / name, folder / "source" / name)
    build = "from setuptools.build_meta import build_wheel; build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=folder / "source", capture_output=True, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def in_an_empty_folder(unpacked: Path, folder: Path, *command: str) -> str:
    hidden = {"HAMNER_CORPORA", "HAMNER_CACHE", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"PYTHONPATH": str(unpacked), "HF_HUB_OFFLINE": "1", "HOME": str(folder / "home")}
    (folder / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, *command], cwd=folder / "empty", env=environment, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    assert not list((folder / "empty").iterdir())
    return done.stdout


def test_a_wheel_is_small_and_holds_the_models_and_the_published_numbers_and_nothing_of_a_checkout(
    unpacked: Path,
) -> None:
    (wheel,) = unpacked.parent.glob("*.whl")
    assert wheel.stat().st_size < 14 * MB
    files = {str(file.relative_to(unpacked)) for file in unpacked.rglob("*") if file.is_file()}
    parts = ("run.json", "model.safetensors", "calibration.json")
    assert files >= {f"hamner/models/{name}/{part}" for name in BUNDLED for part in parts}
    assert files >= {"hamner/models/README.md", "hamner/py.typed"}
    published = {f"hamner/published/{file.name}" for file in (ROOT / "hamner" / "published").iterdir()}
    assert published and files >= published
    assert {file.partition("/")[0].rpartition(".")[2] for file in files} == {"hamner", "dist-info"}
    assert not [file for file in files if file.endswith(".pyc")]


def test_what_a_wheel_installs_tags_in_an_empty_folder_and_keeps_its_files_in_the_users_cache(
    unpacked: Path, tmp_path: Path
) -> None:
    said = json.loads(in_an_empty_folder(unpacked, tmp_path, "-c", SCRIPT))
    assert Path(said["home"]).is_relative_to(unpacked)
    assert said["entities"] == ["Angela Merkel", "Berlin"]
    assert not said["checkout"]
    cache = [Path(said[name]) for name in ("corpora", "features")]
    assert [folder.name for folder in cache] == ["corpora", "features"]
    assert all(folder.is_relative_to(tmp_path / "home") for folder in cache) or sys.platform == "win32"
    assert (said["posts"], said["published"] > 10) == (723, True)


def test_the_command_of_a_wheel_says_its_version(unpacked: Path, tmp_path: Path) -> None:
    (metadata,) = unpacked.glob("*.dist-info")
    number = metadata.name.removesuffix(".dist-info").removeprefix("hamner-")
    assert in_an_empty_folder(unpacked, tmp_path, "-m", "hamner", "--version") == f"hamner {number}\n"


ONE_POST = """
import hamner
from pathlib import Path

post = next(post for post in corpus.test if post.image)
tagged = tagger(words=post.words, image=post.image)
print(Path(hamner.__file__).relative_to(Path.cwd()), [entity.text for entity in tagged.entities])
"""


def test_the_first_cells_of_notebook_00_bring_hamner_to_where_only_its_packages_are(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: it cannot be cloned")
    venv.create(tmp_path / "venv", symlinks=True)
    python = str(tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
    hidden = {"PYTHONPATH", "HAMNER_CORPORA", "HAMNER_CACHE"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    # The packages are here already, and so is what builds hamner. (To pip, 0 means: without isolation.)
    environment |= {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "HF_HUB_OFFLINE": "1"}

    def run(code: str) -> str:
        done = subprocess.run([python, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        return done.stdout

    # Python reads no .pth file of a folder that a .pth file names: the packages are found, this checkout is not.
    libraries = Path(run("import sysconfig; print(sysconfig.get_path('purelib'), end='')"))
    (libraries / "packages.pth").write_text(sysconfig.get_path("purelib"))
    found = (
        "from importlib.util import find_spec; print(*[find_spec(name) is not None for name in ('torch', 'hamner')])"
    )
    assert run(found) == "True False\n"

    cells = [
        cell.source
        for cell in read_source(ROOT / "notebooks" / "py" / "00_quickstart.py").cells
        if cell.cell_type == "code"
    ]
    (tagger,) = [number for number, source in enumerate(cells) if "Tagger.from_pretrained" in source]
    cells[0] = cells[0].replace('REPOSITORY = ""', f"REPOSITORY = {str(ROOT)!r}")
    said = run("\n".join([*cells[: tagger + 1], ONE_POST])).splitlines()
    assert said[0].startswith("model: minitweets, which comes with hamner")
    assert re.fullmatch(r"checkout.hamner.__init__\.py \['.+'\]", said[-1])
