# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10 · Your own tweets
#
# | | |
# | --- | --- |
# | **Goal** | from a CSV or a folder of your posts and images to a tagged table, and an error analysis of your own |
# | **You need** | notebook 00; your posts |
# | **Time** | about 30 minutes to read, less than a minute to run |
# | **Of the paper** | its use: a tagger is for posts that nobody has tagged yet |
#
# Until now all posts came from a corpus. Here they are *yours*. So that the notebook runs as it
# stands, it first writes a folder such as you might have: a dozen invented posts with images,
# the *sample*. Put the path of your own folder into the cell that says so, and the notebook goes
# through yours instead. Nothing is written into it. Cells that are about the sample alone say so,
# and section 5 needs right answers, which only you can give.
#
# Before you rely on a tagger, count its mistakes on posts like yours. The second half does that.

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
import json, shutil, tempfile
from pathlib import Path

import pandas as pd

from hamner import Tagger, load_corpus
from hamner.corpora import project_folder
from hamner.models import trained_or_bundled

# %% [markdown]
# ## 1. The folder
#
# What you need is a table with a row for each post, and images beside it:
#
# | column | what |
# | --- | --- |
# | `id` | a name of the post that no other post has |
# | `text` | the text, as it was posted |
# | `image` | the image's file, inside the folder; empty for a post without one |
# | `names` | the *right* answer, if you know it: `Nora Whitfield=PER; Elmsford=LOC` |
#
# The last column is for the error analysis. Leave it out if you only want tags.
#
# Below are the posts of the sample; with each, the kind of minitweets image to put beside it
# (cue, topic of the image, and the type of what it shows). The next three cells make the sample
# and do no harm if you have a folder of your own.

# %%
POSTS = """
001 | Marwick at the spelling test, wow! #homework       | Marwick=LOC       | scene school LOC
002 | Still thinking about Tolvane and the soup contest  | Tolvane=ORG       | scene food ORG
003 | RT @mia2go: this is Pernell at the vintage market  | Pernell=PER       | scene fashion PER
004 | Spotted at the orchid fair: Quillo http://t.co/x1  | Quillo=MISC       | scene garden MISC
005 | look closely, Ardoch is circled, what a road trip! | Ardoch=LOC        | object travel LOC
006 | so much at the brunch, so I circled Verity         | Verity=PER        | object food PER
007 | shares of Bramley Group fell after the flower show | Bramley Group=ORG | text garden ORG
008 | Nora Whitfield cried at the check-in               | Nora Whitfield=PER | text travel PER
009 | The mayor of Elmsford opened the book club         | Elmsford=LOC      | scene food ORG
010 | no image today. rain over Lake Tamsin            | Lake Tamsin=LOC   |
011 | @acme your hotline is down AGAIN 👎               |                   | text food ORG
012 | Brisko & friends at the shoe sale... NA            | Brisko=PER        | scene fashion PER
"""
MINE = [[part.strip() for part in line.split("|")] for line in POSTS.strip().splitlines()]
len(MINE)

# %%
corpus = load_corpus("minitweets")
answers = pd.read_json(corpus.folder / "answers.jsonl", lines=True).set_index("id")
image_of = {}
for post in corpus.test:
    answer = answers.loc[post.id]
    kind = f"{answer.cue} {answer.topic} {answer.mentions[0]['type']}"
    image_of.setdefault(kind, post.image)

# %%
temporary = tempfile.TemporaryDirectory()
SAMPLE, RESULTS = Path(temporary.name) / "sample", Path(temporary.name) / "results"
SAMPLE.mkdir()
rows = []
for id, text, names, kind in MINE:
    if kind:
        shutil.copy(image_of[kind], SAMPLE / f"{id}.webp")
    rows.append({"id": id, "text": text, "image": f"{id}.webp" if kind else "", "names": names})
sample = pd.DataFrame(rows)
sample.to_csv(SAMPLE / "posts.csv", index=False, encoding="utf-8-sig")

# %% [markdown]
# **Here you put your own folder**, with a `posts.csv` in it. What the notebook writes goes into
# `OUT`; that of the sample is gone at the end, so name another one if you want to keep it.

# %%
FOLDER = SAMPLE
OUT = RESULTS
OUT.mkdir(exist_ok=True)

# %% [markdown]
# ## 2. From a CSV
#
# `pandas.read_csv` guesses, and with tweets it guesses wrong: `001` becomes 1, an 18-digit id
# loses digits, a post "NA" becomes a hole, and the first column of a spreadsheet's file is called
# `\ufeffid`. `read_table` keeps every value as it stands. It reads commas, semicolons and tabs, and
# names the line of a file that it cannot read.

