"""Children that are started without waiting, and children that become known under another spec."""

from __future__ import annotations

import threading
from functools import partial

import pykka
import pytest
from kit.waiting import until
from supervision.kit import (
    LIMIT,
    Journal,
    Script,
    Worker,
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
    ActorThread,
    AlreadyStarted,
    ChildCounts,
    ChildSpec,
    ChildStartError,
    DisownedError,
    DynamicSupervisor,
    ExitReason,
    NoProcError,
    Restart,
    RestartWindow,
    SpecError,
    Started,
    SupervisedActor,
    Supervisor,
    count_children,
    get_childspec,
    kill,
    respecify_child,
    spawn_child,
    terminate_child,
    which_children,
)


class Busy(DynamicSupervisor):
    """A supervisor that does what it is told, such as nothing for a while."""

    def __init__(self, journal=None, **settings):
        super().__init__(**settings)
        self.journal = journal

    def handle_cast(self, message):
        message(self)

    def child_given_up(self, spec, reason):
        self.journal.add(spec.id, str(reason))


@pytest.fixture
def busy(system, gates):
    """A supervisor that is held at a gate, and the gate."""
    gate = gates()
    supervisor = Busy.start(system=system)
    supervisor.tell(gate)
    gate.wait_entered()
    return supervisor, gate


def test_a_spawned_child_is_like_any_other(system):
    supervisor = DynamicSupervisor.start(system=system)
    ref = spawn_child(supervisor, worker("a"))
    assert ref.ask("hello", timeout=LIMIT) == "hello"
    assert child(supervisor, "a") is ref
    assert count_children(supervisor) == ChildCounts(1, 1, 0, 1)
    assert system.reports(with_starts=True) == [("started", "a", "None", 0)]
    assert system.roots() == [supervisor]
    end(ref, "abnormal")
    sync(supervisor)
    again = child(supervisor, "a")
    assert again is not ref
    terminate_child(supervisor, again)
    assert count_children(supervisor).specs == 0
    assert system.reports(with_starts=True) == [
        ("started", "a", "None", 0),
        ("child terminated", "a", "error: ValueError", 0),
        ("started", "a", "None", 1),
    ]


def test_neither_the_supervisor_nor_the_init_is_waited_for(busy, gates):
    supervisor, gate = busy
    in_init = gates()
    ref = spawn_child(supervisor, worker("a", script=Script(in_init)))
    in_init.wait_entered()
    asked = ref.ask("hello", block=False)
    in_init.release()
    assert asked.get(timeout=LIMIT) == "hello"
    gate.release()
    assert child(supervisor, "a") is ref


@pytest.mark.parametrize(
    "start",
    [
        (Worker, ("a",), {}),
        Worker.start,
        partial(Worker.start, "a"),
        partial(Worker.start, "a", name="x"),
    ],
)
def test_what_can_be_spawned(system, start):
    supervisor = DynamicSupervisor.start(system=system)
    ref = spawn_child(supervisor, ChildSpec("a", start))
    assert ref.ask("hello", timeout=LIMIT) == "hello"
    if isinstance(start, partial) and start.keywords:
        assert system.registry.lookup("x") is ref
        with pytest.raises(ChildStartError) as caught:
            spawn_child(supervisor, ChildSpec("b", start))
        assert isinstance(caught.value.__cause__, AlreadyStarted)
        assert count_children(supervisor).specs == 1


class StartsDifferently(Worker):
    @classmethod
    def start(cls, *args, **kwargs):
        return super().start(*args, **kwargs)


@pytest.mark.parametrize(
    "start",
    [
        raise_error,
        partial(Worker.start, timeout=1.0),
        (Worker, (), {"system": None}),
        (StartsDifferently, (), {}),
        pykka.ThreadingActor.start,
    ],
)
def test_what_cannot_be_spawned(system, start):
    supervisor = DynamicSupervisor.start(system=system)
    with pytest.raises(SpecError, match="start"):
        spawn_child(supervisor, ChildSpec("a", start))
    with pytest.raises(SpecError, match="significant"):
        spawn_child(
            supervisor, worker("a", spec={"restart": Restart.TEMPORARY, "significant": True})
        )
    with pytest.raises(SpecError, match="ChildSpec"):
        spawn_child(supervisor, "a")
    for other in (Supervisor.start(system=system), "a"):
        with pytest.raises(TypeError, match="DynamicSupervisor"):
            spawn_child(other, worker("a"))
        with pytest.raises(TypeError, match="DynamicSupervisor"):
            respecify_child(other, supervisor, worker("a"))
    assert count_children(supervisor).specs == 0


