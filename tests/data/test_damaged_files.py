"""Damage of all kinds, as random edits of real files made it: what is written is read back."""

from __future__ import annotations

import io
import pickle
from math import nan
from struct import pack

import pytest

from dicom_actors.data import DataElement, DataSet, Limits, read_file, write_file
from dicom_actors.errors import DecodeError, EncodeError

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
UNDEFINED = 0xFFFFFFFF
ITEM_END = pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)
BEAMS = 0x300A00B0


def element(tag, vr, value, length=None, order="<"):
    length = len(value) if length is None else length
    group, number = tag >> 16, tag & 0xFFFF
    if vr in {"SQ", "OB", "OW", "UN"}:
        return pack(order + "HH2sHI", group, number, vr.encode(), 0, length) + value
    return pack(order + "HH2sH", group, number, vr.encode(), length) + value


def without_vr(tag, value, length=None):
    return pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(value=b"", length=None):
    return pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value


PATIENT_ID = element(0x00100020, "LO", b"X ")
NAME = element(0x300A00C2, "LO", b"AB")
PIXELS = element(0x7FE00010, "OW", b"12")
SYNTAX = element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")


def file_of(data, meta=SYNTAX):
    length = element(0x00020000, "UL", pack("<I", len(meta)))
    return bytes(128) + b"DICM" + length + meta + data


def written(ds):
    stream = io.BytesIO()
    write_file(stream, ds)
    return stream.getvalue()


def values(ds):
    return {str(path): element.value for path, element in ds.walk() if element.vr != "SQ"}


def edited_and_read_again(file):
    ds = read_file(file)
    ds.PatientComments = "edited"
    again = read_file(written(ds))
    assert values(again) == values(ds)
    return again


class TestFileMetaElementsInTheDataSet:
    def test_below_the_last_of_the_file_meta(self):
        # Sorted, they come right after the file meta, whose length says that they are not in it.
        data = PATIENT_ID + element(0x00020010, "UI", b"1.2.840.10008.1.2.2\0")
        again = edited_and_read_again(file_of(data))
        assert again.transfer_syntax.uid == EXPLICIT
        assert again[0x00020010] == "1.2.840.10008.1.2.2"

    @pytest.mark.parametrize("tag", [0x00020010, 0x00020100])
    def test_of_undefined_length(self, tag):
        data = PATIENT_ID + without_vr(tag, SEQUENCE_END, UNDEFINED)
        assert edited_and_read_again(file_of(data))[tag] == []

    def test_with_a_vr_that_does_not_exist(self):
        meta = element(0x00020003, "ZZ", b"1.2\0") + SYNTAX
        again = edited_and_read_again(file_of(PATIENT_ID, meta))
        assert bytes(again.file_meta.fetch(0x00020003).raw) == b"1.2\0"
        assert not again.warnings

    def test_a_wrong_group_length_does_not_end_the_file_meta(self):
        length = element(0x00020000, "UL", pack("<I", len(SYNTAX)))
        file = (
            bytes(128) + b"DICM" + length + SYNTAX + element(0x00020016, "AE", b"ME") + PATIENT_ID
        )
        ds = read_file(file)
        assert ds.file_meta.SourceApplicationEntityTitle == "ME"
        assert list(ds) == [0x00100020]

    def test_put_in_by_mistake_they_are_refused(self):
        ds = read_file(file_of(PATIENT_ID))
        ds.TransferSyntaxUID = IMPLICIT
        with pytest.raises(EncodeError, match="in the file meta, got it in the data set"):
            written(ds)
        del ds.TransferSyntaxUID
        ds.file_meta.PatientID = "X"
        with pytest.raises(EncodeError, match="elements of group 0002"):
            written(ds)

    @pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
    def test_uids_that_cannot_be_decoded(self, keyword):
        tag = DataSet.from_keywords(**{keyword: "1.2"}).fetch(keyword).tag
        broken = element(tag, "SQ", item(b"\x01\x02\x03\x04"))
        again = read_file(written(read_file(file_of(broken + PATIENT_ID))))
        assert bytes(again.fetch(keyword).raw) == bytes(broken[12:])


