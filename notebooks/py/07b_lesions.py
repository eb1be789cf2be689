# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07b · Is a part used? Lesions, and three other questions
#
# | | |
# | --- | --- |
# | **Goal** | ask of a part whether it is used, what it adds, what is left to gain, and what it costs on real tweets |
# | **You need** | notebook 07; the committed run records; nothing is trained here |
# | **Time** | about 20 minutes to read, less than a minute to run |
# | **Of the paper** | its main modules, asked in other ways than by its ablation |
#
# [Notebook 07](07_ablations.ipynb) trained the model again without one of its parts, and asked: is the
# part *necessary*? Four questions are left. Is the part *used* by the model that has it (section 1)? What
# does it add to a model with little else (2)? How near is the full model to what its features allow (3)?
# And what do the rows cost on real tweets, where nobody knows the answers (4)? The next notebook,
# [08](08_attention_and_relevance.ipynb), looks into single posts.

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
from hamner.study.tables import runs_of
from hamner.study.minitweets import CUES, answers_of
from hamner.drawing.style import save
from hamner.training.rows import ROWS, STUDY_ROWS, row_of_run

# %% [markdown]
# The corpus, and the study's runs on it that have a record (notebook 07, section 4):

# %%
corpus = load_corpus("minitweets")
in_test = pd.Series([name.cue for name in answers_of(corpus)]).value_counts()[list(CUES)]
found, _ = ablation_tables.minitweets_runs()
ablation_tables.require_one_change(found)
print(len(found), "runs")

# %% [markdown]
# ## 1. Is it used? Lesions
#
# An ablation asks: is the part *necessary*? A *lesion* asks: is it *used*? It leaves the trained model as
# it is, and replaces what one part computes at test time: by its input, by nothing, by a constant, or by
# the value of another post. `hamner lesion` does so, and keeps the results beside the runs.

# %%
from hamner.study.lesions import LESIONS, lesion_table

full_runs = [run for run in found if row_of_run(run.config) == "full"]
replaced = lesion_table(full_runs)
pd.DataFrame(
    [(name, lesion.part, lesion.replacement) for name, lesion in LESIONS.items()],
    columns=["lesion", "part", "what takes its place"],
).set_index("lesion")

# %%
assert len(replaced), "no results yet: hamner lesion data/runs/minitweets-full-*"
save(comparisons.lesions(replaced), "lesions")

# %% [markdown]
# *Points of type accuracy that each lesion costs the trained `full` model, by cue, mean over the
# seeds with results.*
#
# Which two cues lose most by each? Only cues that need the image count here, and `unrelated`.

# %%
of_cues = replaced[~replaced.measure.isin(["f1", "text"])]
changes = of_cues.pivot(index="lesion", columns="measure", values="change").loc[list(LESIONS)]
two = {
    lesion: [f"{cue} {points:+.0f}" for cue, points in line.nsmallest(2).items()]
    for lesion, line in changes.iterrows()
}
pd.DataFrame(two, index=["most", "second"]).T.rename_axis("lesion")

# %%
most = changes.idxmin(axis=1)
assert most.rho_one == most.rho_mean == "unrelated" and most.spatial_identity == "position"
reading = ["iteration_identity", "regions_identity", "coattention_identity"]
assert (most[reading] == "odd").all() and changes.odd[reading].max() < -50
assert changes.odd[["spatial_identity", "absolute_geometry_zero"]].max() < -40
assert most.local_text_zero == "majority" and changes.majority.local_text_zero < -60
assert most.beta_other == "level" and -15 < changes.level.beta_other < -10
assert changes.loc["semantic_identity"].min() > -6

# %% [markdown]
# The local text serves nearly all cues, `majority` most. Relevance is what `unrelated` rests on, the spatial
# encoding what `position` does. To tell the odd one out takes all of stage 3 (words that read, regions that
# read, co-attention) and the places of the boxes: each costs `odd` more than 40 points. With another post's
# $\beta$ `level` is wrong more often by more than ten points. The semantic encoding can go at a price of
# less than six points on each cue, `odd` among them: things are not compared there.
#
# A part that is used and not necessary has a substitute that training finds when the part is
# missing. A part that is neither is decoration.
#
# ## 2. Built up from the least model
#
# Leaving out one part asks whether it is *necessary*. Where another part can learn to take its place,
# the answer is no, and the part may still do the work in the full model. So ask from the other end: start at
# the least model that sees, with the grid, objects as they are and one reading of them by the words, and
# add one part in each row, in the paper's order. Beside it, each part added to the least model alone.

