"""One's own posts: read, checked, and their right answers turned into tags."""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from hamner.corpora import CorpusError
from hamner.corpora.own import MOST_COMPARED, NameSpan, complaints, gold_tags, name_spans, read_folder, read_table


@dataclass(frozen=True)
class Words:
    """A text whose words are parted by spaces."""

    text: str

    @property
    def offsets(self) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\S+", self.text)]


def tags(text: str, names: str) -> str:
    return " ".join(gold_tags(Words(text), names))


def refusal(text: str, names: str) -> str:
    with pytest.raises(CorpusError) as error:
        gold_tags(Words(text), names)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("Nora Zelt is here", "Nora Zelt=PER", "B-PER I-PER O O"),
        ("Quar in Elm", " Quar = PER ;Elm=LOC; ", "B-PER O B-LOC"),
        ("nothing here", "", "O O"),
        # a name that is listed as often as it occurs takes its occurrences in order
        ("Washington spoke in Washington", "Washington=PER; Washington=LOC", "B-PER O O B-LOC"),
        ("Quar met the other Quar", "Quar=PER; Quar=PER", "B-PER O O O B-PER"),
        # one inside a longer name does not count, whatever the order of the list
        ("Nora Zelt and Zelt", "Nora Zelt=PER; Zelt=PER", "B-PER I-PER O B-PER"),
        ("Nora Zelt and Zelt", "Zelt=PER; Nora Zelt=PER", "B-PER I-PER O B-PER"),
        # nor does one inside a word
        ("Alice met Ali", "Ali=PER", "O O B-PER"),
        ("Ali=PER met", "Ali=PER=ORG", "B-ORG O"),
        # which one: the k-th, all, or by characters
        ("Quar met Quar and Quar", "Quar=PER#2", "O O B-PER O O"),
        ("Quar met Quar and Quar", "Quar=PER#3; Quar=ORG#1", "B-ORG O O O B-PER"),
        ("Quar met Quar and Quar", "Quar=PER#all", "B-PER O B-PER O B-PER"),
        ("Quar met Quar", "[9:13]=LOC", "O O B-LOC"),
        ("Quar met Quar", "[0:4]=PER; Quar=LOC", "B-PER O B-LOC"),
        ("👎🏽 Élan", "[3:7]=ORG", "O B-ORG"),
    ],
)
def test_names_become_tags_of_the_words(text: str, names: str, expected: str) -> None:
    assert tags(text, names) == expected


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        (
            "Quar met Quar",
            "Quar=PER",
            "'Quar' occurs 2 times, but the list has it 1 times; say which one is meant, Quar=PER#1",
        ),
        ("Quar met Zel", "Quar=PER; Quar=LOC", "'Quar' occurs 1 times, so there is no Quar=LOC#2; correct the list"),
        (
            "Nora Zelt",
            "Nora Zelt=PER; Zelt=PER",
            "'Zelt' occurs 0 times outside of longer names, so there is no Zelt=PER#1",
        ),
        ("Quar met Quar", "Quar=PER#3", "'Quar' occurs 2 times, so there is no Quar=PER#3"),
        ("Quar met Quar", "Quar=PER#1; Quar=PER", "'Quar' is listed with and without a number"),
        (
            "Quar met Quar",
            "Quar=PER#1; Quar=LOC#1",
            "'Quar' and 'Quar' overlap from character 0 on; keep one of the two",
        ),
        ("at #Elmsford", "Elmsford=LOC", "'Elmsford' occurs only inside '#Elmsford'; name whole words"),
        ("Alice here", "Ali=PER", "'Ali' occurs only inside 'Alice'; name whole words"),
        ("QUAR here", "Quar=PER", "'Quar' does not occur in the text: is 'QUAR' meant?"),
        ("Quar here", "Zel=PER", "'Zel' does not occur in the text; correct it"),
        ("Quar here", "Quar", "'Quar' is no name with its type (one of PER, LOC, ORG, MISC); write names as `Nora"),
        ("Quar here", "Quar=PERSON", "'Quar=PERSON' is no name with its type"),
        ("Quar here", "=PER", "'=PER' is no name with its type"),
        ("Quar here", "[0:40]=PER", "[0:40] is no part of the text, which has 9 characters"),
        ("Quar here", "[4:4]=PER", "[4:4] is no part of the text"),
        ("Quar here", "[1:4]=PER", "[1:4] is 'uar', which cuts 'Quar'; begin and end where words do"),
        ("Quar here", "[0:4]=PER; [0:9]=PER", "'Quar' and 'Quar here' overlap from character 0 on"),
    ],
)
def test_a_list_of_names_that_does_not_fit_the_text_is_refused_with_a_remedy(
    text: str, names: str, message: str
) -> None:
    assert refusal(text, names).startswith(message)


