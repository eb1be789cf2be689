# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Training, and what it leaves behind
#
# | | |
# | --- | --- |
# | **Goal** | read the record of a run, train a tiny model step by step, kill it, resume it, judge its confidence |
# | **You need** | notebooks 01 and 05; the committed records, and the trained model of minitweets |
# | **Time** | about 35 minutes to read, less than a minute to run |
# | **Of the paper** | the experimental set-up: optimiser, learning rate, choice of the epoch |
#
# Training takes minutes on a laptop, and more of them where the text encoder learns along on real
# tweets. So the curves below come from *records* of runs that were made once. What
# happens inside a step we try out on a slice so small that it trains while you read.

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
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from hamner import Run, load_corpus
from hamner.corpora import project_folder
from hamner.models import trained_or_bundled
from hamner.figures import training
from hamner.study import ablation_tables
from hamner.drawing.style import save
from hamner.vision.store import FEATURES

KEPT = project_folder() / FEATURES  # features that are computed already

# %% [markdown]
# ## 1. A run is a folder
#
# `run.json` says what was trained and what came out, `predictions.jsonl.gz` what it said of each
# post of test, `model.safetensors` holds the weights. No file is a pickle: reading a pickle from
# elsewhere can run any code.
#
# The run comes with hamner. If you have trained your own and its weights differ, the cell takes that one, and says so:
#
#     hamner train minitweets --row full --threads 1 --run data/models/minitweets-full
#     hamner calibrate data/models/minitweets-full

# %%
trained = project_folder() / "data" / "models" / "minitweets-full"
run = Run.load(trained_or_bundled(trained))
list(run.record)

# %% [markdown]
# Settings and data together name a run: the SHA-256 of each split stands beside the settings.
# Should one byte of `train.txt` change, it is another run. Every setting says where it comes
# from: `stated` by the paper, from its first author's `sibling` code, or `ours`. A value that was
# changed is ours.

# %%
corpus = load_corpus("minitweets")
assert run.record["corpus"]["sha256"] == corpus.sha256
settings = pd.DataFrame({"value": run.record["config"], "source": run.record["sources"]})
settings.dropna().drop(index="visual", errors="ignore")

# %% [markdown]
# ## 2. Curves
#
# Every epoch leaves the mean loss on train and F1 on valid. The weights that are kept are those
# of the epoch that was best on *valid*. Test is scored once, at the end, and never chooses
# anything.

# %%
from hamner.training.runs import row_of_run

found, _ = ablation_tables.minitweets_runs()
full = [run for run in found if row_of_run(run.config) == "full"]
assert full, "no record of the full model: make one with `hamner train minitweets --row full`"
save(training.learning_curves(full), "learning_curves")

# %% [markdown]
# *Loss on train (logarithmic) and F1 on valid by epoch, one line for each seed that has a record;
# a ring marks the epoch that was kept.*
#
# Two things to look for. Does the loss still fall where F1 on valid stands still? Then the model
# learns the training posts by heart. And does F1 still rise at the last epoch? Then more epochs
# might help. A record says whether its run had *converged*, and why.

# %%
pd.set_option("display.max_colwidth", None)
endings = {
    each.config.seed: {
        "best epoch": each.record["best_epoch"],
        "epochs": len(each.record["history"]),
        "converged": each.record.get("converged"),
        "reason": each.record.get("reason", ""),
    }
    for each in full
}
pd.DataFrame(endings).T.rename_axis("seed")

# %% [markdown]
# ### The seeds
#
# A seed fixes the initial weights, the order of the batches and the dropout. Nothing else
# differs between these runs, so whatever differs in their scores is luck.

# %%
from hamner.evaluation import over_seeds, read_predictions
from hamner.study.minitweets import answers_of, type_accuracy

names = answers_of(corpus)
predicted = {run.config.seed: read_predictions(run.predictions) for run in full}
by_seed = pd.DataFrame({seed: type_accuracy(names, p) for seed, p in predicted.items()})
(100 * by_seed).round(1).rename_axis(columns="seed")

