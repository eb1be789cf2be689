"""The join of posts and image files, and the report of what is left over on either side."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from hamner.corpora.images import (
    IMAGES,
    ImageFolder,
    image_stem,
    image_suffix,
    images_in,
    unmatched_images,
)
from hamner.corpora.post import CorpusError
from hamner.corpora.registry import load_corpus
from hamner.corpora.report import check


def make_corpus(folder: Path, ids: list[str], files: list[str]) -> Path:
    """A corpus of one post an id (the first in train, the second in valid, the others in test), and image files."""
    folder.mkdir()
    for split, some in (("train", ids[:1]), ("valid", ids[1:2]), ("test", ids[2:])):
        text = "".join(f"IMGID:{id}\nQuar{ids.index(id)}\tB-PER\n\n" for id in some)
        (folder / f"{split}.txt").write_text(text, "utf-8")
    for number, name in enumerate(files):
        file = folder / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((32, 32), 60).convert("RGB").rotate(number).save(file, "PNG")
    return folder


def images(folder: Path) -> dict[str, str | None]:
    return {
        post.id: post.image.name if post.image else None for _, posts in load_corpus(folder).splits() for post in posts
    }


@pytest.mark.parametrize(
    "suffix",
    [
        ".jpg",
        ".JPG",
        ".jpeg",
        ".png",
        ".webp",
        ".gif",
        ".GIF",
        ".bmp",
        ".tif",
        ".tiff",
        ".jfif",
        ".jpg_large",
        ".jpg-large",
        ".jpg:large",
        ".jpg_orig",
        ".png_large",
        ".jpg_medium",
        ".JPG_Large",
    ],
)
def test_an_image_is_known_by_its_name_without_the_suffix(suffix: str, tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "own", ["1", "2", "3"], [f"{id}{suffix}" for id in "123"])
    assert images(folder) == {id: f"{id}{suffix}" for id in "123"}
    assert image_suffix(f"a.b{suffix}") == suffix
    assert image_stem(f"a.b{suffix}") == "a.b"


@pytest.mark.parametrize("name", ["1", "1.txt", ".jpg", "1.jpg.txt", "1.jpg_", "1.jpg_huge", "1.svg", "jpg"])
def test_a_name_without_an_image_suffix_is_no_image(name: str) -> None:
    assert image_suffix(name) == ""


def test_an_id_may_carry_a_suffix_or_blanks_or_decomposed_letters(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "Café")
    decomposed = unicodedata.normalize("NFD", "Zoé")
    ids = ["1.jpg", " 2 ", composed, decomposed, "5.png"]
    files = ["1.jpg", "2.jpg", unicodedata.normalize("NFD", composed) + ".jpg"]
    files += [unicodedata.normalize("NFC", decomposed) + ".jpg", "5.webp"]
    assert images(make_corpus(tmp_path / "own", ids, files)) == dict(zip(ids, files, strict=True))


def test_a_file_of_exactly_the_id_comes_first(tmp_path: Path) -> None:
    make_corpus(tmp_path / "own", ["1", "2", "3"], ["1.jpg", "1.jpg.jpg", "1.gif", "1.PNG", "2.jpg_large", "2.webp"])
    there = images_in(tmp_path / "own" / "images")
    assert there["1.jpg"].name == "1.jpg.jpg"
    assert there["1"].name == "1.jpg"
    assert there["2"].name == "2.webp"
    assert there.get("3") is None
    assert isinstance(there, ImageFolder)
    assert set(there) == {"1", "1.jpg", "2"}
    assert len(there) == 3


def sentences(folder: Path) -> list[str]:
    return unmatched_images(load_corpus(folder)).sentences()


def test_nothing_is_left_over_where_each_post_has_its_image(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "own", ["1", "2", "3"], ["1.jpg", "2.jpg", "3.jpg", ".hidden.jpg"])
    (folder / "images" / "Thumbs.db").write_bytes(b"x")
    assert sentences(folder) == []


@pytest.mark.parametrize(
    ("ids", "files", "expected"),
    [
        (
            ["1", "2", "3"],
            ["train/1.jpg", "train/2.jpg", "3.jpg"],
            [
                "1/1/0 (train/valid/test) of 3 posts have no image, the first is 1",
                "2 files in images/ belong to no post, the first is 'train/1.jpg', likeliest the image of post '1': "
                "move the files from subfolders into images/ itself",
            ],
        ),
        (
            ["tweet_1", "2", "3"],
            ["TWEET-1.jpg", "2.jpg", "3.jpg", "9.jpg"],
            [
                "1/0/0 (train/valid/test) of 3 posts have no image, the first is tweet_1",
                "2 files in images/ belong to no post, one is 'TWEET-1.jpg', likeliest the image of post 'tweet_1': "
                "rename it tweet_1.jpg, or name it in images.tsv",
            ],
        ),
        (
            ["tweet_1", "2", "3"],
            ["2.jpg", "3.jpg", "9.jpg"],
            [
                "1/0/0 (train/valid/test) of 3 posts have no image, the first is tweet_1",
                "1 file in images/ belongs to no post, the first is '9.jpg': "
                "name each file after its post, ID.jpg, or list post and file in images.tsv",
            ],
        ),
        (
            ["tweet_1", "2", "3"],
            ["TWEET-1.jpg", "2.jpg", "3.jpg"],
            [
                "1/0/0 (train/valid/test) of 3 posts have no image, the first is tweet_1",
                "1 file in images/ belongs to no post, the first is 'TWEET-1.jpg', likeliest the image of post "
                "'tweet_1': rename it tweet_1.jpg, or name it in images.tsv",
            ],
        ),
        (
            ["1", "2", "3"],
            ["1.heic", "2.jpg", "3.jpg"],
            [
                "1/0/0 (train/valid/test) of 3 posts have no image, the first is 1",
                "1 file in images/ belongs to no post, the first is '1.heic', likeliest the image of post '1': "
                "an image is found by the name ID.jpg; other suffixes are .jpeg, .png",
            ],
        ),
        (
            ["1", "2", "3"],
            ["1.jpg", "1.gif", "2.jpg", "3.jpg"],
            [
                "1 file in images/ belongs to no post, the first is '1.gif'; '1.jpg' was taken for that post: "
                "remove one of the two",
            ],
        ),
        (
            ["1015799", "2", "3"],
            ["O_1015799_0.jpg", "2.jpg", "3.jpg"],
            [
                "1/0/0 (train/valid/test) of 3 posts have no image, the first is 1015799",
                "1 file in images/ belongs to no post, the first is 'O_1015799_0.jpg', likeliest the image of post "
                "'1015799': rename it 1015799.jpg, or name it in images.tsv",
            ],
        ),
    ],
)
def test_both_sides_are_named_with_the_likeliest_match_and_the_remedy(
    ids: list[str], files: list[str], expected: list[str], tmp_path: Path
) -> None:
    given = sentences(make_corpus(tmp_path / "own", ids, files))
    assert len(given) == len(expected)
    assert all(text.startswith(start) for text, start in zip(given, expected, strict=True)), given


def test_an_images_tsv_that_names_absent_files_is_reported_with_the_likeliest_file(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "own", ["a", "b", "c"], ["p1.png", "p2.png"])
    (folder / IMAGES).write_text("a\tp1.png\nb\tp2.jpg\nc\tp1.png \n")
    assert images(folder) == {"a": "p1.png", "b": None, "c": "p1.png"}
    assert sentences(folder) == [
        "0/1/0 (train/valid/test) of 3 posts have no image, the first is b",
        "images.tsv names 1 file that is not in images/, the first is 'p2.jpg' of post 'b': is it images/p2.png?",
        "1 file in images/ belongs to no post, the first is 'p2.png': "
        "give it to a post in images.tsv, one line id<TAB>file for each post",
    ]
    (folder / IMAGES).write_text("a\tp1.png\nb\tq.jpg\nc\tother.jpg\n")
    assert (
        "names 2 files that are not in images/, the first is 'q.jpg' of post 'b': add the files or"
        in sentences(folder)[1]
    )


def test_ids_in_an_images_tsv_that_no_post_has_are_reported(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "own", ["a", "b", "c"], ["p1.png"])
    (folder / IMAGES).write_text("a\tp1.png\nb\tp1.png\nc.jpg\tp1.png\n")
    assert sentences(folder) == [
        "0/0/1 (train/valid/test) of 3 posts have no image, the first is c",
        "images.tsv names 1 id that no post has, the first is 'c.jpg': is it post 'c'?",
    ]
    (folder / IMAGES).write_text("id\tfile\na\tp1.png\nb\tp1.png\nc\tp1.png\nq\tp1.png\n")
    assert sentences(folder) == [
        "images.tsv names 2 ids that no post has, the first is 'id': correct or remove the lines"
    ]


def test_an_images_tsv_finds_files_with_decomposed_names(tmp_path: Path) -> None:
    file = unicodedata.normalize("NFD", "Café.jpg")
    folder = make_corpus(tmp_path / "own", ["a", "b", "c"], [file])
    (folder / IMAGES).write_text(unicodedata.normalize("NFC", "a\tCafé.jpg\n"), "utf-8")
    assert images(folder)["a"] == file


def test_the_check_fails_where_no_post_takes_any_of_the_files(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "own", ["1", "2", "3"], ["x/1.jpg", "x/2.jpg", "x/3.jpg"])
    report = check(folder)
    assert not report.ok
    assert [finding.text for finding in report.findings if finding.kind == "wrong"] == [
        "3 files in images/ belong to no post, the first is 'x/1.jpg', likeliest the image of post '1': "
        "move the files from subfolders into images/ itself"
    ]
    (folder / "images" / "x" / "1.jpg").rename(folder / "images" / "1.jpg")
    report = check(folder)
    assert report.ok
    assert any(finding.text.startswith("2 files in images/ belong to no post") for finding in report.findings)


@pytest.mark.parametrize("place", ["Pictures", "image", "."])
def test_images_outside_of_the_folder_images_are_named_and_fail_the_check(place: str, tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "own", ["1", "2", "3"], ["1.jpg", "2.JPG", "03.png", "chart.png"])
    if place == ".":
        for file in (folder / "images").iterdir():
            file.rename(folder / file.name)
    else:
        (folder / "images").rename(folder / place)
    first = Path(place, "03.png").as_posix()
    sentence = f"3 images lie outside of images/, the first is {first!r}: move them into {folder / 'images'}"
    assert [finding.text for finding in check(folder).findings if finding.kind == "wrong"] == [sentence]
    (folder / "images").mkdir(exist_ok=True)
    report = check(folder)
    assert [finding.text for finding in report.findings if finding.kind == "wrong"] == [sentence]
    assert sentences(folder)[1:] == [sentence]


def test_other_images_beside_a_corpus_without_images_are_not_claimed(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "own", ["1", "2", "3"], ["1.jpg", "chart.png"])
    (folder / "images" / "chart.png").rename(folder / "chart.png")
    assert not any("outside" in sentence for sentence in sentences(folder))
    (folder / "images" / "1.jpg").rename(folder / "plot.png")
    assert check(folder).ok


def test_no_image_of_the_bundled_corpus_is_left_over() -> None:
    assert unmatched_images(load_corpus("minitweets")).sentences() == []


@pytest.mark.parametrize("line", ["1 1.jpg", "1\t../1.jpg", "\t1.jpg", "1\t"])
def test_a_malformed_line_of_images_tsv_is_named(line: str, tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "own", ["1", "2", "3"], ["1.jpg"])
    (folder / IMAGES).write_text(f"2\t1.jpg\n{line}\n")
    with pytest.raises(CorpusError, match=r"images\.tsv:2: .* is no id<TAB>file; name a file of images/"):
        load_corpus(folder)
