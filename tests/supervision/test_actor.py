"""The actor as a gen_server (P33 to P40)."""

from __future__ import annotations

import gc
import threading
import weakref

import pykka
import pytest
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
    IGNORE,
    ActorCrashed,
    CallError,
    CallingSelfError,
    CallTimeout,
    ChildSpec,
    Continue,
    ExitReason,
    Inbox,
    NoProcError,
    Reply,
    StartTimeout,
    Stop,
    SupervisedActor,
    SupervisedRef,
    Supervisor,
    call,
    cast,
    kill,
    request_exit,
    start_child,
    terminate_child,
)
from dicom_actors.supervision.inbox import Envelope


def in_thread(function):
    """Run a function in a thread of its own; returns a future of what it returns."""
    future = Reply()

    def run():
        try:
            future.set(function())
        except BaseException as error:
            future.fail(error)

    threading.Thread(target=run).start()
    return future


# --- P33: init -----------------------------------------------------------------------------


def test_p33_init_runs_in_the_actors_thread_while_start_waits(system, gates):
    gate, threads = gates(), []

    def step():
        threads.append(threading.current_thread())
        gate()

    started = in_thread(lambda: Worker.start(script=Script(step), system=system))
    gate.wait_entered()
    assert not started.is_done
    gate.release()
    ref = started.get(timeout=LIMIT)
    assert threads == [thread_of(ref)]
    assert thread_of(ref).daemon


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("raise", RuntimeError),
        ("exit", ActorCrashed),
        ("stop", ActorCrashed),
        ("raise stop", ActorCrashed),
    ],
)
def test_p33_an_init_that_fails(system, journal, step, error):
    class Fails(Worker):
        def init(self):
            if step == "stop":
                return Stop("no")
            if step == "raise stop":
                raise Stop("no")
            return super().init()

    with pytest.raises(error) as caught:
        Fails.start(
            journal=journal,
            script=Script(step if step in {"raise", "exit"} else "ok"),
            system=system,
            name="x",
        )
    assert system.registry.names() == {}
    assert system.roots() == []
    assert journal.entries == []  # no cleanup
    if step.endswith("stop"):
        assert caught.value.reason == ExitReason.error("no")
    if step == "exit":
        assert isinstance(caught.value.__cause__, SystemExit)


def test_p33_what_init_raised_keeps_its_own_cause(system):
    def step():
        try:
            raise_error()
        except ValueError as error:
            raise OSError("no port") from error

    with pytest.raises(OSError, match="no port") as caught:
        Worker.start(script=Script(step), system=system)
    assert isinstance(caught.value.__cause__, ValueError)


def test_p33_ignore(system, journal):
    ref = Worker.start(journal=journal, script=Script("ignore"), system=system, name="x")
    assert ref is IGNORE
    assert system.registry.names() == {}
    assert journal.entries == []


def test_p33_a_start_timeout_kills(system, journal, gates):
    class Continues(Worker):
        def init(self):
            super().init()
            return Continue()

        def handle_continue(self, term):
            self.journal.add("continue")

    gate = gates()
    started = in_thread(
        lambda: Continues.start(
            journal=journal, script=Script(gate), system=system, name="x", timeout=10.0
        )
    )
    gate.wait_entered()
    system.advance(9.999)
    assert not started.is_done
    system.advance(0.001)
    with pytest.raises(StartTimeout, match=r"10\.0 seconds"):
        started.get(timeout=LIMIT)
    assert system.registry.names() == {}
    assert system.disowned == 1
    hung = next(t for t in threading.enumerate() if t.name.startswith("Continues-"))
    gate.release()
    hung.join(LIMIT)
    assert system.disowned == 0
    assert journal.entries == [("worker", "start")]  # no cleanup, no message


def test_p33_a_start_in_time_leaves_no_timer(system):
    Worker.start(system=system, timeout=10.0)
    assert system.timers.pending() == 0


