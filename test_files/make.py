"""Make the files of this folder with pydicom, so that what judges our reader did not write them.

``python test_files/make.py`` writes them anew; they come out the same each time.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

CLASS_UID = "1.2.840.10008.5.1.4.1.1.7"
FOLDER = Path(__file__).parent


def base(name: str) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = CLASS_UID
    ds.SOPInstanceUID = f"2.25.{sum(name.encode())}"
    ds.PatientName = "Doe^John"
    ds.PatientID = name
    ds.StudyInstanceUID = "2.25.1"
    ds.SeriesInstanceUID = "2.25.2"
    ds.Modality = "OT"
    return ds


def every_vr(name: str) -> Dataset:
    ds = base(name)
    ds.RetrieveAETitle = ["STORE1", "STORE2"]
    ds.PatientAge = "018M"
    ds.FrameIncrementPointer = [0x00181063, 0x00540080]
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.StudyDate = "20240229"
    ds.PixelSpacing = ["0.50", "0.50"]
    ds.AcquisitionDateTime = "20240229123015.5+0100"
    ds.RealWorldValueSlope = 0.1
    ds.BoundingBoxTopLeftHandCorner = [1.5, -0.25]
    ds.InstanceNumber = "7"
    ds.AdditionalPatientHistory = "one\r\ntwo"
    ds.ICCProfile = b"\x01\x02\x03\x04"
    ds.TrackPointIndexList = b"\x01\0\0\0"
    ds.RedPaletteColorLookupTableData = b"\x01\0\x02\0"
    ds.AccessionNumber = "A1"
    ds.ReferencePixelX0 = -2
    ds.TagAngleSecondAxis = -2
    ds.InstitutionAddress = "Street 1"
    ds.SelectorSVValue = -2
    ds.StudyTime = "123015.25"
    ds.LongCodeValue = "a long code"
    ds.SelectorULValue = 0x01020304
    ds.add_new("SelectorUNValue", "UN", b"\x01\x02")
    ds.RetrieveURL = "http://localhost/x"
    ds.AcquisitionMatrix = [0, 256, 192, 0]
    ds.TextValue = "text of any length"
    ds.SelectorUVValue = 0x0102030405060708
    ds.BeamSequence = [nested(1), nested(2)]
    return ds


def nested(number: int) -> Dataset:
    item, inner = Dataset(), Dataset()
    inner.ControlPointIndex = number
    item.BeamName = f"beam {number}"
    item.ControlPointSequence = [inner, Dataset()]
    return item


def undefined_lengths(name: str) -> Dataset:
    ds = every_vr(name)
    ds["BeamSequence"].is_undefined_length = True
    for item in ds.BeamSequence:
        item.is_undefined_length_sequence_item = True
        item["ControlPointSequence"].is_undefined_length = True
    return ds


def encapsulated(name: str) -> Dataset:
    ds = base(name)
    ds.Rows = ds.Columns = 2
    ds.NumberOfFrames = 3
    ds.SamplesPerPixel = 1
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    frames = [bytes([1, 0, 0, 0, 64]) + bytes(59) + bytes([253, number]) for number in (1, 2, 3)]
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds


def character_sets(name: str) -> Dataset:
    ds = base(name)
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.BeamName = "größer €"
    other = Dataset()
    other.BeamName = "plain"
    ds.BeamSequence = [item, other]
    return ds


def private(name: str) -> Dataset:
    ds = base(name)
    block = ds.private_block(0x0029, "DICOM ACTORS TEST", create=True)
    block.add_new(0x01, "LO", "a private text")
    block.add_new(0x02, "SQ", [nested(1)])
    return ds


FILES = {
    "every_vr_implicit": (every_vr, ImplicitVRLittleEndian),
    "every_vr_explicit": (every_vr, ExplicitVRLittleEndian),
    "every_vr_big_endian": (every_vr, ExplicitVRBigEndian),
    "every_vr_deflated": (every_vr, DeflatedExplicitVRLittleEndian),
    "undefined_lengths": (undefined_lengths, ExplicitVRLittleEndian),
    "encapsulated": (encapsulated, RLELossless),
    "character_sets": (character_sets, ExplicitVRLittleEndian),
    "private": (private, ExplicitVRLittleEndian),
}


def make(folder: Path) -> None:
    """Write all files into a folder."""
    for name, (build, syntax) in FILES.items():
        ds = build(name)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntax
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.file_meta.ImplementationClassUID = "2.25.3"
        ds.file_meta.ImplementationVersionName = "TEST"
        ds.save_as(folder / f"{name}.dcm", enforce_file_format=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
