# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # B3 · Build it: does the image belong to the words, and how do words read it?
#
# | | |
# | --- | --- |
# | **Goal** | write stage 2 (relevance, integration) and stage 3 (reading, co-attention) |
# | **You need** | notebooks B1 and B2, with your answers saved; no trained model |
# | **Time** | about two hours to write; seconds to run |
# | **Of the paper** | stage 2: relevance, integration; stage 3: iterative interactions, co-attention |
#
# B1 and B2 left a vector $T$ for each word, one vector $s$ for the post, and the memory
# $M = [G; O_{sem}; O_{spa}]$ of the image. Stage 2 judges the image: one number $\rho$ for the whole
# of it, and a share $\beta$ for each grain. In stage 3 the words read the memory, as far as $\rho$ and
# $\beta$ let them.

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
# The next cell takes your classes out of B1 and B2 as you saved them. `answers(..., solved=True)`
# takes the solutions.

# %% tags=["keep"]
import math

import torch
from torch import nn

from hamner.exercises import answers, check_function, check_module
from hamner.exercises import random_images, right, shaken
from hamner.model import interaction, intra_modality, relevance
from hamner.model.attention import Groups, softmax_by_group
from hamner.model.batch import AttentionWeights
from hamner.model.config import ModelConfig

b1, b2 = answers("b1_words_and_geometry"), answers("b2_objects_and_their_relations")
masked_softmax, Attention, feed_forward = b1.masked_softmax, b2.Attention, b2.feed_forward
SMALL = ModelConfig(vision=True, width=8, heads=2, dropout=0.0)  # to compare with


def some_memory():
    """Three posts: hamner's memory of random images, a sentence and the memory of each."""
    vision = shaken(intra_modality.Vision(SMALL, 8, 6, 3))
    return vision(random_images())[0], torch.randn(3, 8)


# %%
from hamner.drawing.style import save
from hamner.figures import build

# %% [markdown]
# ## 1. One vector for each grain
#
# To compare a grain with the sentence, it needs one vector. A plain mean over its regions would be
# mostly background. So the sentence asks, and the regions that answer best weigh most:
#
# $$a = \operatorname{softmax}_m\bigl(q^\top M_m / \sqrt d\bigr), \qquad v_g = \mathrm{LN} \sum_m a_m M_m,
# \qquad q = W_k^\top s$$
#
# By hand, with $d = 4$: two regions whose products with $q$ are $0$ and $2 \ln 3$. Divided by
# $\sqrt4$ these are $0$ and $\ln 3$, and the shares are $(\frac14, \frac34)$.
#
# **Your turn 1 · level 1.** Write `pool`: the weighted sum, still without LN.
#
# <details><summary>Hint</summary>
#
# `torch.einsum("bd,bmd->bm", query, regions)` makes all products. Divide by `query.shape[-1] ** 0.5`.
#
# </details>


# %% tags=["solution"]
def pool(query, regions, mask):
    """Query (B, d), regions (B, M, d) and their mask (B, M) to (B, d)."""
    # BEGIN SOLUTION
    fit = torch.einsum("bd,bmd->bm", query, regions) / query.shape[-1] ** 0.5
    a = masked_softmax(fit, mask)
    return torch.einsum("bm,bmd->bd", a, regions)
    # END SOLUTION


# %% tags=["check"]
query = torch.tensor([[2.0, 0, 0, 0]])
regions = torch.tensor([[(0.0, 4, 0, 0), (math.log(3), 0, 8, 0), (9, 9, 9, 9)]])
mask = torch.tensor([[True, True, False]])
expected = torch.tensor([[0.75 * math.log(3), 1, 6, 0]])
unscaled = torch.tensor([[0.9 * math.log(3), 0.4, 7.2, 0]])
mistakes = {"the products are not divided by the root of d": unscaled}
check_function(pool, (query, regions, mask), expected, "(B, d)", mistakes=mistakes)
right("pool")

