# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Stage 2: does the image belong to the words?
#
# | | |
# | --- | --- |
# | **Goal** | follow the relevance of an image from two vectors to one number, and hold it against the truth |
# | **You need** | notebook 02 helps; no training |
# | **Time** | about 20 minutes to read, less than a minute to run |
# | **Of the paper** | stage 2: the relevance between text and image |
#
# People put a sunset beside a complaint about trains. A tagger that believes every image is
# then worse than one that has no eyes. So the paper puts a judge between seeing and using: how
# relevant is this image to these words? The answer, one number per post, scales all that the
# image may say. Nobody teaches the judge. It learns from the tagging loss alone, end to end.
#
# On real tweets nobody can say whether such a judge is right, since nobody wrote down which
# images are relevant. On *minitweets* it is known of every post.
#
# Stage 2 gives a second result, the share of each kind of visual knowledge. It is made here, and
# looked at in [notebook 03b](03b_integration.ipynb).

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
import torch

from hamner import Tagger, load_corpus
from hamner.corpora import project_folder
from hamner.models import trained_or_bundled
from hamner.study.pointing import forward, visual_features

# %% [markdown]
# The run comes with hamner. If you have trained your own and its weights differ, the cell takes that one, and says so:
#
#     hamner train minitweets --row full --threads 1 --run data/models/minitweets-full
#     hamner calibrate data/models/minitweets-full

# %%
trained = project_folder() / "data" / "models" / "minitweets-full"
tagger = Tagger.from_pretrained(trained_or_bundled(trained))
corpus = load_corpus("minitweets")
store = visual_features(tagger, corpus, corpus.test)
answers = pd.read_json(corpus.folder / "answers.jsonl", lines=True).set_index("id")

# %% [markdown]
# ## 1. Two posts
#
# The first test post of cue `scene`, whose image shows what the words are about, and the
# first of cue `unrelated`, whose image is about another topic.


# %%
def first(cue):
    return next(post for post in corpus.test if answers.cue[post.id] == cue)


pair = [first("scene"), first("unrelated")]
for post in pair:
    print(f"{answers.cue[post.id]:>9}:", " ".join(post.words))

# %% [markdown]
# `forward` puts both through the model and keeps its attention weights. The
# two numbers that this notebook is about come with it: the relevance $\rho$, and $\beta$, which
# says how much each kind of visual knowledge counts.

# %%
batch, output = forward(tagger, pair, store)
print("rho: ", [round(rho, 3) for rho in output.relevance.tolist()])
print("beta:", [[round(share, 3) for share in row] for row in output.integration.tolist()])

# %% [markdown]
# ## 2. How rho is made
#
# Now the same by hand. Stage 1 (notebook 02) leaves a sentence vector $s$, which says what the
# post is about, and a *memory*: the regions of the grid and the objects in two encodings.

# %%
model = tagger.model
with torch.no_grad():
    words, last = model.text(batch)
    s, word_weights = model.fusion.sentence(last, batch.word_mask)
    memory, _ = model.fusion.vision(batch.images)
print("s:", tuple(s.shape), "| memory:", tuple(memory.regions.shape))

# %% [markdown]
# The memory has three *grains* of visual knowledge: the whole image (*global*), objects by what
# they are (*semantic*), and objects by where they are (*spatial*). Each needs one vector, to be
# compared with $s$. A plain mean of its regions would be mostly background. So each region is
# asked how well it fits the sentence, and the grain's vector $v_g$ is the mean weighted by that
# fit.

# %%
from hamner.model.intra_modality import GRAINS

stage = model.fusion.relevance
vectors, region_weights = {}, {}
with torch.no_grad():
    for number, grain in enumerate(GRAINS):
        regions = memory.regions[:, memory.grain == number]  # (B, M_g, d)
        real = memory.mask[:, memory.grain == number]  # (B, M_g)
        fit = torch.einsum("bd,bmd->bm", stage.query(s), regions) / s.shape[-1] ** 0.5
        weights = fit.masked_fill(~real, -torch.inf).softmax(dim=-1)
        region_weights[grain] = weights
        vectors[grain] = stage.vision_norm(torch.einsum("bm,bmd->bd", weights, regions))

