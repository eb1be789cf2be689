# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 13 · The playground
#
# | | |
# | --- | --- |
# | **Goal** | change one thing about a post, and see at once what it does to tags, scores and attention |
# | **You need** | notebook 00; no training |
# | **Time** | as long as you like; less than a minute to run |
# | **Of the paper** | all three stages: the image, the relevance $\rho$, the shares $\beta$, each part |
#
# A table of scores says what the model does on average. Here you ask about one post: *what if the
# image were another one? What if $\rho$ were 0? What if this object stood over there?* The model is
# the trained one that comes with hamner. Nothing is trained here, so the answer comes at once.

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
    subprocess.run([*pip, "--editable", "checkout[notebooks,minitweets]"], check=True)
    sys.path.insert(0, "checkout")

# %%
import pandas as pd

from hamner.drawing.style import save
from hamner.figures import attention_maps
from hamner.playground import NONE, Controls, Playground, State, differences, looks

# %% [markdown]
# ## 1. The panel
#
# Run the next cell, and you have a panel with these controls:
#
# | control | what it changes |
# | --- | --- |
# | cue, post | the post, from the test split; a *cue* is the way in which a type can be told (notebook 00) |
# | image | the post's own image, none, or one that shows another type or topic |
# | attention of | the word whose attention the boxes show |
# | rho, beta | stage 2 set by hand; *as judged* gives it back to the model |
# | object, x, y | the place of an object: the icon is drawn there, and its box goes with it |
# | take out | a part of stage 1 or 3: its input takes the place of its output |
#
# On the right, two maps show where the word looked *before*, with nothing changed, and where it looks
# *now*. The table has each word with its gold tag, and the tag and its probability before and now.
# The probabilities are the CRF's own marginals (notebook 05), without calibration.
#
# A page without a running Python shows the panel as a still picture. The experiments below ask the
# same questions in code, so they can be read there too.

# %%
play = Playground()
panel = Controls(play)
panel

# %%
name = panel.before.first_name
assert panel.said.tags[name] == panel.before.tags[name] and panel.state == State(
    panel.state.post
)

# %% [markdown]
# Nothing is changed yet, so both maps are the same.
#
# ## 2. How to ask in code
#
# A `State` says what is set, and `say` answers. What is not named stays as it is. Each experiment
# takes the first test post of a cue that has no emoji and that the model tags without a mistake.


# %%
def first_right(cue):
    plain = (post for post in play.by_cue[cue] if all(word.isascii() for word in post.words))
    answers = (play.say(State(post.id)) for post in plain)
    return next(said for said in answers if said.tags == said.gold)


# %%
scene = first_right("scene")
post, name = scene.post, scene.first_name
alone = play.say(State(post.id, image=NONE))
differences(scene, alone).query("gold != 'O'").round(2)

# %%
assert scene.probabilities[name] > 0.95
assert alone.tags[name] == "B-ORG" and 0.5 < alone.probabilities[name] < 0.6

# %% [markdown]
# With its image the model is sure of the type, and right. Without an image it says ORG, a wrong type,
# with little more than one half: the words do not tell the type.
#
# ## 3. Swap the image
#
# The post's words are about food. Its own image shows something of type MISC among things to eat.
# Now the same words get an image that shows a place among things to eat.

# %%
topic = "food"
swapped = play.say(State(post.id, image=play.singles["LOC", topic]))
attention_maps.before_and_after(*looks(scene, swapped, name))

# %% [markdown]
# *The same words with their own image and with another one about the same topic. Boxes and regions
# have the colour of the attention that the name gives them.*

# %%
assert (scene.tags[name], swapped.tags[name]) == ("B-MISC", "B-LOC")
assert swapped.probabilities[name] > 0.95
assert scene.rho > 0.9 and 0.5 < swapped.rho < 0.6

# %% [markdown]
# The type follows the image, with as much certainty as before. Both images are about food, and yet
# $\rho$ falls, from above 0.9 to below 0.6. So try all twenty images of one subject: four types, five
# topics.

# %%
said = {pair: play.say(State(post.id, image=file)) for pair, file in play.singles.items()}
relevance = pd.Series({pair: one.rho for pair, one in said.items()}).unstack().round(2)
relevance

