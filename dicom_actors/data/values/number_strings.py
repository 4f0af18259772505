"""Numbers that are text, one by one and many: DS and IS.

A structure set has hundreds of thousands of them, and few are looked at. So many values are one
`NumberList`: the text as it stands in the element, of which numbers are made when they are asked
for, a few at a time.

Standard: PS3.5 6.2.
"""

from __future__ import annotations

from bisect import bisect_right
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, SupportsIndex

from dicom_actors.data.values.noted_list import NotedList
from dicom_actors.data.values.value_types import DS, IS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Warn = Callable[[str], None]

__all__ = ["PADDING", "NumberList", "number_of"]

PADDING: Final = " \0"
_PIECE: Final = 1 << 12
_KINDS: Final[dict[str, Any]] = {"DS": DS, "IS": IS}


def number_of(vr: str, text: str, warn: Warn) -> DS | IS | str | None:
    """Return what one value of DS or IS stands for.

    Args:
        vr: which of both.
        text: its text.
        warn: called with what is wrong with it, if something is.

    Returns:
        The number with its text; the text if it is no number, None if there is none.
    """
    text = text.strip(PADDING)
    if not text:
        return None
    number: Any = None
    if "_" not in text and text.isascii():  # Python knows more numbers than DICOM does
        try:
            number = _KINDS[vr](text)
        except ValueError:
            number = _integral(text) if vr == "IS" else None
        else:
            if isfinite(number):
                number._text = text  # noqa: SLF001 - made of it
                return number  # type: ignore[no-any-return]  # made above
    warn(f"expected a number as {vr}, got {text!r}")
    if number is None:
        return text
    number._text = text  # noqa: SLF001 - as above
    return number  # type: ignore[no-any-return]  # made above


def _integral(text: str) -> IS | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return IS(number) if number.is_integer() else None


def _asked(name: str) -> Any:
    """Make the method of a list that looks at all values."""

    def ask(self: NumberList, *given: Any) -> Any:
        return getattr(list(self), name)(*map(_plain, given))

    return ask


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, NumberList) else value


def _nowhere(message: str) -> None:
    """Tell nobody."""


class NumberList(NotedList):
    """Many values of DS or IS: a list in every respect.

    It is the text of the element until it is changed, and costs what that costs. What stands at
    an index is a number with its text; a text where there is no number, None where there is
    nothing. A number is made each time it is asked for.
    """

    __slots__ = ("_firsts", "_here", "_numbers", "_starts", "_text", "_vr", "_warn")

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __init__(self, vr: str, text: str, warn: Warn = _nowhere) -> None:
        """Make a list of the text of an element.

        Args:
            vr: DS or IS.
            text: the text, without padding at its end.
            warn: called with what is wrong with the first value that is no number, when it is
                met.
        """
        self._vr = vr
        self._text: str | None = text
        self._warn = warn
        # Where pieces of the text start, the number of the first value in each; the piece that
        # was looked at last, and its values.
        self._starts: list[int] = []
        self._firsts: list[int] = []
        self._here = -1
        self._numbers: list[Any] = []

    @property
    def text(self) -> str | None:
        """The text that it was made of; None once it was changed."""
        return self._text

    def _note_change(self) -> None:
        """Become the list of the numbers, too, before they are changed."""
        super()._note_change()
        if self._text is not None:
            values = list(self)
            self._text = None
            self._starts = self._firsts = self._numbers = []
            list.extend(self, values)

    def _parsed(self, start: int, end: int) -> list[Any]:
        text, vr = self._text or "", self._vr
        parts = text[start:end].split("\\")
        new, numbers = _KINDS[vr], []
        if text.isascii() and "_" not in text[start:end]:
            try:
                for part in parts:
                    number = new(part)
                    number._text = part  # noqa: SLF001 - as above
                    numbers.append(number)
            except ValueError:
                numbers = []
            if numbers and (vr == "IS" or all(map(isfinite, numbers))):
                return numbers
        return [number_of(vr, part, self._warn_once) for part in parts]

    def _warn_once(self, message: str) -> None:
        warn, self._warn = self._warn, _nowhere
        warn(message)

    def _pieces(self) -> Iterator[tuple[int, int]]:
        """Give where pieces of the text start and end, each with whole values."""
        text = self._text or ""
        start = 0
        while start >= 0:
            end = text.find("\\", start + _PIECE)
            yield start, len(text) if end < 0 else end
            start = end + 1 if end >= 0 else -1

    def _at(self, number: int) -> Any:
        if not self._starts:
            if not number:  # many look at the first alone
                return self._parsed(0, len((self._text or "").partition("\\")[0]))[0]
            text, first = self._text or "", 0
            for start, end in self._pieces():
                self._starts.append(start)
                self._firsts.append(first)
                first += text.count("\\", start, end) + 1
        piece = bisect_right(self._firsts, number) - 1
        if piece != self._here:
            following = self._starts[piece + 1] - 1 if piece + 1 < len(self._starts) else None
            end = len(self._text or "") if following is None else following
            self._numbers = self._parsed(self._starts[piece], end)
            self._here = piece
        return self._numbers[number - self._firsts[piece]]

    # --- what a list is asked ----------------------------------------------------------------

    def __len__(self) -> int:
        return list.__len__(self) if self._text is None else self._text.count("\\") + 1

    def __iter__(self) -> Iterator[Any]:
        if self._text is None:
            return list.__iter__(self)
        return (number for piece in self._pieces() for number in self._parsed(*piece))

    def __getitem__(self, index: Any) -> Any:
        if self._text is None:
            return list.__getitem__(self, index)
        count = len(self)
        if isinstance(index, slice):
            return [self._at(at) for at in range(*index.indices(count))]
        number = index.__index__() if isinstance(index, SupportsIndex) else None
        if number is None:
            raise TypeError(f"list indices must be integers or slices, not {type(index).__name__}")
        if not -count <= number < count:
            raise IndexError("list index out of range")
        return self._at(number % count)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, NumberList) and self._text is not None and self._text == other._text:
            # One NaN does not equal another, but whoever compares texts means these.
            return self._vr == other._vr
        return list(self) == _plain(other) if isinstance(other, list) else NotImplemented

    def __ne__(self, other: object) -> bool:
        is_equal = self.__eq__(other)
        return is_equal if is_equal is NotImplemented else not is_equal

    def copy(self) -> list[Any]:
        """Return a list of its own, which shares the text."""
        return list(self) if self._text is None else NumberList(self._vr, self._text)

    def __add__(self, other: Any) -> Any:
        return list(self) + _plain(other)

    def __radd__(self, other: Any) -> Any:
        return other + list(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (list, (list(self),)) if self._text is None else (NumberList, (self._vr, self._text))

    def __repr__(self) -> str:
        return repr(list(self))

    __contains__ = _asked("__contains__")
    __reversed__ = _asked("__reversed__")
    __mul__ = _asked("__mul__")
    __rmul__ = _asked("__rmul__")
    __lt__ = _asked("__lt__")
    __le__ = _asked("__le__")
    __gt__ = _asked("__gt__")
    __ge__ = _asked("__ge__")
    index = _asked("index")
    count = _asked("count")
