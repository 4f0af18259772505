"""The tree under crashes: who is dropped, who is not, and what is found again.

P43 to P46, P49, P53.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from kit import wire
from kit.endpoints import LIMIT, Running, running, thread_of
from kit.gate import Gate
from kit.peer import Peer, echo_pdus
from kit.siege import besieged, status_of
from kit.waiting import until

from dicom_actors import events, messages
from dicom_actors.actors.association import supervisor as association_supervisor
from dicom_actors.actors.association.association import Association
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.pdu import Abort, AssociateAc
from dicom_actors.supervision import (
    CallError,
    ChildTerminated,
    ExitReason,
    Started,
    System,
    ThreadPool,
    kill,
    request_exit,
)
from dicom_actors.testing import HostilePeer, assert_healthy, crash_at

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

CHILDREN = ("associations", "event bus", "endpoint", "watcher", "listener")


def kernel_of(endpoint: Running) -> Any:
    return endpoint.ref.ask(GetKernel(), timeout=LIMIT)


def refs(endpoint: Running) -> dict[str, Any]:
    return {name: endpoint.child(name).ref for name in CHILDREN}


# --- P43: the Listener -----------------------------------------------------------------------


@pytest.mark.parametrize("point", ["listener.accept", "listener.hand_over"])
def test_p43_a_listener_crash_drops_nobody(point: str) -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as old:
        before = refs(endpoint)
        (association,) = endpoint.associations()
        thread = thread_of(endpoint.child(f"association {association.id}").ref)
        for _ in range(5):
            crash_at(endpoint.ref, point)
            # Whoever knocks while it crashes waits in the backlog, or in the record, and is served.
            with Peer.associated(endpoint.port) as new:
                assert new.echo() == 0
        assert old.echo() == 0
        after = refs(endpoint)
        assert after["listener"] != before["listener"]
        assert {**after, "listener": None} == {**before, "listener": None}
        assert thread_of(endpoint.child(f"association {association.id}").ref) is thread
        assert_healthy(endpoint.ref, associations=1)


def test_p43_peers_that_have_said_nothing_are_kept_with_their_deadline() -> None:
    with besieged(artim_timeout=30.0) as siege, siege.connect() as silent, siege.connect() as late:
        siege.until_accepted(2)
        siege.clock.advance(20.0)
        crash_at(siege.endpoint.ref, "listener.accept")
        with siege.associated() as new:
            assert siege.endpoint.child("listener").restarts == 1
            late.send(wire.associate_rq())
            late.expect(AssociateAc)
            siege.clock.advance(10.0)
            silent.expect_end()
            new.send(wire.RELEASE_RQ)


def test_p43_a_killed_listener_is_replaced() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as old:
        kill(endpoint.child("listener").ref)
        with Peer.associated(endpoint.port) as new:
            assert new.echo() == 0
        assert old.echo() == 0


def test_p43_a_silent_connection_that_the_host_ends_does_not_crash_the_listener() -> None:
    with besieged() as siege:
        for _ in range(5):
            with siege.connect() as silent:
                siege.until_accepted()
                number = siege.record().transport.socket.fileno()
                assert siege.endpoint.ref.ask(messages.AbortAssociation(siege.record().id))
                silent.expect_end()
            with siege.associated() as peer:  # on the same descriptor
                assert siege.record().transport.socket.fileno() == number
                peer.send(wire.RELEASE_RQ)
            siege.until(lambda: len(siege.kernel.connections) == 1)
        assert siege.endpoint.child("listener").restarts == 0


# --- P44: the AssociationSupervisor ----------------------------------------------------------


def by_kill(endpoint: Running) -> None:
    kill(endpoint.child("associations").ref)


def by_exit(endpoint: Running) -> None:
    reason = ExitReason.error(RuntimeError("injected"))
    request_exit(endpoint.child("associations").ref, reason)


@pytest.mark.parametrize("end", [by_kill, by_exit])
def test_p44_its_connections_end_with_an_abort_and_the_rest_starts_after_it(
    end: Callable[[Running], None],
) -> None:
    started: list[Any] = []
    with (
        contextlib.closing(
            System(reports=lambda r: started.append(r.child_id) if type(r) is Started else None)
        ) as system,
        running(system=system) as endpoint,
    ):
        peers = [Peer.associated(endpoint.port) for _ in range(3)]
        half = HostilePeer.connect(endpoint.port)
        half.send(wire.associate_rq()[:20])
        kernel = kernel_of(endpoint)
        until_listed(endpoint, 4)
        until(lambda: kernel.connections[-1].unread_length == 20)
        records = kernel.connections
        before = refs(endpoint)
        started.clear()
        end(endpoint)
        for peer in peers:
            answer = peer.receive()
            assert answer == Abort(2, 0)
            peer.expect_end()
            peer.close()
        half.expect_end()
        half.close()
        with Peer.associated(endpoint.port) as new:
            assert new.echo() == 0
        after = refs(endpoint)  # answered when all of them have been started
        assert [name for name in started if name in CHILDREN] == list(CHILDREN)
        assert all(after[name] != before[name] for name in CHILDREN)
        assert all(record.is_closed for record in records)
        assert endpoint.ref.is_alive()
        assert_healthy(endpoint.ref, associations=0)


def test_p44_a_peer_that_knocks_before_the_successor_is_there_is_served() -> None:
    gate = Gate()

    def report(what: Any) -> None:
        if type(what) is ChildTerminated and what.child_id == "associations":
            gate()  # the Endpoint has heard of the death, and has done nothing about it yet

    with (
        contextlib.closing(System(reports=report)) as system,
        running(system=system) as endpoint,
    ):
        listener = endpoint.child("listener").ref
        kill(endpoint.child("associations").ref)
        gate.wait_until_entered()
        with HostilePeer.connect(endpoint.port) as peer:
            peer.send(wire.associate_rq())
            with contextlib.suppress(CallError):  # so the Listener has handled what there is
                listener.ask(object(), timeout=LIMIT)
            gate.release()
            peer.expect(AssociateAc)
        assert_healthy(endpoint.ref, associations=0)


@pytest.mark.parametrize("goes_on", ["before the successor is there", "behind it"])
def test_p44_a_peer_whose_association_died_before_it_began_is_served(
    goes_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Association died with its supervisor, and had not taken the connection yet."""
    gate, entered = Gate(), []

    class Gated(Association):
        def init(self) -> Any:
            entered.append(self)
            if len(entered) == 1:
                gate()
            return super().init()

    with running() as endpoint:
        monkeypatch.setattr(association_supervisor, "Association", Gated)
        with HostilePeer.connect(endpoint.port) as peer:
            peer.send(wire.associate_rq())
            gate.wait_until_entered()
            kill(endpoint.child("associations").ref)
            if goes_on == "behind it":
                peer.expect(AssociateAc)
            gate.release()
            if goes_on != "behind it":
                peer.expect(AssociateAc)
            peer.send(wire.p_data(wire.pdv(wire.echo_rq(3))))
            assert status_of(peer.receive()) == (3, 0)
        assert_healthy(endpoint.ref, associations=0)


