"""The lexicon of a run whose model reads words and letters: made from train, kept beside the weights."""

from __future__ import annotations

import hashlib

from transformers import PreTrainedTokenizerBase

from hamner.corpora.post import Corpus
from hamner.encoders import load_tokenizer
from hamner.files import read_text, written_whole
from hamner.model.config import OWN_WORDS
from hamner.model.lexicon import Lexicon, LexiconError
from hamner.training.config import TrainConfig
from hamner.training.runs import Run, RunError


def lexicon_of(corpus: Corpus, config: TrainConfig) -> Lexicon | None:
    """The lexicon of train; None for a model with a pretrained text encoder."""
    if config.model.words not in OWN_WORDS:
        return None
    return Lexicon.of(post.words for post in corpus.train)


def lexicon_sha256(lexicon: Lexicon) -> str:
    """SHA-256 of the file that `write_lexicon` writes."""
    return hashlib.sha256(lexicon.to_json().encode()).hexdigest()


def write_lexicon(lexicon: Lexicon, run: Run) -> None:
    """Write lexicon.json into the run's folder, whole or not at all."""
    with written_whole(run.lexicon, RunError) as temporary:
        temporary.write_bytes(lexicon.to_json().encode())


def read_lexicon(run: Run) -> Lexicon | None:
    """The lexicon of a run; None for a model with a pretrained text encoder.

    Raises RunError if lexicon.json is missing, or is not as it was written.
    """
    if run.config.model.words not in OWN_WORDS:
        return None
    remedy = f"restore it, or delete {run.folder} and train again"
    if not run.lexicon.is_file():
        raise RunError(f"{run.lexicon}: no such file, and the model reads the words of train; {remedy}")
    try:
        lexicon = Lexicon.from_json(read_text(run.lexicon, RunError))
    except LexiconError as error:
        raise RunError(f"{run.lexicon}: {error}; {remedy}") from error
    if lexicon_sha256(lexicon) != run.record.get("lexicon_sha256"):
        raise RunError(f"{run.lexicon} is not as it was written; {remedy}")
    return lexicon


def tokenizer_of(run: Run) -> PreTrainedTokenizerBase | Lexicon:
    """What cuts words into pieces for a run's model: its encoder's tokenizer, or its lexicon."""
    return read_lexicon(run) or load_tokenizer(run.config.model.text_encoder, run.record.get("encoder_revision"))
