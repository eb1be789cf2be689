"""The model, assembled: T -> [G; O_sem; O_spa] -> rho, beta -> H -> emissions."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from hamner.model.batch import Batch, Output, Trace
from hamner.model.config import ModelConfig, ModelConfigError
from hamner.model.decoder import Decoder
from hamner.model.interaction import Interaction
from hamner.model.intra_modality import Sentence, Vision
from hamner.model.relevance import Relevance
from hamner.model.text import TextStage


class HamNer(nn.Module):
    """Posts, with or without images, to tag scores. `tags` names the tags in the order of their ids.

    With `config.vision`, `channels` is how many channels the visual features have (C) and `classes` how many class ids
    their objects, 0 included. Without it the model is text-only, whatever a batch holds of images.

    Raises ModelConfigError when the heads do not divide the encoder's hidden size, where that is the width.
    """

    def __init__(
        self, config: ModelConfig, encoder: PreTrainedModel, tags: tuple[str, ...], channels: int = 0, classes: int = 1
    ) -> None:
        super().__init__()
        self.config = config
        self.text = TextStage(encoder, config)
        d = self.text.width
        if d % config.heads:
            raise ModelConfigError(f"heads ({config.heads}) must divide the text encoder's hidden size ({d})")
        self.decoder = Decoder(d, tags, config.dropout)
        self.vision = None
        if config.vision:
            if channels < 1:
                raise ValueError("a model with vision must be told how many channels its visual features have")
            self.vision = Vision(config, d, channels, classes)
            self.sentence = (
                Sentence(encoder.config.hidden_size, d) if config.relevance or config.weighs_grains else None
            )
            self.relevance = Relevance(config, d)
            self.interaction = Interaction(config, d)

    def forward(self, batch: Batch, trace: bool = False) -> Output:
        """Emissions and, where the batch has tags, the loss; with `trace`, also what was looked at on the way."""
        words, last = self.text(batch)  # T (B, n, d), h (B, n, d_enc)
        images, looks = batch.images, {}
        rho = beta = grain = sentence = None
        if self.vision is not None and images is None:
            rho, beta = words.new_zeros(len(words)), words.new_zeros(len(words), 3)
        elif self.vision is not None and images is not None:
            # Stage 1: each modality by itself
            memory, looks = self.vision(images)  # [G; O_sem; O_spa] (B, M, d)
            grain = memory.grain
            if self.sentence is not None:
                sentence, looks["text_pool"] = self.sentence(last, batch.word_mask)  # s (B, d)
            # Stage 2: does the image count, and which of its grains?
            rho, beta, weights = self.relevance(sentence, memory)  # (B,), (B, 3)
            looks |= weights
            # Stage 3: words and regions read one another
            words, weights = self.interaction(words, batch.word_mask, memory, rho, beta)  # H (B, n, d)
            looks |= weights
        emissions = self.decoder(words)  # (B, n, K)
        loss = None if batch.tags is None else self.decoder.loss(emissions, batch.tags, batch.word_mask)
        seen = None
        if trace and grain is not None:
            seen = Trace(grain, **{name: weights.detach() for name, weights in looks.items()})
        return Output(emissions, batch.word_mask, loss, rho, beta, seen)
