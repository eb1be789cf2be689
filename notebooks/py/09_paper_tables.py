# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · The tables of the study
#
# | | |
# | --- | --- |
# | **Goal** | put measured numbers beside published ones in a way that nobody can be misled by |
# | **You need** | notebooks 05 and 07; run records and published numbers, all committed; nothing is trained |
# | **Time** | about 25 minutes to read, less than a minute to run |
# | **Of the paper** | its tables of results, as far as they can be built without having seen them |
#
# A table of results looks like arithmetic and is mostly bookkeeping: which encoder, how many
# seeds, which scorer, who measured it, where was it read. This notebook builds the tables of the
# study from two places. `data/runs` holds the records of our runs, `hamner/published` what others
# have printed. No number is typed here. What the same runs say when they are put to other tests, by
# another corpus, noise and other scorers, stands in [notebook 09b](09b_other_tests.ipynb).
#
# **Which version?** The runs on the Twitter corpora were trained with the version before this one.
# On words alone its model was the same. With captions it was not the one that notebooks 02 to 04
# show: relevance, integration and attention had other forms. These runs are kept as what they
# are, and the commit that the next cell names makes them again.

# %% [markdown]
# The next cell does nothing where hamner is installed. On Colab, name the git address that this
# notebook comes from.

# %% tags=["install"]
import importlib.util, subprocess, sys

REPOSITORY = ""
if importlib.util.find_spec("hamner") is None:
    assert REPOSITORY, "hamner is not installed: put its git address into REPOSITORY, run again"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", REPOSITORY, "checkout"], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--editable", "checkout"], check=True)
    sys.path.insert(0, "checkout")

# %%
import pandas as pd

from hamner.figures import comparisons
from hamner.study import ablation_tables, published
from hamner.drawing.style import save
from hamner.study.tables import runs, runs_of
from hamner.training.runs import EARLIER_VERSION

CORPORA = ("twitter2015", "twitter2017")
earlier = [run.is_of_earlier_version for name in CORPORA for run in runs_of(name)]
print(
    sum(earlier), "of", len(earlier), "runs are of the earlier version, commit", EARLIER_VERSION
)

# %% [markdown]
# ## 1. Where published numbers come from
#
# Each number in `published.csv` has a *source* and a *status*, because not every source is the
# paper that made the number.

# %%
numbers = published.numbers()
numbers.groupby("status").agg(rows=("model", "size"), with_f1=("f1", "count"))

# %% [markdown]
# `not seen` is the status of the paper that this project is about: its abstract was at hand and
# its tables were not. A number from memory, or from a guess, never goes into a cell. So the two
# cells are empty, and the package refuses a number with that status.

# %%
paper = numbers[numbers.model == published.PAPER]
paper[["corpus", "encoder_size", "f1", "source", "status"]]

# %% [markdown]
# ### How to fill them in
#
# Whoever has the paper opens `hamner/published/published.csv` and finds these two lines by the
# model's name. Put precision, recall and F1 into them in percent, and change the status to
# `read in a table` and the source to the table's number and page. Then run
#
# ```bash
# hamner reproduce --only 09
# ```
#
# The row then gets its star in the figure below, and the column `minus_paper` fills by itself.
#
# ## 2. Who may stand beside whom
#
# A model with a large text encoder has three times the parameters of one with a base encoder,
# before it looks at any image. A table that ranks the two together may rank their encoders and
# nothing else. We group by encoder size and compare within a group alone.
#
# `small` is ours: `minilm`, six layers of 384, which trains on a laptop. Nobody has published a
# model with it, so no published number may be ranked against ours, in either direction.

# %%
from hamner.training.runs import row_of_run

tables = {corpus: published.beside_published(corpus, runs()) for corpus in CORPORA}
two = [run for run in runs() if row_of_run(run.config) in ("text_only", "full")]
drawn = {corpus: published.beside_published(corpus, two) for corpus in CORPORA}
save(comparisons.f1_by_encoder_size(drawn), "f1_by_encoder_size")

