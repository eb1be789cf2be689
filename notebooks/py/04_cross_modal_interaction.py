# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Words and regions read one another
#
# | | |
# | --- | --- |
# | **Goal** | stage 3 by hand: an iteration, co-attention, the gate; and what changes from step to step |
# | **You need** | notebooks 02 and 03; no training |
# | **Time** | about 40 minutes to read, less than a minute to run |
# | **Of the paper** | stage 3: iterative interactions across modalities, and co-attention, before decoding |
#
# Stage 1 gave a vector for each word and one for each region of the image. Stage 2 said whether
# the image counts and which of its grains. Nothing has gone from the image to a word yet.
# That is what stage 3 does, and it does so more than once: when a word has read the image, it
# knows better what to look for.

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
from itertools import combinations, pairwise

import pandas as pd
import torch

from hamner import Tagger, load_corpus
from hamner.corpora import project_folder, spans
from hamner.models import trained_or_bundled
from hamner.figures import attention_maps
from hamner.study import pointing
from hamner.study.minitweets import CUES, answers_of
from hamner.drawing.style import save

# %% [markdown]
# ## 1. A post with two names
#
# The tagger is the full model, trained on minitweets. It comes with hamner. If you have trained
# your own and its weights differ, the cell takes that one, and says so:
#
#     hamner train minitweets --row full --threads 1 --run data/models/minitweets-full
#     hamner calibrate data/models/minitweets-full

# %%
corpus = load_corpus("minitweets")
trained = project_folder() / "data" / "models" / "minitweets-full"
tagger = Tagger.from_pretrained(trained_or_bundled(trained))
tagger.model.requires_grad_(False)  # nothing is trained here
posts = {post.id: post for post in corpus.test}
names = answers_of(corpus)
chosen = [name for cue in CUES for name in [one for one in names if one.cue == cue][:24]]
store = pointing.visual_features(tagger, corpus, [posts[name.post] for name in chosen])

# %% [markdown]
# The first post of the cue *position* without an emoji (the font of the figures knows none): two
# names, and which is which follows from where things are. It is a good case for stage 3, for the
# two names must read *different* things.

# %%
plain = [one for one in chosen if all(word.isascii() for word in posts[one.post].words)]
name = next(one for one in plain if one.cue == "position")
post = posts[name.post]
tagger(words=post.words, image=post.image, features=store[post.id]).show()

# %% [markdown]
# One forward pass gives all that we need: its output holds the attention weights of *this* pass;
# nothing is computed again for the figures.

# %%
batch, output = pointing.forward(tagger, [post], store)
kept = output.attention_weights
grains = pd.Series(kept.grain).map(dict(enumerate(["global", "semantic", "spatial"])))
print("regions of the memory:", grains.value_counts(sort=False).to_dict())
print("iterations, heads, words, regions:", tuple(kept.word_to_region.shape[1:]))

# %% [markdown]
# The memory is $M^0 = [G; O_{sem}; O_{spa}]$: 16 regions of the grid and each object twice, once by
# what it is and once by where it is. (Places for objects that this image lacks are masked.)
#
# ## 2. One iteration, by hand
#
# In iteration $l$ the words ask and the regions answer:
#
# $$T^l = T^{l-1} + \rho \cdot \mathrm{MHA}(\mathrm{LN}\,T^{l-1} \to \mathrm{LN}\,M^{l-1};\ \text{shares} \beta),
# \qquad \text{then} \quad T^l + \rho \cdot \mathrm{FF}(T^l)$$
#
# A *hook* lets us catch what goes into a module and what comes out, in the pass that counts.

# %%
block = tagger.model.fusion.interaction.words[0]
caught = {}


def catch(module, given, result):
    caught[module] = given, result


def watch(module):
    hook = module.register_forward_hook(catch)
    tagger.model(batch)
    hook.remove()
    return caught[module]


(T, M, mask, rho, (sizes, beta)), (T_after, _) = watch(block)
{"T": tuple(T.shape), "M": tuple(M.shape), "mask": tuple(mask.shape), "beta": tuple(beta.shape)}


# %%
from hamner.model.attention import SCALE, unit


def split(x):
    """(B, length, d) to (B, heads, length, d / heads)."""
    return x.unflatten(-1, (block.attention.heads, -1)).transpose(1, 2)


