"""A handler that fails on chosen calls, by itself and in an endpoint."""

from __future__ import annotations

import threading

import pytest
from kit import wire
from kit.endpoints import running
from kit.peer import Peer, store_pdus

from dicom_actors import DataSet
from dicom_actors.testing import Fault, FaultyHandler, assert_healthy

pytestmark = pytest.mark.usefixtures("nothing_left")

DATA = wire.DATA_SET


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (Fault.RAISE, RuntimeError),
        (Fault.EXIT, SystemExit),
        (Fault.INTERRUPT, KeyboardInterrupt),
        (Fault.MEMORY, MemoryError),
        (Fault.RECURSE, RecursionError),
        (ValueError("mine"), ValueError),
    ],
)
def test_it_raises_on_the_chosen_call_only(fault: Fault, raised: type[BaseException]) -> None:
    seen = []
    handler = FaultyHandler(lambda event: seen.append(event) or 7, faults={2: fault})
    assert handler("a") == 7
    with pytest.raises(raised):
        handler("b")
    assert handler("c") == 7
    assert seen == ["a", "c"]
    assert handler.calls == 3


def test_it_returns_nonsense() -> None:
    result = FaultyHandler(faults={1: Fault.NONSENSE})("a")
    assert not isinstance(result, int | str | DataSet | None)


def test_without_handler_it_does_nothing() -> None:
    assert FaultyHandler()("a") is None


def test_the_faults_may_be_computed() -> None:
    handler = FaultyHandler(faults=lambda number: Fault.RAISE if number % 2 else None)
    with pytest.raises(RuntimeError, match="call 1"):
        handler("a")
    assert handler("b") is None


def test_it_hangs_until_it_is_released_and_then_does_its_work() -> None:
    results: list[object] = []
    with FaultyHandler(str.upper, faults=dict.fromkeys((1, 2, 3), Fault.HANG)) as handler:
        threads = [threading.Thread(target=lambda: results.append(handler("x"))) for _ in "ab"]
        for thread in threads:
            thread.start()
        handler.wait_until_hanging(2)
        assert handler.hanging == 2
        assert results == []
        with pytest.raises(TimeoutError, match="expected 3 hanging calls, got 2"):
            handler.wait_until_hanging(3, timeout=0)
    for thread in threads:
        thread.join(10)
    assert results == ["X", "X"]
    assert handler.hanging == 0
    assert handler("y") == "Y"


def test_it_can_be_released_for_now_and_hang_again() -> None:
    with FaultyHandler(faults=lambda number: Fault.HANG) as handler:
        threads = [threading.Thread(target=handler, args=("x",)) for _ in range(2)]
        threads[0].start()
        handler.wait_until_hanging()
        handler.release(for_good=False)
        threads[0].join(10)
        threads[1].start()
        handler.wait_until_hanging()
    threads[1].join(10)
    assert handler.hanging == 0


def test_an_endpoint_answers_every_fault_with_a_failure_and_goes_on() -> None:
    faults = [f for f in Fault if f is not Fault.HANG]
    handler = FaultyHandler(faults=dict(enumerate(faults, 1)))
    with running({"cstore": handler}) as endpoint, Peer.associated(endpoint.port) as peer:
        for number, fault in enumerate(faults, 1):
            peer.send(*store_pdus(DATA, number))
            assert peer.status() == 0x0110, fault
        assert peer.store(DATA) == 0
        assert_healthy(endpoint.ref, associations=1)
