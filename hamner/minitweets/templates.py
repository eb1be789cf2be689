"""The words of the posts: templates, and the style of tweets.

The words of a template are separated by blanks. `{name}` (in `position` and `other` `{a}` and `{b}`) stands for a name,
`{event}` and `{doing}` for words of the topic's lexicon, `{da}` and `{db}` for words of direction; in `other` `{da}` is
the shape of the first name's object. Posts of `scene` and of
`unrelated` share their templates: only the image tells them apart. `tweet` adds the style of tweets, with the same
chances for every cue.
"""

from __future__ import annotations

import random

EVENTS = {
    "food": "brunch|the bake-off|taco night|dinner|the barbecue|the cooking class|lunch|the pizza party|"
    "the food market|"
    "dessert|the pasta evening|breakfast|the soup contest|the burger challenge",
    "travel": "the road trip|the ferry ride|the flight|the train journey|the cruise|check-in|the layover|the bus tour|"
    "boarding|the airport run|the bike tour|the sailing trip|the night train|the taxi ride",
    "fashion": "fashion week|the shopping trip|the shoe sale|the catwalk show|the dress fitting|the vintage market|"
    "the sneaker drop|the wardrobe clear-out|the photo shoot|the sewing class|the outfit check|the summer sale|"
    "the knitting circle|the style award",
    "garden": "the flower show|spring planting|the garden party|the tulip walk|the tree planting|the rose contest|"
    "the weeding session|the botany tour|the harvest of herbs|the lawn mowing|the greenhouse visit|"
    "the autumn leaves walk|"
    "the bouquet workshop|the orchid fair",
    "school": "the maths exam|the spelling test|book club|homework night|the first day of school|the essay deadline|"
    "the library visit|the reading hour|the chemistry class|the group project|the history lecture|finals week|"
    "the thesis defence|the school reunion",
}
DOINGS = {
    "food": "baking bread|frying eggs|eating noodles|making pancakes|cooking curry|tasting cheese|ordering sushi|"
    "grilling sausages",
    "travel": "waiting at the gate|driving south|riding the tram|sailing|changing trains|cycling along the coast|"
    "boarding the plane|catching the bus",
    "fashion": "trying on dresses|shopping for shoes|ironing shirts|sewing a skirt|buying sneakers|knitting a scarf|"
    "folding jeans|dressing up",
    "garden": "planting roses|watering the flowers|raking leaves|trimming the hedge|picking tulips|growing herbs|"
    "mowing the lawn|smelling the flowers",
    "school": "studying|reading a novel|doing homework|writing an essay|taking notes|learning grammar|"
    "marking exams|sharpening pencils",
}
TAGS = {
    "food": "#foodie #yum #homecooking #brunch #delicious #baking #hungry #recipes",
    "travel": "#wanderlust #roadtrip #vacation #onthemove #airport #travel #trainlife #passport",
    "fashion": "#ootd #style #fashion #shoes #outfit #streetwear #vintage #shopping",
    "garden": "#flowers #gardening #plants #bloom #greenthumb #nature #roses #springtime",
    "school": "#studying #books #backtoschool #homework #exams #reading #classroom #library",
}
DIRECTIONS = {
    "horizontal": (("left", "right"),),
    "vertical": (("top", "bottom"), ("above", "below"), ("upper", "lower")),
    "size": (("biggest", "smallest"), ("big", "small"), ("bigger", "smaller")),
}
SHAPES = {
    "badge": ("round", "circular"),
    "card": ("square", "boxy"),
    "sign": ("octagonal", "eight-sided"),
    "sticker": ("cut-out", "frameless"),
}
"""Carrier -> words for its shape."""

