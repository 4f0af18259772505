"""An actor that has ended is freed by reference counting alone: nothing waits for the collector."""

from __future__ import annotations

import contextlib
import gc
import socket
import weakref

import pytest
from kit.waiting import until
from supervision.kit import (
    Script,
    Worker,
    child,
    end,
    raise_error,
    sync,
    thread_of,
    wait_until_left,
    worker,
)

from dicom_actors.supervision import (
    ActorCrashed,
    AlreadyStarted,
    CallError,
    CallTimeout,
    ChildSpec,
    ChildStartError,
    DynamicSupervisor,
    NoProcError,
    Restart,
    RestartWindow,
    SocketInbox,
    StartTimeout,
    SupervisedActor,
    Supervisor,
    call,
    monitor,
    respecify_child,
    spawn_child,
    start_child,
    terminate_child,
)

pytestmark = pytest.mark.usefixtures("no_log")

TEMPORARY = {"restart": Restart.TEMPORARY}


class WithSocket(Worker):
    def __init__(self, sock, **arguments):
        super().__init__(**arguments)
        self.sock = sock

    def create_inbox(self):
        return SocketInbox()

    def init(self):
        self.actor_inbox.register(self.sock)
        return super().init()

    def handle_info(self, message):
        self.sock.recv(10)


class Unmakable(SupervisedActor):
    def __init__(self):
        raise_error()


class Scene:
    """What all ways to come and go need."""

    def __init__(self, system):
        self.system = system
        self.seen = []
        self.keeper = Worker.start(system=system)
        self.supervisor = DynamicSupervisor.start(intensity=10_000, system=system)
        self.pair = socket.socketpair()
        self.pair[0].setblocking(False)

    def see(self, ref):
        """Keep an eye on an actor: its object, its life, its inbox, its reference."""
        with contextlib.suppress(NoProcError):
            self.seen.append(ref.ask(weakref.ref))
        self.seen += [weakref.ref(one) for one in (ref, ref.life, ref.actor_inbox)]
        return ref

    def start(self, **arguments):
        return self.see(Worker.start(system=self.system, **arguments))

    def ended(self, ref, how=None):
        thread = ref.life.thread
        if how is not None:
            end(ref, how)
        if thread is not None:
            wait_until_left(thread, ref)


def dies(how):
    def way(scene):
        scene.ended(scene.start(), how)

    return way


def stopped(scene):
    ref = scene.start()
    ref.stop()
    scene.ended(ref)


def crashed_in_a_call(scene):
    ref = scene.start()
    with contextlib.suppress(ActorCrashed):
        ref.ask(raise_error)
    scene.ended(ref)


def refused_a_call(scene):
    def refuse(actor):
        raise CallError("not today")

    ref = scene.start()
    with contextlib.suppress(CallError):
        call(ref, refuse)
    scene.ended(ref, "normal")


def answered_too_late(scene):
    ref = scene.start()
    with contextlib.suppress(CallTimeout):
        call(ref, "hello", timeout=0)
    scene.ended(ref, "normal")


def asked_when_dead(scene):
    ref = scene.start()
    scene.ended(ref, "killed")
    with contextlib.suppress(NoProcError):
        ref.ask("hello")
    with contextlib.suppress(NoProcError):
        ref.tell("hello")


def deferred(scene):
    kept = []
    ref = scene.start()
    ref.ask(lambda actor: kept.append(actor.defer_reply()), block=False)
    scene.ended(ref, "abnormal")


def failed_in_its_init(step):
    def way(scene):
        with contextlib.suppress(RuntimeError, ActorCrashed):
            Worker.start(script=Script(step), system=scene.system, name="x")
        until(scene.system.threads.idle)

    return way


def took_too_long_to_start(scene):
    def step():
        scene.system.advance(1.0)

    with contextlib.suppress(StartTimeout):
        Worker.start(script=Script(step), system=scene.system, timeout=1.0)
    until(lambda: scene.system.disowned == 0)


def had_a_name(scene):
    ref = scene.start(name="x")
    with contextlib.suppress(AlreadyStarted):
        scene.start(name="x")
    scene.ended(ref, "normal")


