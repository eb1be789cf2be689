"""What each architecture can see, written down before training, beside what it was measured to see.

LACKS is read off the architectures: an architecture lacks an ability if no part of it does that work. What a tagger
without several abilities can reach on a cue is at most the lowest of their ceilings.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from hamner.corpora import TAGS, Corpus
from hamner.minitweets import CUES
from hamner.model.batch import ImageFeatures
from hamner.model.config import ModelConfig
from hamner.model.fusion import Seen, Sizes, build_fusion, checked
from hamner.study.ablation_tables import GUESS
from hamner.study.minitweets import answers_of, ceilings, learned_ceilings, sampling_error

GRID_ALONE = ("no_objects", "no_relations", "no_geometry", "no_grains")
"""What all architectures lack that read the grid and nothing else, and whose regions do not read one another."""

LACKS: dict[str, tuple[str, ...]] = {
    "text_only": ("text_only",),
    "cnn_bilstm_crf": ("text_only",),
    "concatenation": (*GRID_ALONE, "no_relevance", "no_reading"),
    "adacan": (*GRID_ALONE, "no_reading"),
    "umt": GRID_ALONE,
    "maf": (*GRID_ALONE, "no_reading"),
    "mgcmt": ("no_geometry",),
    "visual_prefix": ("no_relations", "no_geometry", "no_reading"),
    "full": (),
}
"""Architecture -> the abilities that it lacks (`hamner.minitweets.ceilings.ABILITIES`).

`no_objects`, `no_geometry`: it is not given objects, or boxes. `no_grains`: it has one granularity level. `no_reading`:
no region reads the words. `no_relations`: no region reads another one. `no_relevance`: what the image adds is the same
for every word and post. tests/study/test_who_sees_what.py derives each of these from the architectures."""

NAMES = {
    "text_only": "BERT-CRF",
    "cnn_bilstm_crf": "CNN-BiLSTM-CRF",
    "concatenation": "concatenation",
    "adacan": "AdaCAN",
    "umt": "UMT",
    "maf": "MAF",
    "mgcmt": "MGCMT",
    "visual_prefix": "visual prefix",
    "full": "HamLearning",
}
"""Architecture -> what the literature calls it."""

ARCHITECTURES = tuple(LACKS)
"""In the order of notebook 11."""

CONFIG = ModelConfig(vision=True, width=8, heads=2, dropout=0.0)


def expected(corpus: Corpus) -> pd.DataFrame:
    """The highest type accuracy that each architecture can reach: ARCHITECTURES by cue, from the corpus's ceilings."""
    return _lowest(ceilings(corpus))


def expected_of_learner() -> pd.DataFrame:
    """The same by the ceilings that linear probes reach on the frozen features (`learned_ceilings`)."""
    return _lowest(learned_ceilings())


def can_see(corpus: Corpus) -> pd.DataFrame:
    """Whether each architecture can know the answer of each cue: its ceiling is 1."""
    return expected(corpus) == 1