def test_p33_an_actor_killed_in_its_init_fails_its_start(system, gates):
    gate = gates()
    started = in_thread(lambda: Worker.start(script=Script(gate), system=system, name="x"))
    gate.wait_entered()
    kill(system.registry.lookup("x"))
    with pytest.raises(ActorCrashed) as caught:
        started.get(timeout=LIMIT)
    assert caught.value.reason == ExitReason.KILLED


def test_p33_a_thread_that_cannot_start_leaves_nothing(system, monkeypatch):
    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("dicom_actors.supervision.threads.ActorThread.start", fail)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Worker.start(system=system, name="x")
    assert system.registry.names() == {}
    assert system.roots() == []
    assert system.disowned == 0


# --- P34: handle_continue ------------------------------------------------------------------


def test_p34_continue_comes_before_any_message(system, journal, gates):
    gate = gates()

    class Continues(Worker):
        def init(self):
            super().init()
            return Continue("first")

        def handle_continue(self, term):
            self.journal.add("continue", term)
            return Continue("second") if term == "first" else None

        def handle_cast(self, message):
            self.journal.add("cast", message)
            return Continue("third") if message == "one" else None

    started = in_thread(
        lambda: Continues.start(journal=journal, script=Script(gate), system=system, name="x")
    )
    gate.wait_entered()
    ref = system.registry.lookup("x")
    ref.tell("one")
    ref.tell("two")
    gate.release()
    started.get(timeout=LIMIT)
    ref.ask(None, timeout=LIMIT)
    assert journal.entries == [
        ("worker", "start"),
        ("continue", "first"),
        ("continue", "second"),
        ("cast", "one"),
        ("continue", "third"),
        ("cast", "two"),
    ]


def test_p34_start_does_not_wait_for_a_continuation(system, gates):
    gate = gates()

    class Continues(SupervisedActor):
        def init(self):
            return Continue()

        def handle_continue(self, term):
            gate()
            return Stop("done")

    ref = Continues.start(system=system)
    gate.wait_entered()
    down = watch(ref)
    gate.release()
    assert down_of(down).reason == ExitReason.error("done")


def test_p34_a_continuation_that_nothing_handles_is_logged(system, caplog):
    class Continues(Worker):
        def init(self):
            return Continue("secret")

    ref = Continues.start(system=system)
    assert ref.ask("hello", timeout=LIMIT) == "hello"
    assert system.log.flush(LIMIT)
    assert "continuation str" in caplog.text
    assert "secret" not in caplog.text


# --- P35: a crash while answering ----------------------------------------------------------


def test_p35_a_crash_while_answering_tells_the_caller_and_ends_the_actor(system, gates):
    gate = gates()  # the caller is answered before the cleanup
    supervisor = Supervisor.start([worker("a", at_end=gate)], system=system)
    ref = child(supervisor, "a")
    down = watch(ref)
    with pytest.raises(ActorCrashed) as caught:
        ref.ask(raise_error, timeout=LIMIT)
    assert isinstance(caught.value.__cause__, ValueError)
    assert isinstance(caught.value, pykka.ActorDeadError)
    gate.release()
    assert down_of(down).reason.exception is caught.value.__cause__
    sync(supervisor)
    assert child(supervisor, "a") is not ref


def test_p35_a_call_error_is_an_answer(system):
    def refuse(actor):
        raise CallError("not today")

    ref = Worker.start(system=system)
    with pytest.raises(CallError, match="not today"):
        ref.ask(refuse, timeout=LIMIT)
    assert ref.ask("hello", timeout=LIMIT) == "hello"
    down = watch(ref)
    ref.tell(refuse)  # there is nobody to answer: a crash like any other
    assert isinstance(down_of(down).reason.exception, CallError)


def test_p35_an_actor_may_answer_and_end(system):
    def answer_and_end(actor):
        actor.exit("enough")
        return "answer"

    ref = Worker.start(system=system)
    down = watch(ref)
    assert ref.ask(answer_and_end, timeout=LIMIT) == "answer"
    assert down_of(down).reason == ExitReason.error("enough")


