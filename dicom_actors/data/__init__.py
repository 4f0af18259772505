"""Data sets, data elements and DICOM files, without any network.

What few programs need (DICOMDIR, queries, the values of many files) is loaded when it is first
used. The conversion from and to pydicom has a module of its own,
`dicom_actors.data.pydicom_bridge`.

Standard: PS3.5, PS3.6, PS3.10.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.charset import CharacterSet
from dicom_actors.data.data_element import DataElement
from dicom_actors.data.data_set import DataSet, Path
from dicom_actors.data.encapsulated import EncapsulatedPixelData
from dicom_actors.data.file_meta import file_meta_header
from dicom_actors.data.number_strings import DS, IS
from dicom_actors.data.part10 import read_file, write_file
from dicom_actors.data.person_name import PersonName
from dicom_actors.data.scope import Limits, ReadWarning
from dicom_actors.data.tag import Tag
from dicom_actors.data.temporal import AS, DA, DT, TM
from dicom_actors.data.transfer_syntax import TransferSyntax
from dicom_actors.data.uid import generate_uid, uid_name
from dicom_actors.data.vr import VR

if TYPE_CHECKING:
    from dicom_actors.data.checks import Departure
    from dicom_actors.data.directory import Directory, DirectoryRecord, read_directory
    from dicom_actors.data.directory_writer import WrittenDirectory, write_directory
    from dicom_actors.data.matching import Query

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
    "Limits",
    "Path",
    "PersonName",
    "Query",
    "ReadWarning",
    "Tag",
    "TransferSyntax",
    "WrittenDirectory",
    "file_meta_header",
    "generate_uid",
    "read_directory",
    "read_file",
    "uid_name",
    "write_directory",
    "write_file",
]

_HOMES: Final = {
    "Departure": "dicom_actors.data.checks",
    "Directory": "dicom_actors.data.directory",
    "DirectoryRecord": "dicom_actors.data.directory",
    "Query": "dicom_actors.data.matching",
    "WrittenDirectory": "dicom_actors.data.directory_writer",
    "read_directory": "dicom_actors.data.directory",
    "write_directory": "dicom_actors.data.directory_writer",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