memory = block.memory_norm(M)
q = split(block.attention.query(block.norm(T)))
k, v = (split(half) for half in block.attention.key_value(memory).chunk(2, dim=-1))
logits = SCALE * unit(q) @ unit(k).transpose(-1, -2)  # (B, h, n, M)
logits = logits.masked_fill(~mask[:, None, None], -torch.inf)
of_grains = logits.split(sizes, -1)  # the grid, then the objects' two encodings
weights = [
    beta[:, g, None, None, None] * of_grain.softmax(-1) for g, of_grain in enumerate(of_grains)
]
weights = torch.cat(weights, -1)  # each grain by itself, times its share
read = block.attention.out((weights @ v).transpose(1, 2).flatten(2))

# %%
T1 = T + rho[:, None, None] * read
T1 = T1 + rho[:, None, None] * block.feed_forward(T1)
assert torch.allclose(T1, T_after, atol=1e-5)
assert torch.allclose(weights, kept.word_to_region[:, 0], atol=1e-5)

# %% [markdown]
# Two things in these lines carry the weight of stage 2.
#
# - `beta` is how much of a word's attention each grain gets; the softmax shares that out among its
#   regions. So 16 regions of grid don't drown five objects, and no grain can shut out another.
# - `rho` multiplies *all* that a word receives. If it is 0, words stay exactly as they were.
#
# The second is a law that the model keeps to the bit. Take the image away, and the words pass
# through stage 3 unchanged.

# %%
from dataclasses import replace

no_image = torch.zeros_like(batch.images.image_mask)
blind = replace(batch, images=batch.images._replace(image_mask=no_image))
states = pointing.word_states(tagger.model, blind)
assert all(torch.equal(state, states["T0"]) for state in states.values())
list(states)

# %% [markdown]
# So does an untrained model, with the image: the last layer of each branch starts at zero, and
# training starts as the text-only model. The image has to earn its place.

# %%
from hamner.training.loop import build_model

shape = {key: tagger.run.record["features"][key] for key in ("channels", "classes")}
fresh = build_model(tagger.config.model, seed=1, **shape).eval()
states = pointing.word_states(fresh, batch)
assert torch.equal(states["H"], states["T0"])

# %% [markdown]
# ## 3. What changes from iteration to iteration
#
# After the words, the regions read in turn ($M^l = M^{l-1} + \mathrm{MHA}(\mathrm{LN}\,M^{l-1} \to
# \mathrm{LN}\,T^l)$, then $M^l + \mathrm{FF}(M^l)$, with no $\rho$): the memory that the second
# iteration looks at has read the post. Let us see where words look. A column for the grid (its
# mean), and one for each object (the mean of its two encodings), numbered as in the image above.


# %%
def columns(weights):
    """(..., words, regions) to weight times number of regions: the grid, then each object."""
    scaled = weights * mask.sum()
    grid = scaled[..., kept.grain == 0].mean(-1, keepdim=True)
    real = batch.images.object_mask[0]
    return torch.cat([grid, pointing.of_objects(kept, scaled)[..., real]], -1)


# %%
steps = kept.word_to_region[0].mean(1)  # the mean over heads: (iterations, words, regions)
maps = {f"iteration {number}": columns(step) for number, step in enumerate(steps, start=1)}
maps["co-attention"] = columns(kept.co_regions[0])
regions = ["grid"] + [str(k + 1) for k in range(int(batch.images.object_mask.sum()))]
maps = {title: one.numpy() for title, one in maps.items()}
save(attention_maps.word_maps(post.words, regions, maps), "iteration_maps")

# %% [markdown]
# *Where each word of one post looks, step by step: weight times number of regions, mean over heads;
# 1 is uniform. Columns: the grid (mean) and the objects.*
#
# Compare the two names' rows: do they part, and at which step? How much each step looks elsewhere
# than the one before is a number: half the summed difference of the weights (0: the same regions,
# 1: quite other ones). Over the names of each cue:


# %%
def moves(kept, row, start):
    path = [*kept.word_to_region[row, :, :, start].mean(1), kept.co_regions[row, start]]
    return [((after - before).abs().sum() / 2).item() for before, after in pairwise(path)]


of_cue = {cue: [one for one in chosen if one.cue == cue] for cue in CUES}
passes, rows = {}, {}
for cue, some in of_cue.items():
    passes[cue] = pointing.forward(tagger, [posts[one.post] for one in some], store)
    of_pass = passes[cue][1].attention_weights
    rows[cue] = [moves(of_pass, row, one.start) for row, one in enumerate(some)]
