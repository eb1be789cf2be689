"""The corpora that hamner knows by name, and loading a corpus from its folder.

Versions of Twitter-2015 differ in their labels, and papers seldom name their version. Here a name stands for exact
bytes: a file with another SHA-256 is never loaded under a known name.
"""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hamner.corpora.files import sha256
from hamner.corpora.images import images_of
from hamner.corpora.post import SPLITS, Corpus, CorpusError
from hamner.corpora.reader import Columns, parse_files
from hamner.files import cache_folder, read_whole


class SourceFile(NamedTuple):
    """One file of a known version: its path in its repository, its size in bytes (None: not known) and its SHA-256."""

    path: str
    bytes: int | None
    sha256: str


class Difference(NamedTuple):
    """A known difference from the published counts: measured minus published for train, valid, test, and why."""

    quantity: str
    train: int
    valid: int
    test: int
    why: str


@dataclass(frozen=True)
class Version:
    """A corpus known by name.

    `labels` says who made the labels. `files` maps train.txt, valid.txt and test.txt to their source; a bundled corpus
    comes with the project and has no `repository`. `published` is the corpus's name in hamner/published/statistics.csv.
    `unreadable` counts, for each split, the images that cannot be read in any public copy.
    """

    name: str
    labels: str
    repository: str = ""
    commit: str = ""
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    published: str | None = None
    differences: tuple[Difference, ...] = ()
    unreadable: Mapping[str, int] = field(default_factory=dict)

    @property
    def bundled(self) -> bool:
        return not self.repository


FILES = tuple(f"{split}.txt" for split in SPLITS)

