from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.optim import AdamW

from hamner.corpora import TAGS, Corpus
from hamner.devices import cpu_threads
from hamner.errors import HamnerError
from hamner.evaluation import read_predictions
from hamner.model.config import ModelConfig
from hamner.training import Run, RunError, TrainConfig, loop, train
from hamner.training.checkpoints import (
    CheckpointError,
    Progress,
    learned_state,
    load_checkpoint,
    load_weights,
    read_progress,
    read_weights,
    save_checkpoint,
    save_weights,
)
from hamner.training.checkpoints import (
    _sha256 as tensors_sha256,
)
from hamner.training.convergence import rate_at
from hamner.training.identity import identity, images_sha256, require_same_sums
from hamner.training.inputs import Words, read_words
from hamner.training.loop import build_model, trained_model
from hamner.training.optimizer import Optimizer, parameter_groups
from hamner.training.retest import retest
from hamner.training.runs import CALIBRATION, RETESTS, surroundings
from hamner.vision.features import VisualSource

# Trains like `train`, but in a process of its own, and says when a step of an epoch is under way.
SCRIPT = """
import json
import sys
import hamner.training.loop as loop
from hamner.corpora import load_corpus
from hamner.training import TrainConfig

bar = loop.progress_bar  # it takes a random number for itself, so that a run without it is another

def loud(batches, counts, **options):
    for number, batch in enumerate(bar(batches, counts=counts, **options)):
        print(counts.partition(",")[0], "step", number, flush=True)
        yield batch

loop.progress_bar = loud
config = TrainConfig.from_dict(json.loads(sys.argv[3]))
loop.train(load_corpus(sys.argv[1]), config, sys.argv[2], progress=False)
"""


@pytest.fixture(scope="module")
def config(tiny_encoder: str) -> TrainConfig:
    return TrainConfig(epochs=3, batch_size=4, encoder_lr=1e-3, model=ModelConfig(text_encoder=tiny_encoder))


@pytest.fixture(scope="module")
def run(tiny: Corpus, config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny, config, tmp_path_factory.mktemp("runs") / "first", progress=False)


def test_a_run_folder_says_what_was_run_and_what_came_out(run: Run, tiny: Corpus, config: TrainConfig):
    assert run.record["corpus"] == {"name": "tiny", "sha256": tiny.sha256}
    assert run.config == config
    assert run.record["sources"].keys() == {
        *config.to_dict(),
        *(f"model.{key}" for key in config.to_dict()["model"]),
    } - {"model"}
    assert set(run.record["sources"].values()) <= {"stated", "sibling", "ours"}
    assert len(run.record["history"]) == 3
    assert 1 <= run.record["best_epoch"] <= 3
    assert run.record["converged"] is False  # of three epochs the best one is among the last three
    assert run.record["reason"].endswith("one of the last 3 of 3")
    assert set(run.record["scores"]["test"]) == {"seqeval", "strict", "repaired"}
    assert not (run.folder / "checkpoint.safetensors").exists()


@pytest.mark.parametrize(
    "damage",
    [
        "corpus.name",
        "corpus.sha256",
        "config",
        "best_epoch",
        "scores.test",
        "scores.valid.seqeval",
        "inputs",
        "features",
    ],
)
def test_a_record_without_one_of_its_parts_is_no_record(run: Run, tmp_path: Path, damage: str):
    record = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    *path, last = damage.split(".")
    part = record
    for key in path:
        part = part[key]
    part[last] = None
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(RunError, match=f"is no run record: it lacks {damage}.*; restore it, or delete the folder"):
        Run.load(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"config": {"epochs": 1}}, "takes a TrainConfig, not .*: make one with"),
        ({"threads": 0}, "threads must be from 1 to 1024, not 0"),
        ({"threads": 3_000_000_000}, "threads must be from 1 to 1024, not 3000000000"),
    ],
)
def test_a_mistaken_argument_is_one_clear_error(tiny: Corpus, tmp_path: Path, wrong: dict, message: str):
    with pytest.raises(HamnerError, match=message):
        train(tiny, folder=tmp_path, **wrong)


def test_a_name_is_no_corpus(tmp_path: Path):
    with pytest.raises(HamnerError, match=r"not 'minitweets': give it hamner\.load_corpus"):
        train("minitweets", folder=tmp_path)  # type: ignore[arg-type]


