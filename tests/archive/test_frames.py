"""One frame of an instance, read alone."""

from __future__ import annotations

import io
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.archive import Archive
from dicom_actors.archive.files import DiskFileSystem
from dicom_actors.archive.upkeep import FrameRanges, pixel_data
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.errors import DataError, ElementNotFoundError

pytestmark = pytest.mark.usefixtures("nothing_left")

JPEG = "1.2.840.10008.1.2.4.50"
EXPLICIT = "1.2.840.10008.1.2.1"
UNCOMPRESSED = [EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"]
DEFLATED = "1.2.840.10008.1.2.1.99"
UID = "1.2.1.1.1"
ROOM = {"reserve_bytes": 0, "warn_free_bytes": 0}
SETTINGS = {"small": ROOM, "large": {**ROOM, "journal_object_bytes": 0}}
BODIES = [b"\xff\xd8" + bytes([n]) * (40 + 2 * n) for n in range(5)]


def image(**more):
    return DataSet.from_keywords(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7.2",
        SOPInstanceUID=UID,
        StudyInstanceUID="1.2.1",
        SeriesInstanceUID="1.2.1.1",
        **more,
    )


def plain(frames, *, syntax=EXPLICIT, columns=3):
    ds = image(
        Rows=5, Columns=columns, BitsAllocated=8, SamplesPerPixel=1, NumberOfFrames=len(frames)
    )
    data = b"".join(frames)
    ds.put("PixelData", "OB", data + bytes(len(data) % 2))
    # Something that follows the pixel data.
    ds.put(0xFFFCFFFC, "OB", bytes(6))
    return encoded(ds, syntax)


def compressed(pixel_data, count, **more):
    ds = image(NumberOfFrames=count, Rows=1, Columns=1, BitsAllocated=8, **more)
    ds.put("PixelData", "OB", pixel_data)
    return encoded(ds, JPEG)


def encoded(ds, syntax):
    buffer = io.BytesIO()
    write_file(buffer, ds, transfer_syntax=syntax)
    return buffer.getvalue()


FRAMES = [bytes([n]) * 15 for n in range(1, 4)]
HALVES = [half for body in BODIES for half in (body[:20], body[20:])]
OFFSETS = [sum(len(body) + 16 for body in BODIES[:n]) for n in range(5)]
OBJECTS = {
    **{
        f"uncompressed, {syntax}": (plain(FRAMES, syntax=syntax), FRAMES) for syntax in UNCOMPRESSED
    },
    "one of an odd length": (plain([bytes(15)]), [bytes(15)]),
    "basic offset table": (compressed(EncapsulatedPixelData.of_frames(BODIES), 5), BODIES),
    "no table, a fragment each": (
        compressed(EncapsulatedPixelData.of_frames(BODIES, has_offset_table=False), 5),
        BODIES,
    ),
    "no table, two fragments each": (compressed(EncapsulatedPixelData(HALVES), 5), BODIES),
    "basic offset table, two fragments each": (
        compressed(EncapsulatedPixelData(HALVES, OFFSETS), 5),
        BODIES,
    ),
    "one frame of many fragments": (
        compressed(EncapsulatedPixelData(HALVES[:6]), 1),
        [b"".join(HALVES[:6])],
    ),
    "extended offset table, odd frames": (
        compressed(
            EncapsulatedPixelData([body[:-1] for body in BODIES]),
            5,
            ExtendedOffsetTable=pack("<5Q", *(n - 8 * i for i, n in enumerate(OFFSETS))),
            ExtendedOffsetTableLengths=pack("<5Q", *(len(body) - 1 for body in BODIES)),
        ),
        [body[:-1] for body in BODIES],
    ),
}


class Counting(DiskFileSystem):
    """Notes what is read."""

    def __init__(self, root):
        super().__init__(root)
        self.reads = []

    def read(self, name, offset=0, length=None):
        self.reads.append(length)
        return super().read(name, offset, length)


@pytest.mark.parametrize("is_settled", [False, True])
@pytest.mark.parametrize("size", SETTINGS)
@pytest.mark.parametrize("name", OBJECTS)
def test_a_frame_is_read_alone(tmp_path, name, size, is_settled):
    data, frames = OBJECTS[name]
    assert [bytes(frame) for frame in read_file(data).frames()] == frames
    disk = Counting(tmp_path)
    with Archive.open(tmp_path, file_system=disk, **SETTINGS[size]) as archive:
        archive.add(data)
        if is_settled:
            archive.settle()
        disk.reads.clear()
        assert [bytes(archive.frame(UID, n + 1)) for n in range(len(frames))] == frames
        assert len(disk.reads) == len(frames)
        assert sum(disk.reads) < len(data)
        for number in (0, -1, len(frames) + 1):
            with pytest.raises(IndexError):
                archive.frame(UID, number)
        with pytest.raises(KeyError):
            archive.frame("1.9", 1)


def test_where_no_frame_can_be_read_alone_it_is_said(tmp_path):
    unclear = compressed(EncapsulatedPixelData([bytes(4)] * 3), 2)
    none = encoded(image(), EXPLICIT)
    for data, error in (
        (unclear, DataError),
        (none, ElementNotFoundError),
        (plain(FRAMES, syntax=DEFLATED), DataError),
    ):
        with Archive.open(tmp_path, duplicates="replace", **ROOM) as archive:
            archive.add(data)
            assert next(archive.instances()).pixel_data is None
            with pytest.raises(error):
                archive.frame(UID, 1)


def test_what_an_older_index_does_not_know_is_read_from_the_file(tmp_path):
    data, frames = OBJECTS["basic offset table"]
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.add(data)
        (found,) = archive.instances()
        assert found.pixel_data
        assert bytes(archive.frame(found._replace(pixel_data=None), 2)) == frames[1]


def test_a_file_that_was_changed_is_no_frame(tmp_path):
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.add(OBJECTS["basic offset table"][0])
        archive.settle()
        (path,) = tmp_path.rglob("*.dcm")
        path.write_bytes(bytes(path.stat().st_size))
        with pytest.raises(DataError, match="frame 2"):
            archive.frame(UID, 2)


@given(
    st.integers(0, 1 << 40),
    st.lists(st.tuples(st.integers(0, 1 << 33), st.integers(0, 3)), min_size=1, max_size=50),
)
def test_ranges_are_kept_as_they_are(offset, spans):
    ranges = FrameRanges(offset, len(spans), 0, tuple(spans))
    assert FrameRanges.decoded(ranges.encoded()) == ranges


@given(st.binary(max_size=40))
def test_damaged_ranges_are_noticed(data):
    try:
        FrameRanges.decoded(data)
    except ValueError:
        return


def test_too_many_frames_are_not_kept():
    assert FrameRanges(1, 60_000, 0, ((1 << 20, 0),) * 60_000).encoded() is None


# --- what is found without decoding is what is found by it ---------------------------------------


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Rows": 0},
        {"Rows": 300},
        {"Rows": [5, 5]},
        {"Columns": 1},
        {"BitsAllocated": 1},
        {"BitsAllocated": 16},
        {"BitsAllocated": None},
        {"SamplesPerPixel": 3},
        {"PhotometricInterpretation": "YBR_FULL_422", "SamplesPerPixel": 3},
        {"PhotometricInterpretation": None},
        {"NumberOfFrames": 2},
    ],
)
@pytest.mark.parametrize("vr", ["OB", "OW", "UN"])
def test_a_single_frame_is_found_as_by_decoding(syntax, changes, vr, monkeypatch):
    ds = image(
        Rows=5,
        Columns=3,
        BitsAllocated=8,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
    )
    for keyword, value in changes.items():
        ds.put(keyword, None, value)
    ds.put("PixelData", vr, bytes(range(46)))
    ds.put(0xFFFCFFFC, "OB", bytes(6))
    read = read_file(encoded(ds, syntax))
    found = FrameRanges.of(read)
    monkeypatch.setattr(pixel_data, "_single_frame", lambda _: None)
    assert found == FrameRanges.of(read)
    if not changes and syntax != UNCOMPRESSED[2] and vr == "OB":
        assert found is not None
        assert found.number_of_frames == 1
