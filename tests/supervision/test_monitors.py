"""Monitors (P42)."""

from __future__ import annotations

import pykka
import pytest
from supervision.kit import (
    LIMIT,
    Journal,
    Script,
    Worker,
    child,
    down_of,
    raise_error,
    thread_of,
    wait_until_left,
    watch,
    worker,
)

from dicom_actors.supervision import (
    ActorCrashed,
    Down,
    ExitReason,
    Supervisor,
    demonitor,
    kill,
    monitor,
    request_exit,
)


def exit_in_cleanup():
    raise SystemExit


WAYS = {
    "normal": (lambda ref: ref.tell(lambda actor: actor.exit()), "normal"),
    "stop": (lambda ref: ref.stop(block=False), "shutdown"),
    "request": (lambda ref: request_exit(ref, "why"), "error"),
    "raise in a cast": (lambda ref: ref.tell(raise_error), "error"),
    "raise in a call": (lambda ref: ref.ask(raise_error, block=False), "error"),
    "raise in an info": (lambda ref: ref.actor_inbox.put_info(raise_error), "error"),
    "SystemExit": (lambda ref: ref.tell(lambda actor: exit_in_cleanup()), "error"),
    "raise in cleanup": (lambda ref: (set_end(ref, raise_error), ref.stop(block=False)), "error"),
    "SystemExit in cleanup": (
        lambda ref: (set_end(ref, exit_in_cleanup), ref.stop(block=False)),
        "error",
    ),
    "kill": (kill, "killed"),
}


def set_end(ref, function):
    def assign(actor):
        actor.at_end = function

    ref.ask(assign, timeout=LIMIT)


class Watched(Worker):
    def handle_info(self, message):
        return message(self) if callable(message) else super().handle_info(message)


@pytest.mark.parametrize("way", WAYS)
def test_p42_exactly_one_down_for_every_way_to_die(system, way):
    die, kind = WAYS[way]
    notices = Journal()
    watcher = Worker.start(journal=notices, system=system)
    ref = Watched.start(system=system)
    thread = thread_of(ref)
    handles = [monitor(ref, watcher), monitor(ref, watcher)]
    future = watch(ref)
    die(ref)
    reason = down_of(future).reason
    assert reason.kind == kind
    wait_until_left(thread, ref)
    kill(ref)  # a second death is none
    late = monitor(ref, watcher)
    watcher.ask("sync", timeout=LIMIT)
    assert notices.entries == [
        ("worker", "start"),
        ("worker", Down(ref, reason, handles[0])),
        ("worker", Down(ref, reason, handles[1])),
        ("worker", Down(ref, ExitReason.NOPROC, late)),
    ]


@pytest.mark.parametrize("step", ["raise", "exit", "ignore"])
def test_p42_a_monitor_set_during_an_init_that_fails(system, step):
    downs = []

    def watch_self():
        downs.append(watch(system.registry.lookup("x")))
        return Script(step).run()

    try:
        Worker.start(script=Script(watch_self), name="x", system=system)
    except (RuntimeError, ActorCrashed):
        assert step != "ignore"
    assert down_of(downs[0]).reason.kind == ("normal" if step == "ignore" else "error")


def test_p42_a_disowned_actor_gives_one_down(system, gates):
    gate = gates()
    notices = []
    ref = Worker.start(system=system)
    thread = thread_of(ref)
    ref.tell(gate)
    gate.wait_entered()
    monitor(ref, notices.append)
    assert kill(ref)
    assert not kill(ref)
    gate.release()
    wait_until_left(thread, ref)
    assert [notice.reason for notice in notices] == [ExitReason.KILLED]


def test_p42_after_demonitor_there_is_none(system, gates):
    gate = gates()
    notices = Journal()
    watcher = Worker.start(journal=notices, system=system)
    ref = Worker.start(system=system)
    assert demonitor(monitor(ref, watcher))
    # also when the notice waits in the inbox
    watcher.tell(gate)
    gate.wait_entered()
    handle = monitor(ref, watcher)
    ref.stop()
    assert watcher.actor_inbox.qsize() == 1
    assert not demonitor(handle)
    assert not demonitor(handle)
    gate.release()
    watcher.ask("sync", timeout=LIMIT)
    assert notices.entries == [("worker", "start")]


def test_p42_the_supervisor_hears_first(system, gates):
    class Busy(Supervisor):
        def handle_cast(self, message):
            message()

    gate = gates()
    supervisor = Busy.start([worker("a")], system=system)
    ref = child(supervisor, "a")
    supervisor.tell(gate)
    gate.wait_entered()
    heard_before = []
    monitor(ref, lambda down: heard_before.append(supervisor.actor_inbox.qsize()))
    kill(ref)
    assert heard_before == [1]
    gate.release()


def test_p42_a_watcher_can_be_a_plain_pykka_actor(system):
    class Plain(pykka.ThreadingActor):
        use_daemon_thread = True

        def __init__(self):
            super().__init__()
            self.seen = []

        def on_receive(self, message):
            return self.seen if message == "seen" else self.seen.append(message)

    plain = Plain.start()
    ref = Worker.start(system=system)
    handle = monitor(ref, plain)
    ref.stop()
    assert plain.ask("seen") == [Down(ref, ExitReason.SHUTDOWN, handle)]
    plain.stop()
    monitor(ref, plain)  # dead, and told of the dead: nothing happens


def test_p42_a_watcher_that_raises_keeps_nobody_from_hearing(system, caplog):
    def fail(down):
        raise SystemExit

    ref = Worker.start(system=system)
    monitor(ref, fail)
    future = watch(ref)
    ref.stop()
    assert down_of(future).reason == ExitReason.SHUTDOWN
    assert system.log.flush(LIMIT)
    assert "a recipient of Down raised" in caplog.text


def test_p42_an_actor_monitors_for_itself(system):
    notices = Journal()
    watcher = Worker.start(journal=notices, system=system)
    ref = Worker.start(system=system)
    handle = watcher.ask(lambda actor: monitor(ref), timeout=LIMIT)
    ref.stop()
    watcher.ask("sync", timeout=LIMIT)
    assert notices.entries[-1] == ("worker", Down(ref, ExitReason.SHUTDOWN, handle))


def test_p42_what_cannot_be_monitored(system):
    plain = pykka.ThreadingActor.start()
    for function in (kill, request_exit, lambda ref: monitor(ref, print)):
        with pytest.raises(TypeError, match="SupervisedActor"):
            function(plain)
    plain.stop()
    ref = Worker.start(system=system)
    with pytest.raises(ValueError, match="watcher"):
        monitor(ref)