def test_the_predictions_give_the_score_that_the_record_states_and_hold_no_text(run: Run, tiny: Corpus):
    from hamner.evaluation import align, read_predictions, score

    predictions = read_predictions(run.predictions, tiny.test)
    gold, predicted = align(tiny.test, predictions)
    assert score(gold, predicted).overall.f1 == run.f1()
    lines = [json.loads(line) for line in gzip.decompress(run.predictions.read_bytes()).splitlines()]
    assert all(line.keys() == {"id", "tags"} for line in lines)


def test_the_best_epoch_is_chosen_on_valid(run: Run):
    by_epoch = [epoch["valid_f1"] for epoch in run.record["history"]]
    assert run.record["best_epoch"] == 1 + by_epoch.index(max(by_epoch))
    assert run.f1("valid") == max(by_epoch)


def test_the_saved_weights_give_the_saved_predictions(run: Run, tiny: Corpus):
    from hamner.encoders import load_tokenizer
    from hamner.evaluation import read_predictions
    from hamner.training.batching import prepare
    from hamner.training.loop import predict

    model = build_model(run.config.model, seed=99)
    load_weights(model, run.weights)
    split = prepare(tiny.test, model, load_tokenizer("minilm"))
    predicted, relevance = predict(model, split.batches(3), split.windows, len(tiny.test))
    assert [tuple(tags) for tags in predicted] == list(read_predictions(run.predictions).values())
    assert relevance is None  # a text-only model has no image to judge


@pytest.mark.parametrize(("judges", "expected"), [(True, [0.7, 0.4]), (False, None)])
def test_the_windows_of_a_post_are_put_together_and_the_greatest_relevance_counts(judges, expected):
    from types import SimpleNamespace

    from hamner.model.batch import Batch, Output
    from hamner.training.batching import Window
    from hamner.training.loop import predict

    class Tagger(torch.nn.Module):
        """Tags every word of window i with tag i, and gives its image the relevance RHO[i]."""

        config = SimpleNamespace(vision=True, relevance=judges)
        decoder = SimpleNamespace(tags=("O", "B-PER", "I-PER"), decode=lambda tags, mask: tags)

        def forward(self, batch: Batch) -> Output:
            numbers = batch.index.tolist()
            return Output(
                [[i] * int(batch.word_mask[row].sum()) for row, i in enumerate(numbers)],
                batch.word_mask,
                relevance=torch.tensor([0.3, 0.7, 0.4])[batch.index],
            )

    words = torch.zeros(2)
    items = [Window(post, start, words, words, words, None) for post, start in ((0, 0), (0, 2), (1, 0))]
    batch = Batch(word_mask=torch.ones(3, 2, dtype=torch.bool), index=torch.tensor([2, 0, 1]))
    tags, relevance = predict(Tagger(), [batch], items, 2)
    assert tags == [["O", "O", "B-PER", "B-PER"], ["I-PER", "I-PER"]]
    assert relevance == (None if expected is None else pytest.approx(expected))


def test_one_seed_gives_one_result_and_another_seed_another(
    run: Run, tiny: Corpus, config: TrainConfig, tmp_path: Path
):
    again = train(tiny, config, tmp_path / "again", progress=False)
    assert again.predictions.read_bytes() == run.predictions.read_bytes()
    assert again.weights.read_bytes() == run.weights.read_bytes()
    other = train(tiny, replace(config, seed=2), tmp_path / "other", progress=False)
    assert other.weights.read_bytes() != run.weights.read_bytes()


def test_on_one_thread_the_number_of_cores_does_not_matter(tiny: Corpus, config: TrainConfig, tmp_path: Path):
    weights = []
    for cores in (2, 3):
        with cpu_threads(cores):
            run = train(tiny, replace(config, epochs=1), tmp_path / str(cores), progress=False, threads=1)
            assert torch.get_num_threads() == cores
        assert run.record["machine"]["threads"] == 1
        weights.append(run.weights.read_bytes())
    assert weights[0] == weights[1]


