"""The generator of minitweets, the bundled corpus of invented tweets with known answers."""

CUES = ("text", "scene", "object", "relation", "position", "unrelated")
"""What tells the type of a name in a post; see data/minitweets/README.md."""

SEED = 0
"""The seed of the bundled corpus."""
