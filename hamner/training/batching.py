"""From posts to padded batches: `prepare` cuts posts into windows, and a `Split` makes batches of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from hamner.corpora.post import Post
from hamner.corpora.tags import TAGS
from hamner.model.batch import Batch, ImageFeatures
from hamner.model.hamner import HamNer
from hamner.model.lexicon import Lexicon
from hamner.model.text import SHAPES, TextStage, word_shape
from hamner.vision.features import VisualFeatures

BUCKET = 50
"""Number of batches whose posts are sorted by length together: more save padding, fewer keep the order random."""


@dataclass(frozen=True)
class Window:
    """A post, or one part of a post that is too long for the encoder: post number `post` from word `start` on."""

    post: int
    start: int
    pieces: Tensor  # (P,) with the encoder's special tokens
    first_piece: Tensor  # (n,)
    shapes: Tensor  # (n, 7), see `word_shape`
    tags: Tensor | None  # (n,), numbers of the model's tags; None for a post without tags, or with one it lacks
    letters: Tensor | None = None  # (n, L), see `Lexicon.spell`; for models that read letters


def piece_limit(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> int:
    """The largest number of pieces that the encoder takes at once, special tokens included."""
    positions = getattr(config, "max_position_embeddings", tokenizer.model_max_length)
    # RoBERTa and its relatives count positions from the padding id on, so fewer are left than the config names.
    offset = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet") else 0
    return min(tokenizer.model_max_length, positions - offset)


def windows(
    posts: Sequence[Post],
    tokenizer: PreTrainedTokenizerBase,
    limit: int,
    appended: Callable[[Post], str] | None = None,
    tags: Sequence[str] = TAGS,
) -> list[Window]:
    """Cut posts into pieces, and posts of more than `limit` pieces into windows at word boundaries.

    Each window of a post ends with a separator and the text that `appended` gives for the post, in the same segment.
    The model reads that text and does not tag it. The text is truncated to a quarter of `limit`.

    `tags` are those of the model, whose places number the gold tags. A window with a tag of another type, one that
    train lacks, has no gold tags: it can be tagged and not learnt from.

    A word without pieces (for example a zero-width space) becomes the unknown piece and keeps its place. A word that
    alone is longer than a window is truncated; its first piece represents it.
    """
    vocabulary = {word for post in posts for word in post.words}
    spelling = _pieces_of_words(sorted(vocabulary), tokenizer)
    shape = {word: word_shape(word) for word in vocabulary}
    special = tokenizer("", add_special_tokens=True)["input_ids"]
    before, after = _around(special, tokenizer)
    cut: list[Window] = []
    for number, post in enumerate(posts):
        behind = after
        if appended is not None and (text := appended(post)):
            pieces_of_text = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            pieces_of_text = pieces_of_text[: limit // 4 - len(after)]
            behind = [*after, *pieces_of_text, *after]
        room = limit - len(before) - len(behind)
        start = 0
        while start < len(post.words):
            pieces = list(before)
            first: list[int] = []
            for word in post.words[start:]:
                spelt = spelling[word][:room]
                if first and len(pieces) - len(before) + len(spelt) > room:
                    break
                first.append(len(pieces))
                pieces += spelt
            numbers = _numbers(post, tags, start, start + len(first))
            shapes = torch.tensor([shape[word] for word in post.words[start : start + len(first)]])
            cut.append(Window(number, start, torch.tensor(pieces + behind), torch.tensor(first), shapes, numbers))
            start += len(first)
    return cut


def spelt(posts: Sequence[Post], lexicon: Lexicon, tags: Sequence[str] = TAGS) -> list[Window]:
    """A window for each whole post, for a model that reads words and letters: each word is one piece, its number.

    Word shapes are not read; `tags` as in `windows`.
    """
    spelling = {word: torch.tensor(lexicon.spell(word)) for post in posts for word in post.words}
    return [
        Window(
            number,
            0,
            torch.tensor(lexicon.numbers(post.words)),
            torch.arange(len(post.words)),
            torch.zeros(len(post.words), len(SHAPES), dtype=torch.long),
            _numbers(post, tags, 0, len(post.words)),
            torch.stack([spelling[word] for word in post.words]),
        )
        for number, post in enumerate(posts)
    ]


def _numbers(post: Post, tags: Sequence[str], start: int, end: int) -> Tensor | None:
    """The numbers of a post's gold tags from word `start` to `end`; None without tags, or with one not in `tags`."""
    gold = None if post.tags is None else post.tags[start:end]
    if gold is None or not set(tags) >= set(gold):
        return None
    number_of = {tag: i for i, tag in enumerate(tags)}
    return torch.tensor([number_of[tag] for tag in gold])


