# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · Stage 1: each modality by itself
#
# | | |
# | --- | --- |
# | **Goal** | build by hand what words, regions and objects are to the model before they meet one another |
# | **You need** | notebook 01; no training |
# | **Time** | about 30 minutes to read, less than a minute to run |
# | **Of the paper** | stage 1: global and local text; global, object-level, semantic and spatial image |
#
# Before words and image can be held against each other, each must be understood by itself.
# For a word that means: what it is, what the whole post is about, and what stands right beside
# it. For an image: what it shows as a whole, which things are in it, what these are to one
# another, and where they are. Those last two are the paper's *semantic* and *spatial* learning,
# and it does them with no outside tool: no captioner, no scene-graph parser.

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
import torch

from hamner import Tagger, load_corpus
from hamner.corpora import project_folder, spans
from hamner.models import trained_or_bundled
from hamner.study.pointing import forward, visual_features

pd.options.display.max_columns = 40  # a post is wider than the twenty that pandas shows

# %% [markdown]
# The run comes with hamner. If you have trained your own and its weights differ, the cell takes that one, and says so:
#
#     hamner train minitweets --row full --threads 1 --run data/models/minitweets-full
#     hamner calibrate data/models/minitweets-full

# %%
trained = project_folder() / "data" / "models" / "minitweets-full"
tagger = Tagger.from_pretrained(trained_or_bundled(trained))
model = tagger.model
torch.set_grad_enabled(False)  # nothing is trained here
corpus = load_corpus("minitweets")
answers = pd.read_json(corpus.folder / "answers.jsonl", lines=True).set_index("id")

# %% [markdown]
# The whole of this model, drawn from its own parts. We are in the first band; a solid outline is
# what the paper states, a dashed one is ours, a dotted one the first author's related code.

# %%
from hamner.figures import architecture
from hamner.drawing.style import save

example = "Kelso ( left ) meets Orva"
tags = "B-PER O O O O B-LOC"
save(architecture.architecture(model, example.split(), tags.split()), "architecture")

# %% [markdown]
# *The model from post and image to tags: the shape of what each block gives and its number of
# parameters, both read from the model itself; outlines say where a block comes from.*
#
# Two posts will accompany us: one of cue `position`, which needs to know *where* things are, and
# one of cue `odd`, which needs to know *what they are to one another*.


# %%
def first(cue):
    return next(post for post in corpus.test if answers.cue[post.id] == cue)


posts = [first("position"), first("odd")]
store = visual_features(tagger, corpus, posts)
batch, output = forward(tagger, posts, store)
for post in posts:
    print(f"{answers.cue[post.id]:>8}:", " ".join(post.words))

# %% [markdown]
# `forward` runs the whole model once and keeps its attention weights (`output.attention_weights`).
# All that we build by hand below is held against that very pass.
#
# ## 1. Words
#
# A text encoder reads the post as word pieces. A word is represented by its first piece, in
# *every* layer of the encoder:

# %%
layers, embedded = batch.word_layers, batch.word_embeddings
print("layers (B, n, L, d_enc):", tuple(layers.shape))
print("input embeddings (B, n, d_enc):", tuple(embedded.shape))

# %% [markdown]
# Which layer should one take? The last one is a summary of meaning; lower ones know more of form
# and neighbours. The model does not choose: it learns a mix with a share for each layer. The shares
# sum to one. After training they are:

# %%
text = model.text
shares = text.mix.softmax(dim=0)
assert shares[3:5].sum() > 1 / 2 and shares[:3].sum() < 1 / 10
pd.DataFrame({"share (%)": 100 * shares.double().numpy()}).round(1).T

# %% [markdown]
# The layers 3 and 4, in the middle, get more than half, the three below them less than a tenth
# together. To the mix a second view is added, *local* knowledge: a convolution of width 7 over the
# input embeddings, three words to the left and three to the right. Together they are the word
# vectors $T$ that the rest of the model reads:
#
# $$T = W_t \sum_l \alpha_l\, \mathrm{LN}\, h^{(l)} + \operatorname{Conv}_7(\mathrm{LN}\, e)$$
#
# LN gives every vector mean 0 and variance 1, because the layers differ in scale. It is there for
# a frozen encoder alone, as this one is; an encoder that learns along settles its own scale. A
# frozen encoder always gives the same vectors, so they are standardised once, when they are read:
# `layers` and `embedded` are standardised already.

