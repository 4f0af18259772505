"""The journal: small objects one behind the other, so that many are safe by one synchronization.

A record is a head with a checksum of its own, the SOP Instance UID, and the object as the file
that it will be: what stands before the data set, and the data set. A journal that was cut off in
a record, or has nothing but zeros there, ends before it: nobody was told that it was kept.
"""

from __future__ import annotations

import errno
import zlib
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.archive.files.locations import JOURNAL, Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.archive.files.file_system import FileSystem

__all__ = ["JournalWriter", "Record", "journal_names", "name_of", "number_of", "read_records"]

# Mark, checksum of all from behind it to the object, lengths of UID, of what stands before the
# data set and of the data set; when it was received; checksum of the data set (SHA-256).
_HEAD: Final = Struct("<4sIHxxIQd32s")
_BEHIND_CHECKSUM: Final = 8
_MARK: Final = b"DAjr"
_NAME: Final = "{}/{:010d}.journal"
_END: Final = ".journal"


class Record(NamedTuple):
    """An object in a journal.

    Attributes:
        location: where the object begins.
        sop_instance_uid: what it is.
        header_length: bytes before the data set.
        size: bytes of all of it.
        received: seconds since 1970.
        checksum: of the data set.
    """

    location: Location
    sop_instance_uid: str
    header_length: int
    size: int
    received: float
    checksum: bytes

    @property
    def end(self) -> int:
        """Where in the journal what is behind it begins."""
        return self.location.offset + self.size

    def is_sound(self, data: memoryview) -> bool:
        """Whether `data`, read from its location, is what was written there."""
        return (
            len(data) == self.size and sha256(data[self.header_length :]).digest() == self.checksum
        )


class JournalWriter:
    """A journal that is being written, by one thread.

    Attributes:
        name: its file.
        is_sound: whether it can be written on; not after an error that left it in doubt.
    """

    def __init__(self, file_system: FileSystem, number: int, folder: str = JOURNAL) -> None:
        """Create it; raises OSError."""
        self.name: Final = name_of(number, folder)
        self.is_sound = True
        self._disk = file_system
        self._file = file_system.create(self.name)
        file_system.synchronize_folder(folder)

    @property
    def length(self) -> int:
        """Bytes that were written."""
        return self._file.length

    def append(
        self,
        sop_instance_uid: str,
        header: bytes | memoryview,
        data: bytes | bytearray | memoryview,
        *,
        received: float,
        checksum: bytes,
    ) -> Location:
        """Write an object behind the others; it is safe after `synchronize`.

        Raises:
            OSError: there is no room, for example; nothing of it is left.
        """
        uid = sop_instance_uid.encode("ascii", "surrogateescape")
        head = _HEAD.pack(_MARK, 0, len(uid), len(header), len(data), received, checksum)
        crc = zlib.crc32(uid, zlib.crc32(head[_BEHIND_CHECKSUM:]))
        head = _MARK + crc.to_bytes(4, "little") + head[_BEHIND_CHECKSUM:]
        before = self._file.length
        try:
            self._file.append([head, uid, header, data])
        except OSError:
            self._take_back(before)
            raise
        return Location(self.name, before + len(head) + len(uid))

    def synchronize(self) -> None:
        """Make all that was written safe.

        Raises:
            OSError: nobody knows what of it is; nothing more can be written to this one.
        """
        try:
            self._file.synchronize()
        except OSError:
            self.is_sound = False
            raise

    def check(self) -> None:
        """Make sure that it is where somebody will look for it.

        Raises:
            FileNotFoundError: its folder is gone, or was replaced.
        """
        if not self._file.is_in_place():
            raise FileNotFoundError(errno.ENOENT, "the journal is gone", self.name)

    def close(self) -> None:
        """Write no more to it."""
        self._file.close()

    def _take_back(self, length: int) -> None:
        try:
            self._file.cut(length)
        except OSError:
            self.is_sound = False


def journal_names(file_system: FileSystem, folder: str = JOURNAL) -> list[str]:
    """The files of all journals in a folder, the oldest first."""
    return [f"{folder}/{name}" for name in file_system.names(folder) if name.endswith(_END)]


def name_of(number: int, folder: str = JOURNAL) -> str:
    """The file of a journal."""
    return _NAME.format(folder, number)


def number_of(name: str) -> int:
    """The number of a journal, by the name of its file; 0 for a name that has none."""
    digits = name.rpartition("/")[2].removesuffix(_END)
    return int(digits) if digits.isdecimal() and digits.isascii() else 0


def read_records(file_system: FileSystem, name: str) -> Iterator[tuple[Record, memoryview]]:
    """Give what is in a journal, up to the first thing that is no record.

    Args:
        file_system: where it is.
        name: its file.

    Returns:
        An iterator over pairs of a record and the object's bytes, which may be damaged: see
        `Record.is_sound`.

    Raises:
        OSError: it cannot be read.
    """
    data = file_system.read(name)
    at, end = 0, len(data)
    while at + _HEAD.size <= end:
        head = data[at : at + _HEAD.size]
        mark, crc, uid_length, header_length, length, received, checksum = _HEAD.unpack(head)
        start = at + _HEAD.size + uid_length
        at = start + header_length + length
        if mark != _MARK or at > end:
            return
        uid = data[start - uid_length : start]
        if zlib.crc32(uid, zlib.crc32(head[_BEHIND_CHECKSUM:])) != crc:
            return
        yield (
            Record(
                Location(name, start),
                str(uid, "ascii", "surrogateescape"),
                header_length,
                header_length + length,
                received,
                checksum,
            ),
            data[start:at],
        )
