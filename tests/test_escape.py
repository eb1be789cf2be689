from __future__ import annotations

import ast
import copy
import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

import hamner
from hamner.cli import main
from hamner.corpora.post import CorpusError
from hamner.errors import HamnerError
from hamner.escape import LONGEST, UNSEEN, figure_text, markdown, one_line, shortened, visible
from hamner.study.tables import markdown_table
from hamner.terminal import SafeConsole, echo, echo_json

STEERING = "a\x1b]52;c;cm0gLXJm\x1b\\b\x9b31m\u202ec\x07\r\ud800"


def test_what_could_steer_a_terminal_is_shown_as_an_escape() -> None:
    assert visible(STEERING) == r"a\x1b]52;c;cm0gLXJm\x1b\b\x9b31m\u202ec\x07\r\ud800"


def test_emoji_letters_and_line_ends_stay_as_they_are() -> None:
    text = "Zoë 東京 👨\u200d👩\u200d👧 ❤\ufe0f\n\ta"
    assert visible(text) == text


@given(st.text())
def test_no_text_keeps_a_steering_character_and_escaping_twice_changes_nothing(text: str) -> None:
    for escape in (visible, one_line, figure_text):
        assert not UNSEEN.search(escape(text))
        assert escape(escape(text)) == escape(text)
    assert not set("\n\t") & set(one_line(text))


@given(st.text(max_size=50), st.integers(60, 80))
def test_a_shortened_text_is_never_longer_than_it_may_be(text: str, longest: int) -> None:
    assert shortened(text, longest) == text
    assert len(shortened(text + "x" * 2000, longest)) == longest


def test_an_error_message_is_one_short_line_that_keeps_place_and_remedy() -> None:
    message = str(CorpusError(f"x.txt:1: IMGID {'/' * 1_000_000} is a path\x1b[31m\n; name one image file"))
    assert len(message) == LONGEST
    assert message.startswith("x.txt:1: IMGID ///")
    assert message.endswith(r"is a path\x1b[31m\n; name one image file")
    assert " [... 1,000,056 characters in all ...] " in message


def test_markdown_in_a_cell_is_no_markup() -> None:
    assert markdown("a|b\nc [x](http://y) <b> *i* `c` $m$ &lt; _u_ \\") == (
        r"a\|b c \[x\](http://y) \<b\> \*i\* \`c\` \$m\$ \&lt; \_u\_ " + "\\\\"
    )
    assert markdown("text_only, AT&T, twitter2015-original") == "text_only, AT&T, twitter2015-original"


def test_a_name_cannot_add_columns_or_lines_to_a_markdown_table() -> None:
    table = markdown_table(["run"], ["F1"], [["a|b\n| c |", "1.00"]])
    assert table == "| run | F1 |\n| --- | ---: |\n| a\\|b \\| c \\| | 1.00 |\n"


def test_a_console_shows_markup_emoji_codes_and_escapes_as_they_are_written(capsys: pytest.CaptureFixture) -> None:
    table = Table(title="t [bold]\x1b[2J")
    table.add_column("\x1b[1mhead")
    table.add_row("[red]:smile:\x1b[31m")
    table.add_row(Text("ready \x1b[32m\u202e"))
    console = SafeConsole(width=60)
    console.print(table)
    console.print("[link=x]line\x9b")
    output = capsys.readouterr().out
    assert not UNSEEN.search(output)
    for part in (
        r"[bold]\x1b[2J",
        r"\x1b[1mhead",
        r"[red]:smile:\x1b[31m",
        r"ready \x1b[32m\u202e",
        r"[link=x]line\x9b",
    ):
        assert part in output


def test_echo_and_json_print_no_control_character(capsys: pytest.CaptureFixture) -> None:
    echo(STEERING)
    echo_json({"text": STEERING})
    echo(STEERING, error=True)
    output = capsys.readouterr()
    assert not UNSEEN.search(output.out + output.err)
    assert r"\u202e" in output.err


DOORS = ("print", "Console", "typer.echo", "typer.secho", "pprint")
METHODS = ("stdout.write", "stderr.write", "Markdown", "HTML")
ESCAPED = ("playground/controls.py", "widgets.HTML")
"""The one call outside terminal.py that shows HTML; a test of the playground asks what it escapes."""


def test_every_line_that_the_package_prints_goes_through_echo_or_the_safe_console() -> None:
    package = Path(hamner.__file__).parent
    calls = [
        f"{path.relative_to(package)}:{node.lineno}: {name}"
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ((name := ast.unparse(node.func)) in DOORS or name.endswith(METHODS))
        and path.name != "terminal.py"
        and (str(path.relative_to(package)), name) != ESCAPED
    ]
    assert calls == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("command", ["stats", "check", "stats --json", "stats --csv", "absent"])
def test_an_output_in_another_encoding_gets_escapes_and_no_traceback(
    encoding: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tweets 😂"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text(f"IMGID:{split}\nKelso\tB-PER\n", encoding="utf-8")
    if command == "absent":
        folder, command = folder / "absent 😂", "stats"
    written = outputs(["corpora", *command.split(), str(folder)], encoding, monkeypatch)
    assert ("😂" in written) == (encoding == "utf-8" and "--json" not in command)
    assert (r"\ud83d\ude02" in written) == ("--json" in command)
    assert (r"\U0001f602" in written) == (encoding != "utf-8" and "--json" not in command)


@pytest.mark.parametrize("command", ["", "tag", "corpora", "evaluate", "calibrate", "train"])
def test_help_is_printed_in_every_encoding(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Usage:" in outputs([*command.split(), "--help"], "ascii", monkeypatch)


def outputs(arguments: list[str], encoding: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `hamner` writes to standard output and error in this encoding."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "argv", ["hamner", *arguments])
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    with pytest.raises(SystemExit):
        main()
    for stream in streams:
        stream.flush()
    return "".join(stream.buffer.getvalue().decode(encoding) for stream in streams)


def test_a_copied_error_has_the_same_message() -> None:
    assert str(copy.copy(HamnerError("a\x1b"))) == r"a\x1b"
