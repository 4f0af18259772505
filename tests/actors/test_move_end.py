"""The end of a C-MOVE: cancelled, aborted, crashed."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from kit.endpoints import LIMIT, running
from kit.gate import Gate
from kit.mover import (
    Counts,
    Mover,
    destination,
    full_backlog,
    instance,
    moving_threads,
    uids,
)
from kit.peer import echo_pdus
from kit.waiting import until

from dicom_actors import (
    DataSet,
    DimseFailure,
    MoveTo,
    Status,
    events,
    messages,
)
from dicom_actors.testing import crash_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.usefixtures("nothing_left")

LOCAL = "127.0.0.1"


def test_a_cancel_lets_what_runs_finish_and_closes_the_generator() -> None:
    closed = threading.Event()
    asked: list[Any] = []

    def instances() -> Iterator[DataSet]:
        try:
            for number in range(10**9):
                yield instance(number)
        finally:
            closed.set()

    def cancel_at_the_fourth(event: Any) -> None:
        if event.sop_instance_uid == "1.2.3":
            peer.cancel(99)  # nobody's
            peer.cancel()
            until(lambda: asked[0].is_cancelled)

    with destination(cancel_at_the_fourth) as archive:

        def move(event: Any) -> MoveTo:
            asked.append(event)
            return MoveTo(LOCAL, archive.port, "ARCHIVE", (1000, instances()))

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            pending, answer = peer.rest()
            assert pending[:3] == [Counts(0xFF00, 1000 - n, n, 0, 0) for n in (1, 2, 3)]
            assert answer == (Counts(0xFE00, 996, 4, 0, 0), "", [])
            assert closed.wait(LIMIT)
            assert peer.echo(2) == 0
            (end,) = archive.endpoint.wait_for(events.AssociationClosed)
            assert end.reason == "released"
        assert archive.uids == uids(0, 1, 2, 3)


def test_nothing_is_sent_any_more_after_a_cancel() -> None:
    asked: list[Any] = []
    closed = threading.Event()

    def instances() -> Iterator[DataSet]:
        try:
            yield instance(1)
            peer.cancel()
            until(lambda: asked[0].is_cancelled)
            yield instance(2)
        finally:
            closed.set()

    with destination() as archive:

        def move(event: Any) -> MoveTo:
            asked.append(event)
            return MoveTo(LOCAL, archive.port, "ARCHIVE", (2, instances()))

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            assert peer.answer().counts == (0xFE00, 1, 1, 0, 0)
            assert closed.is_set()
        assert archive.uids == uids(1)


def test_a_cancel_ends_an_async_generator_that_waits() -> None:
    waiting, closed = threading.Event(), threading.Event()

    async def instances() -> AsyncIterator[DataSet]:
        try:
            yield instance(1)
            waiting.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    with destination() as archive, destination() as other:

        def move(event: Any) -> list[MoveTo]:
            return [
                MoveTo(LOCAL, archive.port, "ARCHIVE", (10, instances())),
                MoveTo(LOCAL, other.port, "OTHER", []),
            ]

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            assert waiting.wait(LIMIT)
            peer.cancel()
            assert peer.answer().counts == (0xFE00, 9, 1, 0, 0)
            assert closed.wait(LIMIT)
            archive.endpoint.wait_for(events.AssociationClosed)


def test_a_cancel_does_not_wait_for_a_destination_that_hangs() -> None:
    gate, closed = Gate(), threading.Event()

    def instances() -> Iterator[DataSet]:
        try:
            for number in range(10):
                yield instance(number)
        finally:
            closed.set()

    with destination(
        lambda event: gate() if event.sop_instance_uid == "1.2.3" else None
    ) as archive:

        def move(event: Any) -> MoveTo:
            return MoveTo(LOCAL, archive.port, "ARCHIVE", (10, instances()), timeout=3600)

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            gate.wait_until_entered()
            peer.cancel()
            assert peer.answer() == (Counts(0xFE00, 6, 3, 1, 0), "", uids(3))
            assert closed.wait(LIMIT)
            archive.endpoint.wait_for(events.AssociationClosed)
            gate.release()


def test_a_cancel_does_not_wait_for_a_connection() -> None:
    with full_backlog() as port:
        move = MoveTo(LOCAL, port, "ARCHIVE", [instance(1), instance(2)], timeout=3600)
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            until(moving_threads)
            peer.cancel()
            assert peer.answer() == (Counts(0xFE00, 1, 0, 1, 0), "", uids(1))


@pytest.mark.parametrize("end", ["reset", "abort", "stop", "deadline"])
def test_the_end_of_the_association_ends_all_at_once(end: str) -> None:
    gate, closed = Gate(), threading.Event()

    def instances() -> Iterator[DataSet]:
        try:
            for number in range(10):
                yield instance(number)
        finally:
            closed.set()

    with destination(gate) as archive, destination() as other:

        def move(event: Any) -> list[MoveTo]:
            return [
                MoveTo(LOCAL, archive.port, "ARCHIVE", instances(), timeout=3600),
                MoveTo(LOCAL, other.port, "OTHER", (instance(n) for n in range(others))),
            ]

        # Whatever arrives somewhere gives the handler new time.
        others = 1 if end == "deadline" else 10**9
        settings = {"handler_timeout": 2.0} if end == "deadline" else {}
        with running({"cmove": move}, **settings) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            gate.wait_until_entered()
            assert peer.progress().completed == 1
            if end == "reset":
                peer.reset()
            elif end == "abort":
                (association,) = endpoint.associations()
                endpoint.ref.ask(messages.AbortAssociation(association.id))
            elif end == "stop":
                endpoint.ref.stop(timeout=LIMIT)
            assert closed.wait(LIMIT)
            archive.endpoint.wait_for(events.AssociationClosed)
            other.endpoint.wait_for(events.AssociationClosed)
            gate.release()


def test_a_crash_of_the_association_loses_nothing() -> None:
    gate = Gate()
    with destination(
        lambda event: gate() if event.sop_instance_uid == "1.2.3" else None
    ) as archive:
        move = MoveTo(LOCAL, archive.port, "ARCHIVE", [instance(n) for n in range(8)])
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            gate.wait_until_entered()
            crash_at(endpoint.ref, "association.command")
            peer.send(*echo_pdus(2))
            endpoint.wait_for(events.ActorRestarted)
            gate.release()
            pending, answer = peer.rest()
            assert [counts.completed for counts in pending] == list(range(1, 9))
            assert answer.counts == (0, None, 8, 0, 0)
        assert archive.uids == uids(*range(8))


@pytest.mark.parametrize("fault", [ZeroDivisionError, SystemExit, DimseFailure])
def test_an_iterable_that_fails_leaves_nothing_behind(fault: Any) -> None:
    def instances() -> Iterator[DataSet]:
        yield instance(1)
        yield instance(2)
        raise fault(Status.OUT_OF_RESOURCES)

    with destination() as archive:

        def move(event: Any) -> list[MoveTo]:
            return [MoveTo(LOCAL, archive.port, "ARCHIVE", instances())]

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            answer = peer.answer()
            assert answer.counts[2:] == (2, 0, 0)
            assert answer.counts.status == (0xA700 if fault is DimseFailure else 0x0110)
            assert peer.echo(2) == 0
            (end,) = archive.endpoint.wait_for(events.AssociationClosed)
            assert end.reason == "released"


def test_a_generator_that_hangs_leaves_no_association_behind() -> None:
    gate = Gate()

    def instances() -> Iterator[DataSet]:
        yield instance(1)
        gate()
        yield instance(2)

    with destination() as archive:
        move = MoveTo(LOCAL, archive.port, "ARCHIVE", instances())
        with running(
            {"cmove": lambda event: move}, handler_timeout=0.2, handler_grace=0.1
        ) as endpoint:
            with Mover.at(endpoint.port) as peer:
                peer.ask()
                assert peer.answer().counts.status == 0x0110
                archive.endpoint.wait_for(events.AssociationClosed)
                assert peer.echo(2) == 0
                gate.release()
        assert archive.uids == uids(1)
