"""The corpus that a run was trained on, found again by its name or in the folder that the user names."""

from __future__ import annotations

import os
from pathlib import Path

from hamner.corpora import load_corpus
from hamner.corpora.post import Corpus
from hamner.corpora.reader import Columns
from hamner.corpora.registry import VERSIONS
from hamner.training.runs import Run, RunError


def corpus_of_run(
    run: Run, corpus: str | Path | None = None, root: Path | None = None, columns: Columns | str | None = None
) -> Corpus:
    """The corpus of a finished run, checked by the hashes in its record.

    A record keeps a corpus's name and hashes and no folder, because a folder is another one on the next machine. A
    corpus of one's own is therefore named: `corpus`, its folder, or `root`, the folder that holds it.

    Columns are those of training. `columns` names them again, or is left out.

    Raises RunError when the corpus is not found, when its files are not those of training, and for other columns.
    """
    recorded = run.record["corpus"]
    name = recorded["name"]
    where = f"{run.folder} was trained on {name!r}"
    if corpus is None and name not in VERSIONS and not os.path.isdir(Path(root or "", name)):
        raise RunError(
            f"{where}, a corpus of your own, which is not at {Path(root or '', name)}: give the folder that holds it "
            "with --from DIR"
        )
    of_training = Columns.of(recorded["columns"]) if recorded.get("columns") else None
    if columns is not None and Columns.of(columns) != of_training:
        read = f"the columns {of_training}" if of_training else "its two columns"
        raise RunError(f"{where} by {read}, and not by {Columns.of(columns)}; leave --columns out")
    loaded = load_corpus(name if corpus is None else corpus, root, of_training)
    if loaded.sha256 != recorded["sha256"]:
        changed = [file for file, sha256 in loaded.sha256.items() if recorded["sha256"].get(file) != sha256]
        raise RunError(
            f"{where}, and {loaded.folder} has other posts ({', '.join(changed)} differ): "
            "give the corpus as it was at training"
        )
    return loaded
