"""Pictures: against those of DCMTK's dcm2pnm, within 1 of 255, and by what the standard says."""

from __future__ import annotations

import numpy as np
import pytest
from kit.dcmtk_pictures import picture_by_dcmtk
from kit.pixel_files import image_files, image_of

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.errors import DecodeError, DicomError
from dicom_actors.pixels import FrameReader, frame, render
from dicom_actors.pixels.lookup import modality_values, windows_of

FILES = [pytest.param(path, id=path.name) for path in image_files()]

# DCMTK takes the words of 32 bits in big endian the other way round: these are the same images as
# rtdose.dcm and rtdose_1frame.dcm, which a test below holds. And it adds up the parts of YBR after
# rounding each.
JUDGE_IS_WRONG = {
    "rtdose_expb.dcm": 255,
    "rtdose_expb_1frame.dcm": 255,
    "SC_ybr_full_uncompressed.dcm": 2,
}
# It cannot: JPEG 2000; 32 bits of color; no window in the functional groups; and what is damaged.
NOT_JUDGED = {
    "GDCMJ2K_TextGBR.dcm",
    "SC_rgb_32bit.dcm",
    "SC_rgb_32bit_2frame.dcm",
    "SC_rgb_expb_32bit.dcm",
    "SC_rgb_expb_32bit_2frame.dcm",
    "SC_rgb_jpeg.dcm",
    "badVR.dcm",
    "eCT_Supplemental.dcm",
    "gdcm-US-ALOKA-16.dcm",
    "gdcm-US-ALOKA-16_big.dcm",
    "meta_missing_tsyntax.dcm",
    "nested_priv_SQ.dcm",
}


def in_color(picture):
    return np.stack([picture] * 3, axis=-1) if picture.ndim == 2 else picture


def apart(one, other):
    one, other = in_color(one), in_color(other)
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.corpus
@pytest.mark.interop
@pytest.mark.parametrize("path", FILES)
def test_pictures_are_those_of_dcmtk(path, tmp_path):
    data_set = read_file(path)
    syntax = data_set.transfer_syntax
    if path.name in NOT_JUDGED or syntax.codec.startswith("JPEG 2000"):
        return
    options = []
    if str(data_set.get("PhotometricInterpretation")).startswith("MONOCHROME"):
        options = ["+Wi", "1"] if windows_of(data_set) else ["+Wm"]
        if not windows_of(data_set) and data_set.get("VOILUTSequence"):
            options = ["+Wl", "1"]
    judged = picture_by_dcmtk(path, syntax.codec, tmp_path, *options)
    assert not isinstance(judged, str), judged
    worst = apart(np.asarray(render(data_set)), judged)

    assert worst <= JUDGE_IS_WRONG.get(path.name, 1)
    assert (worst > 1) == (path.name in JUDGE_IS_WRONG)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["rtdose.dcm", "rtdose_1frame.dcm", "SC_rgb_32bit.dcm"])
def test_wide_samples_in_big_endian_are_those_in_little_endian(name):
    by_name = {path.values[0].name: path.values[0] for path in FILES}
    little = by_name[name]
    big = by_name[name.replace("rtdose", "rtdose_expb").replace("rgb_32", "rgb_expb_32")]

    assert np.array_equal(FrameReader(little)[-1], FrameReader(big)[-1])


# --- made for it -------------------------------------------------------------------------------


def ramp(kind=np.uint16, top=4095, low=0):
    values = np.linspace(low, top, 64 * 64)
    return values.astype(kind).reshape(64, 64)


def judged_of(data_set, tmp_path, *options):
    path = tmp_path / "image.dcm"
    write_file(path, data_set)
    picture = picture_by_dcmtk(path, "", tmp_path, *options)
    assert not isinstance(picture, str), picture
    return picture


