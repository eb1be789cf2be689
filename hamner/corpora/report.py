"""Counts of a corpus, compared with the published ones, and a check for known traps."""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hamner.corpora.images import unmatched_images
from hamner.corpora.leaks import MOST, leaks
from hamner.corpora.placeholders import about_repeated, glances_of, repeated_images
from hamner.corpora.post import SPLITS, Corpus, CorpusError, Post
from hamner.corpora.reader import Columns
from hamner.corpora.registry import PUBLISHED, VERSIONS, Version, load_corpus
from hamner.corpora.tags import TYPES, Span, mention, orphans, spans

RARE = 0.05
"""A type is rare beside another one with more than 20 times as many entities."""


def quantities(types: Sequence[str] = TYPES) -> dict[str, str]:
    """Key of each row of `statistics` -> its label in print."""
    return {
        "posts": "posts",
        "tokens": "tokens",
        "entities": "entities, by B- tags",
        **{_key(type): f"  {type}" for type in types},
        "spans": "entities, as seqeval reads them",
        **{f"spans_{type}": f"  {type}" for type in types},
        "orphans": "orphan I- tags",
        "posts_without_entity": "posts with no entity",
        "words_without_pieces": "words without pieces",
        "longest_post": "longest post, in words",
        "seen_mentions": "mentions seen in training",
    }


def _key(type: str) -> str:
    """The row of a type's B- tags: PER, but B-posts, for a type of one's own can be called like another row."""
    return type if type in TYPES else f"B-{type}"


_STYLES = {"ok": "green", "explained": "cyan", "note": "yellow", "wrong": "bold red"}


@dataclass(frozen=True)
class Finding:
    """One sentence of a report. `kind`: "ok", "explained" (differs for a known reason), "note" or "wrong"."""

    kind: str
    text: str


@dataclass(frozen=True)
class Report:
    """The result of `check` for one corpus.

    `counts` is the table of `statistics`. `published` has a row for each published quantity and a column for each
    split; it is None for a corpus without published counts.
    """

    corpus: Corpus
    counts: pd.DataFrame
    published: pd.DataFrame | None
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(finding.kind != "wrong" for finding in self.findings)

    def __rich__(self) -> RenderableType:
        lines = Table.grid(padding=(0, 2))
        for finding in self.findings:
            lines.add_row(Text(finding.kind, style=_STYLES[finding.kind]), Text(finding.text))
        return Group(counts_table(self.corpus, self.counts, self.published), Padding(lines, (0, 0, 1, 1)))


def has_pieces(word: str) -> bool:
    """Whether BERT's uncased tokenizer gives `word` at least one word piece.

    The tokenizer drops control, format and private-use characters, combining marks (such as variation selectors),
    U+FFFD and white space. A word of these characters alone has no piece.
    """
    return not all(
        character.isspace() or character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cf", "Co", "Mn")
        for character in word
    )


def statistics(corpus: Corpus, has_pieces: Callable[[str], bool] = has_pieces) -> pd.DataFrame:
    """Counts of a corpus: a row for each of `quantities`, a column for each split, integers (NA where undefined).

    Entities by B- tags (the counts that papers print) and spans of seqeval's default mode are separate rows: an orphan
    I- opens a span and is no B-. `seen_mentions` counts spans whose `mention` occurs in train.
    """
    types = corpus.every_type
    known = {mention(post.words, span) for post, span in _spans(corpus.train)}
    columns = {}
    for split, posts in corpus.splits():
        tags = [tag for post in posts for tag in post.tags or ()]
        read = _spans(posts)
        columns[split] = {
            "posts": len(posts),
            "tokens": len(tags),
            "entities": sum(tag[0] == "B" for tag in tags),
            **{_key(type): tags.count(f"B-{type}") for type in types},
            "spans": len(read),
            **{f"spans_{type}": sum(span.type == type for _, span in read) for type in types},
            "orphans": sum(len(orphans(post.tags or ())) for post in posts),
            "posts_without_entity": sum(set(post.tags or ()) == {"O"} for post in posts),
            "words_without_pieces": sum(not has_pieces(word) for post in posts for word in post.words),
            "longest_post": max(len(post.words) for post in posts),
            "seen_mentions": (
                None if split == "train" else sum(mention(post.words, span) in known for post, span in read)
            ),
        }
    return pd.DataFrame(columns, index=list(quantities(types))).astype("Int64")


def published_counts(name: str) -> pd.DataFrame:
    """The published counts of a corpus: indexed by quantity, a column for each split.

    Read from the package's published/statistics.csv. Raises CorpusError when that file is missing or damaged.
    """
    path = PUBLISHED / "statistics.csv"
    try:
        table = pd.read_csv(path)
        return table[table["corpus"] == name].set_index("quantity")[list(SPLITS)].astype(int)
    except (OSError, ValueError, KeyError) as error:  # pandas raises ValueError for a malformed table
        raise CorpusError(f"{path}: no table of published counts ({error}); install hamner anew") from error