@pytest.mark.parametrize("how", ["raise", "return"])
def test_p35_stop_in_a_call(system, how):
    def stop(actor):
        if how == "raise":
            raise Stop(ExitReason.NORMAL)
        return Stop(ExitReason.NORMAL)

    ref = Worker.start(system=system)
    down = watch(ref)
    with pytest.raises(ActorCrashed) as caught:
        ref.ask(stop, timeout=LIMIT)
    assert caught.value.reason == down_of(down).reason == ExitReason.NORMAL


@pytest.mark.parametrize("how", ["raise", "return"])
@pytest.mark.parametrize("lane", ["cast", "info"])
def test_p35_stop_in_a_cast_or_info(system, how, lane):
    class Stops(SupervisedActor):
        def handle_cast(self, message):
            if how == "raise":
                raise Stop(message)
            return Stop(message)

        handle_info = handle_cast

    ref = Stops.start(system=system)
    down = watch(ref)
    if lane == "cast":
        ref.tell("why")
    else:
        ref.actor_inbox.put_info("why")
    assert down_of(down).reason == ExitReason.error("why")


def test_p35_deferred_replies(system):
    kept = []
    ref = Worker.start(system=system)
    first = ref.ask(lambda actor: kept.append(actor.defer_reply()), block=False)
    second = ref.ask(lambda actor: kept.append(actor.defer_reply()), block=False)
    third = ref.ask(lambda actor: kept.append(actor.defer_reply()), block=False)
    assert ref.ask("hello", timeout=LIMIT) == "hello"
    assert not first.is_done
    kept[0].set("late")
    assert first.get(timeout=LIMIT) == "late"
    kept[1].fail(CallError("no"))
    with pytest.raises(CallError, match="no"):
        second.get(timeout=LIMIT)
    end(ref, "shutdown")
    with pytest.raises(ActorCrashed):
        third.get(timeout=LIMIT)


def test_p35_a_call_deferred_as_its_actor_dies_is_answered(system):
    """The kill may come when the call is no longer the current one, and not yet a deferred one."""
    ref = Worker.start(system=system)
    kill(ref)
    ref.life.current = Reply()
    with pytest.raises(ActorCrashed):
        ref.life.defer().get(timeout=0)


def test_p35_there_is_nothing_to_defer_in_a_cast(system):
    ref = Worker.start(system=system)
    down = watch(ref)
    ref.tell(lambda actor: actor.defer_reply())
    assert isinstance(down_of(down).reason.exception, RuntimeError)


# --- P36: calling the dead, or oneself -----------------------------------------------------


def test_p36_calling_the_dead_fails_at_once(system):
    ref = Worker.start(system=system)
    ref.stop()
    for function in (call, lambda ref, message: ref.ask(message)):
        with pytest.raises(NoProcError):
            function(ref, "hello")
    with pytest.raises(NoProcError):
        ref.tell("hello")
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("hello", block=False).get(timeout=LIMIT)


def test_p36_calling_oneself_raises(system):
    ref = Worker.start(system=system)

    def call_self(actor):
        with pytest.raises(CallingSelfError):
            call(actor.actor_ref, "hello")
        with pytest.raises(CallingSelfError):
            actor.actor_ref.stop()
        return actor.actor_ref.ask("later", block=False)

    assert ref.ask(call_self, timeout=LIMIT).get(timeout=LIMIT) == "later"


def test_p36_every_ask_that_meets_a_closing_inbox_is_answered():
    for _ in range(200):
        inbox = Inbox()
        replies = [Reply() for _ in range(20)]
        started = threading.Barrier(2)

        def put(inbox=inbox, replies=replies, started=started):
            started.wait(LIMIT)
            for reply in replies:
                inbox.put(Envelope("hello", reply))

        done = in_thread(put)
        started.wait(LIMIT)
        inbox.close()
        done.get(timeout=LIMIT)
        for reply in replies:
            with pytest.raises(NoProcError):
                reply.get(timeout=LIMIT)


def test_p36_call_speaks_to_plain_pykka_actors_too():
    class Plain(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message):
            return message

    ref = Plain.start()
    assert call(ref, "hello") == "hello"
    ref.stop()
    cast(ref, "hello")
    with pytest.raises(NoProcError):
        call(ref, "hello")


