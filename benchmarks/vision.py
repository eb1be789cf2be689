"""Speed and memory of `hamner.vision`.

    python benchmarks/vision.py speed  [--images FOLDER] [--count 64] [--seconds 20] [--backbone resnet152]
                                       [--weights random] [--device cuda]
    python benchmarks/vision.py memory [--entries 1000 100000]

`speed`: images per second when a store is filled (opening, resizing, cropping, the backbone, writing), and of the bare
backbone on the same batches, for several object sources and crop sizes. The two take turns and the fastest turn of each
counts: on a shared machine the slower ones measure other processes. Without --images the images are drawn. With
resnet152 it also prints the images per second of Mask R-CNN alone. Random weights are as fast as trained ones, except
in Mask R-CNN, which detects fewer objects with them and is faster.
`memory`: resident memory of a process that opens a store of this many synthetic images and reads all of them.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from hamner.corpora.post import Post
from hamner.vision import FeatureStore, VisualFeatures


def speed(images: Path | None, count: int, seconds: float, backbone_name: str, weights: str, device: str) -> None:
    import torch

    from hamner.devices import existing_device
    from hamner.vision.backbones import load_backbone
    from hamner.vision.extractor import ImageExtractor, open_image
    from hamner.vision.objects import MaskRCNN, NoObjects, Tiles

    existing_device(device)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = images_in(images, count) if images else draw(folder / "drawn", count)
        posts = [Post(file.name, ("w",), image=file) for file in files]
        backbone = load_backbone(backbone_name, weights).to(device)
        print(f"{backbone_name} on {device}, {torch.get_num_threads()} threads, {len(files)} images")
        print("objects     crop  images/s: store  bare backbone  ratio")
        for finder, crop_size in ((NoObjects(), 224), (Tiles(), 128), (Tiles(), 224)):
            whole = torch.zeros(1, 3, 224, 224, dtype=torch.uint8)
            objects = len(finder.find(Path(), Image.new("RGB", (9, 9))).boxes)
            crops = torch.zeros(objects, 3, crop_size, crop_size, dtype=torch.uint8)
            extractor = ImageExtractor(backbone, finder, 8, crop_size)
            took: dict[str, list[float]] = {"store": [], "bare": []}
            backbone.grid(whole)
            for turn in itertools.count(1):
                store = FeatureStore(folder / f"{type(finder).__name__}-{crop_size}-{turn}", extractor)
                started = time.perf_counter()
                store.fill(posts, progress=False)
                middle = time.perf_counter()
                for _ in posts:
                    backbone.grid(whole).cpu()
                    if objects:
                        backbone.pooled(crops).cpu()
                took["store"].append(middle - started)
                took["bare"].append(time.perf_counter() - middle)
                if sum(map(sum, took.values())) > seconds:
                    break
            rates = {kind: len(posts) / min(times) for kind, times in took.items()}
            kind = type(finder).__name__
            print(
                f"{kind:10}  {crop_size:4}  {rates['store']:17.1f}  {rates['bare']:13.1f}"
                f"  {rates['store'] / rates['bare']:5.2f}"
            )
        if backbone_name == "resnet152":
            detector = MaskRCNN(5, 0.5, weights, device=device)
            images = [open_image(file) for file in files]
            detector.find(files[0], images[0])
            started = time.perf_counter()
            searched = 0
            for file, image in zip(files, images, strict=True):
                detector.find(file, image)
                searched += 1
                if time.perf_counter() - started > seconds:
                    break
            print(f"Mask R-CNN  {searched / (time.perf_counter() - started):.2f} images/s")


def images_in(folder: Path, count: int) -> list[Path]:
    """The first `count` images of a folder."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in Image.registered_extensions())
    if not files:
        sys.exit(f"{folder}: this folder has no image")
    return files[:count]


def draw(folder: Path, count: int) -> list[Path]:
    """Draw images of 224 pixels: a few rectangles on a noisy ground."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(count):
        pixels = np.full((224, 224, 3), random.integers(80, 255, 3), np.uint8) - random.integers(
            0, 40, (224, 224, 3), np.uint8
        )
        for x, y in random.integers(0, 160, (6, 2)):
            pixels[y : y + 60, x : x + 60] = random.integers(0, 255, 3)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return sorted(folder.iterdir())


class Synthetic:
    """An extractor of small features that reads no image: the key of a post is its id."""

    class_names = ("(none)",)
    regions, channels, max_objects, workers = 49, 16, 8, 1

    def __init__(self) -> None:
        self.identity = {"backbone": "synthetic"}

    def key(self, post: Post) -> str:
        return post.id.zfill(64)

    def extract(self, post: Post) -> VisualFeatures:
        features = VisualFeatures.absent(self.regions, self.channels, self.max_objects)
        features.grid[:] = int(post.id) % 1000
        return features


def memory(counts: list[int]) -> None:
    print("entries  features on disk  resident before  filled and all read")
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            for task in ("fill", "read"):
                subprocess.run([sys.executable, __file__, "one", name, str(count), task], check=True)


def one(folder: Path, count: int, task: str) -> None:
    """Fill or read the store in this process, whose memory is then that of one store alone."""
    process = psutil.Process()
    posts = [Post(str(i), ("w",)) for i in range(count)]
    store = FeatureStore(folder, Synthetic())
    before = process.memory_info().rss
    store.fill(posts, progress=False)
    if task == "fill":
        return
    for post in posts:
        assert store[post.id].grid[0, 0] == int(post.id) % 1000
    after = process.memory_info().rss
    size = sum(file.stat().st_size for file in store.folder.iterdir())
    print(f"{count:7,}  {size / 1e6:13.1f} MB  {before / 1e6:12.1f} MB  {after / 1e6:16.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("speed")
    command.add_argument("--images", type=Path, help="a folder of images")
    command.add_argument("--count", type=int, default=64, help="how many of them, or how many to draw")
    command.add_argument("--seconds", type=float, default=20, help="for each row")
    command.add_argument("--backbone", choices=("efficientnet-lite0", "resnet152"), default="efficientnet-lite0")
    command.add_argument("--weights", choices=("pretrained", "random"), default="pretrained")
    command.add_argument("--device", default="cpu")
    command = commands.add_parser("memory")
    command.add_argument("--entries", type=int, nargs="+", default=[1_000, 100_000])
    command = commands.add_parser("one")
    command.add_argument("folder", type=Path)
    command.add_argument("count", type=int)
    command.add_argument("task", choices=("fill", "read"))
    given = parser.parse_args()
    if given.command == "speed":
        speed(given.images, given.count, given.seconds, given.backbone, given.weights, given.device)
    elif given.command == "memory":
        memory(given.entries)
    else:
        one(given.folder, given.count, given.task)


if __name__ == "__main__":
    main()
