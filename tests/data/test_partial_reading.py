"""A part of a file: elements up to one, or some elements; how much is read for that."""

from __future__ import annotations

import io
from struct import pack

import pytest

from dicom_actors.data import DataElement, DataSet, read_file, write_file

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
FRONT = 16 << 10


class Counting(io.BytesIO):
    """A file object that notes how much was read of it."""

    def __init__(self, data, most=None):
        super().__init__(data)
        self.count = 0
        self.most = most

    def read(self, size=-1):
        if self.most is not None:
            size = self.most if size < 0 else min(size, self.most)
        data = super().read(size)
        self.count += len(data)
        return data


def new(**values):
    return DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID="1.2.3", PatientID="X", **values)


def file_of(ds, syntax=EXPLICIT):
    stream = io.BytesIO()
    write_file(stream, ds, transfer_syntax=syntax)
    return stream.getvalue()


class TestFileObjects:
    @pytest.mark.parametrize("wanted", [{"until": "PixelData"}, {"keywords": ["PatientID"]}])
    def test_little_more_is_read_than_what_is_wanted(self, wanted):
        source = Counting(file_of(new(PixelData=bytes(5_000_000))))
        ds = read_file(source, **wanted)
        assert ds.PatientID == "X"
        assert source.count == FRONT

    def test_as_much_as_a_long_header_needs(self):
        ds = new(PixelData=bytes(30_000_000))
        ds.put(0x00091010, "OB", bytes(1_000_000))
        source = Counting(file_of(ds))
        assert len(read_file(source, until="PixelData")[0x00091010]) == 1_000_000
        assert source.count == 4 << 20

    def test_all_of_it_where_that_is_wanted(self):
        data = file_of(new(PixelData=bytes(100_000)))
        source = Counting(data)
        assert len(read_file(source).PixelData) == 100_000
        assert source.count == len(data)

    def test_in_small_pieces(self):
        source = Counting(file_of(new(PixelData=bytes(2_000_000))), most=1_000)
        assert read_file(source, until="PixelData").PatientID == "X"
        assert source.count == FRONT

    def test_a_wrong_group_length_is_no_reason_to_read_on(self):
        data = bytearray(file_of(new(PixelData=bytes(1_000_000))))
        data[140] ^= 0xFF
        source = Counting(data)
        ds = read_file(source, until="PixelData")
        assert source.count == FRONT
        assert "wrong group length" in str(ds.warnings[0])

    def test_from_where_it_stands(self):
        source = io.BytesIO(b"something before" + file_of(new()))
        source.seek(16)
        assert read_file(source, keywords=["PatientID"]).PatientID == "X"

    def test_a_first_value_longer_than_the_front(self):
        # Without file meta, the front alone looks like no DICOM file.
        data = pack("<HHI", 0x0008, 0x0300, 40_000) + b"x" * 40_000
        data += pack("<HHI", 0x0010, 0x0020, 2) + b"X "
        assert read_file(io.BytesIO(data), keywords=["PatientID"]).PatientID == "X"


class TestWhatOthersNeed:
    @pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
    def test_a_private_element_without_its_creator_among_the_keywords(self, syntax):
        ds = new()
        block = ds.private_block(0x0019, "GEMS_ACQU_01", create=True)
        block[0x02] = 912
        part = read_file(file_of(ds, syntax), keywords=[block.tag(0x02)])
        assert part.fetch(block.tag(0x02)).vr == "SL"
        assert part[block.tag(0x02)] == 912
        assert part.private_block(0x0019, "GEMS_ACQU_01")[0x02] == 912
        assert "PatientID" not in part

    @pytest.mark.parametrize("keyword", ["SmallestImagePixelValue", 0x00189810])
    @pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
    @pytest.mark.parametrize(("sign", "value"), [(1, -3), (0, 0xFFFD)])
    def test_the_sign_of_a_value_is_that_of_the_pixels(self, keyword, syntax, sign, value):
        ds = new(PixelRepresentation=sign)
        if syntax == IMPLICIT:
            ds.put(keyword, "US", 0xFFFD)
        else:  # as UN, so that Pixel Representation decides there, too
            ds.put(keyword, "UN", b"\xfd\xff")
        part = read_file(file_of(ds, syntax), keywords=[keyword])
        assert part[keyword] == value
        assert part[keyword] == read_file(file_of(ds, syntax))[keyword]

    @pytest.mark.parametrize(("entries", "vr"), [(1, "US"), (2, "OW")])
    def test_lut_data_of_one_entry_is_a_number(self, entries, vr):
        ds = new(LUTDescriptor=[entries, 0, 16])
        ds.put("LUTData", "OW", bytes(2 * entries))
        part = read_file(file_of(ds, IMPLICIT), keywords=["LUTData"])
        assert part.fetch("LUTData").vr == vr


class TestLutDescriptors:
    @pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
    @pytest.mark.parametrize("keyword", ["LUTDescriptor", "RedPaletteColorLookupTableDescriptor"])
    def test_the_second_value_alone_has_a_sign(self, syntax, keyword):
        ds = new(PixelRepresentation=1, **{keyword: [0xFFFF, -5, 16]})
        assert ds.fetch(keyword).vr == "SS"
        data = ds.to_bytes(syntax)
        read = DataSet.from_bytes(data, syntax)
        assert read[keyword] == [0xFFFF, -5, 16]
        assert read.to_bytes() == data
        read[keyword][1] = -6
        assert DataSet.from_bytes(read.to_bytes(), syntax)[keyword] == [0xFFFF, -6, 16]
        assert DataSet.from_json(read.to_json()) == read

    def test_bits_that_were_taken_for_a_signed_number(self):
        assert DataElement("LUTDescriptor", "SS", [-1, -5, 16]).values == [0xFFFF, -5, 16]

    @pytest.mark.parametrize("values", [[70_000, 0, 16], [1, 40_000, 16], [1, 0, -40_000]])
    def test_out_of_range(self, values):
        with pytest.raises(ValueError, match="expected values of SS"):
            DataElement("LUTDescriptor", "SS", values)

    def test_other_elements_keep_their_sign(self):
        data = pack("<HH2sHhhh", 0x0019, 0x1010, b"SS", 6, -1, -2, -3)
        assert DataSet.from_bytes(data, EXPLICIT)[0x00191010] == [-1, -2, -3]


@pytest.mark.parametrize("keywords", ["PatientID", 5])
def test_one_text_is_not_several_keywords(keywords):
    with pytest.raises(TypeError, match=r"keywords: expected several, as in \['PatientID'\], got"):
        read_file(b"", keywords=keywords)