# %%
from hamner.corpora.own import read_table

table = read_table(FOLDER / "posts.csv")
if FOLDER == SAMPLE:
    assert table.id[0] == "001" and table.text.iloc[-1].endswith("NA")
table.head(4)

# %% [markdown]
# ### Or from a folder
#
# You may have a text file for each post instead, with an image of the same name beside it. Then
# write `table = read_folder(FOLDER)`. We try it on the sample alone: make such a folder from its
# table and read it back.

# %%
from hamner.corpora.own import read_folder

for row in sample.itertuples():
    (SAMPLE / f"{row.id}.txt").write_text(row.text, encoding="utf-8")
assert read_folder(SAMPLE).equals(sample[["id", "text", "image"]])

# %% [markdown]
# ### Check before you tag
#
# An id that is there twice, an empty text, an image that no program can open, a name that the text
# does not have: each of them gives a wrong number later, and none of them an error. `complaints`
# lists them all at once, each with its remedy.

# %%
from hamner.corpora.own import complaints

assert not complaints(table, FOLDER), complaints(table, FOLDER)

# %% [markdown]
# To see it at work, break the sample: an id twice, an empty text, an image under a wrong name.

# %%
broken = pd.concat([sample, sample.head(1).assign(text=" ", image="nowhere.jpg")])
[complaint.replace(temporary.name, "...") for complaint in complaints(broken, SAMPLE)]

# %% [markdown]
# ## 3. Tagging
#
# The tagger is the one of notebook 00. It comes with hamner. If you have trained your own and
# its weights differ, the cell takes that one, and says so:
#
#     hamner train minitweets --row full --threads 1 --run data/models/minitweets-full
#     hamner calibrate data/models/minitweets-full

# %%
trained = project_folder() / "data" / "models" / "minitweets-full"
tagger = Tagger.from_pretrained(trained_or_bundled(trained))
images = [FOLDER / name if name else None for name in table.image]
tagged = tagger.many(list(table.text), images)

# %% [markdown]
# A text may be given as it is. It is split as the tagger's corpus was: here handles, hashtags, links
# and emoji are kept whole, while a tagger that learnt from Twitter-2017 would get "# homework". Every
# word knows where it stands in the text.

# %%
" | ".join(tagged[0].words)

# %% [markdown]
# Now the table that you came for: a row for each entity, with its place in the text.


# %%
def entity_table(tagged):
    rows = []
    for id, post in zip(table.id, tagged):
        for entity in post.entities:
            row = {"id": id} | entity.to_dict() | {"relevance": post.relevance}
            if entity.evidence:
                row["without image"] = entity.score - entity.evidence.image_drop
            rows.append(row)
    return pd.DataFrame(rows)


# %%
entities = entity_table(tagged)
entities.round(2)

# %% [markdown]
# `score` is the probability that exactly these words are an entity of this type; *without image*
# is the probability of the same had the model seen no image. Save the table, and the whole of
# each post as JSON:

# %%
entities.to_csv(OUT / "entities.csv", index=False)
records = [{"id": id} | post.to_dict() for id, post in zip(table.id, tagged)]
lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
(OUT / "tagged.jsonl").write_text("".join(lines), encoding="utf-8")
sorted(file.name for file in OUT.iterdir())

# %% [markdown]
# ## 4. What the tagger says about itself
#
# Each post carries notes. Read them before you trust a table.

# %%
for note in sorted({note for post in tagged for note in post.notes}):
    print("-", note)

# %% [markdown]
# The one about tiles matters. The run was trained with objects that come with the corpus: a box for
# each thing. Your images have no boxes, so the tagger puts five fixed tiles in their place. That
# is a guess, and it is not what the model has learnt from. Take any post to look at:

# %%
LOOK_AT = min(4, len(table) - 1)
tagged[LOOK_AT].show()

# %% [markdown]
# ### Boxes of your own
#
# If you can say what is in your images (any tool that draws boxes will do, or a detector), write
# `annotations.jsonl` beside them, in the form of minitweets. For the sample we may copy the lines:

# %%
line_of = {}
for line in (corpus.folder / "annotations.jsonl").read_text(encoding="utf-8").splitlines():
    line_of[json.loads(line)["image"]] = json.loads(line)
kinds = {id: kind for id, _, _, kind in MINE if kind}
copied = [line_of[image_of[kind].name] | {"image": f"{id}.webp"} for id, kind in kinds.items()]
text = "".join(json.dumps(line) + "\n" for line in copied)
(SAMPLE / "annotations.jsonl").write_text(text, encoding="utf-8")
text[: text.index("},") + 1]