# %% [markdown]
# *F1 of published models and of two of our rows, text only and the full model (mean over seeds), on
# the test sets, in lanes of one size of text encoder. `none`: no pretrained encoder; `unknown`: the
# source does not say. Our full model saw captions in place of images, published ones saw images.*
#
# Within a lane the spread is large. Some of it is progress, some of it is tuning, some is luck of
# the seed. The figure cannot tell them apart, and neither can the tables that it was made from:
# most of them print one number, without seeds and without an interval.
#
# ## 3. The main table
#
# First our own group. `low` and `high` are the 95 % interval of F1 over posts, `sd` its standard
# deviation over seeds, in points; one seed has none. The same table with all groups is committed as
# `data/tables/published.md`.

# %%
columns = ["model", "precision", "recall", "f1", "low", "high", "sd", "seeds", "status"]
ours = pd.concat(
    {corpus: table[table.encoder_size == "small"][columns] for corpus, table in tables.items()}
)
ours.droplevel(1).round(2)

# %% [markdown]
# Now the paper's group, one line a model. The paper's own row stands first and is empty, and so is
# `minus_paper`, F1 minus the paper's, until it is filled in.


# %%
def group(size, columns=("f1",)):
    chosen = {
        c: t[t.encoder_size == size].set_index("model")[list(columns)]
        for c, t in tables.items()
    }
    of_both = pd.concat(chosen, axis=1)
    return of_both.sort_values(("twitter2017", "f1"), na_position="first")


base = group("base", ("precision", "recall", "f1", "minus_paper"))
base = base.sort_index(key=lambda models: models != published.PAPER, kind="stable")
assert base.index[0] == published.PAPER
known = paper.set_index("corpus").f1.notna()
for corpus in CORPORA:
    assert known[corpus] or base[corpus].minus_paper.isna().all()
base.astype(float).round(2)

# %% [markdown]
# The largest encoders, for orientation only:

# %%
group("large").round(2)

# %% [markdown]
# ## 4. Type by type
#
# Only few publish F1 for each type. Two such rows could be read in repositories (the paper's may
# follow). They have a base
# encoder and ours a small one, so look along the lines, not down the columns: which types are
# easy and which are hard?

# %%
per_type = pd.concat(
    {corpus: published.per_type_beside_published(corpus, runs()) for corpus in CORPORA}
)
assert (per_type.dropna().idxmin(axis=1) == "MISC").all()
per_type.round(1)

# %% [markdown]
# MISC is the hardest everywhere. It is the type of whatever is left over: films, teams' matches,
# holidays. A table without types hides that half of a gain may come from the smallest type.
#
# ## 5. What the image bought
#
# Our rows with a second input beside our row without one: the same encoder, the same settings, and
# the same seeds. In all of these runs a *caption* that a machine wrote stands in for the
# image (`source`), because the images may not be handed on. The paper's own ablation was not
# seen, so it has no column here.

# %%
real = [run for corpus in CORPORA for run in runs_of(corpus)]
over_seeds = ablation_tables.over_runs(real, reference="text_only")
over_seeds.drop(columns="encoder").round(2)

# %% [markdown]
# `caption_words` is a baseline: text only, with each post's caption simply put behind its words.
# `shared_seeds` is the number of seeds behind `difference`. `sd` is what the seed alone does to one
# row, and `low` and `high` are the 95 % interval of the difference *over seeds* (Welch's t): where it
# may lie if ever more seeds were trained. With one seed there is none, and no claim.
#
# ### With intervals and tests
#
# That says how much *training* matters. How much the *posts* of test matter is said by an interval
# over posts and a paired test (notebook 05). They need the gold tags, and those belong to the
# tweets, which are not handed on. So `hamner measure` compares the runs where the tweets are, and the
# table is committed. The line `mean` compares the mean F1 of the seeds that both rows have.
# Below, `low` and `high` are over posts, `seeds_low` and `seeds_high` over seeds.

# %%
from hamner.training.rows import ROWS
from hamner.study.measured import measured_differences

