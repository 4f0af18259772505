"""How many Associations are at work at a time, and that none waits for one that hangs."""

from __future__ import annotations

import contextlib
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from kit.endpoints import LIMIT, Running, running
from kit.waiting import until

from dicom_actors import connect
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.actors.kernel.turns import Turns
from dicom_actors.actors.kernel.watch import TICK_SECONDS, Watch
from dicom_actors.errors import DicomError
from dicom_actors.testing import CRASH_POINTS, crash_at

pytestmark = pytest.mark.usefixtures("nothing_left")


def is_free(turns: Turns) -> bool:
    """Whether somebody would get a turn at once."""
    turns.take("who looks", 0)  # type: ignore[arg-type]
    has_one = ("who looks", 0) in turns._taken
    turns.give_back("who looks", 0)  # type: ignore[arg-type]
    return has_one


def turns_of(endpoint: Running) -> Turns:
    """The turns of an endpoint."""
    return endpoint.ref.ask(GetKernel(), timeout=LIMIT).watch.turns  # type: ignore[no-any-return]


def all_are_free(turns: Turns) -> bool:
    """Whether nobody has a turn, and none was lost or made."""
    return not turns._taken and turns._free.qsize() == Turns()._free.qsize()


def test_so_many_have_a_turn_and_no_more() -> None:
    turns = Turns(2, patience=0.0)
    turns.take("a", 1)  # type: ignore[arg-type]
    assert is_free(turns)
    turns.take("b", 1)  # type: ignore[arg-type]
    assert not is_free(turns)
    turns.give_back("a", 1)  # type: ignore[arg-type]
    assert is_free(turns)


def test_a_turn_comes_back_once() -> None:
    turns = Turns(1, patience=0.0)
    turns.take("a", 1)  # type: ignore[arg-type]
    turns.take("b", 1)  # type: ignore[arg-type]  # which got none, and goes on
    turns.give_back("b", 1)  # type: ignore[arg-type]
    assert not is_free(turns)
    turns.give_back("a", 1)  # type: ignore[arg-type]
    turns.give_back("a", 1)  # type: ignore[arg-type]
    turns.take("c", 1)  # type: ignore[arg-type]
    assert not is_free(turns)


def test_who_waits_is_woken() -> None:
    turns = Turns(1, patience=LIMIT)
    turns.take("a", 1)  # type: ignore[arg-type]
    has_begun = threading.Event()

    def wait() -> None:
        has_begun.set()
        turns.take("b", 1)  # type: ignore[arg-type]

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        assert has_begun.wait(LIMIT)
        assert not waiting.done()
        turns.give_back("a", 1)  # type: ignore[arg-type]
        waiting.result(LIMIT)
    assert ("b", 1) in turns._taken


@pytest.mark.parametrize("is_writing", [False, True])
def test_who_takes_long_loses_it(is_writing: bool) -> None:
    watch = Watch()
    watch.turns = turns = Turns(1, patience=0.0)
    turns.take("a", 1)  # type: ignore[arg-type]
    watch.begin("a", 1, is_writing=is_writing)  # type: ignore[arg-type]
    watch.tick()
    assert not is_free(turns)
    watch.tick()
    assert is_free(turns)
    watch.close()


def test_who_says_that_it_waits_gives_it_back() -> None:
    watch = Watch()
    watch.turns = turns = Turns(1, patience=0.0)
    turns.take("a", 1)  # type: ignore[arg-type]
    watch.begin("a", 1)  # type: ignore[arg-type]
    watch.extend("a", 1, 10 * TICK_SECONDS)  # type: ignore[arg-type]
    assert is_free(turns)
    watch.close()


def test_handlers_that_hang_have_none() -> None:
    """More than there are turns hang, and an echo is answered as ever."""
    gate, hanging = threading.Event(), queue.SimpleQueue[None]()

    def echo(event) -> None:
        if event.calling_ae_title == "HANGS":
            hanging.put(None)
            gate.wait(LIMIT)

    count = 12
    with running({"cecho": echo}) as endpoint, ThreadPoolExecutor(count) as pool:

        def hang() -> None:
            with connect("127.0.0.1", endpoint.port, calling="HANGS") as association:
                association.echo()

        hung = [pool.submit(hang) for _ in range(count)]
        for _ in range(count):
            hanging.get(timeout=LIMIT)
        with connect("127.0.0.1", endpoint.port) as association:
            association.echo()
            assert not any(one.done() for one in hung)
        gate.set()
        for one in hung:
            one.result(LIMIT)
        turns = turns_of(endpoint)
    assert all_are_free(turns)


@pytest.mark.parametrize("point", sorted(p for p in CRASH_POINTS if p.startswith("association.")))
def test_a_crash_leaves_no_turn_behind(point: str) -> None:
    with running({"cecho": lambda _: None}) as endpoint:
        turns = turns_of(endpoint)
        with (
            crash_at(endpoint.ref, point),
            contextlib.suppress(DicomError),
            connect("127.0.0.1", endpoint.port) as association,
        ):
            association.echo()
        with connect("127.0.0.1", endpoint.port) as association:
            association.echo()
    assert all_are_free(turns)


class Record:
    """As much of a connection's as is needed."""

    without_turn = 0


class Clocks:
    """Real time, and what a thread has computed."""

    def __init__(self) -> None:
        self.real = self.computed = 0.0

    def pass_time(self, real: float, computed: float) -> None:
        self.real += real
        self.computed += computed


@pytest.mark.parametrize(
    ("real", "computed", "has_waited"),
    [
        (0.008, 0.0001, True),
        (0.008, 0.002, False),  # which waited for the interpreter at the most
        (0.001, 0.0, False),  # not worth it
        (1.0, 0.9, False),
    ],
)
def test_where_a_handler_waited_the_next_have_no_turn(
    real: float, computed: float, has_waited: bool
) -> None:
    clocks = Clocks()
    turns = Turns(1, 0.0, lambda: clocks.real, lambda: clocks.computed)
    record = Record()
    had_turn = []
    for _ in range(20):
        turns.take(record, 1)
        begun = turns.begin_handler(record, 1)
        had_turn.append(not is_free(turns))
        clocks.pass_time(*((real, computed) if had_turn[-1] else (0.008, 0.0005)))
        turns.end_handler(record, begun)
        turns.give_back(record, 1)

    # Those that have none may have waited for the interpreter: it is seen again by one that has.
    assert had_turn[0]
    assert had_turn[1] is not has_waited
    assert had_turn.count(True) == (2 if has_waited else 20)


def test_handlers_that_wait_again_and_again_have_none() -> None:
    gate: queue.SimpleQueue[None] = queue.SimpleQueue()
    had_turn: list[bool] = []

    def echo(event) -> None:
        had_turn.append(any(record.id == event.association_id for record, _ in turns._taken))
        gate.get(timeout=LIMIT)

    with running({"cecho": echo}) as endpoint, ThreadPoolExecutor(1) as pool:
        turns = turns_of(endpoint)
        with connect("127.0.0.1", endpoint.port) as association:
            echoed = pool.submit(association.echo)
            until(lambda: has_child(endpoint, "handler of connection 1"))  # it is relieved
            gate.put(None)
            echoed.result(LIMIT)
            for _ in range(3):
                gate.put(None)
                association.echo()
    assert had_turn == [True, False, False, False]
    assert all_are_free(turns)


def has_child(endpoint: Running, name: str) -> bool:
    """Whether the tree has it."""
    with contextlib.suppress(AssertionError):
        return endpoint.child(name) is not None
    return False