_TEXT = {
    "PER": """
{name} gave a long speech at {event}
happy birthday to my cousin {name} , see you at {event}
had a good chat with {name} about {doing}
{name} and her brother arrived late for {event}
my teacher {name} loves {doing}
{name} cried when {event} ended
interview : {name} on his first time {doing}
{name} says she will skip {event}
my neighbour {name} is {doing} again
congrats to {name} on the wedding right after {event}
{name} signed autographs at {event}
{name} forgot his glasses at {event}
{name} , 34 , mother of two , talks about {event}
""",
    "LOC": """
live from {name} where the streets are full for {event}
it is raining in {name} so no {doing}
greetings from {name} , staying here until {event}
the mayor of {name} opened {event}
the population of {name} doubled during {event}
downtown {name} is closed for {event}
{event} in the hills near {name}
we got lost in northern {name} while {doing}
the old town of {name} hosts {event}
sunrise over {name} before {event}
the people of {name} are proud of {event}
moved to {name} last year and started {doing}
the weather in {name} is perfect for {event}
""",
    "ORG": """
shares of {name} fell after {event}
{name} hires 200 people for {event}
the ceo of {name} resigns during {event}
{name} sponsors {event} again
my new job at {name} starts after {event}
{name} reports record profits thanks to {event}
customer service at {name} ruined {event} for me
employees of {name} on strike before {event}
{name} sues a rival company over {event}
got an internship at {name} , no more {doing}
investors bought {name} right after {event}
{name} stock is up 8 percent since {event}
{name} recalls its products , cancels {event}
""",
    "MISC": """
my cat {name} slept through {event}
{name} is a very good puppy , even at {event}
gave {name} , my old tortoise , a bath before {event}
the vet says {name} must rest after {event}
we adopted {name} , she barks when we are {doing}
{name} the parrot talked all through {event}
{name} wagged her tail during {event}
our hamster {name} escaped during {event}
{name} finally laid an egg after {event}
cleaned the cage of {name} instead of {doing}
{name} the goat ate my ticket for {event}
walked {name} on the leash , then {doing}
{name} licked my face at {event}
""",
}
_NEUTRAL = """
{name} at {event}
{name} right before {event}
nothing beats {name} during {event}
can't stop thinking about {name} after {event}
{name} and {event} , what a combo
just {name} and {event} today
everyone is talking about {name} at {event}
{name} made {event} so much better
finally {name} ! now {event} can start
so happy to see {name} at {event}
best part of {event} ? {name}
{event} would be nothing without {name}
a little {name} while {doing}
{doing} with {name} in mind
throwback to {name} and {event}
surprise ! {name} just before {event}
my view of {name} during {event}
not over {name} yet , thank you {event}
we were {doing} and then {name} happened
spotted : {name} , five minutes before {event}
this is {name} and this is what {event} looks like
say what you want , {name} owned {event}
day two of {event} and it is still all about {name}
woke up , saw {name} , went {doing}
proof that {event} needs {name}
no filter , just {name} and {event}
{name} > everything else at {event}
if you missed {event} , here is {name}
{event} in one word : {name}
my mum asked about {name} while we were {doing}
ok but {name} at {event}
started {doing} because of {name}
still not tired of {name} and {doing}
{name} on the poster for {event}
{name} , {event} , perfect
they said {event} would be boring , they forgot {name}
"""
_OBJECT = """
{name} ( circled ) at {event}
look closely , {name} is circled , {event} was wild
I circled {name} for you at {event}
circled : {name} before {event}
{name} is the one in the ring , {event} mood
in the circle : {name} , waiting for {event}
zoom in on the ring , that is {name} at {event}
yes the circled one is {name} , no I was not {doing}
{name} ( in the red ring ) while {doing}
had to circle {name} , too much going on at {event}
see the ring ? that's {name} during {event}
tiny but circled : {name} at {event}
find {name} , hint : circled , {event}
I put a ring around {name} so you don't miss {event}
red circle = {name} , the rest = {event}
the ring marks {name} , we were {doing}
{name} circled because nobody saw it at {event}
where is {name} ? in the circle ! {event}
circled {name} in red , best of {event}
{event} chaos , {name} is circled
just drew a circle around {name} , back to {doing}
small ring , big love : {name} at {event}
{name} , see circle , ready for {event}
can you see {name} ? I ringed it , {event}
my sister circled {name} while {doing}
ringed in red : {name} , {event}
in case you wonder , {name} is the circled one at {event}
circle around {name} by me , photo from {event}
so much at {event} , so I circled {name}
{name} made it into the red circle at {event}
"""
_ODD = """
{name} doesn't belong here , {event}
one of these is not like the others : {name} at {event}
odd one out at {event} : {name}
{name} is the odd one here , still {doing}
{name} stands out at {event}
{name} joined the wrong crowd at {event}
{name} against all the others at {event}
spot the intruder at {event} : {name}
{name} alone among strangers at {event}
{name} is so different from the other three , {event}
how did {name} get in there ? {event}
all the same except {name} , {doing}
{name} crashed {event} again
three alike and then there is {name} , {event}
{name} does not match , {event} vibes
nobody else like {name} at {event}
the misfit of {event} is {name}
{name} , the only one of its kind at {event}
"""
_MAJORITY = """
{name} and friends at {event}
{name} with more of the same at {event}
the {name} gang at {event}
{name} and two just like it , {event}
{name} times three at {event}
{name} found its own kind at {event}
{name} in good company at {event} , except for one
most of them are like {name} , {event}
{name} and the usual crowd , {doing}
{name} outnumbers the stranger at {event}
{name} brought the whole family to {event}
three of a kind : {name} and co at {event}
{name} squad at {event}
{name} fits right in with the group at {event}
{name} is one of the many at {event}
{name} belongs to the majority , {event}
{name} among its own , {doing}
{name} plus lookalikes before {event}
"""
_LEVEL = {
    "global": """
the image as a whole is {name} , {event}
on the whole it is all about {name} at {event}
{name} fills the image , {event}
seen as a whole : {name} at {event}
forget the details , this is {name} at {event}
ignore the little extras , it's {name} , still {doing}
overall that's {name} at {event}
{name} is the scene , the rest is decoration , {event}
the big theme is {name} , not the bits and pieces , {event}
the main view is {name} , we were {doing}
not the small stuff , the scene itself is {name} , {event}
{name} in large , everything else is trimming , {event}
take in the whole view : {name} before {event}
the entire image says {name} , {event}
it is the full scene that is {name} , {doing}
{name} , the whole of it , at {event}
""",
    "objects": """
look at the details : {name} at {event}
the little extras are {name} , {event}
{name} is in the details , {event}
forget the whole scene , the bits and pieces are {name} , {event}
the small stuff is {name} , still {doing}
all the small things around it are {name} , {event}
{name} is what the little ones show , {event}
not the main view , the trimming is {name} , {event}
mind the decoration : {name} at {event}
ignore the big theme , {name} is in the small parts , {event}
zoom in on the bits : {name} before {event}
it's the tiny ones that are {name} , we were {doing}
{name} in small , all over {event}
the details say {name} , {event}
it is the little parts that are {name} , {doing}
{name} , piece by piece , at {event}
""",
}
_OTHER = """
{a} has the {da} one , {b} the other , {event}
{b} has the other one , {a} the {da} one , {event}
{a} is the {da} one and {b} the other at {event}
{a} ( {da} ) and {b} ( the other ) at {event}
the {da} one is {a} , the other is {b} , {event}
the other one is {b} , the {da} one {a} , {doing}
{b} took the other one , {a} the {da} one , {event}
{a} picked the {da} one , so {b} got the other , {event}
{da} is {a} , the other is {b} , both at {event}
{event} : {a} on the {da} one , {b} on the other
{event} : {b} on the other , {a} on the {da} one
{a} got the {da} one , the other shows {b} , {event}
the {da} one shows {a} and the other {b} , {doing}
{b} = the other , {a} = the {da} one , {event}
still {doing} : {a} ( {da} ) & {b} ( the other one )
{a} went for the {da} one , {b} for the other at {event}
"""
_POSITION = """
{a} ( {da} ) and {b} ( {db} ) at {event}
{a} {da} , {b} {db} , {event}
{da} : {a} , {db} : {b} , ready for {event}
before {event} : {a} ( {da} ) meets {b} ( {db} )
{a} ( {da} ) , {b} ( {db} ) and a lot of {doing}
{da} {a} , {db} {b} , what a day at {event}
{a} = {da} , {b} = {db} , {event}
throwback to {event} , {a} {da} and {b} {db}
when {a} ( {da} ) saw {b} ( {db} ) at {event}
still {doing} : {a} ( {da} ) & {b} ( {db} )
{event} with {a} ( {da} ) + {b} ( {db} )
my favourites from {event} , {da} {a} and {db} {b}
"""
_POSITION_MORE = {
    "horizontal": """
{a} on the {da} , {b} on the {db} , {event}
on the {da} {a} , on the {db} {b} , {doing} together
{a} took the {da} side , {b} the {db} , {event}
that's {a} on the {da} and {b} on the {db} at {event}
{event} : {a} to the {da} , {b} to the {db}
""",
    "vertical": """
{a} is {da} , {b} is {db} , {event}
{event} in two rows : {da} {a} , {db} {b}
{da} you see {a} , {db} you see {b} , {doing}
{a} got the {da} spot and {b} the {db} one at {event}
{a} is the {da} one , {b} the {db} one , {event}
""",
    "size": """
the {da} one is {a} , the {db} one is {b} , {event}
{a} is the {da} one and {b} the {db} one at {event}
{da} one {a} , {db} one {b} , both into {doing}
{a} looks {da} , {b} looks {db} , that's {event}
{event} : {a} is the {da} one , {b} the {db} one
""",
}


