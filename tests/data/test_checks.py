from __future__ import annotations

import pytest

from dicom_actors.data import DataElement, DataSet, read_file

EXPLICIT = "1.2.840.10008.1.2.1"


def departures(**values):
    return [str(found) for found in DataSet.from_keywords(**values).check()]


def test_none():
    assert (
        departures(
            PatientID="X",
            ImageType=["ORIGINAL", "PRIMARY"],
            PatientName="Doe^John=x=y",
            StudyDate="20240101-20240131",
            StudyTime="12",
            PatientAge="018M",
            SliceThickness="1.5",
            InstanceNumber=7,
            SOPInstanceUID="1.2.3",
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ContourData=[0.5] * 30,
            BeamSequence=[{"BeamName": "A"}],
            TextComments="a\r\nb",
        )
        == []
    )


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("Modality", "ct", "expected Code String, got 'ct'"),
        ("Modality", "A" * 17, "expected at most 16 bytes, got 17"),
        ("Modality", ["CT", "MR"], "expected 1 values, got 2"),
        ("ImageOrientationPatient", [1, 2], "expected 6 values, got 2"),
        ("ContourData", [1, 2], "expected 3-3n values, got 2"),
        ("StudyDate", "2024", "expected Date, got '2024'"),
        ("StudyTime", "25", "expected Time, got '25'"),
        ("PatientAge", "18", "expected Age String, got '18'"),
        ("SOPInstanceUID", "1.02.3", "expected Unique Identifier, got '1.02.3'"),
        ("PatientID", "a\nb", "expected Long String, got 'a\\nb'"),
        ("PatientName", "x" * 65, "expected at most 64 chars, got 65"),
        ("InstanceNumber", 1 << 31, "expected Integer String, got '2147483648'"),
        ("InstanceNumber", -(1 << 31) - 1, "expected Integer String, got '-2147483649'"),
        ("TextComments", "\0x", "expected Unlimited Text, got '\\x00x'"),
    ],
)
def test_each(keyword, value, message):
    if keyword == "TextComments":
        keyword = "TextValue"
    assert f"{keyword}: {message}" in departures(**{keyword: value})


def test_in_items_with_their_path():
    assert departures(BeamSequence=[{}, {"BeamType": "static"}]) == [
        "BeamSequence[1].BeamType: expected Code String, got 'static'"
    ]


def test_vrs():
    ds = DataSet()
    ds.put("PatientID", "SH", "X")
    assert [str(found) for found in ds.check()] == ["PatientID: expected VR LO, got SH"]


def test_what_was_read_and_is_too_long():
    ds = DataSet.from_bytes(b"\x18\0\x50\0DS\x12\x001.2345678901234567", EXPLICIT)
    assert [str(found) for found in ds.check()] == [
        "SliceThickness: expected at most 16 bytes, got 18"
    ]


def test_what_was_read_and_is_no_value():
    ds = DataSet.from_bytes(b"\x28\0\x10\0US\x03\0abc" + b"\x28\0\x11\0IS\x02\0x ", EXPLICIT)
    assert [found.message for found in ds.check()][:1] == [
        "expected whole numbers of US, got 3 bytes"
    ]
    assert ds.to_bytes()


def test_every_file_can_be_checked(judge_file):
    ds = read_file(judge_file, keep_truncated=True)
    for path, message in ds.check():
        assert path in ds
        assert message


@pytest.mark.parametrize("name", ["a=b=c=d", "a^b^c^d^e^f", "a=b^c^d^e^f^g"])
def test_a_name_with_a_part_too_many(name):
    assert len(departures(PatientName=name)) == 1
    assert departures(PatientName="a^b^c^d^e=f=g") == []


@pytest.mark.parametrize(("vr", "width"), [("OW", 2), ("OF", 4), ("OL", 4), ("OD", 8), ("OV", 8)])
def test_bytes_that_are_no_whole_numbers(vr, width):
    for length in range(1, 20):
        ds = DataSet.from_elements([DataElement(0x00091001, vr, bytes(length))])
        assert bool(ds.check()) is bool(length % width)
