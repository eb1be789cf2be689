"""The project's own files hold together."""

from __future__ import annotations

import ast
import csv
import itertools
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from rattler import MatchSpec, Version, VersionSpec

from hamner.models import BUNDLED

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
LOCKS = ["constraints.txt", "test.txt", "installer.txt", "base.txt", "site.txt"]
EXTRAS = PROJECT["optional-dependencies"]
"""The extras that constraints.txt holds: what `make install` brings. Others are for whoever asks for them."""


def locked(name: str) -> list[tuple[Requirement, list[str]]]:
    """(requirement, its hashes) of each entry of a lock file. An option, such as an index, raises."""
    lines = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    entries = [re.split(r"\s+--hash=", line) for line in lines if line and not line.startswith("#")]
    return [(Requirement(requirement), hashes) for requirement, *hashes in entries]


def versions(name: str) -> dict[str, list[str]]:
    """Locked versions by package name, one for each environment marker."""
    by_name: dict[str, list[str]] = {}
    for requirement, _ in locked(name):
        by_name.setdefault(requirement.name, []).append(str(requirement.specifier).removeprefix("=="))
    return by_name


@pytest.mark.parametrize("name", LOCKS)
def test_each_locked_package_has_one_exact_version_and_sha256_hashes(name: str):
    entries = locked(name)
    assert entries
    for requirement, hashes in entries:
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert not requirement.extras, requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value.strip()) for value in hashes), requirement


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_names_the_place_it_was_made_from(name: str):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=)", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("constraints.txt", [PROJECT["dependencies"], EXTRAS["notebooks"], EXTRAS["minitweets"]]),
        ("test.txt", [EXTRAS["test"], EXTRAS["browser"]]),
        ("base.txt", [EXTRAS["base"]]),
        ("site.txt", [EXTRAS["site"]]),
        ("installer.txt", [PYPROJECT["dependency-groups"]["installer"], PYPROJECT["build-system"]["requires"]]),
    ],
)
def test_each_direct_dependency_is_locked_within_its_range(name: str, lines: list[list[str]]):
    by_name = versions(name)
    for requirement in map(Requirement, itertools.chain(*lines)):
        assert requirement.name in by_name, f"{requirement} is not in {name}: run `make lock`"
        assert all(version in requirement.specifier for version in by_name[requirement.name]), requirement


@pytest.mark.parametrize(
    ("main", "name", "both_have"),
    [
        ("constraints.txt", "installer.txt", "setuptools"),
        ("constraints.txt", "test.txt", "pyyaml"),
        ("constraints.txt", "site.txt", "nbclient"),
        ("test.txt", "site.txt", "pyyaml"),
    ],
)
def test_locks_agree_on_the_packages_they_share(main: str, name: str, both_have: str):
    constraints, other = versions(main), versions(name)
    shared = constraints.keys() & other.keys()
    assert both_have in shared
    assert {name: constraints[name] for name in shared} == {name: other[name] for name in shared}


@pytest.mark.parametrize("python", ["3.11.2", "3.11.9", "3.12.1", "3.13.0"])
def test_each_package_is_locked_once_for_each_python_on_linux_macos_and_windows(python: str):
    for system, os_name in [("linux", "posix"), ("darwin", "posix"), ("win32", "nt")]:
        environment = {
            "python_full_version": python,
            "python_version": python[:4],
            "sys_platform": system,
            "os_name": os_name,
        }
        chosen = [
            requirement.name
            for requirement, _ in locked("constraints.txt")
            if requirement.marker is None or requirement.marker.evaluate(environment)
        ]
        assert len(chosen) == len(set(chosen)), system
        assert ("nvidia-cublas" in chosen) == (system == "linux")
        assert ("colorama" in chosen) == (system == "win32")
        direct = {Requirement(line).name for line in PROJECT["dependencies"]}
        assert direct <= set(chosen), system


def calls_of_post_build(tmp_path: Path, *arguments: str, torch: str = "cuda", system: str = "Linux") -> list[list[str]]:
    """The words with which postBuild calls Python, and a copy of the last lock, `lock`."""
    log = tmp_path / "calls"
    copy = f'while [ $# -gt 0 ]; do if [ "$1" = --requirement ]; then cp "$2" "{tmp_path}/lock"; fi; shift; done'
    commands = {"python": f'echo "$@" >> "{log}"; {copy}', "uname": f"echo {system}"}
    for name, command in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{command}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "TORCH": torch}
    subprocess.run([ROOT / "postBuild", *arguments], env=environment, check=True)
    return [line.split() for line in log.read_text().splitlines()]


