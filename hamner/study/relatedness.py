"""Agreement of relevance with another system's scores of text and image, on real posts (which have no gold relevance).

The other system's scores come with the tweets and may not be redistributed. `hamner measure --relatedness DIR` compares
where they are, and keeps two tables for the notebooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, mannwhitneyu, spearmanr

from hamner.errors import HamnerError

SCORES = ("strong", "weak")
"""TMR's two scores of a post: strong and weak relatedness of text and image."""

GROUPS = 5
"""Number of groups of equal size that posts are sorted into by their score."""


def read_scores(file: Path | str) -> pd.DataFrame:
    """Read the scores of one corpus: SCORES and `unreadable` (whether the image cannot be opened), by IMGID.

    Args:
        file: tab-separated, with the columns imgid, strong, weak and image_unreadable (0 or 1).

    Raises:
        HamnerError: the file is another table; the message names the file and what is wrong.
    """
    columns = ["imgid", *SCORES, "image_unreadable"]
    try:
        table = pd.read_csv(file, sep="\t", dtype={"imgid": str})[columns]
        table = table.astype(dict.fromkeys([*SCORES, "image_unreadable"], float))
    except (OSError, ValueError, KeyError) as error:  # ValueError: what pandas raises for a malformed table
        raise HamnerError(
            f"{file}: no table of relatedness scores ({error}); it has the tab-separated columns {', '.join(columns)}"
        ) from error
    if table.imgid.duplicated().any():
        raise HamnerError(f"{file}: the post {table.imgid[table.imgid.duplicated()].iloc[0]} has two lines; keep one")
    if not np.isfinite(table[list(SCORES)]).all(axis=None) or not table.image_unreadable.isin([0, 1]).all():
        raise HamnerError(f"{file}: a score is no number, or an image_unreadable is neither 0 nor 1; correct that line")
    return table.set_index("imgid").assign(unreadable=lambda t: t.image_unreadable == 1)[[*SCORES, "unreadable"]]


def agreement(relevance: Mapping[str, float], scores: pd.DataFrame, *, resamples: int = 2000) -> dict[str, float]:
    """Correlate rho with each score, and compare rho of readable and unreadable images.

    Args:
        relevance: rho by post id.
        scores: from `read_scores`.
        resamples: number of bootstrap resamples.

    Returns:
        posts and unreadable, their numbers; for each of SCORES Spearman's rank correlation over readable images
        (`strong`) and its 95 % bootstrap interval over posts (`strong_low`, `strong_high`); auc, the probability that a
        readable image has a greater rho than an unreadable one, ties counting half (NaN without unreadable images).

    Raises:
        HamnerError: a post has no score.
    """
    table = _joined(relevance, scores)
    readable = table[~table.unreadable]
    numbers: dict[str, float] = {"posts": len(table), "unreadable": int(table.unreadable.sum())}
    for name in SCORES:
        pair = (readable.rho.to_numpy(), readable[name].to_numpy())
        drawn = bootstrap(
            pair, _spearman, paired=True, vectorized=False, n_resamples=resamples, method="percentile", rng=0
        )
        low, high = drawn.confidence_interval
        numbers |= {name: _spearman(*pair), f"{name}_low": float(low), f"{name}_high": float(high)}
    pairs = len(readable) * table.unreadable.sum()
    numbers["auc"] = (
        float(mannwhitneyu(readable.rho, table.rho[table.unreadable]).statistic) / pairs if pairs else np.nan
    )
    return numbers


def by_score(relevance: Mapping[str, float], scores: pd.DataFrame) -> pd.DataFrame:
    """Mean rho of posts in GROUPS of equal size by the score `strong`, and of posts with an unreadable image.

    Columns: group ("1", the lowest scores, to "5", and "unreadable"), posts, rho, rho_sd.
    """
    table = _joined(relevance, scores)
    ranks = table.strong[~table.unreadable].rank(method="first")
    group = pd.qcut(ranks, GROUPS, labels=[str(number + 1) for number in range(GROUPS)]).astype(str)
    table["group"] = group.reindex(table.index).fillna("unreadable")
    means = table.groupby("group").rho.agg(posts="size", rho="mean", rho_sd="std")
    return means.reset_index()


def _joined(relevance: Mapping[str, float], scores: pd.DataFrame) -> pd.DataFrame:
    if missing := [id for id in relevance if id not in scores.index]:
        raise HamnerError(
            f"{len(missing)} of {len(relevance)} posts have no relatedness score, the first is {missing[0]}; "
            "are these the scores of this corpus?"
        )
    return scores.loc[list(relevance)].assign(rho=list(relevance.values()))


def _spearman(one: Any, other: Any) -> float:
    return float(spearmanr(one, other).statistic)
