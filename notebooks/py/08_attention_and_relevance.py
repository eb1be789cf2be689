# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · Attention and relevance: what did the model look at, and did it matter?
#
# | | |
# | --- | --- |
# | **Goal** | draw attention without flattery, hide what was looked at, count how often a name points at its answer |
# | **You need** | notebook 00; no training |
# | **Time** | about 35 minutes to read, about a minute to run |
# | **Of the paper** | what relevance and attention are said to do; papers show it on a few chosen images |
#
# An image with a red blob on the right thing convinces everybody, and proves little. The blob
# depends on how it is coloured. Where a model *looks* need not be what its answer *rests on*.
# And the image was chosen. This notebook takes the three apart: honest colours, occlusion
# beside attention, and a count over many posts instead of a chosen one.

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
import numpy as np
import pandas as pd

from hamner import Tagger, load_corpus
from hamner.corpora import project_folder
from hamner.models import trained_or_bundled
from hamner.figures import attention_maps
from hamner.study import pointing
from hamner.tagger import evidence
from hamner.drawing.style import save

# %% [markdown]
# The tagger is the full model, trained on minitweets. It comes with hamner. If you have trained
# your own and its weights differ, the cell takes that one, and says so:
#
#     hamner train minitweets --row full --threads 1 --run data/models/minitweets-full
#     hamner calibrate data/models/minitweets-full

# %%
corpus = load_corpus("minitweets")
trained = project_folder() / "data" / "models" / "minitweets-full"
tagger = Tagger.from_pretrained(trained_or_bundled(trained))

# %% [markdown]
# minitweets knows for each name what gives its type away (its *cue*) and which objects of the
# image carry the answer. Real tweets don't come with that; it is why we look here.

# %%
from hamner.study.minitweets import CUES, answers_of

posts = {post.id: post for post in corpus.test}
names = answers_of(corpus)
pd.Series([name.cue for name in names]).value_counts()[list(CUES)].to_frame("names in test")

# %% [markdown]
# To keep this quick we take the first 48 names of each cue, before we have seen anything of them.
# `visual_features` fetches what the backbone made of their images, once.

# %%
chosen = [name for cue in CUES for name in [one for one in names if one.cue == cue][:48]]
store = pointing.visual_features(tagger, corpus, [posts[name.post] for name in chosen])
len(chosen)

# %% [markdown]
# ## 1. A tagged post
#
# One post, whose text says which thing is meant: the circled one. `features` are those of the
# corpus, with its annotated objects, as the model was trained. Examples are the first of their cue
# without an emoji (of which a figure can only give the name).


# %%
def tag(name):
    post = posts[name.post]
    return tagger(words=post.words, image=post.image, features=store[post.id])


def first(cue):
    plain = [name for name in chosen if all(word.isascii() for word in posts[name.post].words)]
    return next(name for name in plain if name.cue == cue)


circled = tag(first("object"))
circled.show()

# %% [markdown]
# On the right, on grey: the map over the grid and the boxes. The numbers are *weight times number
# of regions*. A word's attention sums to 1 over all regions, so 1 on this scale is what a region
# gets if the word looks everywhere alike, 3 is three times as much, and an image with more
# objects does not look paler for it.
#
# ## 2. Honest scales
#
# Much software draws an attention map by stretching it: its least value becomes blue, its
# greatest red. Let us do so with three maps over the grid: of the name, of another word of the same
# post, and of nothing at all (1 everywhere, plus noise of one percent).

# %%
batch, output = pointing.forward(tagger, [posts[first("scene").post]], store)
weights = evidence.attention(output.attention_weights, batch.images)[0]  # words x regions
on_grid = weights[:, output.attention_weights.grain == 0].numpy()
on_grid.shape

# %%
from hamner.images import load_image

noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(on_grid.shape[1])
start = first("scene").start
words = posts[first("scene").post].words
other = 0 if start else len(words) - 1
maps = {f"“{words[i]}”": on_grid[i] for i in (start, other)} | {"noise": noise}
image = load_image(posts[first("scene").post].image)
save(attention_maps.honest_scales(image, maps), "honest_scales")

