"""Broken and hostile input on the connection: silence, slowness, wrong PDUs, lost sockets."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import random
import resource
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kit import wire
from kit.flaky import flaky
from kit.siege import besieged, status_of

import dicom_actors
from dicom_actors import events
from dicom_actors.actors.connection.record import ConnectionRecord
from dicom_actors.pdu import Abort, AssociateAc, ReleaseRp
from dicom_actors.testing import HostilePeer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]


# --- 1: silence ------------------------------------------------------------------------------


def test_row_01_silence_is_closed_without_a_pdu_when_artim_expires() -> None:
    with besieged(artim_timeout=30.0) as siege, siege.connect() as peer:
        siege.until_accepted()
        siege.clock.advance(29.9)
        siege.sync("listener")
        assert len(siege.kernel.connections) == 2
        assert siege.record().association is None
        siege.clock.advance(0.1)
        peer.expect_end()
        assert peer.transcript == b""


def test_row_01_silence_after_half_a_request_is_closed_when_artim_expires() -> None:
    with besieged(artim_timeout=30.0) as siege, siege.connect() as peer:
        peer.send(wire.associate_rq()[:50])
        siege.until_accepted()
        siege.until_received(50)
        siege.clock.advance(30.0)
        peer.expect_end()
        assert peer.transcript == b""
        assert siege.closed().reason == "timed out"


def test_row_01_connecting_and_closing_starts_no_actor_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[Any] = []
    with besieged() as siege:
        monkeypatch.setattr(siege.kernel.attendance, "attend", begun.append)

        def knock(times: int) -> None:
            before = siege.kernel.opened
            for number in range(times):
                with siege.connect() as peer:
                    if number % 2:
                        peer.reset()
            siege.until(lambda: siege.kernel.opened == before + times)
            siege.until(lambda: len(siege.kernel.connections) == 1)
            siege.sync("listener")

        knock(20)
        gc.collect()
        alive = len(gc.get_objects())
        before = _records()  # what the report of a failed test holds, too
        knock(2_000)
        gc.collect()
        assert len(gc.get_objects()) - alive < 200
        assert _records() <= before
        assert siege.kernel.timers.pending() < 10
        assert begun == []
        monkeypatch.undo()


def _records() -> int:
    return sum(type(one) is ConnectionRecord for one in gc.get_objects())


# --- 2: slowness -----------------------------------------------------------------------------


def test_row_02_a_request_that_drips_is_closed_at_an_absolute_deadline() -> None:
    with besieged(artim_timeout=30.0) as siege, siege.connect() as peer:
        rq = wire.associate_rq()
        peer.send(rq[:6])
        siege.until_received(6)
        for number in range(7, 36):  # 29 bytes in 29 seconds
            siege.clock.advance(1.0)
            peer.send(rq[number - 1 : number])
            siege.until_received(number)
        siege.clock.advance(1.0)
        peer.expect_end()
        assert peer.transcript == b""


def test_row_02_a_message_that_drips_is_aborted_at_an_absolute_deadline() -> None:
    with besieged(pdu_timeout=60.0) as siege, siege.associated() as peer:
        data = wire.p_data(wire.pdv(wire.echo_rq()))
        peer.send(data[:6])
        siege.until_received(6)
        for number in range(7, 66):  # 59 bytes in 59 seconds
            siege.clock.advance(1.0)
            peer.send(data[number - 1 : number])
            siege.until_received(number)
        siege.clock.advance(1.0)
        peer.expect_abort(2, 0)
        peer.close()
        assert siege.closed().detail == "pdu_timeout"


def test_row_02_slow_but_whole_within_the_deadline_is_no_fault() -> None:
    with besieged(pdu_timeout=60.0) as siege, siege.associated() as peer:
        data = wire.p_data(wire.pdv(wire.echo_rq(7)))
        for start in range(0, len(data), 2):
            siege.clock.advance(1.0)
            peer.send(data[start : start + 2])
            if start + 2 < len(data):
                siege.until_received(start + 2)
        assert status_of(peer.receive()) == (7, 0)


# --- 4 to 8: what is no PDU, or none that belongs here ---------------------------------------

_RANDOM = random.Random(8)
STRANGERS = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "hl7": b"\x0bMSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\r\x1c\r",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + _RANDOM.randbytes(506),
    "noise": b"\x99" + _RANDOM.randbytes(4000),
    "zeros": bytes(100),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_row_04_other_protocols_are_refused_from_the_first_six_bytes(name: str) -> None:
    with besieged() as siege:
        with siege.connect() as peer:
            peer.send(STRANGERS[name][:6])
            peer.expect_abort(0, 0)
            assert siege.kernel.buffers.lent <= len(siege.kernel.connections)
        assert siege.closed().reason == "refused"
        with siege.connect() as peer:
            # What follows is thrown away, and does not destroy the answer.
            peer.send(STRANGERS[name] + bytes(1 << 20))
            peer.expect_abort(0, 0)


@pytest.mark.parametrize("name", STRANGERS)
def test_row_04_five_bytes_are_not_enough_to_say_anything(name: str) -> None:
    with besieged() as siege, siege.connect() as peer:
        peer.send(STRANGERS[name][:5])
        siege.until_received(5)
        peer.send(STRANGERS[name][5:6])
        peer.expect_abort(0, 0)


@pytest.mark.parametrize("kind", [0x00, 0x08, 0x47, 0xFF])
def test_row_05_an_unknown_pdu_type_is_unrecognized(kind: int) -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(wire.pdu(kind, b"", 4)[:6])
        peer.expect_abort(2, 1)


AC = b"\x02" + wire.associate_rq()[1:]
RJ = wire.pdu(3, b"\0\1\1\1")
DATA = wire.p_data(wire.pdv(wire.echo_rq()))


@pytest.mark.parametrize("data", [DATA, wire.RELEASE_RQ, wire.RELEASE_RP, AC, RJ])
def test_row_06_before_an_association_only_a_request_is_taken(data: bytes) -> None:
    with besieged() as siege, siege.connect() as peer:
        peer.send(data)
        peer.expect_abort(0, 0)


def test_row_06_an_abort_before_an_association_just_closes() -> None:
    with besieged() as siege, siege.connect() as peer:
        peer.send(wire.ABORT)
        peer.expect_end()
        assert peer.transcript == b""


@pytest.mark.parametrize("data", [wire.associate_rq(), AC, RJ, wire.RELEASE_RP])
def test_row_06_within_an_association_no_negotiation_is_expected(data: bytes) -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(data)
        peer.expect_abort(2, 2)


@pytest.mark.parametrize(
    ("kind", "length"),
    [(1, 0xFFFFFFFF), (1, (1 << 20) + 1), (1, 67), (1, 0), (5, 0xFFFFFFFF), (7, 5)],
)
def test_row_07_a_length_out_of_range_is_refused_from_the_header(kind: int, length: int) -> None:
    with besieged() as siege, siege.connect() as peer:
        peer.send(wire.pdu(kind, b"", length))
        peer.expect_abort(0, 0)


def test_row_07_a_request_of_one_mebibyte_is_waited_for() -> None:
    with besieged(artim_timeout=30.0) as siege, siege.connect() as peer:
        peer.send(wire.pdu(1, b"", 1 << 20))
        siege.until_received(6)
        siege.clock.advance(30.0)
        peer.expect_end()


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x80000000, 16385])
def test_row_07_more_than_the_announced_maximum_is_invalid(length: int) -> None:
    with besieged(max_pdu_length=16384) as siege, siege.associated() as peer:
        peer.send(wire.pdu(4, b"", length))
        peer.expect_abort(2, 6)


def test_row_07_exactly_the_announced_maximum_is_taken() -> None:
    with besieged(max_pdu_length=16384) as siege, siege.associated() as peer:
        data = wire.pdv(wire.data_set_of(16378), 3, command=False)
        peer.send(wire.p_data(wire.pdv(wire.store_rq(), 3)), wire.p_data(data))
        assert status_of(peer.receive()) == (1, 0)


@pytest.mark.parametrize("kind", [5, 6, 7, 3])
@pytest.mark.parametrize("length", [0, 3, 5, 0xFFFFFFFF])
def test_row_08_short_pdus_have_four_bytes(kind: int, length: int) -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(wire.pdu(kind, b"", length))
        peer.expect_abort(2, 6)


# --- 9 to 12: lost and exhausted -------------------------------------------------------------


def test_row_09_a_peer_that_never_reads_is_not_read_and_ends_at_the_write_deadline() -> None:
    asked = 20_000
    with besieged(write_timeout=60.0) as siege:
        with siege.associated(receive_buffer=2048) as peer:
            record = siege.record()
            record.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            echo = wire.p_data(wire.pdv(wire.echo_rq()))
            flood = threading.Thread(target=send_all, args=(peer, echo * asked), daemon=True)
            flood.start()
            siege.until(lambda: record.incarnation.deadlines.write is not None)
            answered = -1
            while answered != record.answered:  # until it does nothing more
                answered = record.answered
                for _ in range(20):
                    siege.sync(f"association {record.id}")
                    assert siege.neighbor.echo() == 0
            # What is held back are a few answers, not those to all that can be asked.
            assert answered < asked // 2
            siege.clock.advance(60.0)
            assert siege.closed().reason == "timed out"
            flood.join(10)


def send_all(peer: HostilePeer, data: bytes) -> None:
    with contextlib.suppress(OSError):
        peer.send(data)


def test_row_10_a_reset_within_a_data_set_leaves_nothing_of_it(tmp_path: Path) -> None:
    stored: list[Any] = []
    with besieged({"cstore": stored.append}, spool_bytes=0, spool_directory=tmp_path) as siege:
        peer = siege.associated()
        number = siege.record().transport.socket.fileno()
        peer.send(
            wire.p_data(wire.pdv(wire.store_rq(), 3)),
            wire.p_data(wire.pdv(bytes(1000), 3, command=False, last=False)),
            wire.p_data(wire.pdv(bytes(1000), 3, command=False))[:500],
        )
        siege.until(lambda: list(tmp_path.iterdir()))
        siege.until_received(500)
        peer.reset()
        closed = siege.closed()
        assert closed.reason == "connection lost"
        assert closed.requests == 0
        siege.until(lambda: not list(tmp_path.iterdir()))
        with siege.associated() as peer:  # likely to get the same descriptor, not the same socket
            assert siege.record().transport.socket.fileno() == number
            peer.send(wire.RELEASE_RQ)
            peer.expect(ReleaseRp)
    assert stored == []


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """More open descriptors than `select` can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1200)]
    yield
    for number in taken:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_row_11_descriptors_beyond_1024_work() -> None:
    with besieged(write_timeout=60.0) as siege, siege.associated() as peer:
        assert siege.record().transport.socket.fileno() > 1024
        peer.send(wire.store(9))
        assert status_of(peer.receive()) == (9, 0)


