# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # B2 · Build it: objects, what they are to one another, and where they are
#
# | | |
# | --- | --- |
# | **Goal** | write the image side of stage 1: objects, the semantic and the spatial block, the memory |
# | **You need** | notebook B1, with your answers saved; no trained model |
# | **Time** | about two hours to write; seconds to run |
# | **Of the paper** | stage 1: global, object-level, semantic and spatial image (their form is ours) |
#
# *"The sign of Kelso stands beside the card of Orva"*: to use an image, the model must know which
# things are in it, which of them are alike, and where they are. In this notebook an object first
# gets a vector, then two encodings: one by what the objects are to one another (*semantic*), one
# by where they are (*spatial*). The paper does both without any outside tool.

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

# %% [markdown]
# The next cell takes your classes out of notebook B1 as you saved it. To start here without B1, write
# `answers("b1_words_and_geometry", solved=True)`: that takes the solutions.

# %% tags=["keep"]
import torch
from torch import nn

from hamner.exercises import answers, check_function, check_module
from hamner.exercises import random_images, right, shaken
from hamner.model import attention, intra_modality
from hamner.model.config import ModelConfig
from hamner.model.intra_modality import ChannelDropout

b1 = answers("b1_words_and_geometry")
masked_softmax, phi, fourier = b1.masked_softmax, b1.phi, b1.fourier
SMALL = ModelConfig(vision=True, width=8, heads=2)  # of the modules to compare with

# %%
from hamner.drawing.style import save
from hamner.figures import build

# %% [markdown]
# ## 1. Objects
#
# Each object was cut out of the image, and a frozen network turned the crop into a vector $f$ of C
# channels. A detector added a class and a score. The object's own vector is the sum of all three:
#
# $$O = \mathrm{LN}\bigl(W_o f + E_c[\text{class}] + w_s\, \text{score}\bigr)$$
#
# With numbers: $W_o f = (3, 1)$, the class's row of the table $E_c$ is $(0.5, 0)$, the score is $0.5$
# and $w_s = (1, 2)$. The sum is $(4, 2)$, and LN makes $(1, -1)$ of it: mean 0, variance 1.

# %%
added = torch.tensor([3.0, 1.0]) + torch.tensor([0.5, 0.0]) + 0.5 * torch.tensor([1.0, 2.0])
print(added.tolist(), "->", nn.LayerNorm(2)(added).tolist())

# %% [markdown]
# **Your turn 1 · level 1.** Write `Objects.forward`. `ChannelDropout` is given: in training it sets
# half of the channels of $f$ to zero, so that the model cannot learn the images by heart.
#
# <details><summary>Hint</summary>
#
# `nn.Embedding` is a table: `self.label(classes)` gives a row of it for each class. The scores
# (B, K) need one more axis for `nn.Linear(1, d)`: `scores[..., None]`.
#
# </details>


# %% tags=["solution"]
class Objects(nn.Module):
    """Features (B, K, C), classes (B, K) and scores (B, K) to O (B, K, d)."""

    def __init__(self, channels, classes, d):
        super().__init__()
        self.dropout = ChannelDropout(0.5)
        self.feature = nn.Linear(channels, d)  # W_o
        self.label = nn.Embedding(classes, d, padding_idx=0)  # E_c
        self.score = nn.Linear(1, d, bias=False)  # w_s
        self.norm = nn.LayerNorm(d)

    def forward(self, features, classes, scores):
        # BEGIN SOLUTION
        appearance = self.feature(self.dropout(features))
        return self.norm(appearance + self.label(classes) + self.score(scores[..., None]))
        # END SOLUTION


# %% tags=["check"]
stage, images = shaken(intra_modality.Objects(8, 6, 3, dropout=0.5)), random_images()
inputs, weights = (images.objects, images.classes, images.scores), stage.state_dict()
check_module(Objects, (6, 3, 8), weights, inputs, stage(images), "(B, K, d)")
right("Objects")

# %% [markdown]
# ## 2. Semantic: how alike are two objects?
#
# *"Kelso doesn't belong here"*: to find the odd one out, objects must be compared. For each pair the
# model gets numbers that say how alike the two are, one number for each of four *aspects*. An aspect
# is a learnt view $W_a$ of the vectors $x$, and likeness is the cosine, which ignores length:
#
# $$\psi_a(i, j) = \cos(W_a x_i, W_a x_j), \qquad \cos(u, v) = \frac{u^\top v}{|u|\,|v|}$$
#
# Three vectors of one aspect. $x_1$ and $x_2$ point the same way and $x_3$ is at a right angle:

