from __future__ import annotations

import copy
import pickle

import pytest

from dicom_actors.data import (
    DataElement,
    DataSet,
    EncapsulatedPixelData,
    PersonName,
    Tag,
    read_large,
    write_file,
)
from dicom_actors.errors import ElementNotFoundError, EncodeError

EXPLICIT = "1.2.840.10008.1.2.1"


def test_attributes():
    element = DataElement("ImageType", "CS", ["A", "B"])
    assert element.tag == Tag(0x00080008)
    assert (element.vr, element.vm, element.values) == ("CS", 2, ["A", "B"])
    assert (element.keyword, element.name) == ("ImageType", "Image Type")
    assert element.value == ["A", "B"]
    assert element.raw is None
    assert element.length is None
    assert not element.is_empty


@pytest.mark.parametrize("values", [None, [], (), ""])
def test_empty(values):
    element = DataElement("PatientID", "LO", values)
    assert element.value is None
    assert element.values == []
    assert element.vm == 0
    assert element.is_empty


def test_one_value():
    element = DataElement("PatientName", "PN", "Doe^John")
    assert element.value == PersonName("Doe^John")
    assert element.values == [PersonName("Doe^John")]


def test_a_sequence():
    element = DataElement("BeamSequence", "SQ", [DataSet(), {"BeamName": "A"}])
    assert (element.vm, len(element.values)) == (1, 2)
    assert element.values[1].BeamName == "A"
    assert DataElement("BeamSequence", "SQ", DataSet()).values == [DataSet()]


def test_equality():
    assert DataElement("PatientID", "LO", "X") == DataElement(0x00100020, "LO", ["X"])
    assert DataElement("PatientID", "LO", "X") != DataElement("PatientID", "LO", "Y")
    assert DataElement("PatientID", "LO", "X") != DataElement("PatientID", "SH", "X")
    assert DataElement("PatientID", "LO", "X") != "X"


def test_repr():
    element = DataElement("PatientID", "LO", "X")
    assert repr(element) == "DataElement(Tag(0x00100020), 'LO', ['X'])"


def test_bad_ones():
    with pytest.raises(EncodeError, match="expected a VR, got 'XX'"):
        DataElement("PatientID", "XX", "X")
    with pytest.raises(ElementNotFoundError):
        DataElement("NoKeyword", "LO", "X")
    with pytest.raises(EncodeError, match=r"\(0028,0010\)"):
        DataElement("Rows", "US", "x")


class TestRead:
    @pytest.fixture
    def ds(self):
        made = DataSet.from_keywords(PatientID="ABC", BeamSequence=[{"BeamName": "A"}])
        return DataSet.from_bytes(made.to_bytes(EXPLICIT), EXPLICIT)

    def test_raw_and_length(self, ds):
        element = ds.fetch("PatientID")
        assert element.raw == b"ABC "
        assert element.raw.readonly
        assert element.length == 4
        assert ds.fetch("BeamSequence").length == 18
        assert element == DataElement("PatientID", "LO", "ABC")

    def test_it_keeps_what_it_was(self, ds):
        element, untouched = ds.fetch("PatientID"), ds.fetch("PatientID")
        assert element.value == "ABC"
        ds.PatientID = "NEW"
        assert element.value == untouched.value == "ABC"
        assert ds.fetch("PatientID").value == "NEW"
        assert ds.fetch("PatientID").raw is None

    def test_its_items_are_those_of_the_data_set(self, ds):
        assert ds.fetch("BeamSequence").value is ds.BeamSequence


VALUES = {
    "ImageType": ["A", "B"],
    "PatientName": "Ä^B",
    "PixelSpacing": ["1.50", "1.5"],
    "SliceThickness": None,
    "BeamSequence": [{"BeamName": "Ö"}],
    "PixelData": bytes(100_000),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("is_read", [False, True])
@pytest.mark.parametrize("keyword", VALUES)
def test_copies_and_pickles(keyword, is_read, protocol):
    ds = DataSet.from_keywords(SpecificCharacterSet="ISO_IR 192", **VALUES)
    if is_read:
        ds = DataSet.from_bytes(ds.to_bytes(EXPLICIT), EXPLICIT)
    value = ds.copy()[keyword]
    for made in (
        copy.copy(ds.fetch(keyword)),
        copy.deepcopy(ds.fetch(keyword)),
        pickle.loads(pickle.dumps(ds.fetch(keyword), protocol)),
    ):
        assert (made, made.value, made.vm) == (ds.fetch(keyword), value, ds.fetch(keyword).vm)


def test_a_deep_copy_shares_nothing():
    ds = DataSet.from_keywords(SpecificCharacterSet="ISO_IR 192", **VALUES)
    ds = DataSet.from_bytes(ds.to_bytes(EXPLICIT), EXPLICIT)
    copy.deepcopy(ds.fetch("ImageType")).value.append("C")
    copy.deepcopy(ds.fetch("BeamSequence")).value[0].BeamName = "X"
    assert (ds.ImageType, ds["BeamSequence", 0, "BeamName"]) == (["A", "B"], "Ö")


@pytest.mark.parametrize("pixels", [bytes(100_000), EncapsulatedPixelData([b"ab", b"cd"])])
def test_what_is_not_read_is_pickled_as_its_value(tmp_path, pixels):
    ds = DataSet.from_keywords(SOPClassUID="1.2", SOPInstanceUID="1.2.3", PixelData=pixels)
    syntax = EXPLICIT if isinstance(pixels, bytes) else "1.2.840.10008.1.2.5"
    write_file(tmp_path / "file", ds, transfer_syntax=syntax)
    element = read_large(tmp_path / "file").fetch("PixelData")
    assert copy.copy(element).unread is copy.deepcopy(element).unread is element.unread
    assert pickle.loads(pickle.dumps(element)).value == pixels