def test_extra_arguments_go_first(system):
    seen = []

    class Records(Worker):
        def __init__(self, *args, **kwargs):
            super().__init__()
            seen.append((args, kwargs))

    supervisor = DynamicSupervisor.start(extra_arguments=("x",), max_children=0, system=system)
    ref = spawn_child(supervisor, ChildSpec("a", (Records, (1,), {"key": 2})))
    end(ref, "abnormal")
    sync(supervisor)
    assert seen == [(("x", 1), {"key": 2})] * 2
    assert count_children(supervisor).specs == 1  # max_children does not apply


# --- what goes wrong -----------------------------------------------------------------------


def test_a_constructor_that_raises_is_the_callers(system):
    class Unmakable(SupervisedActor):
        def __init__(self):
            raise SystemExit

    supervisor = DynamicSupervisor.start(system=system)
    with pytest.raises(ChildStartError, match="'a'") as caught:
        spawn_child(supervisor, ChildSpec("a", (Unmakable, (), {})))
    assert isinstance(caught.value.__cause__, SystemExit)
    assert caught.value.child_id == "a"
    assert count_children(supervisor).specs == 0
    assert system.reports() == [("start error", "a", "error: SystemExit", 0)]


def test_a_thread_that_cannot_start_leaves_nothing(system, monkeypatch):
    def fail(thread):
        raise RuntimeError("can't start new thread")

    supervisor = DynamicSupervisor.start(system=system)
    with monkeypatch.context() as patch:
        patch.setattr(ActorThread, "start", fail)
        with pytest.raises(ChildStartError, match="can't start new thread"):
            spawn_child(supervisor, ChildSpec("a", partial(Worker.start, name="x")))
    assert system.registry.names() == {}
    assert system.disowned == 0
    assert count_children(supervisor).specs == 0
    assert len(supervisor.life._dependents) == 0
    assert supervisor.is_alive()


@pytest.mark.parametrize("step", ["raise", "exit"])
def test_an_init_that_fails_is_a_crash_of_the_child(system, step, caplog):
    script = Script(step, "ok")
    supervisor = DynamicSupervisor.start(system=system)
    ref = spawn_child(supervisor, worker("a", script=script))
    down_of(watch(ref))
    sync(supervisor)
    again = child(supervisor, "a")
    assert again is not ref
    assert script.starts == 2
    assert [report[0] for report in system.reports(with_starts=True)] == [
        "started",
        "child terminated",
        "started",
    ]
    assert system.log.flush(LIMIT)
    assert "crashed in init" in caplog.text  # as nobody was there to be told


def test_a_spawned_child_that_fails_again_and_again_costs_its_budget(system, journal):
    script = Script(*["raise"] * 10)
    supervisor = Busy.start(journal, intensity=0, system=system)
    spawn_child(supervisor, worker("a", script=script, spec={"budget": (2, 60.0)}))
    until(lambda: journal.entries)
    assert journal.entries == [("a", "error: RuntimeError")]
    assert script.starts == 1 + 2
    assert count_children(supervisor).specs == 0


def crash(ref):
    ref.tell(raise_error)


@pytest.mark.parametrize(
    ("restart", "ends", "is_heard_of"),
    [
        (Restart.TRANSIENT, lambda ref: ref.tell(lambda actor: actor.exit()), False),
        (Restart.TEMPORARY, lambda ref: ref.tell(lambda actor: actor.exit()), False),
        (Restart.TRANSIENT, crash, True),
        (Restart.TRANSIENT, lambda ref: ref.stop(timeout=LIMIT), True),
        (Restart.PERMANENT, lambda ref: ref.tell(lambda actor: actor.exit()), True),
    ],
    ids=["by itself", "temporary, by itself", "by a crash", "by request", "permanent, by itself"],
)
def test_a_supervisor_sleeps_through_lives_that_nothing_follows_from(
    system, monkeypatch, restart, ends, is_heard_of
):
    supervisor = DynamicSupervisor.start(system=system)
    inbox, wakers = supervisor.life.inbox, []
    put = inbox.put_control

    def put_control(message, *, in_turn=False, wakes=True):
        if wakes:
            wakers.append(type(message).__name__)
        return put(message, in_turn=in_turn, wakes=wakes)

    monkeypatch.setattr(inbox, "put_control", put_control)
    ref = spawn_child(supervisor, worker("a", spec={"restart": restart}))
    down = watch(ref)
    ends(ref)
    assert down_of(down).ref is ref
    assert wakers == ["ChildDown"] * is_heard_of
    assert is_heard_of or inbox.qsize() == 0
    sync(supervisor)
    starts = [report for report in system.seen if isinstance(report, Started)]
    assert starts[0].ref is ref
    assert len(starts) == 1 + (restart is Restart.PERMANENT or ends is crash)