measured = measured_differences()
means = measured[(measured.seed == "mean") & measured.difference.notna()]


def beside(reference):
    """Each row beside the reference: the difference, and what posts and seeds may do to it."""
    key = ["corpus", "source", "row"]
    lines = means[means.reference == reference].set_index(key)
    over_seeds = ablation_tables.over_runs(real, reference).set_index(key).reindex(lines.index)
    return pd.DataFrame(
        {
            "f1": lines.f1,
            "difference": lines.difference,
            "low": lines.difference_low,
            "high": lines.difference_high,
            "p_value": lines.p_value,
            "seeds_low": over_seeds.low,
            "seeds_high": over_seeds.high,
        }
    )


def rounded(table):
    return table.round(dict.fromkeys(table.columns, 2) | {"p_value": 4})


rounded(beside("text_only"))

# %% [markdown]
# Beside the model that was *trained* on captions of other posts:

# %%
rounded(beside("shuffled_images").query("row == 'full'"))

# %%
save(comparisons.gains(measured), "gains")

# %% [markdown]
# *F1 of each row minus that of text only, in points, on the same posts; captions in place of
# images. Dots: one seed each; blue: mean over seeds and its 95 % interval over posts; thin line: its
# 95 % interval over seeds.*
#
# A difference of which either interval holds zero is not known to be a gain, whatever its sign. The
# blue one draws posts and holds the trained models fixed: it does not know that a few seeds were
# lucky or unlucky ones (notebook 05, section 13). The thin one draws seeds and holds the posts fixed.
# Look at `blank_images` on Twitter-2015, which saw no image at all: its blue bar is clear of zero,
# mostly because one seed of text only came out poorly. The blue bar cannot know that, the thin line does.
#
# Many intervals are asked here at once, so a few of them are clear of zero by luck alone, and each
# question needs a stricter test (Bonferroni's rule: notebook 09b, section 2). Which rows pass it, and are
# clear of zero over seeds too?


# %%
def print_passing(table):
    """Which rows differ over posts, each test at 5 % divided by their number, and over seeds."""
    strict = 0.05 / max(1, len(table))
    over_posts = table.p_value < strict
    over_seeds = (table.seeds_low > 0) | (table.seeds_high < 0)
    for question, answer in {
        f"over posts ({len(table)} tests, each at {strict:.4f})": over_posts,
        "over seeds (95 %)": over_seeds,
        "both": over_posts & over_seeds,
    }.items():
        names = [f"{row} on {corpus}" for corpus, _, row in table.index[answer]]
        print(f"differ {question}: {', '.join(names) or 'none'}")


print_passing(beside("text_only"))

# %% [markdown]
# And a gain that is clear of both is one *from the image* only if the controls do not have it as
# well: `blank_images`, and `shuffled_images`, which saw the wrong ones. So hold such a row against
# the controls themselves, over the seeds that both have:

# %%
controls = ["text_only", "blank_images", "shuffled_images"]
of_one_row = {
    control: ablation_tables.over_runs(real, control)
    .query("row == 'no_relevance'")
    .set_index("corpus")
    for control in controls
}
compared_with = ["shared_seeds", "difference", "low", "high"]
pd.concat(of_one_row, names=["no_relevance minus"])[compared_with].round(2)

# %% [markdown]
# Over text only it may have a gain on Twitter-2015; over models that were trained on blank captions,
# or on those of other posts, none that is clear over seeds. What it has over text only need not come
# from captions: these models have more parameters and another course of training, too.
#
# ### The price of each part
#
# What a row without one part loses is seen beside the full model, not beside text only:

# %%
prices = beside("full").query("row in @ROWS and row != 'text_only'")
rounded(prices)

# %%
print_passing(prices)

# %%
parts = measured[measured.row.isin(set(ROWS) - {"text_only"})]
save(comparisons.gains(parts, "full"), "prices")