def _number(cue: str, lines: str) -> list[tuple[str, str]]:
    return [(f"{cue}-{i}", line) for i, line in enumerate(lines.strip().split("\n"))]


TEMPLATES: dict[str, list[tuple[str, str]]] = {
    **{f"text {type}": _number(f"text-{type}", lines) for type, lines in _TEXT.items()},
    "scene": _number("neutral", _NEUTRAL),
    "unrelated": _number("neutral", _NEUTRAL),
    "object": _number("object", _OBJECT),
    "odd": _number("odd", _ODD),
    "majority": _number("majority", _MAJORITY),
    **{f"level {side}": _number(f"level-{side}", lines) for side, lines in _LEVEL.items()},
    "other": _number("other", _OTHER),
    **{
        f"position {direction}": _number("position", _POSITION) + _number(f"position-{direction}", lines)
        for direction, lines in _POSITION_MORE.items()
    },
}
"""Cue (followed by the type, the side or the direction where templates depend on it) -> (template id, template)."""

_HANDLES = (
    "sunny_kate the_real_bob mia2go jay_o_jay tweetybart lena_k night0wl coffee_first ozzy87 marta_m dj_potato "
    "notabot42"
)
_OPENERS = "wow|omg|lol|so|ok|well|guys|look|haha|honestly|today|tbh|just saying|hey all"
_CLOSERS = (
    "so cool|love it|no words|what a day|lol|can't wait|haha|best day ever|who else|wow|so good|never again|more soon"
)
_COMMON_TAGS = "#tbt #photo #love #weekend #fun #throwback #wow #instagood"
_EMOJI = "😍 😂 🔥 🙌 👀 😎 💯 ❤️ 😅 🎉"
_STRETCHED = {
    "so": "sooo",
    "wow": "wooow",
    "love": "looove",
    "omg": "omggg",
    "good": "goood",
    "cool": "coool",
    "haha": "hahaha",
    "best": "besttt",
}
_SHORT = {"you": "u", "and": "n", "because": "bc", "before": "b4", "are": "r", "with": "w/", "please": "pls"}