def test_who_was_heard_of_is_heard_of_in_the_end(system):
    supervisor = DynamicSupervisor.start(system=system)
    ref = spawn_child(supervisor, worker("a", spec={"restart": Restart.TEMPORARY}))
    assert count_children(supervisor, timeout=LIMIT).active == 1
    down = watch(ref)
    ref.tell(lambda actor: actor.exit())
    down_of(down)
    until(lambda: supervisor.life.inbox.qsize() == 0)
    assert count_children(supervisor, timeout=LIMIT).specs == 0


@pytest.mark.parametrize("restart", Restart)
def test_ignore_drops_a_spawned_child(system, restart):
    supervisor = DynamicSupervisor.start(intensity=0, system=system)
    ref = spawn_child(supervisor, worker("a", script=Script("ignore"), spec={"restart": restart}))
    down_of(watch(ref))
    sync(supervisor)
    assert count_children(supervisor).specs == 0
    assert system.reports() == []


def test_the_dead_have_no_children(system, journal):
    supervisor = DynamicSupervisor.start(system=system)
    supervisor.stop()
    with pytest.raises(NoProcError):
        spawn_child(supervisor, ChildSpec("a", partial(Worker.start, journal=journal, name="x")))
    assert journal.entries == []
    assert system.registry.names() == {}
    respecify_child(supervisor, supervisor, worker("a"))  # nothing happens


def test_the_disowned_spawn_nobody(system, gates):
    gate = gates()
    refused = []
    supervisor = DynamicSupervisor.start(system=system)

    def hang(actor):
        gate()
        try:
            spawn_child(supervisor, worker("a"))
        except DisownedError:
            refused.append("refused")

    ref = Worker.start(system=system)
    thread = thread_of(ref)
    ref.tell(hang)
    gate.wait_entered()
    kill(ref)
    gate.release()
    wait_until_left(thread, ref)
    assert refused == ["refused"]
    assert count_children(supervisor).specs == 0


# --- the end of the supervisor -------------------------------------------------------------


def test_children_that_a_stopping_supervisor_has_not_heard_of_are_stopped_in_good_order(
    busy, journal
):
    supervisor, gate = busy
    refs = [spawn_child(supervisor, worker(str(n), journal=journal)) for n in range(3)]
    for ref in refs:
        ref.ask("started?", timeout=LIMIT)
    stopped = supervisor.stop(block=False)
    gate.release()
    assert stopped.get(timeout=LIMIT)
    assert [ref.reason for ref in refs] == [ExitReason.SHUTDOWN] * 3
    assert len([entry for entry in journal.entries if entry[1] == "stop"]) == 3


def test_a_supervisor_that_is_stopping_takes_nobody_in(system, gates, journal):
    gate = gates()
    supervisor = DynamicSupervisor.start(system=system)
    spawn_child(supervisor, worker("a", at_end=gate))
    stopped = supervisor.stop(block=False)
    gate.wait_entered()
    with pytest.raises(NoProcError):
        spawn_child(supervisor, worker("b", journal=journal))
    gate.release()
    assert stopped.get(timeout=LIMIT)
    assert journal.entries == []


def test_a_killed_supervisor_leaves_no_spawned_orphan(busy):
    supervisor, gate = busy
    ref = spawn_child(supervisor, worker("a"))
    down = watch(ref)
    kill(supervisor)
    assert down_of(down).reason == ExitReason.KILLED
    gate.release()


@pytest.mark.usefixtures("no_log")
def test_spawning_while_a_supervisor_ends_leaves_nobody(system):
    for round_ in range(30):
        supervisor = DynamicSupervisor.start(system=system)
        refs, outcomes = [], []
        barrier = threading.Barrier(3)

        def spawn(supervisor=supervisor, refs=refs, outcomes=outcomes, barrier=barrier):
            barrier.wait(LIMIT)
            try:
                while True:
                    refs.append(spawn_child(supervisor, worker("a")))
            except NoProcError:
                outcomes.append("refused")

        threads = [threading.Thread(target=spawn) for _ in range(2)]
        for thread in threads:
            thread.start()
        barrier.wait(LIMIT)
        until(lambda refs=refs: len(refs) > 3)
        supervisor.stop(timeout=LIMIT) if round_ % 2 else kill(supervisor)
        for thread in threads:
            thread.join(LIMIT)
        assert outcomes == ["refused"] * 2
        for ref in refs:
            down_of(watch(ref))


