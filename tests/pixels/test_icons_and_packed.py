"""Icons (PS3.3 C.7.6.1.1.6), samples of 12 bits without a gap (PS3.5 8.1.1), and `dciodvfy`."""

from __future__ import annotations

import subprocess

import numpy as np
import pydicom
import pytest
from kit.pixel_files import image_of
from pydicom.data import get_testdata_file

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.data import EncapsulatedPixelData
from dicom_actors.errors import DicomError
from dicom_actors.pixels import decompress, frame, frames, render, transcode, volume

PIXELS = np.random.default_rng(5).integers(0, 4096, (3, 9, 7)).astype(np.uint16)
EXPLICIT = "1.2.840.10008.1.2.1"


def packed(values: np.ndarray) -> bytes:
    """Put samples of 12 bits one after the other, lowest bits first, as words of little endian."""
    number = sum(int(value) << 12 * place for place, value in enumerate(values.reshape(-1)))
    length = (values.size * 12 + 7) // 8
    return number.to_bytes(length + length % 2, "little")


def packed_image(values: np.ndarray, *, signed: bool = False) -> DataSet:
    data_set = image_of(values, multi_frame=True, bits_stored=12)
    data_set.BitsAllocated = 12
    data_set.PixelRepresentation = int(signed)
    data_set.put("PixelData", "OW", packed(values))
    return data_set


def test_samples_of_12_bits_without_a_gap():
    data_set = packed_image(PIXELS)
    assert np.array_equal(volume(data_set), PIXELS)
    for number, array in enumerate(frames(data_set)):  # the second one begins within a byte
        assert array.dtype == np.uint16
        assert np.array_equal(array, PIXELS[number])
        assert np.array_equal(frame(data_set, number), PIXELS[number])


def test_signed_samples_of_12_bits_without_a_gap():
    expected = np.where(PIXELS >= 2048, PIXELS.astype(int) - 4096, PIXELS)
    found = volume(packed_image(PIXELS, signed=True))
    assert found.dtype == np.int16
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("syntax", ["JPEGLSLossless", "JPEG2000Lossless", "JPEGLosslessSV1"])
def test_samples_of_12_bits_without_a_gap_can_be_compressed(syntax):
    made = transcode(packed_image(PIXELS), syntax)
    assert made.BitsAllocated == 16
    assert np.array_equal(volume(made), PIXELS)
    assert np.array_equal(volume(decompress(made)), PIXELS)


def test_samples_of_12_bits_that_are_too_few():
    data_set = packed_image(PIXELS)
    data_set.put("PixelData", "OW", bytes(data_set.PixelData)[:-4])
    with pytest.raises(DicomError, match="expected 3 frames in 284 bytes, got 280"):
        frame(data_set)


def icon(array: np.ndarray, syntax: str | None = None, **more: object) -> DataSet:
    item = image_of(array, **more)
    return item if syntax is None else transcode(item, syntax)


def with_icon(item: DataSet) -> DataSet:
    data_set = image_of(PIXELS[0], bits_stored=12)
    of_icon = DataSet()
    for element in item.elements():
        if element.tag >> 16 in {0x0028, 0x7FE0}:
            of_icon.put(element.tag, element.vr, element.value)
    data_set.put("IconImageSequence", "SQ", [of_icon])
    return data_set


GRAY = np.random.default_rng(6).integers(0, 256, (16, 12)).astype(np.uint8)


def test_an_icon_is_a_frame_and_a_picture(tmp_path):
    write_file(tmp_path / "icon.dcm", with_icon(icon(GRAY)))
    found = read_file(tmp_path / "icon.dcm").IconImageSequence[0]
    assert np.array_equal(frame(found), GRAY)
    assert render(found).size == (12, 16)
    judge = pydicom.dcmread(tmp_path / "icon.dcm").IconImageSequence[0]
    assert np.array_equal(np.frombuffer(judge.PixelData, np.uint8).reshape(16, 12), frame(found))


def test_an_icon_with_a_palette():
    item = icon(GRAY % 4, photometric="PALETTE COLOR")
    ramp = (np.arange(256) * 257).astype("<u2")
    for name, table in (("Red", ramp), ("Green", ramp[::-1]), ("Blue", ramp * 0)):
        item.put(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        item.put(f"{name}PaletteColorLookupTableData", "OW", table.tobytes())
    found = with_icon(item).IconImageSequence[0]
    colors = frame(found, rgb=True)
    assert colors.shape == (16, 12, 3)
    assert np.array_equal(colors[..., 0] >> (8 * (colors.itemsize - 1)), GRAY % 4)
    assert not colors[..., 2].any()


@pytest.mark.parametrize("syntax", [EXPLICIT, "JPEGLSLossless", "RLELossless"])
def test_a_compressed_icon_is_native_in_every_other_syntax(tmp_path, syntax):
    data_set = transcode(with_icon(icon(GRAY)), "JPEG2000Lossless")
    data_set.IconImageSequence[0].put("PixelData", "OB", icon(GRAY, "JPEG2000Lossless").PixelData)
    write_file(tmp_path / "given.dcm", data_set)
    given = read_file(tmp_path / "given.dcm")
    assert isinstance(given.IconImageSequence[0].PixelData, EncapsulatedPixelData)
    assert np.array_equal(frame(given.IconImageSequence[0]), GRAY)
    found = transcode(given, syntax)
    write_file(tmp_path / "made.dcm", found)
    again = read_file(tmp_path / "made.dcm")
    assert isinstance(again.IconImageSequence[0].PixelData, bytes | memoryview)
    assert np.array_equal(frame(again.IconImageSequence[0]), GRAY)
    assert np.array_equal(frame(again), PIXELS[0])


def complaints(path) -> list[str]:
    """Return the errors that `dciodvfy` has to say."""
    result = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    said = (result.stdout + result.stderr).splitlines()
    return sorted({line for line in said if line.startswith("Error")})


@pytest.mark.interop
@pytest.mark.parametrize(
    "syntax", ["JPEGLSLossless", "JPEG2000Lossless", "JPEGLosslessSV1", "RLELossless", "JPEG2000"]
)
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm"])
def test_dciodvfy_has_no_new_complaint(tmp_path, name, syntax):
    path = get_testdata_file(name)
    before = complaints(path)
    made = transcode(read_file(path), syntax)
    write_file(tmp_path / "made.dcm", made)
    assert set(complaints(tmp_path / "made.dcm")) <= set(before)
    write_file(tmp_path / "back.dcm", decompress(read_file(tmp_path / "made.dcm")))
    assert set(complaints(tmp_path / "back.dcm")) <= set(before)
