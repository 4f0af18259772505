from __future__ import annotations

import pydicom
import pytest
from kit.steps import lines_run
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

    def test_the_extended_lengths_leave_the_padding_out(self):
        frames = [b"abc", b"de", b"f"]
        ds = image(None, NumberOfFrames=3)
        ds.put("PixelData", "OB", EncapsulatedPixelData(frames))
        ds.ExtendedOffsetTable = table([0, 12, 22])
        ds.ExtendedOffsetTableLengths = table(map(len, frames))
        assert [bytes(frame) for frame in ds.frames()] == frames

    @pytest.mark.parametrize("lengths", [b"", bytes(8), b"\xff" * 16, (9).to_bytes(8, "little")])
    def test_lengths_that_cannot_be_are_ignored(self, lengths):
        ds = image(None, NumberOfFrames=2)
        ds.put("PixelData", "OB", EncapsulatedPixelData([b"ab", b"cd"]))
        ds.ExtendedOffsetTable = (0).to_bytes(8, "little") + (10).to_bytes(8, "little")
        ds.ExtendedOffsetTableLengths = lengths
        assert [bytes(frame) for frame in ds.frames()] == [b"ab", b"cd"]

    def test_lengths_of_pixel_data_that_was_replaced_cut_nothing(self):
        ds = image(None, NumberOfFrames=2)
        ds.PixelData = EncapsulatedPixelData([b"abcd", b"efgh"])
        ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = table([0, 10]), table([2, 2])
        assert [bytes(frame) for frame in ds.frames()] == [b"abcd", b"efgh"]

    def test_a_frame_of_several_fragments_ends_where_its_length_says(self):
        data = EncapsulatedPixelData([b"ab", b"cd", b"ef", b"gh"])
        found = data.frames(2, extended_offsets=(0, 30), extended_lengths=(3, 1))
        assert [b"".join(parts) for parts in found] == [b"abc", b"g"]

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
    frames = read_file(path, mapped=True).frames()
    assert len(frames) == 600
    assert isinstance(frames[599], memoryview)
    assert frames[599].nbytes == frame


def table(numbers):
    return b"".join(number.to_bytes(8, "little") for number in numbers)


def with_one_fragment_each(count):
    return EncapsulatedPixelData([b"\xff\xd8"] * count), {}


def with_a_basic_table(count):
    return EncapsulatedPixelData([b"ab", b"cd"] * count, range(0, 20 * count, 20)), {}


def with_nothing_but_codestreams(count):
    return EncapsulatedPixelData([b"\xff\xd8", b"cd"] * count), {}


def with_an_extended_table(count):
    tables = {
        "ExtendedOffsetTable": table(range(0, 20 * count, 20)),
        "ExtendedOffsetTableLengths": table([3] * count),
    }
    return EncapsulatedPixelData([b"ab", b"cd"] * count), tables


@pytest.mark.parametrize(
    "made",
    [
        with_one_fragment_each,
        with_a_basic_table,
        with_nothing_but_codestreams,
        with_an_extended_table,
    ],
)
class TestFourTimesAsManyFramesAreFourTimesTheWork:
    @staticmethod
    def data_set(made, count):
        data, tables = made(count)
        ds = image(None, NumberOfFrames=count, **tables)
        ds.put("PixelData", "OB", data)
        return DataSet.from_bytes(ds.to_bytes("1.2.840.10008.1.2.4.50"), "1.2.840.10008.1.2.4.50")

    def test_one_after_the_other(self, made):
        def look(ds):
            return sum(map(len, ds.frames()))

        look(self.data_set(made, 2))
        few = lines_run(look, self.data_set(made, 100))
        assert lines_run(look, self.data_set(made, 400)) < 4.5 * few

    def test_asked_for_by_number(self, made):
        def look(ds):
            data, count = ds.PixelData, ds.NumberOfFrames
            return [data.frame(number, count) for number in range(count)]

        if made is with_an_extended_table:
            made = with_a_basic_table  # whoever asks the pixel data alone has to hand tables in
        look(self.data_set(made, 2))
        few = lines_run(look, self.data_set(made, 100))
        assert lines_run(look, self.data_set(made, 400)) < 4.5 * few


def test_tables_that_were_changed_are_looked_at_anew():
    data = EncapsulatedPixelData([b"ab", b"cd", b"ef"])
    offsets = [0, 10]
    assert data.frame(0, 2, extended_offsets=offsets) == b"ab"
    offsets[1] = 20
    assert data.frame(0, 2, extended_offsets=offsets) == b"abcd"
    data.frames(2, extended_offsets=offsets).clear()
    assert data.frame(1, 2, extended_offsets=offsets) == b"ef"
