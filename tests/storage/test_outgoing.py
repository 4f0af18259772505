"""Whether what is to be sent is whole: found out quickly, and as reading it would."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from kit.dcmtk import wheel_files

from dicom_actors.data import DataElement, DataSet, file_meta_header, read_file, write_file
from dicom_actors.data.files.file_bytes import FileBytes
from dicom_actors.errors import DicomError
from dicom_actors.storage import outgoing
from dicom_actors.storage.outgoing import OutgoingObject, outgoing_object

LARGE = 100_000
FILES = [path for path, _ in wheel_files() if path.stat().st_size < LARGE]
LITTLE_ENDIAN = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}


def can_be_read(data: memoryview, transfer_syntax: str) -> bool:
    try:
        DataSet.from_bytes(data, transfer_syntax)
    except DicomError:
        return False
    return True


def can_be_sent(found: OutgoingObject) -> bool:
    try:
        found.pieces(found.transfer_syntax, must_be_whole=True)
    except DicomError:
        return False
    return True


def test_what_is_read_as_it_goes_is_whole_when_it_would_be_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outgoing, "_LOOKED_AT", 20)  # so that parts end within headers
    looked = 0
    for path in FILES:
        try:
            found = outgoing_object(path)
        except DicomError:
            continue
        if found.start is None or found.transfer_syntax not in LITTLE_ENDIAN:
            continue
        content = path.read_bytes()
        is_implicit = found.transfer_syntax == "1.2.840.10008.1.2"
        for length in {len(content) - found.start, (len(content) - found.start) // 2}:
            part = FileBytes.of(os.open(path, os.O_RDONLY), found.start, length, path.name)
            data = memoryview(content)[found.start : found.start + length]
            whole = outgoing._is_plainly_whole(data, is_implicit=is_implicit)
            assert outgoing._is_plainly_whole(part, is_implicit=is_implicit) == whole, path
            looked += 1
    assert looked > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_goes_out_if_it_can_be_read_whole_or_cut_off_anywhere(path: Path) -> None:
    try:
        whole = outgoing_object(path.read_bytes())
    except DicomError:
        return  # nothing of it goes out
    if whole.start is None or whole.transfer_syntax == "1.2.840.10008.1.2.1.99":
        return
    content = path.read_bytes()
    ends = {len(content) - cut for cut in (0, 2, 4, 8, 12, 100, 1000)}
    ends |= set(range(whole.start, len(content), max(2, len(content) // 20 * 2)))
    for end in ends:
        if end <= whole.start + 8 or (end - whole.start) % 2:
            continue  # of odd lengths there is another opinion
        cut_off = whole._replace(source=content[:end])
        data = memoryview(content)[whole.start : end]
        assert can_be_sent(cut_off) == can_be_read(data, whole.transfer_syntax), end


def test_most_files_need_no_closer_look() -> None:
    looked, quick = 0, 0
    for path in FILES:
        try:
            found = outgoing_object(path.read_bytes())
        except DicomError:
            continue
        if found.start is None or found.transfer_syntax not in LITTLE_ENDIAN:
            continue
        data = memoryview(path.read_bytes())[found.start :]
        looked += 1
        is_implicit = found.transfer_syntax == "1.2.840.10008.1.2"
        quick += outgoing._is_plainly_whole(data, is_implicit=is_implicit)
    assert quick > 0.9 * looked


def test_a_compressed_file_is_looked_into_quickly_too() -> None:
    quick = 0
    for name in ("JPEG2000.dcm", "MR_small_RLE.dcm"):
        (path,) = [path for path in FILES if path.name == name]
        found = outgoing_object(path.read_bytes())
        data = memoryview(path.read_bytes())[found.start :]
        quick += outgoing._is_plainly_whole(data, is_implicit=False)
    assert quick == 2


@pytest.mark.parametrize("is_in_a_file", [False, True])
@pytest.mark.parametrize(
    "stray",
    [
        b"",
        b"\x10\x00\x20\x00LO\x03\x00X-1\x10\x00\x30\x00DA\x01\x000",
        b"\x02\x00\x16\x00AE\x02\x00ME",
    ],
    ids=["nothing", "two odd lengths", "an element of file meta information"],
)
def test_what_should_not_be_sent_as_it_is_is_encoded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stray: bytes, *, is_in_a_file: bool
) -> None:
    class_uid, instance_uid = b"1.2.840.10008.5.1.4.1.1.7\0", b"1.2.3.4\0"
    data = b"\x08\x00\x16\x00UI\x1a\0" + class_uid + b"\x08\x00\x18\x00UI\x08\0" + instance_uid
    file = io.BytesIO()
    write_file(file, DataSet.from_bytes(data + stray, "1.2.840.10008.1.2.1"))
    path = tmp_path / "it"
    path.write_bytes(file.getvalue())
    assert file.getvalue().endswith(data + stray)
    found = outgoing_object(path)
    assert found.start is not None
    if is_in_a_file:
        monkeypatch.setattr(outgoing, "_AS_IT_GOES", 0)
    pieces = found.pieces(found.transfer_syntax)
    assert isinstance(pieces[0], FileBytes) == (is_in_a_file and not stray)
    sent = b"".join(piece.read() if isinstance(piece, FileBytes) else piece for piece in pieces)
    if not stray:
        assert sent == data
        return
    again = DataSet.from_bytes(sent, "1.2.840.10008.1.2.1")
    assert all(element.tag >= 0x00080000 for element in again.elements())
    assert not any((element.length or 0) & 1 for element in again.elements())
    assert again.SOPInstanceUID == "1.2.3.4"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_an_element_of_group_0002_in_front_of_the_data_set_is_none_of_the_file_meta(
    tmp_path: Path, syntax: str
) -> None:
    class_uid, instance_uid = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    made = DataSet.from_keywords(SOPClassUID=class_uid, SOPInstanceUID=instance_uid)
    stray = DataSet.from_elements([DataElement(0x00020010, "UI", "1.2")]).to_bytes(syntax)
    header = file_meta_header(class_uid, instance_uid, syntax)
    path = tmp_path / "it"
    path.write_bytes(header + stray + made.to_bytes(syntax))
    for source in (path, path.read_bytes(), read_file(path)):
        found = outgoing_object(source)
        assert (found.transfer_syntax, found.sop_instance_uid) == (syntax, instance_uid)
        assert b"".join(found.pieces(syntax, must_be_whole=True)) == made.to_bytes(syntax)
