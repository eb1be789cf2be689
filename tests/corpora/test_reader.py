from __future__ import annotations

import errno
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hamner.corpora import TAGS, CorpusError, Post, read_posts, write_posts
from hamner.corpora.reader import parse_posts
from hamner.corpora.schemes import to_bio

FILE = Path("posts.txt")


def parse(text: str) -> tuple[Post, ...]:
    return parse_posts(text.encode(), FILE)


def fault(data: str | bytes) -> str:
    with pytest.raises(CorpusError) as error:
        parse_posts(data.encode() if isinstance(data, str) else data, FILE)
    return str(error.value)


def test_posts_are_read_with_their_words_and_tags() -> None:
    first, second = parse("IMGID:17_06_1\nKelso\tB-PER\nran\tO\n\nIMGID:O_2\nOrva\tB-ORG\n\n")
    assert first == Post("17_06_1", ("Kelso", "ran"), ("B-PER", "O"))
    assert second == Post("O_2", ("Orva",), ("B-ORG",))


def test_a_file_without_a_final_blank_line_loses_no_post() -> None:
    assert [post.id for post in parse("IMGID:1\na\tO\n\nIMGID:2\nb\tO")] == ["1", "2"]


@pytest.mark.parametrize("before", ["\n", "\n\n", "\ufeff", "\ufeff\n", "\r\n"])
def test_blank_lines_and_a_byte_order_mark_before_the_first_post_are_skipped(before: str) -> None:
    assert parse(before + "IMGID:1\na\tO\n") == (Post("1", ("a",), ("O",)),)


def test_windows_line_ends_are_line_ends() -> None:
    assert parse("IMGID:1\r\na\tO\r\n\r\n") == (Post("1", ("a",), ("O",)),)


@pytest.mark.parametrize("word", ["\u00a0", "\u0085", "a\u0092b", "\u2028", "\ufe0f", "\u200d", " ", "\ufeff", "IMG:5"])
def test_a_word_that_a_corpus_has_is_a_word_however_odd(word: str) -> None:
    assert parse(f"IMGID:1\na\tO\n{word}\tO\n\n")[0].words == ("a", word)


@pytest.mark.parametrize(
    ("line", "columns", "command"),
    [
        ("lemadu\tB-artist\tB-PER", "3 columns ('lemadu', 'B-artist', 'B-PER')", "cut -f 1,3"),
        ("new\t-\t-\tO", "4 columns ('new', '-', '-', 'O')", "cut -f 1,4"),
        ("Nora\tB-PER\tB-person\t_", "4 columns ('Nora', 'B-PER', 'B-person', '_')", "cut -f 1,2"),
        ("Nora\tB-OTHER\t", "3 columns ('Nora', 'B-OTHER', '')", "cut -f 1,2"),
        ("Nora\tNNP\tperson", "3 columns ('Nora', 'NNP', 'person')", "cut -f 1,3"),
        ("\tNora\tO", "3 columns ('', 'Nora', 'O')", "cut -f 1,3"),
    ],
)
def test_a_further_column_never_becomes_part_of_a_word(line: str, columns: str, command: str) -> None:
    message = fault(f"IMGID:1\na\tO\n{line}\n")
    assert message.startswith(f"posts.txt:3: {columns}, but a line is word<TAB>tag; keep the word and its tag")
    assert f"{command} posts.txt" in message


def test_the_command_against_further_columns_gives_a_file_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "my posts.txt"
    path.write_text("IMGID:1\nKelso\tB-PER\tNNP\n\nIMGID:2\nran\tO\tVBD\n", encoding="utf-8")
    with pytest.raises(CorpusError) as error:
        read_posts(path)
    command = str(error.value).partition("for example: ")[2]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert read_posts(tmp_path / "NEW") == (Post("1", ("Kelso",), ("B-PER",)), Post("2", ("ran",), ("O",)))


