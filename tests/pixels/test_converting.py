"""Objects in another transfer syntax as streams: the same bytes as ever, a frame at a time."""

from __future__ import annotations

import io
import os
import tracemalloc

import numpy as np
import pytest
from kit.pixel_files import image_files, image_of

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.data.files import large_value
from dicom_actors.data.files.file_bytes import FileBytes
from dicom_actors.data.files.large_value import read_large
from dicom_actors.data.values.unread import MadeBytes, in_memory
from dicom_actors.errors import DataError, DecodeError, EncodeError
from dicom_actors.pixels import Transcoder, converted, decompress, transcode, volume
from dicom_actors.pixels.codecs import Codec, Decoded
from dicom_actors.storage.outgoing import outgoing_object

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG_LS, RLE = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5"
PLAIN = (EXPLICIT, IMPLICIT, BIG, DEFLATED)
ROOM = 8 << 20
"""Bytes that converting may take, besides."""


def opened(path):
    return FileBytes.of(os.open(path, os.O_RDONLY), 0, path.stat().st_size, str(path))


def file_in(folder, data_set, name="image.dcm"):
    write_file(folder / name, data_set)
    return folder / name


def file_of(data_set):
    buffer = io.BytesIO()
    write_file(buffer, data_set)
    return buffer.getvalue()


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(large_value, "LARGE", 2000)
    monkeypatch.setattr(large_value, "_WORTH", 500)


def test_files_come_out_as_if_they_were_in_memory(all_are_large):
    count = {"as ever": 0, "refused": 0, "unread": 0}
    for path in image_files():
        if path.stat().st_size > 500_000:
            continue
        for syntax in (*PLAIN, JPEG_LS, RLE):
            whole = read_file(path)
            if whole.transfer_syntax.uid == syntax:
                continue
            apart = read_large(opened(path))
            count["unread"] += any(each.unread is not None for each in apart.elements())
            try:
                expected = file_of(transcode(whole, syntax))
            except DataError:
                with pytest.raises(DataError):
                    file_of(transcode(apart, syntax, lazily=True))
                count["refused"] += 1
                continue
            assert file_of(transcode(apart, syntax, lazily=True)) == expected, (path.name, syntax)
            assert file_of(transcode(whole, syntax, lazily=True)) == expected, (path.name, syntax)
            if syntax in PLAIN:
                made = b"".join(in_memory(converted(opened(path), syntax)))
                assert made == expected, (path.name, syntax)
            count["as ever"] += 1
    assert count["as ever"] > 200
    assert count["unread"] > 200


def planes(frames, rows, columns):
    pixels = np.arange(frames * rows * columns, dtype=np.uint16).reshape(frames, rows, columns) % 99
    marked = pixels | (pixels % 3 == 0).astype(np.uint16) << 15
    image = image_of(marked, bits_stored=12, multi_frame=True)
    for element, vr, value in (
        (0x60000010, "US", rows),
        (0x60000011, "US", columns),
        (0x60000040, "CS", "G"),
        (0x60000050, "SS", [1, 1]),
        (0x60000100, "US", 16),
        (0x60000102, "US", 15),
    ):
        image.put(element, vr, value)
    image.put("OverlayRows", "US", rows)
    return image, pixels


@pytest.mark.parametrize("frames", [1, 7, 8, 17])
def test_overlays_within_pixels_are_taken_out_a_few_frames_at_a_time(frames):
    image, pixels = planes(frames, 5, 7)
    made = DataSet.from_bytes(transcode(image, JPEG_LS, lazily=True).to_bytes(), JPEG_LS)

    assert np.array_equal(volume(made), pixels)
    bits = np.unpackbits(np.frombuffer(made[0x60003000], np.uint8), bitorder="little")
    assert np.array_equal(bits[: pixels.size].reshape(pixels.shape), pixels % 3 == 0)