# %%
spread = over_seeds([100 * run.f1() for run in full])
sd = "unknown from one seed" if spread.sd is None else f"{spread.sd:.2f}"
print(f"F1 on test, {spread.n} seed(s): mean {spread.mean:.2f}, sd {sd}")
print(f"least {spread.min:.2f}, greatest {spread.max:.2f}")

# %% [markdown]
# The table above is type accuracy by cue (notebook 07 says what the cues are). Luck does not
# spread evenly: with records of several seeds, see which cues move most.
#
# ## 3. A slice
#
# Now we train ourselves. The slice has the posts of 40 images. That is far too little to learn
# what images mean, and enough to watch the machinery.


# %%
def posts_of(posts, images):
    chosen = set(list(dict.fromkeys(post.image for post in posts))[:images])
    return tuple(post for post in posts if post.image in chosen)


# %%
splits = {"train": posts_of(corpus.train, 40), "valid": posts_of(corpus.valid, 12)}
tiny = replace(corpus, **splits, test=posts_of(corpus.test, 12))
{name: len(posts) for name, posts in tiny.splits()}

# %% [markdown]
# The settings are those of the full run, with three epochs. The text encoder is *frozen*: it does
# not learn, so its word vectors are computed once and kept. The same is true of the images.

# %%
config = replace(run.config, epochs=3)
config.model.frozen_text, config.visual.label

# %% [markdown]
# ## 4. One step, taken apart
#
# Build the model. Weights that are not pretrained are drawn from the seed.

# %%
from hamner.training.loop import build_model
from hamner.training.optimizer import Optimizer, parameter_groups

shape = {name: run.record["features"][name] for name in ("channels", "classes")}
model = build_model(config.model, config.seed, **shape)

# %%
sizes = pd.DataFrame(
    [
        (name.split(".")[0], p.numel(), p.numel() * p.requires_grad)
        for name, p in model.named_parameters()
    ],
    columns=["part", "parameters", "trainable"],
)
assert sizes.trainable.sum() < 0.03 * sizes.parameters.sum()
sizes.groupby("part", sort=False).sum()

# %% [markdown]
# Of a hundred parameters fewer than three are trained: the frozen encoder has the others. The optimiser
# gets every trainable parameter exactly once, in groups. Weight matrices *decay*: a little of them is
# taken away at each step (learning rate x decay x weight), so that only what is used stays large.
# Biases, norms and single vectors do not decay, because a small bias is no simpler than a large one.
#
# Two rules move the parameters. *AdamW* divides each number of the momentum, a mean of gradients, by the
# usual size of its gradient. *Muon* takes the momentum of a whole matrix and sets all its singular values
# to about 1: a direction that few posts ask for is learnt as fast as one that all ask for. Here it moves
# the matrices of the fusion, but for embeddings and narrow ones.

# %%
groups = parameter_groups(model, config)
assert sum(p.numel() for group in groups for p in group["params"]) == sizes.trainable.sum()
assert config.optimizer == "muon"
table = pd.DataFrame(groups)[["params", "peak_lr", "weight_decay", "muon"]]
table.assign(params=table.params.map(len)).rename(columns={"params": "tensors"})

# %% [markdown]
# A batch: posts as pieces, images as features.

# %%
from hamner.encoders import load_tokenizer
from hamner.training.batching import prepare
from hamner.training.inputs import KeptFeatures, images_of
from hamner.vision.store import FeatureStore

# %%
tokenizer = load_tokenizer(config.model.text_encoder)
store = FeatureStore.open(tiny, config.visual, KEPT, progress=False)
train_split = prepare(
    tiny.train, model, tokenizer, images_of(tiny.train, KeptFeatures(store), config, train=True)
)
batch = train_split.batch(range(16))
parts = {"pieces": batch.pieces, "tags": batch.tags}
parts |= {"grid": batch.images.grid, "objects": batch.images.objects}
{name: tuple(part.shape) for name, part in parts.items()}