# %% [markdown]
# The sentence and each grain are turned into a common space, and there the angle between them is
# all that counts: the cosine is 1 when they point the same way, $-1$ when they point apart. A
# softmax makes shares of the three cosines: $\beta$ says how much each grain counts.
#
# $$c_g = \cos(W_t s, W_g v_g) \qquad \beta = \operatorname{softmax}_g(c_g)$$

# %%
with torch.no_grad():
    cosine = torch.stack(
        [
            torch.cosine_similarity(stage.asked(s), stage.of_grain[grain](v), dim=-1)
            for grain, v in vectors.items()
        ],
        dim=-1,
    )  # (B, 3)
beta = torch.softmax(cosine, dim=-1)
assert torch.allclose(beta, output.integration, atol=1e-5)
pd.DataFrame(beta.numpy(), columns=GRAINS, index=[answers.cue[post.id] for post in pair]).round(
    3
)

# %% [markdown]
# So integrated, the image is one vector $v$. Whether it is about the same thing as the words is
# another cosine, with projections of its own, and a sigmoid makes a number between 0 and 1 of it:
#
# $$v = \sum_g \beta_g v_g \qquad \rho = \sigma\bigl(c \cdot \cos(W_r s, W_v v)\bigr)$$

# %%
from hamner.model.relevance import SHARPNESS

with torch.no_grad():
    v = sum(beta[:, [number]] * vectors[grain] for number, grain in enumerate(GRAINS))  # (B, d)
    rho = torch.sigmoid(
        SHARPNESS * torch.cosine_similarity(stage.of_text(s), stage.of_image(v), dim=-1)
    )
assert torch.allclose(rho, output.relevance, atol=1e-5)
print("rho: ", [round(value, 3) for value in rho.tolist()])

# %% [markdown]
# The output holds the weights of the regions, each times the share of its grain. Ours are the same:

# %%
pool = torch.cat(
    [beta[:, [number]] * region_weights[grain] for number, grain in enumerate(GRAINS)], dim=-1
)
assert torch.allclose(pool, output.attention_weights.vision_pool, atol=1e-5)
assert torch.allclose(pool.sum(dim=-1), torch.ones(2))

# %% [markdown]
# Why the cosine, and why the fixed factor $c$? Because $\rho$ then cannot run away. In most
# posts the image helps, so all of training pulls $\rho$ up; a free number would soon sit where
# the sigmoid is flat, and the few misleading images could no longer move it. Bounded, it
# always stays within reach:

# %%
bounds = torch.sigmoid(torch.tensor([-SHARPNESS, SHARPNESS])).tolist()
print("rho lies between {:.3f} and {:.3f}".format(*bounds))

# %% [markdown]
# ## 3. What the judge looks at
#
# The weights of the regions, drawn on the two images. A number is weight times number of regions, so
# that 1 means *as much as any*; a box holds the mean of an object's two encodings.

# %%
from PIL import Image

from hamner.figures import stages
from hamner.study.pointing import of_objects
from hamner.drawing.style import save

regions = memory.mask.sum(dim=1, keepdim=True)  # (B, 1)
relative = output.attention_weights.vision_pool * regions
on_grid = relative[:, memory.grain == 0].numpy()
on_objects = of_objects(output.attention_weights, relative).numpy()

# %%
pooled = []
for row, post in enumerate(pair):
    real = batch.images.object_mask[row].numpy()
    title = f"{answers.cue[post.id]}: ρ = {output.relevance[row]:.2f}"
    boxes = batch.images.boxes[row].numpy()[real]
    image = Image.open(post.image)
    pooled.append(stages.Pooled(title, image, on_grid[row], boxes, on_objects[row][real]))
save(stages.image_vectors(pooled), "image_vectors")

# %% [markdown]
# *Two test posts of minitweets: their images, and the weights with which regions and objects
# enter the vectors of the grains, times the share of each grain.*
#
# ## 4. True, shuffled, blank
#
# Two posts prove nothing. Now all posts of the test split, each three times: with its own
# image, with a *shuffled* one (the image of the post before it in the batch), and with a
# *blank* one (all features zero, no object). What is exchanged is only the image; the words
# are the same to the last bit.

