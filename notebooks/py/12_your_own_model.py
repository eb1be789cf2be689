# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12 · Your own model
#
# | | |
# | --- | --- |
# | **Goal** | a fusion of your own in twenty lines: trained, in the table by cue, loaded again |
# | **You need** | notebook 11; `data/features` of minitweets (any training run with images makes it) |
# | **Time** | ten minutes; four short runs on a slice of minitweets, two minutes of one core |
# | **Of the paper** | the place where it differs from its peers: the fusion |
#
# You have an idea of how words should meet the image. Nothing of the package has to change for it:
# a class in a file of yours is trained by its name. `docs/EXTEND.md` is the reference; this
# notebook is the walk.

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
import json, os, tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.numpy

import hamner
from hamner import load_corpus, train
from hamner.corpora import project_folder
from hamner.images import open_image

# %% [markdown]
# ## 1. An empty folder
#
# You work in a folder outside the checkout. The notebook takes a temporary one and goes there.

# %%
FEATURES = project_folder() / "data" / "features"
temporary = tempfile.TemporaryDirectory()
os.chdir(temporary.name)

# %% [markdown]
# ## 2. Twenty lines
#
# The idea: each word looks for its thing. It compares itself with every object, by content and by
# place, takes what fits, and a gate may shut the image out.

# %%
LOOK = '''
import torch
from torch import nn
from hamner import Fused


class Look(nn.Module):
    """Each word takes the object that fits it, as far as a gate lets it through."""

    def __init__(self, config, sizes):
        super().__init__()
        d = sizes.width
        self.query, self.box = nn.Linear(d, d), nn.Linear(4, d)
        self.thing = nn.Linear(sizes.channels, d)
        self.gate = nn.Linear(2 * d, 1)

    def forward(self, seen):
        images = seen.images
        things = self.thing(images.objects) + self.box(images.boxes)  # (B, K, d)
        there = (images.object_mask & images.image_mask[:, None])[:, None]  # (B, 1, K)
        fit = self.query(seen.words) @ things.transpose(1, 2) / things.shape[-1] ** 0.5
        look = (fit.masked_fill(~there, -1e9).softmax(-1) * there) @ things  # (B, n, d)
        gate = self.gate(torch.cat([seen.words, look], -1)).sigmoid()
        return Fused(seen.words + gate * look)
'''
_ = Path("my_fusion.py").write_text(LOOK, encoding="utf-8")
# %% [markdown]
# Three things to keep in mind, for every fusion:
#
# - a post without an image comes too: `image_mask` is False, and all features are 0;
# - objects are padded to the longest list of the batch: mask what is not there;
# - no post may depend on the others of its batch.
#
# The last line of each forward pass is checked: words of another shape are refused with the class's
# name. Build it once, on random input, before you train:

# %%
from hamner import ModelConfig, Sizes
from hamner.model.fusion import build_fusion

config = ModelConfig(vision=True, fusion="my_fusion:Look")
look = build_fusion(config, Sizes(width=8, hidden=8, channels=6, classes=5, tags=("O",)))
sum(parameter.numel() for parameter in look.parameters())

# %% [markdown]
# What does it read? The question of notebook 11, asked of your class:

# %%
from hamner.study.who_sees_what import inputs_read

inputs_read("my_fusion:Look").to_frame().T

# %% [markdown]
# It reads boxes, so it can see where things are. It reads no grid, so that no word can get anything
# from it: it can see nothing but objects.
#
# ## 3. A short training run
#
# In a shell, with all posts and in a quarter of an hour:
#
# ```bash
# hamner train minitweets --fusion my_fusion:Look --threads 1
# ```
#
# Here we take a slice of the posts and few epochs. A slice is another corpus, so it gets a name of
# its own.

# %%
corpus = load_corpus("minitweets")
part = {"train": corpus.train[:1500], "valid": corpus.valid[:200], "test": corpus.test[:800]}
slice_ = replace(corpus, name="slice", **part)

# %%
from hamner.training.rows import config_of_row, full_settings, merged

short = {"epochs": 4, "patience": None, "model": {"fusion": "my_fusion:Look"}}
config = config_of_row(full_settings("minitweets", short), "full", seed=1)
config.model.fusion, config.epochs, config.model.frozen_text

