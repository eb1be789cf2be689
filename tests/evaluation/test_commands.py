from __future__ import annotations

import json
import shutil

import pytest
import typer
from typer.testing import CliRunner

from hamner.corpora import VERSIONS, Version, load_corpus
from hamner.corpora.files import sha256
from hamner.corpora.registry import FILES, SourceFile
from hamner.errors import HamnerError
from hamner.evaluation import write_predictions
from hamner.training.evaluate import evaluate
from tests.records import complete_record

GOLD = {
    "train": [("1", [("Kelso", "B-PER"), ("won", "O")]), ("2", [("Orva", "B-ORG")])],
    "valid": [("3", [("Tarn", "B-LOC")])],
    "test": [("4", [("KELSO", "B-PER"), ("in", "O"), ("Tarn", "B-LOC")]), ("5", [("the", "O"), ("Mip", "I-MISC")])],
}
FILE = "predictions.jsonl.gz"
PREDICTED = {"4": ["B-PER", "O", "O"], "5": ["O", "I-MISC"]}
WORSE = {"4": ["B-LOC", "O", "O"], "5": ["O", "O"]}


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "invented"
    folder.mkdir()
    for split, posts in GOLD.items():
        blocks = ("".join([f"IMGID:{id}\n", *(f"{word}\t{tag}\n" for word, tag in words)]) for id, words in posts)
        (folder / f"{split}.txt").write_text("\n".join(blocks) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def run(tmp_path, corpus):
    app = typer.Typer()
    app.command()(evaluate)
    files = {"predicted": tmp_path / "predicted[bold].jsonl", "worse": tmp_path / "worse.jsonl"}
    write_predictions(files["predicted"], PREDICTED)
    write_predictions(files["worse"], WORSE)

    def invoke(*arguments):
        options = ["--resamples", "200", *([] if "--corpus" in arguments else ["--corpus", str(corpus)])]
        return CliRunner().invoke(app, [*(str(files.get(a, a)) for a in arguments), *options])

    return invoke


def test_the_table_shows_overall_types_seen_and_unseen_and_the_interval(run):
    result = run("predicted")
    assert result.exit_code == 0, result.output
    rows = {cells[1].strip(): cells[2:-1] for line in result.output.splitlines() if len(cells := line.split("│")) > 3}
    assert [cell.strip() for cell in rows["overall"]] == ["100.00", "66.67", "80.00", "2", "2", "3"]
    assert {"PER", "LOC", "ORG", "MISC", "seen in training", "unseen"} <= set(rows)
    assert rows["seen in training"][-1].strip() == "1"
    assert "F1 80.00, 95% interval" in result.output
    assert "protocol seqeval" in result.output


def test_each_protocol_gives_its_own_score_and_all_gives_every_one(run):
    protocols = json.loads(run("predicted", "--protocol", "all", "--json").output)["protocols"]
    assert {name: scored["overall"]["gold"] for name, scored in protocols.items()} == {
        "seqeval": 3,
        "strict": 2,
        "repaired": 3,
    }


def test_json_names_the_text_that_was_scored_and_how(run):
    result = json.loads(run("predicted", "--json").output)
    assert (result["split"], result["posts"], result["other"]) == ("test", 2, None)
    assert result["sha256"]
    assert result["protocols"]["seqeval"]["interval"]["resamples"] == 200
    assert result["protocols"]["seqeval"]["seen"]["gold"] == 1


@pytest.fixture
def trained(tmp_path, corpus):
    """The folder of a run on the corpus, with its record and its predictions."""
    folder = tmp_path / "run"
    folder.mkdir()
    write_predictions(folder / "predictions.jsonl.gz", PREDICTED)
    record = complete_record(corpus={"name": corpus.name, "sha256": load_corpus(corpus).sha256})
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_a_runs_folder_is_scored_on_its_own_corpus(run, trained, corpus):
    app = typer.Typer()
    app.command()(evaluate)
    options = ["--resamples", "200", "--json"]
    own = CliRunner().invoke(app, [str(trained), "--from", str(corpus.parent), *options])
    assert own.exit_code == 0, own.output
    of_file = json.loads(run("predicted", "--json").output)
    assert json.loads(own.output)["protocols"] == of_file["protocols"]
    assert json.loads(own.output)["protocols"]["seqeval"]["interval"]["drawn"] == 2
    other = trained.with_name("other")
    shutil.copytree(trained, other)
    record = json.loads((other / "run.json").read_text())
    record["corpus"] = {"name": "elsewhere", "sha256": {"test.txt": "0"}}
    (other / "run.json").write_text(json.dumps(record))
    foreign = run("predicted", str(other))
    assert "was trained on 'elsewhere', and not on these posts" in str(foreign.exception)
    absent = CliRunner().invoke(app, [str(trained.with_name("absent"))])
    assert "no such file or folder" in str(absent.exception)
    compared = json.loads(run(str(trained), "worse", "--json").output)
    assert compared["protocols"]["seqeval"]["paired"]["difference"] > 0


@pytest.fixture
def relabelled(corpus, monkeypatch):
    """A known corpus with the posts of `corpus`, one entity of test more."""
    folder = corpus.with_name("relabelled")
    shutil.copytree(corpus, folder)
    test = folder / "test.txt"
    test.write_text(test.read_text(encoding="utf-8").replace("the\tO", "the\tB-MISC"), encoding="utf-8")
    files = {file: SourceFile(file, None, sha256((folder / file).read_bytes())) for file in FILES}
    monkeypatch.setitem(VERSIONS, "relabelled", Version("relabelled", "for tests", "someone/else", "abc", files))
    return folder


def test_a_runs_predictions_are_scored_on_other_labels_of_its_posts_by_their_known_name(trained, relabelled):
    app = typer.Typer()
    app.command()(evaluate)
    named = ["--corpus", "relabelled", "--from", str(relabelled.parent), "--resamples", "50", "--json"]
    of_run, of_file = (CliRunner().invoke(app, [str(path), *named]) for path in (trained, trained / FILE))
    assert of_run.exit_code == of_file.exit_code == 0, of_run.output + of_file.output
    scored = json.loads(of_run.output)
    assert (scored["corpus"], scored["protocols"]["seqeval"]["overall"]["gold"]) == ("relabelled", 3)
    assert scored["protocols"] == json.loads(of_file.output)["protocols"]
    twice = CliRunner().invoke(app, [str(trained), str(trained), *named])
    assert json.loads(twice.output)["protocols"]["seqeval"]["paired"]["difference"] == 0


def test_a_known_corpus_of_other_posts_is_refused_for_a_runs_predictions(trained):
    app = typer.Typer()
    app.command()(evaluate)
    result = CliRunner().invoke(app, [str(trained), "--corpus", "minitweets"])
    assert isinstance(result.exception, HamnerError)


def test_a_run_has_predictions_on_test_alone_and_a_file_needs_its_corpus_named(run, trained, corpus):
    valid = run(str(trained), "--split", "valid")
    assert isinstance(valid.exception, HamnerError)
    assert "on test alone" in str(valid.exception)
    app = typer.Typer()
    app.command()(evaluate)
    unnamed = CliRunner().invoke(app, [str(trained / "predictions.jsonl.gz")])
    assert unnamed.exit_code == 2
    assert "--corpus" in unnamed.output


def test_a_corpus_is_found_by_name_in_the_folder_that_is_given(run, corpus):
    by_name = json.loads(run("predicted", "--json", "--corpus", corpus.name, "--from", str(corpus.parent)).output)
    assert by_name == json.loads(run("predicted", "--json").output)


def test_two_files_are_compared_by_a_paired_bootstrap(run):
    table = run("predicted", "worse").output
    assert "difference +80.00" in table
    assert "p = " in table
    paired = json.loads(run("worse", "predicted", "--json").output)["protocols"]["seqeval"]["paired"]
    assert paired["difference"] == pytest.approx(-0.8)


def test_a_file_whose_name_looks_like_markup_is_named_as_it_is(run):
    assert "predicted[bold].jsonl" in run("worse", "predicted").output


def test_predictions_for_another_split_are_a_clear_error(run):
    result = run("predicted", "--split", "valid")
    assert isinstance(result.exception, HamnerError)
    assert "line 1: post '4' is not in this split" in str(result.exception)


def test_an_unknown_protocol_is_a_usage_error(run):
    assert run("predicted", "--protocol", "conll").exit_code == 2