@pytest.mark.parametrize("line", ["Kelso B-PER", "Kelso NNP B-PER", "Kelso  NNP\u00a0I-NP B-OTHER"])
def test_columns_parted_by_blanks_are_named_with_the_command_that_converts_them(line: str, tmp_path: Path) -> None:
    path = tmp_path / "posts.txt"
    path.write_text(f"IMGID:1\n{line}\n\nIMGID:2\nran O\n", encoding="utf-8")
    with pytest.raises(
        CorpusError, match=rf"posts\.txt:2: {len(line.split())} columns \('Kelso', .*\), parted by blanks"
    ) as error:
        read_posts(path)
    command = str(error.value).partition("for example: ")[2]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    first, second = read_posts(tmp_path / "NEW")
    assert (first.words, second) == (("Kelso",), Post("2", ("ran",), ("O",)))


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u2003", "\u2028", "\u0085"])
def test_white_space_inside_or_beside_a_word_is_refused(space: str) -> None:
    message = fault(f"IMGID:1\nNora{space}NNP\tB-PER\n")
    assert message == (
        "posts.txt:2: white space in a word: 2 columns ('Nora', 'NNP') before the tab; keep the word and its tag"
    )
    for word in (f"Nora{space}", f"{space}Nora"):
        assert fault(f"IMGID:1\n{word}\tB-PER\n").startswith("posts.txt:2: white space beside the word")


@pytest.mark.parametrize("character", ["\x01", "\x0b", "\r", "\x1b", "\x1c", "\x1f", "\x7f"])
def test_a_control_character_in_a_word_is_refused_and_printed_as_a_number(character: str) -> None:
    message = fault(f"IMGID:1\na{character}b\tO\n")
    assert message.startswith(f"posts.txt:2: a control character, U+{ord(character):04X}, in the word 'a")
    assert character not in message


@pytest.mark.parametrize("before", ["", "IMGID:6\na\tO\n"])
def test_an_imgid_line_with_a_tag_is_no_word(before: str) -> None:
    message = fault(f"{before}IMGID:7\tO\nb\tO\n")
    line = 1 + before.count("\n")
    assert message == f"posts.txt:{line}: an IMGID line of 2 columns ('IMGID:7', 'O'); keep 'IMGID:7' alone"
    message = fault(f"{before}IMGID:7 B-OTHER\nb\tO\n")
    assert message == f"posts.txt:{line}: an IMGID line with a tag: 'IMGID:7 B-OTHER'; keep the id alone"


def test_other_is_read_as_misc() -> None:
    assert parse("IMGID:1\na\tB-OTHER\nb\tI-OTHER\n")[0].tags == ("B-MISC", "I-MISC")


def test_an_orphan_i_is_read_as_it_stands() -> None:
    assert parse("IMGID:1\na\tO\nb\tI-PER\n")[0].tags == ("O", "I-PER")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("IMGID:1\nKelso ran\n", "posts.txt:2: no tab in 'Kelso ran'; write word<TAB>tag"),
        ("IMGID:1\na\tO\n \n", "posts.txt:3: no tab in ' '"),
        ("IMGID:1\na\tb-per\n", "posts.txt:2: unknown tag 'b-per'; a tag is O, or B- or I- and a type, such as B-PER"),
        *(
            (f"IMGID:1\na\t{tag}\n", f"posts.txt:2: unknown tag {tag!r}")
            for tag in (
                "B-",
                "-PER",
                "PER",
                "B_PER",
                "BPER",
                "o",
                "X-PER",
                "B-a\u00a0b",
                "B-a\u202eb",
                "B--PER",
                "B-PER-",
            )
        ),
        ("IMGID:1\na\tOTHER\n", "posts.txt:2: unknown tag 'OTHER'"),
        ("IMGID:1\na\tO \n", "posts.txt:2: unknown tag 'O '"),
        ("IMGID:1\n\tO\n", "posts.txt:2: an empty word; write a word"),
        ("a\tO\n", "posts.txt:1: a word that belongs to no post; begin each post with a line IMGID:<id>"),
        ("IMGID:1\na\tO\n\nb\tO\n", "posts.txt:4: a word that belongs to no post"),
        ("IMGID:1\na\tO\n\nIMGID:2\n\nIMGID:3\nb\tO\n", "posts.txt:4: post '2' has no words; give it words"),
        ("IMGID:1\nIMGID:2\na\tO\n", "posts.txt:1: post '1' has no words"),
        ("IMGID:1", "posts.txt:1: post '1' has no words"),
        ("IMGID:1\na\tO\n\nIMGID:1\nb\tO\n", "posts.txt:4: IMGID '1' was already used on line 1; give each"),
        ("IMGID:1\na\0b\tO\n", "posts.txt:2: NUL byte; this is no text file"),
    ],
)
def test_a_malformed_line_is_named_with_what_is_wrong_and_a_remedy(text: str, message: str) -> None:
    assert fault(text).startswith(message)


