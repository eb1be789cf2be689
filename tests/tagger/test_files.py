from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from hamner.errors import HamnerError
from hamner.tagger import Tagger, TaggerError
from hamner.tagger.files import GivenPost, given_posts
from hamner.training import Run
from hamner.vision import ImageError
from hamner.vision.extractor import ImageExtractor


@pytest.fixture(scope="module")
def run(make_run) -> Run:
    return make_run()


def test_a_table_needs_a_text_and_may_have_ids_and_images(tmp_path: Path) -> None:
    file = tmp_path / "posts.csv"
    file.write_text('Text,image,likes\n"Kelso, Orva",a.png,7\nNA,,8\n', encoding="utf-8-sig")
    assert list(given_posts(file)) == [
        GivenPost(f"{file}: row 1", "", "Kelso, Orva", tmp_path / "a.png", ("likes",)),
        GivenPost(f"{file}: row 2", "", "NA", None, ("likes",)),
    ]
    file.write_text("id;text\n007;Kelso\n")
    assert [(post.id, post.text) for post in given_posts(file)] == [("007", "Kelso")]
    file.write_text("id,words\n7,Kelso\n")
    with pytest.raises(HamnerError, match=r"posts\.csv:1: no column text"):
        list(given_posts(file))


def test_a_line_of_json_is_a_text_or_an_object(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    objects = ['{"text": "Orva\u2028x", "image": "b.png", "id": 7, "likes": 3}', '{"text": "a", "image": null}']
    file.write_text("\n".join(['"Kelso"', "", *objects]), encoding="utf-8")
    assert [post[1:] for post in given_posts(file)] == [
        ("", "Kelso", None, ()),
        ("7", "Orva\u2028x", tmp_path / "b.png", ("likes",)),
        ("", "a", None, ()),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r":2: no JSON"),
        ("[" * 100_000, r":2: no JSON"),
        ("7", r":2: no text; write \{"),
        ('{"words": ["a"]}', r":2: no text"),
        ('{"text": 7}', r":2: no text"),
        ('{"text": "a", "image": 7}', r":2: image is 7"),
        ('{"text": "a", "id": [1]}', r":2: id is \[1\]"),
        ('{"text": "a", "id": true}', r":2: id is True"),
    ],
)
def test_a_line_of_json_that_is_no_post_is_named(line: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text(f'"Kelso"\n{line}\n')
    with pytest.raises(HamnerError, match=message):
        list(given_posts(file))


def test_another_kind_of_file_is_refused_with_the_kinds_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(HamnerError, match=r"posts\.txt: a file of posts ends in \.csv, \.tsv, \.jsonl, \.ndjson"):
        given_posts(tmp_path / "posts.txt")
    with pytest.raises(HamnerError, match=r"absent\.csv"):
        list(given_posts(tmp_path / "absent.csv"))


def test_all_posts_of_a_file_are_tagged_in_its_order(command: Typer, run: Run, photo: Path, tmp_path: Path) -> None:
    Image.open(photo).save(tmp_path / "a.png")
    file = tmp_path / "posts.csv"
    file.write_text("id,text,image\n7,Kelso meets Orva,a.png\n8,Orva left\x1b[2J,\n9,Moss,\n")
    tagger = Tagger(run)
    posts = tagger.many(["Kelso meets Orva", "Orva left\x1b[2J", "Moss"], [photo, None, None], evidence=False)
    result = CliRunner().invoke(command, ["--file", str(file), "--run", str(run.folder), "--batch-size", "2"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["7", "8", "9"]
    for line, post in zip(lines, posts, strict=True):
        assert all(f"{one.type} {one.score:.2f}]" in line for one in post.entities)
    assert f"(relevance {posts[0].relevance:.2f})" in lines[0]
    assert "\x1b" not in result.stdout
    assert "note on 2 of 3 posts: no image: the words alone were read" in result.stderr


def test_lines_of_standard_input_come_out_as_lines_of_json(command: Typer, run: Run) -> None:
    given = "\ufeffKelso meets Orva\n\n  Moss \n".encode()
    result = CliRunner().invoke(command, ["--file", "-", "--run", str(run.folder), "--json"], input=given)
    assert result.exit_code == 0, result.output
    posts = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(post["number"], post["text"]) for post in posts] == [(1, "Kelso meets Orva"), (2, "Moss")]
    assert [post["id"] for post in posts] == [None, None]
    tagger = Tagger(run)
    assert [post["tags"] for post in posts] == [list(tagger(post["text"]).tags) for post in posts]


def test_a_line_of_standard_input_in_another_encoding_is_named(command: Typer, run: Run) -> None:
    given = "Kelso\nMéry".encode("latin-1")
    failed = CliRunner().invoke(command, ["--file", "-", "--run", str(run.folder)], input=given)
    assert isinstance(failed.exception, HamnerError)
    assert "line 2 of standard input: not UTF-8" in str(failed.exception)
    assert failed.stdout.startswith("(1)  ")  # what came before it is tagged


def test_columns_and_keys_that_are_not_read_are_named_once(command: Typer, run: Run, tmp_path: Path) -> None:
    table, lines = tmp_path / "posts.csv", tmp_path / "posts.jsonl"
    table.write_text("id,text,likes,names,lang\n1,Kelso,7,Kelso=PER,en\n2,Orva,8,,en\n")
    lines.write_text('{"text": "Kelso", "likes": 7}\n{"text": "Orva", "lang": "en", "likes": 8}\n"Kelso"\n')
    for file, named in ((table, "likes, names, lang"), (lines, "likes, lang")):
        tagged = CliRunner().invoke(command, ["--run", str(run.folder), "--file", str(file)], catch_exceptions=False)
        assert tagged.stderr.count("not read") == 1
        assert f"not read: {named}\n" in tagged.stderr
    table.write_text("id,text,image\n1,Kelso,\n")
    tagged = CliRunner().invoke(command, ["--run", str(run.folder), "--file", str(table)], catch_exceptions=False)
    assert "not read" not in tagged.stderr


def test_a_file_without_posts_and_a_post_without_its_image_are_errors_that_name_them(
    command: Typer, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text('"Kelso"\n{"text": "Orva", "image": "gone.png"}\n')
    failed = CliRunner().invoke(command, ["--file", str(file), "--run", str(run.folder)])
    assert isinstance(failed.exception, HamnerError)
    assert str(failed.exception).startswith(f"{file}:2: ")
    assert "gone.png" in str(failed.exception)
    assert len(failed.stdout.splitlines()) == 1  # the post before it is tagged
    file.write_text("\n")
    empty = CliRunner().invoke(command, ["--file", str(file), "--run", str(run.folder)])
    assert isinstance(empty.exception, HamnerError)
    assert "no posts" in str(empty.exception)


@pytest.mark.parametrize("arguments", [[], ["Kelso", "--file", "-"], ["--file", "-", "--image", "a.png"]])
def test_a_text_or_a_file_is_tagged_and_not_both(command: Typer, arguments: list[str]) -> None:
    failed = CliRunner().invoke(command, [*arguments, "--run", "absent"])
    assert failed.exit_code == 2
    assert "TEXT" in failed.output


def test_the_entities_of_a_table_are_a_table(run: Run, extractor: ImageExtractor, photo: Path) -> None:
    tagger = Tagger(run, extractor=extractor)
    table = pd.DataFrame({"post": ["Kelso meets Orva", "Orva left"], "file": [str(photo), None]}, index=["a", "b"])
    found = tagger.frame(table, text="post", image="file")
    posts = tagger.many(list(table.post), [photo, None], evidence=False)
    assert list(found.entity) == [one.text for post in posts for one in post.entities]
    assert list(found.index) == [index for index, post in zip("ab", posts, strict=True) for _ in post.entities]
    assert found.relevance["a"].eq(posts[0].relevance).all()
    assert found.relevance[found.index == "b"].isna().all()
    assert (found.index == "b").any()
    joined = table.join(found)
    assert set(joined.columns) == {"post", "file", "entity", "type", "score", "start", "end", "relevance"}
    assert tagger.frame(table.head(0), text="post").empty


def test_a_table_with_a_hole_or_without_the_column_is_one_clear_error(run: Run, extractor: ImageExtractor) -> None:
    tagger = Tagger(run, extractor=extractor)
    with pytest.raises(TaggerError, match=r"no column 'text'; it has 'post'"):
        tagger.frame(pd.DataFrame({"post": ["a"]}))
    with pytest.raises(TaggerError, match=r"row 1: text is nan, no text"):
        tagger.frame(pd.DataFrame({"text": ["a", float("nan")]}))
    with pytest.raises(ImageError, match=r"row 0: .*absent"):
        tagger.frame(pd.DataFrame({"text": ["a"], "image": ["absent.png"]}), image="image")
    with pytest.raises(TaggerError, match=r"row 'b': there are no words"):
        tagger.frame(pd.DataFrame({"text": ["a", " "]}, index=["a", "b"]))
    with pytest.raises(TaggerError, match=r"reset_index\(drop=True\)"):
        tagger.frame(pd.DataFrame({"text": ["a", "b"]}, index=[0, 0]))
    with pytest.raises(TaggerError, match="a pandas DataFrame, not list"):
        tagger.frame([{"text": "a"}])
    with pytest.raises(TaggerError, match="2 columns 'text'; rename all but one"):
        tagger.frame(pd.DataFrame([["a", "b"]], columns=["text", "text"]))


def test_every_kind_of_missing_image_is_a_post_without_one(run: Run, extractor: ImageExtractor, photo: Path) -> None:
    tagger = Tagger(run, extractor=extractor)
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1), ("b", 2)], names=["day", "post"])
    table = pd.DataFrame({"text": ["Kelso meets Orva"] * 4}, index=index)
    table["image"] = pd.array([pd.NA, "", None, str(photo)], dtype="string")
    found = tagger.frame(table, image="image")
    assert list(found.index.names) == ["day", "post"]
    assert found.relevance.notna().groupby(level=[0, 1]).first().tolist() == [False, False, False, True]


def test_texts_that_are_empty_are_left_out_and_named(command: Typer, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "posts.csv"
    file.write_text('id,text\n1,Anna\n2,"  "\n3,Orva\n')
    result = CliRunner().invoke(command, ["--file", str(file), "--run", str(run.folder)])
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["1", "3"]
    assert f"left out for want of a text: {file}: row 2 (1 in all)" in result.stderr


def test_an_id_that_is_there_twice_is_an_error(command: Typer, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text('{"text": "Anna", "id": 2}\n{"text": "Berg"}\n{"text": "Orva", "id": "2"}\n')
    failed = CliRunner().invoke(command, ["--file", str(file), "--run", str(run.folder)])
    assert str(failed.exception).startswith(f"{file}:3: the id 2 is there twice")
    assert [line.split()[0] for line in failed.stdout.splitlines()] == ["2", "(2)"]
