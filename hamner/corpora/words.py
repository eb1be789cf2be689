"""What a corpus takes for a word: "#NBA" and "Orva's" are one word in some corpora, "# NBA" and "Orva ' s" in others.

A text is a sequence of units: links, smileys, HTML escapes, runs of letters, runs of digits, marks and emoji. Corpora
differ in the units that they join. A *sample* names each such habit, with `a` for letters and `1` for digits: "a-a"
says that "-" joins the letters on both sides. `DEFAULT` holds the habits of tweets in general. `marks_apart` measures
where a corpus differs from them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from hamner.corpora.post import Post

if TYPE_CHECKING:
    import regex

MARKS = ("@", "#", "'", "-", "/", "_")
"""Marks that join their neighbours in some corpora and are words of their own in others."""

INSIDE = 0.05
"""Share of occurrences inside words up to which these are exceptions."""

EVIDENCE = 5
"""Fewest occurrences inside words that make a habit; fewer are slips of the corpus's tokenizer."""

SMILEY, ESCAPE, SECURE, GREEDY = ":)", "&amp;", "https://a", 'http://a"'
"""Habits of whole units. By default a smiley, an HTML escape and a link with `https` are one word each, and a link ends
before the punctuation that follows it. With `GREEDY` a link goes on to the next space."""

DEFAULT = frozenset(
    [SMILEY, ESCAPE, SECURE, "@a", "@1", "#a", "#1", "$a", "1a", "a'a", "1'a", "a-a", "1-a", "a-1", "w/", "w/w"]
    + [f"1{mark}1" for mark in ".,:/-"]
    + [f"{side}_" for side in "a1@#"]
    + [f"_{side}" for side in "a1"]
    + [f"{left}_{right}" for left in "a1" for right in "a1"]
    + [mark * 2 for mark in ".!?-*=~/|+_"]
)
"""What tweets in general write as one word. `w` is a single letter, as in "w/o". A mark twice is a run, as in "!!"."""

APART = {SMILEY: ": )", ESCAPE: "&amp ;", SECURE: "https ://a", "1a": "1 a"}
"""The samples of a corpus that writes these units as several words."""

PATTERNS = {
    SMILEY: (r"(?<!\S)[:;]-?[()](?!\S)", r"(?<!\S)[:;] (?:- )?\)(?!\S)"),
    ESCAPE: (r"(?<!\S)&(?:amp|lt|gt);(?!\S)", r"& ?(?:amp|lt|gt) ;"),
    SECURE: (r"(?<!\S)https://\w", r"(?<!\S)https :"),
    GREEDY: (r"(?<!\S)https?://\S*[\"').,!](?!\S)", r"(?<!\S)https?://\S*\w [\"').,!](?!\S)"),
    "1a": (r"(?<!\S)\d+[^\W\d_]", r"(?<!\S)\d+ (?:st|nd|rd|th)(?!\S)"),
}
"""Patterns that count these habits in a post's words with spaces between them: (as one word, as several)."""

_ALNUM = ("a", "1")  # kinds of units that marks join
_NO_MARK = (*_ALNUM, "link", "smiley", "escape", "")
_PLAIN = str.maketrans("’＠＃", "'@#")


class Unit(NamedTuple):
    """A part of a text that is never split.

    `kind` is "a" for letters and for letters followed by digits, "1" for digits, the mark itself for a mark, "link",
    "smiley" or "escape" for these, and "" for emoji and other characters that never join their neighbours.
    """

    start: int
    end: int
    kind: str


def plain_apostrophes(text: str) -> str:
    """`text` with the typographic apostrophe written as the plain one; as long as before."""
    return text.replace("’", "'")


def has_half_surrogate(text: str) -> bool:
    """Whether `text` holds half a surrogate pair, which is no character: no tokenizer or UTF-8 file can take it."""
    return any(unicodedata.category(character) == "Cs" for character in text)


