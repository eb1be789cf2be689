from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from PIL import Image

from hamner.corpora.post import Corpus, Post
from hamner.errors import HamnerError
from hamner.images import image_sha256
from hamner.vision import FeatureStore, ImageError, VisualFeatures, VisualSource, open_image
from hamner.vision.features import SourceError
from hamner.vision.store import SHARD, FeatureError


class Colours:
    """A stand-in for a backbone: the mean colour of the image, and one object that is the whole image.

    It may take its time, and stand still for good after so many images.
    """

    class_names = ("(none)", "image")
    regions, channels, max_objects, workers = 4, 3, 2, 1

    def __init__(self, scale: float = 1.0, delay: float = 0.0, stands_still_after: int | None = None) -> None:
        self.identity: dict[str, Any] = {"backbone": "colours", "scale": scale}
        self.scale, self.delay, self.stands_still_after = scale, delay, stands_still_after
        self.computed: list[str] = []

    def key(self, post: Post) -> str:
        if post.image is None:
            raise ImageError("no image")
        return image_sha256(post.image)

    def extract(self, post: Post) -> VisualFeatures:
        assert post.image is not None
        colour = np.asarray(open_image(post.image), np.float32).mean((0, 1)) * self.scale
        time.sleep(self.delay)
        while len(self.computed) == self.stands_still_after:
            time.sleep(1)
        self.computed.append(post.id)
        return VisualFeatures(
            grid=np.tile(colour, (4, 1)),
            objects=np.stack([colour, np.zeros(3, np.float32)]),
            boxes=np.array([[0, 0, 1, 1], [0, 0, 0, 0]], np.float32),
            classes=np.array([1, 0], np.int32),
            scores=np.array([0.9, 0], np.float32),
            object_mask=np.array([True, False]),
            box_mask=np.array([True, False]),
            image_present=True,
        )


def make_posts(folder: Path, count: int) -> list[Post]:
    folder.mkdir(exist_ok=True)
    posts = []
    for i in range(count):
        path = folder / f"{i}.png"
        if not path.exists():
            Image.new("RGB", (4, 4), (i % 256, i // 256, 7)).save(path)
        posts.append(Post(str(i), ("word",), image=path))
    return posts


def same(one: VisualFeatures, other: VisualFeatures) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(VisualFeatures))


def shards(store: FeatureStore) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(store.folder.glob("*.safetensors"))}


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 2 * SHARD + 3)
    extractor = Colours()
    store = FeatureStore(tmp_path / "features", extractor)
    store.fill(posts, progress=False)
    for post in posts:
        assert same(store[post.id], extractor.extract(post))
        assert store[post.id].grid.dtype == np.float16
    assert store.missing == []
    assert posts[0].id in store
    assert "other" not in store
    with pytest.raises(KeyError, match="other"):
        store["other"]


def test_nothing_is_computed_twice(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 5)
    FeatureStore(tmp_path / "features", Colours()).fill(posts, progress=False)
    twin = tmp_path / "twin.png"
    twin.write_bytes(posts[3].image.read_bytes())  # type: ignore[union-attr]
    sharing = [Post("sharing", ("w",), image=posts[2].image), Post("twin", ("w",), image=twin)]
    extractor = Colours()
    store = FeatureStore(tmp_path / "features", extractor)
    store.fill([*make_posts(tmp_path / "images", 6), *sharing], progress=False)
    assert extractor.computed == ["5"]
    assert same(store["sharing"], store["2"])
    assert same(store["twin"], store["3"])


