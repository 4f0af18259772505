"""What is known of a large file that is not read for that."""

from __future__ import annotations

import os
import struct
import tracemalloc

import pytest
from kit.archive_objects import make_file

from dicom_actors import EncapsulatedPixelData, read_file, write_file
from dicom_actors.archive import Archive
from dicom_actors.archive.files import FileBytes
from dicom_actors.archive.maintenance import reindex
from dicom_actors.archive.upkeep import describe_file, intake
from dicom_actors.errors import DataError

JPEG = "1.2.840.10008.1.2.4.50"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
MANY = 1_200_000
"""Bytes of a value that is left in the file."""
IMAGE = {
    "Rows": 100,
    "Columns": 100,
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 0,
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "NumberOfFrames": 60,
}


def object_with(*elements, **values):
    ds = read_file(make_file(1))
    for tag in ("PixelData", "Rows", "Columns"):
        ds.pop(tag, None)
    for keyword, value in values.items():
        ds[keyword] = value
    for tag, vr, value in elements:
        ds.put(tag, vr, value)
    return ds


def image(*elements, **values):
    return object_with(("PixelData", "OW", bytes(MANY)), *elements, **{**IMAGE, **values})


def compressed(frames, offsets=True, *elements, **values):
    pixels = EncapsulatedPixelData.of_frames(frames, has_offset_table=offsets)
    values = {**IMAGE, "BitsAllocated": 8, "NumberOfFrames": len(frames), **values}
    ds = object_with(("PixelData", "OB", pixels), *elements, **values)
    ds.file_meta["TransferSyntaxUID"] = JPEG
    return ds


def frames_of(*lengths):
    return [b"\xff\xd8" + bytes([number]) * (length - 2) for number, length in enumerate(lengths)]


def several_fragments():
    frames = frames_of(700_000, 500_000)
    parts = [frame[at : at + 100_000] for frame in frames for at in range(0, len(frame), 100_000)]
    ds = compressed(frames)
    ds.put("PixelData", "OB", EncapsulatedPixelData(parts))
    return ds


def extended():
    frames = frames_of(700_001, 500_001)
    table = [struct.pack("<2Q", 0, 700_010), struct.pack("<2Q", 700_001, 500_001)]
    return compressed(
        frames, False, ("ExtendedOffsetTable", "OV", table[0]),
        ("ExtendedOffsetTableLengths", "OV", table[1]),
    )  # fmt: skip


LEFT_IN_THE_FILE = {
    "uncompressed": image,
    "uncompressed, with padding behind": lambda: image(("DataSetTrailingPadding", "OB", bytes(99))),
    "shorter than its frames": lambda: image(NumberOfFrames=100),
    "without a number of frames": lambda: image(Rows=None),
    "floats": lambda: object_with(
        ("FloatPixelData", "OF", bytes(MANY)),
        **{**IMAGE, "BitsAllocated": 32, "NumberOfFrames": 30},
    ),
    "a document": lambda: object_with(
        ("EncapsulatedDocument", "OB", b"%PDF" * 300_000),
        MIMETypeOfEncapsulatedDocument="application/pdf",
        DocumentTitle="Report",
    ),
    "a spectrum": lambda: object_with(("SpectroscopyData", "OF", bytes(MANY))),
    "compressed": lambda: compressed(frames_of(700_000, 500_000)),
    "compressed, of odd lengths": lambda: compressed(frames_of(700_001, 500_001)),
    "compressed, without offsets": lambda: compressed(frames_of(*[50_000] * 30), False),
    "compressed, in one fragment": lambda: compressed(frames_of(1_300_000)),
    "several fragments for a frame": several_fragments,
    "an extended offset table": extended,
}


def file_of(ds, path, syntax):
    is_compressed = isinstance(ds.get("PixelData"), EncapsulatedPixelData)
    write_file(path, ds, transfer_syntax=JPEG if is_compressed else syntax)
    return path.read_bytes()


def opened(path):
    descriptor = os.open(path, os.O_RDONLY)
    return FileBytes.of(descriptor, 0, path.stat().st_size, str(path))


