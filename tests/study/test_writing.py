from __future__ import annotations

import ast
from pathlib import Path

import pandas as pd
import pytest

import hamner.study
from hamner.errors import HamnerError
from hamner.study.tables import write_files


def test_a_table_and_a_page_are_written_as_they_are_committed(tmp_path):
    table = pd.DataFrame({"row": ["full", "a,b"], "f1": [1 / 3, 2], "seeds": [1, 2]})
    paths = write_files({"x.csv": table, "x.md": "| é |\n"}, tmp_path / "new")
    assert paths == [tmp_path / "new" / "x.csv", tmp_path / "new" / "x.md"]
    assert paths[0].read_bytes() == b'row,f1,seeds\nfull,0.333333,1\n"a,b",2.000000,2\n'
    assert paths[1].read_bytes() == "| é |\n".encode()
    write_files({"x.csv": table}, tmp_path, decimals=4)
    assert "full,0.3333,1\n" in (tmp_path / "x.csv").read_text()


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    (tmp_path / "x.md").mkdir()
    with pytest.raises(HamnerError, match=r"x\.md cannot be written"):
        write_files({"x.md": "new"}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.md"]


def test_every_table_of_the_study_is_written_by_one_function():
    writing = {
        (path.name, node.name)
        for path in Path(hamner.study.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        for call in ast.walk(node)
        if isinstance(call, ast.Attribute) and call.attr in ("to_csv", "write_text")
    }
    assert writing == {("tables.py", "write_files")}
