"""What leaves us has even lengths, whatever came (PS3.5 7.1.1), and no group of others."""

from __future__ import annotations

import io
import zlib
from struct import pack

import pytest

from dicom_actors.data import DataElement, DataSet, EncapsulatedPixelData, read_file, write_file
from dicom_actors.data.dataset.encoder import encode_to_send, may_be_sent
from dicom_actors.errors import DicomError

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"
UNDEFINED = 0xFFFFFFFF
CT = b"1.2.840.10008.5.1.4.1.1.2"


def element(tag, vr, value, length=None):
    length = len(value) if length is None else length
    if vr in {"SQ", "OB", "OW", "UN", "UT"}:
        return pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length) + value
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length) + value


def item(value=b""):
    return pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


HEAD = element(0x00080016, "UI", CT) + element(0x00080018, "UI", b"1.2.3")
NESTED = element(0x300A00B0, "SQ", item(element(0x300A00C2, "LO", b"odd")))
PIXELS = element(0x7FE00010, "OB", item() + item(b"\xff\xd8\xff") + pack("<HHI", 0xFFFE, 0xE0DD, 0))
SOURCES = {
    "text": (HEAD + element(0x00100020, "LO", b"X"), EXPLICIT),
    "a UID": (element(0x00080016, "UI", CT) + element(0x00080018, "UI", b"1.23"), EXPLICIT),
    "bytes": (HEAD + element(0x00420011, "OB", b"x"), EXPLICIT),
    "in an item": (HEAD + NESTED + element(0x7FE00010, "OB", b"12"), EXPLICIT),
    "long bytes": (HEAD + element(0x7FE00010, "OB", bytes(1_001)), EXPLICIT),
    "a fragment": (
        HEAD + element(0x7FE00010, "OB", PIXELS[12:], UNDEFINED),
        JPEG,
    ),
    "what nobody knows": (HEAD + element(0x00111001, "UN", b"\xfe\xff\x00\xe0x"), EXPLICIT),
}


def lengths(ds):
    for _, part in ds.walk():
        part.value  # noqa: B018
        if part.length is not None:
            yield part.length
        if isinstance(part.value, EncapsulatedPixelData):
            yield from map(len, part.value.fragments)


@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_sent(kind):
    data, syntax = SOURCES[kind]
    data += b"" if len(data) & 1 else element(0xFFFAFFFA, "UN", b"x")
    ds = DataSet.from_bytes(data, syntax)
    sent = b"".join(encode_to_send(ds, syntax))
    assert len(sent) % 2 == 0
    again = DataSet.from_bytes(sent, syntax)
    assert {length % 2 for length in lengths(again)} == {0}
    assert again.SOPInstanceUID == ds.SOPInstanceUID
    assert again.keys() == ds.keys()


def test_two_odd_lengths_that_make_an_even_one_are_two():
    ds = DataSet.from_bytes(HEAD, EXPLICIT)
    assert len(HEAD) % 2 == 0
    again = DataSet.from_bytes(b"".join(encode_to_send(ds, EXPLICIT)), EXPLICIT)
    assert [*lengths(again)] == [26, 6]
    file = io.BytesIO()
    write_file(file, ds)
    assert file.getvalue().endswith(HEAD)
    assert [int(warning.tag) for warning in ds.warnings] == [0x00080016, 0x00080018]


@pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED])
@pytest.mark.parametrize("kind", [kind for kind in SOURCES if kind != "a fragment"])
def test_what_is_converted(kind, target):
    data, syntax = SOURCES[kind]
    ds = DataSet.from_bytes(data, syntax)
    source = DataSet.from_bytes(ds.to_bytes(BIG_ENDIAN), BIG_ENDIAN)
    assert {length % 2 for length in lengths(source)} == {0}
    made = DataSet.from_bytes(source.to_bytes(target), target)
    assert {length % 2 for length in lengths(made)} == {0}


def test_what_is_written_untouched_stays_and_is_warned_of():
    data, _ = SOURCES["in an item"]
    file = io.BytesIO()
    write_file(file, DataSet.from_bytes(data, EXPLICIT))
    ds = read_file(file.getvalue())
    again = io.BytesIO()
    write_file(again, ds)
    assert again.getvalue() == file.getvalue()
    messages = [(int(warning.tag), warning.message) for warning in ds.warnings]
    assert [tag for tag, _ in messages] == [0x00080016, 0x00080018, 0x300A00B0, 0x300A00C2]
    assert "odd length of 3 bytes at BeamSequence[0].BeamName" in messages[-1][1]
    ds["BeamSequence", 0, "BeamName"] = "new"
    assert len(ds["BeamSequence", 0].fetch("BeamName").value) == 3
    changed = DataSet.from_bytes(ds.to_bytes(), EXPLICIT)
    assert changed["BeamSequence", 0].fetch("BeamName").length == 4


