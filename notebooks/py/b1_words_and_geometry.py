# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # B1 · Build it: words, the sentence, and where boxes lie
#
# | | |
# | --- | --- |
# | **Goal** | write the text side of stage 1 and the geometry of boxes, each from its equation |
# | **You need** | PyTorch: tensors, broadcasting, `nn.Module`; no trained model |
# | **Time** | about 90 minutes to write; seconds to run |
# | **Of the paper** | stage 1: global and local text, and the geometry of spatial learning (their form is ours) |
#
# In four notebooks you write the whole model, part by part, in the order in which data flow
# through it. B1: words, sentence, geometry. B2: objects, and the two blocks that relate them. B3:
# relevance, and how words read regions. B4: the CRF; then you load the trained weights into *your*
# classes, compare with hamner, and train a model of your own.
#
# Each step goes the same way: numbers that you can work out on paper, a drawing, at most 15 lines
# for you, and a cell that checks them and says what is wrong. **Level 1** is one equation. **Level
# 2** is an equation over several axes. **Level 3** puts several equations together.
#
# This is the notebook with its solutions. `make students` writes the copy to work in: there, the
# lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

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

# %% tags=["keep"]
import math

import torch
from torch import nn

from hamner.exercises import check_function, check_module, random_images, right, shaken
from hamner.model import intra_modality

# %%
from hamner.drawing.style import save
from hamner.figures import build

# %% [markdown]
# ## 1. Words
#
# A pretrained text encoder has read the post. It leaves two things for each word $i$: its vector
# $h_i^{(l)}$ in every layer $l$, and its input embedding $e_i$, which knows nothing of the other
# words. The word vector $T$ is the sum of two views:
#
# $$T = W_t \sum_l \alpha_l\, h^{(l)} + \operatorname{Conv}_7(e), \qquad
# \alpha = \operatorname{softmax}(a)$$
#
# The first view is *global*: each layer has seen the whole post. Which layers count is learnt, in
# one number $a_l$ for each layer. Two layers, one word; the softmax of $(0, \ln 3)$ is
# $(\frac14, \frac34)$:

# %%
a = torch.tensor([0.0, math.log(3)])
h = torch.tensor([[4.0, 0.0], [0.0, 4.0]])  # two layers of one word
print("shares:", a.softmax(0).tolist(), "| mix:", (a.softmax(0) @ h).tolist())

# %% [markdown]
# The second view is *local*: a convolution of width 7 reads three words to the left and three to
# the right, and zeros beyond the ends.

# %%
words = ["Kelso", "(", "left", ")", "meets", "Orva", "(", "right", ")", "today"]
save(build.window(words, at=5), "window")

# %% [markdown]
# *What the convolution reads for one name: seven words, with the name in the middle.*
#
# With a kernel of ones it is a plain sum. The words 1 to 9 have these sums; the first is
# $1 + 2 + 3 + 4$, the one in the middle $2 + \dots + 8$:

# %%
conv = nn.Conv1d(1, 1, kernel_size=7, padding=3, bias=False)
nn.init.ones_(conv.weight)
sums = conv(torch.arange(1.0, 10)[None, None])[0, 0].tolist()
assert sums[0] == 1 + 2 + 3 + 4 and sums[4] == sum(range(2, 9))
sums

# %% [markdown]
# **Your turn 1 · level 2.** Write `Words.forward`. B posts of up to n words come in, with
# $d_{enc}$ channels from the encoder; $T$ has $d$. The posts of a batch differ in length. The
# shorter ones are padded, and the padding's embeddings are *not* zero: set them to zero first,
# or the last words of a short post would read them.
#
# <details><summary>Hint</summary>
#
# `torch.einsum("l,bnld->bnd", shares, layers)` is the sum over layers. `nn.Conv1d` wants the
# channels before the words, (B, channels, n): `transpose(1, 2)` before it and after it.
#
# </details>