@pytest.mark.interop
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [(40, 400), (-600, 1500), (1000, 1), (1000.5, 2), (0, 10000)])
def test_windows_are_those_of_dcmtk(tmp_path, photometric, window):
    image = image_of(
        ramp(np.int16, 3000, -1000),
        photometric=photometric,
        RescaleSlope="1.5",
        RescaleIntercept="-100",
    )
    options = ["+Ww", str(window[0]), str(window[1])]
    center = 0 if window[0] < 0 else None
    if center is not None:
        image.WindowCenter, image.WindowWidth = window
        options = ["+Wi", "1"]

    assert (
        apart(np.asarray(render(image, window=window)), judged_of(image, tmp_path, *options)) <= 1
    )


@pytest.mark.interop
def test_a_sigmoid_is_that_of_dcmtk(tmp_path):
    image = image_of(ramp(), bits_stored=12)
    ours = np.asarray(render(image, window=(2000.0, 1000.0, "SIGMOID")))

    assert apart(ours, judged_of(image, tmp_path, "+Wfs", "+Ww", "2000", "1000")) <= 1


def table(first, bits, entries):
    item = DataSet()
    item.put("LUTDescriptor", "US", [len(entries), first, bits])
    item.put("LUTData", "OW", np.asarray(entries, "<u2").tobytes())
    return item


