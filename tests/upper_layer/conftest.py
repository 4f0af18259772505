from __future__ import annotations

from hypothesis import settings

settings.register_profile(
    "upper_layer", derandomize=True, deadline=None, max_examples=100, database=None
)
settings.load_profile("upper_layer")