# %%
vectors = {"x1": (3.0, 4.0), "x2": (1.5, 2.0), "x3": (4.0, -3.0)}
u = nn.functional.normalize(torch.tensor(list(vectors.values())), dim=-1)
save(build.cosines(vectors, (u @ u.T).numpy()), "cosines")

# %% [markdown]
# *Three vectors, and the cosine of each pair.*
#
# **Your turn 2 · level 1.** Write `psi` for N nodes that have been seen in all aspects at once.
#
# <details><summary>Hint</summary>
#
# `nn.functional.normalize(seen, dim=-1)` gives every vector the length 1; then the cosine is a sum of
# products. `torch.einsum("biac,bjac->bija", u, u)` makes it for every pair.
#
# </details>


# %% tags=["solution"]
def psi(seen):
    """N nodes in 4 aspects of c channels, (B, N, 4, c), to their likeness (B, N, N, 4)."""
    # BEGIN SOLUTION
    u = nn.functional.normalize(seen, dim=-1)
    return torch.einsum("biac,bjac->bija", u, u)
    # END SOLUTION


# %% tags=["check"]
seen = torch.tensor([(3.0, 4.0), (1.5, 2.0), (4.0, -3.0)]).view(1, 3, 1, 2).expand(1, 3, 4, 2)
alike = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])[None, :, :, None].expand(1, 3, 3, 4)
products = torch.einsum("biac,bjac->bija", seen, seen)
mistakes = {"the vectors keep their lengths: a cosine ignores them": products}
check_function(psi, (seen,), alike, "(B, N, N, aspects)", mistakes=mistakes)
right("psi")

# %% [markdown]
# ## 3. Messages
#
# Attention alone is bad at comparing. Its weights sum to 1, so the mean of three equal vectors is the
# same as the mean of two. Therefore a small network turns the numbers of each pair into two things:
# a *bias* on the attention logits (look more, or less, at those like you), and a *message* from $j$ to
# $i$, which is weighed as a value is:
#
# $$u_{ij} = \mathrm{GELU}(W\,\psi(i, j)), \quad \text{bias}_{ij} = W_b\, u_{ij}, \quad
# m_{ij} = W_m\, u_{ij}, \quad \text{received}_i = \sum_j a_{ij}\, m_{ij}$$
#
# Node 1 with three nodes, its attention $(\frac12, \frac14, \frac14)$ and messages $(8, 4, -4)$:

# %%
save(
    build.received(torch.tensor([8.0, 4, -4]).numpy(), torch.tensor([0.5, 0.25, 0.25]).numpy()),
    "received",
)

# %% [markdown]
# *What node 1 receives: the messages of all nodes, each times the attention that it gets.*
#
# **Your turn 3 · level 2.** Write `Pairs.forward` and `received`. There are h heads, each with weights
# of its own; head 1 weighs the first $d/h$ channels of a message, head 2 the next ones, and so on.
#
# <details><summary>Hint</summary>
#
# The bias comes out as (B, N, N, h) and attention wants (B, h, N, N): `permute(0, 3, 1, 2)`. For
# `received`, cut the channels into heads with `messages.unflatten(-1, (heads, -1))`, sum with
# `"bhij,bijhc->bihc"`, and join them again with `flatten(2)`.
#
# </details>


# %% tags=["solution"]
class Pairs(nn.Module):
    """Numbers of pairs (B, N, N, count) to bias (B, h, N, N) and messages (B, N, N, d)."""

    def __init__(self, count, d, heads):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(count, 64), nn.GELU())
        self.bias = nn.Linear(64, heads, bias=False)  # W_b
        self.message = nn.Linear(64, d)  # W_m

    def forward(self, pairs):
        # BEGIN SOLUTION
        hidden = self.hidden(pairs)
        return self.bias(hidden).permute(0, 3, 1, 2), self.message(hidden)
        # END SOLUTION


def received(weights, messages):
    """Attention (B, h, N, N) and messages (B, N, N, d) to what each node receives (B, N, d)."""
    # BEGIN SOLUTION
    by_head = messages.unflatten(-1, (weights.shape[1], -1))  # (B, N, N, h, d/h)
    return torch.einsum("bhij,bijhc->bihc", weights, by_head).flatten(2)
    # END SOLUTION