# %% [markdown]
# ## 2. Relevance and integration
#
# The sentence and each grain are turned into one space, and the cosine says how well they fit. A
# softmax over the grains makes shares of it; with these shares the grains become one vector $v$. Its
# cosine with the sentence, in a space of its own, is the relevance of the image:
#
# $$c_g = \cos(W_t s, W_g v_g), \quad \beta = \operatorname{softmax}_g(c_g), \quad
# v = \sum_g \beta_g v_g, \quad \rho = \sigma\bigl(4 \cos(W_r s, W_v v)\bigr)$$
#
# The factor 4 bounds $\rho$. A free number would run to where the sigmoid is flat: most images help, so
# most posts pull it up, and the few misleading images could never pull it down again.

# %%
fits = torch.tensor([1.0, 0.0, -1.0])  # of the three grains
print("beta:", [round(share, 3) for share in fits.softmax(0).tolist()])
print(
    "rho of -1, 0 and 1:", [round(rho, 3) for rho in torch.sigmoid(4 * fits.flip(0)).tolist()]
)
save(build.relevance(fits.tolist(), fits.softmax(0).tolist()), "relevance_by_angle")

# %% [markdown]
# *Left: ρ by the angle between sentence and image; dotted lines are the least and the greatest value
# there can be. Right: the shares β of three grains with the cosines 1, 0 and −1.*
#
# **Your turn 2 · level 3.** Write `Relevance.forward`. A grain without real regions has share 0, and
# without any region $\rho$ is exactly 0: whoever sees nothing is told nothing.
#
# <details><summary>Hint</summary>
#
# `zip(regions.split(sizes, 1), mask.split(sizes, 1))` gives each grain's regions and mask. Stack the
# three pools to (B, 3, d) before the LayerNorm. Grain g is present where `mask.any(-1)`.
# `torch.cosine_similarity(x, y, dim=-1)` broadcasts.
#
# </details>


# %% tags=["solution"]
class Relevance(nn.Module):
    """s (B, d) and the memory (regions, mask, sizes) to rho (B,) and beta (B, 3)."""

    def __init__(self, d):
        super().__init__()
        self.query, self.vision_norm = nn.Linear(d, d, bias=False), nn.LayerNorm(d)
        self.asked = nn.Linear(d, d)  # W_t
        grains = "global", "semantic", "spatial"
        self.of_grain = nn.ModuleDict({grain: nn.Linear(d, d) for grain in grains})  # W_g
        self.of_text, self.of_image = nn.Linear(d, d), nn.Linear(d, d)  # W_r, W_v

    def forward(self, s, regions, mask, sizes):
        # BEGIN SOLUTION
        query = self.query(s)
        grains = list(zip(regions.split(sizes, 1), mask.split(sizes, 1)))
        v = self.vision_norm(torch.stack([pool(query, M, real) for M, real in grains], 1))
        present = torch.stack([real.any(-1) for _, real in grains], -1)  # (B, 3)
        seen = [of_g(v[:, g]) for g, of_g in enumerate(self.of_grain.values())]
        c = torch.cosine_similarity(self.asked(s)[:, None], torch.stack(seen, 1), dim=-1)
        beta = masked_softmax(c, present)
        image = self.of_image((beta[:, :, None] * v).sum(1))
        rho = torch.sigmoid(4 * torch.cosine_similarity(self.of_text(s), image, dim=-1))
        return rho * present.any(-1), beta
        # END SOLUTION


# %% tags=["check"]
stage, (memory, s) = shaken(relevance.Relevance(SMALL, 8)), some_memory()
rho, beta = stage(s, memory, AttentionWeights(memory.grain))
inputs, expected = (s, memory.regions, memory.mask, memory.sizes), {"rho": rho, "beta": beta}
check_module(Relevance, (8,), stage.state_dict(), inputs, expected)
right("Relevance")

# %% [markdown]
# ## 3. How words share out their attention
#
# The memory has 16 regions of grid and perhaps five objects. In *one* softmax over all of them, with
# equal logits, the grid gets 16 of 26 parts whatever $\beta$ says, and a grain that helps early takes
# everything. So each grain has a softmax of its own, times its share $\beta_g$. Four regions of grid
# and one object in each encoding, all logits 0, $\beta = (0.2, 0.5, 0.3)$:

