"""How many restarts, and what follows when there are too many (P11 to P16)."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from supervision.kit import DEATHS, LIMIT, Script, child, down_of, end, sync, watch, worker

from dicom_actors.supervision import (
    ActorCrashed,
    AutoShutdown,
    ChildCounts,
    ChildNotFound,
    ChildRestarting,
    ChildSpec,
    ChildState,
    ChildType,
    DynamicSupervisor,
    ExitReason,
    Restart,
    RestartWindow,
    Strategy,
    Supervisor,
    count_children,
    kill,
    start_child,
    terminate_child,
    which_children,
)
from dicom_actors.supervision.children import Administer


def crash(supervisor, child_id="a"):
    end(child(supervisor, child_id), "abnormal")


def crash_and_sync(supervisor, child_id="a"):
    crash(supervisor, child_id)
    sync(supervisor)


def test_p11_one_failure_too_many_ends_the_supervisor(system, journal):
    supervisor = Supervisor.start(
        [worker("a", journal=journal), worker("b", journal=journal)],
        intensity=2,
        period=10,
        system=system,
    )
    down = watch(supervisor)
    crash_and_sync(supervisor)
    crash_and_sync(supervisor)
    system.advance(10.001)
    crash_and_sync(supervisor)
    crash_and_sync(supervisor)
    assert supervisor.is_alive()
    journal.clear()
    crash(supervisor)
    assert down_of(down).reason == ExitReason.SHUTDOWN
    assert journal.entries == [("a", "stop"), ("b", "stop")]
    assert ("reached maximum intensity", "a") in [report[:2] for report in system.reports()]


def test_p11_a_restart_exactly_as_old_as_the_period_still_counts(system):
    supervisor = Supervisor.start([worker("a")], intensity=1, period=10, system=system)
    down = watch(supervisor)
    crash_and_sync(supervisor)
    system.advance(10)
    crash(supervisor)
    assert down_of(down).reason == ExitReason.SHUTDOWN


def test_p11_intensity_0_ends_with_the_first_failure(system):
    supervisor = Supervisor.start([worker("a")], intensity=0, system=system)
    down = watch(supervisor)
    crash(supervisor)
    assert down_of(down).reason == ExitReason.SHUTDOWN


@settings.get_profile("supervision")
@given(
    st.integers(0, 4),
    st.integers(0, 10),
    st.lists(st.integers(0, 6), max_size=30),
)
def test_p11_the_window_agrees_with_its_definition(intensity, period, gaps):
    window = RestartWindow(intensity, period)
    times = []
    now = 0
    for gap in gaps:
        now += gap
        times.append(now)
        within = sum(now - time <= period for time in times)
        assert window.add(now) is (within <= intensity)


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_p12_failed_attempts_count(system, kind):
    script = Script("ok", *["raise"] * 100)
    if kind == "static":
        supervisor = Supervisor.start([worker("a", script=script)], intensity=3, system=system)
    else:
        supervisor = DynamicSupervisor.start(intensity=3, system=system)
        start_child(supervisor, worker("a", script=script))
    down = watch(supervisor)
    crash(supervisor)
    assert down_of(down).reason == ExitReason.SHUTDOWN
    assert script.starts == 1 + 3  # no time was needed: nothing moved the clock


def in_restart_loop(system, gates, *, strategy=Strategy.ONE_FOR_ONE):
    """A supervisor that hangs in the second of many attempts to restart a child."""
    attempts = [gates() for _ in range(3)]

    def attempt(gate):
        gate()
        raise RuntimeError("not yet")

    script = Script("ok", *[partial(attempt, gate) for gate in attempts])
    supervisor = Supervisor.start(
        [worker("a", script=script), worker("b")],
        intensity=10,
        strategy=strategy,
        system=system,
    )
    return supervisor, attempts


@pytest.mark.parametrize("strategy", Strategy)
def test_p13_a_supervisor_answers_between_attempts(system, gates, strategy):
    supervisor, attempts = in_restart_loop(system, gates, strategy=strategy)
    crash(supervisor)
    attempts[0].wait_entered()
    which = supervisor.ask(Administer("which_children"), block=False)
    restart = supervisor.ask(Administer("restart_child", "a"), block=False)
    delete = supervisor.ask(Administer("delete_child", "a"), block=False)
    attempts[0].release()
    assert which.get(timeout=LIMIT)[-1].state is ChildState.RESTARTING
    for refused in (restart, delete):
        with pytest.raises(ChildRestarting):
            refused.get(timeout=LIMIT)
    # those answers came before the next attempt was over
    attempts[1].wait_entered()
    terminate = supervisor.ask(Administer("terminate_child", "a"), block=False)
    attempts[1].release()
    terminate.get(timeout=LIMIT)
    sync(supervisor)
    assert not attempts[2].entered.is_set()
    assert which_children(supervisor)[-1].state is ChildState.STOPPED


def test_p13_a_supervisor_can_be_stopped_between_attempts(system, gates):
    supervisor, attempts = in_restart_loop(system, gates)
    crash(supervisor)
    attempts[0].wait_entered()
    stopped = supervisor.stop(block=False)
    attempts[0].release()
    assert stopped.get(timeout=LIMIT)
    assert not attempts[1].entered.is_set()


def test_p13_a_restarting_dynamic_child_can_be_terminated(system, gates):
    first, second = gates(), gates()

    def attempt(gate):
        gate()
        raise RuntimeError("not yet")

    script = Script("ok", partial(attempt, first), partial(attempt, second))
    supervisor = DynamicSupervisor.start(intensity=10, system=system)
    ref = start_child(supervisor, worker("a", script=script))
    end(ref, "abnormal")
    first.wait_entered()
    which = supervisor.ask(Administer("which_children"), block=False)
    terminate = supervisor.ask(Administer("terminate_child", ref), block=False)
    first.release()
    assert [info.state for info in which.get(timeout=LIMIT)] == [ChildState.RESTARTING]
    terminate.get(timeout=LIMIT)
    sync(supervisor)
    assert not second.entered.is_set()
    with pytest.raises(ChildNotFound):
        terminate_child(supervisor, ref)


def two_levels(system, restart):
    def start_below():
        return Supervisor.start([worker("leaf")], intensity=1)

    return Supervisor.start(
        [
            worker("cousin"),
            ChildSpec("below", start_below, restart=restart, type=ChildType.SUPERVISOR),
        ],
        intensity=1,
        system=system,
    )


def exhaust(below):
    """Crash the leaf until its supervisor gives up."""
    down = watch(below)
    crash_and_sync(below, "leaf")
    crash(below, "leaf")
    assert down_of(down).reason == ExitReason.SHUTDOWN


def test_p14_a_permanent_supervisor_that_gave_up_is_restarted_and_counted(system):
    top = two_levels(system, Restart.PERMANENT)
    cousin, down = child(top, "cousin"), watch(top)
    exhaust(child(top, "below"))
    sync(top)
    assert child(top, "cousin") is cousin
    assert child(child(top, "below"), "leaf").is_alive()
    exhaust(child(top, "below"))  # counted: the second is one too many
    assert down_of(down).reason == ExitReason.SHUTDOWN


def test_p14_a_transient_supervisor_that_gave_up_is_not_restarted(system):
    top = two_levels(system, Restart.TRANSIENT)
    cousin = child(top, "cousin")
    exhaust(child(top, "below"))
    sync(top)
    assert child(top, "cousin") is cousin
    assert count_children(top) == ChildCounts(specs=2, active=1, supervisors=1, workers=1)


@pytest.mark.parametrize("death", ["abnormal", "killed"])
def test_p15_a_restarted_supervisor_starts_from_its_static_specs(system, death):
    class Below(Supervisor):
        def handle_cast(self, message):
            message(self)

    spec = ChildSpec("below", partial(Below.start, [worker("static")]), type=ChildType.SUPERVISOR)
    top = Supervisor.start([spec], system=system)
    below = child(top, "below")
    start_child(below, worker("later"))
    assert count_children(below).specs == 2
    end(below, death)
    sync(top)
    assert [info.id for info in which_children(child(top, "below"))] == ["static"]


def significant(name, restart):
    return worker(name, spec={"restart": restart, "significant": True})


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
@pytest.mark.parametrize("death", DEATHS)
def test_p16_any_significant(system, restart, death):
    supervisor = Supervisor.start(
        [significant("a", restart), significant("b", restart), worker("c")],
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        system=system,
    )
    down = watch(supervisor)
    end(child(supervisor, "a"), death)
    if restart is Restart.TRANSIENT and death in {"abnormal", "killed"}:
        sync(supervisor)
        assert child(supervisor, "a").is_alive()  # it was restarted: it has not ended
    else:
        assert down_of(down).reason == ExitReason.SHUTDOWN


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
def test_p16_all_significant(system, restart):
    supervisor = Supervisor.start(
        [significant("a", restart), significant("b", restart), worker("c")],
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
        system=system,
    )
    down = watch(supervisor)
    end(child(supervisor, "a"), "normal")
    sync(supervisor)
    end(child(supervisor, "b"), "normal")
    assert down_of(down).reason == ExitReason.SHUTDOWN


@pytest.mark.parametrize(
    "auto_shutdown", [AutoShutdown.ANY_SIGNIFICANT, AutoShutdown.ALL_SIGNIFICANT]
)
def test_p16_what_does_not_trigger_it(system, auto_shutdown):
    supervisor = Supervisor.start(
        [
            worker("crashes"),
            significant("bystander", Restart.TEMPORARY),
            significant("terminated", Restart.TRANSIENT),
            worker("insignificant", spec={"restart": Restart.TRANSIENT}),
        ],
        auto_shutdown=auto_shutdown,
        strategy=Strategy.ONE_FOR_ALL,
        system=system,
    )
    terminate_child(supervisor, "terminated")
    end(child(supervisor, "insignificant"), "normal")
    sync(supervisor)
    crash_and_sync(supervisor, "crashes")
    assert supervisor.is_alive()
    assert {info.id for info in which_children(supervisor)} == {
        "crashes",
        "terminated",
        "insignificant",
    }


@pytest.mark.parametrize("is_significant", [True, False])
def test_p16_it_bubbles_up_only_through_significant_supervisors(system, is_significant):
    def start_below():
        return Supervisor.start(
            [significant("leaf", Restart.TRANSIENT)],
            auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        )

    top = Supervisor.start(
        [
            ChildSpec(
                "below",
                start_below,
                restart=Restart.TRANSIENT,
                significant=is_significant,
                type=ChildType.SUPERVISOR,
            ),
            worker("other"),
        ],
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        system=system,
    )
    down = watch(top)
    below = child(top, "below")
    below_down = watch(below)
    end(child(below, "leaf"), "normal")
    assert down_of(below_down).reason == ExitReason.SHUTDOWN
    if is_significant:
        assert down_of(down).reason == ExitReason.SHUTDOWN
    else:
        assert count_children(top).active == 1


def test_p13_a_supervisor_killed_while_it_waits_for_an_init_takes_that_child_along(system, gates):
    gate = gates()
    supervisor = Supervisor.start(system=system)
    starting = supervisor.ask(
        Administer("start_child", worker("a", script=Script(gate))), block=False
    )
    gate.wait_entered()
    assert kill(supervisor)
    with pytest.raises(ActorCrashed):
        starting.get(timeout=LIMIT)
    gate.release()