VERSIONS: Mapping[str, Version] = {
    version.name: version
    for version in (
        Version(
            name="minitweets",
            labels="known answers",
            files={
                "train.txt": SourceFile(
                    "train.txt", 917376, "c0bf46005cdb068efcd8e5957d278868fb8679512d77bd878969a3368e639b5c"
                ),
                "valid.txt": SourceFile(
                    "valid.txt", 141773, "db0df18b036023a3f41780002dc690d32869add2e241c306113d2795f5997dfd"
                ),
                "test.txt": SourceFile(
                    "test.txt", 280310, "b79306a35f20606062fb81d829e9cf67bdf32ec2391cffc98e2b4fed0b27363d"
                ),
            },
        ),
        Version(
            name="twitter2015",
            labels="as in UMT's files",
            repository="jefferyYu/UMT",
            commit="f478ee65564b5532319a6cc643203149acfc5eed",
            files={
                "train.txt": SourceFile(
                    "data/twitter2015/train.txt",
                    670884,
                    "a6246e37aa1c8acd738747fa8257e01775f2a1cc0d4f36f82f9d41d6246ad6fa",
                ),
                "valid.txt": SourceFile(
                    "data/twitter2015/valid.txt",
                    168308,
                    "9dcc7f9df7331de3c9cdf67a3450e041c41c6254b5e43925c576e2dfaaabe2ad",
                ),
                "test.txt": SourceFile(
                    "data/twitter2015/test.txt",
                    550697,
                    "edb2665b89bfe58bca06a2c10b9b31cbfa95456135b6a4cbf55c872e48d9b8f9",
                ),
            },
            published="twitter2015",
            differences=(
                Difference(
                    "MISC",
                    -9,
                    -5,
                    -6,
                    "the original labels open a MISC entity at a stray 'the' outside any name, 9, 5 and 6 times; "
                    "UMT's files label these words O",
                ),
                Difference(
                    "ORG",
                    -1,
                    0,
                    0,
                    "in one training post the original opens two ORG entities at a stray 'the'; UMT's files label "
                    "both O and open one ORG at the handle that follows",
                ),
                Difference("entities", -10, -5, -6, "the MISC and ORG differences together"),
            ),
        ),
        Version(
            name="twitter2015-original",
            labels="Zhang et al.'s",
            repository="thecharm/AGBAN",
            commit="acc20fc25658f2c962df1b28a2d9bc74293f65db",
            files={
                "train.txt": SourceFile(
                    "data/mul_tweets/train",
                    670948,
                    "96f7789485f5b1552b6447f78f6466a08812be93f9c354ab86a52750fe797676",
                ),
                "valid.txt": SourceFile(
                    "data/mul_tweets/dev",
                    168327,
                    "62e11451821b934fbc08398e9ceb044ede6ac1a82428e1bc57576a7447318a02",
                ),
                "test.txt": SourceFile(
                    "data/mul_tweets/test",
                    550746,
                    "64c7da804a0ab440f433a2b15bd1642e51b568fbc7258e775c96ee5876f8cfc8",
                ),
            },
            published="twitter2015",
        ),
        Version(
            name="twitter2015-hvpnet",
            labels="as in HVPNeT's files",
            repository="thecharm/TMR",
            commit="279b3e2938aec040fa8b8fa74cd3e562eaa6756f",
            files={
                "train.txt": SourceFile(
                    "TMR-NER/data/twitter2015/train.txt",
                    None,
                    "66c1336f27fe854504623248942f0c1348baa39533167e636835bf04234b05d7",
                ),
                "valid.txt": SourceFile(
                    "TMR-NER/data/twitter2015/val.txt",
                    None,
                    "51e003ec71c202d786f53968ed901841c3e23bcec9a381c06120432cba0d56d1",
                ),
                "test.txt": SourceFile(
                    "TMR-NER/data/twitter2015/test.txt",
                    None,
                    "a4ef7f191a456021a7e2355dfd9f8e531a85bf62c275646c7d4c741563abab40",
                ),
            },
        ),
        Version(
            name="twitter2017",
            labels="as in UMT's files",
            repository="jefferyYu/UMT",
            commit="f478ee65564b5532319a6cc643203149acfc5eed",
            files={
                "train.txt": SourceFile(
                    "data/twitter2017/train.txt",
                    474906,
                    "801e149e8635b19d66b4ec1212c329be340ada501b35c5fa55455fb6f53633be",
                ),
                "valid.txt": SourceFile(
                    "data/twitter2017/valid.txt",
                    101346,
                    "41b5db90cb32059c14c2c3ccd50845fb77f1e3d3e4f7d0c210a61bc507d8a73e",
                ),
                "test.txt": SourceFile(
                    "data/twitter2017/test.txt",
                    102522,
                    "a7d9e172ae85bd3e35276eb2b01ce223321bdc92a47b234e24305d72e7a05243",
                ),
            },
            published="twitter2017",
            unreadable={"train": 250, "valid": 58, "test": 50},
        ),
    )
}


PUBLISHED = Path(__file__).resolve().parents[1] / "published"
"""The package's folder of published numbers and counts."""


def checkout() -> Path | None:
    """The checkout that this package runs from; None when it is installed elsewhere."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


def project_folder() -> Path:
    """The checkout that this package runs from; the current directory when it is installed elsewhere."""
    return checkout() or Path.cwd()


def corpora_folder() -> Path:
    """The folder of fetched corpora: the environment variable HAMNER_CORPORA, else data/corpora of the checkout.

    Without a checkout it is `corpora` in the user's cache (`cache_folder`).
    """
    if named := os.environ.get("HAMNER_CORPORA"):
        return Path(named)
    return cache_folder() / "corpora" if (project := checkout()) is None else project / "data" / "corpora"


def version_named(name: str) -> Version:
    """The known version of this name. Raises CorpusError with the nearest names when there is none."""
    if name not in VERSIONS:
        raise CorpusError(f"no corpus is called {name!r}: {_nearest(name)}")
    return VERSIONS[name]


def folder_of(version: Version, root: Path | None = None) -> Path:
    """The version's folder, present or not: in `root`, by default the corpora folder, or data/ for a bundled one."""
    if version.bundled and root is None:
        return project_folder() / "data" / version.name
    return (root or corpora_folder()) / version.name