def _pieces_of_words(words: list[str], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    if not words:
        return {}
    # The word "[SEP]" in a tweet is text and not the end of the post.
    options = {"is_split_into_words": True, "add_special_tokens": False, "split_special_tokens": True}
    encoded = tokenizer([[word] for word in words], **options)["input_ids"]
    return {word: pieces or [tokenizer.unk_token_id] for word, pieces in zip(words, encoded, strict=True)}


def _around(special: list[int], tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The special tokens before and after a post: [CLS] and [SEP] for BERT."""
    with_piece = tokenizer("a", add_special_tokens=True)["input_ids"]
    before = 0
    while before < len(special) and with_piece[before] == special[before]:
        before += 1
    return special[:before], special[before:]


class Split(Dataset):
    """The windows of some posts, with their visual features and word vectors.

    `pad` is the encoder's padding piece. `features` gives the visual features of a post by its number; None for a
    text-only model. `words` holds the word vectors of each window (`TextStage.read`) for a frozen encoder; with None
    the encoder runs in each forward pass.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        pad: int,
        features: Callable[[int], VisualFeatures] | None = None,
        words: Sequence[tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        self.windows = windows
        self.pad = pad
        self.features = features
        self.words = words

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, number: int) -> Item:
        window = self.windows[number]
        return Item(
            number,
            window,
            None if self.features is None else self.features(window.post).standardised(),
            None if self.words is None else self.words[number],
        )

    def lengths(self) -> list[int]:
        """Pieces of each window."""
        return [len(window.pieces) for window in self.windows]

    def batch(self, numbers: Iterable[int]) -> Batch:
        """One batch of the windows with these numbers."""
        return collate([self[number] for number in numbers], self.pad)

    def batches(self, size: int, seed: int | None = None, process: int = 0, processes: int = 1) -> DataLoader:
        """All windows in batches of `size`, in the order of `length_buckets`, or one process's share of these."""
        numbers = share_of(length_buckets(self.lengths(), size, seed), process, processes)
        return DataLoader(self, batch_sampler=numbers, collate_fn=partial(collate, pad=self.pad))


def prepare(
    posts: Sequence[Post],
    model: HamNer,
    tokenizer: PreTrainedTokenizerBase | Lexicon,
    features: Callable[[int], VisualFeatures] | None = None,
    appended: Callable[[Post], str] | None = None,
) -> Split:
    """Prepare posts for `model`: cut them into windows of pieces and attach the visual features of each post.

    Args:
        posts: the posts, with or without tags
        model: its text encoder decides how many pieces a window holds
        tokenizer: the text encoder's tokenizer; or the lexicon of a model that reads words and letters
        features: gives the visual features of post number i; None for a text-only model
        appended: gives the text to read after a post, see `windows`
    """
    if isinstance(tokenizer, Lexicon):
        return Split(spelt(posts, tokenizer, model.decoder.tags), 0, features)
    if not isinstance(model.text, TextStage):
        raise TypeError("this model reads words and letters: give its lexicon in place of a tokenizer")
    limit = piece_limit(tokenizer, model.text.encoder.config)
    return Split(windows(posts, tokenizer, limit, appended, model.decoder.tags), tokenizer.pad_token_id, features)


class Item(NamedTuple):
    """A window with its number in the split, the visual features of its post, and its word vectors."""

    number: int
    window: Window
    features: VisualFeatures | None = None
    words: tuple[Tensor, Tensor] | None = None


def collate(items: Sequence[Item], pad: int) -> Batch:
    """Pad items to the longest among them; `pad` is the encoder's padding piece."""
    cut = [item.window for item in items]
    words = torch.tensor([len(window.first_piece) for window in cut])
    tags = [window.tags for window in cut if window.tags is not None]
    letters = [window.letters for window in cut if window.letters is not None]
    visual = [item.features for item in items if item.features is not None]
    vectors = [item.words for item in items if item.words is not None]
    return Batch(
        word_mask=torch.arange(int(words.max())) < words[:, None],
        index=torch.tensor([item.number for item in items]),
        tags=pad_sequence(tags, batch_first=True) if len(tags) == len(cut) else None,
        shapes=pad_sequence([window.shapes for window in cut], batch_first=True),
        letters=pad_sequence(letters, batch_first=True) if letters else None,
        images=_images(visual) if visual else None,
        **(_read_words(vectors) if vectors else _pieces(cut, pad)),
    )


def _pieces(cut: Sequence[Window], pad: int) -> dict[str, Tensor]:
    lengths = torch.tensor([len(window.pieces) for window in cut])
    return {
        "pieces": pad_sequence([window.pieces for window in cut], batch_first=True, padding_value=pad),
        "piece_mask": torch.arange(int(lengths.max())) < lengths[:, None],
        "first_piece": pad_sequence([window.first_piece for window in cut], batch_first=True),
    }


def _read_words(vectors: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    return {
        "word_layers": pad_sequence([layers for layers, _ in vectors], batch_first=True),
        "word_embeddings": pad_sequence([embeddings for _, embeddings in vectors], batch_first=True),
    }


def _images(visual: Sequence[VisualFeatures]) -> ImageFeatures:
    def stacked(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(features, name) for features in visual]))

    return ImageFeatures(
        # Converted from half precision for the whole batch at once: post by post numpy is slow.
        grid=stacked("grid").float(),
        objects=stacked("objects").float(),
        boxes=stacked("boxes"),
        classes=stacked("classes").long(),
        scores=stacked("scores"),
        object_mask=stacked("object_mask"),
        box_mask=stacked("box_mask"),
        image_mask=torch.tensor([features.image_present for features in visual]),
    )


def length_buckets(lengths: Sequence[int], batch_size: int, seed: int | None) -> list[list[int]]:
    """One epoch of item numbers: batches of items of similar length, in random order.

    The order depends on `seed` alone, so a killed epoch can be repeated exactly. With `seed=None` items are sorted,
    longest first: the order for scoring, in which the first batch shows whether the longest one fits into memory.
    """
    if seed is None:
        order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
        return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(lengths), generator=generator).tolist()
    batches = []
    for i in range(0, len(order), batch_size * BUCKET):
        bucket = sorted(order[i : i + batch_size * BUCKET], key=lambda j: lengths[j])
        batches += [bucket[j : j + batch_size] for j in range(0, len(bucket), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def share_of(batches: Sequence[list[int]], process: int, processes: int) -> list[list[int]]:
    """The batches of one of several processes. All take equally many; some batches are repeated to make this even."""
    rounds = -(-len(batches) // processes)
    return [batches[i % len(batches)] for i in range(process, rounds * processes, processes)]
