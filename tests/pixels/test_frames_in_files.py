"""Frames that are read where they stand in a file: what is read, how often, and what is wrong."""

from __future__ import annotations

import os
from struct import pack

import numpy as np
import pytest
from kit.descriptors import open_below
from kit.pixel_files import image_of

from dicom_actors import read_file, write_file
from dicom_actors.data import EncapsulatedPixelData
from dicom_actors.data.files.pixel_data_file import PixelDataFile
from dicom_actors.errors import DicomError
from dicom_actors.pixels import FrameReader, frame, read_frame, render, transcode, volume

SIDE = 64


def pixels_of(count, side=SIDE):
    return np.random.default_rng(count).integers(0, 4096, (count, side, side)).astype(np.uint16)


def compressed(count, *, table="basic", parts=1, side=SIDE, odd=False):
    """RLE frames in fragments, with the offset table that is asked for."""
    made = transcode(image_of(pixels_of(count, side), multi_frame=True), "RLELossless")
    frames = [bytes(fragment) for fragment in made.PixelData.fragments]
    if odd:
        frames = [data + b"\0" for data in frames]
    fragments, offsets, at = [], [], 0
    for data in frames:
        offsets.append(at)
        step = len(data) // parts & ~1
        cuts = [data[n * step : (n + 1) * step] for n in range(parts - 1)]
        cuts.append(data[(parts - 1) * step :])
        fragments += cuts
        at += sum(8 + len(cut) + (len(cut) & 1) for cut in cuts)
    basic = offsets if table == "basic" else ()
    made.put("PixelData", "OB", EncapsulatedPixelData(fragments, basic))
    if table == "extended":
        made.put("ExtendedOffsetTable", "OV", pack(f"<{count}Q", *offsets))
        lengths = [len(data) for data in frames]
        made.put("ExtendedOffsetTableLengths", "OV", pack(f"<{count}Q", *lengths))
    return made


def jpeg_ls(count):
    """Codestreams in two fragments each, which begin as such: they are found without a table."""
    made = transcode(image_of(pixels_of(count), multi_frame=True), "JPEGLSLossless")
    halves = []
    for fragment in made.PixelData.fragments:
        middle = len(fragment) // 4 * 2
        halves += [bytes(fragment[:middle]), bytes(fragment[middle:])]
    made.put("PixelData", "OB", EncapsulatedPixelData(halves))
    return made


def float_image(count):
    made = image_of(pixels_of(count), multi_frame=True)
    del made["PixelData"]
    made.put("FloatPixelData", "OF", pixels_of(count).astype("<f4").tobytes())
    return made


@pytest.fixture
def reads(monkeypatch):
    """The lengths of all that is read by offset."""
    found, real = [], os.pread

    def pread(handle, length, offset):
        data = real(handle, length, offset)
        found.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", pread)
    return found


FORMS = {
    "native": lambda count: image_of(pixels_of(count), multi_frame=True),
    "basic table": lambda count: compressed(count, parts=2),
    "extended table": lambda count: compressed(count, table="extended", parts=2),
    "extended table, odd": lambda count: compressed(count, table="extended", odd=True),
    "no table": lambda count: compressed(count, table=""),
    "no table, codestreams in parts": jpeg_ls,
    "implicit": lambda count: FORMS["native"](count).with_transfer_syntax("ImplicitVRLittleEndian"),
    "big endian": lambda count: FORMS["native"](count).with_transfer_syntax("ExplicitVRBigEndian"),
    "deflated": lambda count: FORMS["native"](count).with_transfer_syntax(
        "DeflatedExplicitVRLittleEndian"
    ),
    "packed": lambda count: image_of(
        np.arange(count * 35).reshape(count, 5, 7).astype(np.uint8) % 3 % 2,
        bits_allocated=1,
        multi_frame=True,
    ),
    "float": float_image,
}
WHOLE = {"big endian", "deflated"}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_they_are_those_of_the_data_set(tmp_path, name, count):
    path = tmp_path / "image.dcm"
    write_file(path, FORMS[name](count))
    expected = volume(read_file(path))

    found = PixelDataFile.open(path)
    assert (found is None) == (name in WHOLE)
    with FrameReader(path) as reader:
        assert len(reader) == count
        for number in (*range(count), -1):
            assert np.array_equal(reader[number], expected[number])
            assert np.array_equal(read_frame(path, number), expected[number])
            assert reader[number].flags.writeable
        assert np.array_equal(reader.volume(), expected)
        with pytest.raises(IndexError):
            reader[count]