def tweet(words: list[str], fixed: set[int], topic: str, rng: random.Random) -> tuple[list[str], int]:
    """Give words the style of a tweet. Returns the new words, and how many of them stand before the given words.

    Adds at random a retweet mark, a handle, an opener, a closer, hashtags, emoji and a link; stretches, shortens or
    misspells some words, but none at the positions in `fixed`.
    """
    styled = [word if i in fixed else _misspelt(word, rng) for i, word in enumerate(words)]
    before: list[str] = []
    if rng.random() < 0.18:
        before += ["RT", "@" + rng.choice(_HANDLES.split()), ":"]
    elif rng.random() < 0.2:
        before += ["@" + rng.choice(_HANDLES.split())]
    if rng.random() < 0.3:
        before += [_misspelt(word, rng) for word in rng.choice(_OPENERS.split("|")).split()]
    after: list[str] = []
    if rng.random() < 0.3:
        after += [
            rng.choice((",", ".", "!", "...")),
            *(_misspelt(word, rng) for word in rng.choice(_CLOSERS.split("|")).split()),
        ]
    if rng.random() < 0.35:
        after += [rng.choice(("!", "!!", "!!!", "...", "."))]
    if rng.random() < 0.3:
        after += [rng.choice(_EMOJI.split())]
    if rng.random() < 0.45:
        after += [rng.choice(TAGS[topic].split())]
    if rng.random() < 0.2:
        after += [rng.choice(_COMMON_TAGS.split())]
    if rng.random() < 0.3:
        after += [
            "http://t.co/" + "".join(rng.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=10))
        ]
    return before + styled + after, len(before)


def _misspelt(word: str, rng: random.Random) -> str:
    """The word, at random stretched, shortened or mistyped; a word of fewer than five letters is never mistyped."""
    if word in _STRETCHED and rng.random() < 0.3:
        return _STRETCHED[word]
    if word in _SHORT and rng.random() < 0.12:
        return _SHORT[word]
    if len(word) >= 5 and word.isalpha() and rng.random() < 0.03:
        i = rng.randrange(1, len(word) - 2)
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    return word
