from __future__ import annotations

import pickle
from struct import pack

import pydicom
import pytest
from pydicom.encaps import generate_frames

from dicom_actors.data import DataSet, EncapsulatedPixelData, read_file
from dicom_actors.errors import DecodeError, UnsupportedTransferSyntaxError

JPEG = "1.2.840.10008.1.2.4.50"
EXPLICIT = "1.2.840.10008.1.2.1"


def fragment(raw):
    return pack("<HHI", 0xFFFE, 0xE000, len(raw)) + raw


class TestFrames:
    def test_one_fragment_for_each_frame(self):
        data = EncapsulatedPixelData([b"ab", b"cd"])
        assert data.frames(2) == [(b"ab",), (b"cd",)]
        assert data.frames() == [(b"ab",), (b"cd",)]
        assert data.frame(1, 2) == b"cd"

    def test_one_frame_of_many_fragments(self):
        data = EncapsulatedPixelData([b"ab", b"cd"])
        assert data.frames(1) == [(b"ab", b"cd")]
        assert data.frame(0, 1) == b"abcd"

    def test_by_the_basic_offset_table(self):
        data = EncapsulatedPixelData([b"ab", b"cd", b"ef"], [0, 20])
        assert data.frames(2) == [(b"ab", b"cd"), (b"ef",)]
        assert data.frames() == [(b"ab", b"cd"), (b"ef",)]

    def test_by_the_extended_offset_table(self):
        data = EncapsulatedPixelData([b"ab", b"cd", b"ef"])
        assert data.frames(2, extended_offsets=[0, 10]) == [(b"ab",), (b"cd", b"ef")]

    def test_by_the_codestreams(self):
        data = EncapsulatedPixelData([b"\xff\xd8", b"ab", b"\xff\xd8", b"cd"])
        assert [len(parts) for parts in data.frames(2)] == [2, 2]

    @pytest.mark.parametrize("offsets", [(), (0, 11), (0, 0), (10, 20)])
    def test_nothing_tells(self, offsets):
        with pytest.raises(DecodeError, match="offsets of 2 frames in 3 fragments"):
            EncapsulatedPixelData([b"ab", b"cd", b"ef"], offsets).frames(2)

    def test_no_such_frame(self):
        with pytest.raises(IndexError):
            EncapsulatedPixelData([b"ab"]).frame(1)


class TestContent:
    def test_written_and_read(self):
        data = EncapsulatedPixelData.of_frames([b"abc", b"defg"])
        assert data.offset_table == (0, 12)
        again = EncapsulatedPixelData.of_content(b"".join(data.encoded()))
        assert again == data
        assert again.fragments == (b"abc\0", b"defg")
        assert len(again) == 2
        assert pickle.loads(pickle.dumps(again)) == again

    def test_without_offset_table(self):
        data = EncapsulatedPixelData.of_frames([b"ab"], has_offset_table=False)
        assert b"".join(data.encoded()) == fragment(b"") + fragment(b"ab")

    def test_none_at_all(self):
        assert EncapsulatedPixelData.of_content(b"").fragments == ()

    @pytest.mark.parametrize(
        "content", [b"12345678", fragment(b"ab")[:-1], fragment(b"") + fragment(b"ab")[:-1]]
    )
    def test_what_is_no_content(self, content):
        with pytest.raises(DecodeError, match="fragment"):
            EncapsulatedPixelData.of_content(content).fragments  # noqa: B018

    def test_it_is_not_copied(self):
        content = bytearray(fragment(b"") + fragment(b"abcd"))
        data = EncapsulatedPixelData.of_content(content)
        content[-4:] = b"wxyz"
        assert data.fragments == (b"wxyz",)
        assert data.fragments[0].readonly


class TestInDataSets:
    def test_written_and_read(self):
        ds = DataSet.from_keywords(PixelData=EncapsulatedPixelData.of_frames([b"ab", b"cd"]))
        ds.put("PixelData", "OB", ds.PixelData)
        read = DataSet.from_bytes(ds.to_bytes(JPEG), JPEG)
        assert read.PixelData.fragments == (b"ab", b"cd")
        assert read == ds
        assert read.to_bytes() == ds.to_bytes(JPEG)

    def test_between_encapsulated_syntaxes_and_after_an_edit(self):
        ds = DataSet.from_keywords(PatientID="X")
        ds.put("PixelData", "OB", EncapsulatedPixelData([b"ab"]))
        read = DataSet.from_bytes(ds.to_bytes(JPEG), JPEG)
        read.PatientID = "Y"
        again = DataSet.from_bytes(read.to_bytes("1.2.840.10008.1.2.4.90"), JPEG)
        assert (again.PatientID, again.PixelData.fragments) == ("Y", (b"ab",))

    def test_compressing_and_decompressing_are_not_done_here(self):
        ds = DataSet()
        ds.put("PixelData", "OB", EncapsulatedPixelData([b"ab"]))
        read = DataSet.from_bytes(ds.to_bytes(JPEG), JPEG)
        with pytest.raises(UnsupportedTransferSyntaxError, match="compressed"):
            read.to_bytes(EXPLICIT)
        native = DataSet.from_keywords(PixelData=b"abcd")
        with pytest.raises(UnsupportedTransferSyntaxError, match="not compressed"):
            native.to_bytes(JPEG)
        read.pop("PixelData")
        assert read.to_bytes(EXPLICIT) == b""


@pytest.mark.parametrize(
    "name",
    ["JPEG2000.dcm", "MR_small_RLE.dcm", "SC_rgb_rle_32bit_2frame.dcm", "examples_jpeg2k.dcm"],
)
def test_the_judge_finds_the_same_frames(judge_folder, name):
    ds = read_file(judge_folder / name)
    count = int(ds.get("NumberOfFrames", 1))
    judged = pydicom.dcmread(judge_folder / name).PixelData
    frames = list(generate_frames(judged, number_of_frames=count))
    assert [bytes(ds.PixelData.frame(number, count)) for number in range(count)] == frames
