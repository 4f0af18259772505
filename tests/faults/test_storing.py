"""What is wrong with the store folder is said to the peer (A700H), and over when it is over.

The disks are really full, read-only and gone, and the descriptors really run out.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kit import wire
from kit.file_systems import Disk, small_disk
from kit.siege import Siege, besieged, status_of
from kit.waiting import until

from dicom_actors import DimseFailure, Status
from dicom_actors.errors import StorageError
from dicom_actors.testing import HostilePeer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

KINDS = pytest.mark.parametrize("spool_bytes", [0, 1 << 20], ids=["spooled", "in memory"])
OBJECT = wire.data_set_of(50_000)
LIMIT = 60.0


@pytest.fixture
def disk() -> Iterator[Disk]:
    with small_disk() as disk:
        yield disk


def store(peer: HostilePeer, number: int, data: bytes = OBJECT) -> int | None:
    peer.send(wire.store(number, data))
    message_id, status = status_of(peer.receive())
    assert message_id == number
    return status


def keeping(folder: Path, **settings: Any) -> Any:
    return besieged({"cstore": lambda event: event.save(folder)}, **settings)


def parts(*folders: Path) -> list[str]:
    return [path.name for folder in folders for path in folder.glob(".dicom-actors-*")]


@KINDS
@pytest.mark.parametrize("trouble", ["full", "read_only"])
@pytest.mark.parametrize("place", ["the store", "the spool", "both"])
def test_a_disk_in_trouble_is_out_of_resources_until_it_is_over(
    place: str, trouble: str, spool_bytes: int, disk: Disk, tmp_path: Path
) -> None:
    spool = tmp_path if place == "the store" else disk.folder
    kept = (tmp_path if place == "the spool" else disk.folder) / "kept"
    kept.mkdir()
    matters = place != "the spool" or spool_bytes == 0
    matters = matters or (trouble == "full" and not disk.is_mounted)
    settings = {"spool_bytes": spool_bytes, "spool_directory": spool}
    with keeping(kept, **settings) as siege, siege.associated() as peer:
        assert store(peer, 1) == 0
        siege.until(lambda: siege.kernel.storage.disk.used == 0)  # the spool file is closed
        with getattr(disk, trouble)():
            for number in (2, 3):
                assert store(peer, number) == (0xA700 if matters else 0)
                siege.until(lambda: not parts(spool, kept))
            siege.until(lambda: siege.kernel.storage.disk.used == 0)
        assert store(peer, 4) == 0
        siege.until(lambda: not parts(spool, kept))
        assert (kept / "1.2.3.dcm").stat().st_size > len(OBJECT)


@KINDS
def test_what_was_there_is_kept_when_it_cannot_be_replaced(spool_bytes: int, disk: Disk) -> None:
    with keeping(disk.folder, spool_bytes=spool_bytes) as siege, siege.associated() as peer:
        assert store(peer, 1) == 0
        before = (disk.folder / "1.2.3.dcm").read_bytes()
        with disk.full():
            assert store(peer, 2, wire.data_set_of(60_000)) == 0xA700
        assert (disk.folder / "1.2.3.dcm").read_bytes() == before


@KINDS
@pytest.mark.parametrize("what", ["a file", "a link to nowhere", "a planted link"])
def test_a_folder_that_vanished_is_out_of_resources_until_it_is_back(
    what: str, spool_bytes: int, tmp_path: Path
) -> None:
    kept, spool, outside = tmp_path / "kept", tmp_path / "spool", tmp_path / "outside"
    for folder in (kept, spool, outside):
        folder.mkdir()
    study = kept / "study"

    def keep(event: Any) -> Path:
        kept_as: Path = event.save(kept, "study/1.dcm")
        return kept_as

    settings = {"spool_bytes": spool_bytes, "spool_directory": spool}
    with besieged({"cstore": keep}, **settings) as siege, siege.associated() as peer:
        assert store(peer, 1) == 0
        study.rename(tmp_path / "gone")
        if what == "a file":
            study.write_bytes(b"")
        else:
            study.symlink_to(outside if what == "a planted link" else tmp_path / "nowhere")
        assert store(peer, 2) == 0xA700
        assert not list(outside.iterdir())
        study.unlink()
        assert store(peer, 3) == 0  # it is made again
        until(lambda: not parts(kept, spool))
        assert (study / "1.dcm").is_file()


def test_a_handler_that_lets_it_pass_or_not_is_told_what_the_system_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    caught: list[Any] = []

    def keep(event: Any) -> int:
        for kind in (StorageError, OSError, DimseFailure):
            with pytest.raises(kind) as error:
                event.save(tmp_path / "file")
            caught.append(error.value)
        return 0xB000

    with besieged({"cstore": keep}) as siege, siege.associated() as peer:
        assert store(peer, 1) == 0xB000
    assert [type(error) for error in caught] == [StorageError] * 3
    assert caught[0].errno == errno.ENOTDIR
    assert caught[0].filename == str(tmp_path / "file")
    assert (caught[0].status, caught[0].comment) == (Status.OUT_OF_RESOURCES, "Not a directory")
    assert "Not a directory" in str(caught[0])


@KINDS
def test_without_descriptors_it_is_out_of_resources_until_there_are_some(
    spool_bytes: int, tmp_path: Path
) -> None:
    settings = {"spool_bytes": spool_bytes, "spool_directory": tmp_path}
    with keeping(tmp_path / "kept", **settings) as siege, siege.associated() as peer:
        assert store(peer, 1) == 0
        with no_descriptors(siege):
            for number in (2, 3):
                assert store(peer, number) == 0xA700
        assert store(peer, 4) == 0


class no_descriptors:
    """Let nothing be opened in this process for the length of the block."""

    def __init__(self, siege: Siege) -> None:
        self._siege = siege

    def __enter__(self) -> None:
        self._siege.endpoint.status()
        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, self._before[1]))
        self._held = []
        while True:  # what is free below the highest that is in use
            try:
                self._held.append(os.dup(0))
            except OSError:
                return

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._before)
        for descriptor in self._held:
            os.close(descriptor)


FIRST = """
import errno, os, resource, socket, sys
sys.path.insert(0, sys.argv[2])
from kit import wire
from kit.siege import status_of
from dicom_actors import Endpoint, EndpointConfig, messages
from dicom_actors.pdu import AssociateAc
from dicom_actors.testing import HostilePeer