# %% tags=["check"]
stage, numbers = shaken(intra_modality.Pairs(SMALL, 8, 4)), torch.rand(2, 3, 3, 4)
bias, receive = stage(numbers)
messages = stage.message(stage.hidden(numbers))
expected = {"bias": bias, "messages": messages}
check_module(Pairs, (4, 8, 2), stage.state_dict(), (numbers,), expected)
weights = torch.rand(2, 2, 3, 3).softmax(-1)
turned = receive(weights.transpose(2, 3))
mistakes = {"i receives from j: sum over the last axis of the weights": turned}
check_function(received, (weights, messages), receive(weights), "(B, N, d)", mistakes=mistakes)
right("Pairs and received")

# %% [markdown]
# ## 4. Attention by cosines
#
# The most important block of the model. Queries ask, keys answer, values are read; h heads do so side
# by side, each in its own $d/h$ channels:
#
# $$a = \operatorname{softmax}_j\bigl(8 \cos(q_i, k_j) + \text{bias}_{ij}\bigr), \qquad
# y_i = W\Bigl[\,\sum_j a_{ij} v_j + \text{received}_i\Bigr]$$
#
# Vaswani et al. (2017) have $q^\top k / \sqrt{d/h}$ in the place of $8 \cos(q, k)$. With the cosine, the
# length of a key has no say. Two keys that point the same way, one of them 50 times as long:

# %%
q, keys = torch.tensor([1.0, 0.0]), torch.tensor([[5.0, 0.0], [0.1, 0.0]])
print("by product:", (keys @ q / 2**0.5).softmax(0).tolist())
print("by cosine:", (8 * nn.functional.normalize(keys, dim=-1) @ q).softmax(0).tolist())

# %% [markdown]
# Two functions are given, to cut channels into heads and to join them again:


