"""Bytes of an open file, read when they are wanted: what is sent is not held in memory for that.

A memory map alone would not do: a process that looks at a part of it that is no more, since
somebody else made the file shorter, dies by a signal (SIGBUS). Here that is an error of one read.
What goes to the system as it is may be a map all the same, which saves a copy: to a call of the
system that part is no address at all, and it says so.

pread(2), mmap(2), sendfile(2), EFAULT of send(2).
"""

from __future__ import annotations

import io
import mmap
import os
from typing import IO, Any, Final, cast

from dicom_actors.data.values.unread import PIECE, UnreadBytes
from dicom_actors.errors import FileChangedError

__all__ = ["FileBytes", "read_bytes"]

_WINDOW: Final = PIECE
"""Bytes that are read at a time where fewer are wanted: those that follow are wanted next."""

_HAS_PREAD: Final = hasattr(os, "pread")


class FileBytes(UnreadBytes):
    """Some of the bytes of a file, as a memoryview of them would be: a slice copies nothing.

    The file stays open for as long as this or a slice of it is there. One thread
    at a time may read.

    Args:
        file: the file.
        start: bytes before them.
        length: how many there are.
    """

    __slots__ = ("_file", "_length", "_start")

    def __init__(self, file: _File, start: int, length: int) -> None:
        self._file = file
        self._start = start
        self._length = length

    @classmethod
    def of(cls, descriptor: int, start: int, length: int, name: str) -> FileBytes:
        """Take an open file.

        Args:
            descriptor: of the file, which belongs to this object from now on.
            start: bytes before those that are meant.
            length: how many these are.
            name: what an error calls the file.
        """
        return cls(_File(descriptor, start + length, name), start, length)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> FileBytes:
        start, stop, _ = part.indices(self._length)
        return FileBytes(self._file, self._start + start, max(stop - start, 0))

    @property
    def offset(self) -> int:
        """Bytes before them in the file."""
        return self._start

    def fileno(self) -> int:
        """The descriptor of the file, for a call of the system that is over before this is gone."""
        return self._file.descriptor

    def read(self) -> memoryview:
        """Read them.

        Raises:
            FileChangedError: the file has become shorter, or cannot be read any more.
        """
        return self._file.read(self._start, self._length)

    def for_system(self) -> memoryview:
        """Give them to a call of the system that reads them, and to nothing else.

        That call fails with EFAULT if the file has become shorter; whoever else looks at them is
        killed then.

        Raises:
            FileChangedError: as for `read`.
        """
        file, start = self._file, self._start
        view = file.map or file.mapped()
        return self.read() if view is None else view[start : start + self._length]

    def as_file(self) -> IO[bytes]:
        """Give a file object that reads them."""
        return cast("IO[bytes]", _Reader(self))


class _Reader(io.RawIOBase):
    """Reads them as a file."""

    def __init__(self, data: FileBytes) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._data)}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def readinto(self, room: Any, /) -> int:
        found = self._data[self._at : self._at + len(room)].read()
        room[: len(found)] = found
        self._at += len(found)
        return len(found)


class _File:
    """An open file, and what was read of it last."""

    __slots__ = ("_close", "_end", "_is_mappable", "_window", "descriptor", "map", "name")

    def __init__(self, descriptor: int, end: int, name: str) -> None:
        self.descriptor = descriptor
        self._end = end
        self.name = name
        self._window: tuple[int, memoryview] = (0, memoryview(b""))
        self.map: memoryview | None = None
        self._is_mappable = True
        self._close = os.close  # still there when the interpreter goes down

    def __del__(self) -> None:
        self._close(self.descriptor)

    def mapped(self) -> memoryview | None:
        """All of it as a memory map; None: it cannot be one."""
        if self.map is None and self._is_mappable:
            try:
                self.map = memoryview(
                    mmap.mmap(self.descriptor, self._end, access=mmap.ACCESS_READ)
                )
            except (OSError, ValueError):  # it is shorter, or the file system has no maps
                self._is_mappable = False
        return self.map

    def read(self, start: int, length: int) -> memoryview:
        first, window = self._window
        if start < first or start + length > first + len(window):
            if length >= _WINDOW:
                return self._read(start, length)
            window = self._read(start, min(_WINDOW, self._end - start), at_least=length)
            first, self._window = start, (start, window)
        return window[start - first : start - first + length]

    def _read(self, start: int, wanted: int, at_least: int | None = None) -> memoryview:
        try:
            data = read_bytes(self.descriptor, wanted, start)
        except OSError as error:
            raise FileChangedError(f"{self.name}: {error.strerror or error}") from error
        if len(data) < (wanted if at_least is None else at_least):
            raise FileChangedError(
                f"{self.name}: expected {self._end} bytes, there are {start + len(data)} now:"
                " it was made shorter while it was read"
            )
        return memoryview(data)


def read_bytes(descriptor: int, length: int, start: int = 0) -> bytes:
    """Read bytes of an open file, fewer if there are no more; raises OSError."""
    if not _HAS_PREAD:
        os.lseek(descriptor, start, os.SEEK_SET)
    pieces = []
    while length > 0:
        piece = os.pread(descriptor, length, start) if _HAS_PREAD else os.read(descriptor, length)
        if not piece:
            break
        pieces.append(piece)
        length -= len(piece)
        start += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