# %%
logits, sizes = torch.zeros(1, 6), (4, 1, 1)
by_grain = softmax_by_group(logits, logits == 0, Groups(sizes, torch.tensor([[0.2, 0.5, 0.3]])))
weights = {"one softmax": logits.softmax(-1)[0].numpy(), "by grain": by_grain[0].numpy()}
save(build.two_softmaxes(weights, sizes), "two_softmaxes")

# %% [markdown]
# *Attention to six regions with equal logits: one softmax over all, and one in each grain, times
# β. Below: the sum over each grain.*
#
# **Your turn 3 · level 2.** Write `softmax_by_grain`. Logits come as (B, ..., M), from heads and words
# or from words alone, so $\beta_g$, one number for each post, needs as many axes as the logits.
#
# <details><summary>Hint</summary>
#
# `logits.split(sizes, -1)` and `mask.split(sizes, -1)` give the parts; `masked_softmax` does the
# work; `torch.cat(..., -1)` joins. `beta[:, g].view(-1, *[1] * (logits.ndim - 1))` fits any logits.
#
# </details>


# %% tags=["solution"]
def softmax_by_grain(logits, mask, sizes, beta):
    """Logits (B, ..., M), a mask that fits them, each grain's size, beta (B, 3)."""
    # BEGIN SOLUTION
    parts = zip(logits.split(sizes, -1), mask.split(sizes, -1), beta.unbind(-1))
    axes = [1] * (logits.ndim - 1)
    shares = [masked_softmax(of_g, real) * b.view(-1, *axes) for of_g, real, b in parts]
    return torch.cat(shares, -1)
    # END SOLUTION


# %% tags=["check"]
memory, _ = some_memory()
logits, beta = torch.randn(3, 2, 5, 10), torch.rand(3, 3).softmax(-1)
mask = memory.mask[:, None, None]
of_hamner = softmax_by_group(logits, mask, Groups(memory.sizes, beta))
mistakes = {"the softmax runs over all grains at once": masked_softmax(logits, mask)}
inputs = logits, mask, memory.sizes, beta
check_function(softmax_by_grain, inputs, of_hamner, "(B, h, n, M)", mistakes=mistakes)
right("softmax_by_grain")

# %% [markdown]
# ## 4. One reading
#
# Words read regions; later, regions read words. Both are the same block, a `Reader`:
#
# $$x' = x + \rho \cdot \mathrm{MHA}(\mathrm{LN}\,x \to \mathrm{LN}\,M), \qquad
# x'' = x' + \rho \cdot \mathrm{FF}(x')$$
#
# $\rho$ multiplies *all* that a word receives: with $\rho = 0$ words pass unchanged, to the bit. The
# last layer of each branch starts at zero (given below), so training starts with words that have not
# read anything. The image has to earn its place.
#
# **Your turn 4 · level 2.** Write `Reader.forward`, with your `Attention` of B2.
#
# <details><summary>Hint</summary>
#
# Four lines. `scale` is 1 for regions and (B, 1, 1) for words: it multiplies as it is.
#
# </details>


# %% tags=["solution"]
class Reader(nn.Module):
    """x (B, n, d) reads a memory (B, m, d); scale multiplies all that is added to x."""

    def __init__(self, d, heads):
        super().__init__()
        self.norm, self.memory_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention, self.feed_forward = Attention(d, heads), feed_forward(d)
        for layer in (self.attention.out, self.feed_forward[-1]):
            nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)

    def forward(self, x, memory, softmax, scale=1.0):
        # BEGIN SOLUTION
        read, _ = self.attention(self.norm(x), self.memory_norm(memory), softmax)
        x = x + scale * read
        return x + scale * self.feed_forward(x)
        # END SOLUTION


