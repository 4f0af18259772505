"""What can be read of a file with rubbish in the middle: what is before it, and what is behind."""

from __future__ import annotations

import contextlib
import io
import random
import sys
import zlib
from pathlib import Path
from struct import pack

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.data import DataSet, Limits, read_file, write_file
from dicom_actors.errors import DecodeError, DicomError

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
VALUES = {
    "Modality": "CT",
    "PatientName": "DOE^JOHN",
    "PatientID": "X",
    "StudyInstanceUID": "1.2.3",
    "SamplesPerPixel": 1,
    "Rows": 2,
    "PixelData": b"1234",
}
RUBBISH = {
    "text": b"this is no DICOM at all, but text!",
    "ones": b"\xff" * 40,
    "odd": b"\x12\x34\x56\x78\x9a" * 5,
    "a length beyond the end": b"\x10\x00\x22\x00",
}
_JUDGE = Path(pydicom.__file__).parent / "data" / "test_files"


def head_of(syntax):
    stream = io.BytesIO()
    ds = DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID="1.2.3")
    write_file(stream, ds, transfer_syntax=syntax)
    return stream.getvalue()[: -len(ds.to_bytes(syntax))]


def pieces(syntax):
    return [DataSet.from_keywords(**{key: value}).to_bytes(syntax) for key, value in VALUES.items()]


def values_of(ds):
    return {element.keyword: bytes(element.raw) for element in ds.elements()}


@pytest.mark.parametrize("kind", RUBBISH)
@pytest.mark.parametrize("place", range(7))
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_between_two_elements_it_is_left_out(syntax, place, kind, tmp_path):
    rubbish = RUBBISH[kind]
    if kind == "a length beyond the end":
        order = ">" if syntax == BIG_ENDIAN else "<"
        rubbish = pack(order + "HHI", 0x0008, 0x0070, 0x7FFFFFF0)
        if syntax != IMPLICIT:
            rubbish = pack(order + "HH2s2xI", 0x0008, 0x0070, b"UT", 0x7FFFFFF0)
    parts = pieces(syntax)
    expected = values_of(DataSet.from_bytes(b"".join(parts), syntax))
    if not place and kind != "a length beyond the end":
        place = 1  # what a data set begins with tells its encoding
    parts.insert(place, rubbish)
    data = head_of(syntax) + b"".join(parts)
    with pytest.raises(DecodeError):
        read_file(data)
    (tmp_path / "file").write_bytes(data)
    for source in (data, io.BytesIO(data), tmp_path / "file"):
        ds = read_file(source, keep_damaged=True)
        assert values_of(ds) == expected
        assert f"{len(rubbish)} bytes are left out" in str(ds.warnings[-1])
    part = read_file(data, keep_damaged=True, keywords=["PatientID", "Rows"])
    assert (part.PatientID, part.Rows) == ("X", 2)
    part = read_file(data, keep_damaged=True, until="Rows")
    assert list(values_of(part)) == list(expected)[:5]


def test_what_is_written_of_it_is_whole():
    parts = pieces(EXPLICIT)
    data = head_of(EXPLICIT) + parts[0] + RUBBISH["text"] + b"".join(parts[1:])
    stream = io.BytesIO()
    ds = read_file(data, keep_damaged=True)
    write_file(stream, ds)
    again = read_file(stream.getvalue())
    assert again == ds
    assert not again.warnings


def test_a_sequence_that_does_not_end_is_left_out():
    sequence = pack("<HH2s2xI", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF) + b"\1\0\1\0 rubbish"
    data = head_of(EXPLICIT) + b"".join([pieces(EXPLICIT)[0], sequence, *pieces(EXPLICIT)[1:]])
    ds = read_file(data, keep_damaged=True)
    assert [tag.keyword for tag in ds] == list(VALUES)
    assert ds.warnings[-1].tag == 0x00081140


@pytest.mark.parametrize("cut", range(1, 17))
def test_the_end_of_a_file_that_is_cut_short(cut):
    data = (head_of(EXPLICIT) + b"".join(pieces(EXPLICIT)))[:-cut]
    ds = read_file(data, keep_damaged=True)
    assert [tag.keyword for tag in ds] == list(VALUES)[:-1]
    both = read_file(data, keep_damaged=True, keep_truncated=True)
    assert both.get("PixelData", b"") == b"1234"[:-cut]


def test_right_files_are_read_as_ever():
    for path in sorted(_JUDGE.glob("*.dcm")):
        try:
            ds = read_file(path)
        except DicomError:
            continue
        kept = read_file(path, keep_damaged=True)
        assert values_of(kept) == values_of(ds)
        assert list(map(str, kept.warnings)) == list(map(str, ds.warnings))


