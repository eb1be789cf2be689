# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · What each part buys
#
# | | |
# | --- | --- |
# | **Goal** | read an ablation: what each row must cost by construction, beside what it did cost |
# | **You need** | notebooks 01 and 05; the committed run records; nothing is trained here |
# | **Time** | about 25 minutes to read, less than a minute to run |
# | **Of the paper** | the ablation of the main modules (a summary by others names four: see the end) |
#
# An *ablation* retrains the model without one part and measures the loss. On real
# tweets the loss is a single number, often below one point of F1, and nobody knows what it ought
# to be. Did the part work? Was it luck? Was the part never needed by these posts?
#
# On *minitweets* we know what ought to happen, post by post. So here each row has two numbers:
# what was expected, and what was measured.

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

from hamner import load_corpus
from hamner.figures import comparisons
from hamner.study import ablation_tables
from hamner.study.minitweets import CUES, ceilings, answers_of
from hamner.drawing.style import save
from hamner.training.rows import STUDY_ROWS, row_of_run

# %% [markdown]
# ## 1. The rows
#
# A row is *one named change* of the full model's settings. Nothing else may differ, or else what
# we measure is not the price of the part. (On real tweets `no_local_text` takes away the word shapes
# too, since the convolution is what reads them.)

# %%
from hamner.training.rows import CONTROLS, ROWS


def change(row):
    settings = ROWS.get(row, {"images": row.removesuffix("_images")})
    return ", ".join(f"{name} = {value}" for name, value in settings.items()) or "nothing"


pd.Series({row: change(row) for row in STUDY_ROWS}, name="what changes").to_frame()

# %% [markdown]
# The last three rows are *controls*. They change the data and not the model. In two of them every post
# gets a blank image, or the image of another post, in training and at test. A model that gains
# from images must lose that gain here. If it does not, its gain came from somewhere else:
# more parameters, or another seed. In `exchanged_images` a fifth of train's posts exchange their images,
# and test has its own: does more practice with images that do not belong teach relevance more?

# %%
from hamner.training.rows import GROUPS

in_groups = {row for rows in GROUPS.values() for row in rows}
assert CONTROLS == ("exchanged_images", "blank_images", "shuffled_images")
assert set(STUDY_ROWS) | in_groups == (set(ROWS) | set(CONTROLS)) - {
    "two_iterations"
}  # full has two iterations

# %% [markdown]
# ## 2. Ten kinds of posts
#
# Each post of minitweets has one *cue*: the place where a name's type can be read.
#
# | cue | what gives the type away |
# | --- | --- |
# | `text` | the words alone |
# | `scene` | the one thing that the image shows |
# | `object` | the thing with a ring around it, among several |
# | `odd` | the odd one out: things must be compared |
# | `majority` | three of four things: their mean shows it |
# | `position` | left, right, top, bottom, biggest, smallest |
# | `described` | the thing of the shape that the words name |
# | `other` | the thing that the words do not describe |
# | `level` | the one thing that fills the image, or the small ones around it: the words say which |
# | `unrelated` | nothing in the image: it is about another topic, and shows a wrong type |

# %%
corpus = load_corpus("minitweets")
names = answers_of(corpus)
in_test = pd.Series([name.cue for name in names]).value_counts()[list(CUES)]
assert (in_test.sum(), in_test.min(), in_test.max()) == (2656, 128, 512)
in_test.rename("names in test")

# %% [markdown]
# Test has 2,656 names with a known answer, from 128 to 512 for a cue.
#
# ## 3. What must be lost
#
# Take a tagger that lacks an ability, say, to see *where* things are. Two posts that differ in
# nothing else look the same to it. What it can do is to give the answer that was most
# frequent in train for posts that look like this. The generator of the corpus counts how often
# that is right on test. That is the *ceiling*: what to expect of a tagger without the ability.

# %%
ceilings(corpus)

# %% [markdown]
# Read the line `no_geometry`. In `position` it is a half: the tagger sees which two types are in
# the image and not which of them is on the left. All the rest stays at one. Now look at
# `no_relevance`: a tagger that trusts every image is always wrong on `unrelated`, because the
# image there shows a wrong type on purpose.
#
# Which row lacks which ability? The other rows take away a part and no ability: there is more
# than one way to the answer, so their ceiling stays at one.

# %%
pd.Series(ablation_tables.ABILITY, name="lacks").rename_axis("row").to_frame()