def test_every_package_but_the_project_itself_is_installed_by_hash_and_as_a_wheel(tmp_path: Path):
    *packages, project = calls_of_post_build(tmp_path)
    assert [call[call.index("--requirement") + 1] for call in packages] == ["installer.txt", "constraints.txt"]
    for call in packages:
        assert "--require-hashes" in call
        assert call[call.index("--only-binary") + 1] == ":all:"
        assert call.count("--no-binary") == 0 or call[call.index("--no-binary") + 1] == "seqeval"
    assert {"--no-deps", "--no-build-isolation"} <= set(project)
    assert project[-2:] == ["--editable", "."]


def test_torch_without_cuda_leaves_the_cuda_libraries_out_and_nothing_that_its_cpu_build_needs(tmp_path: Path):
    _, rest, torch, project = calls_of_post_build(tmp_path, torch="cpu")
    assert {"--require-hashes", "--no-deps"} <= set(rest)
    left, all_of_them = versions(str(tmp_path / "lock")), versions("constraints.txt")
    of_cuda = {name for name in all_of_them if re.match(r"(nvidia|cuda)-", name)} | {"triton"}
    assert len(of_cuda) > 10
    assert all_of_them.keys() - left.keys() == of_cuda | {"torch", "torchvision"}
    assert torch[torch.index("--torch-backend") + 1] == "cpu"
    assert torch[-2:] == [f"{name}=={all_of_them[name][0]}" for name in ("torch", "torchvision")]
    assert project[-2:] == ["--editable", "."]


def test_where_no_cuda_libraries_exist_torch_comes_with_the_others(tmp_path: Path):
    calls = calls_of_post_build(tmp_path, torch="cpu", system="Darwin")
    assert [call[-1] for call in calls[:2]] == ["installer.txt", "constraints.txt"]


def test_an_unknown_build_of_torch_is_refused_before_anything_is_installed(tmp_path: Path):
    with pytest.raises(subprocess.CalledProcessError):
        calls_of_post_build(tmp_path, torch="gpu")
    assert not (tmp_path / "calls").exists()


def test_the_weights_of_base_size_are_installed_alone_by_hash_and_without_what_they_name(tmp_path: Path):
    assert list(versions("base.txt")) == [Requirement(line).name for line in EXTRAS["base"]]
    (call,) = calls_of_post_build(tmp_path, "base.txt")
    assert call[call.index("--requirement") + 1] == "base.txt"
    assert call[call.index("--only-binary") + 1] == ":all:"
    assert {"--no-deps", "--require-hashes"} <= set(call)


@pytest.mark.parametrize("name", ["Makefile", ".ci/run"])
def test_nothing_is_installed_past_the_locks(name: str):
    assert not re.search(r"\bpip (install|download|wheel)|\buv (sync|run|tool|add)", (ROOT / name).read_text())


def test_the_conda_environment_has_nothing_that_the_locks_do_not_pin():
    by_name = versions("constraints.txt") | {"python": ["3.11.9"]} | versions("installer.txt")
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    names = {}
    for line in lines:
        spec = MatchSpec(line)  # a mapping, conda's list for pip, is refused: pip would not verify its downloads
        (version,) = by_name[spec.name.normalized]
        assert VersionSpec(spec.version or "*").matches(Version(version)), line
        names[spec.name.normalized] = spec.version
    assert names["python"] == "3.11.*"
    assert "pip" in names


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff", "pyproject.toml", "hamner/__init__.py"])
def test_the_project_has(name):
    assert (ROOT / name).stat().st_size > 0


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_points_to_is_there(page: Path):
    for target in re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", page.read_text()):
        if not (name := "".join(target)).startswith("http"):
            assert (page.parent / name).exists(), name


def test_the_readme_is_short_and_links_each_page_once():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.partition("## Licence")[0].split()) <= 900
    for page in PAGES[1:]:
        assert readme.count(f"(docs/{page.name})") == 1, page.name