def test_without_offsets_words_are_runs_of_letters_and_digits() -> None:
    assert name_spans("Alice met (Ali)!", "Ali=PER") == [NameSpan(11, 14, "PER")]
    with pytest.raises(CorpusError, match="occurs only inside 'Alice'"):
        name_spans("Alice", "Ali=PER")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_read_whatever_its_separator_byte_order_mark_and_line_ends(
    delimiter: str, encoding: str, end: str, tmp_path: Path
) -> None:
    lines = [
        ["ID", "Text", "Image"],
        ["001", f'"one{delimiter} ""two"", drei; è"', "a.JPG"],
        ["18446744073709551617", "NA", ""],
    ]
    text = "".join(delimiter.join(line).replace("drei;", "drei") + end for line in lines)
    (tmp_path / "posts.csv").write_bytes(text.replace('", drei', '" drei').encode(encoding))
    assert read_table(tmp_path / "posts.csv").to_dict("records") == [
        {"id": "001", "text": f'one{delimiter} "two" drei è', "image": "a.JPG"},
        {"id": "18446744073709551617", "text": "NA", "image": ""},
    ]


def test_a_table_without_images_gets_an_empty_column_and_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "posts.csv").write_text("Text,id,Names,User Name\na,1,,x\n\nb,2,,y\n", encoding="utf-8")
    read = read_table(tmp_path / "posts.csv")
    assert list(read.columns) == ["text", "id", "names", "User Name", "image"]
    assert list(read.image) == ["", ""]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "an empty table; write a line of column names"),
        ("id,tweet\n1,a\n", "posts.csv:1: no column text among 'id', 'tweet'; name it in the first line"),
        ("tweet\n", "posts.csv:1: no column id and no column text among 'tweet'"),
        ("id,text,ID\n1,a,2\n", "posts.csv:1: a column is there twice among 'id', 'text', 'id'"),
        (
            "id,text\n1,a\n2,well, yes\n",
            "posts.csv:3: 3 values, but there are 2 columns (id, text); put values that hold a",
        ),
        ("id,text\n1\n", "posts.csv:2: 1 values, but there are 2 columns"),
        ('id,text\n1,"so" he says\n', "posts.csv:2: "),
        ('id,text\n1,"never closed\n', "posts.csv:2: unexpected end of data; write a double quote inside quotes twice"),
        (
            "id,text\n1,é\n".encode("latin-1"),
            "posts.csv:2: byte 3 of the line, 0xE9, is not UTF-8; if the file is latin1",
        ),
        (codecs.BOM_UTF16_LE + b"a", "damaged UTF-16"),
    ],
)
def test_a_damaged_table_is_named_with_its_line(data: str | bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "posts.csv").write_bytes(data.encode() if isinstance(data, str) else data)
    with pytest.raises(CorpusError, match=re.escape(message)):
        read_table(tmp_path / "posts.csv")


def image(path: Path) -> None:
    Image.new("RGB", (8, 8)).save(path)


def test_a_folder_is_read_whatever_the_case_of_its_suffixes(tmp_path: Path) -> None:
    (tmp_path / "001.txt").write_bytes(codecs.BOM_UTF8 + b"Quar at the fair\r\n")
    (tmp_path / "002.TXT").write_text("Zel\nat the fair", encoding="utf-8")
    (tmp_path / "003.txt").write_text("alone", encoding="utf-8")
    for name in ("001.JPG", "002.png", "002.Jpeg"):
        image(tmp_path / name)
    assert read_folder(tmp_path).to_dict("records") == [
        {"id": "001", "text": "Quar at the fair", "image": "001.JPG"},
        {"id": "002", "text": "Zel\nat the fair", "image": "002.Jpeg"},
        {"id": "003", "text": "alone", "image": ""},
    ]


