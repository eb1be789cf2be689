"""Kill hamner at random moments: `python tests/kills.py [KILLS] [SEED]`, or `make kills`.

KILLS processes (200) die by SIGKILL in the middle of training, a retest, the computation of features, a build, a fetch
or the writing of tables. After each kill, every file under its final name must be whole. Every third kill the command
runs to its end: it must succeed, give the files that it gives without a kill, and leave no other file behind.

Processes are forked, so that each starts at once. Needs Unix.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tiny import save_tiny_encoder

import hamner.minitweets.build
import hamner.minitweets.commands as building
import hamner.study.tables as tables
import hamner.vision.store as store
from hamner.corpora import Corpus, Post, fetch_corpus, load_corpus, project_folder, write_posts
from hamner.corpora.registry import VERSIONS, SourceFile, Version
from hamner.files import file_sha256, written_whole
from hamner.model.config import ModelConfig
from hamner.training import Run, TrainConfig, train
from hamner.training.retest import retest
from hamner.vision.features import VisualSource

ROUND = 3
"""Kills before a command may run to its end."""

STUCK = 300
"""Seconds after which a command is stuck."""

Files = dict[str, str]
"""Path within a folder -> SHA-256."""


@dataclass
class Command:
    """A command that is killed.

    Args:
        run: runs the command, with its results in a folder
        results: the SHA-256 of each result in a folder, without times and other values of one process alone
        wholes: for each final file name, the SHA-256 that a whole file may have; a name that it lacks is not compared
        prepare: what the folder holds before the first run
    """

    run: Callable[[Path], None]
    results: Callable[[Path], Files]
    prepare: Callable[[Path], None] = lambda folder: folder.mkdir(parents=True)
    seconds: float = 0.0
    wanted: Files | None = None


def forked(work: Callable[[], None], kill_after: float | None = None) -> int:
    """Run `work` in a process of its own; returns its exit status, -9 for a process that was killed in time."""
    process = os.fork()
    if process == 0:
        signal.alarm(STUCK)
        try:
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def results_of(command: Command, folder: Path) -> Files:
    """The command's results, computed in a process of its own: threads in this one would not survive a fork."""
    with tempfile.NamedTemporaryFile(mode="r") as file:
        forked(lambda: Path(file.name).write_text(json.dumps(command.results(folder))) and None)
        return json.loads(file.read() or "{}")


def hashes(folder: Path, *patterns: str) -> Files:
    """Path -> SHA-256 of the files that match, however deep."""
    files = sorted(file for pattern in patterns for file in folder.glob(pattern) if file.is_file())
    return {str(file.relative_to(folder)): file_sha256(file) for file in files}


