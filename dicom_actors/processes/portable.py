"""What can be handed over to another process as it is."""

from __future__ import annotations

__all__ = ["Portable"]


class Portable:
    """What a function is called with, and can be pickled: `Isolated` hands it over as it is."""
