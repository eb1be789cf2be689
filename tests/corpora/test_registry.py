from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hamner.corpora import VERSIONS, Corpus, CorpusError, corpora_folder, load_corpus, project_folder
from hamner.corpora.files import sha256


def test_a_folder_of_ones_own_is_loaded_with_its_hashes(corpus_folder: Path) -> None:
    corpus = load_corpus(corpus_folder)
    assert corpus.name == "own"
    assert [len(posts) for _, posts in corpus.splits()] == [2, 1, 1]
    assert corpus.sha256["train.txt"] == sha256((corpus_folder / "train.txt").read_bytes())
    assert load_corpus("own", root=corpus_folder.parent).train == corpus.train


def test_a_misspelt_name_suggests_the_nearest_ones() -> None:
    with pytest.raises(CorpusError, match=r"'twiter2017'.*did you mean twitter2017"):
        load_corpus("twiter2017")


def test_a_name_like_no_other_lists_the_known_ones() -> None:
    with pytest.raises(CorpusError, match=r"known are minitweets, twitter2015, .*, twitter2015-hvpnet, twitter2017"):
        load_corpus("qqq")


def test_a_name_that_no_file_system_can_hold_is_a_corpus_error() -> None:
    with pytest.raises(CorpusError):
        load_corpus("x" * 10_000)


def test_a_known_corpus_that_is_not_fetched_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAMNER_CORPORA", str(tmp_path))
    with pytest.raises(CorpusError, match=r"hamner corpora fetch twitter2017$"):
        load_corpus("twitter2017")
    with pytest.raises(CorpusError, match=r"hamner corpora fetch twitter2017 --to '.*my corpora'$"):
        load_corpus("twitter2017", root=tmp_path / "my corpora")


def test_a_bundled_corpus_that_is_not_there_is_not_to_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="comes with the project"):
        load_corpus("minitweets", root=tmp_path)


def test_a_changed_file_never_goes_under_a_known_name(
    corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.move(corpus_folder, tmp_path / "twitter2017")
    digest = sha256((folder / "train.txt").read_bytes())
    expected = VERSIONS["twitter2017"].files["train.txt"].sha256
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "twitter2017").symlink_to(folder)
    monkeypatch.chdir(folder)
    for name, root in (("twitter2017", tmp_path), (folder, None), (".", None), ("twitter2017", tmp_path / "link")):
        with pytest.raises(CorpusError, match=rf"train\.txt.*{digest}.*{expected}"):
            load_corpus(name, root)
    shutil.copytree(folder, tmp_path / "minitweets")
    with pytest.raises(CorpusError, match="take the file that comes with the project"):
        load_corpus(tmp_path / "minitweets")


def test_a_folder_name_that_is_no_utf_8_is_refused_when_the_corpus_is_loaded(corpus_folder: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(corpus_folder.parent) + b"/caf\xe9"))
    try:
        corpus_folder.rename(folder)
    except OSError:
        pytest.skip("this file system has UTF-8 names alone")
    with pytest.raises(CorpusError, match=r"^caf\\xe9: the folder's name is not UTF-8.*; rename it$"):
        load_corpus(folder)


def test_a_folder_name_is_read_as_utf_8_whatever_the_locale(corpus_folder: Path) -> None:
    shutil.move(corpus_folder, corpus_folder.with_name("tweets ünd 😂"))
    script = (
        "import json, os; from hamner.corpora import load_corpus; folder = next(os.scandir('.')).path; "
        "print(json.dumps(load_corpus(folder).name))"
    )
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    root = Path(__file__).parents[2]
    environment["PYTHONPATH"] = str(root)
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=corpus_folder.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout) == "tweets ünd 😂"


@pytest.mark.parametrize("in_place", [os.mkfifo, os.mkdir])
def test_what_stands_in_the_place_of_images_tsv_is_not_passed_over(
    in_place: Callable[[Path], None], corpus_folder: Path
) -> None:
    (corpus_folder / "images").mkdir()
    in_place(corpus_folder / "images.tsv")
    with pytest.raises(CorpusError, match=r"images\.tsv: cannot be read"):
        load_corpus(corpus_folder)


def test_the_hash_is_compared_before_the_text_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "twitter2015"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_bytes(b"\xff")
    with pytest.raises(CorpusError, match="SHA-256"):
        load_corpus("twitter2015", tmp_path)


