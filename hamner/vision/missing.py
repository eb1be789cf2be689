"""How many posts of a run may lack an image or caption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hamner.corpora.post import Post
from hamner.errors import HamnerError

ALLOWED_MISSING = 0.2
"""Share of a split's posts that may lack an image or caption. In Twitter-2017 at most 8.0 % do (58 of 723, valid)."""


class MissingImagesError(HamnerError):
    """Too many posts of a run have no image or caption."""


def require_seen(
    posts: Sequence[Post], without: Mapping[str, str], where: str, allowed: float = ALLOWED_MISSING
) -> int:
    """Count the posts that have an image or caption.

    Args:
        posts: The posts of a split.
        without: Post id -> why it has none.
        where: The name of corpus and split, for the error.
        allowed: Largest share of posts without one, from 0 to 1.

    Raises MissingImagesError when more posts have none, or all: such a model is a text-only model under another name.
    """
    if not 0 <= allowed <= 1:
        raise MissingImagesError(f"allow_missing must be from 0 to 1, not {allowed}")
    reasons = Counter(without[post.id] for post in posts if post.id in without)
    missing = reasons.total()
    if posts and (missing == len(posts) or missing > allowed * len(posts)):
        first = next(post.id for post in posts if post.id in without)
        count = f"none of the {len(posts):,}" if missing == len(posts) else f"{missing:,} of the {len(posts):,}"
        has = "has an" if missing == len(posts) else "have no"
        text = (
            f"{count} posts of {where} {has} image or caption (the first is {first!r}: {without[first]}): "
            "give the images or captions of this corpus"
        )
        share = -(-100 * missing // len(posts)) / 100  # rounded up
        raise MissingImagesError(text if missing == len(posts) else f"{text}, or allow it: --allow-missing {share:g}")
    return len(posts) - missing
