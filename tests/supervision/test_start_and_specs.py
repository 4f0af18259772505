"""Child specs, and the first start of a supervisor (P1 to P4)."""

from __future__ import annotations

from functools import partial

import pykka
import pytest
from supervision.kit import LIMIT, Gate, Script, Worker, child, end, sync, watch, worker

from dicom_actors.supervision import (
    BRUTAL_KILL,
    IGNORE,
    INFINITY,
    AutoShutdown,
    ChildCounts,
    ChildSpec,
    ChildStartError,
    ChildState,
    ChildType,
    DynamicSupervisor,
    Restart,
    SpecError,
    Strategy,
    Supervisor,
    count_children,
    get_childspec,
    restart_child,
    start_child,
    terminate_child,
    which_children,
)

start = Worker.start


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("id", {"start": start}),
        ("start", {"id": "a"}),
        ("id", {"id": None, "start": start}),
        ("id", {"id": ([],), "start": start}),
        ("start", {"id": "a", "start": None}),
        ("start", {"id": "a", "start": (Worker,)}),
        ("start", {"id": "a", "start": (Worker, [], {})}),
        ("start", {"id": "a", "start": (int, (), {})}),
        ("restart", {"id": "a", "start": start, "restart": "always"}),
        ("type", {"id": "a", "start": start, "type": "worker"}),
        ("shutdown", {"id": "a", "start": start, "shutdown": -1}),
        ("shutdown", {"id": "a", "start": start, "shutdown": float("nan")}),
        ("shutdown", {"id": "a", "start": start, "shutdown": float("inf")}),
        ("shutdown", {"id": "a", "start": start, "shutdown": "brutal_kill"}),
        ("shutdown", {"id": "a", "start": start, "shutdown": True}),
        ("significant", {"id": "a", "start": start, "significant": 1}),
        ("significant", {"id": "a", "start": start, "significant": True}),
        ("budget", {"id": "a", "start": start, "budget": 3}),
        ("budget", {"id": "a", "start": start, "budget": (-1, 5.0)}),
        ("budget", {"id": "a", "start": start, "budget": (1, -5.0)}),
        ("modules", {"id": "a", "start": start, "modules": []}),
    ],
)
def test_p01_a_bad_spec_is_refused_by_its_field(field, fields):
    with pytest.raises((SpecError, TypeError), match=field):
        ChildSpec(**fields)


@pytest.mark.parametrize(
    ("field", "specs", "settings"),
    [
        ("id", [worker("a"), worker("a")], {}),
        (
            "significant",
            [worker("a", spec={"significant": True, "restart": Restart.TRANSIENT})],
            {},
        ),
        ("budget", [worker("a", spec={"budget": (1, 5.0)})], {}),
        ("children", ["a"], {}),
        ("strategy", [], {"strategy": "one_for_one"}),
        ("auto_shutdown", [], {"auto_shutdown": True}),
        ("intensity", [], {"intensity": -1}),
        ("intensity", [], {"intensity": 1.5}),
        ("period", [], {"period": -1}),
    ],
)
def test_p01_bad_settings_start_nothing(system, journal, field, specs, settings):
    first = worker("first", journal=journal)
    with pytest.raises(SpecError, match=field):
        Supervisor.start([first, *specs], system=system, **settings)
    assert journal.entries == []


def test_p01_a_dynamic_supervisor_refuses_what_is_not_for_it(system):
    with pytest.raises(SpecError, match="max_children"):
        DynamicSupervisor.start(max_children=-1, system=system)
    with pytest.raises(TypeError, match="auto_shutdown"):
        DynamicSupervisor.start(auto_shutdown=AutoShutdown.NEVER, system=system)
    supervisor = DynamicSupervisor.start(system=system)
    significant = worker("a", spec={"significant": True, "restart": Restart.TRANSIENT})
    with pytest.raises(SpecError, match="significant"):
        start_child(supervisor, significant)
    with pytest.raises(SpecError, match="children"):
        start_child(supervisor, "a")
    assert count_children(supervisor).specs == 0


def test_p01_defaults_can_be_read_back(system):
    supervisor = Supervisor.start(
        [worker("a"), worker("b", spec={"type": ChildType.SUPERVISOR})], system=system
    )
    spec = get_childspec(supervisor, "a")
    assert (spec.restart, spec.shutdown, spec.type, spec.significant, spec.budget) == (
        Restart.PERMANENT,
        5.0,
        ChildType.WORKER,
        False,
        None,
    )
    assert get_childspec(supervisor, "b").shutdown is INFINITY
    assert worker("c", spec={"shutdown": BRUTAL_KILL}).shutdown is BRUTAL_KILL


def test_p02_children_start_in_order_one_at_a_time(system, journal, gates):
    gate = gates()
    specs = [
        worker("1", journal=journal, script=Script(gate)),
        worker("2", journal=journal),
        worker("3", journal=journal),
    ]
    starting = StartInThread(partial(Supervisor.start, specs, system=system))
    gate.wait_entered()
    assert journal.entries == []
    gate.release()
    supervisor = starting.result()
    assert journal.entries == [("1", "start"), ("2", "start"), ("3", "start")]
    assert [info.id for info in which_children(supervisor)] == ["3", "2", "1"]


class StartInThread:
    """A start that a test does not wait for."""

    def __init__(self, function):
        self._future = pykka.ThreadingFuture()
        self._actor = _Caller.start()
        self._actor.tell((function, self._future))

    def result(self):
        try:
            return self._future.get(timeout=LIMIT)
        finally:
            self._actor.stop()


class _Caller(pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message):
        function, future = message
        try:
            future.set(function())
        except Exception:
            future.set_exception()


