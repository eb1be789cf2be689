"""The generator of minitweets, the bundled corpus of invented tweets with known answers."""

CUES = (
    "text", "scene", "object", "odd", "majority", "position", "described", "other", "level", "unrelated",
)  # fmt: skip
"""What tells the type of a name; see data/minitweets/README.md. A post has names of one cue, but for `described` and
`other`, which share their posts."""

GRAINS = ("global", "objects")
"""What a post of `level` is about: the image as a whole, or the objects in it."""

SEED = 0
"""The seed of the bundled corpus."""
