from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer import Typer
from typer.testing import CliRunner

from hamner.cli import app
from hamner.corpora import load_corpus
from hamner.errors import HamnerError
from hamner.escape import UNSEEN
from hamner.tagger import Tagger
from hamner.tagger.commands import print_post, save_figure
from hamner.tagger.post import Entity, TaggedPost
from hamner.terminal import SafeConsole
from hamner.training import Run
from hamner.training.runs import write_json

TEXT = "Kelso (left) meets [red]Orva[/red] 👨\u200d👩\u200d👧 in Tallin"


@pytest.fixture(scope="module")
def run(make_run) -> Run:
    return make_run()


def test_without_a_run_the_bundled_model_of_words_tags_and_says_which_one_reads_images(
    command: Typer, make_run, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = str(make_run(objects=None).folder)
    monkeypatch.setattr("hamner.tagger.commands.OF_TEXT", words)
    said = CliRunner().invoke(command, [TEXT])
    assert said.exit_code == 0, said.output
    assert "Kelso" in said.stdout and not said.stderr
    remedy = "of the models that come along minitweets reads images: hamner tag TEXT --image FILE --run minitweets"
    assert remedy in CliRunner().invoke(command, [TEXT, "--image", str(photo)]).stderr
    assert remedy not in CliRunner().invoke(command, [TEXT, "--image", str(photo), "--run", words]).stderr
    (tmp_path / "posts.csv").write_text(f"text,image\nKelso,\nOrva,{photo}\n", encoding="utf-8")
    assert remedy in CliRunner().invoke(command, ["--file", str(tmp_path / "posts.csv")]).stderr


def test_a_mistyped_model_is_answered_with_the_nearest_one(command: Typer) -> None:
    error = CliRunner().invoke(command, [TEXT, "--run", "mintweets"]).exception
    assert isinstance(error, HamnerError)
    assert str(error).startswith("no model is called 'mintweets', nor is a folder: did you mean minitweets")


def test_a_table_of_entities_and_the_relevance_are_printed(command: Typer, run: Run, photo: Path) -> None:
    result = CliRunner().invoke(command, [TEXT, "--image", str(photo), "--run", str(run.folder)])
    assert result.exit_code == 0, result.output
    post = Tagger(run)(TEXT, photo)
    assert post.entities
    for entity in post.entities:
        assert f"{entity.score:.2f}" in result.output
        assert f"{entity.start}-{entity.end}" in result.output
        assert f"{entity.text}: looked most at {entity.evidence.most_attended[0]}, " in result.output
        if entity.evidence.rests_on[1] >= 0.005:
            name, drop = entity.evidence.rests_on
            assert f"without {name} its score falls by {drop:.2f}" in result.output
    assert f"relevance of the image {post.relevance:.2f}; of its grains: global " in result.output
    assert any(entity.evidence.rests_on[1] >= 0.005 for entity in post.entities)
    assert "not calibrated: run `hamner calibrate`" in result.output


@pytest.fixture
def calibratable(make_run, tmp_path: Path) -> tuple[Run, Path]:
    """A run on its own corpus, folder tweets/tiny, a quarter of whose predicted entities are right."""
    run = make_run(objects=None)
    words = TEXT.split()
    tagged = Tagger(run).many([words[start:] for start in range(5)], evidence=False)
    folder = tmp_path / "tweets" / "tiny"
    folder.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        posts = []
        for number in range(60):
            own = tagged[number % 5]
            tags = own.tags if number % 4 == 0 else ("O",) * len(own.tags)
            lines = "".join(f"{word}\t{tag}\n" for word, tag in zip(own.words, tags, strict=True))
            posts.append(f"IMGID:{split}{number}\n{lines}\n")
        (folder / f"{split}.txt").write_text("".join(posts), encoding="utf-8")
    write_json(run.record | {"corpus": {"name": "tiny", "sha256": load_corpus(folder).sha256}}, run.folder / "run.json")
    return run, folder


@pytest.mark.parametrize("option", ["--corpus", "--from"])
def test_a_run_is_calibrated_on_its_own_corpus_by_one_command(calibratable: tuple[Run, Path], option: str) -> None:
    run, folder = calibratable
    where = folder if option == "--corpus" else folder.parent
    result = CliRunner().invoke(app, ["calibrate", str(run.folder), option, str(where)])
    assert result.exit_code == 0, result.output
    tagger = Tagger.from_pretrained(run.folder)
    assert f"calibration.json: temperature {tagger.temperature:.2f}" in result.output
    assert "not calibrated" not in CliRunner().invoke(app, ["tag", TEXT, "--run", str(run.folder)]).output


def test_a_corpus_of_ones_own_that_is_not_found_or_not_the_same_is_one_clear_error(
    calibratable: tuple[Run, Path],
) -> None:
    run, folder = calibratable
    absent = CliRunner().invoke(app, ["calibrate", str(run.folder)])
    assert isinstance(absent.exception, HamnerError)
    assert "trained on 'tiny', a corpus of your own, which is not at tiny: give the folder" in str(absent.exception)
    assert "--from DIR" in str(absent.exception)
    with (folder / "test.txt").open("a", encoding="utf-8") as file:
        file.write("IMGID:further\nKelso\tO\n")
    changed = CliRunner().invoke(app, ["calibrate", str(run.folder), "--corpus", str(folder)])
    assert isinstance(changed.exception, HamnerError)
    assert "has other posts (test.txt differ)" in str(changed.exception)
    assert not (run.folder / "calibration.json").exists()


def test_json_holds_what_the_post_does(command: Typer, run: Run) -> None:
    result = CliRunner().invoke(command, [TEXT, "--run", str(run.folder), "--json"])
    assert json.loads(result.stdout) == json.loads(json.dumps(Tagger(run)(TEXT).to_dict()))


def test_a_figure_is_written_whole_or_not_at_all(command: Typer, run: Run, photo: Path, tmp_path: Path) -> None:
    arguments = ["Kelso meets Orva", "--image", str(photo), "--run", str(run.folder), "--figure"]
    assert CliRunner().invoke(command, [*arguments, str(tmp_path / "post.png")]).exit_code == 0
    assert (tmp_path / "post.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["post.png"]


@pytest.mark.parametrize("name", ["post.pgf", "post.eps", "post.ps", "post", "post.svgz", "png"])
def test_a_figure_is_a_png_svg_or_pdf_and_nothing_else_is_tried(command: Typer, name: str, tmp_path: Path) -> None:
    failed = CliRunner().invoke(command, [TEXT, "--run", "absent", "--figure", str(tmp_path / name)])
    assert isinstance(failed.exception, HamnerError)
    assert "a figure is a .png, .svg or .pdf" in str(failed.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["svg", "pdf"])
def test_a_figure_of_a_tweet_with_control_characters_and_mathematics_is_well_formed(form: str, tmp_path: Path) -> None:
    words = ("Bramley\x1fGroup", "$\\frac{", "\x0bNora", "a\x1b[31m\u202eb", "--><x>")
    entity = Entity("Bramley\x1fGroup", "ORG", 0, 13, 0.5, (0, 0))
    tags = ("B-ORG", "O", "O", "O", "O")
    post = TaggedPost(" ".join(words), words, ((0, 1),) * 5, tags, (entity,), None, None, True, ("note \x1c $x$",))
    save_figure(post, tmp_path / f"post.{form}")
    save_figure(post, tmp_path / f"again.{form}")
    content = (tmp_path / f"post.{form}").read_bytes()
    assert content == (tmp_path / f"again.{form}").read_bytes()
    if form == "svg":
        assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"


def test_a_table_shows_escapes_where_a_tweet_has_control_characters(capsys: pytest.CaptureFixture) -> None:
    entity = Entity("Kelso\x1b[31m\n[bold]:smile:\u202e", "PER", 0, 5, 0.5, (0, 0))
    post = TaggedPost("Kelso", ("Kelso",), ((0, 5),), ("B-PER",), (entity,), None, None, True, ("note \x9b2J",))
    print_post(post, SafeConsole(width=100))
    shown = capsys.readouterr().out
    assert r"Kelso\x1b[31m\n[bold]:smile:\u202e" in shown
    assert r"note \x9b2J" in shown
    assert not UNSEEN.search(shown)


def test_json_is_ascii_and_holds_no_control_character(command: Typer, run: Run) -> None:
    result = CliRunner().invoke(command, ["Kelso \x9b31m \U0001f44d", "--run", str(run.folder), "--json"])
    assert result.stdout.isascii()
    assert json.loads(result.stdout)["text"] == "Kelso \x9b31m \U0001f44d"


def test_a_mistyped_command_has_status_2(command: Typer) -> None:
    assert CliRunner().invoke(command, [TEXT, "--image"]).exit_code == 2


def test_the_command_explains_itself_without_loading_torch() -> None:
    code = "import sys, hamner.tagger.commands; sys.exit(bool({'torch', 'matplotlib', 'regex'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
