# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 00 · Tag a tweet with its image, and see why
#
# | | |
# | --- | --- |
# | **Goal** | the whole idea in five minutes: what an image can tell about a name, and when not to believe it |
# | **You need** | Python; no GPU, no tweets, no training |
# | **Time** | five minutes to read, less than a minute to run |
# | **Of the paper** | all of it, seen from outside: words and one image in, named entities out |
#
# *Who is Kelso?* A footballer, a village, a brand, a cat? Tweets are short, and their words
# often do not say. The image beside them might. A tagger that reads both must find out three
# things: what the image shows, whether the image has to do with the words at all, and which
# thing in it belongs to which word. Those are the three stages of the model that this package
# is about; here you meet them from outside.

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
import textwrap

import pandas as pd

from hamner import Tagger, load_corpus
from hamner.corpora import project_folder, spans
from hamner.models import trained_or_bundled

# %% [markdown]
# ## 1. A tagger and some posts
#
# A trained tagger is a folder. This one learnt from *minitweets*, the bundled corpus: invented
# tweets with drawn images, made so that it is known what each image should tell. It comes with
# hamner. If you have trained your own (a quarter of an hour) and its weights differ, the cell
# takes that one, and says so:
#
#     hamner train minitweets --row full --threads 1 --run data/models/minitweets-full
#     hamner calibrate data/models/minitweets-full

# %%
trained = project_folder() / "data" / "models" / "minitweets-full"
tagger = Tagger.from_pretrained(trained_or_bundled(trained))
corpus = load_corpus("minitweets")

# %% [markdown]
# The tagger does not see pixels. A network that was trained on photographs, and is not trained
# any further, turns each image into numbers once: a grid of 4 x 4 regions, and up to eight
# objects with their boxes. They wait in a *feature store*. The cell opens it; further below,
# `store.fill(posts)` computes the features of these posts, unless they are there already.

# %%
from hamner.study.pointing import visual_features

store = visual_features(tagger, corpus, [])

# %% [markdown]
# Each post of minitweets has a *cue*: the way in which its types can be told.
#
# | cue | what gives the type away |
# | --- | --- |
# | `text` | the words alone |
# | `scene` | the one thing that the image shows |
# | `object` | the thing with a ring around it, among several |
# | `odd`, `majority` | the odd one out; three of four things |
# | `position` | where a thing is, or how big |
# | `described`, `other` | the thing that the words describe, or the one that they do not |
# | `level` | the thing that fills the image, or the small ones: the words say which |
# | `unrelated` | nothing in the image: it shows a wrong type, and another topic |
#
# `figures/minitweets_scene.png` shows six posts of `scene`, and so for each cue. `answers.jsonl`
# names a post's cue. The examples below are chosen by rule, not by taste: the first test post of a cue
# that the tagger gets right, and that has no emoji (a figure can only give its name). How often
# the tagger is right stands in section 5.

# %%
from hamner.evaluation import read_predictions

answers = pd.read_json(corpus.folder / "answers.jsonl", lines=True).set_index("id")
predicted = read_predictions(tagger.run.predictions, corpus.test)
plain = [post for post in corpus.test if all(word.isascii() for word in post.words)]


def first_right(cue):
    of_cue = (post for post in plain if answers.cue[post.id] == cue)
    return next(post for post in of_cue if predicted[post.id] == post.tags)


# %% [markdown]
# ## 2. Same words, other images
#
# Here is the whole idea in one figure. We keep the words of a post and exchange its image:
# first an image of each of the four types, about the topic of the words (a person is PER, a place LOC, an
# organisation ORG, anything else MISC); then one about *another* topic; then none. We try the first twenty
# sentences of `unrelated`, and show the first one on which the tagger does all of this right: the type
# follows the four images, the *relevance* of each of them is above 0.9, and that of the image of another
# topic is below 0.1.


# %%
def images_for(post):
    """An image of each type about the topic of the words, and the post's own, which is not."""
    scenes = {}
    wanted = ("scene", answers.topic[post.id])
    for scene in corpus.test:
        if (answers.cue[scene.id], answers.topic[scene.id]) == wanted:
            scenes.setdefault(f"shows {spans(scene.tags)[0].type}", scene)
    order = [f"shows {type}" for type in ("PER", "LOC", "ORG", "MISC")]
    return {title: scenes[title] for title in order} | {"another topic": post}