def is_link(word: str) -> bool:
    """Whether a word is a web address."""
    return "://" in word or word.casefold().startswith("www.")


@lru_cache
def _patterns() -> tuple[regex.Pattern[str], regex.Pattern[str], regex.Pattern[str]]:
    """(a grapheme cluster, a unit that mixes kinds of characters, the rest of a greedy link).

    Every repetition is possessive or bounded, so that the time to search is linear in the text's length.
    """
    import regex  # imported here: a list of words does not need it

    # Flags are paired explicitly: at each flag, `\X` counts the whole run of flags before it again.
    character = r"\p{RI}{2}[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*+|\X"
    units = r"""
      (?P<link>
        (?: (?i:https?://) | (?<![\w@.-]) (?i:www\.) (?=\w) )
        (?: [.,:;!?'*]*+ (?:                                        # punctuation only before more of the link
          (?! (?i:https?://) | &[lg]t; ) [\p{Latin}\p{Nd}\-_~/\#@$&+=%\[\]] | \( [\p{Latin}\p{Nd}\-_~.,]++ \)
        )++ )*+ …?+
      | (?<!\w) h (?: … | t (?: … | t (?: … | ps?+ (?: … | :/?+ (?: … | (?!\S) ) ) ) ) )          # cut off by a retweet
      | (?<![\w@.+-]) [\w.+-]{1,64}+ @ [A-Za-z0-9-]{1,63} (?: \.[A-Za-z0-9-]{1,63} ){0,4} \.[a-z]{2,13} (?![\w@])
      | (?<![\w@/-]) [A-Za-z0-9][A-Za-z0-9-]{0,62} (?: \.[A-Za-z0-9-]{1,63} ){0,4}?
        \. (?: (?: com(?:\.[a-z]{2})? | org | net | edu | gov | info | co\.[a-z]{2} ) (?![\w@-]) | [a-z]{2,13} (?=/\w) )
        (?: / (?: [.?]*+ [\p{Latin}\p{Nd}\-_~/\#=&%+]++ )*+ )?+
      )
    | (?P<smiley>
        (?: < | &lt; ) /? 3 (?![^\W\p{Lu}])                                            # a heart, also before a name
      | [<>]? [:;] [-o*']? (?: [)\]}|] | [(\[{\\/@] (?![\w/]) | (?<!\d[:;]) [dDpP] (?!\w) )
      | (?<!\w) (?: = [-*']? | 8 [-*'] | [:;] ) (?: [)\]|] | [(\[/\\dDpP] (?![\w/]) | [oO3] (?!\w) )
      | (?<!\S) [(\[] [-o*']? [:;=] (?!\S) | [)\]] [-'] [:;=]                                      # mirrored
      | (?<!-) -++ (?: > | &gt; ) | (?<!=) =++ (?: > | &gt; ) | (?: < | &lt; ) -++                 # arrows
      )
    | (?P<escape> & (?: amp | lt | gt | quot | apos | nbsp | \#[0-9]{2,6} | \#x[0-9A-Fa-f]{2,5} ) ; )
    """
    rest = r"(?:(?!(?i:https?://))\S)*+"
    return regex.compile(character), regex.compile(units, regex.VERBOSE), regex.compile(rest)


@lru_cache(maxsize=4096)
def _kind(cluster: str) -> str:
    """The kind of unit that a grapheme cluster belongs to."""
    if "\u20e3" in cluster:  # a key cap: 1️⃣ is an emoji
        return ""
    inside = next(filter(str.isalnum, cluster), "")
    if inside:
        return "a" if inside.isalpha() else "1"
    if cluster[0] in "\u00ad\u2060" or unicodedata.category(cluster[0])[0] == "M":  # invisible, or a stray accent
        return "a"
    mark = cluster.translate(_PLAIN)
    return mark if len(mark) == 1 and unicodedata.category(mark)[0] in "PS" else ""