# %% [markdown]
# *Three maps over one image: above each stretched to its own range, below all on one scale. The
# third is random noise.*
#
# Above, all three look like findings, noise too. Below, they look like what they are: noise has no
# shape, and whether a word gives the grid anything at all shows in the colour. So hamner never stretches:
# one scale for a whole figure, the weight times the number of regions, and the *entropy* as a
# share of the greatest (1 = the word looks everywhere alike). It calls a map *flat* above 0.995.

# %%
from hamner.tagger.evidence import FLAT

entropies = pd.Series({title: evidence.entropy(values) for title, values in maps.items()})
assert (entropies > FLAT).tolist() == [False, False, True]
entropies.round(3)

# %% [markdown]
# Noise is flat, and neither word's map is.

# %%
share = on_grid[start].sum() / weights[start].sum()
assert share < 0.5
print(f"of the name's attention the grid gets {share:.0%}, the objects {1 - share:.0%}")

# %% [markdown]
# This name looks at the objects more than at the grid: the map above is the smaller part of the story.
#
# ## 3. Looked at is not the same as used
#
# Attention says which regions were read. What was read then passes through a value matrix, a
# feed-forward network, the gate and relevance, and any of them may throw it away. Jain and Wallace
# (*Attention is not explanation*, 2019) argue from two findings: in their recurrent text classifiers
# attention goes hardly together with what gradients and leaving words out say, and other
# attention weights can be found with which the output stays the same. Wiegreffe and Pinter
# (*Attention is not not explanation*, 2019) answer that such weights are no evidence until a model can
# be *trained* to them, and that an explanation need not be the only one. Both agree that attention
# has to be tested against something. *Occlusion* is that: take the region away and tag again.
# If the probability of the entity falls, the region mattered (after Zeiler and Fergus 2014).
#
# A region of the grid is replaced by the mean of the grid; an object is masked. Neither is an image
# that the model has met: a masked object is rare in training, and a mean region never occurs. So
# the drop mixes "this told the answer" with "this is strange"; section 4 repeats it with another
# replacement. Here are the two beside each other, for one name from each of four cues.


# %%
def case(name):
    tagged = tag(name)
    found = [entity for entity in tagged.entities if entity.words[0] == name.start]
    if not found:
        return None
    said = f"said {found[0].type} {found[0].score:.2f}, is {name.type}"
    title = f"{found[0].text} ({name.cue})\n{said}\nrelevance {tagged.relevance:.2f}"
    (boxes,) = pointing.answer_boxes(corpus, [name])
    return attention_maps.Case(title, load_image(tagged.image), found[0].evidence, boxes)


# %%
four = [case(first(cue)) for cue in ("scene", "object", "position", "unrelated")]
drawn = attention_maps.attention_and_occlusion([one for one in four if one is not None])
save(drawn, "attention_and_occlusion")

# %% [markdown]
# *Left: the image; a black box marks what carries the answer. Middle: where the name looked.
# Right: by how much the entity's probability falls when a region or an object is hidden.*
#
# Three things are worth noticing.
#
# - The same thing is there more than once: a large subject is an object *and* fills regions of the
#   grid. Hide one of the two, and the other still shows it. A small drop does not mean that a thing
#   is unused; compare it with the drop for the *whole image*. It can be the other way round, too:
#   hide the right object alone, and the tagger believes another one, which may cost more than
#   seeing nothing.
# - The last row is a post whose image is about something else. Attention still sums to 1: a
#   softmax has to look *somewhere*. Whether anything of it is used is decided by relevance.
# - A drop can be negative: without that object the model would have been surer.
#
# ## 4. All the names
#
# `object_evidence` collects, for each name and each object of its image, the attention of the
# name's first word and the drop without the object.

# %%
seen = pointing.object_evidence(tagger, corpus, chosen, store)
columns = ["cue", "predicted", "relevance", "object"]
columns += ["answer", "attention", "drop", "image_drop"]
seen[columns].head(8).round(2).replace(-0.0, 0.0)

# %% [markdown]
# Relevance first, and what the whole image is worth: the mean fall in the probability of what was
# said, and the share of names for which it hardly falls at all (by less than 0.1).

# %%
per_name = seen.drop_duplicates(["post", "start"])
by_cue = per_name.groupby("cue")[["relevance", "image_drop"]].mean().loc[list(CUES)]
hardly = (per_name.image_drop < 0.1).groupby(per_name.cue).mean()
words_tell = by_cue.index.isin(["text", "unrelated"])
assert (by_cue.image_drop[words_tell] < 0.2).all() and (
    by_cue.image_drop[~words_tell] > 0.4
).all()
by_cue.assign(**{"hardly falls": hardly}).round(2)

