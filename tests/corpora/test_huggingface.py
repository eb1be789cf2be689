from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from hamner.corpora import Corpus, CorpusError, Post, from_dataset, huggingface, load_corpus, to_dataset, write_posts
from hamner.corpora.schemes import ConvertedWarning

KELSO = (("Kelso", "meets", "Orva", "Berg"), ("B-PER", "O", "B-LOC", "I-LOC"))
SPLITS = {"train": "train", "validation": "valid", "test": "test"}


class Rows(dict):
    """A split as the library gives it: column -> values; `names` are those of a ClassLabel."""

    def __init__(self, names=None, **columns):
        super().__init__(columns)
        self.column_names = list(columns)
        self.features = {name: SimpleNamespace(feature=SimpleNamespace(names=names)) for name in columns}

    def __len__(self):
        return len(next(iter(self.values())))

    def cast_column(self, column, feature):
        assert feature == "undecoded"
        return self


def one_post(split: str, tags=KELSO[1], **columns) -> Rows:
    return Rows(tokens=[[*KELSO[0], f"#{split}"]], ner_tags=[[*tags, "O"]], **columns)


def three_splits(**columns) -> dict[str, Rows]:
    return {name: one_post(name, **columns) for name in SPLITS}


def picture(form: str) -> bytes:
    data = BytesIO()
    Image.new("RGB", (70, 70), "red").save(data, form)
    return data.getvalue()


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    folder = tmp_path / "own"
    for split in ("train", "valid", "test"):
        write_posts([Post(f"{split}1", (*KELSO[0], split), (*KELSO[1], "O"))], folder / f"{split}.txt")
    (folder / "images").mkdir()
    (folder / "images" / "test1.png").write_bytes(picture("PNG"))
    return load_corpus(folder)


def posts_of(corpus: Corpus) -> list[tuple]:
    return [(split, post.id, post.words, post.tags) for split, posts in corpus.splits() for post in posts]


def test_a_corpus_becomes_a_dataset_and_a_corpus_again(corpus, tmp_path):
    pytest.importorskip("datasets", reason="the library datasets is not installed (an extra: hamner[datasets])")
    dataset = to_dataset(corpus)
    assert set(dataset) == set(SPLITS)
    assert dataset["test"].features["ner_tags"].feature.names == list(corpus.tags)
    assert dataset["test"][0]["image"].size == (70, 70)
    dataset.save_to_disk(tmp_path / "disk")
    again = from_dataset(dataset, tmp_path / "again")
    assert posts_of(again) == posts_of(corpus)
    assert [post.image is None for post in (*again.train, *again.test)] == [True, False]
    assert again.test[0].image.read_bytes() == corpus.test[0].image.read_bytes()
    assert "image" not in to_dataset(corpus, images=False)["test"].column_names


def test_numbers_of_a_class_label_and_names_are_read_alike(tmp_path):
    names = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    numbered = {
        name: Rows(names, tokens=rows["tokens"], ner_tags=[[names.index(tag) for tag in rows["ner_tags"][0]]])
        for name, rows in three_splits().items()
    }
    one = from_dataset(numbered, tmp_path / "numbered")
    other = from_dataset(three_splits(), tmp_path / "named")
    assert posts_of(one) == posts_of(other)
    assert posts_of(one)[0] == ("train", "train-0", (*KELSO[0], "#train"), (*KELSO[1], "O"))
    assert one.name == "numbered"


def test_other_names_of_columns_and_of_the_validation_split_are_read(tmp_path):
    dataset = {
        name: Rows(words=[["Kelso", name]], labels=[["S-PER", "O"]], post=[7]) for name in ("train", "dev", "test")
    }
    with pytest.warns(ConvertedWarning, match=r"the dataset: the tags are BIOES \('S-PER' in train, row 0, word 0\)"):
        read = from_dataset(dataset, tmp_path / "own", words="words", tags="labels", id="post")
    assert (read.valid[0].id, read.valid[0].words, read.valid[0].tags) == ("7", ("Kelso", "dev"), ("B-PER", "O"))


def test_images_keep_their_bytes_and_their_format(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface, "_library", lambda: SimpleNamespace(Image=lambda decode: "undecoded"))
    file = tmp_path / "photo"
    file.write_bytes(picture("JPEG"))
    given = [{"bytes": picture("WEBP"), "path": None}, {"bytes": None, "path": str(file)}, None]
    dataset = {name: one_post(name, image=[one]) for name, one in zip(SPLITS, given, strict=True)}
    read = from_dataset(dataset, tmp_path / "own")
    images = [posts[0].image for _, posts in read.splits()]
    assert [image and image.name for image in images] == ["train-0.webp", "valid-0.jpg", None]
    assert images[1].read_bytes() == file.read_bytes()
    for bad, message in ((picture("BMP"), "image is BMP"), (b"<html>", "image cannot be read")):
        dataset["train"] = one_post("train", image=[{"bytes": bad, "path": None}])
        with pytest.raises(CorpusError, match=f"train, row 0: {message}"):
            from_dataset(dataset, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own", "photo"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": None}, r"no split test; there are train, validation: divide"),
        ({"dev": Rows(tokens=[], ner_tags=[])}, r"the splits validation and dev for one"),
        ({"more": Rows(tokens=[], ner_tags=[])}, r"a split 'more', and a corpus has"),
        ({"train": Rows(text=["a"])}, r"train has no column 'tokens'; there are 'text': name it with words= or tags="),
        ({"train": Rows(tokens=[["a"]], ner_tags=[[3]])}, r"train, row 0: ner_tags are numbers without names"),
        (
            {"train": Rows(tokens=[["a"]], ner_tags=[["O", "O"]])},
            r"train, row 0: tokens and ner_tags must be two lists",
        ),
        ({"train": Rows(tokens=["a"], ner_tags=[["O"]])}, r"train, row 0: tokens and ner_tags must be two lists"),
        ({"train": Rows(tokens=[["a"]], ner_tags=[["PER"]])}, r"train, row 0: unknown tag 'PER'"),
        ({"train": Rows(tokens=[["a b"]], ner_tags=[["O"]])}, r"post 'train-0' cannot be written: white space in a"),
        ({"train": Rows(tokens=[["a"]], ner_tags=[["O"]], id=["../x"])}, r"post '../x' cannot be written"),
    ],
)
def test_what_a_corpus_cannot_hold_is_refused_and_nothing_is_written(change, message, tmp_path):
    dataset = {name: rows for name, rows in (three_splits() | change).items() if rows is not None}
    with pytest.raises(CorpusError, match=message):
        from_dataset(dataset, tmp_path / "own")
    assert not list(tmp_path.iterdir())


def test_a_single_table_and_a_folder_that_is_there_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="divide it with train_test_split"):
        from_dataset([1, 2], tmp_path / "own")
    with pytest.raises(CorpusError, match="is there already"):
        from_dataset(three_splits(), tmp_path)


def test_without_the_library_the_error_names_it(corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match="pip install 'datasets<5'"):
        to_dataset(corpus)