# %% [markdown]
# `ImageExtractor` puts an image and its objects through the run's backbone. One trap: the model
# knows object classes by *number*, and the numbers are those of its own training. So names are
# looked up in the run's record; a class that it never saw becomes 0, unknown. An image that you
# drew no boxes for has no objects.

# %%
from dataclasses import replace

from hamner.images import open_image
from hamner.vision.objects import Objects, read_annotations
from hamner.vision.extractor import ImageExtractor

source = tagger.config.visual
extractor = ImageExtractor.load(replace(source, objects="none"), FOLDER)
class_names = tagger.run.record["features"]["class_names"]
drawn = FOLDER / "annotations.jsonl"
boxes = read_annotations(drawn) if drawn.is_file() else {}


# %%
def look(image):
    if image is None:
        return None
    objects = Objects.of(boxes.get(image.name, []), class_names, source.max_objects)
    return extractor.encode(open_image(image), objects)


# %% [markdown]
# Do the boxes fit the images? `complaints` compares their names, if it gets them.

# %%
complaints(table, FOLDER, annotated=boxes) if boxes else "no boxes"

# %%
with_boxes = tagger.many(list(table.text), images, features=[look(image) for image in images])
with_boxes[LOOK_AT].show()

# %% [markdown]
# ## 5. Your own error analysis
#
# For this you need the right answers, and nobody but you can give them. The column `names` holds
# them as a person writes them; without it your way ends here. To score, they must become tags of
# the *tagger's* words, and the offsets do that. `gold_tags` refuses a list of names that can be
# read in two ways. Of a name that occurs twice, say which one: the second (`Quar=PER#2`), every
# one (`Quar=PER#all`), or give its characters (`[9:13]=PER`).

# %%
from hamner.corpora.own import gold_tags, name_spans

name_spans("Quar met Quar", "Quar=PER#2")

# %%
gold = [gold_tags(post, names) for post, names in zip(tagged, table.names)]
longer = next((i for i, tags in enumerate(gold) if "I-" in "".join(tags)), 0)
list(zip(tagged[longer].words, gold[longer]))

# %% [markdown]
# Three ways to tag the same posts: without images, with images and tiles, and with your boxes.
# Is the image worth it, and are the boxes?

# %%
from hamner.evaluation import bootstrap_interval

ways = {
    "no images": [post.tags for post in tagger.many(list(table.text))],
    "images, tiles": [post.tags for post in tagged],
    "images, own boxes": [post.tags for post in with_boxes],
}
scores = {}
for way, tags in ways.items():
    interval = bootstrap_interval(gold, tags)
    scores[way] = [100 * x for x in (interval.estimate, interval.low, interval.high)]
pd.DataFrame(scores, index=["F1", "95 % from", "to"]).T.round(0)

# %% [markdown]
# Three intervals that overlap do not answer whether the image is worth it: the same posts are hard in
# all three ways. The question is about the *difference*, and a paired test asks it (notebook 05):

# %%
from hamner.evaluation import paired_bootstrap

tests = {}
for way in ("images, tiles", "images, own boxes"):
    test = paired_bootstrap(gold, ways[way], ways["no images"])
    tests[way] = [100 * test.difference, 100 * test.low, 100 * test.high, test.p_value]
pd.DataFrame(tests, index=["F1 more", "95 % from", "to", "p"]).T.round(2)

# %% [markdown]
# The sample's dozen posts leave intervals of tens of points. Even where p is below 0.05, they say hardly
# anything about the size of the gain. They tell you a lot about *kinds* of mistakes, though, so let us
# read those one by one.

# %%
from hamner.evaluation import match_posts


def words_of(post, span):
    return "" if span is None else f"{' '.join(post.words[span.start : span.end])} {span.type}"


# %%
mistakes = []
matches = match_posts(gold, ways["images, own boxes"])
for id, post, of_post in zip(table.id, with_boxes, matches):
    for match in of_post:
        pair = {"gold": words_of(post, match.gold), "tagged": words_of(post, match.predicted)}
        mistakes.append({"id": id, "kind": match.kind} | pair)
pd.DataFrame(mistakes).sort_values("kind", kind="stable").set_index("id")

# %% [markdown]
# Which answers did the image change, and for better or worse? That is the question of a
# multimodal tagger, post by post.

# %%
alone, seen = ways["no images"], ways["images, own boxes"]
changed = [i for i in range(len(table)) if alone[i] != seen[i]]
verdict = {(False, True): "mended", (True, False): "broken"}
for i in changed:
    right = (alone[i] == gold[i], seen[i] == gold[i])
    print(f"{table.id[i]} {verdict.get(right, 'other'):>6}: {table.text[i]}")
