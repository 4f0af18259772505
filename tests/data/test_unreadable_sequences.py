"""A sequence that cannot be read is bytes of VR UN, with a warning; all else is as it was."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from struct import pack

import pytest

from dicom_actors.data import DataSet, Limits, read_file, write_file
from dicom_actors.errors import DecodeError

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
UNDEFINED = 0xFFFFFFFF
BEAMS, NAME_TAG, AFTER = 0x300A00B0, 0x300A00C2, 0x40004000
SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)


def element(tag, vr, value, length=None):
    length = len(value) if length is None else length
    if vr in {"SQ", "UN", "OB"}:
        return pack("<HH2s2xI", tag >> 16, tag & 0xFFFF, vr.encode(), length) + value
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length) + value


def implicit(tag, value, length=None):
    length = len(value) if length is None else length
    return pack("<HHI", tag >> 16, tag & 0xFFFF, length) + value


def item(value=b"", length=None):
    return implicit(0xFFFEE000, value, length)


NAME = element(NAME_TAG, "LO", b"AB")
UNREADABLE = {
    "text": b"just text ",
    "elements without an item": NAME,
    "an item longer than its sequence": item(NAME, 100),
    "the same, with a part of an element": item(NAME + b"\x0a", 100),
    "an item that takes the next element": item(NAME, len(NAME) + 26) + item(),
    "an element longer than its item": item(element(NAME_TAG, "LO", b"AB", 100)),
    "an element longer than its item, in the second": item(NAME)
    + item(element(NAME_TAG, "LO", b"AB", 14)),
    "rubbish behind the items": item(NAME) + b"\1\2\3\4",
    "an item that ends in a header": item(NAME + NAME[:5]),
}
BEHIND = element(AFTER, "LT", b"x" * 200) + element(0x7FE00010, "OB", b"12")


@pytest.fixture(params=UNREADABLE)
def content(request):
    return UNREADABLE[request.param]


def check(ds, content):
    assert ds.fetch(BEAMS).vr == "UN"
    assert ds[BEAMS] == content
    assert ds[AFTER] == "x" * 200
    assert ds.PixelData == b"12"
    walked = {str(path): element for path, element in ds.walk()}
    assert list(walked) == ["BeamSequence", "TextComments", "PixelData"]
    assert walked["BeamSequence"].vr == "UN"
    assert [warning.tag for warning in ds.warnings] == [BEAMS]
    assert "a sequence that cannot be read, taken as UN" in str(ds.warnings[0])
    model = json.loads(ds.to_json())["300A00B0"]
    assert model["vr"] == "UN"
    assert b64decode(model["InlineBinary"]) == content
    again = DataSet.from_json(ds.to_json())
    assert again[BEAMS] == content
    assert again.fetch(BEAMS).vr == "UN"
    assert "UN" in str(ds)
    ds.check()


def test_it_is_bytes(content):
    data = element(BEAMS, "SQ", content) + BEHIND
    ds = DataSet.from_bytes(data, EXPLICIT)
    check(ds, content)
    assert ds.to_bytes() == data
    ds.PatientID = "X"
    assert ds.to_bytes().endswith(data)
    assert ds.copy() == ds


@pytest.mark.parametrize("target", [IMPLICIT, BIG_ENDIAN])
def test_it_is_converted_as_bytes(content, target):
    ds = DataSet.from_bytes(element(BEAMS, "SQ", content) + BEHIND, EXPLICIT)
    again = DataSet.from_bytes(ds.to_bytes(target), target)
    assert bytes(again.fetch(BEAMS).raw) == content + bytes(len(content) & 1)
    assert again[AFTER] == "x" * 200


def test_text_under_a_tag_that_is_a_sequence_today():
    data = implicit(BEAMS, b"just text ") + implicit(AFTER, b"x" * 200)
    data += implicit(0x7FE00010, b"12")
    check(DataSet.from_bytes(data, IMPLICIT), b"just text ")


def test_of_undefined_length():
    content = item(NAME) + item(element(NAME_TAG, "LO", b"AB", 100))
    data = element(BEAMS, "SQ", content, UNDEFINED) + SEQUENCE_END + BEHIND
    ds = DataSet.from_bytes(data, EXPLICIT)
    check(ds, content)
    assert ds.to_bytes() == data
    again = DataSet.from_bytes(ds.to_bytes(IMPLICIT), IMPLICIT)
    assert bytes(again.fetch(BEAMS).raw) == content


def test_in_an_item_the_rest_of_the_item_is_there():
    inner = element(0x300A0111, "SQ", b"text") + element(0x300A0112, "IS", b"1 ")
    ds = DataSet.from_bytes(element(BEAMS, "SQ", item(inner) + item(NAME)), EXPLICIT)
    first, second = ds.BeamSequence
    assert (first.ControlPointSequence, first.ControlPointIndex) == (b"text", 1)
    assert second.BeamName == "AB"
    assert ds.warnings[0].path == ("BeamSequence[0]",)


@pytest.mark.parametrize("longer", range(1, 400, 7))
def test_nothing_past_its_own_end_is_read_as_part_of_it(longer):
    content = item(element(NAME_TAG, "LO", b"AB"), 10 + longer)
    ds = DataSet.from_bytes(element(BEAMS, "SQ", content) + BEHIND, EXPLICIT)
    assert (ds.BeamSequence, ds.fetch(BEAMS).vr) == (content, "UN")
    assert "expected an item of" in str(ds.warnings[0])
    assert ds[AFTER] == "x" * 200


def test_of_a_record_of_a_directory_the_length_alone_may_be_wrong():
    # Real DICOMDIRs are like that.
    content = item(element(NAME_TAG, "LO", b"AB"), 100)
    data = element(0x00041220, "SQ", content) + BEHIND
    ds = DataSet.from_bytes(data, EXPLICIT)
    assert [list(record) for record in ds.DirectoryRecordSequence] == [[NAME_TAG]]
    assert "expected an item of" in str(ds.warnings[0])
    assert (ds[AFTER], ds.to_bytes()) == ("x" * 200, data)


def test_it_has_no_items(content):
    ds = DataSet.from_bytes(element(BEAMS, "SQ", content) + BEHIND, EXPLICIT)
    for path in (("BeamSequence", 0), ("BeamSequence", 0, "BeamName")):
        assert ds.get(path, "none") == "none"
        assert path not in ds
        with pytest.raises(KeyError, match="no item 0 in BeamSequence"):
            ds[path]


def test_it_is_the_same_in_a_file():
    ds = DataSet.from_bytes(element(BEAMS, "SQ", b"just text ") + BEHIND, EXPLICIT)
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.5", "1.2.3"
    stream = io.BytesIO()
    write_file(stream, ds)
    again = read_file(stream.getvalue())
    assert (again[BEAMS], again.fetch(BEAMS).vr) == (b"just text ", "UN")


@pytest.mark.parametrize("is_undefined", [False, True])
def test_what_goes_beyond_a_limit_is_an_error_still(is_undefined):
    limits = Limits(max_elements=20)
    vr = "SQ" if not is_undefined else "UN"
    ds = DataSet.from_bytes(element(BEAMS, vr, item() * 30), EXPLICIT, limits=limits)
    with pytest.raises(DecodeError, match="more than 20 elements"):
        ds.BeamSequence  # noqa: B018
    with pytest.raises(DecodeError, match="more than 20 elements"):
        ds.to_json()
