"""From word representations to tags: a linear layer and a linear-chain CRF over words (Lafferty et al. 2001).

The CRF is trained as it is, for real corpora hold sequences that BIO forbids (an I- that continues nothing). Decoding
forbids them, so that what the tagger says is always well-formed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchcrf import CRF

FORBIDDEN = -1e4
"""Score of an impossible move: far below any learnt one, and finite, so that a gradient stays finite too."""


def forbidden_moves(tags: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Which starts (K,) and moves (K, K), from row to column, BIO forbids: an I- after anything but its own type."""
    start = torch.tensor([tag[0] == "I" for tag in tags])
    moves = torch.tensor([[to[0] == "I" and to[2:] != old[2:] for to in tags] for old in tags])
    return start, moves


class Decoder(nn.Module):
    """Emissions, likelihood, best paths and marginals over the tags `tags`."""

    def __init__(self, width: int, tags: tuple[str, ...], dropout: float) -> None:
        super().__init__()
        self.tags = tags
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(width, len(tags))
        self.crf = CRF(len(tags), batch_first=True)

    def forward(self, words: Tensor) -> Tensor:
        """Word representations (B, n, d) to emissions (B, n, K)."""
        return self.classify(self.dropout(words))

    def loss(self, emissions: Tensor, tags: Tensor, word_mask: Tensor) -> Tensor:
        """Mean negative log-likelihood per post of tag ids (B, n)."""
        return -self.crf(emissions, tags, mask=word_mask, reduction="mean")

    def decode(self, emissions: Tensor, word_mask: Tensor) -> list[list[int]]:
        """The best well-formed tag ids of each post, as long as the post."""
        return self._well_formed().decode(emissions.float(), mask=word_mask)

    @torch.enable_grad()
    def marginals(self, emissions: Tensor, word_mask: Tensor) -> Tensor:
        """p(tag of word i = k | post) over well-formed paths, (B, n, K); rows of padding are 0.

        The gradient of the log-partition with respect to the emissions is the marginals. The log-likelihood of one path
        is its score minus the log-partition, and the gradient of its score is that path itself.
        """
        emissions = emissions.detach().float().requires_grad_()
        path = torch.zeros(emissions.shape[:2], dtype=torch.long, device=emissions.device)
        likelihood = self._well_formed()(emissions, path, mask=word_mask, reduction="sum")
        (gradient,) = torch.autograd.grad(likelihood, emissions)
        on_path = nn.functional.one_hot(path, len(self.tags)) * word_mask[:, :, None]
        return on_path - gradient

    def _well_formed(self) -> CRF:
        """The CRF with BIO's impossible moves forbidden."""
        start, moves = (mask.to(self.crf.transitions.device) for mask in forbidden_moves(self.tags))
        crf = CRF(len(self.tags), batch_first=True).to(self.crf.transitions.device)
        crf.requires_grad_(False)
        crf.start_transitions.copy_(self.crf.start_transitions.detach().float().masked_fill(start, FORBIDDEN))
        crf.transitions.copy_(self.crf.transitions.detach().float().masked_fill(moves, FORBIDDEN))
        crf.end_transitions.copy_(self.crf.end_transitions.detach().float())
        return crf