def until_listed(endpoint: Running, count: int) -> None:
    for _ in range(100_000):
        if len(endpoint.associations()) == count:
            return
    raise AssertionError("they are not there")


# --- P45: sockets ----------------------------------------------------------------------------


def test_p45_a_crash_closes_its_own_socket_only_and_once() -> None:
    with running(connection_restarts=0) as endpoint, Peer.associated(endpoint.port) as neighbor:
        (first,) = kernel_of(endpoint).connections
        with Peer.associated(endpoint.port) as peer:
            record = kernel_of(endpoint).connections[-1]
            closings = count_closings(record)
            spared = count_closings(first)
            crash_at(endpoint.ref, "association.complete")
            peer.send(*echo_pdus())
            peer.expect_abort(2, 0)
        endpoint.wait_for(events.AssociationClosed)
        threads = [
            threading.Thread(target=kernel_of(endpoint).remove_connection, args=(record,))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert closings == [1]
        assert spared == []
        assert neighbor.echo() == 0
        assert_healthy(endpoint.ref, associations=1)


def count_closings(record: Any) -> list[int]:
    real, counted = record.transport.close, []

    def close() -> None:
        counted.append(1)
        real()

    record.transport.close = close
    return counted


def test_p45_many_closing_at_once_close_once() -> None:
    with running() as endpoint:
        for _ in range(20):
            with Peer.associated(endpoint.port) as peer:
                record = kernel_of(endpoint).connections[-1]
                closings = count_closings(record)
                barrier = threading.Barrier(5)

                def end(barrier: threading.Barrier = barrier, record: Any = record) -> None:
                    barrier.wait(LIMIT)
                    record.close()

                threads = [threading.Thread(target=end) for _ in range(4)]
                for thread in threads:
                    thread.start()
                barrier.wait(LIMIT)
                peer.reset()
                for thread in threads:
                    thread.join(LIMIT)
            endpoint.wait_for(events.AssociationClosed)
            assert closings == [1]
        assert_healthy(endpoint.ref, associations=0)


# --- P46: connections that cannot start ------------------------------------------------------


def test_p46_a_connection_that_cannot_start_is_closed_and_the_next_one_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = [RuntimeError, SystemExit, MemoryError, OSError, RuntimeError, KeyboardInterrupt] * 3

    class Scripted(Association):
        def init(self) -> Any:
            if failures:
                raise failures.pop()("injected")
            return super().init()

    with running(connection_restarts=0) as endpoint:
        before = refs(endpoint)
        monkeypatch.setattr(association_supervisor, "Association", Scripted)
        while failures:
            left = len(failures)
            with Peer(endpoint.port) as peer:
                peer.send_bytes(b"\1")
                peer.expect_end()
            assert len(failures) == left - 1
        with Peer.associated(endpoint.port) as neighbor:
            assert neighbor.echo() == 0
        assert refs(endpoint) == before
        assert_healthy(endpoint.ref, associations=0)


def test_p46_threads_that_cannot_be_started_cost_the_connections_that_need_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = ThreadPool.take

    def take(pool: ThreadPool, ref: Any, **options: Any) -> Any:
        if ref.actor_class is Association:
            raise RuntimeError("can't start new thread")
        return real(pool, ref, **options)

    with running() as endpoint, Peer.associated(endpoint.port) as neighbor:
        before = refs(endpoint)
        with monkeypatch.context() as patch:
            patch.setattr(ThreadPool, "take", take)
            for _ in range(20):
                with Peer(endpoint.port) as peer:
                    peer.send_bytes(b"\1")
                    peer.expect_end()
        with Peer.associated(endpoint.port) as peer:
            assert peer.echo() == 0
        assert neighbor.echo() == 0
        assert refs(endpoint) == before
        assert_healthy(endpoint.ref, associations=1)


# --- P49: handing over -----------------------------------------------------------------------


class Late:
    """A listening socket whose next `accept` waits at a gate."""

    def __init__(self, real: socket.socket, gate: Gate) -> None:
        self._real = real
        self._gate = gate

    def accept(self) -> Any:
        self._gate()
        return self._real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_p49_what_the_peer_sent_before_the_accept_is_read() -> None:
    gate = Gate()
    with running() as endpoint:
        kernel = kernel_of(endpoint)
        real = kernel.listening_socket
        kernel.listening_socket = Late(real, gate)
        kill(endpoint.child("listener").ref)
        with HostilePeer.connect(endpoint.port) as peer:
            peer.send(wire.associate_rq())
            gate.wait_until_entered()
            assert kernel.connections == ()
            gate.release()
            peer.expect(AssociateAc)
            peer.send(wire.p_data(wire.pdv(wire.echo_rq(3))))
            assert status_of(peer.receive()) == (3, 0)
        kernel.listening_socket = real
        assert_healthy(endpoint.ref, associations=0)


def test_p49_what_the_peer_sends_during_the_hand_over_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()

    class Gated(Association):
        def init(self) -> Any:
            gate()
            return super().init()

    with running() as endpoint:
        monkeypatch.setattr(association_supervisor, "Association", Gated)
        with HostilePeer.connect(endpoint.port) as peer:
            rq = wire.associate_rq()
            peer.send(rq[:1])
            gate.wait_until_entered()
            peer.send(rq[1:100])
            peer.send(rq[100:])
            gate.release()
            peer.expect(AssociateAc)
        assert_healthy(endpoint.ref, associations=0)


def test_p49_a_peer_that_is_gone_before_the_hand_over_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()

    class Gated(Association):
        def init(self) -> Any:
            gate()
            return super().init()

    with running() as endpoint:
        monkeypatch.setattr(association_supervisor, "Association", Gated)
        peer = HostilePeer.connect(endpoint.port)
        peer.send(wire.associate_rq())
        gate.wait_until_entered()
        peer.reset()
        gate.release()
        endpoint.wait_for(events.AssociationClosed)
        assert_healthy(endpoint.ref, associations=0)


# --- P53: tables -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHILDREN)
@pytest.mark.parametrize("how", [kill, lambda ref: request_exit(ref, ExitReason.error(OSError()))])
def test_p53_a_child_that_crashes_finds_the_tables_again(
    name: str, how: Callable[[Any], None]
) -> None:
    with running({"cstore": lambda event: 0xB000}) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            assert peer.store(b"") == 0xB000
            assert peer.echo() == 0
        endpoint.wait_for(events.AssociationClosed)
        before = endpoint.status()
        ref = endpoint.child(name).ref
        how(ref)
        until_replaced(endpoint, name, ref)
        until_status(endpoint, before)
        with Peer.associated(endpoint.port) as peer:
            # The handlers and the subscriber are still known.
            assert peer.store(b"") == 0xB000
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert closed.requests == 1
        status = endpoint.status()
        assert (status.associations_opened, status.requests) == (
            before.associations_opened + 1,
            before.requests + 1,
        )
        assert_healthy(endpoint.ref, associations=0)


def until_status(endpoint: Running, expected: Any) -> None:
    """Wait for a status; a thread that was killed counts as disowned until it has ended."""
    for _ in range(100_000):
        if endpoint.status() == expected:
            return
    assert endpoint.status() == expected


def until_replaced(endpoint: Running, name: str, old: Any) -> None:
    for _ in range(100_000):
        if endpoint.child(name).ref not in {old, None} and endpoint.child("listener").ref:
            return
    raise AssertionError(f"{name} was not replaced")


def test_p53_an_association_that_is_open_survives_the_loss_of_bus_and_listener() -> None:
    with (
        running({"cstore": lambda event: None}) as endpoint,
        Peer.associated(endpoint.port) as peer,
    ):
        info = endpoint.associations()
        for name in ("event bus", "listener"):
            ref = endpoint.child(name).ref
            kill(ref)
            until_replaced(endpoint, name, ref)
        assert endpoint.associations() == info
        assert peer.store(b"") == 0


def test_p53_new_handlers_apply_from_the_next_message_and_outlive_crashes() -> None:
    with (
        running({"cstore": lambda event: 0xB000}) as endpoint,
        Peer.associated(endpoint.port) as peer,
    ):
        assert peer.store(b"") == 0xB000
        endpoint.ref.ask(messages.SetHandlers({"cstore": lambda event: 0xB006}), timeout=LIMIT)
        assert peer.store(b"") == 0xB006
        crash_at(endpoint.ref, "association.complete")
        peer.store(b"")
        assert peer.store(b"") == 0xB006