# %% tags=["check"]
stage, (memory, _) = shaken(interaction.Reader(SMALL, 8)), some_memory()
words, rho, beta = torch.randn(3, 5, 8), torch.rand(3), torch.rand(3, 3).softmax(-1)
groups, mask = Groups(memory.sizes, beta), memory.mask[:, None, None]


def softmax(logits):
    return softmax_by_group(logits, mask, groups)


def of_hamner(scale):
    return stage(words, memory.regions, memory.mask, scale, groups)[0]


inputs = words, memory.regions, softmax, rho[:, None, None]
mistakes = {"rho scales nothing": of_hamner(None)}
check_module(Reader, (8, 2), stage.state_dict(), inputs, of_hamner(rho), "(B, n, d)", mistakes)
right("Reader")

# %% [markdown]
# ## 5. Co-attention
#
# At the end, words and regions weigh one another once more, both ways at once (after Xiong et al.
# 2017). One matrix $A$ serves both directions. With $T$ and $M$ after a LayerNorm:
#
# $$A = (T W_c) M^\top / \sqrt d, \quad C_1 = \operatorname{softmax}_{regions}(A)\, M, \quad
# C_2 = \operatorname{softmax}_{regions}(A)\, \operatorname{softmax}_{words}(A^\top)\, T$$
#
# $$z = \sigma(W_z [T; C_1; C_2]), \qquad H = T^L + \rho \cdot z \odot W_h [C_1; C_2]$$
#
# $C_1$ is what a word sees. $C_2$ is *the words that its regions belong to*: through it two names can
# learn that they want the same object. Two words and two regions, with $A$ made of $0$ and $\ln 3$:

# %%
from hamner.figures import attention_maps

A = torch.tensor([[math.log(3), 0.0], [math.log(3), math.log(3)]])
ways = {"each word over the regions": A.softmax(1), "each region over the words": A.softmax(0)}
maps = {title: (2 * weights).numpy() for title, weights in ways.items()}
names = ["Kelso", "Orva"], ["region 1", "region 2"]
save(attention_maps.word_maps(*names, maps, "number of choices"), "both_ways")

# %% [markdown]
# *One affinity, read both ways: rows sum to the number of regions on the left, columns to the number
# of words on the right. 1 is uniform.*
#
# Kelso looks at region 1 with $\frac34$ (1.5 of 2 in the drawing), and at region 2 with $\frac14$.
# Region 1 belongs to both words by half, region 2 to Kelso by $\frac14$. So Kelso's $C_2$ gives Kelso
# the share $\frac34 \cdot \frac12 + \frac14 \cdot \frac14 = \frac7{16}$:

# %%
over_regions, over_words = A.softmax(1), A.T.softmax(1)
shares = over_regions @ over_words  # (words, words)
assert abs(shares[0, 0] - 7 / 16) < 1e-6
shares.tolist()

# %% [markdown]
# **Your turn 5 · level 3.** Write `CoAttention.forward`. Over regions the softmax runs by grain.
#
# <details><summary>Hint</summary>
#
# $A$ is (B, n, M). Its mask over regions is `mask[:, None]`; for the other way transpose $A$ and take
# `word_mask[:, None]`. $W_z$ reads $[T; C_1; C_2]$ after the LayerNorm, and $H$ adds to the words
# *before* it.
#
# </details>


# %% tags=["solution"]
class CoAttention(nn.Module):
    """Words, their mask, the memory, rho (B,) and beta (B, 3) to H (B, n, d)."""

    def __init__(self, d):
        super().__init__()
        self.norm, self.memory_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.affinity = nn.Linear(d, d, bias=False)  # W_c
        self.gate, self.out = nn.Linear(3 * d, d), nn.Linear(2 * d, d)  # W_z, W_h
        nn.init.zeros_(self.out.weight), nn.init.zeros_(self.out.bias)

    def forward(self, words, word_mask, regions, mask, sizes, rho, beta):
        # BEGIN SOLUTION
        T, M = self.norm(words), self.memory_norm(regions)
        A = self.affinity(T) @ M.transpose(1, 2) / T.shape[-1] ** 0.5
        over_regions = softmax_by_grain(A, mask[:, None], sizes, beta)
        over_words = masked_softmax(A.transpose(1, 2), word_mask[:, None])
        C1 = over_regions @ M
        C2 = over_regions @ (over_words @ T)
        z = self.gate(torch.cat([T, C1, C2], -1)).sigmoid()
        return words + rho[:, None, None] * z * self.out(torch.cat([C1, C2], -1))
        # END SOLUTION