# %%
read = pd.Series({pair: one.tags[name].removeprefix("B-") for pair, one in said.items()})
read.unstack()

# %%
by_topic = relevance.mean().round(2)
others = relevance.drop(columns=topic)
assert by_topic[topic] > 0.6 > 0.4 > by_topic.drop(topic).max()
assert relevance[topic]["ORG"] < others.min(axis=None)
follows = read == read.index.get_level_values(0)
astray = read[~follows]
assert (follows.sum(), (astray == "ORG").sum()) == (13, 5)
assert (read["MISC", topic], read["PER", topic]) == ("PER", "MISC")
assert relevance[topic][["MISC", "PER"]].min() > 0.95
print("mean rho by topic of the image:", by_topic.to_dict())
print(f"the type follows the image for {follows.sum()} of 20")

# %% [markdown]
# Images about food get a mean $\rho$ of 0.64, those of each other topic less than 0.4. The mean hides
# one image: the one about food that shows an ORG gets 0.04, less than all images of other topics.
#
# The type follows 13 of the 20 images. Five of the other seven leave the name ORG, as it is without an
# image. The last two are believed and misread: of two images about food with a $\rho$ above 0.95, the
# one of type MISC is taken for PER, and the one of a person for MISC.
#
# ## 4. Set rho by hand
#
# In a post of `unrelated` the image is about another topic, and shows the wrong type. The judge has
# to refuse it. What if it did not?

# %%
lie = first_right("unrelated")
name = lie.first_name
believed = play.say(State(lie.post.id, rho=1.0))
attention_maps.before_and_after(*looks(lie, believed, name))

# %% [markdown]
# *A post whose image is about another topic, as judged and with ρ set to 1.*

# %%
shown = next(thing.type for thing in lie.things if thing.type)
assert lie.rho < 0.1 and lie.tags[name] == lie.gold[name]
assert believed.tags[name] == f"B-{shown}" != lie.gold[name]

# %% [markdown]
# As judged, $\rho$ is below 0.1 and the tag is right. With $\rho = 1$ the model believes the image, and
# the name gets the type of what the image shows. Between the two:

# %%
grid = [step / 10 for step in range(11)]
steps = [play.say(State(lie.post.id, rho=rho)) for rho in grid]
gold = lie.gold[name].removeprefix("B-")
table = {type: [one.probability(name, type) for one in steps] for type in (gold, shown)}
table = pd.DataFrame(table, index=pd.Index(grid, name="rho")).round(2)
table.T

# %%
tips = table[shown] > table[gold]
assert table[gold][0.6] > 0.95 and table[shown][0.9] > 0.95
print(f"the image outvotes the name from rho = {tips.idxmax():.1f} on")

# %% [markdown]
# The change is a step, not a slope: at $\rho = 0.6$ the name still has its type with more than 0.95, and
# at 0.9 the image's type has as much. A relevance in the middle is no compromise.
#
# ## 5. Move objects
#
# In a post of `position` the words say which thing is meant by where it is. The image was drawn by a
# program, so an icon can really be moved: the image is drawn again with the icon in another place.
# What moves: the icon's pixels (so the grid and all crops are computed again) and its box. What
# stays: all other pixels, boxes and words. An icon that comes to lie on another may hide behind it.
#
# We let the two subjects change places.

# %%
placed = first_right("position")
print(" ".join(placed.post.words))
one, two = (thing for thing in placed.things if thing.type)
exchange = {one.number: two.centre, two.number: one.centre}
moved = play.say(State(placed.post.id, moved=exchange))
print(f"{one.label}: {one.centre[1]:.2f} from the top; {two.label}: {two.centre[1]:.2f}")

# %%
name = placed.first_name
save(attention_maps.before_and_after(*looks(placed, moved, name)), "playground_moved")

# %% [markdown]
# *The two subjects of an image change places. The left panel shows the image after the move.*

# %%
firsts = [number for number, tag in enumerate(placed.gold) if tag.startswith("B-")]
differences(placed, moved).iloc[firsts].round(2)

