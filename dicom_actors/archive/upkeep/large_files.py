"""Large files, described without being read: of their pixel data, say, headers alone are read.

What is kept in memory of such a file is a copy in which the large value is nothing but zeros that
nobody has written, so that they take no room: all that is known of a data set by its bytes is known
of that copy, at the same offsets. Which value that is, `LargeElement` finds; a deflated file has a
copy of what it was inflated to.

Standard: PS3.5 A.4 (compressed pixel data). mmap(2).
"""

from __future__ import annotations

import mmap
from struct import Struct
from typing import TYPE_CHECKING, Final

from dicom_actors import LargeElement, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors import DataSet
    from dicom_actors.archive.files import FileBytes

__all__ = ["hollow_copy", "read_hollow"]

_ITEM: Final = Struct("<HHI")
_BEGINNING: Final = 16
"""Bytes of a fragment that say what it is, its header included."""
_NO_MEMORY_MAP: Final = -1


def hollow_copy(large: LargeElement) -> memoryview | None:
    """Copy a Part 10 file without its large value; None: there is no room for that.

    Args:
        large: the element, with the file that it stands in.

    Raises:
        OSError: the file cannot be read.
    """
    return _copy(large.file, list(_kept_of(large)))


def read_hollow(data: memoryview | FileBytes) -> DataSet:
    """Read a file, with zeros for what is left in it of a large value.

    Raises:
        DataError: it cannot be read.
        OSError: likewise.
    """
    if isinstance(data, memoryview):
        return read_file(data)
    large = LargeElement.of(data)
    copy = None if large is None else hollow_copy(large)
    return read_file(data.read() if copy is None else copy)


def _kept_of(large: LargeElement) -> Iterator[tuple[int, int]]:
    """The ranges of a file that are no large value; of items, their beginnings."""
    yield 0, large.start
    if large.compressed is not None:
        yield from _beginnings(large.file, large.start, large.end)
    yield large.end, len(large.file)


def _beginnings(file: FileBytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The beginnings of items, and the whole of the first one, which is the offset table."""
    at = start
    while at < end:
        *_, length = _ITEM.unpack(bytes(file[at : at + _ITEM.size]))
        following = at + _ITEM.size + length
        yield at, min(at + _BEGINNING, following) if at > start else following
        at = following


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
