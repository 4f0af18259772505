"""A large value that is left in its file: what is written is what would be if it were read."""

from __future__ import annotations

import os
import tracemalloc
import zlib

import pytest

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.data import file_meta_header
from dicom_actors.data.files import large_value
from dicom_actors.data.files.file_bytes import FileBytes
from dicom_actors.data.files.large_value import read_large, spooled
from dicom_actors.data.files.part10 import file_pieces
from dicom_actors.data.values.unread import (
    PIECE,
    MadeBytes,
    UnreadBytes,
    UnreadFragments,
    in_memory,
)
from dicom_actors.errors import DecodeError

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG, DEFLATED, RLE = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
PLAIN = (EXPLICIT, IMPLICIT, BIG, DEFLATED)
CT = "1.2.840.10008.5.1.4.1.1.2"
LENGTH = 5 * PIECE + 20


def object_of(*large, **more):
    made = DataSet.from_keywords(
        SOPClassUID=CT,
        SOPInstanceUID="1.2.3",
        PatientName="Doe^John",
        BitsAllocated=16,
        IconImageSequence=[DataSet.from_keywords(Rows=1, PixelData=b"\1\2\3\4")],
        **more,
    )
    made.put(0x00090010, "LO", "SOMEBODY")
    made.put(0x00091001, "OW", b"\1\2" * 50)
    for tag, vr in large:
        made.put(tag, vr, bytes(range(251)) * (LENGTH // 251) + bytes(LENGTH % 251))
    return made


WORDS = object_of((0x7FE00010, "OW"))
GROUP_LENGTH = object_of((0x7FE00010, "OW"))
GROUP_LENGTH.put(0x7FE00000, "UL", LENGTH + 12)
BEHIND = object_of((0x7FE00010, "OW"), DataSetTrailingPadding=b"\0" * 300)
TEXT_BEHIND = object_of((0x00420011, "OB"))
TEXT_BEHIND.put(0x00510010, "LO", "Müller")
TEXT_BEHIND.SpecificCharacterSet = "ISO_IR 100"
LARGE_ONES = {
    "words": WORDS,
    "octets": object_of((0x7FE00010, "OB")),
    "doubles": object_of((0x7FE00009, "OD")),
    "document": object_of((0x00420011, "OB"), MIMETypeOfEncapsulatedDocument="application/pdf"),
    "spectrum": object_of((0x56000020, "OF")),
    "behind it": BEHIND,
    "group length": GROUP_LENGTH,
}
READ_WHOLE = {
    "two": object_of((0x00420011, "OB"), (0x7FE00010, "OW")),
    "text behind it": TEXT_BEHIND,
}


def file_in(folder, data):
    path = folder / "file.dcm"
    path.write_bytes(data)
    return FileBytes.of(os.open(path, os.O_RDONLY), 0, len(data), str(path))


def written(folder, data_set, syntax):
    path = folder / "written.dcm"
    write_file(path, data_set, transfer_syntax=syntax)
    return path.read_bytes()


def unread_of(data_set):
    return [element for element in data_set.elements() if element.unread is not None]


@pytest.mark.parametrize("source", PLAIN)
@pytest.mark.parametrize("kind", LARGE_ONES)
def test_it_is_written_as_if_it_were_read(tmp_path, kind, source):
    data = written(tmp_path, LARGE_ONES[kind], source)
    whole, apart = read_file(data), read_large(file_in(tmp_path, data))

    (element,) = unread_of(apart)
    assert bytes(element.value) == bytes(whole[element.tag])
    assert apart == whole
    for target in PLAIN:
        expected = written(tmp_path, whole, target)
        assert written(tmp_path, apart, target) == expected, target
        pieces = list(file_pieces(apart, target))
        assert b"".join(in_memory(pieces)) == expected, target
        assert written(tmp_path, apart.copy(), target) == expected
        if source != DEFLATED:
            # Encoded as it was read, nothing keeps the stream that it was.
            assert written(tmp_path, apart.with_transfer_syntax(target), target) == expected
    assert apart.to_bytes(EXPLICIT) == whole.to_bytes(EXPLICIT)


@pytest.mark.parametrize("kind", READ_WHOLE)
def test_what_is_unusual_is_read_whole(tmp_path, kind):
    data = written(tmp_path, READ_WHOLE[kind], EXPLICIT)
    found = read_large(file_in(tmp_path, data))

    assert unread_of(found) == []
    assert found == read_file(data)


def test_so_is_what_is_small_cut_short_or_in_memory(tmp_path):
    data = written(tmp_path, WORDS, EXPLICIT)
    small = written(tmp_path, object_of(PatientID="1"), EXPLICIT)

    assert unread_of(read_large(data)) == []
    assert unread_of(read_large(file_in(tmp_path, small))) == []
    with pytest.raises(DecodeError):
        read_large(file_in(tmp_path, data[:-100]))


def test_a_path_will_do(tmp_path):
    path = tmp_path / "words.dcm"
    write_file(path, WORDS, transfer_syntax=EXPLICIT)

    assert len(unread_of(read_large(path))) == 1


@pytest.mark.parametrize("length", [100, large_value.LARGE + 1])
def test_a_damaged_deflated_file_is_as_ever(tmp_path, length):
    data = file_meta_header(CT, "1.2.3", DEFLATED) + zlib.compress(os.urandom(length))[:-40]

    with pytest.raises(DecodeError):
        read_large(file_in(tmp_path, data))


def fragments_of(*fragments):
    items = b"".join(
        b"\xfe\xff\x00\xe0" + len(one).to_bytes(4, "little") + one for one in (b"", *fragments)
    )
    return b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + items + b"\xfe\xff\xdd\xe0\0\0\0\0"


def test_compressed_pixel_data_stay_in_the_file(tmp_path):
    front = object_of().to_bytes(EXPLICIT)
    data = file_meta_header(CT, "1.2.3", RLE) + front + fragments_of(b"\1" * LENGTH, b"\2" * 10)
    whole, apart = read_file(data), read_large(file_in(tmp_path, data))

    (element,) = unread_of(apart)
    assert isinstance(element.unread, UnreadFragments)
    assert element.value.fragments == whole["PixelData"].fragments
    assert written(tmp_path, apart, None) == data_of(whole, tmp_path)


def data_of(data_set, folder):
    return written(folder, data_set, None)


def test_no_more_than_a_piece_is_in_memory(tmp_path):
    large = 48 << 20
    front = object_of().to_bytes(EXPLICIT)
    path = tmp_path / "large.dcm"
    with path.open("wb") as file:
        file.write(file_meta_header(CT, "1.2.3", EXPLICIT) + front)
        file.write(b"\xe0\x7f\x10\x00OW\0\0" + large.to_bytes(4, "little"))
        file.truncate(file.tell() + large)
    tracemalloc.start()
    try:
        for target in PLAIN:
            write_file(tmp_path / "other.dcm", read_large(path), transfer_syntax=target)
        peak = tracemalloc.get_traced_memory()[1]
        deflated = read_large(tmp_path / "other.dcm")
        write_file(tmp_path / "again.dcm", deflated, transfer_syntax=BIG)
        assert (tmp_path / "again.dcm").stat().st_size > large
        assert max(peak, tracemalloc.get_traced_memory()[1]) < 16 << 20
    finally:
        tracemalloc.stop()


# --- bytes that are made ---------------------------------------------------------------------


def test_bytes_are_made_unit_by_unit_and_once_in_a_row():
    whole, made = bytes(range(25)), []

    def make(number):
        made.append(number)
        return whole[number * 10 : number * 10 + 10]

    unread = MadeBytes(25, 10, make)
    assert len(unread) == 25
    assert made == []
    assert bytes(unread) == whole
    assert made == [0, 1, 2]
    assert bytes(unread[8:22][1:3]) == whole[9:11]
    made.clear()
    for start in range(0, 25, 3):
        assert bytes(unread[start : start + 3]) == whole[start : start + 3]
    assert made == [2] or made == [0, 1, 2] or made == [1, 2]
    assert b"".join(unread.chunks(7)) == whole
    assert bytes(unread[30:]) == b""


def test_a_unit_that_is_too_short_is_an_error():
    with pytest.raises(DecodeError, match="expected 10 bytes of unit 0, got 9"):
        MadeBytes(20, 10, lambda _: bytes(9)).read()


@pytest.mark.parametrize("length", [10, large_value.LARGE + 10])
def test_pieces_are_put_in_a_row(length):
    given = [b"\1" * length, MadeBytes(5, 2, lambda number: b"\2\3"[: 1 + (number < 2)]), b"\4"]

    made = spooled(given)

    assert isinstance(made, UnreadBytes) is (length > large_value.LARGE)
    assert bytes(made) == b"\1" * length + b"\2\3\2\3\2" + b"\4"


def test_a_file_is_not_replaced_by_half_of_one(tmp_path):
    path = tmp_path / "written.dcm"
    path.write_bytes(b"as it was")
    data = written(tmp_path.joinpath(), WORDS, EXPLICIT)
    path.write_bytes(b"as it was")
    found = read_large(file_in(tmp_path, data))
    os.truncate(tmp_path / "file.dcm", len(data) // 2)

    with pytest.raises(OSError, match="shorter"):
        write_file(path, found, transfer_syntax=BIG)

    assert path.read_bytes() == b"as it was"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file.dcm", "written.dcm"]