class TestTheTransferSyntaxThatIsWritten:
    @pytest.mark.parametrize("announced", [IMPLICIT, "1.2.3.4"])
    def test_is_that_of_the_data_set(self, announced):
        meta = element(0x00020010, "UI", announced.encode() + b"\0" * (len(announced) % 2))
        ds = read_file(file_of(PATIENT_ID.replace(b"X ", b"X1"), meta))
        big = element(0x00100020, "LO", b"X1", order=">")
        if announced == "1.2.3.4":
            ds = read_file(file_of(big, meta))
        again = read_file(written(ds))
        assert again.PatientID == "X1"
        assert not again.warnings
        assert again.transfer_syntax.uid == (EXPLICIT if announced == IMPLICIT else BIG_ENDIAN)

    def test_a_known_compression_stays_announced(self):
        meta = element(0x00020010, "UI", JPEG.encode())
        again = read_file(written(read_file(file_of(without_vr(0x00100020, b"X "), meta))))
        assert again.transfer_syntax.uid == JPEG

    def test_an_explicit_data_set_announced_as_implicit_that_is_large(self):
        data = element(0x00080005, "CS", b"ISO_IR 100") + PATIENT_ID
        data += element(0x7FE00010, "OW", bytes(3 << 20))
        assert DataSet.from_bytes(data, IMPLICIT).PatientID == "X"

    @pytest.mark.parametrize("length", [0x4D54, 0x4C4F])
    def test_an_implicit_length_that_looks_like_a_vr(self, length):
        data = without_vr(0x00104000, b"x" * length) + without_vr(0x7FE00010, b"12")
        ds = DataSet.from_bytes(data, IMPLICIT)
        assert len(ds.PatientComments) == length
        assert not ds.warnings


class TestHeadersThatNeedGuessing:
    def test_they_stay_as_they_are_where_nothing_moves(self):
        data = PATIENT_ID + without_vr(0x00101010, b"018M") + element(0x00104000, "LT", b"AB")
        ds = DataSet.from_bytes(data, EXPLICIT)
        ds.PatientComments = "CD"
        assert ds.to_bytes() == data.replace(b"AB", b"CD")

    def test_moved_to_the_front_they_get_a_vr(self):
        # Without VR at the front, the whole data set would be taken for implicit.
        data = PATIENT_ID + PIXELS[:0] + without_vr(0x00080060, b"CT")
        again = edited_and_read_again(file_of(data))
        assert (again.Modality, again.PatientID) == ("CT", "X")

    def test_no_longer_the_last_one(self):
        # Its length of 16 bits made sense since no four bytes followed.
        data = PATIENT_ID + pack("<HH2sH", 0x0010, 0x4000, b"\x04\0", 0)
        ds = DataSet.from_bytes(data, EXPLICIT)
        assert ds.PatientComments is None
        ds.PixelData = b"12"
        again = DataSet.from_bytes(ds.to_bytes(), EXPLICIT)
        assert again == ds

    def test_the_second_of_two_that_becomes_the_first(self):
        data = element(0x00080005, "CS", b"ISO_IR 100") + without_vr(0x00080005, b"")
        again = edited_and_read_again(file_of(data + PATIENT_ID))
        assert again.SpecificCharacterSet is None

    def test_moved_and_no_sequence_though_it_should_be_one(self):
        data = PATIENT_ID + without_vr(0x00081110, b"\x01\x02\x03\x04")
        again = edited_and_read_again_raw(file_of(data), 0x00081110)
        assert again == b"\x01\x02\x03\x04"


def edited_and_read_again_raw(file, tag):
    ds = read_file(file)
    ds.PatientComments = "edited"
    return bytes(read_file(written(ds)).fetch(tag).raw)


class TestHostileContext:
    """Elements that decide how others are read, and are none of what they should be."""

    def test_pixel_representation_that_is_a_sequence(self):
        data = element(0x00280103, "SQ", item(PATIENT_ID), UNDEFINED) + SEQUENCE_END
        data += element(0x00280106, "UN", b"\xff\xff")
        ds = DataSet.from_bytes(data, EXPLICIT)
        assert ds["PixelRepresentation", 0, "PatientID"] == "X"
        assert ds.SmallestImagePixelValue == 0xFFFF

    @pytest.mark.parametrize("tag", [0x00280103, 0x00080005, 0x00283002])
    def test_in_implicit_vr(self, tag):
        data = without_vr(tag, item(without_vr(tag, b"")), UNDEFINED) + SEQUENCE_END
        ds = DataSet.from_bytes(data, IMPLICIT)
        assert len(ds[tag]) == 1
        assert ds.to_bytes() == data

    def test_pixel_data_that_is_text(self):
        shape = {"Rows": 1, "Columns": 1, "BitsAllocated": 8, "SamplesPerPixel": 1}
        ds = DataSet.from_keywords(**shape)
        ds.put("PixelData", "LO", "text")
        with pytest.raises(DecodeError, match="expected pixel data to be bytes, got 'text'"):
            ds.frames()

    @pytest.mark.parametrize("offsets", [b"\0" * 7, b"\0" * 12])
    def test_an_extended_offset_table_of_no_whole_numbers(self, offsets):
        pixels = element(0x7FE00010, "OB", item() + item(b"\xff\xd8"), UNDEFINED) + SEQUENCE_END
        table = pack("<HH2sHI", 0x7FE0, 1, b"OV", 0, len(offsets)) + offsets
        assert bytes(DataSet.from_bytes(table + pixels, JPEG).frames()[0]) == b"\xff\xd8"

    def test_nan_is_no_change(self):
        # This one would come out with another bit.
        data = element(0x00191010, "FL", b"\x01\0\xa0\x7f" + pack("<f", 1.0))
        ds = DataSet.from_bytes(data, EXPLICIT)
        assert ds[0x00191010][1] == 1.0
        assert ds.to_bytes() == data
        assert ds == ds.copy() == DataSet.from_bytes(data, EXPLICIT)
        ds[0x00191010][1] = 2.0
        assert ds.to_bytes() != data
        assert ds != DataSet.from_bytes(data, EXPLICIT)
        one, other = (DataSet.from_elements([DataElement(0x00191010, "FD", nan)]) for _ in "ab")
        assert one == other
        assert one != DataSet.from_elements([DataElement(0x00191010, "FD", 1.0)])


