"""Numbers that are text in the data set: values of DS and IS (PS3.5 6.2).

Each is a number with a text, so that what was read is written unchanged, and a copy of a value
into another data set has the same digits.
"""

from __future__ import annotations

from math import isfinite
from typing import Self

__all__ = ["DS", "IS", "decimal_text"]


def decimal_text(number: float) -> str:
    """Return the most exact text of a number that fits a DS: at most 16 characters.

    Raises:
        ValueError: the number is not finite.
    """
    if not isfinite(number):
        raise ValueError(f"a DS holds finite numbers, got {number!r}")
    text = float.__repr__(float(number)).removesuffix(".0")
    if len(text) <= 16:
        return text
    for precision in range(16, 0, -1):
        text = f"{number:.{precision}g}"
        if len(text) <= 16:
            break
    return text


class DS(float):
    """A value of DS: a float with its text.

    ``DS.of("1.50")`` keeps the text; ``DS(1.5)`` makes one of the number.
    """

    __slots__ = ("_text",)

    _text: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the number that a text stands for, with that text.

        Raises:
            ValueError: the text is no number.
        """
        made = cls(text)
        made._text = text.strip()
        return made

    @property
    def text(self) -> str:
        """The text in the data set, without padding."""
        text: str | None = getattr(self, "_text", None)
        return decimal_text(self) if text is None else text

    def __reduce__(self) -> tuple[object, ...]:
        return DS.of, (self.text,)


class IS(int):
    """A value of IS: an int with its text.

    ``IS.of("007")`` keeps the text; ``IS(7)`` makes one of the number.
    """

    _text: str | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the number that a text stands for, with that text.

        Raises:
            ValueError: the text is no integer.
        """
        made = cls(text)
        made._text = text.strip()
        return made

    @property
    def text(self) -> str:
        """The text in the data set, without padding."""
        return int.__repr__(self) if self._text is None else self._text

    def __reduce__(self) -> tuple[object, ...]:
        return IS.of, (self.text,)
