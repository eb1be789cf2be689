from __future__ import annotations

from hypothesis import settings

# A busy machine must not fail a property test for slowness, and two runs must try the same examples.
settings.register_profile("hamner", deadline=None, derandomize=True)
settings.load_profile("hamner")