@pytest.mark.parametrize("frames", [1, 3, 8, 19])
def test_single_bits_are_packed_without_a_gap(frames):
    array = np.random.default_rng(1).integers(0, 2, (frames, 3, 5)).astype(np.uint8)
    image = image_of(array, bits_allocated=1, multi_frame=True)
    packed = transcode(image, "DeflatedImageFrameCompression")

    assert file_of(decompress(packed, lazily=True)) == file_of(decompress(packed))
    assert np.array_equal(volume(decompress(packed, lazily=True)), array)


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Files of 80 frames of 1 MiB, by their transfer syntax."""
    folder = tmp_path_factory.mktemp("large")
    frame = np.tile(np.arange(1024, dtype=np.uint8), (1024, 1))
    whole = image_of(np.stack([frame] * 80), multi_frame=True)
    made = {}
    for syntax in (JPEG_LS, RLE, EXPLICIT, BIG):
        made[syntax] = file_in(folder, transcode(whole, syntax), f"{syntax}.dcm")
    return made


@pytest.mark.parametrize("source", [JPEG_LS, RLE, EXPLICIT, BIG])
def test_converting_holds_a_frame_or_two(large, source):
    for target in PLAIN:
        if target == source:
            continue
        length = 0

        def take(target=target):
            nonlocal length
            for piece in in_memory(converted(opened(large[source]), target)):
                length += len(piece)

        assert peak_of(take) < ROOM, target
        assert length > (80 << 20) or target == DEFLATED


@pytest.mark.parametrize(
    ("source", "target"),
    [(JPEG_LS, EXPLICIT), (RLE, IMPLICIT), (EXPLICIT, JPEG_LS), (EXPLICIT, BIG), (BIG, EXPLICIT)],
)
def test_so_does_sending(large, source, target):
    found = outgoing_object(large[source])._replace(transcode=Transcoder())
    made = []

    def prepare():
        if source in PLAIN and target in PLAIN:
            made.extend(found.pieces(target))
        else:
            made.extend(found.transcoded([target]).pieces)

    assert peak_of(prepare) < ROOM
    length = sum(map(len, made))
    assert length > 80 << 20 or target == JPEG_LS
    if target != JPEG_LS:
        expected = transcode(read_file(large[source]), target).to_bytes()
        assert b"".join(in_memory(made)) == expected


def damaged(folder):
    """Three frames in JPEG-LS, the last of which is damaged."""
    array = np.random.default_rng(1).integers(0, 4096, (3, 400, 400)).astype(np.uint16)
    image = transcode(image_of(array, bits_stored=12, multi_frame=True), JPEG_LS)
    data = bytearray(file_of(image))
    last = bytes(image.PixelData.fragments[-1])
    at = data.index(last)
    data[at + 40 : at + len(last)] = bytes(len(last) - 40)
    path = folder / "damaged.dcm"
    path.write_bytes(data)
    return path


def test_what_is_wrong_with_a_later_frame_is_told_when_its_turn_comes(tmp_path):
    path = damaged(tmp_path)
    taken = 0

    pieces = converted(opened(path), EXPLICIT)
    with pytest.raises(DecodeError):
        for piece in in_memory(pieces):
            taken += len(piece)

    assert taken > 1000
    with pytest.raises(DecodeError):
        transcode(read_file(path), EXPLICIT)


def test_nothing_of_it_is_sent(tmp_path):
    found = outgoing_object(damaged(tmp_path))._replace(transcode=Transcoder())

    with pytest.raises(DecodeError):
        found.transcoded([EXPLICIT])


def test_frames_of_several_colors_are_refused():
    array = np.zeros((2, 4, 4, 3), np.uint8)
    image = transcode(image_of(array, multi_frame=True), RLE)
    colors = iter(["RGB", "YBR_FULL"])

    def decode(data, description, rgb):
        return Decoded(array[0], next(colors))

    with pytest.raises(DecodeError, match="expected frame 1 in RGB as the first one, got YBR_FULL"):
        decompress(image, codecs={RLE: Codec(decode)})


def test_a_value_that_is_made_is_as_any_other():
    image = transcode(image_of(np.arange(64, dtype=np.uint16).reshape(8, 8)), RLE)
    made = decompress(image, lazily=True)

    assert isinstance(made.fetch("PixelData").unread, MadeBytes)
    assert made.PixelData == decompress(image).PixelData
    assert made == decompress(image)
    assert made.copy().PixelData == made.PixelData
    assert made.transfer_syntax == EXPLICIT
    with pytest.raises(EncodeError, match="does not compress"):
        decompress(image, JPEG_LS, lazily=True)