def test_thousands_are_spawned_from_many_threads_and_leave_no_trace(system):
    supervisor = DynamicSupervisor.start(system=system)
    spec = worker("a", spec={"restart": Restart.TEMPORARY})

    def come_and_go():
        for _ in range(200):
            ref = spawn_child(supervisor, spec)
            down = watch(ref)
            ref.tell(lambda actor: actor.exit())
            down_of(down)

    threads = [threading.Thread(target=come_and_go) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(6 * LIMIT)
    sync(supervisor)
    assert count_children(supervisor) == ChildCounts(0, 0, 0, 0)
    assert len(supervisor.life._dependents) == 0
    assert [type(report).__name__ for report in system.seen] == ["Started"] * 1_000


# --- another spec --------------------------------------------------------------------------


def test_a_child_is_known_under_another_spec_from_then_on(system):
    supervisor = DynamicSupervisor.start(system=system)
    ref = spawn_child(supervisor, worker("before"))
    spec = worker("after", spec={"restart": Restart.TEMPORARY, "shutdown": 1.0})
    respecify_child(supervisor, ref, spec)
    assert get_childspec(supervisor, ref) is spec
    assert [(info.id, info.ref) for info in which_children(supervisor)] == [("after", ref)]
    end(ref, "abnormal")
    sync(supervisor)
    assert count_children(supervisor).specs == 0
    assert system.reports() == [("child terminated", "after", "error: ValueError", 0)]


def test_what_a_supervisor_has_not_heard_of_counts_at_its_end(busy, gates, system):
    """The shutdown time is that of the other spec, though the supervisor was never woken."""
    supervisor, gate = busy
    at_end = gates()
    ref = spawn_child(supervisor, worker("before", at_end=at_end))
    respecify_child(supervisor, ref, worker("after", spec={"shutdown": 30.0}))
    stopped = supervisor.stop(block=False)
    gate.release()
    at_end.wait_entered()
    system.advance(29.0)
    assert ref.is_alive()
    system.advance(1.0)
    assert stopped.get(timeout=LIMIT)
    assert system.reports() == [("shutdown error", "after", "killed", 0)]


def test_strangers_are_not_respecified(system):
    supervisor = DynamicSupervisor.start(system=system)
    stranger = Worker.start(system=system)
    respecify_child(supervisor, stranger, worker("a"))
    assert count_children(supervisor).specs == 0
    with pytest.raises(SpecError, match="ChildSpec"):
        respecify_child(supervisor, stranger, None)
    with pytest.raises(SpecError, match="significant"):
        respecify_child(
            supervisor,
            stranger,
            worker("a", spec={"restart": Restart.TEMPORARY, "significant": True}),
        )


# --- a budget of several -------------------------------------------------------------------


def test_a_budget_outlives_the_children_that_share_it(system):
    told = Journal()
    supervisor = Busy.start(told, intensity=0, system=system)
    window = RestartWindow(2, 60.0)
    spec = worker("a", spec={"budget": window, "restart": Restart.TRANSIENT})
    for _ in range(2):
        ref = spawn_child(supervisor, spec)
        end(ref, "abnormal")
        sync(supervisor)
        end(child(supervisor, "a"), "normal")
        sync(supervisor)
        assert count_children(supervisor).specs == 0
    ref = spawn_child(supervisor, spec)
    assert told.entries == []
    end(ref, "abnormal")
    sync(supervisor)
    assert told.entries == [("a", "error: ValueError")]
    system.advance(60.001)
    end(spawn_child(supervisor, spec), "abnormal")
    sync(supervisor)
    assert count_children(supervisor).active == 1


def test_a_respecified_childs_budget_is_that_of_its_spec(system):
    told = Journal()
    supervisor = Busy.start(told, intensity=0, system=system)
    window = RestartWindow(1, 60.0)
    ref = spawn_child(supervisor, worker("a", spec={"budget": window}))
    end(ref, "abnormal")
    sync(supervisor)
    ref = child(supervisor, "a")
    respecify_child(supervisor, ref, worker("b", spec={"budget": (1, 60.0)}))
    end(ref, "abnormal")  # a new count
    sync(supervisor)
    assert told.entries == []
    ref = child(supervisor, "b")
    respecify_child(supervisor, ref, worker("c", spec={"budget": window}))
    end(ref, "abnormal")  # the old one
    sync(supervisor)
    assert told.entries == [("c", "error: ValueError")]


@pytest.mark.parametrize("arguments", [(-1, 1.0), (True, 1.0), (1, -1.0), (1, None)])
def test_a_window_is_checked(arguments):
    with pytest.raises(SpecError, match=r"intensity|period"):
        RestartWindow(*arguments)
    with pytest.raises(SpecError, match="budget"):
        worker("a", spec={"budget": arguments})
    with pytest.raises(SpecError, match="budget"):
        worker("a", spec={"budget": raise_error})
