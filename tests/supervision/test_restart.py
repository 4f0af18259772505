"""When a child is restarted, and what a restart is (P5 to P8, P17)."""

from __future__ import annotations

import weakref

import pytest
from supervision.kit import (
    DEATHS,
    LIMIT,
    Journal,
    Script,
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
    ActorCrashed,
    ChildCounts,
    ChildState,
    NoProcError,
    Restart,
    Strategy,
    Supervisor,
    count_children,
    start_child,
    which_children,
)

ABNORMAL = {"abnormal", "killed"}


@pytest.mark.parametrize("death", DEATHS)
def test_p05_a_permanent_child_is_always_restarted(system, death):
    supervisor = Supervisor.start([worker("a")], system=system)
    before = child(supervisor, "a")
    assert end(before, death).ref is before
    sync(supervisor)
    after = child(supervisor, "a")
    assert after is not before
    assert after.ask("hello", timeout=LIMIT) == "hello"


@pytest.mark.parametrize("death", DEATHS)
def test_p06_a_transient_child_is_restarted_after_an_abnormal_end(system, death):
    spec = {"restart": Restart.TRANSIENT}
    supervisor = Supervisor.start([worker("a", spec=spec)], system=system)
    before = child(supervisor, "a")
    end(before, death)
    sync(supervisor)
    if death in ABNORMAL:
        assert child(supervisor, "a") is not before
    else:
        assert count_children(supervisor) == ChildCounts(1, 0, 0, 1)
        assert which_children(supervisor)[0].state is ChildState.STOPPED


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.usefixtures("no_log")  # a record of a crash holds all that was in use
def test_p07_a_temporary_child_is_forgotten_with_its_arguments(system, death):
    class Argument(Journal):
        pass

    argument = Argument()
    spec = worker("a", journal=argument, spec={"restart": Restart.TEMPORARY})
    supervisor = Supervisor.start([spec], system=system)
    is_dead = weakref.ref(argument)
    ref = child(supervisor, "a")
    thread = thread_of(ref)
    del argument, spec
    end(ref, death)
    sync(supervisor)
    wait_until_left(thread, ref)
    assert count_children(supervisor) == ChildCounts(0, 0, 0, 0)
    start_child(supervisor, worker("a"))  # its id is free
    assert is_dead() is None


def test_p07_a_temporary_bystander_of_a_group_restart_is_forgotten(system, journal):
    supervisor = Supervisor.start(
        [
            worker("a", journal=journal),
            worker("b", journal=journal, spec={"restart": Restart.TEMPORARY}),
        ],
        strategy=Strategy.ONE_FOR_ALL,
        system=system,
    )
    bystander = watch(child(supervisor, "b"))
    end(child(supervisor, "a"), "abnormal")
    assert down_of(bystander).reason.kind == "shutdown"
    sync(supervisor)
    assert [info.id for info in which_children(supervisor)] == ["a"]
    starts = [entry for entry in journal.entries if entry[1] == "start"]
    assert starts == [("a", "start"), ("b", "start"), ("a", "start")]


def test_p08_one_for_one_leaves_siblings_alone(system):
    supervisor = Supervisor.start([worker("a"), worker("b"), worker("c")], system=system)
    before = {name: child(supervisor, name) for name in "abc"}
    threads = {name: thread_of(ref) for name, ref in before.items()}
    end(before["b"], "abnormal")
    sync(supervisor)
    after = {name: child(supervisor, name) for name in "abc"}
    assert after["b"] is not before["b"]
    for name in "ac":
        assert after[name] is before[name]
        assert thread_of(after[name]) is threads[name]


def test_p17_a_restart_is_a_new_actor_with_the_first_arguments(system, gates):
    gate = gates()
    seen = Script("ok", "ok")
    supervisor = Supervisor.start([worker("label", script=seen)], system=system)
    before = child(supervisor, "label")

    def hang_and_crash(actor):
        actor.label = "changed"
        gate()
        raise_error()

    before.tell(hang_and_crash)
    gate.wait_entered()
    asks = [before.ask(number, block=False) for number in range(3)]
    down = watch(before)
    gate.release()
    for ask in asks:
        with pytest.raises(NoProcError):
            ask.get(timeout=LIMIT)
    down_of(down)
    sync(supervisor)
    after = child(supervisor, "label")
    assert after is not before
    assert after.actor_inbox is not before.actor_inbox
    assert after.ask(lambda actor: (actor.label, actor.journal.entries)) == (
        "label",
        [("label", "start")],  # nothing that was sent to the old one
    )


def test_p17_an_ask_that_is_being_answered_fails_at_once(system, gates):
    gate = gates()
    supervisor = Supervisor.start([worker("a")], system=system)
    ref = child(supervisor, "a")
    asked = ref.ask(gate, block=False)
    gate.wait_entered()
    end(ref, "killed")
    with pytest.raises(ActorCrashed) as caught:
        asked.get(timeout=LIMIT)
    assert caught.value.reason.kind == "killed"