# %% [markdown]
# A ceiling binds a tagger that lacks the *ability*; a row lacks a *part*. So a row may fall below
# it, when training does not find the way that is left, and it may stay *above* it, when the ability
# has another home. Words, for one, read all things of an image at once, and once more in the
# second iteration: what they found first can tell them what to look for then. So stage 3 can
# compare things too, and stand in for the semantic encoder. The grid of the whole image
# shows the ring as well as the objects do, so that `no_objects` is not blind to it. And a thing's size
# shows in the frozen features of its crop, for a small thing is blurred when it is enlarged: section 5
# takes `position` apart.
#
# ## 4. Which runs are there?
#
# Every row is trained with several seeds. Each run left a record under `data/runs`: its
# settings, the hashes of its data, and what it predicted for test. This table says which
# records are here. The rest of the notebook works with what there is.

# %%
found, others = ablation_tables.minitweets_runs()
for run in others:
    print(f"left out: {run.folder.name}: its settings or its data are not the study's")
ablation_tables.coverage(found)

# %% [markdown]
# Missing ones are made by one command. It skips what is finished, and several computers may
# share the work:
#
# ```bash
# hamner ablate minitweets --seeds 3
# hamner ablate minitweets --seeds 3 --row no_spatial   # one row
# ```
#
# Rows may be compared where nothing else differs. A run with other epochs, say, was left out
# above, and if one had slipped through, it would stop the notebook here.

# %%
ablation_tables.require_one_change(found)

# %% [markdown]
# ## 5. Expected beside measured
#
# We measure *type accuracy*: of the names of a cue, the share whose first word got the right
# type. Whether the tagger also found where a name begins and ends is not asked here; that is what
# makes F1 a lower number (notebook 09b, section 2).

# %%
table = ablation_tables.expected_beside_measured(found)
save(comparisons.expected_and_measured(table), "expected_and_measured")

# %% [markdown]
# *Type accuracy on minitweets' test by row and cue, in percent. Left: the ceiling, computed from
# the corpus. Right: mean over the seeds that have a record. Frames mark what a row must cost.*
#
# How to read it. Go along a line: inside a frame the two maps should agree, outside it the right
# map should look like its first line, the full model. A frame on the right that is as dark as
# the rest is a part whose removal cost nothing.
#
# ### The price in numbers
#
# The cost of a row is the full model's accuracy minus the row's, over the seeds that both have.

# %%
recorded = table[table.seeds > 0].row.unique()
(100 * ablation_tables.by_cue(table, "cost")).loc[recorded].astype(float).round(1)

# %% [markdown]
# A difference needs a yardstick. A guess among four types on a few hundred names is off by a
# few points by chance alone, by √(¼ · ¾ / names), and the difference of two guesses by √2 times as
# much. Less than two of these errors is not worth a word, cue by cue:

# %%
yardstick = table.groupby("cue")[["names", "tolerance"]].max().loc[list(CUES)]
assert yardstick.tolerance.between(0.05, 0.11).all()
yardstick.assign(tolerance=100 * yardstick.tolerance).round(1)

# %% [markdown]
# That is 5 points for 512 names and 11 points for 128.
#
# ### The verdict
#
# - `as expected`: within the tolerance of the ceiling (in a frame) or of the full model (elsewhere).
# - `higher`: in a frame, more is left than the ceiling allows: the ability has another home in the
#   model. Elsewhere, the model is better without the part.
# - `lower`: more is lost than must be. Training did not find the way that was left. The full model
#   itself is `lower` where it falls short of the ceiling of a tagger that lacks nothing (how much of
#   that the features allow: notebook 07b, section 3).
# - `full lacks it`: the full model is no better than the row's ceiling, so the row had nothing
#   to lose. That is a defect of the model or of its training, and no merit of the row.

# %%
ablation_tables.by_cue(table, "verdict").loc[recorded]

# %% [markdown]
# Here are all cells that are *not* as expected. This is the to-do list of whoever works on the
# model, and no row may be dropped from it.

# %%
surprises = table[~table.verdict.isin(["", "as expected"])]
surprises[["row", "cue", "expected", "mean", "min", "max", "cost", "verdict"]].round(3)

# %% [markdown]
# One of them can be told beforehand. On `position` a model without boxes must lose left and right,
# above and below. Size it need not lose: the crop of a small thing is blurred. Here is that cue by
# what was asked for (mean over seeds; rows without a record are left out):

# %%
from hamner.evaluation import read_predictions

answers = pd.read_json(corpus.folder / "answers.jsonl", lines=True).set_index("id")
asked = [name for name in names if name.cue == "position"]
lines = []
for run in found:
    if (row := row_of_run(run.config)) in ("full", "no_spatial", "no_objects"):
        tags = read_predictions(run.predictions)
        right = [tags[name.post][name.start][2:] == name.type for name in asked]
        sides = answers.side[[name.post for name in asked]]
        lines += [(row, side, 100 * r) for side, r in zip(sides, right, strict=True)]
