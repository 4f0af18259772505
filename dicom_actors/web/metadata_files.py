"""Metadata of series on the disk, so that they outlast a restart.

A file for each series, compressed, in the folder ``metadata`` of the archive. The first line is a
checksum of all that follows, the second says what the file was made of: a file that is damaged, cut
short, made of other instances, by another version or for another address is as good as none. So
nothing is synchronized, and nothing here is ever needed.

Names are hashes of UIDs. There are so many bytes at the most; the studies that were made first go
first.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from dicom_actors.archive.files import METADATA, Location
from dicom_actors.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.archive.files import Store

__all__ = ["MetadataFiles"]

_MOST_FILES: Final = 200_000
_UID_BYTES: Final = 256


class MetadataFiles:
    """See the module. Any thread may use it.

    Args:
        store: the archive's files.
        most_bytes: how much there may be; 0: nothing is kept.
    """

    def __init__(self, store: Store, most_bytes: int) -> None:
        self._store: Final = store
        self._disk: Final = store.file_system
        self._most: Final = most_bytes
        self._lock: Final = threading.Lock()
        self._sizes: OrderedDict[str, dict[str, int]] | None = None  # by study, and by file
        self._total = 0
        self._count = 0

    def find(self, study: str, series: str, stamp: str) -> bytes | None:
        """Give the metadata of a series; None: there are none that were made of that.

        Args:
            study: its UID.
            series: its UID.
            stamp: what they have to be made of, in one line.
        """
        if not self._most:
            return None
        try:
            data = self._disk.read(_name_of(study, series))
        except OSError:
            return None
        head = _head(study, stamp)
        start = 65 + len(head)
        if len(data) < start or bytes(data[65:start]) != head:
            return None
        if bytes(data[:64]) != _checksum(head, data[start:]):
            return None
        return bytes(data[start:])

    def keep(self, study: str, series: str, stamp: str, packed: bytes) -> None:
        """Keep the metadata of a series, if there is room; what was there of it goes."""
        head = _head(study, stamp)
        name = _name_of(study, series)
        size = 65 + len(head) + len(packed)
        if size > self._most:
            return
        part = self._store.part_name()
        with self._lock:
            known = self._known()
            try:
                self._disk.make_folder(METADATA)
                self._store.write(
                    part,
                    [_checksum(head, memoryview(packed)), b"\n", head, packed],
                    is_synchronous=False,
                )
                self._disk.rename(part, name)
            except OSError:  # a disk that is full is no matter of who asks
                with contextlib.suppress(OSError):
                    self._store.remove(Location(part))
                return
            files = known.setdefault(_hash(study), {})
            self._count += name not in files
            self._total += size - files.get(name, 0)
            files[name] = size
            while self._total > self._most or self._count > _MOST_FILES:
                self._remove(next(iter(known)))

    def drop(self, study: str) -> None:
        """Have nothing of a study any more."""
        with self._lock:
            self._remove(_hash(study))

    def studies(self) -> Iterator[str]:
        """Give the studies that there is something of, as the files say, one at a time."""
        with self._lock:
            found = [next(iter(files)) for files in self._known().values()]
        for name in found:
            with contextlib.suppress(OSError, ValueError):
                lines = bytes(self._disk.read(name, 65, _UID_BYTES)).split(b"\n")
                yield lines[0].decode("ascii")

    def _remove(self, hashed: str) -> None:
        for name, size in self._known().pop(hashed, {}).items():
            self._total -= size
            self._count -= 1
            with contextlib.suppress(OSError):
                self._disk.remove(name)

    def _known(self) -> OrderedDict[str, dict[str, int]]:
        """What there is; looked for once."""
        if self._sizes is None:
            self._sizes = OrderedDict()
            for leaf in self._disk.names(METADATA):
                name = f"{METADATA}/{leaf}"
                size = self._disk.size(name) or 0
                self._sizes.setdefault(leaf.partition("-")[0], {})[name] = size
                self._total += size
                self._count += 1
        return self._sizes


def _head(study: str, stamp: str) -> bytes:
    return f"{study}\n{__version__} {stamp}\n".encode()


def _checksum(head: bytes, packed: memoryview) -> bytes:
    digest = hashlib.sha256(head)
    digest.update(packed)
    return digest.hexdigest().encode()


def _hash(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:32]


def _name_of(study: str, series: str) -> str:
    return f"{METADATA}/{_hash(study)}-{_hash(series)}"
