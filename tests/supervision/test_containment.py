"""BaseException is contained, and a hung thread is disowned (P55, P56)."""

from __future__ import annotations

import asyncio
import threading

import pykka
import pytest
from kit.waiting import until
from supervision.kit import (
    LIMIT,
    Journal,
    Worker,
    child,
    down_of,
    sync,
    thread_of,
    wait_until_left,
    watch,
    worker,
)

from dicom_actors.supervision import (
    ActorCrashed,
    ChildSpec,
    ChildStartError,
    Continue,
    DisownedError,
    DynamicSupervisor,
    ExitReason,
    Inbox,
    SupervisedActor,
    Supervisor,
    call,
    cast,
    kill,
    start_child,
)
from dicom_actors.supervision.children import Administer

EXCEPTIONS = [
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    asyncio.CancelledError,
    MemoryError,
    RecursionError,
]
CALLBACKS = [
    "init",
    "handle_continue",
    "handle_call",
    "handle_cast",
    "handle_info",
    "terminate",
]


class Raises(SupervisedActor):
    def __init__(self, callback, exception, ends=None):
        super().__init__()
        self.callback = callback
        self.exception = exception
        self.ends = ends

    def _maybe(self, callback):
        if self.callback == callback:
            raise self.exception

    def init(self):
        self._maybe("init")
        return Continue() if self.callback == "handle_continue" else None

    def handle_continue(self, term):
        self._maybe("handle_continue")

    def handle_call(self, message):
        self._maybe("handle_call")

    def handle_cast(self, message):
        self._maybe("handle_cast")

    def handle_info(self, message):
        self._maybe("handle_info")

    def terminate(self, reason):
        self.ends.append(reason)
        self._maybe("terminate")


@pytest.mark.parametrize("callback", CALLBACKS)
@pytest.mark.parametrize("exception", EXCEPTIONS)
def test_p55_base_exceptions_end_one_actor(system, callback, exception):
    bystander = Worker.start(system=system)
    if callback == "init":
        error = exception if issubclass(exception, Exception) else ActorCrashed
        with pytest.raises(error):
            Raises.start(callback, exception, system=system)
    else:
        ends = []
        ref = Raises.start(callback, exception, ends, system=system)
        down = watch(ref)
        if callback == "handle_call":
            with pytest.raises(ActorCrashed) as caught:
                ref.ask("hello", timeout=LIMIT)
            assert isinstance(caught.value.__cause__, exception)
        elif callback == "terminate":
            ref.stop()
        else:
            cast(ref, "hello")
            ref.actor_inbox.put_info("hello")
        reason = down_of(down).reason
        assert reason.kind == "noproc" or isinstance(reason.exception, exception)
        assert isinstance(ref.reason.exception, exception)
        assert len(ends) == 1  # also after SystemExit
    assert bystander.ask("alive?", timeout=LIMIT) == "alive?"


@pytest.mark.parametrize("exception", EXCEPTIONS)
def test_p55_a_child_whose_constructor_raises_does_not_end_its_supervisor(system, exception):
    class Unmakable(SupervisedActor):
        def __init__(self):
            raise exception

    supervisor = Supervisor.start([worker("sibling")], system=system)
    sibling = child(supervisor, "sibling")
    with pytest.raises(ChildStartError) as caught:
        start_child(supervisor, ChildSpec("a", Unmakable.start))
    assert isinstance(caught.value.__cause__, exception)
    assert child(supervisor, "sibling") is sibling


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("how", ["tell", "ask"])
def test_p55_a_hosts_actor_that_exits_takes_no_supervised_one_along(system, exception, how):
    """pykka then stops all actors that it knows of."""

    class Exits(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message):
            raise exception

    supervisor = Supervisor.start([worker("a")], system=system)
    root = Worker.start(system=system)
    ref = child(supervisor, "a")
    hosts = pykka.ThreadingActor.start()
    exits = Exits.start()
    exits.tell("now") if how == "tell" else exits.ask("now", block=False)
    until(lambda: not hosts.is_alive())  # it reached what it reaches
    assert exits.actor_stopped.wait(LIMIT)
    for one in (ref, root):
        assert one.ask("hello", timeout=LIMIT) == "hello"
    assert child(supervisor, "a") is ref