# --- P37: timeouts and late replies --------------------------------------------------------


def test_p37_a_timeout_fails_the_caller_only(system, gates):
    gate = gates()
    ref = Worker.start(system=system)

    def slow(actor):
        gate()
        return "late"

    with pytest.raises(CallTimeout) as caught:
        call(ref, slow, timeout=0)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, pykka.Timeout)
    gate.wait_entered()
    second = ref.ask("second", block=False)
    gate.release()
    assert second.get(timeout=LIMIT) == "second"
    assert ref.is_alive()


def test_p37_a_timeout_of_a_plain_pykka_actor():
    class Plain(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message):
            message()

    released = threading.Event()
    ref = Plain.start()
    with pytest.raises(CallTimeout):
        call(ref, lambda: released.wait(LIMIT), timeout=0)
    released.set()
    ref.stop()


def test_p37_the_first_reply_wins():
    reply = Reply()
    assert reply.offer("first")
    assert not reply.offer("second")
    reply.set("third")
    assert not reply.fail(ValueError("fourth"))
    reply.set_exception((ValueError, ValueError("fifth"), None))
    assert [reply.get(), reply.get(timeout=0)] == ["first", "first"]


# --- P38: cast -----------------------------------------------------------------------------


def test_p38_cast_never_raises(system, gates, journal):
    gate = gates()

    class Small(Worker):
        def create_inbox(self):
            return Inbox(limit=1)

    ref = Small.start(journal=journal, system=system)
    cast(ref, gate)
    gate.wait_entered()
    cast(ref, "waits")
    cast(ref, "too much")
    assert ref.actor_inbox.qsize() == 1
    request_exit(ref)
    gate.release()
    ref.stop()
    cast(ref, "to the dead")
    assert journal.entries == [("worker", "start"), ("worker", "stop")]


# --- P39: terminate ------------------------------------------------------------------------


class Tells(Worker):
    def terminate(self, reason):
        self.journal.add("terminate", reason)
        if self.at_end:
            self.at_end()


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("stop", "shutdown"),
        ("parent", "shutdown"),
        ("exit", "normal"),
        ("crash", "error"),
        ("crash in a call", "error"),
        ("request", "error"),
    ],
)
def test_p39_terminate_is_called_once_with_the_reason(system, journal, how, kind):
    supervisor = Supervisor.start([worker("parented")], intensity=0, system=system)
    ref = Tells.start(journal=journal, system=system)
    down = watch(ref)
    if how == "parent":
        parented = start_child(supervisor, ChildSpec("tells", lambda: Tells.start(journal=journal)))
        down = watch(parented)
        journal.clear()
        terminate_child(supervisor, "tells")
    elif how == "stop":
        ref.stop()
    elif how == "exit":
        ref.tell(lambda actor: actor.exit())
    elif how == "crash":
        ref.tell(raise_error)
    elif how == "crash in a call":
        ref.ask(raise_error, block=False)
    else:
        request_exit(ref, "request")
    reason = down_of(down).reason
    assert reason.kind == kind
    ends = [entry for entry in journal.entries if entry[0] == "terminate"]
    assert ends == [("terminate", reason)]


def test_p39_terminate_is_not_called_on_a_kill_or_a_failed_init(system, journal):
    ref = Tells.start(journal=journal, system=system)
    thread = thread_of(ref)
    kill(ref)
    wait_until_left(thread, ref)
    with pytest.raises(RuntimeError):
        Tells.start(journal=journal, script=Script("raise"), system=system)
    Tells.start(journal=journal, script=Script("ignore"), system=system)
    assert journal.entries == [("worker", "start")]


def test_p39_what_terminate_raises_becomes_the_reason(system):
    ref = Tells.start(at_end=raise_error, system=system)
    down = watch(ref)
    ref.stop()
    assert isinstance(down_of(down).reason.exception, ValueError)

    def stop():
        raise Stop(ExitReason.shutdown("better"))

    ref = Tells.start(at_end=stop, system=system)
    down = watch(ref)
    ref.stop()
    assert down_of(down).reason == ExitReason.shutdown("better")


