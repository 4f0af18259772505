"""The pixel data of a file, of which a frame is read where it stands, and nothing else.

The file is read by offset and not mapped: if it is made shorter meanwhile, what is missing is an
error, while a look at a map that is no more would end the process.

Standard: PS3.5 A.4; PS3.3 C.7.6.3.1.8 (Extended Offset Table and its lengths).
"""

from __future__ import annotations

import os
import weakref
from array import array
from operator import lt
from struct import unpack, unpack_from
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.files.part10 import open_regular, read_before
from dicom_actors.data.scan.layout import ITEM, SEQUENCE_END, UNDEFINED
from dicom_actors.data.values.encapsulated import first_fragments, is_codestream
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from typing import Self

    from dicom_actors.data.dataset.data_set import DataSet
    from dicom_actors.data.files.file_bytes import FileBytes

__all__ = ["PixelDataFile"]

_PIXEL_DATA: Final = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_EXTENDED_OFFSETS: Final = 0x7FE00001
_EXTENDED_LENGTHS: Final = 0x7FE00002
_VRS: Final = frozenset({b"OB", b"OW", b"OF", b"OD"})
_WINDOW: Final = 4 << 10
_MOST_FRAGMENTS: Final = 10_000_000
_MOST_OF_FRAME: Final = 1 << 30


class _Fragments(NamedTuple):
    """Where fragments are: the offset of the bytes of each in the file, and how many these are."""

    starts: array[int]
    lengths: array[int]