# %% [markdown]
# `kept` holds the word vectors of the frozen text encoder: the next run need not compute them again.

# %%
kept = {}
options = {"features": FEATURES, "threads": 1, "kept": kept, "progress": False}
run = train(slice_, config, "runs/look", **options)
print(f"best epoch {run.record['best_epoch']}, F1 on test {100 * run.f1():.1f}")

# %% [markdown]
# The record names your class, its module, and the SHA-256 of its file:

# %%
{**run.record["extensions"]["fusion"], "sha256": "..."}

# %% [markdown]
# And the paper's stages, for as long, on the same posts:

# %%
full = config_of_row(
    full_settings("minitweets", merged(short, {"model": {"fusion": "ham"}})), "full", 1
)
paper = train(slice_, full, "runs/full", **options)
print(f"best epoch {paper.record['best_epoch']}, F1 on test {100 * paper.f1():.1f}")

# %% [markdown]
# ## 4. In the table, by cue
#
# `comparison` sets your class beside whatever was trained on the same posts. In a checkout,
# `hamner tables` does so for all runs under `data/runs`.

# %%
from hamner.minitweets import CUES
from hamner.study.comparison import comparison

table = comparison([run, paper], [], slice_).set_index(["kind", "name"])
(100 * table[["f1", *CUES]]).round(0).astype(int)

# %%
table[["seeds", "trained", "parameters"]].astype(int)

# %% [markdown]
# One seed on a slice, for a few epochs: such a table says whether the idea works at all, and not
# whether it is better. For that, train all posts with three seeds, and look at intervals
# (notebook 09).
#
# ## 5. Vectors of your own
#
# Another program has computed vectors for your images? Put them into one file, with the ids of
# posts. To have some, we let "another program" be the mean colour of each quarter of an image; the
# quarters are its objects too.

# %%
posts = [post for _, some in slice_.splits() for post in some if post.image is not None]
colours = np.stack(
    [
        np.asarray(open_image(post.image).resize((2, 2)), np.float32).reshape(4, 3)
        for post in posts
    ]
)
colours.shape

# %%
quarters = [[x / 2, y / 2, (x + 1) / 2, (y + 1) / 2] for y in (0, 1) for x in (0, 1)]
boxes = np.tile(np.asarray(quarters, np.float32), (len(posts), 1, 1))
ids = json.dumps([post.id for post in posts])
vectors = {"regions": colours, "objects": colours, "boxes": boxes}
safetensors.numpy.save_file(vectors, "colours.safetensors", metadata={"ids": ids})

# %% [markdown]
# In a shell: `--features colours.safetensors`. In Python:

# %%
from hamner.training.rows import of_features

given = merged(short, of_features("colours.safetensors"))
coloured = config_of_row(full_settings("minitweets", given), "full", seed=1)
run_of_colours = train(slice_, coloured, "runs/colours", **options)
table = comparison([run, run_of_colours], [], slice_).set_index(["name", "source"])
assert (
    table.scene["Look", "colours.safetensors"]
    < 0.35
    < table.text["Look", "colours.safetensors"]
)
(100 * table[["f1", *CUES]]).round(0).astype(int)

# %% [markdown]
# Colours tell nothing about types: the same fusion is back at the accuracy of words alone. That is
# the control which every new source should pass.
#
# ## 6. Loaded again
#
# A new process finds your class by its name, in the current folder or installed:

# %%
command = [sys.executable, "-m", "hamner", "tag", "Kelso at the book club"]


def in_a_new_process(run, folder):
    plain = os.environ | {"FORCE_COLOR": ""}  # Jupyter asks for colours
    options = {"cwd": folder, "env": plain, "capture_output": True, "text": True}
    done = subprocess.run([*command, "--run", run], **options)
    return done.returncode, (done.stdout or done.stderr).strip()


status, printed = in_a_new_process("runs/look", ".")
print(status, printed, sep="\n")

# %% [markdown]
# Elsewhere there is no such module, and the run is refused in a sentence, before any code runs:

