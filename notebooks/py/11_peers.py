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
(100 * who_sees_what.expected(corpus)).astype(int)

# %% [markdown]
# You need not believe the list. `inputs_read` builds a fusion with random weights, changes one part
# of the image's features, and looks whether a single bit of $H$ changes. *place* is the order of the
# grid's regions. *word* asks whether the image adds something else to each word.

# %%
pd.DataFrame([who_sees_what.inputs_read(name) for name in FUSIONS])

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
# All have the settings of the preset `small`: the budget is the same for each. The next cell
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
# scores of every word in the same way, whatever the word is. So on `unrelated` it must be wrong as
# often as it is right on `scene`.

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
print("concatenated\n", torch.tensor(pairs).softmax(-1))

# %%
pairs = [[(region + word).tanh() @ w[:8] for region in regions] for word in words]
print("added\n", torch.tensor(pairs).softmax(-1))

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
# **1.** Which two cues tell these architectures apart best? Find the pairs of cues whose expected
# accuracies, taken together, differ between most architectures.

# %% tags=["solution"]
from itertools import combinations

ceiling = who_sees_what.expected(corpus)
told = {pair: len(ceiling[list(pair)].drop_duplicates()) for pair in combinations(ceiling, 2)}
pd.Series(told).sort_values(ascending=False, kind="stable").head(3)

# %% [markdown]
# **2.** Two architectures have the same expectations on every cue if they lack the same things. Which
# ones are alike? What would you have to measure to tell them apart?

# %% tags=["solution"]
alike = ceiling.groupby(list(ceiling.columns), sort=False).groups.values()
[list(names) for names in alike if len(names) > 1]
# The ceiling of two of them is one, and their training is not: F1, seeds, and price remain.

# %% [markdown]
# **3.** Which ability would lift `concatenation` most? Give it one after the other (take it from what
# it lacks), and compute the mean over cues of the ceilings that are left.

# %% tags=["solution"]
from hamner.study.minitweets import ceilings

of_ability, lacks = ceilings(corpus), who_sees_what.LACKS["concatenation"]
for given in ("nothing", *lacks):
    left = [ability for ability in lacks if ability != given]
    print(f"{given:>13}: {100 * of_ability.loc[left].min().mean():.1f}")

# %% [markdown]
# ## What we do not know of the paper
#
# - Which models its main table has, and with which encoder each of them was run.
# - Whether its numbers of other models were measured again or copied from their papers.
# - What each model costs. Parameters, seconds and memory are seldom in such tables.
# - How often each was trained. A difference below the spread over seeds is no difference.
