"""An Association that hangs is killed and replaced; what its old thread does later counts nothing.

P56 and P57 on the real endpoint: the old thread is let go at every later step of the dialogue.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest
from kit import wire
from kit.endpoints import LIMIT, Running, running
from kit.gate import Gate
from kit.peer import Peer, echo_pdus, store_pdus
from kit.waiting import until

from dicom_actors import events
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.actors.kernel.watch import Watch
from dicom_actors.pdu import AssociateAc, PDataTf, ReleaseRp
from dicom_actors.supervision import SupervisedActor, System, cast, kill
from dicom_actors.testing import CRASH_POINTS, HostilePeer, do_at

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

# Where an Association can be held once the association is open.
POINTS = sorted(
    {point for point in CRASH_POINTS if point.startswith("association.")}
    - {"association.adopt", "association.core", "association.request", "association.release"}
)
DATA = wire.data_set_of(300)
REQUESTS = [echo_pdus(1), store_pdus(DATA, 2, max_pdu_length=128), echo_pdus(3)]
STEPS = len(REQUESTS) + 1  # the requests, and the release


def statuses(peer: Peer, before_step: Callable[[int], object], first: int) -> list[Any]:
    """Go through the dialogue from request `first` on; what the peer sees of it."""
    seen: list[Any] = []
    for step in range(first, len(REQUESTS)):
        if step > first:
            peer.send(*REQUESTS[step])
        response = peer.response()
        seen.append((response.message_id, response.status))
        before_step(step + 1)
    seen.append(peer.release())
    return seen


def disowned_settles(endpoint: Running, count: int = 0) -> None:
    """Wait until that many disowned threads are left."""
    for _ in range(20_000):
        if endpoint.status().disowned_handlers == count:
            return
    raise AssertionError(f"there are not {count} disowned threads")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("held", range(len(REQUESTS)))
def test_p56_an_old_thread_let_go_at_any_later_step_changes_nothing(point: str, held: int) -> None:
    if (
        point
        in {
            "association.fragment",
            "association.dispatch",
            "association.dispatched",
            "association.outcome",
        }
        and held != 1
    ):
        return  # an echo does not pass it
    with running({"cstore": lambda event: None}) as endpoint:
        for release_at in range(held, STEPS + 1):
            gate = Gate()
            with Peer.associated(endpoint.port) as peer:
                for step in range(held):
                    peer.send(*REQUESTS[step])
                    assert peer.status() == 0
                do_at(endpoint.ref, point, gate)
                peer.send(*REQUESTS[held])
                gate.wait_until_entered()
                (info,) = (a for a in endpoint.associations() if a.state == "open")
                old = endpoint.child(f"association {info.id}").ref
                assert kill(old)

                def let_go(step: int, gate: Gate = gate, at: int = release_at) -> None:
                    if step == at:
                        gate.release()
                        disowned_settles(endpoint)

                let_go(held)
                seen = statuses(peer, let_go, held)
                gate.release()
            *answers, release = seen
            assert release == ReleaseRp()
            wanted = [(number + 1, 0) for number in range(held, len(REQUESTS))]
            changed = [got for got, want in zip(answers, wanted, strict=True) if got != want]
            assert len(changed) <= 1, (release_at, seen)
            assert all(status == 0x0110 for _, status in changed), (release_at, seen)
            disowned_settles(endpoint)
            (closed,) = endpoint.wait_for(events.AssociationClosed)
            assert (closed.reason, closed.association.restarts) == ("released", 1)


def test_p56_a_handler_that_hangs_costs_one_status_and_its_late_outcome_nothing() -> None:
    gate = Gate()
    hangs = [True]

    def store(event: Any) -> int:
        if hangs.pop() if hangs else False:
            gate()
            with pytest.raises(Exception, match="settled"):
                event.save("nowhere")
        return 0xB000

    with running({"cstore": store}, handler_timeout=1.0, handler_grace=0.0) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            peer.send(*store_pdus(b"", 1))
            gate.wait_until_entered()
            assert peer.status() == 0x0110
            disowned_settles(endpoint, 1)
            assert peer.store(b"", 2) == 0xB000
            gate.release()
            disowned_settles(endpoint)
            assert peer.store(b"", 3) == 0xB000
            peer.expect_released()


def test_p56_too_many_hung_handlers_refuse_new_associations() -> None:
    gate = Gate()
    with running(
        {"cstore": gate}, handler_timeout=0.02, handler_grace=0.0, max_disowned_handlers=1
    ) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            for number in (1, 2):
                assert peer.store(b"", number) == 0x0110
            disowned_settles(endpoint, 2)
            with Peer(endpoint.port) as other:
                answer = other.associate()
                assert not isinstance(answer, PDataTf)
                assert tuple(answer) == (2, 3, 2)  # type: ignore[arg-type]
            assert peer.echo(3) == 0
            gate.release()
            disowned_settles(endpoint)
            with Peer.associated(endpoint.port) as other:
                assert other.echo() == 0
    assert LIMIT


class Ghost(SupervisedActor):
    """Runs a step in its thread after it was killed."""

    def __init__(self, entered: Gate, step: Callable[[], object], done: threading.Event) -> None:
        super().__init__()
        self._entered, self._step, self._done = entered, step, done

    def handle_cast(self, message: Any) -> None:
        self._entered()
        self._step()
        self._done.set()


def do_in_a_killed_thread(step: Callable[[], object]) -> None:
    with contextlib.closing(System()) as system:
        gate, done = Gate(), threading.Event()
        ref = Ghost.start(gate, step, done, system=system)
        cast(ref, "work")
        gate.wait_until_entered()
        assert kill(ref)
        gate.release()
        assert done.wait(LIMIT)


def parked(endpoint: Running) -> Any:
    (record,) = endpoint.ref.ask(GetKernel(), timeout=LIMIT).connections
    until(lambda: record.is_parked)
    return record


def test_a_connection_that_a_killed_thread_has_taken_is_served() -> None:
    with running({}) as endpoint, Peer.associated(endpoint.port) as peer:
        kernel = endpoint.ref.ask(GetKernel(), timeout=LIMIT)
        record = parked(endpoint)

        def wake() -> None:
            assert record.unpark()
            kernel.attendance.attend(record)

        do_in_a_killed_thread(wake)
        peer.send(*echo_pdus(1))
        assert peer.response().status == 0


def test_news_that_a_killed_thread_brings_are_looked_at() -> None:
    with running({}) as endpoint, Peer.associated(endpoint.port) as peer:
        record = parked(endpoint)
        do_in_a_killed_thread(record.poke)
        until(lambda: not record.is_poked and record.association is not None)
        do_in_a_killed_thread(record.poke)  # now it has an Association
        until(lambda: not record.is_poked)
        peer.send(*echo_pdus(1))
        assert peer.response().status == 0


def test_a_place_that_a_killed_thread_makes_free_is_taken() -> None:
    with (
        running({}, max_associations=1) as endpoint,
        Peer.associated(endpoint.port),
        HostilePeer.connect(endpoint.port) as waiting,
    ):
        kernel = endpoint.ref.ask(GetKernel(), timeout=LIMIT)
        record = parked(endpoint)
        waiting.send(wire.associate_rq())
        until(lambda: kernel._is_someone_waiting)
        do_in_a_killed_thread(lambda: kernel.remove_connection(record))
        assert isinstance(waiting.receive(), AssociateAc)


def test_the_watcher_wakes_for_what_a_killed_thread_begins() -> None:
    """Else no handler would be relieved any more, and one that hangs would hold its connection."""
    with running({}) as endpoint, Peer.associated(endpoint.port):
        kernel = endpoint.ref.ask(GetKernel(), timeout=LIMIT)
        record = parked(endpoint)
        until(lambda: kernel.watch._is_asleep)
        do_in_a_killed_thread(lambda: kernel.watch.begin(record, -1))
        until(lambda: not kernel.watch._is_asleep)
        until(lambda: kernel.watch._is_asleep)  # it has looked, and there was nothing


def test_an_old_thread_does_not_hide_what_the_new_one_is_at() -> None:
    watch = Watch()
    record: Any = object()
    with contextlib.closing(watch):
        watch.begin(record, 2)
        watch.begin(record, 1, is_writing=True)
        watch.end(record, 1)
        watch.tick()
        watch.tick()
        ((_, epoch, engagement),) = watch.tick()
        assert (epoch, engagement.is_writing) == (2, False)
