"""Bytes of an object that come a piece at a time, before anybody knows what it is.

They stay in memory while they are few. Many go to a file in ``incoming/``, which becomes the
object's: so an object of any size takes no more memory than a small one, and is written once.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import IO, TYPE_CHECKING, Any, Final, cast

from dicom_actors.archive.files.locations import Location

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.archive.files.store import Store

__all__ = ["Spool"]

_PIECE: Final = 1 << 20


class Spool:
    """Takes bytes; for one thread at a time.

    Args:
        store: where the file is made.
        in_memory: bytes that wait in memory at the most.

    Attributes:
        name: of the file; empty while there is none.
        length: how many there are.
    """

    def __init__(self, store: Store, in_memory: int) -> None:
        self._store = store
        self._in_memory = in_memory
        self._parts: list[bytes | memoryview] = []
        self._pending = 0
        self._file: Any = None
        self._content = memoryview(b"")
        self.name = ""
        self.length = 0

    def write(self, data: bytes | memoryview) -> None:
        """Take more; it must not change.

        Raises:
            OSError: there is no room, for example; nothing is left of it then.
        """
        self.length += len(data)
        self._parts.append(data)
        self._pending += len(data)
        if self._pending <= self._in_memory:
            return
        try:
            self._append()
        except OSError:
            self.remove()
            raise

    def write_all(self, data: memoryview) -> None:
        """Take many, a piece at a time; raises as `write` does."""
        for at in range(0, len(data), _PIECE):
            self.write(bytes(data[at : at + _PIECE]))

    def write_file(self, path: str | os.PathLike[str]) -> None:
        """Take all of a file; raises as `write` does, and OSError if it cannot be read, or is none.

        A pipe or a device may never begin, or never end.
        """
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "expected a file, and no pipe or device", str(path))
            while piece := file.read(_PIECE):
                self.write(piece)

    def _append(self) -> None:
        if self._file is None:
            self.name = self._store.part_name()
            self._file = self._store.file_system.create(self.name)
        self._file.append(self._parts)
        self._parts = []
        self._pending = 0

    def finish(self) -> memoryview:
        """All has come: make it safe and give it, mapped where it is in a file and large.

        Raises:
            OSError: the file cannot be made safe or read.
        """
        if self._file is not None:
            self._append()
            self._file.synchronize()
        return self.look()

    def look(self) -> memoryview:
        """All has come: give it as `finish` does, though it need not outlast us.

        Raises:
            OSError: the file cannot be written or read.
        """
        if self._file is not None:
            self._append()
            self._content = self._file.content()
            self._file.close()
            self._file = None
        return self._content if self.name else memoryview(b"".join(self._parts))

    def become(self, other: Spool) -> None:
        """Forget it all, and be what another one is, which is nothing then."""
        self.remove()
        self.name, other.name = other.name, ""
        self._content = other._content
        self.length, self._parts = other.length, other._parts

    def move(self, folder: str, name: str) -> None:
        """Give the file a name in ``incoming/``, and make that safe; raises OSError."""
        del folder  # it is the one of the archive's incoming objects
        disk, folder = self._store.file_system, self._store.incoming
        disk.rename(self.name, f"{folder}/{name}")
        disk.synchronize_folder(folder)
        self.name = ""

    def remove(self) -> None:
        """Forget it all."""
        self._parts, self._content = [], memoryview(b"")
        if self._file is not None:
            self._file.close()
            self._file = None
        if self.name:
            try:
                self._store.remove(Location(self.name))
            except OSError:
                return  # it is removed at the next start
            self.name = ""

    def as_file(self) -> IO[bytes]:
        """Give it as a file that can be written."""
        return cast("IO[bytes]", _Writer(self))


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class _Writer:
    """See `Spool.as_file`."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def write(self, data: bytes | bytearray | memoryview) -> int:
        whole = memoryview(data)
        self._spool.write_all(whole)
        return len(whole)

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        for piece in pieces:
            self.write(piece)

    def flush(self) -> None:
        """There is nothing to do."""