# %%
mixed = torch.einsum("l,bnld->bnd", shares, layers)
nearby = embedded * batch.word_mask[:, :, None]
local = text.local(nearby.transpose(1, 2)).transpose(1, 2)
by_hand = text.project(mixed) + local

T, last = text(batch)
assert torch.allclose(by_hand, T, atol=1e-4)
tuple(T.shape)

# %% [markdown]
# Why the convolution? A sentence encoder washes out what stands beside a word: for *what is this
# text about?* it does not matter who stands left. For us it does. A *linear probe* measures what a
# vector tells: can a logistic regression read from the vector of `Kelso` alone whether `(left)` or
# `(right)` stands behind it? It learns from half of the ambiguous names and is asked about the
# other half; chance is 0.50.

# %%
from sklearn.linear_model import LogisticRegression

from hamner.corpora import Post
from hamner.training.batching import prepare

mentions = [mention for of_post in answers.mentions for mention in of_post]
names = sorted(
    {m["name"] for m in mentions if m["kind"] == "ambiguous" and " " not in m["name"]}
)
asked = [
    Post(
        f"{name} {side}",
        tuple(f"{name} ( {side} ) meets Orva at the garden party".split()),
        None,
    )
    for name in names
    for side in ("left", "right")
]
some = prepare(asked, model, tagger.tokenizer)
some = text.once(some.batch(range(len(asked))))  # words alone: no image
of_name = {
    f"layer {number}": vectors
    for number, vectors in enumerate(some.word_layers[:, 0].unbind(1))
}
of_name["layer mix"] = text.project(torch.einsum("l,bld->bd", shares, some.word_layers[:, 0]))
of_name["T"] = text(some)[0][:, 0]

# %%
side, name = np.arange(len(asked)) % 2, np.arange(len(asked)) // 2
learnt, held_out = name % 2 == 0, name % 2 == 1
told = {}
for view, vectors in of_name.items():
    x = vectors.double().numpy()
    probe = LogisticRegression(max_iter=2000).fit(x[learnt], side[learnt])
    told[view] = probe.score(x[held_out], side[held_out])
assert told["T"] > 0.95 > max(of_layer for view, of_layer in told.items() if view != "T")
assert told["layer 4"] == max(of_layer for view, of_layer in told.items() if view != "T")
pd.DataFrame({"right of 1": told}).round(2).T

# %% [markdown]
# No layer tells it for all names. Layer 4 comes nearest; the layers above it have lost some of it
# again. With the convolution, T tells it.
#
# ### The post as a whole
#
# The global side of the text is one vector $s$: a weighted mean of the encoder's last layer. The
# weights are learnt, a share for each word. Stage 2 will ask with $s$ whether the image fits,
# so it should listen to the words of the topic:

# %%
s, word_weights = model.fusion.sentence(last, batch.word_mask)
assert torch.allclose(word_weights, output.attention_weights.text_pool, atol=1e-5)
count = len(posts[0].words)
times = count * word_weights[0, :count]  # 1 = as much as any word
weight = pd.DataFrame({"weight x words": times.numpy()}, index=posts[0].words)
weight.round(2).T

# %%
of_names = [posts[0].words[span.start] for span in spans(posts[0].tags)]
assert (
    weight.loc[["airport", "left", "right"]].min().item()
    > 1
    > weight.loc[of_names].max().item()
)

# %% [markdown]
# It does: `airport` gets more than an even share. So do *left* and *right*, which say what the image must
# tell. The names get less.
#
# ## 2. The whole image
#
# A network trained on photographs (and not trained any further) has turned the image into a
# grid of 4 x 4 regions. Each becomes a vector of the model's own width. Their mean $g$ is the
# *scene*.

# %%
images, vision = batch.images, model.fusion.vision
G = vision.grid(images.grid)
g = G.mean(dim=1, keepdim=True)
print("F:", tuple(images.grid.shape), "-> G:", tuple(G.shape), "-> g:", tuple(g.shape))

