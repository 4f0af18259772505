"""Bytes of a file that are read when they are wanted."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from kit.descriptors import open_below

from dicom_actors.data.files.file_bytes import FileBytes
from dicom_actors.errors import FileChangedError

CONTENT = bytes(range(256)) * 5000  # more than is read at a time


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def opened(path: Path, start: int = 0, length: int = len(CONTENT)) -> FileBytes:
    return FileBytes.of(os.open(path, os.O_RDONLY), start, length, str(path))


@pytest.mark.parametrize(
    "part",
    [
        slice(None),
        slice(0, 0),
        slice(10, 20),
        slice(300_000, 600_000),
        slice(-5, None),
        slice(5, 2),
        slice(0, 10**9),
        slice(262_140, 262_150),
    ],
)
def test_slices_are_those_of_the_bytes(path: Path, part: slice) -> None:
    whole = opened(path)
    for _ in range(2):
        assert bytes(whole[part]) == whole[part].for_system() == CONTENT[part]
        assert len(whole[part]) == len(CONTENT[part])
    inner = whole[7:][3:1_000_000]
    assert bytes(inner[part]) == CONTENT[10:1_000_007][part]


def test_it_begins_where_it_is_told(path: Path) -> None:
    part = opened(path, 100, 50)
    assert bytes(part) == part.for_system() == CONTENT[100:150]
    assert b"".join(opened(path).chunks(100_000)) == CONTENT


def test_it_can_be_read_as_a_file(path: Path) -> None:
    file = opened(path, 1).as_file()
    assert file.read(10) == CONTENT[1:11]
    assert file.seek(-3, os.SEEK_CUR) == 7
    assert file.read(3) == CONTENT[8:11]
    assert file.seek(-1, os.SEEK_END) == len(CONTENT) - 1
    assert file.seek(0) == 0


def test_a_file_that_became_shorter_is_an_error_of_what_is_no_more(path: Path) -> None:
    whole = opened(path)
    assert bytes(whole[:10]) == CONTENT[:10]
    os.truncate(path, 600_000)
    assert bytes(whole[500_000:600_000]) == CONTENT[500_000:600_000]
    for part in (whole, whole[599_999:600_001], whole[1_000_000:1_000_001]):
        with pytest.raises(FileChangedError, match="file: expected 1280000 bytes, there are"):
            part.read()


def test_the_file_is_closed_with_the_last_slice(path: Path) -> None:
    whole = opened(path)
    part = whole[5:10]
    part.for_system()
    del whole
    assert bytes(part) == CONTENT[5:10]
    assert open_below(path)
    del part
    gc.collect()
    assert open_below(path) == []
