"""How many, and for how long: limits, accept errors, suspend, drain, shutdown.

P47, P48, P50 to P52.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Any

import pytest
from kit import wire
from kit.endpoints import LIMIT, running, thread_of
from kit.flaky import flaky
from kit.gate import Gate
from kit.peer import Peer, associate_rq, store_pdus
from kit.siege import Siege, besieged, status_of

from dicom_actors import Endpoint, EndpointConfig, events, messages
from dicom_actors.errors import ConfigurationError, TransportError
from dicom_actors.pdu import Abort, AssociateAc, ReleaseRp
from dicom_actors.supervision import ManualClock, System, kill
from dicom_actors.testing import Fault, FaultyHandler, HostilePeer, assert_healthy, crash_at

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]


def has_nothing_to_read(peer: HostilePeer) -> bool:
    peer.socket.setblocking(False)
    try:
        peer.socket.recv(1)
    except BlockingIOError:
        return True
    finally:
        peer.socket.settimeout(LIMIT)
    return False


# --- P47: as many as are allowed -------------------------------------------------------------


def wait_until_full(siege: Siege) -> None:
    (limit,) = siege.endpoint.wait_for(events.LimitReached)
    assert limit.name == "max_associations"
    siege.sync("listener")


def test_p47_at_the_limit_the_next_peer_waits_and_is_served_when_a_place_is_free() -> None:
    with besieged(max_associations=2) as siege:
        with siege.associated() as a, siege.connect() as b, siege.connect() as c:
            for waiting in (b, c):
                waiting.send(wire.associate_rq())
            wait_until_full(siege)
            assert siege.kernel.opened == 2
            assert has_nothing_to_read(b)
            assert has_nothing_to_read(c)
            a.send(wire.RELEASE_RQ)
            a.expect(ReleaseRp)
            a.close()
            b.expect(AssociateAc)
            siege.sync("listener")
            assert siege.kernel.opened == 3
            assert has_nothing_to_read(c)
            b.reset()
            c.expect(AssociateAc)
        assert siege.kernel.opened == 4
        siege.until(lambda: len(siege.kernel.connections) == 1)


def test_p47_an_association_that_is_restarted_keeps_its_place() -> None:
    with besieged(max_associations=2) as siege, siege.associated() as a, siege.connect() as b:
        b.send(wire.associate_rq())
        wait_until_full(siege)
        crash_at(siege.endpoint.ref, "association.complete")
        a.send(wire.p_data(wire.pdv(wire.echo_rq(9))))
        assert status_of(a.receive()) == (9, 0)
        assert siege.endpoint.status().restarts == 1
        siege.sync("listener")
        assert has_nothing_to_read(b)
        assert siege.kernel.opened == 2
        a.close()
        b.expect(AssociateAc)


def test_p47_the_limit_holds_when_the_listener_crashes() -> None:
    with besieged(max_associations=2) as siege, siege.associated() as a, siege.connect() as b:
        b.send(wire.associate_rq())
        wait_until_full(siege)
        kill(siege.endpoint.child("listener").ref)
        wait_until_full(siege)
        assert siege.kernel.opened == 2
        assert has_nothing_to_read(b)
        a.close()
        b.expect(AssociateAc)


def test_p47_silent_connections_take_places_until_artim_only() -> None:
    with besieged(max_associations=3, artim_timeout=30.0) as siege:
        with siege.connect() as a, siege.connect() as b, siege.connect() as c:
            siege.until_accepted(2)
            c.send(wire.associate_rq())
            wait_until_full(siege)
            siege.clock.advance(30.0)
            a.expect_end()
            b.expect_end()
            c.expect(AssociateAc)


# --- P48: accept errors ----------------------------------------------------------------------


def test_p48_the_error_of_one_connection_does_not_count() -> None:
    with besieged() as siege, flaky(siege, *[errno.ECONNABORTED] * 50) as sockets:
        with siege.associated() as peer:
            peer.send(wire.RELEASE_RQ)
            peer.expect(ReleaseRp)
        assert sockets.numbers == []
        assert siege.endpoint.child("listener").restarts == 1


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_p48_exhaustion_is_waited_for_a_tenth_of_a_second(number: int) -> None:
    with besieged() as siege, flaky(siege, *[number] * 15) as sockets, siege.connect() as peer:
        peer.send(wire.associate_rq())
        for left in range(14, -1, -1):
            siege.endpoint.wait_for(events.LimitReached)
            siege.sync("listener")
            siege.clock.advance(0.09)
            siege.sync("listener")
            assert len(sockets.numbers) == left
            siege.clock.advance(0.01)
        peer.expect(AssociateAc)
        assert siege.endpoint.child("listener").restarts == 1


def test_p48_stopping_interrupts_the_wait() -> None:
    with besieged() as siege:
        with flaky(siege, errno.EMFILE), siege.connect():
            siege.endpoint.wait_for(events.LimitReached)
            ref = siege.endpoint.child("listener").ref
            siege.endpoint.ref.ask(messages.Suspend(), timeout=LIMIT)  # no time passes
            assert not ref.is_alive()
        siege.kernel.listening_socket = None
        siege.endpoint.ref.ask(messages.Resume(), timeout=LIMIT)


def test_p48_any_other_error_crashes_the_listener_which_is_restarted() -> None:
    with besieged() as siege, siege.associated() as old, flaky(siege, errno.EIO, errno.EINVAL):
        with siege.associated() as peer:
            peer.send(wire.RELEASE_RQ)
            peer.expect(ReleaseRp)
        assert siege.endpoint.child("listener").restarts == 3
        old.send(wire.p_data(wire.pdv(wire.echo_rq(2))))
        assert status_of(old.receive()) == (2, 0)


# --- P50: suspend, resume, bind --------------------------------------------------------------


def test_p50_suspended_it_refuses_new_peers_and_keeps_old_ones() -> None:
    with besieged() as siege:
        for _ in range(2):
            siege.endpoint.ref.ask(messages.Suspend(), timeout=LIMIT)
        with pytest.raises(ConnectionRefusedError):
            siege.connect()
        assert siege.neighbor.echo() == 0
        assert_healthy(siege.endpoint.ref, associations=1)
        for _ in range(2):
            siege.endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
        assert siege.endpoint.status().port == siege.port
        with siege.associated() as peer:
            peer.send(wire.RELEASE_RQ)
            peer.expect(ReleaseRp)


def test_p50_many_times_and_with_crashes_in_between() -> None:
    with besieged() as siege:
        for _ in range(20):
            siege.endpoint.ref.ask(messages.Suspend(), timeout=LIMIT)
            siege.endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
            with siege.associated():
                assert siege.neighbor.echo() == 0
        siege.endpoint.ref.ask(messages.Suspend(), timeout=LIMIT)
        kill(siege.endpoint.child("event bus").ref)  # the Listener comes after it, but not now
        siege.until(lambda: siege.endpoint.child("event bus").restarts == 1)
        siege.until(lambda: siege.endpoint.child("event bus").ref is not None)
        with pytest.raises(ConnectionRefusedError):
            siege.connect()
        siege.endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
        assert siege.neighbor.echo() == 0


def test_p50_a_port_in_use_makes_start_raise_with_address_and_cause() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=f"127.0.0.1, port {port}: .*in use") as caught:
            Endpoint.start(port, host="127.0.0.1")
        assert isinstance(caught.value.__cause__, OSError)


# --- P51: drain ------------------------------------------------------------------------------


def test_p51_what_finishes_by_the_deadline_is_let_and_the_rest_is_cut() -> None:
    gates = {"A": Gate(), "B": Gate()}

    def store(event: Any) -> None:
        gates[event.association.calling_ae_title]()

    with (
        contextlib.closing(System(clock=(clock := ManualClock()))) as system,
        running({"cstore": store}, system=system) as endpoint,
    ):
        a, b, idle = (Peer.associated(endpoint.port, calling=c) for c in ("A", "B", "IDLE"))
        for peer in (a, b):
            peer.send(*store_pdus(b""))
        for gate in gates.values():
            gate.wait_until_entered()
        report = endpoint.ref.ask(messages.Drain(30.0), block=False)
        assert endpoint.status().state == "draining"
        with pytest.raises(ConnectionRefusedError):
            Peer(endpoint.port)
        assert idle.echo() == 0  # what is open goes on
        idle.expect_released()
        gates["A"].release()
        assert a.status() == 0
        a.expect_released()
        endpoint.wait_for(events.AssociationClosed, 2)
        clock.advance(29.9)
        assert endpoint.status().state == "draining"
        clock.advance(0.1)
        done = report.get(timeout=LIMIT)
        assert done.finished == 2
        assert [info.calling_ae_title for info in done.cut] == ["B"]
        b.expect_abort(0, 0)
        b.close()
        gates["B"].release()
        endpoint.wait_for(events.AssociationClosed)
        assert endpoint.status().state == "suspended"
        assert_healthy(endpoint.ref, associations=0)


def test_p51_a_silent_connection_is_no_reason_to_wait() -> None:
    with (
        contextlib.closing(System(clock=ManualClock())) as system,
        running(system=system) as endpoint,
        HostilePeer.connect(endpoint.port) as silent,
    ):
        while not endpoint.associations():
            endpoint.status()
        done = endpoint.ref.ask(messages.Drain(3600.0), timeout=LIMIT)
        assert done.cut == ()
        silent.expect_end()


# --- P52: how long an end takes --------------------------------------------------------------


def test_p52_all_say_goodbye_at_the_same_time() -> None:
    with running() as endpoint:
        peers = [Peer.associated(endpoint.port) for _ in range(8)]
        stopped = endpoint.ref.stop(block=False)
        for peer in peers:  # each hears of it although none has closed yet
            assert peer.receive() == Abort(0, 0)
        for peer in peers:
            peer.expect_end()
            peer.close()
        assert stopped.get(timeout=LIMIT) is True


def test_p52_hung_handlers_get_their_time_in_parallel_and_are_then_disowned() -> None:
    with (
        FaultyHandler(faults=lambda number: Fault.HANG) as handler,
        contextlib.closing(System(clock=(clock := ManualClock()))) as system,
    ):
        config = EndpointConfig(handler_grace=5.0)
        endpoint = Endpoint.start(
            0, host="127.0.0.1", event_handlers={"cstore": handler}, config=config, system=system
        )
        port = endpoint.ask(messages.GetStatus(), timeout=LIMIT).port
        peers = [Peer.associated(port) for _ in range(3)]
        for peer in peers:
            peer.send(*store_pdus(b""))
        handler.wait_until_hanging(3)
        children = endpoint.ask(messages.GetTree(), timeout=LIMIT).children[0].children
        associations = [thread_of(c.ref) for c in children if c.name.startswith("association ")]
        stopped = endpoint.stop(block=False)
        for peer in peers:
            peer.expect_abort(0, 0)
            peer.close()
        for thread in associations:
            thread.join(LIMIT)
        clock.advance(4.9)
        assert system.disowned == 0
        assert endpoint.is_alive()
        clock.advance(0.1)
        assert stopped.get(timeout=LIMIT) is True
        assert system.disowned == 3


def test_p52_a_peer_that_neither_reads_nor_closes_cannot_hold_the_end_up() -> None:
    with running() as endpoint:
        peers = [HostilePeer.associated(endpoint.port, receive_buffer=2048) for _ in range(3)]
        assert endpoint.ref.stop(timeout=LIMIT) is True
        for peer in peers:
            peer.close()


def test_p47_raising_the_limit_wakes_the_acceptor() -> None:
    with running(max_associations=1) as endpoint, Peer.associated(endpoint.port) as first:
        with Peer(endpoint.port) as second:
            second.send(associate_rq())
            endpoint.wait_for(events.LimitReached)
            with pytest.raises(ConfigurationError, match="max_associations"):
                endpoint.ref.ask(messages.SetLimits(0), timeout=LIMIT)
            assert len(endpoint.associations()) == 1
            endpoint.ref.ask(messages.SetLimits(2), timeout=LIMIT)
            assert isinstance(second.receive(), AssociateAc)
            assert second.echo() == 0
            endpoint.ref.ask(messages.SetLimits(1), timeout=LIMIT)
            assert second.echo(2) == 0  # those that are open stay
        assert first.echo() == 0
