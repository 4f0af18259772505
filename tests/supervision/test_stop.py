"""How children are ended (P18 to P22)."""

from __future__ import annotations

from functools import partial

import pytest
from supervision.kit import (
    DEATHS,
    LIMIT,
    child,
    down_of,
    end,
    raise_error,
    sync,
    thread_of,
    wait_until_left,
    watch,
    worker,
)

from dicom_actors.supervision import (
    BRUTAL_KILL,
    INFINITY,
    ChildSpec,
    ChildType,
    DynamicSupervisor,
    ExitReason,
    Restart,
    Supervisor,
    count_children,
    demonitor,
    monitor,
    start_child,
    which_children,
)
from dicom_actors.supervision.children import Administer


def terminating(supervisor, child_id):
    """The future of a request to end a child."""
    return supervisor.ask(Administer("terminate_child", child_id), block=False)


def test_p18_children_end_in_reverse_order_one_by_one(system, journal, gates):
    gate = gates()
    supervisor = Supervisor.start(
        [
            worker("1", journal=journal),
            worker("2", journal=journal),
            worker("3", journal=journal, at_end=gate),
        ],
        system=system,
    )
    second = child(supervisor, "2")
    stopped = supervisor.stop(block=False)
    gate.wait_entered()
    journal.clear()
    second.ask(None, timeout=LIMIT)  # nobody has asked it to end: it still answers
    assert journal.entries == []
    gate.release()
    assert stopped.get(timeout=LIMIT)
    assert journal.entries == [("2", "stop"), ("1", "stop")]


@pytest.mark.parametrize("kind", [Supervisor, DynamicSupervisor])
def test_p19_a_child_is_killed_after_its_time_and_not_before(system, gates, kind):
    gate = gates()
    supervisor = kind.start(system=system)
    spec = worker("a", at_end=gate, spec={"shutdown": 30.0})
    ref = start_child(supervisor, spec)
    down = watch(ref)
    ended = terminating(supervisor, "a" if kind is Supervisor else ref)
    gate.wait_entered()
    system.advance(29.999)
    assert ref.is_alive()
    assert not ended.is_done
    system.advance(0.001)
    assert down_of(down).reason == ExitReason.KILLED
    ended.get(timeout=LIMIT)
    assert system.reports() == [("shutdown error", "a", "killed", 0)]


def test_p19_a_child_that_ends_in_time_has_reason_shutdown(system):
    supervisor = Supervisor.start([worker("a")], system=system)
    down = watch(child(supervisor, "a"))
    supervisor.stop()
    assert down_of(down).reason == ExitReason.SHUTDOWN
    assert system.reports() == []
    assert system.timers.pending() == 0


def test_p20_brutal_kill_runs_no_cleanup(system, journal):
    spec = worker("a", journal=journal, spec={"shutdown": BRUTAL_KILL})
    supervisor = Supervisor.start([spec], system=system)
    ref = child(supervisor, "a")
    thread, down = thread_of(ref), watch(ref)
    supervisor.stop()
    assert down_of(down).reason == ExitReason.KILLED
    wait_until_left(thread, ref)
    assert journal.entries == [("a", "start")]
    assert system.reports() == []  # as its spec says
    assert system.disowned == 0


def test_p20_infinity_waits_as_long_as_it_takes(system, gates):
    gate = gates()
    spec = worker("a", at_end=gate, spec={"shutdown": INFINITY})
    supervisor = Supervisor.start([spec], system=system)
    ref = child(supervisor, "a")
    stopped = supervisor.stop(block=False)
    gate.wait_entered()
    system.advance(86_400)
    assert ref.is_alive()
    assert not ref.actor_stopped.is_set()
    gate.release()
    assert stopped.get(timeout=LIMIT)
    assert ref.reason == ExitReason.SHUTDOWN


EXPECTED = {
    # whether the end of a child that died by itself meanwhile is reported: (permanent, others)
    "normal": (True, False),
    "shutdown": (False, False),
    "shutdown with detail": (True, False),
    "abnormal": (True, True),
    "killed": (True, True),
}


