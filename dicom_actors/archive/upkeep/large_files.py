"""Large files, described without being read: of their pixel data, say, headers alone are read.

What is kept in memory of such a file is a copy in which the large value is nothing but zeros that
nobody has written, so that they take no room: all that is known of a data set by its bytes is known
of that copy, at the same offsets. What is unusual (deflated, big endian, damaged) has none.

Standard: PS3.5 7.1 (data elements), A.4 (compressed pixel data). mmap(2).
"""

from __future__ import annotations

import mmap
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors import TransferSyntax, read_file
from dicom_actors.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors import DataSet
    from dicom_actors.archive.files import FileBytes

__all__ = ["LARGE_ONES", "UNDEFINED", "LargeElement", "element_at", "hollow_copy"]

_PIXEL_DATA: Final = 0x7FE00010
_DOCUMENT, _SPECTRUM, _PIXELS = 0x00420011, 0x56000020, 0x7FE00008
LARGE_ONES: Final = {
    _DOCUMENT: frozenset({_DOCUMENT}),
    _SPECTRUM: frozenset({_SPECTRUM}),
    _PIXELS: frozenset({_PIXELS, 0x7FE00009, _PIXEL_DATA}),
}
"""The elements whose values may be large, by the first tag of theirs."""
UNDEFINED: Final = 0xFFFFFFFF
_WORTH: Final = 1024 * 1024
"""Bytes of a value that is left out."""
_IMPLICIT_VRS: Final = {
    _DOCUMENT: "OB",
    _SPECTRUM: "OF",
    _PIXELS: "OF",
    0x7FE00009: "OD",
    _PIXEL_DATA: "OW",
}
"""What stands in no file of that transfer syntax (PS3.5 A.1)."""
_EXPLICIT, _IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
_HEADER: Final = Struct("<HH2sHI")
_SHORT_HEADER: Final = Struct("<HHI")
_ITEM: Final = 0xFFFEE000
_DELIMITER: Final = 0xFFFEE0DD
_BEGINNING: Final = 16
"""Bytes of a fragment that say what it is, its header included."""
_NO_MEMORY_MAP: Final = -1


class LargeElement(NamedTuple):
    """An element that is left in the file: its header, and where its value is.

    Attributes:
        before: what stands before it.
        tag: its tag.
        vr: its VR.
        start: bytes of the file before its value.
        length: bytes of its value; `UNDEFINED` for compressed pixel data.
    """

    before: DataSet
    tag: int
    vr: str
    start: int
    length: int


def element_at(
    file: FileBytes, header_length: int, transfer_syntax_uid: str, stop: int
) -> LargeElement | None:
    """Read what is before the first element that is not below a tag, and the header of that.

    Args:
        file: a Part 10 file.
        header_length: bytes before its data set.
        transfer_syntax_uid: of its data set.
        stop: the tag.

    Returns:
        None if there is none, or all of the file has to be read for it.

    Raises:
        OSError: the file cannot be read.
    """
    syntax = TransferSyntax.of(transfer_syntax_uid)
    if syntax.is_deflated or not (syntax.is_encapsulated or syntax.uid in {_EXPLICIT, _IMPLICIT}):
        return None
    try:
        before = read_file(file.as_file(), until=stop)
    except DataError:
        return None
    as_read = before.elements_as_read()
    if as_read is None or before.warnings or len(as_read.offsets) <= len(as_read.tags):
        return None
    at = header_length + as_read.offsets[-1] - as_read.offsets[0]
    header = bytes(file[at : at + _HEADER.size])
    if len(header) < _HEADER.size:
        return None
    if syntax.uid == _IMPLICIT:
        group, element, length = _SHORT_HEADER.unpack_from(header)
        tag = group << 16 | element
        return LargeElement(
            before, tag, _IMPLICIT_VRS.get(tag, ""), at + _SHORT_HEADER.size, length
        )
    group, element, vr, _, length = _HEADER.unpack(header)
    tag = group << 16 | element
    return LargeElement(before, tag, vr.decode("latin-1"), at + _HEADER.size, length)


def hollow_copy(file: FileBytes, header_length: int, transfer_syntax_uid: str) -> memoryview | None:
    """Copy a Part 10 file without its large value; None: that cannot be done.

    Args:
        file: the file.
        header_length: bytes before its data set.
        transfer_syntax_uid: of its data set.

    Raises:
        OSError: the file cannot be read.
    """
    for stop, tags in LARGE_ONES.items():
        found = element_at(file, header_length, transfer_syntax_uid, stop)
        if found is None:
            return None
        if found.tag in tags and found.length >= _WORTH:
            kept = list(_kept_of(file, found))
            return _copy(file, kept) if kept else None
    return None


def _kept_of(file: FileBytes, large: LargeElement) -> Iterator[tuple[int, int]]:
    """The ranges of a file that are no large value; none if it is not as it should be."""
    end = large.start + large.length
    if large.length != UNDEFINED:
        if end <= len(file):
            yield 0, large.start
            yield end, len(file)
        return
    pieces = list(_beginnings(file, large.start))
    if pieces:
        yield 0, large.start
        yield from pieces


def _beginnings(file: FileBytes, at: int) -> Iterator[tuple[int, int]]:
    """The beginnings of items, the whole of the first one, and what stands behind the last."""
    pieces: list[tuple[int, int]] = []
    while True:
        header = bytes(file[at : at + _SHORT_HEADER.size])
        if len(header) < _SHORT_HEADER.size:
            return
        group, element, length = _SHORT_HEADER.unpack(header)
        tag, end = group << 16 | element, at + _SHORT_HEADER.size + length
        if tag == _DELIMITER:
            yield from pieces
            yield at, len(file)
            return
        if tag != _ITEM or end > len(file):
            return
        pieces.append((at, min(at + _BEGINNING, end) if pieces else end))
        at = end


def _copy(file: FileBytes, kept: list[tuple[int, int]]) -> memoryview | None:
    flags = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    try:
        made = memoryview(mmap.mmap(_NO_MEMORY_MAP, len(file), **flags))
    except (OSError, ValueError, OverflowError):  # there is not so much of it
        return None
    for start, end in kept:
        at = start
        for chunk in file[start:end].chunks():
            made[at : at + len(chunk)] = chunk
            at += len(chunk)
    return made.toreadonly()