@pytest.mark.parametrize("step", ["raise", "exit"])
def test_p03_the_first_start_is_all_or_nothing(system, journal, step):
    bad = Script("ok", step)
    bad.run()
    with pytest.raises(ChildStartError, match="'c'") as caught:
        Supervisor.start(
            [
                worker("a", journal=journal),
                worker("b", journal=journal),
                worker("c", journal=journal, script=bad),
                worker("d", journal=journal),
            ],
            system=system,
            name="the supervisor",
        )
    assert caught.value.child_id == "c"
    assert caught.value.__cause__ is not None
    assert journal.entries == [("a", "start"), ("b", "start"), ("b", "stop"), ("a", "stop")]
    assert bad.starts == 2  # no second try
    assert system.registry.lookup("the supervisor") is None
    assert [report[:2] for report in system.reports()] == [("start error", "c")]


def test_p03_a_subclass_that_fails_after_its_children_ends_them(system, journal):
    class Fails(Supervisor):
        def init(self):
            self.start_children(worker("a", journal=journal), worker("b", journal=journal))
            raise OSError("after the children")

    with pytest.raises(OSError, match="after the children") as caught:
        Fails.start(system=system)
    assert journal.entries == [("a", "start"), ("b", "start"), ("b", "stop"), ("a", "stop")]
    # where it came from is not lost, though it was raised in another thread
    assert "raise OSError" in "".join(caught.value.__notes__)


def test_p03_a_start_function_may_fail_in_any_way(system):
    def returns_nonsense():
        return "an actor"

    def returns_another():
        return supervisor

    supervisor = Supervisor.start(system=system)
    for spec in (
        ChildSpec("a", returns_nonsense),
        ChildSpec("b", returns_another),
        ChildSpec("c", Script("raise").run),
        ChildSpec("d", Script("exit").run),
    ):
        with pytest.raises(ChildStartError, match=repr(spec.id)):
            start_child(supervisor, spec)
    assert count_children(supervisor) == ChildCounts(0, 0, 0, 0)


def test_p04_ignore_keeps_the_spec_of_a_static_child(system):
    script = Script("ignore", "ok")
    supervisor = Supervisor.start([worker("a", script=script), worker("b")], system=system)
    assert count_children(supervisor) == ChildCounts(specs=2, active=1, supervisors=0, workers=2)
    assert which_children(supervisor)[1].state is ChildState.STOPPED
    assert restart_child(supervisor, "a") is child(supervisor, "a")
    assert count_children(supervisor).active == 2


def test_p04_ignore_of_a_child_added_later(system):
    supervisor = Supervisor.start(system=system)
    assert start_child(supervisor, worker("a", script=Script("ignore"))) is IGNORE
    assert count_children(supervisor).specs == 1
    temporary = {"restart": Restart.TEMPORARY}
    assert start_child(supervisor, worker("b", script=Script("ignore"), spec=temporary)) is IGNORE
    assert count_children(supervisor).specs == 1
    start_child(supervisor, worker("b", spec=temporary))  # its id is free


def test_p04_a_temporary_or_dynamic_child_that_ignores_leaves_nothing(system):
    spec = worker("a", script=Script("ignore"), spec={"restart": Restart.TEMPORARY})
    supervisor = Supervisor.start([spec], system=system)
    assert count_children(supervisor).specs == 0
    dynamic = DynamicSupervisor.start(system=system)
    assert start_child(dynamic, worker("a", script=Script("ignore"))) is IGNORE
    assert count_children(dynamic).specs == 0


def test_p04_ignore_on_a_restart_keeps_the_spec(system):
    supervisor = Supervisor.start([worker("a", script=Script("ok", "ignore"))], system=system)
    end(child(supervisor, "a"), "abnormal")
    sync(supervisor)
    assert count_children(supervisor) == ChildCounts(1, 0, 0, 1)


def test_p04_a_supervisor_that_ignores_is_no_actor(system, journal):
    class Declines(Supervisor):
        def init(self):
            self.start_children(worker("a", journal=journal))
            return IGNORE

    assert Declines.start(system=system, name="x") is IGNORE
    assert system.registry.lookup("x") is None
    assert journal.entries == [("a", "start"), ("a", "stop")]
    top = Supervisor.start(
        [ChildSpec("below", Declines.start, type=ChildType.SUPERVISOR)], system=system
    )
    assert count_children(top) == ChildCounts(specs=1, active=0, supervisors=1, workers=0)


def test_a_child_can_be_given_as_class_and_arguments(system, journal):
    spec = ChildSpec("a", (Worker, ("label",), {"journal": journal}))
    supervisor = Supervisor.start([spec], system=system, strategy=Strategy.ONE_FOR_ALL)
    terminate_child(supervisor, "a")
    assert journal.entries == [("label", "start"), ("label", "stop")]


def test_children_inherit_the_system_which_knows_its_roots(system):
    supervisor = Supervisor.start([worker("a")], system=system)
    other = Worker.start(system=system)
    assert child(supervisor, "a").ask(lambda actor: actor.system) is system
    assert system.roots() == [supervisor, other]
    other.stop()
    with pytest.raises(RuntimeError):
        Worker.start(script=Script("raise"), system=system)
    assert system.roots() == [supervisor]
    assert pykka.ActorRegistry.get_all() == []


def test_a_root_without_a_system_makes_its_own_and_closes_it():
    supervisor = Supervisor.start([worker("a")])
    own = child(supervisor, "a").ask(lambda actor: actor.system)
    down = watch(supervisor)
    own.timers.send_after(3600, down, None)
    assert own.timers.pending() == 1
    supervisor.stop()
    assert own.timers.pending() == 0


def test_gates_fail_instead_of_waiting_for_ever(monkeypatch):
    monkeypatch.setattr("supervision.kit.LIMIT", 0)
    with pytest.raises(AssertionError, match="never released"):
        Gate()()