def _joint(left: Unit | None, mark: str, right: Unit | None) -> str:
    """The sample of a mark and the letters or digits beside it; None stands for anything else."""
    letter = mark == "/"  # the mark of abbreviations: "w/o", "b/c"
    sides = [
        "" if unit is None else "w" if letter and unit.kind == "a" and unit.end - unit.start == 1 else unit.kind
        for unit in (left, right)
    ]
    return mark.join(sides)


class Habits:
    """How a corpus joins units to words: as `DEFAULT`, except for the samples that `marks_apart` returned.

    A sample of one mark makes this mark a word of its own wherever it stands. A sample with spaces is several words.
    Any other sample is one word.
    """

    def __init__(self, samples: Iterable[str] = ()) -> None:
        given = set(samples)
        self.apart = {sample for sample in given if len(sample) == 1}
        several = {sample for sample in given if " " in sample}
        self.whole = (DEFAULT | given) - self.apart - several - {sample.replace(" ", "") for sample in several}

    def words(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of each word in `text`; no character but white space is left out."""
        units = self.units(text)
        words: list[tuple[int, int]] = []
        first, both = 0, False  # the word's first unit; whether the last mark joins the units on both sides
        for number, unit in enumerate(units):
            left = units[number - 1] if number and units[number - 1].end == unit.start else None
            if left and left.kind == "1" and units[first].kind != "1":
                left = left._replace(kind="a")  # the digits of a name, as in "fan_1"
            joined = False
            if left is None:
                both = False
            elif unit.kind in _ALNUM and left.kind in _ALNUM:
                joined = number - 1 > first or "1a" in self.whole  # a word that starts with digits: "5th"
            elif unit.kind in _ALNUM:
                joined = both or self._one(None, left.kind, unit)
            elif left.kind in _ALNUM:
                right = units[number + 1] if number + 1 < len(units) and units[number + 1].start == unit.end else None
                inside = units[first].kind != "@" or first == number - 1 or unit.kind == "_"  # else a handle ends here
                both = inside and right is not None and right.kind in _ALNUM and self._one(left, unit.kind, right)
                joined = both or (inside and self._one(left, unit.kind, None))
            else:
                both = False
                joined = left.kind + unit.kind in self.whole and not {left.kind, unit.kind} & self.apart
            if joined:
                words[-1] = (words[-1][0], unit.end)
            else:
                words.append((unit.start, unit.end))
                first = number
        return words

    def _one(self, left: Unit | None, mark: str, right: Unit | None) -> bool:
        """Whether a mark is one word with the letters or digits beside it."""
        sample = _joint(left, mark, right)
        return mark not in self.apart and (sample in self.whole or sample.replace("w", "a") in self.whole)

    def units(self, text: str) -> list[Unit]:
        """The units of `text`, in order, without the white space between them."""
        character, mixed, _ = _patterns()
        starts = [match.start() for match in character.finditer(text)] + [len(text)]
        edges = set(starts)
        longer: dict[int, tuple[int, str]] = {}  # start -> (end, kind)
        position = 0
        while match := mixed.search(text, position):
            end = self._end(match, edges)
            position = end or match.start() + 1
            if end:
                longer[match.start()] = end, match.lastgroup or ""
        units: list[Unit] = []
        for start, after in pairwise(starts):
            if (units and start < units[-1].end) or text[start:after].isspace():
                continue
            end, kind = longer.get(start) or (after, _kind(text[start:after]))
            last = units[-1] if units and units[-1].end == start else None
            if last and kind in _ALNUM and last.kind in ("a", kind):  # digits after letters go on with the word
                units[-1] = Unit(last.start, end, last.kind)
            else:
                units.append(Unit(start, end, kind))
        return units

    def _end(self, match: regex.Match[str], edges: set[int]) -> int | None:
        """The end of a unit that mixes kinds of characters; None if this corpus has no such unit.

        A unit starts and ends at `edges`, those of grapheme clusters.
        """
        text, (start, end), unit = match.string, match.span(), match.group()
        if match.lastgroup == "link":
            whole = SECURE in self.whole or not unit.casefold().startswith("https")
            if GREEDY in self.whole and "://" in unit:
                rest = _patterns()[2].match(text, end)
                end = rest.end() if rest else end
            while end not in edges:
                end -= 1
        elif match.lastgroup == "escape":
            whole = ESCAPE in self.whole
        else:
            whole = SMILEY in self.whole and (ESCAPE in self.whole or "&" not in unit)
        return end if whole and end > start and {start, end} <= edges else None


def marks_apart(posts: Iterable[Post]) -> tuple[str, ...]:
    """The habits in which these posts differ from `DEFAULT`: raw text is split as the tagger's corpus was.

    Returns first those of MARKS that are words of their own wherever they stand; both apostrophes count as one. Then
    come the samples, sorted: "1 a" if the corpus writes "5th" as two words, "a/a" if it writes "Kelso/Orva" as one.
    """
    posts = list(posts)
    apart = _marks(posts)
    one, several = _joints(posts)
    for sample, (whole, torn) in PATTERNS.items():
        for post in posts:
            text = " ".join(post.words)
            one[sample] += len(re.findall(whole, text))
            several[sample] += len(re.findall(torn, text))
    habits: list[str] = []
    for sample in sorted(one | several):
        marks = sample.strip("aw1")
        if len(sample) == 1 or set(marks) & set(apart):
            continue
        if sample not in DEFAULT:
            most = one[sample] >= several[sample] or (len(marks) == 1 and one[marks] >= several[marks])
            if most and one[sample] >= EVIDENCE:
                habits.append(sample)
        else:
            # A mark between words may have had spaces beside it, as in "Kelso - Orva". Runs and whole units had none.
            share = 0.5 if sample in PATTERNS or sample == marks else INSIDE
            if several[sample] and one[sample] <= share * (one[sample] + several[sample]):
                habits.append(APART.get(sample, " ".join(sample)))
    return (*apart, *habits)


def _marks(posts: Iterable[Post]) -> tuple[str, ...]:
    """Those of MARKS that these posts write as words of their own wherever they stand."""
    alone: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for post in posts:
        for word in map(plain_apostrophes, post.words):
            if word in MARKS:
                alone[word] += 1
            elif any(letter.isalnum() for letter in word) and not is_link(word):
                inside.update(set(MARKS) & set(word))
    return tuple(mark for mark in MARKS if alone[mark] and inside[mark] <= INSIDE * (inside[mark] + alone[mark]))


def _joints(posts: Iterable[Post]) -> tuple[Counter[str], Counter[str]]:
    """How often each joint and each mark is (one word with its neighbours, several words).

    A word of one mark counts for the joint with both its neighbours, with the left and with the right: whether the raw
    text had a space there is unknown.
    """
    one: Counter[str] = Counter()
    several: Counter[str] = Counter()
    units_of = cache(Habits([APART[SMILEY], APART[ESCAPE], GREEDY]).units)  # the same words come again and again
    edge = Unit(0, 0, ""), -1
    for post in posts:
        units = [edge, *((unit, number) for number, word in enumerate(post.words) for unit in units_of(word)), edge]
        for (before, first), (unit, number), (after, last) in zip(units, units[1:], units[2:], strict=False):
            if unit.kind in _NO_MARK:
                continue
            alone = number not in (first, last)
            left = before if before.kind in _ALNUM and (alone or first == number) else None
            right = after if after.kind in _ALNUM and (alone or last == number) else None
            joints = {(left, right), (left, None), (None, right)} if alone else {(left, right)}
            samples = [_joint(side, unit.kind, other) for side, other in joints if side or other]
            (several if alone else one).update([unit.kind, *samples])
            if after.kind not in _NO_MARK:
                (one if last == number else several)[unit.kind + after.kind] += 1
    return one, several
