"""The small files of ``test_files``, which pydicom made (see the script there)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from dicom_actors.data import DataSet, read_file

FOLDER = Path(__file__).parents[2] / "test_files"


def opened(name) -> DataSet:
    ds = read_file(FOLDER / f"{name}.dcm")
    assert ds.PatientID == name
    assert not ds.warnings
    return ds


def test_the_script_makes_the_same_files(tmp_path):
    spec = importlib.util.spec_from_file_location("make_test_files", FOLDER / "make.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.make(tmp_path)
    names = sorted(path.name for path in FOLDER.glob("*.dcm"))
    assert names == sorted(path.name for path in tmp_path.iterdir())
    for name in names:
        # A deflate stream may depend on the library's version; what it holds does not.
        made, kept = read_file(tmp_path / name), read_file(FOLDER / name)
        assert made == kept
        if "deflated" not in name:
            assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "big_endian", "deflated"])
def test_every_vr(syntax):
    ds = opened(f"every_vr_{syntax}")
    values = {
        "RetrieveAETitle": ["STORE1", "STORE2"],
        "PatientAge": "018M",
        "FrameIncrementPointer": [0x00181063, 0x00540080],
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "StudyDate": "20240229",
        "PixelSpacing": [0.5, 0.5],
        "AcquisitionDateTime": "20240229123015.5+0100",
        "RealWorldValueSlope": 0.1,
        "BoundingBoxTopLeftHandCorner": [1.5, -0.25],
        "InstanceNumber": 7,
        "AdditionalPatientHistory": "one\r\ntwo",
        "ICCProfile": b"\x01\x02\x03\x04",
        "AccessionNumber": "A1",
        "ReferencePixelX0": -2,
        "TagAngleSecondAxis": -2,
        "InstitutionAddress": "Street 1",
        "SelectorSVValue": -2,
        "StudyTime": "123015.25",
        "LongCodeValue": "a long code",
        "SelectorULValue": 0x01020304,
        "SelectorUNValue": b"\x01\x02",
        "RetrieveURL": "http://localhost/x",
        "AcquisitionMatrix": [0, 256, 192, 0],
        "TextValue": "text of any length",
        "SelectorUVValue": 0x0102030405060708,
    }
    assert {keyword: ds[keyword] for keyword in values} == values
    assert [value.text for value in ds.PixelSpacing] == ["0.50", "0.50"]
    assert [beam.BeamName for beam in ds.BeamSequence] == ["beam 1", "beam 2"]
    assert ds["BeamSequence", 1, "ControlPointSequence", 0, "ControlPointIndex"] == 2
    assert len(ds["BeamSequence", 1, "ControlPointSequence", 1]) == 0


def test_undefined_lengths():
    ds = opened("undefined_lengths")
    assert ds.BeamSequence == opened("every_vr_explicit").BeamSequence
    before = ds.to_bytes()
    ds["BeamSequence", 0, "BeamName"] = "BEAM 1"
    assert ds.to_bytes() == before.replace(b"beam 1", b"BEAM 1")


def test_encapsulated():
    ds = opened("encapsulated")
    assert ds.transfer_syntax.keyword == "RLELossless"
    assert [bytes(frame)[-1] for frame in ds.frames()] == [1, 2, 3]
    assert ds.PixelData.offset_table == (0, 74, 148)


def test_character_sets():
    ds = opened("character_sets")
    assert ds.PatientName.ideographic.family_name == "山田"
    assert ds.PatientName.phonetic == "やまだ^たろう"
    assert [beam.BeamName for beam in ds.BeamSequence] == ["größer €", "plain"]


def test_private():
    ds = opened("private")
    block = ds.private_block(0x0029, "DICOM ACTORS TEST")
    assert block[0x01] == "a private text"
    assert block[0x02][0].BeamName == "beam 1"
