"""The paper's three stages after the text encoder, as one fusion: T and an image's features to H.

1. each modality by itself: the sentence s, and the memory [G; O_sem; O_spa]   `intra_modality`
2. how much does the image count (rho), and each of its grains (beta)?          `relevance`
3. words and regions read one another, then co-attention                        `interaction`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from hamner.errors import HamnerError
from hamner.model.config import ModelConfig
from hamner.model.fusion import Fused, Seen, Sizes
from hamner.model.interaction import Interaction
from hamner.model.intra_modality import Sentence, Vision
from hamner.model.relevance import Relevance

if TYPE_CHECKING:
    from hamner.model.hamner import HamNer


class Ham(nn.Module):
    """Hierarchical aligned multimodal learning (HamLearning), with the parts that `config` leaves in."""

    def __init__(self, config: ModelConfig, sizes: Sizes) -> None:
        super().__init__()
        judges = config.relevance or config.weighs_grains
        self.sentence = Sentence(sizes.hidden, sizes.width) if judges else None
        self.vision = Vision(config, sizes.width, sizes.channels, sizes.classes)
        self.relevance = Relevance(config, sizes.width)
        self.interaction = Interaction(config, sizes.width)

    def forward(self, seen: Seen) -> Fused:
        """H (B, n, d), with rho, beta and all attention weights; where nothing can be seen H is T, to the bit."""
        s = text_pool = None
        if self.sentence is not None:
            s, text_pool = self.sentence(seen.layer, seen.word_mask)  # (B, d), (B, n)
        memory, weights = self.vision(seen.images)  # [G; O_sem; O_spa] (B, M, d)
        weights.text_pool = text_pool
        rho, beta = self.relevance(s, memory, weights)  # (B,), (B, 3)
        words = self.interaction(seen.words, seen.word_mask, memory, rho, beta, weights)  # H (B, n, d)
        return Fused(words, rho, beta, weights)


def ham_of(model: HamNer) -> Ham:
    """The paper's stages in a model. Raises HamnerError for a text-only model, and for one with another fusion."""
    if not isinstance(model.fusion, Ham):
        what = "is text-only" if model.fusion is None else f"has the fusion {model.config.fusion}"
        raise HamnerError(f"this is about the parts of the fusion ham, and the model {what}: take another run")
    return model.fusion
