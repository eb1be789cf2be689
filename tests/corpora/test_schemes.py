"""Tagging schemes: each is recognised, equals its BIO original, or is refused with file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamner.corpora import CorpusError, check, load_corpus, read_posts
from hamner.corpora.schemes import FEWEST_ORPHANS, ConvertedWarning, to_bio
from hamner.corpora.tags import TAGS, Span, spans

BIO = {
    "train": [["B-PER", "I-PER", "I-PER", "O"], ["B-LOC", "B-LOC", "B-ORG", "I-ORG"], ["O"]],
    "valid": [["B-LOC", "O", "B-PER"]],
    "test": [["O", "B-PER", "I-PER", "B-PER"]],
}


def entities(tags: list[str]) -> list[Span]:
    return spans(tags, "strict")


def with_ends(tags: list[str], end: str, single: str) -> list[str]:
    """BIO tags in BIOES (E, S) or BILOU (L, U), written from the entities."""
    written = ["O"] * len(tags)
    for type, first, beyond in entities(tags):
        letters = ["B", *"I" * (beyond - first - 2), end] if beyond - first > 1 else [single]
        written[first:beyond] = [f"{letter}-{type}" for letter in letters]
    return written


def in_iob1(tags: list[str]) -> list[str]:
    """BIO tags in IOB1: B- only directly behind an entity of the same type."""
    written = ["O"] * len(tags)
    for type, first, beyond in entities(tags):
        touches = first > 0 and written[first - 1][2:] == type
        written[first:beyond] = [f"{'B' if touches else 'I'}-{type}", *[f"I-{type}"] * (beyond - first - 1)]
    return written


WRITERS = {
    "BIOES": lambda tags: with_ends(tags, "E", "S"),
    "BILOU": lambda tags: with_ends(tags, "L", "U"),
    "IOB1": in_iob1,
}


def write_corpus(folder: Path, splits: dict[str, list[list[str]]]) -> Path:
    folder.mkdir()
    for split, posts in splits.items():
        blocks = [
            f"IMGID:{split}{number}\n" + "".join(f"w{split}{i}\t{tag}\n" for i, tag in enumerate(tags))
            for number, tags in enumerate(posts)
        ]
        (folder / f"{split}.txt").write_text("\n".join(blocks), encoding="utf-8")
    return folder


@pytest.mark.parametrize("scheme", WRITERS)
def test_a_corpus_in_another_scheme_equals_its_bio_original_and_says_so(scheme: str, tmp_path: Path) -> None:
    original = load_corpus(write_corpus(tmp_path / "bio", BIO))
    written = {split: [WRITERS[scheme](tags) for tags in posts] for split, posts in BIO.items()}
    corpus = load_corpus(write_corpus(tmp_path / "own", written))
    assert (corpus.train, corpus.valid, corpus.test) == (original.train, original.valid, original.test)
    assert (corpus.scheme, original.scheme, original.notes) == (scheme, "BIO", ())
    (note,) = corpus.notes
    assert note.startswith(f"train.txt, valid.txt, test.txt: the tags are {scheme} (")
    assert "train.txt:2" in note or "train.txt:4" in note
    report = check(corpus)
    assert ("note", note) in [(finding.kind, finding.text) for finding in report.findings]


@pytest.mark.parametrize("scheme", WRITERS)
def test_a_single_file_in_another_scheme_is_converted_with_a_warning(scheme: str, tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "own", {"train": [WRITERS[scheme](tags) for tags in BIO["train"]]})
    with pytest.warns(ConvertedWarning, match=rf"^train\.txt: the tags are {scheme} \("):
        posts = read_posts(folder / "train.txt")
    assert [list(post.tags or ()) for post in posts] == BIO["train"]


@given(st.lists(st.lists(st.sampled_from(TAGS), max_size=6), max_size=5))
def test_whatever_has_ends_comes_back_as_the_entities_that_were_written(posts: list[list[str]]) -> None:
    posts = [["B" + tag[1:] if tag[0] == "I" else tag for tag in tags] for tags in posts]
    for end, single, scheme in (("E", "S", "BIOES"), ("L", "U", "BILOU")):
        converted = to_bio([with_ends(tags, end, single) for tags in posts], str)
        assert [list(tags) for tags in converted.tags] == posts
        assert converted.scheme == (scheme if any(tag != "O" for tags in posts for tag in tags) else "BIO")


@given(st.lists(st.lists(st.sampled_from(("O", "B-a", "I-a", "B-b", "I-b")), max_size=6), max_size=5))
def test_iob1_comes_back_as_the_entities_that_were_written(posts: list[list[str]]) -> None:
    written = [in_iob1(tags) for tags in posts]
    converted = to_bio(written, str)
    if converted.scheme == "IOB1":
        assert [entities(list(tags)) for tags in converted.tags] == [entities(tags) for tags in posts]
    else:
        assert [list(tags) for tags in converted.tags] == written


def test_orphan_i_tags_beside_ordinary_b_tags_stay_as_they_are_however_many() -> None:
    posts = [["I-PER", "O", "I-LOC"]] * 50 + [["O", "B-PER"]]
    assert to_bio(posts, str) == ([tuple(tags) for tags in posts], "BIO", "")
    # a B- behind an entity of another type is ordinary as well
    posts[-1] = ["I-LOC", "B-PER"]
    assert to_bio(posts, str).scheme == "BIO"
    posts[-1] = ["I-PER", "B-PER"]
    assert to_bio(posts, str).scheme == "IOB1"


def test_fewer_than_three_entities_opened_by_i_are_a_slip_and_no_scheme() -> None:
    assert to_bio([["I-PER", "I-PER"]] * (FEWEST_ORPHANS - 1), str).scheme == "BIO"
    assert to_bio([["I-PER", "I-PER"]] * FEWEST_ORPHANS, str).scheme == "IOB1"


def test_the_scheme_is_that_of_all_three_files_together(tmp_path: Path) -> None:
    """test.txt alone would be IOB1."""
    splits = BIO | {"test": [["I-PER"], ["I-PER"], ["I-LOC"]]}
    corpus = load_corpus(write_corpus(tmp_path / "own", splits))
    assert [post.tags for post in corpus.test] == [("I-PER",), ("I-PER",), ("I-LOC",)]
    assert corpus.scheme == "BIO"


@pytest.mark.parametrize(
    ("tags", "line", "message"),
    [
        (
            ["S-PER", "I-PER"],
            3,
            "'I-PER' continues no entity of its type (the tags are read as BIOES, because of 'S-PER'",
        ),
        (["O", "E-PER"], 3, "'E-PER' continues no entity of its type (the tags are read as BIOES, because of 'E-PER'"),
        (["B-PER", "E-LOC"], 3, "'E-LOC' continues no entity of its type"),
        (["B-PER", "O", "S-LOC"], 2, "the entity that 'B-PER' begins is never ended by E-"),
        (["S-LOC", "B-PER", "I-PER"], 3, "the entity that 'B-PER' begins is never ended by E-"),
        (["B-PER", "B-PER", "E-PER"], 2, "the entity that 'B-PER' begins is never ended by E-"),
        (["B-PER", "S-PER"], 2, "the entity that 'B-PER' begins is never ended by E-"),
        (["B-PER", "L-PER", "I-PER"], 4, "'I-PER' continues no entity of its type (the tags are read as BILOU"),
        (["U-PER", "B-PER"], 3, "the entity that 'B-PER' begins is never ended by L-"),
        (
            ["S-PER", "U-PER"],
            3,
            "'U-PER' is a tag of BILOU, but 'S-PER' in train.txt:2 is one of BIOES; write all tags in",
        ),
    ],
)
def test_a_malformed_sequence_is_an_error_and_never_another_entity(
    tags: list[str], line: int, message: str, tmp_path: Path
) -> None:
    folder = write_corpus(tmp_path / "own", {"train": [tags], "valid": [["O"]], "test": [["O"]]})
    for read in (lambda: load_corpus(folder), lambda: read_posts(folder / "train.txt")):
        with pytest.raises(CorpusError) as error:
            read()
        assert str(error.value).startswith(f"{folder / 'train.txt'}:{line}: {message}")
        assert "; " in str(error.value)


def test_two_schemes_in_two_files_are_an_error_that_names_both_lines(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "own", {"train": [["S-PER"]], "valid": [["O", "U-PER"]], "test": [["O"]]})
    with pytest.raises(CorpusError, match=r"valid\.txt:3: 'U-PER' is a tag of BILOU, but 'S-PER' in train\.txt:2"):
        load_corpus(folder)