refused = []
def keep(event):
    try:
        event.dataset.get("PatientName"), str(event.dataset), event.dataset.to_json()
        event.save(sys.argv[1])
    except OSError as error:
        refused.append(error.errno)
        raise

config = EndpointConfig(spool_bytes=int(sys.argv[3]), spool_directory=sys.argv[1])
endpoint = Endpoint.start(0, host="127.0.0.1", event_handlers={"cstore": keep}, config=config)
port = endpoint.ask(messages.GetStatus(), timeout=10).port
peers = [HostilePeer.connect(port, timeout=10) for _ in range(2)]
for peer in peers:
    peer.send(wire.associate_rq())
    peer.expect(AssociateAc)
before = resource.getrlimit(resource.RLIMIT_NOFILE)
held = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
while True:
    try:
        held.append(os.dup(0))
    except OSError as error:
        break
statuses = []
def store(peer, number):
    peer.send(wire.store(number, wire.data_set_of(50_000)))
    statuses.append(status_of(peer.receive())[1])
for number in (1, 2):
    for peer in peers:
        store(peer, number)
while held:
    os.close(held.pop())
store(peers[0], 3)
print([f"{status:04X}" for status in statuses])
endpoint.stop()
"""


@KINDS
def test_the_first_object_of_all_may_come_when_there_is_no_descriptor(
    spool_bytes: int, tmp_path: Path
) -> None:
    """Nothing is read then that was not read when the endpoint started."""
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            FIRST,
            str(tmp_path),
            str(Path(__file__).parents[1]),
            str(spool_bytes),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.stdout == "['A700', 'A700', 'A700', 'A700', '0000']\n", run.stdout + run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["1.2.3.dcm"]


# --- budgets ---------------------------------------------------------------------------------


def test_more_than_the_budget_goes_to_files_and_then_is_out_of_resources(tmp_path: Path) -> None:
    settings = {
        "memory_bytes": 60_000,
        "spool_total_bytes": 60_000,
        "spool_directory": tmp_path,
    }
    with besieged(**settings) as siege, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(siege.associated()) for _ in range(3)]
        for peer in peers[:2]:
            peer.send(wire.p_data(wire.pdv(wire.store_rq(1), 3)))
            peer.send(wire.p_data(wire.pdv(OBJECT[:-10], 3, command=False, last=False)))
        storage = siege.kernel.storage
        siege.until(lambda: (storage.memory.used, storage.disk.used) == (49_990, 49_990))
        siege.until(lambda: len(parts(tmp_path)) == 1)
        peers[2].send(wire.p_data(wire.pdv(wire.store_rq(1), 3)))
        peers[2].send(wire.p_data(wire.pdv(OBJECT, 3, command=False)))
        siege.until(lambda: storage.disk.waiting)
        siege.sync(f"association {siege.record().id}")
        siege.clock.advance(30.0)
        assert status_of(peers[2].receive()) == (1, 0xA700)
        for peer in peers[:2]:
            peer.send(wire.p_data(wire.pdv(OBJECT[-10:], 3, command=False)))
            assert status_of(peer.receive()) == (1, 0)
        assert store(peers[2], 2) == 0
        for peer in peers:
            peer.close()
        siege.until(lambda: len(siege.kernel.connections) == 1)
        siege.until(lambda: (storage.memory.used, storage.disk.used) == (0, 0))
    assert not parts(tmp_path)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_connection_that_is_lost_gives_its_bytes_back(end: str, tmp_path: Path) -> None:
    settings = {"memory_bytes": 60_000, "spool_directory": tmp_path}
    with besieged(**settings) as siege:
        storage = siege.kernel.storage
        peers = [siege.associated() for _ in range(2)]
        for peer in peers:
            peer.send(wire.p_data(wire.pdv(wire.store_rq(1), 3)))
            peer.send(wire.p_data(wire.pdv(OBJECT[:-10], 3, command=False, last=False)))
        siege.until(lambda: (storage.memory.used, storage.disk.used) == (49_990, 49_990))
        for peer in peers:
            getattr(peer, end)()
        siege.until(lambda: (storage.memory.used, storage.disk.used) == (0, 0))
        siege.until(lambda: not parts(tmp_path))
