# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11 · The peers: one frame, many models
#
# | | |
# | --- | --- |
# | **Goal** | seven published taggers in one frame: the idea of each, its code, what it can and cannot see |
# | **You need** | notebooks 04 and 07; nothing is trained here |
# | **Time** | about 45 minutes to read, a minute to run |
# | **Of the paper** | its main table, which sets HamLearning beside other models |
#
# The main table of a paper compares models. Each number comes from another repository, with
# another encoder, scorer and seed. So a difference of half a point says little about the models.
#
# Here every model has the same words, the same frozen features, the same decoder, the same seeds
# and the same scorer. Only the place where words meet the image differs. And on *minitweets* we
# know what each model can see, before it is trained.

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
import inspect
import textwrap

import pandas as pd
import torch

from hamner import load_corpus
from hamner.drawing.style import save
from hamner.figures import comparisons, peers
from hamner.study import who_sees_what
from hamner.study.ablation_tables import minitweets_runs
from hamner.study.comparison import comparison

# %% [markdown]
# ## 1. The frame
#
# A tagger has three parts: text stage → fusion → decoder. The *fusion* takes the words $T$ and
# the features of the image, and gives words $H$ that have seen the image.


# %%
def show(code):
    """Print the package's own source of a function, as it runs."""
    print(textwrap.dedent(inspect.getsource(code)))


from hamner.model.fusion import Fused, Seen

show(Seen)

# %%
show(Fused)

# %% [markdown]
# The paper's stages are one fusion, `ham`. Every peer is another one, in one file of
# `hamner/peers/`. For all of them, a post without an image gets its words back unchanged.

# %%
from hamner.model.config import FUSIONS

pd.Series(FUSIONS, name="module:Class").to_frame()

# %% [markdown]
# ## 2. Written down before training
#
# Notebook 07 listed *abilities*, such as telling objects apart, and the ceiling of a tagger that
# lacks one of them. What does an architecture lack? We read it off its parts: it lacks an ability
# if no part does that work.
#
# | ability | an architecture lacks it if |
# | --- | --- |
# | `text_only` | it reads no image |
# | `no_objects` | it is given the grid of the whole image, and no objects |
# | `no_geometry` | it is given no boxes |
# | `no_grains` | it has one granularity level: nothing to weigh against another |
# | `no_relations` | no region reads another region |
# | `no_reading` | no region reads the words |
# | `no_relevance` | the image adds the same to every word of every post |

# %%
abilities = [
    *dict.fromkeys(ability for lacks in who_sees_what.LACKS.values() for ability in lacks)
]
lacking = {
    name: ["lacks" if ability in lacks else "" for ability in abilities]
    for name, lacks in who_sees_what.LACKS.items()
}
pd.DataFrame(lacking, index=[name.removeprefix("no_") for name in abilities]).T

# %% [markdown]
# (`text_only` lacks images, and with them all the others.) An architecture that lacks several
# abilities cannot beat any of their ceilings: the lowest one holds. This is what we expect, in
# percent, before any of them is trained:

# %%
corpus = load_corpus("minitweets")
assert who_sees_what.can_see(corpus).all(axis=1).pipe(lambda all: list(all.index[all])) == [
    "full"
]
(100 * who_sees_what.expected(corpus)).astype(int)

# %% [markdown]
# HamLearning alone (`full`) is expected to know the answer of every cue.
#
# You need not believe the list. `inputs_read` builds a fusion with random weights, changes one part
# of the image's features, and looks whether a single bit of $H$ changes. *place* is the order of the
# grid's regions. *word* asks whether the image adds something else to each word.

# %%
parts_read = pd.DataFrame([who_sees_what.inputs_read(name) for name in FUSIONS])
assert set(parts_read.index[parts_read.boxes]) == {"ham"} and not parts_read.place.any()
assert set(parts_read.index[parts_read.objects]) == {"mgcmt", "visual_prefix", "ham"}
parts_read

