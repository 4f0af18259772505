from __future__ import annotations

import pydicom
import pytest
from pydicom.encaps import generate_frames

from dicom_actors.data import DataSet, EncapsulatedPixelData, read_file
from dicom_actors.errors import DecodeError, ElementNotFoundError


def image(pixels, **values):
    return DataSet.from_keywords(
        Rows=2, Columns=3, BitsAllocated=8, SamplesPerPixel=1, PixelData=pixels, **values
    )


class TestUncompressed:
    def test_each_is_a_view(self):
        frames = image(bytes(range(18)), NumberOfFrames=3).frames()
        assert len(frames) == 3
        assert frames[1] == bytes(range(6, 12))
        assert frames[-1] == bytes(range(12, 18))
        assert [bytes(frame) for frame in frames[1:]] == [bytes(range(6, 12)), bytes(range(12, 18))]
        assert list(frames) == [frames[0], frames[1], frames[2]]
        assert (frames.is_compressed, frames.frame_length) == (False, 6)

    def test_one_that_is_padded(self):
        frames = DataSet.from_keywords(
            Rows=1, Columns=3, BitsAllocated=8, SamplesPerPixel=1, PixelData=b"abc\0"
        ).frames()
        assert list(frames) == [b"abc"]

    def test_half_of_the_color_samples(self):
        ds = image(bytes(12), PhotometricInterpretation="YBR_FULL_422")
        ds.SamplesPerPixel = 3
        assert len(ds.frames()[0]) == 12

    def test_floats(self):
        ds = DataSet.from_keywords(Rows=1, Columns=2, FloatPixelData=bytes(16), NumberOfFrames=2)
        assert ds.frames().frame_length == 8

    def test_too_short(self):
        with pytest.raises(DecodeError, match="3 frames of 6 bytes, got 12 bytes"):
            image(bytes(12), NumberOfFrames=3).frames()

    def test_no_such_frame(self):
        with pytest.raises(IndexError, match="no frame 1, there are 1"):
            image(bytes(6)).frames()[1]

    def test_no_pixel_data(self):
        with pytest.raises(ElementNotFoundError, match="no pixel data"):
            DataSet().frames()

    def test_single_bits_that_do_not_end_with_a_byte(self):
        ds = image(bytes(4), NumberOfFrames=2)
        ds.BitsAllocated = 1
        with pytest.raises(DecodeError, match="bits"):
            ds.frames()


class TestCompressed:
    def test_by_the_extended_offset_table(self):
        ds = image(None, NumberOfFrames=2)
        ds.put("PixelData", "OB", EncapsulatedPixelData([b"ab", b"cd", b"ef"]))
        ds.ExtendedOffsetTable = (0).to_bytes(8, "little") + (10).to_bytes(8, "little")
        frames = ds.frames()
        assert (frames.is_compressed, frames.frame_length) == (True, None)
        assert list(frames) == [b"ab", b"cdef"]

    @pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "SC_rgb_rle_32bit_2frame.dcm"])
    def test_the_judge_finds_the_same(self, judge_folder, name):
        frames = read_file(judge_folder / name).frames()
        judged = pydicom.dcmread(judge_folder / name).PixelData
        found = list(generate_frames(judged, number_of_frames=len(frames)))
        assert [bytes(frame) for frame in frames] == found


def test_one_frame_of_a_large_file_is_a_view_of_the_map(tmp_path):
    path = tmp_path / "large.dcm"
    frame = 512 * 512 * 2
    header = DataSet.from_keywords(
        Rows=512, Columns=512, BitsAllocated=16, SamplesPerPixel=1, NumberOfFrames=600
    ).to_bytes("1.2.840.10008.1.2.1")
    with path.open("wb") as file:
        file.write(header + b"\xe0\x7f\x10\0OW\0\0" + (600 * frame).to_bytes(4, "little"))
        file.truncate(len(header) + 12 + 600 * frame)  # 300 MB that take no space
    frames = read_file(path).frames()
    assert len(frames) == 600
    assert isinstance(frames[599], memoryview)
    assert frames[599].nbytes == frame