def test_training_leaves_random_numbers_and_algorithms_as_they_were(tiny: Corpus, config: TrainConfig, tmp_path: Path):
    states = random.getstate(), torch.get_rng_state()
    train(tiny, replace(config, epochs=1), tmp_path / "run", progress=False)
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_run_with_patience_ends_after_the_plateau_and_the_cooldown_also_when_it_was_cut(
    tiny: Corpus, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    patient = replace(config, epochs=9, patience=2, cooldown=2, encoder_lr=1e-9, head_lr=1e-9)  # nothing is learnt
    rates: list[float] = []

    def noted(*given: object, **named: object) -> float:
        rates.append(rate_at(*given, **named))
        return rates[-1]

    monkeypatch.setattr(loop, "rate_at", noted)
    whole = train(tiny, patient, tmp_path / "whole", progress=False)
    history = whole.record["history"]
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3, 4, 5]
    assert (whole.record["converged"], whole.record["best_epoch"]) == (True, 1)
    assert whole.record["reason"] == "F1 on valid did not rise for 2 epochs after epoch 1"
    steps = len(rates) // 5
    falling = rates[3 * steps :]
    assert falling == [pytest.approx(1 - step / (2 * steps)) for step in range(2 * steps)]
    before = rates[:]
    for cut_after in (1, 3, 4):
        rates.clear()
        saved: list[object] = []

        def cut(*given: object, enough: int = cut_after, saved: list[object] = saved) -> None:
            save_checkpoint(*given)
            saved.append(given)
            if len(saved) == enough:
                raise KeyboardInterrupt

        folder = tmp_path / str(cut_after)
        with monkeypatch.context() as patch:
            patch.setattr(loop, "save_checkpoint", cut)
            with pytest.raises(KeyboardInterrupt):
                train(tiny, patient, folder, progress=False)
        resumed = train(tiny, patient, folder, progress=False)
        assert resumed.weights.read_bytes() == whole.weights.read_bytes()
        assert [epoch["loss"] for epoch in resumed.record["history"]] == [epoch["loss"] for epoch in history]
        assert resumed.record["reason"] == whole.record["reason"]
        assert rates == before


def test_a_finished_run_is_not_trained_again(run: Run, tiny: Corpus, config: TrainConfig):
    before = run.weights.stat().st_mtime_ns
    again = train(tiny, config, run.folder, progress=False)
    assert again.record == run.record
    assert run.weights.stat().st_mtime_ns == before


def test_a_folder_with_another_run_is_refused_and_kept(run: Run, tiny: Corpus, config: TrainConfig):
    with pytest.raises(RunError, match=r"holds another run: its config has epochs = 3, yours 4"):
        train(tiny, replace(config, epochs=4), run.folder, progress=False)
    with pytest.raises(RunError, match=r"holds another run: its corpus has name = 'tiny', yours 'other'"):
        train(replace(tiny, name="other"), config, run.folder, progress=False)
    assert Run.load(run.folder).record == run.record


@pytest.mark.parametrize("moment", ["epoch 1/3 step 2", "epoch 2/3 step 3"])
def test_a_run_killed_in_mid_epoch_and_resumed_ends_with_the_same_weights(
    run: Run, config: TrainConfig, tiny_folder: Path, tmp_path, moment
):
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", SCRIPT, str(tiny_folder), str(folder), json.dumps(config.to_dict())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_one_run_at_a_time()) as process:
        for line in process.stdout:
            if line.strip() == moment:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "run.json").exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_one_run_at_a_time())
    assert (folder / "model.safetensors").read_bytes() == run.weights.read_bytes()
    assert (folder / "predictions.jsonl.gz").read_bytes() == run.predictions.read_bytes()
    assert [epoch["loss"] for epoch in Run.load(folder).record["history"]] == [
        epoch["loss"] for epoch in run.record["history"]
    ]


def _one_run_at_a_time() -> dict[str, str]:
    # Sums are split over threads, so equal weights need an equal number of them.
    return os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}


def test_two_processes_do_not_train_in_one_folder(tiny: Corpus, config: TrainConfig, tiny_folder: Path, tmp_path: Path):
    folder = tmp_path / "shared"
    command = [sys.executable, "-c", SCRIPT, str(tiny_folder), str(folder), json.dumps(config.to_dict())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)  # or it might be through before the other one asks
        with pytest.raises(RunError, match="another process works in"):
            train(tiny, config, folder, progress=False)
        process.kill()


