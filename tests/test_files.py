"""Files are read whole, written whole or not at all, and swapped in one step."""

from __future__ import annotations

import codecs
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hamner.errors import HamnerError
from hamner.files import PART, file_sha256, read_text, read_whole, swap_folders, written_whole


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in (read_whole, file_sha256):
        with pytest.raises(HamnerError, match=r"pipe: cannot be read \(not a regular file\)"):
            read(tmp_path / "pipe")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_a_link_to_a_device_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").symlink_to("/dev/zero")
    with pytest.raises(HamnerError, match="not a regular file"):
        read_text(tmp_path / "text")


@pytest.mark.parametrize("name", ["nowhere", "folder", "a\0b"])
def test_a_path_without_a_file_is_one_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(HamnerError, match=r"cannot be read .*; give the path of a readable file"):
        read_whole(tmp_path / name)


def test_a_file_of_terabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**42)
    with pytest.raises(HamnerError, match=r"sparse: cannot be read \(4,398,046,511,104 bytes, .*; give another file"):
        read_whole(tmp_path / "sparse")


def test_a_text_is_read_without_its_byte_order_mark_and_with_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(codecs.BOM_UTF8 + "é\r\n\ufeff".encode())
    assert read_text(tmp_path / "text") == "é\r\n\ufeff"


@pytest.mark.parametrize(("encoding", "line"), [("latin1", 2), ("utf-16", 1)])
def test_another_encoding_is_named_with_the_command_that_converts(encoding: str, line: int, tmp_path: Path) -> None:
    (tmp_path / "my text").write_bytes("a\né\n".encode(encoding))
    with pytest.raises(
        HamnerError, match=rf"my text:{line}: byte \d+ of the line, 0x.., is not.*iconv -f {encoding} -t"
    ):
        read_text(tmp_path / "my text")


KILLED = """
import os, signal, sys
from pathlib import Path
from hamner.files import written_whole
with written_whole(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("ready", flush=True)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def write_in_another_process(path: Path, how: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, path, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_the_next_write_removes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "text"
    with write_in_another_process(path, "killed") as process:
        assert process.wait() == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    for kept in (".text.swp", f".text.mine{PART}", f".other.abcdefgh{PART}"):
        (tmp_path / kept).touch()
    with written_whole(path) as temporary:
        temporary.write_text("whole")
    assert set(os.listdir(tmp_path)) == {"text", ".text.swp", f".text.mine{PART}", f".other.abcdefgh{PART}"}


def test_a_write_in_progress_is_not_taken_for_a_killed_one(tmp_path: Path) -> None:
    path = tmp_path / "text"
    with write_in_another_process(path, "slow") as process:
        with written_whole(path) as temporary:
            temporary.write_text("ours")
        assert path.read_text() == "ours"
        process.communicate()
        assert process.returncode == 0
    assert path.read_text() == "half"
    assert os.listdir(tmp_path) == ["text"]


def test_git_ignores_files_that_are_being_written(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    with written_whole(tmp_path / "results.csv") as temporary:
        assert re.fullmatch(rf"\.results\.csv\.\w+{re.escape(PART)}", temporary.name)
        name = f"data/results/{temporary.name}"
    ignored = subprocess.run(["git", "check-ignore", "--no-index", "--quiet", name], cwd=root, check=False)
    assert ignored.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges folders in one step")
def test_two_folders_are_swapped(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text").write_text(name)
    assert swap_folders(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one" / "text").read_text() == "other"
    assert (tmp_path / "other" / "text").read_text() == "one"


def test_folders_that_cannot_be_swapped_stay(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    assert not swap_folders(tmp_path / "one", tmp_path / "nowhere")
    assert os.listdir(tmp_path) == ["one"]
