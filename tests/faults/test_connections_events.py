"""What subscribers hear, and what they can do to the endpoint: nothing (P54)."""

from __future__ import annotations

import collections
import queue
from typing import Any

import pykka
import pytest
from kit import wire
from kit.endpoints import LIMIT, running
from kit.gate import Gate
from kit.peer import Peer
from kit.siege import Siege, besieged
from kit.waiting import until

from dicom_actors import events, messages
from dicom_actors.actors.endpoint.event_bus import MAX_SUBSCRIBER_BACKLOG
from dicom_actors.pdu import AssociateRj, ReleaseRp
from dicom_actors.testing import HostilePeer, assert_healthy, crash_at

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]


def released(siege: Siege) -> HostilePeer:
    peer = siege.associated()
    peer.send(wire.p_data(wire.pdv(wire.echo_rq())))
    peer.receive()
    peer.send(wire.RELEASE_RQ)
    peer.expect(ReleaseRp)
    return peer


def aborted_by_peer(siege: Siege) -> HostilePeer:
    peer = siege.associated()
    peer.send(wire.ABORT)
    peer.expect_end()
    return peer


def connection_lost(siege: Siege) -> HostilePeer:
    peer = siege.associated()
    peer.reset()
    return peer


def aborted(siege: Siege) -> HostilePeer:
    peer = siege.associated()
    peer.send(wire.pdu(9, b""))
    peer.expect_abort(2, 1)
    return peer


def timed_out(siege: Siege) -> HostilePeer:
    peer = siege.associated()
    peer.send(wire.RELEASE_RQ)
    peer.expect(ReleaseRp)
    siege.until(lambda: siege.record().is_ending)
    siege.sync(f"association {siege.record().id}")
    siege.clock.advance(30.0)
    peer.expect_end()
    return peer


WAYS = (released, aborted_by_peer, connection_lost, aborted, timed_out)


def test_p54_each_association_is_opened_once_and_closed_once_with_reason_and_count() -> None:
    opened: list[Any] = []
    closed: list[Any] = []
    with besieged(artim_timeout=30.0) as siege:
        for way in WAYS * 4:
            way(siege).close()
            opened += siege.endpoint.wait_for(events.AssociationOpened)
            closed += siege.endpoint.wait_for(events.AssociationClosed)
        assert [e.association.id for e in opened] == [e.association.id for e in closed]
        assert len({e.association.id for e in opened}) == 20
        counted = collections.Counter(e.reason for e in closed)
        assert counted == {
            "released": 8,  # one that is released and then does not close was released, too
            "aborted by peer": 4,
            "connection lost": 4,
            "aborted": 4,
        }
        assert [e.requests for e in closed] == [1, 0, 0, 0, 0] * 4
        assert len(siege.endpoint.associations()) == 1 + len(opened) - len(closed)
        assert siege.endpoint.status().associations_opened == 21


def test_p54_a_peer_that_was_refused_is_never_opened() -> None:
    with besieged(ae_title="TEST") as siege:
        with siege.connect() as peer:
            peer.send(wire.associate_rq(called=b"OTHER"))
            peer.expect(AssociateRj)
        (event,) = siege.endpoint.wait_for(events.AssociationClosed)
        assert event.reason == "rejected"
        with siege.connect():
            siege.until_accepted()
        with siege.associated():
            (opened,) = siege.endpoint.wait_for(events.AssociationOpened)
        (closed,) = siege.endpoint.wait_for(events.AssociationClosed)
        assert opened.association.id == closed.association.id == event.association.id + 2


def test_p54_a_crash_of_the_bus_loses_no_later_event() -> None:
    with besieged() as siege:
        for _ in range(3):
            crash_at(siege.endpoint.ref, "event_bus.deliver")
            released(siege).close()
            assert siege.endpoint.wait_for(events.AssociationOpened)
            (closed,) = siege.endpoint.wait_for(events.AssociationClosed)
            assert closed.reason == "released"


# --- subscribers -----------------------------------------------------------------------------


class Raising(pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message: Any) -> None:
        raise RuntimeError("injected")


class Slow(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.seen: queue.Queue[Any] = queue.Queue()

    def on_receive(self, message: Any) -> None:
        self.gate()
        self.seen.put(message)


def test_p54_a_subscriber_that_raises_costs_nothing_and_is_forgotten() -> None:
    with running() as endpoint:
        raising = Raising.start()
        endpoint.ref.ask(messages.Subscribe(raising), timeout=LIMIT)
        with Peer.associated(endpoint.port) as peer:
            for number in range(1, 20):
                assert peer.echo(number) == 0
            peer.expect_released()
        completed = endpoint.wait_for(events.RequestCompleted, 19)
        assert [event.message_id for event in completed] == list(range(1, 20))
        endpoint.wait_for(events.AssociationClosed)
        assert raising.actor_stopped.wait(LIMIT)
        for _ in range(2):  # what is told first finds it dead, and is delivered before the next
            with Peer.associated(endpoint.port) as peer:
                peer.expect_released()
            endpoint.wait_for(events.AssociationClosed)
        assert endpoint.ref.ask(messages.Unsubscribe(raising), timeout=LIMIT) is False
        assert_healthy(endpoint.ref, associations=0)


def test_p54_a_subscriber_that_is_slow_costs_nothing_and_misses_events() -> None:
    gate = Gate()
    slow = Slow.start(gate)
    try:
        with running() as endpoint:
            endpoint.ref.ask(messages.Subscribe(slow, [events.RequestCompleted]), timeout=LIMIT)
            with Peer.associated(endpoint.port) as peer:
                assert peer.echo() == 0
                gate.wait_until_entered()
                asked = MAX_SUBSCRIBER_BACKLOG + 500
                step = 500
                for _ in range(asked // step):
                    peer.send_bytes(wire.p_data(wire.pdv(wire.echo_rq())) * step)
                    for _ in range(step):
                        assert peer.status() == 0
                    endpoint.wait_for(events.RequestCompleted, step)
                assert slow.actor_inbox.qsize() == MAX_SUBSCRIBER_BACKLOG
                missed = asked - MAX_SUBSCRIBER_BACKLOG  # one is in its hands
                until(lambda: endpoint.status().dropped_events == missed)
                peer.expect_released()
            assert_healthy(endpoint.ref, associations=0)
    finally:
        gate.release()
        slow.stop(timeout=LIMIT)


def test_p54_only_the_wanted_kinds_come_and_none_after_unsubscribing() -> None:
    gate = Gate()
    gate.release()
    one = Slow.start(gate)
    seen = one._actor_weakref().seen
    try:
        with running() as endpoint:
            endpoint.ref.ask(messages.Subscribe(one, [events.AssociationClosed]), timeout=LIMIT)
            with Peer.associated(endpoint.port) as peer:
                assert peer.echo() == 0
            assert isinstance(seen.get(timeout=LIMIT), events.AssociationClosed)
            assert endpoint.ref.ask(messages.Unsubscribe(one), timeout=LIMIT) is True
            with Peer.associated(endpoint.port):
                pass
            endpoint.wait_for(events.AssociationClosed, 2)
        assert seen.empty()
    finally:
        one.stop(timeout=LIMIT)