def check(
    corpus: Corpus | str | Path,
    root: Path | None = None,
    has_pieces: Callable[[str], bool] = has_pieces,
    columns: Columns | str | None = None,
) -> Report:
    """Check a corpus: hashes, published counts, orphan I- tags, posts in two splits, words without pieces, images.

    A name or folder is loaded by `load_corpus` with `columns`; its errors include a wrong hash. `has_pieces` says
    whether a word has a word piece.
    """
    if not isinstance(corpus, Corpus):
        corpus = load_corpus(corpus, root, columns)
    version = VERSIONS.get(corpus.name)
    counts = statistics(corpus, has_pieces)
    published = published_counts(version.published) if version is not None and version.published is not None else None
    findings = [_hashes(corpus, version)]
    if version is not None and published is not None:
        findings += compare_counts(counts, published, version)
    else:
        findings.append(Finding("note", "no counts of this corpus were published, so none are compared"))
    findings += [
        *(Finding("note", text) for text in (*corpus.notes, *type_notes(corpus))),
        _orphans(counts),
        *_leaks(corpus),
        _pieceless(corpus, has_pieces),
        *_images(corpus, version),
        _seen(counts),
    ]
    return Report(corpus, counts, published, tuple(findings))


def compare_counts(counts: pd.DataFrame, published: pd.DataFrame, version: Version) -> list[Finding]:
    """Compare measured with published counts: how many agree, and one finding for each difference."""
    known = {difference.quantity: difference for difference in version.differences}
    findings = []
    agreeing = 0
    for quantity, expected in published.iterrows():
        name = str(quantity)
        deltas = tuple(int(counts.loc[name, split] - expected[split]) for split in SPLITS)
        difference = known.get(name)
        agreeing += deltas.count(0)
        shown = f"{name} {'/'.join(f'{delta:+d}' if delta else '0' for delta in deltas)} (train/valid/test)"
        if difference is not None and deltas == (difference.train, difference.valid, difference.test):
            findings.append(Finding("explained", f"{shown} from the published count: {difference.why}"))
        elif any(deltas):
            findings.append(
                Finding("wrong", f"{shown} from the published count, for no known reason: get the corpus afresh")
            )
    agreement = Finding("ok", f"{agreeing} of {published.size} published counts agree")
    return [agreement, *findings]


def counts_table(corpus: Corpus, counts: pd.DataFrame, published: pd.DataFrame | None = None) -> Table:
    """The counts as a table for the terminal; with `published`, each differing count is followed by its difference."""
    table = Table(title=Text(f"{corpus.name}  ({corpus.folder})"), title_justify="left", title_style="bold")
    table.add_column("")
    for split in SPLITS:
        table.add_column(split, justify="right")
    types = corpus.every_type
    for quantity, label in quantities(types).items():
        cells = []
        for split in SPLITS:
            value = counts.loc[quantity, split]
            cell = "" if pd.isna(value) else str(value)
            if quantity == "seen_mentions" and cell:
                cell += f" ({_percent(counts, split)})"
            if published is not None and quantity in published.index and value != published.loc[quantity, split]:
                cell += f" ({value - published.loc[quantity, split]:+d})"
            cells.append(cell)
        # Three blocks: the counts that papers print, seqeval's spans, and the known traps.
        last_of_block = quantity in ("tokens", _key(types[-1]), f"spans_{types[-1]}")
        table.add_row(label, *cells, end_section=last_of_block)
    if published is not None and (counts.loc[published.index] != published).any(axis=None):
        table.caption = "(+n) or (-n) after a count: difference from the published one"
        table.caption_justify = "left"
    return table


def type_notes(corpus: Corpus) -> tuple[str, ...]:
    """What a user should know about the entity types: those that train lacks, and those that look like slips."""
    counts = Counter(span.type for _, posts in corpus.splits() for _, span in _spans(posts))
    notes = []
    if held_out := corpus.held_out_types:
        places = ", ".join(f"{type} ({_first(corpus, type)})" for type in held_out)
        entities = sum(counts[type] for type in held_out)
        notes.append(
            f"train has no entity of {places}: no model can find these types, and their {entities} entities in valid "
            "and test count as missed"
        )
    for type, count in sorted(counts.items()):
        frequent = [other for other in counts if count < RARE * counts[other] and _alike(type, other)]
        if frequent:
            other = max(frequent, key=lambda name: counts[name])
            notes.append(
                f"the type {type} ({count} of {counts.total()} entities, {_first(corpus, type)}) is nearly {other} "
                f"({counts[other]} entities): if it is a typing error, correct the tags"
            )
    return tuple(notes)


def _first(corpus: Corpus, type: str) -> str:
    return f"first in {corpus.first_lines.get(type, corpus.folder)}"


def _alike(one: str, other: str) -> bool:
    """Whether two types differ as after a slip of the finger, such as PRE and PER; their case is ignored."""
    least = 0.6 if min(len(one), len(other)) <= 4 else 0.8
    return difflib.SequenceMatcher(None, one.casefold(), other.casefold(), autojunk=False).ratio() >= least


def _spans(posts: tuple[Post, ...]) -> list[tuple[Post, Span]]:
    return [(post, span) for post in posts for span in spans(post.tags or ())]


