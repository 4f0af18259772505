"""What damaged files hold: listed, printed and written, or an error of ours."""

from __future__ import annotations

import io
import json
from struct import pack

import pytest

from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.data.values.codec import DECODERS
from dicom_actors.errors import DataError, DecodeError

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


def element(tag, vr, value):
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value


def long_element(tag, vr, value, length=None):
    length = len(value) if length is None else length
    return pack("<HH2s2xI", tag >> 16, tag & 0xFFFF, vr.encode(), length) + value


def item(data, length=None):
    return pack("<HHI", 0xFFFE, 0xE000, len(data) if length is None else length) + data


SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)


@pytest.mark.parametrize("text", [b"1A", b"1\\2 ", b"-1", b"2.5 "])
def test_a_number_of_frames_that_is_none(text):
    ds = DataSet.from_bytes(
        element(0x00280008, "IS", text) + long_element(0x7FE00010, "OB", b"1234"), EXPLICIT
    )
    with pytest.raises(DecodeError, match="expected NumberOfFrames to be a number"):
        ds.frames()


def test_a_check_lists_a_sequence_that_cannot_be_decoded_and_goes_on():
    data = (
        element(0x00100020, "LO", b"x" * 70)
        + long_element(0x300A00B0, "SQ", item(b"", length=0xFF))
        + element(0x300A00C6, "CS", b"lower ")
    )
    found = [str(departure) for departure in DataSet.from_bytes(data, EXPLICIT).check()]
    assert [text.partition(":")[0] for text in found] == [
        "PatientID",
        "BeamSequence",
        "RadiationType",
    ]
    assert found[1] == "BeamSequence: expected items, got 8 bytes that are none"


def test_a_check_goes_into_items():
    inner = element(0x300A00C6, "CS", b"lower ")
    broken = long_element(0x300A0111, "SQ", item(b"", length=0xFF))
    data = long_element(0x300A00B0, "SQ", item(b"") + item(inner + broken) + item(inner))
    assert [str(departure.path) for departure in DataSet.from_bytes(data, EXPLICIT).check()] == [
        "BeamSequence[1].RadiationType",
        "BeamSequence[1].ControlPointSequence",
        "BeamSequence[2].RadiationType",
    ]


def test_an_undefined_length_makes_a_sequence_whatever_the_dictionary_says():
    inner = pack("<HHI", 0x0010, 0x0040, 2) + b"F "
    header = pack("<HHI", 0x0010, 0x0020, 0xFFFFFFFF)
    ds = DataSet.from_bytes(header + item(inner) + SEQUENCE_END, IMPLICIT)
    assert json.loads(ds.to_json()) == {
        "00100020": {"vr": "SQ", "Value": [{"00100040": {"vr": "CS", "Value": ["F"]}}]}
    }
    first, *rest = str(ds).splitlines()
    assert first.endswith("1 item")
    assert [line.split()[0] for line in rest] == ["item", "(0010,0040)"]


@pytest.mark.parametrize("uid", [b"1.2\xa13", b"\x00\x01"])
def test_a_file_with_uids_that_are_none_is_written_and_keeps_them(uid):
    # The UIDs stand in the file meta alone, and one is replaced by the wrong bytes.
    ds = DataSet.from_keywords(SOPClassUID="1.1", SOPInstanceUID="1.2.345", PatientID="x")
    file = io.BytesIO()
    write_file(file, ds)
    wrong = uid.ljust(8, b"\0")
    data = file.getvalue().replace(b"1.2.345\0", wrong)
    read = read_file(data)
    read.PatientID = "y"
    again = io.BytesIO()
    write_file(again, read)
    assert again.getvalue().count(wrong) == data.count(wrong) == 2
    assert read_file(again.getvalue()).PatientID == "y"


@pytest.mark.parametrize("vr", ["US", "FD", "AT"])
@pytest.mark.parametrize("length", [8, 4000])
def test_numbers_beyond_the_end_of_the_input(vr, length):
    holder = DataSet()
    with pytest.raises(DecodeError, match=f"expected a value of {length} bytes, 2 left") as caught:
        DECODERS["<"][vr](b"1234", 2, 2 + length, holder, 0x00280010)
    assert (caught.value.tag, caught.value.offset) == (0x00280010, 2)


@pytest.mark.parametrize("rows", [b"\x01\0\x02\0", b"\x01", b""])
def test_rows_that_are_no_number(rows):
    ds = DataSet.from_bytes(
        element(0x00280002, "US", b"\x01\0")
        + element(0x00280010, "US", rows)
        + element(0x00280011, "US", b"\x01\0")
        + element(0x00280100, "US", b"\x08\0")
        + long_element(0x7FE00010, "OB", b"1234"),
        EXPLICIT,
    )
    with pytest.raises(DataError, match="Rows"):
        ds.frames()


@pytest.mark.parametrize(("syntax", "layout"), [(EXPLICIT, "<"), ("1.2.840.10008.1.2.2", ">")])
def test_more_can_follow_a_sequence_that_lacks_its_delimiter(syntax, layout):
    header = pack(f"{layout}HH2s2xI", 0x300A, 0x00B0, b"SQ", 0xFFFFFFFF)
    data = header + pack(f"{layout}HHI", 0xFFFE, 0xE000, 0)
    ds = DataSet.from_bytes(data, syntax, keep_truncated=True)
    assert ds.warnings
    assert ds.to_bytes() == data
    ds.ApprovalStatus = "APPROVED"
    ds.PatientID = "x"
    again = DataSet.from_bytes(ds.to_bytes(), syntax)
    assert not again.warnings
    assert again == ds
    assert [tag.keyword for tag in again] == ["PatientID", "BeamSequence", "ApprovalStatus"]


def test_bytes_that_are_no_sequence_though_the_dictionary_says_so():
    data = long_element(0x300A00B0, "UN", b"no item at all")
    ds = DataSet.from_bytes(data, EXPLICIT)
    assert ds.BeamSequence == b"no item at all"
    assert [str(path) for path, _ in ds.walk()] == ["BeamSequence"]
    assert len(str(ds).splitlines()) == 1
    assert isinstance(ds.check(), list)
    assert json.loads(ds.to_json())["300A00B0"]["vr"] == "UN"
    assert ds.to_bytes() == data