# %%
Path("elsewhere").mkdir(exist_ok=True)
status, printed = in_a_new_process("../runs/look", "elsewhere")
print(status, " ".join(printed.split()).replace(os.getcwd(), "..."), sep="\n")

# %% [markdown]
# So is a run whose file has changed since: a record is about those very bytes.

# %%
Path("my_fusion.py").write_text(LOOK + "# a better idea\n", encoding="utf-8")
try:
    hamner.Tagger.from_pretrained("runs/look")
except hamner.HamnerError as error:
    print(error)
_ = Path("my_fusion.py").write_text(LOOK, encoding="utf-8")
# %% [markdown]
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
from dataclasses import replace

import torch
from torch import nn

from hamner import Fused, ModelConfig, Seen, Sizes
from hamner.exercises import (
    check_choice,
    check_function,
    check_module,
    random_images,
    right,
    shaken,
)

# %% [markdown]
# **1 · level 1.** *A piece of a stage.* Objects are padded to the longest list of the batch. Write
# `mean_of_objects`: the mean of the objects that are there, and zeros for a post that has none.
#
# <details><summary>Hint</summary>
#
# Multiply by the mask, sum, and divide by how many there are. `count.clamp(min=1)` divides by no 0.
#
# </details>


# %% tags=["solution"]
def mean_of_objects(objects, mask):
    """Objects (B, K, C) and their mask (B, K) to their mean (B, C)."""
    # BEGIN SOLUTION
    count = mask.sum(1, keepdim=True).clamp(min=1)  # (B, 1)
    return (objects * mask[..., None]).sum(1) / count
    # END SOLUTION


# %% tags=["check"]
images = random_images()  # three posts with 3, 1 and 0 objects
objects, mask = images.objects, images.object_mask
expected = torch.stack([objects[0].mean(0), objects[1, 0], torch.zeros(6)])
mistakes = {"padding is read: multiply by the mask": objects.mean(1)}
mistakes["divide by the objects that are there, not by K"] = (objects * mask[..., None]).mean(1)
mistakes["that is the sum of the objects"] = (objects * mask[..., None]).sum(1)
check_function(mean_of_objects, (objects, mask), expected, "(B, C)", mistakes=mistakes)
right("mean_of_objects")

# %% [markdown]
# **2 · level 2.** *A piece of a stage.* Write a fusion, `MeanLook`, with one layer, `thing`, from `channels` to
# `width`. It adds $W \bar o + b$ to each word of a post, where $\bar o$ is the mean of its objects. A post without
# an image gets its words back, bit for bit.
#
# <details><summary>Hint</summary>
#
# `nn.Linear` adds $b$ to zeros, too: multiply what is added by `seen.images.image_mask[:, None]`. The words
# have an axis more than the means: `added[:, None]`.
#
# </details>


# %% tags=["solution"]
class MeanLook(nn.Module):
    """Each word of a post gets the same: what its objects are on average."""

    def __init__(self, config, sizes):
        super().__init__()
        # BEGIN SOLUTION
        self.thing = nn.Linear(sizes.channels, sizes.width)
        # END SOLUTION

    def forward(self, seen):
        # BEGIN SOLUTION
        images = seen.images
        mean = mean_of_objects(images.objects, images.object_mask)  # (B, C)
        added = self.thing(mean) * images.image_mask[:, None]  # (B, d)
        return Fused(seen.words + added[:, None])
        # END SOLUTION


# %% tags=["check"]
class Words(MeanLook):
    def forward(self, seen):
        return getattr(super().forward(seen), "words", None)


Words.__name__ = "MeanLook"
images, words = random_images(), torch.arange(48.0).reshape(3, 2, 8)
seen = Seen(words, torch.ones(3, 2, dtype=torch.bool), words, images)
sizes = Sizes(width=8, hidden=8, channels=6, classes=5, tags=("O",))
thing = shaken(nn.Linear(6, 8))
weights = {f"thing.{name}": weight for name, weight in thing.state_dict().items()}
added = thing(torch.stack([images.objects[0].mean(0), images.objects[1, 0], torch.zeros(6)]))
padded = words + (thing(images.objects.mean(1)) * images.image_mask[:, None])[:, None]
mistakes = {"a post without an image gets b: give its words back": words + added[:, None]}
mistakes["padding is read: take the mean of the objects that are there"] = padded
expected = words + (added * images.image_mask[:, None])[:, None]
inputs = (ModelConfig(vision=True), sizes), weights, (seen,)
check_module(Words, *inputs, expected, "(B, n, d), as the words", mistakes)
right("MeanLook")

