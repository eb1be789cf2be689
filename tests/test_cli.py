from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import hamner
from hamner import cli

TEXT = "IMGID:1\nKelso\tB-PER\nran\tO\n\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, split in enumerate(("train", "valid", "test")):
        (tmp_path / f"{split}.txt").write_text(f"IMGID:{number}\nKelso{number}\tB-PER\nran\tO\n\n", encoding="utf-8")
    return tmp_path


def status_of(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["hamner", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("command", [[], ["corpora"], ["train"], ["evaluate"], ["corpora", "fetch"]])
def test_each_command_explains_itself(command, monkeypatch, capsys):
    assert status_of([*command, "--help"], monkeypatch) == 0
    assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("split", "text", "message"),
    [
        ("train", "IMGID:1\nKelso B-PER\n", "train.txt:2: 2 columns ('Kelso', 'B-PER'), parted by blanks"),
        ("valid", "IMGID:1\nKelso\tB_HERO\n", "valid.txt:2: unknown tag 'B_HERO'"),
        ("test", "IMGID:../../x\nKelso\tB-PER\n", "test.txt:1: IMGID '../../x' is a path"),
        ("train", "IMGID:1\n\nIMGID:2\na\tO\n", "train.txt:1: post '1' has no words"),
        ("train", TEXT + TEXT, "train.txt:5: IMGID '1' was already used on line 1"),
    ],
)
@pytest.mark.parametrize("command", [["train"], ["corpora", "check"]])
def test_a_corpus_that_cannot_be_read_is_one_line_with_status_1(
    command, split, text, message, folder, monkeypatch, capsys
):
    (folder / f"{split}.txt").write_text(text, encoding="utf-8")
    assert status_of([*command, str(folder)], monkeypatch) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_misspelt_corpus_gets_the_nearest_names(monkeypatch, capsys):
    assert status_of(["train", "twiter2017"], monkeypatch) == 1
    assert "twitter2017" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epoch=3", "error: unknown setting 'epoch'"),
        ("model.layers=all", "error: setting layers cannot be 'all'"),
        ("epochs=0", "error: epochs must be from 1 to 9,999"),
    ],
)
def test_a_wrong_setting_is_one_line_with_status_1(setting, message, folder, monkeypatch, capsys):
    assert status_of(["train", str(folder), "--set", setting], monkeypatch) == 1
    assert capsys.readouterr().err.startswith(message)


def test_a_setting_is_checked_before_the_splits_are_compared(folder, monkeypatch, capsys):
    for split in ("valid", "test"):
        shutil.copy(folder / "train.txt", folder / f"{split}.txt")
    assert status_of(["train", str(folder), "--set", f"encoder_lr=1{'0' * 400}"], monkeypatch) == 1
    assert capsys.readouterr().err.startswith("error: setting encoder_lr cannot be 100")
    assert status_of(["train", str(folder), "--run", str(folder / "run")], monkeypatch) == 1
    assert "posts of test (100.0 %) stand in train with the same words" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["train"], ["train", "x", "--set", "epochs"], ["trian"], ["train", "x", "--no"]])
def test_a_mistyped_command_has_status_2(arguments, monkeypatch):
    assert status_of(arguments, monkeypatch) == 2


@pytest.mark.parametrize("text", ["-5 degrees in Oslo", "--- wow", "--\x1b[31mred"])
def test_a_tweet_that_begins_with_a_dash_gets_the_command_that_tags_it(text, monkeypatch, capsys):
    assert status_of(["tag", text, "--run", "x"], monkeypatch) == 2
    error = capsys.readouterr().err
    assert "No such option: -" in error
    assert "hamner tag --run RUN -- TEXT" in " ".join(error.replace("│", " ").split())
    assert "\x1b[31m" not in error


def test_a_tweet_after_two_dashes_is_taken_as_it_is(monkeypatch, capsys, tmp_path):
    assert status_of(["tag", "--run", str(tmp_path / "absent"), "--", "-5 degrees"], monkeypatch) == 1
    assert "no finished run in" in capsys.readouterr().err