def had_timers_and_monitors(scene):
    ref = scene.start()
    scene.system.timers.send_after(1.0, ref, "timer")
    monitor(ref, scene.keeper)
    monitor(scene.keeper, ref).cancel()
    scene.system.timers.send_after(3600.0, ref, "never").cancel()
    scene.system.advance(1.0)
    scene.ended(ref, "normal")
    scene.keeper.ask("the notice was handled")
    for _ in range(100):  # what was for the dead goes with the timers that come
        scene.system.timers.send_after(1.0, print, "never").cancel()


def had_a_socket(how):
    def way(scene):
        ref = scene.see(WithSocket.start(scene.pair[0], system=scene.system))
        scene.pair[1].send(b"x")
        ref.ask("hello")
        scene.ended(ref, how)

    return way


def was_a_child(start):
    def way(scene):
        ref = scene.see(start(scene.supervisor, worker("a", spec=TEMPORARY)))
        scene.ended(ref, "abnormal")
        sync(scene.supervisor)

    return way


def was_restarted(scene):
    spec = worker("a", spec={"budget": RestartWindow(3, 60.0)})
    ref = scene.see(spawn_child(scene.supervisor, spec))
    scene.ended(ref, "abnormal")
    sync(scene.supervisor)
    again = scene.see(child(scene.supervisor, "a"))
    respecify_child(scene.supervisor, again, worker("b", spec=TEMPORARY))
    thread = thread_of(again)
    terminate_child(scene.supervisor, again)
    wait_until_left(thread, again)


def did_not_start_as_a_child(scene):
    for start in (start_child, spawn_child):
        with contextlib.suppress(ChildStartError):
            start(scene.supervisor, ChildSpec("a", (Unmakable, (), {})))
    with contextlib.suppress(ChildStartError):
        start_child(scene.supervisor, worker("a", script=Script("raise")))
    until(scene.system.threads.idle)


def was_a_tree(scene):
    supervisor = Supervisor.start([worker("a"), worker("b")], system=scene.system)
    scene.see(child(supervisor, "b"))
    end(scene.see(child(supervisor, "a")), "abnormal")
    sync(supervisor)
    scene.seen += [weakref.ref(supervisor), weakref.ref(supervisor.life)]
    supervisor.stop()
    scene.ended(supervisor)
    until(lambda: scene.system.threads.idle() >= 3)


def had_its_own_system(scene):
    supervisor = Supervisor.start([worker("a")])
    scene.see(child(supervisor, "a"))
    scene.seen += [weakref.ref(supervisor), weakref.ref(supervisor.life.system)]
    thread = thread_of(supervisor)
    supervisor.stop()
    wait_until_left(thread, supervisor)
    thread.join()


WAYS = {
    "ends": dies("normal"),
    "crashes": dies("abnormal"),
    "is killed": dies("killed"),
    "is stopped": stopped,
    "crashes in a call": crashed_in_a_call,
    "refuses a call": refused_a_call,
    "answers too late": answered_too_late,
    "is asked when dead": asked_when_dead,
    "had deferred an answer": deferred,
    "fails in its init": failed_in_its_init("raise"),
    "exits in its init": failed_in_its_init("exit"),
    "ignores": failed_in_its_init("ignore"),
    "takes too long to start": took_too_long_to_start,
    "had a name": had_a_name,
    "had timers and monitors": had_timers_and_monitors,
    "had a socket": had_a_socket("shutdown"),
    "had a socket and crashes": had_a_socket("abnormal"),
    "had a socket and is killed": had_a_socket("killed"),
    "was started as a child": was_a_child(start_child),
    "was spawned": was_a_child(spawn_child),
    "was restarted": was_restarted,
    "did not start as a child": did_not_start_as_a_child,
    "was a tree": was_a_tree,
    "had its own system": had_its_own_system,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_ended_is_freed_without_the_garbage_collector(system, way):
    scene = Scene(system)
    way(scene)  # the first time is different: threads start, caches fill
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(3):
            scene.seen.clear()
            way(scene)
            system.seen.clear()  # the reports name who ended, and so does the notice
            scene.keeper.ask(lambda actor: actor.journal.clear())
            until(lambda: all(one() is None for one in scene.seen))
        gc.collect()
        ours = [one for one in gc.garbage if type(one).__module__.startswith("dicom_actors")]
        assert ours == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        for end_ in scene.pair:
            end_.close()
