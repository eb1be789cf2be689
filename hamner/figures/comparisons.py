"""Figures of notebooks 03b, 07, 07b, 09, 09b and 11: rows, lesions, published numbers, noise, and relatedness."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hamner.drawing.colours import BLACK, BLUE, GREY, ORANGE, PALE, VERMILION
from hamner.drawing.matrix import draw_matrix
from hamner.drawing.parts import shared_legend
from hamner.drawing.style import CORPUS_NAMES, styled
from hamner.evaluation import welch
from hamner.minitweets import CUES
from hamner.study.ablation_tables import by_cue
from hamner.study.published import ENCODER_SIZES, OURS, PAPER
from hamner.study.relatedness import GROUPS
from hamner.study.who_sees_what import NAMES
from hamner.training.rows import place


@styled
def expected_and_measured(table: pd.DataFrame) -> Figure:
    """Draw two maps of type accuracy in percent, ablation row by cue: the ceilings, and the means over seeds.

    `table` has the lines of `expected_beside_measured`. Frames mark ceilings below 100: there the row must lose
    accuracy. Rows without a record are empty.
    """
    return _beside(by_cue(table, "expected"), by_cue(table, "mean").astype(float), "no record", 6.2)


@styled
def who_sees_what(table: pd.DataFrame) -> Figure:
    """Draw two maps of type accuracy in percent, architecture by cue: the ceilings, and the means over seeds.

    `table` has the lines of `who_sees_what.expected_beside_measured`. Frames mark ceilings below 100: what the
    architecture has no part for. Architectures without a record are "not trained yet".
    """
    maps = [
        table.pivot(index="name", columns="cue", values=column).loc[list(dict.fromkeys(table.name)), list(CUES)]
        for column in ("expected", "measured")
    ]
    expected, measured = (values.rename(index=NAMES).astype(float) for values in maps)
    return _beside(expected, measured, "not trained yet", 4.0)


def _beside(ceiling: pd.DataFrame, measured: pd.DataFrame, absent: str, height: float) -> Figure:
    """Draw ceilings and measured accuracy, fractions by cue, side by side; `absent` stands where a line has none."""
    figure = Figure(figsize=(6.4, height))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, title, shares in zip(panels, ("expected", "measured"), (ceiling, measured), strict=True):
        values = 100 * shares.astype(float)
        draw_matrix(axes, values, "{:.0f}".format, (0, 100), annot_kws={"fontsize": 7.5})
        for row, cue in np.argwhere((ceiling < 1) & values.notna()):
            inside = (cue + 0.06, row + 0.06)
            axes.add_patch(Rectangle(inside, 0.88, 0.88, fill=False, edgecolor=VERMILION, linewidth=2))
        for row in np.flatnonzero(values.isna().all(axis=1)):
            axes.add_patch(Rectangle((0, int(row)), len(CUES), 1, facecolor=PALE, edgecolor="white", zorder=0))
            axes.text(len(CUES) / 2, row + 0.5, absent, ha="center", va="center", color=GREY, fontsize=9)
        axes.set_title(title)
    figure.supxlabel("type accuracy (%) by cue; frames: the ceiling is below 100", fontsize=10)
    return figure


@styled
def parts_added(table: pd.DataFrame) -> Figure:
    """Draw two maps of points of type accuracy, part by cue: what each part adds in the build-up, and what alone.

    `table` has the lines of `gains_of_parts`. A part without its two records is grey.
    """
    figure = Figure(figsize=(6.4, 3.4))
    panels = figure.subplots(1, 2, sharey=True)
    parts = list(dict.fromkeys(table.part))
    for axes, way in zip(panels, ("build-up", "alone"), strict=True):
        gains = table[table.way == way].pivot(index="part", columns="cue", values="gain").reindex(parts)[list(CUES)]
        _draw_changes(
            axes, 100 * gains.astype(float), "no record" if way == "build-up" else "", annot_kws={"fontsize": 7.5}
        )
        axes.set_title({"build-up": "added to the row above", "alone": "added to the least model"}[way])
    figure.supxlabel("change of type accuracy (points) by cue", fontsize=10)
    return figure


@styled
def lesions(table: pd.DataFrame) -> Figure:
    """Draw a map of points of type accuracy, lesion by cue: what is lost when the trained model's part is replaced.

    `table` has the lines of `lesion_table` for one row on minitweets.
    """
    changes = table[table.measure != "f1"].pivot(index="lesion", columns="measure", values="change")
    changes = changes.loc[list(dict.fromkeys(table.lesion)), list(CUES)].astype(float)
    figure = Figure(figsize=(6.4, 4.2))
    _draw_changes(figure.subplots(), changes, "")
    figure.supxlabel("change of type accuracy (points) by cue", fontsize=10)
    return figure


def _draw_changes(axes: Axes, changes: pd.DataFrame, absent: str, **style: Any) -> None:
    """Draw points of change, losses in red and gains in blue; `absent` is written over rows without a number."""
    draw_matrix(axes, changes, "{:+z.0f}".format, (-60, 60), colours="RdBu", **style)
    for row in np.flatnonzero(changes.isna().all(axis=1)):
        width = len(changes.columns)
        axes.add_patch(Rectangle((0, int(row)), width, 1, facecolor=PALE, edgecolor="white", zorder=0))
        axes.text(width / 2, row + 0.5, absent, ha="center", va="center", color=GREY, fontsize=9)


@styled
def f1_by_encoder_size(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw F1 of published models and of our rows, a lane for each size of text encoder, a panel for each corpus.

    `tables` maps a corpus to the lines of its `beside_published`. Each row of ours has its own marker. Models without
    a number are left out; where the paper has none, its lane says so.
    """
    rows = sorted({row for table in tables.values() for row in table.row.dropna()}, key=place)
    markers = dict(zip(rows, cycle("Ds^vP"), strict=False))
    figure = Figure(figsize=(6.4, 3.6))
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for axes, (corpus, table) in zip(panels, tables.items(), strict=True):
        for lane, size in enumerate(ENCODER_SIZES):
            axes.axhline(lane, color=PALE, linewidth=1, zorder=0)
            group = table[table.encoder_size == size].sort_values("f1")
            paper = group.model == PAPER
            known = group[group.f1.notna() & ~paper]
            # Neighbours step up and down in turn, or close values would cover one another.
            steps = pd.Series(lane + 0.13 * (np.arange(len(known)) % 3 - 1), index=known.index)
            markings = [(known.status != OURS, "o", BLUE, "published")]
            markings += [(known.row == row, markers[row], VERMILION, f"{OURS}: {row}") for row in rows]
            for chosen, marker, colour, label in markings:
                some = known[chosen]
                axes.plot(some.f1, steps[some.index], marker, color=colour, markersize=5, alpha=0.7, label=label)
            if group.f1[paper].notna().any():
                axes.plot(group.f1[paper], [lane] * paper.sum(), "*", color=BLACK, markersize=12, label="the paper")
            elif paper.any():
                axes.text(0.02, lane - 0.3, "the paper: not seen", transform=axes.get_yaxis_transform(), fontsize=9)
        axes.set_title(CORPUS_NAMES.get(corpus, corpus))
        axes.set_xlabel("F1 (%); steps within a lane: legibility", fontsize=9.5)
        axes.set_yticks(range(len(ENCODER_SIZES)), ENCODER_SIZES)
        axes.set_ylim(len(ENCODER_SIZES) - 0.5, -0.5)
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
    panels[0].set_ylabel("text encoder")
    shared_legend(figure, panels)
    return figure


