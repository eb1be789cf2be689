"""`hamner corpora build minitweets`: a whole corpus replaces the old one. The drawing itself is faked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hamner.errors import HamnerError
from hamner.minitweets.commands import build

pytestmark = pytest.mark.usefixtures("generator")


def fake(folder: Path, seed: int, scale: int) -> None:
    (folder / "answers.jsonl").write_text(f"seed {seed} scale {scale}")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "answers.jsonl").write_text("before")
    (folder / "old.txt").touch()
    return folder


def test_a_corpus_takes_the_place_of_the_one_before(
    target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hamner.minitweets.build.build", fake)
    build("minitweets", 7, folder=target)
    assert (target / "answers.jsonl").read_text() == "seed 7 scale 1"
    assert names(target) == {"answers.jsonl", "README.md"}
    assert names(target.parent) - {".mine.lock"} == {"mine"}
    assert "hamner corpora check minitweets" in capsys.readouterr().out


def test_a_build_that_fails_leaves_what_was_there(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(folder: Path, seed: int, scale: int) -> None:
        fake(folder, seed, scale)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hamner.minitweets.build.build", full_disk)
    with pytest.raises(HamnerError, match=r"mine cannot be written \(No space left on device\)"):
        build("minitweets", 0, folder=target)
    assert (target / "answers.jsonl").read_text() == "before"
    assert names(target.parent) - {".mine.lock"} == {"mine"}


SLOW_BUILD = """
import sys
from pathlib import Path
import hamner.minitweets.build
import hamner.minitweets.commands as commands

folder, text, swaps = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "swaps"

def fake(folder, seed, scale):
    (folder / "answers.jsonl").write_text(text)
    print("half", flush=True)
    sys.stdin.readline()
    (folder / "train.txt").write_text(text)

def stop(*_, **__):
    print("replacing", flush=True)
    sys.stdin.readline()

hamner.minitweets.build.build = fake
if not swaps:
    commands.swap_folders = lambda one, other: False
    rename = Path.rename
    Path.rename = lambda self, to: (rename(self, to), stop() if to.name.endswith(".before") else None)
else:
    swap = commands.swap_folders
    commands.swap_folders = lambda one, other: swap(one, other) and (stop() or True)
commands.build("minitweets", 0, folder=folder)
"""


def build_slowly(target: Path, text: str, how: str = "swaps") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_BUILD, target, text, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    return process


def test_two_builds_at_once_never_mix(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with build_slowly(target, "first") as process:
        monkeypatch.setattr("hamner.minitweets.build.build", fake)
        with pytest.raises(HamnerError, match=r"another process is building .*mine; wait for it"):
            build("minitweets", 7, folder=target)
        assert (target / "answers.jsonl").read_text() == "before"
        process.communicate("\n\n")
        assert process.returncode == 0
    assert {(target / name).read_text() for name in ("answers.jsonl", "train.txt")} == {"first"}


@pytest.mark.parametrize("how", ["swaps", "renames twice"])
@pytest.mark.parametrize("kill_at", ["half", "replacing"])
def test_a_build_that_is_killed_loses_no_corpus(
    kill_at: str, how: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with build_slowly(target, "whole", how) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if kill_at == "replacing":
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "replacing\n"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    if how == "swaps" or kill_at == "half":
        text = "whole" if kill_at == "replacing" else "before"
        assert (target / "answers.jsonl").read_text() == text
        assert (target / "train.txt").exists() == (text == "whole")
    monkeypatch.setattr("hamner.minitweets.build.build", fails)
    with pytest.raises(HamnerError, match="No space left"):
        build("minitweets", 7, folder=target)
    assert (target / "answers.jsonl").read_text() in ("before", "whole")
    assert names(target.parent) - {".mine.lock"} == {"mine"}


def fails(folder: Path, seed: int, scale: int) -> None:
    raise OSError(28, os.strerror(28))


def test_a_name_too_long_for_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(HamnerError, match=r"cannot be written \(File name too long\); name another folder with --to"):
        build("minitweets", 0, folder=tmp_path / ("x" * 300))


def test_a_folder_that_is_no_minitweets_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hamner.minitweets.build.build", fake)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(HamnerError, match="holds other files than minitweets"):
        build("minitweets", 0, folder=tmp_path)
    assert names(tmp_path) == {"thesis.tex"}


@pytest.mark.parametrize("target", ["/", "file"])
def test_what_cannot_be_a_corpus_is_refused(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    with pytest.raises(HamnerError, match="cannot be a corpus"):
        build("minitweets", 0, folder=Path(target))
    assert Path("file").read_text() == "mine"


def test_a_larger_corpus_needs_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hamner.minitweets.build.build", fake)
    with pytest.raises(HamnerError, match=r"scale 4 is too large for .*minitweets: name another folder with --to"):
        build("minitweets", 0, 4)
    build("minitweets", 0, 4, tmp_path / "large")
    assert (tmp_path / "large" / "answers.jsonl").read_text() == "seed 0 scale 4"
