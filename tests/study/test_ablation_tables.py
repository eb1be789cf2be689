from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hamner.corpora import PROTOCOLS, TYPES, load_corpus, project_folder
from hamner.errors import HamnerError
from hamner.evaluation import welch, write_predictions
from hamner.figures import comparisons
from hamner.figures import training as training_figures
from hamner.study import ablation_tables, build_up, minitweets
from hamner.study.ablation_tables import (
    by_cue,
    command_of,
    coverage,
    expected_beside_measured,
    over_runs,
    require_one_change,
)
from hamner.study.minitweets import CUES, answers_of, ceilings
from hamner.study.tables import LeftOutWarning
from hamner.training import Run, TrainConfig
from hamner.training.rows import BUILD_UP, EVERY_ROW, PARTS, STUDY_ROWS, config_of_row, full_settings, of_captions


def config_of(row: str, seed: int = 1, corpus: str = "minitweets", **settings: object) -> TrainConfig:
    return config_of_row(full_settings(corpus, settings), row, seed)


@pytest.fixture(scope="module")
def corpus():
    return load_corpus("minitweets")


@pytest.fixture(scope="module", autouse=True)
def read_once(corpus):
    """minitweets is read once for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (ablation_tables, build_up, minitweets):
            patch.setattr(module, "load_corpus", lambda name: corpus)
        yield


@pytest.fixture(scope="module")
def make_run(corpus, tmp_path_factory):
    """A run of a row whose types are right as often as its row's ceilings say, and whose F1 is `f1`."""
    names = answers_of(corpus)
    table = ceilings(corpus)
    wrong = {"PER": "LOC", "LOC": "ORG", "ORG": "MISC", "MISC": "PER"}

    def make(row: str, seed: int = 1, ability: str | None = None, f1: float = 0.9, **settings: object) -> Run:
        tags = {post.id: list(post.tags) for post in corpus.test}
        for cue, ceiling in table.loc[ability or ablation_tables.ABILITY.get(row, "all")].items():
            of_cue = [name for name in names if name.cue == cue]
            for name in of_cue[round(ceiling * len(of_cue)) :]:
                for word in range(name.start, name.end):
                    tags[name.post][word] = tags[name.post][word][:2] + wrong[name.type]
        folder = tmp_path_factory.mktemp("run")
        write_predictions(folder / "predictions.jsonl", {id: tuple(tagged) for id, tagged in tags.items()})
        prf = {"precision": f1, "recall": f1, "f1": f1}
        part = {"overall": prf, "seen": prf, "unseen": prf, "per_type": dict.fromkeys(TYPES, prf)}
        record = {
            "corpus": {"name": corpus.name, "sha256": corpus.sha256},
            "config": config_of(row, seed, **settings).to_dict(),
            "inputs": {},
            "scores": {split: dict.fromkeys(PROTOCOLS, part) for split in ("valid", "test")},
            "history": [{"epoch": n, "loss": 3.0 / n, "valid_f1": 0.3 * n} for n in (1, 2, 3)],
            "best_epoch": 2,
            "seconds": 60.0,
        }
        return Run(folder, record)

    return make


@pytest.fixture(scope="module")
def some_runs(make_run):
    return [
        make_run("full", f1=0.95),
        make_run("full", 2),
        make_run("no_spatial", f1=0.8),
        make_run("no_semantic", ability="all"),
    ]


@pytest.fixture(scope="module")
def table(some_runs):
    return expected_beside_measured(some_runs)


def test_every_row_and_cue_has_an_expectation_whatever_has_a_record(table):
    assert len(table) == len(STUDY_ROWS) * len(CUES)
    assert table.expected.between(0, 1).all()
    assert set(table[table.seeds > 0].row) == {"full", "no_spatial", "no_semantic"}
    without = table[table.seeds == 0]
    assert without["mean"].isna().all()
    assert (without.verdict == "").all()
    nothing = expected_beside_measured([])
    assert nothing["mean"].isna().all()
    assert nothing.expected.equals(table.expected)


def test_the_tolerance_is_two_standard_errors_of_the_difference_of_two_guesses(table):
    guess = 1 / 4
    error = np.sqrt(2 * guess * (1 - guess) / table.names.astype(float))
    assert np.allclose(table.tolerance, 2 * error, equal_nan=True)