def follows(tagged):
    """Whether the type follows the four images."""
    about = list(tagged)[:4]
    return all(
        [f"shows {e.type}" for e in tagged[title].entities] == [title] for title in about
    )


def clean(tagged):
    """Whether the four images count for nearly all, and the fifth for nearly nothing."""
    *about, other = (post.relevance for post in list(tagged.values())[:5])
    return min(about) > 0.9 and other < 0.1


# %%
def tag_with_each(post):
    images = images_for(post)
    store.fill(images.values(), progress=False)
    given = [store[other.id] for other in images.values()]
    same = [post.words] * len(images)
    return dict(zip(images, tagger.many(same, features=given, evidence=False)))


# %%
sentences = [post for post in plain if answers.cue[post.id] == "unrelated"][:20]
tries = [tag_with_each(post) for post in sentences]
fits = [follows(tagged) for tagged in tries]
good = [follows(tagged) and clean(tagged) for tagged in tries]
print(
    f"of {len(fits)} sentences {sum(fits)} follow all four images, {sum(good)} with clean relevance"
)

# %%
post, tagged = sentences[good.index(True)], tries[good.index(True)]
images = images_for(post)
tagged["no image"] = tagger(words=post.words)
print(" ".join(post.words))
print("topic of the words:", answers.topic[post.id])

# %%
from hamner.drawing.style import save
from hamner.figures import stages
from hamner.images import load_image

shown = {title: load_image(other.image) for title, other in images.items()}
save(stages.same_words(tagged, shown), "same_words")

# %% [markdown]
# *One sentence of minitweets' test split with five images and with none: the type that the tagger gives to
# the name, its score, and the relevance that it ascribes to the image.*
#
# The first four images are about the words, and the type follows what they show. The fifth shows
# something too, but has nothing to do with the words: its *relevance* is lower, and the tagger
# falls back on what it knows of the name, as it must without an image. It does not always do so
# well: section 5 counts how often it is right, and exercise 3 asks why a type is wrong.
#
# The judgement of relevance was never taught as such. Nobody told the model in training which
# images are relevant; it had to find out in order to tag well.

# %%
assert tagged["no image"].relevance is None


def table_of(tagged):
    """Type and relevance with each image."""
    types = {title: " ".join(e.type for e in each.entities) for title, each in tagged.items()}
    relevance = {title: each.relevance for title, each in tagged.items()}
    return pd.DataFrame({"type": types, "relevance": relevance}).round(2)


table_of(tagged)

# %% [markdown]
# And the first of the twenty whose types do not follow:

# %%
failed = fits.index(False)
print(" ".join(sentences[failed].words))
table_of(tries[failed])

# %%
about = list(tries[failed].values())[:4]
assert [post.entities[0].type for post in about] == ["PER", "LOC", "PER", "MISC"]
assert min(post.relevance for post in about) > 0.9

# %% [markdown]
# Three of its four images are read right. All four count, with a relevance above 0.9, so relevance is not
# at fault: a logo is taken for a person. No drawing of test occurs in train, so the tagger has never seen
# this logo.

# %% [markdown]
# ## 3. One post, closely
#
# This post names two things in its image, and its words say which is which: by where they are,
# or by how big. The names themselves say nothing: a name like these is a person as often as a
# place, an organisation or something else. Without the image the tagger
# still has to say something, and by luck that may be right.


# %%
def tag(post):
    store.fill([post], progress=False)
    return tagger(words=post.words, image=post.image, features=store[post.id])


tagged = tag(first_right("position"))
pd.DataFrame([entity.to_dict() for entity in tagged.entities]).round(2)

# %% [markdown]
# A score is the probability that exactly these words are an entity of this type. `hamner calibrate`
# has made it modest enough to be believed (notebook 06); `start` and `end` count characters. Now let
# the tagger show what it saw:

# %%
tagged.show()

# %% [markdown]
# Above, the words with what was found. Below, the image with its objects, and then, for each
# name, where the tagger looked for it: dark red is much, pale yellow is little, and 1 is what every
# region would get if it looked at all alike. The number under a name's title is the score
# that it would have had *without* the image.
#
# Looking is not the same as relying on. So there is a second question: by how much does the
# score fall when one object is hidden?

# %%
rows = {}
for entity in tagged.entities:
    for number, thing in enumerate(entity.evidence.objects, start=1):
        rows[entity.text, number] = {"attention": thing.attention, "fall": thing.drop}
