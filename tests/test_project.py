"""The project's own files hold together."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from rattler import MatchSpec

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"torch": "pytorch"}


def requirements(*extras: str) -> dict[str, Requirement]:
    lines = PROJECT["dependencies"] + [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def environment() -> tuple[list[str], list[str]]:
    """(conda lines, pip lines) of environment.yml."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (by_pip,) = [entry["pip"] for entry in listed if isinstance(entry, dict)]
    return [entry for entry in listed if isinstance(entry, str)], by_pip


def test_each_conda_line_is_a_match_spec():
    for line in environment()[0]:
        assert MatchSpec(line).name is not None


def test_the_environment_has_the_ranges_of_the_project():
    conda, by_pip = environment()
    wanted = requirements("notebooks")
    found = {}
    for line in conda:
        name, ranges = re.fullmatch(r"([a-z0-9-]+)(.*)", line).groups()
        found[name] = ranges
    for line in by_pip:
        if not line.startswith("--"):
            found[Requirement(line).name] = str(Requirement(line).specifier)
    assert found.pop("python") == "=3.11"
    assert found.pop("pip") == ""
    expected = {CONDA_NAMES.get(name, name): requirement.specifier for name, requirement in wanted.items()}
    assert found.keys() == expected.keys()
    for name, specifier in expected.items():
        assert set(found[name].split(",")) == set(str(specifier).split(",")), name


def test_constraints_are_exact_and_within_the_ranges():
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pinned[name] = version
    for name, requirement in requirements("notebooks", "minitweets", "test", "browser").items():
        assert pinned[name] in requirement.specifier, name


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff", "pyproject.toml", "hamner/__init__.py"])
def test_the_project_has(name):
    assert (ROOT / name).stat().st_size > 0


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]


def test_every_file_that_the_readme_points_to_is_there():
    readme = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_the_readme_tags_with_runs_that_it_trained_where_no_record_is_committed():
    readme = (ROOT / "README.md").read_text()
    used = set(re.findall(r"hamner tag [^\n]*(?:\\\n[^\n]*)?--run (\S+)", readme))
    assert used
    assert used <= set(re.findall(r"hamner train [^\n]*--run (\S+)", readme))
    assert not [folder for folder in used if (ROOT / folder).is_relative_to(ROOT / "data" / "runs")]


def rooms_that_each_room_may_use() -> dict[str, set[str]]:
    """No import runs upwards: corpora and the model stand on the ground, and neither knows the other."""
    ground = {"errors", "files", "devices", "images", "settings"}
    may = {"errors": set(), "files": {"errors"}, "devices": {"errors"}, "settings": {"errors"}}
    may |= {"images": {"errors", "files"}, "corpora": ground, "model": ground}
    may |= dict.fromkeys(("vision", "evaluation", "drawing"), ground | {"corpora"})
    may["minitweets"] = may["drawing"] | {"drawing"}
    may["training"] = ground | {"corpora", "model", "vision", "evaluation"}
    may["tagger"] = may["training"] | {"training", "drawing"}
    may["study"] = may["tagger"] | {"tagger", "minitweets"}
    may["__init__"] = may["cli"] = may["study"] | {"study"}
    return may | {"__main__": {"cli"}}


def imported_rooms(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "hamner":
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hamner."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("hamner.")}
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "hamner").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_imports_from_a_room_above_its_own(path: Path):
    room = path.relative_to(ROOT / "hamner").parts[0].removesuffix(".py")
    assert imported_rooms(path.read_text(encoding="utf-8")) - {room} <= rooms_that_each_room_may_use()[room]