titles = [f"{before} → {after}" for before, after in pairwise(maps)]
apart = pd.DataFrame([torch.tensor(rows[cue]).mean(0).tolist() for cue in CUES], CUES, titles)
assert apart[titles[0]].min() > 0.25
apart.round(2)

# %% [markdown]
# In every cue more than a quarter of a name's attention moves from the first iteration to the second.
#
# ## 4. What the decoder would read
#
# Looking elsewhere is not yet knowing more. A sharper question: if stage 3 ended *here*, what would
# the decoder say? We hand it the words after each step ($T^0$, $T^1$, ..., $H$) and note the
# probability of each name's right type. The decoder was trained on $H$ alone, so its reading of
# the others is a rough one (the trick is known as the *logit lens*).


# %%
def right_type(cue):
    batch, some = passes[cue][0], of_cue[cue]
    begins = [tagger.model.decoder.tags.index(f"B-{one.type}") for one in some]
    starts, each = [one.start for one in some], list(range(len(some)))
    found = {}
    for step, state in pointing.word_states(tagger.model, batch).items():
        p = tagger.model.decoder.marginals(tagger.model.decoder(state), batch.word_mask)
        found[step] = p[each, starts, begins].mean().item()
    return found


# %%
def steps_by_cues():
    return pd.DataFrame({cue: right_type(cue) for cue in CUES})


probability = steps_by_cues()
save(attention_maps.refinement(probability), "refinement")

# %% [markdown]
# *Mean probability of a name's right type (24 names of each cue) if the decoder read the words at
# each step: $T^0$ is the text alone, $H$ what it reads in fact.*
#
# At $T^0$ the text stands alone. In `text` it knows the answer; in the eight cues that need the
# image it cannot know more than chance, one in four. At $H$ each of them is above one half. Which
# step does the work? In seven of the eight it is the second iteration, in `odd` it is co-attention. It
# need not be: branches that are trained together divide the work among themselves as they like.
#
# `unrelated` is the other way round: the words know the answer, and whatever the steps add is an
# image that misleads. The line falls there, by what relevance lets through.

# %%
seeing = probability.drop(columns=["text", "unrelated"])
assert seeing.loc["T0"].mean() < 0.3 and seeing.loc["H"].min() > 0.5
largest = seeing.diff().idxmax()
assert largest["odd"] == "H" and (largest.drop("odd") == "T2").all()
assert probability.unrelated["H"] < probability.unrelated["T0"]

# %% [markdown]
# What would become of the model with fewer steps, or with more? This figure cannot tell, for all
# of these were trained together. The ablation rows `no_iteration` to `four_iterations` are trained
# anew (notebook 07). They cannot tell iteration from depth either: each iteration has weights of its
# own, so that a row with fewer of them is a smaller model too.
#
# ## 5. Co-attention, by hand
#
# When the iterations are done, words and regions weigh one another once more, in both directions at
# once (after Xiong et al. 2017). One matrix $A$ of affinities serves both: normalised over regions
# it says where a word looks, normalised over words it says which words a region belongs to. With
# $T$ and $M$ after a LayerNorm:
#
# $$A = (T W_c) M^\top / \sqrt d, \qquad C_1 = \operatorname{softmax}_{regions}(A)\, M, \qquad
# C_2 = \operatorname{softmax}_{regions}(A)\, \operatorname{softmax}_{words}(A^\top)\, T$$
#
# (the softmax over regions grain by grain, with the shares $\beta$), and
#
# $$z = \sigma(W_z [T; C_1; C_2]), \qquad H = T^L + \rho \cdot z \odot W_h [C_1; C_2]$$

# %%
co = tagger.model.fusion.interaction.coattention
(words, regions_in, word_mask, region_mask, rho, _), (H_of_model, *_) = watch(co)

# %%
T, M = co.norm(words), co.memory_norm(regions_in)
A = co.affinity(T) @ M.transpose(1, 2) / T.shape[-1] ** 0.5  # (B, n, M)
there = A.masked_fill(~region_mask[:, None], -torch.inf)
of_grains = [
    beta[:, g, None, None] * part.softmax(-1) for g, part in enumerate(there.split(sizes, -1))
]
over_regions = torch.cat(of_grains, -1)  # (B, n, M)
over_words = A.masked_fill(~word_mask[:, :, None], -torch.inf).softmax(1)  # (B, n, M)
assert torch.allclose(over_regions, kept.co_regions, atol=1e-5)

