"""A corpus of one's own: any entity types, and files with more columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from hamner.corpora import TAGS, TYPES, CorpusError, check, load_corpus, read_posts, statistics, write_posts
from hamner.corpora.commands import app
from hamner.corpora.own import complaints, gold_tags, name_spans
from hamner.corpora.reader import Columns
from hamner.corpora.registry import VERSIONS
from hamner.corpora.tags import is_tag, tags_of
from tests.corpora.test_own import Words

FINE = ("athlete", "author", "book", "city", "club", "film", "politician", "river")


def write(folder: Path, **splits: str) -> Path:
    """Write posts of one word each: `PER PER date` is three posts."""
    folder.mkdir(exist_ok=True)
    for split in ("train", "valid", "test"):
        tags = splits.get(split, "O").split()
        blocks = [f"IMGID:{split}{i}\nw{split}{i}\t{tag if tag == 'O' else f'B-{tag}'}\n" for i, tag in enumerate(tags)]
        (folder / f"{split}.txt").write_text("\n".join(blocks), encoding="utf-8")
    return folder


def notes(folder: Path) -> str:
    return "\n".join(finding.text for finding in check(folder).findings if finding.kind == "note")


def test_the_types_are_the_four_wherever_train_has_no_other(tmp_path: Path) -> None:
    assert load_corpus(write(tmp_path / "own", train="PER LOC ORG")).types == TYPES
    corpus = load_corpus(write(tmp_path / "own", train="O"))
    assert (corpus.types, corpus.tags) == (TYPES, TAGS)
    assert load_corpus("minitweets").types == TYPES


def test_other_types_are_those_of_train_in_alphabetical_order(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path / "own", train="river PER city river"))
    assert corpus.types == ("PER", "city", "river")
    assert corpus.tags == ("O", "B-PER", "I-PER", "B-city", "I-city", "B-river", "I-river")
    assert corpus.first_lines == {"river": "train.txt:2", "PER": "train.txt:5", "city": "train.txt:8"}


def test_a_type_of_valid_or_test_alone_is_a_note_and_no_error(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path / "own", train="PER", valid="HERO", test="PER HERO city"))
    assert (corpus.types, corpus.held_out_types) == (TYPES, ("HERO", "city"))
    report = check(corpus)
    assert report.ok
    text = "train has no entity of HERO (first in valid.txt:2), city (first in test.txt:8): no model can find these"
    assert [finding.text for finding in report.findings if finding.text.startswith(text)]
    assert "their 3 entities in valid and test count as missed" in notes(tmp_path / "own")


@pytest.mark.parametrize("slip", ["PRE", "per", "PERS"])
def test_a_rare_type_that_is_nearly_a_frequent_one_is_a_note_with_its_first_line(slip: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "own", train="PER " * 30 + slip)
    line = 2 + 30 * 3
    text = (
        f"the type {slip} (1 of 31 entities, first in train.txt:{line}) is nearly PER (30 entities): if it is a typing"
    )
    assert text in notes(folder)


@pytest.mark.parametrize("train", ["PER " * 30 + "date", "PER " * 10 + "PRE " * 5, "event-sport " * 30 + "event-music"])
def test_types_that_differ_or_are_frequent_are_no_slips(train: str, tmp_path: Path) -> None:
    assert "is nearly" not in notes(write(tmp_path / "own", train=train))


def test_other_is_misc_only_beside_the_four(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path / "own", train="PER OTHER", test="OTHER"))
    assert [post.tags for post in (*corpus.train, *corpus.test)] == [("B-PER",), ("B-MISC",), ("B-MISC",)]
    corpus = load_corpus(write(tmp_path / "own", train="person OTHER", test="OTHER"))
    assert corpus.types == ("OTHER", "person")
    assert corpus.test[0].tags == ("B-OTHER",)


@pytest.mark.parametrize("tag", ["B-a-b", "I-event_sport", "B-Ort", "I-人", "O"])
def test_a_type_may_be_any_word(tag: str) -> None:
    assert is_tag(tag)


def test_the_counts_have_a_row_for_each_type_whatever_it_is_called(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path / "own", train="posts tokens posts PER", test="late"))
    counts = statistics(corpus)
    assert counts.loc["posts", "train"] == 4
    assert [counts.loc[row, "train"] for row in ("B-posts", "B-tokens", "PER", "spans_posts")] == [2, 1, 1, 2]
    assert counts.loc["B-late", "test"] == 1
    console = Console(width=200)
    with console.capture() as capture:
        console.print(check(corpus))
    assert [capture.get().count(f"  {type} ") for type in ("posts", "tokens", "late")] == [2, 2, 2]


def test_names_are_checked_against_the_types_of_the_corpus() -> None:
    post = Words("Kelso swims in the Orva")
    assert gold_tags(post, "Kelso=athlete; Orva=river", FINE) == ("B-athlete", "O", "O", "O", "B-river")
    with pytest.raises(CorpusError, match=r"no name with its type \(one of athlete, author, .*Whitfield=athlete; Elm"):
        name_spans("Kelso", "Kelso=PER", types=FINE)
    with pytest.raises(
        CorpusError, match=r"one of PER, LOC, ORG, MISC\); write names as `Nora Whitfield=PER; Elmsford"
    ):
        name_spans("Kelso", "Kelso=athlete")


def test_complaints_take_the_types_of_the_corpus(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame([{"id": "1", "text": "Kelso ran", "image": "", "names": "Kelso=athlete"}])
    assert complaints(table, tmp_path, types=FINE) == []
    assert len(complaints(table, tmp_path)) == 1


def test_posts_of_other_types_are_written_and_read_back(tmp_path: Path) -> None:
    posts = load_corpus(write(tmp_path / "own", train=" ".join(FINE))).train
    write_posts(posts, tmp_path / "again.txt")
    assert read_posts(tmp_path / "again.txt") == posts
    assert set(tags_of(FINE)) >= {tag for post in posts for tag in post.tags or ()}


# Columns

MANY = "IMGID:1\nKelso\tNNP\tI-NP\tB-athlete\t_\nran\tVBD\tO\tO\t_\n\nIMGID:2\nOrva NNP B-NP B-river _\n"
"""Four columns and one that is empty of meaning; the second post is parted by blanks."""


@pytest.fixture
def columns_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "wide"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text(MANY.replace("Kelso", f"Kelso{split}"), encoding="utf-8")
    return folder


@pytest.mark.parametrize("columns", ["word=0,tag=3", "word=-5,tag=-2", {"word": 0, "tag": -2}, (0, 3), Columns(0, 3)])
def test_the_chosen_columns_are_read_and_no_other_reaches_a_word(columns, columns_folder: Path) -> None:
    corpus = load_corpus(columns_folder, columns=columns)
    assert [(post.words, post.tags) for post in corpus.train] == [
        (("Kelsotrain", "ran"), ("B-athlete", "O")),
        (("Orva",), ("B-river",)),
    ]
    assert corpus.columns == Columns.of(columns)
    assert read_posts(columns_folder / "train.txt", columns=columns) == corpus.train


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "posts.txt").write_text("IMGID:1\nB-PER\tNora\nO\t\u00a0\n", encoding="utf-8")
    assert read_posts(tmp_path / "posts.txt", columns="word=1,tag=0")[0].words == ("Nora", "\u00a0")


def test_more_columns_without_a_choice_are_refused_with_the_option_as_a_remedy(columns_folder: Path) -> None:
    with pytest.raises(CorpusError, match=r"train\.txt:2: 5 columns .* --columns word=0,tag=3, .* cut -f 1,4 "):
        load_corpus(columns_folder)
    (columns_folder / "train.txt").write_text("IMGID:1\nKelso B-athlete\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"train\.txt:2: 2 columns .*--columns word=0,tag=-1, or write"):
        load_corpus(columns_folder)


@pytest.mark.parametrize(
    ("line", "columns", "message"),
    [
        (
            "ran\tO",
            "word=0,tag=2",
            r"posts.txt:3: no column 2 for the tag among 2 columns \('ran', 'O'\); mend the line",
        ),
        ("ran\tO", "word=-3,tag=1", r"posts.txt:3: no column -3 for the word among 2 columns"),
        ("ran", "word=0,tag=-1", r"posts.txt:3: the word and the tag are the same column of 1 column \('ran'\)"),
        (" ", "word=0,tag=-1", r"posts.txt:3: no column 0 for the word among 0 columns"),
        ("ran\tVBD\tX", "word=0,tag=2", r"posts.txt:3: unknown tag 'X'; a tag is O"),
        ("\tVBD\tO", "word=0,tag=2", r"posts.txt:3: an empty word"),
        ("Nora NNP\tO", "word=0,tag=1", r"posts.txt:3: white space in a word"),
    ],
)
def test_a_line_without_a_chosen_column_is_named(line: str, columns: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "posts.txt").write_text(f"IMGID:1\na\tO\tO\n{line}\n", encoding="utf-8")
    tags = "word=0,tag=1" if line.startswith("Nora") else columns
    with pytest.raises(CorpusError, match=message):
        read_posts(tmp_path / "posts.txt", columns=tags)


@pytest.mark.parametrize("columns", ["word=0", "0,1", "word=a,tag=b", "", "tag=1,word=0", (1,), (0, 1, 2), {"word": 0}])
def test_columns_that_cannot_be_are_one_error_with_an_example(columns, columns_folder: Path) -> None:
    with pytest.raises(CorpusError, match=r"columns cannot be .*; name both by number, as in word=0,tag=-1"):
        load_corpus(columns_folder, columns=columns)
    with pytest.raises(CorpusError, match="column 1 cannot be the word and its tag; name two"):
        load_corpus(columns_folder, columns="word=1,tag=1")


def test_a_known_corpus_takes_no_columns() -> None:
    with pytest.raises(CorpusError, match="minitweets has two columns, word and tag; leave the columns out"):
        load_corpus("minitweets", columns="word=0,tag=1")


def test_the_commands_take_columns_for_folders_of_ones_own(columns_folder: Path) -> None:
    ran = CliRunner().invoke(app, ["check", str(columns_folder), "--columns", "word=0,tag=3"])
    assert "athlete" in ran.output and "river" in ran.output
    ran = CliRunner().invoke(app, ["stats", str(columns_folder), "minitweets", "--columns", "word=0,tag=3", "--csv"])
    assert f"{columns_folder},B-athlete,1,1,1" in ran.output.splitlines()
    assert "minitweets" in VERSIONS and "minitweets,posts,6816,1072,2144" in ran.output.splitlines()