# %% [markdown]
# Before that $F$ is *standardised*: mean 0 and variance 1 for each region. Features of one network
# are far larger than those of another, and what learns from them should not have to care. In
# training (not here) half of the channels are dropped as well, other ones for each image and
# epoch: a frozen network sees an image just once, and a tagger that gets the very same numbers in
# every epoch soon knows images by heart.
#
# ## 3. Objects
#
# An object is a box. Its crop went through the same network, so it has a feature vector of its
# own; to it come a class and a score, as a detector gives them.

# %%
real = images.object_mask
objects = vision.objects(images)  # O
appearance = vision.objects.feature(images.objects)  # standardised already
extras = vision.objects.label(images.classes) + vision.objects.score(images.scores[..., None])
assert torch.allclose(vision.objects.norm(appearance + extras), objects, atol=1e-5)
print("objects of each image:", real.sum(dim=1).tolist(), "of at most", real.shape[1])

# %% [markdown]
# A mask says which rows are real. Padding never reaches a result; that is a law of the model
# (`tests/model/test_laws.py`), as is the next one: objects are a *set*. Shuffle them, and their
# vectors are shuffled, and nothing else.

# %%
order = torch.randperm(real.shape[1], generator=torch.Generator().manual_seed(0))
among_objects = ("objects", "boxes", "classes", "scores", "object_mask", "box_mask")
turned = images._replace(**{name: getattr(images, name)[:, order] for name in among_objects})
assert torch.allclose(vision.objects(turned), objects[:, order], atol=1e-5)

# %% [markdown]
# ## 4. Semantic: what things are to one another
#
# *"Kelso doesn't belong here"*: to understand that, objects must be compared. Attention alone is
# bad at it. Its weights sum to 1, so what an object receives from its equals is the same whether
# there are three of them or one; the count shows only in how little is left for the others
# (exercise 2). So each pair of objects first gets numbers of its own: in several *aspects* $a$, how
# alike are the two?
#
# $$\psi_a(i, j) = \cos(W_a x_i,\ W_a x_j)$$

# %%
from hamner.model.intra_modality import ASPECTS

semantic = vision.semantic
nodes = torch.cat([g, objects], dim=1)  # the scene is a node too
of = semantic.aspects(nodes).unflatten(-1, (ASPECTS, -1))
of = torch.nn.functional.normalize(of, dim=-1)
psi = torch.einsum("biac,bjac->bija", of, of)
assert torch.allclose(psi, psi.transpose(1, 2), atol=1e-5)  # i is as like j as j is like i
tuple(psi.shape)

# %% [markdown]
# The mean over the aspects, for the objects of the `odd` post:

# %%
from PIL import Image

from hamner.figures import stages

row = 1
there = real[row]
similarity = psi[row, 1:, 1:].mean(dim=-1)[there][:, there].numpy()
boxes = images.boxes[row][there].numpy()
image = Image.open(posts[row].image)
save(stages.similarity(image, boxes, similarity), "similarity")

# %% [markdown]
# *The objects of a minitweets image, and their similarity to the semantic encoder: cosine, mean
# over its aspects.*
#
# On this image some things are of one type and one is not. Is $\psi$ higher within a type? One
# image may deceive; here are all images of the `odd` posts in test. (`contents.jsonl`
# knows each object's type. Features keep objects by score; `kept` says which, in their order.)

# %%
related = [post for post in corpus.test if answers.cue[post.id] == "odd"]
related = list({post.image: post for post in related}.values())[:60]
many = forward(tagger, related, visual_features(tagger, corpus, related))[0].images
crops = vision.objects(many)
of = torch.nn.functional.normalize(semantic.aspects(crops).unflatten(-1, (ASPECTS, -1)), dim=-1)
psi_many = torch.einsum("biac,bjac->bij", of, of) / ASPECTS
frozen = torch.nn.functional.normalize(many.objects, dim=-1)  # what the frozen network saw

# %%
from hamner.vision.objects import ANNOTATIONS, kept, read_annotations

annotated = read_annotations(corpus.folder / ANNOTATIONS)
drawn = pd.read_json(corpus.folder / "contents.jsonl", lines=True).set_index("image")


def types_of(post):
    numbers = kept(annotated[post.image.name], many.boxes.shape[1])  # the features' order
    return [drawn.types[post.image.name][number] for number in numbers]