class PixelDataFile:
    """The pixel data of a file whose other elements are read.

    Attributes:
        data_set: what stands before the pixel data.
        tag: the element that has the pixels.
        length: how many bytes of native pixels there are; None: they are compressed.
    """

    def __init__(
        self, handle: int, data_set: DataSet, tag: int, start: int, length: int | None
    ) -> None:
        """Take an open file; see `open`."""
        self.data_set = data_set
        self.tag = tag
        self.length = length
        self._handle = handle
        self._start = start  # of the value
        self._table_length: int | None = None
        self._offsets: tuple[int, array[int]] | None = None  # after the number of frames
        self._fragments: _Fragments | None = None
        self._firsts: dict[int, list[int]] = {}  # by the number of frames
        self._closing = weakref.finalize(self, os.close, handle)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self | None:
        """Open a file; it is open until `close` is called, or nobody has this any more.

        Returns:
            It; None if its pixel data cannot be told from the rest without reading all of it: it
            is deflated, big endian, damaged or unusual, or has none.

        Raises:
            OSError: the file cannot be read, or is none.
        """
        if not hasattr(os, "pread"):
            return None
        handle, size = open_regular(path)
        made = None
        try:
            made = cls._of(handle, size)
        finally:
            if made is None:
                os.close(handle)
        return made

    @classmethod
    def of(cls, file: FileBytes, *, as_said: bool = True) -> Self | None:
        """Take a file that is open; as `open`.

        Args:
            file: the file, from its beginning on.
            as_said: whether fragments are taken for pixel data only where the transfer syntax
                says that there are some.
        """
        if not hasattr(os, "pread") or file.offset:
            return None
        handle, made = os.dup(file.fileno()), None
        try:
            made = cls._of(handle, len(file), as_said=as_said)
        finally:
            if made is None:
                os.close(handle)
        return made

    @classmethod
    def _of(cls, handle: int, size: int, *, as_said: bool = True) -> Self | None:
        found = read_before(handle, size, _PIXEL_DATA[0])
        if found is None:
            return None
        data_set, at = found
        syntax, header = data_set.transfer_syntax, os.pread(handle, 12, at)
        layout = content_of(data_set).scope.layout
        if syntax is None or not syntax.is_known or layout.order != "<" or len(header) < 12:
            return None
        group, element, length = unpack_from("<HH4xI", header)
        at += 12
        if not layout.is_explicit:
            (length,) = unpack_from("<I", header, 4)
            at -= 4
        elif header[4:6] not in _VRS:
            return None
        tag, is_compressed = group << 16 | element, length == UNDEFINED
        if tag not in _PIXEL_DATA:
            return None
        if as_said and is_compressed is not syntax.is_encapsulated:
            return None
        if not is_compressed and at + length > size:
            return None
        return cls(handle, data_set, tag, at, None if is_compressed else length)

    def close(self) -> None:
        """Close the file; to read it is an OSError then."""
        self._handle = -1
        self._closing()

    def read(self, offset: int, length: int) -> bytes:
        """Return so many bytes of native pixels.

        Raises:
            OSError: the file cannot be read.
            DecodeError: it has become shorter.
        """
        return self._read(self._start + offset, length)

    def fragments(self) -> tuple[int, int] | None:
        """Return where in the file the items of compressed pixel data begin and end.

        Returns:
            The offsets; None if no delimiter stands behind them.

        Raises:
            OSError: the file cannot be read.
            DecodeError: they are damaged.
        """
        found = self._all_fragments()
        end = self._start + 8 + self._table()
        if found.starts:
            end = found.starts[-1] + found.lengths[-1]
        delimiter = os.pread(self._handle, 8, end)
        whole = len(delimiter) == 8 and _tag_and_length(delimiter) == (SEQUENCE_END, 0)
        return (self._start, end) if whole else None

    def frame(self, number: int, count: int) -> bytes:
        """Return a compressed frame, counted from 0.

        An offset table is believed where it leads from one fragment to another; else all
        fragments are looked at once, and where they are is remembered.

        Args:
            number: which; there has to be one.
            count: Number of Frames (0028,0008).

        Raises:
            OSError: the file cannot be read.
            DecodeError: nothing tells where frames are, or the file has become shorter.
        """
        parts = self._by_table(number, count)
        if parts is None:
            fragments = self._all_fragments()
            starts = self._first_fragments(fragments, count)
            following = starts[number + 1] if number + 1 < count else len(fragments.starts)
            own = slice(starts[number], following)
            parts = [*zip(fragments.starts[own], fragments.lengths[own], strict=True)]
        total = sum(length for _, length in parts)
        if total > _MOST_OF_FRAME:
            raise DecodeError(
                f"expected a compressed frame of at most {_MOST_OF_FRAME} bytes, got {total}",
                tag=self.tag,
            )
        data = b"".join(self._read(start, length) for start, length in parts)
        lengths = self._extended(_EXTENDED_LENGTHS, count) if self._has_extended() else None
        if lengths is not None:
            (length,) = unpack_from("<Q", lengths, 8 * number)
            if 0 < length < len(data):
                return data[:length]  # without the byte that made it even
        return data

    # --- by an offset table --------------------------------------------------------------------

    def _by_table(self, number: int, count: int) -> list[tuple[int, int]] | None:
        """Return where the fragments of a frame are; None if no table tells."""
        bounds = self._bounds(number, count)
        if bounds is None:
            return None
        base = self._start + 8 + self._table()
        start, end = base + bounds[0], None if bounds[1] is None else base + bounds[1]
        parts: list[tuple[int, int]] = []
        while end is None or start < end:
            header = os.pread(self._handle, 8, start)
            if len(header) < 8:
                return None
            tag, length = _tag_and_length(header)
            if tag == SEQUENCE_END and end is None and parts:
                return parts
            if tag != ITEM or length == UNDEFINED or len(parts) >= _MOST_FRAGMENTS:
                return None
            parts.append((start + 8, length))
            start += 8 + length
        return parts if parts and start == end else None

    def _bounds(self, number: int, count: int) -> tuple[int, int | None] | None:
        """Return the offsets between which a frame is, without an end for the last one."""
        offsets = self._rising_offsets(count)
        if not offsets:
            return None
        return offsets[number], offsets[number + 1] if number + 1 < count else None

    def _rising_offsets(self, count: int) -> array[int]:
        """Return an offset for each frame; none if there is no table, or it cannot be one."""
        if self._offsets is None or self._offsets[0] != count:
            offsets = self._offset_table(count) if count > 1 else ()
            is_one = len(offsets) == count and not offsets[0] and offsets[-1] < 1 << 62
            is_one = is_one and all(map(lt, offsets, offsets[1:]))
            self._offsets = count, array("Q", offsets if is_one else ())
        return self._offsets[1]

    def _offset_table(self, count: int) -> tuple[int, ...]:
        """Return the extended table, if there is one, or the basic one."""
        if self._has_extended():
            extended = self.data_set[_EXTENDED_OFFSETS]
            return unpack_from(f"<{len(extended) // 8}Q", extended)
        if self._table() != 4 * count:
            return ()
        return unpack(f"<{count}I", self._read(self._start + 8, 4 * count))

    def _has_extended(self) -> bool:
        value = self.data_set.get(_EXTENDED_OFFSETS)
        return isinstance(value, bytes | memoryview) and len(value) >= 8

    def _extended(self, tag: int, count: int) -> bytes | memoryview | None:
        """Return an extended table that has a number for each frame."""
        value = self.data_set.get(tag)
        if isinstance(value, bytes | memoryview) and len(value) // 8 == count:
            return value
        return None

    def _table(self) -> int:
        """Return the length of the Basic Offset Table, which is the first item."""
        if self._table_length is None:
            tag, length = _tag_and_length(self._read(self._start, 8))
            if tag != ITEM or length == UNDEFINED:
                raise DecodeError(
                    f"expected the item of an offset table, got ({tag >> 16:04X},"
                    f"{tag & 0xFFFF:04X})",
                    tag=self.tag,
                )
            self._table_length = length
        return self._table_length

    # --- by looking at all fragments -----------------------------------------------------------

    def _first_fragments(self, fragments: _Fragments, count: int) -> list[int]:
        """Return with which fragment each frame starts."""
        found = self._firsts.get(count)
        if found is None:
            offsets = self._offset_table(count) if count > 1 else ()
            found = self._firsts[count] = first_fragments(
                fragments.lengths,
                lambda number: is_codestream(self._beginning(fragments, number)),
                offsets,
                count,
            )
        return found

    def _beginning(self, fragments: _Fragments, number: int) -> bytes:
        length = min(fragments.lengths[number], 4)
        return os.pread(self._handle, length, fragments.starts[number])

    def _all_fragments(self) -> _Fragments:
        if self._fragments is None:
            self._fragments = self._look_at_all()
        return self._fragments

    def _look_at_all(self) -> _Fragments:
        """Go from header to header."""
        starts, lengths = array("Q"), array("Q")
        pos = self._start + 8 + self._table()
        window, first = b"", pos
        while True:
            at = pos - first
            if not 0 <= at <= len(window) - 8:
                window, first, at = os.pread(self._handle, _WINDOW, pos), pos, 0
                if not window and pos == os.fstat(self._handle).st_size:
                    return _Fragments(starts, lengths)  # without the delimiter
                if len(window) < 8:
                    raise DecodeError(
                        f"expected a fragment or the end of all, got {len(window)} bytes",
                        tag=self.tag,
                    )
            tag, length = _tag_and_length(window, at)
            if tag == SEQUENCE_END:
                return _Fragments(starts, lengths)
            if tag != ITEM or length == UNDEFINED:
                raise DecodeError(
                    f"expected a fragment, got ({tag >> 16:04X},{tag & 0xFFFF:04X})", tag=self.tag
                )
            if len(starts) >= _MOST_FRAGMENTS:
                raise DecodeError(
                    f"expected at most {_MOST_FRAGMENTS} fragments, got more", tag=self.tag
                )
            starts.append(pos + 8)
            lengths.append(length)
            pos += 8 + length

    def _read(self, start: int, length: int) -> bytes:
        pieces, left = [], length
        while left:
            piece = os.pread(self._handle, left, start + length - left)
            if not piece:
                raise DecodeError(
                    f"expected {length} bytes at {start}, got {length - left}: the file has become"
                    " shorter, or is cut short",
                    offset=start,
                    tag=self.tag,
                )
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _tag_and_length(data: bytes, at: int = 0) -> tuple[int, int]:
    group, element, length = unpack_from("<HHI", data, at)
    return group << 16 | element, length
