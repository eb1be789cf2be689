"""Trained models found by name: those that come along, in a folder, or on the Hugging Face hub."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from hamner.errors import HamnerError, nearest
from hamner.files import hub_is_offline
from hamner.terminal import echo

BUNDLED = ("minitweets", "tweets", "tweets-mpnet")
"""The models that come along, each in a folder of this one. README.md beside them says what they are. The third needs
the weights of the text encoder `mpnet` (the extra `base`)."""

OF_TEXT, OF_IMAGES = "tweets", "minitweets"
"""The bundled model for a post of words alone, and the one that reads an image."""

PARTS = ("run.json", "model.safetensors", "calibration.json")
"""The files of a model on the hub that are fetched: record, weights and temperature. None of them can run code."""

_ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


class ModelError(HamnerError):
    """No model has this name, or it cannot be fetched."""


def model_folder(name: str | Path, revision: str | None = None) -> Path:
    """The run folder of a model.

    Args:
        name: of a bundled model; else a folder; else OWNER/NAME on the hub, which is fetched unless HF_HUB_OFFLINE is
            set. A `Path` is always a folder.
        revision: a commit, branch or tag on the hub; None for the newest.

    A name with one slash is a folder if its first part is one. Whether the folder holds a run is not checked.

    Raises ModelError for a single word that names neither (with the nearest known names), a model that cannot be
    fetched, and a revision of what is not on the hub.
    """
    folder = Path(name)
    if isinstance(name, str) and name in BUNDLED:
        folder = Path(__file__).parent / name
    elif isinstance(name, str) and _ON_HUB.fullmatch(name) and not folder.exists() and not folder.parent.exists():
        return _fetched(name, revision)
    elif isinstance(name, str) and len(folder.parts) == 1 and not os.path.lexists(folder):
        raise ModelError(
            f"no model is called {name!r}, nor is a folder{nearest(name, BUNDLED)}; others are named by the folder of "
            "a finished run, or by OWNER/NAME on the Hugging Face hub"
        )
    if revision is not None:
        raise ModelError(f"{name} is not on the hub, so it has no revision {revision!r}: leave the revision out")
    return folder


def _fetched(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download  # loads slowly

    offline = hub_is_offline()
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(PARTS), local_files_only=offline))
    except (OSError, ValueError) as error:
        reason = "HF_HUB_OFFLINE is set" if offline else str(error).strip().split("\n")[0]
        raise ModelError(
            f"the model {name!r} is no folder, and cannot be fetched from the hub ({reason}): check its name, connect "
            f"and try again, or use one that comes along: {', '.join(BUNDLED)}"
        ) from error


def trained_or_bundled(trained: Path, bundled: str = OF_IMAGES) -> Path:
    """The folder `trained` if it holds a finished run with other weights than a bundled model, else that model's.

    Prints in one line which one it is.
    """
    folder = model_folder(bundled)
    if all((trained / part).is_file() for part in PARTS[:2]) and _weights(trained) != _weights(folder):
        echo(f"model: {trained.name}, trained on this machine")
        return trained
    echo(f"model: {bundled}, which comes with hamner")
    return folder


def _weights(folder: Path) -> str | None:
    """The SHA-256 of a run's weights as its record says; None for a record that says nothing, or cannot be read."""
    try:
        record = json.loads((folder / PARTS[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # whoever loads the run says what is wrong
        return None
    return record.get("weights_sha256") if isinstance(record, dict) else None