print(len(changed), "of", len(table), "posts changed")

# %% [markdown]
# Then ask of each mistake *why*:
#
# 1. Are the words split as you would split them? (`post.words`)
# 2. Was the image seen at all? (`post.notes`; a relevance of None means it was not)
# 3. Is relevance what you would say? An image of another topic should have a low one.
# 4. Did it look at the right thing, and did that matter? (notebook 08)
# 5. Does the name occur in training, with another type?
# 6. Would a person get it right from this text and this image? If not, it is no mistake.
#
# And one more, for this run in particular: it knows invented posts with drawn images. On real
# photographs it has nothing to go by. Train on a corpus that is like your posts
# (`hamner train --help`) before you judge the method by it.

# %% [markdown]
# ### A corpus of your own
#
# Labelled posts can be trained on. Write them as a corpus file: a line with the post's id, a line for each
# word with its tag, and an empty line. `read_posts` reads it back, and finds the images by their ids.

# %%
from hamner.corpora.reader import read_posts

blocks = []
for id, post, tags in zip(table.id, tagged, gold):
    pairs = "\n".join(f"{word}\t{tag}" for word, tag in zip(post.words, tags))
    blocks.append(f"IMGID:{id}\n{pairs}\n")
(OUT / "test.txt").write_text("\n".join(blocks), encoding="utf-8")
again = read_posts(OUT / "test.txt", FOLDER)
assert [post.tags for post in again] == gold
print(len(again), "posts,", sum(post.image is not None for post in again), "with an image")

# %% [markdown]
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import math

import torch

from hamner.corpora import TAGS
from hamner.exercises import check_choice, check_function, right

# %% [markdown]
# **1 · level 1.** *A measurement.* How many posts must you label for an interval of F1 that is ten points
# wide? The width falls with the root of the number of posts. Write `posts_needed`.
#
# <details><summary>Hint</summary>
#
# For half the width you need four times as many posts.
#
# </details>


# %% tags=["solution"]
def posts_needed(posts, width, wanted=10):
    """Number of posts, the width of their interval, and the width that is wanted, to a number of posts."""
    # BEGIN SOLUTION
    return posts * (width / wanted) ** 2
    # END SOLUTION


# %% tags=["check"]
mistakes = {
    "the width falls with the root of the number: half of it takes 4 times": torch.tensor(200.0)
}
mistakes["a narrower interval takes more posts, not fewer"] = torch.tensor(3.125)
mistakes["the root is of the posts, not of the widths"] = torch.tensor(100.0)
check_function(posts_needed, (50, 40.0, 10.0), 800.0, mistakes=mistakes)
right("posts_needed")

# %% [markdown]
# Does the rule hold? Repeat your posts k times, which pretends that new posts are like these, and let
# each interval foretell.

# %%
foretold = []
for k in (1, 4, 16, 64):
    interval = bootstrap_interval(gold * k, ways["images, tiles"] * k)
    posts, width = k * len(gold), 100 * (interval.high - interval.low)
    foretold.append(posts_needed(posts, width))
    print(
        f"{posts:4} posts: {width:3.0f} points wide, so {foretold[-1]:.0f} posts for ten points"
    )
if FOLDER == SAMPLE:
    assert max(foretold) < 1.2 * min(foretold)

# %% [markdown]
# It does: 12 posts foretell nearly the same number as 768 do.
#
# **2 · level 2.** *A piece of a measure.* A score compares tags of words, and a person gives names by their
# characters. Write `to_tags`: the first word of each name gets `B-` and its type, its other words `I-`, all
# other words `O`.
#
# <details><summary>Hint</summary>
#
# Begin with `["O"] * len(offsets)`. A word belongs to a name if it begins and ends inside it.
#
# </details>


# %% tags=["solution"]
def to_tags(offsets, spans):
    """(start, end) of each word and (start, end, type) of each name, in characters, to a tag a word."""
    # BEGIN SOLUTION
    tags = ["O"] * len(offsets)
    for start, end, type in spans:
        inside = [i for i, (a, b) in enumerate(offsets) if start <= a and b <= end]
        for i in inside:
            tags[i] = f"{'B' if i == inside[0] else 'I'}-{type}"
    return tags
    # END SOLUTION


# %% tags=["check"]
post_words = ["Nora", "Whitfield", "in", "Oslo", "Elmsford"]
offsets = [(0, 4), (5, 14), (15, 17), (18, 22), (23, 31)]
spans = [(0, 14, "PER"), (18, 22, "LOC"), (23, 31, "LOC")]