def test_the_readmes_results_are_those_of_the_table():
    lines = csv.DictReader((ROOT / "data" / "tables" / "results.csv").read_text().splitlines())
    results = {(line["corpus"], line["row"]): line for line in lines if line["protocol"] == "seqeval"}
    rows = re.findall(
        r"^\| (\w+) \| (\w+) \| (\d+) \| ([\d.]+(?: ± [\d.]+)?) \|$", (ROOT / "README.md").read_text(), re.M
    )
    assert len(rows) == 6
    for corpus, row, seeds, f1 in rows:
        line = results[corpus, row]
        spread = f" ± {100 * float(line['f1_sd']):.2f}" if line["f1_sd"] else ""  # one seed has none
        assert (seeds, f1) == (line["seeds"], f"{100 * float(line['f1']):.2f}{spread}")


def test_the_results_count_the_runs_that_had_not_converged():
    page = (ROOT / "docs" / "RESULTS.md").read_text()
    records = [json.loads(file.read_text()) for file in ROOT.glob("data/runs/minitweets-*/run.json")]
    late = sum(not record["converged"] for record in records)
    assert f"{late} of {len(records)} runs had not converged" in page


def test_what_the_results_say_of_minitweets_is_what_was_measured():
    page = (ROOT / "docs" / "RESULTS.md").read_text()
    run = ROOT / "data" / "runs" / "minitweets-full-minilm-efficientnet-lite0-seed1"
    best = max(epoch["valid_f1"] for epoch in json.loads((run / "run.json").read_text())["history"])
    tried = list(csv.DictReader((ROOT / "data" / "measured" / "tuning.csv").read_text().splitlines()))
    assert [line["valid_f1"] for line in tried if "--set" not in line["command"]] == [f"{100 * best:.3f}"]
    for line in tried:
        assert f"{float(line['valid_f1']):.1f} after at most {line['epochs']}" in page
    lines = list(csv.DictReader((ROOT / "data" / "tables" / "minitweets.csv").read_text().splitlines()))
    reached = {line["cue"]: float(line["mean"]) / float(line["learned"]) for line in lines if line["row"] == "full"}
    needing = set(reached) - {"text", "unrelated"}
    assert {cue for cue in needing if reached[cue] >= 0.95} == needing - {"odd"}
    assert round(reached["odd"], 2) == 0.85
    accuracy = {(row["row"], row["cue"]): 100 * float(row["mean"]) for row in lines if row["mean"]}
    assert [round(accuracy[row, "unrelated"]) for row in ("full", "text_only")] == [86, 91]

    def lost(row: str) -> dict[str, int]:
        return {cue: round(accuracy["full", cue] - accuracy[row, cue]) for cue in reached}

    without = {row: lost(row) for row in ("no_spatial", "no_coattention", "no_semantic")}
    assert {cue: without["no_spatial"][cue] for cue in ("position", "described", "other", "odd")} == {
        "position": 36, "described": 15, "other": 14, "odd": 12,
    }  # fmt: skip
    assert {cue for cue, points in without["no_coattention"].items() if points >= 8} == {"odd"}
    assert without["no_coattention"]["odd"] == 8
    assert {cue: points for cue, points in without["no_semantic"].items() if points > 0} == {"unrelated": 5}
    added = {
        (line["part"], line["cue"]): round(100 * float(line["gain"]))
        for line in csv.DictReader((ROOT / "data" / "tables" / "build_up.csv").read_text().splitlines())
        if line["way"] == "build-up" and line["gain"]
    }
    stated = {
        ("semantic", "unrelated"): 15, ("semantic", "described"): 14, ("semantic", "odd"): 13,
        ("spatial", "position"): 34, ("relevance", "unrelated"): 50, ("integration", "level"): 12,
        ("iteration", "other"): 28, ("iteration", "odd"): 21, ("coattention", "odd"): 8,
    }  # fmt: skip
    assert {step: added[step] for step in stated} == stated
    assert max(points for (part, _), points in added.items() if part == "coattention") == 8
    results = json.loads((run / "lesions.json").read_text())["results"]
    intact = results["intact"]["by_cue"]
    costs = {
        lesion: {cue: 100 * (intact[cue] - of_lesion["by_cue"][cue]) for cue in needing | {"unrelated"}}
        for lesion, of_lesion in results.items()
    }
    most = {lesion: sorted(of_cue, key=of_cue.get)[::-1] for lesion, of_cue in costs.items()}
    for lesion, cues in {
        "spatial_identity": ["position", "odd"],
        "rho_one": ["unrelated"],
        "iteration_identity": ["odd"],
        "coattention_identity": ["odd"],
    }.items():
        assert most[lesion][: len(cues)] == cues and costs[lesion][cues[-1]] > 40
    assert most["beta_other"][0] == "level" and costs["beta_other"]["level"] == pytest.approx(12.5)
    assert most["regions_identity"][0] == "odd" and round(costs["regions_identity"]["odd"]) == 69
    assert round(costs["absolute_geometry_zero"]["odd"]) == 55
    text = 100 * (intact["text"] - results["local_text_zero"]["by_cue"]["text"])
    assert sum(points > 40 for points in (*costs["local_text_zero"].values(), text)) == 6
    for lesion in ("semantic_identity", "relative_geometry_zero"):
        assert max(costs[lesion].values()) < 6


