from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pytest

import hamner
from hamner.terminal import progress_bar


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel.kernelapp", raising=False)


def test_a_bar_says_on_a_terminal_what_it_counts(no_kernel, monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    assert list(progress_bar([1, 2], counts="posts \x1b[2J tagged", unit="post", file=screen)) == [1, 2]
    assert "posts \\x1b[2J tagged: 100%" in screen.getvalue()
    assert "2/2" in screen.getvalue()


def test_a_bar_is_silent_where_nobody_watches_or_none_is_wanted(no_kernel, monkeypatch):
    file, screen = io.StringIO(), Screen()
    monkeypatch.setattr(sys, "stderr", file)
    assert list(progress_bar([1, 2], counts="posts", unit="post", file=file)) == [1, 2]
    monkeypatch.setattr(sys, "stderr", screen)
    assert list(progress_bar([1, 2], counts="posts", unit="post", shown=False, file=screen)) == [1, 2]
    assert file.getvalue() == screen.getvalue() == ""


@pytest.mark.parametrize("runs", [True, False])
def test_a_notebooks_kernel_shows_bars_and_a_process_that_only_imported_ipykernel_does_not(monkeypatch, runs):
    from ipykernel.kernelapp import IPKernelApp

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(IPKernelApp, "initialized", lambda: runs)
    assert progress_bar([1], counts="posts", unit="post", file=io.StringIO()).disable is not runs


def test_every_bar_of_the_package_is_made_in_one_place():
    package = Path(hamner.__file__).parent
    importing = {
        path.name
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tqdm")
    }
    assert importing == {"terminal.py"}