# %% [markdown]
# Only `ham` reads boxes; only `mgcmt`, `visual_prefix` and `ham` read objects. No fusion knows where
# in the grid a region lies.
#
# A ceiling binds who lacks the *ability*. An architecture lacks a *part*, and the ability may have
# another home: each region of the grid shows what lies there, so that words which choose among
# regions choose among things. Where a peer is measured above its ceiling, that is the reason to
# look for.
#
# ## 3. The records
#
# One command trains all of them, with three seeds. It skips what is finished:
#
# ```bash
# hamner ablate minitweets --row comparison --seeds 3 --threads 1
# hamner tables
# ```
#
# All have the settings of the preset `small`: the budget is the same for each. (A tagger that reads no
# image has no fusion, whose matrices Muon could move, and takes AdamW.) The next cell
# collects the records that are here. An architecture without a record is *not trained yet*.

# %%
found, _ = minitweets_runs()
table = comparison(found, [], corpus)
beside = who_sees_what.expected_beside_measured(table, corpus)


def row(name):
    """An architecture's line: expected and measured type accuracy in percent, by cue."""
    mine = beside[beside.name == name].set_index("cue")[["expected", "measured"]]
    percent = (100 * mine).round(0).astype("Int64").astype("string").fillna("").T
    measured = "measured" if mine.measured.notna().all() else "not trained yet"
    return percent.rename(index={"measured": measured}).rename_axis(who_sees_what.NAMES[name])


# %% [markdown]
# ## 4. CNN-BiLSTM-CRF (Ma and Hovy 2016)
#
# **Idea.** Before pretrained encoders: a word is a vector of its own, beside a vector of its
# spelling, which a CNN reads off its letters. An LSTM in both directions reads the post. Its
# vocabulary is that of train; a new word has its spelling alone.

# %%
peers.data_flow("cnn_bilstm_crf")

# %%
from hamner.peers.cnn_bilstm_crf import CnnBiLstm

show(CnnBiLstm.forward)
show(CnnBiLstm.spelling)

# %% [markdown]
# What does it make of a new name? The lexicon says 0 for the word, and spells it:

# %%
from hamner.model.lexicon import Lexicon

lexicon = Lexicon.of(post.words for post in corpus.train)
print(len(lexicon.words), "words,", len(lexicon.letters), "letters")
print(lexicon.numbers(["the", "Xyzzyville"]), lexicon.spell("Xyzzyville")[:12])

# %% [markdown]
# **It cannot see** any image. On cues other than `text` and `unrelated` it can only guess among four
# types.

# %%
row("cnn_bilstm_crf")

# %% [markdown]
# BERT-CRF takes BERT in its place and is otherwise the same: it is the row `text_only` of this
# project.

# %%
row("text_only")

# %% [markdown]
# ## 5. Concatenation (BERT-ResNet-CRF)
#
# **Idea.** The plainest multimodal tagger: put the mean of the image's regions beside each word.

# %%
peers.data_flow("concatenation")

# %%
from hamner.peers.concatenation import Concatenation

show(Concatenation)

# %% [markdown]
# **It can see** what the image shows as a whole. **It cannot see** which of several things is meant,
# nor whether the image belongs to the words: $W[T; v] = W_1 T + W_2 v$, a sum. The image shifts the
# scores of every word in the same way, whatever the word is. So what it gains on `scene` it must pay for
# on `unrelated`: it can refuse no image.

# %%
row("concatenation")

# %% [markdown]
# ## 6. AdaCAN (Zhang et al. 2018)
#
# **Idea.** Each word looks at the image by itself: attention over regions, guided by the word. What
# it found guides attention over the words. Two gates decide: image or words, and how much of it.

# %%
peers.data_flow("adacan")

# %%
from hamner.peers.adacan import AdaCan

show(AdaCan.forward)

# %% [markdown]
# **A trap in the paper.** Inside the attention's tanh it writes a circled plus. Re-implementations
# read it as concatenation, $w^\top \tanh([W_v v_i; W_h h_t])$. Then the logit is a sum of something
# about the region and something about the word, and softmax cancels the word's part: every word
# reads the same image.

