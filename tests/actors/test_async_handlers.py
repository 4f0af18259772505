"""Handlers that are coroutine functions or async generators, on a loop of ours or the host's."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import subprocess
import sys
import threading
from copy import copy
from typing import TYPE_CHECKING, Any

import pykka
import pytest
from kit.endpoints import LIMIT, running
from kit.finder import QUERY, Finder, cancel_pdus, find_pdus, studies
from kit.gate import Gate
from kit.peer import CT_IMAGE, Peer, echo_pdus, store_pdus
from kit.siege import besieged, status_of
from kit.waiting import until
from kit.wire import associate_rq as wire_associate_rq

from dicom_actors import (
    DataSet,
    DimseFailure,
    Endpoint,
    Reject,
    Status,
    connect,
    events,
    messages,
)
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.actors.responding.responder import Responder
from dicom_actors.errors import AssociationRejected, ConfigurationError
from dicom_actors.supervision import kill
from dicom_actors.testing import assert_healthy, crash_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.usefixtures("nothing_left")

MPPS = "1.2.840.10008.3.1.2.3.3"
FILM_SESSION = "1.2.840.10008.5.1.1.1"
COMMITMENT = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
OBJECT = DataSet.from_keywords(SOPClassUID=CT_IMAGE, SOPInstanceUID="1.2.3", PatientID="7")
STEP = DataSet.from_keywords(PatientID="7")


@contextlib.contextmanager
def host_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread, as a host application's does."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="host")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LIMIT)
        loop.close()


class Waiting:
    """A coroutine handler that waits until it is released or cancelled, and says which."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ends: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.release: Any = None

    async def __call__(self, event: Any) -> int:
        waiting = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.release = lambda: loop.call_soon_threadsafe(waiting.set)
        self.begun.set()
        try:
            await waiting.wait()
        except asyncio.CancelledError:
            self.ends.put("cancelled")
            raise
        self.ends.put("released")
        return 0xB000

    def wait_until_begun(self) -> None:
        assert self.begun.wait(LIMIT)
        self.begun.clear()

    def end(self) -> str:
        return self.ends.get(timeout=LIMIT)


def test_every_service_takes_coroutines() -> None:
    called: list[str] = []

    def answering(name: str, result: Any) -> Any:
        async def handler(event: Any) -> Any:
            await asyncio.sleep(0)
            assert threading.current_thread().name == "handlers' event loop"
            called.append(name)
            return result

        return handler

    results = {
        "association_validator": True,
        "cecho": None,
        "cstore": Status.COERCION_OF_DATA_ELEMENTS,
        "cfind": list(studies(2)),
        "cget": [OBJECT],
        "ncreate": None,
        "nset": STEP,
        "nget": STEP,
        "ndelete": None,
        "naction": (0, STEP),
        "nevent_report": None,
    }
    handlers = {name: answering(name, result) for name, result in results.items()}
    with running(handlers) as endpoint, connect("127.0.0.1", endpoint.port) as association:
        association.echo()
        assert association.store(OBJECT).status == 0xB000
        assert len(list(association.find(QUERY))) == 2
        assert list(association.get(QUERY, sop_classes=[CT_IMAGE])) == [OBJECT]
        assert association.n_create(MPPS, "1.2.3", STEP).sop_instance_uid == "1.2.3"
        assert association.n_set(MPPS, "1.2.3", STEP).data_set == STEP
        assert association.n_get(FILM_SESSION, "1.2.3").data_set == STEP
        assert association.n_delete(FILM_SESSION, "1.2.3").status == 0
        assert association.n_action(COMMITMENT, COMMITMENT_INSTANCE, 1, STEP).data_set == STEP
        assert association.n_event_report(COMMITMENT, COMMITMENT_INSTANCE, 1).status == 0
        assert set(called) == set(results)
        assert_healthy(endpoint.ref, associations=1)


def test_a_validator_may_reject() -> None:
    async def validate(request: Any) -> Reject | None:
        await asyncio.sleep(0)
        if request.called_ae_title != "TEST":
            return Reject.CALLED_AE_TITLE_NOT_RECOGNIZED
        return None

    with running({"association_validator": validate}) as endpoint:
        with pytest.raises(AssociationRejected, match="called AE title"):
            connect("127.0.0.1", endpoint.port, called="OTHER").echo()
        with Peer.associated(endpoint.port) as peer:
            assert peer.echo() == 0