# %% tags=["check"]
stage, (memory, _) = shaken(interaction.CoAttention(SMALL, 8)), some_memory()
words, mask = torch.randn(3, 5, 8), torch.arange(5) < torch.tensor([[5], [3], [2]])
rho, beta = torch.rand(3), torch.rand(3, 3).softmax(-1)


def of_hamner(mask, rho):
    groups = Groups(memory.sizes, beta)
    return stage(words, memory.regions, mask, memory.mask, rho, groups)[0]


inputs = words, mask, memory.regions, memory.mask, memory.sizes, rho, beta
mistakes = {"a region may belong to padding: mask the words": of_hamner(mask | True, rho)}
mistakes["rho scales nothing"] = of_hamner(mask, torch.ones(3))
H = of_hamner(mask, rho)
check_module(CoAttention, (8,), stage.state_dict(), inputs, H, "(B, n, d)", mistakes)
right("CoAttention")

# %% [markdown]
# ## 6. The whole of stage 3
#
# Two iterations, then co-attention. In each iteration the words read the memory, scaled by $\rho$, with
# attention by grain. Then the regions read the *new* words, unscaled:
#
# $$T^l = \mathrm{Reader}(T^{l-1} \to M^{l-1}), \qquad M^l = \mathrm{Reader}(M^{l-1} \to T^l),
# \qquad l = 1, 2$$
#
# **Your turn 6 · level 2.** Write `Interaction.forward`.
#
# <details><summary>Hint</summary>
#
# Attention in a reader has logits (B, h, n, M): masks need `[:, None, None]`. The regions read words,
# and words have no grains: `masked_softmax` with the word mask.
#
# </details>


# %% tags=["solution"]
class Interaction(nn.Module):
    """Words T, their mask, the memory, rho and beta to H (B, n, d)."""

    def __init__(self, d, heads):
        super().__init__()
        self.words = nn.ModuleList(Reader(d, heads) for _ in range(2))
        self.regions = nn.ModuleList(Reader(d, heads) for _ in range(2))
        self.coattention = CoAttention(d)

    def forward(self, T, word_mask, M, mask, sizes, rho, beta):
        # BEGIN SOLUTION
        def of_regions(logits):
            return softmax_by_grain(logits, mask[:, None, None], sizes, beta)

        def of_words(logits):
            return masked_softmax(logits, word_mask[:, None, None])

        for words, regions in zip(self.words, self.regions):
            T = words(T, M, of_regions, rho[:, None, None])
            M = regions(M, T, of_words)
        return self.coattention(T, word_mask, M, mask, sizes, rho, beta)
        # END SOLUTION


# %% tags=["check"]
stage, (memory, _) = shaken(interaction.Interaction(SMALL, 8)), some_memory()
words, mask = torch.randn(3, 5, 8), torch.arange(5) < torch.tensor([[5], [3], [2]])
rho, beta = torch.rand(3), torch.rand(3, 3).softmax(-1)
H = stage(words, mask, memory, rho, beta, AttentionWeights(memory.grain))
inputs = words, mask, memory.regions, memory.mask, memory.sizes, rho, beta
check_module(Interaction, (8, 2), stage.state_dict(), inputs, H, "(B, n, d)")
right("Interaction")

# %% [markdown]
# Words have read the image as far as it was believed. In **B4** they become tags; then all your parts
# become one model.
#
# ## What we do not know of the paper
#
# - How it computes relevance. Stated is that it is learnt end to end and guides how visual knowledge
#   is integrated. The bounded cosine, and $\beta$ as shares of attention, are ours.
# - How often it iterates, and the form of its co-attention. Ours is after Xiong et al. (2017).