# %%
pairs = []
for number, post in enumerate(related):
    types = types_of(post)
    for i, one in enumerate(types):
        for j, other in enumerate(types[:i]):
            if one and other:  # the small things of the topic have no type
                before = frozen[number, i] @ frozen[number, j]
                pairs.append((one == other, psi_many[number, i, j].item(), before.item()))
table = pd.DataFrame(pairs, columns=["same type", "psi", "frozen features"])
by_kind = table.groupby("same type").agg(["count", "mean", "std"]).round(3)
by_kind.T

# %%
apart = by_kind.xs("mean", axis=1, level=1).diff().loc[True]
assert apart.psi > 3 * apart["frozen features"] > 0

# %% [markdown]
# Nobody told the model which things are of one type. Some of the likeness came along with the frozen
# features: their own cosine stands beside $\psi$. But the means of $\psi$ for the two kinds of pairs lie
# more than three times as far apart as those of the features. That was learnt in order to tag.
#
# From $\psi$ a small network makes two things for each pair: a *bias* on the attention logits
# (look more at those like you, or less), and a *message* that passes beside the value. Messages
# are what lets an object count those of its kind.

# %%
bias, received = semantic.pairs(psi)  # a number a head for each pair, and a function:
some = torch.zeros_like(bias)  # from attention weights to the messages that each node receives
print("bias:", tuple(bias.shape), "| received:", tuple(received(some).shape))

# %%
node_mask = torch.cat([images.image_mask[:, None], real], dim=1)
x = semantic.norm(nodes)
related_to, attention = semantic.attention(x, x, node_mask, bias, received)
after = nodes + related_to
after = after + semantic.feed_forward(after)
O_sem, weights = semantic(objects, real, g, images.image_mask[:, None])
assert torch.allclose(after[:, 1:], O_sem, atol=1e-4)
assert torch.allclose(weights, output.attention_weights.semantic, atol=1e-4)

# %% [markdown]
# ## 5. Spatial: where things are
#
# *"Kelso (left) meets Orva (right)"*: now it is the geometry that counts. For each pair of boxes
# $\varphi$ lists how $j$ lies as seen from $i$. The first four are after relation networks (Hu et
# al. 2018, who take the logarithm of the first two as well); the others are ours.

# %%
from hamner.model.intra_modality import phi

PHI_NAMES = [
    *("dx / width", "dy / height", "log width ratio", "log height ratio", "overlap (IoU)"),
    *("dx", "dy", "distance", "is left", "is above", "is nearest"),
]
geometry = phi(images.boxes, images.box_mask)
row = 0
there = images.box_mask[row]
boxes = images.boxes[row][there].numpy()
seen_from = int((boxes[:, 2:] - boxes[:, :2]).prod(axis=1).argmax())  # the largest
from_one = geometry[row, seen_from][there].numpy()
pd.DataFrame(from_one, columns=PHI_NAMES, index=range(1, len(from_one) + 1)).T.round(2)

# %%
image = Image.open(posts[row].image)
nearest = from_one[:, -1].astype(bool)
drawn = stages.geometry(image, boxes, seen_from, from_one[:, :2], nearest)
save(drawn, "geometry")

# %% [markdown]
# *The objects of a minitweets image as seen from the largest one: dx and dy in widths and
# heights of its box, to the right and downwards. The thick arrow leads to the nearest.*
#
# That is *relative* geometry. *Absolute* geometry, where a box lies in the image, is added to
# the block's input: centre and size with their sines and cosines, through a small network. It
# ends in a LayerNorm, so that it speaks as loud as the content; otherwise it is never learnt.
#
# From $\varphi$ come a bias and a message for each pair, as from $\psi$ above, and here they are
# all there is: no queries, no keys, no values. An object learns *where* the others are, and not
# *what* they are. In stage 1 the semantic block alone compares things by what they are. Stage 3 can do so,
# too (notebook 07b).

# %%
from hamner.model.intra_modality import fourier

spatial = vision.spatial
place = spatial.position(fourier(images.boxes))
placed = objects + place
O_spa, weights = spatial(objects, images.boxes, images.box_mask)
print(
    "length of content and place:",
    [round(x[real].norm(dim=-1).mean().item(), 1) for x in (objects, place)],
)

# %%
from hamner.model.attention import masked_softmax