evidence = [entity.evidence for entity in tagged.entities]
hurts = [max(thing.drop for thing in each.objects) for each in evidence]
assert sum(hurt > each.image_drop for hurt, each in zip(hurts, evidence)) == 1
pd.DataFrame(rows).T.round(2).unstack(0).swaplevel(axis=1).sort_index(axis=1)

# %% [markdown]
# One column pair for each name, one row for each object, numbered as in the image. The object
# whose loss hurts most is mostly the one that the words mean. That is not to say that the answer
# rests on it alone: hide just this one, and the tagger may take another thing for it and be sure
# of the wrong type, so that the score falls further than it does without any image (the numbers
# under the names, above). Here that happens to one of the two names. Notebook 08 takes this apart.

# %% [markdown]
# ## 4. One more: a name among several things
#
# Here the words point at one thing among others. Most of the image is a distraction.

# %%
tag(first_right("object")).show()

# %% [markdown]
# ## 5. How often is it right?
#
# Three columns. *This tagger*: how often it gives a name of the test split its right type. *Text
# only*: the same of a tagger that was trained without images, from its committed predictions.
# *Best without images*: what to expect of the best tagger that has the words alone. minitweets is
# built so that this is known, not guessed.

# %%
from hamner.evaluation import read_predictions
from hamner.study.minitweets import ceilings, answers_of, type_accuracy

names = answers_of(corpus)
without = project_folder() / "data/runs/minitweets-text_only-minilm-seed1/predictions.jsonl.gz"
columns = {
    "this tagger (%)": 100 * type_accuracy(names, predicted),
    "text only (%)": 100 * type_accuracy(names, read_predictions(without, corpus.test)),
    "best without images (%)": 100 * ceilings(corpus).loc["text_only"],
}
right_types = pd.DataFrame(columns)
right_types.round(1)

# %%
this, text_only = (
    right_types[column].drop(["text", "unrelated"]) for column in list(columns)[:2]
)
assert (this > 2 * text_only).all()
loss = right_types.loc["unrelated", "text only (%)"] - right_types.loc["unrelated"].iloc[0]
assert 3 < loss < 8

# %% [markdown]
# What the images add is the difference of the first two columns. In each of the eight cues that need the
# image, this tagger is right more than twice as often as the other. In `text` the words say it all.
# In `unrelated` the image lies, so that to look can only do harm: this tagger is right a few points less
# often than text only. In all other cues only the image knows, each in its own way.
#
# ## 6. Your own post
#
# A raw text and an image's file are enough. The words are split as tweets need it (handles,
# hashtags, links and emoticons stay whole), and an entity knows its place in your text.

# %%
words, image = "Galvo came to the orchid fair with @lena_k :)", shown["shows PER"]
mine = tagger(words, image=image)
print([(entity.text, entity.type, entity.start, entity.end) for entity in mine.entities])
print(*(textwrap.fill(note, 90) for note in mine.notes), sep="\n")

# %%
with_boxes = tagger(words, image=image, features=store[images["shows PER"].id])
print(f"relevance {mine.relevance:.2f}, with the boxes of objects {with_boxes.relevance:.2f}")
assert mine.relevance < 0.5 < with_boxes.relevance

# %% [markdown]
# The note is worth reading. This tagger was trained on drawings whose objects are annotated.
# Nobody has annotated an image of yours (the one here, of the corpus, was given as mere pixels, as
# yours would be), so it makes do with fixed crops. With these it takes the image for irrelevant;
# with the boxes of the corpus it believes the same image. And it has never seen a photograph: do
# not expect it to know a real street. A tagger for real tweets comes with hamner, too; it reads
# words alone: `Tagger.from_pretrained("tweets")`.
#
# From a shell the same is `hamner tag "TEXT" --image FILE --run minitweets`.
#
# ## Where to go from here
#
# | notebook | what happens there |
# | --- | --- |
# | 01 | from the files of a corpus to a batch, and what can go wrong on the way |
# | 02 | stage 1: what words, regions and objects are to the model, each by itself |
# | 03, 03b | stage 2: does the image belong to the words, and which of its grains counts? |
# | 04 | stage 3: words and regions read one another |
# | 05 | from scores to tags, and from tags to a number that you may print |
# | 06 | training, and what it leaves behind |
# | 07, 07b | what each part of the model is worth: ablations, then lesions |
# | 08 | whether attention and relevance can be believed |
# | 09, 09b | the tables beside published numbers; the same runs, put to other tests |
# | 10 | tagging tweets of your own |
# | 11, 12 | what other models can see; a model of your own |
# | 13 | the playground: change one thing about a post, and see what it does |
# | b1 to b4 | write the model yourself, part by part |
#
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import torch