# %% [markdown]
# Where the words give the type away (`text`) and where the image has nothing to say
# (`unrelated`), a good model loses little with the image. In the eight cues between, it should fall
# to what the words alone can know: about one in four, so that a drop of 0.75 is about all there is. So it
# does: the mean drop is below 0.2 in the two cues, and above 0.4 in each of the eight.
#
# Does relevance tell the images that help from those that mislead? The area under its ROC curve
# is the probability that a related image gets the higher value: 0.5 is chance.

# %%
from scipy.stats import mannwhitneyu, spearmanr

related = per_name.relevance[per_name.cue != "unrelated"]
misleading = per_name.relevance[per_name.cue == "unrelated"]
pairs = len(related) * len(misleading)
auc = mannwhitneyu(related, misleading).statistic / pairs
assert auc > 0.9
print(f"AUC of relevance: {auc:.3f}")

# %% [markdown]
# It does, nearly always.
#
# Is the drop a matter of the hiding? The second replacement is nothing strange: in the answer's place
# stands an object of another post's image (`exchanged`), of which the model has met thousands.

# %%
of_answers = seen[seen.answer & seen.cue.ne("text")]
two_ways = of_answers.groupby("cue")[["drop", "exchanged"]].mean()
agree = spearmanr(of_answers["drop"], of_answers.exchanged).statistic
print(f"rank correlation of the two drops over {len(of_answers)} answers: {agree:.2f}")
assert agree > 0.3
two_ways.loc[[cue for cue in CUES if cue in two_ways.index]].round(2)

# %% [markdown]
# The two agree on which answers matter, and where they differ in size, `drop` mixes in how strange a
# hole is. Exchanging costs more where the newcomer is of another type: it does not only take the
# answer away, it gives a wrong one.
#
# Now each object: what it was given, against what it was worth.

# %%
save(attention_maps.attention_against_drop(seen), "attention_against_drop")

# %% [markdown]
# *Each dot is an object that a name could look at: its attention, and the fall in probability
# without it.*
#
# If attention were evidence, dots would lie on a rising line. A rank correlation per cue says how
# near they come. In `text` and `unrelated` the rank says nothing: where nothing matters, the order
# of drops is the order of rounding errors.

# %%
ranks = {}
for cue in CUES:
    some = seen[seen.cue == cue]
    ranks[cue] = spearmanr(some["attention"], some["drop"]).statistic
assert 0.2 < max(ranks.values()) < 0.7
pd.Series(ranks).round(2).to_frame("rank correlation")

# %% [markdown]
# Attention and drop go together in some cues, and loosely: no correlation reaches 0.7.
#
# ## 5. The pointing game
#
# One number for "does it look at the right thing" (after Zhang et al. 2018): a name scores when
# the object of its greatest attention is one that carries the answer. The same game can be played
# with occlusion. Chance is the share of the image's objects that carry the answer: in `majority`
# that may be three of seven, so a raw score means nothing without it.

# %%
games = pointing.pointing_game(seen)
shares = games.groupby("cue")[["attention", "occlusion", "chance", "right"]].mean()
assert (shares.attention > shares.chance).all() and (shares.occlusion > shares.chance).all()
shares.loc[[cue for cue in CUES if cue in shares.index]].round(2)

# %% [markdown]
# Attention and occlusion both point at the answer more often than chance, in every cue. Attention finds
# it for about nine names in ten or more, and more often than occlusion, in every cue but `odd`. There it
# finds fewer than half, occlusion more than half:

# %%
one, rest = shares.loc["odd"], shares.drop("odd")
assert rest.attention.min() > 0.89 and (rest.attention > rest.occlusion).all()
assert one.attention < 0.5 < one.occlusion

# %%
save(attention_maps.pointing(games), "pointing_game")

# %% [markdown]
# *Share of names whose object of most attention, or of greatest drop, carries the answer, by cue
# (in brackets: names). Bars are 95 % intervals for as many cases as there are images, for names that
# share one are not independent; dotted lines are chance. `unrelated` has no object to point at.*
#
# Compare each cue with its own chance, not with another cue. A subject that fills the image is
# easy to point at, though the grid holds it as well. In `odd` the answer can be told by
# looking at the *others*. And a name of `text` needs no object at all: its score means little.
#
# The game has to be able to fail, or it shows nothing. The control is an untrained network of the
# same shape: it must play about as chance does.