# %%
from hamner.model.batch import ImageFeatures


def shuffled(batch):
    return ImageFeatures(*(value.roll(1, dims=0) for value in batch.images))


def blank(batch):
    nothing = ImageFeatures(*map(torch.zeros_like, batch.images))
    return nothing._replace(image_mask=batch.images.image_mask)


# %%
from dataclasses import replace

from hamner.study.pointing import BATCH

batches, outputs = [], {"own": [], "shuffled": [], "blank": []}
for begin in range(0, len(corpus.test), BATCH):
    batch, own = forward(tagger, corpus.test[begin : begin + BATCH], store)
    batches.append(batch)
    outputs["own"].append(own)
    with torch.no_grad():
        for kind, change in (("shuffled", shuffled), ("blank", blank)):
            outputs[kind].append(model(replace(batch, images=change(batch))))

# %% [markdown]
# What should the judge say? For a post's own image `answers.jsonl` has the answer, *gold
# relevance*. For a shuffled one we look up both topics: it belongs to the words if they are the
# same, which happens by chance in about one post of five. A blank image is about nothing.

# %%
image_topic = (
    pd.read_json(corpus.folder / "contents.jsonl", lines=True).set_index("image").topic
)
ids = [post.id for post in corpus.test]
topic_of_image = {post.id: image_topic[post.image.name] for post in corpus.test}
before = [
    ids[begin + (row - 1) % len(batch.index)]  # whose image `shuffled` gave to this post
    for begin, batch in zip(range(0, len(ids), BATCH), batches)
    for row in range(len(batch.index))
]

# %%
from_post = {"own": ids, "shuffled": before, "blank": ids}
tables = []
for kind, some in outputs.items():
    table = pd.DataFrame({"id": ids, "image": kind, "topic": answers.topic[ids].to_numpy()})
    table["seen"] = [topic_of_image[id] for id in from_post[kind]]
    table["rho"] = torch.cat([output.relevance for output in some]).numpy()
    tables.append(table)
judged = pd.concat(tables, ignore_index=True)
judged["about"] = (judged.topic == judged.seen).map(
    {True: "the words", False: "something else"}
)
judged.loc[judged.image == "blank", "about"] = "nothing"

# %% [markdown]
# On own images, sameness of topic and gold relevance are one and the same, by construction:

# %%
own = judged[judged.image == "own"]
assert ((own.about == "the words").to_numpy() == answers.relevant[ids].to_numpy()).all()
judged.groupby(["image", "about"], sort=False).rho.agg(["count", "mean", "std"]).round(3)

# %%
save(stages.relevance_histogram(judged, tuple(bounds)), "relevance_histogram")

# %% [markdown]
# *Relevance on minitweets' test split, for own, shuffled and blank images. Each colour sums to
# 100 percent; dotted lines are the least and the greatest value there can be.*
#
# A blank image is a special case. In training the model never met one, so nothing ever told
# it what to say; whatever it says was not learnt. Compare that with *no* image, where the
# code, and not the judge, puts $\rho = 0$.
#
# ## 5. How good a judge?
#
# One number for the whole histogram is the AUC, the area under the ROC curve. It has a plain
# meaning: take a relevant and an irrelevant image at random; how often does the relevant one
# get the higher $\rho$? (A tie counts half.) 0.5 is a coin, 1 is perfect, and no threshold has
# to be chosen.


# %%
def auc(relevant, irrelevant):
    higher = relevant[:, None] > irrelevant[None, :]
    equal = relevant[:, None] == irrelevant[None, :]
    return (higher + 0.5 * equal).mean()


def split_by_gold(table):
    is_relevant = (table.about == "the words").to_numpy()
    return table.rho.to_numpy()[is_relevant], table.rho.to_numpy()[~is_relevant]


# %%
from sklearn.metrics import roc_auc_score

by_hand = auc(*split_by_gold(own))
assert abs(by_hand - roc_auc_score(own.about == "the words", own.rho)) < 1e-6