def a_corpus(folder: Path) -> Corpus:
    """12 posts a split, each with an image of its own."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    names = {}
    for split in ("train", "valid", "test"):
        posts = []
        for number in range(12):
            id = f"{split}{number}"
            words = (f"Kelso{number}", "lands", "in", "Orva", split)
            posts.append(Post(id, words, ("B-PER", "O", "O", "B-LOC", "O")))
            Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / "images" / f"{id}.png")
            names[id] = f"{id}.png"
        write_posts(posts, folder / f"{split}.txt")
    (folder / "images.tsv").write_text("".join(f"{id}\t{name}\n" for id, name in names.items()))
    return load_corpus(folder)


def commands(home: Path) -> dict[str, Command]:
    """The commands that are killed, on small data under `home`."""
    corpus = a_corpus(home / "tiny")
    model = ModelConfig(text_encoder=save_tiny_encoder(home / "encoder"), width=16)
    config = TrainConfig(epochs=4, batch_size=4, model=model)

    def training(folder: Path) -> None:
        train(corpus, config, folder, progress=False, threads=1)

    def of_run(folder: Path) -> Files:
        return hashes(folder, "model.safetensors", "predictions.jsonl.gz") | {
            "scores": hashlib.sha256(json.dumps(Run.load(folder).record["scores"]).encode()).hexdigest()
        }

    trained = home / "trained"
    if status := forked(lambda: training(trained)):
        raise SystemExit(f"training without a kill ended with {status}")

    def retesting(folder: Path) -> None:
        retest(Run.load(folder), corpus, progress=False)

    source = VisualSource(objects="tiles", weights="random", crop_size=32)

    def computing(folder: Path) -> None:
        store.FeatureStore.open(corpus, source, folder, progress=False)

    def of_features(folder: Path) -> Files:
        opened = store.FeatureStore.open(corpus, source, folder, progress=False)
        files = {}
        for _, posts in corpus.splits():
            for post in posts:
                features = opened[post.id]
                files[post.id] = hashlib.sha256(features.grid.tobytes() + features.objects.tobytes()).hexdigest()
        return files

    def drawing(folder: Path) -> None:
        building.build("minitweets", 1, folder / "minitweets")

    def few_files(folder: Path, seed: int) -> None:
        for name in ("answers.jsonl", *(f"images/{number}.webp" for number in range(40))):
            with written_whole(folder / name) as temporary:
                temporary.write_text(f"{seed} {name}\n" * 1000)

    hamner.minitweets.build.build = few_files

    def an_old_corpus(folder: Path) -> None:
        few_files(folder / "minitweets", 0)

    texts = hashes(home / "tiny", "*.txt")
    fetched = {file: SourceFile(file, (home / "tiny" / file).stat().st_size, sha256) for file, sha256 in texts.items()}
    VERSIONS["tiny"] = Version("tiny", "ours", "somewhere", "0", fetched)  # type: ignore[index]

    def fetching(folder: Path) -> None:
        fetch_corpus("tiny", folder, home)

    committed = [Run.load(path) for path in sorted((project_folder() / "data/runs").glob("minitweets-full-*"))]
    tables.runs = lambda: committed

    return {
        "train": Command(training, of_run),
        "retest": Command(
            retesting,
            lambda folder: hashes(folder, "retests/*.gz"),
            lambda folder: shutil.copytree(trained, folder) and None,
        ),
        "features": Command(computing, of_features),
        "build": Command(drawing, lambda folder: hashes(folder, "minitweets/**/*"), an_old_corpus),
        "fetch": Command(fetching, lambda folder: hashes(folder, "tiny/*.txt")),
        "tables": Command(lambda folder: tables.write_tables(folder) and None, lambda folder: hashes(folder, "*.*")),
    }


def litter(folder: Path, of_reference: set[str]) -> list[str]:
    """Files in a folder that a run without a kill does not leave."""
    return sorted({str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - of_reference)


def half_files(command: Command, folder: Path, before: Files) -> list[str]:
    """Files under their final name that are neither whole nor as they were before the first run."""
    wanted = command.wanted or {}
    now = hashes(folder, "**/*")
    return [name for name, sha256 in now.items() if name in wanted and sha256 not in (wanted[name], before.get(name))]


def main(kills: int = 200, seed: int = 0) -> int:
    """Kill, check, and print a line for each command; returns how many checks failed."""
    torch.set_num_threads(1)
    store.SHARD = 4  # several shards from few images
    rng = random.Random(seed)
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        every = commands(home)
        left: dict[str, set[str]] = {}
        for name, command in every.items():
            folder = home / "whole" / name
            folder.parent.mkdir(exist_ok=True)
            command.prepare(folder)
            begun = time.perf_counter()
            if status := forked(partial(command.run, folder)):
                raise SystemExit(f"{name} without a kill ended with {status}")
            command.seconds = time.perf_counter() - begun
            left[name] = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
            command.wanted = results_of(command, folder)
        counts = {name: [0, 0, 0] for name in every}  # killed in time, through before the kill, runs to the end
        for number in range(-(-kills // ROUND)):
            name = list(every)[number % len(every)]
            command, folder = every[name], home / f"{name}{number}"
            command.prepare(folder)
            before = hashes(folder, "**/*")
            for _ in range(ROUND):
                while (status := forked(partial(command.run, folder), rng.uniform(0, command.seconds))) == 0:
                    counts[name][1] += 1  # through before the kill: begin again, and kill earlier
                    command.seconds *= 0.9
                    shutil.rmtree(folder)
                    command.prepare(folder)
                counts[name][0] += 1
                if status != -signal.SIGKILL:
                    faults.append(f"{name}, round {number}: ended with {status} before it was killed")
                faults += [
                    f"{name}, round {number}: {file} is not whole" for file in half_files(command, folder, before)
                ]
            if status := forked(partial(command.run, folder)):
                faults.append(f"{name}, round {number}: the same command ends with {status} after the kills")
            else:
                counts[name][2] += 1
                if results_of(command, folder) != command.wanted:
                    faults.append(f"{name}, round {number}: other results than without a kill")
                faults += [f"{name}, round {number}: left {file} behind" for file in litter(folder, left[name])]
            shutil.rmtree(folder)
            if sys.stderr.isatty():
                print(f"\r{ROUND * (number + 1)} of {kills} kills", end="", file=sys.stderr)
    for name, (killed, through, whole) in counts.items():
        print(f"{name:>9}: {killed:3} killed, {through:2} finished before the kill, {whole:2} runs to the end")
    for fault in faults:
        print(fault)
    total = sum(killed for killed, _, _ in counts.values())
    print(f"{total} processes killed, {len(faults)} faults: {'something' if faults else 'nothing'} lost or stuck")
    return len(faults)


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
