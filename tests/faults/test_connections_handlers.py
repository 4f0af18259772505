"""While a handler hangs or raises, its Association goes on (P58, P59)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from kit import wire
from kit.endpoints import LIMIT, running
from kit.gate import Gate
from kit.siege import Siege, besieged, status_of

from dicom_actors import events, messages
from dicom_actors.pdu import Abort, PDataTf, ReleaseRp
from dicom_actors.supervision import ManualClock, System
from dicom_actors.testing import Fault, FaultyHandler, HostilePeer, assert_healthy

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]


@contextlib.contextmanager
def hanging(ahead: int = 1, **settings: Any) -> Iterator[tuple[Siege, HostilePeer, FaultyHandler]]:
    """An association whose handler hangs, with `ahead` requests that were sent already."""
    with (
        FaultyHandler(faults=lambda number: Fault.HANG) as handler,
        besieged({"cstore": handler}, handler_timeout=None, **settings) as siege,
        siege.associated() as peer,
    ):
        peer.send(b"".join(wire.store(number) for number in range(1, ahead + 1)))
        handler.wait_until_hanging()
        siege.until(lambda: len(siege.record().requests) == min(ahead, 2))
        siege.sync(f"association {siege.record().id}")
        try:
            yield siege, peer, handler
            assert siege.neighbor.echo() == 0
        finally:
            handler.release()


# One request runs and more wait: however many were sent ahead, the end of the peer is seen.
AHEAD = pytest.mark.parametrize("ahead", [1, 2, 5])


@AHEAD
def test_p58_an_abort_of_the_peer_is_seen_at_once(ahead: int) -> None:
    with hanging(ahead) as (siege, peer, handler):
        peer.send(wire.ABORT)
        peer.stop_sending()
        assert siege.closed().reason == ("aborted by peer" if ahead == 1 else "connection lost")
        assert handler.hanging == 1


@AHEAD
def test_p58_the_peer_closing_is_seen_at_once(ahead: int) -> None:
    with hanging(ahead) as (siege, peer, handler):
        peer.close()
        assert siege.closed().reason == "connection lost"
        assert handler.hanging == 1


@AHEAD
def test_p58_a_reset_is_seen_at_once(ahead: int) -> None:
    with hanging(ahead) as (siege, peer, handler):
        peer.reset()
        assert siege.closed().reason == "connection lost"
        assert handler.hanging == 1


def test_p58_the_handler_learns_that_nobody_waits_any_more() -> None:
    seen: list[bool] = []
    gate = Gate()

    def store(event: Any) -> None:
        seen.append(event.is_cancelled)
        gate()
        seen.append(event.is_cancelled)

    with besieged({"cstore": store}) as siege, siege.associated() as peer:
        peer.send(wire.store())
        gate.wait_until_entered()
        peer.send(wire.ABORT)
        siege.closed()
        gate.release()
    assert seen == [False, True]


def test_p58_a_cancel_is_seen_at_once() -> None:
    cancelled: list[bool] = []
    gate = Gate()

    def store(event: Any) -> int:
        gate()
        cancelled.append(event.is_cancelled)
        return 0xB000

    with besieged({"cstore": store}) as siege, siege.associated() as peer:
        peer.send(wire.store(4))
        gate.wait_until_entered()
        peer.send(wire.p_data(wire.pdv(wire.cancel_rq(4))))
        siege.until(lambda: siege.record()._cancelled)
        gate.release()
        assert status_of(peer.receive()) == (4, 0xB000)
    assert cancelled == [True]


def test_p58_garbage_is_answered_at_once() -> None:
    with hanging() as (_siege, peer, handler):
        peer.send(wire.pdu(0x77, b""))
        peer.expect_abort(2, 1)
        assert handler.hanging == 1


@AHEAD
def test_p58_an_abort_by_the_host_application_is_sent_at_once(ahead: int) -> None:
    with hanging(ahead) as (siege, peer, _handler):
        assert siege.endpoint.ref.ask(messages.AbortAssociation(siege.record().id), timeout=LIMIT)
        peer.expect_abort(0, 0)


def test_p58_a_drain_is_begun_at_once_and_cuts_at_its_deadline() -> None:
    with hanging() as (siege, peer, handler):
        report = siege.endpoint.ref.ask(messages.Drain(10.0), block=False)
        assert siege.endpoint.status().state == "draining"
        with pytest.raises(ConnectionRefusedError):
            siege.connect()
        assert siege.neighbor.echo() == 0
        siege.endpoint.ref.ask(messages.AbortAssociation(siege.record().id), timeout=LIMIT)
        peer.expect_abort(0, 0)
        assert handler.hanging == 1
        peer.close()
        siege.until(lambda: len(siege.kernel.connections) == 1)
        siege.endpoint.ref.ask(messages.Resume(), timeout=LIMIT)
        assert report.get(timeout=LIMIT).finished == 1


def test_p58_a_drain_cuts_what_hangs_at_its_deadline() -> None:
    with (
        contextlib.closing(System(clock=(clock := ManualClock()))) as system,
        FaultyHandler(faults={1: Fault.HANG}) as handler,
        running({"cstore": handler}, system=system) as endpoint,
        HostilePeer.connect(endpoint.port) as peer,
    ):
        peer.send(wire.associate_rq())
        peer.receive()
        peer.send(wire.store())
        handler.wait_until_hanging()
        report = endpoint.ref.ask(messages.Drain(10.0), block=False)
        assert endpoint.status().state == "draining"
        clock.advance(10.0)
        assert len(report.get(timeout=LIMIT).cut) == 1
        peer.expect_abort(0, 0)
        assert handler.hanging == 1
        handler.release()


def test_p58_stopping_says_goodbye_at_once() -> None:
    with (
        FaultyHandler(faults={1: Fault.HANG}) as handler,
        running({"cstore": handler}) as endpoint,
        HostilePeer.connect(endpoint.port) as peer,
    ):
        peer.send(wire.associate_rq())
        peer.receive()
        peer.send(wire.store())
        handler.wait_until_hanging()
        stopped = endpoint.ref.stop(block=False)
        peer.expect_abort(0, 0)
        assert handler.hanging == 1
        handler.release()
        assert stopped.get(timeout=LIMIT) is True


def test_p58_a_release_waits_for_the_handler_and_other_peers_do_not() -> None:
    with hanging() as (siege, peer, handler):
        peer.send(wire.RELEASE_RQ)
        assert siege.neighbor.echo() == 0
        with siege.associated() as other:
            other.send(wire.RELEASE_RQ)
            other.expect(ReleaseRp)
        handler.release()
        assert status_of(peer.receive()) == (1, 0)
        peer.expect(ReleaseRp)


def test_p58_a_handler_beyond_its_deadline_is_given_up_and_fenced() -> None:
    handler = FaultyHandler(lambda event: 0xB000, faults={1: Fault.HANG})
    settings = {"handler_timeout": 60.0, "handler_grace": 5.0}
    with handler, besieged({"cstore": handler}, **settings) as siege, siege.associated() as peer:
        peer.send(wire.store(1))
        handler.wait_until_hanging()
        siege.sync(f"association {siege.record().id}")
        siege.clock.advance(60.0)
        siege.until(lambda: siege.record()._cancelled)
        siege.sync(f"association {siege.record().id}")
        siege.clock.advance(5.0)
        assert status_of(peer.receive()) == (1, 0x0110)
        peer.send(wire.store(2))
        assert status_of(peer.receive()) == (2, 0xB000)
        assert siege.endpoint.status().disowned_handlers == 1
        handler.release()
        siege.until(lambda: siege.endpoint.status().disowned_handlers == 0)
        peer.send(wire.store(3))
        assert status_of(peer.receive()) == (3, 0xB000)


# --- P59 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.RAISE, Fault.EXIT, Fault.NONSENSE])
def test_p59_a_thousand_raising_handlers_are_a_thousand_failures(fault: Fault) -> None:
    handler = FaultyHandler(faults=lambda number: fault)
    with running({"cstore": handler}) as endpoint, HostilePeer.connect(endpoint.port) as peer:
        peer.send(wire.associate_rq())
        peer.receive()
        for number in range(1, 1_001):
            peer.send(wire.store(number))
            assert status_of(peer.receive()) == (number, 0x0110)
        assert handler.calls == 1_000
        status = endpoint.status()
        assert (status.restarts, status.requests) == (0, 1_000)
        (association,) = endpoint.associations()
        assert association.restarts == 0
        peer.send(wire.RELEASE_RQ)
        peer.expect(ReleaseRp)
        peer.close()
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert (closed.reason, closed.requests) == ("released", 1_000)
        assert_healthy(endpoint.ref, associations=0)


def test_p59_failures_on_many_associations_cost_no_other_one() -> None:
    handler = FaultyHandler(faults=lambda number: list(Fault)[number % len(Fault)])
    with handler, besieged({"cstore": handler}) as siege:
        handler.release()  # so that what hangs does not
        peers = [siege.associated() for _ in range(10)]
        for number in range(1, 31):
            for peer in peers:
                peer.send(wire.store(number))
            for peer in peers:
                answer = peer.receive()
                assert isinstance(answer, PDataTf)
                assert not isinstance(answer, Abort)
                assert status_of(answer)[1] in {0, 0x0110}
            assert siege.neighbor.echo() == 0
        for peer in peers:
            peer.close()
        assert handler.calls == 300