@pytest.mark.parametrize("kind", LEFT_IN_THE_FILE)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_the_same_is_known_as_of_one_that_was_read(tmp_path, monkeypatch, kind, syntax):
    ds, path = LEFT_IN_THE_FILE[kind](), tmp_path / "one.dcm"
    data = file_of(ds, path, syntax)
    expected = describe_file(memoryview(data))
    monkeypatch.setattr(FileBytes, "read", only_pieces(FileBytes.read))
    assert describe_file(opened(path)) == expected


def only_pieces(read):
    def read_piece(file):
        assert len(file) <= 1_048_576, "read whole"
        return read(file)

    return read_piece


BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
NATIVE = [
    "uncompressed",
    "uncompressed, with padding behind",
    "shorter than its frames",
    "floats",
    "a document",
    "a spectrum",
]


@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("syntax", [BIG, DEFLATED], ids=["big endian", "deflated"])
def test_so_it_is_of_seldom_forms(tmp_path, monkeypatch, kind, syntax):
    path = tmp_path / "one.dcm"
    data = file_of(LEFT_IN_THE_FILE[kind](), path, syntax)
    expected = intake._describe_whole(memoryview(data))
    monkeypatch.setattr(FileBytes, "read", only_pieces(FileBytes.read))
    assert describe_file(opened(path)) == expected
    if syntax == DEFLATED:
        assert describe_file(memoryview(data)) == expected


def test_what_a_few_bytes_are_inflated_to_is_not_in_memory(tmp_path):
    path = tmp_path / "one.dcm"
    data = file_of(image(("PixelData", "OW", bytes(40_000_000))), path, DEFLATED)
    assert len(data) < 1_000_000
    tracemalloc.start()
    try:
        describe_file(memoryview(data))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8_000_000


@pytest.mark.parametrize("kind", ["uncompressed", "compressed", "an extended offset table"])
@pytest.mark.parametrize("seed", range(6))
def test_of_a_damaged_one_the_same_is_said(tmp_path, kind, seed):
    ds, path = LEFT_IN_THE_FILE[kind](), tmp_path / "one.dcm"
    data = bytearray(file_of(ds, path, EXPLICIT))
    at = data.index(struct.pack("<HH", 0x7FE0, 0x0010)) - 200 + seed * 37
    del data[at : at + seed % 5]
    data[at] ^= 1 << seed % 8
    path.write_bytes(data)
    assert outcome_of(opened(path)) == outcome_of(memoryview(data))


@pytest.mark.parametrize("length", [0, 100, 131, 132, 140, 400, 1_000, 100_000, 1_100_000])
def test_of_one_that_is_cut_short_the_same_is_said(tmp_path, length):
    path = tmp_path / "one.dcm"
    data = file_of(image(), path, EXPLICIT)[:length]
    path.write_bytes(data)
    assert outcome_of(opened(path)) == outcome_of(memoryview(data))


def outcome_of(data):
    try:
        return describe_file(data)
    except DataError as error:
        return type(error)


@pytest.mark.index_in_folder
@pytest.mark.parametrize("is_compressed", [True, False])
def test_an_archive_learns_of_large_files_a_piece_at_a_time(tmp_path, is_compressed):
    frames = frames_of(*[2_000_000] * 20)
    ds = compressed(frames) if is_compressed else image(
        ("PixelData", "OW", bytes(40_000_000)), Columns=10_000, NumberOfFrames=20
    )  # fmt: skip
    folder = tmp_path / "archive"
    with Archive.open(folder, reserve_bytes=0, warn_free_bytes=0) as archive:
        archive.add(ds)
        archive.settle()
        (before,) = archive.instances()
    (folder / "index.sqlite").unlink()
    tracemalloc.start()
    try:
        with Archive.open(folder, reserve_bytes=0, warn_free_bytes=0) as archive:
            reindex(archive, lambda problem: pytest.fail(str(problem)))
            (after,) = archive.instances()
            _, most = tracemalloc.get_traced_memory()
            assert bytes(archive.frame(after, 20))[:2] == (
                b"\xff\xd8" if is_compressed else b"\0\0"
            )
    finally:
        tracemalloc.stop()
    assert most < 8_000_000
    assert after._replace(received=before.received) == before
