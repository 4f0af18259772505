"""Hostile and broken data sets: what is forgiven, what is refused, and where it says so."""

from __future__ import annotations

import io
import pickle
import zlib
from struct import pack

import pytest

from dicom_actors.data import DataSet, Limits, read_file, write_file
from dicom_actors.errors import DecodeError, DicomError

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
UNDEFINED = 0xFFFFFFFF
ITEM_END = pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)


def element(tag, vr, value, length=None):
    length = len(value) if length is None else length
    if vr in {"SQ", "OB", "OW", "UN", "UT"}:
        return pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length) + value
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length) + value


def implicit(tag, value, length=None):
    return pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(value, length=None):
    return pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value


BEAMS = 0x300A00B0
NAME = element(0x300A00C2, "LO", b"AB")
PATIENT_ID = element(0x00100020, "LO", b"X ")
MODALITY = element(0x00080060, "CS", b"CT")


def read(data, syntax=EXPLICIT, **options):
    return DataSet.from_bytes(data, syntax, **options)


def touched(ds):
    for _, part in ds.walk():
        part.value  # noqa: B018
    return ds


def messages(ds):
    return [str(warning) for warning in ds.warnings]


class TestLengths:
    def test_past_the_end(self):
        with pytest.raises(DecodeError, match="expected a value of 100 bytes, 2 left") as caught:
            read(MODALITY + element(0x00100020, "LO", b"X ", 100))
        assert (caught.value.tag, caught.value.offset) == (0x00100020, 10)

    def test_past_the_item(self):
        beam = item(element(0x300A00C2, "LO", b"AB", 100))
        ds = read(element(BEAMS, "SQ", beam) + element(0x300C0001, "LO", b"x" * 200))
        assert ds.BeamSequence == beam
        assert "100 bytes, 2 left [tag (300A,00C2), in BeamSequence[0]" in messages(ds)[0]

    def test_an_item_past_its_sequence(self):
        beam = item(NAME[:-1], 100)
        ds = read(element(BEAMS, "SQ", beam) + element(0x300C0001, "LO", b"x" * 200))
        assert ds.BeamSequence == beam
        assert "item of 100 bytes, 9 left" in messages(ds)[0]

    def test_an_item_whose_length_alone_is_wrong(self):
        beam = item(NAME, 100)
        ds = read(element(BEAMS, "SQ", beam))
        assert (ds.BeamSequence, ds.fetch(BEAMS).vr) == (beam, "UN")
        assert "item of 100 bytes" in messages(ds)[0]

    @pytest.mark.parametrize("length", range(1, 12))
    def test_a_header_cut_short(self, length):
        data = MODALITY + element(0x00420011, "OB", b"")[:length]
        with pytest.raises(DecodeError):
            read(data)

    def test_a_sequence_past_the_end(self):
        with pytest.raises(DecodeError):
            read(element(BEAMS, "SQ", item(NAME), 1000))

    def test_what_is_there_can_be_had(self):
        data = MODALITY + element(0x00100020, "LO", b"X ", 100)
        ds = read(data, keep_truncated=True)
        assert ds.Modality == "CT"
        assert "PatientID" not in ds
        assert "100 bytes" in messages(ds)[0]

    def test_the_part_of_pixel_data_that_is_there_can_be_had(self):
        ds = read(MODALITY + element(0x7FE00010, "OW", b"abcd", 1000), keep_truncated=True)
        assert ds.PixelData == b"abcd"
        assert read(ds.to_bytes()).PixelData == b"abcd"

    @pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
    def test_odd_lengths(self, syntax):
        ds = DataSet.from_keywords(Modality="CT", PatientID="ABC")
        odd = bytearray(ds.to_bytes(syntax)[:-1])
        at = len(odd) - 3 - (4 if syntax == IMPLICIT else 2)
        odd[at : at + 2] = b"\x03\0" if syntax != BIG_ENDIAN else b"\0\x03"
        read_odd = read(bytes(odd), syntax)
        assert read_odd.PatientID == "ABC"
        assert read_odd.to_bytes() == bytes(odd)


