"""Reading a part of a damaged file gives what reading the whole of it gives, restricted."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from struct import pack

import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kit.native import IS_BUILT, switched

from dicom_actors import index_files
from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.data.dictionary.tag import to_tag
from dicom_actors.errors import DicomError

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
KEYS = ["PatientID", "StudyInstanceUID"]

_JUDGE = Path(pydicom.__file__).parent / "data" / "test_files"


def whole(data):
    """The values of a file, as far as they can be decoded; None if it is refused."""
    try:
        ds = read_file(data)
    except DicomError:
        return None
    return values_of(ds)


def values_of(ds):
    return {int(element.tag): (element.vr, bytes(element.raw)) for element in ds.elements()}


def by_all_means(data, **wanted):
    """Read a part of a file that is handed in as bytes, as a file object, and as a path."""
    yield read_file(data, **wanted)
    yield read_file(io.BytesIO(data), **wanted)
    yield read_file(Stream(data), **wanted)
    handle, name = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        yield read_file(name, **wanted)
    finally:
        os.unlink(name)


def hold_together(data, keys, until):
    """Check all forms of partial reading, with the compiled scan and without it.

    What whole reading refuses is refused, or read, with both alike.
    """
    outcomes = []
    for is_compiled in (False, IS_BUILT):
        with switched(to=is_compiled):
            parts_of_whole(data, keys, until)
            outcomes.append([outcome(data, keywords=keys), outcome(data, until=until)])
    assert outcomes[0] == outcomes[1]


def outcome(data, **wanted):
    """What reading gives and warns of, or the error."""
    try:
        part = read_file(data, **wanted)
    except DicomError as error:
        return str(error)
    return values_of(part), [*map(str, part.warnings)]


def parts_of_whole(data, keys, until):
    """Check all forms of partial reading of a file that is not refused as a whole."""
    expected = whole(data)
    if expected is None:
        return
    stop = to_tag(until)
    for part in by_all_means(data, until=until):
        assert values_of(part) == {tag: raw for tag, raw in expected.items() if tag < stop}
    tags = {to_tag(key) for key in keys}
    for part in by_all_means(data, keywords=keys):
        found = values_of(part)
        assert {tag: found[tag] for tag in tags & found.keys()} == {
            tag: expected[tag] for tag in tags & expected.keys()
        }


def element_of(tag, vr, size):
    head = pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    return head + pack("<2xI" if vr[:1] == b"O" else "<H", size) + b"1" * size


def file_of(pieces, syntax=EXPLICIT):
    """A file whose data set is these pieces, one after the other."""
    stream = io.BytesIO()
    ds = DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID="1.2.3")
    write_file(stream, ds, transfer_syntax=syntax)
    head = stream.getvalue()[: -len(ds.to_bytes(syntax))]
    return head + b"".join(pieces)


def pieces_of(syntax):
    values = {
        "Modality": "CT",
        "PatientName": "DOE^JOHN",
        "PatientID": "X",
        "StudyInstanceUID": "1.2.3",
        "Rows": 2,
        "PixelData": b"1234",
    }
    return [DataSet.from_keywords(**{key: value}).to_bytes(syntax) for key, value in values.items()]


def strays(syntax):
    order = ">" if syntax == BIG_ENDIAN else "<"
    sequence = DataSet.from_keywords(BeamSequence=[{"BeamName": "AB"}]).to_bytes(syntax)
    late = DataSet.from_keywords(TextComments="text").to_bytes(syntax)
    return [
        *(pack(order + "HHI", 0xFFFE, element, 0) for element in (0xE000, 0xE00D, 0xE0DD)),
        pack(order + "HHI", 0xFFFE, 0xE000, len(late)) + late,
        pack(order + "HHI", 0xFFFE, 0xE000, 0xFFFFFFFF),
        late,
        sequence,
        late + sequence,
        pack(order + "HHI", 0x7FE0, 0x0010, 2) + b"12",
        pack(order + "HH2sHH", 0xFFFF, 0xFFFF, b"US", 2, 7),
    ]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("kind", range(8))
def test_what_comes_first_hides_nothing(tmp_path, syntax, place, kind):
    pieces = pieces_of(syntax)
    pieces.insert(place, strays(syntax)[kind])
    data = file_of(pieces, syntax)
    ds = read_file(data)
    assert (ds.PatientID, ds.StudyInstanceUID) == ("X", "1.2.3")
    for part in by_all_means(data, keywords=KEYS):
        assert (part.PatientID, part.StudyInstanceUID) == ("X", "1.2.3")
    for part in by_all_means(data, until="Rows"):
        assert values_of(part) == {t: r for t, r in values_of(ds).items() if t < 0x00280010}
        assert part.Modality == "CT"
    (tmp_path / "file").write_bytes(data)
    ((_, found),) = index_files(tmp_path, KEYS)
    assert found == {"PatientID": "X", "StudyInstanceUID": "1.2.3"}


@pytest.mark.parametrize("size", [100, 20_000, 300_000])
def test_behind_a_long_value_that_is_not_wanted(tmp_path, size):
    modality, *others = pieces_of(EXPLICIT)
    long = DataSet.from_keywords(TextComments="x" * size).to_bytes(EXPLICIT)
    data = file_of([modality, long, *others])
    (tmp_path / "file").write_bytes(data)
    for source in (tmp_path / "file", data):
        assert read_file(source, keywords=KEYS).PatientID == "X"
        assert read_file(source, until="Rows").PatientID == "X"


def test_what_is_written_of_a_part_is_that_part():
    late, *others = reversed(pieces_of(EXPLICIT)[:5])
    part = read_file(file_of([late, *others]), until="Rows")
    again = DataSet.from_bytes(part.to_bytes(), EXPLICIT)
    assert again == part
    assert list(again) == [0x00080060, 0x00100010, 0x00100020, 0x0020000D]


@pytest.mark.parametrize("wanted", [{"until": "PixelData"}, {"keywords": KEYS}])
def test_damage_behind_is_told_and_no_reason_to_refuse(tmp_path, wanted):
    data = file_of(pieces_of(EXPLICIT))[:-2]
    (tmp_path / "file").write_bytes(data)
    for source in (data, tmp_path / "file"):
        part = read_file(source, **wanted)
        assert part.PatientID == "X"
        assert "behind what is wanted" in str(part.warnings[-1])


@pytest.mark.parametrize("wanted", [{"until": "Rows"}, {"keywords": KEYS}])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("tail", [b"\x01", b"\0\0\0\1\0\0\0", bytes(7)])
def test_a_header_that_is_cut_short_is_damage_behind(wanted, syntax, tail):
    data = file_of(pieces_of(syntax)[:-1], syntax) + tail
    assert (whole(data) is None) == any(tail)
    for part in by_all_means(data, **wanted):
        assert part.PatientID == "X"
        assert any("behind what is wanted" in str(note) for note in part.warnings) == any(tail)


class Stream(io.BytesIO):
    """A file object without a way back."""

    def seekable(self):
        return False

    def seek(self, *_):
        raise io.UnsupportedOperation


def fragments(*lengths):
    head = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff"
    items = [pack("<HHI", 0xFFFE, 0xE000, length) + bytes(length) for length in (0, *lengths)]
    return head + b"".join(items) + pack("<HHI", 0xFFFE, 0xE0DD, 0)


def endless(size):
    """A sequence and an item of undefined lengths."""
    note = DataSet.from_keywords(TextComments="x" * size).to_bytes(EXPLICIT)
    head = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return head + note + pack("<HHI", 0xFFFE, 0xE00D, 0) + pack("<HHI", 0xFFFE, 0xE0DD, 0)


LONG = {
    "a value": element_of(0x7FE00010, b"OW", 100_000),
    "values": b"".join(element_of(0x00410000 + at, b"LT", 500) for at in range(1_000)),
    "a sequence": endless(30_000).replace(b"\x08\0\x40\x11", b"\x08\0\x41\x11", 1),
    "fragments": fragments(20_000, 30_000, 4, 60_000),
    "many fragments": fragments(*[2] * 5_000),
    "empty fragments to the end": fragments(*[0] * 5_000)[:-8],
    "padding": element_of(0x7FE00010, b"OW", 40_000) + bytes(40_000),
    "rubbish": element_of(0x7FE00010, b"OW", 40_000) + b"rubbish " * 5_000,
}


@pytest.mark.parametrize("front", [0, 15_000, 16_000, 16_200])
@pytest.mark.parametrize("long", LONG)
@pytest.mark.parametrize("size", [2, 600, 40_000])
def test_what_is_far_behind_is_found(front, long, size):
    """A wanted element is out of order behind all that is hard to pass over."""
    late = [
        DataSet.from_keywords(TextComments="x" * 30).to_bytes(EXPLICIT),
        element_of(0x00100020, b"LO", size),
        DataSet.from_keywords(StudyInstanceUID="1.2.9").to_bytes(EXPLICIT),
    ]
    filling = element_of(0x00091010, b"LT", front)
    data = file_of([filling, *pieces_of(EXPLICIT)[:4], LONG[long], *late])
    hold_together(data, KEYS, "Rows")
    hold_together(data, KEYS, "PixelData")


@pytest.mark.parametrize("wanted", [{"until": "Rows"}, {"keywords": KEYS}])
def test_little_is_read_behind_compressed_pixel_data(tmp_path, wanted):
    data = file_of([*pieces_of(EXPLICIT)[:4], fragments(*[100_000] * 100)])
    path = tmp_path / "file"
    path.write_bytes(data)
    read = []
    source = io.BytesIO(data)
    source.read = lambda size: read.append(size) or io.BytesIO.read(source, size)
    assert read_file(source, **wanted).PatientID == "X"
    assert sum(read) < len(data) // 10


_SEEDS = [
    (_JUDGE / name).read_bytes()
    for name in ("CT_small.dcm", "rtplan.dcm", "test-SR.dcm", "JPEG2000.dcm", "reportsi.dcm")
]
_KEYS = st.lists(
    st.sampled_from(
        [*KEYS, "Modality", "Rows", "SOPClassUID", "BeamSequence", "ContentSequence", "PixelData"]
    ),
    min_size=1,
    max_size=3,
)
_UNTIL = st.sampled_from(["PatientID", "StudyInstanceUID", "Rows", "BeamSequence", "PixelData"])


@given(
    syntax=st.sampled_from([IMPLICIT, EXPLICIT, BIG_ENDIAN]),
    order=st.permutations(range(6)) | st.lists(st.integers(0, 5), min_size=1, max_size=9),
    damage=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), max_size=3),
    tail=st.sampled_from([b"", bytes(3), bytes(16), b"rubbish behind it"]),
    keys=_KEYS,
    until=_UNTIL,
)
# Behind a first Pixel Data, out of order, and a stray delimiter, one without VR, and more.
@example(EXPLICIT, [1, 5, 2, 3], [(3, 2), (4, 8)], b"", ["PixelData"], "Rows")
# Behind an element that is there twice.
@example(EXPLICIT, [1, 5, 1, 4], [(3, 2), (4, 8), (5, 0)], b"", ["PixelData"], "PatientID")
# Groups that are none, behind what is wanted.
@example(EXPLICIT, range(6), [(4, 9)], b"", ["PatientID"], "StudyInstanceUID")
@example(EXPLICIT, range(6), [(0, 9)], b"", ["PatientID"], "StudyInstanceUID")
def test_elements_in_any_order_among_strays(syntax, order, damage, tail, keys, until):
    pieces = [pieces_of(syntax)[at] for at in order]
    for place, kind in damage:
        pieces.insert(place, strays(syntax)[kind])
    hold_together(file_of([*pieces, tail], syntax), keys, until)


@given(
    seed=st.sampled_from(_SEEDS),
    edits=st.lists(
        st.tuples(st.integers(128, 6_000), st.binary(min_size=1, max_size=4)), max_size=4
    ),
    moved=st.tuples(st.integers(132, 4_000), st.integers(132, 4_000), st.integers(0, 64)),
    keys=_KEYS,
    until=_UNTIL,
)
def test_any_damage(seed, edits, moved, keys, until):
    data = bytearray(seed)
    for place, new in edits:
        at = place % len(data)
        data[at : at + len(new)] = new
    source, target, size = moved
    data[target:target] = data[source : source + size]
    hold_together(bytes(data), keys, until)
