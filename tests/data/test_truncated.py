"""Inputs that are cut short: an error, or what is there for those who ask for it."""

from __future__ import annotations

import io
import zlib
from struct import pack

import pytest

from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.errors import DecodeError, NotPart10Error

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"
UNDEFINED = 0xFFFFFFFF
ITEM_END = pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)
BEAMS, POINTS = 0x300A00B0, 0x300A0111


def element(tag, vr, value, length=None):
    length = len(value) if length is None else length
    if vr in {"SQ", "OB", "OW", "UN"}:
        return pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length) + value
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length) + value


def item(value, length=None):
    return pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value


PATIENT_ID = element(0x00100020, "LO", b"X ")
NAME = element(0x300A00C2, "LO", b"BEAM 1")
KIND = element(0x300A00C4, "CS", b"STATIC")
INDEX = element(0x300A0112, "IS", b"1 ")


def sequence(tag, items, is_undefined):
    if not is_undefined:
        return element(tag, "SQ", b"".join(map(item, items)))
    content = b"".join(item(part, UNDEFINED) + ITEM_END for part in items)
    return element(tag, "SQ", content, UNDEFINED) + SEQUENCE_END


def beams(outer, inner):
    """Two beams, the second with a control point, behind a patient ID.

    Args:
        outer: whether the lengths of the beams are undefined.
        inner: whether those of the control point are.
    """
    points = sequence(POINTS, [INDEX], inner)
    return PATIENT_ID + sequence(BEAMS, [NAME, NAME + KIND + points], outer)


def kept(data, syntax=EXPLICIT):
    return DataSet.from_bytes(data, syntax, keep_truncated=True)


def flat(ds):
    return {str(path): element.value for path, element in ds.walk() if element.vr != "SQ"}


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_cut_anywhere_in_a_sequence_all_whole_elements_are_there(outer, inner, syntax):
    whole = DataSet.from_bytes(beams(outer, inner), EXPLICIT)
    data = whole.to_bytes(syntax)
    values = flat(DataSet.from_bytes(data, syntax))
    found = set()
    for length in range(18, len(data)):
        ds = kept(data[:length], syntax)
        part = flat(ds)
        assert part.items() <= values.items()
        found.add(len(part))
        # Written, it is whole, and so it is when something was put in.
        assert DataSet.from_bytes(ds.to_bytes(), syntax) == ds
        ds.PatientComments = "cut"
        again = DataSet.from_bytes(ds.to_bytes(), syntax)
        assert again == ds
        assert not again.warnings
    assert found == set(range(1, 6 if outer or inner else 5))


def test_a_cut_without_asking_is_an_error_wherever_it_is():
    data = beams(outer=True, inner=True)
    # Where nothing is missing but delimiters, that is forgiven.
    for length in range(len(PATIENT_ID) + 1, len(data)):
        try:
            ds = DataSet.from_bytes(data[:length], EXPLICIT)
        except DecodeError:
            continue
        assert any("no delimiter at the end" in str(warning) for warning in ds.warnings)


def test_what_is_kept_is_the_same_before_and_after_it_was_looked_at():
    for outer, inner in ((False, False), (False, True), (True, False), (True, True)):
        data = beams(outer, inner)
        for length in range(18, len(data)):
            ds = kept(data[:length])
            before = ds.to_bytes()
            flat(ds)
            assert ds.to_bytes() == before
            copy = ds.copy()
            assert copy == ds
            assert copy.to_bytes() == before
            copy.PatientComments = "cut"
            assert DataSet.from_bytes(copy.to_bytes(), EXPLICIT) == copy


def test_the_warnings_say_what_is_missing():
    ds = kept(beams(outer=False, inner=False)[:-3])
    point = ds["BeamSequence", 1, "ControlPointSequence", 0]
    assert len(point) == 0
    assert [str(warning) for warning in ds.warnings] == [
        "expected a value of 88 bytes, 85 left [tag (300A,00B0), at byte 10]",
        "expected an item of 58 bytes, 55 left in the sequence [in BeamSequence[1], at byte 44]",
        (
            "expected an item of 10 bytes, 7 left in the sequence"
            " [in BeamSequence[1] > ControlPointSequence[0], at byte 92]"
        ),
    ]


def test_within_the_delimiter_of_a_sequence():
    data = element(BEAMS, "SQ", item(NAME), UNDEFINED) + SEQUENCE_END
    for length in range(len(data) - 7, len(data)):
        ds = kept(data[:length])
        assert ds.BeamSequence[0].BeamName == "BEAM 1"
        ds.put(0x7FE00010, "OW", b"12")
        again = DataSet.from_bytes(ds.to_bytes(), EXPLICIT)
        assert (again.BeamSequence[0].BeamName, again.PixelData) == ("BEAM 1", b"12")


def test_nested_without_any_delimiter_at_the_end_more_can_be_put_behind():
    data = element(
        BEAMS,
        "SQ",
        item(element(POINTS, "SQ", item(INDEX, UNDEFINED), UNDEFINED), UNDEFINED),
        UNDEFINED,
    )
    ds = DataSet.from_bytes(data, EXPLICIT)  # nothing is missing but delimiters
    assert ds.to_bytes() == data
    ds.put(0x7FE00010, "OW", b"12")
    again = DataSet.from_bytes(ds.to_bytes(), EXPLICIT)
    assert again["BeamSequence", 0, "ControlPointSequence", 0, "ControlPointIndex"] == 1
    assert again.PixelData == b"12"
    assert not again.warnings


