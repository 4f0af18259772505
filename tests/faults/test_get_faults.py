"""Peers that stall, lie and leave while they are sent instances."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from kit.certificates import Certificates
from kit.endpoints import running
from kit.getter import Getter, counts, instance
from kit.peer import LIMIT, command_pdus, echo_pdus
from kit.recorder import data_sets_of
from kit.siege import Siege, besieged

from dicom_actors import DataSet, Status, TlsConfig, messages
from dicom_actors.actors.kernel import attendance
from dicom_actors.dimse import CommandElement, fragment
from dicom_actors.pdu import Abort, PDataTf, ReleaseRp, ReleaseRq
from dicom_actors.supervision import ManualClock, System, kill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

MIB = 1 << 20
LARGE = 48 * MIB
"""More than any system's socket buffers hold."""


class Instances:
    """A ``cget`` handler, and whether its iterable was closed."""

    def __init__(self, *instances: DataSet) -> None:
        self._instances = instances
        self.asked = 0
        self.begun = 0
        self.given = 0
        self.closed = 0

    def __call__(self, event: Any) -> tuple[int, Iterator[DataSet]]:
        self.asked += 1
        return len(self._instances), self._give()

    def _give(self) -> Iterator[DataSet]:
        self.begun += 1
        try:
            for one in self._instances:
                self.given += 1
                yield one
        finally:
            self.closed += 1


@contextlib.contextmanager
def getting(
    *instances: DataSet, max_pdu_length: int = MIB // 8, **settings: Any
) -> Iterator[tuple[Siege, Getter, Instances]]:
    """A peer that has asked for instances; its endpoint must be well afterwards."""
    handler = Instances(*instances)
    with besieged({"cget": handler}, **settings) as siege:
        with Getter.at(siege.port, max_pdu_length=max_pdu_length) as peer:
            peer.ask()
            yield siege, peer, handler
            assert siege.neighbor.echo() == 0
        siege.until(lambda: len(siege.kernel.connections) == 1)
        siege.until(lambda: handler.begun == handler.closed)
        assert handler.begun == handler.asked