class TestNesting:
    @staticmethod
    def nested(depth, *, is_undefined):
        if is_undefined:
            opening = element(BEAMS, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)
            return opening * depth + (ITEM_END + SEQUENCE_END) * depth
        data = b""
        for _ in range(depth):
            data = element(BEAMS, "SQ", item(data))
        return data

    def test_ten_thousand_of_defined_length(self):
        ds = read(self.nested(10_000, is_undefined=False))
        with pytest.raises(DecodeError, match="nested deeper than 64"):
            touched(ds)
        assert ds.to_bytes() == self.nested(10_000, is_undefined=False)

    def test_ten_thousand_of_undefined_length(self):
        with pytest.raises(DecodeError, match="nested deeper than 64"):
            read(self.nested(10_000, is_undefined=True))

    @pytest.mark.parametrize("is_undefined", [True, False])
    def test_ten_thousand_where_they_are_allowed(self, is_undefined):
        data = self.nested(10_000, is_undefined=is_undefined)
        ds = read(data, limits=Limits(max_depth=20_000))
        if is_undefined:
            beams, depth = ds.BeamSequence, 1
            while beams and len(beams[0]):
                beams, depth = beams[0].BeamSequence, depth + 1
            assert depth == 10_000
        else:
            assert ds.BeamSequence[0].BeamSequence[0].fetch("BeamSequence").vr == "SQ"
        assert read(ds.to_bytes(), limits=Limits(max_depth=20_000)).to_bytes() == data

    @pytest.mark.parametrize("is_undefined", [True, False])
    def test_as_deep_as_the_limit(self, is_undefined):
        data = self.nested(64, is_undefined=is_undefined)
        assert sum(1 for _ in touched(read(data)).walk()) == 64
        with pytest.raises(DecodeError):
            touched(read(self.nested(66, is_undefined=is_undefined)))


class TestBudgets:
    def test_elements(self):
        data = b"".join(element(0x00090000 + at, "LO", b"") for at in range(0x1000, 0x1100))
        assert len(read(data, limits=Limits(max_elements=256))) == 256
        with pytest.raises(DecodeError, match="more than 255"):
            read(data, limits=Limits(max_elements=255))

    def test_items(self):
        data = element(BEAMS, "SQ", item(b"") * 1000)
        assert len(read(data, limits=Limits(max_elements=1001)).BeamSequence) == 1000
        with pytest.raises(DecodeError, match="more than 1000"):
            read(data, limits=Limits(max_elements=1000)).BeamSequence  # noqa: B018

    def test_very_many_empty_items_are_walked_once(self):
        data = element(BEAMS, "SQ", item(b"") * 250_000, UNDEFINED) + SEQUENCE_END
        assert len(read(data).BeamSequence) == 250_000

    def test_zeros_that_are_no_padding_are_looked_at_once(self):
        # Each of the elements could be the first of the padding, but for the last byte.
        data = MODALITY + bytes(8) * 200_000 + implicit(0, b"x")
        ds = read(implicit(0x00080060, b"CT") + data[10:], IMPLICIT)
        assert ds.Modality == "CT"

    def test_warnings_are_bounded(self):
        data = b"".join(element(0x00090000 + at, "ZZ", b"") for at in range(0x1000, 0x2000))
        ds = read(MODALITY + data)
        assert len(ds) == 4097
        assert len(ds.warnings) == 1_000

    def test_deflated_beyond_the_absolute_limit(self):
        bomb = deflate(MODALITY + element(0x7FE00010, "OB", bytes(1 << 20)))
        with pytest.raises(DecodeError, match="more than 65536 bytes"):
            read(bomb, DEFLATED, limits=Limits(max_inflated_bytes=65536))

    def test_deflated_beyond_the_ratio(self):
        bomb = deflate(MODALITY + element(0x7FE00010, "OB", bytes(80 << 20)))
        with pytest.raises(DecodeError, match="200 times"):
            read(bomb, DEFLATED)
        assert read(bomb, DEFLATED, limits=Limits(max_inflation=2_000)).Modality == "CT"


def deflate(data):
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return machine.compress(data) + machine.flush()