from hamner.exercises import check_choice, check_function, right

# %% [markdown]
# **1 · level 1.** *A piece of stage 3.* Relevance is a number $\rho$ from 0 to 1 for each post. A word $t$
# that reads $r$ from the image becomes $t + \rho\, r$. Write `taken`. What becomes of the words of a post
# whose $\rho$ is 0, as without an image?
#
# <details><summary>Hint</summary>
#
# $\rho$ has to fit (B, n, d): `rho[:, None, None]` has the shape (B, 1, 1).
#
# </details>


# %% tags=["solution"]
def taken(words, read, rho):
    """Words (B, n, d), what each reads (B, n, d) and rho (B,) to the words afterwards (B, n, d)."""
    # BEGIN SOLUTION
    return words + rho[:, None, None] * read
    # END SOLUTION


# %% tags=["check"]
words = torch.arange(1.0, 9.0).reshape(2, 2, 2)  # B = n = d: a wrong axis goes unnoticed
read, rho = words.flip(0) ** 2, torch.tensor([0.0, 0.5])
expected = torch.stack([words[0], words[1] + 0.5 * read[1]])
mistakes = {"rho scales channels, not posts: it has to be (B, 1, 1)": words + rho * read}
mistakes["rho scales places in the post, not posts"] = words + rho[:, None] * read
share = rho[:, None, None]
mistakes["rho scales the words, too: they have to stay whole"] = share * (words + read)
mistakes["the words lose what the image gains: they have to stay whole"] = words.lerp(
    read, share
)
check_function(taken, (words, read, rho), expected, "(B, n, d)", mistakes=mistakes)
right("taken")

# %% [markdown]
# **2 · level 2.** *A measurement.* Do two types change places when *left* and *right* do? Write `exchanged`:
# the words of a post with the two words exchanged. The next cell lets the tagger read ten posts in
# both ways.
#
# <details><summary>Hint</summary>
#
# Go through the post once, and look each word up: `{"left": "right", "right": "left"}.get(word, word)`.
#
# </details>


# %% tags=["solution"]
def exchanged(words):
    """The words of a post to a tuple of words: "left" for each "right", and "right" for each "left"."""
    # BEGIN SOLUTION
    other = {"left": "right", "right": "left"}
    return tuple(other.get(word, word) for word in words)
    # END SOLUTION


# %% tags=["check"]
example = ("left", "Kelso", ",", "Orva", "right")


def places():
    """Which word of the example stands at each place of the answer."""
    found = exchanged(example)
    return found and torch.tensor([example.index(word) for word in found])


expected = torch.tensor([4, 1, 2, 3, 0])
as_it_was = "look each word up once, in the post as it was"
mistakes = {f"both words end as left: {as_it_was}": torch.tensor([0, 1, 2, 3, 0])}
mistakes[f"both words end as right: {as_it_was}"] = torch.tensor([4, 1, 2, 3, 4])
mistakes["nothing is exchanged"] = torch.arange(5)
mistakes["the whole post is turned round"] = torch.arange(5).flip(0)
check_function(
    places, (), expected, "a word for each", mistakes=mistakes, name="your exchanged"
)
right("exchanged")


# %%
def both_ways(post):
    for words in (post.words, exchanged(post.words)):
        found = tagger(words=words, image=post.image, features=store[post.id]).entities
        yield [entity.type for entity in found]


right_ones = (post for post in plain if predicted[post.id] == post.tags)
sided = [post for post in right_ones if answers.side[post.id] == "horizontal"]
sided = [post for post in sided if {"left", "right"} <= {*post.words}][:10]
store.fill(sided, progress=False)
pairs = [tuple(both_ways(post)) for post in sided]
follow = sum(after == before[::-1] for before, after in pairs)
print(f"the types change places in {follow} of {len(pairs)} posts")
assert follow > 0.8 * len(pairs)

