"""Objects on their way into an archive, and what comes of it."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.archive.upkeep import Intake
from dicom_actors.archive.upkeep.intake import header_length_of
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.archive.index import Result

__all__ = ["Added", "NewObject", "Origin"]


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
        data_set: it, if somebody has it; None: it is read when it is needed.
    """

    intake: Intake
    header: bytes | memoryview
    data: bytes | memoryview
    save: Callable[[str, str], object] | None = None
    origin: Origin = Origin()
    data_set: DataSet | None = None

    @classmethod
    def of(cls, source: str | os.PathLike[str] | DataSet | bytes | bytearray | memoryview) -> Any:
        """Make it of a path, the bytes of a file, or a data set.

        The bytes of a file stay as they are if it has a preamble and a file meta group whose
        length is right; else, as for a data set, both are made.

        Raises:
            DataError: it cannot be read, or has not the UIDs that it needs.
            OSError: the file cannot be read.
        """
        if isinstance(source, str | os.PathLike):
            with open(source, "rb") as file:  # noqa: PTH123 - of a path or text
                source = file.read()
        if not isinstance(source, DataSet):
            data = memoryview(source).toreadonly()
            data_set = read_file(data)
            try:
                length = header_length_of(data)
            except DecodeError:
                source = data_set
            else:
                syntax = str(data_set.file_meta.get("TransferSyntaxUID") or "")
                if syntax:
                    intake = Intake.of(data_set, syntax, length, data[length:])
                    return cls(intake, data[:length], data[length:])
                source = data_set
        buffer = io.BytesIO()
        write_file(buffer, source)
        return cls.of(buffer.getbuffer())
