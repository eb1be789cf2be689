"""From word representations to tags: a linear layer and a linear-chain CRF over words (Lafferty et al. 2001).

Training uses the plain CRF, because real corpora hold sequences that BIO forbids (an I- that continues nothing).
Decoding forbids them, so that the tagger's output is always well-formed (*ours*).
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torchcrf import CRF

from hamner.model.attention import Dropout

FORBIDDEN = -1e4
"""Score of a forbidden move: far below any learnt score, and finite, so that gradients stay finite."""


def forbidden_moves(tags: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """The starts (K,) and the moves (K, K), from row to column, that BIO forbids: an I- after any other type."""
    start = torch.tensor([tag[0] == "I" for tag in tags])
    moves = torch.tensor([[to[0] == "I" and to[2:] != old[2:] for to in tags] for old in tags])
    return start, moves


class Decoder(nn.Module):
    """Emissions, likelihood, best paths and marginals over the K tags `tags`."""

    def __init__(self, width: int, tags: tuple[str, ...], dropout: float) -> None:
        super().__init__()
        self.tags = tags
        self.dropout = Dropout(dropout)
        self.classify = nn.Linear(width, len(tags))
        self.crf = CRF(len(tags), batch_first=True)

    def forward(self, words: Tensor) -> Tensor:
        """Word representations H (B, n, d) to emissions (B, n, K)."""
        return self.classify(self.dropout(words))

    def loss(self, emissions: Tensor, tags: Tensor, word_mask: Tensor) -> Tensor:
        """Mean negative log-likelihood per post of the tag ids (B, n): log-partition minus the score of the tags.

        As `CRF.forward` computes it, but the scores of all words at once: half of the time.
        """
        crf, real = self.crf, word_mask.to(emissions.dtype)
        last = tags.gather(1, word_mask.sum(1, keepdim=True) - 1).squeeze(1)  # (B,)
        score = crf.start_transitions[tags[:, 0]] + crf.end_transitions[last]
        score = score + (emissions.gather(2, tags[:, :, None]).squeeze(2) * real).sum(1)
        score = score + (crf.transitions[tags[:, :-1], tags[:, 1:]] * real[:, 1:]).sum(1)  # (B,)
        first, *others = emissions.unbind(1)
        forward = crf.start_transitions + first  # (B, K), the log-sum of all paths up to a word, by the tag of the word
        for emission, there in zip(others, word_mask[:, 1:].unbind(1), strict=True):
            longer = (forward[:, :, None] + crf.transitions).logsumexp(1) + emission
            forward = torch.where(there[:, None], longer, forward)
        return ((forward + crf.end_transitions).logsumexp(1) - score).mean()

    def decode(self, emissions: Tensor, word_mask: Tensor) -> list[list[int]]:
        """The best well-formed tag ids of each post, one for each word (Viterbi)."""
        return self._well_formed().decode(emissions.float(), mask=word_mask)

    @torch.enable_grad()
    def marginals(self, emissions: Tensor, word_mask: Tensor) -> Tensor:
        """p(tag of word i = k | post) over well-formed paths, (B, n, K); rows of padding are 0.

        The marginals are the gradient of the log-partition with respect to the emissions. The log-likelihood of a path
        is its score minus the log-partition, and the gradient of its score is the path itself (one-hot), so that
        marginals = path - gradient of the log-likelihood, for any path.
        """
        emissions = emissions.detach().float().requires_grad_()
        path = torch.zeros(emissions.shape[:2], dtype=torch.long, device=emissions.device)
        likelihood = self._well_formed()(emissions, path, mask=word_mask, reduction="sum")
        (gradient,) = torch.autograd.grad(likelihood, emissions)
        on_path = nn.functional.one_hot(path, len(self.tags)) * word_mask[:, :, None]
        return on_path - gradient

    def _well_formed(self) -> CRF:
        """The CRF with BIO's forbidden moves; a copy, for a new CRF would draw from the global random generator."""
        crf = deepcopy(self.crf).float().requires_grad_(False)
        start, moves = (mask.to(crf.transitions.device) for mask in forbidden_moves(self.tags))
        crf.start_transitions.masked_fill_(start, FORBIDDEN)
        crf.transitions.masked_fill_(moves, FORBIDDEN)
        return crf