# %% [markdown]
# One step: loss, gradients, their norm cut to at most 1, and a move. A single post with a strange
# label can have a huge gradient; cutting keeps it from throwing the model far away.

# %%
optimizer = Optimizer(groups)


def step():
    optimizer.zero_grad()
    loss = model(batch).loss
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    optimizer.step()
    return loss.item(), norm.item()


# %%
torch.manual_seed(0)
model.train()
first = step()
print(f"loss {first[0]:.1f}, norm of the gradient before it is cut {first[1]:.1f}")

# %% [markdown]
# ### Can it learn one batch by heart?
#
# This is the first test of any new model. Sixteen posts, the same ones again and again: the loss
# must fall below a fifth within 20 steps. If it does not, something is broken, and no larger run will mend it.

# %%
losses = [first[0], *(step()[0] for _ in range(19))]
print("loss at steps 1, 5, 10, 20:", ", ".join(f"{losses[n - 1]:.1f}" for n in (1, 5, 10, 20)))
assert losses[-1] < 0.2 * first[0]

# %% [markdown]
# ### The rate
#
# The learning rate rises over the first steps and is constant until F1 on valid has not risen for
# `patience` epochs. Then it falls to 0 in a line, over `cooldown` epochs; at the latest it falls in time
# for the run to end after `epochs`. At first the optimiser has seen few gradients, so large steps would
# be wild. At the end small steps let the model settle. (Without `patience` the length is fixed, and the
# rate falls from the end of the warm-up on.)

# %%
from hamner.training.convergence import falls_from, rate_at