by_side = pd.DataFrame(lines, columns=["row", "side", "accuracy (%)"])
by_side.pivot_table(index="row", columns="side", values="accuracy (%)").round(1)

# %% [markdown]
# ### How much the seeds differ
#
# The mean hides the seeds. The range over seeds of the full model, beside the largest range of
# any row:

# %%
several = table.seeds > 1
spread = table.assign(range=100 * (table["max"] - table["min"]).where(several))
ranges = ablation_tables.by_cue(spread, "range").astype(float)
pd.DataFrame({"full": ranges.loc["full"], "any row": ranges.max()}).round(1)

# %% [markdown]
# A row with one seed has no range, and so no say here; the verdicts above know of the luck of the
# draw of names and not of that of the seed. Where a cost is smaller than the range over seeds of
# the full model, *or of the row itself*, on that cue, its verdict is no finding yet. What is left?

# %%
cost, tolerance = (
    100 * ablation_tables.by_cue(table, column).astype(float)
    for column in ("cost", "tolerance")
)
size = cost.abs()
clear = (size > tolerance) & (size > ranges) & (size > ranges.loc["full"])
print("costs clear of tolerance and seeds, in points (minus: better without)")
for row in recorded[recorded != "full"]:
    left = [f"{cue} {cost.loc[row, cue]:+.0f}" for cue in CUES if clear.loc[row, cue]]
    print(f"  {row:22}{', '.join(left) or '-'}")

# %% [markdown]
# Two warnings stay. More than a hundred cells were asked, and of so many some are large by luck
# alone. And all cells of a column share one full model: where its seeds were low on a cue, every
# row looks good there, all at once.
#
# ## 6. The controls
#
# Blank and shuffled images tell nothing, so the ceiling of both is that of a tagger without
# any image. Are they there? A row without a record has no line. (`exchanged_images` sees its own images in
# test and has the ceiling of the full model: hold its `unrelated` against that of `full` in section 5.)

# %%
controls = table[
    table.row.isin(["text_only", "blank_images", "shuffled_images"]) & (table.seeds > 0)
]
controls.pivot(index="row", columns="cue", values="mean").reindex(columns=CUES).round(2)

# %% [markdown]
# On the cues that need the image each line is at its ceiling, to within the tolerance. On `unrelated`
# the words know the answer, and `text_only` has most of it. The full model has a little less:

# %%
assert (
    table.set_index(["row", "cue"])["mean"].loc[("full", "unrelated")]
    < (table.set_index(["row", "cue"])["mean"].loc[("text_only", "unrelated")])
)

# %% [markdown]
# It believes some of the images that mislead (notebook 03, `believe none`): relevance pays a price for
# what it gains on all other cues.
#
# A shuffled image is worse than none in one way. In `scene` it shows a type with confidence,
# the wrong one mostly. Only a tagger that gives no weight to such images is back at the line of
# `text_only`.
#
# Above that line it cannot get, by construction. So this must hold of each of these rows that has a
# record; if it does not, test has leaked into train.

# %%
images_needed = controls[controls.expected < 1]
assert (images_needed["mean"] <= images_needed.expected + 0.1).all()

# %% [markdown]
# An ablation says whether a part is *necessary*. [Notebook 07b](07b_lesions.ipynb) asks what else one
# may ask: is a part *used* by the trained model, what does it add to a least model, how good could the
# full model be, and what does a part cost on real tweets?

# %% [markdown]
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
from collections import Counter

import torch

from hamner.exercises import check_choice, check_function, right

# %% [markdown]
# **1 · level 1.** *A measurement.* The mean over all names is the one number that an ablation on real
# tweets shows. Write `expected_cost`: the points that a tagger must lose in this mean, from its ceiling
# on each cue and the number of names of each cue.
#
# <details><summary>Hint</summary>
#
# A cue with four times as many names counts four times as much. A ceiling of 1 everywhere costs 0 points.
#
# </details>


# %% tags=["solution"]
def expected_cost(ceiling, names):
    """Ceilings of the cues (C,) and their numbers of names (C,) to the points lost in the mean."""
    # BEGIN SOLUTION
    return 100 * (1 - (ceiling * names).sum() / names.sum())
    # END SOLUTION


