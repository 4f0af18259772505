"""Circuit breakers: when a destination is worth another attempt."""

from __future__ import annotations

import threading

import pytest

from dicom_actors.actors.kernel import circuit_breakers
from dicom_actors.actors.kernel.circuit_breakers import CircuitBreakers
from dicom_actors.supervision import ManualClock


def made(failures: int | None = 3, pause: float = 30.0) -> tuple[CircuitBreakers, ManualClock]:
    clock = ManualClock()
    return CircuitBreakers(clock, failures, pause), clock


def fail(breakers: CircuitBreakers, times: int, destination: str = "A") -> None:
    for _ in range(times):
        assert breakers.begin(destination) == 0
        breakers.failed(destination)


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breakers, clock = made()
    fail(breakers, 2)
    assert breakers.begin("A") == 0
    breakers.succeeded("A")
    fail(breakers, 3)
    assert breakers.begin("A") == 30
    clock.advance(29)
    assert breakers.begin("A") == 1
    assert breakers.begin("B") == 0


def test_after_the_pause_one_attempt_is_made() -> None:
    breakers, clock = made()
    fail(breakers, 3)
    clock.advance(30)
    assert breakers.begin("A") == 0
    assert breakers.begin("A") == 30
    clock.advance(5)
    breakers.failed("A")
    assert breakers.begin("A") == 30
    clock.advance(30)
    assert breakers.begin("A") == 0
    breakers.succeeded("A")
    fail(breakers, 3)
    assert breakers.begin("A") == 30


def test_an_attempt_whose_end_is_never_told_blocks_nobody_for_ever() -> None:
    breakers, clock = made()
    fail(breakers, 3)
    clock.advance(30)
    assert breakers.begin("A") == 0
    clock.advance(30)
    assert breakers.begin("A") == 0


def test_without_a_number_none_ever_opens() -> None:
    breakers, _ = made(None)
    fail(breakers, 100)


def test_only_so_many_destinations_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breakers, "_MOST", 3)
    breakers, _ = made(1)
    for name in "ABC":
        fail(breakers, 1, name)
    breakers.failed("A")
    fail(breakers, 1, "D")
    assert [name for name in "ABCD" if breakers.begin(name)] == ["A", "C", "D"]


def test_threads_do_not_lose_each_other_s_failures() -> None:
    breakers, _ = made(1000)

    def fail_often() -> None:
        for _ in range(250):
            breakers.failed("A")

    threads = [threading.Thread(target=fail_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert breakers.begin("A") == 30