@pytest.mark.parametrize("id", ["../../x", "/etc/x", "a/b", "a\\b", "..\\x", ".", "..", "", "a\rb", "a\u0085"])
def test_an_imgid_that_is_no_plain_file_name_is_refused(id: str) -> None:
    message = fault(f"IMGID:0\na\tO\n\nIMGID:{id}\na\tO\n")
    assert message.startswith("posts.txt:4: ")
    assert "IMGID" in message


def test_a_nul_in_an_imgid_is_refused() -> None:
    assert fault("IMGID:a\0b\na\tO\n").startswith("posts.txt:1: NUL byte")


def test_a_latin_1_file_is_named_with_line_byte_and_remedy() -> None:
    message = fault("IMGID:1\ncafé\tO\n".encode("latin-1"))
    assert message.startswith("posts.txt:2: byte 4 of the line, 0xE9, is not UTF-8")
    assert "iconv -f latin1 -t utf-8 posts.txt" in message


def test_files_of_other_systems_get_the_command_that_mends_them() -> None:
    assert "iconv -f utf-16 -t utf-8 posts.txt" in fault("IMGID:1\na\tO\n".encode("utf-16"))
    assert "tr '\\r' '\\n'" in fault("IMGID:1\ra\tO\r\r")


def test_posts_that_share_an_image_are_told_of_images_tsv() -> None:
    message = fault("IMGID:018869\na\tO\n\nIMGID:018869\nb\tO\n")
    assert "name it in images.tsv, beside the corpus: a line id<TAB>file for each post" in message


@pytest.mark.parametrize(
    "line",
    ["x" * 5_000_000, "x" * 5_000_000 + "\tFOO", "a\t" * 2_000_000, "a " * 2_000_000 + "O", "IMGID:\1" + "x" * 10_000],
)
def test_an_error_stays_short_however_long_the_line(line: str) -> None:
    assert len(fault("IMGID:1\na\tO\n" + line + "\n")) < 400


def test_a_file_that_is_not_there_or_is_a_folder_is_a_corpus_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.txt: cannot be read \(No such file"):
        read_posts(tmp_path / "none.txt")
    with pytest.raises(CorpusError, match="cannot be read"):
        read_posts(tmp_path)


def test_a_named_pipe_in_place_of_a_text_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "posts.txt")
    with pytest.raises(CorpusError, match=r"posts\.txt: cannot be read \(not a regular file\)"):
        read_posts(tmp_path / "posts.txt")