# %%
before, now = ([said.tags[number] for number in firsts] for said in (placed, moved))
assert now == before[::-1] and min(moved.probabilities[number] for number in firsts) > 0.95
most = [said.things[said.on_objects[name].argmax()] for said in (placed, moved)]
assert [f"B-{thing.type}" for thing in most] == [placed.tags[name], moved.tags[name]]
print(f"looks most at: {most[0].label}, then {most[1].label}")

# %% [markdown]
# The two names exchange their types, and the model is as sure as before. No word has changed: what it
# has read is the place.
#
# Look at the maps, too. The first name is the bottom one, and it looks most at the object that stands
# at the bottom: the card before the move, the sign after it. So the attention has moved with the place.
# That is one post; notebook 08 counts how often a name looks at its answer.
#
# ## 6. Take a part out
#
# A *lesion* replaces one part of the trained model (notebook 07b): the part's input takes the place of
# its output. Each row is one part, each column the first right post of a cue with its gold type; a cell
# is the type of the post's first name, and its probability.

# %%
from hamner.playground.state import PARTS

intact = {cue: first_right(cue) for cue in ("object", "odd", "position")}


def first_type(said):
    number = said.first_name
    return f"{said.tags[number].removeprefix('B-')} {said.probabilities[number]:.2f}"


# %%
without = {
    (part, cue): play.say(State(said.post.id, out=(part,)))
    for part in PARTS
    for cue, said in intact.items()
}
cells = {("(intact)", cue): first_type(said) for cue, said in intact.items()}
cells |= {pair: first_type(said) for pair, said in without.items()}
pd.Series(cells).unstack(sort=False)

# %%
wrong = {
    pair
    for pair, said in without.items()
    if said.tags[said.first_name] != said.gold[said.first_name]
}
fail = {part: [cue for cue in intact if (part, cue) in wrong] for part in PARTS}
assert fail["local_text_zero"] == ["object", "position"]
assert fail["spatial_identity"] == ["odd", "position"]
assert fail["iteration_identity"] == fail["coattention_identity"] == ["odd"]
assert (len(PARTS), sum("odd" in cues for cues in fail.values())) == (8, 6)

# %% [markdown]
# Without the spatial encoding the posts of `odd` and `position` go wrong, and the one of `object` stays
# right: its name is told by a ring, which can be seen. Without the local text, which reads a word with its
# neighbours, `object` and `position` go wrong: their words say which thing is meant. Without the
# iterations only `odd` goes wrong. The co-attention after them reads the regions, too, and in the two
# other posts that is enough. One post each is an example, no measurement; notebook 07b counts over all.
#
# The post of `odd` says that the name is *not* what most of the image is. Six of the eight lesions make it
# wrong. Here is what happens without co-attention:

# %%
odd = intact["odd"]
name = odd.first_name
alike = without["coattention_identity", "odd"]
attention_maps.before_and_after(*looks(odd, alike, name))

# %% [markdown]
# *A post of the cue `odd` with and without co-attention. Without it the attention shown is that of
# the last iteration.*

# %%
most = pd.Series([thing.type for thing in odd.things if thing.type]).mode()[0]
print(
    f"gold {odd.gold[name]}, without co-attention {alike.tags[name]}, most of the image {most}"
)
assert alike.tags[name] == f"B-{most}" != odd.gold[name]

# %% [markdown]
# Without co-attention the name gets the type that most of the image shows.
#
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import torch

from hamner.exercises import check_choice, check_function, right

# %% [markdown]
# **1 · level 1.** *A piece of stage 2.* You set three weights for the grains. Write `shares`: $\beta$ from
# these weights. It sums to 1 over the grains that the image has; a grain that it lacks gets 0.
#
# <details><summary>Hint</summary>
#
# First make the weights of missing grains 0, then divide by the sum.
#
# </details>


# %% tags=["solution"]
def shares(weights, present):
    """Weights (B, 3) and the grains that are present (B, 3), boolean, to beta (B, 3)."""
    # BEGIN SOLUTION
    kept = weights * present
    return kept / kept.sum(-1, keepdim=True)
    # END SOLUTION


