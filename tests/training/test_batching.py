from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hamner.corpora import TAGS, Post
from hamner.encoders import load_tokenizer
from hamner.training.batching import Split, length_buckets, share_of, windows

SPECIAL = 2  # [CLS] and [SEP]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("minilm")


def test_each_word_is_known_by_its_first_piece(tokenizer):
    (window,) = windows([Post("1", ("Kelso", "likes", "Orva"), ("B-PER", "O", "B-LOC"))], tokenizer, 512)
    pieces = tokenizer.convert_ids_to_tokens(window.pieces.tolist())
    assert (pieces[0], pieces[-1]) == ("[CLS]", "[SEP]")
    assert [pieces[i] for i in window.first_piece] == [tokenizer.tokenize(w)[0] for w in ("Kelso", "likes", "Orva")]
    assert [TAGS[i] for i in window.tags] == ["B-PER", "O", "B-LOC"]


def test_a_window_has_the_pieces_that_the_tokenizer_gives_the_post(tokenizer):
    words = ["RT", "@Anna_B", ":", "Tallinn", "is", "coooold", "http://t.co/x1"]
    (window,) = windows([Post("1", tuple(words), None)], tokenizer, 512)
    encoded = tokenizer(words, is_split_into_words=True)
    assert window.pieces.tolist() == encoded["input_ids"]
    starts = [encoded.word_ids().index(i) for i in range(len(words))]
    assert window.first_piece.tolist() == starts


@pytest.mark.parametrize("word", ["\xa0", "\u200d", "\ufe0f", "\u200b"])
def test_a_word_without_pieces_becomes_the_unknown_piece_and_keeps_its_place(tokenizer, word):
    assert tokenizer.tokenize(word) == []
    (window,) = windows([Post("1", ("hi", word, "Orva"), None)], tokenizer, 512)
    assert window.pieces[window.first_piece[1]] == tokenizer.unk_token_id
    assert len(window.first_piece) == 3


def test_a_special_token_that_a_tweet_has_for_a_word_is_read_as_its_letters(tokenizer):
    (window,) = windows([Post("1", ("[SEP]", "Kelso"), ("O", "B-PER"))], tokenizer, 512, lambda _: "a [MASK]")
    pieces = window.pieces.tolist()
    assert pieces.count(tokenizer.sep_token_id) == 2  # after the post, and after the text behind it
    assert tokenizer.mask_token_id not in pieces


@given(st.lists(st.sampled_from(["Kelso", "unbelievably", "a", "\u200d", "x" * 40]), min_size=1, max_size=40))
def test_a_post_longer_than_the_encoder_allows_is_split_at_words_and_loses_none(tokenizer_limit, words):
    tokenizer, limit = tokenizer_limit
    tags = tuple(TAGS[i % len(TAGS)] for i in range(len(words)))
    cut = windows([Post("long", tuple(words), tags)], tokenizer, limit)
    assert all(len(window.pieces) <= limit for window in cut)
    assert [window.start for window in cut] == [sum(len(w.first_piece) for w in cut[:i]) for i in range(len(cut))]
    assert [TAGS[i] for window in cut for i in window.tags] == list(tags)


@pytest.fixture(scope="module")
def tokenizer_limit(tokenizer):
    return tokenizer, 16


def test_padding_is_to_the_longest_post_of_the_batch_only(tokenizer, some_posts):
    cut = windows(some_posts, tokenizer, 512)
    batch = Split(cut, tokenizer.pad_token_id).batch(range(len(cut)))
    longest = max(len(window.pieces) for window in cut)
    assert batch.pieces.shape == (len(cut), longest)
    assert batch.piece_mask.sum(1).tolist() == [len(window.pieces) for window in cut]
    assert batch.word_mask.sum(1).tolist() == [len(window.first_piece) for window in cut]
    assert (batch.pieces[~batch.piece_mask] == tokenizer.pad_token_id).all()


def test_a_batch_refuses_a_mask_that_is_not_boolean(tokenizer, some_posts):
    batch = Split(windows(some_posts, tokenizer, 512), pad=0).batch(range(3))
    with pytest.raises(TypeError, match="word_mask must be boolean"):
        replace(batch, word_mask=batch.word_mask.long())


@given(st.lists(st.integers(1, 80), min_size=1, max_size=300), st.integers(1, 32), st.none() | st.integers(0, 9))
def test_an_epoch_holds_every_item_once(lengths, batch_size, seed):
    batches = length_buckets(lengths, batch_size, seed)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert max(map(len, batches)) <= batch_size


def test_an_epoch_can_be_repeated_and_differs_from_the_next():
    lengths = torch.randint(1, 80, (500,), generator=torch.Generator().manual_seed(0)).tolist()
    first = length_buckets(lengths, 8, seed=1)
    assert first == length_buckets(lengths, 8, seed=1)
    assert first != length_buckets(lengths, 8, seed=2)


def test_buckets_pad_less_than_a_random_order_would():
    lengths = torch.randint(1, 80, (2000,), generator=torch.Generator().manual_seed(0)).tolist()

    def padded(batches):
        return sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)

    order = torch.randperm(2000, generator=torch.Generator().manual_seed(1)).tolist()
    at_random = [order[i : i + 16] for i in range(0, 2000, 16)]
    assert padded(length_buckets(lengths, 16, seed=1)) < 0.75 * padded(at_random)


@given(st.integers(1, 40), st.integers(1, 9))
def test_several_processes_take_all_batches_and_equally_many(count, processes):
    batches = [[i] for i in range(count)]
    shares = [share_of(batches, process, processes) for process in range(processes)]
    assert len({len(share) for share in shares}) == 1
    assert {i for share in shares for (i,) in share} == set(range(count))
    assert share_of(batches, 0, 1) == batches


def test_what_is_appended_is_read_behind_every_window_and_not_tagged(tokenizer):
    posts = [Post("1", ("Kelso", "likes") * 9, ("B-PER", "O") * 9), Post("2", ("Orva",), ("B-LOC",))]
    texts = {"1": "a man with a dog is sitting on a bench", "2": ""}
    cut = windows(posts, tokenizer, 24, lambda post: texts[post.id])
    shortened = tokenizer(texts["1"], add_special_tokens=False)["input_ids"][: 24 // 4 - 1]
    behind = [tokenizer.sep_token_id, *shortened, tokenizer.sep_token_id]
    of_first = [window for window in cut if window.post == 0]
    assert len(of_first) > 1
    for window in of_first:
        assert len(window.pieces) <= 24
        assert window.pieces.tolist()[-len(behind) :] == behind
        assert int(window.first_piece[-1]) < len(window.pieces) - len(behind)
    assert [TAGS[i] for window in of_first for i in window.tags] == list(posts[0].tags)
    # A post without a text is as it is without any.
    assert cut[-1].pieces.tolist() == windows(posts[1:], tokenizer, 24)[0].pieces.tolist()