def test_row_11_nothing_uses_select() -> None:
    for path in Path(dicom_actors.__file__).parent.rglob("*.py"):
        assert "select.select" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_row_12_when_the_system_has_nothing_left_accepting_pauses(number: int) -> None:
    with besieged() as siege, flaky(siege, *[number] * 20) as sockets:
        listener = siege.endpoint.child("listener").ref
        with siege.connect() as peer:
            peer.send(wire.associate_rq())
            for left in range(19, -1, -1):
                (limit,) = siege.endpoint.wait_for(events.LimitReached)
                assert limit.name == "file descriptors"
                siege.sync("listener")
                assert len(sockets.numbers) == left
                siege.clock.advance(0.1)
            peer.expect(AssociateAc)
        assert siege.endpoint.child("listener").ref is listener


@pytest.mark.parametrize(
    "number", [errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH]
)
def test_row_12_the_fault_of_one_connection_is_passed_over(number: int) -> None:
    with besieged() as siege, flaky(siege, *[number] * 20) as sockets:
        listener = siege.endpoint.child("listener").ref
        with siege.associated() as peer:
            peer.send(wire.RELEASE_RQ)
            peer.expect(ReleaseRp)
        assert sockets.numbers == []
        assert siege.endpoint.child("listener").ref is listener


def test_row_12_real_exhaustion_of_descriptors_is_survived() -> None:
    with besieged() as siege, socket.socket() as client:
        client.settimeout(10)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = os.open(os.devnull, os.O_RDONLY)
        os.close(spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
        try:
            client.connect(("127.0.0.1", siege.port))
            (limit,) = siege.endpoint.wait_for(events.LimitReached)
            assert limit.name == "file descriptors"
            assert siege.neighbor.echo() == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        siege.sync("listener")
        siege.clock.advance(0.1)
        client.sendall(wire.associate_rq())
        assert client.recv(6)[0] == 2
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_an_abort_is_read_even_if_the_peer_goes_on_sending() -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(wire.pdu(0x99, b"") + bytes(4 << 20))
        peer.expect(Abort(2, 1))