# %% tags=["solution"]
class Words(nn.Module):
    """Layers (B, n, L, d_enc), embeddings (B, n, d_enc) and mask (B, n) to T (B, n, d)."""

    def __init__(self, d_enc, layers, d):
        super().__init__()
        self.mix = nn.Parameter(torch.zeros(layers))  # a: equal shares at the start
        self.project = nn.Linear(d_enc, d)  # W_t
        self.local = nn.Conv1d(d_enc, d, kernel_size=7, padding=3)

    def forward(self, layers, embedded, word_mask):
        # BEGIN SOLUTION
        shares = self.mix.softmax(0)
        mixed = torch.einsum("l,bnld->bnd", shares, layers)
        seen = embedded * word_mask[:, :, None]
        local = self.local(seen.transpose(1, 2)).transpose(1, 2)
        return self.project(mixed) + local
        # END SOLUTION


# %% tags=["check"]
from transformers import BertConfig, BertModel

from hamner.model.batch import Batch
from hamner.model.config import ModelConfig
from hamner.model.text import TextStage

small = {"hidden_size": 6, "num_attention_heads": 2, "intermediate_size": 6, "vocab_size": 9}
settings = {"frozen_text": True, "layers": "mix", "word_shapes": False, "dropout": 0.0}
config = ModelConfig(width=4, heads=2, **settings)
stage = shaken(TextStage(BertModel(BertConfig(**small, num_hidden_layers=2)), config))
weights = {key: w for key, w in stage.state_dict().items() if not key.startswith("encoder.")}
layers, embedded = torch.randn(2, 5, 3, 6), torch.randn(2, 5, 6)
mask = torch.arange(5) < torch.tensor([[5], [3]])


def of_hamner(mask):
    return stage(Batch(mask, mask[:, 0], word_layers=layers, word_embeddings=embedded))[0]


inputs, unmasked = (layers, embedded, mask), of_hamner(mask | True)
mistakes = {"the convolution reads the embeddings of padding: multiply by the mask": unmasked}
check_module(Words, (6, 3, 4), weights, inputs, of_hamner(mask), "(B, n, d)", mistakes)
right("Words")

# %% [markdown]
# ## 2. The sentence
#
# Stage 2 will ask whether the image belongs to the *post*. For that the post needs one vector
# $s$: a weighted mean of its words, with learnt weights. A softmax makes them, and padding must get
# weight exactly 0. Three words with logits $(0, \ln 3, 5)$, the third one padding: the weights are
# $(\frac14, \frac34, 0)$.
#
# **Your turn 2 · level 1.** Write `masked_softmax` over the last axis. Where a whole row is masked,
# all its weights are 0, and not `nan`. (A post without an image will be such a row.) Masks are
# boolean, `True` = real.
#
# <details><summary>Hint</summary>
#
# Put the lowest finite number, `torch.finfo(logits.dtype).min`, where the mask is `False`: a row of
# equal numbers gives equal shares, and $-\infty$ gives `nan`. Then multiply the shares by the mask.
#
# </details>


# %% tags=["solution"]
def masked_softmax(logits, mask):
    """Softmax over the last axis where the mask is True; 0 elsewhere."""
    # BEGIN SOLUTION
    lowest = torch.finfo(logits.dtype).min
    return logits.masked_fill(~mask, lowest).softmax(-1) * mask
    # END SOLUTION


# %% tags=["check"]
logits = torch.tensor([[0.0, math.log(3), 5.0], [1.0, 2.0, 3.0]])
mask = torch.tensor([[True, True, False], [False, False, False]])
shares = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 0.0]])
mistakes = {"masked places take part in the softmax": logits.softmax(-1) * mask}
check_function(masked_softmax, (logits, mask), shares, mistakes=mistakes)
wide = torch.zeros(2, 4, 3, 3), torch.tensor([True, True, False])  # a mask for all rows
check_function(masked_softmax, wide, torch.tensor([0.5, 0.5, 0.0]).expand(2, 4, 3, 3))
right("masked_softmax")