def large() -> DataSet:
    return instance(1, PixelData=bytes(range(256)) * (LARGE // 256))


def until_stalled(siege: Siege) -> None:
    """Wait until the peer has not taken all, and the Association knows that."""
    siege.until(lambda: siege.record().incarnation.deadlines.write is not None)
    assert siege.record().has_output
    siege.sync(f"association {siege.record().id}")


def until_awaited(siege: Siege, seconds: float) -> None:
    """Wait until an instance is sent, and its answer awaited for that long."""
    due = siege.clock.monotonic() + seconds
    siege.until(lambda: siege.record().requests[0].due == due)
    siege.sync(f"association {siege.record().id}")


# --- while a large instance is sent -----------------------------------------------------------


def test_a_peer_that_does_not_read_is_disconnected_at_the_write_deadline() -> None:
    with getting(large(), write_timeout=60.0, handler_timeout=5.0, dimse_timeout=5.0) as got:
        siege, peer, handler = got
        until_stalled(siege)
        siege.clock.advance(59.9)  # that it is the peer who must go on stops all other clocks
        siege.sync(f"association {siege.record().id}")
        assert not siege.record().is_closed
        assert handler.closed == 0
        siege.clock.advance(0.1)
        closed = siege.closed()
        assert (closed.reason, closed.detail) == ("timed out", "write_timeout")
        with contextlib.suppress(ConnectionResetError):
            while peer.socket.recv(MIB):
                pass


def test_a_peer_that_reads_slowly_gets_it_all() -> None:
    """Each mebibyte gives it the whole time again."""
    instance_ = large()
    settings = {"write_timeout": 60.0, "handler_timeout": 5.0}
    with getting(instance_, instance(2), max_pdu_length=MIB, **settings) as (siege, peer, _):
        received = bytearray()
        until_stalled(siege)
        for _ in range(4):
            record = siege.record()
            before = record.transport.unsent
            siege.clock.advance(50.0)
            while record.transport.unsent > before - MIB:
                received += peer.socket.recv(MIB)
            siege.sync(f"association {record.id}")
            assert record.incarnation.deadlines.write == siege.clock.monotonic() + 60.0
        expected = instance_.to_bytes("1.2.840.10008.1.2")
        while len(received) < len(expected) or received[-2:] != expected[-2:]:
            received += peer.socket.recv(MIB)
        assert siege.clock.monotonic() > 3 * 60.0
        assert data_sets_of(bytes(received))[-1] == expected
        peer.send(*command_pdus(stored(1), 5))
        assert counts(peer.next_message()[0]) == (1, 1, 0, 0)
        peer.store_and_hear()
        assert peer.final()[0].status == 0
        peer.expect_released()


class SecureGetter(Getter):
    """The same under TLS."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)


def test_a_peer_that_reads_slowly_gets_it_all_under_tls(tmp_path: Path) -> None:
    certificate, key = Certificates(tmp_path).issue("server")
    tls = TlsConfig(certificate=certificate, key=key, require_peer_certificate=False)
    with (
        contextlib.closing(System(clock=(clock := ManualClock()))) as system,
        running(
            {"cget": Instances(large())}, system=system, tls=tls, write_timeout=60.0
        ) as endpoint,
        SecureGetter.at(endpoint.port, max_pdu_length=MIB // 8) as peer,
    ):
        siege = Siege(endpoint, clock, peer)
        record = siege.record()
        peer.ask()
        until_stalled(siege)
        for _ in range(4):
            before = record.transport.unsent
            clock.advance(50.0)
            while record.transport.unsent > before - MIB:
                assert peer.socket.recv(MIB)
            siege.sync(f"association {record.id}")
            assert record.incarnation.deadlines.write == clock.monotonic() + 60.0


def stored(message_id: int, field: int = 0x8001, status: int = 0) -> dict[int, int | str]:
    """A response to a C-STORE."""
    return {
        CommandElement.COMMAND_FIELD: field,
        CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
        CommandElement.STATUS: status,
    }


ENDS: dict[str, Callable[[Siege, Getter], object]] = {
    "reset": lambda siege, peer: peer.reset(),
    "close": lambda siege, peer: peer.close(),
    "abort and close": lambda siege, peer: (peer.send(Abort(0, 0)), peer.close()),
    "the host's abort": lambda siege, peer: siege.endpoint.ref.ask(
        messages.AbortAssociation(siege.record().id), timeout=10
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_in_the_middle_of_an_instance(end: str) -> None:
    with getting(large(), instance(2)) as (siege, peer, handler):
        until_stalled(siege)
        ENDS[end](siege, peer)
        siege.until(lambda: handler.closed == 1)
        peer.close()
        siege.closed()


@pytest.mark.parametrize("end", ENDS)
def test_the_end_before_the_answer_to_an_instance(end: str) -> None:
    with getting(instance(1), instance(2)) as (siege, peer, handler):
        peer.next_store()
        ENDS[end](siege, peer)
        siege.until(lambda: handler.closed == 1)
        peer.close()
        siege.closed()


def test_an_association_that_is_killed_too_often_in_the_middle_of_an_instance_ends() -> None:
    with getting(large(), connection_restarts=2) as (siege, peer, handler):
        until_stalled(siege)
        record = siege.record()
        for _ in range(3):
            before = record.association
            kill(before)
            siege.until(lambda before=before: record.is_closed or record.association is not before)
        siege.until(lambda: handler.closed == 1)
        peer.close()
        assert siege.closed().reason != "released"


def test_an_association_that_is_killed_in_the_middle_of_an_instance_goes_on(monkeypatch) -> None:
    # None is parked meanwhile, however slow the machine is: what is parked cannot be killed.
    monkeypatch.setattr(attendance, "PATIENCE_SECONDS", LIMIT)
    instance_ = large()
    with getting(instance_, instance(2)) as (siege, peer, _):
        until_stalled(siege)
        association = siege.record().association
        kill(association)
        siege.until(lambda: siege.record().association not in {association, None})
        command, data_set = peer.next_message()
        assert data_set == instance_
        kill(siege.record().association)
        peer.answer(command)
        assert counts(peer.next_message()[0]) == (1, 1, 0, 0)
        peer.store_and_hear()
        assert counts(peer.final()[0]) == (None, 2, 0, 0)
        peer.expect_released()
        assert siege.closed().association.restarts == 2


def test_garbage_before_an_instance_was_read_is_found_after_it() -> None:
    with getting(large()) as (siege, peer, handler):
        until_stalled(siege)
        peer.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
        peer.next_store()
        peer.expect_abort(2, 1)
        siege.until(lambda: handler.closed == 1)


def test_an_answer_that_comes_before_its_instance_was_read_is_one() -> None:
    with getting(large(), instance(2)) as (siege, peer, _):
        until_stalled(siege)
        peer.send(*command_pdus(stored(1, status=0xB000), 5))
        peer.next_store()
        assert counts(peer.next_message()[0]) == (1, 0, 0, 1)
        peer.store_and_hear()
        assert peer.final()[0].status == 0xB000


# --- while its answer is awaited --------------------------------------------------------------


def with_data_set(values: dict[int, int | str]) -> list[Any]:
    return [
        *command_pdus(values, 5, has_data_set=True),
        *(PDataTf((pdv,)) for pdv in fragment(5, b"\0\0", 16384, is_command=False)),
    ]


LIES: dict[str, tuple[Any, int]] = {
    "another message": (command_pdus(stored(2), 5), 2),
    "message 0": (command_pdus(stored(0), 5), 2),
    "the message of the request": (command_pdus(stored(1, 0x8010), 3), 2),
    "another service": (command_pdus(stored(1, 0x8020), 5), 2),
    "a data set": (with_data_set(stored(1)), 2),
    "twice": ([*command_pdus(stored(1), 5), *command_pdus(stored(1), 5)], 2),
    "on no context": (command_pdus(stored(1), 99), 6),
    "half of a command": ([PDataTf((next(fragment(5, b"\0\0\0", 99, is_command=True)),))], 6),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_is_none_ends_the_association(lie: str) -> None:
    pdus, reason = LIES[lie]
    with getting(instance(1), instance(2)) as (siege, peer, handler):
        peer.next_store()
        peer.send(*pdus)
        while isinstance(pdu := peer.receive(), PDataTf):
            continue  # what was on its way
        assert pdu == Abort(2, reason)
        siege.until(lambda: handler.closed == 1)


def test_garbage_instead_of_an_answer() -> None:
    with getting(instance(1), instance(2)) as (siege, peer, handler):
        peer.next_store()
        peer.send_bytes(b"\xff" * 64)
        peer.expect_abort(2, 1)
        siege.until(lambda: handler.closed == 1)


@pytest.mark.parametrize("status", [0xFF00, 0xFF01, 0xFE00, 0x0110, 0x1234])
def test_a_status_that_is_no_success_and_no_warning_is_a_failure(status: int) -> None:
    with getting(instance(1)) as (_, peer, _):
        assert counts(peer.store_and_hear(status)) == (0, 0, 1, 0)
        command, failed = peer.final()
        assert command.status == 0xA702
        assert failed is not None
        assert failed.FailedSOPInstanceUIDList == "1.2.1"


def test_requests_instead_of_an_answer_wait_for_their_turn() -> None:
    with getting(instance(1), instance(2)) as (_, peer, _):
        for number in (11, 12):
            store = peer.next_store()
            peer.send(*echo_pdus(number))
            peer.answer(store)
            assert peer.next_message()[0].status == Status.PENDING
        assert counts(peer.final()[0]) == (None, 2, 0, 0)
        assert [peer.response().message_id for _ in range(2)] == [11, 12]
        peer.expect_released()


def test_a_flood_of_requests_instead_of_an_answer_ends_the_operation_at_its_deadline() -> None:
    with getting(instance(1), instance(2), dimse_timeout=300.0, handler_grace=60.0) as got:
        siege, peer, _ = got
        store = peer.next_store()
        peer.send(*(pdu for number in range(100, 200) for pdu in echo_pdus(number)))
        peer.answer(store)  # too late: so far ahead nobody reads
        siege.until(lambda: siege.record().unread_length > 0)
        until_awaited(siege, 300.0)
        siege.clock.advance(300.0)
        command, failed = peer.final()
        assert (command.status, counts(command)) == (0xA702, (None, 0, 1, 0))
        assert failed is None
        assert [peer.response().message_id for _ in range(100)] == list(range(100, 200))
        peer.expect_released()


def test_a_peer_that_never_answers_is_waited_for_as_long_as_the_configuration_says() -> None:
    with getting(instance(1), instance(2), dimse_timeout=300.0, handler_timeout=60.0) as got:
        siege, peer, handler = got
        store = peer.next_store()
        until_awaited(siege, 300.0)
        siege.clock.advance(299.9)
        siege.sync(f"association {siege.record().id}")
        assert handler.closed == 0
        siege.clock.advance(0.1)
        command, _ = peer.final()
        assert (command.status, counts(command)) == (0xA702, (None, 0, 1, 0))
        peer.answer(store)  # late
        peer.ask(2)
        peer.store_and_hear()
        peer.store_and_hear()
        assert counts(peer.final()[0]) == (None, 2, 0, 0)
        peer.answer(store)  # and once more, which is none any more
        peer.expect_abort(2, 2)


def test_a_release_before_the_answer_waits_for_the_deadline() -> None:
    """The peer has said that it says nothing more, so that no answer can come."""
    with getting(instance(1), dimse_timeout=300.0) as (siege, peer, _):
        peer.next_store()
        peer.send(ReleaseRq())
        until_awaited(siege, 300.0)
        siege.clock.advance(300.0)
        assert peer.final()[0].status == 0xA702
        assert peer.receive() == ReleaseRp()


def test_a_cancel_before_the_answer_ends_it_after_the_answer() -> None:
    with getting(instance(1), instance(2), instance(3)) as (siege, peer, handler):
        store = peer.next_store()
        peer.cancel()
        siege.until(lambda: siege.record()._cancelled)
        peer.answer(store)
        command, _ = peer.final()
        assert (command.status, counts(command)) == (Status.CANCEL, (2, 1, 0, 0))
        siege.until(lambda: handler.closed == 1)
        assert handler.given == 1
        peer.expect_released()


def test_a_cancelled_peer_that_does_not_answer() -> None:
    with getting(instance(1), instance(2), dimse_timeout=300.0) as (siege, peer, _):
        peer.next_store()
        peer.cancel()
        siege.until(lambda: siege.record()._cancelled)
        command, _ = peer.final()  # no time passes by the endpoint's clock
        assert command.status == 0xFE00
        assert counts(command)[1:] == (0, 1, 0)
        peer.expect_released()


def test_the_association_and_its_handler_bear_all_answers() -> None:
    with getting(instance(1), instance(2)) as (siege, peer, _):
        peer.store_and_hear(0xC000)
        peer.store_and_hear()
        command, failed = peer.final()
        assert command.status == 0xB000
        assert failed is not None
        assert failed.FailedSOPInstanceUIDList == "1.2.1"
        assert siege.endpoint.status().restarts == 0