# %%
from hamner.evaluation import wilson
from hamner.training.loop import build_model

untrained = Tagger.from_pretrained(tagger.run.folder)
shape = {key: tagger.run.record["features"][key] for key in ("channels", "classes")}
untrained.model = build_model(tagger.config.model, seed=7, **shape).eval()
control = pointing.pointing_game(pointing.object_evidence(untrained, corpus, chosen, store))
played = control.groupby("cue")[["attention", "chance"]].mean()
played.loc[[cue for cue in CUES if cue in played.index]].round(2)

# %% [markdown]
# One cue alone is few names. All cues together, with a 95 % interval: a network that points
# without having learnt anything has its likes too (large things, say), so it may lie a little off
# chance, but it must stay far below the trained one. (Its occlusion is exactly chance: every
# branch of stage 3 starts at zero, so all objects tie.)

# %%
low, high = wilson(control.attention.mean(), control.image.nunique())
print(f"untrained: {low:.2f} to {high:.2f}; chance {control.chance.mean():.2f}")
assert high < games.attention.mean()
assert np.isclose(control.occlusion.mean(), control.chance.mean())

# %% [markdown]
# ## 6. Failures
#
# Four kinds of names: those that point well or badly, and whose type is right or wrong. If
# attention explained the answers, the diagonal would hold everything.

# %%
needs_image = games[
    games.cue.isin(["scene", "object", "odd", "majority", "position", "described", "other"])
]
pointed = np.where(needs_image.attention > 0, "points at the answer", "points elsewhere")
typed = np.where(needs_image.right, "type right", "type wrong")
kinds_of_names = pd.crosstab(pointed, typed, rownames=[""], colnames=[""])
(hit_right, hit_wrong), (miss_right, miss_wrong) = kinds_of_names.to_numpy()
assert hit_right + miss_wrong > 0.8 * len(needs_image)
assert (hit_wrong, miss_right, miss_wrong) == (24, 24, 16)
assert (needs_image.attention == 0)[needs_image.cue == "odd"].sum() == 28
kinds_of_names

# %% [markdown]
# It holds most of them, and not all. As many look at the answer and get a wrong type as look elsewhere
# and get the right one. Of the 40 names that point elsewhere 24 are right all the same; 28 are of `odd`.
#
# Now one name of each of three kinds: it looked at the right thing and was wrong, it looked elsewhere
# and was wrong, it looked elsewhere and was right. None is chosen: each is the first of its kind in
# which the tagger found an entity.

# %%
kinds = [(True, False), (False, False), (False, True)]  # (points at the answer, type is right)
name_at = {(name.post, name.start): name for name in chosen}
cases = []
for kind in kinds:
    of_kind = [(row.attention > 0, row.right) == kind for row in needs_image.itertuples()]
    some = needs_image[of_kind]
    drawn = (case(name_at[key]) for key in zip(some.post, some.start))
    cases += [one for one in drawn if one is not None][:1]
print(f"{len(cases)} of {len(kinds)} kinds have such a name")

# %%
save(
    attention_maps.attention_and_occlusion(cases), "attention_failures"
) if cases else "no failures"

# %% [markdown]
# *The first name of each kind, among those that need the image; columns as before.*
#
# Before you write a sentence about such a figure, ask what else would have drawn it. *It looked at
# the right thing and misread it* is one story; the drop column says whether the thing had any part
# in the answer.

# %% [markdown]
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import math

import torch

from hamner.exercises import check_choice, check_function, random_images, right

# %% [markdown]
# **1 · level 1.** *A piece of a measure.* Write `entropy` of a map: make shares $p_r$ of the weights, and
# divide the entropy $-\sum_r p_r \ln p_r$ by the greatest there can be, $\ln R$ for $R$ regions.
#
# <details><summary>Hint</summary>
#
# A weight may be 0, and $0 \ln 0$ is 0: `torch.xlogy(p, p)` knows that. What is the entropy of a map that
# is the same everywhere?
#
# </details>


