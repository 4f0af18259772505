"""Real exhaustion and real blocking: descriptors, disks, logs, memory, and thousands of peers."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest
from kit import wire
from kit.endpoints import LIMIT, running
from kit.finder import Finder, find_pdus
from kit.gate import Gate
from kit.peer import Peer, store_pdus
from kit.siege import besieged, status_of
from kit.waiting import until

from dicom_actors import DataSet, events, messages
from dicom_actors.actors.association.association import Association
from dicom_actors.actors.connection.record import ConnectionRecord
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.actors.storing import part_file
from dicom_actors.pdu import AssociateAc, encode_pdu
from dicom_actors.supervision import ManualClock, System
from dicom_actors.testing import HostilePeer, assert_healthy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.faults

CT = "1.2.840.10008.5.1.4.1.1.2"
HANDLERS = {"cstore": lambda event: None}


def data_set(number: int, length: int) -> bytes:
    ds = DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID=f"1.2.{number}")
    ds.put("PixelData", "OW", [bytes(length)])
    return ds.to_bytes("1.2.840.10008.1.2.1")


@contextlib.contextmanager
def descriptors(count: int) -> Iterator[int]:
    """Raise the soft limit of descriptors as far as may be; gives how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield max(soft, wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- descriptors -----------------------------------------------------------------------------

FEW_DESCRIPTORS = """
import logging, resource, socket, sys
sys.path.insert(0, {tests!r})
logging.basicConfig(stream=sys.stdout)
from kit.peer import Peer
from dicom_actors import Endpoint, EndpointConfig, messages
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
ref = Endpoint.start(0, host="127.0.0.1", config=EndpointConfig(max_associations=1000))
status = ref.ask(messages.GetStatus())
print(status.port, flush=True)
sys.stdin.readline()
status = ref.ask(messages.GetStatus())
print(status.associations, status.restarts, flush=True)
sys.stdin.readline()
ref.stop()
"""


def test_peers_beyond_the_descriptors_wait_and_nothing_restarts() -> None:
    program = textwrap.dedent(FEW_DESCRIPTORS).format(tests=str(__file__).rsplit("/faults", 1)[0])
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            with contextlib.ExitStack() as stack:
                peers = [stack.enter_context(Peer(port)) for _ in range(300)]
                for peer in peers:
                    peer.send_bytes(wire.associate_rq())
                answered = 0
                while answered < 120:  # as many as there is room for, with a reserve
                    ready, _, _ = select.select([p.socket for p in peers[:250]], [], [], LIMIT)
                    assert ready
                    answered = len(ready)
                server.stdin.write("\n")
                server.stdin.flush()
                associations, restarts = map(int, server.stdout.readline().split())
                assert 120 <= associations <= 200
                assert restarts == 0
                for peer in peers[:100]:
                    assert isinstance(peer.receive(), AssociateAc)
                    peer.close()  # so that others come in
                for peer in peers[associations : associations + 50]:
                    assert isinstance(peer.receive(), AssociateAc)
            server.stdin.write("\n")
            server.stdin.flush()
            said = server.stdout.read()
            assert server.wait(LIMIT) == 0
            assert said.count("Traceback") == 0
            assert len(said.splitlines()) < 50
        finally:
            server.kill()


# --- disks -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("how", ["abort", "deadline"])
def test_a_write_that_blocks_is_beyond_no_deadline(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real = Gate(), part_file.write_all

    def write_all(*what: Any) -> None:
        gate()
        real(*what)

    settings = {"spool_bytes": 0, "spool_directory": tmp_path, "dimse_timeout": 30.0}
    with besieged(**settings) as siege, siege.associated() as peer:
        with monkeypatch.context() as patch:
            patch.setattr(part_file, "write_all", write_all)
            peer.send(wire.p_data(wire.pdv(wire.store_rq(1), 3)))
            peer.send(wire.p_data(wire.pdv(bytes(3_000), 3, command=False, last=False)))
            gate.wait_until_entered()
            record = siege.record()
            match how:
                case "abort":
                    assert siege.endpoint.ref.ask(messages.AbortAssociation(record.id))
                    peer.expect_abort(0, 0)
                case "deadline":
                    siege.clock.advance(31.0)
                    peer.expect_abort(2, 0)
            gate.release()
            peer.close()
            siege.until(lambda: record.is_closed)
            siege.until(lambda: siege.endpoint.status().disowned_handlers == 0)
        until(lambda: not list(tmp_path.glob(".*.part")))


@pytest.mark.usefixtures("nothing_left")
def test_a_write_that_blocks_is_beyond_no_drain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real = Gate(), part_file.write_all

    def write_all(*what: Any) -> None:
        gate()
        real(*what)

    monkeypatch.setattr(part_file, "write_all", write_all)
    with (
        contextlib.closing(System(clock=(clock := ManualClock()))) as system,
        running(HANDLERS, spool_bytes=0, spool_directory=tmp_path, system=system) as endpoint,
        HostilePeer.connect(endpoint.port, timeout=LIMIT) as peer,
    ):
        peer.send(wire.associate_rq())
        peer.expect(AssociateAc)
        peer.send(wire.p_data(wire.pdv(wire.store_rq(1), 3)))
        peer.send(wire.p_data(wire.pdv(bytes(3_000), 3, command=False, last=False)))
        gate.wait_until_entered()
        drained = endpoint.ref.ask(messages.Drain(5.0), block=False)
        assert endpoint.status().state == "draining"
        clock.advance(5.0)
        assert len(drained.get(timeout=LIMIT).cut) == 1
        peer.expect_abort(0, 0)
        gate.release()


# --- logs ------------------------------------------------------------------------------------


def test_a_log_that_nobody_reads_and_a_bug_in_a_handler_stop_nobody() -> None:
    reading, writing = os.pipe()
    sink = os.fdopen(writing, "w")
    handler = logging.StreamHandler(sink)
    logger = logging.getLogger("dicom_actors")

    def store(event: Any) -> None:
        raise RuntimeError("x" * 5_000)

    logger.addHandler(handler)
    try:
        with running({"cstore": store}) as endpoint:
            for _ in range(30):  # the pipe takes 64 KiB, and all of this is more
                with Peer.associated(endpoint.port) as peer:
                    for number in range(1, 6):
                        assert peer.store(b"", number) == 0x0110
                    peer.expect_released()
            assert endpoint.status().requests == 150
            logger.removeHandler(handler)
            threading.Thread(target=_read_all, args=(reading,), daemon=True).start()
    finally:
        logger.removeHandler(handler)
        with contextlib.suppress(OSError):
            sink.close()


def _read_all(descriptor: int) -> None:
    while os.read(descriptor, 1 << 20):
        pass
    os.close(descriptor)


# --- memory ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_left")
def test_a_data_set_waits_for_room_and_goes_on_when_there_is(tmp_path: Path) -> None:
    stored: list[int] = []
    data = data_set(1, 40_000)
    settings = {
        "memory_bytes": 1, "spool_total_bytes": 45_000, "spool_directory": tmp_path,
    }  # fmt: skip
    with besieged({"cstore": lambda event: stored.append(event.length)}, **settings) as siege:
        first, second = siege.associated(), siege.associated()
        with first, second:
            pdus = store_pdus(data, 1, "1.2.1")
            for pdu in pdus[:-1]:
                first.send(pdu)
            siege.until(lambda: siege.kernel.storage.disk.used > 32_000)
            for pdu in pdus:
                second.send(pdu)
            siege.until(lambda: siege.kernel.storage.disk.waiting == 1)
            assert siege.neighbor.echo() == 0
            first.send(pdus[-1])
            assert status_of(first.receive()) == (1, 0)
            assert status_of(second.receive()) == (1, 0)
            assert stored == [len(data)] * 2
        siege.until(lambda: siege.kernel.storage.disk.used == 0)


@pytest.mark.usefixtures("nothing_left")
def test_the_rest_of_a_pdu_is_not_read_before_there_is_room_for_it(tmp_path: Path) -> None:
    settings = {
        "memory_bytes": 1, "spool_total_bytes": 125_000, "spool_directory": tmp_path,
        "pdu_timeout": 5.0, "room_timeout": 20.0,
    }  # fmt: skip
    with besieged(**settings) as siege:
        first, second = siege.associated(), siege.associated()
        with first, second:
            head = store_pdus(data_set(1, 100_000), 1, "1.2.1")
            for pdu in head[:-1]:
                first.send(pdu)
            siege.until(lambda: siege.kernel.storage.disk.used > 90_000)
            command, *rest = store_pdus(data_set(1, 50_000), 1, "1.2.1", 60_000)
            assert len(rest) == 1
            whole = encode_pdu(rest[0])
            second.send(command)
            second.send(whole[:20])
            siege.until(lambda: siege.kernel.storage.disk.waiting == 1)
            siege.sync(f"association {siege.record().id}")
            siege.clock.advance(6.0)  # the peer is not to blame for what nobody reads
            assert siege.neighbor.echo() == 0
            first.send(head[-1])
            assert status_of(first.receive()) == (1, 0)
            second.send(whole[20:])
            assert status_of(second.receive()) == (1, 0)


@pytest.mark.usefixtures("nothing_left")
def test_a_data_set_that_waits_too_long_for_room_is_refused(tmp_path: Path) -> None:
    data = data_set(1, 40_000)
    settings = {
        "memory_bytes": 1, "spool_total_bytes": 45_000, "spool_directory": tmp_path,
        "room_timeout": 20.0,
    }  # fmt: skip
    with besieged(**settings) as siege:
        first, second = siege.associated(), siege.associated()
        with first, second:
            pdus = store_pdus(data, 1, "1.2.1")
            for pdu in pdus[:-1]:
                first.send(pdu)
            siege.until(lambda: siege.kernel.storage.disk.used > 32_000)
            for pdu in pdus:
                second.send(pdu)
            siege.until(lambda: siege.kernel.storage.disk.waiting == 1)
            siege.sync(f"association {siege.record().id}")
            siege.clock.advance(20.0)
            assert status_of(second.receive()) == (1, 0xA700)
            first.send(pdus[-1])
            assert status_of(first.receive()) == (1, 0)
            for pdu in pdus:
                second.send(pdu)
            assert status_of(second.receive()) == (1, 0)  # the association has gone on


# --- many peers ------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_left")
def test_hundreds_that_hang_up_at_once_are_served_a_few_at_a_time() -> None:
    with descriptors(2_000), running(max_associations=None) as endpoint:
        kernel = endpoint.ref.ask(GetKernel(), timeout=LIMIT)
        most = [0, 0]
        attend = kernel.attendance._start

        def start(record: Any) -> None:
            most[0] = max(most[0], len(kernel.attendance._served))
            most[1] = max(most[1], kernel.buffers.lent)
            attend(record)

        kernel.attendance._start = start
        peers = [HostilePeer.associated(endpoint.port) for _ in range(400)]
        for peer in peers:
            peer.send(b"\4")  # the first byte of a PDU
        for peer in peers:
            peer.close()
        with Peer.associated(endpoint.port) as peer:
            assert peer.echo() == 0
        until(lambda: not endpoint.associations())
        assert most[0] <= 64
        assert most[1] <= 64
        kernel.attendance._start = attend
        assert_healthy(endpoint.ref, associations=0)


def test_ten_thousand_idle_associations_are_held_and_answer() -> None:
    with descriptors(21_000) as limit:
        count = min(10_000, (limit - 500) // 2)
        with running(max_associations=None, idle_timeout=None) as endpoint:
            kernel = endpoint.ref.ask(GetKernel(), timeout=LIMIT)
            endpoint.ref.ask(messages.Unsubscribe(endpoint.watcher), timeout=LIMIT)
            before = _resident()
            peers = [HostilePeer.associated(endpoint.port) for _ in range(count)]
            until(lambda: sum(record.is_parked for record in kernel.connections) >= count - 32)
            gc.collect()
            each = (_resident() - before) / count
            print(f"{count} idle associations: {each:.0f} bytes each, both ends")
            assert threading.active_count() < 150
            for peer in peers:
                peer.send(wire.p_data(wire.pdv(wire.echo_rq(1))))
            for peer in peers:
                assert status_of(peer.receive()) == (1, 0)
            for peer in peers:
                peer.close()
            until(lambda: not kernel.connections)


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.usefixtures("nothing_left")
def test_endless_queries_that_nobody_reads_leave_room_for_others() -> None:
    def endless(event: Any) -> Iterator[DataSet]:
        while True:
            yield DataSet.from_keywords(PatientName="x" * 60, PatientComments="x" * 8_000)

    with descriptors(1_000), running({"cfind": endless}, max_handlers=None) as endpoint:
        kernel = endpoint.ref.ask(GetKernel(), timeout=LIMIT)
        with contextlib.ExitStack() as stack:
            for _ in range(80):  # more than are served at a time
                peer = stack.enter_context(Finder.at(endpoint.port))
                peer.send(*find_pdus(1))
            until(lambda: sum(record.has_output for record in kernel.connections) == 80)
            with Peer.associated(endpoint.port) as peer:
                assert peer.echo() == 0
        until(lambda: not endpoint.associations())
        assert_healthy(endpoint.ref, associations=0)


def test_a_closed_association_leaves_nothing_for_the_garbage_collector() -> None:
    kinds = (ConnectionRecord, Association)
    with running(HANDLERS) as endpoint:
        gc.collect()
        before = _alive(*kinds)  # what the report of a failed test holds
        gc.disable()
        try:
            for _ in range(20):
                with Peer.associated(endpoint.port) as peer:
                    assert peer.store(b"") == 0
                    assert peer.echo(2) == 0
                    peer.expect_released()
            endpoint.wait_for(events.AssociationClosed, 20)
            until(lambda: _alive(*kinds) <= before)
        finally:
            gc.enable()


def test_nor_does_one_whose_peer_did_wrong() -> None:
    kinds = (ConnectionRecord, Association)
    with running(HANDLERS) as endpoint:
        gc.collect()
        before = _alive(*kinds)  # what the report of a failed test holds
        gc.disable()
        try:
            for wrong in (b"\xff" * 50, bytes.fromhex("04 00 0000 0006 0000 0002 63 03")):
                with Peer.associated(endpoint.port) as peer:
                    peer.send_bytes(wrong)
                    assert peer.receive().source == 2
            endpoint.wait_for(events.AssociationClosed, 2)
            until(lambda: _alive(*kinds) <= before)
        finally:
            gc.enable()


def _alive(*kinds: type) -> int:
    return sum(type(one) in kinds for one in gc.get_objects())


@pytest.mark.usefixtures("nothing_left")
def test_silent_sockets_do_not_keep_a_peer_out() -> None:
    with besieged(max_associations=5, artim_timeout=30.0) as siege, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(siege.connect()) for _ in range(4)]
        siege.until_accepted(4)
        late = stack.enter_context(siege.connect())
        late.send(wire.associate_rq())
        siege.endpoint.wait_for(events.LimitReached)
        siege.clock.advance(1.0)  # and not thirty
        late.expect(AssociateAc)
        for peer in silent:
            peer.expect_end()


# --- processes -------------------------------------------------------------------------------


def test_a_forked_child_keeps_neither_connections_nor_the_port() -> None:
    with running() as endpoint:
        port = endpoint.port
        peer = Peer.associated(port)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)  # live on until the parent says so
            os._exit(0)
        os.close(reading)
    try:
        with peer:
            peer.expect_abort(0, 0)
            peer.expect_end()
        with socket.create_server(("127.0.0.1", port)):
            pass  # it is free
    finally:
        os.close(writing)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