@pytest.mark.parametrize("restart", Restart)
@pytest.mark.parametrize("death", DEATHS)
def test_p21_exits_during_a_shutdown(system, gates, journal, restart, death):
    gate = gates()
    supervisor = Supervisor.start(
        [
            worker("early", journal=journal, spec={"restart": restart}),
            worker("late", at_end=gate),
        ],
        system=system,
    )
    early = child(supervisor, "early")
    stopped = supervisor.stop(block=False)
    gate.wait_entered()
    reason = end(early, death).reason
    gate.release()
    assert stopped.get(timeout=LIMIT)
    assert [entry for entry in journal.entries if entry[1] == "start"] == [("early", "start")]
    is_reported = EXPECTED[death][0 if restart is Restart.PERMANENT else 1]
    expected = [("shutdown error", "early", str(reason), 0)] if is_reported else []
    assert system.reports() == expected


@pytest.mark.parametrize("restart", Restart)
@pytest.mark.parametrize("death", DEATHS)
def test_p21_a_dynamic_child_that_dies_while_it_is_asked_to_end(system, gates, restart, death):
    gate = gates()
    supervisor = DynamicSupervisor.start(system=system)
    ref = start_child(supervisor, worker("a", spec={"restart": restart}))
    # it is busy with its own end when the request comes
    ref.tell(gate)
    gate.wait_entered()
    down = watch(ref)
    if death != "killed":
        ref.tell(lambda actor: None)
        queued = {
            "normal": lambda: ref.life.request_exit(ExitReason.NORMAL),
            "shutdown": lambda: ref.life.request_exit(ExitReason.SHUTDOWN),
            "shutdown with detail": lambda: ref.life.request_exit(ExitReason.shutdown("detail")),
            "abnormal": lambda: ref.life.request_exit(ExitReason.error("x")),
        }
        queued[death]()
    ended = terminating(supervisor, ref)
    sync(supervisor)
    if death == "killed":
        DEATHS["killed"](ref)
    gate.release()
    reason = down_of(down).reason
    ended.get(timeout=LIMIT)
    assert count_children(supervisor).specs == 0
    is_reported = EXPECTED[death][0 if restart is Restart.PERMANENT else 1]
    expected = [("shutdown error", "a", str(reason), 0)] if is_reported else []
    assert system.reports() == expected


def never_answers(supervisor, gate):
    child(supervisor, "a").ask(gate, block=False)


def refuses(supervisor, gate):
    """Hangs in its cleanup; the gate is its `at_end`."""


def hides(supervisor, gate):
    """Ends every monitor on itself that it can find."""

    def unlink(actor):
        demonitor(monitor(actor.actor_ref, lambda down: None))

    child(supervisor, "a").ask(unlink, timeout=LIMIT)


@pytest.mark.parametrize("trick", [never_answers, refuses, hides])
def test_p22_no_child_can_hang_its_supervisor(system, gates, trick):
    gate = gates()
    supervisor = Supervisor.start(
        [worker("a", at_end=gate, spec={"shutdown": 1.0}), worker("b")], system=system
    )
    trick(supervisor, gate)
    ended = terminating(supervisor, "a")
    gate.wait_entered()
    system.timers.wait_for_one_more()
    system.advance(1.0)
    ended.get(timeout=LIMIT)
    sync(supervisor)
    assert system.disowned == 1
    gate.release()


def test_p22_a_cleanup_that_raises_fools_nobody(system):
    spec = worker("a", at_end=raise_error)
    supervisor = Supervisor.start([spec], system=system)
    down = watch(child(supervisor, "a"))
    terminating(supervisor, "a").get(timeout=LIMIT)
    assert isinstance(down_of(down).reason.exception, ValueError)
    assert system.reports() == [("shutdown error", "a", "error: ValueError", 0)]


def test_a_subtree_gets_the_time_that_it_needs(system, gates):
    gate = gates()
    leaf = worker("leaf", at_end=gate, spec={"shutdown": 100.0})
    spec = ChildSpec("below", partial(Supervisor.start, [leaf]), type=ChildType.SUPERVISOR)
    top = Supervisor.start([spec], system=system)
    leaf_ref = child(child(top, "below"), "leaf")
    stopped = top.stop(block=False)
    gate.wait_entered()
    system.advance(99.0)
    assert leaf_ref.is_alive()
    gate.release()
    assert stopped.get(timeout=LIMIT)
    assert leaf_ref.reason == ExitReason.SHUTDOWN


def test_an_ended_child_leaves_no_timer(system):
    supervisor = DynamicSupervisor.start(system=system)
    ref = start_child(supervisor, worker("a", spec={"shutdown": 60.0}))
    terminating(supervisor, ref).get(timeout=LIMIT)
    assert system.timers.pending() == 0
    assert which_children(supervisor) == []