def load_corpus(
    name_or_folder: str | Path, root: Path | str | None = None, columns: Columns | str | None = None
) -> Corpus:
    """Load a corpus by its known name, or from a folder.

    Args:
        name_or_folder: a known name (`VERSIONS`), or a folder with train.txt, valid.txt and test.txt. Its images are
            `images/ID.jpg`, ID.jpeg, ID.png or ID.webp. Where posts share an image, `images.tsv` beside the texts names
            the image of each post: a line `id<TAB>file`, `file` being a name inside `images/`.
        root: the folder that holds the corpus's folder; for a known name `corpora_folder()` by default.
        columns: for files of your own with more than two columns: those of word and tag, such as `word=0,tag=-1`, see
            `read_posts`.

    A corpus of your own has the entity types of its train split (`Corpus.types`). Tags in BIOES, BILOU or IOB1 are
    recognised over the three files together and converted to BIO; `Corpus.notes` says so.

    Raises CorpusError for an unknown name (with the nearest known names), a corpus that is not fetched (with the
    command that fetches it), a missing or malformed file, a folder name that is no UTF-8, and for a file in a folder of
    a known name whose SHA-256 is another.
    """
    root = None if root is None else Path(root)
    columns = None if columns is None else Columns.of(columns)
    if isinstance(name_or_folder, str) and name_or_folder in VERSIONS:
        version = VERSIONS[name_or_folder]
        folder = folder_of(version, root)
        if not all(os.path.isfile(folder / file) for file in FILES):
            raise CorpusError(f"{version.name} is not at {folder}: {_how_to_get(version, root)}")
        name = version.name
    else:
        folder = Path(root or "", name_or_folder)
        if not os.path.isdir(folder):
            raise CorpusError(
                f"no corpus is called {str(name_or_folder)!r}, nor is a folder: {_nearest(folder.name)} "
                f"(A corpus of your own is a folder with {', '.join(FILES)}.)"
            )
        name = _utf8_name(folder)
    contents = {file: read_whole(folder / file, CorpusError) for file in FILES}
    hashes = {file: sha256(data) for file, data in contents.items()}
    if name in VERSIONS and columns is not None:
        raise CorpusError(f"{name} has two columns, word and tag; leave the columns out")
    if name in VERSIONS:  # also for a folder that only has the name: its scores would be printed under it
        _demand_hashes(VERSIONS[name], folder, hashes)
    images = images_of(folder)
    read = parse_files({folder / file: data for file, data in contents.items()}, images, columns)
    train, valid, test = read.posts
    for file, posts in zip(FILES, (train, valid, test), strict=True):
        if not posts:
            raise CorpusError(f"{folder / file}: no post in it; write at least one post into each split")
    return Corpus(name, folder, train, valid, test, hashes, read.notes, read.scheme, columns, read.first_lines)


def _utf8_name(folder: Path) -> str:
    """The name of a corpus's folder, which run records hold. Raises CorpusError when its bytes are no UTF-8."""
    name = os.fsencode(os.path.basename(os.path.abspath(folder)))
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as error:
        shown = name.decode("utf-8", "backslashreplace")
        raise CorpusError(f"{shown}: the folder's name is not UTF-8, so no record can hold it; rename it") from error


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, VERSIONS, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(VERSIONS)}."


def _how_to_get(version: Version, root: Path | None) -> str:
    if version.bundled:
        return (
            "it comes with the project; run hamner from a checkout of it, or give the folder that holds it with --from"
        )
    to = f" --to {shlex.quote(str(root))}" if root else ""
    return f"fetch it with: hamner corpora fetch {version.name}{to}"


def _demand_hashes(version: Version, folder: Path, hashes: Mapping[str, str]) -> None:
    for file, source in version.files.items():
        if hashes[file] != source.sha256:
            again = "move the file away and " + _how_to_get(version, folder.parent)
            raise CorpusError(
                f"{folder / file}: this is not {version.name}'s file: its SHA-256 is {hashes[file]}, "
                f"expected {source.sha256}; to use a changed corpus, rename its folder, and for "
                f"{version.name} itself {'take the file that comes with the project' if version.bundled else again}"
            )