bias, received = spatial.pairs(geometry)
by_place = masked_softmax(bias, images.box_mask[:, None, None, :])
after = placed + spatial.out(received(by_place))
assert torch.allclose(after + spatial.feed_forward(after), O_spa, atol=1e-4)
assert torch.allclose(weights, output.attention_weights.spatial, atol=1e-4)

# %% [markdown]
# All geometry is in this one block. Mirror the image's boxes from left to right, and the
# spatial encoding changes while the semantic one stays the same, to the last bit. That is what
# makes the ablation honest: without this block the model is given no box. (A thing's *size* it can
# still guess, from how blurred its crop is and from how much of the grid it fills: notebook 07.)

# %%
mirrored = images.boxes.clone()
mirrored[..., 0], mirrored[..., 2] = 1 - images.boxes[..., 2], 1 - images.boxes[..., 0]
O_spa_mirrored, _ = spatial(objects, mirrored, images.box_mask)
O_sem_again, _ = semantic(
    vision.objects(images._replace(boxes=mirrored)), real, g, node_mask[:, :1]
)
assert not torch.allclose(O_spa_mirrored[real], O_spa[real], atol=1e-2)
assert torch.equal(O_sem_again, O_sem)

# %% [markdown]
# ## 6. Who looks at whom
#
# Both blocks for the image of the `position` post: what the largest object (orange) attends to, one row
# for each head. A number is weight times number of objects; 1 is *as much as any*.

# %%
maps = {
    "semantic": output.attention_weights.semantic[row, :, 1 + seen_from, 1:][:, there].numpy(),
    "spatial": output.attention_weights.spatial[row, :, seen_from][:, there].numpy(),
}
assert np.allclose(len(boxes) * maps["spatial"], 1, atol=0.1)
save(stages.heads(image, boxes, seen_from, maps), "heads")

# %% [markdown]
# *Attention of one object (orange box) to the objects of its image, for each head of the semantic and
# of the spatial block.*
#
# In the semantic block a part of the attention goes to the scene, which has no box: there the
# numbers of a row need not have the mean 1. In the spatial block all numbers are 1 (within 0.1): the
# bias has nothing to say, the object hears all others alike, and what it learns of them is in the
# messages alone. And a warning that holds for all such images:
# attention says what was *read*, not what *mattered*. Notebook 08 asks that second question.
#
# ## 7. The memory
#
# That is all of stage 1. What it hands on is one list of regions, the *memory*, in three
# *grains*: the grid, the objects by what they are, the objects by where they are.

# %%
memory, _ = vision(images)
assert torch.allclose(memory.regions, torch.cat([G, O_sem, O_spa], dim=1), atol=1e-4)
print("regions:", tuple(memory.regions.shape), "| real ones:", memory.mask.sum(dim=1).tolist())
print("of each grain:", memory.grain.bincount().tolist())

# %% [markdown]
# Whether any of it is to be believed is the question of stage 2, in notebook 03.
#
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import torch

from hamner.exercises import check_choice, check_function, right
from hamner.model.intra_modality import fourier, phi

# %% [markdown]
# **1 · level 1.** *A measurement.* A mix that has learnt nothing gives each layer the same share. Write
# `gains`: by how many points did training change each share?
#
# <details><summary>Hint</summary>
#
# The shares are `mix.softmax(0)`, and there are `len(mix)` of them.
#
# </details>


# %% tags=["solution"]
def gains(mix):
    """The numbers of a mix (L,) to the change of each layer's share (L,), in points."""
    # BEGIN SOLUTION
    return 100 * (mix.softmax(0) - 1 / len(mix))
    # END SOLUTION


# %% tags=["check"]
mix = torch.tensor([0.0, 0.0, 2.0]).log1p()  # 0, 0 and ln 3: the shares are 20, 20 and 60 %
expected = torch.tensor([20.0, 20.0, 60.0]) - 100 / 3
mistakes = {"that is the change of the numbers, not of the shares": 100 * (mix - 1 / 3)}
check_function(gains, (mix,), expected, "a number for each layer", mistakes=mistakes)
right("gains")

# %%
pd.DataFrame({"change (points)": gains(text.mix.double()).numpy()}).round(1).T

