"""Received data sets: in memory, in a spool file, or failed."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.file_systems import limited, lowest_free_descriptor
from kit.gate import Gate
from kit.waiting import until

from dicom_actors import EndpointConfig
from dicom_actors.actors.storing import part_file
from dicom_actors.actors.storing.storage import Storage
from dicom_actors.supervision import LogService

if TYPE_CHECKING:
    from dicom_actors.actors.storing.receiver import Receiver

HEADER = b"the header"


def storage(tmp_path: Path | None, **settings: Any) -> Storage:
    options = {"spool_bytes": 16, "spool_directory": tmp_path, **settings}
    return Storage(EndpointConfig(**options), LogService())


def make(tmp_path: Path, **settings: Any) -> Receiver:
    return storage(tmp_path, **settings).receiver(HEADER)


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
    assert received.path is not None
    assert Path(received.path).read_bytes() == HEADER + data
    assert Path(received.path).stat().st_mode & 0o077 == 0
    view = received.data
    assert view == data
    received.discard()
    received.discard()
    assert list(tmp_path.iterdir()) == []
    assert view == data


def test_views_are_written_before_flush_returns(tmp_path: Path) -> None:
    receiver = make(tmp_path, spool_bytes=0)
    buffer = bytearray(b"first")
    receiver.write(memoryview(buffer))
    receiver.flush()
    buffer[:] = b"other"
    receiver.write(b" second")
    received = receiver.finish()
    assert received.path is not None
    assert Path(received.path).read_bytes() == HEADER + b"first second"


def test_empty_fragments_cost_nothing(tmp_path: Path) -> None:
    receiver = make(tmp_path, spool_bytes=0)
    for _ in range(1_000):
        receiver.write(b"")
    assert receiver.finish().data == b""
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_limit_fails_and_leaves_nothing(tmp_path: Path) -> None:
    receiver = make(tmp_path, max_object_bytes=50)
    for _ in range(10):
        receiver.write(b"0123456789")
    received = receiver.finish()
    assert received.failure == "more than 50 bytes"
    assert (received.file, received.path, received.length) == (None, None, 100)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_fails_and_leaves_nothing(tmp_path: Path) -> None:
    receiver = make(tmp_path)
    receiver.write(b"x" * 20)
    receiver.flush()
    with limited(resource.RLIMIT_FSIZE, 40):
        receiver.write(b"x" * 20)
        receiver.write(b"x" * 20)
        assert receiver.finish().failure == "File too large"
    assert list(tmp_path.iterdir()) == []


def test_no_descriptor_is_a_failure_until_there_is_one(tmp_path: Path) -> None:
    kept = storage(tmp_path)
    kept.folders.root(str(tmp_path))
    lowest = lowest_free_descriptor()
    for count, failure in ((lowest, "Too many open files"), (lowest + 1, "")):
        receiver = kept.receiver(HEADER)
        with limited(resource.RLIMIT_NOFILE, count):
            receiver.write(b"x" * 20)
            received = receiver.finish()
        assert received.failure == failure
        received.discard()


def test_abandoning_leaves_nothing(tmp_path: Path) -> None:
    receiver = make(tmp_path)
    receiver.write(b"x" * 100)
    receiver.flush()
    assert len(list(tmp_path.iterdir())) == 1
    receiver.abandon()
    receiver.write(b"x" * 100)
    assert receiver.finish().failure == "abandoned"
    until(lambda: list(tmp_path.iterdir()) == [])


@pytest.mark.parametrize("call", ["open", "write"])
def test_abandoning_does_not_wait_for_a_thread_that_is_stuck(call: str, tmp_path: Path) -> None:
    """The disk: a pipe that nobody reads."""
    kept = storage(tmp_path, spool_bytes=0)
    receiver = kept.receiver(HEADER)
    reading, writing = os.pipe()
    gate = Gate()
    real = kept.create_spool

    def create() -> part_file.PartFile:
        file = real()
        if call == "open":
            gate()
        os.dup2(writing, file.descriptor)
        return file

    kept.create_spool = create  # type: ignore[method-assign]
    stuck = threading.Thread(target=lambda: receiver.write(bytes(1 << 20)) or receiver.flush())
    stuck.start()
    if call == "open":
        gate.wait_until_entered()
    else:
        os.read(reading, 1)  # it is writing now, and will be until all is read
    receiver.abandon()
    received = receiver.finish()
    assert received.failure == "abandoned"
    received.abandon()
    assert len(list(tmp_path.iterdir())) == 1
    gate.release()
    os.close(writing)
    while os.read(reading, 1 << 20):
        pass
    os.close(reading)
    stuck.join()
    until(lambda: list(tmp_path.iterdir()) == [])
    assert kept.disk.used == 0


def test_what_nobody_refers_to_any_more_is_gone(tmp_path: Path) -> None:
    kept = storage(tmp_path)
    receiver = kept.receiver(HEADER)
    receiver.write(b"x" * 10)
    other = kept.receiver(HEADER)
    other.write(b"x" * 100)
    other.flush()
    result = other.finish()
    assert (kept.memory.used, kept.disk.used) == (10, 100)
    del receiver, other
    assert (kept.memory.used, kept.disk.used) == (0, 100)
    del result
    assert (kept.memory.used, kept.disk.used) == (0, 0)
    assert list(tmp_path.iterdir()) == []


# --- budgets ---------------------------------------------------------------------------------


def test_what_finds_no_room_in_memory_goes_to_a_file(tmp_path: Path) -> None:
    kept = storage(tmp_path, memory_bytes=20)
    first, second = kept.receiver(HEADER), kept.receiver(HEADER)
    first.write(b"x" * 8)
    second.write(b"y" * 8)
    second.write(b"y" * 8)
    second.flush()
    assert (kept.memory.used, kept.disk.used) == (8, 16)
    assert first.finish().path is None
    path = second.finish().path
    assert path is not None
    assert Path(path).read_bytes() == HEADER + b"y" * 16


def test_what_finds_no_room_at_all_waits_until_there_is_some(tmp_path: Path) -> None:
    kept = storage(tmp_path, spool_bytes=0, spool_total_bytes=100)
    first, second = kept.receiver(HEADER), kept.receiver(HEADER)
    told: list[str] = []
    assert first.admit(80)
    first.write(b"x" * 80)
    assert second.admit(30, lambda: told.append("room")) is False
    assert told == []
    first.finish().discard()
    assert told == ["room"]
    assert kept.disk.used == 30
    second.write(b"y" * 30)
    received = second.finish()
    assert received.data == b"y" * 30
    received.discard()
    assert kept.disk.used == 0


def test_whoever_has_waited_long_enough_is_refused(tmp_path: Path) -> None:
    kept = storage(tmp_path, spool_bytes=0, spool_total_bytes=100)
    first, second = kept.receiver(HEADER), kept.receiver(HEADER)
    first.write(b"x" * 80)
    second.write(b"y" * 10)
    told: list[str] = []
    assert second.admit(30, lambda: told.append("room")) is False
    second.refuse("no room")
    second.write(b"y" * 30)
    assert second.finish().failure == "no room"
    assert kept.disk.used == 80
    first.abandon()
    until(lambda: kept.disk.used == 0)
    assert told == []


def test_of_two_that_wait_for_each_other_the_later_one_is_refused(tmp_path: Path) -> None:
    kept = storage(tmp_path, spool_bytes=0, spool_total_bytes=100)
    first, second = kept.receiver(HEADER), kept.receiver(HEADER)
    first.write(b"x" * 60)
    second.write(b"y" * 30)
    told: list[str] = []
    assert first.admit(30, lambda: told.append("first")) is False
    assert second.admit(30, lambda: told.append("second")) is True
    assert "no room" in second.finish().failure
    assert first.admit(30, lambda: told.append("first")) is True
    first.write(b"x" * 30)
    assert first.finish().failure == ""


def test_what_can_never_have_room_is_refused_at_once(tmp_path: Path) -> None:
    kept = storage(tmp_path, spool_bytes=0, spool_total_bytes=100)
    receiver = kept.receiver(HEADER)
    assert receiver.admit(101, pytest.fail)
    receiver.write(b"x" * 101)
    assert "no room" in receiver.finish().failure


def test_who_does_not_ask_is_refused_when_there_is_no_room(tmp_path: Path) -> None:
    kept = storage(tmp_path, spool_bytes=0, spool_total_bytes=100)
    receiver = kept.receiver(HEADER)
    receiver.write(b"x" * 90)
    receiver.write(b"x" * 11)
    assert "no room" in receiver.finish().failure
    assert kept.disk.used == 0
    assert list(tmp_path.iterdir()) == []


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(
            ["write", "admit", "wait", "flush", "finish", "abandon", "refuse", "crash"]
        ),
        st.integers(0, 40),
    ),
    max_size=60,
)


@given(STEPS)
def test_a_budget_is_given_back_to_the_byte(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    kept = storage(folder, spool_bytes=30, memory_bytes=60, spool_total_bytes=150)
    receivers: dict[int, Receiver] = {}
    waits: set[int] = set()
    for number, step, length in steps:
        receiver = receivers.setdefault(number, kept.receiver(HEADER))
        if number in waits and step in {"write", "admit", "wait", "flush", "finish"}:
            continue  # who waits reads nothing
        match step:
            case "write":
                receiver.write(bytes(length))
            case "admit":
                receiver.admit(length)
            case "wait":
                waits.add(number)
                if receiver.admit(length, lambda number=number: waits.discard(number)):
                    waits.discard(number)
            case "flush":
                receiver.flush()
            case "finish":
                receivers.pop(number).finish().discard()
            case "abandon":
                receivers.pop(number).abandon()
                waits.discard(number)
            case "refuse":
                receiver.refuse("no")
                waits.discard(number)
            case "crash":
                del receivers[number], receiver
                waits.discard(number)
        assert kept.memory.used <= 60
        assert kept.disk.used <= 150
    receiver = None  # type: ignore[assignment]
    receivers.clear()
    until(lambda: (kept.memory.used, kept.disk.used) == (0, 0))
    assert (kept.memory.waiting, kept.disk.waiting) == (0, 0)
    until(lambda: list(folder.iterdir()) == [])
