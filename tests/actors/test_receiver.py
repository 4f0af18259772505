"""Received data sets: in memory, in a spool file, or failed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_actors.actors.storing import receiver as receiver_module
from dicom_actors.actors.storing.receiver import Receiver, write_all

if TYPE_CHECKING:
    import pytest

HEADER = b"the header"


def make(tmp_path: Path, **changes: object) -> Receiver:
    options: dict[str, object] = {
        "spool_bytes": 16,
        "spool_directory": tmp_path,
        "max_bytes": None,
    }
    return Receiver(HEADER, **{**options, **changes})  # type: ignore[arg-type]


def test_a_small_one_stays_in_memory(tmp_path: Path) -> None:
    receiver = make(tmp_path)
    buffer = bytearray(b"0123456789")
    receiver.write(memoryview(buffer)[:5])
    receiver.write(memoryview(buffer)[5:])
    buffer[:] = b"overwritten"[:10]
    received = receiver.finish()
    assert (received.data, received.path, received.length) == (b"0123456789", None, 10)
    assert list(tmp_path.iterdir()) == []


def test_a_large_one_is_a_file_with_its_header(tmp_path: Path) -> None:
    receiver = make(tmp_path)
    data = os.urandom(100)
    for start in range(0, 100, 10):
        receiver.write(data[start : start + 10])
    received = receiver.finish()
    assert received.data is None
    assert received.path is not None
    assert Path(received.path).read_bytes() == HEADER + data
    assert Path(received.path).stat().st_mode & 0o077 == 0
    received.discard()
    received.discard()
    assert list(tmp_path.iterdir()) == []


def test_views_are_written_before_flush_returns(tmp_path: Path) -> None:
    receiver = make(tmp_path, spool_bytes=0)
    buffer = bytearray(b"first")
    receiver.write(memoryview(buffer))
    receiver.flush()
    buffer[:] = b"other"
    receiver.write(b" second")
    path = receiver.finish().path
    assert path is not None
    assert Path(path).read_bytes() == HEADER + b"first second"


def test_more_than_the_limit_fails_and_leaves_nothing(tmp_path: Path) -> None:
    receiver = make(tmp_path, max_bytes=50)
    for _ in range(10):
        receiver.write(b"0123456789")
    received = receiver.finish()
    assert received.failure == "more than 50 bytes"
    assert (received.data, received.path, received.length) == (None, None, 100)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_fails_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = make(tmp_path)
    receiver.write(b"x" * 20)
    receiver.flush()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(receiver_module.os, "writev", full)
    receiver.write(b"x" * 20)
    receiver.write(b"x" * 20)
    assert receiver.finish().failure == "No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_abandoning_leaves_nothing(tmp_path: Path) -> None:
    receiver = make(tmp_path)
    receiver.write(b"x" * 100)
    receiver.flush()
    assert len(list(tmp_path.iterdir())) == 1
    receiver.abandon()
    assert list(tmp_path.iterdir()) == []


def test_short_writes_are_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    written = bytearray()

    def short(_: int, views: list[memoryview]) -> int:
        taken = b"".join(views)[:3]
        written.extend(taken)
        return len(taken)

    monkeypatch.setattr(receiver_module.os, "writev", short)
    write_all(0, [b"ab", b"", bytearray(b"cdefg"), memoryview(b"hij")])
    assert written == b"abcdefghij"
