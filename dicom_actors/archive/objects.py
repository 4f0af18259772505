"""Objects on their way into an archive, and what comes of it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from typing import TYPE_CHECKING, NamedTuple, Self

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.archive.arguments import expect
from dicom_actors.archive.files import Location, Spool
from dicom_actors.archive.upkeep import Intake, describe_file
from dicom_actors.archive.upkeep.intake import header_length_of
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.archive.files import Store
    from dicom_actors.archive.index import Result

Source = str | os.PathLike[str] | DataSet | bytes | bytearray | memoryview

__all__ = ["Added", "NewObject", "Origin", "Source", "new_object"]


class Added(NamedTuple):
    """What came of an object that was to be kept.

    Attributes:
        sop_instance_uid: what it is.
        result: `Result.NEW`; `Result.SAME`: it was there; `Result.DIFFERENT`: another one of that
            UID was there.
        is_kept: whether these very bytes are in the archive now.
    """

    sop_instance_uid: str
    result: Result
    is_kept: bool


class Origin(NamedTuple):
    """Where an object comes from; empty: nobody knows, or it did not come by DIMSE.

    Attributes:
        calling_ae_title: who has sent it.
        called_ae_title: as what it has called us.
        address: from where.
    """

    calling_ae_title: str = ""
    called_ae_title: str = ""
    address: str = ""


class NewObject(NamedTuple):
    """An object that is to be kept.

    Attributes:
        intake: what the index is told of it.
        header: what stands before its data set in a file.
        data: its data set.
        save: writes it as a file of a name in a folder, and makes it safe; None: it is written
            like any bytes.
        origin: where it comes from.
        read: gives it as a data set; None: it is read of `data`.
    """

    intake: Intake
    header: bytes | memoryview
    data: bytes | memoryview
    save: Callable[[str, str], object] | None = None
    origin: Origin = Origin()
    read: Callable[[], DataSet] | None = None

    @classmethod
    def of(cls, source: DataSet | bytes | bytearray | memoryview) -> Self:
        """Make it of the bytes of a file, or a data set.

        The bytes of a file stay as they are if it has a preamble and a file meta group whose
        length is right; else, as for a data set, both are made.

        Raises:
            DataError: it cannot be read, or has not the UIDs that it needs.
            TypeError: it is nothing of the kind.
        """
        if not isinstance(source, DataSet):
            what = "a path, the bytes of a file or a DataSet"
            expect("source", source, (bytes, bytearray, memoryview), what)
            data = memoryview(source).toreadonly()
            data_set = read_file(data)
            try:
                length = header_length_of(data)
            except DecodeError:
                source = data_set
            else:
                syntax = str(data_set.file_meta.get("TransferSyntaxUID") or "")
                if syntax:
                    intake = Intake.of(lambda: data_set, syntax, length, data[length:])
                    return cls(intake, data[:length], data[length:])
                source = data_set
        buffer = io.BytesIO()
        write_file(buffer, source)
        return cls.of(buffer.getbuffer())

    @classmethod
    def of_spool(cls, spool: Spool, another: Callable[[], Spool]) -> Self:
        """Make it of a Part 10 file that came; if it is in a file, that becomes the object's.

        Args:
            spool: has taken it.
            another: makes one, where the object has to be written again.

        Raises:
            DataError: it cannot be read, or has not the UIDs that it needs.
            OSError: it cannot be kept.
        """
        data = spool.finish()
        try:
            intake = describe_file(data)
        except DecodeError:
            if not spool.name:
                return cls.of(data)
            # What has no file meta of a known length gets one.
            other = another()
            try:
                write_file(other.as_file(), read_file(data))
                data = other.finish()
                spool.become(other)
            finally:
                other.remove()
            intake = describe_file(data)
        length = intake.header_length
        save = spool.move if spool.name else None
        return cls(intake, data[:length], data[length:], save)

    def put(self, store: Store) -> Location:
        """Have its bytes safe, in a file of their own in ``incoming/``.

        Raises:
            OSError: they cannot be kept.
        """
        if self.save is None:
            return store.put([self.header, self.data])
        name, folder = store.incoming_name(), store.incoming
        self.save(os.path.join(store.root, folder), name)  # noqa: PTH118
        location = Location(f"{folder}/{name}")
        if store.file_system.size(location.name) != self.intake.size:
            # The folder was replaced by another one, or by a link.
            raise FileNotFoundError(errno.ENOENT, "what was written is not there", str(location))
        return location


@contextlib.contextmanager
def new_object(source: Source, store: Store, in_memory: int) -> Iterator[NewObject]:
    """Give an object that is to be kept within the block; afterwards nothing else is left of it.

    Args:
        source: a path, the bytes of a Part 10 file, or a data set.
        store: where it is to be kept.
        in_memory: bytes of which more are put into a file there at once.

    Raises:
        DataError: it cannot be read, or has not the UIDs that it needs.
        OSError: it cannot be read, or kept.
    """
    if not isinstance(source, str | os.PathLike):
        yield NewObject.of(source)
        return
    spool = Spool(store, in_memory)
    try:
        spool.write_file(source)
        yield NewObject.of_spool(spool, lambda: Spool(store, in_memory))
    finally:
        spool.remove()