def test_several_workers_leave_the_same_files(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", SHARD + 9)
    one, many = Colours(delay=0.001), Colours(delay=0.001)
    many.workers = 4
    stores = [FeatureStore(tmp_path / name, extractor) for name, extractor in (("one", one), ("many", many))]
    for store in stores:
        store.fill(posts, progress=False)
    assert shards(stores[0]) == shards(stores[1])
    assert len(shards(stores[0])) == 2


def test_another_extractor_has_a_store_of_its_own(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 2)
    stores = [FeatureStore(tmp_path / "features", Colours(scale)) for scale in (1.0, 2.0)]
    for store in stores:
        store.fill(posts, progress=False)
    assert stores[1]["1"].grid[0, 2] == 2 * stores[0]["1"].grid[0, 2] == 14


def test_changed_images_are_computed_anew(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 2)
    FeatureStore(tmp_path / "features", Colours()).fill(posts, progress=False)
    Image.new("RGB", (4, 4), (200, 0, 0)).save(tmp_path / "images" / "1.png")
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(posts, progress=False)
    assert store["1"].grid[0].tolist() == [200, 0, 0]


def test_posts_without_a_readable_image_are_reported_and_masked(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 3)
    (tmp_path / "broken.png").write_bytes(b"no image")
    posts += [
        Post("none", ("w",)),
        Post("gone", ("w",), image=tmp_path / "gone.png"),
        Post("broken", ("w",), image=tmp_path / "broken.png"),
        Post("broken too", ("w",), image=tmp_path / "broken.png"),
    ]
    for _ in range(2):  # also when the readable ones are there already
        store = FeatureStore(tmp_path / "features", Colours())
        store.fill(posts, progress=False)
        reasons = dict(store.missing)
        assert list(reasons) == ["none", "gone", "broken", "broken too"]
        assert reasons["none"] == "no image"
        assert "gone.png: No such file" in reasons["gone"]
        assert "broken.png: not an image" in reasons["broken"] == reasons["broken too"]
        features = store["broken"]
        assert not features.image_present
        assert not features.object_mask.any()
        assert not features.grid.any()
        report = store.report("mine")
        assert "3 posts with visual features, 4 without" in report
        assert "2 x" in report
        assert "1 x no image" in report


def test_one_id_for_two_images_is_an_error(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 2)
    with pytest.raises(FeatureError, match="'0'"):
        FeatureStore(tmp_path, Colours()).fill([posts[0], Post("0", ("w",), image=posts[1].image)], progress=False)


def test_numbers_beyond_half_precision_are_an_error_and_not_infinity(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="half precision"):
        FeatureStore(tmp_path, Colours(scale=1e6)).fill(make_posts(tmp_path / "images", 1), progress=False)


@pytest.mark.parametrize("damage", ["cut short", "empty", "noise"])
def test_a_damaged_shard_is_computed_anew_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    posts = make_posts(tmp_path / "images", SHARD + 2)
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(posts, progress=False)
    before = [store[post.id] for post in posts]
    shard = store.folder / "000000.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes({"cut short": whole[:-9], "empty": b"", "noise": os.urandom(len(whole))}[damage])
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(posts, progress=False)
    assert "000000.safetensors is damaged" in capsys.readouterr().err
    assert all(same(store[post.id], old) for post, old in zip(posts, before, strict=True))


def test_one_flipped_bit_is_an_error_and_never_a_wrong_number(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 1)
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(posts, progress=False)
    right = store["0"]
    shard = store.folder / "000000.safetensors"
    whole = shard.read_bytes()
    for place in range(len(whole)):
        shard.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            unharmed = same(store["0"], right)  # a bit that carries nothing, as in the header's spaces
        except FeatureError as error:
            unharmed = f"{shard} " in str(error) and "delete it" in str(error)
        assert unharmed


def test_half_written_files_are_swept_away_and_never_read(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 2)
    store = FeatureStore(tmp_path / "features", Colours())
    store.folder.mkdir(parents=True)
    half = store.folder / ".000000.safetensors.abc"
    half.write_bytes(b"half")
    store.fill(posts, progress=False)
    assert not half.exists()
    assert store["1"].image_present


def test_a_full_disk_is_one_clear_error_and_what_was_done_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts = make_posts(tmp_path / "images", 2 * SHARD)
    write_bytes, written = Path.write_bytes, []

    def full_after_one_shard(self: Path, data: bytes) -> int:
        if written:
            write_bytes(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(self)
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", full_after_one_shard)
    store = FeatureStore(tmp_path / "features", Colours())
    with pytest.raises(HamnerError, match=r"000001\.safetensors.*No space left"):
        store.fill(posts, progress=False)
    monkeypatch.undo()
    assert [file.name for file in sorted(store.folder.iterdir()) if file.name != ".lock"] == [
        "000000.safetensors",
        "source.json",
    ]
    extractor = Colours()
    FeatureStore(tmp_path / "features", extractor).fill(posts, progress=False)
    assert len(extractor.computed) == SHARD


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HamnerError, match="choose another folder"):
        FeatureStore(tmp_path / "file", Colours()).fill(make_posts(tmp_path / "images", 1), progress=False)


def start_filling(folder: Path, **options: float) -> subprocess.Popen[str]:
    """Another process that waits for the file `go`, fills the store, and prints how many images it has computed."""
    code = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store import Colours, FeatureStore, make_posts
folder, extractor = Path({str(folder)!r}), Colours(**{options})
posts = make_posts(folder / "images", {3 * SHARD + 5})
print("ready", flush=True)
while not (folder / "go").exists():
    time.sleep(0.001)
FeatureStore(folder / "features", extractor).fill(posts, progress=False)
print(len(extractor.computed))
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_two_processes_fill_one_store_without_double_work(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 3 * SHARD + 5)
    processes = [start_filling(tmp_path, delay=0.005) for _ in range(2)]
    for process in processes:
        wait_until_ready(process)
    (tmp_path / "go").touch()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sum(int(out) for out, _ in outputs) == len(posts)
    alone = FeatureStore(tmp_path / "alone", Colours())
    alone.fill(posts, progress=False)
    extractor = Colours()
    together = FeatureStore(tmp_path / "features", extractor)
    together.fill(posts, progress=False)
    assert extractor.computed == []
    assert shards(together) == shards(alone)


def test_a_killed_process_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 3 * SHARD + 5)
    undisturbed = FeatureStore(tmp_path / "alone", Colours())
    undisturbed.fill(posts, progress=False)
    extractor = Colours()
    store = FeatureStore(tmp_path / "features", extractor)
    process = start_filling(tmp_path, stands_still_after=2 * SHARD + 3)
    wait_until_ready(process)
    (tmp_path / "go").touch()
    while not (store.folder / "000001.safetensors").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store.fill(posts, progress=False)
    assert len(extractor.computed) == SHARD + 5
    assert shards(store) == shards(undisturbed)