# %% [markdown]
# Then each word takes two things: $C_1$, the regions that it looks at, and $C_2$, *the words that
# those regions belong to*. Through $C_2$ two names of a post can learn of one another by way of
# the image: "the thing that I look at is already spoken for".

# %%
C1 = over_regions @ M
C2 = over_regions @ (over_words.transpose(1, 2) @ T)
z = co.gate(torch.cat([T, C1, C2], -1)).sigmoid()
H = words + rho[:, None, None] * z * co.out(torch.cat([C1, C2], -1))
assert torch.allclose(H, H_of_model, atol=1e-5)

# %% [markdown]
# Both directions as maps of words by regions. In the left one each *row* shares out its attention,
# in the right one each *column* does. (A region always has to belong to some word: a softmax
# cannot say "to none".)

# %%
spread = over_words[0] * len(post.words)
grid = spread[:, kept.grain == 0].mean(1, keepdim=True)
to_words = torch.cat([grid, pointing.of_objects(kept, spread)], 1)[:, : len(regions)]
maps = {"each word over the regions": columns(over_regions[0]).numpy()}
maps["each region over the words"] = to_words.numpy()
save(attention_maps.word_maps(post.words, regions, maps, "number of choices"), "co_attention")

# %% [markdown]
# *Co-attention of one post, both ways: a word over the regions (rows) and a region over the words
# (columns). Weight times number of choices, so that 1 is uniform in both.*
#
# ## 6. The gate
#
# $z$ is between 0 and 1 for each channel of each word, and is often drawn as "how much the model
# trusts the image". Is it? The gate multiplies $W_h[C_1; C_2]$, and $\rho$ multiplies both. A gate
# that is wide open lets nothing in if nothing comes. So we draw it beside what gets through: the
# length of $H - T^L$ as a share of the length of $T^L$.

# %%
rows = []
for cue, (batch, output) in passes.items():
    *_, before, after = pointing.word_states(tagger.model, batch).values()
    moved = (after - before).norm(dim=-1) / before.norm(dim=-1)
    for row, one in enumerate(of_cue[cue]):
        begins = {span.start for span in spans(posts[one.post].tags)}
        for i in range(len(posts[one.post].words)):
            z = output.attention_weights.gate[row, i].item()
            rows.append((cue, i in begins, z, moved[row, i].item()))
gates = pd.DataFrame(rows, columns=["cue", "name", "gate", "moved"])

# %%
save(attention_maps.gate(gates), "gate")

# %% [markdown]
# *Left: the gate, mean over its channels. Right: what co-attention adds to a word, as a share of the
# word's length. Boxes hold the middle half of the words, whiskers reach the furthest within 1.5
# box lengths.*
#
# The two sides do not agree, and the right one is what the decoder gets to see. In `unrelated` the gate is
# as open as elsewhere, and yet half of the names move by less than a tenth of their length: relevance
# keeps out what the gate would let in. In each other cue they move more than four times as far.

# %%
of_names = gates[gates.name].groupby("cue")[["gate", "moved"]].median()
unrelated, others = of_names.loc["unrelated"], of_names.drop("unrelated")
assert unrelated.gate > others.gate.min()
assert 4 * unrelated.moved < others.moved.min() and unrelated.moved < 0.1

# %% [markdown]
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import torch

from hamner.exercises import check_choice, check_function, right
from hamner.model.attention import Groups, softmax_by_group

# %% [markdown]
# **1 · level 2.** *A piece of stage 3.* Write `read`: what a word takes from the memory if it attends to
# each grain by itself, with the share $\beta_g$.
#
# <details><summary>Hint</summary>
#
# `logits.split(sizes, -1)` gives the parts. $\beta_g$ has to fit (B, n, M_g): `beta[:, g, None, None]`.
#
# </details>


# %% tags=["solution"]
def read(logits, values, sizes, beta):
    """Logits (B, n, M), values (B, M, d), each grain's size, beta (B, g) to (B, n, d)."""
    # BEGIN SOLUTION
    parts = enumerate(logits.split(sizes, -1))
    weights = [beta[:, g, None, None] * part.softmax(-1) for g, part in parts]
    return torch.cat(weights, -1) @ values
    # END SOLUTION


