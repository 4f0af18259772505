"""Data element tags and the forms in which users write them (PS3.5 7.1.1).

A key is an int, a (group, element) pair, a `Tag` or a keyword of the dictionary; the printed
forms ``"(0010,0020)"``, ``"0010,0020"``, ``"00100020"`` and ``"0x00100020"`` are understood too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from dicom_actors.data.dictionary.elements import KEYWORD_TABLE, entry, keyword_of, keywords
from dicom_actors.errors import ElementNotFoundError, shown

__all__ = ["Key", "Tag", "UnknownKeywordError", "several", "to_tag"]

Key = int | str | tuple[int, int]
"""What names a data element: an int or `Tag`, a keyword, or a (group, element) pair."""

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


class UnknownKeywordError(ElementNotFoundError):
    """A key that is no keyword of the dictionary; the message names keywords that are close."""

    def __str__(self) -> str:
        # Looking for close ones among 5,000 takes milliseconds, and most of these errors are
        # caught and never shown.
        from difflib import get_close_matches  # noqa: PLC0415 - costs import time, seldom needed

        close = get_close_matches(self.keyword, keywords(), n=3, cutoff=0.75)
        hint = f"; close to it: {', '.join(close)}" if close else ""
        return f"{self.keyword!r} is not a keyword of the data dictionary{hint}"


class Tag(int):
    """The tag of a data element, an int of 32 bits.

    ``Tag(0x00100020)``, ``Tag(0x0010, 0x0020)``, ``Tag((0x0010, 0x0020))`` and
    ``Tag("PatientID")`` are the same tag and equal the int 0x00100020.
    """

    __slots__ = ()

    def __new__(cls, key: Key, element: int | None = None) -> Self:
        """Make a tag.

        Args:
            key: any form of a key, or the group number if `element` is given.
            element: the element number, 0 to 0xFFFF.

        Raises:
            ElementNotFoundError: the text is no keyword.
            ValueError: a number is out of its range.
            TypeError: the key is none of these.
        """
        if element is not None:
            key = (key, element)  # type: ignore[assignment]  # a wrong group is refused below
        return super().__new__(cls, to_tag(key))

    @property
    def group(self) -> int:
        """The group number, 0 to 0xFFFF."""
        return self >> 16

    @property
    def element(self) -> int:
        """The element number within the group, 0 to 0xFFFF."""
        return self & 0xFFFF

    @property
    def is_private(self) -> bool:
        """Whether the group number is odd, so that no edition of the standard defines the tag."""
        return bool(self & 0x10000)

    @property
    def is_private_creator(self) -> bool:
        """Whether the element reserves a block of private elements (PS3.5 7.8.1)."""
        return bool(self & 0x10000) and 0x10 <= self & 0xFFFF <= 0xFF

    @property
    def keyword(self) -> str:
        """The keyword, empty if there is none."""
        return keyword_of(self)

    @property
    def name(self) -> str:
        """The name in the dictionary, empty if there is none."""
        found = entry(self)
        return "" if found is None else found.name

    def __str__(self) -> str:
        """Return the printed form, for example ``(0010,0020)``."""
        return f"({self >> 16:04X},{self & 0xFFFF:04X})"

    def __repr__(self) -> str:
        return f"Tag(0x{int(self):08X})"


def to_tag(key: Key) -> int:
    """Turn a key of any form into the tag as a plain int.

    Args:
        key: an int 0 to 0xFFFFFFFF, a `Tag`, a keyword, or a pair of ints 0 to 0xFFFF.

    Returns:
        The tag.

    Raises:
        ElementNotFoundError: the text is no keyword.
        ValueError: a number is out of its range.
        TypeError: the key is none of these.
    """
    if isinstance(key, str):
        try:
            return KEYWORD_TABLE[key]
        except KeyError:
            return _from_printed(key)
    if isinstance(key, int):
        if 0 <= key <= 0xFFFFFFFF:
            return int(key)
        raise ValueError(f"a tag is 0 to 0xFFFFFFFF, got {key:#x}")
    return _from_pair(key)


def several(keys: Iterable[Key]) -> tuple[Key, ...]:
    """Return the keys that a caller gave for several elements.

    Raises:
        TypeError: it is one key, or nothing that has keys: the letters of a text are none.
    """
    if isinstance(keys, str) or not isinstance(keys, Iterable):
        raise TypeError(f"keywords: expected several, as in ['PatientID'], got {shown(keys)}")
    return tuple(keys)


def _from_pair(key: tuple[int, int]) -> int:
    if not (
        isinstance(key, tuple) and len(key) == 2 and all(isinstance(part, int) for part in key)
    ):
        raise TypeError(
            f"a data element is named by a keyword, an int or a pair of ints, not by {shown(key)}"
        )
    group, element = key
    if not (0 <= group <= 0xFFFF and 0 <= element <= 0xFFFF):
        raise ValueError(f"group and element are 0 to 0xFFFF each, got ({group:#x}, {element:#x})")
    return group << 16 | element


def _from_printed(text: str) -> int:
    digits = text.strip("()").removeprefix("0x").replace(",", "", 1)
    if len(digits) == 8 and _HEX_DIGITS.issuperset(digits):
        return int(digits, 16)
    raise UnknownKeywordError(text, keyword=text)
