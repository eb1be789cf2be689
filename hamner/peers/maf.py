"""MAF: Xu, Huang, Sha, Wang 2022, A General Matching and Alignment Framework for Multimodal NER (WSDM):
its cross-modal matching, interaction and alignment modules.

W  = Layer(T -> V), V = W_v F + b_v                      each word's view of the image (see `blocks`)
p  = sigmoid(w_p^T mean_i [T_i; W_i] + b_p)              matching: do text and image belong together?
H  = W_h [T; G * p W] + b, G = sigmoid(W_1 T + W_2 p W)  the gate; p scales all that is seen
s  = MLP(mean_i h_i), x = MLP(mean_r F_r)                alignment, of the whole text and the whole image

In training, over the m posts with an image:

L_match = mean of -log p for the post's own image and -log(1 - p) for that of the next post
L_align = 0.7 CE(cos(s_i, x_j) / 0.179, j = i) + 0.3 CE(cos(x_i, s_j) / 0.179, j = i)
loss    = (1 - 0.62) / 0.62 (L_match + L_align)          the released code weighs the tagger's loss by 0.62

Posts without an image count as 0 in both means. Where it differs. The released code reads p from all words of a post,
padded to 128, by one matrix; its mean over words depends on no padding. It exchanges the images of 16 of 64 posts, and
tags these posts with wrong images; we match every post with its own and with one other image, and tag with its own. The
text vector is the mean of the encoder's last layer, because the frame has no [CLS]. The four numbers are the released
code's defaults.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hamner.model.attention import unit
from hamner.model.config import ModelConfig
from hamner.model.fusion import Fused, Seen, Sizes
from hamner.model.intra_modality import ChannelDropout
from hamner.peers.blocks import Join, Layer, mean_word, where_image

TEMPERATURE, OF_TEXT, TAGGING = 0.179, 0.7, 0.62


class Maf(nn.Module):
    """Matching that scales the image, a gate for each word, and contrastive alignment of text and image."""

    def __init__(self, config: ModelConfig, sizes: Sizes) -> None:
        super().__init__()
        d = sizes.width
        self.channels = ChannelDropout(config.visual_dropout, alike=True)
        self.grid = nn.Linear(sizes.channels, d)
        self.reads = Layer(config, d)
        self.match = nn.Linear(2 * d, 1)
        self.text_gate, self.image_gate = nn.Linear(d, d), nn.Linear(d, d, bias=False)
        self.join = Join(d)
        self.align_text = nn.Sequential(nn.Linear(sizes.hidden, d), nn.ReLU(), nn.Linear(d, d))
        self.align_image = nn.Sequential(nn.Linear(sizes.channels, d), nn.ReLU(), nn.Linear(d, d))

    def forward(self, seen: Seen) -> Fused:
        """H (B, n, d) and p (B,), in training with the loss; without an image H is T, to the bit, and p is 0."""
        F, there = self.channels(seen.images.grid), seen.images.image_mask  # (B, R, C), (B,)
        W, logit = self.look(seen.words, seen.word_mask, F)  # (B, n, d), (B,)
        p = logit.sigmoid()
        W = p[:, None, None] * W
        gate = (self.text_gate(seen.words) + self.image_gate(W)).sigmoid()
        loss = None
        if self.training:
            posts = there.nonzero().squeeze(1)  # (m,)
            loss = self.matching(seen, F, logit, posts) + self.alignment(seen, F, posts)
            loss = (1 - TAGGING) / TAGGING * loss / len(there)
        return Fused(where_image(seen, self.join(seen.words, gate * W)), p.masked_fill(~there, 0.0), loss=loss)

    def look(self, words: Tensor, word_mask: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """W (B, n, d) and the logit of p (B,), for words (B, n, d) and a grid (B, R, C)."""
        V = self.grid(grid)
        W = self.reads(words, V, torch.ones_like(V[:, :, 0], dtype=torch.bool))
        return W, self.match(mean_word(torch.cat([words, W], -1), word_mask)).squeeze(-1)

    def matching(self, seen: Seen, grid: Tensor, logit: Tensor, posts: Tensor) -> Tensor:
        """m L_match, with `posts` (m,) the posts that have an image. With a single image nothing is mismatched."""
        matched = nn.functional.softplus(-logit[posts]).sum()
        if len(posts) < 2:
            return matched / 2
        _, other = self.look(seen.words[posts], seen.word_mask[posts], grid[posts.roll(-1)])
        return (matched + nn.functional.softplus(other).sum()) / 2

    def alignment(self, seen: Seen, grid: Tensor, posts: Tensor) -> Tensor:
        """m L_align."""
        s = unit(self.align_text(mean_word(seen.layer, seen.word_mask)[posts]))  # (m, d)
        x = unit(self.align_image(grid[posts].mean(1)))
        alike = s @ x.T / TEMPERATURE  # (m, m), row: text, column: image
        own = torch.arange(len(posts), device=alike.device)
        of_text = nn.functional.cross_entropy(alike, own, reduction="sum")
        return OF_TEXT * of_text + (1 - OF_TEXT) * nn.functional.cross_entropy(alike.T, own, reduction="sum")
