"""The dynamic supervisor (P28 to P32) and what it has beyond OTP."""

from __future__ import annotations

from functools import partial

import pytest
from supervision.kit import (
    LIMIT,
    Journal,
    Script,
    Stub,
    Worker,
    child,
    down_of,
    end,
    end_stub,
    raise_error,
    sync,
    watch,
    worker,
)

from dicom_actors.supervision import (
    BRUTAL_KILL,
    IGNORE,
    INFINITY,
    ChildCounts,
    ChildNotFound,
    ChildSpec,
    ChildStartError,
    ChildState,
    DynamicSupervisor,
    ExitReason,
    MaxChildren,
    Restart,
    UnknownMessage,
    count_children,
    delete_child,
    get_childspec,
    kill,
    restart_child,
    start_child,
    terminate_child,
    which_children,
)
from dicom_actors.supervision.children import Administer

TEMPORARY = {"restart": Restart.TEMPORARY}


def starting(supervisor, spec):
    return supervisor.ask(Administer("start_child", spec), block=False)


def terminating(supervisor, ref):
    return supervisor.ask(Administer("terminate_child", ref), block=False)


def test_p28_children_are_known_by_reference(system):
    supervisor = DynamicSupervisor.start(system=system)
    spec = worker("same")
    refs = [start_child(supervisor, spec) for _ in range(3)]
    assert len(set(refs)) == 3
    assert [info.ref for info in which_children(supervisor)] == refs[::-1]
    assert get_childspec(supervisor, refs[0]) is spec
    terminate_child(supervisor, refs[1])
    assert count_children(supervisor) == ChildCounts(2, 2, 0, 2)
    for unknown in (refs[1], "same", []):
        with pytest.raises(ChildNotFound):
            terminate_child(supervisor, unknown)
    for operation in (restart_child, delete_child):
        with pytest.raises(UnknownMessage):
            operation(supervisor, refs[0])


def test_p28_thousands_come_and_go_and_leave_no_trace(system):
    supervisor = DynamicSupervisor.start(system=system)
    spec = ChildSpec("stub", (Stub, (), {}), restart=Restart.TEMPORARY)
    refs = [start_child(supervisor, spec) for _ in range(10_000)]
    assert count_children(supervisor) == ChildCounts(10_000, 10_000, 0, 10_000)
    for ref in refs[::2]:
        end_stub(ref)
    sync(supervisor)
    assert count_children(supervisor).specs == 5_000
    for ref in reversed(refs):
        end_stub(ref)
    sync(supervisor)
    assert count_children(supervisor) == ChildCounts(0, 0, 0, 0)
    assert supervisor.actor_inbox.qsize() == 0
    assert len(supervisor.life._dependents) == 0
    assert system.timers.pending() == 0


def test_p28_a_restarted_child_is_known_by_its_new_reference(system):
    supervisor = DynamicSupervisor.start(system=system)
    before = start_child(supervisor, worker("a"))
    end(before, "abnormal")
    sync(supervisor)
    after = child(supervisor, "a")
    with pytest.raises(ChildNotFound):
        terminate_child(supervisor, before)
    terminate_child(supervisor, after)
    assert count_children(supervisor).specs == 0


def test_p29_a_full_supervisor_refuses_at_once(system):
    supervisor = DynamicSupervisor.start(max_children=2, system=system)
    first = start_child(supervisor, worker("a", spec=TEMPORARY))
    start_child(supervisor, worker("b"))
    script = Script()
    with pytest.raises(MaxChildren, match="2"):
        start_child(supervisor, worker("c", script=script))
    assert script.starts == 0
    end(first, "normal")
    sync(supervisor)
    start_child(supervisor, worker("c", script=script))
    assert count_children(supervisor).active == 2


def test_p29_no_children_at_all(system):
    supervisor = DynamicSupervisor.start(max_children=0, system=system)
    with pytest.raises(MaxChildren):
        start_child(supervisor, worker("a"))


def test_p29_a_restarting_child_holds_its_place(system, gates):
    gate = gates()

    def attempt():
        gate()
        raise RuntimeError("not yet")

    supervisor = DynamicSupervisor.start(max_children=1, system=system)
    ref = start_child(supervisor, worker("a", script=Script("ok", attempt)))
    end(ref, "abnormal")
    gate.wait_entered()
    another = starting(supervisor, worker("b"))
    gate.release()
    with pytest.raises(MaxChildren):
        another.get(timeout=LIMIT)
    sync(supervisor)
    assert child(supervisor, "a").is_alive()


def test_p30_extra_arguments_go_first_on_every_start(system):
    seen = []

    class Records(Worker):
        def __init__(self, *args, **kwargs):
            super().__init__()
            seen.append((args, kwargs))

    supervisor = DynamicSupervisor.start(extra_arguments=("x", "y"), system=system)
    as_function = ChildSpec("function", Records.start)
    as_partial = ChildSpec("partial", partial(Records.start, 1, key=2))
    as_tuple = ChildSpec("tuple", (Records, (1,), {"key": 2}))
    for spec in (as_function, as_partial, as_tuple):
        ref = start_child(supervisor, spec)
        end(ref, "abnormal")
        sync(supervisor)
    with_key = (("x", "y", 1), {"key": 2})
    assert seen == [(("x", "y"), {})] * 2 + [with_key] * 4


