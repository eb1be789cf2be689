"""Run records for tests."""

from __future__ import annotations

import json
from typing import Any

from hamner.corpora.tags import PROTOCOLS, TYPES
from hamner.training.config import TrainConfig


def complete_record(f1: float = 0.5, config: TrainConfig | None = None, **parts: Any) -> dict[str, Any]:
    """A record with every part that run.json has, and with `parts` in place of its own."""
    config = config or TrainConfig()
    prf = {"precision": f1, "recall": f1, "f1": f1}
    scores = {"overall": prf, "per_type": dict.fromkeys(TYPES, prf), "seen": prf, "unseen": prf}
    record = {
        "corpus": {"name": "tiny", "sha256": {}},
        "config": config.to_dict(),
        "inputs": {},
        "sources": config.field_sources(),
        "versions": {"python": "3.11"},
        "machine": {"device": "cpu", "threads": 1, "processes": 1},
        "features": {},
        "seen_posts": {},
        "marks_apart": [],
        "history": [{"epoch": 1, "loss": 1.0, "valid_f1": f1}],
        "best_epoch": 1,
        "converged": True,
        "reason": "the best epoch is none of the last ones",
        "seconds": 60.0,
        "cpu_seconds": 60.0,
        "peak_memory_bytes": None,
        "weights_sha256": None,
        "parameters": 1,
        "scores": {split: dict.fromkeys(PROTOCOLS, scores) for split in ("valid", "test")},
    }
    return json.loads(json.dumps(record | parts))  # no two parts are one object
