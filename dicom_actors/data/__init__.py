"""Data sets, data elements and DICOM files, without any network.

Standard: PS3.5, PS3.6, PS3.10.
"""

from __future__ import annotations

from dicom_actors.data.data_element import DataElement
from dicom_actors.data.data_set import DataSet, Path
from dicom_actors.data.encapsulated import EncapsulatedPixelData
from dicom_actors.data.number_strings import DS, IS
from dicom_actors.data.part10 import file_meta_header, read_file, write_file
from dicom_actors.data.person_name import PersonName
from dicom_actors.data.scope import Limits, ReadWarning
from dicom_actors.data.tag import Tag
from dicom_actors.data.temporal import AS, DA, DT, TM
from dicom_actors.data.transfer_syntax import TransferSyntax
from dicom_actors.data.uid import generate_uid, uid_name
from dicom_actors.data.vr import VR

__all__ = [
    "AS",
    "DA",
    "DS",
    "DT",
    "IS",
    "TM",
    "VR",
    "DataElement",
    "DataSet",
    "EncapsulatedPixelData",
    "Limits",
    "Path",
    "PersonName",
    "ReadWarning",
    "Tag",
    "TransferSyntax",
    "file_meta_header",
    "generate_uid",
    "read_file",
    "uid_name",
    "write_file",
]
