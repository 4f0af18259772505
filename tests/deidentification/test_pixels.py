"""Regions of images are blanked in all frames, and nothing beside them."""

from __future__ import annotations

import io
from functools import partial
from itertools import product

import numpy as np
import pytest
from kit.patients import KEY, patient
from pydicom.data import get_testdata_file

from dicom_actors import file_pieces, read_file, read_large, write_file
from dicom_actors.data.files import large_value
from dicom_actors.data.values.unread import in_memory
from dicom_actors.deidentification import Deidentifier, NotCleanError, Report, Rules
from dicom_actors.deidentification.pixels import Image, blanked
from dicom_actors.pixels import decompress, transcode, volume

REGIONS = """
[[region]]
model = "BURNER"
rows = 6
rectangles = [[1, 1, 3, 2], [5, 4, 100, 100]]
"""


def image(**values):
    return patient(
        **{
            "Modality": "US",
            "ManufacturerModelName": "The Burner 5",
            "Rows": 6,
            "Columns": 8,
            "SamplesPerPixel": 1,
            "BitsAllocated": 8,
            "BitsStored": 8,
            "PhotometricInterpretation": "MONOCHROME2",
            "BurnedInAnnotation": "YES",
            "PixelData": bytes(range(1, 49)),
            **values,
        }
    )


@pytest.mark.parametrize(
    ("bits", "samples", "planar", "frames"),
    [*product((8, 16, 32, 64), (1, 3), (False, True), (1, 3))],
)
def test_rectangles_are_black_and_all_else_is_as_it_was(bits, samples, planar, frames) -> None:
    shape = (frames, samples, 6, 8) if planar else (frames, 6, 8, samples)
    kind = np.dtype(f"u{bits // 8}")
    pixels = (np.arange(np.prod(shape)) % 250 + 1).astype(kind).reshape(shape)
    photometric = "RGB" if samples == 3 else "MONOCHROME2"
    described = Image(6, 8, frames, samples, bits, bits, planar, photometric)
    made = np.frombuffer(
        blanked(pixels.tobytes(), described, [(1, 1, 3, 2), (5, 4, 100, 100), (50, 0, 1, 1)]), kind
    ).reshape(shape)
    expected = pixels.copy()
    for rows, columns in ((slice(1, 3), slice(1, 4)), (slice(4, 6), slice(5, 8))):
        if planar:
            expected[:, :, rows, columns] = 0
        else:
            expected[:, rows, columns] = 0
    assert (made == expected).all()


@pytest.mark.parametrize("frames", [1, 3])
def test_bits_across_rows_and_frames(frames) -> None:
    shape = (frames, 5, 7)
    data = np.packbits(np.ones(shape, "u1").ravel(), bitorder="little").tobytes()
    made = blanked(data, Image(5, 7, frames, 1, 1, 1, False, "MONOCHROME2"), [(2, 1, 3, 2)])
    bits = np.unpackbits(np.frombuffer(made, "u1"), bitorder="little")
    expected = np.ones(shape, "u1")
    expected[:, 1:3, 2:5] = 0
    assert (bits[: expected.size] == expected.ravel()).all()


def test_colors_of_luminance_and_chrominance() -> None:
    full = blanked(b"\x11" * 12, Image(2, 2, 1, 3, 8, 8, False, "YBR_FULL"), [(0, 0, 1, 1)])
    assert full == b"\0\x80\x80" + b"\x11" * 9
    half = blanked(b"\x11" * 16, Image(2, 4, 1, 3, 8, 8, False, "YBR_FULL_422"), [(1, 0, 1, 1)])
    assert half == b"\0\0\x80\x80" + b"\x11" * 12
    inverse = blanked(b"\x11" * 4, Image(2, 2, 1, 1, 8, 8, False, "MONOCHROME1"), [(0, 0, 1, 1)])
    assert inverse == b"\xff\x11\x11\x11"


@pytest.mark.parametrize(
    "described",
    [
        Image(6, 8, 1, 1, 12, 12, False, "MONOCHROME2"),
        Image(6, 8, 2, 1, 8, 8, False, "MONOCHROME2"),
        Image(0, 8, 1, 1, 8, 8, False, "MONOCHROME2"),
        Image(6, 8, 1, 2, 8, 8, False, "RGB"),
        Image(6, 7, 1, 3, 8, 8, False, "YBR_FULL_422"),
    ],
)
def test_what_is_not_known_is_refused(described) -> None:
    with pytest.raises(ValueError, match=r"."):
        blanked(bytes(48), described, [(0, 0, 1, 1)])