def test_limits_hold():
    data = head_of(EXPLICIT) + b"".join(
        pack("<HH2sH", 0x0009, 0x1000 + at, b"LO", 0) for at in range(200)
    )
    with pytest.raises(DecodeError, match="more than 100 elements"):
        read_file(data, keep_damaged=True, limits=Limits(max_elements=100))


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x09\0\x10\x10LO\xff\xff",
        pack("<HH2s2xI", 0x0009, 0x1010, b"SQ", 0xFFFFFFFF) + b"\1\0\1\0\0\0\0\0",
        b"LOLOLOLO",
        b"\xff" * 8,
    ],
)
def test_twice_as_much_rubbish_is_twice_as_much_work(rubbish):
    def calls(count):
        data = head_of(EXPLICIT) + pieces(EXPLICIT)[0] + rubbish * count
        made = 0

        def note(frame, event, argument):
            nonlocal made
            made += event in {"call", "c_call"}

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            read_file(data, keep_damaged=True)
        finally:
            sys.setprofile(before)
        return made

    calls(10)
    assert calls(800) < 2.5 * calls(400)


_SEEDS = [
    (_JUDGE / name).read_bytes()
    for name in ("CT_small.dcm", "rtplan.dcm", "test-SR.dcm", "JPEG2000.dcm", "reportsi.dcm")
]


@given(
    seed=st.sampled_from(_SEEDS),
    edits=st.lists(
        st.tuples(st.integers(400, 6_000), st.binary(min_size=1, max_size=40)), max_size=4
    ),
    keep_truncated=st.booleans(),
)
def test_any_damage_behind_the_file_meta_leaves_something(seed, edits, keep_truncated):
    data = bytearray(seed)
    for place, new in edits:
        at = place % (len(data) - 400) + 400
        data[at : at + len(new)] = new
    try:
        ds = read_file(bytes(data), keep_damaged=True, keep_truncated=keep_truncated)
    except DecodeError as error:
        assert "file meta" in str(error) or (error.tag or 0) >> 16 == 2  # noqa: PT017
        return
    syntax = ds.transfer_syntax
    assert set(DataSet.from_bytes(ds.to_bytes(), syntax, keep_truncated=True)) == set(ds)


# --- file meta information ---------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("has_group_length", [True, False])
@pytest.mark.parametrize("which", range(1, 5))
@pytest.mark.parametrize("damage", [b"\xff\xff\xff\xff", b"??\xff\xff", b"UI\xff\xff"])
def test_damage_in_the_file_meta_leaves_the_data_set(syntax, has_group_length, which, damage):
    head = head_of(syntax)
    meta = read_file(head + b"".join(pieces(syntax))).file_meta
    offsets = [head.index(pack("<HH", tag.group, tag.element), 132) for tag in meta]
    data = bytearray(head + b"".join(pieces(syntax)))
    data[offsets[which] + 4 : offsets[which] + 8] = damage
    if not has_group_length:
        del data[132:144]
    if which == 1:
        del data[-8:]  # where it would be read as a value that is there
    with contextlib.suppress(DecodeError):
        assert "damaged" not in str(read_file(bytes(data)).warnings)
        return  # forgiven without
    ds = read_file(bytes(data), keep_damaged=True)
    assert {**values_of(ds), "PixelData": b"1234"} == {
        **values_of(DataSet.from_bytes(b"".join(pieces(syntax)), syntax)),
    }
    assert any("damaged file meta information" in str(warning) for warning in ds.warnings)
    kept = set(ds.file_meta)
    assert set(list(meta)[has_group_length ^ 1 : which]) <= kept


# --- deflated ----------------------------------------------------------------------------------

DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_of_a_damaged_stream_what_is_before_the_damage_is_kept(at):
    numbers = random.Random(1)
    ds = DataSet(VALUES)
    for number in range(500):
        ds.put(0x00091000 + number, "LO", f"{numbers.random()}")
    ds.put(0x00090010, "LO", "OURS")
    stream = bytearray(ds.to_bytes(DEFLATED))
    place = int(len(stream) * at)
    with pytest.raises(zlib.error):
        while True:  # until what is there is not only other than it was, but no stream
            stream[place : place + 40] = numbers.randbytes(40)
            zlib.decompressobj(-15).decompress(stream)
    for data, read in (
        (bytes(stream), lambda data, **keep: DataSet.from_bytes(data, DEFLATED, **keep)),
        (deflated_head() + bytes(stream), read_file),
    ):
        with pytest.raises(DecodeError):
            read(data)
        part = read(data, keep_damaged=True)
        whole = values_of_all(ds)
        found = values_of_all(part)
        assert len(found) > 500 * at / 2
        wrong = [tag for tag in found if whole.get(tag) != found[tag]]
        # What a damaged stream inflates to behind the damage is what it is.
        assert all(tag >= sorted(found)[int(len(found) * 0.8)] for tag in wrong)
        assert "deflate stream" in str(part.warnings[0])


def deflated_head():
    stream = io.BytesIO()
    ds = DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID="1.2.3")
    write_file(stream, ds, transfer_syntax=DEFLATED)
    data = stream.getvalue()
    return data[: 144 + int.from_bytes(data[140:144], "little")]


def values_of_all(ds):
    return dict(ds.items())


def test_damage_is_kept_out_of_bytes_too():
    parts = pieces(EXPLICIT)
    data = parts[0] + RUBBISH["text"] + b"".join(parts[1:])
    ds = DataSet.from_bytes(data, EXPLICIT, keep_damaged=True)
    assert list(values_of(ds)) == list(VALUES)
    with pytest.raises(DecodeError):
        DataSet.from_bytes(data, EXPLICIT)
