"""Timers and clocks."""

from __future__ import annotations

import threading
import weakref

import pykka
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from supervision.kit import LIMIT, Journal, Stub, Worker, end_stub, raise_error

from dicom_actors.supervision import ManualClock, Reply, System, SystemClock, TimerService


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def timers(clock):
    return TimerService(clock)


def test_a_timer_comes_at_its_time_and_not_before(clock, timers):
    seen = []
    timer = timers.send_after(2.0, seen.append, "message")
    assert timer.due == clock.monotonic() + 2.0
    assert timer.is_pending
    clock.advance(1.999)
    assert seen == []
    clock.advance(0.001)
    assert seen == ["message"]
    assert not timer.is_pending
    clock.advance(100)
    assert seen == ["message"]


def test_an_actor_gets_it_in_its_turn(system, gates):
    gate = gates()
    journal = Journal()
    ref = Worker.start(journal=journal, system=system)
    ref.tell(gate)
    gate.wait_entered()
    ref.tell("before")
    system.timers.send_after(1.0, ref, "timer")
    system.advance(1.0)
    ref.tell("after")
    gate.release()
    ref.ask("sync", timeout=LIMIT)
    messages = [entry[1] for entry in journal.entries]
    assert messages == ["start", "before", "timer", "after"]


def test_recipients_that_cannot_have_it_harm_nobody(clock, system, caplog):
    timers = TimerService(clock, system.log)
    dead = Worker.start(system=system)
    dead.stop()
    plain = pykka.ThreadingActor.start()
    plain.stop()
    answered = pykka.ThreadingFuture()
    answered.set("before")
    seen = []
    for recipient in (dead, plain, answered, raise_error, seen.append):
        timers.send_after(1.0, recipient, "message")
    clock.advance(1.0)
    assert seen == ["message"]
    assert answered.get() == "before"
    assert system.log.flush(LIMIT)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_future_gets_it_as_its_value(clock, timers):
    future = Reply()
    timers.send_after(1.0, future, "message")
    clock.advance(1.0)
    assert future.get(timeout=0) == "message"


def test_cancel(clock, timers):
    seen = []
    timer = timers.send_after(1.0, seen.append, "message")
    assert timer.cancel()
    assert not timer.cancel()
    clock.advance(2.0)
    sent = timers.send_after(1.0, seen.append, "sent")
    clock.advance(1.0)
    assert not sent.cancel()
    assert seen == ["sent"]


def test_cancelled_timers_do_not_pile_up(timers):
    for _ in range(10_000):
        timers.send_after(3600.0, print, "never").cancel()
    assert len(timers._heap) < 200
    assert timers.pending() == 0


def test_timers_for_the_dead_do_not_pile_up(system):
    """As when a child that sets a timer is restarted again and again."""
    ref = Worker.start(system=system)
    kept = [system.timers.send_after(3600.0, ref, "wanted") for _ in range(10)]
    for _ in range(2_000):
        dead = Stub.start(system=system)
        system.timers.send_after(3600.0, dead, "never")
        end_stub(dead)
    assert len(system.timers._heap) < 200
    assert all(timer.is_pending for timer in kept)
    future = Reply()
    system.timers.send_after(3600.0, future, "wanted, too")
    system.advance(3600.0)
    assert future.get(timeout=0) == "wanted, too"


def test_many_timers_that_are_wanted_are_kept(clock, timers):
    seen = []
    for number in range(1_000):
        timers.send_after(1.0 + number, seen.append, number)
    assert timers.pending() == 1_000
    clock.advance(1_000.0)
    assert seen == list(range(1_000))


def test_a_clock_keeps_no_service_alive(clock):
    services = [TimerService(clock) for _ in range(3)]
    seen = []
    for number, service in enumerate(services):
        service.send_after(1.0, seen.append, number)
    del service
    services[1].close()
    freed = weakref.ref(services.pop(1))
    assert freed() is None
    clock.advance(1.0)
    assert seen == [0, 2]


@settings.get_profile("supervision")
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30), st.data())
def test_timers_come_in_the_order_of_their_times(entries, data):
    clock = ManualClock()
    timers = TimerService(clock)
    seen = []
    made = []
    for number, (seconds, is_cancelled) in enumerate(entries):
        made.append(
            (seconds, number, is_cancelled, timers.send_after(seconds, seen.append, number))
        )
    for _, _, is_cancelled, timer in made:
        if is_cancelled:
            timer.cancel()
    while clock.monotonic() < 1006.0:
        clock.advance(data.draw(st.sampled_from([0.5, 1.0, 2.0])))
    expected = sorted((s, n) for s, n, is_cancelled, _ in made if not is_cancelled)
    assert seen == [n for _, n in expected]


def test_a_timer_set_by_a_timer_comes_in_the_same_advance(clock, timers):
    seen = []

    def again(message):
        seen.append((clock.monotonic(), message))
        if len(seen) < 3:
            timers.send_after(1.0, again, message)

    timers.send_after(1.0, again, "tick")
    clock.advance(5.0)
    assert seen == [(1001.0, "tick"), (1002.0, "tick"), (1003.0, "tick")]
    assert clock.monotonic() == 1005.0


def test_two_services_on_one_clock(clock):
    seen = []
    one, two = TimerService(clock), TimerService(clock)
    one.send_after(2.0, seen.append, "2")
    two.send_after(1.0, seen.append, "1")
    two.send_after(3.0, seen.append, "3")
    clock.advance(3.0)
    assert seen == ["1", "2", "3"]


def test_time_does_not_go_back(clock):
    with pytest.raises(ValueError, match="seconds"):
        clock.advance(-1)


def test_the_systems_clock_sends_by_one_thread_that_close_ends():
    timers = TimerService(SystemClock())
    before = set(threading.enumerate())
    late, soon, now = Reply(), Reply(), Reply()
    far = timers.send_after(1e12, late, "never")
    timers.send_after(0.01, soon, "soon")
    timers.send_after(0, now, "now")
    assert now.get(timeout=LIMIT) == "now"
    assert soon.get(timeout=LIMIT) == "soon"
    assert [t.name for t in set(threading.enumerate()) - before] == ["supervision-timers"]
    assert far.is_pending
    timers.close()
    assert not timers.send_after(0, late, "too late").is_pending
    assert not late.is_done


def test_a_thread_is_started_only_for_a_timer():
    before = set(threading.enumerate())
    system = System()
    assert set(threading.enumerate()) == before
    system.close()