@pytest.mark.interop
def test_a_modality_lut_is_that_of_dcmtk(tmp_path):
    entries = (np.arange(256) ** 2 // 16).tolist()
    item = table(100, 12, entries)
    item.ModalityLUTType = "US"
    image = image_of(ramp(np.uint16, 400), bits_stored=12, ModalityLUTSequence=[item])

    assert apart(np.asarray(render(image)), judged_of(image, tmp_path, "+Wm")) <= 1
    assert int(modality_values(frame(image), image).max()) == entries[-1]


@pytest.mark.interop
@pytest.mark.parametrize("bits", [8, 10, 16])
def test_a_voi_lut_is_that_of_dcmtk(tmp_path, bits):
    entries = (np.sqrt(np.arange(3000) / 2999) * ((1 << bits) - 1)).astype(int).tolist()
    image = image_of(ramp(), bits_stored=12, VOILUTSequence=[table(500, bits, entries)])

    assert apart(np.asarray(render(image)), judged_of(image, tmp_path, "+Wl", "1")) <= 1


def with_overlay(image, plane, origin=(1, 1), group=0x6000):
    base = group << 16
    for element, vr, value in (
        (0x0010, "US", plane.shape[0]),
        (0x0011, "US", plane.shape[1]),
        (0x0040, "CS", "G"),
        (0x0050, "SS", list(origin)),
        (0x0100, "US", 1),
        (0x0102, "US", 0),
        (0x3000, "OW", np.packbits(plane.reshape(-1), bitorder="little").tobytes()),
    ):
        image.put(base | element, vr, value)
    return image


@pytest.mark.interop
@pytest.mark.parametrize("origin", [(1, 1), (5, 9), (-3, -2), (60, 60)])
def test_overlays_are_those_of_dcmtk(tmp_path, origin):
    plane = np.random.default_rng(1).integers(0, 2, (16, 24)).astype(np.uint8)
    image = with_overlay(image_of(ramp(), bits_stored=12), plane, origin)
    judged = judged_of(image, tmp_path, "+Wm", "+Omr")

    assert apart(np.asarray(render(image)), judged) <= 1
    assert apart(np.asarray(render(image, overlays=False)), judged) > 5


@pytest.mark.interop
def test_an_embedded_overlay_is_that_of_dcmtk(tmp_path):
    pixels = ramp()
    plane = np.zeros((64, 64), np.uint16)
    plane[10:20, 30:50] = 1
    image = image_of(pixels | plane << 15, bits_allocated=16, bits_stored=12)
    for element, vr, value in (
        (0x60000010, "US", 64),
        (0x60000011, "US", 64),
        (0x60000040, "CS", "G"),
        (0x60000050, "SS", [1, 1]),
        (0x60000100, "US", 16),
        (0x60000102, "US", 15),
    ):
        image.put(element, vr, value)

    assert np.array_equal(frame(image), pixels)
    assert apart(np.asarray(render(image)), judged_of(image, tmp_path, "+Wm", "+Omr")) <= 1


# --- by the standard ---------------------------------------------------------------------------


def test_linear_exact_goes_by_its_formula():
    image = image_of(np.arange(256, dtype=np.uint8).reshape(16, 16))
    shades = np.asarray(render(image, window=(128.0, 100.0, "LINEAR_EXACT"))).reshape(-1)
    expected = np.clip((np.arange(256) - 128) / 100 + 0.5, 0, 1) * 255

    assert np.abs(shades - expected).max() <= 0.5


def test_padding_has_no_part_in_the_range():
    pixels = np.full((8, 8), -2000, np.int16)
    pixels[2:, 2:] = np.arange(36).reshape(6, 6)
    image = image_of(pixels)
    image.put("PixelPaddingValue", "SS", -2000)
    shades = np.asarray(render(image))

    assert shades[2, 2] == 0
    assert shades[7, 7] == 255
    assert shades[2, 3] == round(255 / 35)


def test_the_inverse_shape_inverts():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    plain = np.asarray(render(image_of(pixels)))
    inverse = np.asarray(render(image_of(pixels, PresentationLUTShape="INVERSE")))

    assert np.array_equal(plain, 255 - inverse)


def test_the_groups_of_a_frame_count_before_the_shared_ones_and_the_data_set():
    pixels = np.stack([ramp(), ramp(), ramp()])

    def group(center, slope):
        return {
            "FrameVOILUTSequence": [{"WindowCenter": str(center), "WindowWidth": "100"}],
            "PixelValueTransformationSequence": [
                {"RescaleSlope": str(slope), "RescaleIntercept": "0", "RescaleType": "US"}
            ],
        }

    image = image_of(
        pixels,
        bits_stored=12,
        multi_frame=True,
        WindowCenter="5",
        WindowWidth="10",
        SharedFunctionalGroupsSequence=[group(300, 3)],
        PerFrameFunctionalGroupsSequence=[group(100, 1), group(200, 2), {}],
    )
    for number in range(3):
        center = 100 * (number + 1)
        ours = np.asarray(render(image, number))
        by_hand = np.asarray(
            render(image_of(ramp(), bits_stored=12), window=(center / (number + 1), 100.0))
        )
        assert windows_of(image, number)[0].center == center
        assert np.array_equal(
            modality_values(frame(image, number), image, number), ramp() * (number + 1)
        )
        if number == 0:
            assert np.array_equal(ours, by_hand)


def test_a_size_is_one_to_fit_in():
    image = image_of(np.zeros((100, 200), np.uint8))

    assert render(image, size=(50, 50)).size == (50, 25)
    assert render(image, size=(None, 50)).size == (100, 50)
    assert render(image, size=(400, None)).size == (400, 200)
    with pytest.raises(DecodeError, match="expected a size"):
        render(image, size=(100_000, 1))


@pytest.mark.parametrize("window", [(0.0, 0.5), (float("nan"), 5.0), 3, "best", (1.0, 2.0, "CUBE")])
def test_a_window_that_is_none_is_an_error(window):
    with pytest.raises(DicomError):
        render(image_of(ramp()), window=window)


def test_more_than_8_bits_of_color_are_cut():
    pixels = np.full((4, 4, 3), 0xABCD, np.uint16)

    assert render(image_of(pixels)).getpixel((0, 0)) == (0xAB, 0xAB, 0xAB)


def test_floats_are_shown_from_lowest_to_highest():
    image = image_of(np.zeros((2, 2), np.uint8))
    del image["PixelData"]
    values = np.array([[-1.5, 0.0], [np.nan, 2.5]], np.float32)
    image.put("FloatPixelData", "OF", values.tobytes())
    shades = np.asarray(render(image))

    assert shades.tolist() == [[0, 96], [0, 255]]