def test_several_processes_train_one_model_and_tag_every_post_once(
    tiny: Corpus, config: TrainConfig, tiny_folder: Path, tmp_path: Path
):
    module = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--", "hamner", "train"]
    settings = [f"--set=model.text_encoder={config.model.text_encoder}", "--set=batch_size=4", "--epochs=2"]
    command = [sys.executable, *module, str(tiny_folder), "--run", str(tmp_path / "run"), *settings]
    done = subprocess.run(command, env=os.environ | {"ACCELERATE_USE_CPU": "true"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best epoch") == 1
    run = Run.load(tmp_path / "run")
    assert run.record["machine"]["processes"] == 2
    assert list(read_predictions(run.predictions, tiny.test)) == [post.id for post in tiny.test]


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "model-epoch*.safetensors"])
def test_a_cut_run_with_a_few_flipped_bytes_does_not_go_on(
    tiny: Corpus, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    def cut(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_scores", cut)  # after the last epoch
    with pytest.raises(KeyboardInterrupt):
        train(tiny, config, tmp_path, progress=False)
    (file,) = tmp_path.glob(name)
    content = bytearray(file.read_bytes())
    for place in range(len(content) - 400, len(content) - 376):
        content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=rf"{file.name} is (damaged|not as it was written).*delete .* and train again"
    ):
        train(tiny, config, tmp_path, progress=False)


def test_what_a_killed_run_left_half_written_goes(tiny: Corpus, config: TrainConfig, tmp_path: Path):
    half_written = (".tmpAbC123", ".model-epoch2.safetensors.x1b_9z3k.part", ".run.json.abcdefgh.part")
    of_others = (".tmp-notes", ".notes.json", "model-epoch.safetensors.bak")
    for name in (".lock", "model-epoch7.safetensors", *half_written, *of_others):
        (tmp_path / name).write_bytes(b"half of it")
    (tmp_path / ".tmp.drivedownload").mkdir()
    (tmp_path / RETESTS).mkdir()
    (tmp_path / RETESTS / ".tiny.jsonl.gz.abcd_123.part").write_bytes(b"half of it")
    train(tiny, replace(config, epochs=1), tmp_path, progress=False)
    made = {".lock", "run.json", "predictions.jsonl.gz", "model.safetensors"}
    assert {file.name for file in tmp_path.iterdir()} == {*made, *of_others, ".tmp.drivedownload", RETESTS}
    assert not list((tmp_path / RETESTS).iterdir())


def test_a_damaged_checkpoint_is_named_and_not_used(tiny: Corpus, config: TrainConfig, tmp_path: Path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors is damaged .*; delete .* and train again"):
        train(tiny, config, tmp_path, progress=False)


def test_a_named_pipe_in_place_of_weights_or_a_checkpoint_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "model.safetensors")
    for read in (read_weights, read_progress):
        with pytest.raises(CheckpointError, match=r"is damaged \(not a regular file\); delete .* and train again"):
            read(tmp_path / "model.safetensors")


def test_weights_of_another_model_are_refused(config: TrainConfig, tmp_path: Path):
    save_weights(build_model(replace(config.model, local_text=False), 1), tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="was written by another model"):
        load_weights(build_model(config.model, 1), tmp_path / "weights.safetensors")


def test_a_frozen_encoder_is_neither_changed_nor_saved(tiny: Corpus, config: TrainConfig, tmp_path: Path):
    config = replace(config, epochs=1, model=replace(config.model, frozen_text=True))
    before = build_model(config.model, 1).text.encoder.state_dict()
    finished = train(tiny, config, tmp_path, progress=False)
    assert not [name for name in load_file(finished.weights) if name.startswith("text.encoder.")]
    model = build_model(config.model, 1)
    load_weights(model, finished.weights)
    assert all(torch.equal(before[name], value) for name, value in model.text.encoder.state_dict().items())


PARTS = {"down", "up"}
"""The parameters of an adapter."""


@pytest.fixture(scope="module")
def adapted(tiny: Corpus, config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with an adapter, kept in half precision, beside a copy of the encoder."""
    folder = tmp_path_factory.mktemp("adapted")
    encoder = shutil.copytree(config.model.text_encoder, folder / "encoder")
    model = replace(config.model, text_encoder=str(encoder), adapter_rank=2)
    return train(tiny, replace(config, model=model, half_weights=True), folder / "run", progress=False)


def test_an_adapter_is_saved_without_the_weights_of_its_encoder_which_stay_as_they_were(
    adapted: Run, config: TrainConfig
):
    of_encoder = {name: value for name, value in load_file(adapted.weights).items() if name.startswith("text.encoder.")}
    assert {name.split(".")[-1] for name in of_encoder} == PARTS
    assert all(value.any() for value in of_encoder.values())  # U starts at zero: it has learnt
    before = build_model(config.model, 1).text.encoder.state_dict()
    after = trained_model(adapted, torch.device("cpu")).text.encoder.state_dict()
    kept = {name.replace(".linear.", "."): value for name, value in after.items() if name.split(".")[-1] not in PARTS}
    assert kept.keys() == before.keys()
    assert all(torch.equal(before[name], value) for name, value in kept.items())


def test_weights_in_half_precision_are_the_ones_that_were_scored(adapted: Run, tiny: Corpus):
    saved = load_file(adapted.weights)
    assert {tensor.dtype for tensor in saved.values()} == {torch.float16}
    state = trained_model(adapted, torch.device("cpu")).state_dict()
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float32}
    assert all(torch.equal(state[name], tensor.float()) for name, tensor in saved.items())
    again = read_predictions(retest(adapted, tiny, progress=False).file, tiny.test)
    assert again == read_predictions(adapted.predictions, tiny.test)


def test_a_changed_encoder_is_not_used_with_an_adapter(adapted: Run):
    encoder = Path(adapted.config.model.text_encoder) / "model.safetensors"
    original = encoder.read_bytes()
    save_file({name: tensor + 1 for name, tensor in load_file(encoder).items()}, encoder, {"format": "pt"})
    try:
        with pytest.raises(RunError, match=r"was trained with another text encoder model\.safetensors of .*: restore"):
            trained_model(adapted, torch.device("cpu"))
    finally:
        encoder.write_bytes(original)


def test_a_frozen_encoder_reads_once_for_all_runs_that_read_the_same(
    tiny: Corpus, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = replace(config, epochs=1, model=replace(config.model, frozen_text=True))
    without = replace(config, model=replace(config.model, local_text=False))
    alone = train(tiny, without, tmp_path / "alone", progress=False)
    read: list[object] = []
    monkeypatch.setattr(loop, "read_words", lambda *given: read.append(given) or read_words(*given))
    kept: dict[str, dict[str, Words]] = {}
    for number, (settings, readings) in enumerate(
        [(config, 3), (without, 3), (replace(config, batch_size=config.batch_size + 1), 6), (without, 9)]
    ):
        run = train(tiny, settings, tmp_path / str(number), progress=False, kept=kept)
        assert len(read) == readings
        if settings == without:
            assert run.record["weights_sha256"] == alone.record["weights_sha256"]


@pytest.mark.parametrize("changes", [{}, {"frozen_text": True}, {"adapter_rank": 2}])
def test_every_trainable_parameter_is_in_the_optimizer_exactly_once(config: TrainConfig, changes: dict[str, Any]):
    model = build_model(replace(config.model, **changes), 1)
    grouped = [id(parameter) for group in parameter_groups(model, config) for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters() if parameter.requires_grad)
    assert learned_state(model).keys() >= {name for name, p in model.named_parameters() if p.requires_grad}


def test_encoder_and_head_have_their_own_rates_and_vectors_no_decay(config: TrainConfig):
    model = build_model(config.model, 1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in parameter_groups(model, config):
        for parameter in group["params"]:
            encoder = names[id(parameter)].startswith("text.encoder.")
            assert group["lr"] == (config.encoder_lr if encoder else config.head_lr)
            assert group["weight_decay"] == (config.weight_decay if parameter.ndim > 1 else 0)


def test_tags_are_numbered_as_the_record_assumes(config: TrainConfig):
    assert build_model(config.model, 1).decoder.tags == TAGS


def test_a_run_that_is_not_finished_says_so(tmp_path: Path):
    with pytest.raises(RunError, match="no finished run in"):
        Run.load(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=re.escape(str(tmp_path / "run.json")) + " cannot be read"):
        Run.load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_in_place_of_the_record_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(RunError, match="not a regular file"):
        Run.load(tmp_path)


def test_a_folder_with_other_files_is_refused_and_they_are_kept(tiny: Corpus, config: TrainConfig, tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"a pretrained encoder")
    with pytest.raises(RunError, match="holds files that are no run's"):
        train(tiny, config, tmp_path, progress=False)
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    assert (tmp_path / "model.safetensors").read_bytes() == b"a pretrained encoder"


def test_a_loss_that_is_no_number_ends_the_run(
    tiny: Corpus, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "rate_at", lambda *_, **__: 1e30)
    with pytest.raises(RunError, match=r"the loss of epoch \d is (nan|inf)"):
        train(tiny, config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_frozen_encoder_that_has_changed_is_not_used_with_the_weights_that_were_trained_beside_it(
    tiny: Corpus, config: TrainConfig, tmp_path: Path
):
    encoder = shutil.copytree(config.model.text_encoder, tmp_path / "encoder")
    runs = {}
    for frozen in (True, False):
        model = replace(config.model, text_encoder=str(encoder), frozen_text=frozen)
        runs[frozen] = train(tiny, replace(config, epochs=1, model=model), tmp_path / str(frozen), progress=False)
    state = load_file(encoder / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in state.items()}, encoder / "model.safetensors", {"format": "pt"})
    with pytest.raises(RunError, match=r"was trained with another text encoder model\.safetensors of .*: restore"):
        trained_model(runs[True], torch.device("cpu"))
    trained_model(runs[False], torch.device("cpu"))  # its weights hold those of the encoder


def test_other_weights_of_the_encoder_are_another_run(tiny: Corpus, config: TrainConfig, tmp_path: Path):
    encoder = shutil.copytree(config.model.text_encoder, tmp_path / "encoder")
    config = replace(config, epochs=1, model=replace(config.model, text_encoder=str(encoder)))
    train(tiny, config, tmp_path / "run", progress=False)
    state = load_file(encoder / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in state.items()}, encoder / "model.safetensors", {"format": "pt"})
    with pytest.raises(RunError, match=r"holds another run: its inputs has text encoder model\.safetensors"):
        train(tiny, config, tmp_path / "run", progress=False)


def test_a_cut_run_whose_best_weights_are_lost_says_what_to_do(tiny: Corpus, config: TrainConfig, tmp_path: Path):
    model = build_model(config.model, 1)
    optimizer = Optimizer(parameter_groups(model, config))
    begun = identity(tiny, config) | surroundings(torch.device("cpu"), 1) | {"features": None}
    progress = Progress(best_epoch=1, best_f1=1.0, weights="model-epoch1.safetensors", weights_sha256="0")
    save_checkpoint(tmp_path / "checkpoint.safetensors", model, optimizer, progress, begun)
    with pytest.raises(CheckpointError, match=f"no weights at .*; delete {tmp_path} and train again"):
        train(tiny, config, tmp_path, progress=False)


@pytest.mark.parametrize(
    ("part", "name", "before", "remedy"),
    [
        ("machine", "threads", 99, "use --threads 99"),
        ("machine", "device", "Some GPU", "continue on such a machine"),
        ("versions", "torch", "2.11.0", "install that version"),
    ],
)
def test_a_cut_run_goes_on_only_where_it_would_come_out_the_same(
    tiny: Corpus, config: TrainConfig, tmp_path: Path, part: str, name: str, before: object, remedy: str
):
    model = build_model(config.model, 1)
    optimizer = Optimizer(parameter_groups(model, config))
    begun = surroundings(torch.device("cpu"), 1)
    now, begun[part][name] = begun[part][name], before
    save_checkpoint(tmp_path / "checkpoint.safetensors", model, optimizer, Progress(), identity(tiny, config) | begun)
    said = f"was begun with {part}.{name} = {before!r}, and would continue with {now!r}: {remedy}, or delete"
    with pytest.raises(RunError, match=re.escape(said)):
        train(tiny, config, tmp_path, progress=False)


def test_a_cut_run_goes_on_with_the_features_that_it_began_with(tmp_path: Path):
    begun = surroundings(torch.device("cpu"), 1) | {"features": "captions-0"}
    require_same_sums(tmp_path, begun, begun)
    with pytest.raises(
        RunError, match=r"was begun with features = 'captions-0'.*: restore those, or delete the folder"
    ):
        require_same_sums(tmp_path, begun, begun | {"features": "captions-1"})


def test_a_lock_that_appears_at_this_moment_is_no_foreign_file(
    tiny: Corpus, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    listed = os.listdir

    def meanwhile(folder: Path) -> list[str]:
        (Path(folder) / ".lock").touch()  # of another process, which has just come
        return listed(folder)

    monkeypatch.setattr(loop.os, "listdir", meanwhile)
    run = train(tiny, replace(config, epochs=1), tmp_path, progress=False)
    assert run.weights.exists()


def test_what_was_made_with_weights_goes_when_they_are_trained_anew(tiny: Corpus, config: TrainConfig, tmp_path: Path):
    config = replace(config, epochs=1)
    run = train(tiny, config, tmp_path, progress=False)
    stale = [tmp_path / CALIBRATION, tmp_path / RETESTS / "tiny-shuffled50.jsonl.gz"]
    stale[1].parent.mkdir()
    for file in stale:
        file.write_text("{}", encoding="utf-8")
    assert train(tiny, config, tmp_path, progress=False).record == run.record
    assert all(file.exists() for file in stale)
    (tmp_path / "run.json").unlink()
    train(tiny, config, tmp_path, progress=False)
    assert not any(file.exists() for file in stale)


def test_another_image_is_another_run_and_another_name_for_it_is_not(tiny: Corpus, tmp_path: Path):
    def shown(*names: str | None) -> Corpus:
        posts = [replace(tiny.train[0], image=name and tmp_path / name) for name in names]
        return replace(tiny, train=tuple(replace(post, id=str(number)) for number, post in enumerate(posts)))

    for name, pixels in (("a", b"one"), ("b", b"one"), ("c", b"other")):
        (tmp_path / name).write_bytes(pixels)
    with_images = TrainConfig(model=ModelConfig(vision=True), visual=VisualSource())
    assert identity(shown("a"), with_images) == identity(shown("b"), with_images)
    assert identity(shown("a"), with_images) != identity(shown("c"), with_images)
    found = {images_sha256(shown(*names)) for names in (("a", "c"), ("c", "a"), ("a", None), ("a", "lost"), ("a", "a"))}
    assert len(found) == 4  # an image that is lost is none
    file = tmp_path / "captions.txt"
    file.write_text("a.jpg :a van\n", encoding="utf-8")
    captions = replace(with_images, visual=VisualSource.from_captions(str(file)))
    for blind in (TrainConfig(), captions):
        assert identity(shown("a"), blind) == identity(shown("c"), blind)


@pytest.mark.parametrize("text", ["[]", '{"config": null, "corpus": {}, "scores": {}}', "[" * 100_000])
def test_a_record_that_is_none_is_named(text: str, tmp_path: Path):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json (is no run record|cannot be read)"):
        Run.load(tmp_path)
    with pytest.raises(RunError, match="is a file: name the run's folder"):
        Run.load(tmp_path / "run.json")


def test_settings_of_another_version_are_named_with_their_file(run: Run):
    record = run.record | {"config": run.record["config"] | {"future": 1}}
    with pytest.raises(RunError, match=r"run\.json: unknown setting 'future'"):
        _ = Run(run.folder, record).config
    with pytest.raises(RunError, match=r"run\.json names no visual features"):
        _ = Run(run.folder, record).shape


@pytest.mark.parametrize("file", ["model-epoch{best}.safetensors", "checkpoint.safetensors", "run.json"])
def test_a_run_cut_before_any_of_its_files_is_written_ends_with_the_same_weights(
    run: Run, tiny: Corpus, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
):
    best = run.record["best_epoch"]
    name, wanted = file.format(best=best), best if file == "checkpoint.safetensors" else 1
    replaced, times = os.replace, []

    def replace_or_die(source: Path, target: Path) -> None:
        if Path(target).name == name:
            times.append(target)
            if len(times) == wanted:
                raise KeyboardInterrupt
        replaced(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", replace_or_die)
        with pytest.raises(KeyboardInterrupt):
            train(tiny, config, tmp_path, progress=False)
    finished = train(tiny, config, tmp_path, progress=False)
    assert finished.weights.read_bytes() == run.weights.read_bytes()
    assert finished.predictions.read_bytes() == run.predictions.read_bytes()
    made = {".lock", "run.json", "predictions.jsonl.gz", "model.safetensors"}
    assert {file.name for file in tmp_path.iterdir()} == made


def test_what_the_record_cannot_hold_is_an_error_before_training(tiny: Corpus, config: TrainConfig, tmp_path: Path):
    with pytest.raises(RunError, match=r"cannot hold corpus.name = 'caf\\udce9', which is not UTF-8: rename"):
        train(replace(tiny, name="caf\udce9"), config, tmp_path, progress=False)
    captions = tmp_path / "\udce9.txt"
    captions.write_text("a.jpg :a van\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"which is not UTF-8: rename the file"):
        train(tiny, replace(config, appended=(str(captions),)), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    with pytest.raises(CheckpointError, match=r"caf.*: its name is not UTF-8, so it cannot hold weights; rename the f"):
        train(tiny, config, tmp_path / "caf\udce9", progress=False)
    assert not (tmp_path / "caf\udce9").exists()


def test_weights_in_a_folder_whose_name_is_not_utf8_are_not_called_damaged(run: Run, tmp_path: Path):
    copied = Path(shutil.copytree(run.folder, tmp_path / "caf\udce9"))
    with pytest.raises(CheckpointError, match="its name is not UTF-8, so it cannot hold weights; rename the folder"):
        trained_model(Run.load(copied), torch.device("cpu"))


def test_a_disk_without_room_is_an_error_before_training(
    tiny: Corpus, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(10**9, 10**9, 10**5)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    monkeypatch.setattr(loop, "_drawn", lambda *_, **__: pytest.fail("the network was built"))
    with pytest.raises(RunError, match=r"has 0 MB left, and the run needs [\d,]+ MB: make room"):
        train(tiny, config, tmp_path, progress=False)


def test_a_finished_run_is_returned_from_a_folder_that_cannot_be_written(
    run: Run, tiny: Corpus, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    def read_only(*given: object, **options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("filelock.FileLock.acquire", read_only)
    assert train(tiny, config, run.folder, progress=False).record == run.record


def test_a_run_whose_weights_were_not_kept_is_no_tagger(run: Run):
    lost = replace(run, record=run.record | {"weights_sha256": None})
    with pytest.raises(RunError, match=r"the weights of .* were not kept: train the run into another folder"):
        trained_model(lost, torch.device("cpu"))


@pytest.mark.parametrize(
    ("tensors", "progress", "message"),
    [
        ({}, "[]", "is damaged .its progress is no JSON object"),
        ({}, "[" * 100_000, "is damaged"),
        ({}, '{"state": []}', "is no checkpoint of this version"),
        ({}, '{"state": {"best_epoch": true}}', r"is no checkpoint of this version .state.best_epoch"),
        ({}, '{"state": {"weights": "../other.safetensors"}}', r"is no checkpoint of this version .state.weights"),
        ({}, '{"state": {"a": ' + "9" * 5000 + "}}", "is damaged"),
        ({"x": 1}, '{"state": {}}', "is no checkpoint .it holds 'x'"),
        ({"evil/x": 1}, '{"state": {}}', "is no checkpoint .it holds 'evil/x'"),
        ({"optimizer/exp_avg/nope": 1}, '{"state": {}}', "was written by another optimizer"),
        ({"optimizer/exp_avg/weight": 7}, '{"state": {}}', "was written by another optimizer"),
    ],
)
def test_a_checkpoint_of_another_structure_is_one_clear_error(
    tmp_path: Path, tensors: dict[str, int], progress: str, message: str
):
    network = torch.nn.Linear(4, 3)
    file = tmp_path / "checkpoint.safetensors"
    own = {f"model/{name}": value.detach() for name, value in network.named_parameters()}
    written = own | {name: torch.zeros(size) for name, size in tensors.items()}
    save_file(written, file, {"progress": progress, "sha256": tensors_sha256(written)})

    def resume() -> None:
        read_progress(file)
        load_checkpoint(file, network, AdamW(network.parameters()))

    with pytest.raises(CheckpointError, match=message):
        resume()


@pytest.mark.parametrize("metadata", [None, {"progress": "{}"}, {"sha256": "0" * 64}])
def test_a_checkpoint_without_the_sum_of_its_tensors_is_not_resumed(tmp_path: Path, metadata: dict[str, str] | None):
    network = torch.nn.Linear(4, 3)
    file = tmp_path / "checkpoint.safetensors"
    save_file({f"model/{name}": value.detach() for name, value in network.named_parameters()}, file, metadata)
    with pytest.raises(CheckpointError, match=r"is damaged .its tensors are not those that were written"):
        load_checkpoint(file, network, AdamW(network.parameters()))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.full((3, 4), torch.nan), r"is damaged \(weight holds NaN or infinity\)"),
        (torch.full((3, 4), -torch.inf), r"is damaged \(weight holds NaN or infinity\)"),
        (torch.zeros(4, 3), "another model .weight is 4 x 3 float32 in the weights and 3 x 4 float32 in the model"),
        (torch.zeros(3, 4, dtype=torch.long), "weight is 3 x 4 int64 in the weights"),
        (torch.zeros(3, 4, dtype=torch.float64), "weight is 3 x 4 float64 in the weights"),
    ],
)
def test_crafted_weights_are_refused_where_they_are_read(tmp_path: Path, weight: torch.Tensor, message: str):
    save_file({"weight": weight, "bias": torch.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load_weights(torch.nn.Linear(4, 3), tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width": 16_384}, r"text\.local\.weight is 128 x 23 x 7 float32 in the weights and 16384 x 23 x 7 float32"),
        ({"local_text": False}, r"the model has no text\.local\.bias"),
        ({"layers": "mix"}, r"the weights lack text\.mix"),
    ],
)
def test_settings_of_another_model_are_refused_before_it_takes_memory(
    run: Run, setting: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "_drawn", lambda *_, **__: pytest.fail("the network was built"))
    config = run.record["config"]
    crafted = replace(run, record=run.record | {"config": config | {"model": config["model"] | setting}})
    with pytest.raises(RunError, match=rf"run\.json: its settings describe another model .*: {message}.*; restore"):
        trained_model(crafted, torch.device("cpu"))