def test_a_device_rule_cleans_an_image(clean, rules) -> None:
    after = clean(image(), "clean-pixel-data", rules=rules(REGIONS))
    pixels = np.frombuffer(after.PixelData, "u1").reshape(6, 8)
    assert (pixels[1:3, 1:4] == 0).all()
    assert pixels[0].tolist() == list(range(1, 9))
    assert after.BurnedInAnnotation == "NO"
    assert [item.CodeValue for item in after.DeidentificationMethodCodeSequence] == [
        "113100",
        "113101",
    ]


def test_a_rule_that_comes_with_the_package() -> None:
    pixels = bytes([9]) * (480 * 640 * 3)
    before = image(
        Manufacturer="ACUSON",
        ManufacturerModelName="SEQUOIA",
        Rows=480,
        Columns=640,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="RGB",
        PixelData=pixels,
    )
    report = Report()
    after = Deidentifier("basic", ["clean-pixel-data"], salt=KEY).deidentify(before, report)
    assert bytes(after.PixelData) == bytes(640 * 30 * 3) + pixels[640 * 30 * 3 :]
    assert report.actions["blanked"] == 1


def test_burned_in_annotation_is_refused_unless_allowed(clean, rules) -> None:
    for options in ((), ("clean-pixel-data",)):
        with pytest.raises(NotCleanError, match="burned in"):
            clean(image(), *options)
    assert clean(image(), allow_burned_in=True).BurnedInAnnotation == "YES"
    assert clean(image(BurnedInAnnotation="NO"), "clean-pixel-data").PixelData
    with pytest.raises(NotCleanError, match="often have annotation"):
        clean(image(BurnedInAnnotation=None), "clean-pixel-data")
    with pytest.raises(NotCleanError, match="cannot be blanked"):
        clean(image(PixelData=b"\0\0"), "clean-pixel-data", rules=rules(REGIONS))


def test_compressed_pixels_are_refused_unless_they_can_be_decompressed(rules) -> None:
    before = read_file(str(get_testdata_file("SC_rgb_rle.dcm")))
    before.BurnedInAnnotation = "YES"
    before.ManufacturerModelName = "R"
    made = rules('[[region]]\nmodel = "R"\nrectangles = [[0, 0, 100, 10]]')
    with pytest.raises(NotCleanError, match="compressed"):
        Deidentifier("basic", ["clean-pixel-data"], salt=KEY, rules=made).deidentify(before)
    native = read_file(str(get_testdata_file("SC_rgb.dcm")))

    def decompress(given):
        assert given == before
        native.BurnedInAnnotation, native.ManufacturerModelName = "YES", "R"
        return native

    after = Deidentifier(
        "basic", ["clean-pixel-data"], salt=KEY, rules=made, decompress=decompress
    ).deidentify(before)
    assert not after.transfer_syntax.is_encapsulated
    assert bytes(after.PixelData)[: 100 * 10 * 3] == bytes(100 * 10 * 3)
    assert bytes(after.PixelData)[100 * 10 * 3 :] == bytes(native.PixelData)[100 * 10 * 3 :]


def test_faces_are_refused_where_the_option_asks_for_it(clean) -> None:
    head = image(Modality="CT", BodyPartExamined="HEAD", BurnedInAnnotation="NO")
    with pytest.raises(NotCleanError, match="face"):
        clean(head, "clean-visual-features")
    assert clean(head, "clean-visual-features", allow_visual_features=True)
    knee = image(Modality="CT", BodyPartExamined="KNEE", BurnedInAnnotation="NO")
    assert clean(knee, "clean-visual-features").RecognizableVisualFeatures == "NO"
    assert clean(head).BodyPartExamined == "HEAD"