# %% tags=["solution"]
def entropy(weights):
    """A map (R,) of weights to its entropy as a share of the greatest: 1 is flat."""
    # BEGIN SOLUTION
    p = weights / weights.sum()
    return -torch.xlogy(p, p).sum() / math.log(len(p))
    # END SOLUTION


# %% tags=["check"]
three, four = torch.tensor([4.0, 4.0, 8.0]), torch.tensor([4.0, 4.0, 8.0, 0.0])
in_nats = torch.tensor(1.5 * math.log(2))
mistakes = {"divide by the entropy of a flat map, ln R": in_nats}
mistakes["the sign: ln of a share is below zero"] = -in_nats / math.log(3)
mistakes["make shares of the weights first"] = -(three * three.log()).sum() / math.log(3)
check_function(entropy, (three,), in_nats / math.log(3), "one number", mistakes=mistakes)
mistakes = {"R counts all regions, those of weight 0 too": in_nats / math.log(3)}
check_function(entropy, (four,), torch.tensor(0.75), "one number", mistakes=mistakes)
right("entropy")

# %%
for title, values in maps.items():
    assert abs(entropy(torch.tensor(values)) - evidence.entropy(values)) < 1e-4
    print(f"{title}: {entropy(torch.tensor(values)):.3f}")

# %% [markdown]
# **2 · level 2.** *A piece of a stage.* Occlusion hides an object from the model. Write `without`: the
# features of a batch in which no post has its object number $k$. The object is to be *absent*: a vector of
# zeros would still be read. The batch itself must stay as it is.
#
# <details><summary>Hint</summary>
#
# Two masks say what is read: `object_mask` for what an object looks like, and `box_mask` for where it is.
# `mask.clone()` makes a copy to change, and `images._replace(object_mask=...)` new features.
#
# </details>


# %% tags=["solution"]
def without(images, k):
    """Features of a batch to the same features without object k."""
    # BEGIN SOLUTION
    object_mask, box_mask = images.object_mask.clone(), images.box_mask.clone()
    object_mask[:, k] = False
    box_mask[:, k] = False
    return images._replace(object_mask=object_mask, box_mask=box_mask)
    # END SOLUTION


# %% tags=["check"]
images, before = random_images(), random_images().object_mask
images = images._replace(box_mask=before.clone())
hidden = before & torch.tensor([True, False, True])
expected = images._asdict() | {"object_mask": hidden, "box_mask": hidden}
expected = {name: value.clone() for name, value in expected.items()}
mistakes = {"the object is still in this mask, so a part of the model reads it": before}
zeros = images.objects * torch.tensor([1.0, 0.0, 1.0])[:, None]
mistakes["a vector of zeros is read like any other: change the masks"] = zeros
check_function(without, (images, 1), expected, mistakes=mistakes)
mistakes = {"you changed the batch itself: change a clone() of its mask": hidden}
for mask in ("object_mask", "box_mask"):
    name = f"the {mask} of the batch"
    check_function(getattr, (images, mask), before, mistakes=mistakes, name=name)
right("without")

# %%
from dataclasses import replace

some = [posts[name.post] for name in chosen if name.cue == "scene"]
batch, output = pointing.forward(tagger, some, store)
paths = {"all of them": tagger.model.decoder.decode(output.emissions, output.word_mask)}
for k in range(4):
    with torch.no_grad():
        output = tagger.model(replace(batch, images=without(batch.images, k)))
    paths[f"object {k} hidden"] = tagger.model.decoder.decode(
        output.emissions, output.word_mask
    )
for title, these in list(paths.items())[1:]:
    changed = sum(one != other for one, other in zip(paths["all of them"], these))
    assert changed < len(some) / 3
    print(f"{title}: {changed} of {len(some)} posts are tagged otherwise")

# %% [markdown]
# Each of the four is the subject of about a quarter of these images, and hiding it changes the tags of
# fewer posts than a third: where it is not the subject, it hardly counts.
#
# **3 · level 2.** *A measurement.* The pointing game on the grid. Write `points_at`: whether the region
# with the greatest weight has its centre in one of the boxes that carry the answer (1 or 0), and *chance*:
# the share of all regions whose centre lies in one.
#
# <details><summary>Hint</summary>
#
# `(centres[:, None] > boxes[:, :2])` compares each centre with each box, (R, a, 2). A centre is inside if
# `all` of its coordinates are, in `any` of the boxes.
#
# </details>