# %%
torch.manual_seed(0)
words, regions, w = torch.randn(3, 8), torch.randn(5, 8), torch.randn(16)
pairs = [[torch.cat([region, word]).tanh() @ w for region in regions] for word in words]
concatenated = torch.tensor(pairs).softmax(-1)
assert torch.allclose(concatenated, concatenated[:1].expand(3, 5))
print("concatenated\n", concatenated)

# %% [markdown]
# The three rows are the same. With a sum inside the tanh each word has its own:

# %%
pairs = [[(region + word).tanh() @ w[:8] for region in regions] for word in words]
added = torch.tensor(pairs).softmax(-1)
assert not torch.allclose(added[0], added[1], atol=0.1)
print("added\n", added)

# %% [markdown]
# The package adds. **It can see** what the regions show, word by word, and its gates can shut the
# image out. **It cannot see** objects or boxes, and no region knows the words or the other regions.

# %%
row("adacan")

# %% [markdown]
# ## 7. UMT (Yu et al. 2020)
#
# **Idea.** Transformer layers in both directions: regions read words, and words read those regions.
# Beside that, words read the image behind a gate. And a second task without any image: where do
# entities begin and end? Its scores are added to those of the tags.

# %%
peers.data_flow("umt")

# %%
from hamner.peers.umt import Umt

show(Umt.forward)

# %% [markdown]
# The auxiliary task knows three tags. $W_c$ shares each out among the tags that it can be:

# %%
from hamner.corpora import TAGS
from hamner.peers.blocks import SPAN, conversion

pd.DataFrame(conversion(TAGS), index=SPAN, columns=TAGS)

# %% [markdown]
# **It can see** the grid, and regions that know the words. **It cannot see** objects, boxes, or
# regions that compare themselves with others.

# %%
row("umt")

# %% [markdown]
# ## 8. MAF (Xu et al. 2022)
#
# **Idea.** First ask whether text and image belong together: one number $p$, learnt by exchanging
# images between posts. It scales all that is seen. A contrastive loss aligns whole texts with
# whole images.

# %%
peers.data_flow("maf")

# %%
from hamner.peers.maf import Maf

show(Maf.look)
show(Maf.matching)

# %% [markdown]
# $p$ is the nearest relative of the paper's $\rho$. MAF learns it from other posts' images;
# HamLearning has no such loss.
#
# **It can see** what MAF's one attention finds in the grid, and whether the image belongs to the
# words. **It cannot see** objects, boxes, relations; no region reads the words.

# %%
row("maf")

# %% [markdown]
# ## 9. MGCMT (Liu et al. 2022)
#
# **Idea.** By the first author of HamLearning, and its sibling. Two granularity levels, the grid and
# the objects, pass through the same steps: regions read one another, regions read words, words read
# both kinds, and a gate mixes them. UMT's span task is kept.

# %%
peers.data_flow("mgcmt")

# %%
from hamner.peers.mgcmt import Level, Mgcmt

show(Level.forward)
show(Mgcmt.forward)

# %% [markdown]
# **It can see** everything but where things are: it is given no box. HamLearning adds the spatial
# encoding, relevance and the weights of granularity levels to it.

# %%
row("mgcmt")

# %% [markdown]
# ## 10. Visual prefix (after HVPNeT, Chen et al. 2022)
#
# **Idea.** Do not add a fusion: let the image be a prompt. Its vectors stand before the words as
# keys and values of self-attention. HVPNeT does that in each layer of BERT. In this frame the
# encoder has run before the fusion, so two layers behind it do.

# %%
peers.data_flow("visual_prefix")

# %%
from hamner.peers.visual_prefix import PrefixLayer

show(PrefixLayer.forward)

# %% [markdown]
# **It can see** the whole image and each object. **It cannot see** boxes; no element of the prefix
# reads another one or the words. It reads twice, though: what a word found first can guide what it
# looks for then. If it is above its ceiling on `odd` or `other`, that is how.

# %%
row("visual_prefix")