def test_a_control_character_in_an_argument_reaches_no_terminal(monkeypatch, capsys):
    assert status_of(["corpora", "check", "\x1b]52;c;x\x07"], monkeypatch) == 1
    assert "\\x1b]52;c;x\\x07" in capsys.readouterr().err


def test_weights_that_are_not_there_while_offline_end_in_one_sentence(folder, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    arguments = ["train", str(folder), "--text-encoder", "nobody/no-such-encoder", "--run", str(folder / "run")]
    assert status_of(arguments, monkeypatch) == 1
    error = capsys.readouterr().err
    assert "the text encoder 'nobody/no-such-encoder' is not on this machine (HF_HUB_OFFLINE is set)" in error
    assert "minilm" in error
    assert error.count("\n") == 1


def test_a_run_folder_that_cannot_be_made_is_named(folder, monkeypatch, capsys):
    (folder / "file").write_text("in the way")
    assert status_of(["train", str(folder), "--run", str(folder / "file" / "run")], monkeypatch) == 1
    assert f"cannot write to {folder / 'file' / 'run'}" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["hamner", "hamner.cli"])
def test_importing_hamner_loads_no_heavy_library(module):
    heavy = {"torch", "torchvision", "matplotlib", "transformers", "accelerate", "scipy"}
    heavy |= {"pandas", "numpy", "pydantic", "requests", "PIL", "filelock", "tqdm"}  # each a tenth of a second or more
    code = f"import {module}, sys; print(sorted({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


MISTYPED = {f"{name} twiter2017": "twitter2017" for name in ("train", "ablate", "sweep", "features", "corpora check")}
MISTYPED |= {"tag Kelso --run twets": "tweets", "tag --file - --run twets": "tweets"}


@pytest.mark.parametrize("command", MISTYPED)
def test_a_mistyped_corpus_or_model_answers_before_anything_heavy_is_loaded(command):
    heavy = {"torch", "torchvision", "matplotlib", "transformers", "accelerate", "scipy"}
    code = f"""import sys; sys.argv = ["hamner", *"{command}".split()]
from hamner.cli import main
try:
    main()
finally:
    print(sorted({heavy} & {{*sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"did you mean {MISTYPED[command]}" in done.stderr
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_had():
    import hamner

    for name in hamner.__all__:
        assert getattr(hamner, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        hamner.nonsense  # noqa: B018


def test_a_full_disk_behind_the_output_is_one_line(tmp_path):
    command = [sys.executable, "-m", "hamner", "corpora", "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written (No space left on device)\n"


def test_a_device_that_computes_nothing_is_none(monkeypatch, capsys, tmp_path):
    assert status_of(["features", "minitweets", "--device", "meta", "--folder", str(tmp_path)], monkeypatch) == 1
    assert "no device 'meta' on this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--max-objects", "max_objects must be from 1 to 1,000"),
        ("--seed", "seed must be at least 0 and below 4,294,967,296"),
    ],
)
def test_a_number_beyond_all_measure_is_one_line(option, message, monkeypatch, capsys, tmp_path):
    assert status_of(["features", "minitweets", option, "9" * 20, "--folder", str(tmp_path)], monkeypatch) == 1
    assert message in capsys.readouterr().err


def test_the_version_is_that_of_the_package(monkeypatch, capsys):
    assert status_of(["--version"], monkeypatch) == 0
    assert capsys.readouterr().out.strip() == f"hamner {version('hamner')}" == f"hamner {hamner.__version__}"
    assert (Path(hamner.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("hamner train minit", ["minitweets"]),
        ("hamner train minitweets --row no_sp", ["no_spatial"]),
        ("hamner ablate minitweets --row text_", ["text_only"]),
        ("hamner tag Kelso --run twe", ["tweets", "tweets-mpnet"]),
    ],
)
def test_the_shell_completes_corpora_rows_and_models(words: str, completed: list[str]) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_HAMNER_COMPLETE": "complete_bash"}
    script = Path(sys.executable).with_name("hamner")
    told = subprocess.run([script], capture_output=True, text=True, env=os.environ | asked, check=False)
    assert told.stdout.split() == completed