# --- P40: stop -----------------------------------------------------------------------------


def test_p40_stop_returns_when_the_cleanup_is_done(system, gates):
    gate = gates()
    ref = Worker.start(at_end=gate, system=system)
    first = in_thread(ref.stop)
    gate.wait_entered()
    assert ref.is_alive()
    second = in_thread(ref.stop)
    third = ref.stop(block=False)
    with pytest.raises(CallTimeout):
        ref.stop(timeout=0)
    assert not first.is_done
    assert not second.is_done
    gate.release()
    assert first.get(timeout=LIMIT) is True
    assert second.get(timeout=LIMIT) is True
    assert third.get(timeout=LIMIT) is True
    assert not ref.is_alive()
    assert ref.stop() is False
    assert ref.stop(block=False).get(timeout=LIMIT) is False


def test_p40_stop_goes_before_what_waits(system, gates, journal):
    gate = gates()
    ref = Worker.start(journal=journal, system=system)
    ref.tell(gate)
    gate.wait_entered()
    ref.tell("never handled")
    stopped = ref.stop(block=False)
    gate.release()
    assert stopped.get(timeout=LIMIT)
    assert journal.entries == [("worker", "start"), ("worker", "stop")]


def test_p40_an_actor_stops_itself(system):
    ref = Worker.start(system=system)
    down = watch(ref)
    ref.tell(lambda actor: actor.stop())
    assert down_of(down).reason == ExitReason.SHUTDOWN


def test_p40_pykkas_stop_all_stops_only_what_is_the_hosts(system):
    supervisor = Supervisor.start([worker("a")], system=system)
    ref = child(supervisor, "a")
    plain = pykka.ThreadingActor.start()
    assert pykka.ActorRegistry.stop_all(timeout=LIMIT) == [True]
    assert not plain.is_alive()
    assert ref.ask("hello", timeout=LIMIT) == "hello"
    assert child(supervisor, "a") is ref


# --- nothing is left -----------------------------------------------------------------------


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("how", ["shutdown", "abnormal", "killed"])
def test_an_ended_actor_is_freed_without_the_garbage_collector(system, how):
    gc.disable()
    try:
        journal = Journal()
        ref = Worker.start(journal=journal, system=system)
        actor = ref.ask(weakref.ref, timeout=LIMIT)
        thread = thread_of(ref)
        end(ref, how)
        wait_until_left(thread, ref)
        del thread
        freed = weakref.ref(ref)
        assert actor() is None
        del ref
        assert freed() is None
    finally:
        gc.enable()


def test_a_message_is_not_kept_while_the_actor_waits(system):
    class Message:
        pass

    ref = Worker.start(system=system)
    message = Message()
    freed = weakref.ref(message)
    ref.tell(message)
    ref.ask(lambda actor: actor.journal.clear(), timeout=LIMIT)
    del message
    assert freed() is None


def test_an_actor_has_a_system_only_once_it_is_started():
    actor = Worker()
    with pytest.raises(RuntimeError, match="not started"):
        actor.system  # noqa: B018 - the access is the test


def test_the_system_of_an_actor_started_in_a_callback_is_inherited(system):
    ref = Worker.start(system=system)
    other = ref.ask(lambda actor: Worker.start(), timeout=LIMIT)
    assert other.ask(lambda actor: actor.system, timeout=LIMIT) is system


def test_an_actor_may_have_a_reference_of_its_own_kind(system):
    class Mine(SupervisedRef):
        def __init__(self, actor, life):
            super().__init__(actor, life)
            self.label = actor.__class__.__name__

    class Has(Worker):
        def make_ref(self, life):
            return Mine(self, life)

    supervisor = Supervisor.start([ChildSpec("a", (Has, (), {}))], system=system)
    ref = child(supervisor, "a")
    assert isinstance(ref, Mine)
    assert ref.label == "Has"
    assert ref.ask(lambda actor: actor.actor_ref, timeout=LIMIT) is ref
    assert thread_of(ref).actor_ref is ref
