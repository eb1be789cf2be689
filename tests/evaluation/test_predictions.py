from __future__ import annotations

import gzip
import json
import os
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hamner.corpora.post import Post
from hamner.corpora.tags import TAG_FORM, TAGS
from hamner.evaluation import PredictionsError, align, predictions, read_predictions, read_relevance, write_predictions
from hamner.evaluation.columns import FORMS

POSTS = (Post("7", ("Kelso", "ran"), ("B-PER", "O")), Post("9", ("Orva",), ("B-ORG",)))
GOOD = {"7": ("B-PER", "O"), "9": ("B-LOC",)}

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@same_folder
@given(predictions=st.dictionaries(st.text(), st.lists(st.sampled_from(TAGS), max_size=5).map(tuple), max_size=5))
def test_what_is_written_is_read_again_in_the_same_order(tmp_path, predictions):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, predictions)
    assert list(read_predictions(path).items()) == list(predictions.items())


@same_folder
@given(
    content=st.binary(max_size=60)
    | st.lists(st.sampled_from([b'{"id": "1", "tags": [', b'"O"', b"]}", b"\n"])).map(b"".join)
)
def test_any_bytes_give_predictions_or_one_clear_error(tmp_path, content):
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(content)
    try:
        predictions = read_predictions(path)
    except PredictionsError as error:
        predictions, message = {}, str(error)
    else:
        message = f"{path}, line "
    assert message.startswith(f"{path}, line ")
    assert all(tag in TAGS for tags in predictions.values() for tag in tags)


def test_the_file_holds_one_object_a_line_with_id_and_tags_only(tmp_path):
    write_predictions(tmp_path / "predictions.jsonl", GOOD)
    lines = (tmp_path / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"id": "7", "tags": ["B-PER", "O"]}, {"id": "9", "tags": ["B-LOC"]}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"id": "9", "tags": ["O"]', "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"id": "\xe9", "tags": ["O"]}', "not UTF-8"),
        (b'["9", ["O"]]', "no JSON object; a line is"),
        (b'{"tags": ["O"]}', 'the key "id" is missing'),
        (b'{"id": "9"}', 'the key "tags" is missing'),
        (b'{"id": 9, "tags": ["O"]}', '"id" must be a string'),
        (b'{"id": "9", "tags": "O"}', '"tags" must be a list of strings'),
        (b'{"id": "9", "tags": [["O"]]}', '"tags" must be a list of strings'),
        (b'{"id": "9", "tags": ["B-CAT"]}', "post '9': unknown tag 'B-CAT'"),
        (b'{"id": "7", "tags": ["O", "O"]}', "post '7' stands here a second time"),
        (b'{"id": "8", "tags": ["O"]}', "post '8' is not in this split"),
        (b'{"id": "9", "tags": ["O", "O"]}', "post '9' has 1 words but 2 predicted tags"),
    ],
)
def test_a_bad_line_is_an_error_that_names_file_and_line(tmp_path, line, message):
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(b'{"id": "7", "tags": ["B-PER", "O"]}\n\n' + line + b"\n")
    with pytest.raises(PredictionsError) as error:
        read_predictions(path, POSTS)
    assert str(error.value).startswith(f"{path}, line 3: ")
    assert message in str(error.value)


def test_a_post_without_prediction_is_an_error(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, {"9": ["O"]})
    with pytest.raises(PredictionsError, match=r"predictions.jsonl: 1 of 2 posts have no prediction.*'7'"):
        read_predictions(path, POSTS)


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(PredictionsError, match=r"absent.jsonl: cannot be read \(No such file"):
        read_predictions(tmp_path / "absent.jsonl")


def test_a_named_pipe_is_no_predictions_file(tmp_path):
    os.mkfifo(tmp_path / "predictions.jsonl")
    with pytest.raises(PredictionsError, match=r"predictions.jsonl: cannot be read \(not a regular file\)"):
        read_predictions(tmp_path / "predictions.jsonl")


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, GOOD, {"7": 0.5, "9": 1.0})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_predictions(path, POSTS) == GOOD
    assert read_relevance(path) == {"7": 0.5, "9": 1.0}
    path.write_bytes(b"\xef\xbb\xbfKelso\tB-PER\r\nran\tO\r\n\r\nOrva\tB-LOC\r\n")
    assert read_predictions(path, POSTS) == GOOD