def inputs_read(name: str, seed: int = 0) -> pd.Series:
    """Which parts of an image change what a fusion with random weights gives: True, or False where no bit changes.

    The parts: grid, objects, boxes; place, a region's number in the grid (to rounding); and word, whether the grid's
    share differs between words (to rounding). `name` is a fusion's, such as umt or ham.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        fusion = build_fusion(replace(CONFIG, fusion=name), Sizes(CONFIG.width or 0, 8, 6, 5, TAGS)).eval()
        for parameter in fusion.parameters():  # some layers start at zero
            parameter.data += 0.3 * torch.randn(parameter.shape)
        mask, there = torch.ones(2, 4, dtype=torch.bool), torch.ones(2, dtype=torch.bool)
        corners = torch.rand(2, 4, 2, 2).sort(2).values.flatten(2)  # (B, K, 4)
        images = ImageFeatures(
            torch.randn(2, 4, 6),
            torch.randn(2, 4, 6),
            corners,
            torch.ones(2, 4).long(),
            torch.rand(2, 4),
            mask,
            mask,
            there,
        )
        seen = Seen(torch.randn(2, 3, 8), mask[:, :3], torch.randn(2, 3, 8), images)

    @torch.no_grad()
    def words(**changed: Tensor) -> Tensor:
        given = replace(seen, images=images._replace(**changed))
        return checked(fusion(given), given, name, len(TAGS)).words

    before, other = words(), words(grid=images.grid.roll(1, -1))
    share = other - before  # (B, n, d)
    return pd.Series(
        {
            "grid": not torch.equal(other, before),
            "objects": not torch.equal(words(objects=images.objects.flip(-1)), before),
            "boxes": not torch.equal(words(boxes=corners.flip(0)), before),
            "place": not torch.allclose(words(grid=images.grid.flip(1)), before, rtol=1e-4, atol=1e-5),
            "word": not torch.allclose(share, share[:, :1].expand_as(share), rtol=1e-4, atol=1e-5),
        },
        name=name,
    )


def _lowest(of_ability: pd.DataFrame) -> pd.DataFrame:
    lines = {name: of_ability.loc[["all", *LACKS[name]]].min() for name in ARCHITECTURES}
    return pd.DataFrame(lines).T[list(CUES)].rename_axis("name")


COLUMNS = {
    "seeds": ("seeds", "{:.0f}"),
    "f1": ("F1", "{:.1f}"),
    "parameters": ("parameters", "{:,.0f}"),
    "trained": ("trained", "{:,.0f}"),
    "seconds": ("s an epoch", "{:.0f}"),
    "memory": ("GB", "{:.1f}"),
}
"""Column of `comparison` -> its heading in the main table, and how its numbers are written."""


def main_table(table: pd.DataFrame) -> pd.DataFrame:
    """F1 in percent and the costs of each architecture, written out: "not trained yet" without a record.

    `table` is what `comparison` gives, of runs with one encoder and one source. A number that its records lack is
    "unknown".
    """
    ours = table[table.kind.isin(("paper", "peer"))].set_index("name").reindex(ARCHITECTURES)
    ours = ours.reindex(columns=list(COLUMNS)).assign(f1=100 * ours.get("f1", pd.Series(dtype=float)))
    lines = {}
    for name, line in ours.iterrows():
        there = [
            "unknown" if pd.isna(line[column]) else written.format(line[column])
            for column, (_, written) in COLUMNS.items()
        ]
        lines[NAMES[str(name)]] = ["not trained yet"] * len(COLUMNS) if pd.isna(line["seeds"]) else there
    return pd.DataFrame(lines, index=[heading for heading, _ in COLUMNS.values()]).T


def expected_beside_measured(table: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """The ceiling of each architecture beside its measured type accuracy: a line for each architecture and cue.

    Columns: name, cue, expected, learned (ceilings, as fractions), seeds, measured (0 and NaN for an architecture
    without a record), tolerance (two standard errors of a guess on that many names), verdict: `at the ceiling`,
    `below` or `above` by more than the tolerance; empty without a record.

    Args:
        table: what `comparison` gives, of runs with one encoder and one source.
        corpus: minitweets.
    """
    ours = table[table.kind.isin(("paper", "peer"))].set_index("name")
    names = pd.Series([answer.cue for answer in answers_of(corpus)]).value_counts()
    ceiling, learned = expected(corpus), expected_of_learner()
    lines = []
    for name in ARCHITECTURES:
        there = name in ours.index
        for cue in CUES:
            measured = float(ours.loc[name, cue]) if there else float("nan")
            highest, tolerance = float(ceiling.loc[name, cue]), 2 * sampling_error(GUESS, int(names[cue]))
            verdict = ""
            if there:
                apart = measured - highest
                verdict = "at the ceiling" if abs(apart) <= tolerance else "above" if apart > 0 else "below"
            seeds = int(ours.loc[name, "seeds"]) if there else 0
            lines.append((name, cue, highest, float(learned.loc[name, cue]), seeds, measured, tolerance, verdict))
    columns = ["name", "cue", "expected", "learned", "seeds", "measured", "tolerance", "verdict"]
    return pd.DataFrame(lines, columns=columns)