# %% [markdown]
# *F1 of each row minus that of the full model, in points, on the same posts; captions in place of
# images. Dots: one seed each; blue: mean over seeds and its 95 % interval over posts; thin line: its
# 95 % interval over seeds.*
#
# No price stands out. (On minitweets, where some images mislead, relevance is well worth having:
# notebook 09b, section 2.)
#
# ### A lead, and what became of it
#
# There was one. Of three seeds on each corpus the model *without* relevance was better than the full
# one with all six, and by an interval over posts clear of zero on both corpora. Among so many
# questions one such lead is to be expected by luck. So it was put to a test of its own: two more seeds
# of these rows, and of text only, were trained *after* the lead had been seen, to answer this one
# question. That is why these three rows have five seeds.

# %%
f1_of = {
    (run.record["corpus"]["name"], row_of_run(run.config), run.config.seed): 100 * run.f1()
    for run in real
}
lead = pd.DataFrame(
    [
        (corpus, seed, f1_of[corpus, "no_relevance", seed] - f1_of[corpus, "full", seed])
        for corpus in CORPORA
        for seed in (1, 2, 3, 4, 5)
    ],
    columns=["corpus", "seed", "without relevance minus full"],
)
lead.pivot(index="corpus", columns="seed", values="without relevance minus full").round(2)

# %%
lead["seeds"] = ["that gave the lead" if seed <= 3 else "that tested it" for seed in lead.seed]
lead.groupby(["corpus", "seeds"])["without relevance minus full"].mean().unstack().round(2)

# %% [markdown]
# The lead did not hold. On Twitter-2015 the new seeds show a part of it, on Twitter-2017 the opposite
# sign, and of all five together the interval over seeds holds zero on both corpora (above). That is what
# becomes of most leads that were the greatest of many: they were found *because* they had been lucky.
#
# ### The vote of the seeds
#
# What one does with five trained taggers is to let them vote: an entity counts if more than half of
# them find it, with the same words and the same type.

# %%
from hamner.study.measured import measured_votes

voted = measured_votes().query("row in ('text_only', 'full', 'no_relevance', 'caption_words')")
gain = voted.f1 - voted["mean"]
assert (measured_votes().f1 > measured_votes()["mean"]).all()
voted.drop(columns="encoder").assign(gain=gain).set_index(["corpus", "row"]).round(2)

# %% [markdown]
# The vote is better than the mean of its seeds in every row. No part of the model gained as much on
# these tweets, and it gains the same with no image at all. A published number that is the best of
# several seeds, or their vote, cannot be held against a mean.
#
# ## 6. How to get these numbers again
#
# Two commands make nearly all of them. Each skips what is finished and resumes what was cut off, and several
# computers may share the work. A FILE has the captions of a corpus.
#
# ```bash
# hamner ablate minitweets --threads 1
# hamner sweep --captions twitter2015=FILE --captions twitter2017=FILE --threads 1
# ```
#
# The two further seeds of three rows, once for each corpus:
#
# ```bash
# hamner ablate twitter2015 --row text_only --row full --row no_relevance --seeds 5 \
#     --captions FILE --threads 1
# ```
#
# Each record knows its settings, and the settings give the command of that run alone. Here are those
# of the first seed; the others differ in `--seed`.

# %%
mini, _ = ablation_tables.minitweets_runs()
for run in [*mini, *real]:
    if run.config.seed == 1:
        print(ablation_tables.command_of(run))

# %% [markdown]
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
from itertools import combinations

import torch

from hamner.exercises import check_choice, check_function, right

# %% [markdown]
# **1 · level 1.** *A piece of a measure.* F1 is the harmonic mean of precision and recall. Write
# `harmonic`, and recompute every published F1 with it. Which ones differ by more than rounding can
# explain?
#
# <details><summary>Hint</summary>
#
# The harmonic mean of $P$ and $R$ is $2PR / (P + R)$. It lies nearer to the smaller of the two.
#
# </details>


# %% tags=["solution"]
def harmonic(precision, recall):
    """Precision and recall in percent, (n,) each, to F1 in percent (n,)."""
    # BEGIN SOLUTION
    return 2 * precision * recall / (precision + recall)
    # END SOLUTION