# %% [markdown]
# ## 11. The main table
#
# F1 on minitweets' test in percent, mean over seeds, and what each costs: parameters, those of them
# that are trained, seconds of training an epoch on one core, and the peak of memory.

# %%
who_sees_what.main_table(table)

# %% [markdown]
# *unknown*: the record is older than the number. F1 is one number for ten cues. Which of them does it
# come from?
#
# ### Who sees what

# %%
save(comparisons.who_sees_what(beside), "who_sees_what")

# %% [markdown]
# *Type accuracy on minitweets' test by architecture and cue, in percent. Left: the ceiling of an
# architecture without the parts that it lacks. Right: mean over the seeds that have a record. Frames
# mark what an architecture has no part for.*
#
# Inside a frame, `above` means that the ability has another home in the architecture. Outside a
# frame, `below` means that a part is there and training did not make it work, or that the frozen
# features do not allow more (`learned`: what linear probes reach).

# %%
trained = beside[beside.seeds > 0]
verdicts = trained.pivot(index="name", columns="cue", values="verdict")[
    list(who_sees_what.CUES)
]
verdicts.loc[[name for name in who_sees_what.ARCHITECTURES if name in verdicts.index]]

# %%
differs = trained[trained.verdict != "at the ceiling"].drop(columns=["seeds", "tolerance"])
differs.round(2).reset_index(drop=True)

# %% [markdown]
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import torch

from hamner.exercises import check_choice, check_function, right

# %% [markdown]
# **1 · level 1.** *A measurement.* Which ability would lift an architecture most? Write `highest`: the mean
# over cues of what an architecture can reach, from the ceilings of the abilities that it lacks. On each
# cue the lowest ceiling holds.
#
# <details><summary>Hint</summary>
#
# `ceilings.min(dim=0).values` is the lowest of each column.
#
# </details>


# %% tags=["solution"]
def highest(ceilings):
    """Ceilings of the abilities that are lacking, ability by cue (A, C), to one number."""
    # BEGIN SOLUTION
    return ceilings.min(dim=0).values.mean()
    # END SOLUTION


# %% tags=["check"]
two = torch.tensor([[0.5, 0.5, 1.0], [0.25, 0.5, 1.0]])
mistakes = {"the lowest ceiling holds, not their product": two.prod(0).mean()}
mistakes["the lowest ceiling holds, not their mean"] = two.mean()
mistakes["take the lowest of each cue, not of each ability"] = two.min(1).values.mean()
mistakes["that is the lowest of all: take the mean over cues"] = two.min()
check_function(highest, (two,), torch.tensor(1.75 / 3), "one number", mistakes=mistakes)
right("highest")

# %%
from hamner.study.minitweets import ceilings

of_ability, lacks = ceilings(corpus), who_sees_what.LACKS["concatenation"]
lifted = {}
for given in ("nothing", *lacks):
    left = [ability for ability in lacks if ability != given]
    lifted[given] = 100 * highest(torch.tensor(of_ability.loc[left].to_numpy())).item()
assert max(lifted, key=lifted.get) == "no_objects"
pd.Series(lifted).round(1).to_frame("highest mean, when it is given").T

# %% [markdown]
# Objects would lift `concatenation` most, from 57.5 to 70.0; some of the other abilities alone bring nothing,
# for another one is still lacking.
#
# **2 · level 2.** *A piece of a stage.* MAF learns whether an image belongs to the words. Write `matching`,
# its loss: each of $m$ posts gives two pairs, one with its own image and one with another post's. It is the
# mean, over all $2m$ pairs, of $-\ln p$ for an own image and $-\ln (1 - p)$ for another one, where $p$ is the
# sigmoid of the pair's logit.
#
# <details><summary>Hint</summary>
#
# $-\ln \sigma(x)$ is `torch.nn.functional.softplus(-x)`, and $-\ln(1 - \sigma(x))$ is `softplus(x)`: no
# logarithm of 0, however large $x$ is.
#
# </details>


# %% tags=["solution"]
def matching(own, other):
    """Logits of the pairs with their own image (m,) and with another one (m,) to the loss."""
    # BEGIN SOLUTION
    softplus = torch.nn.functional.softplus
    return torch.cat([softplus(-own), softplus(other)]).mean()
    # END SOLUTION


