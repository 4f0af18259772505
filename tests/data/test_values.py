from __future__ import annotations

from array import array

import pytest

from dicom_actors.data import DS, IS, DataSet, Tag
from dicom_actors.data.values.value_types import decimal_text
from dicom_actors.errors import EncodeError

EXPLICIT = "1.2.840.10008.1.2.1"


class TestWhatIsNoValueOfItsVr:
    def read(self, vr: str, value: bytes, key="PatientID") -> DataSet:
        tag = Tag(key)
        header = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little") + vr.encode()
        if vr in {"UT", "OB", "UN", "UR"}:
            return DataSet.from_bytes(
                header + bytes(2) + len(value).to_bytes(4, "little") + value, EXPLICIT
            )
        return DataSet.from_bytes(header + len(value).to_bytes(2, "little") + value, EXPLICIT)

    @pytest.mark.parametrize(
        ("vr", "raw", "value"),
        [
            ("US", b"\x01\x02\x03", b"\x01\x02\x03"),
            ("AT", b"\x01\x02\x03", b"\x01\x02\x03"),
            ("DS", b"1.2mm ", "1.2mm"),
            ("DS", b"1\\x\\3 ", [1.0, "x", 3.0]),
            ("IS", b"1A", "1A"),
            ("IS", b"7.0 ", 7),
            ("CS", b"\xe4 ", "ä"),
            ("UR", b"http:\xe4", "http:ä"),
        ],
    )
    def test_it_comes_as_the_next_best_thing_with_a_warning(self, vr, raw, value):
        ds = self.read(vr, raw)
        assert ds.PatientID == value
        assert len(ds.warnings) == 1
        assert ds.warnings[0].tag == 0x00100020
        assert ds.to_bytes().endswith(raw)

    @pytest.mark.parametrize(
        ("vr", "raw", "value"),
        [
            ("LO", b"text\0\0", "text"),
            ("UI", b"1.2.3 ", "1.2.3"),
            ("UI", b"1.2.3\0\0\0", "1.2.3"),
            ("CS", b" CT \\ MR ", ["CT", "MR"]),
            ("ST", b" text  ", " text"),
            ("DS", b" 1.5 ", 1.5),
            ("DS", b"1.5\\\\2 ", [1.5, None, 2.0]),
            ("IS", b"  ", None),
            ("DS", b"", None),
            ("PN", b"", None),
            ("UT", b"A\\B ", "A\\B"),
        ],
    )
    def test_padding_and_empty_values(self, vr, raw, value):
        ds = self.read(vr, raw)
        assert ds.PatientID == value
        assert not ds.warnings
        assert ds.to_bytes().endswith(raw)

    def test_a_changed_list_with_what_is_no_number_can_be_written(self):
        ds = self.read("DS", b"1\\x\\3 ")
        ds.PatientID.append(4)
        assert ds.to_bytes().endswith(b"1\\x\\3\\4 ")


class TestLongValues:
    def test_a_text_too_long_for_a_short_length_goes_out_as_un(self):
        ds = DataSet()
        ds.put("PatientID", "LO", "x" * 70_000)
        data = ds.to_bytes(EXPLICIT)
        assert data[:12] == b"\x10\x00\x20\x00UN\0\0" + (70_000).to_bytes(4, "little")
        assert DataSet.from_bytes(data, EXPLICIT).PatientID == "x" * 70_000

    def test_large_bytes_are_views(self):
        raw = bytes(range(256)) * 1_000
        ds = DataSet.from_bytes(DataSet.from_keywords(PixelData=raw).to_bytes(EXPLICIT), EXPLICIT)
        assert isinstance(ds.PixelData, memoryview)
        assert ds.PixelData.readonly
        assert ds.PixelData == raw

    def test_bytes_of_other_kinds(self):
        ds = DataSet.from_keywords(PixelData=array("H", [1, 2]))
        assert ds.PixelData == b"\x01\0\x02\0"
        ds.PixelData = bytearray(b"ab")
        assert ds.PixelData == b"ab"
        assert isinstance(ds.PixelData, bytes)

    def test_odd_bytes_are_padded(self):
        ds = DataSet()
        ds.put("ICCProfile", "OB", b"abc")
        assert ds.to_bytes(EXPLICIT).endswith(b"abc\0")