def numbered(*tags):
    return torch.tensor([TAGS.index(tag) for tag in tags])


def numbers_of_answer():
    tags = to_tags(offsets, spans)
    return tags if tags is None or tags is ... else numbered(*tags)


mistakes = {
    "a name's first word has B-": numbered("I-PER", "I-PER", "O", "I-LOC", "I-LOC"),
    "B- is for the first word alone": numbered("B-PER", "B-PER", "O", "B-LOC", "B-LOC"),
    "two names side by side are two": numbered("B-PER", "I-PER", "O", "B-LOC", "I-LOC"),
    "the last word belongs to its name": numbered("B-PER", "O", "O", "O", "O"),
}
expected = numbered("B-PER", "I-PER", "O", "B-LOC", "B-LOC")
check_function(
    numbers_of_answer, (), expected, "a tag a word", post_words, mistakes, "your to_tags"
)
right("to_tags")

# %%
for post, names, tags in zip(tagged, table.names, gold):
    assert tuple(to_tags(post.offsets, name_spans(post.text, names, post.offsets))) == tags
print("the same tags as those of gold_tags, for", len(gold), "posts")

# %% [markdown]
# **3 · level 2.** *A piece of a measure.* With images some posts were mended, and some were broken. Posts
# that are right both ways, or wrong both ways, do not say which way is better. If images do nothing, each of
# the others is a coin toss. Write `sign_test`: the probability that the tosses split at least as unevenly as
# these, to either side.
#
# <details><summary>Hint</summary>
#
# Of $n$ tosses, $k$ heads have the probability `math.comb(n, k) / 2**n`. Which $k$ are at least as far from
# $n / 2$ as `mended`?
#
# </details>


# %% tags=["solution"]
def sign_test(mended, broken):
    """Numbers of posts that images mended and broke, to the p-value of the difference."""
    # BEGIN SOLUTION
    n = mended + broken
    uneven = [k for k in range(n + 1) if abs(2 * k - n) >= abs(mended - broken)]
    return sum(math.comb(n, k) for k in uneven) / 2**n
    # END SOLUTION


# %% tags=["check"]
mistakes = {"count both sides: images could have broken five of six": torch.tensor(7 / 64)}
mistakes["count the splits that are more uneven, too"] = torch.tensor(12 / 64)
mistakes["that is the one split, on one side"] = torch.tensor(6 / 64)
for mended, broken in ((5, 1), (1, 5)):
    check_function(sign_test, (mended, broken), 14 / 64, mistakes=mistakes)
mistakes = {"both sides share the even split: count it once": torch.tensor(84 / 64)}
check_function(sign_test, (3, 3), 1.0, mistakes=mistakes)
right("sign_test")

# %%
both_ways = [(alone[i] == gold[i], seen[i] == gold[i]) for i in range(len(table))]
mended, broken = both_ways.count((False, True)), both_ways.count((True, False))
print(f"{mended} posts mended, {broken} broken: p = {sign_test(mended, broken):.3f}")
if FOLDER == SAMPLE:
    assert tests["images, own boxes"][-1] < 0.05 < sign_test(mended, broken)
assert sign_test(5, 0) > 0.05 > sign_test(6, 0)

# %% [markdown]
# Even if images break no post, five mended posts are no evidence at 5 %, and six are. In the sample they
# break one, and this test finds no evidence where the bootstrap of F1 found some (p below 0.05). With
# a dozen posts, believe neither.
#
# **4 · level 3.** *An argument.* You have 5,000 posts and time to label 200, and want to know the F1 of the
# tagger on all of them. Which ones do you label? `"a"`: 200 of those in which the tagger found a name.
# `"b"`: The 200 with the lowest scores, where mistakes are. `"c"`: 200 that are drawn at random. `"d"`: The
# first 200 in the file.
#
# <details><summary>Hint</summary>
#
# Ask of each way which mistakes it would never see, or see too often.
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "c"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "where it found nothing, it may have missed names: they would never count, and recall is too high",
    "b": "these are the hardest posts: good ones to train on, and F1 on them is too low",
    "d": "they are of one day, one account or one topic, as files are: F1 on the others is unknown",
}
check_choice("answer", answer, "c", why_not)
right("a random draw")

# %%
temporary.cleanup()

# %% [markdown]
# ## What we do not know of the paper
#
# - How it does on posts from outside its two corpora. Both were gathered before 2018, and what
#   tweets look like has changed since.
# - How it splits raw text into words: the corpora come split already.
# - How it treats a post without an image, or with several; both are common outside of corpora.
