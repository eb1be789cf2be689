# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · From a tweet to a batch
#
# | | |
# | --- | --- |
# | **Goal** | read posts without losing a word, count them as papers do, and turn them into tensors |
# | **You need** | Python; no model, no GPU, no tweets: the bundled corpus *minitweets* and counts of the real corpora |
# | **Time** | about 25 minutes to read, less than a minute to run |
# | **Of the paper** | the task (tag the words of a post that has one image) and its data, Twitter-2015 and 2017 |
#
# A score is only as good as the reading of the files behind it. Papers on these two corpora
# print the same counts, and yet a reader written in a hurry loses a post, shifts a tag or opens
# entities that are not there. This notebook walks from the bytes of a file to a padded batch
# and stops wherever something can go wrong.

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
from pathlib import Path

import pandas as pd

from hamner import load_corpus
from hamner.figures import corpora
from hamner.drawing.style import save

pd.options.display.max_columns = 40  # a post is wider than the twenty that pandas shows

# %% [markdown]
# ## 1. A post, by eye
#
# The corpora come as text. A line `IMGID:...` opens a post and names its image; then each
# line holds a word, a tab and a tag; an empty line ends the post. Here are two invented posts.

# %%
text = "IMGID:101\nRT\tO\n@fan\tO\nAnna\tB-PER\nBerg\tI-PER\nlands\tO\nin\tO\nTallin\tB-LOC\n\n"
text += "IMGID:102\nZibco\tB-ORG\n!\tO\n"
print(text)

# %% [markdown]
# The tags are *BIO*: `B-` begins an entity, `I-` continues it, `O` is outside. The type follows
# the hyphen: `PER`, `LOC`, `ORG` or `MISC`. So *Anna Berg* is one person, not two.
#
# ## 2. The reader
#
# Reading this takes a few lines, and this is how one writes them in a hurry:


# %%
def naive_reader(text):
    posts, words = [], []
    for line in text.split("\n"):
        if line.strip() == "":
            posts, words = posts + [words], []
        elif not line.startswith("IMGID"):
            words.append(line.split())
    return posts


[len(post) for post in naive_reader(text.rstrip("\n"))]

# %% [markdown]
# Two posts went in and one came out. The naive reader hands a post over when it meets an *empty
# line*, and Twitter-2015 does not end with one: its last post is lost, in silence. hamner's
# reader closes the last post itself.

# %%
from hamner.corpora.reader import parse_posts

posts = parse_posts(text.rstrip("\n").encode(), Path("invented.txt"))
assert len(posts) == 2
posts[0]

# %% [markdown]
# A `Post` is its id, its words, their tags, and its image where there is one. From tags to
# entities is a step of its own: a `Span` has a type, a first word and the word after its last.

# %%
from hamner.corpora import spans

[(span, " ".join(posts[0].words[span.start : span.end])) for span in spans(posts[0].tags)]

# %% [markdown]
# What the reader does not understand it refuses, and its error says which file, which line,
# what is wrong and what to do. A file that is *nearly* right is the dangerous kind.

# %%
from hamner.corpora import CorpusError

for broken in (
    "IMGID:1\nKelso B-PER\n",
    "IMGID:1\nKelso\tB-PERS\n",
    "IMGID:../../x\nKelso\tO\n",
):
    try:
        parse_posts(broken.encode(), Path("invented.txt"))
    except CorpusError as error:
        print(error, end="\n\n")

# %% [markdown]
# ## 3. The bundled corpus
#
# The real tweets may not be handed on, so the notebooks run on *minitweets*: invented posts
# with drawn images, in the same files, read by the same reader. Its answers are known by
# construction, which later notebooks make use of.

# %%
corpus = load_corpus("minitweets")
post = next(post for post in corpus.test if len(spans(post.tags)) > 1)
pd.DataFrame([post.words, post.tags], index=["word", "tag"])

# %%
from IPython.display import Image

shown = "Icons: a temple in an octagon, a face in a square, a calendar, a folder, a cabinet."
Image(filename=post.image, width=224, alt=shown)

# %% [markdown]
# That is the whole task: given the words and this image, find the tags.
#
# ## 4. Counting
#
# `statistics` counts a corpus; a row for each quantity, a column for each split.

# %%
from hamner.corpora import statistics

counts = statistics(corpus)
counts

# %% [markdown]
# Are the real corpora what papers say they are? Their counts were measured once, with the same
# function, and committed (`hamner measure` writes them again where the tweets are), so you can
# follow here without a single tweet.