# %% [markdown]
# The types follow the words: the tagger has read which side is meant.
#
# **3 · level 3.** *A measurement.* Why is a type wrong? Write `fault`, which names one of four reasons:
#
# - `"believed"`: the post is of cue `unrelated`, and $\rho > 0.5$.
# - `"refused"`: it is of another cue, and $\rho \le 0.5$.
# - `"other thing"`: it is of another cue, $\rho > 0.5$, and the image has a thing of the type that was said.
# - `"misread"`: none of these.
#
# <details><summary>Hint</summary>
#
# Decide on the cue first: an image of `unrelated` explains nothing unless it was believed.
#
# </details>


# %% tags=["solution"]
def fault(cue, rho, said, in_image):
    """The cue, rho, the wrong type, and the set of types in the image, to the reason."""
    # BEGIN SOLUTION
    if cue == "unrelated":
        return "believed" if rho > 0.5 else "misread"
    if rho <= 0.5:
        return "refused"
    return "other thing" if said in in_image else "misread"
    # END SOLUTION


# %% tags=["check"]
both = {"PER", "ORG"}
cases = {
    "an image of another topic that counts": ("unrelated", 0.9, "ORG", both, "believed"),
    "an image of another topic that does not count": ("unrelated", 0.1, "ORG", both, "misread"),
    "a relevant image that does not count": ("scene", 0.2, "ORG", both, "refused"),
    "a type that the image has elsewhere": ("object", 0.9, "ORG", both, "other thing"),
    "a type that the image has nowhere": ("object", 0.9, "LOC", both, "misread"),
}
for case, (*given, reason) in cases.items():
    check_function(fault, given, reason, name=f"your fault for {case}")
right("fault")

# %% [markdown]
# The first 64 posts that went wrong, and their names that were found with a wrong type:

# %%
from hamner.study.pointing import forward

wrong = [post for post in plain if predicted[post.id] != post.tags][:64]
store.fill(wrong, progress=False)
_, output = forward(tagger, wrong, store)
rho_of = dict(zip((post.id for post in wrong), output.relevance.tolist()))
contents = pd.read_json(corpus.folder / "contents.jsonl", lines=True).set_index("image")
image_of = {post.id: contents.loc[post.image.name] for post in wrong}
of_things = {id: {*image.types, *(image.whole or [])[:1]} for id, image in image_of.items()}

# %%
reasons, chances = [], []
for name in (name for name in names if name.post in rho_of):
    said = predicted[name.post][name.start][2:]
    if said and said != name.type:
        given = name.cue, rho_of[name.post], said, of_things[name.post]
        reasons.append(fault(*given))
        if reasons[-1] in ("other thing", "misread") and name.cue != "unrelated":
            # the chance that a wrong type drawn at random is there
            chances.append(len(given[-1] - {name.type, None}) / 3)
counted = pd.Series(reasons).value_counts()
counted.rename("names").to_frame()

# %%
assert counted.idxmax() == "misread"
assert 0.3 < counted["other thing"] / counted.sum() < 0.4
assert abs(counted["other thing"] - sum(chances)) < 5
print(f"{counted['other thing']} of {len(chances)}; drawn at random {sum(chances):.0f}")

# %% [markdown]
# Most often the tagger misread what it saw. One wrong type in three is that of another thing in the
# image. But a wrong type drawn at random would be there about as often, so this does not show that the
# tagger took one thing for the other.
#
# **4 · level 2.** *An argument.* Which finding shows that the score of a name *relied* on an object? `"a"`:
# the object's attention is the greatest of all. `"b"`: the score falls when this object alone is hidden.
# `"c"`: the score is lower without any image. `"d"`: the relevance of the image is high.
#
# <details><summary>Hint</summary>
#
# Which finding would be another one if the score had relied on another object of the same image?
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "b"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "attention says where the model looked; what it took from there may have changed nothing",
    "c": "this shows that something in the image counted, and not which object",
    "d": "relevance is one number for the whole image, the same for each of its objects",
}
check_choice("answer", answer, "b", why_not)
right("what is hidden and missed was relied on")

# %% [markdown]
# ## What we do not know of the paper
#
# - Its code was not released, and we have not seen its equations, settings or tables. This
#   package reimplements what its abstract describes; each setting says whether it is stated
#   there, taken from its first author's related code, or our own choice.
# - Whether its model would tag minitweets as this one does. These posts were made to see each
#   part work; they are no measure of how a model does on real tweets.