def test_p31_start_child_waits_for_init(system, gates, journal):
    gate = gates()
    supervisor = DynamicSupervisor.start(system=system)
    started = starting(supervisor, worker("a", journal=journal, script=Script(gate)))
    gate.wait_entered()
    assert not started.is_done
    gate.release()
    assert started.get(timeout=LIMIT) is child(supervisor, "a")
    assert journal.entries == [("a", "start")]


@pytest.mark.parametrize("step", ["raise", "exit", "ignore"])
def test_p31_a_start_that_fails_leaves_nothing(system, step):
    supervisor = DynamicSupervisor.start(system=system)
    sibling = start_child(supervisor, worker("sibling"))
    spec = worker("a", script=Script(step))
    if step == "ignore":
        assert start_child(supervisor, spec) is IGNORE
    else:
        with pytest.raises(ChildStartError, match="'a'"):
            start_child(supervisor, spec)
    sync(supervisor)
    assert [info.ref for info in which_children(supervisor)] == [sibling]


def test_p31_a_constructor_that_raises_leaves_nothing(system):
    def fail(*args):
        raise SystemExit

    supervisor = DynamicSupervisor.start(system=system)
    with pytest.raises(ChildStartError):
        start_child(supervisor, ChildSpec("a", fail))
    assert count_children(supervisor).specs == 0


def test_p31_ignore_on_a_restart_drops_the_child(system):
    supervisor = DynamicSupervisor.start(system=system)
    ref = start_child(supervisor, worker("a", script=Script("ok", "ignore")))
    end(ref, "abnormal")
    sync(supervisor)
    assert count_children(supervisor).specs == 0


def test_p32_all_are_asked_before_any_is_awaited(system, gates):
    three = [gates() for _ in range(3)]
    supervisor = DynamicSupervisor.start(system=system)
    for number, gate in enumerate(three):
        start_child(supervisor, worker(str(number), at_end=gate))
    stopped = supervisor.stop(block=False)
    for gate in three:
        gate.wait_entered()
    for gate in three:
        gate.release()
    assert stopped.get(timeout=LIMIT)
    assert system.reports() == []


def test_p32_each_child_has_its_own_time_and_the_longest_counts(system, gates, journal):
    shutdowns = {"10": 10.0, "20": 20.0, "kill": BRUTAL_KILL, "infinity": INFINITY}
    hangs = {name: gates() for name in shutdowns}
    supervisor = DynamicSupervisor.start(system=system)
    refs = {
        name: start_child(supervisor, worker(name, at_end=hangs[name], spec={"shutdown": shutdown}))
        for name, shutdown in shutdowns.items()
    }
    downs = {name: watch(ref) for name, ref in refs.items()}
    stopped = supervisor.stop(block=False)
    assert down_of(downs["kill"]).reason == ExitReason.KILLED
    for name in ("10", "20", "infinity"):
        hangs[name].wait_entered()
    system.advance(9.999)
    assert refs["10"].is_alive()
    system.advance(0.001)
    assert down_of(downs["10"]).reason == ExitReason.KILLED
    assert refs["20"].is_alive()
    system.advance(10)
    assert down_of(downs["20"]).reason == ExitReason.KILLED
    system.advance(86_400)
    assert refs["infinity"].is_alive()
    hangs["infinity"].release()
    assert stopped.get(timeout=LIMIT)
    assert sorted(system.reports()) == [
        ("shutdown error", "10", "killed", 0),
        ("shutdown error", "20", "killed", 0),
    ]
    assert not hangs["kill"].entered.is_set()


# --- stopping one child holds up nothing ---------------------------------------------------


def test_terminate_child_does_not_block_the_supervisor(system, gates):
    gate = gates()
    supervisor = DynamicSupervisor.start(system=system)
    slow = start_child(supervisor, worker("slow", at_end=gate))
    first, second = terminating(supervisor, slow), terminating(supervisor, slow)
    gate.wait_entered()
    other = start_child(supervisor, worker("other"))
    terminate_child(supervisor, other, timeout=LIMIT)
    assert [info.state for info in which_children(supervisor)] == [ChildState.STOPPING]
    assert not first.is_done
    gate.release()
    for answer in (first, second):  # both wait until it is down
        answer.get(timeout=LIMIT)
        assert not slow.is_alive()
    assert count_children(supervisor).specs == 0