@pytest.mark.parametrize("tag", [0x00000002, 0x00020010, 0x00041220])
def test_groups_of_commands_and_files_are_not_sent(tag):
    data = HEAD + element(0x00080060, "CS", b"CT") + element(tag, "UI", b"1.2.3 ")
    ds = DataSet.from_bytes(data, EXPLICIT)
    assert tag in ds
    sent = DataSet.from_bytes(b"".join(encode_to_send(ds, EXPLICIT)), EXPLICIT)
    assert (tag in sent, sent.Modality) == (False, "CT")
    assert tag in ds
    assert ds.to_bytes() == data


class TestEncapsulatedPixelDataIsOb:
    frames = EncapsulatedPixelData.of_frames([b"\xff\xd8"])

    @pytest.mark.parametrize(
        "made",
        [
            lambda data: DataSet.from_keywords(PixelData=data),
            lambda data: DataSet({0x7FE00010: data}),
            lambda data: DataSet([DataElement("PixelData", "OW", data)]),
        ],
    )
    def test_however_it_is_put(self, made):
        ds = made(self.frames)
        assert ds.fetch("PixelData").vr == "OB"
        assert ds.to_bytes(JPEG)[:6] == b"\xe0\x7f\x10\0OB"
        assert not ds.check()

    def test_in_place_of_another(self):
        ds = DataSet.from_keywords(PixelData=b"12")
        assert ds.fetch("PixelData").vr == "OW"
        ds.PixelData = self.frames
        assert ds.fetch("PixelData").vr == "OB"
        ds.put("PixelData", "OW", self.frames)
        assert ds.fetch("PixelData").vr == "OB"

    def test_what_came_as_ow_is_said_and_sent_as_ob(self):
        raw = DataSet.from_keywords(PixelData=self.frames).to_bytes(JPEG).replace(b"OB", b"OW", 1)
        ds = DataSet.from_bytes(raw, JPEG)
        assert [str(found) for found in ds.check()] == [
            "PixelData: expected VR OB for encapsulated pixel data, got OW"
        ]
        ds.PatientName = "A"
        assert ds.to_bytes()[-len(raw) :] == raw
        other = DataSet()
        other.merge(ds)
        assert b"OB" in other.to_bytes(JPEG)


def test_an_error_is_still_ours():
    with pytest.raises(DicomError):
        encode_to_send(DataSet.from_keywords(PatientName="Ä"), EXPLICIT)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("behind", [b"\0", bytes(3), bytes(5)])
def test_zeros_behind_the_last_one_make_no_odd_length_even(syntax, behind):
    made = DataSet.from_keywords(SOPInstanceUID="1.2", PatientID="XY")
    data = made.to_bytes(syntax).replace(b"\x02\0XY", b"\x01\0X") if syntax == EXPLICIT else b""
    data = data or made.to_bytes(syntax).replace(b"\x02\0\0\0XY", b"\x01\0\0\0X")
    ds = DataSet.from_bytes(data + behind, syntax)
    assert ds.fetch("PatientID").length == 1
    assert not may_be_sent(data + behind, syntax)
    again = DataSet.from_bytes(b"".join(encode_to_send(ds, syntax)), syntax)
    assert {length % 2 for length in lengths(again)} == {0}
    assert again.PatientID == "X"


def test_odd_lengths_within_a_deflated_data_set_are_not_sent():
    odd = element(0x00100010, "PN", b"X") + element(0x00100020, "LO", b"Y")
    deflated = zlib.compressobj(wbits=-15)
    stream = deflated.compress(HEAD + odd) + deflated.flush()
    ds = DataSet.from_bytes(stream, DEFLATED)
    again = DataSet.from_bytes(b"".join(encode_to_send(ds, DEFLATED)), DEFLATED)
    assert {length % 2 for length in lengths(again)} == {0}
    assert (again.PatientName, again.PatientID) == ("X", "Y")
    assert ds.to_bytes() == stream
