"""The generator of minitweets, the bundled corpus of invented tweets whose answers are known."""

CUES = ("text", "scene", "object", "relation", "position", "unrelated")
"""What gives a name's type away in a post; see data/minitweets/README.md."""

SEED = 0
"""That of the bundled corpus."""