# %% tags=["check"]
of_cues, sizes = torch.tensor([1.0, 0.5, 0.0]), torch.tensor([6.0, 2.0, 2.0])
mistakes = {"that is the mean over cues: weigh each cue by its names": torch.tensor(50.0)}
mistakes["that is what is left: the cost is what is lost"] = torch.tensor(70.0)
mistakes["that is a share: a point is a hundredth"] = torch.tensor(0.3)
check_function(
    expected_cost, (of_cues, sizes), torch.tensor(30.0), "one number", mistakes=mistakes
)
right("expected_cost")

# %%
costs = {
    ability: expected_cost(ceiling, in_test) for ability, ceiling in ceilings(corpus).iterrows()
}
lost = pd.Series(costs).drop("all")
assert lost["no_relations"] < 3 and (lost < 10).sum() == 6
lost.round(1).to_frame("expected cost, points")

# %% [markdown]
# Six of the eight abilities cost less than ten points of the mean, though each of the six empties or
# halves a cue, or takes a third of it. A tagger that cannot compare things loses half of `odd`, and 2.4
# points of the mean.
#
# **2 · level 2.** *A piece of a measure.* Write `ceiling`: what a tagger reaches that sees no more of each
# name than a *view*. Names with the same view get the same answer: the type that is most frequent in
# train for that view. Every view of test occurs in train.
#
# <details><summary>Hint</summary>
#
# Keep a `Counter` of types for each view of train; `counter.most_common(1)[0][0]` is the most frequent
# type.
#
# </details>


# %% tags=["solution"]
def ceiling(train, test):
    """Pairs (view, type) of train and of test to the share of test that gets its right type."""
    # BEGIN SOLUTION
    counts = {}
    for view, type in train:
        counts.setdefault(view, Counter())[type] += 1
    hits = [counts[view].most_common(1)[0][0] == type for view, type in test]
    return sum(hits) / len(hits)
    # END SOLUTION


# %% tags=["check"]
train = [(1, "PER"), (1, "PER"), (1, "PER"), (1, "LOC"), (2, "ORG"), (2, "LOC"), (2, "ORG")]
test = [(1, "PER"), (1, "LOC"), (1, "LOC"), (2, "ORG")]
mistakes = {"the answer for a view comes from train: nobody knows test": torch.tensor(0.75)}
mistakes["count the names of test that are right, not those of train"] = torch.tensor(5 / 7)
mistakes["that is the mean over views: each name counts once"] = torch.tensor(2 / 3)
mistakes["each view has an answer of its own"] = torch.tensor(0.25)
check_function(ceiling, (train, test), 0.5, mistakes=mistakes)
right("ceiling")

# %% [markdown]
# Now the ceiling of `position` without geometry. The view of such a tagger is the set of types that the
# image shows.

# %%
contents = pd.read_json(corpus.folder / "contents.jsonl", lines=True).set_index("image")


def views(split):
    image = {post.id: post.image.name for post in corpus[split]}
    asked = [name for name in answers_of(corpus, split) if name.cue == "position"]
    return [(frozenset(contents.types[image[name.post]]), name.type) for name in asked]


without_geometry = ceiling(views("train"), views("test"))
assert without_geometry == ceilings(corpus).loc["no_geometry", "position"]
print(f"{len(set(views('test')))} pairs of view and type: {without_geometry:.2f}")

# %% [markdown]
# It is the 0.5 of the table in section 3.
#
# **3 · level 3.** *An argument.* Suppose that the full model has 0.95 on `odd`, and the row without the
# semantic part has 0.95, too, each over five seeds. The ceiling of a tagger that cannot compare things
# is 0.5 there. What follows? `"a"`: The full model does not use its semantic part. `"b"`: The part is not
# necessary: without it, another part learns to compare. `"c"`: The posts of `odd` can be solved without
# comparing. `"d"`: The semantic part was badly trained.
#
# <details><summary>Hint</summary>
#
# Which model was looked into: the full one, or one that never had the part?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "b"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "the row is another model, trained anew; what the full one uses is the question of a lesion",
    "c": "the ceiling says that whoever cannot compare gets half; 0.95 takes a comparison",
    "d": "the row says nothing of the part in the full model, which is as good as it can be",
}
check_choice("answer", answer, "b", why_not)
right("not necessary, and perhaps in use")

# %% [markdown]
# ## What we do not know of the paper
#
# - Its ablation table. By a summary that others wrote it removes the spatial and the semantic
#   learning, the relevance and the iteration. We have not seen how many points each of them cost.
# - What "without" means there. Removing relevance can mean rho = 1, as here, or another fusion.
# - Whether its rows were trained with more than one seed. The differences between our seeds
#   above say how much that matters.