@pytest.mark.parametrize(
    ("error", "status", "crashes"),
    [
        (DimseFailure(Status.OUT_OF_RESOURCES, "full"), 0xA700, 0),
        (ValueError("x"), 0x0110, 1),
        (SystemExit(3), 0x0110, 1),
        (KeyboardInterrupt(), 0x0110, 1),
        (asyncio.CancelledError(), 0x0110, 1),
        (OSError(28, "No space left"), 0xA700, 0),
    ],
)
def test_an_exception_is_as_in_a_plain_handler(
    error: BaseException, status: int, crashes: int
) -> None:
    async def store(event: Any) -> None:
        await asyncio.sleep(0)
        raise copy(error)  # which keeps the frames that it goes through

    async def find(event: Any) -> AsyncIterator[DataSet]:
        yield STEP
        raise copy(error)  # which keeps the frames that it goes through

    with running({"cstore": store, "cfind": find}) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            assert peer.store(b"") == status
            assert peer.store(b"", 2) == status
            assert len(endpoint.wait_for(events.ActorCrashed, 2 * crashes)) == 2 * crashes
            assert peer.echo(3) == 0
        with Finder.at(endpoint.port) as finder:
            finder.send(*find_pdus(1))
            # A full disk is a reason for a C-STORE alone (PS3.4 B.2.3).
            expected = 0x0110 if isinstance(error, OSError) else status
            assert finder.rest() == ([STEP], expected)
            assert finder.echo(2) == 0


def test_an_actor_may_answer_with_a_coroutine_and_a_handler_with_a_future() -> None:
    class Host(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message: Any) -> Any:
            async def answer() -> int:
                return 0xB000

            return answer()

        def echo(self) -> int:
            return 0x0117

    host = Host.start()
    proxy = host.proxy()
    try:
        with running({"cstore": host, "cecho": lambda event: proxy.echo()}) as endpoint:
            with Peer.associated(endpoint.port) as peer:
                assert peer.store(b"") == 0xB000
                assert peer.echo(2) == 0x0117
    finally:
        host.stop(timeout=LIMIT)


