"""Numbers that are text in the data set: values of DS and IS (PS3.5 6.2).

Each is a number that keeps the text it came from, so that what was read is written unchanged,
and a copy of a value into another data set has the same digits.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["DS", "IS", "decimal_text"]


def decimal_text(number: float) -> str:
    """Return the most exact text of a number that fits a DS: at most 16 characters.

    Raises:
        ValueError: the number is not finite.
    """
    if not isfinite(number):
        raise ValueError(f"a DS holds finite numbers, got {number!r}")
    text = repr(float(number))
    text = text.removesuffix(".0")
    if len(text) <= 16:
        return text
    for precision in range(16, 0, -1):
        text = f"{number:.{precision}g}"
        if len(text) <= 16:
            break
    return text


class DS(float):
    """A value of DS: a float with the text it came from."""

    __slots__ = ("_text",)

    _text: str

    def __new__(cls, number: float | str | Decimal) -> Self:
        """Make a number of a text, or of a number, which gets its most exact text.

        Raises:
            ValueError: the text is no number.
        """
        made = super().__new__(cls, number)
        if isinstance(number, str):
            made._text = number.strip()
        elif isinstance(number, DS):
            made._text = number.text
        return made

    @property
    def text(self) -> str:
        """The text in the data set, without padding."""
        try:
            return self._text
        except AttributeError:
            return decimal_text(self)


class IS(int):
    """A value of IS: an int with the text it came from."""

    _text: str

    def __new__(cls, number: int | str) -> Self:
        """Make a number of a text or of a number.

        Raises:
            ValueError: the text is no integer.
        """
        made = super().__new__(cls, number)
        if isinstance(number, str):
            made._text = number.strip()
        elif isinstance(number, IS):
            made._text = number.text
        return made

    @property
    def text(self) -> str:
        """The text in the data set, without padding."""
        try:
            return self._text
        except AttributeError:
            return int.__repr__(self)