# %% tags=["check"]
p, r = torch.tensor([80.0, 60.0]), torch.tensor([20.0, 60.0])
mistakes = {"that is the arithmetic mean: 80 and 20 have the F1 32": (p + r) / 2}
mistakes["that is the geometric mean: 80 and 20 have the F1 32"] = (p * r).sqrt()
mistakes["the factor 2 is missing: equal values are their own mean"] = p * r / (p + r)
check_function(harmonic, (p, r), torch.tensor([32.0, 60.0]), "one F1 a row", mistakes=mistakes)
right("harmonic")

# %%
printed = numbers.dropna(subset=["precision", "recall", "f1"])
printed = printed.assign(again=harmonic(printed.precision, printed.recall))
# Rounding moves F1 by 0.005 at most, and the F1 that is made of two rounded numbers by as much.
off = printed[(printed.again - printed.f1).abs() > 0.0101]
print(f"{len(off)} of {len(printed)} rows are off")
off[["model", "corpus", "f1", "again", "note"]].round(3)

# %% [markdown]
# **2 · level 2.** *A measurement.* Many papers print the best of several seeds. By how much does that
# flatter a model? Write `best_of`: the F1 that the best of $k$ seeds has on average, over all choices of $k$
# among the seeds that were trained.
#
# <details><summary>Hint</summary>
#
# `combinations(values, k)` gives every choice of $k$ of them.
#
# </details>


# %% tags=["solution"]
def best_of(values, k):
    """F1 of each seed, a list of numbers, to the mean of the best of k of them."""
    # BEGIN SOLUTION
    best = [max(some) for some in combinations(values, k)]
    return sum(best) / len(best)
    # END SOLUTION


# %% tags=["check"]
mistakes = {"that is the best of all seeds: take k of them": torch.tensor(78.0)}
mistakes["that is the mean of the seeds: take the best of each choice"] = torch.tensor(73.0)
mistakes["a choice has no seed twice"] = torch.tensor(74.625)
mistakes["take every choice of k, not only the first"] = torch.tensor(71.0)
check_function(best_of, ([70.0, 71.0, 73.0, 78.0], 2), 451 / 6, mistakes=mistakes)
right("best_of")

# %%
flattered = {
    (corpus, row): {
        k: best_of([f1_of[corpus, row, seed] for seed in (1, 2, 3, 4, 5)], k)
        for k in (1, 2, 3, 4, 5)
    }
    for corpus in CORPORA
    for row in ("text_only", "full")
}
best = pd.DataFrame(flattered).T.rename_axis(["corpus", "row"])
assert (best[5] - best[1]).between(0.25, 0.45).all()
best.round(2)

# %% [markdown]
# The first column is the mean. The best of five seeds is 0.3 to 0.4 points above it, for the same model. So
# a published best of five may stand beside our column 5, and beside no mean; and the status of such a
# number should say so.
#
# **3 · level 3.** *An argument.* On Twitter-2015 a row is 0.7 points above text only. The interval over
# posts is [0.3, 1.1], p = 0.001, the interval over five seeds [−0.4, 1.8], and it was the only question asked.
# What may you write? `"a"`: The row is better; p is far below 5 %. `"b"`: The row is no better; an interval
# holds zero. `"c"`: These trained models are better on posts like these; whether training this row again
# gives a better model is open. `"d"`: The row is better by 0.3 at least.
#
# <details><summary>Hint</summary>
#
# Which of the two intervals knows that another seed could have been drawn?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "c"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "p draws posts and holds the trained models fixed: it does not know of other seeds",
    "b": "an interval that holds zero has not shown that there is no difference: 1.8 is in it, too",
    "d": "0.3 is the lower end over posts alone; over seeds it is -0.4",
}
check_choice("answer", answer, "c", why_not)
right("posts are not seeds")

# %% [markdown]
# ## What we do not know of the paper
#
# - All of its numbers: results, ablation, and any table of types.
# - Its seeds, its scorer, and whether a number is a mean or the best run.
# - Its text encoder for sure. `base` is taken from its first author's sibling code.