# %% [markdown]
# **3 · level 2.** *A measurement.* Does a fusion use where things are? Write `reads_boxes`: True if a single
# bit of what it gives changes when the boxes of its images are others.
#
# <details><summary>Hint</summary>
#
# Give each post the boxes of another one: `images._replace(boxes=images.boxes.flip(0))`, and
# `replace(seen, images=...)`. To move all boxes alike is not enough: a fusion may read sizes alone.
#
# </details>


# %% tags=["solution"]
def reads_boxes(fusion, seen):
    """A fusion and what it takes, to True or False."""
    # BEGIN SOLUTION
    other = seen.images._replace(boxes=seen.images.boxes.flip(0))
    with torch.no_grad():
        before, after = fusion(seen).words, fusion(replace(seen, images=other)).words
    return not torch.equal(before, after)
    # END SOLUTION


# %% tags=["check"]
images, words = random_images(), torch.ones(3, 2, 8)
seen = Seen(words, torch.ones(3, 2, dtype=torch.bool), words, images)


def reads_objects(seen):
    return Fused(seen.words + seen.images.objects.mean((1, 2))[:, None, None])


def reads_places(seen):
    return Fused(seen.words + seen.images.boxes.mean((1, 2))[:, None, None])


def reads_widths(seen):
    left, _, right_end, _ = seen.images.boxes.unbind(-1)
    widths = (100 * (right_end - left)).round()  # in hundredths
    return Fused(seen.words + widths.mean(1)[:, None, None])


for fusion, expected in ((reads_objects, False), (reads_places, True), (reads_widths, True)):
    name = f"your reads_boxes, of a fusion that {fusion.__name__.replace('_', ' ')},"
    check_function(reads_boxes, (fusion, seen), expected, name=name)
right("reads_boxes")

# %%
fusions = {"Look": look, "MeanLook": MeanLook(config, Sizes(8, 8, 6, 5, ("O",)))}
answers = {name: reads_boxes(fusion, seen) for name, fusion in fusions.items()}
assert answers == {"Look": True, "MeanLook": False}
answers

# %% [markdown]
# **4 · level 3.** *An argument.* Take the boxes away from `Look`, and call it `Blind`. It is trained with all
# posts until it learns no more. Which cue must fall, and to what? `"a"`: `position`, to a quarter.
# `"b"`: `position`, to a half. `"c"`: `object`, to a quarter. `"d"`: None, for the objects' vectors stay.
#
# <details><summary>Hint</summary>
#
# An image of `position` shows things of two types, one on the left and one on the right, say.
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "b"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "it still sees which two types there are, and one of the two is right",
    "c": "the ring is in the crop of its object: no box is needed to see it",
    "d": "a crop shows a thing, and not where it is",
}
check_choice("answer", answer, "b", why_not)
right("one of two types is left")

# %% [markdown]
# And after four epochs on the slice?

# %%
changed = LOOK.replace("class Look", "class Blind").replace(" + self.box(images.boxes)", "")
Path("my_blind.py").write_text(changed, encoding="utf-8")
settings = merged(short, {"model": {"fusion": "my_blind:Blind"}})
blind = config_of_row(full_settings("minitweets", settings), "full", seed=1)
runs = [run, train(slice_, blind, "runs/blind", **options)]
table = comparison(runs, [], slice_).set_index("name")
assert table.position.Blind < 0.5
(100 * table[list(CUES)]).round(0).astype(int)

# %% [markdown]
# `Blind` is below its half, and so is `Look`: four epochs on a slice are too few to see the price of boxes.

# %%
os.chdir(project_folder() / "notebooks")
temporary.cleanup()

# %% [markdown]
# ## What we do not know of the paper
#
# - How its authors came to their fusion, and which other ones they tried and left.
# - How long its stages must be trained on how many posts before they are better than a plain one.
# - Whether another fusion with as many parameters and as much tuning would be as good.