class TestDeflated:
    def test_it_is_read_and_written_as_it_was(self):
        data = deflate(MODALITY + PATIENT_ID)
        ds = read(data, DEFLATED)
        assert (ds.Modality, ds.PatientID) == ("CT", "X")
        assert ds.to_bytes() == data
        assert ds.to_bytes(EXPLICIT) == MODALITY + PATIENT_ID

    @pytest.mark.parametrize("is_deflated", [True, False])
    def test_items_and_file_meta_are_not_the_whole(self, is_deflated):
        items = item(PATIENT_ID) + item(MODALITY)
        data = element(0x00081140, "SQ", items) + PATIENT_ID
        ds = DataSet.from_keywords(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SOPInstanceUID="1.2.3")
        stream = io.BytesIO()
        write_file(stream, ds, transfer_syntax=DEFLATED)
        head = stream.getvalue().removesuffix(ds.to_bytes(DEFLATED))
        whole = read_file(head + (deflate(data) if is_deflated else data))
        for part in (whole, whole.copy(), whole.file_meta, *whole.ReferencedImageSequence):
            again = pickle.loads(pickle.dumps(part))
            assert (again, list(again)) == (part, list(part))
            assert read(part.to_bytes(), DEFLATED) == part

    def test_changed_it_is_deflated_again(self):
        ds = read(deflate(MODALITY + PATIENT_ID), DEFLATED)
        ds.PatientID = "Y"
        assert len(ds.to_bytes()) % 2 == 0
        assert read(ds.to_bytes(), DEFLATED).PatientID == "Y"

    def test_with_a_zlib_header(self):
        assert read(zlib.compress(MODALITY), DEFLATED).Modality == "CT"

    def test_announced_but_not_deflated(self):
        ds = read(MODALITY, DEFLATED)
        assert ds.Modality == "CT"
        assert "deflated" in messages(ds)[0]

    @pytest.mark.parametrize("data", [deflate(MODALITY * 9)[:-3], b"\xff" * 20])
    def test_no_whole_stream(self, data):
        with pytest.raises(DecodeError):
            read(data, DEFLATED)


class TestDelimiters:
    def check(self, data, *, warns=True, names=("AB",)):
        ds = read(data)
        assert [beam.BeamName for beam in ds.BeamSequence] == list(names)
        assert ds.to_bytes() == data
        assert bool(ds.warnings) == warns
        return ds

    def test_right_ones(self):
        inner = item(NAME + ITEM_END, UNDEFINED) + item(NAME)
        data = MODALITY + element(BEAMS, "SQ", inner + SEQUENCE_END, UNDEFINED)
        ds = self.check(data + element(0x300C0001, "LO", b""), warns=False, names=("AB", "AB"))
        assert len(ds) == 3

    def test_undefined_within_defined(self):
        data = element(BEAMS, "SQ", item(NAME + ITEM_END, UNDEFINED))
        self.check(data, warns=False)

    def test_sequence_delimiter_for_item_delimiter(self):
        inner = item(NAME + SEQUENCE_END, UNDEFINED) * 2
        self.check(element(BEAMS, "SQ", inner + SEQUENCE_END, UNDEFINED), names=("AB", "AB"))

    def test_missing_item_delimiter(self):
        inner = item(NAME, UNDEFINED) + item(NAME, UNDEFINED)
        self.check(element(BEAMS, "SQ", inner + SEQUENCE_END, UNDEFINED), names=("AB", "AB"))

    def test_item_delimiter_for_sequence_delimiter(self):
        data = element(BEAMS, "SQ", item(NAME) + ITEM_END, UNDEFINED)
        self.check(data + element(0x300C0001, "LO", b""))

    def test_item_delimiter_after_an_item_of_defined_length(self):
        data = element(BEAMS, "SQ", (item(NAME) + ITEM_END) * 2 + SEQUENCE_END, UNDEFINED)
        self.check(data, names=("AB", "AB"))

    def test_missing_sequence_delimiter_before_an_element(self):
        self.check(element(BEAMS, "SQ", item(NAME), UNDEFINED) + element(0x300C0001, "LO", b""))

    def test_missing_sequence_delimiter_at_the_end(self):
        self.check(element(BEAMS, "SQ", item(NAME), UNDEFINED))

    def test_missing_both_at_the_end(self):
        self.check(element(BEAMS, "SQ", item(NAME, UNDEFINED), UNDEFINED))

    def test_sequence_delimiter_in_a_sequence_of_defined_length(self):
        self.check(element(BEAMS, "SQ", item(NAME) + SEQUENCE_END))

    def test_a_delimiter_at_the_top(self):
        ds = read(MODALITY + ITEM_END + PATIENT_ID)
        assert (ds.Modality, ds.PatientID) == ("CT", "X")
        assert ds.warnings

    def test_no_item_at_all(self):
        ds = read(element(BEAMS, "SQ", MODALITY))
        assert ds.BeamSequence == MODALITY
        assert "expected an item" in messages(ds)[0]
        with pytest.raises(DecodeError, match="expected an item"):
            read(element(BEAMS, "SQ", MODALITY + SEQUENCE_END, UNDEFINED))