# %% [markdown]
# **2 · level 2.** *A piece of stage 1.* Attention without messages is bad at counting. Write `alone`: each
# object $x_i$ becomes the mean of all objects, weighted by $\operatorname{softmax}_j(x_i^\top x_j)$.
# Then look below: how many of a kind there are shows only in how little is left for the others.
#
# <details><summary>Hint</summary>
#
# `x @ x.T` holds the product of each pair.
#
# </details>


# %% tags=["solution"]
def alone(x):
    """Objects (K, d) to what each reads (K, d) and the weights (K, K)."""
    # BEGIN SOLUTION
    weights = (x @ x.T).softmax(dim=-1)
    return weights @ x, weights
    # END SOLUTION


# %% tags=["check"]
kinds = torch.eye(2)
for copies in (2, 3):
    same = kinds[:1].expand(copies, 2)
    uniform = torch.full((copies, copies), 1 / copies)
    check_function(alone, (same,), {"the mean": same, "the weights": uniform})
e = torch.tensor(1.0).exp()
apart = torch.tensor([[e, 1], [1, e]]) / (e + 1)
check_function(alone, (kinds,), {"the mean": apart, "the weights": apart})
right("alone")

# %%
for copies in (2, 3, 4):
    kinds = torch.eye(2)
    both = torch.cat([kinds[:1].expand(copies, 2), kinds[1:]])
    print(f"{copies} of a kind leave {alone(both)[1][0, -1]:.3f} to the other one")

# %% [markdown]
# **3 · level 2.** *A measurement.* Move all boxes of an image by one tenth of its width to the right (in
# numbers; they may leave the image). Write `moved`: the greatest change of $\varphi$, and that of the
# Fourier features. Which part of the spatial block can still notice the move?
#
# <details><summary>Hint</summary>
#
# A tenth to the right is `boxes + torch.tensor([0.1, 0.0, 0.1, 0.0])`. `phi` and `fourier` are those of
# hamner.
#
# </details>


# %% tags=["solution"]
def moved(boxes, box_mask):
    """Boxes (B, K, 4) and their mask to the greatest change of phi and of fourier."""
    # BEGIN SOLUTION
    shifted = boxes + torch.tensor([0.1, 0.0, 0.1, 0.0])
    relative = (phi(shifted, box_mask) - phi(boxes, box_mask)).abs().max()
    absolute = (fourier(shifted) - fourier(boxes)).abs().max()
    return relative, absolute  # only the absolute place, `position`, notices
    # END SOLUTION


# %% tags=["check"]
boxes = torch.tensor([[[0.1, 0.2, 0.3, 0.6], [0.5, 0.5, 0.9, 0.7]]])
x, tenth = torch.tensor([0.2, 0.7])[:, None], 0.1  # the centres
angle = torch.pi * 2.0 ** torch.arange(4)
waves = [wave(angle * (x + tenth)) - wave(angle * x) for wave in (torch.sin, torch.cos)]
expected = {"the change of phi": torch.tensor(0.0)}
expected["the change of fourier"] = torch.cat(waves).abs().max()
check_function(moved, (boxes, torch.tensor([[True, True]])), expected)
right("moved")

# %% [markdown]
# **4 · level 3.** *An argument.* A model without the spatial block reads no box. Still it gets some posts
# right that ask for the *biggest* thing. What tells it the size? `"a"`: $\psi$, for it compares the
# objects. `"b"`: the frozen features, for the crop of a small thing is blurred. `"c"`: the objects'
# classes. `"d"`: the number of objects.
#
# <details><summary>Hint</summary>
#
# Which of the four is different for a large and a small drawing of the same thing?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "b"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "psi compares the vectors of objects: it knows a size only if these do",
    "c": "a class is what the thing is drawn on, whatever its size",
    "d": "the number is the same, whichever of the things is the biggest",
}
check_choice("answer", answer, "b", why_not)
right("the crop tells the size")

# %% [markdown]
# ## What we do not know of the paper
#
# - The form of its semantic and spatial learning. Stated is that both exist, that they work on
#   learnt visual features, and that no outside tool makes captions or scene graphs. The likeness
#   $\psi$, the messages, and all but the first four numbers of $\varphi$ are ours.
# - What its *local* knowledge of the text is. The convolution and the mix of layers are our
#   reading.
# - Which detector it uses and how many objects it keeps. (Its first author's sibling code:
#   Mask R-CNN, five.)
