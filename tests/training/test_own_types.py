"""A corpus with types of its own, from files in BIOES with five columns to tags, scores and tables."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

from hamner.corpora import TYPES, Corpus, Post, load_corpus, write_posts
from hamner.corpora.commands import app as corpora_app
from hamner.corpora.tags import tags_of
from hamner.drawing.colours import PALETTE, TYPE_COLOURS, colour_of, colours_of
from hamner.errors import HamnerError
from hamner.evaluation import PredictionsError, read_predictions, score, write_predictions
from hamner.study.tables import per_type_markdown, results, runs
from hamner.tagger import Tagger, TaggerError, calibrate
from hamner.tagger.calibration import judged_entities
from hamner.training import Run, RunError, TrainConfig
from hamner.training.batching import windows
from hamner.training.commands import retest, train
from hamner.training.evaluate import evaluate
from hamner.training.identity import identity
from hamner.training.own_corpus import corpus_of_run
from hamner.training.retest import OtherTypesError, config_of_test
from tests.records import complete_record

NAMES = {
    "athlete": "Kelso", "author": "Mira", "book": "Quest", "city": "Orva", "club": "Zibco", "film": "Starfall",
    "politician": "Berg", "river": "Elm", "PER": "Anna",
}  # fmt: skip
FINE = tuple(sorted(NAMES))
COLUMNS = "word=0,tag=3"

app = Typer()
app.command("train")(train)
app.command("retest")(retest)
app.command("evaluate")(evaluate)
app.add_typer(corpora_app, name="corpora")


def write_fine(folder: Path) -> Path:
    """Nine types in BIOES, the tag in the fourth of five columns; test has a type that train lacks."""
    folder.mkdir(parents=True)
    for split, copies in (("train", 6), ("valid", 7), ("test", 2)):
        lines = []
        for copy in range(copies):
            for type, name in NAMES.items():
                lines += [f"IMGID:{split}{copy}{type}", f"the{copy}\tDT\tB-NP\tO\t_", f"{name}\tNNP\tI-NP\tB-{type}\t_"]
                lines += [f"junior\tNNP\tI-NP\tE-{type}\t_", f"#{split}{copy}\tX\tO\tO\t_", ""]
        if split == "test":
            lines += ["IMGID:late", "Comet\tNNP\tB-NP\tS-planet\t_", ""]
        (folder / f"{split}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def fine_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fine(tmp_path_factory.mktemp("corpora") / "fine")


@pytest.fixture(scope="module")
def fine(fine_folder: Path) -> Corpus:
    return load_corpus(fine_folder, columns=COLUMNS)


@pytest.fixture(scope="module")
def trained(fine_folder: Path, tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run made by the command, and what that wrote to standard error."""
    folder = tmp_path_factory.mktemp("runs") / "fine"
    settings = ["--epochs", "16", "--set", "model.width=32", "--set", "model.heads=2", "--set", "head_lr=0.01"]
    options = ["--columns", COLUMNS, "--text-encoder", tiny_encoder, "--run", str(folder), *settings, "--allow-leaks"]
    ran = CliRunner().invoke(app, ["train", str(fine_folder), *options], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return folder, ran.stderr


def test_training_says_what_it_converted_and_which_type_nobody_can_find(trained: tuple[Path, str]) -> None:
    said = trained[1].splitlines()
    notes = [line for line in said if line.startswith("note: ") and "stand in" not in line]
    assert len(notes) == 2
    assert "the tags are BIOES ('B-" not in notes[0] and "the tags are BIOES ('E-athlete' in train.txt:4)" in notes[0]
    assert "train has no entity of planet (first in test.txt:" in notes[1]


def test_the_record_has_types_scheme_and_columns_and_scores_of_every_type(trained: tuple[Path, str]) -> None:
    run = Run.load(trained[0])
    assert run.types == FINE
    assert run.record["corpus"]["scheme"] == "BIOES"
    assert run.record["corpus"]["columns"] == {"word": 0, "tag": 3}
    assert list(run.record["scores"]["test"]["seqeval"]["per_type"]) == [*FINE, "planet"]
    missed = run.record["scores"]["test"]["seqeval"]["per_type"]["planet"]
    assert (missed["gold"], missed["predicted"], missed["f1"]) == (1, 0, 0)
    assert list(run.record["scores"]["valid"]["seqeval"]["per_type"]) == list(FINE)


def test_a_tiny_model_learns_the_types_and_tags_with_them_after_a_reload(
    trained: tuple[Path, str], fine: Corpus
) -> None:
    tagger = Tagger.from_pretrained(trained[0])
    assert tagger.model.decoder.tags == tags_of(FINE) == fine.tags
    stored = read_predictions(tagger.run.predictions, fine.test, types=tagger.run.types)
    tagged = tagger.many([post.words for post in fine.test])
    assert [post.tags for post in tagged] == [stored[post.id] for post in fine.test]
    assert tagger.run.f1() > 0.9  # every name of test stands in train
    post = tagger(words=["the1", "Orva", "junior"])
    assert [(entity.type, entity.text) for entity in post.entities] == [("city", "Orva junior")]
    assert post.types == FINE
    assert post.colours["city"] in post._repr_html_()
    post.show()


def test_evaluate_reads_the_runs_corpus_by_its_columns(trained: tuple[Path, str], fine_folder: Path) -> None:
    options = ["--from", str(fine_folder.parent), "--resamples", "50", "--json"]
    ran = CliRunner().invoke(app, ["evaluate", str(trained[0]), *options])
    assert ran.exit_code == 0, ran.output
    assert "note: train.txt, valid.txt, test.txt: the tags are BIOES" in ran.stderr
    scored = json.loads(ran.stdout)["protocols"]["seqeval"]
    assert scored["overall"]["f1"] == Run.load(trained[0]).f1()
    assert set(scored["per_type"]) == {*FINE, "planet"}
    wrong = CliRunner().invoke(app, ["evaluate", str(trained[0]), *options, "--columns", "word=0,tag=2"])
    assert isinstance(wrong.exception, RunError)
    assert "by the columns word=0,tag=3, and not by word=0,tag=2; leave --columns out" in str(wrong.exception)


def test_evaluate_converts_another_systems_bioes_and_refuses_a_type_that_the_corpus_lacks(
    fine: Corpus, fine_folder: Path, tmp_path: Path
) -> None:
    lines = []
    for post in fine.test:
        lines += [f"{word} {tag}" for word, tag in zip(post.words, post.tags or (), strict=True)] + [""]
    text = "\n".join(lines).replace("junior I-", "junior E-").replace("Comet B-", "Comet S-")
    (tmp_path / "theirs.txt").write_text(text, encoding="utf-8")
    options = ["--corpus", str(fine_folder), "--columns", COLUMNS, "--resamples", "50", "--json"]
    ran = CliRunner().invoke(app, ["evaluate", str(tmp_path / "theirs.txt"), *options])
    assert json.loads(ran.stdout)["protocols"]["seqeval"]["overall"]["f1"] == 1
    assert f"note: {tmp_path / 'theirs.txt'}: the tags are BIOES ('E-athlete' in line 3)" in ran.stderr
    (tmp_path / "theirs.txt").write_text(text.replace("Orva B-city", "Orva B-town", 1).replace("E-city", "E-town", 1))
    wrong = CliRunner().invoke(app, ["evaluate", str(tmp_path / "theirs.txt"), *options])
    assert isinstance(wrong.exception, PredictionsError)
    assert "line 17: unknown tag 'B-town' in the last column; the types are PER, athlete" in str(wrong.exception)
    (tmp_path / "theirs.txt").write_text(text.replace("junior E-city", "junior O", 1))
    broken = CliRunner().invoke(app, ["evaluate", str(tmp_path / "theirs.txt"), *options])
    assert isinstance(broken.exception, PredictionsError)
    assert "line 17: the entity that 'B-city' begins is never ended by E-" in str(broken.exception)


def test_a_run_finds_its_own_corpus_by_its_columns_for_every_command(trained: tuple[Path, str], fine: Corpus) -> None:
    run = Run.load(trained[0])
    assert corpus_of_run(run, root=fine.folder.parent) == fine
    confidence, correct = judged_entities(Tagger(run), corpus_of_run(run, root=fine.folder.parent))
    assert len(confidence) >= 50
    assert correct.mean() > 0.9
    ran = CliRunner().invoke(app, ["retest", str(run.folder), "--from", str(fine.folder.parent)])
    assert ran.exit_code == 0, ran.output
    assert f"F1 {100 * run.f1():.2f}" in ran.stdout
    shutil.rmtree(run.folder / "retests")


def test_columns_and_scheme_are_part_of_a_runs_identity_only_where_there_are_any(fine: Corpus, tiny: Corpus) -> None:
    config = TrainConfig()
    assert set(identity(fine, config)["corpus"]) == {"name", "sha256", "scheme", "columns"}
    assert set(identity(tiny, config)["corpus"]) == {"name", "sha256"}


def test_a_run_is_not_tested_on_types_that_it_does_not_know(
    trained: tuple[Path, str], tiny: Corpus, tmp_path: Path
) -> None:
    run = Run.load(trained[0])
    with pytest.raises(OtherTypesError) as error:
        config_of_test(run, tiny, 0, ())
    assert str(error.value) == (
        f"{run.folder} knows the entity types {', '.join(FINE)}, and test of tiny has LOC, MISC, ORG, which it cannot "
        "find: test it on a corpus of its own types"
    )
    persons = replace(tiny, test=(Post("1", ("Anna",), ("B-PER",)),))
    assert config_of_test(run, persons, 0, ()) == run.config


def test_a_retest_on_fewer_types_is_scored_with_the_types_of_the_run(trained: tuple[Path, str], tmp_path: Path) -> None:
    """The run may find a city in a corpus that knows athletes and rivers alone."""
    for split in ("train", "valid", "test"):
        post = Post(split, ("the1", "Orva", "junior", "#test1"), ("O", "B-river", "I-river", "O"))
        write_posts([post, Post("a", ("Kelso",), ("B-athlete",))], tmp_path / "few" / f"{split}.txt")
    folder = trained[0]
    ran = CliRunner().invoke(app, ["retest", str(folder), "--on", str(tmp_path / "few"), "--allow-missing", "1"])
    assert ran.exit_code == 0, ran.output
    file = folder / "retests" / "few.jsonl.gz"
    assert "B-city" in read_predictions(file)["test"]
    ran = CliRunner().invoke(app, ["evaluate", str(file), "--corpus", str(tmp_path / "few"), "--json"])
    assert ran.exit_code == 0, ran.output
    assert "city" in json.loads(ran.stdout)["protocols"]["seqeval"]["per_type"]
    shutil.copy(file, tmp_path / "elsewhere.jsonl.gz")
    wrong = CliRunner().invoke(
        app, ["evaluate", str(tmp_path / "elsewhere.jsonl.gz"), "--corpus", str(tmp_path / "few")]
    )
    assert "unknown tag 'B-city'; the types are athlete, river" in str(wrong.exception)
    shutil.rmtree(folder / "retests")


def test_tables_show_runs_of_any_types_beside_each_other(trained: tuple[Path, str], tmp_path: Path) -> None:
    for name, record in (("fine", Run.load(trained[0]).record), ("known", complete_record(0.5))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(record), encoding="utf-8")
    table = results(runs(tmp_path))
    known, own = (table[(table.corpus == name) & (table.protocol == "seqeval")].iloc[0] for name in ("tiny", "fine"))
    assert (known.f1_PER, known.f1_LOC) == (0.5, 0.5)
    assert own["f1_[city]"] > 0.9 and own["f1_[planet]"] == 0 and own.f1_PER > 0.9
    assert own[["f1_LOC", "f1_MISC"]].isna().all() and known[["f1_[city]"]].isna().all()
    rows = [[cell.strip() for cell in line.split("|")[1:6]] for line in per_type_markdown(table).splitlines()[2:]]
    assert [row[4] for row in rows if row[0] == "tiny"] == list(TYPES)
    assert sorted(row[4] for row in rows if row[0] == "fine") == sorted([*FINE, "planet"])


def test_a_type_called_seen_has_a_column_of_its_own() -> None:
    record = complete_record(0.5, types=["seen"])
    for split in record["scores"].values():
        for protocol in split.values():
            protocol["per_type"] = {"seen": {"precision": 0.25, "recall": 0.25, "f1": 0.25}}
    line = results([Run(Path("run"), record)]).iloc[0]
    assert (line.f1_seen, line["f1_[seen]"]) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ([], "types cannot be []"),
        (["a b"], "types cannot have 'a b'"),
        (["a", "a"], "types names one type twice"),
        (["hero"], "scores.valid.seqeval.per_type must have hero"),
        ("PER", "types cannot be 'PER'"),
    ],
)
def test_a_record_with_types_that_cannot_be_is_named(types: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(complete_record(types=types)))
    with pytest.raises(RunError) as error:
        Run.load(tmp_path)
    assert message in str(error.value)