def test_regions_of_compressed_pixels_are_blanked_by_the_codecs_that_there_are() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(1, 200, (2, 6, 8)).astype(np.uint8)
    plain = image(
        NumberOfFrames=2,
        HighBit=7,
        PixelRepresentation=0,
        PixelData=pixels.tobytes(),
    )
    rules = Rules.from_toml(REGIONS)
    cleaner = Deidentifier(
        options=["clean-pixel-data"], salt=KEY, rules=rules, decompress=decompress
    )
    for syntax in ("JPEGLSLossless", "JPEG2000Lossless", "RLELossless"):
        made = cleaner.deidentify(transcode(plain, syntax))
        assert not made.transfer_syntax.is_encapsulated
        assert made.BurnedInAnnotation == "NO"
        expected = pixels.copy()
        expected[:, 1:3, 1:4] = 0
        expected[:, 4:, 5:] = 0
        assert np.array_equal(volume(made), expected)
    with pytest.raises(NotCleanError, match="without decompressing"):
        Deidentifier(options=["clean-pixel-data"], salt=KEY, rules=rules).deidentify(
            transcode(plain, "JPEGLSLossless")
        )


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_overlays_in_bits_that_are_not_used_are_blanked(syntax) -> None:
    samples = np.arange(48, dtype="<u2") * 80
    drawn = (samples | np.where(np.arange(48) % 3, 0x2000, 0) | 0x8000).astype("<u2")
    given = image(
        BurnedInAnnotation="NO",
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelData=drawn.tobytes(),
    )
    assert given.fetch("PixelData").vr == "OW"
    for tag, vr, value in (
        (0x60000010, "US", 6),
        (0x60000011, "US", 8),
        (0x60000040, "CS", "G"),
        (0x60000050, "SS", [1, 1]),
        (0x60000100, "US", 16),
        (0x60000102, "US", 13),
    ):
        given.put(tag, vr, [value] if not isinstance(value, list) else value)
    file = io.BytesIO()
    write_file(file, given, transfer_syntax=syntax)
    report = Report()
    made = Deidentifier(salt=KEY).deidentify(read_file(file.getvalue()), report)
    found = np.frombuffer(bytes(made.PixelData), "<u2")
    assert found.tolist() == (drawn & 0xDFFF).tolist()
    assert report.actions["blanked"] == 1


SYNTAXES = {
    "explicit": "1.2.840.10008.1.2.1",
    "implicit": "1.2.840.10008.1.2",
    "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
}


@pytest.mark.parametrize("bits", [1, 8, 16])
@pytest.mark.parametrize("name", SYNTAXES)
def test_what_is_not_read_is_cleaned_as_what_is(tmp_path, monkeypatch, name, bits) -> None:
    if bits == 1 and name == "JPEG-LS":
        bits = 8
    pixels = np.random.default_rng(3).integers(0, 256, 11 * 6 * 8 * bits // 8 + 4096)
    pixels = pixels.astype("u1")[: 11 * 6 * 8 * bits // 8]
    given = image(
        NumberOfFrames=11,
        BitsAllocated=bits,
        BitsStored=min(bits, 12),
        HighBit=min(bits, 12) - 1,
        PixelRepresentation=0,
    )
    words = pixels.view("<u2") & 0xBFFF if bits == 16 else pixels
    if name == "JPEG-LS" and bits == 16:
        words &= 0xFFF
    elif bits == 16:
        given.put(0x60000102, "US", [13])
    given.put("PixelData", "OB" if bits == 8 else "OW", words.tobytes() + bytes(words.nbytes & 1))
    path = tmp_path / "one.dcm"
    target = SYNTAXES[name]
    given = transcode(given, target) if name == "JPEG-LS" else given
    write_file(path, given, transfer_syntax=target)
    monkeypatch.setattr(large_value, "LARGE", 300)
    monkeypatch.setattr(large_value, "_WORTH", 1)
    cleaner = Deidentifier(
        options=["clean-pixel-data"],
        salt=KEY,
        rules=Rules.from_toml(REGIONS),
        decompress=partial(decompress, lazily=True),
    )
    apart = read_large(path)
    assert apart.fetch("PixelData").unread is not None
    reports = Report(), Report()

    whole = cleaner.deidentify(read_file(path.read_bytes()), reports[0])
    made = cleaner.deidentify(apart, reports[1])

    assert made.fetch("PixelData").unread is not None
    assert b"".join(in_memory(file_pieces(made))) == b"".join(in_memory(file_pieces(whole)))
    assert reports[0].actions == reports[1].actions
    assert reports[1].actions["blanked"] == (2 if bits == 16 and name != "JPEG-LS" else 1)


def test_an_overlay_among_the_bits_of_the_values_is_refused() -> None:
    given = image(BurnedInAnnotation="NO")
    given.put(0x60000102, "US", [3])
    with pytest.raises(NotCleanError, match="bit 3 of samples of 8 bits in 8"):
        Deidentifier(salt=KEY).deidentify(given)