def test_images_are_found_by_id_with_jpg_before_png(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("1.png", "1.jpg", "2.JPEG", "3.txt", "4.webp"):
        (tmp_path / "images" / name).touch()
    (tmp_path / "posts.txt").write_text("".join(f"IMGID:{id}\na\tO\n\n" for id in "1234"), encoding="utf-8")
    posts = read_posts(tmp_path / "posts.txt", tmp_path / "images")
    assert [post.image and post.image.name for post in posts] == ["1.jpg", "2.JPEG", None, "4.webp"]
    posts = read_posts(tmp_path / "posts.txt", {"3": Path("shared.jpg")})
    assert [post.image for post in posts] == [None, None, Path("shared.jpg"), None]


words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1).filter(
    lambda word: word.split() == [word] and not word.startswith("IMGID:")
) | st.sampled_from([" ", "\u00a0", "\u0085", "a\u0092"])
ids = st.text(st.characters(exclude_characters="/\\", exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda id: id not in (".", "..")
)
posts = st.lists(
    st.builds(
        lambda id, pairs: Post(id, tuple(word for word, _ in pairs), tuple(tag for _, tag in pairs)),
        ids,
        st.lists(st.tuples(words, st.sampled_from(TAGS)), min_size=1, max_size=5),
    ),
    max_size=4,
    unique_by=lambda post: post.id,
).map(tuple)
pieces = [
    b"IMGID:",
    b"IMGID:1\n",
    b"a\tO",
    b"\tB-PER\n",
    b"\n",
    b"\r\n",
    b"\t",
    b"x",
    b"\xc2\xa0",
    b"\xff",
    b"\0",
    b"/",
]


@given(posts)
def test_what_is_written_is_read_back(posts: tuple[Post, ...]) -> None:
    assume(to_bio([post.tags or () for post in posts], str).scheme == "BIO")
    with tempfile.TemporaryDirectory() as folder:
        write_posts(posts, Path(folder, "posts.txt"))
        assert read_posts(Path(folder, "posts.txt")) == posts
        assert os.listdir(folder) == ["posts.txt"]


@given(st.binary() | st.lists(st.sampled_from(pieces)).map(b"".join))
def test_any_bytes_give_posts_or_one_corpus_error(data: bytes) -> None:
    try:
        posts = parse_posts(data, FILE)
    except CorpusError:
        assert re.match(r"posts\.txt:\d+: .+; .+", fault(data))
    else:
        with tempfile.TemporaryDirectory() as folder:
            write_posts(posts, Path(folder, "again.txt"))
            assert read_posts(Path(folder, "again.txt")) == posts


@pytest.mark.parametrize(
    "post",
    [
        Post("1", ("a",), None),
        Post("1", ("a", "b"), ("O",)),
        Post("1", (), ()),
        Post("../1", ("a",), ("O",)),
        Post("1 B-PER", ("a",), ("O",)),
        Post("a\tb", ("a",), ("O",)),
        Post("1", ("a\nb",), ("O",)),
        Post("1", ("",), ("O",)),
        Post("1", ("a\tb",), ("O",)),
        Post("1", ("a b",), ("O",)),
        Post("1", ("\x1b[31m",), ("O",)),
        Post("1", ("IMGID:2",), ("O",)),
        Post("\ud83d", ("a",), ("O",)),
        Post("1", ("\ud83d",), ("O",)),
        Post("1", ("a",), ("B_FOO",)),
        Post("1", ("a",), ("B-OTHER",)),
        Post("1", ("a",), ("E-PER",)),
    ],
)
def test_a_post_that_the_form_cannot_hold_is_refused_and_the_old_file_kept(post: Post, tmp_path: Path) -> None:
    path = tmp_path / "posts.txt"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(CorpusError, match=re.escape(f"post {post.id!r} cannot be written")):
        write_posts([post], path)
    assert path.read_text(encoding="utf-8") == "before"


def test_two_posts_of_one_id_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="its id is that of another post"):
        write_posts([Post("1", ("a",), ("O",))] * 2, tmp_path / "posts.txt")
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "posts.txt"
    path.write_text("before", encoding="utf-8")

    def half(self: Path, data: bytes) -> int:
        with open(self, "wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(CorpusError, match="No space left on device"):
        write_posts([Post("1", ("a",), ("O",))], path)
    assert os.listdir(tmp_path) == ["posts.txt"]
    assert path.read_text(encoding="utf-8") == "before"


def test_a_file_in_place_of_the_folder_is_a_corpus_error(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(CorpusError, match="cannot be written"):
        write_posts([Post("1", ("a",), ("O",))], tmp_path / "taken" / "posts.txt")
