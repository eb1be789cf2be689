from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hamner.corpora import CorpusError
from hamner.corpora.commands import app
from hamner.errors import HamnerError


def corpora(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `hamner corpora ...`, with a HamnerError shown as the command line does."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})
    if isinstance(result.exception, HamnerError):
        return 1, result.stdout, f"error: {result.exception}"
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_list_shows_each_known_corpus_and_whether_it_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAMNER_CORPORA", str(tmp_path))
    folder = tmp_path / "twitter2015"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").touch()
    status, out, _ = corpora("list")
    rows = {line.split()[0]: line for line in out.split("\n") if "│" in line}
    assert status == 0
    assert list(rows) == ["minitweets", "twitter2015", "twitter2015-original", "twitter2015-hvpnet", "twitter2017"]
    assert rows["twitter2017"].rstrip().endswith("no")
    assert "changed" in rows["twitter2015"]
    assert str(tmp_path) in out


def test_list_names_a_corpus_that_cannot_be_read_and_shows_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAMNER_CORPORA", str(tmp_path))
    for name in ("twitter2015", "twitter2017"):
        (tmp_path / name).mkdir()
        for split in ("train", "valid", "test"):
            (tmp_path / name / f"{split}.txt").touch()

    def refuse(path: Path, *_: object) -> bytes:
        if path.parent.name == "twitter2015":
            raise CorpusError(f"{path}: cannot be read (Permission denied)")
        return path.read_bytes()

    monkeypatch.setattr("hamner.corpora.commands.read_whole", refuse)
    status, out, _ = corpora("list")
    rows = {line.split()[0]: line.split()[-1] for line in out.split("\n") if "│" in line}
    assert status == 0
    assert rows == {
        "minitweets": "yes",
        "twitter2015": "unreadable",
        "twitter2015-original": "no",
        "twitter2015-hvpnet": "no",
        "twitter2017": "changed",
    }


@pytest.mark.parametrize("command", ["stats", "check"])
def test_a_named_pipe_in_place_of_a_split_ends_with_1(command: str, corpus_folder: Path) -> None:
    (corpus_folder / "train.txt").unlink()
    os.mkfifo(corpus_folder / "train.txt")
    status, _, err = corpora(command, corpus_folder)
    assert status == 1
    assert "train.txt: cannot be read (not a regular file)" in err


def test_list_does_not_wait_for_a_named_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAMNER_CORPORA", str(tmp_path))
    (tmp_path / "twitter2017").mkdir()
    for split in ("train", "valid", "test"):
        os.mkfifo(tmp_path / "twitter2017" / f"{split}.txt")
    status, out, _ = corpora("list")
    assert status == 0
    assert [line.split("│")[-1].strip() for line in out.splitlines() if line.startswith("twitter2017")] == [
        "unreadable"
    ]


def test_check_names_images_tsv_where_its_help_speaks_of_images() -> None:
    assert "images.tsv" in corpora("check", "--help")[1]


def test_check_of_ones_own_corpus_ends_with_0_and_of_a_wrong_one_with_1(corpus_folder: Path) -> None:
    status, out, _ = corpora("check", corpus_folder)
    assert status == 0
    assert "no counts of this corpus were published" in out
    (corpus_folder / "valid.txt").write_text("IMGID:4\nhello\tO\n", encoding="utf-8")
    status, out, _ = corpora("check", corpus_folder)
    assert status == 1
    assert "wrong" in out


def test_check_of_a_changed_known_corpus_is_an_error(corpus_folder: Path) -> None:
    shutil.move(corpus_folder, corpus_folder.with_name("twitter2017"))
    status, _, err = corpora("check", "twitter2017", "--from", corpus_folder.parent)
    assert status == 1
    assert err.startswith("error: ")
    assert "this is not twitter2017's file" in err


def test_a_malformed_file_ends_with_1_and_names_its_line(corpus_folder: Path) -> None:
    (corpus_folder / "valid.txt").write_text("IMGID:4\nhello O\n", encoding="utf-8")
    for command in ("check", "stats"):
        status, _, err = corpora(command, corpus_folder)
        assert status == 1
        assert f"{corpus_folder / 'valid.txt'}:2: 2 columns ('hello', 'O'), parted by blanks" in err


def test_a_misspelt_name_ends_with_1_and_the_nearest_name() -> None:
    for arguments in (("check", "twiter2017"), ("stats", "twiter2017"), ("fetch", "twiter2017")):
        status, _, err = corpora(*arguments)
        assert status == 1
        assert "did you mean twitter2017" in err


def test_wrong_usage_ends_with_2(corpus_folder: Path) -> None:
    assert corpora("check")[0] == 2
    assert corpora("fetch", "twitter2017", "--nonsense")[0] == 2
    assert corpora("stats", corpus_folder, "--json", "--csv")[0] == 2


def test_stats_are_printed_as_table_json_and_csv(corpus_folder: Path) -> None:
    status, out, _ = corpora("stats", corpus_folder)
    assert status == 0
    assert "entities, by B- tags" in out
    _, out, _ = corpora("stats", corpus_folder, "--json")
    counts = json.loads(out)[str(corpus_folder)]
    assert counts["posts"] == {"train": 2, "valid": 1, "test": 1}
    assert counts["seen_mentions"] == {"train": None, "valid": 0, "test": 1}
    _, out, _ = corpora("stats", corpus_folder, "--csv")
    lines = out.split("\n")
    assert lines[0] == "corpus,quantity,train,valid,test"
    assert f"{corpus_folder},tokens,3,1,3" in lines


def test_fetch_says_what_it_did_with_each_file(real_corpora: Path, tmp_path: Path) -> None:
    status, out, _ = corpora("fetch", "twitter2017", "--from", real_corpora, "--to", tmp_path)
    assert status == 0
    assert out.count("copied") == 3
    status, out, _ = corpora("fetch", "twitter2017", "--to", tmp_path)
    assert status == 0
    assert out.count("already there") == 3
    status, out, _ = corpora("check", "twitter2017", "--from", tmp_path)
    assert status == 0
    assert "18 of 18 published counts agree" in out


def test_fetch_of_a_bundled_corpus_has_nothing_to_do(tmp_path: Path) -> None:
    status, out, _ = corpora("fetch", "minitweets", "--to", tmp_path)
    assert status == 0
    assert "comes with the project" in out