def test_other_is_read_as_misc_and_never_written(tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text('{"id": "9", "tags": ["B-OTHER"]}')
    assert read_predictions(path) == {"9": ("B-MISC",)}
    path.write_text("IMGID:9\nOrva\tB-OTHER\n")
    assert read_predictions(path) == {"9": ("B-MISC",)}
    with pytest.raises(PredictionsError, match="unknown tag 'B-OTHER'"):
        write_predictions(path, {"9": ["B-OTHER"]})


@pytest.mark.parametrize("id", ["9.jpg", "IMGID:9", " 9 ", "images/9.jpg"])
def test_an_id_in_another_spelling_is_an_error_that_names_the_right_one(tmp_path, id):
    path = tmp_path / "predictions.jsonl"
    path.write_text(json.dumps({"id": id, "tags": ["O"]}))
    with pytest.raises(PredictionsError, match="is not in this split of the corpus; do you mean '9'"):
        read_predictions(path, POSTS)
    path.write_text(f"IMGID:{id}\nOrva\tO\n")
    with pytest.raises(PredictionsError, match=r"line 1: post .*do you mean '9'"):
        read_predictions(path, POSTS)


@pytest.mark.parametrize(
    "text",
    [
        "Kelso\tB-PER\nran\tO\n\nOrva\tB-LOC\n",
        "Kelso B-PER\nran O\n\n\nOrva B-LOC",
        "\n-DOCSTART- -X- O\n\nKelso O B-PER\nran O O\n\nOrva B-ORG B-LOC\n\n",
        "IMGID:7\nKelso\tNNP\tO\tB-PER\nran\tVB\tO\tO\n\nIMGID:9\nOrva\tNNP\tB-ORG\tB-LOC\n",
        "IMGID:9\nOrva B-LOC\nIMGID:7\nKelso B-PER\nran O\n",
    ],
)
def test_columns_of_other_systems_are_aligned_by_order_or_id_and_the_last_one_is_read(tmp_path, text):
    path = tmp_path / "result.txt"
    path.write_text(text)
    assert read_predictions(path, POSTS) == GOOD


def test_a_word_with_a_blank_of_its_own_stays_one_word(tmp_path):
    posts = (Post("1", ("a\u00a0b", "c d"), ("O", "B-PER")),)
    path = tmp_path / "result.txt"
    path.write_text("a\u00a0b\tO\nc d\tB-PER\n", encoding="utf-8")
    assert read_predictions(path, posts) == {"1": ("O", "B-PER")}
    path.write_text("a\u00a0b O\n", encoding="utf-8")
    assert read_predictions(path, (Post("1", ("a\u00a0b",)),)) == {"1": ("O",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Kelso B-PER\nruns O\n\nOrva O\n", "line 2: the word 'runs' where post '7' of the corpus has 'ran'"),
        ("Orva O\n\nKelso B-PER\nran O\n", "line 1: the word 'Orva' where post '7' of the corpus has 'Kelso'"),
        ("Kelso B-PER\n\nOrva O\n", "line 1: post '7' ends after 1 words, and in the corpus it has 2"),
        ("Kelso B-PER\nran O\n", "line 3: the file ends with 1 posts, fewer than the 2 of this split"),
        ("Kelso O\nran O\n\nOrva O\n\nx O\n", "the file ends with 3 posts, more than the 2 of this split"),
        ("IMGID:7\nKelso O\nran O\n", "1 of 2 posts have no prediction, the first is post '9'"),
        ("IMGID:7\nKelso O\nran O\n\nIMGID:8\nOrva O\n", "line 5: post '8' is not in this split"),
        ("IMGID:7\nKelso O\nran O\n\nIMGID:7\nKelso O\nran O\n", "line 5: post '7' stands here a second time"),
        ("IMGID:7\nKelso O\nran O\n\nOrva O\n", "line 5: only some posts have an IMGID line"),
        ("IMGID:7\nIMGID:9\nOrva O\n", "line 1: post '7' has no words"),
        ("IMGID:7\nKelso O\nOrva O\n", "line 3: the word 'Orva' where post '7' of the corpus has 'ran'"),
        ("Kelso O\nran\n", f"line 2: one column, 'ran'; {FORMS}"),
        ("Kelso O O\nran O\n", "line 2: 2 columns, but line 1 has 3"),
        ("Kelso O\nran B-CAT\n", "line 2: unknown tag 'B-CAT' in the last column"),
        ("Kelso\tCAT\n", "line 1: unknown tag 'CAT' in the last column"),
        ("7\tB-PER O\n", f"line 1: unknown tag 'B-PER O' in the last column; {TAG_FORM}; {FORMS}"),
        (
            "<!DOCTYPE html>\n",
            f"line 1: unknown tag 'html>' in the last column; {TAG_FORM}; {FORMS}",
        ),
        ("7.jpg\nKelso ran\nB-PER O\n", "line 1: not a JSON object"),
        (
            "Kelso O B-PER\nran O O\n\nOrva O B-ORG\n",
            "line 1: the last column is the corpus's gold in every line, and column 2 is not; put the predicted",
        ),
    ],
)
def test_columns_that_do_not_fit_the_corpus_are_an_error_that_names_line_and_remedy(tmp_path, text, message):
    path = tmp_path / "result.txt"
    path.write_text(text)
    with pytest.raises(PredictionsError) as error:
        read_predictions(path, POSTS)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_columns_without_ids_need_the_posts(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("Kelso B-PER\n")
    with pytest.raises(PredictionsError, match="line 1: no IMGID lines"):
        read_predictions(path)
    path.write_text("IMGID:7\nKelso B-PER\n")
    assert read_predictions(path) == {"7": ("B-PER",)}


def test_a_perfect_prediction_beside_its_gold_is_scored(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("Kelso B-PER B-PER\nran O O\n\nOrva B-ORG B-ORG\n")
    assert read_predictions(path, POSTS) == {"7": ("B-PER", "O"), "9": ("B-ORG",)}


@pytest.mark.parametrize(
    "line", ["7.jpg", "[]", '{"tags": ["O"]}', '{"id": 1, "tags": []}', '{"id": "1", "tags": "O"}']
)
def test_an_error_of_form_shows_a_line_of_the_right_form(tmp_path, line):
    path = tmp_path / "predictions.jsonl"
    path.write_text(line)
    with pytest.raises(
        PredictionsError, match=r'a line is \{"id": "1234", "tags": \["B-PER", "O"\]\}, or, in CoNLL columns'
    ):
        read_predictions(path)


def test_a_huge_value_makes_no_huge_message(tmp_path):
    path = tmp_path / "predictions.jsonl"
    for text in (json.dumps({"id": "9" * 10**6, "tags": ["O"]}), "x" * 10**6 + "\tO", "Kelso\t" + "x" * 10**6):
        path.write_text(text)
        with pytest.raises(PredictionsError) as error:
            read_predictions(path, POSTS)
        assert len(str(error.value)) <= 1000
        assert str(path) in str(error.value)


def test_other_keys_are_allowed(tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text('{"id": "9", "tags": ["O"], "confidence": 0.5}')
    assert read_predictions(path) == {"9": ("O",)}


def test_relevance_stands_beside_the_tags_to_four_digits(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, GOOD, {"7": 0.123456, "9": 1.0})
    assert read_relevance(path) == {"7": 0.1235, "9": 1.0}
    assert read_predictions(path) == GOOD


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "9", "tags": ["O"]}', "post '9' has no \"relevance\""),
        ('{"id": "9", "tags": ["O"], "relevance": "high"}', "must be a number from 0 to 1, not 'high'"),
        ('{"id": "9", "tags": ["O"], "relevance": true}', "must be a number from 0 to 1, not True"),
        ('{"id": "9", "tags": ["O"], "relevance": NaN}', "must be a number from 0 to 1, not nan"),
        ('{"id": "7", "tags": ["O"], "relevance": 0.5}', "post '7' stands here a second time"),
        ('{"id": "9"}', 'the key "tags" is missing'),
    ],
)
def test_a_line_without_a_share_as_relevance_is_an_error_that_names_file_and_line(tmp_path, line, message):
    path = tmp_path / "predictions.jsonl"
    path.write_text('{"id": "7", "tags": ["O"], "relevance": 0.5}\n' + line)
    with pytest.raises(PredictionsError) as error:
        read_relevance(path)
    assert str(error.value).startswith(f"{path}, line 2: ")
    assert message in str(error.value)


def test_a_relevance_that_is_no_share_is_not_written(tmp_path):
    with pytest.raises(PredictionsError, match=r"is not written: post '7': \"relevance\" must be a number from 0 to 1"):
        write_predictions(tmp_path / "predictions.jsonl", GOOD, {"7": 1.5, "9": 0.5})
    assert not (tmp_path / "predictions.jsonl").exists()


def test_equal_predictions_give_equal_gzip_bytes_at_any_time_and_under_any_name(tmp_path, monkeypatch):
    write_predictions(tmp_path / "predictions.jsonl.gz", GOOD)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    write_predictions(tmp_path / "other" / "name.jsonl.gz", GOOD)
    packed = (tmp_path / "predictions.jsonl.gz").read_bytes()
    assert packed == (tmp_path / "other" / "name.jsonl.gz").read_bytes()
    assert packed[3:8] == bytes(5)  # RFC 1952: no name, comment or further field, and no time
    write_predictions(tmp_path / "predictions.jsonl", GOOD)
    assert gzip.decompress(packed) == (tmp_path / "predictions.jsonl").read_bytes()


@pytest.mark.parametrize("name", ["predictions.jsonl.gz", "predictions.jsonl"])
def test_a_gzip_file_is_read_as_its_lines_are_whatever_its_name(tmp_path, name):
    write_predictions(tmp_path / "packed.gz", GOOD, {"7": 0.5, "9": 1.0})
    path = (tmp_path / "packed.gz").rename(tmp_path / name)
    assert read_predictions(path, POSTS) == GOOD
    assert read_relevance(path) == {"7": 0.5, "9": 1.0}


def test_every_cut_or_flipped_gzip_file_is_one_error_that_names_it(tmp_path):
    path = tmp_path / "predictions.jsonl.gz"
    write_predictions(path, GOOD)
    whole = path.read_bytes()
    cut = [whole[:length] for length in range(len(whole))]
    # The bytes of the header after the method (time, compression, system) say nothing about the content.
    flipped = [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in (0, 1, 2, *range(10, len(whole)))]
    for damaged in (*cut, *flipped, whole + b"more"):
        path.write_bytes(damaged)
        for read in (read_predictions, read_relevance):
            with pytest.raises(PredictionsError) as error:
                read(path)
            assert str(error.value).startswith(f"{path} is "), damaged
            assert "gzip file" in str(error.value)


def test_a_file_that_only_its_name_calls_gzip_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "predictions.jsonl.gz"
    path.write_text('{"id": "9", "tags": ["O"]}')
    with pytest.raises(PredictionsError, match=r"gz is no gzip file, .*; compress it, or rename it"):
        read_predictions(path)


def test_a_gzip_bomb_is_refused_without_expanding_it(tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, "MOST_BYTES", 2**20)
    path = tmp_path / "predictions.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n" * 2**26))  # 64 MiB in 64 kB
    tracemalloc.start()
    try:
        with pytest.raises(PredictionsError, match=r"gz holds more than 1,048,576 bytes, .*; give another file"):
            read_predictions(path)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_an_unknown_tag_is_refused_before_the_old_file_is_touched(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, GOOD)
    with pytest.raises(PredictionsError, match=r"is not written: post '9': unknown tag 'B_CAT'"):
        write_predictions(path, {"9": ["B_CAT"]})
    with pytest.raises(PredictionsError, match=r"unknown tag 'B-CAT'; the types are PER, LOC"):
        write_predictions(path, {"9": ["B-CAT"]}, types=("PER", "LOC"))
    assert read_predictions(path) == GOOD


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, GOOD)

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(PredictionsError, match=r"cannot be written \(No space left"):
        write_predictions(path, {"9": ["O"]})
    assert read_predictions(path) == GOOD
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_made_and_one_that_cannot_be_is_one_clear_error(tmp_path):
    write_predictions(tmp_path / "absent" / "predictions.jsonl", GOOD)
    assert read_predictions(tmp_path / "absent" / "predictions.jsonl") == GOOD
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PredictionsError, match=r"file/predictions.jsonl cannot be written"):
        write_predictions(tmp_path / "file" / "predictions.jsonl", GOOD)


def test_align_follows_the_order_of_the_posts_not_of_the_file():
    gold, predicted = align(POSTS, dict(reversed(GOOD.items())))
    assert gold == [("B-PER", "O"), ("B-ORG",)]
    assert predicted == [("B-PER", "O"), ("B-LOC",)]


@pytest.mark.parametrize(
    ("posts", "predictions", "message"),
    [
        (POSTS, {"7": ("O", "O")}, "1 of 2 posts have no prediction"),
        (POSTS, {**GOOD, "8": ("O",)}, "post '8' is not in this split"),
        (POSTS, {**GOOD, "9": ()}, "post '9' has 1 words but 0 predicted tags"),
        ((Post("9", ("Orva",)),), {"9": ("O",)}, "post '9' has no gold tags"),
    ],
)
def test_align_refuses_predictions_that_do_not_fit(posts, predictions, message):
    with pytest.raises(PredictionsError, match=message):
        align(posts, predictions)