class TestUnknown:
    def test_undefined_length_is_implicit(self):
        beam = item(implicit(0x300A00C2, b"AB") + ITEM_END, UNDEFINED)
        data = element(BEAMS, "UN", beam + SEQUENCE_END, UNDEFINED) + element(0x300C0001, "LO", b"")
        ds = read(data)
        assert ds.BeamSequence[0].BeamName == "AB"
        assert ds.fetch("BeamSequence").vr == "SQ"
        assert ds.to_bytes() == data

    def test_private_and_undefined_length(self):
        beam = item(implicit(0x00091002, b"AB"))
        ds = read(element(0x00091001, "UN", beam + SEQUENCE_END, UNDEFINED))
        assert ds[0x00091001][0][0x00091002] == b"AB"

    def test_explicit_all_the_same(self):
        ds = read(element(BEAMS, "UN", item(NAME) + SEQUENCE_END, UNDEFINED))
        assert ds.BeamSequence[0].BeamName == "AB"

    def test_defined_length_of_a_known_tag(self):
        data = element(0x00280010, "UN", b"\0\x02") + element(
            BEAMS, "UN", item(implicit(0x300A00C2, b"AB"))
        )
        ds = read(data)
        assert ds.Rows == 512
        assert ds.fetch("Rows").vr == "US"
        assert ds.BeamSequence[0].BeamName == "AB"
        assert ds.to_bytes() == data
        assert ds.to_bytes(IMPLICIT) == implicit(0x00280010, b"\0\x02") + implicit(
            BEAMS, item(implicit(0x300A00C2, b"AB"))
        )

    def test_in_big_endian_it_is_little_endian(self):
        data = pack(">HH2sHI", 0x0028, 0x0010, b"UN", 0, 2) + b"\0\x02"
        ds = read(data, BIG_ENDIAN)
        assert ds.Rows == 512
        assert ds.to_bytes() == data

    def test_no_items_in_what_should_be_a_sequence(self):
        ds = read(element(BEAMS, "UN", b"junk"))
        assert ds.BeamSequence == b"junk"
        assert ds.warnings

    def test_an_unknown_tag_stays_bytes(self):
        assert read(element(0x00091001, "UN", b"\0\x02"))[0x00091001] == b"\0\x02"

    def test_a_vr_that_does_not_exist_with_a_short_length(self):
        ds = read(element(0x00080060, "ZZ", b"CT") + PATIENT_ID)
        assert (ds.Modality, ds.PatientID) == ("CT", "X")
        assert "b'ZZ'" in messages(ds)[0]

    def test_a_vr_that_does_not_exist_with_a_long_length(self):
        data = pack("<HH2sHI", 0x0008, 0x0060, b"ZZ", 0, 2) + b"CT" + PATIENT_ID
        ds = read(data)
        assert (ds.Modality, ds.PatientID) == ("CT", "X")
        assert ds.to_bytes() == data

    def test_an_implicit_element_among_explicit_ones(self):
        data = MODALITY + implicit(0x00100010, b"Doe ") + PATIENT_ID
        ds = read(data)
        assert (ds.Modality, ds.PatientName, ds.PatientID) == ("CT", "Doe", "X")
        assert "without VR" in messages(ds)[0]
        assert ds.to_bytes() == data


