"""Names (P41)."""

from __future__ import annotations

from functools import partial

import pytest
from supervision.kit import Script, Worker, child, down_of, end, sync, watch, worker

from dicom_actors.supervision import (
    AlreadyStarted,
    ChildSpec,
    ExitReason,
    Supervisor,
    kill,
    monitor,
)


def test_p41_a_name_is_taken_before_init_runs(system, gates):
    seen = []
    script = Script(lambda: seen.append(system.registry.lookup("x")))
    ref = Worker.start(script=script, name="x", system=system)
    assert seen == [ref]


def test_p41_a_second_start_runs_no_init(system):
    script = Script()
    first = Worker.start(name="x", system=system)
    with pytest.raises(AlreadyStarted, match="'x'") as caught:
        Worker.start(name="x", script=script, system=system)
    assert caught.value.ref is first
    assert script.starts == 0
    assert system.registry.names() == {"x": first}


def test_p41_a_name_that_is_taken_while_its_second_actor_is_made(system):
    """The check before the constructor is for speed; the claim after it decides."""

    class Slow(Worker):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.script = Script(lambda: pytest.fail("init ran"))
            winners.append(Worker.start(name="x", system=system))

    winners = []
    with pytest.raises(AlreadyStarted) as caught:
        Slow.start(name="x", system=system)
    assert [caught.value.ref] == winners


@pytest.mark.parametrize("how", ["normal", "abnormal", "killed"])
def test_p41_a_name_is_free_before_anybody_hears_of_the_death(system, how):
    seen = []
    ref = Worker.start(name="x", system=system)
    monitor(ref, lambda down: seen.append(dict(system.registry._refs)))
    end(ref, how)
    assert seen == [{}]


def test_p41_lookup_never_gives_a_dead_actor(system, gates):
    gate = gates()
    ref = Worker.start(name="x", at_end=gate, system=system)
    other = watch(ref)
    stopped = ref.stop(block=False)
    gate.wait_entered()
    assert system.registry.lookup("x") is ref  # it is ending, not dead
    kill(ref)
    assert system.registry.lookup("x") is None
    assert system.registry.lookup("unknown") is None
    assert down_of(other).reason == ExitReason.KILLED
    replacement = Worker.start(name="x", system=system)
    gate.release()
    stopped.get()
    assert system.registry.lookup("x") is replacement  # the late end of the first takes nothing


def test_p41_a_name_changes_hands_while_its_first_owner_dies(system):
    """A killed supervisor kills its children before its own name is freed."""
    supervisor = Supervisor.start([worker("a")], name="x", system=system)
    seen = []

    def take_over(_down):
        seen.append(system.registry.lookup("x"))
        seen.append(Worker.start(name="x", system=system))

    monitor(child(supervisor, "a"), take_over)
    kill(supervisor)
    assert seen[0] is None
    assert system.registry.lookup("x") is seen[1]


def test_p41_a_named_child_is_restarted_1000_times(system):
    spec = ChildSpec("a", partial(Worker.start, name="x"))
    supervisor = Supervisor.start([spec], intensity=1_000, system=system)
    for _ in range(1_000):
        kill(child(supervisor, "a"))
        sync(supervisor)
    assert system.registry.lookup("x") is child(supervisor, "a")
    assert [report for report in system.reports() if report[0] != "child terminated"] == []
