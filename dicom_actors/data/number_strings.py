"""Numbers that are text in the data set: values of DS and IS (PS3.5 6.2).

Each is a number with a text, so that what was read is written unchanged, and a copy of a value
into another data set has the same digits. In elements of more than 16 values (contours of a
structure set have hundreds of thousands) the text is not kept but made from the number: an
object with a reference to a text costs the garbage collector a visit, which a number does not.
"""

from __future__ import annotations

from math import isfinite

__all__ = ["DS", "IS", "ReadDS", "ReadIS", "decimal_text"]


def decimal_text(number: float) -> str:
    """Return the most exact text of a number that fits a DS: at most 16 characters.

    Raises:
        ValueError: the number is not finite.
    """
    if not isfinite(number):
        raise ValueError(f"a DS holds finite numbers, got {number!r}")
    text = float.__repr__(number).removesuffix(".0")
    if len(text) <= 16:
        return text
    for precision in range(16, 0, -1):
        text = f"{number:.{precision}g}"
        if len(text) <= 16:
            break
    return text


class DS(float):
    """A value of DS: a float with a text."""

    __slots__ = ()

    @staticmethod
    def of(text: str) -> DS:
        """Return the number that a text stands for, with that text.

        Raises:
            ValueError: the text is no number.
        """
        made = ReadDS(text)
        made._text = text.strip()
        return made

    @property
    def text(self) -> str:
        """The text in the data set, without padding."""
        return decimal_text(self)


class ReadDS(DS):
    """A value of DS that keeps the text it came from."""

    __slots__ = ("_text",)

    _text: str

    @property
    def text(self) -> str:
        """The text in the data set, without padding."""
        return self._text

    def __reduce__(self) -> tuple[object, ...]:
        return DS.of, (self._text,)


class IS(int):
    """A value of IS: an int with a text."""

    __slots__ = ()

    @staticmethod
    def of(text: str) -> IS:
        """Return the number that a text stands for, with that text.

        Raises:
            ValueError: the text is no integer.
        """
        made = ReadIS(text)
        made._text = text.strip()
        return made

    @property
    def text(self) -> str:
        """The text in the data set, without padding."""
        return int.__repr__(self)


class ReadIS(IS):
    """A value of IS that keeps the text it came from."""

    _text: str

    @property
    def text(self) -> str:
        """The text in the data set, without padding."""
        return self._text

    def __reduce__(self) -> tuple[object, ...]:
        return IS.of, (self._text,)