# %%
from hamner.study.measured import measured_statistics

REAL = ("twitter2015", "twitter2015-original", "twitter2017")
measured = {name: measured_statistics(name) for name in REAL}

# %% [markdown]
# Twitter-2015 stands there twice, because it goes round in two versions: `twitter2015-original`
# has the labels of its makers (Zhang et al. 2018), `twitter2015` those in the files of UMT (Yu
# et al. 2020), which most later papers train on. Beside each count, its difference from the
# published one.

# %%
from hamner.corpora import published_counts


def beside_published(name, published_name):
    published = published_counts(published_name)
    ours = measured[name].loc[published.index]
    columns = {"published": published, "measured": ours, "difference": ours - published}
    table = pd.concat(columns, axis=1)
    return table.loc[["posts", "entities", "PER", "LOC", "ORG", "MISC"]]


beside_published("twitter2017", "twitter2017")

# %%
beside_published("twitter2015-original", "twitter2015")

# %%
beside_published("twitter2015", "twitter2015")

# %% [markdown]
# Twitter-2017 and the original Twitter-2015 agree with the published counts to the last entity.
# The version that most papers *train on* does not, though they print the published table. That
# deserves an explanation, and there is one.

# %%
from hamner.corpora import VERSIONS

for difference in VERSIONS["twitter2015"].differences:
    by_split = f"{difference.train}/{difference.valid}/{difference.test}"
    print(f"{difference.quantity}, {by_split}: {difference.why}.")

# %% [markdown]
# So a version is more than a detail: the counts differ by 21 of 12,800 entities. hamner gives
# each version a name of its own and knows its files by their SHA-256; other bytes are never
# loaded under a known name.

# %%
for name, published_name in (
    ("twitter2017", "twitter2017"),
    ("twitter2015-original", "twitter2015"),
):
    assert not beside_published(name, published_name)["difference"].to_numpy().any()

# %% [markdown]
# ### B- tags are one count, spans are another
#
# Papers count `B-` tags. A scorer counts *spans*, and on Twitter-2015 it finds more of them:

# %%
rows = ["entities", "spans", "orphans"]
pd.concat({name: measured[name].loc[rows] for name in REAL})

# %% [markdown]
# The difference is the *orphans*: an `I-` tag that continues no entity of its own type. Each
# opens a span in the eyes of the scorer that nearly everybody uses, and is no entity by the
# rules of BIO. The three rows must add up:

# %%
for name in REAL:
    table = measured[name]
    assert (table.loc["spans"] == table.loc["entities"] + table.loc["orphans"]).all(), name

# %% [markdown]
# ### Which types
#
# The two corpora are different worlds: places make up a third of Twitter-2015 and an eighth of
# Twitter-2017. An average over types hides this, so scores are printed per type as well.
# (minitweets is balanced on purpose.)

# %%
TYPES = ["PER", "LOC", "ORG", "MISC"]
all_counts = {**measured, "minitweets": counts}
names = ["twitter2015", "twitter2017", "minitweets"]
in_all = pd.DataFrame({name: all_counts[name].loc[TYPES].sum(axis=1) for name in names}).T
shares = 100 * in_all.div(in_all.sum(axis=1), axis=0)
save(corpora.entity_types(shares), "entity_types")

# %% [markdown]
# *Share of each entity type among the entities (by B- tags, all splits) of each corpus.*

# %%
assert shares.LOC["twitter2015"] > 33 and 12 < shares.LOC["twitter2017"] < 13

# %% [markdown]
# ### Seen and unseen
#
# How many of the test mentions (type and words, case folded) occur in training? A tagger can
# learn those by heart; the others it has to understand. Both are worth knowing, so hamner
# scores them apart.

# %%
test = pd.DataFrame({name: table["test"] for name, table in all_counts.items()}).T
seen = test[["seen_mentions", "spans"]].copy()
seen["seen (%)"] = (100 * seen["seen_mentions"] / seen["spans"]).astype(float).round(1)
seen

# %%
assert seen["seen (%)"]["twitter2015"] == 33.3 and seen["seen (%)"]["twitter2017"] == 53.6

# %% [markdown]
# On Twitter-2015 one test mention of three is seen, on Twitter-2017 more than half.
#
# ## 5. What can go wrong
#
# ### Orphan tags
#
# Tags can be read as entities in more than one way once an orphan is among them. Each way has a
# name here, a *protocol*, and every score says which one it used. Notebook 05 shows what that
# does to F1.

# %%
from hamner.corpora import PROTOCOLS, orphans

