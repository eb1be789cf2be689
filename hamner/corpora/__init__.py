"""Corpora of posts: reading, writing, fetching, checking and counting them, and posts of your own."""

from hamner.corpora.fetch import fetch_corpus
from hamner.corpora.huggingface import from_dataset, to_dataset
from hamner.corpora.post import SPLITS, Corpus, CorpusError, Post
from hamner.corpora.reader import read_posts, write_posts
from hamner.corpora.registry import VERSIONS, Version, corpora_folder, load_corpus, project_folder
from hamner.corpora.report import Finding, Report, check, has_pieces, published_counts, statistics
from hamner.corpora.tags import PROTOCOLS, TAGS, TYPES, Span, mention, orphans, repair, spans

__all__ = [
    "PROTOCOLS",
    "SPLITS",
    "TAGS",
    "TYPES",
    "VERSIONS",
    "Corpus",
    "CorpusError",
    "Finding",
    "Post",
    "Report",
    "Span",
    "Version",
    "check",
    "corpora_folder",
    "fetch_corpus",
    "from_dataset",
    "has_pieces",
    "load_corpus",
    "mention",
    "orphans",
    "project_folder",
    "published_counts",
    "read_posts",
    "repair",
    "spans",
    "statistics",
    "to_dataset",
    "write_posts",
]