# %% tags=["check"]
logit = torch.tensor([1 / 4, 1 / 2]).logit()  # p of the own images; of the others 1/2 and 3/4
matched, exchanged = -torch.tensor([1 / 4, 1 / 2]).log(), -torch.tensor([1 / 2, 1 / 4]).log()
swapped = -torch.tensor([3 / 4, 1 / 2, 1 / 2, 3 / 4]).log().mean()
both = torch.cat([matched, exchanged])
mistakes = {"an own image should have a high p: the two are the wrong way round": swapped}
mistakes["that is a sum: take the mean over the 2 m pairs"] = both.sum()
mistakes["that is the mean over m posts: take that over 2 m pairs"] = both.sum() / 2
mistakes["the pairs with another image are missing"] = matched.mean()
inputs = logit, torch.tensor([1 / 2, 3 / 4]).logit()
check_function(matching, inputs, both.mean(), "one number", mistakes=mistakes)
wrong = torch.tensor([-200.0]), torch.tensor([200.0])
check_function(matching, wrong, torch.tensor(200.0), name="your matching, of logits of 200,")
right("matching")

# %% [markdown]
# **3 · level 2.** *A piece of a stage.* Write `read_prefix`: self-attention of words $T$ with a visual
# prefix $P$, for one head and without projections: $\operatorname{softmax}(T [P; T]^\top / \sqrt d)\,[P; T]$.
# Only words read.
#
# <details><summary>Hint</summary>
#
# `torch.cat([prefix, words])` are the keys, and the values too.
#
# </details>


# %% tags=["solution"]
def read_prefix(words, prefix):
    """Words (n, d) and prefix (m, d) to what each word reads (n, d)."""
    # BEGIN SOLUTION
    both = torch.cat([prefix, words])
    return (words @ both.T / words.shape[-1] ** 0.5).softmax(-1) @ both
    # END SOLUTION


# %% tags=["check"]
generator = torch.Generator().manual_seed(0)
words, prefix = (torch.randn(size, 4, generator=generator) for size in (3, 2))


def attended(keys, root=2.0, axis=-1):
    return (words @ keys.T / root).softmax(axis) @ keys


both = torch.cat([prefix, words])
mistakes = {"no word reads the prefix": attended(words)}
mistakes["the words read the prefix alone: they read one another too"] = attended(prefix)
mistakes["the scores are not divided by the root of d"] = attended(both, root=1.0)
mistakes["the weights of each word sum to 1: softmax over the last axis"] = attended(
    both, axis=0
)
check_function(
    read_prefix, (words, prefix), attended(both), "(n, d): words read", mistakes=mistakes
)
right("read_prefix")

# %% [markdown]
# **4 · level 3.** *An argument.* An architecture of yours is as good as `ham` on every cue but `position`:
# there it has 0.50 over three seeds, and `ham` has 0.93. `inputs_read` says that it reads boxes. What follows?
# `"a"`: It lacks geometry. `"b"`: It guesses there. `"c"`: A part that could tell places is there, and training
# did not make it work. `"d"`: The frozen features do not show where things are.
#
# <details><summary>Hint</summary>
#
# Which accuracy has a guess among four types, and which has a tagger that knows the two types in the image
# and not which of them is meant?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "c"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "it is given boxes, and they change what it gives: the places are there to be used",
    "b": "a guess among four types has 0.25: it knows which two are there, not which is meant",
    "d": "boxes are no features: they are numbers beside them, and ham reads the same ones",
}
check_choice("answer", answer, "c", why_not)
right("a ceiling says what can be learnt, not what was")

# %% [markdown]
# ## What we do not know of the paper
#
# - Which models its main table has, and with which encoder each of them was run.
# - Whether its numbers of other models were measured again or copied from their papers.
# - What each model costs. Parameters, seconds and memory are seldom in such tables.
# - How often each was trained. A difference below the spread over seeds is no difference.