# %% [markdown]
# Now the sentence. It reads the encoder's last layer $h$ and not $T$, because $T$ is trained to tell
# tags apart and loses the post's topic:
#
# $$a = \operatorname{softmax}_i(w^\top h_i), \qquad s = \mathrm{LN}\Bigl(W_s \sum_i a_i h_i\Bigr)$$
#
# LN, a LayerNorm, gives each vector mean 0 and variance 1, then scales and shifts its channels.
#
# **Your turn 3 · level 2.** Write `Sentence.forward`. It returns $s$ and the weights $a$.
#
# <details><summary>Hint</summary>
#
# `self.score(words)` has the shape (B, n, 1): `squeeze(-1)` takes the last axis away. The weighted
# sum over words is `torch.einsum("bn,bnd->bd", a, words)`.
#
# </details>


# %% tags=["solution"]
class Sentence(nn.Module):
    """The last layer (B, n, d_enc) and the mask (B, n) to s (B, d) and a (B, n)."""

    def __init__(self, d_enc, d):
        super().__init__()
        self.score = nn.Linear(d_enc, 1, bias=False)  # w
        self.project = nn.Linear(d_enc, d)  # W_s
        self.norm = nn.LayerNorm(d)

    def forward(self, words, word_mask):
        # BEGIN SOLUTION
        a = masked_softmax(self.score(words).squeeze(-1), word_mask)
        pooled = torch.einsum("bn,bnd->bd", a, words)
        return self.norm(self.project(pooled)), a
        # END SOLUTION


# %% tags=["check"]
stage = shaken(intra_modality.Sentence(6, 4))
words, mask = torch.randn(2, 5, 6), torch.arange(5) < torch.tensor([[5], [3]])
s, a = stage(words, mask)
mistakes = {"padding is read: give the mask to masked_softmax": stage(words, mask | True)[0]}
expected = {"s": s, "a": a}
check_module(Sentence, (6, 4), stage.state_dict(), (words, mask), expected, "", mistakes)
right("Sentence")

# %% [markdown]
# ## 3. Where boxes lie
#
# *"Kelso (left) meets Orva (right)"*: to see who is who, the model must know where things are. A box
# is four numbers, its corners $(x_1, y_1, x_2, y_2)$ as shares of the image; $y$ grows downwards.
# Two boxes are enough to derive all that the spatial block will be told:

# %%
i, j = (0.0, 0.2, 0.4, 0.6), (0.2, 0.5, 1.0, 0.7)
save(build.two_boxes(i, j), "two_boxes")

# %% [markdown]
# *Two boxes, their widths, and the way from the centre of i to the centre of j.*
#
# **Your turn 4 · level 1.** Write `centre_and_size`. Read the answer for $i$ off the drawing first. A
# box without area would later divide by zero: its sides count as 0.001 at least.
#
# <details><summary>Hint</summary>
#
# `boxes[..., :2]` is the upper left corner, `boxes[..., 2:]` the lower right one; `clamp(min=0.001)`.
#
# </details>


# %% tags=["solution"]
def centre_and_size(boxes):
    """Boxes (..., 4) to centres (..., 2) and to widths and heights (..., 2)."""
    # BEGIN SOLUTION
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, (high - low).clamp(min=0.001)
    # END SOLUTION


# %% tags=["check"]
boxes = torch.tensor([(0.0, 0.2, 0.4, 0.6), (0.2, 0.5, 1.0, 0.7), (0.5, 0.5, 0.5, 0.5)])
centres = torch.tensor([(0.2, 0.4), (0.6, 0.6), (0.5, 0.5)])
sizes = torch.tensor([(0.4, 0.4), (0.8, 0.2), (0.001, 0.001)])
expected, axes = {"centre": centres, "size": sizes}, "a row for each box, x and y (w and h)"
check_function(centre_and_size, (boxes,), expected, axes, columns=["x or w", "y or h"])
right("centre_and_size")

