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
import safetensors.numpy
from filelock import FileLock
from PIL import Image

from hamner.corpora.post import Corpus, Post
from hamner.errors import HamnerError
from hamner.images import image_sha256
from hamner.vision import FeatureStore, ImageError, VisualFeatures, VisualSource, open_image
from hamner.vision.features import SourceError
from hamner.vision.store import SHARD, STORED, FeatureError, _checksum


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


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("call", ["open", "iterdir"])
def test_a_store_that_cannot_be_read_is_an_error_that_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    posts = make_posts(tmp_path / "images", SHARD + 2)
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(posts, progress=False)
    before = shards(store)
    original = getattr(Path, call)

    def failing(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.suffix == ".safetensors" or self == store.folder:
            raise OSError(number, os.strerror(number))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Path, call, failing)
    extractor = Colours()
    for wanted in (posts, make_posts(tmp_path / "images", SHARD + 3)):  # also when there is something to compute
        with pytest.raises(
            FeatureError, match=rf"cannot be (read|listed) \({os.strerror(number)}\): nothing was deleted"
        ):
            FeatureStore(tmp_path / "features", extractor).fill(wanted, progress=False)
    if call == "open":
        with pytest.raises(FeatureError, match=rf"cannot be read \({os.strerror(number)}\): nothing was deleted"):
            store["0"]
    monkeypatch.undo()
    assert extractor.computed == []
    assert shards(store) == before
    FeatureStore(tmp_path / "features", extractor).fill(posts, progress=False)
    assert extractor.computed == []


def test_a_whole_shard_that_its_library_does_not_open_once_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts = make_posts(tmp_path / "images", 2)
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(posts, progress=False)

    def failing(*args: Any, **kwargs: Any) -> Any:
        raise safetensors.SafetensorError("a passing fault")

    monkeypatch.setattr(safetensors, "safe_open", failing)
    extractor = Colours()
    FeatureStore(tmp_path / "features", extractor).fill(make_posts(tmp_path / "images", 3), progress=False)
    assert extractor.computed == ["2"]


CRAFTED = {
    "NaN features": ("grid", np.nan, "features that are NaN or infinite"),
    "infinite objects": ("objects", np.inf, "features that are NaN or infinite"),
    "a score above 1": ("scores", 1.5, "a score outside 0 to 1"),
    "a score that is NaN": ("scores", np.nan, "a score outside 0 to 1"),
    "a box in pixels": ("boxes", 224, "a box that is not"),
    "a class beyond the names": ("classes", 7, "an object of a class that has no name"),
    "a negative class": ("classes", -1, "an object of a class that has no name"),
}


def craft(store: FeatureStore, **values: np.ndarray) -> None:
    """Write other values into the store's first shard, with a checksum that is right."""
    file = store.folder / "000000.safetensors"
    with safetensors.safe_open(file, framework="numpy") as shard:
        metadata, tensors = shard.metadata(), {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118
    tensors |= values
    rows = range(len(tensors["grid"]))
    tensors["crc32"] = np.array([_checksum({name: tensors[name][row] for name in STORED}) for row in rows], np.uint32)
    file.write_bytes(safetensors.numpy.save(tensors, metadata=metadata))


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_values_in_a_store_are_refused_where_they_are_read(tmp_path: Path, name: str) -> None:
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(make_posts(tmp_path / "images", 2), progress=False)
    array, value, fault = CRAFTED[name]
    with safetensors.safe_open(store.folder / "000000.safetensors", framework="numpy") as shard:
        changed = shard.get_tensor(array).copy()
    changed[1, 0] = value
    craft(store, **{array: changed})
    assert store["0"].image_present
    with pytest.raises(FeatureError, match=rf"000000\.safetensors holds {fault}.*: delete it, and it is computed anew"):
        store["1"]


def test_a_shard_of_other_shapes_or_types_is_refused_where_it_is_read(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(make_posts(tmp_path / "images", 1), progress=False)
    craft(store, grid=np.zeros((1, 9, 3), np.float16))
    with pytest.raises(FeatureError, match=r"grid of shape \(9, 3\) and type float16 instead of \(4, 3\) and float16"):
        store["0"]
    craft(store, grid=np.zeros((1, 4, 3), np.float16), classes=np.zeros((1, 2), np.int64))
    with pytest.raises(FeatureError, match=r"classes of shape .* and type int64"):
        store["0"]
    craft(store, **{name: np.zeros((0, 4, 3), np.float16) for name in STORED})
    with pytest.raises(FeatureError, match=r"000000\.safetensors is damaged"):
        store["0"]


@pytest.mark.parametrize(
    ("array", "value", "fault"),
    [("scores", 1.5, "a score outside 0 to 1"), ("boxes", np.nan, "a box"), ("grid", np.nan, "NaN or infinite")],
)
def test_an_extractor_that_gives_improper_values_fills_no_store(
    tmp_path: Path, array: str, value: float, fault: str
) -> None:
    class Wrong(Colours):
        def extract(self, post: Post) -> VisualFeatures:
            features = super().extract(post)
            getattr(features, array)[0] = value
            return features

    store = FeatureStore(tmp_path / "features", Wrong())
    with pytest.raises(FeatureError, match=f"colours gives .*{fault}"):
        store.fill(make_posts(tmp_path / "images", 1), progress=False)
    assert shards(store) == {}


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


@pytest.mark.parametrize("complete", [False, True])
def test_leftovers_of_killed_processes_are_removed_and_files_of_others_stay(tmp_path: Path, complete: bool) -> None:
    posts = make_posts(tmp_path / "images", 2)
    store = FeatureStore(tmp_path / "features", Colours())
    store.folder.mkdir(parents=True)
    if complete:
        store.fill(posts, progress=False)
    leftovers = [".000000.safetensors.abcdefgh", ".000001.safetensors.ab_de3gh.part", ".source.json.abcdefgh"]
    others = [".notes.txt", ".000000.safetensors.backup~", ".mine.safetensors.abcdefgh"]
    for name in (*leftovers, *others):
        (store.folder / name).write_bytes(b"half")
    (store.folder / ".000002.safetensors.folder").mkdir()
    again = FeatureStore(tmp_path / "features", Colours())
    again.fill(posts, progress=False)
    assert not {file.name for file in store.folder.iterdir()} & set(leftovers)
    assert {file.name for file in store.folder.iterdir()} > {*others, ".000002.safetensors.folder"}
    assert again["1"].image_present


def test_a_file_that_another_process_is_writing_is_no_leftover(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 2)
    store = FeatureStore(tmp_path / "features", Colours())
    store.fill(posts, progress=False)
    (store.folder / ".000001.safetensors.abcdefgh").write_bytes(b"half")
    with FileLock(store.folder / ".lock"):
        FeatureStore(tmp_path / "features", Colours()).fill(posts, progress=False)
        assert (store.folder / ".000001.safetensors.abcdefgh").exists()


def test_pipes_and_devices_in_a_store_are_left_alone(tmp_path: Path) -> None:
    posts = make_posts(tmp_path / "images", 2)
    store = FeatureStore(tmp_path / "features", Colours())
    store.folder.mkdir(parents=True)
    os.mkfifo(store.folder / "000000.safetensors")
    (store.folder / "000001.safetensors").symlink_to("/dev/zero")
    store.fill(posts, progress=False)
    assert store["1"].image_present
    assert (store.folder / "000000.safetensors").is_fifo()


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
