from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from hamner.cli import app
from hamner.corpora import load_corpus
from hamner.errors import HamnerError
from hamner.tagger import Tagger
from hamner.tagger.commands import tag
from hamner.training import Run
from hamner.training.runs import write_json
from hamner.vision.extractor import ImageExtractor

TEXT = "Kelso (left) meets [red]Orva[/red] 👨\u200d👩\u200d👧 in Tallin"


@pytest.fixture(scope="module")
def run(make_run) -> Run:
    return make_run()


@pytest.fixture
def command(extractor: ImageExtractor, monkeypatch: pytest.MonkeyPatch) -> Typer:
    """`hamner tag`, with images seen by the tiny backbone."""
    monkeypatch.setattr(ImageExtractor, "load", lambda *settings: extractor)
    app = Typer()
    app.command()(tag)
    return app


def test_a_table_of_entities_and_the_relevance_are_printed(command: Typer, run: Run, photo: Path) -> None:
    result = CliRunner().invoke(command, [TEXT, "--image", str(photo), "--run", str(run.folder)])
    assert result.exit_code == 0, result.output
    post = Tagger(run)(TEXT, photo)
    assert post.entities
    for entity in post.entities:
        assert f"{entity.score:.2f}" in result.output
        assert f"{entity.start}-{entity.end}" in result.output
        assert f"{entity.text}: looked most at {entity.evidence.looked_at[0]}, " in result.output
        if entity.evidence.rests_on[1] >= 0.005:
            name, drop = entity.evidence.rests_on
            assert f"without {name} its score falls by {drop:.2f}" in result.output
    assert f"relevance of the image {post.relevance:.2f}; of its grains: global " in result.output
    assert any(entity.evidence.rests_on[1] >= 0.005 for entity in post.entities)
    assert "not calibrated: run `hamner calibrate`" in result.output


def test_a_run_is_calibrated_on_its_own_corpus_by_one_command(make_run, tmp_path: Path) -> None:
    run = make_run(objects=None)
    words = TEXT.split()
    tags = Tagger(run)(words).tags
    post = "IMGID:1\n" + "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True)) + "\n"
    for split in ("train", "valid", "test"):
        (tmp_path / "tiny").mkdir(exist_ok=True)
        (tmp_path / "tiny" / f"{split}.txt").write_text(post.replace("IMGID:1", f"IMGID:{split}"))
    corpus = load_corpus("tiny", tmp_path)
    write_json(run.record | {"corpus": {"name": "tiny", "sha256": corpus.sha256}}, run.folder / "run.json")
    result = CliRunner().invoke(app, ["calibrate", str(run.folder), "--from", str(tmp_path)])
    assert result.exit_code == 0, result.output
    tagger = Tagger.from_pretrained(run.folder)
    assert f"calibration.json: temperature {tagger.temperature:.2f}" in result.output
    assert "not calibrated" not in CliRunner().invoke(app, ["tag", TEXT, "--run", str(run.folder)]).output


def test_json_holds_what_the_post_does(command: Typer, run: Run) -> None:
    result = CliRunner().invoke(command, [TEXT, "--run", str(run.folder), "--json"])
    assert json.loads(result.stdout) == json.loads(json.dumps(Tagger(run)(TEXT).to_dict()))


def test_a_figure_is_written_whole_or_not_at_all(command: Typer, run: Run, photo: Path, tmp_path: Path) -> None:
    arguments = ["Kelso meets Orva", "--image", str(photo), "--run", str(run.folder), "--figure"]
    assert CliRunner().invoke(command, [*arguments, str(tmp_path / "post.png")]).exit_code == 0
    assert (tmp_path / "post.png").read_bytes().startswith(b"\x89PNG")
    failed = CliRunner().invoke(command, [*arguments, str(tmp_path / "post.doc")])
    assert isinstance(failed.exception, HamnerError)
    assert "post.doc" in str(failed.exception)
    assert "png" in str(failed.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["post.png"]


def test_a_mistyped_command_has_status_2(command: Typer) -> None:
    assert CliRunner().invoke(command, [TEXT]).exit_code == 2


def test_the_command_explains_itself_without_loading_torch() -> None:
    code = "import sys, hamner.tagger.commands; sys.exit(bool({'torch', 'matplotlib', 'regex'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
