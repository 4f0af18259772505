"""Compressed frames as they become pixel data: in memory while they are few, else in a file.

Standard: PS3.5 A.4.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from struct import pack
from typing import TYPE_CHECKING, Final

from dicom_actors.data.files.file_bytes import FileBytes
from dicom_actors.data.values.unread import PIECE, MadeBytes, UnreadBytes, UnreadFragments

if TYPE_CHECKING:
    from typing import Self

__all__ = ["FrameWriter"]

_IN_MEMORY: Final = 1 << 20


class FrameWriter:
    """Takes compressed frames, one fragment each, within a ``with``.

    Args:
        count: how many there will be.
        has_digests: whether `digests` are wanted.

    Attributes:
        lengths: bytes of each, without what makes them even.
        digests: the SHA-256 of each.
    """

    def __init__(self, count: int, *, has_digests: bool = False) -> None:
        self._has_digests: Final = has_digests
        self.lengths: Final = list[int]()
        self.digests: Final = list[bytes]()
        self._file: Final = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - it has no name
        # The offset table stands before the frames, whose lengths it takes.
        self._start: Final = 8 + 4 * count
        self._file.seek(self._start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, frame: bytes | memoryview) -> None:
        """Take the next frame; raises OSError, if there is no room for it."""
        length = len(frame)
        self.lengths.append(length)
        if self._has_digests:
            self.digests.append(hashlib.sha256(frame).digest())
        self._file.write(_header(length + (length & 1)))
        self._file.write(frame)
        self._file.write(b"\0" * (length & 1))

    def finish(self, *, has_offset_table: bool) -> UnreadFragments:
        """Give the pixel data; raises as `add` does.

        Args:
            has_offset_table: whether the Basic Offset Table is filled.
        """
        file, end = self._file, self._file.tell()
        offsets, at = [], 0
        for length in self.lengths:
            offsets.append(at)
            at += 8 + length + (length & 1)
        start = 0 if has_offset_table else self._start - 8
        table = pack(f"<{len(offsets)}I", *offsets) if has_offset_table else b""
        file.seek(start)
        file.write(_header(len(table)) + table)
        return UnreadFragments(_bytes_of(file, start, end))


def _header(length: int) -> bytes:
    return pack("<HHI", 0xFFFE, 0xE000, length)


def _bytes_of(file: tempfile.SpooledTemporaryFile[bytes], start: int, end: int) -> UnreadBytes:
    if end > _IN_MEMORY:
        file.flush()
        return FileBytes.of(os.dup(file.fileno()), start, end - start, "compressed frames")
    file.seek(start)
    data = memoryview(file.read())
    return MadeBytes(len(data), PIECE, lambda number: data[number * PIECE :][:PIECE])