def test_a_folder_without_texts_is_an_error(tmp_path: Path) -> None:
    image(tmp_path / "1.jpg")
    with pytest.raises(CorpusError, match="no text file in it"):
        read_folder(tmp_path)


def table(*rows: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "text", "image", "names"][: len(rows[0])])


def test_a_sound_table_has_no_complaint(tmp_path: Path) -> None:
    image(tmp_path / "1.JPG")
    (tmp_path / "posts.csv").touch()
    sound = table(("1", "Quar here", "1.JPG", "Quar=PER"), ("2", "no image", "", ""))
    assert complaints(sound, tmp_path, offsets=[[(0, 4), (5, 9)], [(0, 2), (3, 8)]], annotated=["1.JPG"]) == []
    assert complaints(sound[["id", "text", "image"]], tmp_path) == []


def test_all_complaints_are_made_at_once(tmp_path: Path) -> None:
    for name in ("shared.jpg", "left.png", "3.PNG"):
        image(tmp_path / name)
    (tmp_path / "page.jpg").write_text("<html>", encoding="utf-8")
    (tmp_path / "empty.jpg").touch()
    whole = (tmp_path / "shared.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    wrong = table(
        ("1", "a", "shared.jpg", ""),
        ("1", " ", "shared.jpg", ""),
        ("", "c", "", ""),
        ("page", "d", "page.jpg", ""),
        ("empty", "e", "empty.jpg", ""),
        ("half", "f", "half.jpg", ""),
        ("3", "g", "3.jpg", ""),
        ("left", "h", "", ""),
        ("4", "Quar and Quar", "", "Quar=PER"),
    )
    assert complaints(wrong, tmp_path, annotated=["Shared.png", "half.jpg", "page.jpg", "empty.jpg", "3.jpg"]) == [
        "1: 2 posts have this id: give each post an id of its own",
        "1 posts have an empty id: give each post an id of its own",
        "1: the text is empty: write it, or remove the post",
        "page: page.jpg: not an image in a known format (JPEG, PNG, GIF, WEBP, BMP, TIFF); "
        "get it afresh, or leave the post's image empty to go on",
        "empty: empty.jpg: an empty file; get it afresh, or leave the post's image empty to go on",
        next(text for text in complaints(wrong, tmp_path) if text.startswith("half: half.jpg: a damaged")),
        f"3: no image 3.jpg in {tmp_path}, but 3.PNG: correct the name",
        "3.PNG: no post names this file: name it, or move it away",
        "left.png: no post names this file (perhaps post left): name it, or move it away",
        "4: 'Quar' occurs 2 times, but the list has it 1 times; say which one is meant, Quar=PER#1, or Quar=PER#all",
        "shared.jpg: annotations.jsonl has no line for this image: add one, with an empty list if it shows no object",
        "Shared.png: boxes in annotations.jsonl, but no post has this image (perhaps shared.jpg)",
    ]


def test_the_likeliest_file_is_named_for_a_misspelt_image(tmp_path: Path) -> None:
    image(tmp_path / "holiday-2019.png")
    missing, unclaimed = complaints(table(("1", "a", "Holiday_2019.jpg")), tmp_path)
    assert missing == f"1: no image Holiday_2019.jpg in {tmp_path}, but holiday-2019.png: correct the name"
    assert unclaimed.startswith("holiday-2019.png: no post names this file")


def test_a_name_is_found_in_any_case_among_however_many(tmp_path: Path) -> None:
    for number in range(MOST_COMPARED + 1):
        (tmp_path / f"n{number}.JPG").touch()
    rows = [(str(number), "a", f"N{number}.jpg") for number in range(MOST_COMPARED + 1)]
    sentences = complaints(table(*rows), tmp_path)
    assert f"7: no image N7.jpg in {tmp_path}, but n7.JPG: correct the name" in sentences


def test_a_named_pipe_among_the_images_is_a_complaint_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.jpg")
    (complaint,) = complaints(table(("1", "a", "1.jpg")), tmp_path)
    assert complaint == "1: 1.jpg: not a file; get it afresh, or leave the post's image empty to go on"