tags = ["O", "I-PER", "I-PER", "O", "B-LOC", "I-ORG"]
print("orphans at", orphans(tags))
for protocol in PROTOCOLS:
    print(f"{protocol:>9}: {[tuple(span) for span in spans(tags, protocol)]}")

# %% [markdown]
# `seqeval` (the library's default) lets an orphan open an entity. `strict` is BIO to the
# letter: an orphan is nothing. `repaired` rewrites the orphan as `B-` first, as some papers do
# to their files.
#
# ### Words that vanish
#
# Some tweets hold words that you cannot see: a no-break space, a joiner from a broken emoji.
# `str.split` takes the first for a blank, and of its line only the tag is left:

# %%
line = "\xa0\tO"  # a no-break space, tagged O: one such line stands in Twitter-2015
print("naive:", line.split())
print("hamner:", parse_posts(f"IMGID:1\n{line}\n".encode(), Path("invented.txt"))[0])

# %% [markdown]
# Such a word reaches the encoder, and would vanish there, for its tokenizer has no piece for it; nor
# for the joiner and its like, which `str.split` lets pass:

# %%
from hamner.encoders import load_tokenizer

tokenizer = load_tokenizer("minilm")
for word in ("Tallin", "\xa0", "\u200d", "\ufe0f"):
    print(ascii(word), tokenizer.tokenize(word))

# %% [markdown]
# In hamner such a word becomes the unknown piece and keeps its place. Wherever one is dropped, each
# later tag of its post stands beside the wrong word. They are rare, but a shifted tag is a wrong
# answer:

# %%
no_pieces = pd.DataFrame({name: measured[name].loc["words_without_pieces"] for name in REAL}).T
assert no_pieces.sum(axis=1).tolist() == [1, 1, 158]
no_pieces

# %% [markdown]
# Twitter-2017 has 158 of them, Twitter-2015 one.
#
# ### Leaks
#
# A text that stands in training and in test is an answer given away. The real corpora have a
# few; they are so few that nobody's ranking hangs on them, but you should know before somebody
# tells you.

# %%
leaks = pd.concat(
    {name: measured[name].loc[["texts_in_train", "texts_in_valid"]] for name in REAL}
)
assert leaks.max().max() == 4
leaks

# %% [markdown]
# At most four texts stand in two splits.
#
# Leaks have another door here: an image. If an image of test was there in training, a model
# may remember it instead of looking. minitweets has neither kind of leak:

# %%
texts = {split: {post.words for post in posts} for split, posts in corpus.splits()}
images = {split: {post.image for post in posts} for split, posts in corpus.splits()}
for later in ("valid", "test"):
    assert not texts["train"] & texts[later]
    assert not images["train"] & images[later]

# %% [markdown]
# ### Missing images
#
# 358 images of Twitter-2017 can be read in no public copy. Peers put a blank placeholder in
# their place and say nothing; the model then learns from grey squares. In hamner a post without
# an image has `image=None`, the model masks it, and `hamner corpora check` reports it.

# %%
unreadable = VERSIONS["twitter2017"].unreadable
print(unreadable, "in all:", sum(unreadable.values()))
without = [post.id for _, posts in corpus.splits() for post in posts if post.image is None]
print("minitweets, posts without an image:", len(without))

# %% [markdown]
# ## 6. How long is a post?
#
# An encoder reads *word pieces*, not words, and handles and links break into many. Peers pad
# each post to 128 pieces. How many does a post really have?

# %%
from hamner.study.measured import measured_lengths, piece_lengths

lengths = {name: measured_lengths(name)["train"] for name in ("twitter2015", "twitter2017")}
lengths["minitweets"] = piece_lengths(corpus)["train"]
save(corpora.post_lengths(lengths), "post_lengths")

# %% [markdown]
# *Word pieces per training post (minilm's uncased vocabulary). The dashed line is the length to
# which peers pad.*

# %%
means = {name: sum(of_posts) / len(of_posts) for name, of_posts in lengths.items()}
assert round(means["twitter2015"]) == 42 and round(means["twitter2017"]) == 20
assert max(map(max, lengths.values())) == 70

# %% [markdown]
# A training post of Twitter-2015 has 42 pieces on the mean, one of Twitter-2017 has 20, and none has more
# than 70. Padded to 128, an encoder spends most of its time on nothing. Its linear layers, most of the work at
# this length, cost in proportion to the padding; attention alone costs its square.
#
# ## 7. From words to pieces
#
# `windows` cuts posts into pieces and notes where each word begins: the word's *first piece*
# will stand for the word.