# %% tags=["check"]
weights = torch.tensor([[2.0, 1.0, 1.0], [2.0, 1.0, 1.0]])
present = torch.tensor([[True, True, True], [True, True, False]])
expected = torch.tensor([[0.5, 0.25, 0.25], [2 / 3, 1 / 3, 0.0]])
all_grains = weights / weights.sum(-1, keepdim=True)
mistakes = {
    "a grain that is missing still has a share": all_grains,
    "divide after the missing grains are 0, or the shares do not sum to 1": all_grains
    * present,
    "a softmax turns 2 to 1 into e to 1: divide by the sum": weights.masked_fill(
        ~present, -torch.inf
    ).softmax(-1),
}
check_function(shares, (weights, present), expected, "posts by grains", mistakes=mistakes)
right("shares")

# %% [markdown]
# **2 · level 3.** *A measurement.* How much belief does a lie need? Write `tipping_point`: the smallest
# $\rho$ among 0, 0.1 to 1 at which the name has another tag than gold; None if there is none. `tag_at`
# gives the tag at a $\rho$. Then compare the posts of `unrelated`.
#
# <details><summary>Hint</summary>
#
# `next((rho for rho in ... if ...), None)`.
#
# </details>


# %% tags=["solution"]
def tipping_point(tag_at, gold):
    """A function from rho to a tag, and the gold tag, to the smallest rho of another tag."""
    # BEGIN SOLUTION
    return next((step / 10 for step in range(11) if tag_at(step / 10) != gold), None)
    # END SOLUTION


# %% tags=["check"]
def asked():
    """Tipping points of three names: at 0.4, at 0 and nowhere (-1)."""
    names = (
        lambda rho: "B-PER" if rho > 0.35 else "B-LOC",
        lambda rho: "B-PER",
        lambda rho: "B-LOC",
    )
    found = [tipping_point(name, "B-LOC") for name in names]
    return torch.tensor([-1.0 if rho is None else rho for rho in found])


mistakes = {
    "that is the greatest rho of a wrong tag, not the smallest": torch.tensor([1.0, 1.0, -1.0]),
    "that is the last rho of the gold tag: take the first of another one": torch.tensor(
        [0.3, -1.0, 1.0]
    ),
}
expected = torch.tensor([0.4, 0.0, -1.0])
check_function(asked, (), expected, mistakes=mistakes, name="your tipping_point")
right("tipping_point")


# %%
def tag_at(post):
    number = play.say(State(post.id)).first_name
    return lambda rho: play.say(State(post.id, rho=rho)).tags[number], post.tags[number]


points = [tipping_point(*tag_at(post)) for post in play.by_cue["unrelated"][:10]]
points

# %%
tipped = [rho for rho in points if rho is not None]
assert len(tipped) == 9 and (min(tipped), max(tipped)) == (0.3, 0.8)

# %% [markdown]
# Nine of the ten names tip, the first at $\rho = 0.3$ and the last at 0.8. One keeps its type even at 1.
#
# **3 · level 2.** *An argument.* You take the spatial encoding out of the trained model, and a name of
# `position` gets a wrong type. Somebody concludes: *a model without spatial encoding cannot learn this
# cue.* What is missing? `"a"`: nothing, because a part that is used is necessary. `"b"`: a training run
# without the part, in which another part may learn to take its place. `"c"`: more posts with the same
# lesion, because with enough of them the conclusion would hold.
#
# <details><summary>Hint</summary>
#
# Notebook 07b sets a lesion beside an *ablation*. Which of the two asks whether a part is used, and which
# whether it is necessary?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "b"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "the other weights were trained beside this part; without it they might have learnt otherwise",
    "c": "more posts make the lesion's effect certain, and still say nothing of training without the part",
}
check_choice("answer", answer, "b", why_not)
right("a lesion says used, an ablation says necessary")

# %% [markdown]
# ## What we do not know of the paper
#
# - How its model answers such questions: the authors released no code and no weights.
# - Whether its relevance is a step, as here, or a slope. We know of no sweep over $\rho$.
# - Whether answers about drawn images carry over to photographs. There nobody can move a thing and
#   leave the rest as it is.