class TestGroupLengths:
    def test_one_that_is_no_number_is_left_alone(self):
        data = element(0x00100000, "OB", b"\x01\x02\x03\x04") + PATIENT_ID
        ds = DataSet.from_bytes(data, EXPLICIT)
        ds.PatientComments = "AB"
        assert ds.to_bytes() == data + element(0x00104000, "LT", b"AB")
        again = DataSet.from_bytes(ds.to_bytes(BIG_ENDIAN), BIG_ENDIAN)
        assert again == ds


class TestUnusualItems:
    def test_compressed_pixel_data_in_big_endian(self):
        fragment = pack(">HHI", 0xFFFE, 0xE000, 0) + pack(">HHI", 0xFFFE, 0xE000, 2) + b"ab"
        end = pack(">HHI", 0xFFFE, 0xE0DD, 0)
        data = element(0x7FE00010, "OB", fragment, UNDEFINED, ">") + end
        ds = DataSet.from_bytes(data, BIG_ENDIAN)
        assert [bytes(part) for part in ds.PixelData.fragments] == [b"ab"]
        assert ds.to_bytes() == data
        ds.PatientID = "X"
        assert ds.to_bytes().endswith(data)
        assert pickle.loads(pickle.dumps(ds.PixelData)).fragments == ds.PixelData.fragments

    def test_an_empty_un_of_undefined_length_before_an_explicit_element(self):
        data = element(0x00091010, "UN", b"", UNDEFINED) + SEQUENCE_END + PATIENT_ID
        ds = DataSet.from_bytes(data, EXPLICIT)
        again = DataSet.from_bytes(ds.to_bytes(BIG_ENDIAN), BIG_ENDIAN)
        assert again == ds
        assert again.PatientID == "X"
        # In big endian, the content of a UN is little endian all the same.
        patient = element(0x00100020, "LO", b"X ", order=">")
        big = element(0x00091010, "UN", b"", UNDEFINED, ">") + SEQUENCE_END + patient
        assert DataSet.from_bytes(big, BIG_ENDIAN) == ds

    @pytest.mark.parametrize("target", [IMPLICIT, BIG_ENDIAN])
    def test_explicit_items_in_a_un(self, target):
        data = element(BEAMS, "UN", item(NAME, UNDEFINED) + ITEM_END, UNDEFINED) + SEQUENCE_END
        ds = DataSet.from_bytes(data, EXPLICIT)
        assert ds["BeamSequence", 0, "BeamName"] == "AB"
        again = DataSet.from_bytes(ds.to_bytes(target), target)
        assert again == ds

    def test_what_is_behind_all_tags_ends_no_sequence(self):
        nested = element(
            BEAMS, "SQ", item(element(0x300A0111, "SQ", b"", UNDEFINED), UNDEFINED), UNDEFINED
        )
        with pytest.raises(DecodeError):
            DataSet.from_bytes(nested + element(0xFFFF0000, "LO", b"AB"), EXPLICIT)

    @pytest.mark.parametrize("target", [IMPLICIT, BIG_ENDIAN])
    def test_a_sequence_that_cannot_be_decoded_is_converted_as_bytes(self, target):
        data = element(BEAMS, "SQ", item(NAME) + b"\x01\x02\x03\x04") + PIXELS
        again = DataSet.from_bytes(DataSet.from_bytes(data, EXPLICIT).to_bytes(target), target)
        assert bytes(again.fetch(BEAMS).raw) == item(NAME) + b"\x01\x02\x03\x04"
        assert again.PixelData == b"12"

    def test_limits_hold_in_a_part_of_an_input(self):
        limits = Limits(max_elements=10)
        data = element(BEAMS, "SQ", item() * 20)[:-8]
        ds = DataSet.from_bytes(data, EXPLICIT, limits=limits, keep_truncated=True)
        assert len(ds.BeamSequence) <= 10
