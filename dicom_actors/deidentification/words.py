"""Text that is cleaned: words that are known to say nothing of anybody stay, all others go.

Standard: PS3.15 E.3.5 (Clean Descriptors).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Words"]

_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


class Words:
    """The words that may stay; none by default.

    Args:
        kept: the words, in any case. Numbers and names stay if they are listed, not otherwise.
    """

    def __init__(self, kept: Iterable[str] = ()) -> None:
        self._kept = frozenset(word.casefold() for word in kept)

    def __bool__(self) -> bool:
        return bool(self._kept)

    def cleaned(self, text: str) -> str:
        """Return the words of a text that may stay, in their order, with a space between."""
        if not self._kept:
            return ""
        words = _WORD.findall(text)
        return " ".join(word for word in words if word.casefold() in self._kept)
