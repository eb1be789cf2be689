"""The model, assembled: T -> [G; O_sem; O_spa] -> rho, beta -> H -> emissions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hamner.model.batch import Batch, Output, Trace
from hamner.model.config import ModelConfig
from hamner.model.decoder import Decoder
from hamner.model.interaction import CoAttention, Interaction
from hamner.model.intra_modality import Sentence, Vision
from hamner.model.relevance import Relevance
from hamner.model.text import TextStage


class HamNer(nn.Module):
    """Posts, with or without pictures, to tag scores. `tags` names the tags in the order of their ids.

    With `config.vision`, `channels` is how many channels the visual features have (C) and `classes` how many class ids
    their objects, 0 included. Without it the model is text-only, whatever a batch holds of pictures.
    """

    def __init__(
        self, config: ModelConfig, encoder: PreTrainedModel, tags: tuple[str, ...], channels: int = 0, classes: int = 1
    ) -> None:
        super().__init__()
        self.config = config
        self.text = TextStage(encoder, config)
        d = self.text.width
        self.decoder = Decoder(d, tags, config.dropout)
        self.vision = None
        if config.vision:
            if channels < 1:
                raise ValueError("a model with vision must be told how many channels its visual features have")
            self.vision = Vision(config, d, channels, classes)
            self.sentence = Sentence(d) if config.relevance or config.weighs_grains else None
            self.relevance = Relevance(config, d)
            # What the regions read last is seen by nobody but co-attention.
            both_ways = [layer < config.iterations - 1 or config.coattention for layer in range(config.iterations)]
            self.interactions = nn.ModuleList(Interaction(config, d, both) for both in both_ways)
            self.coattention = CoAttention(config, d) if config.coattention else None

    def forward(self, batch: Batch, trace: bool = False) -> Output:
        """Emissions and, where the batch has tags, the loss; with `trace`, also what was looked at on the way."""
        words = self.text(batch)  # T (B, n, d)
        rho = beta = seen = None
        if self.vision is not None and batch.grid is None:
            rho, beta = words.new_zeros(len(words)), words.new_zeros(len(words), 3)
        elif self.vision is not None:
            words, rho, beta, seen = self._look(words, batch)  # H (B, n, d)
        emissions = self.decoder(words)  # (B, n, K)
        loss = None if batch.tags is None else self.decoder.loss(emissions, batch.tags, batch.word_mask)
        return Output(emissions, batch.word_mask, loss, rho, beta, seen if trace else None)

    def _look(self, words: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Trace]:
        """T (B, n, d) to H (B, n, d), rho (B,), beta (B, 3) and the trace of all attention."""
        assert self.vision is not None
        # Stage 1: each modality by itself
        memory, semantic, spatial = self.vision(batch)  # M^0 (B, M, d)
        s = text_pool = None
        if self.sentence is not None:
            s, text_pool = self.sentence(words, batch.word_mask)  # (B, d)
        # Stage 2: does the picture count, and which of its grains?
        rho, beta, log_beta, vision_pool = self.relevance(s, memory)  # (B,), (B, 3), (B, M)
        # Stage 3: words and regions read one another
        regions, word_to_region, region_to_word = memory.regions, [], []
        for interaction in self.interactions:
            words, regions, to_regions, to_words = interaction(
                words, batch.word_mask, regions, memory.mask, rho, log_beta
            )
            word_to_region.append(to_regions)
            region_to_word += [] if to_words is None else [to_words]
        over_regions = over_words = gate = None
        if self.coattention is not None:
            words, over_regions, over_words, gate = self.coattention(
                words, batch.word_mask, regions, memory.mask, rho, log_beta
            )
        seen = Trace(
            memory.grain,
            *(None if weights is None else weights.detach() for weights in (text_pool, vision_pool, semantic, spatial)),
            *(torch.stack(layers, 1).detach() if layers else None for layers in (word_to_region, region_to_word)),
            *(None if weights is None else weights.detach() for weights in (over_regions, over_words, gate)),
        )
        return words, rho, beta, seen
