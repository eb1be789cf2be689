"""Corpora as datasets of the library `datasets`, out and in.

A DatasetDict has the splits train, validation and test, with the columns that the library's own corpora of named
entities have: `id`, `tokens`, `ner_tags` (a ClassLabel for each word) and, where the corpus has images, `image`.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, UnidentifiedImageError

from hamner.corpora.post import SPLITS, Corpus, CorpusError, Post
from hamner.corpora.reader import write_posts
from hamner.corpora.registry import load_corpus
from hamner.corpora.schemes import PREFIXES, ConvertedWarning, Place, SchemeError, to_bio
from hamner.corpora.tags import TAG_FORM, TWITTER2015_TAGS, is_spelt_other, is_tag, tags_of, types_in

if TYPE_CHECKING:
    from datasets import DatasetDict

NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("validation", "valid", "dev", "val"),
    "test": ("test",),
}
"""Split -> what it may be called in a DatasetDict; the first one is written."""

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
"""Format of an image -> the suffix of its file."""


def to_dataset(corpus: Corpus, images: bool = True) -> DatasetDict:
    """The corpus as a DatasetDict, ready for `save_to_disk` or `push_to_hub`.

    Tags are those of `corpus.every_type`, in this order. With `images`, a corpus that has some gets a column `image`;
    whoever publishes it publishes the images. Annotated objects (annotations.jsonl) are not among the columns.

    Raises CorpusError when the library is not installed.
    """
    datasets = _library()
    with_images = images and any(post.image is not None for _, posts in corpus.splits() for post in posts)
    tags = tags_of(corpus.every_type)
    features = {
        "id": datasets.Value("string"),
        "tokens": datasets.List(datasets.Value("string")),
        "ner_tags": datasets.List(datasets.ClassLabel(names=list(tags))),
    } | ({"image": datasets.Image()} if with_images else {})
    number = {tag: place for place, tag in enumerate(tags)}
    tables = {}
    for split, posts in corpus.splits():
        columns: dict[str, list[Any]] = {
            "id": [post.id for post in posts],
            "tokens": [list(post.words) for post in posts],
            "ner_tags": [[number[tag] for tag in post.tags or ()] for post in posts],
        }
        if with_images:
            columns["image"] = [None if post.image is None else str(post.image) for post in posts]
        tables[NAMES[split][0]] = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    return datasets.DatasetDict(tables)


def from_dataset(
    dataset: Mapping[str, Any],
    folder: Path | str,
    *,
    words: str = "tokens",
    tags: str = "ner_tags",
    id: str = "id",
    image: str = "image",
) -> Corpus:
    """Write a DatasetDict as a corpus into `folder`, a new one, and load it.

    Args:
        dataset: train, validation (or valid, dev, val) and test; other splits are refused.
        folder: of the corpus; its last part is the corpus's name. It is written whole or not at all.
        words: the column of the words.
        tags: the column of their tags, names or numbers of a ClassLabel; BIO, or a scheme that is converted to it.
        id: the column of ids; posts of a dataset without one are called train-0, train-1 ...
        image: the column of images, if there is one: pictures, or the paths of files.

    Raises CorpusError for a split or column that is not there, for posts that a corpus cannot hold, and for a folder
    that is there already.
    """
    folder = Path(folder)
    if folder.exists():
        raise CorpusError(f"{folder} is there already: give a new folder, or load it with load_corpus")
    splits = {split: _split_of(dataset, split) for split in SPLITS}
    if strange := sorted(dataset.keys() - {name for names in NAMES.values() for name in names}):
        raise CorpusError(
            f"the dataset has a split {strange[0]!r}, and a corpus has train, validation and test: leave it out"
        )
    read = {split: list(_rows(rows, split, words, tags, id)) for split, rows in splits.items()}
    posts = _in_bio(read)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for split, some in posts.items():
            write_posts(some, temporary / f"{split}.txt")
            if image in splits[split].column_names:
                _write_images([post.id for post in some], splits[split], image, temporary / "images", split)
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return load_corpus(folder)


def _library() -> Any:
    """The library, which is loaded where it is needed."""
    try:
        import datasets
    except ImportError as error:
        raise CorpusError(
            "datasets of Hugging Face need a package that is missing: pip install 'datasets<5'"
        ) from error
    return datasets


def _split_of(dataset: Mapping[str, Any], split: str) -> Any:
    if not isinstance(dataset, Mapping):
        raise CorpusError(
            f"a corpus is made from a DatasetDict with three splits, not from a {type(dataset).__name__}: "
            "divide it with train_test_split"
        )
    found = [name for name in NAMES[split] if name in dataset]
    if len(found) != 1:
        there = ", ".join(dataset) or "none"
        wrong = f"no split {NAMES[split][0]}" if not found else f"the splits {' and '.join(found)} for one"
        raise CorpusError(f"the dataset has {wrong}; there are {there}: divide one with train_test_split, or rename it")
    return dataset[found[0]]


def _rows(rows: Any, split: str, words: str, tags: str, id: str) -> Iterator[Post]:
    """The posts of one split, their tags as they stand there."""
    for column in (words, tags):
        if column not in rows.column_names:
            there = ", ".join(map(repr, rows.column_names))
            raise CorpusError(f"{split} has no column {column!r}; there are {there}: name it with words= or tags=")
    names = getattr(getattr(rows.features[tags], "feature", None), "names", None)
    ids = rows[id] if id in rows.column_names else [f"{split}-{number}" for number in range(len(rows))]
    for number, (name, of_words, of_tags) in enumerate(zip(ids, rows[words], rows[tags], strict=True)):
        if not isinstance(of_words, list) or not isinstance(of_tags, list) or len(of_words) != len(of_tags):
            raise CorpusError(f"{split}, row {number}: {words} and {tags} must be two lists of one length")
        if names is None and any(not isinstance(tag, str) for tag in of_tags):
            raise CorpusError(
                f"{split}, row {number}: {tags} are numbers without names: cast the column to "
                "List(ClassLabel(names=[...]))"
            )
        named = tuple(of_tags if names is None else [names[tag] for tag in of_tags])
        if wrong := next((tag for tag in named if not is_tag(tag, PREFIXES)), None):
            raise CorpusError(f"{split}, row {number}: unknown tag {wrong[:60]!r}; {TAG_FORM}")
        yield Post(str(name), tuple(of_words), named)


def _in_bio(read: Mapping[str, Iterable[Post]]) -> dict[str, list[Post]]:
    """The posts with tags in BIO, as a corpus's files are read: the scheme is found over all splits together."""
    every = [(split, number, post) for split, posts in read.items() for number, post in enumerate(posts)]

    def where(place: Place) -> str:
        split, number, _ = every[place[0]]
        return f"{split}, row {number}, word {place[1]}"

    try:
        converted = to_bio([post.tags or () for _, _, post in every], where)
    except SchemeError as fault:
        raise CorpusError(f"{where(fault.place)}: {fault.wrong}; {fault.remedy}") from None
    if converted.scheme != "BIO":
        warnings.warn(converted.note("the dataset"), ConvertedWarning, stacklevel=3)
    renamed = TWITTER2015_TAGS if is_spelt_other(types_in(converted.tags)) else {}
    posts: dict[str, list[Post]] = {split: [] for split in read}
    for (split, _, post), tags in zip(every, converted.tags, strict=True):
        posts[split].append(Post(post.id, post.words, tuple(renamed.get(tag, tag) for tag in tags)))
    return posts


def _write_images(ids: Iterable[str], rows: Any, column: str, folder: Path, split: str) -> None:
    """Write the images of one split to ID.jpg, .png or .webp, their bytes as they are."""
    datasets = _library()
    folder.mkdir(exist_ok=True)
    undecoded = rows.cast_column(column, datasets.Image(decode=False))[column]
    for number, (id, given) in enumerate(zip(ids, undecoded, strict=True)):
        if given is None:
            continue
        try:
            data = given["bytes"] if given["bytes"] is not None else Path(given["path"]).read_bytes()
            with Image.open(BytesIO(data)) as opened:
                form = opened.format or ""
        except (OSError, UnidentifiedImageError) as error:
            raise CorpusError(f"{split}, row {number}: {column} cannot be read ({error}); get it afresh") from error
        if form not in SUFFIXES:
            raise CorpusError(
                f"{split}, row {number}: {column} is {form}, and a corpus has {', '.join(SUFFIXES)}: convert it"
            )
        (folder / f"{id}{SUFFIXES[form]}").write_bytes(data)