valid_f1 = [epoch["valid_f1"] for epoch in run.record["history"]]  # of the full run
per_epoch = -(-len(corpus.train) // run.config.batch_size)
warmup = int(run.config.warmup * run.config.epochs * per_epoch)
falls, steps = (falls_from(valid_f1, run.config) - 1) * per_epoch, len(valid_f1) * per_epoch
share = [rate_at(n, warmup, falls, end=steps) for n in range(steps)]
pd.Series(share, name="share of the peak rate").rename_axis("step").iloc[:: steps // 20].round(
    2
).to_frame().T

# %%
constant, falling = valid_f1[: falls // per_epoch], valid_f1[falls // per_epoch :]
assert run.config.epochs == len(valid_f1) and len(falling) == run.config.cooldown
assert max(falling) > max(constant) + 0.06 and falling[-1] == max(falling)
waited = len(constant) - 1 - int(np.argmax(constant))
assert 0 < waited < run.config.patience
print(f"constant until epoch {len(constant)}: best F1 on valid {max(constant):.3f},")
print(f"not higher in the last {waited} of these epochs")
print(f"falling in the last {len(falling)} epochs: best F1 {max(falling):.3f}")

# %% [markdown]
# When the rate had to fall, because only `cooldown` of the planned epochs were left, F1 had last risen fewer
# than `patience` epochs before. So the record calls the run not converged. While the rate falls, F1 on valid
# rises by six points more, up to the last epoch.
#
# ## 5. All steps: `train`
#
# `hamner.train` does this for all batches and epochs, scores valid after each epoch, keeps the
# best, and writes the folder. We give it a temporary one.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

from hamner import train

scratch = TemporaryDirectory()
whole = train(tiny, config, Path(scratch.name) / "whole", features=KEPT, progress=False)
history = pd.DataFrame(whole.record["history"]).set_index("epoch")
assert history.loss.is_monotonic_decreasing
history[["loss", "valid_f1"]].round(2)

# %% [markdown]
# A model as small in data as this is of no use, and that was not the point.
#
# ## 6. Pull the plug
#
# Laptops go to sleep and jobs are killed. After each epoch `train` writes a *checkpoint*: the
# weights, what the optimiser remembers of earlier gradients, and how far it came. We
# start the same run again in another folder and stop it right after its first checkpoint.

# %%
from unittest.mock import patch

from hamner.training import loop


def save_and_die(*arguments):
    save_checkpoint(*arguments)
    raise KeyboardInterrupt


# %%
save_checkpoint, folder = loop.save_checkpoint, Path(scratch.name) / "cut"
with patch.object(loop, "save_checkpoint", save_and_die):
    try:
        train(tiny, config, folder, features=KEPT, progress=False)
    except KeyboardInterrupt:
        print("cut off; left behind:", *sorted(path.name for path in folder.glob("[!.]*")))

# %% [markdown]
# There is no `run.json`: a folder without it is not a finished run, and nobody will take it for
# one. The checkpoint knows which run it belongs to.

# %%
from hamner.training.checkpoints import read_progress

progress, begun = read_progress(folder / "checkpoint.safetensors")
print("epochs done:", len(progress.history), "of", begun["config"]["epochs"])

# %% [markdown]
# What if we go on with other settings by mistake? Half of the run would have been trained one
# way and half another. It is refused:

# %%
from hamner import HamnerError

faster = replace(config, head_lr=2 * config.head_lr)
try:
    train(tiny, faster, folder, features=KEPT, progress=False)
except HamnerError as error:
    print(str(error).replace(scratch.name, "..."))
else:
    raise AssertionError("two halves of different runs were put together")

# %% [markdown]
# And with the right ones, the same call goes on where it stopped.

# %%
resumed = train(tiny, config, folder, features=KEPT, progress=False)
assert resumed.record["history"][0]["loss"] == progress.history[0]["loss"]
sorted(path.name for path in folder.glob("[!.]*"))

# %% [markdown]
# Is the resumed run *the same* run? Not nearly, but bit for bit: all that is random in an epoch is
# drawn from the seed and the number of the epoch, so the second epoch does not care whether
# somebody slept before it.

# %%
from safetensors.torch import load_file

one, other = load_file(whole.weights), load_file(resumed.weights)
assert one.keys() == other.keys()
assert all(torch.equal(one[name], other[name]) for name in one)
assert whole.predictions.read_bytes() == resumed.predictions.read_bytes()
print(f"{len(one)} tensors, all equal; predictions equal")

# %%
scratch.cleanup()

# %% [markdown]
# ## 7. Does its confidence mean what it says?
#
# The trained model gives each entity that it finds a confidence: the probability that exactly this
# span has exactly this type (notebook 05, marginals). Of all entities with confidence 0.8 about
# 80 % should be right. We collect them on a part of valid and of test. (The store of features
# reports on standard error how many images it found; we keep that out of the notebook.)

# %%
from contextlib import redirect_stderr
from io import StringIO

from hamner import Tagger
from hamner.tagger import judged_entities

tagger = Tagger(run)
tagger.temperature = None  # as the CRF gives it

# %%
part = replace(corpus, train=(), valid=corpus.valid[:200], test=corpus.test[:200])
with redirect_stderr(StringIO()):
    judged = {split: judged_entities(tagger, part, split, KEPT) for split in ("valid", "test")}
found = {split: (len(right), right.mean()) for split, (_, right) in judged.items()}
pd.DataFrame(found, index=["entities found", "share right"]).T.round(2)

# %% [markdown]
# Networks that have learnt their training posts by heart are too sure of themselves. The usual
# remedy has one number: divide the log-odds by a *temperature*, fitted on valid. Above 1 it draws all
# confidences towards one half: those above it become more modest. Their order stays, so no entity
# changes.

# %%
from hamner.tagger.calibration import fit_temperature
from hamner.tagger.confidence import calibrated

temperature = fit_temperature(*judged["valid"])
assert temperature > 1.5
print(f"temperature {temperature:.2f}")

# %% [markdown]
# It is well above 1: this model was too sure.

# %%
from hamner.evaluation import reliability

confidence, right = judged["test"]
diagrams = {
    "as the CRF gives it": reliability(confidence, right, bins=5),
    "with the temperature": reliability(calibrated(confidence, temperature), right, bins=5),
}
before, after = (diagram.error for diagram in diagrams.values())
assert after < before / 2
save(training.reliability_diagram(diagrams), "reliability_diagram")

# %% [markdown]
# *Share of entities that are right, in the first 200 posts of minitweets' test, by confidence in bins
# of a fifth; numbers and the size of marks: entities. The dashed line is honesty. `error`: the
# expected calibration error.*
#
# The temperature cuts the error to less than half. So few entities leave the error itself uncertain. A
# bootstrap over entities says how much (they share posts and images, so the true interval is a little
# wider):

# %%
rng = np.random.default_rng(0)
intervals = {}
for name, sure in (("CRF", confidence), ("temperature", calibrated(confidence, temperature))):
    errors = []
    for _ in range(1000):
        drawn = rng.integers(0, len(right), len(right))
        errors.append(100 * reliability(sure[drawn], right[drawn], bins=5).error)
    intervals[name] = np.percentile(errors, [2.5, 97.5])
pd.DataFrame(intervals, index=["95 % from", "to"]).T.round(1)

# %% [markdown]
# A resampled error is never negative, and noise alone makes it positive: an interval that begins
# above zero does not show that a tagger is miscalibrated.
#
# Below the dashed line the model promises too much, above it too little. The temperature was fitted
# on valid and is judged on test; had we fitted it on test, it would flatter itself.
#
# `hamner calibrate RUN` fits it on all of valid and leaves it in the run's folder. `hamner tag` and
# `Tagger` use it from then on, and say where there is none (`calibrated`).
#
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import torch

from hamner.exercises import check_choice, check_function, right

# %% [markdown]
# **1 · level 1.** *A measurement.* How many steps did the full run take, and at how many did the rate
# rise? Write `steps_of`. The warm-up is a share of the *planned* epochs; a run whose F1 has stopped
# rising ends sooner.
#
# <details><summary>Hint</summary>
#
# The last batch of an epoch has the posts that are left, and is a step, too: `-(-posts // batch_size)`
# rounds up.
#
# </details>


# %% tags=["solution"]
def steps_of(posts, batch_size, epochs, planned, warmup):
    """Posts of train, epochs that were run and planned, share of the warm-up, to two numbers."""
    # BEGIN SOLUTION
    per_epoch = -(-posts // batch_size)
    return per_epoch * epochs, int(warmup * planned * per_epoch)
    # END SOLUTION


# %% tags=["check"]
given = 100, 32, 6, 10, 0.2  # three batches of 32 and one of 4; six epochs of ten
wrong = {
    "the last batch of an epoch is smaller, and a step, too": 18,
    "an epoch has a whole number of steps": 100 * 6 / 32,
    "each epoch ends with a small batch of its own": 19,
    "the run did not take all planned epochs": 40,
    "the warm-up is a share of the planned epochs, not of those that were run": 4,
    "the warm-up ends with a whole step: cut the rest off": 0.2 * 6 * 4,
    "count the warm-up in steps, not in epochs": 2,
}
mistakes = {said: torch.tensor(float(number)) for said, number in wrong.items()}
expected = {"the number of steps": 24.0, "the number of steps of warm-up": 8.0}
check_function(steps_of, given, expected, mistakes=mistakes)
right("steps_of")

# %%
record, settings = run.record, run.config
epochs = len(record["history"])
total, rising = steps_of(
    len(corpus.train), settings.batch_size, epochs, settings.epochs, settings.warmup
)
assert total == len(share) and share[rising - 1] == 1 > share[rising - 2]
print(f"{total} steps of at most {settings.batch_size} posts, {rising} of warm-up")

# %% [markdown]
# **2 · level 2.** *A piece of training.* Write `rate`: the share of the peak rate at a step. Steps
# count from 0.
#
# $$r(n) = \begin{cases} (n + 1) / \text{warmup} & n < \text{warmup} \\ 1 & n < \text{falls} \\
# (\text{end} - n) / (\text{end} - \text{falls}) & \text{else} \end{cases}$$
#
# <details><summary>Hint</summary>
#
# Three lines with `return`, of which the first two stand behind an `if`.
#
# </details>


# %% tags=["solution"]
def rate(step, warmup, falls, end):
    """The share of the peak learning rate at a step."""
    # BEGIN SOLUTION
    if step < warmup:
        return (step + 1) / warmup
    return 1.0 if step < falls else (end - step) / (end - falls)
    # END SOLUTION


# %% tags=["check"]
def curve():
    found = [rate(step, 4, 8, 12) for step in range(12)]
    return None if None in found else torch.tensor(found)


n = torch.arange(12.0)
rise, fall = ((n + 1) / 4).clamp(max=1), ((12 - n) / 4).clamp(max=1)
mistakes = {"the first step is lost: step 0 has 1 / warmup": (n / 4).clamp(max=1) * fall}
mistakes["it does not fall"] = rise
mistakes["it does not rise"] = fall
mistakes["from `falls` on it falls, not from the warm-up on"] = rise * ((12 - n) / 8).clamp(
    max=1
)
mistakes["it falls from 1, in end - falls steps"] = torch.where(n < 8, rise, (12 - n) / 12)
check_function(
    curve, (), rise * fall, "a share for each step", mistakes=mistakes, name="your rate"
)
right("rate")

# %%
assert [rate(n, warmup, falls, steps) for n in range(steps)] == share

# %% [markdown]
# It is the schedule of the full run, at each of its steps.
#
# **3 · level 2.** *A measurement.* Early stopping: a run ends when F1 on valid has not been above its best for
# `patience` epochs in a row, and keeps the epoch of that best. Write `stopped`: after which epoch does it
# end, and which does it keep? Epochs count from 1.
#
# <details><summary>Hint</summary>
#
# After an epoch: is its F1 above the best so far? Then it is the best. Is the best one `patience` epochs
# old? Then stop.
#
# </details>


# %% tags=["solution"]
def stopped(f1, patience):
    """F1 on valid of each epoch, a list, to the last epoch and the one that is kept."""
    # BEGIN SOLUTION
    best = 1
    for epoch, value in enumerate(f1, start=1):
        if value > f1[best - 1]:
            best = epoch
        if epoch - best == patience:
            return epoch, best
    return len(f1), best
    # END SOLUTION


# %% tags=["check"]
jagged = [0.1, 0.3, 0.2, 0.25, 0.3, 0.25, 0.26, 0.2, 0.2, 0.2]
wrong = {
    "compare with the best so far, not with the epoch before": 10,
    "an F1 that is as good as the best is not above it": 8,
    "stop when `patience` epochs are over, not one later": 6,
    "epochs count from 1": 4,
    "the best epoch is not counted": 3,
}
mistakes = {said: torch.tensor(float(epoch)) for said, epoch in wrong.items()}
expected = {"the last epoch": 5.0, "the epoch to keep": 2.0}
check_function(stopped, (jagged, 3), expected, mistakes=mistakes)
mistakes = {"a run that rises to the end keeps its last epoch": torch.tensor(2.0)}
expected = {"the last epoch of a run that rises": 3.0, "the epoch to keep": 3.0}
check_function(stopped, ([0.1, 0.2, 0.3], 3), expected, mistakes=mistakes)
right("stopped")

# %%
rows = {}
for each in full:
    f1 = [epoch["valid_f1"] for epoch in each.record["history"]]
    last, best = stopped(f1, patience=2)
    rows[each.config.seed] = {
        "ends": last,
        "of": len(f1),
        "F1": f1[best - 1],
        "best F1": max(f1),
    }
early = pd.DataFrame(rows).T.rename_axis("seed")
assert (early["best F1"] > early.F1).all()
early.astype({"ends": int, "of": int}).round(3)

# %% [markdown]
# With a patience of two every run would end sooner, and with a lower F1 on valid: two epochs without a rise
# are chance.
#
# **4 · level 3.** *A measurement.* The calibration error depends on the bins. Write `error`, with bins of equal
# *mass*: sort the entities by confidence, part them with `tensor_split`, and take the mean over the bins
# of the gap between the share that is right and the mean confidence, weighted by the entities in the bin.
#
# <details><summary>Hint</summary>
#
# `order = confidence.argsort()` sorts both: `confidence[order].tensor_split(bins)`. A mean over the bins,
# weighted by their sizes, is a sum over the bins of size times gap, divided by all entities.
#
# </details>


# %% tags=["solution"]
def error(confidence, right, bins):
    """Confidences (N,), and 1.0 or 0.0 for each entity (N,), to a number."""
    # BEGIN SOLUTION
    order = confidence.argsort()
    parts = zip(confidence[order].tensor_split(bins), right[order].tensor_split(bins))
    gaps = [len(sure) * (is_right.mean() - sure.mean()).abs() for sure, is_right in parts]
    return sum(gaps) / len(right)
    # END SOLUTION


# %% tags=["check"]
sure = torch.tensor([0.9, 0.3, 0.95, 0.7, 0.8])
is_right = torch.tensor([1.0, 1.0, 0.0, 0.0, 1.0])


def measured():
    found = error(sure, is_right, 2)
    return None if found is None else torch.as_tensor(found)


def gap(*bin):
    return is_right[[*bin]].mean() - sure[[*bin]].mean()


signed = 0.6 * gap(1, 3, 4), 0.4 * gap(0, 2)
mistakes = {
    "gaps above and below must not cancel: take each without its sign": sum(signed).abs()
}
mistakes["gaps above and below must not cancel"] = sum(signed)
mistakes["weight each bin by its entities"] = (gap(1, 3, 4).abs() + gap(0, 2).abs()) / 2
mistakes["sort by confidence first"] = 0.6 * gap(0, 1, 2).abs() + 0.4 * gap(3, 4).abs()
mistakes["these bins have equal width, not equal mass"] = (
    0.2 * gap(1).abs() + 0.8 * gap(0, 2, 3, 4).abs()
)
mistakes["the gap is one of means, not of single entities"] = (is_right - sure).abs().mean()
expected = 0.6 * gap(1, 3, 4).abs() + 0.4 * gap(0, 2).abs()  # the entities of the two bins
check_function(measured, (), expected, mistakes=mistakes, name="your error")
right("error")

# %%
confidence, was_right = judged["test"]
rows = {}
for name, sure in (("before", confidence), ("after", calibrated(confidence, temperature))):
    tensors = torch.as_tensor(sure).double(), torch.as_tensor(was_right).double()
    of_width = reliability(sure, was_right, bins=5).error
    rows[name] = {"equal width": 100 * of_width, "equal mass": 100 * error(*tensors, 5).item()}
by_bins = pd.DataFrame(rows).T
theirs = 100 * reliability(confidence, was_right, bins=5, binning="equal_mass").error
assert abs(by_bins["equal mass"]["before"] - theirs) < 1
assert (by_bins.loc["after"] < by_bins.loc["before"]).all()
by_bins.round(1)

# %% [markdown]
# Both ways of binning say that the temperature helped. They disagree on how much: an error without its bins is
# half a number.
#
# **5 · level 2.** *An argument.* The temperature lowers the calibration error. What else of the tagger does it
# change? `"a"`: F1, since unsure entities are left out. `"b"`: which of two entities is the surer one. `"c"`:
# nothing: the entities are the same, in the same order. `"d"`: the loss on train, since the temperature
# is a weight of the network.
#
# <details><summary>Hint</summary>
#
# All log-odds are divided by one positive number. Where do they enter?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "c"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "Viterbi finds the entities, and no confidence enters it",
    "b": "of two log-odds the greater one stays the greater one after the division",
    "d": "it is fitted on valid when training is over, and no weight of the network moves",
}
check_choice("answer", answer, "c", why_not)
right("a temperature makes a tagger more modest, and not better")

# %% [markdown]
# ## What we do not know of the paper
#
# - Its optimiser, learning rates, epochs and batch size. Where hamner says `sibling` it takes them
#   from its first author's related code; the rest is ours.
# - Whether its encoder was frozen, and how the epoch was chosen.
# - How sure its predictions were. No score table shows that.