@styled
def gains(table: pd.DataFrame, reference: str = "text_only") -> Figure:
    """Draw F1 of each row minus F1 of the reference, in points: a panel for each corpus, a lane for each row.

    `table` has the lines of `differences`. A dot is a seed. A bar is the mean over seeds with its 95 % interval over
    posts; the thin line is the 95 % interval over seeds (`welch`). Lanes name encoder and source if there are several.
    """
    table = table[(table.reference == reference) & table.difference.notna()]
    corpora = list(dict.fromkeys(table.corpus))
    several = len(table[["encoder", "source"]].drop_duplicates()) > 1
    lanes = {tuple(name): None for name in table[["row", "encoder", "source"]].itertuples(index=False)}
    names = sorted(lanes, key=lambda name: (name[1:], place(name[0])))
    figure = Figure(figsize=(6.4, 1.2 + 0.4 * len(names)))
    panels = figure.subplots(1, max(1, len(corpora)), sharex=True, sharey=True, squeeze=False)[0]
    for axes, corpus in zip(panels, corpora, strict=False):
        axes.axvline(0, color=GREY, linewidth=1)
        for lane, (row, encoder, source) in enumerate(names):
            lines = table[(table.corpus == corpus) & (table.row == row)]
            lines = lines[(lines.encoder == encoder) & (lines.source == source)]
            seeds, mean = lines[lines.seed != "mean"], lines[lines.seed == "mean"]
            if lines.empty:
                axes.text(0, lane, " no record", color=GREY, va="center", fontsize=9)
            if interval := welch(seeds.f1.tolist(), (seeds.f1 - seeds.difference).tolist()):
                axes.hlines(lane, *interval, color=GREY, linewidth=1, label="95 % over seeds")
            bars = axes.hlines([lane] * len(mean), mean.difference_low, mean.difference_high, color=BLUE, linewidth=2)
            bars.set_label("mean, 95 % over posts")
            axes.plot(mean.difference, [lane] * len(mean), "|", color=BLUE, markersize=12, markeredgewidth=2)
            dots: dict[str, Any] = {"color": VERMILION, "markersize": 4, "alpha": 0.8, "label": "one seed"}
            axes.plot(seeds.difference, [lane - 0.28] * len(seeds), "o", **dots)
        labels = [", ".join(name) if several else name[0] for name in names]
        axes.set_yticks(range(len(names)), labels, parse_math=False)
        axes.set_ylim(len(names) - 0.4, -0.7)
        axes.set_xlabel(f"F1 minus {reference} (points)")
        axes.set_title(CORPUS_NAMES.get(corpus, corpus))
    shared_legend(figure, panels)
    return figure


