"""How values of text, names, dates and numbers stand in the columns.

Names are folded: without regard to case, to accents, to the width of letters and kana, to spaces
around components and to empty components at the end. Each character is folded by itself, so that a
part of a name that is folded is a part of the folded name; so the mark of a kana is one of its own.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.archive.index.attributes import Column, Kind
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from dicom_actors import DataSet

__all__ = [
    "NO_CHARACTER",
    "SEPARATOR",
    "SEVERAL",
    "folded",
    "folded_again",
    "stored_values",
    "value_of",
]

SEVERAL: Final = -1
"""Stands for several numbers, dates or times, and for what no column can hold."""
SEPARATOR: Final = "\x1f"
"""In front of each name and behind the last, where several are in one column."""

_LONGEST: Final = 512
"""Characters of a text that stands in a column as it is: more may not fit into an index."""
NO_CHARACTER: Final = "\ufffd"
"""Stands for NUL, which a text in a database cannot have."""
_LARGEST: Final = (1 << 63) - 1
_SPECIAL: Final = frozenset("*?^=\\")
_MARKS: Final = frozenset("\u3099\u309a")
"""Of kana; in half width they are characters of their own."""
_GROUPS: Final = 3
_NONE: Final = (None,) * _GROUPS


def folded(text: str) -> str:
    """Fold one group of a person's name, or a part of it."""
    text = text.replace("\0", NO_CHARACTER).strip(" ")
    if "^" in text:
        text = "^".join(part.strip(" ") for part in text.split("^")).rstrip("^")
    return text.lower() if text.isascii() else "".join(map(_folded_character, text))


@lru_cache(4096)
def _folded_character(character: str) -> str:
    wide = unicodedata.normalize("NFKC", character)
    # What becomes longer stays as it is, as in matching, and nothing becomes a wild card.
    wide = character if len(wide) > 1 or wide in _SPECIAL else wide
    lower = _lower(wide)
    parts = unicodedata.normalize("NFD", lower)
    bare = "".join(part for part in parts if not "\u0300" <= part <= "\u036f")
    # A capital that has no small letter with its accents has one without them.
    return lower if bare == parts and not _MARKS.intersection(parts) else _lower(bare)


def _lower(text: str) -> str:
    lower = text.casefold()
    return text if len(lower) > len(text) else lower


def folded_again(column: Column, values: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """Fold what stands in the columns of names, as an older version has folded it.

    Args:
        column: which attribute.
        values: what stands in each of its columns.
    """
    if column.kind is Kind.NAMES:
        return tuple(
            value and SEPARATOR.join(map(folded, value.split(SEPARATOR))) for value in values
        )
    groups = tuple(value and folded(value) for value in values)
    if any(group is not None and len(group) > _LONGEST for group in groups):
        return ("\\", None, None)
    return groups


def stored_values(column: Column, value: Any) -> tuple[Any, ...]:
    """Give what stands in the columns of an attribute.

    Args:
        column: which attribute.
        value: its value or values, as a data set has them; None if there is none.
    """
    if value is None:
        return _NONE if column.kind is Kind.NAME else _NONE[:1]
    if isinstance(value, list):
        values = [part for part in value if part not in {None, ""}]
        value = values[0] if len(values) == 1 else values or None
    if value is None or value == "":
        return (None,) * len(column.names)
    if column.kind is Kind.NAME:
        return _name(value)
    if column.kind is Kind.NAMES:
        return (_names(value),)
    if column.kind in {Kind.TEXT, Kind.UID, Kind.CLASS}:
        # SQL takes a text to its end or to a NUL, so that such a one is left to others, too.
        is_plain = not isinstance(value, list) and "\0" not in value and len(value) <= _LONGEST
        text = str(value) if is_plain else f"\\{value}".replace("\0", NO_CHARACTER)
        return (text[:_LONGEST],)
    return (SEVERAL if isinstance(value, list) else _number(column.kind, value),)


def value_of(data_set: DataSet, tag: int) -> Any:
    """The value of an attribute; None where it has none, or none that can be decoded."""
    try:
        return data_set[tag] if tag in data_set else None  # noqa: SIM401 - a miss is faster so
    except DecodeError:
        return None


def _name(value: Any) -> tuple[str | None, ...]:
    if isinstance(value, list):
        return ("\\", None, None)
    groups = [folded(group) or None for group in str(value).split("=", _GROUPS)[:_GROUPS]]
    if any(group is not None and len(group) > _LONGEST for group in groups):
        return ("\\", None, None)
    return (*groups, *[None] * (_GROUPS - len(groups)))


def _names(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    groups = [folded(group) for one in values for group in str(one).split("=", _GROUPS)[:_GROUPS]]
    return SEPARATOR + SEPARATOR.join(groups) + SEPARATOR


def _number(kind: Kind, value: Any) -> int | float | None:
    try:
        if kind is Kind.DATE:
            day = value.as_date()
            return int(day.year * 10_000 + day.month * 100 + day.day)
        if kind is Kind.TIME:
            clock = value.as_time()
            seconds = (clock.hour * 60 + clock.minute) * 60 + clock.second
            return int(seconds * 1_000_000 + clock.microsecond)
        if kind is Kind.INTEGER:
            whole = int(value)
            return whole if whole == value and abs(whole) <= _LARGEST else SEVERAL
        return float(value)
    except (ValueError, OverflowError):
        return None  # which no key but the universal ones can mean
    except (TypeError, AttributeError):
        return SEVERAL  # an element of another VR: who matches it knows what it means
