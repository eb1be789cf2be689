"""Other published ways to join words and an image, each as a fusion: the same words, the same features, one file each.

They are written from the papers' descriptions; each file says what it leaves out and why. BERT-CRF has no file: it is
the model without vision.
"""

from __future__ import annotations

PEERS = {
    "adacan": "hamner.peers.adacan:AdaCan",
    "concatenation": "hamner.peers.concatenation:Concatenation",
    "umt": "hamner.peers.umt:Umt",
    "maf": "hamner.peers.maf:Maf",
    "visual_prefix": "hamner.peers.visual_prefix:VisualPrefix",
    "mgcmt": "hamner.peers.mgcmt:Mgcmt",
}
"""Name -> module:Class, in the order of history. Nothing is imported until a peer is built."""
