"""Items and delimiters where none belong, and zeros where a delimiter does: read past them."""

from __future__ import annotations

from struct import pack

import pytest

from dicom_actors.data import DataSet
from dicom_actors.errors import DecodeError

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


def order(syntax):
    return ">" if syntax == BIG_ENDIAN else "<"


def stray(tag, syntax, length=0, value=b""):
    return pack(order(syntax) + "HHI", tag >> 16, tag & 0xFFFF, length) + value


def parts(syntax):
    """Three elements, each in the transfer syntax."""
    elements = {"Modality": "CT", "PatientID": "X", "StudyID": "1"}
    return [DataSet.from_keywords(**{key: text}).to_bytes(syntax) for key, text in elements.items()]


def check(data, syntax):
    ds = DataSet.from_bytes(data, syntax)
    assert (ds.Modality, ds.PatientID, ds.StudyID) == ("CT", "X", "1")
    assert len(ds) == 3
    assert ds.to_bytes() == data
    ds.PatientComments = "edited"
    again = DataSet.from_bytes(ds.to_bytes(), syntax)
    assert again == ds
    assert not again.warnings
    return [str(warning) for warning in ds.warnings]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("tag", [ITEM, ITEM_END, SEQUENCE_END])
def test_at_the_top_level_it_is_passed_over(syntax, place, tag):
    found = parts(syntax)
    found.insert(place, stray(tag, syntax))
    (message,) = check(b"".join(found), syntax)
    assert "outside a sequence is passed over" in message


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_an_item_is_passed_over_with_what_is_in_it(syntax):
    one, *others = parts(syntax)
    inner = DataSet.from_keywords(Modality="MR", PatientID="Y").to_bytes(syntax)
    (message,) = check(b"".join([one, stray(ITEM, syntax, len(inner), inner), *others]), syntax)
    assert f"an item of {len(inner)} bytes outside a sequence" in message


@pytest.mark.parametrize("length", [UNDEFINED, 100_000])
def test_of_an_item_without_a_length_that_fits_the_header_alone(length):
    one, *others = parts(EXPLICIT)
    check(b"".join([one, stray(ITEM, EXPLICIT, length), *others]), EXPLICIT)


def test_within_an_item_of_defined_length():
    inner = b"".join([*parts(EXPLICIT)[:2], stray(ITEM, EXPLICIT), parts(EXPLICIT)[2]])
    head = pack("<HH2s2xI", 0x300A, 0x00B0, b"SQ", len(inner) + 8)
    ds = DataSet.from_bytes(head + stray(ITEM, EXPLICIT, len(inner), inner), EXPLICIT)
    assert ds["BeamSequence", 0, "StudyID"] == "1"
    assert "an item of 0 bytes outside a sequence" in str(ds.warnings[0])


class TestZerosAfterFragments:
    FRAGMENTS = stray(ITEM, JPEG) + stray(ITEM, JPEG, 4, b"\xff\xd8ab")
    PIXELS = pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", UNDEFINED) + FRAGMENTS

    @pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 1_000])
    def test_at_the_end(self, count):
        data = parts(JPEG)[0] + self.PIXELS + bytes(count)
        ds = DataSet.from_bytes(data, JPEG)
        assert [bytes(part) for part in ds.PixelData.fragments] == [b"\xff\xd8ab"]
        assert "zeros in place of a sequence delimiter" in str(ds.warnings[0])
        assert ds.to_bytes() == data
        ds.PatientID = "X"
        again = DataSet.from_bytes(ds.to_bytes(), JPEG)
        assert again.PixelData == ds.PixelData
        assert again.PatientID == "X"

    def test_before_another_element(self):
        padding = pack("<HH2s2xI", 0xFFFC, 0xFFFC, b"OB", 2) + b"ab"
        ds = DataSet.from_bytes(self.PIXELS + bytes(8) + padding, JPEG)
        assert len(ds.PixelData.fragments) == 1
        assert ds[0xFFFCFFFC] == b"ab"

    def test_in_an_item(self):
        inner = self.PIXELS + bytes(8)
        head = pack("<HH2s2xI", 0x0088, 0x0200, b"SQ", len(inner) + 8)
        ds = DataSet.from_bytes(head + stray(ITEM, JPEG, len(inner), inner), JPEG)
        assert len(ds["IconImageSequence", 0, "PixelData"].fragments) == 1

    def test_anything_else_is_no_delimiter(self):
        with pytest.raises(DecodeError, match="expected a fragment or the sequence delimiter"):
            DataSet.from_bytes(self.PIXELS + bytes(7) + b"\1" + bytes(8), JPEG)


@pytest.mark.parametrize("stray", [0xE000, 0xE00D, 0xE0DD])
def test_before_a_data_set_that_is_not_encoded_as_announced(stray):
    elements = DataSet.from_keywords(StudyDate="20240101", PatientID="X").to_bytes(BIG_ENDIAN)
    ds = DataSet.from_bytes(pack("<HHI", 0xFFFE, stray, 0) + elements, EXPLICIT)
    assert [tag.keyword for tag in ds] == ["StudyDate", "PatientID"]
    assert ds.to_bytes() == elements
    assert DataSet.from_bytes(ds.to_bytes(BIG_ENDIAN), BIG_ENDIAN) == ds