def test_p56_a_hung_child_is_disowned_and_replaced(system, gates):
    gate = gates()
    told = Journal()
    target = Worker.start(journal=told, system=system)
    attempts = {}

    def hang(actor):
        gate()
        attempts["is_disowned"] = actor.is_disowned
        for name, act in {
            "ask": lambda: target.ask("from the dead", timeout=LIMIT),
            "call": lambda: call(target, "from the dead"),
            "tell": lambda: target.tell("from the dead"),
            "start": lambda: Worker.start(system=system),
            "stop": target.stop,
        }.items():
            try:
                act()
            except DisownedError as error:
                attempts[name] = type(error)
        cast(target, "from the dead")
        actor.journal.add("hung", "end")
        return "a late reply"

    supervisor = Supervisor.start([worker("a", spec={"shutdown": 5.0})], system=system)
    ref = child(supervisor, "a")
    notices = []
    ref.life.watch(ref, notices.append)
    thread = thread_of(ref)
    asked = ref.ask(hang, block=False)
    queued = ref.ask("queued", block=False)
    gate.wait_entered()
    assert system.disowned == 0
    terminated = supervisor.ask(Administer("terminate_child", "a"), block=False)
    system.timers.wait_for_one_more()
    system.advance(5.0)
    terminated.get(timeout=LIMIT)
    assert [notice.reason for notice in notices] == [ExitReason.KILLED]
    assert system.disowned == 1
    for reply in (asked, queued):  # answered at once, though the thread still hangs
        with pytest.raises(pykka.ActorDeadError):
            reply.get(timeout=0)
    gate.release()
    wait_until_left(thread, ref)
    target.ask("sync", timeout=LIMIT)
    assert attempts == {
        "is_disowned": True,
        "ask": DisownedError,
        "call": DisownedError,
        "tell": DisownedError,
        "start": DisownedError,
        "stop": DisownedError,
    }
    assert told.entries == [("worker", "start")]
    with pytest.raises(ActorCrashed):
        asked.get(timeout=0)  # its late reply reached nobody
    assert len(notices) == 1
    assert system.disowned == 0


def test_p56_a_killed_child_is_replaced_while_its_thread_still_hangs(system, gates):
    gate = gates()
    supervisor = Supervisor.start([worker("a")], system=system)
    ref = child(supervisor, "a")
    ref.tell(gate)
    gate.wait_entered()
    kill(ref)
    sync(supervisor)
    assert child(supervisor, "a").ask("hello", timeout=LIMIT) == "hello"
    assert system.disowned == 1
    gate.release()


def test_p56_a_deferred_reply_of_a_disowned_thread_reaches_nobody(system, gates):
    gate = gates()
    ref = Worker.start(system=system)
    thread = thread_of(ref)

    def defer_late(actor):
        gate()
        actor.defer_reply().set("late")

    asked = ref.ask(defer_late, block=False)
    gate.wait_entered()
    kill(ref)
    gate.release()
    wait_until_left(thread, ref)
    with pytest.raises(ActorCrashed):
        asked.get(timeout=0)


def test_p56_a_late_crash_of_a_disowned_thread_is_no_error(system, gates, caplog):
    gate = gates()

    def hang_and_raise(actor):
        gate()
        raise ValueError("late")

    ref = Worker.start(system=system)
    thread = thread_of(ref)
    ref.tell(hang_and_raise)
    gate.wait_entered()
    kill(ref)
    gate.release()
    wait_until_left(thread, ref)
    assert ref.reason == ExitReason.KILLED
    assert system.log.flush(LIMIT)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_p56_a_supervisor_disowned_in_a_start_adopts_nobody(system, gates):
    gate = gates()
    started = []

    def start_late():
        gate()
        started.append("started")
        return Worker.start("late")

    supervisor = DynamicSupervisor.start(system=system)
    thread = thread_of(supervisor)
    asked = supervisor.ask(Administer("start_child", ChildSpec("a", start_late)), block=False)
    gate.wait_entered()
    kill(supervisor)
    gate.release()
    wait_until_left(thread, supervisor)
    with pytest.raises(ActorCrashed):
        asked.get(timeout=0)
    assert started == ["started"]
    assert [t for t in threading.enumerate() if t.name.startswith("Worker-")] == []


def test_p56_a_message_taken_out_as_the_actor_is_killed_is_not_handled(system):
    """The kill may come when a message has left the inbox and its callback has not begun."""

    class KilledWithMail(Inbox):
        def get(self):
            item = super().get()
            kill(ref)
            return item

    class Unlucky(Worker):
        def create_inbox(self):
            return KilledWithMail()

    ref = Unlucky.start(system=system)
    thread = thread_of(ref)
    seen = []
    asked = ref.ask(lambda actor: seen.append("handled"), block=False)
    with pytest.raises(ActorCrashed):
        asked.get(timeout=LIMIT)
    wait_until_left(thread, ref)
    assert seen == []