def test_an_endpoint_without_coroutines_never_loads_asyncio() -> None:
    script = """
import sys
from dicom_actors import Endpoint, connect, messages
ref = Endpoint.start(0, host="127.0.0.1", event_handlers={"cfind": lambda event: []})
with connect("127.0.0.1", ref.ask(messages.GetStatus()).port) as association:
    association.echo()
ref.stop()
assert "asyncio" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


# --- the matches of a query --------------------------------------------------------------------


class Source:
    """An async generator of matches, and how it ended."""

    def __init__(self, count: int = 10**9, *, stop_at: int | None = None) -> None:
        self.count = count
        self.stop_at = stop_at
        self.pulled = 0
        self.waits = threading.Event()
        self.ends: queue.SimpleQueue[str] = queue.SimpleQueue()

    async def __call__(self, event: Any) -> AsyncIterator[DataSet]:
        end = "exhausted"
        try:
            for match in studies(self.count):
                self.pulled += 1
                if self.pulled == self.stop_at:
                    self.waits.set()
                    await asyncio.Event().wait()
                yield match
        except GeneratorExit:
            end = "closed"
            raise
        except asyncio.CancelledError:
            end = "cancelled"
            raise
        finally:
            await asyncio.sleep(0)  # cleaning up may take its time
            self.ends.put(end)

    def end(self) -> str:
        return self.ends.get(timeout=LIMIT)


def test_an_async_generator_streams_its_matches() -> None:
    source = Source(50)
    with running({"cfind": source}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        matches, status = peer.rest()
        assert [ds.StudyInstanceUID for ds in matches] == [f"1.2.{n}" for n in range(50)]
        assert status == 0
        assert source.end() == "exhausted"
        assert peer.echo(2) == 0


def test_any_async_iterable_will_do() -> None:
    class Rows:
        def __init__(self) -> None:
            self.rows = studies(3)

        def __aiter__(self) -> Rows:
            return self

        async def __anext__(self) -> DataSet:
            for row in self.rows:
                return row
            raise StopAsyncIteration

    async def find(event: Any) -> Rows:
        return Rows()

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        matches, status = peer.rest()
        assert (len(matches), status) == (3, 0)


def test_what_is_no_match_closes_the_generator() -> None:
    ends: queue.SimpleQueue[str] = queue.SimpleQueue()

    async def find(event: Any) -> AsyncIterator[Any]:
        try:
            yield STEP
            yield "text"
        finally:
            ends.put("closed")

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        matches, status = peer.rest()
        assert (len(matches), status) == (1, 0x0110)
        assert ends.get(timeout=LIMIT) == "closed"


def test_the_next_match_is_asked_for_when_the_last_one_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[str] = []
    respond = Responder.respond

    def watched(*arguments: Any) -> bool:
        answer = respond(*arguments)
        steps.append("sent")
        return answer

    async def find(event: Any) -> AsyncIterator[DataSet]:
        for match in studies(20):
            steps.append("pulled")
            await asyncio.sleep(0)
            yield match

    monkeypatch.setattr(Responder, "respond", watched)
    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        assert len(peer.rest()[0]) == 20
    assert steps == ["pulled", "sent"] * 20


def test_a_match_does_not_wait_for_the_next_one() -> None:
    go_on: queue.SimpleQueue[None] = queue.SimpleQueue()

    async def find(event: Any) -> AsyncIterator[DataSet]:
        for match in studies(5):
            await asyncio.to_thread(go_on.get)
            yield match

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        for _ in range(5):
            go_on.put(None)
            assert peer.next_response()[0] == 0xFF00
        assert peer.rest() == ([], 0)


def test_a_peer_that_does_not_read_holds_the_generator_back() -> None:
    pulled = [0]

    async def find(event: Any) -> AsyncIterator[DataSet]:
        text = "x" * 10_000
        for number in range(2_000):
            pulled[0] += 1
            yield DataSet.from_keywords(StudyInstanceUID=f"1.{number}", StudyComments=text)

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        with Peer.associated(endpoint.port, calling="OTHER") as other:
            peer.send(*find_pdus(1))
            assert peer.next_response()[0] == 0xFF00
            (info,) = (a for a in endpoint.associations() if a.calling_ae_title == "PEER")
            record = endpoint.ref.ask(GetKernel(), timeout=LIMIT).connection(info.id)
            while pulled[0] < 2_000 and not record.has_output:
                assert other.echo() == 0
            assert pulled[0] < 2_000
            matches, status = peer.rest()
            assert (len(matches), status, pulled[0]) == (1_999, 0, 2_000)


@pytest.mark.parametrize("stop_at", [None, 20], ids=["streaming", "waiting"])
@pytest.mark.parametrize("end", ["cancel", "reset", "abort"])
def test_a_generator_is_closed_when_nobody_wants_more(stop_at: int | None, end: str) -> None:
    source = Source(stop_at=stop_at)
    with running({"cfind": source}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        for _ in range(10):
            assert peer.next_response()[0] == 0xFF00
        if stop_at is not None:
            assert source.waits.wait(LIMIT)
        if end == "cancel":
            peer.send(*cancel_pdus(99))  # nobody's
            peer.send(*cancel_pdus(1))
            assert peer.rest()[1] == 0xFE00
            assert peer.echo(2) == 0
        elif end == "reset":
            peer.reset()
        else:
            (association,) = endpoint.associations()
            endpoint.ref.ask(messages.AbortAssociation(association.id), timeout=LIMIT)
        assert source.end() in ({"cancelled"} if stop_at else {"closed", "cancelled"})
        if end == "reset":
            endpoint.wait_for(events.AssociationClosed)
            assert_healthy(endpoint.ref, associations=0)


def test_a_generator_that_will_not_be_cancelled_is_closed_at_its_next_match() -> None:
    closed = threading.Event()
    waits = threading.Event()

    async def find(event: Any) -> AsyncIterator[DataSet]:
        try:
            yield STEP
            try:
                waits.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                yield STEP
        finally:
            closed.set()

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        assert peer.next_response()[0] == 0xFF00
        assert waits.wait(LIMIT)
        peer.send(*cancel_pdus(1))
        assert peer.rest()[1] == 0xFE00
        assert closed.wait(LIMIT)


def test_a_crash_of_the_association_loses_no_match() -> None:
    gate = Gate()

    async def find(event: Any) -> AsyncIterator[DataSet]:
        for match in studies(5):
            yield match
        await asyncio.to_thread(gate)
        for match in studies(5):
            yield match

    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        gate.wait_until_entered()
        crash_at(endpoint.ref, "association.command")
        peer.send(*echo_pdus(2))
        endpoint.wait_for(events.ActorRestarted)
        gate.release()
        matches, status = peer.rest()
        assert (len(matches), status) == (10, 0)


def test_instances_come_from_an_async_generator() -> None:
    closed = threading.Event()

    async def get(event: Any) -> AsyncIterator[DataSet]:
        try:
            for number in range(10):
                await asyncio.sleep(0)
                yield DataSet.from_keywords(SOPClassUID=CT_IMAGE, SOPInstanceUID=f"1.2.{number}")
            await asyncio.Event().wait()
        finally:
            closed.set()

    with running({"cget": get}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as association:
            instances = association.get(QUERY, sop_classes=[CT_IMAGE])
            assert [next(instances).SOPInstanceUID for _ in range(10)] == [
                f"1.2.{number}" for number in range(10)
            ]
            instances.cancel()
            assert list(instances) == []
            assert instances.status == 0xFE00
            assert instances.progress is not None
            assert instances.progress.completed == 10
            assert closed.wait(LIMIT)


# --- coroutines that are not wanted any more ---------------------------------------------------


def test_a_cancelled_query_cancels_its_coroutine() -> None:
    find = Waiting()
    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        find.wait_until_begun()
        peer.send(*cancel_pdus(1), *cancel_pdus(1))
        assert peer.rest() == ([], 0xFE00)
        assert find.end() == "cancelled"
        assert peer.echo(2) == 0


def test_a_coroutine_may_answer_its_cancellation() -> None:
    async def find(event: Any) -> int:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        assert event.is_cancelled
        return 0xA700

    begun = threading.Event()
    with running({"cfind": find}) as endpoint, Finder.at(endpoint.port) as peer:
        peer.send(*find_pdus(1))
        assert begun.wait(LIMIT)
        peer.send(*cancel_pdus(1))
        assert peer.rest() == ([], 0xA700)


def test_a_store_has_no_cancel() -> None:
    store = Waiting()
    with running({"cstore": store}) as endpoint, Finder(endpoint.port) as peer:
        peer.associate()
        peer.send(*store_pdus(b"", 1))
        store.wait_until_begun()
        peer.send(*cancel_pdus(1))
        peer.send(*echo_pdus(2))
        store.release()
        assert peer.status() == 0xB000
        assert peer.status() == 0
        assert store.end() == "released"


@pytest.mark.parametrize("end", ["reset", "abort"])
def test_the_end_of_an_association_cancels_its_coroutine_and_no_other(end: str) -> None:
    store = Waiting()
    with running({"cstore": store}) as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(*store_pdus(b"", 1))
        store.wait_until_begun()
        with Peer.associated(endpoint.port, calling="OTHER") as other:
            other.send(*store_pdus(b"", 1))
            store.wait_until_begun()
            if end == "reset":
                peer.reset()
            else:
                (association,) = (
                    a for a in endpoint.associations() if a.calling_ae_title == "PEER"
                )
                endpoint.ref.ask(messages.AbortAssociation(association.id), timeout=LIMIT)
                peer.expect_abort(0, 0)
                peer.close()
            assert store.end() == "cancelled"
            endpoint.wait_for(events.AssociationClosed)
            store.release()
            assert other.status() == 0xB000
            assert store.end() == "released"


def test_a_late_coroutine_is_cancelled_and_its_handler_lives_on() -> None:
    store = Waiting()
    settings = {"handler_timeout": 60.0, "handler_grace": 5.0}
    with besieged({"cstore": store}, **settings) as siege, siege.associated() as peer:
        for number in (1, 2):
            for pdu in store_pdus(b"", number):
                peer.send(pdu)
            store.wait_until_begun()
            siege.sync(f"association {siege.record().id}")
            siege.clock.advance(60.0)
            assert status_of(peer.receive()) == (number, 0x0110)
            assert store.end() == "cancelled"
        assert siege.endpoint.status().disowned_handlers == 0


def test_a_late_generator_is_cancelled_and_the_query_fails() -> None:
    source = Source(stop_at=20)
    settings = {"handler_timeout": 60.0, "handler_grace": 5.0}
    with besieged({"cfind": source}, **settings) as siege, Finder.at(siege.port) as peer:
        peer.send(*find_pdus(1))
        assert all(peer.next_response()[0] == 0xFF00 for _ in range(19))
        assert source.waits.wait(LIMIT)
        siege.sync(f"association {siege.record().id}")
        siege.clock.advance(60.0)
        response = peer.response()
        assert response.status == 0x0110
        assert response.elements.ErrorComment == "the handler did not return in time"
        assert source.end() == "cancelled"
        assert peer.echo(2) == 0


def test_a_late_validator_rejects() -> None:
    validate = Waiting()
    with besieged(None, handler_timeout=60.0) as siege:
        siege.endpoint.ref.ask(
            messages.SetHandlers({"association_validator": validate}), timeout=LIMIT
        )
        with siege.connect() as peer:
            peer.send(wire_associate_rq())
            validate.wait_until_begun()
            siege.sync(f"association {siege.record().id}")
            siege.clock.advance(60.0)
            answer = peer.receive()
            assert (answer.result, answer.source, answer.reason) == (2, 2, 1)  # type: ignore[union-attr]
            assert validate.end() == "cancelled"
        siege.endpoint.ref.ask(messages.SetHandlers({}), timeout=LIMIT)


def test_a_coroutine_that_ignores_its_cancellation_holds_no_thread() -> None:
    released: Any = None
    begun, ignored = threading.Event(), threading.Event()

    async def store(event: Any) -> int:
        nonlocal released
        waiting = asyncio.Event()
        loop = asyncio.get_running_loop()
        released = lambda: loop.call_soon_threadsafe(waiting.set)  # noqa: E731
        begun.set()
        while not waiting.is_set():
            try:
                await waiting.wait()
            except asyncio.CancelledError:
                ignored.set()
        return 0

    settings = {"handler_timeout": 60.0, "handler_grace": 5.0}
    with besieged({"cstore": store}, **settings) as siege, siege.associated() as peer:
        for pdu in store_pdus(b"", 1):
            peer.send(pdu)
        assert begun.wait(LIMIT)
        number = siege.record().id
        siege.sync(f"association {number}")
        siege.clock.advance(60.0)
        assert ignored.wait(LIMIT)
        siege.sync(f"association {number}")
        siege.clock.advance(5.0)
        assert status_of(peer.receive()) == (1, 0x0110)
        siege.until(lambda: siege.endpoint.status().disowned_handlers == 0)
        released()


def test_a_coroutine_that_blocks_the_loop_blocks_no_later_one() -> None:
    gate = Gate()

    async def store(event: Any) -> int:
        if event.message_id == 1:
            gate()
        return 0xB000

    settings = {"handler_timeout": 60.0, "handler_grace": 5.0}
    with besieged({"cstore": store}, **settings) as siege, siege.associated() as peer:
        for pdu in store_pdus(b"", 1):
            peer.send(pdu)
        gate.wait_until_entered()
        number = siege.record().id
        siege.sync(f"association {number}")
        siege.clock.advance(60.0)
        siege.until(lambda: siege.record()._cancelled)
        siege.sync(f"association {number}")
        siege.clock.advance(5.0)
        assert status_of(peer.receive()) == (1, 0x0110)
        for pdu in store_pdus(b"", 2):
            peer.send(pdu)
        assert status_of(peer.receive()) == (2, 0xB000)
        siege.until(lambda: siege.endpoint.status().disowned_handlers == 1)
        gate.release()
        siege.until(lambda: siege.endpoint.status().disowned_handlers == 0)


async def stop_the_loop() -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.stop)


async def cancel_all_tasks() -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def exit_in_a_task() -> None:
    async def leave() -> None:
        raise SystemExit

    asyncio.create_task(leave())  # noqa: RUF006 - it ends at once


@pytest.mark.parametrize("end", [stop_the_loop, cancel_all_tasks, exit_in_a_task])
def test_a_coroutine_that_ends_the_loop_ends_no_other(end: Any) -> None:
    async def echo(event: Any) -> Any:
        if event.message_id % 2:
            await end()
        else:
            await asyncio.sleep(0)
        return Status.SUCCESS

    with running({"cecho": echo}) as endpoint, Peer.associated(endpoint.port) as peer:
        for message_id in range(1, 7):
            assert peer.echo(message_id=message_id) == Status.SUCCESS
        assert_healthy(endpoint.ref)


def test_a_killed_handler_cancels_its_coroutine() -> None:
    store = Waiting()
    with running({"cstore": store}) as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(*store_pdus(b"", 1))
        store.wait_until_begun()
        (association,) = endpoint.associations()
        record = endpoint.ref.ask(GetKernel(), timeout=LIMIT).connection(association.id)
        until(lambda: record.handlers)
        kill(record.handlers[0])
        assert peer.status() == 0x0110
        assert store.end() == "cancelled"


def test_an_endpoint_that_stops_cancels_its_coroutines() -> None:
    store = Waiting()
    with running({"cstore": store}) as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(*store_pdus(b"", 1))
        store.wait_until_begun()
        endpoint.ref.stop(timeout=LIMIT)
        assert store.end() == "cancelled"
        peer.expect_abort(0, 0)


def test_an_endpoint_stops_although_a_coroutine_blocks_its_loop() -> None:
    gate = Gate()

    async def store(event: Any) -> None:
        gate()

    with running({"cstore": store}, handler_grace=0.1) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            peer.send(*store_pdus(b"", 1))
            gate.wait_until_entered()
            endpoint.ref.stop(timeout=LIMIT)
            peer.expect_abort(0, 0)
            gate.release()


def test_an_endpoint_that_stops_cancels_what_coroutines_left_running() -> None:
    ends: queue.SimpleQueue[str] = queue.SimpleQueue()
    kept: set[Any] = set()

    async def for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.put("ended")

    async def store(event: Any) -> None:
        kept.add(asyncio.create_task(for_ever()))
        await asyncio.sleep(0)

    with running({"cstore": store}) as endpoint, Peer.associated(endpoint.port) as peer:
        assert peer.store(b"") == 0
        assert ends.empty()
        endpoint.ref.stop(timeout=LIMIT)
        assert ends.get(timeout=LIMIT) == "ended"


# --- many, and on the host's loop --------------------------------------------------------------


def test_many_associations_share_one_loop() -> None:
    count = 30
    threads: set[str] = set()

    def handlers() -> dict[str, Any]:
        everybody: Any = None
        here = 0

        async def store(event: Any) -> int:
            nonlocal everybody, here
            if everybody is None:
                everybody = asyncio.Event()
            threads.add(threading.current_thread().name)
            here += 1
            if here == count:  # none of them returns before all have begun
                everybody.set()
            await everybody.wait()
            return 0xB000

        return {"cstore": store}

    with running(handlers()) as endpoint, contextlib.ExitStack() as stack:
        peers = [
            stack.enter_context(Peer.associated(endpoint.port, calling=f"PEER{n}"))
            for n in range(count)
        ]
        for peer in peers:
            peer.send(*store_pdus(b"", 1))
        assert [peer.status() for peer in peers] == [0xB000] * count
        assert len(threads) == 1


def test_coroutines_run_on_the_loop_of_the_host_application() -> None:
    seen: list[Any] = []

    async def store(event: Any) -> None:
        seen.append(asyncio.get_running_loop())

    async def find(event: Any) -> AsyncIterator[DataSet]:
        seen.append(asyncio.get_running_loop())
        yield STEP

    with host_loop() as loop:
        with running({"cstore": store, "cfind": find}, event_loop=loop) as endpoint:
            with Peer.associated(endpoint.port) as peer:
                assert peer.store(b"") == 0
            with Finder.at(endpoint.port) as finder:
                finder.send(*find_pdus(1))
                assert finder.rest() == ([STEP], 0)
        assert seen == [loop, loop]
        assert loop.is_running()


def test_a_host_may_stop_the_endpoint_on_its_loop_while_a_coroutine_runs() -> None:
    """Its loop stands still meanwhile, so that nothing may wait for the coroutine."""
    store = Waiting()

    async def stop(ref: Any) -> None:
        ref.stop(timeout=LIMIT)

    with host_loop() as loop:
        with running({"cstore": store}, event_loop=loop) as endpoint:
            with Peer.associated(endpoint.port) as peer:
                peer.send(*store_pdus(b"", 1))
                store.wait_until_begun()
                stopping = asyncio.run_coroutine_threadsafe(stop(endpoint.ref), loop)
                peer.expect_abort(0, 0)
                stopping.result(LIMIT)
                assert store.end() == "cancelled"


def test_a_loop_of_the_host_that_is_closed_fails_requests_and_no_more() -> None:
    async def store(event: Any) -> None:
        return None

    async def find(event: Any) -> AsyncIterator[DataSet]:
        yield STEP

    loop = asyncio.new_event_loop()
    loop.close()
    with running({"cstore": store, "cfind": find}, event_loop=loop) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            assert peer.store(b"") == 0x0110
            assert peer.echo(2) == 0
        with Finder.at(endpoint.port) as finder:
            finder.send(*find_pdus(1))
            assert finder.rest() == ([], 0x0110)


def test_what_is_no_event_loop_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="event_loop: expected"):
        Endpoint.start(0, event_loop="loop")  # type: ignore[arg-type]
