"""Encapsulated pixel data: fragments, offset tables, frames.

Fragments stay where they are and come out as slices of it; nothing is decompressed here.

Standard: PS3.5 A.4; PS3.3 C.7.6.3.1.8 (Extended Offset Table and its lengths).
"""

from __future__ import annotations

from itertools import accumulate
from operator import index
from struct import pack, unpack_from
from typing import TYPE_CHECKING

from dicom_actors.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from mmap import mmap
    from typing import Self

    _Wanted = tuple[int | None, tuple[int, ...], tuple[int, ...]]

__all__ = ["EncapsulatedPixelData", "first_fragments", "is_codestream"]

# What the codestreams of JPEG, JPEG-LS, JPEG 2000, HTJ2K, JPEG XL and MPEG begin with.
_CODESTREAM_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x00\x00\x00\x0c")
_MAX_FRAGMENT = 0xFFFFFFFE


class EncapsulatedPixelData:
    """The value of Pixel Data (7FE0,0010) in a transfer syntax that compresses it.

    ``ds.PixelData.frames(ds.NumberOfFrames)`` gives the compressed frames.
    """

    __slots__ = ("_content", "_found", "_fragments", "_offsets", "_order")

    _order: str  # the byte order of `_content`; big only where that should not be
    # The frames as they were found last, after what they were found by: `frame` is asked for one
    # after the other.
    _found: tuple[_Wanted, list[tuple[memoryview, ...]]] | None

    def __init__(
        self, fragments: Iterable[bytes | memoryview], offset_table: Iterable[int] = ()
    ) -> None:
        """Make pixel data of fragments.

        Args:
            fragments: the fragments, without the Basic Offset Table; odd ones get a zero byte.
            offset_table: where each frame starts, in bytes from the first fragment's item; empty
                for none.

        Raises:
            EncodeError: a fragment is longer than an item can be.
        """
        self._content: memoryview | None = None
        self._fragments: tuple[memoryview, ...] | None = tuple(map(_even, fragments))
        self._offsets: tuple[int, ...] | None = tuple(offset_table)
        self._order = "<"
        self._found = None

    @classmethod
    def of_content(
        cls, content: bytes | memoryview | mmap, order: str = "<", *, is_cut: bool = False
    ) -> Self:
        """Make pixel data of the bytes between the header and the sequence delimiter.

        Args:
            content: the items.
            order: the byte order of their headers as the `struct` module writes it.
            is_cut: whether the last item may be cut short; what there is of it counts.
        """
        made = object.__new__(cls)
        made._content = memoryview(content).toreadonly()
        made._order = order
        made._fragments = made._offsets = made._found = None
        if is_cut:
            made._split(is_cut=True)
            made._content = None
        return made

    @classmethod
    def of_frames(
        cls, frames: Iterable[bytes | memoryview], *, has_offset_table: bool = True
    ) -> Self:
        """Make pixel data of compressed frames, one fragment for each.

        Args:
            frames: the compressed frames.
            has_offset_table: whether the Basic Offset Table is filled, where its 32 bits do.
        """
        fragments = tuple(map(_even, frames))
        offsets: list[int] = []
        at = 0
        for fragment in fragments:
            offsets.append(at)
            at += 8 + len(fragment)
        return cls(fragments, offsets if has_offset_table and at < 0xFFFFFFFF else ())

    @property
    def fragments(self) -> tuple[memoryview, ...]:
        """The fragments as they are, without the Basic Offset Table."""
        if self._fragments is None:
            self._split()
        return self._fragments or ()

    @property
    def offset_table(self) -> tuple[int, ...]:
        """The Basic Offset Table: where each frame starts; empty if it is not filled."""
        if self._offsets is None:
            self._split()
        return self._offsets or ()

    def frames(
        self,
        count: int | None = None,
        *,
        extended_offsets: Sequence[int] | None = None,
        extended_lengths: Sequence[int] | None = None,
    ) -> list[tuple[memoryview, ...]]:
        """Find out which fragments make each frame.

        Args:
            count: Number of Frames (0028,0008); None if the tables or fragments have to tell.
            extended_offsets: the values of Extended Offset Table (7FE0,0001), if there is one.
            extended_lengths: the values of Extended Offset Table Lengths (7FE0,0002), if there
                are such: how many bytes of each frame count. One that is longer than its frame
                says nothing.

        Returns:
            For each frame, its fragments; most often one.

        Raises:
            DecodeError: neither a table nor the fragments tell where frames start.
        """
        return list(self._frames(count, extended_offsets, extended_lengths))

    def frame(
        self,
        number: int,
        count: int | None = None,
        *,
        extended_offsets: Sequence[int] | None = None,
        extended_lengths: Sequence[int] | None = None,
    ) -> bytes | memoryview:
        """Return one compressed frame, counted from 0, in one piece.

        Where frames are is found out once, as long as the other arguments are the same; tables
        are compared in no time where they are the same tuples.

        Raises:
            DecodeError: neither a table nor the fragments tell where frames start.
            IndexError: there is no such frame.
        """
        parts = self._frames(count, extended_offsets, extended_lengths)[number]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _frames(
        self, count: int | None, offsets: Sequence[int] | None, lengths: Sequence[int] | None
    ) -> list[tuple[memoryview, ...]]:
        count = None if count is None else index(count)
        wanted = (count, tuple(offsets or ()), tuple(lengths or ()))
        if self._found is None or self._found[0] != wanted:
            self._found = wanted, self._find_frames(*wanted)
        return self._found[1]

    def _find_frames(
        self, count: int | None, offsets: tuple[int, ...], lengths: tuple[int, ...]
    ) -> list[tuple[memoryview, ...]]:
        fragments = self.fragments
        offsets = offsets or self.offset_table
        if count is None:
            count = len(offsets) or len(fragments)
        starts = first_fragments(
            [len(fragment) for fragment in fragments],
            lambda number: is_codestream(fragments[number]),
            offsets,
            count,
        )
        ends = [*starts[1:], len(fragments)] if starts else []
        found = [fragments[start:end] for start, end in zip(starts, ends, strict=True)]
        # Lengths are those of these frames if the offsets beside them are: pixel data may have been
        # replaced, and the tables not.
        if len(lengths) == count and (not offsets or _starts_at(fragments, starts, offsets)):
            found = [_cut(frame, length) for frame, length in zip(found, lengths, strict=True)]
        return found

    def encoded(self, order: str = "<") -> list[bytes | memoryview]:
        """The content of the element: the offset table's item, then those of the fragments.

        The sequence delimiter is not in it.

        Args:
            order: the byte order as the `struct` module writes it. The standard has no compressed
                pixel data in big endian; what came so is written so.
        """
        if self._content is not None and self._order == order and not self._has_odd_fragments():
            return [self._content]
        table = pack(f"{order}{len(self.offset_table)}I", *self.offset_table)
        out: list[bytes | memoryview] = [pack(order + "HHI", 0xFFFE, 0xE000, len(table)) + table]
        for fragment in map(_even, self.fragments):
            out += (pack(order + "HHI", 0xFFFE, 0xE000, len(fragment)), fragment)
        return out

    def _has_odd_fragments(self) -> bool:
        try:
            return any(len(fragment) & 1 for fragment in self.fragments)
        except DecodeError:
            return False  # what cannot be taken apart stays what it is

    def _split(self, *, is_cut: bool = False) -> None:
        content = self._content
        if content is None:
            return
        found: list[memoryview] = []
        pos, end = 0, len(content)
        while pos + 8 <= end:
            group, element, length = unpack_from(self._order + "HHI", content, pos)
            if is_cut and length > end - pos - 8:
                # Of the offset table, a part says nothing.
                if found and pos + 8 < end:
                    found.append(_even(content[pos + 8 :]))
                break
            if (group, element) != (0xFFFE, 0xE000) or length > end - pos - 8:
                raise DecodeError(
                    f"expected a fragment of at most {end - pos - 8} bytes,"
                    f" got ({group:04X},{element:04X}) of {length}",
                    tag=0x7FE00010,
                )
            found.append(content[pos + 8 : pos + 8 + length])
            pos += 8 + length
        table = found[0] if found else content[:0]
        self._offsets = unpack_from(f"{self._order}{len(table) // 4}I", table)
        self._fragments = tuple(found[1:])

    def __len__(self) -> int:
        return len(self.fragments)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EncapsulatedPixelData):
            return NotImplemented
        return self.fragments == other.fragments and self.offset_table == other.offset_table

    def __hash__(self) -> int:
        return hash(tuple(map(bytes, self.fragments)))

    def __reduce__(self) -> tuple[object, ...]:
        return EncapsulatedPixelData.of_content, (b"".join(self.encoded()),)

    def __repr__(self) -> str:
        size = sum(map(len, self.fragments))
        return f"<EncapsulatedPixelData {len(self.fragments)} fragments, {size} bytes>"


