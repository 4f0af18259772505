"""Copies of what is in buckets, on the disk, up to a number of bytes: what was used last stays.

Nothing in it is ever needed: it is not synchronized, and emptied at each start, so that no power
cut leaves anything in it that is not what it should be.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections import OrderedDict
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dicom_actors.archive.files.locations import CACHE
from dicom_actors.scu import spooled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dicom_actors.archive.files.file_system import FileSystem
    from dicom_actors.scu import FileBytes

__all__ = ["Cache"]

_Bytes = TypeVar("_Bytes", "memoryview", "memoryview | FileBytes")


class Cache:
    """See the module; any thread may use it.

    Args:
        file_system: of the archive's folder.
        most_bytes: how much there may be.
    """

    def __init__(self, file_system: FileSystem, most_bytes: int) -> None:
        self.most_bytes: Final = most_bytes
        self._disk = file_system
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._total = 0
        self._numbers = count(1)
        self._prefix = os.urandom(6).hex()

    def empty(self) -> None:
        """Begin with nothing; raises OSError."""
        self._disk.make_folder(CACHE)
        for name in self._disk.names(CACHE):
            self._disk.remove(f"{CACHE}/{name}")

    def find(self, location: str, offset: int, length: int | None) -> memoryview | None:
        """Give some bytes of an object; None: it is not here."""
        return self._find(location, lambda name: self._disk.read(name, offset, length))

    def open(self, location: str) -> memoryview | FileBytes | None:
        """Give the bytes of an object, many of them as they are wanted; None: it is not here."""
        return self._find(location, self._disk.open)

    def _find(self, location: str, give: Callable[[str], _Bytes]) -> _Bytes | None:
        name = _name_of(location)
        with self._lock:
            size = self._sizes.get(name)
            if size is None:
                return None
            self._sizes.move_to_end(name)
        try:
            if self._disk.size(name) == size:
                return give(name)
        except OSError:
            pass
        self._forget(name)
        return None

    def keep(self, location: str, chunks: Iterable[bytes | memoryview]) -> memoryview:
        """Take an object; returns its bytes, whether they can be kept or not.

        Raises:
            OSError: `chunks` does.
        """
        return self._keep(
            location, chunks, self._disk.read, lambda parts: memoryview(b"".join(parts))
        )

    def keep_open(
        self, location: str, chunks: Iterable[bytes | memoryview]
    ) -> memoryview | FileBytes:
        """Take an object as `keep` does; gives many bytes as they are wanted."""
        return self._keep(location, chunks, self._disk.open, spooled)

    def _keep(
        self,
        location: str,
        chunks: Iterable[bytes | memoryview],
        give: Callable[[str], _Bytes],
        gather: Callable[[Iterable[Any]], _Bytes],
    ) -> _Bytes:
        part = f"{CACHE}/{self._prefix}-{next(self._numbers)}.part"
        taken: list[bytes | memoryview] = []
        try:
            file = self._disk.create(part)
        except OSError:  # a disk that is full is none of the reader's business
            return gather(chunks)
        rest = iter(chunks)
        try:
            for chunk in rest:
                taken = [chunk]
                if file.length + len(chunk) > self.most_bytes:
                    raise OSError("too large")  # noqa: TRY301 - as a disk that is full
                file.append(taken)
                taken = []
            file.close()
            return self._have(location, part, file.length, give)
        except OSError:
            if not taken:
                raise
            file.close()
            return gather(chain([give(part)[: file.length]], taken, rest))
        finally:
            file.close()
            with contextlib.suppress(OSError):
                self._disk.remove(part)

    def _have(self, location: str, part: str, size: int, give: Callable[[str], _Bytes]) -> _Bytes:
        name = _name_of(location)
        found = give(part)  # which stays what it is, whatever becomes of its name
        with self._lock:
            try:
                self._disk.rename(part, name)
            except OSError:  # somebody has emptied the folder
                return found
            self._total += size - self._sizes.pop(name, 0)
            self._sizes[name] = size
            over = []
            while self._total > self.most_bytes:
                old, its_size = self._sizes.popitem(last=False)
                self._total -= its_size
                over.append(old)
            for old in over:
                with contextlib.suppress(OSError):
                    self._disk.remove(old)
        return found

    def forget(self, location: str) -> None:
        """Have an object no more."""
        self._forget(_name_of(location))

    def _forget(self, name: str) -> None:
        with self._lock:
            self._total -= self._sizes.pop(name, 0)
            with contextlib.suppress(OSError):
                self._disk.remove(name)


def _name_of(location: str) -> str:
    return f"{CACHE}/{hashlib.sha256(location.encode()).hexdigest()[:40]}"