# %% [markdown]
# And how sure is that? Draw the posts anew, with replacement, as in notebook 05, but the relevant and
# the irrelevant ones each by themselves, for of each there must be some.

# %%
import numpy as np


def interval(table, resamples=300):
    relevant, irrelevant = split_by_gold(table)
    generator = np.random.default_rng(0)
    draws = [
        auc(
            generator.choice(relevant, len(relevant)),
            generator.choice(irrelevant, len(irrelevant)),
        )
        for _ in range(resamples)
    ]
    return np.quantile(draws, [0.025, 0.975])


# %%
rows = {}
for kind in ("own", "shuffled"):
    table = judged[judged.image == kind]
    low, high = interval(table)
    rows[kind] = {"AUC": auc(*split_by_gold(table)), "low": low, "high": high}
pd.DataFrame(rows).T.round(3)

# %% [markdown]
# This is the model of one seed; notebook 07b has the AUC of own images for every seed.
#
# Remember that no label of relevance was ever shown to the model. What it knows of relevance it
# knows because believing a wrong image costs it a wrong tag. That has a price: it learns to
# judge only where it could have been misled. In training, wrong images stood beside plain
# words and showed one subject; words such as *left* or *circled* always had the right image.
# Shuffling makes pairs that training never made, so expect the second AUC to be the lower one.
#
# The five topics allow a closer look. Each post is judged with its own and with a shuffled
# image, which gives every pair of topics some posts:

# %%
real = judged[judged.image != "blank"]
mean = real.pivot_table(index="topic", columns="seen", values="rho", aggfunc="mean")
save(stages.relevance_of_topics(mean), "relevance_of_topics")

# %% [markdown]
# *Mean relevance by the topic of the words and that of the image, own and shuffled images of
# minitweets' test split together.*
#
# A judge by topic is dark on the diagonal and pale beside it. A dark spot off the diagonal: words of
# this topic take images of that one for theirs. It need not be mutual. And a pale spot *on* the
# diagonal is a topic whose own images are not believed.
#
# ## 6. Does the judgement matter?
#
# A number may separate well and still change nothing. So we take the judge out: let a hook put
# 1 (believe every image) or 0 (believe none) in the place of $\rho$, in the trained model, and
# see how many names still get their right type.

# %%
from hamner.study.minitweets import answers_of, type_accuracy

names = answers_of(corpus)


def tags_of(outputs):
    tags = {}
    for begin, output in zip(range(0, len(ids), BATCH), outputs):
        paths = model.decoder.decode(output.emissions, output.word_mask)
        for id, path in zip(ids[begin : begin + BATCH], paths):
            tags[id] = tuple(model.decoder.tags[tag] for tag in path)
    return tags


def accuracy(outputs):
    return 100 * type_accuracy(names, tags_of(outputs))


# %%
def with_rho(value):
    def put(module, inputs, output):
        return torch.full_like(output[0], value), *output[1:]

    hook = model.fusion.relevance.register_forward_hook(put)
    with torch.no_grad():
        changed = [model(batch) for batch in batches]
    hook.remove()
    return changed


# %%
judges = {"believe all (ρ = 1)": with_rho(1.0), "as judged": outputs["own"]}
judges["believe none (ρ = 0)"] = with_rho(0.0)
pd.DataFrame({name: accuracy(some) for name, some in judges.items()}).round(1)

# %% [markdown]
# Read the row `unrelated` first: there the image lies, and the judge's work is the difference
# between the first two columns. Then the rows `scene` to `level`: there only the image
# knows, and whoever believes none is left with chance, 25 percent for four types. A judge that errs
# pays on one side for what it wins on the other: compare `scene` under the first two columns, too.
#
# On `unrelated` nobody does better than who believes none: these names are known to train, and
# the words are enough. What does the judge get wrong? Take its names apart by the $\rho$ that they
# met:

