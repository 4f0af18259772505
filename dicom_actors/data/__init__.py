"""Data sets, data elements and DICOM files, without any network.

What few programs need (DICOMDIR, queries, the values of many files) is loaded when it is first
used. The conversion from and to pydicom has a module of its own,
`dicom_actors.data.forms.pydicom_bridge`.

Standard: PS3.5, PS3.6, PS3.10.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.dataset.data_set import DataElement, DataSet, Path
from dicom_actors.data.dictionary.tag import Tag
from dicom_actors.data.dictionary.transfer_syntax import TransferSyntax
from dicom_actors.data.dictionary.uids import generate_uid, uid_name
from dicom_actors.data.dictionary.vr import VR
from dicom_actors.data.files.part10 import file_meta_header, file_pieces, read_file, write_file
from dicom_actors.data.scan.scope import Limits, ReadWarning
from dicom_actors.data.values.character_sets import CharacterSet
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.value_types import AS, DA, DS, DT, IS, TM, PersonName

if TYPE_CHECKING:
    from dicom_actors.data.dataset.checks import Departure
    from dicom_actors.data.files.directory import (
        Directory,
        DirectoryRecord,
        NewDirectory,
        WrittenDirectory,
        read_directory,
        write_directory,
    )
    from dicom_actors.data.files.large_value import LargeElement, read_large
    from dicom_actors.data.query.matching import Query

__all__ = [
    "AS",
    "DA",
    "DS",
    "DT",
    "IS",
    "TM",
    "VR",
    "CharacterSet",
    "DataElement",
    "DataSet",
    "Departure",
    "Directory",
    "DirectoryRecord",
    "EncapsulatedPixelData",
    "LargeElement",
    "Limits",
    "NewDirectory",
    "Path",
    "PersonName",
    "Query",
    "ReadWarning",
    "Tag",
    "TransferSyntax",
    "WrittenDirectory",
    "file_meta_header",
    "file_pieces",
    "generate_uid",
    "read_directory",
    "read_file",
    "read_large",
    "uid_name",
    "write_directory",
    "write_file",
]

_HOMES: Final = {
    "Departure": "dicom_actors.data.dataset.checks",
    "Directory": "dicom_actors.data.files.directory",
    "DirectoryRecord": "dicom_actors.data.files.directory",
    "LargeElement": "dicom_actors.data.files.large_value",
    "NewDirectory": "dicom_actors.data.files.directory",
    "Query": "dicom_actors.data.query.matching",
    "WrittenDirectory": "dicom_actors.data.files.directory",
    "read_directory": "dicom_actors.data.files.directory",
    "read_large": "dicom_actors.data.files.large_value",
    "write_directory": "dicom_actors.data.files.directory",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
