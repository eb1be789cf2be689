"""The whole model: T -> [G; O_sem; O_spa] -> rho, beta -> H -> emissions."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from hamner.model.attention import zero_init
from hamner.model.batch import Batch, Output, float32
from hamner.model.config import ModelConfig, ModelConfigError
from hamner.model.decoder import Decoder
from hamner.model.interaction import Interaction
from hamner.model.intra_modality import Sentence, Vision
from hamner.model.relevance import Relevance
from hamner.model.text import TextStage


class HamNer(nn.Module):
    """A tagger of posts with or without images.

    Args:
        config: the parts that the network has.
        encoder: the pretrained text encoder.
        tags: the K tags in the order of their ids.
        channels: C, of the visual features; for `config.vision` alone.
        classes: the number of the objects' class ids, 0 included; for `config.vision` alone.

    Without `config.vision` the model is text-only and ignores a batch's images.

    Raises ModelConfigError when the width is the encoder's hidden size and the heads do not divide it, and ValueError
    when a model with vision is not told its channels.
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
        judges = config.vision and (config.relevance or config.weighs_grains)
        self.sentence = Sentence(encoder.config.hidden_size, d) if config.global_text or judges else None
        self.global_text = nn.Linear(d, d, bias=False) if config.global_text else None
        if self.global_text is not None:
            zero_init(self.global_text)
        self.vision = None
        if config.vision:
            if channels < 1:
                raise ValueError("a model with vision needs `channels`, the number of channels of its visual features")
            self.vision = Vision(config, d, channels, classes)
            self.relevance = Relevance(config, d)
            self.interaction = Interaction(config, d)

    def forward(self, batch: Batch, keep_attention: bool = False) -> Output:
        """Tag scores for each word, the loss where the batch has tags, and the attention weights on request."""
        words, last = self.text(batch)  # T (B, n, d), h (B, n, d_enc)
        sentence = rho = beta = weights = text_pool = None
        if self.sentence is not None:
            sentence, text_pool = self.sentence(last, batch.word_mask)  # s (B, d)
        if self.global_text is not None and sentence is not None:
            words = words + self.global_text(sentence)[:, None]
        if self.vision is not None and batch.images is not None:
            # Stage 1: each modality by itself
            memory, weights = self.vision(batch.images)  # [G; O_sem; O_spa] (B, M, d)
            weights.text_pool = text_pool
            # Stage 2: how much does the image count, and how much each of its grains?
            rho, beta = self.relevance(sentence, memory, weights)  # (B,), (B, 3)
            # Stage 3: words and regions read one another
            words = self.interaction(words, batch.word_mask, memory, rho, beta, weights)  # H (B, n, d)
        elif self.vision is not None:  # no image in the whole batch
            rho, beta = words.new_zeros(len(words)), words.new_zeros(len(words), 3)
        emissions = float32(self.decoder(words))  # (B, n, K)
        loss = None if batch.tags is None else self.decoder.loss(emissions, batch.tags, batch.word_mask)
        kept = weights.detached() if keep_attention and weights is not None else None
        rho, beta = (None if weight is None else float32(weight) for weight in (rho, beta))
        return Output(emissions, batch.word_mask, loss, rho, beta, kept)
