"""The whole model: text stage -> fusion -> decoder. T -> H -> emissions."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from hamner.model.batch import Batch, ImageFeatures, Output, float32
from hamner.model.config import ModelConfig, ModelConfigError
from hamner.model.decoder import Decoder
from hamner.model.fusion import Fused, Seen, Sizes, build_fusion, checked
from hamner.model.lexicon import Lexicon
from hamner.model.text import build_text


class HamNer(nn.Module):
    """A tagger of posts with or without images.

    Args:
        config: the parts that the network has.
        source: the pretrained text encoder; or the lexicon of train, for `config.words` of its own.
        tags: the K tags in the order of their ids.
        channels: C, of the visual features; for `config.vision` alone.
        classes: the number of the objects' class ids, 0 included; for `config.vision` alone.

    Without `config.vision` the model has no fusion and ignores a batch's images.

    Raises ModelConfigError when the width is the encoder's hidden size and the heads do not divide it, and ValueError
    when a model with vision is not told its channels.
    """

    def __init__(
        self,
        config: ModelConfig,
        source: PreTrainedModel | Lexicon,
        tags: tuple[str, ...],
        channels: int = 0,
        classes: int = 1,
    ) -> None:
        super().__init__()
        self.config = config
        self.text = build_text(config, source)
        d = self.text.width
        if d % config.heads:
            raise ModelConfigError(f"heads ({config.heads}) must divide the text encoder's hidden size ({d})")
        self.decoder = Decoder(d, tags, config.dropout)
        self.fusion = None
        if config.vision:
            if channels < 1:
                raise ValueError("a model with vision needs `channels`, the number of channels of its visual features")
            self.channels = channels
            self.fusion = build_fusion(config, Sizes(d, self.text.hidden, channels, classes, tags))

    def forward(self, batch: Batch, keep_attention: bool = False) -> Output:
        """Tag scores for each word, the loss where the batch has tags, and the attention weights on request."""
        words, layer = self.text(batch)  # T (B, n, d), h (B, n, d_enc)
        fused = Fused(words)
        if self.fusion is not None:
            images = batch.images or ImageFeatures.absent(len(words), self.channels, words.device)
            seen = Seen(words, batch.word_mask, layer, images, batch.tags)
            fused = checked(self.fusion(seen), seen, self.config.fusion, len(self.decoder.tags))  # H (B, n, d)
        emissions = float32(self.decoder(fused.words))  # (B, n, K)
        if fused.emissions is not None:
            emissions = emissions + float32(fused.emissions)
        loss = None if batch.tags is None else self.decoder.loss(emissions, batch.tags, batch.word_mask)
        if loss is not None and fused.loss is not None:
            loss = loss + fused.loss
        kept = fused.weights.detached() if keep_attention and fused.weights is not None else None
        rho, beta = (None if weight is None else float32(weight) for weight in (fused.relevance, fused.integration))
        return Output(emissions, batch.word_mask, loss, rho, beta, kept)
