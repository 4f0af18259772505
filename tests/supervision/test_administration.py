"""Administration, introspection, strange messages, orphans and reports (P23 to P27)."""

from __future__ import annotations

import gc
import logging
import weakref
from functools import partial

import pytest
from supervision.kit import (
    LIMIT,
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
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildCounts,
    ChildNotFound,
    ChildRunning,
    ChildSpec,
    ChildStartError,
    ChildState,
    ChildTerminated,
    ChildType,
    Down,
    DynamicSupervisor,
    ExitReason,
    NoProcError,
    ReachedMaxIntensity,
    Restart,
    ShutdownError,
    Started,
    StartError,
    SupervisedActor,
    Supervisor,
    System,
    UnknownMessage,
    count_children,
    delete_child,
    get_childspec,
    kill,
    monitor,
    restart_child,
    start_child,
    terminate_child,
    which_children,
)
from dicom_actors.supervision.children import Administer
from dicom_actors.supervision.ref import ChildDown


def test_p23_p24_the_state_table_of_a_static_supervisor(system):
    supervisor = Supervisor.start(system=system)

    def expect(specs, active, *states):
        assert count_children(supervisor) == ChildCounts(specs, active, 0, specs)
        assert [info.state.value for info in which_children(supervisor)] == list(states)

    # unknown
    for operation in (terminate_child, restart_child, delete_child, get_childspec):
        with pytest.raises(ChildNotFound, match="'a'"):
            operation(supervisor, "a")
    with pytest.raises(ChildNotFound):
        terminate_child(supervisor, [])
    expect(0, 0)
    # a failed start keeps nothing
    with pytest.raises(ChildStartError, match="'a'") as caught:
        start_child(supervisor, worker("a", script=Script("raise")))
    assert isinstance(caught.value.__cause__, RuntimeError)
    expect(0, 0)
    # running
    spec = worker("a", script=Script("ok", "raise"))
    ref = start_child(supervisor, spec)
    expect(1, 1, "running")
    assert get_childspec(supervisor, "a") is spec
    with pytest.raises(ChildAlreadyStarted) as caught:
        start_child(supervisor, worker("a"))
    assert caught.value.ref is ref
    for operation in (restart_child, delete_child):
        with pytest.raises(ChildRunning):
            operation(supervisor, "a")
    # stopped
    terminate_child(supervisor, "a")
    assert not ref.is_alive()
    expect(1, 0, "stopped")
    terminate_child(supervisor, "a")
    with pytest.raises(ChildAlreadyPresent):
        start_child(supervisor, worker("a"))
    # a restart that fails keeps the spec
    with pytest.raises(ChildStartError):
        restart_child(supervisor, "a")
    expect(1, 0, "stopped")
    assert restart_child(supervisor, "a") is child(supervisor, "a")
    expect(1, 1, "running")
    # newest first
    start_child(supervisor, worker("b"))
    assert [info.id for info in which_children(supervisor)] == ["b", "a"]
    terminate_child(supervisor, "a")
    expect(2, 1, "running", "stopped")
    delete_child(supervisor, "a")
    expect(1, 1, "running")


def test_p23_p24_a_temporary_child_is_gone_with_its_end(system):
    spec = worker("a", spec={"restart": Restart.TEMPORARY})
    supervisor = Supervisor.start([spec], system=system)
    terminate_child(supervisor, "a")
    assert count_children(supervisor) == ChildCounts(0, 0, 0, 0)


def test_p23_a_call_to_a_dead_supervisor_fails_at_once(system):
    supervisor = Supervisor.start(system=system)
    supervisor.stop()
    for operation in (which_children, count_children):
        with pytest.raises(NoProcError):
            operation(supervisor)
    with pytest.raises(NoProcError):
        start_child(supervisor, worker("a"))


def test_p24_supervisors_and_workers_are_told_apart(system):
    spec = ChildSpec("below", Supervisor.start, type=ChildType.SUPERVISOR)
    supervisor = Supervisor.start([worker("a"), spec], system=system)
    assert count_children(supervisor) == ChildCounts(2, 2, supervisors=1, workers=1)
    terminate_child(supervisor, "below")
    assert count_children(supervisor) == ChildCounts(2, 1, supervisors=1, workers=1)
    assert [info.type for info in which_children(supervisor)] == [
        ChildType.SUPERVISOR,
        ChildType.WORKER,
    ]


