"""A corpus of a few invented posts, so that a run takes seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hamner.corpora import Corpus, Post, load_corpus, write_posts
from tests.tiny import save_tiny_encoder

SENTENCES = (
    ("Kelso/B-PER", "scored", "twice", "in", "Orva/B-LOC"),
    ("RT", "@fan", ":", "Anna/B-PER", "Berg/I-PER", "lands", "in", "Tallin/B-LOC", "!"),
    ("shares", "of", "Zibco/B-ORG", "fell"),
    ("nothing", "to", "see", "here"),
    ("watching", "Star/B-MISC", "Quest/I-MISC", "with", "Mira/B-PER", "tonight", "#couch"),
    ("\u200d", "hello", "from", "Port/B-LOC", "Elm/I-LOC", "\xa0"),
)


def invented_posts(copies: int, prefix: str) -> list[Post]:
    posts = []
    for copy in range(copies):
        for number, sentence in enumerate(SENTENCES):
            pairs = [token.rsplit("/", 1) if "/" in token else (token, "O") for token in sentence]
            words, tags = zip(*pairs, strict=True)
            posts.append(Post(f"{prefix}{copy}_{number}", words[copy % 2 :], tags[copy % 2 :]))
    return posts


@pytest.fixture(scope="session")
def some_posts() -> list[Post]:
    return invented_posts(1, "p")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora") / "tiny"
    for split, copies in (("train", 4), ("valid", 1), ("test", 2)):
        # A word of its own in each split, or the same posts would stand in all three.
        posts = [
            replace(post, words=(*post.words, f"#{split}"), tags=(*(post.tags or ()), "O"))
            for post in invented_posts(copies, split)
        ]
        write_posts(posts, folder / f"{split}.txt")
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Corpus:
    return load_corpus(tiny_folder)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a text encoder with minilm's word pieces and small random weights."""
    return save_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny-bert")
