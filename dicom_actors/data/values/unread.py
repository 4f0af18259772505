"""Bytes of a value that are not there before they are wanted: of a file, or made then.

What is written or sent of them is taken piece by piece, so that a value of any size takes no more
memory than a piece of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

__all__ = ["PIECE", "MadeBytes", "UnreadBytes", "UnreadFragments", "in_memory"]

PIECE: Final = 256 * 1024
"""Bytes that are taken at a time where nobody says how many."""


class UnreadBytes(ABC):
    """Bytes as a memoryview of them would be: a slice copies nothing. One thread at a time."""

    __slots__ = ()

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def __getitem__(self, part: slice, /) -> Self:
        """Some of them."""

    @abstractmethod
    def read(self) -> memoryview:
        """Take them.

        Raises:
            DataError: they cannot be had.
        """

    def for_system(self) -> memoryview:
        """Give them to a call of the system, and to nothing else; raises as `read` does."""
        return self.read()

    def __bytes__(self) -> bytes:
        return bytes(self.read())

    def chunks(self, length: int = PIECE) -> Iterator[memoryview]:
        """Take them piece by piece; raises as `read` does."""
        for start in range(0, len(self), length):
            yield self[start : start + length].read()


def in_memory(pieces: Iterable[bytes | memoryview | UnreadBytes]) -> Iterator[bytes | memoryview]:
    """Take pieces one after the other, those that are not read in parts of `PIECE` bytes.

    Raises:
        DataError: one cannot be had.
    """
    for piece in pieces:
        if type(piece) is not bytes and isinstance(piece, UnreadBytes):
            yield from piece.chunks()
        else:
            yield piece


class MadeBytes(UnreadBytes):
    """Bytes that are made in units of one length, the last one perhaps shorter.

    The two units that were made last are kept, as a piece may begin in the one and end in the next.

    Args:
        length: how many bytes there are.
        unit: the length of a unit.
        make: makes one, counted from 0. What it raises comes out of `read`.
    """

    __slots__ = ("_length", "_maker", "_start")

    def __init__(self, length: int, unit: int, make: Callable[[int], bytes | memoryview]) -> None:
        self._maker = _Maker(length, max(unit, 1), make)
        self._start = 0
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice, /) -> MadeBytes:
        start, stop, _ = part.indices(self._length)
        made = object.__new__(MadeBytes)
        made._maker = self._maker
        made._start = self._start + start
        made._length = max(stop - start, 0)
        return made

    def read(self) -> memoryview:
        """Make them."""
        maker, at, end = self._maker, self._start, self._start + self._length
        parts = []
        while at < end:
            number, skipped = divmod(at, maker.unit)
            part = maker.made(number)[skipped : skipped + end - at]
            parts.append(part)
            at += len(part)
        return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))


class _Maker:
    """Makes units, and keeps two."""

    __slots__ = ("_kept", "_length", "_make", "unit")

    def __init__(self, length: int, unit: int, make: Callable[[int], bytes | memoryview]) -> None:
        self._length = length
        self._make = make
        self._kept: dict[int, memoryview] = {}
        self.unit = unit

    def made(self, number: int) -> memoryview:
        found = self._kept.get(number)
        if found is None:
            while len(self._kept) > 1:
                del self._kept[next(iter(self._kept))]
            found = memoryview(self._make(number))
            expected = min(self.unit, self._length - number * self.unit)
            if len(found) != expected:
                raise DecodeError(f"expected {expected} bytes of unit {number}, got {len(found)}")
            self._kept[number] = found
        return found


class UnreadFragments(NamedTuple):
    """Encapsulated pixel data that are not read.

    Attributes:
        content: its items, little endian, without the delimiter.
        frame: reads one of the frames, by its number from 0 and how many there are; None: they are
            to be looked for in the content.
    """

    content: UnreadBytes
    frame: Callable[[int, int], bytes] | None = None

    def read(self) -> EncapsulatedPixelData:
        """Read them; raises as `UnreadBytes.read` does."""
        return EncapsulatedPixelData.of_content(self.content.read())