def _percent(counts: pd.DataFrame, split: str) -> str:
    total = counts.loc["spans", split]
    return f"{100 * counts.loc['seen_mentions', split] / total:.0f} %" if total else "-"


def _hashes(corpus: Corpus, version: Version | None) -> Finding:
    if version is None:
        digests = ", ".join(f"{file} {digest[:12]}" for file, digest in corpus.sha256.items())
        return Finding("note", f"the SHA-256 of the files, which is compared with none: {digests}")
    wrong = [
        f"{file} has {corpus.sha256.get(file)}, expected {source.sha256}"
        for file, source in version.files.items()
        if corpus.sha256.get(file) != source.sha256
    ]
    if wrong:
        return Finding("wrong", f"SHA-256: {'; '.join(wrong)}: get {version.name} afresh")
    where = (
        "that come with the project" if version.bundled else f"in {version.repository} at commit {version.commit[:7]}"
    )
    return Finding("ok", f"all {len(version.files)} files have the SHA-256 of those {where}")


def _orphans(counts: pd.DataFrame) -> Finding:
    counted = [int(counts.loc["orphans", split]) for split in SPLITS]
    if not any(counted):
        return Finding("ok", "no orphan I- tag: each span begins with a B- tag")
    return Finding(
        "note",
        f"{'/'.join(map(str, counted))} (train/valid/test) orphan I- tags continue no entity of their type: seqeval's "
        "default mode opens a span at each, strict IOB2 at none, so a score must name its protocol",
    )


def _leaks(corpus: Corpus) -> list[Finding]:
    shared = leaks(corpus)
    findings = [
        Finding("note" if leak.share <= MOST else "wrong", f"{leak}; take them out of one of the two")
        for leak in shared
    ]
    if not shared:
        findings.append(Finding("ok", "no post stands in two splits, whatever its id"))
    for earlier, later in combinations(SPLITS, 2):
        words = {post.id: post.words for post in corpus[earlier]}
        same_id = [post for post in corpus[later] if post.id in words]
        if renamed := [post.id for post in same_id if post.words != words[post.id]]:
            text = (
                f"{len(renamed)} IMGIDs stand in {earlier} and in {later} with other words, the first is {renamed[0]}"
            )
            findings.append(Finding("wrong", f"{text}: rename them"))
    return findings


def _pieceless(corpus: Corpus, has_pieces: Callable[[str], bool]) -> Finding:
    tags = [
        tag
        for _, posts in corpus.splits()
        for post in posts
        for word, tag in zip(post.words, post.tags or (), strict=True)
        if not has_pieces(word)
    ]
    if not tags:
        return Finding("ok", "every word has a word piece")
    labelled = sum(tag != "O" for tag in tags)
    how = f"{labelled} of them inside an entity" if labelled else "all of them labelled O"
    return Finding(
        "note", f"words without any word piece (invisible characters): {len(tags)}, {how}; each keeps its position"
    )


def _seen(counts: pd.DataFrame) -> Finding:
    return Finding(
        "note",
        f"{_percent(counts, 'test')} of the test mentions occur in training with the same type (words case-folded): "
        "report separate scores for seen and unseen mentions",
    )


def _images(corpus: Corpus, version: Version | None) -> list[Finding]:
    if not os.path.isdir(corpus.folder / "images"):
        none = Finding("note", f"no images: there is no folder {corpus.folder / 'images'}")
        return [none, *(Finding("wrong", text) for text in unmatched_images(corpus).about_outside())]
    every = [post for _, posts in corpus.splits() for post in posts]
    files = dict.fromkeys(post.image for post in every if post.image is not None)  # posts may share an image
    glances = glances_of(every)
    unmatched = unmatched_images(corpus)
    findings = [Finding("note", f"{text}; the model masks a missing image") for text in unmatched.about_posts()]
    if not findings:
        findings = [Finding("ok", f"each of {len(every)} posts has an image ({len(files)} files)")]
    # Files without a single post that takes one are a mistake in the names, and no lost images.
    kind = "wrong" if unmatched.count == len(every) else "note"
    findings += [Finding(kind, text) for text in unmatched.about_files()]
    unreadable = {
        split: [post.image for post in posts if post.image is not None and post.image not in glances]
        for split, posts in corpus.splits()
    }
    if any(unreadable.values()):
        known = version.unreadable if version is not None else {}
        bad = "/".join(str(len(unreadable[split])) for split in SPLITS)
        first = next(image for images in unreadable.values() for image in images)
        if all(len(unreadable[split]) <= known.get(split, 0) for split in SPLITS):
            public = "/".join(str(known.get(split, 0)) for split in SPLITS)
            text = f"{bad} images cannot be read: every public copy of this corpus has {public} such files"
            findings.append(Finding("explained", text))
        else:
            text = f"{bad} images cannot be read, the first is {first}: get them afresh, or remove them"
            findings.append(Finding("wrong", text))
    if blank := sum(post.image in glances and glances[post.image].blank for post in every if post.image is not None):
        findings.append(
            Finding("note", f"{blank} posts have an image of one colour, perhaps a placeholder for a lost image")
        )
    return findings + [Finding("note", text) for text in about_repeated(repeated_images(every, glances))]