class TestNumbersOfText:
    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (1.0, "1"),
            (0.1, "0.1"),
            (-0.0, "-0"),
            (1 / 3, "0.33333333333333"),
            (-1 / 3, "-0.3333333333333"),
            (1.2345678901234567e-300, "1.234567890e-300"),
            (-1.2345678901234567e300, "-1.23456789e+300"),
            (12345678901234567890.0, "1.2345678901e+19"),
            (1e16, "1e+16"),
        ],
    )
    def test_the_text_of_a_float_fits(self, number, text):
        assert decimal_text(number) == text or (
            len(decimal_text(number)) <= 16 and float(decimal_text(number)) == float(text)
        )
        assert len(decimal_text(number)) <= 16

    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_not_every_float_has_one(self, number):
        with pytest.raises(EncodeError, match="finite"):
            DataSet.from_keywords(SliceThickness=number).to_bytes()

    def test_texts(self):
        assert DS.of("1.50").text == "1.50"
        assert DS(1.5).text == "1.5"
        assert IS.of("+07").text == "+07"
        assert IS(7).text == "7"

    def test_elements_of_many_values_have_plain_numbers(self):
        text = "\\".join(["1.50"] * 20).encode()
        ds = DataSet()
        ds.put("ContourData", "DS", text.decode())
        read = DataSet.from_bytes(ds.to_bytes(EXPLICIT), EXPLICIT)
        assert read.ContourData == [1.5] * 20
        assert bytes(read.fetch("ContourData").raw).rstrip() == text
        assert read.to_bytes() == ds.to_bytes(EXPLICIT)


class TestCharacterSets:
    def test_text_in_the_declared_set(self):
        ds = DataSet.from_keywords(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
        data = ds.to_bytes(EXPLICIT)
        assert b"M\xfcller" in data
        assert DataSet.from_bytes(data, EXPLICIT).PatientName == "Müller^Jörg"

    def test_items_inherit_it_or_have_their_own(self):
        ds = DataSet.from_keywords(
            SpecificCharacterSet="ISO_IR 100",
            BeamSequence=[
                {"BeamName": "ä"},
                {"SpecificCharacterSet": "ISO_IR 192", "BeamName": "ä€"},
            ],
        )
        data = ds.to_bytes(EXPLICIT)
        assert b"\xe4 " in data
        assert "ä€".encode() in data
        assert DataSet.from_bytes(data, EXPLICIT) == ds

    def test_a_new_declaration_encodes_what_was_read_anew(self):
        ds = DataSet.from_keywords(
            SpecificCharacterSet="ISO_IR 100",
            PatientName="Müller",
            BeamSequence=[{"BeamName": "ä"}],
        )
        read = DataSet.from_bytes(ds.to_bytes(EXPLICIT), EXPLICIT)
        read.SpecificCharacterSet = "ISO_IR 192"
        data = read.to_bytes()
        assert "Müller".encode() in data
        again = DataSet.from_bytes(data, EXPLICIT)
        assert again.PatientName == "Müller"
        assert again.BeamSequence[0].BeamName == "ä"

    def test_an_item_moved_under_another_set_is_encoded_anew(self):
        source = DataSet.from_keywords(
            SpecificCharacterSet="ISO_IR 100", BeamSequence=[{"BeamName": "ä"}]
        )
        read = DataSet.from_bytes(source.to_bytes(EXPLICIT), EXPLICIT)
        other = DataSet.from_keywords(SpecificCharacterSet="ISO_IR 192")
        other.BeamSequence = [read.BeamSequence[0]]
        assert (
            DataSet.from_bytes(other.to_bytes(EXPLICIT), EXPLICIT).BeamSequence[0].BeamName == "ä"
        )

    def test_a_wrong_declaration_can_be_overridden(self):
        ds = DataSet.from_keywords(SpecificCharacterSet="ISO_IR 192", PatientName="Müller")
        data = ds.to_bytes(EXPLICIT).replace(b"ISO_IR 192", b"ISO_IR 100")
        assert DataSet.from_bytes(data, EXPLICIT).PatientName == "MÃ¼ller"
        read = DataSet.from_bytes(data, EXPLICIT, character_set="ISO_IR 192")
        assert read.PatientName == "Müller"
        assert read.to_bytes() == data

    def test_bytes_outside_the_set_are_kept_and_warned_of(self):
        data = DataSet.from_keywords(PatientID="Ma").to_bytes(EXPLICIT).replace(b"Ma", b"M\xfc")
        ds = DataSet.from_bytes(data, EXPLICIT)
        assert ds.PatientID == "Mü"
        assert len(ds.warnings) == 1
        assert ds.to_bytes() == data

    def test_an_unknown_set_is_warned_of_once(self):
        ds = DataSet.from_keywords(SpecificCharacterSet="ISO_IR 999", PatientID="M", StudyID="7")
        read = DataSet.from_bytes(ds.to_bytes(EXPLICIT), EXPLICIT)
        assert (read.PatientID, read.StudyID) == ("M", "7")
        assert len(read.warnings) == 1

    def test_a_character_that_the_set_lacks(self):
        ds = DataSet.from_keywords(BeamSequence=[{"BeamName": "ä"}])
        with pytest.raises(EncodeError, match="BeamSequence") as caught:
            ds.to_bytes()
        assert caught.value.tag == 0x300A00C2
        assert caught.value.path == ("BeamSequence[0]",)
