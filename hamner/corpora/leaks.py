"""Posts that stand in two splits: a score on them measures memory."""

from __future__ import annotations

import re
import unicodedata
from itertools import combinations
from typing import NamedTuple

from hamner.corpora.post import SPLITS, Corpus, CorpusError

MOST = 0.05
"""Largest share of a split's posts that may stand in an earlier split too. The known corpora have at most 0.4 %."""

_LINK = re.compile(r"https?://|www\.|t\.co/", re.IGNORECASE)


class Leak(NamedTuple):
    """Posts of split `later` that stand in split `earlier` too, under any id; `of` is the size of `later`."""

    earlier: str
    later: str
    ids: tuple[str, ...]
    of: int

    @property
    def share(self) -> float:
        """Share of the later split's posts, from 0 to 1."""
        return len(self.ids) / self.of

    def __str__(self) -> str:
        first, more = self.ids[:3], ", ..." if len(self.ids) > 3 else ""
        text = (
            f"{len(self.ids)} of {self.of} posts of {self.later} ({100 * self.share:.1f} %) stand in {self.earlier} "
            f"with the same words: {', '.join(id[:40] for id in first)}{more}"
        )
        return text if self.share <= MOST else f"{text}; {_MEANING[self.earlier, self.later]}"


_MEANING = {
    ("train", "valid"): "valid is no held-out split: it picks the epoch that knows train best",
    ("train", "test"): "test is no held-out split: its score measures memory of train",
    ("valid", "test"): "test is no held-out split: the best epoch was picked on its posts",
}


def leaks(corpus: Corpus) -> list[Leak]:
    """The posts that two splits share, for each pair of splits that share any.

    Two posts are the same if their words agree without links and a leading "RT @name :", ignoring case and
    compatibility forms (NFKC). A post with no other words is compared whole. Ids, tags and images are not compared.
    """
    texts = {split: [_text(post.words) for post in corpus[split]] for split in SPLITS}
    shared = []
    for earlier, later in combinations(SPLITS, 2):
        known = set(texts[earlier])
        of_later = zip(corpus[later], texts[later], strict=True)
        if ids := tuple(post.id for post, text in of_later if text in known):
            shared.append(Leak(earlier, later, ids, len(corpus[later])))
    return shared


def _text(words: tuple[str, ...]) -> tuple[str, ...]:
    """What a repost keeps of a post's words; all of them where it would keep none."""
    text = tuple(unicodedata.normalize("NFKC", word).casefold() for word in words if not _LINK.match(word))
    if text[:1] == ("rt",) and text[1:2] and text[1].startswith("@"):
        text = text[3:] if text[2:3] == (":",) else text[2:]
    return text or words


def require_disjoint(corpus: Corpus, allowed: bool = False) -> list[Leak]:
    """The leaks of a corpus, none of them so large that scores are meaningless.

    Raises CorpusError when more than MOST of a split's posts stand in an earlier split, unless that is `allowed`.
    """
    shared = leaks(corpus)
    if not allowed and (large := [leak for leak in shared if leak.share > MOST]):
        raise CorpusError(
            f"{corpus.folder}: {'; '.join(map(str, large))}; take these posts out of one of the two files, or allow "
            "them with --allow-leaks"
        )
    return shared