def test_shards_are_half_precision_and_hold_no_pickle(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(make_posts(tmp_path / "images", 2), progress=False)
    with safetensors.safe_open(store.folder / "000000.safetensors", framework="numpy") as shard:
        assert shard.get_tensor("grid").dtype == np.float16
        assert shard.get_tensor("grid").shape == (2, 4, 3)


def test_importing_the_store_brings_no_torchvision_with_it() -> None:
    code = "import sys, hamner.vision; sys.exit(bool({'torchvision', 'matplotlib'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_source_names_itself_and_refuses_what_does_not_exist() -> None:
    assert VisualSource.from_captions("a.txt").label == "captions (stand-in)"
    for wrong in (
        {"backbone": "vgg"},
        {"objects": "boxes"},
        {"weights": "mine"},
        {"max_objects": 0},
        {"crop_size": 0},
        {"min_score": 2.0},
        {"backbone": "captions"},
        {"captions": ("a.txt",)},
    ):
        with pytest.raises(SourceError):
            VisualSource(**wrong)  # type: ignore[arg-type]


def test_captions_need_a_text_encoder(tmp_path: Path) -> None:
    corpus = Corpus("c", tmp_path, (), (), (), {})
    with pytest.raises(SourceError, match="text encoder"):
        FeatureStore.open(corpus, VisualSource.from_captions("a.txt"), tmp_path)


def test_other_files_in_a_store_are_left_alone(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 3)
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(posts, progress=False)
    (store.folder / "000000 (1).safetensors").write_bytes(b"what a sync tool left")
    (store.folder / "000007.safetensors").mkdir()
    extractor = Colours()
    again = FeatureStore(tmp_path / "features", extractor)
    again.fill(posts, progress=False)
    assert extractor.computed == []
    assert same(again["1"], store["1"])
