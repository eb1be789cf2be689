from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hamner.corpora.post import Post
from hamner.corpora.tags import TAGS
from hamner.evaluation import PredictionsError, align, read_predictions, read_relevance, write_predictions

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
        (b'["9", ["O"]]', "expected an object"),
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
    with pytest.raises(PredictionsError, match=r"absent.jsonl cannot be read: No such file"):
        read_predictions(tmp_path / "absent.jsonl")


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


def test_an_unknown_tag_is_refused_before_the_old_file_is_touched(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, GOOD)
    with pytest.raises(PredictionsError, match=r"is not written: post '9': unknown tag 'B-CAT'"):
        write_predictions(path, {"9": ["B-CAT"]})
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