def is_codestream(fragment: bytes | memoryview) -> bool:
    """Whether a fragment begins as a codestream does."""
    return bytes(fragment[:4]).startswith(_CODESTREAM_STARTS)


def first_fragments(
    lengths: Sequence[int],
    begins: Callable[[int], bool],
    offsets: Sequence[int],
    count: int,
) -> list[int]:
    """Find out with which fragment each frame starts.

    Args:
        lengths: how many bytes each fragment has.
        begins: whether the fragment of a number begins as a codestream does.
        offsets: the offset table; empty for none.
        count: how many frames there are.

    Raises:
        DecodeError: neither the table nor the fragments tell.
    """
    if len(lengths) == count:
        return [*range(count)]
    if count == 1:
        return [0]
    if len(offsets) == count > 0:
        by_offset, at = {}, 0
        for number, length in enumerate(lengths):
            by_offset[at] = number
            at += 8 + length
        starts = [by_offset.get(offset, -1) for offset in offsets]
        if starts[0] == 0 and -1 not in starts and starts == sorted(set(starts)):
            return starts
    if len(lengths) > count > 0:
        starts = [number for number in range(len(lengths)) if begins(number)]
        if len(starts) == count and starts[0] == 0:
            return starts
    raise DecodeError(
        f"expected offsets of {count} frames in {len(lengths)} fragments, got {len(offsets)}",
        tag=0x7FE00010,
    )


def _starts_at(
    fragments: Sequence[memoryview], starts: Sequence[int], offsets: Sequence[int]
) -> bool:
    """Whether frames that begin with some fragments begin at some offsets."""
    places = list(accumulate((8 + len(fragment) for fragment in fragments), initial=0))
    return [places[start] for start in starts] == list(offsets)


def _cut(frame: tuple[memoryview, ...], length: int) -> tuple[memoryview, ...]:
    """Leave out what a frame has beyond its length, such as the byte that made it even."""
    beyond = sum(map(len, frame)) - length
    if beyond <= 0 or length <= 0:
        return frame
    parts = list(frame)
    while beyond >= len(parts[-1]):
        beyond -= len(parts.pop())
    if beyond:
        parts[-1] = parts[-1][:-beyond]
    return tuple(parts)


def _even(fragment: bytes | memoryview) -> memoryview:
    if len(fragment) > _MAX_FRAGMENT:
        raise EncodeError(f"a fragment has at most {_MAX_FRAGMENT} bytes, got {len(fragment)}")
    return memoryview(bytes(fragment) + b"\0" if len(fragment) & 1 else fragment)
