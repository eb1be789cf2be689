"""Corpora of posts: reading, writing, fetching, checking and counting them, and posts of your own.

The names are imported on first use: `hamner --help` should not wait for pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hamner.corpora.fetch import fetch_corpus
    from hamner.corpora.huggingface import from_dataset, to_dataset
    from hamner.corpora.post import SPLITS, Corpus, CorpusError, Post
    from hamner.corpora.reader import read_posts, write_posts
    from hamner.corpora.registry import VERSIONS, Version, corpora_folder, load_corpus, project_folder
    from hamner.corpora.report import Finding, Report, check, has_pieces, published_counts, statistics
    from hamner.corpora.tags import PROTOCOLS, TAGS, TYPES, Span, mention, orphans, repair, spans

_HOME = {
    "fetch_corpus": "hamner.corpora.fetch",
    "from_dataset": "hamner.corpora.huggingface",
    "to_dataset": "hamner.corpora.huggingface",
    "SPLITS": "hamner.corpora.post",
    "Corpus": "hamner.corpora.post",
    "CorpusError": "hamner.corpora.post",
    "Post": "hamner.corpora.post",
    "read_posts": "hamner.corpora.reader",
    "write_posts": "hamner.corpora.reader",
    "VERSIONS": "hamner.corpora.registry",
    "Version": "hamner.corpora.registry",
    "corpora_folder": "hamner.corpora.registry",
    "load_corpus": "hamner.corpora.registry",
    "project_folder": "hamner.corpora.registry",
    "Finding": "hamner.corpora.report",
    "Report": "hamner.corpora.report",
    "check": "hamner.corpora.report",
    "has_pieces": "hamner.corpora.report",
    "published_counts": "hamner.corpora.report",
    "statistics": "hamner.corpora.report",
    "PROTOCOLS": "hamner.corpora.tags",
    "TAGS": "hamner.corpora.tags",
    "TYPES": "hamner.corpora.tags",
    "Span": "hamner.corpora.tags",
    "mention": "hamner.corpora.tags",
    "orphans": "hamner.corpora.tags",
    "repair": "hamner.corpora.tags",
    "spans": "hamner.corpora.tags",
}

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


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