@styled
def noise(table: pd.DataFrame) -> Figure:
    """Draw F1 of the full model by the share of test images (or captions) that belong to other posts, by corpus.

    `table` has the lines of `generalisation`. A bar is the mean over seeds with its 95 % interval over posts, a dot is
    a seed. The dashed line is text only, if the table has it.
    """
    own = table[table.trained_on == table.tested_on]
    full = own[own.row == "full"]
    corpora = list(dict.fromkeys(full.trained_on[full.shuffled > 0]))
    figure = Figure(figsize=(6.4, 3))
    panels = figure.subplots(1, max(1, len(corpora)), squeeze=False)[0]
    for axes, corpus in zip(panels, corpora, strict=False):
        lines = full[full.trained_on == corpus]
        seeds, mean = lines[lines.seed != "mean"], lines[lines.seed == "mean"]
        error = [mean.f1 - mean.low, mean.high - mean.f1]
        line: dict[str, Any] = {
            "color": BLUE,
            "markersize": 5,
            "linewidth": 1.2,
            "label": "full, mean, 95 % over posts",
        }
        axes.errorbar(mean.shuffled, mean.f1, error, fmt="o-", **line)
        dots: dict[str, Any] = {"color": VERMILION, "markersize": 3, "alpha": 0.8, "label": "full, one seed"}
        axes.plot(seeds.shuffled + 2.5, seeds.f1, "o", **dots)
        plain = own[(own.trained_on == corpus) & (own.row == "text_only") & (own.seed == "mean")]
        for f1 in plain.f1:
            axes.axhline(f1, color=GREY, linestyle="--", linewidth=1, label="text_only, mean")
        axes.set_xticks(sorted(set(lines.shuffled)))
        axes.set_title(CORPUS_NAMES.get(corpus, corpus))
    inputs = "captions" if full.source.str.startswith("captions").all() else "images"
    figure.supxlabel(f"{inputs} that belong to other posts (%)", fontsize=11)
    panels[0].set_ylabel("F1 (%)")
    shared_legend(figure, panels)
    return figure


@styled
def relevance_by_relatedness(table: pd.DataFrame) -> Figure:
    """Draw mean rho by fifth of an outside score, a panel for each corpus: own images, and images of other posts.

    `table` has the lines of `by_score` for several runs, with the columns corpus, encoder, source, row and seed. Each
    run is a line with 95 % intervals of its means. A diamond stands for posts with an unreadable image.
    """
    corpora = list(dict.fromkeys(table.corpus))
    figure = Figure(figsize=(6.4, 3.2))
    panels = figure.subplots(1, len(corpora), sharey=True, squeeze=False)[0]
    groups = [str(number + 1) for number in range(GROUPS)]
    shown = "caption" if table.source.str.startswith("captions").all() else "image"
    row_styles = {"full": (BLUE, f"own {shown}"), "shuffled_images": (ORANGE, f"{shown} of another post")}
    for axes, corpus in zip(panels, corpora, strict=True):
        runs = list(table[table.corpus == corpus].groupby(["encoder", "source", "row", "seed"]))
        # Side by side, or runs of equal relevance would cover one another.
        for shift, ((_, _, row, _), lines) in zip(np.linspace(-0.15, 0.15, len(runs)), runs, strict=True):
            colour, label = row_styles[row]
            of_group = lines.set_index("group")
            error = 1.96 * of_group.rho_sd / np.sqrt(of_group.posts)
            style: dict[str, Any] = {"color": colour, "markersize": 4, "linewidth": 1, "elinewidth": 1}
            axes.errorbar(
                shift + np.arange(GROUPS), of_group.rho[groups], error[groups], fmt="o-", label=label, **style
            )
            if "unreadable" in error:
                axes.errorbar(
                    [GROUPS + 0.5 + shift], of_group.rho[["unreadable"]], error[["unreadable"]], fmt="D", **style
                )
        axes.set_xticks(range(GROUPS), groups)
        if (table.group[table.corpus == corpus] == "unreadable").any():
            axes.axvline(GROUPS - 0.25, color=GREY, linewidth=0.8, linestyle=":")
            axes.set_xticks([*range(GROUPS), GROUPS + 0.5], [*groups, "not\nreadable"])
        axes.set_title(CORPUS_NAMES.get(corpus, corpus))
    figure.supxlabel("fifth of posts by outside score", fontsize=11)
    panels[0].set_ylabel("mean ρ")
    shared_legend(figure, panels)
    return figure
