"""One image under many names is a placeholder; images that only resemble one another are none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hamner.corpora.placeholders import (
    MASKED_FROM,
    about_repeated,
    glances_of,
    placeholders,
    repeated_images,
)
from hamner.corpora.post import Post
from hamner.corpora.registry import load_corpus
from hamner.corpora.report import check


def photo(seed: int) -> Image.Image:
    """An image with coarse structure of its own, as photos have."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def not_found() -> Image.Image:
    image = Image.new("RGB", (400, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 90, 340, 210), fill="lightgrey", outline="black")
    draw.text((140, 140), "Image Not Found", fill="black")
    return image


def posts_of(folder: Path, images: dict[str, bytes | Image.Image]) -> list[Post]:
    posts = []
    for name, image in images.items():
        if isinstance(image, bytes):
            (folder / name).write_bytes(image)
        else:
            image.save(folder / name)
        posts.append(Post(Path(name).stem, ("w",), image=folder / name))
    return posts


def encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_the_same_bytes_under_other_names_are_one_repeated_image(tmp_path: Path) -> None:
    posts = posts_of(tmp_path, {f"{i}.png": photo(0) for i in range(4)} | {f"{i}.png": photo(i) for i in range(4, 8)})
    (repeated,) = repeated_images(posts)
    assert repeated.identical
    assert repeated.posts == ("0", "1", "2", "3")
    assert about_repeated([repeated])[0] == (
        "4 posts under different names have one and the same image, the first is 0.png: a placeholder for a lost one?"
    )
    assert "--mask-placeholders" in about_repeated([repeated])[1]


def test_a_placeholder_that_was_saved_or_resized_again_is_nearly_the_same_image(tmp_path: Path) -> None:
    image = not_found()
    versions = {
        "1.png": image,
        "2.jpg": encoded(image, "JPEG", quality=75),
        "3.jpg": encoded(image, "JPEG", quality=25),
        "4.webp": encoded(image, "WEBP", quality=50),
        "5.png": image.resize((200, 150)),
        "6.gif": image,
    }
    posts = posts_of(tmp_path, versions | {f"{i}0.png": photo(i) for i in range(1, 30)})
    assert repeated_images(posts) == []
    (repeated,) = repeated_images(posts, glances_of(posts))
    assert not repeated.identical
    assert sorted(repeated.posts) == list("123456")
    assert placeholders(posts).keys() == set("123456")
    assert placeholders(posts)["3"] == "a placeholder: 6 files hold this image, the first is 1.png"


def test_an_image_that_was_posted_twice_is_reported_and_not_masked(tmp_path: Path) -> None:
    posts = posts_of(tmp_path, {"1.png": photo(1), "2.png": photo(1), "3.png": photo(3)})
    assert about_repeated(repeated_images(posts)) == [
        "2 posts under different names have one and the same image, the first is 1.png: posted twice?"
    ]
    assert placeholders(posts) == {}


def test_different_photos_are_no_placeholder(tmp_path: Path) -> None:
    posts = posts_of(tmp_path, {f"{i}.jpg": encoded(photo(i), "JPEG") for i in range(60)})
    assert repeated_images(posts, glances_of(posts)) == []


def test_posts_that_share_a_file_on_purpose_share_no_placeholder(tmp_path: Path) -> None:
    (post,) = posts_of(tmp_path, {"1.png": photo(1)})
    assert repeated_images([Post(str(i), ("w",), image=post.image) for i in range(9)]) == []


def test_unreadable_and_missing_files_repeat_by_their_bytes_alone(tmp_path: Path) -> None:
    posts = posts_of(tmp_path, {f"{i}.jpg": b"<html>404</html>" for i in range(MASKED_FROM)} | {"x.png": photo(1)})
    posts += [Post("none", ("w",)), Post("gone", ("w",), image=tmp_path / "gone.jpg")]
    (repeated,) = repeated_images(posts, glances_of(posts))
    assert repeated.posts == ("0", "1", "2")


def test_many_repeated_images_are_summed_up(tmp_path: Path) -> None:
    posts = posts_of(tmp_path, {f"{i}-{copy}.png": photo(i) for i in range(5) for copy in range(2)})
    sentences = about_repeated(repeated_images(posts))
    assert len(sentences) == 4
    assert sentences[3] == "2 more images are repeated under other names, by 4 posts"


def test_the_check_notes_a_repeated_image(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    (folder / "images").mkdir(parents=True)
    for split, ids in (("train", "123"), ("valid", "4"), ("test", "5")):
        (folder / f"{split}.txt").write_text("".join(f"IMGID:{id}\nQuar{id}\tB-PER\n\n" for id in ids))
    for id in "12345":
        (not_found() if id in "134" else photo(int(id))).save(folder / "images" / f"{id}.png")
    texts = [finding.text for finding in check(folder).findings]
    assert (
        "3 posts under different names have one and the same image, the first is 1.png: a placeholder for a lost one?"
        in texts
    )


@pytest.mark.parametrize("split", ["test"])
def test_the_bundled_corpus_has_no_placeholder(split: str) -> None:
    posts = load_corpus("minitweets")[split]
    assert repeated_images(posts, glances_of(posts)) == []
