"""How data sets that were read are put together again."""

from __future__ import annotations

from struct import pack

import pytest

from dicom_actors.data import DataElement, DataSet, read_file
from dicom_actors.data.dataset.encoder import encode_data_set
from dicom_actors.errors import EncodeError, UnsupportedTransferSyntaxError

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
UNDEFINED = 0xFFFFFFFF
ITEM_END = pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)
NAME = b"\x0a\x30\xc2\0LO\x02\0AB"
NUMBER = b"\x0a\x30\xc0\0IS\x02\x001 "


def sequence(items, length=None):
    return b"\x0a\x30\xb0\0SQ\0\0" + pack("<I", len(items) if length is None else length) + items


def item(value, length=None):
    return pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value


class TestChangedItems:
    def test_undefined_lengths_stay_undefined(self):
        data = sequence(item(NUMBER + NAME + ITEM_END, UNDEFINED) * 2 + SEQUENCE_END, UNDEFINED)
        ds = DataSet.from_bytes(data, EXPLICIT)
        ds.BeamSequence[1].BeamName = "CD"
        assert ds.to_bytes() == data[: data.rindex(b"AB")] + b"CD" + ITEM_END + SEQUENCE_END

    def test_defined_lengths_stay_defined(self):
        ds = DataSet.from_bytes(sequence(item(NUMBER + NAME) * 2), EXPLICIT)
        ds.BeamSequence[1].BeamName = "CDEF"
        changed = NAME.replace(b"\x02\0AB", b"\x04\0CDEF")
        assert ds.to_bytes() == sequence(item(NUMBER + NAME) + item(NUMBER + changed))

    def test_new_items_have_defined_lengths(self):
        data = sequence(item(NAME + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED)
        ds = DataSet.from_bytes(data, EXPLICIT)
        ds.BeamSequence.append(DataSet.from_keywords(BeamName="AB"))
        assert ds.to_bytes() == data[:-8] + item(NAME) + SEQUENCE_END

    def test_the_bytes_of_others_are_kept_whatever_they_are(self):
        # An odd length, lower case in a CS, a wrong VR: what a new encoding would put right.
        odd = b"\x08\0\x60\0CS\x03\0ct " + b"\x10\0\x20\0SH\x01\0X"
        ds = DataSet.from_bytes(odd + sequence(item(NAME)), EXPLICIT)
        ds.BeamSequence[0].BeamName = "CD"
        assert ds.to_bytes() == odd + sequence(item(NAME.replace(b"AB", b"CD")))
        del ds.BeamSequence
        assert ds.to_bytes() == odd

    def test_an_edit_taken_back_gives_the_same_bytes(self, judge_folder):
        ds = read_file(judge_folder / "test-SR.dcm")
        before = ds.to_bytes()
        element = ds.fetch("PatientID")
        ds.PatientID = "other"
        assert ds.to_bytes() != before
        ds.put_element(DataElement("PatientID", element.vr, element.value))
        assert ds.to_bytes() == before


class TestPieces:
    def test_untouched_runs_are_not_copied(self, judge_folder):
        ds = read_file(judge_folder / "CT_small.dcm")
        assert len(encode_data_set(ds)) == 1
        ds.PatientID = "other"
        assert len(encode_data_set(ds)) == 3
        ds["PatientName"] = "other"
        del ds.StudyID
        assert len(encode_data_set(ds)) == 5

    def test_pixel_data_is_not_copied(self):
        raw = memoryview(bytes(1 << 20))
        ds = DataSet.from_keywords(PatientID="X", PixelData=raw)
        assert any(piece.obj is raw.obj for piece in encode_data_set(ds, EXPLICIT)[-1:])


class TestCommandSets:
    def test_the_group_length_is_computed(self):
        command = DataSet.from_keywords(
            CommandGroupLength=0, AffectedSOPClassUID="1.2.3", CommandField=1, MessageID=7
        )
        data = command.to_bytes(IMPLICIT)
        assert data[:12] == b"\0\0\0\0\x04\0\0\0" + pack("<I", len(data) - 12)
        read = DataSet.from_bytes(data, IMPLICIT)
        assert (read.MessageID, read.CommandGroupLength) == (7, len(data) - 12)
        read.MessageID = 8
        assert DataSet.from_bytes(read.to_bytes(), IMPLICIT).MessageID == 8

    def test_a_wrong_one_stays_until_its_group_changes(self):
        data = b"\x08\0\0\0UL\x04\0\xff\0\0\0\x08\0\x60\0CS\x02\0CT\x10\0\x20\0LO\x02\0X "
        ds = DataSet.from_bytes(data, EXPLICIT)
        ds.PatientID = "Y"
        assert ds.to_bytes()[:12] == data[:12]
        ds.Modality = "MR"
        assert ds.to_bytes()[8:12] == b"\x0a\0\0\0"
        assert DataSet.from_bytes(data, EXPLICIT).to_bytes(IMPLICIT)[8:12] == b"\x0a\0\0\0"


class TestErrors:
    def test_an_error_has_tag_and_path(self):
        ds = DataSet.from_keywords(
            BeamSequence=[{}, {"ControlPointSequence": [{"RetrieveURL": "ä"}]}]
        )
        with pytest.raises(EncodeError, match="ASCII") as caught:
            ds.to_bytes()
        assert caught.value.tag == 0x00081190
        assert caught.value.path == ("BeamSequence[1]", "ControlPointSequence[0]")
        assert "in BeamSequence[1] > ControlPointSequence[0]" in str(caught.value)

    def test_too_deep(self):
        ds = DataSet()
        for _ in range(300):
            ds = DataSet.from_keywords(BeamSequence=[ds])
        with pytest.raises(EncodeError, match="nested deeper than 100"):
            ds.to_bytes()

    @pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.6.1", "1.2.840.10008.1.2.6.2"])
    def test_no_encoding_of_data_sets(self, syntax):
        with pytest.raises(UnsupportedTransferSyntaxError):
            DataSet.from_keywords(PatientID="X").to_bytes(syntax)


@pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_every_uncompressed_file_converts_there_and_back(judge_file, target):
    ds = read_file(judge_file, keep_truncated=True)
    if ds.transfer_syntax.is_encapsulated:
        return
    converted = DataSet.from_bytes(ds.to_bytes(target), target)
    if any((element.length or 0) & 1 for _, element in ds.walk()):
        # What had an odd length got its padding.
        padded = b"".join(encode_data_set(ds, pads=True))
        ds = DataSet.from_bytes(padded, ds.transfer_syntax, keep_truncated=True)
    if target != IMPLICIT:
        # Group lengths are put right, those that came wrong too.
        assert [ds[tag] for tag in ds if tag.element] == [
            converted[tag] for tag in converted if tag.element
        ]
    back = DataSet.from_bytes(converted.to_bytes(ds.transfer_syntax), ds.transfer_syntax)
    assert list(back) == list(ds)