def test_a_row_that_loses_what_it_must_is_as_expected_and_one_that_keeps_it_is_higher(table):
    verdict = by_cue(table, "verdict")
    assert (verdict.loc[["full", "no_spatial"]] == "as expected").all(axis=None)
    assert by_cue(table, "cost").loc["no_spatial", "position"] == pytest.approx(0.5, abs=0.01)
    assert verdict.loc["no_semantic", "odd"] == "higher"
    assert (verdict.loc["no_semantic"].drop("odd") == "as expected").all()


def test_a_row_costs_nothing_to_a_full_model_that_lacks_the_ability_itself(make_run):
    lame = [make_run("full", ability="no_geometry"), make_run("no_spatial"), make_run("no_objects")]
    verdict = by_cue(expected_beside_measured(lame), "verdict")
    assert verdict.loc["full", "position"] == "lower"
    assert verdict.loc["no_spatial", "position"] == "full lacks it"
    assert verdict.loc["no_objects", "object"] == "as expected"


def test_the_coverage_says_which_seeds_are_missing(some_runs):
    found = coverage(some_runs)
    assert list(found.index) == [row for row in EVERY_ROW if row != "caption_words"]
    assert found.loc["full"].tolist() == ["1, 2", "3"]
    assert found.loc["text_only"].tolist() == ["none", "1, 2, 3"]


def test_rows_with_other_settings_are_never_compared(make_run):
    one, other = make_run("full"), make_run("no_spatial", epochs=3)
    with pytest.raises(HamnerError, match="differ in more than their row and seed"):
        require_one_change([one, other])
    with pytest.raises(HamnerError, match="differ in more than their row and seed"):
        require_one_change([one, make_run("no_spatial", visual={"objects": "tiles"})])
    with pytest.raises(HamnerError, match="differ in more than their row and seed"):
        require_one_change([one, make_run("no_spatial", model={"visual_dropout": 0.1})])
    require_one_change([one, make_run("text_only", 3), make_run("blank_images", 2)])
    require_one_change([one, make_run("text_only", 3, model={"visual_dropout": 0.1})])


def test_differences_over_seeds_pair_equal_seeds_only(some_runs):
    lines = over_runs(some_runs, reference="full").set_index("row")
    assert lines.seeds.to_dict() == {"full": 2, "no_spatial": 1, "no_semantic": 1}
    assert lines.shared_seeds.to_dict() == {"full": 0, "no_spatial": 1, "no_semantic": 1}
    assert lines.difference["no_spatial"] == pytest.approx(80 - 95)
    assert np.isnan(lines.difference["full"])
    assert lines[["low", "high"]].isna().all(axis=None)  # one pair tells nothing of further seeds


def test_a_difference_has_an_interval_over_the_seeds_that_both_rows_have(make_run):
    found = [make_run("full", seed, f1=f1) for seed, f1 in ((1, 0.81), (2, 0.82), (3, 0.83))]
    found += [make_run("no_spatial", seed, f1=f1) for seed, f1 in ((1, 0.78), (2, 0.80))]
    line = over_runs(found, reference="full").set_index("row").loc["no_spatial"]
    assert line.difference == pytest.approx(79 - 81.5)
    assert (line.low, line.high) == pytest.approx(welch([78, 80], [81, 82]))


def test_differences_are_within_one_source_but_to_text_only_which_has_none(make_run):
    tiles = {"visual": {"objects": "tiles"}}
    found = [make_run("full", f1=0.9), make_run("full", f1=0.7, **tiles), make_run("text_only", f1=0.6)]
    found.append(make_run("no_spatial", f1=0.5, **tiles))
    to_full = over_runs(found, reference="full").set_index(["row", "source"]).difference.dropna()
    assert to_full.to_dict() == {("no_spatial", "efficientnet-lite0 + tiles"): pytest.approx(50 - 70)}
    to_text = over_runs(found, reference="text_only").set_index("row").difference.dropna()
    assert sorted(to_text["full"]) == pytest.approx([10, 30])
    text_to_full = over_runs([found[0], found[2]], reference="full").set_index("row").difference
    assert text_to_full["text_only"] == pytest.approx(60 - 90)  # with two sources of full, above, it is neither's