# %%
from hamner.study.build_up import gains_of_parts

parts = gains_of_parts(found)
recorded_steps = parts.groupby(["way", "part"]).seeds.max()
print(f"{(recorded_steps == 0).sum()} of {len(recorded_steps)} steps have no record yet")
save(comparisons.parts_added(parts), "parts_added")

# %% [markdown]
# *Points of type accuracy that a part adds, by cue: left to the row before it in the build-up, right to the
# least model. Mean over the seeds that both rows have. `seeing` is the step from text only to the least model.*
#
# Where does each part of the build-up add most?

# %%
built = parts[(parts.way == "build-up") & (parts.part != "seeing")]
gains = 100 * built.pivot(index="part", columns="cue", values="gain").astype(float)
gains = gains.loc[built.part.unique(), list(CUES)]
adds_most = gains.apply(lambda line: f"{line.idxmax()} {line.max():+.0f}", axis=1)
adds_most.to_frame("adds most to")

# %%
assert gains.idxmax(axis=1).to_dict() == {
    "semantic": "unrelated", "spatial": "position", "relevance": "unrelated",
    "integration": "level", "iteration": "other", "coattention": "odd",
}  # fmt: skip
assert gains.drop("coattention").max(axis=1).min() > 10 and 5 < gains.odd.coattention < 10
assert (
    gains.loc["semantic", ["object", "odd", "described", "unrelated"]].between(11, 15.5).all()
)

# %% [markdown]
# Each part has a cue to which it adds more than ten points, but for co-attention, which comes last and adds
# fewer to `odd`. And the semantic encoding, which the full model can do without (section 1), adds 11 to 15
# points to `object`, `odd`, `described` and `unrelated` here, where nothing after it can take its place.
#
# Which of these gains are clear over seeds, with at least ten points and an interval (Welch's t) that
# leaves out zero? (A step needs two seeds for that; the table is empty until one has them.)

# %%
clear_gains = parts[(parts.gain.abs() >= 0.1) & ((parts.low > 0) | (parts.high < 0))]
(
    clear_gains.assign(**{name: 100 * clear_gains[name] for name in ("gain", "low", "high")})[
        ["way", "part", "cue", "seeds", "gain", "low", "high"]
    ].round(1)
)

# %% [markdown]
# ## 3. What the art allows
#
# The ceilings of notebook 07 are of the corpus: of a tagger that sees each thing for what it is. A frozen
# backbone may not, and no icon of test occurs in train. So how much can be told from its features?
# `benchmarks/art.py` asked linear probes, trained on the images of train and tested on test's:

# %%
from hamner.study.measured import measured_art

art = measured_art()
assert art.set_index("what").accuracy["size"].round(2) == 0.84
art

# %% [markdown]
# The lines `crop` are the share of things whose type can be told from the features of their crop, in
# images of each kind: `single` serves `scene`, `marked` serves `object`, `group` `odd` and `majority`,
# `pair` `position`, `described` and `other`, `level` its own cue. Hold measured accuracies against
# these, not against one. `topic` is what relevance needs, and so what `unrelated` needs: what the image
# is about. `size` asks which of two crops shows the smaller thing: 0.84, where chance is 0.5, so a crop
# tells much of the size (notebook 07, section 5). `drawing`, `colours` and `file size` are controls, at a
# chance of 0.25; the colours give a little away.
#
# A linear probe is a yardstick and no limit. A deeper reader may find more in the same features, and
# the grid of the whole image shows the thing once more.
#
# How near is the full model? Goal: 95 % of what probes reach with every ability (`learned_ceilings`),
# 90 % on `odd`, which takes several things at once.

# %%
from hamner.study.minitweets import learned_ceilings