def test_p24_a_restarting_child_is_not_active(system, gates):
    gate = gates()

    def attempt():
        gate()
        raise RuntimeError("not yet")

    supervisor = Supervisor.start([worker("a", script=Script("ok", attempt))], system=system)
    end(child(supervisor, "a"), "abnormal")
    gate.wait_entered()
    counting = supervisor.ask(Administer("count_children"), block=False)
    gate.release()
    assert counting.get(timeout=LIMIT) == ChildCounts(1, 0, 0, 1)
    sync(supervisor)
    assert which_children(supervisor)[0].state is ChildState.RUNNING
    assert which_children(supervisor)[0].restarts == 2


@pytest.mark.parametrize("kind", [Supervisor, DynamicSupervisor])
def test_p25_strange_messages_harm_no_supervisor(system, caplog, kind):
    supervisor = kind.start(system=system)
    first = start_child(supervisor, worker("a"))
    end(first, "abnormal")
    sync(supervisor)
    ref = child(supervisor, "a")
    supervisor.tell("junk")
    supervisor.tell(Down(ref, ExitReason.KILLED, None))
    supervisor.actor_inbox.put_info("junk")
    supervisor.actor_inbox.put_control(ChildDown(first, ExitReason.KILLED))  # earlier incarnation
    supervisor.actor_inbox.put_control(ChildDown(supervisor, ExitReason.KILLED))  # stranger
    with pytest.raises(UnknownMessage, match="str"):
        supervisor.ask("junk")
    with pytest.raises(UnknownMessage, match="no fly"):
        supervisor.ask(Administer("fly"))
    sync(supervisor)
    assert child(supervisor, "a") is ref
    assert system.log.flush(LIMIT)
    assert "does not know str" in caplog.text
    assert "junk" not in caplog.text  # a log names messages, it does not show them


def test_p25_strange_messages_harm_no_worker(system, caplog):
    ref = SupervisedActor.start(system=system)
    ref.tell("junk")
    ref.actor_inbox.put_info("junk")
    with pytest.raises(UnknownMessage):
        ref.ask("junk")
    assert ref.is_alive()
    assert system.log.flush(LIMIT)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "junk" not in caplog.text


class Fragile(Supervisor):
    """A supervisor with a fault of its own."""

    def handle_cast(self, message):
        message(self)


@pytest.mark.parametrize("death", ["abnormal", "killed", "shutdown"])
def test_p26_a_subtree_ends_before_its_successor_starts(system, journal, death):
    leaves = [worker(name, journal=journal) for name in "ab"]
    spec = ChildSpec("below", partial(Fragile.start, leaves), type=ChildType.SUPERVISOR)
    top = Supervisor.start([spec], system=system)
    below = child(top, "below")
    downs = [watch(child(below, name)) for name in "ab"]
    for name in "ab":
        monitor(child(below, name), lambda _down, name=name: journal.add(name, "down"))
    end(below, death)
    for down in downs:
        down_of(down)
    sync(top)
    new_below = child(top, "below")
    assert new_below is not below
    what = [entry for entry in journal.entries if entry[1] != "stop"]
    assert what == [
        ("a", "start"),
        ("b", "start"),
        ("b", "down"),
        ("a", "down"),
        ("a", "start"),
        ("b", "start"),
    ]


def test_p26_what_a_start_function_started_beside_its_child_ends_too(system):
    helpers = []

    def start_two():
        helpers.append(Worker.start("helper"))
        return Worker.start("child")

    supervisor = Supervisor.start([ChildSpec("a", start_two)], system=system)
    down = watch(helpers[0])
    supervisor.stop()
    assert down_of(down).reason == ExitReason.KILLED


def test_p26_a_killed_supervisor_takes_its_grandchildren_along(system):
    middle = partial(Supervisor.start, [worker("leaf")])
    spec = ChildSpec("middle", middle, type=ChildType.SUPERVISOR)
    top = Supervisor.start([spec], system=system)
    leaf = child(child(top, "middle"), "leaf")
    kill(top)
    assert not leaf.is_alive()
    assert leaf.reason == ExitReason.KILLED


