"""Frames that lie: a `DicomError`, before much is allocated."""

from __future__ import annotations

import time
import tracemalloc
from struct import pack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.frame_mutations import run
from kit.pixel_files import image_of

from dicom_actors import DataSet
from dicom_actors.codec_process import CodecProcess
from dicom_actors.data import EncapsulatedPixelData
from dicom_actors.errors import DicomError
from dicom_actors.pixels import PixelLimits, frame, render, transcode, volume

PIXELS = np.random.default_rng(1).integers(0, 4096, (24, 20)).astype(np.uint16)
SYNTAXES = (
    "JPEGLSLossless",
    "JPEGLosslessSV1",
    "JPEG2000Lossless",
    "HTJ2KLossless",
    "JPEGXLLossless",
    "RLELossless",
    "DeflatedImageFrameCompression",
    "JPEGExtended12Bit",
)
MADE = {name: transcode(image_of(PIXELS, bits_stored=12), name) for name in SYNTAXES}


def with_frame(name, data, **changes):
    made = MADE[name].copy()
    made.put("PixelData", "OB", EncapsulatedPixelData.of_frames([data]))
    for keyword, value in changes.items():
        made[keyword] = value
    return made


def codestream(name):
    return bytes(MADE[name].PixelData.fragments[0])


@pytest.mark.parametrize("name", SYNTAXES)
def test_a_frame_cut_short_is_an_error_or_a_frame(name):
    data = codestream(name)
    failed = 0
    for length in (0, 2, 10, 40, len(data) // 2, len(data) - 40):
        try:
            assert frame(with_frame(name, data[:length])).shape == PIXELS.shape
        except DicomError:
            failed += 1
    assert failed >= 3


@pytest.mark.parametrize("name", SYNTAXES)
@pytest.mark.parametrize("change", [{"Rows": 23}, {"Columns": 40}, {"Rows": 60000}])
def test_another_size_than_the_data_set_says_is_an_error(name, change):
    if change == {"Rows": 23} and name in {"RLELossless", "DeflatedImageFrameCompression"}:
        assert np.array_equal(frame(with_frame(name, codestream(name), **change)), PIXELS[:23])
        return  # what is beyond is padding (PS3.5 G.3.1), and nothing says that it is not
    with pytest.raises(DicomError):
        frame(with_frame(name, codestream(name), **change))


@pytest.mark.parametrize("name", ["JPEGLSLossless", "JPEG2000Lossless", "RLELossless"])
def test_a_bomb_is_not_allocated(name):
    data = codestream(name) + bytes(65_000)
    large = with_frame(name, data, Rows=65_000, Columns=65_000)
    tracemalloc.start()
    try:
        with pytest.raises(DicomError, match="expected frames of at most"):
            frame(large)
        with pytest.raises(DicomError):
            frame(large, limits=PixelLimits(max_frame_bytes=1 << 40))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_more_frames_than_there_are_get_no_room():
    made = with_frame("RLELossless", codestream("RLELossless"), NumberOfFrames="100000000")
    with pytest.raises(DicomError):
        volume(made, limits=PixelLimits(max_volume_bytes=1 << 60))
    with pytest.raises(DicomError, match="in all"):
        volume(made)


@pytest.mark.parametrize("offsets", [[5, 9], [0, 1 << 31], [10, 0], [0, 0], [0, 7]])
def test_offset_tables_that_point_anywhere(offsets):
    data = codestream("RLELossless")
    made = MADE["RLELossless"].copy()
    made.NumberOfFrames = "2"
    parts = [data[:64], data[64:], data]
    made.put("PixelData", "OB", EncapsulatedPixelData(parts, offsets))
    with pytest.raises(DicomError):
        frame(made, 1)


def test_extended_offset_tables_that_point_anywhere():
    data = codestream("RLELossless")
    made = MADE["RLELossless"].copy()
    made.NumberOfFrames = "2"
    made.put("PixelData", "OB", EncapsulatedPixelData([data[:64], data[64:], data]))
    made.put("ExtendedOffsetTable", "OV", pack("<2Q", 0, 1 << 63))
    made.put("ExtendedOffsetTableLengths", "OV", pack("<2Q", 1 << 63, 0))
    with pytest.raises(DicomError):
        frame(made, 0)


@pytest.mark.parametrize("name", SYNTAXES)
@given(data=st.data())
def test_changed_bytes_are_an_error_or_a_frame(name, data):
    raw = bytearray(codestream(name))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = frame(with_frame(name, bytes(raw)))
    except DicomError:
        return
    assert found.shape == PIXELS.shape
    assert found.dtype == PIXELS.dtype


@given(
    changes=st.dictionaries(
        st.sampled_from(
            [
                "Rows",
                "Columns",
                "BitsAllocated",
                "BitsStored",
                "HighBit",
                "SamplesPerPixel",
                "PixelRepresentation",
                "PlanarConfiguration",
            ]
        ),
        st.sampled_from([0, 1, 2, 3, 7, 8, 12, 15, 16, 24, 32, 64, 65535]),
        min_size=1,
    ),
    photometric=st.sampled_from(
        ["MONOCHROME1", "RGB", "YBR_FULL", "YBR_FULL_422", "PALETTE COLOR", "ARGB", "X"]
    ),
)
def test_descriptions_that_make_no_sense(changes, photometric):
    image = image_of(PIXELS)
    image.PhotometricInterpretation = photometric
    for keyword, value in changes.items():
        image[keyword] = value
    for call in (frame, volume, render):
        try:
            call(image)
        except DicomError:
            continue


@pytest.mark.parametrize(
    "words",
    [
        [0, 1],
        [1, 4, 100],
        [2, 1, 0, 0],
        [0, 2, 5, 5, 2, 60000, 0, 0],
        [7, 1],
        [0, 65535],
        [0, 1, 5, 1, 0, 9],
    ],
)
def test_segments_of_a_palette_that_lead_nowhere(words):
    image = image_of(np.zeros((4, 4), np.uint8), photometric="PALETTE COLOR")
    for color in ("Red", "Green", "Blue"):
        image.put(f"{color}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        name = f"Segmented{color}PaletteColorLookupTableData"
        image.put(name, "OW", pack(f"<{len(words)}H", *words))
    with pytest.raises(DicomError):
        render(image)


def test_no_pixel_data_is_an_error():
    with pytest.raises(DicomError, match="no pixel data"):
        frame(DataSet.from_keywords(Rows=4, Columns=4))


def test_a_jpeg_ls_frame_without_its_end_costs_no_more_than_another(nothing_left):
    data = codestream("JPEGLSLossless")
    start = time.process_time()
    for length in (100, len(data) // 2, len(data) - 60):
        with pytest.raises(DicomError):
            frame(with_frame("JPEGLSLossless", data[:length]))
    # CharLS looks for what is missing for some ten seconds.
    assert time.process_time() - start < 3


def test_a_few_of_the_frames_that_lie(tmp_path):
    # `python tests/kit/frame_mutations.py 20000` has the others.
    assert run(100, 0, tmp_path) == []


def test_a_few_of_them_beside(tmp_path, nothing_left):
    with CodecProcess(deadline=60, max_memory_bytes=1 << 30, max_processes=1) as beside:
        assert run(40, 100, tmp_path, beside=beside) == []