def test_a_row_is_never_a_mean_over_other_settings(make_run):
    with pytest.raises(HamnerError, match=r"differ in more than their seed \(epochs\)"):
        minitweets.accuracies([make_run("full"), make_run("full", 2, epochs=3)])
    with pytest.raises(HamnerError, match="one seed twice"):
        minitweets.accuracies([make_run("full"), make_run("full")])


def test_a_model_without_a_pretrained_encoder_is_compared_by_the_settings_that_it_reads(make_run):
    others = [make_run("full"), make_run("text_only")]
    ablation_tables.require_one_change([make_run("cnn_bilstm_crf"), *others, make_run("cnn_bilstm_crf", 2)])
    for settings, name in (({"epochs": 3}, "epochs"), ({"model": {"dropout": 0.5}}, "dropout")):
        with pytest.raises(HamnerError, match=rf"differ in more than their row and seed \((model\.)?{name}\)"):
            ablation_tables.require_one_change([*others, make_run("cnn_bilstm_crf", **settings)])


@pytest.mark.parametrize(
    "made",
    [
        ("full", 2, "minitweets", {}),
        ("text_only", 3, "twitter2017", {"epochs": 7}),
        ("cnn_bilstm_crf", 1, "minitweets", {"model": {"dropout": 0.5}}),
        ("no_spatial", 1, "minitweets", {"model": {"width": None, "frozen_text": False}, "head_lr": 3e-4}),
        ("shuffled_images", 1, "minitweets", {"visual": {"objects": "tiles"}}),
        ("full", 1, "twitter2017", of_captions(["a b.txt"])),
        ("caption_words", 1, "twitter2017", of_captions(["a b.txt"])),
    ],
)
def test_the_command_of_a_run_makes_its_settings(made, monkeypatch):
    from hamner import cli, corpora, training
    from hamner.training import commands

    row, seed, name, settings = made
    config = config_of(row, seed, name, **settings)
    asked = []

    class EnoughError(Exception):
        pass

    def train(_, config, folder, threads, **options):
        asked.append((config, threads))
        raise EnoughError

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(corpora, "load_corpus", lambda name, root, columns: SimpleNamespace(name=name, notes=()))
    monkeypatch.setattr(commands, "_report_leaks", lambda corpus, allow_leaks: None)
    monkeypatch.setattr(commands, "_report_types", lambda corpus: None)
    record = {"corpus": {"name": name}, "config": config.to_dict(), "machine": {"threads": 3}}
    command = command_of(Run(Path("run"), record))
    result = CliRunner().invoke(cli.app, shlex.split(command)[1:])
    assert isinstance(result.exception, EnoughError), result.output
    assert asked == [(config, 3)]


def test_a_run_that_is_no_row_has_no_command():
    config = config_of("full", model={"relevance": False, "integration": False})
    with pytest.raises(HamnerError, match="no ablation row"):
        command_of(Run(Path("run"), {"corpus": {"name": "minitweets"}, "config": config.to_dict(), "inputs": {}}))


def test_the_table_of_minitweets_leaves_out_what_is_not_of_the_study(make_run, monkeypatch, tmp_path):
    ours = make_run("no_spatial")
    other_data = make_run("full")
    other_data.record["corpus"] = {"name": "minitweets", "sha256": {}}
    tried = [make_run("full", epochs=3), make_run("full", model={"relevance": False, "integration": False}), other_data]
    monkeypatch.setattr(ablation_tables, "runs_of", lambda name: [tried[0], ours, *tried[1:]])
    assert ablation_tables.minitweets_runs() == ([ours], tried)
    _, table = ablation_tables.write_minitweets(tmp_path)
    counted = re.findall(r"^\| (\w+) \| ([1-9])", table.read_text(), re.MULTILINE)
    assert counted == [("no_spatial", "1")]