# %%
tags, rho_of = tags_of(outputs["own"]), own.set_index("id").rho
lied_to = pd.DataFrame(
    [
        {"rho": rho_of[name.post], "right": tags[name.post][name.start][2:] == name.type}
        for name in names
        if name.cue == "unrelated"
    ]
)
steps = pd.cut(lied_to.rho, [0, 0.1, 0.3, 0.6, 1])
by_step = lied_to.groupby(steps, observed=True).right.agg(["count", "mean"])
assert by_step["mean"].iloc[0] > 0.95 and 0.6 < by_step["mean"].iloc[2] < 0.75
by_step.round(3)

# %% [markdown]
# Where the image is clearly refused, the name keeps its type. A judgement in the middle is no
# compromise: at a $\rho$ between 0.3 and 0.6, a share of a strong wrong opinion is still enough to
# outvote one name in three. The topics are visible, though no topic thing of test occurs in training:
# a linear probe reads that of most of these images (notebook 07b, section 3).
#
# The same for wrong images:

# %%
pd.DataFrame({kind: accuracy(some) for kind, some in outputs.items()}).round(1)

# %% [markdown]
# With shuffled or blank images no tagger can know the types of `scene` to `level`. What a
# good judge saves is `text`, where the words say it all, and `unrelated`, where they do for
# those who know the name.
#
# Which grain counts, and what there is to say of $\rho$ on real posts, follows in
# [notebook 03b](03b_integration.ipynb); [notebook 04](04_cross_modal_interaction.ipynb) goes on with stage 3.
#
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import numpy as np
import pandas as pd
import torch

from hamner.exercises import check_choice, check_function, right

# %% [markdown]
# **1 · level 1.** *A piece of stage 2.* Write `relevance`: $\rho$ from the two projected vectors, $W_r s$
# and $W_v v$, and the factor $c$. Work out the values of vectors that point the same way, apart, and
# at a right angle, before you run the check.
#
# <details><summary>Hint</summary>
#
# `torch.cosine_similarity(x, y, dim=-1)` compares the vectors of each post.
#
# </details>


# %% tags=["solution"]
def relevance(text, image, c):
    """Two vectors for each post, (B, d) each, and the factor c to rho (B,)."""
    # BEGIN SOLUTION
    return torch.sigmoid(c * torch.cosine_similarity(text, image, dim=-1))
    # END SOLUTION


# %% tags=["check"]
one = torch.tensor([[3.0, 4.0]]).expand(3, 2)
other = torch.tensor([[6.0, 8.0], [-3.0, -4.0], [4.0, -3.0]])
expected = torch.tensor([1.0, -1.0, 0.0]).mul(4).sigmoid()
products = (4 * (one * other).sum(-1)).sigmoid()
mistakes = {"a product of vectors grows with their lengths: take the cosine": products}
mistakes["the factor c is missing"] = torch.tensor([1.0, -1.0, 0.0]).sigmoid()
check_function(
    relevance, (one, other, 4.0), expected, "a number for each post", mistakes=mistakes
)
right("relevance")

# %% [markdown]
# **2 · level 2.** *An argument.* The AUC of $\rho$ is 0.98. Somebody concludes: *on `unrelated` an image can
# no longer mislead the model.* What is to be said against it? `"a"`: nothing, because an AUC near 1 means
# that $\rho$ is near 0 for every irrelevant image. `"b"`: the AUC compares ranks, and an irrelevant image
# can have a lower $\rho$ than all relevant ones and still one that moves a score. `"c"`: an AUC near 1 says
# that it was measured on train.
#
# <details><summary>Hint</summary>
#
# What happens to the AUC if every $\rho$ is halved?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "b"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "halve every rho, and the AUC stays as it is: it knows their order alone",
    "c": "the images are those of test, which no run was trained or chosen on",
}
check_choice("answer", answer, "b", why_not)
right("the AUC knows the order of rho, and not how much of the image is believed")

# %% [markdown]
# **3 · level 2.** *A measurement.* Not all or nothing: put $\rho$ at 0, 0.25, 0.5, 0.75 and 1. How much belief
# is enough to be led, and to be misled? Write `half_way`: from accuracies by $\rho$ to the smallest $\rho$ at
# which the accuracy has gone at least half of its way from the first value to the last one, upwards or
# downwards.
#
# <details><summary>Hint</summary>
#
# `(accuracies - first) / (last - first)` is 0 at the start and 1 at the end, whichever way it goes.
#
# </details>


