"""What the index is told of an object: made of its bytes, before anything is written.

The checksum is that of the data set alone: what stands before it in a file names who sent it,
and the same object from two senders is the same.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dicom_actors import DataSet, LargeElement, TransferSyntax, read_file
from dicom_actors.archive.index import Duplicates, NewInstance, Queued, describe_elements
from dicom_actors.archive.upkeep.acquisitions import Acquisition
from dicom_actors.archive.upkeep.large_files import hollow_copy
from dicom_actors.archive.upkeep.pixel_data import FrameRanges
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.archive.files import FileBytes, Location, Store
    from dicom_actors.archive.index import Description

__all__ = [
    "Intake",
    "checksum_of",
    "describe_at",
    "describe_file",
    "header_length_of",
]

_PIECE = 2_047
_HASHED_IN_PIECES = 64 * 1024
_PREFIX_END = 132
_FRONT = 64 * 1024
_LARGE = 16 * 1024 * 1024
"""Bytes of a file that is not read whole for that."""
_CHUNK = 1024 * 1024
_META = 1024
"""Bytes in which the transfer syntax stands: what is before it in a file has 64 at most each."""
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"


class Intake(NamedTuple):
    """An object, before it has a location.

    Attributes:
        description: what is kept of its data set.
        transfer_syntax_uid: how it is encoded.
        header_length: bytes before the data set in the file.
        size: bytes of the file.
        checksum: of the data set.
        pixel_data: where its frames are; see `FrameRanges.encoded`. None: nobody knows.
        acquisition: how many there are of its acquisition; None: it does not say.
    """

    description: Description
    transfer_syntax_uid: str
    header_length: int
    size: int
    checksum: bytes
    pixel_data: bytes | None = None
    acquisition: Acquisition | None = None

    @classmethod
    def of(
        cls,
        read: Callable[[], DataSet],
        transfer_syntax_uid: str,
        header_length: int,
        data: memoryview,
        checksum: bytes | None = None,
    ) -> Intake:
        """Make it of a data set and its bytes.

        Args:
            read: gives the data set, which is wanted where something is unusual.
            transfer_syntax_uid: how `data` is encoded.
            header_length: bytes that stand before it in the file.
            data: the data set's bytes.
            checksum: theirs, if somebody has it already.

        Raises:
            DecodeError: one of its UIDs is missing, or none; that of its transfer syntax, too.
        """
        try:
            syntax = TransferSyntax.of(transfer_syntax_uid)
        except ValueError as error:
            raise DecodeError(f"transfer syntax: {error}") from error
        elements = DataSet.elements_of(data, syntax)
        if elements is None:
            elements = read().elements_as_read()
        frames = None if syntax.is_deflated else FrameRanges.of_elements(elements, read)
        return cls(
            describe_elements(elements, read),
            transfer_syntax_uid,
            header_length,
            header_length + len(data),
            checksum or checksum_of(data),
            None if frames is None else frames.encoded(),
            Acquisition.of(elements, read),
        )

    @property
    def sop_instance_uid(self) -> str:
        """What it is."""
        return self.description.sop_instance_uid

    def row(
        self,
        location: Location,
        received: float,
        duplicates: Duplicates,
        queued: tuple[Queued, ...] = (),
    ) -> NewInstance:
        """Make what the index is told once it is at `location`; see there."""
        return NewInstance(
            self.description,
            self.transfer_syntax_uid,
            str(location),
            self.size,
            self.checksum,
            header_length=self.header_length,
            received=received,
            pixel_data=self.pixel_data,
            duplicates=duplicates,
            queued=queued,
        )


def checksum_of(data: memoryview | bytes) -> bytes:
    """The checksum of a data set (SHA-256)."""
    length = len(data)
    if length > _HASHED_IN_PIECES:
        return sha256(data).digest()
    # Longer pieces are hashed without the interpreter's lock, and among many threads that are busy
    # it takes many times as long to have the lock again as to hash so little.
    checksum = sha256()
    for at in range(0, length, _PIECE):
        checksum.update(data[at : at + _PIECE])
    return checksum.digest()


def describe_at(store: Store, location: Location, size: int | None = None) -> Intake:
    """Make it of a file, or an object in a journal or a bucket; see `describe_file`.

    Args:
        store: where it is.
        location: its place.
        size: its bytes; needed in a journal.
    """
    return describe_file(store.open(location, size, as_wanted=_LARGE))


def describe_file(data: memoryview | FileBytes) -> Intake:
    """Make it of the bytes of a Part 10 file (PS3.10 7.1).

    Of what is left in a file, little is in memory at a time, if it is as files mostly are.

    Raises:
        DataError: it is no such file, or one that is cut short; or it has no UIDs.
        OSError: it cannot be read.
    """
    # Of a few bytes that are deflated there may be many.
    if isinstance(data, memoryview) and _DEFLATED not in bytes(data[:_META]):
        return _describe_whole(data)
    return _describe_large(data)


def _describe_whole(data: memoryview) -> Intake:
    data_set = read_file(data)
    header_length = header_length_of(data)
    syntax = _syntax_of(data_set)
    return Intake.of(lambda: data_set, syntax, header_length, data[header_length:])


def _describe_large(file: memoryview | FileBytes) -> Intake:
    large = LargeElement.of(file)
    copy = None if large is None else hollow_copy(large)
    if large is None or copy is None:
        return _describe_whole(file if isinstance(file, memoryview) else file.read())
    header_length = header_length_of(memoryview(bytes(file[:_FRONT])))
    checksum = sha256()
    for at in range(header_length, len(file), _CHUNK):
        checksum.update(bytes(file[at : at + _CHUNK]))
    read = cache(lambda: read_file(copy))
    syntax = _syntax_of(large.before)
    if large.file is file:
        return Intake.of(read, syntax, header_length, copy[header_length:], checksum.digest())
    start = header_length_of(copy)
    made = Intake.of(read, _syntax_of(read()), start, copy[start:], checksum.digest())
    # Where frames are in what it is inflated to is of no use.
    return made._replace(
        transfer_syntax_uid=syntax, header_length=header_length, size=len(file), pixel_data=None
    )


def _syntax_of(data_set: DataSet) -> str:
    return str(data_set.file_meta.value_for("TransferSyntaxUID"))


def header_length_of(data: memoryview) -> int:
    """Bytes before the data set in a Part 10 file, by its File Meta Information Group Length.

    Raises:
        DecodeError: it does not begin as such a file does.
    """
    start = bytes(data[_PREFIX_END - 4 : _PREFIX_END + 12])
    if start[:12] != b"DICM" + _GROUP_LENGTH:
        raise DecodeError("expected a file with a preamble and a file meta group length")
    length = _PREFIX_END + 12 + int.from_bytes(start[12:16], "little")
    if length > len(data):
        raise DecodeError(f"expected {length} bytes of file meta, got {len(data)}")
    return length
