"""`hamner corpora build minitweets`: what was there is replaced only by a whole corpus. The drawing itself is faked."""

from __future__ import annotations

from pathlib import Path

import pytest

from hamner.errors import HamnerError
from hamner.minitweets.commands import build

pytestmark = pytest.mark.usefixtures("generator")


def fake(folder: Path, seed: int) -> None:
    (folder / "answers.jsonl").write_text(f"seed {seed}")


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
    build("minitweets", 7, target)
    assert (target / "answers.jsonl").read_text() == "seed 7"
    assert names(target) == {"answers.jsonl", "README.md"}
    assert names(target.parent) == {"mine"}
    assert "hamner corpora check minitweets" in capsys.readouterr().out


def test_a_build_that_fails_leaves_what_was_there(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(folder: Path, seed: int) -> None:
        fake(folder, seed)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hamner.minitweets.build.build", full_disk)
    with pytest.raises(HamnerError, match=r"mine cannot be written \(No space left on device\)"):
        build("minitweets", 0, target)
    assert (target / "answers.jsonl").read_text() == "before"
    assert names(target.parent) == {"mine"}


def test_a_folder_that_is_no_minitweets_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hamner.minitweets.build.build", fake)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(HamnerError, match="holds something else"):
        build("minitweets", 0, tmp_path)
    assert names(tmp_path) == {"thesis.tex"}


@pytest.mark.parametrize("target", ["/", "file"])
def test_what_cannot_be_a_corpus_is_refused(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    with pytest.raises(HamnerError, match="cannot be a corpus"):
        build("minitweets", 0, Path(target))
    assert Path("file").read_text() == "mine"