@pytest.mark.parametrize("vr", ["OB", "OW", "UN"])
def test_a_part_of_bytes(vr):
    ds = kept(PATIENT_ID + element(0x7FE00010, vr, b"abcd", 100))
    assert ds.PixelData == b"abcd"
    assert DataSet.from_bytes(ds.to_bytes(), EXPLICIT).PixelData == b"abcd"


def test_a_part_of_words_in_big_endian():
    data = pack(">HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 100) + b"\x01\x02\x03\x04"
    ds = kept(PATIENT_ID_BIG + data, BIG_ENDIAN)
    assert ds.PixelData == b"\x02\x01\x04\x03"
    assert ds.to_bytes().endswith(b"\0\0\0\x04\x01\x02\x03\x04")


PATIENT_ID_BIG = pack(">HH2sH", 0x0010, 0x0020, b"LO", 2) + b"X "


@pytest.mark.parametrize("value", [b"12", b""])
def test_no_part_of_a_text(value):
    ds = kept(PATIENT_ID + element(0x00104000, "LT", value, 100))
    assert list(ds) == [0x00100020]
    assert "expected a value of 100 bytes" in str(ds.warnings[0])


@pytest.mark.parametrize("part", [b"", b"\xff\xd8", b"\xff\xd8\xff"])
def test_fragments(part):
    start = element(0x7FE00010, "OB", item(b"") + item(b"\xff\xd8\xff\xd9"), UNDEFINED)
    ds = kept(start + item(part, 100), JPEG)
    fragments = [bytes(fragment) for fragment in ds.PixelData.fragments]
    assert fragments[0] == b"\xff\xd8\xff\xd9"
    assert [fragment.startswith(part) for fragment in fragments[1:]] == [True] * bool(part)
    assert "the last fragment is not whole" in str(ds.warnings[0])
    again = DataSet.from_bytes(ds.to_bytes(), JPEG)
    assert again.PixelData == ds.PixelData
    assert not again.warnings


@pytest.mark.parametrize("rest", [b"", item(b"", 8), item(b"\0\0\0\0", 8)])
def test_within_the_offset_table(rest):
    ds = kept(PATIENT_ID + element(0x7FE00010, "OB", rest, UNDEFINED), JPEG)
    assert ds.PixelData.fragments == ()
    assert DataSet.from_bytes(ds.to_bytes(), JPEG).PatientID == "X"


@pytest.mark.parametrize("length", range(1, 12))
def test_within_a_header(length):
    data = PATIENT_ID + element(0x7FE00010, "OW", b"1234")[:length]
    with pytest.raises(DecodeError):
        DataSet.from_bytes(data, EXPLICIT)
    ds = kept(data)
    assert ds.PatientID == "X"
    assert ds.to_bytes() == PATIENT_ID
    assert len(ds.warnings) == 1


def test_damage_in_the_middle_is_no_cut():
    inside = item(element(0x300A00C2, "LO", b"AB", 100))
    data = element(BEAMS, "SQ", inside) + element(0x7FE00010, "OW", bytes(200))
    ds = kept(data)
    assert ds.BeamSequence == inside
    assert "expected a value of 100 bytes, 2 left" in str(ds.warnings[0])
    # So it is where the input is cut short elsewhere.
    ds = kept(data[:-100])
    assert ds.BeamSequence == inside
    assert "expected a value of 100 bytes, 2 left" in str(ds.warnings[-1])
    assert len(ds.PixelData) == 100


def test_a_deflate_stream():
    data = PATIENT_ID + element(0x7FE00010, "OW", bytes(range(256)) * 40)
    machine = zlib.compressobj(wbits=-15)
    stream = machine.compress(data) + machine.flush()
    cut = stream[: len(stream) * 2 // 3]
    with pytest.raises(DecodeError, match="cut short"):
        DataSet.from_bytes(cut, DEFLATED)
    ds = kept(cut, DEFLATED)
    assert ds.PatientID == "X"
    assert data[22:].startswith(bytes(ds.PixelData))
    assert len(ds.PixelData) > 100
    assert "cut short" in str(ds.warnings[0])
    again = DataSet.from_bytes(ds.to_bytes(), DEFLATED)
    assert again.PixelData.rstrip(b"\0") == ds.PixelData.rstrip(b"\0")
    assert not again.warnings


def test_the_file_meta():
    ds = DataSet.from_keywords(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID="1.2.3")
    stream = io.BytesIO()
    write_file(stream, ds)
    data = stream.getvalue()
    end = data.index(b"\x08\0\x16\0UI")
    for length in range(132 + 8, end):
        part = read_file(data[:length], keep_truncated=True)
        assert len(part) == 0
        assert set(part.file_meta) <= set(read_file(data).file_meta)
    for length in range(4):
        with pytest.raises(NotPart10Error):
            read_file(data[:length], keep_truncated=True)