# %% tags=["check"]
logits, values, sizes = torch.randn(2, 3, 6), torch.randn(2, 6, 4), (4, 1, 1)
beta, real = torch.rand(2, 3).softmax(-1), torch.ones(2, 3, 6, dtype=torch.bool)
expected = softmax_by_group(logits, real, Groups(sizes, beta)) @ values
mistakes = {"one softmax runs over all grains": logits.softmax(-1) @ values}
mistakes["the shares beta are missing"] = (
    softmax_by_group(logits, real, Groups(sizes, torch.ones(2, 3))) @ values
)
check_function(read, (logits, values, sizes, beta), expected, "(B, n, d)", mistakes=mistakes)
right("read")

# %% [markdown]
# **2 · level 2.** *A measurement.* Do the heads of an iteration look at different things? Write `heads`: the
# entropy of each head's weights (1 = uniform over all regions), and how much each two heads differ,
# which is half the summed difference of their weights, as in section 3.
#
# <details><summary>Hint</summary>
#
# The entropy is $-\sum_m a_m \ln a_m / \ln M$. `torch.special.entr` gives $-a \ln a$, and 0 at 0. For all
# pairs of heads: `weights[:, None] - weights[None]`.
#
# </details>


# %% tags=["solution"]
def heads(weights):
    """Weights (h, M) to the entropy of each head (h,) and the difference of each two (h, h)."""
    # BEGIN SOLUTION
    length = torch.tensor(float(weights.shape[1])).log()
    entropy = torch.special.entr(weights).sum(-1) / length
    return entropy, (weights[:, None] - weights[None]).abs().sum(-1) / 2
    # END SOLUTION