# %% [markdown]
# How much two boxes overlap is their *IoU*: the area that they share, over the area that they cover
# together. Here the shared area is $0.2 \cdot 0.1 = 0.02$. Together they cover
# $0.16 + 0.16 - 0.02 = 0.30$. So the IoU is $\frac1{15}$.
#
# **Your turn 5 · level 2.** Write `iou` for all pairs of a post's K boxes at once.
#
# <details><summary>Hint</summary>
#
# `boxes[:, :, None]` is box $i$ of each pair and `boxes[:, None]` is box $j$: broadcasting makes all
# (B, K, K) pairs. The shared box begins at the greater of both beginnings (`torch.maximum`) and
# ends at the smaller of both ends. Where that leaves a negative side, nothing is shared.
#
# </details>


# %% tags=["solution"]
def iou(boxes):
    """Boxes (B, K, 4) to (B, K, K)."""
    # BEGIN SOLUTION
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = centre_and_size(boxes)[1].prod(-1)
    return shared / (area[:, :, None] + area[:, None] - shared)
    # END SOLUTION


# %% tags=["check"]
boxes = torch.tensor([[(0.0, 0.2, 0.4, 0.6), (0.2, 0.5, 1.0, 0.7), (0.5, 0.0, 0.9, 0.3)]])
overlap = torch.tensor([[[1, 1 / 15, 0], [1 / 15, 1, 0], [0, 0, 1]]])
check_function(iou, (boxes,), overlap, "(B, K, K), a number for each pair")
right("iou")

# %% [markdown]
# Eleven numbers say how box $j$ lies as seen from box $i$. The first four are after relation
# networks (Hu et al. 2018), the others are ours:
#
# | number of $\varphi(i, j)$ | on the drawing | $j$ seen from $i$ | $i$ seen from $j$ |
# | --- | --- | ---: | ---: |
# | $dx / w_i$ and $dy / h_i$, within ±10 | $0.4 / 0.4$, $0.2 / 0.4$ | 1, 0.5 | −0.5, −1 |
# | $\ln (w_j / w_i)$ and $\ln (h_j / h_i)$ | $\ln 2$, $\ln \frac12$ | 0.69, −0.69 | −0.69, 0.69 |
# | IoU | $1/15$ | 0.07 | 0.07 |
# | $dx$, $dy$, distance | $\sqrt{0.16 + 0.04}$ | 0.4, 0.2, 0.45 | −0.4, −0.2, 0.45 |
# | is left, is above, is nearest | | 0, 0, 1 | 1, 1, 1 |
#
# The last one needs care with masks and ties, so it is given:


# %% tags=["keep"]
def is_nearest(distance, box_mask):
    """Distances (B, K, K) to (B, K, K): is j the nearest to i of all other real boxes?"""
    others = box_mask[:, None] & ~torch.eye(len(distance[0]), dtype=torch.bool)
    to_others = distance.masked_fill(~others, math.inf)
    return (to_others <= to_others.min(-1, keepdim=True).values) & others


# %% [markdown]
# **Your turn 6 · level 3.** Write `phi`: the eleven numbers of every pair, in the order of the table.
#
# <details><summary>Hint</summary>
#
# The way from $i$ to $j$ is `centre[:, None] - centre[:, :, None]`, of shape (B, K, K, 2): $i$ is the
# second axis, $j$ the third. Collect the parts in a list and end with `torch.cat(parts, -1)`; a part
# with one number for each pair needs `[..., None]`.
#
# </details>


# %% tags=["solution"]
def phi(boxes, box_mask):
    """Boxes (B, K, 4) and their mask (B, K) to (B, K, K, 11): box j as seen from box i."""
    # BEGIN SOLUTION
    centre, size = centre_and_size(boxes)
    way = centre[:, None] - centre[:, :, None]
    seen = (way / size[:, :, None]).clamp(-10, 10)
    ratio = (size[:, None] / size[:, :, None]).log()
    distance = way.norm(dim=-1)
    nearest = is_nearest(distance, box_mask)[..., None]
    numbers = [seen, ratio, iou(boxes)[..., None], way, distance[..., None], way < 0, nearest]
    return torch.cat([number.to(boxes.dtype) for number in numbers], -1)
    # END SOLUTION


