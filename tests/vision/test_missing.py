"""A run in which too many posts have no image asks to be told so."""

from __future__ import annotations

import pytest

from hamner.corpora.post import Post
from hamner.vision.missing import ALLOWED_MISSING, MissingImagesError, require_seen


def posts(count: int) -> list[Post]:
    return [Post(str(i), ("w",)) for i in range(count)]


def without(count: int) -> dict[str, str]:
    return {str(i): "no image" for i in range(count)} | {"of another split": "no image"}


def test_posts_with_an_image_are_counted() -> None:
    assert require_seen(posts(10), without(2), "own train") == 8
    assert require_seen([], without(2), "own train") == 0


def test_too_many_posts_without_an_image_are_an_error_that_names_the_option() -> None:
    with pytest.raises(MissingImagesError) as raised:
        require_seen(posts(7), without(3), "own train")
    assert str(raised.value) == (
        "3 of the 7 posts of own train have no image or caption (the first is '0': no image): "
        "give the images or captions of this corpus, or allow it: --allow-missing 0.43"
    )
    assert require_seen(posts(7), without(3), "own train", allowed=0.43) == 4


def test_a_run_that_sees_nothing_is_never_allowed() -> None:
    with pytest.raises(MissingImagesError, match="none of the 3 posts of own train has an image or caption") as raised:
        require_seen(posts(3), without(3), "own train", allowed=1.0)
    assert "--allow-missing" not in str(raised.value)


@pytest.mark.parametrize("allowed", [-0.1, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_refused(allowed: float) -> None:
    with pytest.raises(MissingImagesError, match="allow_missing must be from 0 to 1"):
        require_seen(posts(3), {}, "own train", allowed)


def test_the_known_corpora_pass() -> None:
    for missing, total in ((250, 3373), (58, 723), (50, 723)):  # Twitter-2017: unreadable images, missing captions
        assert missing / total < ALLOWED_MISSING