class TestAnnouncedWrong:
    @pytest.mark.parametrize("announced", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
    @pytest.mark.parametrize("actual", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
    def test_the_first_element_tells(self, announced, actual):
        ds = DataSet.from_keywords(SpecificCharacterSet="ISO_IR 100", Modality="CT", Rows=7)
        data = ds.to_bytes(actual)
        got = read(data, announced)
        assert got == ds
        assert got.to_bytes() == data
        assert bool(got.warnings) == (announced != actual)

    @pytest.mark.parametrize("group", [0x0200, 0x0800])
    @pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN])
    @pytest.mark.parametrize(
        "behind",
        [
            {},
            {0x30040002: ("CS", "RELATIVE")},
            {0x30040004: ("SQ", [DataSet.from_keywords(Rows=7)])},
            {0x30050010: ("LO", "ACME"), 0x30051001: ("UN", bytes(12))},
            {0x300A00B0: ("SQ", [])},
        ],
    )
    def test_a_group_that_looks_swapped_is_as_announced_where_all_fits(self, group, syntax, behind):
        ds = DataSet()
        ds.put(group << 16 | 0x2100, "DA", None)
        for tag, (vr, value) in behind.items():
            ds.put(tag, vr, value)
        got = read(ds.to_bytes(syntax), syntax)
        assert got == ds
        assert not got.warnings


class TestOrder:
    def test_out_of_order(self):
        data = PATIENT_ID + MODALITY
        ds = read(data)
        assert [tag.keyword for tag in ds] == ["Modality", "PatientID"]
        assert "out of order" in messages(ds)[0]
        assert ds.to_bytes() == data

    def test_twice(self):
        data = MODALITY + element(0x00080060, "CS", b"MR") + PATIENT_ID
        ds = read(data)
        assert ds.Modality == "MR"
        assert ds.to_bytes() == data
        del ds.Modality
        assert ds.to_bytes() == PATIENT_ID

    def test_in_an_item(self):
        number = element(0x300A00C0, "IS", b"1 ")
        data = element(BEAMS, "SQ", item(NAME + number))
        ds = read(data)
        assert [tag.keyword for tag in ds.BeamSequence[0]] == ["BeamNumber", "BeamName"]
        assert len(ds.warnings) == 1
        assert ds.to_bytes() == data


class TestTrailing:
    @pytest.mark.parametrize("count", [1, 7, 8, 100_000])
    def test_zeros(self, count):
        data = MODALITY + bytes(count)
        ds = read(data)
        assert len(ds) == 1
        assert f"{count} zero bytes" in messages(ds)[0]

    def test_anything_after_pixel_data(self):
        ds = read(MODALITY + element(0x7FE00010, "OW", b"abcd") + b"trailing garbage here")
        assert ds.PixelData == b"abcd"
        assert "21 bytes" in messages(ds)[0]

    def test_anything_else_is_an_error(self):
        with pytest.raises(DecodeError):
            read(MODALITY + b"garb")


class TestEncapsulatedAnywhere:
    FRAGMENTS = item(b"") + item(b"\xff\xd8ab") + SEQUENCE_END

    def test_in_an_item_of_defined_length(self):
        icon = element(0x7FE00010, "OB", self.FRAGMENTS, UNDEFINED)
        data = element(0x00880200, "SQ", item(icon)) + PATIENT_ID
        ds = read(data.replace(PATIENT_ID, b""), JPEG)
        assert ds.IconImageSequence[0].PixelData.fragments == (b"\xff\xd8ab",)

    def test_in_an_item_of_undefined_length(self):
        icon = element(0x7FE00010, "OB", self.FRAGMENTS, UNDEFINED)
        data = element(0x00880200, "SQ", item(icon + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED)
        ds = read(data, JPEG)
        assert ds.IconImageSequence[0].PixelData.fragments == (b"\xff\xd8ab",)
        assert ds.to_bytes() == data

    def test_no_delimiter_at_the_end(self):
        ds = read(element(0x7FE00010, "OB", self.FRAGMENTS[:-8], UNDEFINED), JPEG)
        assert ds.PixelData.fragments == (b"\xff\xd8ab",)
        assert ds.warnings

    def test_a_fragment_cut_short(self):
        data = element(0x7FE00010, "OB", item(b"") + item(b"ab", 100), UNDEFINED)
        with pytest.raises(DecodeError, match="fragment"):
            read(data, JPEG)
        assert read(data, JPEG, keep_truncated=True).warnings


def test_mime_and_xml_are_no_data_sets():
    with pytest.raises(DicomError, match="encode"):
        read(MODALITY, "1.2.840.10008.1.2.6.1")