# %% tags=["keep"]
def split(x, heads):
    """(B, n, d) to (B, h, n, d/h)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge(x):
    """(B, h, n, d/h) to (B, n, d)."""
    return x.transpose(1, 2).flatten(2)


# %% [markdown]
# **Your turn 4 · level 2.** Write `Attention.forward`. It is told *how* to turn logits into weights,
# by a function `softmax`: here that will be `masked_softmax`, in B3 one of your own.
#
# <details><summary>Hint</summary>
#
# `self.key_value(memory)` holds the keys in its first d channels and the values in the others:
# `chunk(2, -1)`. Cut all three into heads with `split`, and give `q` and `k` the length 1 by
# `nn.functional.normalize`. Queries times keys is `q @ k.transpose(2, 3)`.
#
# </details>


# %% tags=["solution"]
class Attention(nn.Module):
    """Queries x (B, n, d) read a memory (B, m, d): the result (B, n, d), weights (B, h, n, m)."""

    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d, d)
        self.key_value = nn.Linear(d, 2 * d)  # keys first, then values
        self.out = nn.Linear(d, d)  # W

    def forward(self, x, memory, softmax, bias=0.0, messages=None):
        # BEGIN SOLUTION
        q = split(self.query(x), self.heads)
        k, v = (split(half, self.heads) for half in self.key_value(memory).chunk(2, -1))
        q, k = nn.functional.normalize(q, dim=-1), nn.functional.normalize(k, dim=-1)
        weights = softmax(8 * q @ k.transpose(2, 3) + bias)
        read = merge(weights @ v)
        if messages is not None:
            read = read + received(weights, messages)
        return self.out(read), weights
        # END SOLUTION


# %% tags=["check"]
stage, pairs = shaken(attention.Attention(8, 2)), shaken(intra_modality.Pairs(SMALL, 8, 4))
x, mask, numbers = (
    torch.randn(2, 3, 8),
    torch.arange(3) < torch.tensor([[3], [2]]),
    torch.rand(2, 3, 3, 4),
)
bias, receive = pairs(numbers)
messages = pairs.message(pairs.hidden(numbers))


def softmax(logits):
    return attention.masked_softmax(logits, mask[:, None, None])


plain = dict(zip(("result", "weights"), stage(x, x, mask)))
check_module(Attention, (8, 2), stage.state_dict(), (x, x, softmax), plain)
result, weights = stage(x, x, mask, bias, receive)
mistakes = {"what the nodes receive is missing": stage(x, x, mask, bias)[0]}
expected, inputs = {"result": result, "weights": weights}, (x, x, softmax, bias, messages)
check_module(Attention, (8, 2), stage.state_dict(), inputs, expected, "", mistakes)
right("Attention")

# %% [markdown]
# ## 5. The semantic block
#
# Now all of it comes together. The nodes are the objects and, before them, the *scene* $g$: the mean
# of the grid's regions. So an object can also ask how it fits its surroundings. With $x = [g; O]$:
#
# $$x' = x + \mathrm{MHA}(\mathrm{LN}\,x,\ \text{bias},\ \text{messages}), \qquad
# x'' = x' + \mathrm{FF}(x'), \qquad O_{sem} = x'' \text{ without the scene}$$
#
# MHA is your `Attention`. FF is a LayerNorm and two linear layers with GELU between them; it is
# given. What is added to $x$ and what is not decides whether this trains: read the formula twice.


# %% tags=["keep"]
def feed_forward(d):
    return nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))


# %% [markdown]
# **Your turn 5 · level 3.** Write `SemanticBlock.forward`.
#
# <details><summary>Hint</summary>
#
# `torch.cat` the nodes, and their masks likewise. $\psi$ takes the nodes themselves, not their
# LayerNorm: `self.aspects(nodes).unflatten(-1, (4, -1))`. The mask (B, N) must fit the logits
# (B, h, N, N): `mask[:, None, None]`.
#
# </details>


# %% tags=["solution"]
class SemanticBlock(nn.Module):
    """Objects (B, K, d), their mask, the scene (B, 1, d) and its mask (B, 1) to O_sem (B, K, d)."""

    def __init__(self, d, heads):
        super().__init__()
        self.aspects = nn.Linear(d, 4 * (d // 4), bias=False)  # W_1 to W_4
        self.pairs = Pairs(4, d, heads)
        self.norm, self.feed_forward = nn.LayerNorm(d), feed_forward(d)
        self.attention = Attention(d, heads)

    def forward(self, objects, object_mask, scene, image_mask):
        # BEGIN SOLUTION
        nodes = torch.cat([scene, objects], 1)
        mask = torch.cat([image_mask, object_mask], 1)[:, None, None]
        bias, messages = self.pairs(psi(self.aspects(nodes).unflatten(-1, (4, -1))))
        x = self.norm(nodes)
        related, _ = self.attention(
            x, x, lambda logits: masked_softmax(logits, mask), bias, messages
        )
        nodes = nodes + related
        nodes = nodes + self.feed_forward(nodes)
        return nodes[:, 1:]
        # END SOLUTION


# %% tags=["check"]
stage, images = shaken(intra_modality.SemanticBlock(SMALL, 8)), random_images()
objects, scene = torch.randn(3, 3, 8), torch.randn(3, 1, 8)
inputs = objects, images.object_mask, scene, images.image_mask[:, None]
unmasked = stage(objects, images.object_mask | True, scene, inputs[3] | True)[0]
mistakes = {"padding is read: give both masks to masked_softmax": unmasked}
of_hamner = stage(*inputs)[0]
check_module(
    SemanticBlock, (8, 2), stage.state_dict(), inputs, of_hamner, "(B, K, d)", mistakes
)
right("SemanticBlock")

# %% [markdown]
# ## 6. The spatial block
#
# Here $\varphi$, your geometry of B1, takes the place of queries, keys and values. An object learns
# *where* the others are and not *what* they are:
#
# $$x = O + \mathrm{LN}(\mathrm{MLP}(\text{fourier})), \quad
# x' = x + W \sum_j \operatorname{softmax}_j(\text{bias}_{ij})\, m_{ij}, \quad
# O_{spa} = x' + \mathrm{FF}(x')$$
#
# All geometry is in this one block. A model without it is blind to places; that is what makes the
# ablation `no_spatial` honest.
#
# **Your turn 6 · level 2.** Write `SpatialBlock.forward`.
#
# <details><summary>Hint</summary>
#
# Six lines: place, pairs, weights, received, feed-forward, return. The bias alone makes the logits.
#
# </details>


# %% tags=["solution"]
class SpatialBlock(nn.Module):
    """Objects (B, K, d), boxes (B, K, 4) and the mask (B, K) of known boxes to O_spa (B, K, d)."""

    def __init__(self, d, heads):
        super().__init__()
        mlp = nn.Linear(36, d), nn.GELU(), nn.Linear(d, d)
        self.position = nn.Sequential(*mlp, nn.LayerNorm(d))
        self.pairs, self.out = Pairs(11, d, heads), nn.Linear(d, d)  # W
        self.feed_forward = feed_forward(d)

    def forward(self, objects, boxes, box_mask):
        # BEGIN SOLUTION
        nodes = objects + self.position(fourier(boxes))
        bias, messages = self.pairs(phi(boxes, box_mask))
        weights = masked_softmax(bias, box_mask[:, None, None])
        nodes = nodes + self.out(received(weights, messages))
        return nodes + self.feed_forward(nodes)
        # END SOLUTION


# %% tags=["check"]
stage, images = shaken(intra_modality.SpatialBlock(SMALL, 8)), random_images()
inputs = torch.randn(3, 3, 8), images.boxes, images.box_mask
of_hamner, unmasked = stage(*inputs)[0], stage(*inputs[:2], images.box_mask | True)[0]
mistakes = {"boxes of padding are read: give the mask to masked_softmax": unmasked}
check_module(SpatialBlock, (8, 2), stage.state_dict(), inputs, of_hamner, "(B, K, d)", mistakes)
right("SpatialBlock")

# %% [markdown]
# ## 7. The memory: three grains
#
# What stage 1 hands on is one list of regions, in three *grains* (levels of detail): the grid of the
# whole image, the objects by what they are, the objects by where they are.
#
# $$G = \mathrm{LN}(W_g F), \qquad g = \tfrac1R \sum_r G_r, \qquad M = [G;\ O_{sem};\ O_{spa}]$$

# %%
from PIL import Image

from hamner import load_corpus
from hamner.vision.objects import ANNOTATIONS, read_annotations

corpus = load_corpus("minitweets")
post = next(post for post in corpus.test if "left" in post.words)
boxes = [thing.box for thing in read_annotations(corpus.folder / ANNOTATIONS)[post.image.name]]
save(build.memory(Image.open(post.image), torch.tensor(boxes[:8]).numpy(), side=4), "memory")

# %% [markdown]
# *An image of minitweets with its grid and its objects, and the memory: a cell for each region. Each
# object is in it twice.*
#
# **Your turn 7 · level 2.** Write `Vision.forward`. It returns the regions, their mask, and the number
# of regions of each grain. Where a post has no image, everything is masked.
#
# <details><summary>Hint</summary>
#
# `images.image_mask[:, None]` is (B, 1); all regions of the grid share it, by `expand`. A box's mask
# is `images.box_mask`, an object's `images.object_mask`; both also need the image.
#
# </details>


# %% tags=["solution"]
class Vision(nn.Module):
    """Features of images to regions (B, M, d), their mask (B, M), and each grain's size."""

    def __init__(self, channels, classes, d, heads):
        super().__init__()
        dropout = ChannelDropout(0.5, alike=True)
        self.grid = nn.Sequential(dropout, nn.Linear(channels, d), nn.LayerNorm(d))
        self.objects = Objects(channels, classes, d)
        self.semantic, self.spatial = SemanticBlock(d, heads), SpatialBlock(d, heads)

    def forward(self, images):
        # BEGIN SOLUTION
        there = images.image_mask[:, None]
        object_mask, box_mask = images.object_mask & there, images.box_mask & there
        G = self.grid(images.grid)
        O = self.objects(images.objects, images.classes, images.scores)
        O_sem = self.semantic(O, object_mask, G.mean(1, keepdim=True), there)
        O_spa = self.spatial(O, images.boxes, box_mask)
        mask = torch.cat([there.expand(G.shape[:2]), object_mask, box_mask], 1)
        sizes = G.shape[1], O.shape[1], O.shape[1]
        return torch.cat([G, O_sem, O_spa], 1), mask, sizes
        # END SOLUTION


# %% tags=["check"]
stage, images = shaken(intra_modality.Vision(SMALL, 8, 6, 3)), random_images()
memory, _ = stage(images)
expected = {"regions": memory.regions, "mask": memory.mask, "sizes": memory.sizes}
check_module(Vision, (6, 3, 8, 2), stage.state_dict(), (images,), expected)
right("Vision")

# %% [markdown]
# The image side of stage 1 is yours. Whether any of it is to be believed is the question of **B3**.
#
# ## What we do not know of the paper
#
# - The form of its semantic and spatial learning. Stated is that both exist, that they work on learnt
#   visual features, and that no outside tool makes captions or scene graphs. $\psi$, the messages and
#   attention by cosines are ours.
# - Which detector it uses, and how many objects it keeps.