table = ablation_tables.expected_beside_measured(found)
goals = table[table.row == "full"].set_index("cue")[["mean"]].loc[list(CUES)]
goals["allowed"] = learned_ceilings().loc["all"]
goals["goal"] = goals.allowed * [0.90 if cue == "odd" else 0.95 for cue in CUES]
goals["met"] = goals["mean"] >= goals.goal
goals.round(3)

# %% [markdown]
# And relevance: how often has a post whose words are about its image the higher $\rho$, of a
# relevant and an irrelevant one? Notebook 03 has that AUC for one model; here are the seeds.

# %%
from sklearn.metrics import roc_auc_score

from hamner.evaluation import read_relevance

answers = pd.read_json(corpus.folder / "answers.jsonl", lines=True).set_index("id")
relevant = answers.relevant[[post.id for post in corpus.test]]
for run in found:
    if row_of_run(run.config) == "full":
        rho = pd.Series(read_relevance(run.predictions))[relevant.index]
        print(f"seed {run.config.seed}: AUC {roc_auc_score(relevant, rho):.3f}")

# %% [markdown]
# What falls short is the doing of the model or of its training, not of the art. A mean over seeds is
# what counts: one seed may lie above a goal that the model does not reach.
#
# ## 4. The same rows on real tweets
#
# No ceilings here: nobody knows what the images of Twitter-2015 and 2017 tell. What is left is
# F1 over seeds, and the difference to the model that sees no image. `captions`
# means that a caption stood in for each image, because the images may not be handed on. The
# row `caption_words` is a baseline outside the ablation rows: text only, with each post's caption simply put
# behind its words.

# %%
real = [run for name in ("twitter2015", "twitter2017") for run in runs_of(name)]
lines = ablation_tables.over_runs(real, reference="text_only")
lines.drop(columns="encoder").round(2)

# %% [markdown]
# `shared_seeds` counts those that a row has in common with `text_only`. `sd` says what the seed
# alone does to one row, and `low` and `high` what it may do to the difference: its 95 % interval over
# seeds (Welch's t), where the difference may lie if ever more seeds were trained and put to these very
# posts. Few seeds make it wide. One has none: a single draw of a wide lot is no finding, in whichever
# direction it points.
#
# That is the difference to text only. The *price of a part*, as in notebook 07, section 5, is the
# difference to the full model over the same seeds (here minus is a loss):

# %%
prices = ablation_tables.over_runs(real, reference="full")
prices = prices[prices.row.isin(ROWS) & (prices.shared_seeds > 0)]
prices.drop(columns=["encoder", "source"]).round(2)

# %% [markdown]
# Intervals over posts and paired tests of these rows are in notebook 09.
#
# Captions cannot exercise every row. A phrase of a caption has no place in the image, so there is
# no geometry: `no_spatial`, `no_absolute_geometry` and `no_relative_geometry` take nothing away that
# was there, and need images. Which rows have no record, these three aside?

# %%
from hamner.training.rows import OF_GEOMETRY

for name in ("twitter2015", "twitter2017"):
    seen = set(lines[lines.corpus == name].row)
    missing = [row for row in STUDY_ROWS if row not in seen.union(OF_GEOMETRY)]
    print(f"{name}: {', '.join(missing) or 'none'}")

# %% [markdown]
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import torch

from hamner.exercises import check_choice, check_function, right

# %% [markdown]
# **1 · level 1.** *A piece of a lesion.* Write `of_another`: each post gets what a part computed for the
# post before it, and the first post that of the last. What does a part still do in a model with this
# lesion, and what does it no longer do?
#
# <details><summary>Hint</summary>
#
# `torch.roll(values, 1, dims=0)` turns the first axis by one place.
#
# </details>


# %% tags=["solution"]
def of_another(values):
    """What a part computed for B posts, (B, ...), to the values of other posts."""
    # BEGIN SOLUTION
    # The part still gives values of the usual kind: what is lost is that they are about this post.
    return torch.roll(values, 1, dims=0)
    # END SOLUTION