# %% tags=["solution"]
def half_way(accuracies):
    """A pandas Series, rho -> accuracy, to a rho."""
    # BEGIN SOLUTION
    first, last = accuracies.iloc[0], accuracies.iloc[-1]
    gone = (accuracies - first) / (last - first)
    return gone[gone >= 0.5].index[0]
    # END SOLUTION


# %% tags=["check"]
rising = pd.Series([20.0, 30.0, 70.0, 90.0], index=[0.0, 0.25, 0.5, 1.0])
falling = pd.Series([90.0, 60.0, 30.0, 10.0], index=[0.0, 0.25, 0.5, 1.0])


def places():
    return torch.tensor([half_way(rising), half_way(falling)])


mistakes = {
    "an accuracy can fall as well: go from the first value to the last one": torch.tensor(
        [0.5, 0.0]
    ),
    "count the way from the first value, not from 0": torch.tensor([0.5, 1.0]),
}
check_function(places, (), torch.tensor([0.5, 0.5]), mistakes=mistakes, name="your half_way")
right("half_way")

# %%
doses = pd.DataFrame({rho: accuracy(with_rho(rho)) for rho in (0.0, 0.25, 0.5, 0.75, 1.0)})
print("led, on scene:", half_way(doses.loc["scene"]))
print("misled, on unrelated:", half_way(doses.loc["unrelated"]))
doses.loc[["scene", "unrelated"]].round(1)

# %% [markdown]
# **4 · level 3.** *A measurement.* Suppose you must say yes or no. Write `best_threshold`: among 0, 0.01
# to 1, the threshold on $\rho$ with the greatest mean of two shares, the relevant images above it and
# the others not above it. Why this mean, and not the share of all that are judged rightly?
#
# <details><summary>Hint</summary>
#
# `max(np.linspace(0, 1, 101), key=...)` with a function of the threshold. Of the shuffled images one in
# five is relevant, of the own ones nine in ten: which of the two shares would rule?
#
# </details>


# %% tags=["solution"]
def best_threshold(relevant, irrelevant):
    """rho of the relevant and of the other images to the best threshold."""

    # BEGIN SOLUTION
    def both(threshold):
        return (relevant > threshold).mean() + (irrelevant <= threshold).mean()

    # A threshold that is best for all of one mixture would say no far too often in the other.
    return max(np.linspace(0, 1, 101), key=both)
    # END SOLUTION


# %% tags=["check"]
few, many = np.array([0.805, 0.905]), np.full(98, 0.105)
rare = np.array([*many, 0.855, 0.855])  # two of a hundred are judged relevant


def side(threshold):
    """On which side of the threshold the values lie that decide."""
    return [float(threshold > 0.105), float(threshold > 0.805)]


def side_of_answer():
    return torch.tensor(side(best_threshold(few, rare)))


mistakes = {"count the two kinds apart: here the others are fifty times as many": torch.ones(2)}
between = torch.tensor([1.0, 0.0])
check_function(side_of_answer, (), between, mistakes=mistakes, name="your best_threshold")
right("best_threshold")

# %%
threshold = best_threshold(*split_by_gold(judged[judged.image == "shuffled"]))
relevant, irrelevant = split_by_gold(own)
yes, no = 100 * (relevant > threshold).mean(), 100 * (irrelevant <= threshold).mean()
print(f"threshold {threshold:.2f}: right on {yes:.1f} % of the relevant own images")
print(f"and on {no:.1f} % of the others")

# %% [markdown]
# ## What we do not know of the paper
#
# - How it computes the relevance. Stated is that it is evaluated, that it is learnt end to end
#   with no classifier from outside, and that visual knowledge of different grain is integrated
#   by it. The bounded cosine, $v$, and $\beta$ as shares of attention are ours.
# - Whether its relevance is one number per post, as here, or one for each grain or word.
# - How well it judges. To our knowledge no gold relevance exists for its corpora.
