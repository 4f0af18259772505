"""Data sets from and to pydicom, for code that has both.

Each way goes through the encoded bytes, the one form that both agree on: values, character sets,
private elements and pixel data come over as they are. pydicom has to be installed; this package
does not ask for it.
"""

from __future__ import annotations

from io import BytesIO
from struct import error as StructError  # noqa: N812 - the module spells it in lower case
from typing import TYPE_CHECKING, Final

from dicom_actors.data.dataset.data_set import DataSet
from dicom_actors.data.dictionary.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
)
from dicom_actors.errors import EncodeError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileMetaDataset

__all__ = ["from_pydicom", "to_pydicom"]

_ITS_ERRORS: Final = (
    *(ValueError, TypeError, AttributeError, LookupError, OSError, EOFError, ArithmeticError),
    *(AssertionError, RuntimeError, StructError),
)
"""What pydicom raises where it cannot go on."""


def to_pydicom(data_set: DataSet) -> Dataset:
    """Make pydicom's `Dataset` of a data set.

    Its ``file_meta`` is that of the data set, with the transfer syntax that pixel data needs to
    be understood.

    Raises:
        EncodeError: a value cannot be encoded, or pydicom cannot read what it is encoded as; its
            error is the cause.
        ImportError: pydicom is not installed.
    """
    from pydicom.filereader import read_dataset  # noqa: PLC0415 - optional

    if not isinstance(data_set, DataSet):
        raise EncodeError(f"expected a DataSet, got {type(data_set).__name__}")
    syntax = data_set.transfer_syntax or EXPLICIT_VR_LITTLE_ENDIAN
    if syntax.is_deflated:
        syntax = EXPLICIT_VR_LITTLE_ENDIAN
    raw = data_set.to_bytes(syntax)
    try:
        made = read_dataset(BytesIO(raw), syntax.is_implicit_vr, syntax.is_little_endian)
        made.file_meta = _file_meta_to_pydicom(data_set.file_meta, syntax)
    except _ITS_ERRORS as error:
        raise EncodeError(f"pydicom cannot read this data set: {error}") from error
    made.set_original_encoding(syntax.is_implicit_vr, syntax.is_little_endian)
    return made


def _file_meta_to_pydicom(file_meta: DataSet, syntax: TransferSyntax) -> FileMetaDataset:
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415 - optional
    from pydicom.filereader import read_dataset  # noqa: PLC0415 - optional

    raw = file_meta.to_bytes(EXPLICIT_VR_LITTLE_ENDIAN)
    made = FileMetaDataset(read_dataset(BytesIO(raw), is_implicit_VR=False, is_little_endian=True))
    made.TransferSyntaxUID = syntax.uid  # type: ignore[assignment]  # pydicom makes it a UID
    return made


def from_pydicom(dataset: Dataset) -> DataSet:
    """Make a data set of pydicom's `Dataset`, its file meta included.

    Raises:
        EncodeError: pydicom cannot encode the data set; its error is the cause.
        DecodeError: what pydicom made of it is no data set.
        ImportError: pydicom is not installed.
    """
    from pydicom.dataset import Dataset  # noqa: PLC0415 - optional

    if not isinstance(dataset, Dataset):
        raise EncodeError(f"expected a pydicom Dataset, got {type(dataset).__name__}")
    implicit, little = dataset.original_encoding
    file_meta = getattr(dataset, "file_meta", None)
    declared = (
        TransferSyntax.as_read(str(file_meta.get("TransferSyntaxUID", ""))) if file_meta else None
    )
    if implicit is None or little is None:
        implicit, little = False, True
    if declared is not None and declared.is_encapsulated and declared.is_known:
        syntax = declared
        implicit, little = False, True
    elif implicit:
        syntax = IMPLICIT_VR_LITTLE_ENDIAN
    else:
        syntax = EXPLICIT_VR_LITTLE_ENDIAN if little else EXPLICIT_VR_BIG_ENDIAN
    made = DataSet.from_bytes(_encoded(dataset, implicit=implicit, little=little), syntax)
    if file_meta:
        raw = _encoded(file_meta, implicit=False, little=True)
        made.file_meta = DataSet.from_bytes(raw, EXPLICIT_VR_LITTLE_ENDIAN)
    return made


def _encoded(dataset: Dataset, *, implicit: bool, little: bool) -> bytes:
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415 - optional
    from pydicom.filewriter import write_dataset  # noqa: PLC0415 - optional

    stream = DicomBytesIO()
    stream.is_implicit_VR = implicit
    stream.is_little_endian = little
    try:
        write_dataset(stream, dataset)
    except _ITS_ERRORS as error:
        raise EncodeError(f"pydicom cannot encode this data set: {error}") from error
    return stream.getvalue()