# %% tags=["check"]
NUMBERS = ("dx/w", "dy/h", "log width ratio", "log height ratio", "IoU", "dx", "dy", "distance")
NUMBERS += ("is left", "is above", "is nearest")
boxes, mask = random_images().boxes, random_images().box_mask
boxes[0, :2] = torch.tensor([(0.0, 0.2, 0.4, 0.6), (0.2, 0.5, 1.0, 0.7)])  # the drawing
of_hamner = intra_modality.phi(boxes, mask)
mistakes = {"it sees i from j; the table sees j from i": of_hamner.transpose(1, 2)}
axes = "(B, K, K, 11), eleven numbers for each pair"
check_function(phi, (boxes, mask), of_hamner, axes, NUMBERS, mistakes)
right("phi")

# %% [markdown]
# ## 4. Where a box is in the image
#
# $\varphi$ is *relative*: move all boxes together and it stays the same. For *absolute* place the
# model gets centre $x$, centre $y$, width and height, scaled from $[0, 1]$ to $[-1, 1]$. A network
# that gets a smooth number learns only smooth functions of it (Tancik et al. 2020). So each number
# $u$ also comes as waves, the *Fourier features* $\sin(2^k \pi u)$ and $\cos(2^k \pi u)$ for
# $k = 0 \dots 3$:

# %%
save(build.waves((0.50, 0.56)), "waves")

# %% [markdown]
# *Two boxes whose centres are close, and the sines of their places. The slow wave hardly tells them
# apart; the fast ones do.*
#
# At $u = \frac12$ the sines are $1, 0, 0, 0$ and the cosines are $0, -1, 1, 1$. Check one with the
# drawing.
#
# **Your turn 7 · level 2.** Write `fourier`: for each box 36 numbers. First $2u - 1$ for the four
# numbers $u$, then all sines (four waves of $x$, then of $y$, $w$, $h$), then all cosines.
#
# <details><summary>Hint</summary>
#
# `u[..., None] * 2.0 ** torch.arange(4)` has one more axis, for the waves; `flatten(-2)` joins the
# last two axes.
#
# </details>


# %% tags=["solution"]
def fourier(boxes):
    """Boxes (B, K, 4) to (B, K, 36)."""
    # BEGIN SOLUTION
    u = torch.cat(centre_and_size(boxes), -1)
    angle = (u[..., None] * math.pi * 2.0 ** torch.arange(4)).flatten(-2)
    return torch.cat([2 * u - 1, angle.sin(), angle.cos()], -1)
    # END SOLUTION


# %% tags=["check"]
boxes = random_images().boxes
of_hamner = intra_modality.fourier(boxes)
numbers = [f"2u-1 of {u}" for u in "xywh"]
numbers += [
    f"{wave} {2**k} pi {u}" for wave in ("sin", "cos") for u in "xywh" for k in range(4)
]
angle = torch.pi * (of_hamner[..., :4] + 1) / 2
waves = (angle[..., None, :] * 2.0 ** torch.arange(4)[:, None]).flatten(-2)
swapped = torch.cat([of_hamner[..., :4], waves.sin(), waves.cos()], -1)
mistakes = {"the waves of one number belong together: x, x, x, x, y, ...": swapped}
check_function(fourier, (boxes,), of_hamner, "36 numbers for each box", numbers, mistakes)
right("fourier")

# %% [markdown]
# You have the words $T$, the sentence $s$, and the geometry of boxes. In **B2** boxes get contents,
# and the objects of an image learn what and where the others are. Save this notebook: B2 reads
# your classes out of it.
#
# ## What we do not know of the paper
#
# - What its *local* knowledge of the text is. The convolution and the mix of layers are our reading.
# - How it encodes place. That it learns from the spatial arrangement of objects is stated; $\varphi$
#   after its fourth number and the Fourier features are ours.