def test_what_the_results_say_of_peers_is_what_was_measured():
    lines = csv.DictReader((ROOT / "data" / "tables" / "comparison.csv").read_text().splitlines())
    rows = {line["name"]: line for line in lines if line["seeds"] != "0"}
    peers = [line for line in rows.values() if line["kind"] == "peer"]
    assert {"adacan", "concatenation", "umt", "maf", "visual_prefix", "cnn_bilstm_crf"} == {
        line["name"] for line in peers
    }
    seeing = [line for line in peers if line["source"]]
    cues = ("scene", "object", "odd", "majority", "position", "described", "other", "level")
    margins = {
        (line["name"], cue): 100 * (float(rows["full"][cue]) - float(line[cue])) for line in peers for cue in cues
    }
    assert round(margins.pop(("visual_prefix", "majority"))) == 3
    assert 13 <= min(margins.values()) < 14
    unrelated = {line["name"]: round(100 * float(line["unrelated"])) for line in (*seeing, rows["text_only"])}
    assert (unrelated.pop("maf"), unrelated.pop("text_only"), max(unrelated.values())) == (76, 91, 55)


def test_what_the_page_says_of_real_pictures_is_what_was_measured():
    page = " ".join((ROOT / "docs" / "USE.md").read_text().split())
    lines = csv.DictReader((ROOT / "data" / "measured" / "pictures.csv").read_text().splitlines())
    (line,) = [line for line in lines if line["pictures"] == "unlabelled"]
    assert line["with_objects"] == line["count"]
    assert f"Of {line['count']} pictures of tweets it finds something in all, {line['objects']} objects" in page
    assert f"in {line['focus_seconds']} CPU seconds a picture" in page
    assert f"words in {line['with_words']} of those {line['count']} pictures, in {line['ocr_seconds']} CPU" in page


def test_the_readme_tags_with_models_that_come_along_or_runs_that_it_trained_where_no_record_is_committed():
    readme = (ROOT / "README.md").read_text()
    used = set(re.findall(r"hamner tag [^\n]*(?:\\\n[^\n]*)?--run (\S+)", readme))
    assert used
    assert used <= {*BUNDLED, *re.findall(r"hamner train [^\n]*--run (\S+)", readme)}
    assert not [folder for folder in used if (ROOT / folder).is_relative_to(ROOT / "data" / "runs")]


def rooms_that_each_room_may_use() -> dict[str, set[str]]:
    """No import runs upwards: corpora and the model stand on the ground, and neither knows the other."""
    ground = {"errors", "escape", "terminal", "files", "devices", "images", "settings", "encoders", "extensions"}
    may = {"escape": set(), "errors": {"escape"}, "terminal": {"escape"}}
    may |= {"files": {"errors"}, "devices": {"errors"}, "settings": {"errors"}, "extensions": {"errors", "files"}}
    may |= {
        "image_metadata": set(),
        "images": {"errors", "files", "image_metadata"},
        "split_archives": {"errors", "files", "terminal"},
        "encoders": {"errors", "files", "devices", "split_archives"},
        "models": {"errors", "files", "terminal"},
        "corpora": ground,
        "model": ground,
        "peers": ground | {"model"},
    }
    may |= dict.fromkeys(("vision", "evaluation", "drawing"), ground | {"corpora"})
    may["exercises"] = ground | {"corpora", "model"}
    may["minitweets"] = may["drawing"] | {"drawing"}
    may["training"] = ground | {"corpora", "model", "vision", "evaluation"}
    may["tagger"] = may["training"] | {"training", "drawing", "models"}
    may["study"] = may["tagger"] | {"tagger", "minitweets"}
    may["figures"] = may["study"] | {"study"}
    may["playground"] = may["figures"] | {"figures"}
    may["reproduction"] = may["figures"] | {"figures"}
    may["__init__"] = may["cli"] = may["reproduction"] | {"reproduction"}
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