# %%
from hamner.training.batching import windows

window = windows([post], tokenizer, limit=512)[0]
pieces = tokenizer.convert_ids_to_tokens(window.pieces.tolist())
print(pieces)

# %%
firsts = [pieces[position] for position in window.first_piece]
pd.DataFrame([post.words, firsts, post.tags], index=["word", "first piece", "tag"])

# %% [markdown]
# A post longer than the encoder's limit is cut at word boundaries into several windows. No word
# is lost:

# %%
cut = windows([post], tokenizer, limit=8)
print([len(part.first_piece) for part in cut], "words in", len(cut), "windows")
assert sum(len(part.first_piece) for part in cut) == len(post.words)

# %% [markdown]
# ## 8. From pieces to a padded batch
#
# Posts of one batch must have one length, so shorter ones are filled up. Boolean masks say what
# is real.

# %%
from hamner.training.batching import Split

train = Split(windows(corpus.train, tokenizer, limit=512), pad=tokenizer.pad_token_id)
batch = train.batch(range(4))
fields = ("pieces", "piece_mask", "first_piece", "word_mask", "tags")
{name: tuple(getattr(batch, name).shape) for name in fields}

# %%
for row in batch.piece_mask:
    print("".join("#" if real else "." for real in row))

# %% [markdown]
# To what length? Three ways: to the longest post *of the batch*, with posts in random order;
# the same with posts of like length put together (`length_buckets`), while the order of the
# batches stays random; or always to 128.

# %%
import random

from hamner.training.batching import length_buckets


def random_batches(lengths, size=24):
    order = random.Random(1).sample(range(len(lengths)), len(lengths))
    return [order[start : start + size] for start in range(0, len(order), size)]


# %% [markdown]
# One batch of each kind. The bucketed one is a typical one: of middle length.