# %% tags=["solution"]
def points_at(weights, centres, boxes):
    """Weights (R,) and centres (R, 2) of regions, boxes (a, 4) as x1 y1 x2 y2: the hit, and chance."""
    # BEGIN SOLUTION
    of_each = (centres[:, None] > boxes[:, :2]) & (centres[:, None] < boxes[:, 2:])  # (R, a, 2)
    inside = of_each.all(-1).any(-1).float()  # (R,)
    return inside[weights.argmax()], inside.mean()
    # END SOLUTION


# %% tags=["check"]
place = torch.tensor([0.125, 0.375, 0.625, 0.875])
centres = torch.stack([place.repeat(4), place.repeat_interleave(4)], 1)  # a grid of 4 x 4
boxes = torch.tensor([[0.0, 0.0, 0.3, 0.5], [0.6, 0.6, 1.0, 0.7]])  # 2 + 2 regions
weights = torch.full((16,), 0.04)
weights[11] = 0.4  # in the second box


def two_numbers(weights, centres, boxes):
    found = points_at(weights, centres, boxes)
    return found if found is None or found is ... else [float(value) for value in found]


mistakes = {"the greatest weight is in the second box, and any box counts": torch.tensor(0.0)}
mistakes["that is the weight inside: ask where the greatest one lies"] = torch.tensor(0.52)
mistakes["chance is a share of regions, not their number"] = torch.tensor(4.0)
expected = {"the hit": 1.0, "chance": 0.25}
mine = {"mistakes": mistakes, "name": "your points_at"}
check_function(two_numbers, (weights, centres, boxes), expected, **mine)
elsewhere = {"the hit": 0.0, "chance": 0.25}
check_function(two_numbers, (weights.roll(1), centres, boxes), elsewhere, name="your points_at")
right("points_at")

# %%
side = tagger.config.visual.grid_side
place = (torch.arange(side) + 0.5) / side
centres = torch.stack([place.repeat(side), place.repeat_interleave(side)], 1)
lines = []
for cue in ("scene", "object", "odd", "majority", "position", "described", "other"):
    some = [name for name in chosen if name.cue == cue]
    batch, output = pointing.forward(tagger, [posts[name.post] for name in some], store)
    weights = evidence.attention(output.attention_weights, batch.images)
    for row, (name, boxes) in enumerate(zip(some, pointing.answer_boxes(corpus, some))):
        looked = weights[row, name.start]
        on_grid = looked[output.attention_weights.grain == 0]
        hit, chance = points_at(on_grid, centres, torch.tensor(boxes))
        lines.append((cue, float(hit), float(chance), float(on_grid.sum() / looked.sum())))
columns = ["cue", "grid", "chance", "attention on the grid"]
of_grid = pd.DataFrame(lines, columns=columns).groupby("cue", sort=False).mean()
assert (of_grid.grid > of_grid.chance).all()
of_grid.round(2)

# %% [markdown]
# On the grid, too, names point at the answer more often than chance, in every cue. But a map of little
# attention has a greatest region as well: the last column says how much there is to look at.
#
# **4 · level 3.** *An argument.* A paper shows one post: a red blob on the thing that carries the answer.
# Its authors hide that object, and the probability falls by 0.01; without the whole image it falls by
# 0.70. What follows? `"a"`: The model did not use the thing. `"b"`: The words gave the type away. `"c"`: The
# image has the thing a second time, such as in regions of the grid. `"d"`: The model was too sure for a
# drop to show.
#
# <details><summary>Hint</summary>
#
# Which of the four can be true together with 0.70?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "c"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "hiding one of two that show the same costs nothing, whichever of them was used",
    "b": "then the whole image would be worth nothing, and it is worth 0.70",
    "d": "the probability had room to fall: without the image it fell by 0.70",
}
check_choice("answer", answer, "c", why_not)
right("one drop cannot see what is there twice")

# %% [markdown]
# ## What we do not know of the paper
#
# - Which attention it draws, if any: of which layer and head, and on what scale.
# - Whether it tested by occlusion that what is looked at matters.
# - What form its relevance takes, and on which posts it was found to be right. On real tweets there
#   is no gold relevance; minitweets has it by construction, and is no substitute for tweets.
