"""A handler that takes long is left alone with its thread, and its association is served on (P58).

Whatever comes meanwhile, and whatever crashes, each request is answered once, and truthfully.
"""

from __future__ import annotations

import contextlib
import random
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from kit import wire
from kit.endpoints import LIMIT, Running, running
from kit.gate import Gate
from kit.peer import Peer, echo_pdus, store_pdus
from kit.siege import besieged, is_attended, status_of
from kit.waiting import until

from dicom_actors import events, messages
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.pdu import Abort, ReleaseRp
from dicom_actors.supervision import kill
from dicom_actors.testing import CRASH_POINTS, assert_healthy, crash_at, do_at

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]


def record_of(endpoint: Running, number: int = -1) -> Any:
    return endpoint.ref.ask(GetKernel(), timeout=LIMIT).connections[number]


def is_served_by_another(record: Any, old: Any) -> bool:
    return is_attended(record) and record.association is not old


@contextlib.contextmanager
def relieved(status: int = 0xB000, **settings: Any) -> Iterator[tuple[Running, Peer, Gate]]:
    """An association that was relieved of a handler, which waits at a gate."""
    gate = Gate()

    def store(event: Any) -> int:
        gate()
        return status

    with running({"cstore": store}, **settings) as endpoint:
        try:
            with Peer.associated(endpoint.port) as peer:
                peer.send(*store_pdus(b"", 1))
                gate.wait_until_entered()
                until(lambda: is_attended(record_of(endpoint)) and record_of(endpoint).handlers)
                yield endpoint, peer, gate
        finally:
            gate.release()


# Where the next incarnation passes once a handler of another thread has returned.
LATER = ["association.outcome", "association.reply", "association.replied", "association.release"]


@pytest.mark.parametrize("point", LATER)
@pytest.mark.parametrize("crashes", [1, 2])
def test_p57_a_crash_after_a_relief_loses_no_outcome(point: str, crashes: int) -> None:
    with relieved() as (endpoint, peer, gate):
        crash_at(endpoint.ref, point, crashes)
        gate.release()
        assert peer.status() == 0xB000
        assert peer.echo(2) == 0
        peer.expect_released()
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert (closed.reason, closed.requests) == ("released", 2)
        assert closed.association.restarts in range(crashes + 1)


@pytest.mark.parametrize("point", sorted(p for p in CRASH_POINTS if p.startswith("association.")))
def test_p57_a_crash_while_a_handler_runs_elsewhere_does_not_touch_it(point: str) -> None:
    with relieved() as (endpoint, peer, gate):
        crash_at(endpoint.ref, point)
        peer.send(*echo_pdus(2))
        gate.release()
        seen = []
        for _ in range(2):
            answer = peer.receive()
            if isinstance(answer, Abort):
                assert point == "association.core"
                return
            seen.append(status_of(answer))
        assert seen[0] == (1, 0xB000)
        assert seen[1][0] == 2
        assert seen[1][1] in {0, 0x0110}
        crash_at(endpoint.ref, point, 0)
        assert peer.echo(3) == 0


def test_p57_an_association_that_is_killed_while_a_handler_runs_elsewhere() -> None:
    with relieved() as (endpoint, peer, gate):
        record = record_of(endpoint)
        for _ in range(2):
            victim = record.association
            if victim is not None:
                assert kill(victim)
            until(
                partial(lambda old: is_attended(record) and record.association is not old, victim)
            )
        gate.release()
        assert peer.status() == 0xB000
        assert peer.echo(2) == 0


@pytest.mark.parametrize("point", ["handler.begin", "handler.outcome"])
@pytest.mark.parametrize("what", ["abort", "end", "cut", "garbage", "release", "nothing"])
def test_p58_what_comes_while_a_handler_is_held_at_its_ends(point: str, what: str) -> None:
    gate, calls = Gate(), []
    with besieged({"cstore": lambda event: calls.append(event.message_id)}) as siege:
        with siege.associated() as peer:
            do_at(siege.endpoint.ref, point, gate)
            peer.send(wire.store(1))
            gate.wait_until_entered()
            record = siege.record()
            siege.until(lambda: is_attended(record))
            match what:
                case "abort":
                    peer.send(wire.ABORT)
                    assert siege.closed().reason == "aborted by peer"
                case "end":
                    peer.close()
                    assert siege.closed().reason == "connection lost"
                case "cut":
                    number = record.id
                    assert siege.endpoint.ref.ask(messages.AbortAssociation(number), timeout=LIMIT)
                    peer.expect_abort(0, 0)
                case "garbage":
                    peer.send(wire.pdu(0x77, b""))
                    peer.expect_abort(2, 1)
                case "release":
                    peer.send(wire.RELEASE_RQ)
            gate.release()
            if what in {"release", "nothing"}:
                assert status_of(peer.receive()) == (1, 0)
            if what == "release":
                peer.expect(ReleaseRp)
        siege.until(lambda: len(siege.kernel.connections) == 1)
    assert calls == [1] or (calls == [] and point == "handler.begin" and what != "nothing")


def test_p58_handlers_of_any_length_are_answered_once_and_in_order() -> None:
    lengths = random.Random(1)
    stop = threading.Event()

    def store(event: Any) -> int:
        # Around the length of the quick phase, so that reliefs and returns meet.
        stop.wait(lengths.choice((0, 0.004, 0.006, 0.008, 0.010, 0.012)))
        return 0xB000

    with running({"cstore": store}) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            for number in range(1, 201):
                peer.send(*store_pdus(b"", number))
                response = peer.response()
                assert (response.message_id, response.status) == (number, 0xB000)
            peer.expect_released()
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert (closed.requests, closed.association.restarts) == (200, 0)
        assert_healthy(endpoint.ref, associations=0)


def test_an_association_that_idles_is_parked_and_woken() -> None:
    with running({"cstore": lambda event: None}) as endpoint, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer.associated(endpoint.port)) for _ in range(40)]
        kernel = endpoint.ref.ask(GetKernel(), timeout=LIMIT)
        until(lambda: sum(r.is_parked for r in kernel.connections) >= 8)
        info = endpoint.associations()
        assert len(info) == 40
        assert {i.state for i in info} == {"open"}
        assert endpoint.child(f"association {info[0].id}").state in {"parked", "running"}
        for number, peer in enumerate(peers):
            assert (peer.echo(1) if number % 2 else peer.store(b"")) == 0
        assert all(i.restarts == 0 for i in endpoint.associations())
        record = next(r for r in kernel.connections if r.is_parked)
        assert endpoint.ref.ask(messages.AbortAssociation(record.id), timeout=LIMIT)
        until(lambda: record.is_ending or record.is_closed)
        for peer in peers:
            peer.close()
        until(lambda: not endpoint.associations())
        assert_healthy(endpoint.ref, associations=0)


def test_a_parked_association_keeps_its_deadlines() -> None:
    with besieged(idle_timeout=60.0) as siege, siege.associated() as peer:
        record = siege.record()
        siege.until(lambda: record.is_parked)
        siege.clock.advance(59.0)
        assert siege.neighbor.echo() == 0
        assert not record.is_closed
        siege.clock.advance(1.0)
        peer.expect_abort(2, 0)