def test_a_missing_or_empty_split_is_named(corpus_folder: Path) -> None:
    (corpus_folder / "valid.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"valid\.txt: no post in it; write at least one"):
        load_corpus(corpus_folder)
    (corpus_folder / "valid.txt").unlink()
    with pytest.raises(CorpusError, match=r"valid\.txt: cannot be read"):
        load_corpus(corpus_folder)


def test_posts_may_share_an_image_by_images_tsv(corpus_folder: Path) -> None:
    (corpus_folder / "images").mkdir()
    (corpus_folder / "images" / "p.png").touch()
    (corpus_folder / "images" / "3.png").touch()
    assert load_corpus(corpus_folder).valid[0].image == corpus_folder / "images" / "3.png"
    (corpus_folder / "images.tsv").write_text("1\tp.png\n2\tp.png\r\n4\tgone.png\n", encoding="utf-8-sig")
    corpus = load_corpus(corpus_folder)
    assert [post.image for post in corpus.train] == [corpus_folder / "images" / "p.png"] * 2
    assert corpus.valid[0].image is None
    assert corpus.test[0].image is None


@pytest.mark.parametrize("line", ["1 p.png", "1\t../p.png", "../1\tp.png", "1\t", "1\tp.png\tmore"])
def test_a_malformed_line_of_images_tsv_is_named(line: str, corpus_folder: Path) -> None:
    (corpus_folder / "images").mkdir()
    (corpus_folder / "images.tsv").write_text(f"2\tp.png\n{line}\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"images\.tsv:2: "):
        load_corpus(corpus_folder)


def test_a_post_with_two_images_in_images_tsv_is_named_with_both_lines(corpus_folder: Path) -> None:
    (corpus_folder / "images").mkdir()
    (corpus_folder / "images.tsv").write_text("1\tp.png\n1\tq.png\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"images\.tsv:2: '1' was already given an image on line 1"):
        load_corpus(corpus_folder)


def test_corpora_live_in_the_named_folder_or_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAMNER_CORPORA", str(tmp_path))
    assert corpora_folder() == tmp_path
    monkeypatch.delenv("HAMNER_CORPORA")
    assert corpora_folder() == project_folder() / "data" / "corpora"


def test_an_unknown_split_is_refused(corpus_folder: Path) -> None:
    with pytest.raises(KeyError, match="train, valid, test"):
        load_corpus(corpus_folder)["dev"]


REAL = [name for name, version in VERSIONS.items() if not version.bundled]


def real_corpus(name: str, real_corpora: Path) -> Corpus:
    if not (real_corpora / name).is_dir():
        pytest.skip(f"{real_corpora} holds no {name}")
    return load_corpus(name, real_corpora)


@pytest.mark.parametrize("name", REAL)
def test_the_real_corpora_load_under_their_names(name: str, real_corpora: Path) -> None:
    corpus = real_corpus(name, real_corpora)
    version = VERSIONS[name]
    assert corpus.sha256 == {file: source.sha256 for file, source in version.files.items()}
    for file, source in version.files.items():
        assert source.bytes in (None, (real_corpora / name / file).stat().st_size)


def test_hvpnets_files_have_the_posts_of_umts_and_other_labels_most_of_them_in_test(real_corpora: Path) -> None:
    umt, hvpnet = load_corpus("twitter2015", real_corpora), real_corpus("twitter2015-hvpnet", real_corpora)
    changed = {}
    for split, posts in umt.splits():
        pairs = list(zip(posts, hvpnet[split], strict=True))
        assert all(replace(one, tags=None) == replace(other, tags=None) for one, other in pairs)
        changed[split] = sum(one.tags != other.tags for one, other in pairs)
    assert changed == {"train": 9, "valid": 3, "test": 239}


def test_a_source_names_a_whole_commit_and_a_whole_sha256() -> None:
    for name in REAL:
        version = VERSIONS[name]
        assert re.fullmatch("[0-9a-f]{40}", version.commit), name
        assert all(re.fullmatch("[0-9a-f]{64}", source.sha256) for source in version.files.values()), name


def test_the_no_break_space_of_twitter2015_is_a_word(real_corpora: Path) -> None:
    post = next(post for post in load_corpus("twitter2015", real_corpora).valid if post.id == "73309")
    assert "\u00a0" in post.words


def test_umt_and_original_labels_differ_as_the_explanation_says(real_corpora: Path) -> None:
    umt, original = load_corpus("twitter2015", real_corpora), load_corpus("twitter2015-original", real_corpora)
    strays = {}
    for split, posts in original.splits():
        changes = []
        for before, after in zip(posts, umt[split], strict=True):
            assert replace(before, tags=None) == replace(after, tags=None)
            changes += [
                (before.id, word.lower(), old, new)
                for word, old, new in zip(before.words, before.tags or (), after.tags or (), strict=True)
                if old != new and "B" in (old[0], new[0])
            ]
        strays[split] = sum(change[1:] == ("the", "B-MISC", "O") for change in changes)
        rest = [change for change in changes if change[1:] != ("the", "B-MISC", "O")]
        if split == "train":
            assert len({id for id, *_ in rest}) == 1
            assert [change[1:] for change in rest[:2]] == [("the", "B-ORG", "O")] * 2
            assert rest[2][1].startswith("@")
            assert rest[2][2:] == ("O", "B-ORG")
            assert len(rest) == 3
        else:
            assert rest == []
    assert strays == {"train": 9, "valid": 5, "test": 6}


def test_without_a_checkout_fetched_corpora_go_to_the_users_cache(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("HAMNER_CORPORA", raising=False)
    assert corpora_folder() == project_folder() / "data" / "corpora"
    monkeypatch.setattr("hamner.corpora.registry.checkout", lambda: None)
    monkeypatch.setenv("HAMNER_CACHE", str(tmp_path))
    assert corpora_folder() == tmp_path / "corpora"
    assert project_folder() == Path.cwd()
    monkeypatch.setenv("HAMNER_CORPORA", str(tmp_path / "mine"))
    assert corpora_folder() == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError, match=r"minitweets is not at .*; run hamner from a checkout of it, or give the"):
        load_corpus("minitweets")
