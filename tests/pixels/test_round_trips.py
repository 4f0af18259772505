"""Lossless round trips: what comes out is what went in, with us and with DCMTK."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.pixel_files import image_of

from dicom_actors import read_file, write_file
from dicom_actors.errors import DataError, EncodeError
from dicom_actors.pixels import CODECS, decompress, frame, transcode, volume
from dicom_actors.pixels.codestream import read_jpeg_2000

LOSSLESS = (
    "JPEGLSLossless",
    "JPEGLosslessSV1",
    "JPEGLossless",
    "JPEG2000Lossless",
    "HTJ2KLossless",
    "HTJ2KLosslessRPCL",
    "JPEGXLLossless",
    "RLELossless",
    "DeflatedImageFrameCompression",
    "EncapsulatedUncompressedExplicitVRLittleEndian",
)


@st.composite
def images(draw, most_frames=3):
    bits = draw(st.integers(1, 16))
    signed = draw(st.booleans())
    samples = draw(st.sampled_from([1, 1, 3]))
    frames = draw(st.integers(1, most_frames))
    shape = (frames, draw(st.integers(1, 20)), draw(st.integers(1, 20)))
    if samples > 1:
        shape, signed = (*shape, samples), False
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = np.dtype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
    array = rng.integers(low, high, shape).astype(kind)
    if draw(st.booleans()):
        array[..., :] = array.reshape(-1)[0]  # runs, to which codecs come by another way
    return array, image_of(array, bits_stored=bits, multi_frame=True)


@pytest.mark.parametrize("syntax", LOSSLESS)
@given(image=images())
def test_every_depth_and_size_comes_back(syntax, image):
    array, data_set = image
    if syntax == "JPEGXLLossless" and array.dtype.kind == "i":
        with pytest.raises(EncodeError, match="no signed samples"):
            transcode(data_set, syntax)
        return
    made = transcode(data_set, syntax)
    again = read_bytes(made)

    assert again.transfer_syntax.keyword == syntax
    assert np.array_equal(volume(again), array)
    assert volume(again).dtype == array.dtype
    back = decompress(again)
    assert np.array_equal(volume(back), array)
    assert back.SOPInstanceUID == data_set.SOPInstanceUID
    assert back.PhotometricInterpretation == data_set.PhotometricInterpretation
    assert "LossyImageCompression" not in back


def read_bytes(data_set):
    from dicom_actors import DataSet

    return DataSet.from_bytes(data_set.to_bytes(), data_set.transfer_syntax)


@pytest.mark.parametrize("syntax", ["JPEGLSLossless", "RLELossless"])
def test_a_hundred_frames(syntax):
    array = np.random.default_rng(1).integers(0, 256, (100, 7, 9)).astype(np.uint8)
    made = read_bytes(transcode(image_of(array, multi_frame=True), syntax))

    assert len(made.PixelData.offset_table) == 100
    assert np.array_equal(volume(made), array)
    assert np.array_equal(frame(made, -1), array[-1])


@pytest.mark.interop
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(
    ("syntax", "program"),
    [
        ("JPEGLSLossless", "dcmdjpls"),
        ("JPEGLosslessSV1", "dcmdjpeg"),
        ("JPEGLossless", "dcmdjpeg"),
        ("RLELossless", "dcmdrle"),
    ],
)
def test_dcmtk_reads_what_we_compress(tmp_path, syntax, program, bits, signed):
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    kind = np.dtype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
    array = np.random.default_rng(bits).integers(low, high, (3, 33, 21)).astype(kind)
    ours, theirs = tmp_path / "ours.dcm", tmp_path / "theirs.dcm"
    image = image_of(array, bits_stored=bits, multi_frame=True)
    write_file(ours, transcode(image, syntax))
    subprocess.run([program, str(ours), str(theirs)], check=True, timeout=60)

    assert np.array_equal(volume(read_file(theirs)), array)


@pytest.mark.interop
@pytest.mark.parametrize(
    ("syntax", "program"),
    [
        ("JPEGLSLossless", "dcmdjpls"),
        ("JPEGLosslessSV1", "dcmdjpeg"),
        ("RLELossless", "dcmdrle"),
    ],
)
def test_dcmtk_reads_our_color(tmp_path, syntax, program):
    array = np.random.default_rng(1).integers(0, 256, (19, 23, 3)).astype(np.uint8)
    ours, theirs = tmp_path / "ours.dcm", tmp_path / "theirs.dcm"
    write_file(ours, transcode(image_of(array), syntax))
    subprocess.run([program, str(ours), str(theirs)], check=True, timeout=60)

    assert np.array_equal(frame(read_file(theirs)), array)


def test_what_is_lossy_says_so():
    array = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    image = image_of(array, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    made = transcode(image, "JPEGBaseline8Bit", quality=80)

    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionMethod == "ISO_10918_1"
    ratio = float(made.LossyImageCompressionRatio)
    assert ratio == pytest.approx(array.nbytes / len(made.PixelData.fragments[0]), rel=0.01)
    assert made.SOPInstanceUID != image.SOPInstanceUID
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert made.ImageType == ["DERIVED", "PRIMARY", "AXIAL"]
    assert made.PhotometricInterpretation == "YBR_FULL_422"
    assert "JPEG Baseline" in made.DerivationDescription
    assert "LossyImageCompression" not in image

    back = decompress(made)
    assert back.LossyImageCompression == "01"
    assert back.PhotometricInterpretation == "RGB"
    assert back.SOPInstanceUID == made.SOPInstanceUID
    again = transcode(made, "JPEG2000")
    assert again.LossyImageCompressionMethod == ["ISO_10918_1", "ISO_15444_1"]
    assert len(again.LossyImageCompressionRatio) == 2


def test_color_has_the_transform_that_it_says():
    array = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    made = transcode(image_of(array), "JPEG2000Lossless")

    assert made.PhotometricInterpretation == "YBR_RCT"
    assert read_jpeg_2000(made.PixelData.fragments[0]).has_color_transform
    assert transcode(image_of(array), "JPEG2000").PhotometricInterpretation == "YBR_ICT"


def test_an_overlay_within_the_pixels_is_kept():
    pixels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    plane = np.eye(16, dtype=np.uint16)
    image = image_of(pixels | plane << 14, bits_allocated=16, bits_stored=12)
    for element, value in ((0x10, 16), (0x11, 16), (0x100, 16), (0x102, 14)):
        image.put(0x60000000 | element, "US", value)
    from dicom_actors.pixels import overlay

    made = transcode(image, "JPEGLSLossless")
    assert np.array_equal(overlay(made), plane.astype(bool))
    assert np.array_equal(frame(made), pixels)


@pytest.mark.parametrize(
    ("array", "syntax", "reason"),
    [
        (np.zeros((4, 4), np.uint16), "JPEGBaseline8Bit", "Bits Stored up to 8"),
        (np.zeros((4, 4), np.int16), "JPEGLSNearLossless", "no signed samples"),
        (np.zeros((4, 4), np.uint32), "JPEG2000Lossless", "Bits Allocated 8 or 16"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason(array, syntax, reason):
    with pytest.raises(EncodeError, match=reason):
        transcode(image_of(array), syntax)


def test_a_codec_that_changes_a_pixel_is_found_out():
    from dataclasses import replace

    uid = "1.2.840.10008.1.2.4.80"

    def wrong(array, description, quality):
        changed = array.copy()
        changed[0, 0] += 1
        return CODECS[uid].encode(changed, description, quality)

    codecs = {**CODECS, uid: replace(CODECS[uid], encode=wrong)}
    with pytest.raises(EncodeError, match="comes out as another one"):
        transcode(image_of(np.zeros((4, 4), np.uint8)), uid, codecs=codecs)


def test_without_a_codec_there_is_an_error():
    with pytest.raises(DataError, match="no codec"):
        transcode(image_of(np.zeros((4, 4), np.uint8)), "MPEG2MPML")