# %% tags=["check"]
weights = torch.tensor([[0.25] * 4, [0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
entropy = torch.tensor([1.0, 0.5, 0.5])
differences = torch.tensor([[0, 0.5, 0.5], [0.5, 0, 1], [0.5, 1, 0]])
bits = entropy * torch.tensor(4.0).log()
mistakes = {"uniform weights must have 1: divide by the logarithm of M": bits}
mistakes["take half of the summed difference"] = 2 * differences
expected = {"the entropy": entropy, "the difference": differences}
# The second and the third have one entropy and nothing in common.
check_function(heads, (weights,), expected, mistakes=mistakes)
right("heads")

# %%
for number, of_heads in enumerate(kept.word_to_region[0, :, :, name.start], start=1):
    entropy, apart = heads(of_heads[:, mask[0]])
    print(f"iteration {number}: entropies", [round(one, 2) for one in entropy.tolist()])
    pairs = [(f"{a} and {b}", apart[a, b]) for a, b in combinations(range(len(apart)), 2)]
    print("  differences:", ", ".join(f"{pair} {one:.2f}" for pair, one in pairs))

# %% [markdown]
# **3 · level 2.** *A measurement.* What is the last iteration worth to the trained model? PyTorch calls a hook
# with a module, what it was given and what it gave; what the hook returns takes the place of the
# latter. An iteration gives the words and its attention weights. Write `skip`: the words as they came
# in, the weights as they are.
#
# <details><summary>Hint</summary>
#
# `given` holds the arguments of the iteration, of which the words are the first.
#
# </details>


# %% tags=["solution"]
def skip(module, given, result):
    """A hook: (words, ...) and (words afterwards, weights) to (words, weights)."""
    # BEGIN SOLUTION
    return given[0], result[1]
    # END SOLUTION


# %% tags=["check"]
before, memory, after = torch.randn(3, 1, 5, 4).unbind()
weights = torch.rand(1, 2, 5, 5)
expected = {"the words": before, "the weights": weights}
mistakes = {"they have read the image: the iteration is not skipped": after}
mistakes["they are what was read: the words come first"] = memory
mistakes["without words nothing is left to decode"] = torch.zeros_like(before)
given = None, (before, memory), (after, weights)
check_function(skip, given, expected, mistakes=mistakes)
right("skip")

# %%
hook = tagger.model.fusion.interaction.words[-1].register_forward_hook(skip)
skipped = steps_by_cues().loc["H"]
hook.remove()
lost = (probability.loc["H"] - skipped).drop(["text", "unrelated"])
assert lost.min() > 0.03 and lost["odd"] > 1 / 3 and lost.drop("odd").max().round(2) <= 0.15
assert skipped["unrelated"] > probability.loc["H", "unrelated"]
pd.DataFrame({"whole": probability.loc["H"], "without the last": skipped}).round(2)

# %% [markdown]
# All eight cues that need the image lose by it. `odd` loses most, more than 0.33. The other seven
# lose 0.15 at most, although in section 4 the second iteration did most for them: the first iteration
# and co-attention read the image, too, and make up for much of it. In `unrelated`, where the image
# misleads, the model is better without.
#
# **4 · level 1.** *A piece of stage 3.* Write `gated`, the last equation of section 5: what becomes of a word
# that takes $o = W_h[C_1; C_2]$ from the image, through the gate $z$, the sigmoid of `logits`.
#
# <details><summary>Hint</summary>
#
# $z$ has a value for each channel, $\rho$ one for each post: `rho[:, None, None]`.
#
# </details>


# %% tags=["solution"]
def gated(words, taken, logits, rho):
    """Words, what they take, the gate before its sigmoid (B, n, d each) and rho (B,) to H."""
    # BEGIN SOLUTION
    return words + rho[:, None, None] * logits.sigmoid() * taken
    # END SOLUTION


# %% tags=["check"]
words_in, takes, gate_logits = torch.arange(1.0, 25.0).reshape(3, 2, 2, 2).sin()
rhos = torch.tensor([0.2, 0.9])
scale, z = rhos[:, None, None], gate_logits.sigmoid()
expected = words_in + scale * z * takes
mistakes = {"z is the sigmoid of the logits": words_in + scale * gate_logits * takes}
mistakes["rho is missing"] = words_in + z * takes
mistakes["the gate is missing"] = words_in + scale * takes
mistakes["rho scales channels, not posts"] = words_in + rhos * z * takes
mistakes["the words stay whole: nothing scales them"] = scale * z * (words_in + takes)
mistakes["the words stay whole: the gate opens for the image alone"] = (
    1 - scale * z
) * words_in + scale * z * takes
given = words_in, takes, gate_logits, rhos
check_function(gated, given, expected, "(B, n, d)", mistakes=mistakes)
right("gated")

# %% [markdown]
# It is the model's own. Now its gate is held open ($z = 1$ everywhere) and shut ($z = 0$). In which cues does
# the gate matter?

# %%
both = torch.cat([C1, C2], -1)
logits_of_model = co.gate(torch.cat([T, both], -1))
assert torch.allclose(gated(words, co.out(both), logits_of_model, rho), H_of_model, atol=1e-5)


def with_gate(logit):
    hook = co.gate.register_forward_hook(lambda module, given, z: torch.full_like(z, logit))
    found = steps_by_cues().loc["H"]
    hook.remove()
    return found


# %%
found = {"as trained": probability.loc["H"], "open": with_gate(50.0), "shut": with_gate(-50.0)}
gate_held = pd.DataFrame(found)
assert gate_held.mean().idxmax() == "as trained"
gate_held.round(2)

# %% [markdown]
# On the mean over the cues the gate as trained is the best of the three.
#
# **5 · level 3.** *An argument.* Exercise 3 leaves one iteration in a model that was trained with two. The
# ablation row `one_iteration` has one, too. Why do the two not measure the same? `"a"`: they do, for
# both have one iteration. `"b"`: the row has its regions read the words, the model of exercise 3 does
# not. `"c"`: the row is a smaller model, and the loss of exercise 3 is free of that. `"d"`: in exercise 3
# co-attention and the decoder read words that they never met in training.
#
# <details><summary>Hint</summary>
#
# Which weights of the two models are the same, and what were they trained for?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "d"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "the row is trained anew: all its weights learnt to do with one iteration",
    "b": "the hook replaces what words take; the regions read the words in both",
    "c": "the model of exercise 3 also has one iteration less at work",
}
check_choice("answer", answer, "d", why_not)
right("a lesion measures what this model relies on, an ablation what training needs")

# %% [markdown]
# ## What we do not know of the paper
#
# - How often it iterates, whether the iterations share weights, and whether regions are updated at
#   all or only the words.
# - The form of its co-attention, and whether a gate follows. Ours is after Xiong et al. (2017), with a
#   gate as related models have it.
# - Where relevance enters: we scale what a word receives, and give each grain its share of what
#   it reads.