def test_a_record_without_types_is_of_the_four() -> None:
    assert Run(Path("run"), complete_record()).types == TYPES


def test_weights_of_other_types_than_the_record_names_are_refused(trained: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(trained[0], tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    record["types"] = record["types"][:-1]
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    with pytest.raises(HamnerError, match=r"describe another model than model\.safetensors holds"):
        Tagger.from_pretrained(tmp_path / "run")


def test_a_window_with_a_type_that_the_model_lacks_has_no_gold_tags() -> None:
    from hamner.encoders import load_tokenizer

    posts = [Post("1", ("Kelso",), ("B-athlete",)), Post("2", ("Comet",), ("B-planet",))]
    known, unknown = windows(posts, load_tokenizer("minilm"), 20, tags=tags_of(FINE))
    assert torch.equal(known.tags, torch.tensor([tags_of(FINE).index("B-athlete")]))
    assert unknown.tags is None


def test_scores_have_the_four_types_or_those_that_occur_with_golds_first() -> None:
    assert list(score([["B-ORG"]], [["B-PER"]]).per_type) == list(TYPES)
    assert list(score([["B-river", "O"]], [["B-city", "B-river"]]).per_type) == ["river", "city"]
    assert list(score([["B-b"]], [["O"]], types=("a", "b", "c")).per_type) == ["a", "b", "c"]


def test_predictions_keep_other_where_the_types_have_it(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, {"1": ["B-OTHER"]}, types=("OTHER", "person"))
    assert read_predictions(path, types=("OTHER", "person")) == {"1": ("B-OTHER",)}
    assert read_predictions(path, types=TYPES) == {"1": ("B-MISC",)}
    with pytest.raises(PredictionsError, match=r"line 1: post '1': unknown tag 'B-OTHER'; the types are city"):
        read_predictions(path, types=("city",))
    write_predictions(path, {"1": ["B-OTHER", "B-person"]})
    assert read_predictions(path) == {"1": ("B-OTHER", "B-person")}


def test_each_type_has_a_colour_that_depends_on_the_types_alone() -> None:
    assert colours_of(TYPES) == TYPE_COLOURS
    nine = colours_of(FINE)
    assert nine["PER"] == TYPE_COLOURS["PER"]
    assert [nine[type] for type in FINE[1:7]] == [colour for colour in PALETTE if colour != nine["PER"]]
    assert nine["politician"] == nine[FINE[1]]  # the palette begins again
    assert colour_of("river", FINE) == nine["river"]
    assert colour_of("PER") == TYPE_COLOURS["PER"]


def test_a_run_of_the_four_types_does_not_calibrate_on_another_corpus(trained: tuple[Path, str], tiny: Corpus) -> None:
    with pytest.raises(TaggerError, match="not on this tiny"):
        calibrate(Run.load(trained[0]), tiny)