# %% tags=["check"]
computed = torch.arange(12.0).reshape(3, 2, 2) ** 2
constant = computed.mean(0).expand_as(computed)
mistakes = {
    "each post keeps its own value": computed,
    "take the post before, not the one after": computed[[1, 2, 0]],
    "the post in the middle keeps its own value": computed.flip(0),
    "the mean over posts is a constant: give each post another one's value": constant,
    "turn the axis of the posts, not another one": computed[:, [1, 0]],
}
check_function(of_another, (computed,), computed[[2, 0, 1]], "as before", mistakes=mistakes)
right("of_another")

# %% [markdown]
# **2 · level 2.** *A measurement.* `unrelated` has fewer names than `scene` has. Why? Take a tagger that
# cannot judge relevance: on neutral words it trusts every image or none. A trusted image is right
# about each name of `scene` and wrong about each name of `unrelated`. Without images it guesses among four
# types in `scene` and knows all names of `unrelated`. Write `trust`: its accuracy on the names of both
# cues together, when it trusts every image and when it trusts none.
#
# <details><summary>Hint</summary>
#
# Count the names that are right, and divide by the names of both cues.
#
# </details>


# %% tags=["solution"]
def trust(scene, unrelated):
    """Numbers of names of the two cues to the accuracy with every image and with none."""
    # BEGIN SOLUTION
    both = scene + unrelated
    return scene / both, (scene / 4 + unrelated) / both
    # END SOLUTION


# %% tags=["check"]
mistakes = {"that is the mean of two accuracies: each name counts once": torch.tensor(0.5)}
mistakes["each name counts once: that is the mean of two accuracies"] = torch.tensor(0.625)
mistakes["a guess among four types is right once in four"] = torch.tensor(0.2)
mistakes["divide by the names of both cues"] = torch.tensor(1.0)
expected = {"the accuracy with every image": 0.8, "the accuracy with none": 0.4}
check_function(trust, (400, 100), expected, mistakes=mistakes)
right("trust")

# %%
few, many = in_test["unrelated"], in_test["scene"]
for unrelated in (few, many):
    every, none = trust(many, unrelated)
    print(f"{unrelated} names of unrelated: every image {every:.2f}, none {none:.2f}")
assert trust(many, few)[0] > trust(many, few)[1] and trust(many, many)[0] < trust(many, many)[1]

# %% [markdown]
# With 192 names looking pays, and a tagger learns to look before it learns to judge. With as many names
# of `unrelated` as of `scene` it would do best to look at no image at all.
#
# The lesion `rho_one` makes the trained model such a tagger. Its accuracy on the names of both cues:

# %%
both = in_test[["scene", "unrelated"]]
of_rho_one = replaced[replaced.lesion == "rho_one"].set_index("measure").lesioned[both.index]
believing = (of_rho_one * both).sum() / both.sum() / 100
assert abs(believing - trust(many, few)[0]) < 0.05
print(f"{believing:.2f}")

# %% [markdown]
# **3 · level 3.** *An argument.* A lesion puts zeros in the place of the vectors of all objects. The type
# accuracy falls on every cue: by 60 points on `object`, by 40 on `text`, whose words say it all and whose
# image nobody needs. What follows? `"a"`: The objects are used on every cue. `"b"`: The objects are
# necessary on every cue. `"c"`: The model is damaged: zeros are nothing that it ever met, so the fall on
# `object` may be damage, too. `"d"`: The words of `text` do not say it all.
#
# <details><summary>Hint</summary>
#
# What would the vectors of *another post's* objects do to `text`, if objects are not used there?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "c"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "a fall where nothing is to be read from an image says that the replacement itself does harm",
    "b": "whether a part is necessary is asked by training without it",
    "d": "a tagger without any image knows these names, as the row `text_only` shows",
}
check_choice("answer", answer, "c", why_not)
right("a lesion needs a cue that must not change, and a replacement that the model knows")

# %% [markdown]
# ## What we do not know of the paper
#
# - Whether its parts are used. A lesion needs trained weights, and none were released.
# - What each part adds by itself. By a summary that others wrote its ablation leaves parts out one by one.
# - How good its features are. It names no yardstick like our probes, as far as we have seen.