def test_a_stopping_child_that_hangs_is_killed_in_its_time(system, gates):
    gate = gates()
    supervisor = DynamicSupervisor.start(system=system)
    slow = start_child(supervisor, worker("slow", at_end=gate, spec={"shutdown": 8.0}))
    answer = terminating(supervisor, slow)
    gate.wait_entered()
    system.advance(5.0)
    stopped = supervisor.stop(block=False)  # asked again, its time does not begin again
    system.timers.wait_for_one_more()
    system.timers.wait_for_one_more()
    system.advance(2.999)
    assert slow.is_alive()
    system.advance(0.001)
    assert stopped.get(timeout=LIMIT)
    answer.get(timeout=LIMIT)
    assert system.reports() == [("shutdown error", "slow", "killed", 0)]
    assert system.disowned == 1


def test_callers_of_terminate_child_are_answered_when_the_supervisor_dies(system, gates):
    gate = gates()
    supervisor = DynamicSupervisor.start(system=system)
    slow = start_child(supervisor, worker("slow", at_end=gate))
    answer = terminating(supervisor, slow)
    gate.wait_entered()
    sync(supervisor)
    kill(supervisor)
    with pytest.raises(Exception, match="ended without an answer"):
        answer.get(timeout=LIMIT)
    gate.release()


def test_a_child_with_brutal_kill_is_terminated_at_once(system, journal):
    supervisor = DynamicSupervisor.start(system=system)
    spec = worker("a", journal=journal, spec={"shutdown": BRUTAL_KILL})
    ref = start_child(supervisor, spec)
    terminate_child(supervisor, ref, timeout=LIMIT)
    assert ref.reason == ExitReason.KILLED
    assert system.reports() == []
    assert journal.entries == [("a", "start")]


def test_a_supervisor_can_end_a_child_in_its_own_callback(system):
    class Mine(DynamicSupervisor):
        def handle_cast(self, message):
            self.terminate_child(message)

    supervisor = Mine.start(system=system)
    ref = start_child(supervisor, worker("a"))
    down = watch(ref)
    supervisor.tell(ref)
    assert down_of(down).reason == ExitReason.SHUTDOWN
    sync(supervisor)
    assert count_children(supervisor).specs == 0


# --- a child's own budget ------------------------------------------------------------------


class GivesUp(DynamicSupervisor):
    def __init__(self, journal, **settings):
        super().__init__(**settings)
        self.journal = journal

    def child_given_up(self, spec, reason):
        self.journal.add(spec.id, str(reason))


def crash(supervisor, child_id):
    end(child(supervisor, child_id), "abnormal")
    sync(supervisor)


def test_a_child_with_a_budget_costs_its_supervisor_nothing(system, journal):
    supervisor = GivesUp.start(journal, intensity=0, system=system)
    start_child(supervisor, worker("a", spec={"budget": (2, 60.0)}))
    neighbor = start_child(supervisor, worker("b", spec={"budget": (2, 60.0)}))
    crash(supervisor, "a")
    crash(supervisor, "a")
    system.advance(60.001)
    crash(supervisor, "a")
    crash(supervisor, "a")
    assert journal.entries == []
    crash(supervisor, "a")
    assert journal.entries == [("a", "error: ValueError")]
    assert [info.ref for info in which_children(supervisor)] == [neighbor]
    assert supervisor.is_alive()
    assert [report[:2] for report in system.reports()][-1] == ("reached maximum intensity", "a")


def test_a_failing_start_counts_in_the_childs_budget(system, journal):
    script = Script("ok", *["raise"] * 10)
    supervisor = GivesUp.start(journal, intensity=0, system=system)
    ref = start_child(supervisor, worker("a", script=script, spec={"budget": (3, 60.0)}))
    end(ref, "abnormal")
    for _ in range(5):
        sync(supervisor)
    assert script.starts == 1 + 3
    assert journal.entries == [("a", "error: RuntimeError")]
    assert count_children(supervisor).specs == 0


def test_a_child_without_budget_still_counts_for_its_supervisor(system, journal):
    supervisor = GivesUp.start(journal, intensity=0, system=system)
    start_child(supervisor, worker("own", spec={"budget": (2, 60.0)}))
    plain = start_child(supervisor, worker("plain"))
    down = watch(supervisor)
    end(plain, "abnormal")
    assert down_of(down).reason == ExitReason.SHUTDOWN


def test_a_hook_that_raises_harms_nobody(system, caplog):
    class Raises(DynamicSupervisor):
        def child_given_up(self, spec, reason):
            raise SystemExit

    supervisor = Raises.start(system=system)
    ref = start_child(supervisor, worker("a", spec={"budget": (0, 60.0)}))
    end(ref, "abnormal")
    sync(supervisor)
    assert supervisor.is_alive()
    assert system.log.flush(LIMIT)
    assert "child_given_up raised" in caplog.text


def test_the_place_of_a_child_that_was_given_up_is_free(system):
    supervisor = GivesUp.start(Journal(), max_children=1, system=system)
    ref = start_child(supervisor, worker("a", spec={"budget": (0, 1.0)}))
    end(ref, "abnormal")
    sync(supervisor)
    start_child(supervisor, worker("b", at_end=raise_error))
    assert count_children(supervisor).active == 1
