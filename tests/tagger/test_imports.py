from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import hamner

PACKAGE = Path(hamner.__file__).parent


def imports_of(path: Path) -> set[str]:
    """The package's modules that a module imports when it is loaded: not under TYPE_CHECKING, nor inside functions."""
    imported: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("hamner."):
            imported.add(node.module)
    return imported


def test_the_modules_of_the_package_import_each_other_in_no_circle() -> None:
    graph = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): imports_of(path)
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }
    order = list(TopologicalSorter(graph).static_order())
    assert order.index("hamner.tagger.post") < order.index("hamner.tagger.tagger")
    assert "hamner.tagger.tagger" not in graph["hamner.tagger.figure"]
    drawing = ("hamner.drawing", "hamner.tagger.figure")
    drawn_with = {name for name in graph["hamner.tagger.post"] if name.startswith(drawing)}
    assert drawn_with <= {"hamner.drawing.colours"}  # names of colours alone, no matplotlib