def test_p27_reports(system):
    supervisor = Supervisor.start(
        [
            worker("a", script=Script("ok", "raise")),
            worker("quiet", spec={"restart": Restart.TRANSIENT}),
            worker("gone", spec={"restart": Restart.TEMPORARY}),
            worker("rude", at_end=raise_error),
        ],
        intensity=2,
        system=system,
    )
    first = child(supervisor, "a")
    end(child(supervisor, "quiet"), "normal")
    end(child(supervisor, "gone"), "shutdown")
    end(first, "normal")
    sync(supervisor)
    sync(supervisor)
    terminate_child(supervisor, "rude")
    second = child(supervisor, "a")
    down = watch(supervisor)
    end(second, "killed")
    down_of(down)
    assert system.reports(with_starts=True) == [
        ("started", "a", "None", 0),
        ("started", "quiet", "None", 0),
        ("started", "gone", "None", 0),
        ("started", "rude", "None", 0),
        # a permanent child that ended normally is reported, others that did are not
        ("child terminated", "a", "normal", 0),
        ("start error", "a", "error: RuntimeError", 1),
        ("started", "a", "None", 2),
        ("shutdown error", "rude", "error: ValueError", 0),
        ("child terminated", "a", "killed", 2),
        ("reached maximum intensity", "a", "killed", 2),
    ]
    kinds = [type(report) for report in system.seen[4:]]
    assert kinds == [
        ChildTerminated,
        StartError,
        Started,
        ShutdownError,
        ChildTerminated,
        ReachedMaxIntensity,
    ]
    assert {report.supervisor for report in system.seen} == {supervisor}
    assert [report.ref for report in system.seen[4:7]] == [first, None, second]


def test_p27_reports_are_log_records_too(system, caplog):
    caplog.set_level(logging.DEBUG, "dicom_actors.supervision.reports")
    supervisor = Supervisor.start([worker("a", script=Script("ok", "raise"))], system=system)
    end(child(supervisor, "a"), "abnormal")
    sync(supervisor)
    sync(supervisor)
    assert system.log.flush(LIMIT)
    records = [record for record in caplog.records if record.name.endswith("reports")]
    assert [record.supervision for record in records] == system.seen
    assert [record.levelno for record in records] == [
        logging.DEBUG,
        logging.ERROR,
        logging.ERROR,
        logging.DEBUG,
    ]
    assert "child 'a'" in records[1].getMessage()
    assert "as the script says" in caplog.text  # where a start failed can be found


def test_p27_two_reports_are_equal_if_they_say_the_same(system):
    said = (None, "a", None, ExitReason.NORMAL, 0)
    assert StartError(*said) == StartError(*said)
    assert StartError(*said) != ShutdownError(*said)


def test_p27_a_sink_that_raises_harms_nobody(caplog):
    def sink(report):
        raise SystemExit

    system = System(reports=sink)
    supervisor = Supervisor.start([worker("a")], system=system)
    sync(supervisor)
    supervisor.stop()
    system.close()
    assert "the sink for reports raised" in caplog.text


def test_p27_a_sink_can_be_removed(system):
    class Seen(list):
        pass

    first, second = Seen(), Seen()
    removes = [system.add_sink(sink.append) for sink in (first, second, second)]
    Supervisor.start([worker("a")], system=system)
    removes[0]()
    removes[1]()
    removes[1]()  # again is harmless
    supervisor = Supervisor.start([worker("b")], system=system)
    assert [report.child_id for report in first] == ["a"]
    assert [report.child_id for report in second] == ["a", "a", "b"]
    removes[2]()
    freed = weakref.ref(second)
    del second
    assert freed() is None
    supervisor.stop()


def test_a_shared_system_keeps_nothing_of_a_root_that_has_ended(system):
    gc.disable()
    try:
        supervisor = Supervisor.start([worker("a")], system=system)
        ref = child(supervisor, "a")
        monitor(ref, supervisor)
        system.timers.send_after(3600.0, ref, "never")
        system.log.write(logging.getLogger(__name__), logging.INFO, "%s", ref)
        freed = [weakref.ref(ref), weakref.ref(supervisor), weakref.ref(supervisor.life)]
        thread = thread_of(supervisor)
        supervisor.stop()
        wait_until_left(thread, supervisor)
        system.seen.clear()
        for _ in range(100):  # what was for the dead goes with the timers that come
            system.timers.send_after(1.0, print, "never").cancel()
        del ref, supervisor
        assert [one() for one in freed] == [None, None, None]
    finally:
        gc.enable()


def test_a_subclass_has_messages_of_its_own(system):
    class Mine(Supervisor):
        def init(self):
            return self.start_children(worker("a"))

        def handle_call(self, message):
            if message == "mine":
                return [info.id for info in self.which_children()]
            if message == "more":
                return self.start_child(worker("b"))
            return super().handle_call(message)

        def handle_info(self, message):
            """Takes all: news of children does not come here."""

    supervisor = Mine.start(system=system)
    assert supervisor.ask("mine") == ["a"]
    supervisor.ask("more")
    before = child(supervisor, "b")
    end(before, "abnormal")
    sync(supervisor)
    assert child(supervisor, "b") is not before