@pytest.mark.parametrize("name", ["native", "basic table", "extended table"])
def test_one_costs_the_same_however_many_there_are(tmp_path, reads, name):
    costs = []
    for count in (20, 80):
        path = tmp_path / f"{count}.dcm"
        write_file(path, FORMS[name](count))
        reads.clear()
        read_frame(path, count // 2)
        costs.append((len(reads), sum(reads)))
    (few, short), (many, long) = costs

    assert many == few <= 9
    # The header has the extended table, and is read in steps.
    assert long < short + 16 * 80
    assert long < os.stat(path).st_size / 10


@pytest.mark.parametrize("name", ["no table", "no table, codestreams in parts"])
def test_without_a_table_one_look_is_remembered(tmp_path, reads, name):
    costs = []
    for count in (20, 80):
        path = tmp_path / f"{count}.dcm"
        write_file(path, FORMS[name](count))
        reads.clear()
        with FrameReader(path) as reader:
            reader[count // 2]
            costs.append(len(reads))
            reads.clear()
            reader[count // 2 + 1]
            assert len(reads) <= 2
    few, many = costs

    assert many <= 4 * few


def test_a_table_that_does_not_lead_to_fragments_is_not_believed(tmp_path):
    path = tmp_path / "image.dcm"
    made = compressed(3)
    right = list(made.PixelData.offset_table)
    expected = pixels_of(3)
    for wrong in (
        [0, right[1] + 2, right[2]],
        [0, right[2], right[1]],
        [8, right[1], right[2]],
        [0, right[1], 1 << 31],
        [0, right[1]],
        [0, 0, 0],
    ):
        made.put("PixelData", "OB", EncapsulatedPixelData(made.PixelData.fragments, wrong))
        write_file(path, made)
        for number in range(3):
            assert np.array_equal(read_frame(path, number), expected[number])


@pytest.mark.parametrize("name", FORMS)
def test_a_file_that_becomes_shorter_is_an_error(tmp_path, name):
    path = tmp_path / "image.dcm"
    write_file(path, FORMS[name](40))
    with FrameReader(path) as reader:
        reader[0]
        os.truncate(path, os.stat(path).st_size // 2)
        if name in WHOLE:  # it was read as a whole
            reader[39]
        else:
            with pytest.raises(DicomError):
                reader[39]
            with pytest.raises(DicomError):
                reader.volume()
    with pytest.raises(DicomError):
        read_frame(path, 39)


def test_a_file_that_is_replaced_is_read_on(tmp_path):
    path, other = tmp_path / "image.dcm", tmp_path / "other.dcm"
    write_file(path, FORMS["native"](4))
    write_file(other, FORMS["native"](2))
    with FrameReader(path) as reader:
        other.replace(path)
        assert np.array_equal(reader.volume(), pixels_of(4))


def test_nothing_is_left_open(tmp_path):
    path = tmp_path / "image.dcm"
    write_file(path, FORMS["basic table"](2))
    read_frame(path, 1)
    with pytest.raises(IndexError):
        read_frame(path, 2)
    reader = FrameReader(path)
    reader.close()
    with pytest.raises(OSError, match="descriptor"):
        reader[0]
    made = read_file(path)
    made.Rows = SIDE + 1
    write_file(path, made)
    with pytest.raises(DicomError):
        read_frame(path, 0)
    FrameReader(path)  # nobody has it any more
    assert open_below(tmp_path) == []


def test_overlays_within_the_pixels_of_a_file_are_drawn(tmp_path):
    pixels = np.zeros((4, 6), np.uint16)
    pixels[1, 2] |= 1 << 12
    image = image_of(pixels, bits_stored=12)
    for element, vr, value in (
        (0x0010, "US", 4),
        (0x0011, "US", 6),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 16),
        (0x0102, "US", 12),
    ):
        image.put(0x60000000 | element, vr, value)
    path = tmp_path / "image.dcm"
    write_file(path, image)

    shown = np.asarray(render(path, window=(2048, 4096)))
    assert shown[1, 2] == 255
    assert (shown == 255).sum() == 1
    assert np.array_equal(frame(read_file(path)), read_frame(path))