def test_a_run_of_the_study_with_damaged_predictions_is_left_out_of_the_table_and_named(
    make_run, monkeypatch, tmp_path
):
    sound, damaged = make_run("full"), make_run("full", 2)
    damaged.predictions.write_text("no JSON\n")
    monkeypatch.setattr(ablation_tables, "minitweets_runs", lambda: ([sound, damaged], []))
    with pytest.warns(LeftOutWarning, match=re.escape(str(damaged.predictions))):
        _, table = ablation_tables.write_minitweets(tmp_path)
    assert re.findall(r"^\| (\w+) \| ([1-9])", table.read_text(), re.MULTILINE) == [("full", "1")]


def test_the_map_frames_what_a_row_must_cost_and_says_which_rows_have_no_record(table):
    expected, measured = comparisons.expected_and_measured(table).axes
    frames = int((table.expected < 1).sum())
    assert len(expected.patches) == frames
    without = len(STUDY_ROWS) - 3
    assert sum(text.get_text() == "no record" for text in measured.texts) == without
    assert len(measured.patches) == int((table[table.seeds > 0].expected < 1).sum()) + without


def test_learning_curves_have_a_line_for_each_run_and_a_ring_at_its_best_epoch(some_runs):
    loss, f1 = training_figures.learning_curves(some_runs[:2]).axes
    assert len(loss.lines) == 2
    rings = [line for line in f1.lines if len(line.get_xdata()) == 1]
    assert [ring.get_xdata()[0] for ring in rings] == [2, 2]


def test_the_grid_has_a_ceiling_for_every_row(corpus):
    assert set(ablation_tables.ABILITY) <= set(STUDY_ROWS)
    assert set(ablation_tables.ABILITY.values()) <= set(ceilings(corpus).index)


def test_the_committed_table_of_minitweets_is_that_of_the_committed_runs(tmp_path: Path) -> None:
    for path in ablation_tables.write_minitweets(tmp_path):
        assert path.read_bytes() == (project_folder() / "data" / "tables" / path.name).read_bytes()


@pytest.fixture(scope="module")
def built(make_run):
    """Runs of a build-up in which the spatial encoding alone brings `position`, and one of the rows has one seed."""
    blind = [make_run(row, seed, ability="no_geometry") for row in ("least", "up_to_semantic") for seed in (1, 2, 3)]
    return [*blind, *(make_run("up_to_spatial", seed, ability="all") for seed in (1, 2)), make_run("only_spatial")]


def test_a_step_of_the_build_up_adds_what_its_row_has_more_than_the_row_before(built):
    table = build_up.gains_of_parts(built).set_index(["way", "part", "cue"]).sort_index()
    spatial = table.loc["build-up", "spatial"]
    assert spatial.seeds.eq(2).all()  # those that both rows have
    assert spatial.loc["position", ["mean", "before"]].tolist() == pytest.approx([1, 0.5], abs=0.01)
    assert spatial.gain["position"] == pytest.approx(0.5, abs=0.01)
    assert spatial.gain.drop("position").abs().max() < 0.01
    assert table.loc["build-up", "semantic"].gain.abs().max() == 0
    assert table.loc["alone", "spatial"].seeds.eq(1).all()
    assert table.loc["alone", "spatial"].low.isna().all()  # one seed has no interval


def test_steps_without_records_say_so_and_each_part_has_both_ways(built):
    table = build_up.gains_of_parts(built)
    assert len(table) == len(build_up.STEPS) * len(CUES)
    assert table[table.part == "iteration"].seeds.eq(0).all()
    assert table[table.part == "iteration"].gain.isna().all()
    for way in ("build-up", "alone"):
        assert set(table[table.way == way].part) - {"seeing"} == set(PARTS)
    assert [step.row for step in build_up.STEPS[: len(BUILD_UP)]] == list(BUILD_UP)


def test_the_table_of_the_build_up_is_written_once_there_are_records(built, monkeypatch, tmp_path):
    monkeypatch.setattr(build_up, "minitweets_runs", lambda: ([], []))
    assert build_up.write_build_up(tmp_path) == []
    monkeypatch.setattr(build_up, "minitweets_runs", lambda: (built, []))
    (path,) = build_up.write_build_up(tmp_path)
    assert len(pd.read_csv(path)) == len(build_up.STEPS) * len(CUES)