# %%
sizes = train.lengths()
buckets = length_buckets(sizes, 24, seed=1)
bucketed = sorted(buckets, key=lambda batch: max(sizes[i] for i in batch))
one = {"random order": random_batches(sizes)[0], "length buckets": bucketed[len(bucketed) // 2]}
one["always to 128"] = one["random order"]
save(corpora.padding({way: [sizes[i] for i in batch] for way, batch in one.items()}), "padding")

# %% [markdown]
# *One batch of 24 posts of minitweets under three ways of padding: real pieces in blue, padding
# in grey.*
#
# And over a whole epoch, also of the real corpora? Only lengths matter here, and those were
# measured.


# %%
def positions(batches, lengths):
    return sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)


def per_real_piece(lengths):
    buckets, shuffled = length_buckets(lengths, 24, seed=1), random_batches(lengths)
    computed = {
        "length buckets": positions(buckets, lengths),
        "random order": positions(shuffled, lengths),
        "always to 128": 128 * len(lengths),
    }
    return {way: number / sum(lengths) for way, number in computed.items()}


cost = pd.DataFrame({name: per_real_piece(of_posts) for name, of_posts in lengths.items()}).T
cost.round(2)

# %%
save(corpora.padding_cost(cost), "padding_cost")

# %% [markdown]
# *Positions that the encoder computes for each real piece in one epoch of training, batches of
# 24.*
#
# Padding to 128 triples the work on Twitter-2015 and multiplies it by six on Twitter-2017. Buckets bring
# padding down to two percent, and nothing is lost by it: masks see to it that
# padding never changes a post's output, which the model's tests hold it to.

# %%
assert (cost["length buckets"] <= cost["random order"]).all()
assert (cost["random order"] < cost["always to 128"]).all()
assert cost["always to 128"]["twitter2015"] > 3 and cost["always to 128"]["twitter2017"] > 6
assert cost["length buckets"].max() < 1.025

# %% [markdown]
# ## Exercises
#
# Each has a cell that checks your answer and says what is wrong. In the copy that `make students`
# writes, the lines between `BEGIN SOLUTION` and `END SOLUTION` are missing.

# %% tags=["keep"]
import torch

from hamner.exercises import check_choice, check_function, right

# %% [markdown]
# **1 · level 1.** *A piece of the reader.* Write `repaired`, which turns each orphan `I-` into `B-`. An `I-`
# is an orphan unless the tag before it has the same type.
#
# <details><summary>Hint</summary>
#
# `zip(["O", *tags], tags)` gives each tag with the one before it; `tag[2:]` is a type, and empty for `O`.
#
# </details>


# %% tags=["solution"]
def repaired(tags):
    """The tags of a post, a list, to a list in which no I- is an orphan."""
    # BEGIN SOLUTION
    pairs = zip(["O", *tags], tags)
    orphan = [tag[0] == "I" and before[2:] != tag[2:] for before, tag in pairs]
    return ["B" + tag[1:] if alone else tag for tag, alone in zip(tags, orphan)]
    # END SOLUTION


# %% tags=["check"]
broken = ["I-PER", "I-PER", "O", "I-MISC", "B-LOC", "I-ORG", "I-ORG"]
letters = {
    "": "BIOBBBI",
    "an I- after a tag of its own type stays: you cut an entity in two": "BBOBBBB",
    "an I- after a tag of another type is an orphan, too": "BIOBBII",
    "an I- at the start of a post is an orphan": "IIOBBBI",
    "nothing is repaired": "IIOIBII",
}
letters = {said: torch.tensor(["BIO".index(x) for x in row]) for said, row in letters.items()}
expected = letters.pop("")


def first_letters():
    answer = repaired(broken)
    return answer and torch.tensor(["BIO".index(tag[0]) for tag in answer])


name = "your repaired, as B 0, I 1, O 2,"
check_function(first_letters, (), expected, "a tag for each", mistakes=letters, name=name)
whole = ["B-PER", "I-PER", "O", "B-MISC", "B-LOC", "B-ORG", "I-ORG"]
check_function(lambda: list(repaired(broken)), (), whole, name="your repaired")
right("repaired")

# %%
from hamner.corpora import repair

assert repaired(tags) == repair(tags)

# %% [markdown]
# **2 · level 2.** *A piece of stage 1.* The encoder gives a vector for each piece, and the model needs one for
# each word: that of the word's first piece. Write `of_words`. A padded place gets zeros.
#
# <details><summary>Hint</summary>
#
# Index with two tensors at once: `pieces[rows, first_piece]`, where `rows` is `torch.arange(B)[:, None]`.
#
# </details>


# %% tags=["solution"]
def of_words(pieces, first_piece, word_mask):
    """Pieces (B, P, d), positions (B, n), real words (B, n) to vectors of words (B, n, d)."""
    # BEGIN SOLUTION
    rows = torch.arange(len(pieces))[:, None]
    return pieces[rows, first_piece] * word_mask[:, :, None]
    # END SOLUTION


# %% tags=["check"]
vectors = torch.arange(1.0, 25.0).reshape(2, 6, 2)  # [CLS], four pieces, [SEP]
starts = torch.tensor([[1, 3, 4], [1, 4, 0]])  # the first word of the first post has two pieces
there = torch.tensor([[True, True, True], [True, True, False]])
expected = torch.stack([vectors[0, [1, 3, 4]], vectors[1, [1, 4, 0]]])
mistakes = {"a padded place holds the vector of [CLS]": expected.clone()}
expected[1, 2] = 0
real = there[:, :, None]
mistakes["the first n pieces are not the first pieces of n words"] = vectors[:, :3] * real
mistakes["[CLS] is a piece, too: take the positions as they are"] = (
    vectors[torch.arange(2)[:, None], starts - 1] * real
)
mistakes["each post has positions of its own"] = vectors[:, starts[0]] * real
mistakes["the pieces are those of the first post"] = vectors[0][starts] * real
given = vectors, starts, there
check_function(of_words, given, expected, "(B, n, d)", mistakes=mistakes)
right("of_words")

# %% [markdown]
# **3 · level 2.** *A measurement.* How much does a leak give away? Write `seen`: how many of the test mentions
# occur among those of training? Upper and lower case are the same, the type counts, and a mention that
# stands in test twice counts twice. Then the first 100 posts of test are put into training.
#
# <details><summary>Hint</summary>
#
# Make a set of the training mentions with `name.casefold()`, and go through the list of test.
#
# </details>


# %% tags=["solution"]
def seen(train, test):
    """Mentions of training and of test, two lists of (type, name), to a number."""
    # BEGIN SOLUTION
    known = {(type, name.casefold()) for type, name in train}
    return sum((type, name.casefold()) in known for type, name in test)
    # END SOLUTION


# %% tags=["check"]
learnt = [("PER", "Anna Berg"), ("LOC", "Elm"), ("PER", "Anna Berg")]
asked = [("PER", "ANNA BERG"), ("PER", "Anna Berg"), ("PER", "Anna Berg"), ("LOC", "Elm")]
asked += [("ORG", "Elm"), ("ORG", "Elm"), ("ORG", "Orva")]
mistakes = {
    "the type counts: Elm the place is not Elm the team": torch.tensor(6.0),
    "upper and lower case are the same": torch.tensor(3.0),
    "fold both the mentions of training and those of test": torch.tensor(0.0),
    "a mention that stands in test twice counts twice": torch.tensor(2.0),
}
check_function(seen, (learnt, asked), 4.0, mistakes=mistakes)
right("seen")


# %%
def mentions(posts):
    found = ((post.words, span) for post in posts for span in spans(post.tags))
    return [(span.type, " ".join(words[span.start : span.end])) for words, span in found]


of_test = mentions(corpus.test)
before = seen(mentions(corpus.train), of_test)
after = seen(mentions(corpus.train + corpus.test[:100]), of_test)
assert before == counts.loc["seen_mentions", "test"] and after > 1.3 * before
print(f"seen before: {before} of {len(of_test)}, and after: {after}")

# %% [markdown]
# 100 posts are one in twenty of test. They raise the share of seen mentions from 50 % to 70 %, since
# minitweets uses a name in many posts.
#
# **4 · level 2.** *A measurement.* How much worse does padding get when batches grow? Write `padded`: the
# positions that the encoder computes for each real piece, where each batch of `size` posts is padded
# to its longest. Posts come in the order given, and the last batch may have fewer.
#
# <details><summary>Hint</summary>
#
# `range(0, len(lengths), size)` are the first posts of the batches. A slice ends with the list.
#
# </details>


# %% tags=["solution"]
def padded(lengths, size):
    """Numbers of pieces, a list, and the size of a batch to positions per real piece."""
    # BEGIN SOLUTION
    batches = [lengths[start : start + size] for start in range(0, len(lengths), size)]
    return sum(len(batch) * max(batch) for batch in batches) / sum(lengths)
    # END SOLUTION


# %% tags=["check"]
five = [2, 4, 6, 8, 10]  # batches of two: 2 x 4, 2 x 8 and 1 x 10 positions for 30 pieces
wrong = {
    "the last batch has one post, and not two": 8 + 16 + 20,
    "the last batch is left out": 8 + 16,
    "each batch is padded to its own longest post, not to that of all": 5 * 10,
    "add the positions of all batches first, then divide": (8 / 6 + 16 / 14 + 1) / 3 * 30,
    "divide by the real pieces": 34 * 30,
    "divide by the real pieces, not by the posts": 34 * 30 / 5,
}
mistakes = {said: torch.tensor(positions / 30) for said, positions in wrong.items()}
check_function(padded, (five, 2), 34 / 30, mistakes=mistakes)
right("padded")

# %%
of_2015 = lengths["twitter2015"]
in_random_order = random.Random(1).sample(of_2015, len(of_2015))
costs = {size: padded(in_random_order, size) for size in (8, 24, 96)}
assert costs[8] < costs[24] < costs[96] < 128 * len(of_2015) / sum(of_2015)
pd.Series(costs, name="positions per real piece").rename_axis("posts in a batch").round(2)

# %% [markdown]
# The longest of 96 posts is longer than the longest of 8: padding grows from a third to a half. Buckets
# need almost none.
#
# **5 · level 3.** *An argument.* A tagger knows all mentions of training by heart and finds those, and no
# others, wherever their words stand. On Twitter-2017 53.6 % of the test mentions are seen. What is its
# recall there? `"a"`: 53.6 %. `"b"`: more, since unseen mentions share words with seen ones. `"c"`: at most
# 53.6 %. `"d"`: nobody can tell, since recall depends on the images.
#
# <details><summary>Hint</summary>
#
# *Jordan* is a person in some posts of training and a place in others.
#
# </details>

# %% tags=["solution"]
answer = ...
# BEGIN SOLUTION
answer = "c"
# END SOLUTION

# %% tags=["check"]
why_not = {
    "a": "the same words can have two types in training, and the tagger has to choose one",
    "b": "this tagger finds what it has learnt as a whole, and a part of a name is another mention",
    "d": "it does not look at images, so that they change nothing",
}
check_choice("answer", answer, "c", why_not)
right("what is seen bounds what a memory can find")

# %% [markdown]
# ## What we do not know of the paper
#
# - Which version of Twitter-2015 it used. The counts that papers print are those of the original
#   labels, also in papers that train on UMT's files.
# - What it did about the unreadable images of Twitter-2017.
# - To what length it padded, and whether anything was cut off. (Its first author's sibling code:
#   64 pieces.)
