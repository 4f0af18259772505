"""A process with actors forks: the child keeps no descriptor of theirs and hangs on none of them.

The processes are real, and so are the locks that another thread may have had when it happened.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
import time
import warnings
import weakref

import pytest
from kit.descriptors import open_descriptors
from supervision.kit import LIMIT, Worker, child, down_of, watch, worker

from dicom_actors.supervision import (
    DynamicSupervisor,
    ExitReason,
    Registry,
    Reply,
    SocketInbox,
    Supervisor,
    System,
    call,
    cast,
    close_in_child,
    kill,
    monitor,
    send_request,
    spawn_child,
    start_child,
    which_children,
)
from dicom_actors.supervision.forking import _closed_in_child


def fork():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads
        return os.fork()


class Child:
    """A forked process that runs a function, says what that returned, and lives until it may go."""

    def __init__(self, function):
        self.result, result = os.pipe()
        may_go, self.release = os.pipe()
        self.pid = fork()
        if self.pid == 0:
            try:
                os.close(self.result)
                os.close(self.release)
                try:
                    answer = function()
                except BaseException as error:
                    answer = f"{type(error).__name__}: {error}"
                os.write(result, pickle.dumps(answer))
                os.close(result)
                os.read(may_go, 1)
            finally:
                os._exit(0)
        os.close(result)
        os.close(may_go)

    def __enter__(self):
        return self

    def answer(self):
        """What the function returned, or the text of what it raised."""
        data = b""
        deadline = time.monotonic() + LIMIT
        while select.select([self.result], [], [], max(0, deadline - time.monotonic()))[0]:
            chunk = os.read(self.result, 65_536)
            if not chunk:
                return pickle.loads(data)
            data += chunk
        raise AssertionError("the child hangs")

    def __exit__(self, *_):
        os.close(self.release)
        os.close(self.result)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def in_child(function):
    with Child(function) as process:
        return process.answer()


class WithSocket(Worker):
    def __init__(self, sock, *, many=False, **arguments):
        self.many = many
        super().__init__(**arguments)
        self.sock = sock

    def create_inbox(self):
        return SocketInbox(many=self.many)

    def init(self):
        self.actor_inbox.register(self.sock, token="socket")
        return super().init()

    def handle_info(self, message):
        self.sock.send(self.sock.recv(100))


def raised_by(function):
    try:
        return function()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


# --- descriptors ---------------------------------------------------------------------------


@pytest.mark.parametrize("as_file", [False, True])
def test_a_peer_sees_the_end_and_the_port_is_free_while_a_child_lives(system, as_file):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    peer = socket.create_connection(("127.0.0.1", port))
    peer.settimeout(LIMIT)
    ours, _address = listener.accept()
    file = ours.makefile("rb") if as_file else None
    for sock in (listener, ours):
        close_in_child(sock)
    ref = WithSocket.start(ours, system=system)
    with Child(lambda: None) as process:
        process.answer()
        peer.send(b"still served")
        assert peer.recv(100) == b"still served"
        ref.stop()
        listener.close()
        if file is not None:
            file.close()
        ours.close()
        assert peer.recv(100) == b""
        again = socket.create_server(("127.0.0.1", port), reuse_port=False)
        again.close()
    peer.close()


def test_a_child_has_no_wakeup_and_no_poller(system):
    pairs = [socket.socketpair() for _ in range(2)]

    def ours():
        return [name for _, name in open_descriptors() if "eventfd" in name or "eventpoll" in name]

    others = ours()  # of libraries that other tests have loaded, as one with a runtime of its own
    refs = [WithSocket.start(pairs[0][0], system=system)]
    refs.append(WithSocket.start(pairs[1][0], many=True, system=system))
    before = ours()
    assert len(before) >= len(others) + 3
    assert len(in_child(ours)) == len(others)
    assert sorted(ours()) == sorted(before)
    for (_, peer), ref in zip(pairs, refs, strict=True):
        peer.settimeout(LIMIT)
        peer.send(b"hello")
        assert peer.recv(100) == b"hello"
        assert ref.ask("hello", timeout=LIMIT) == "hello"  # the parent's are as they were
        ref.stop()
    for pair in pairs:
        for end in pair:
            end.close()


def test_what_is_announced_is_not_kept_alive():
    ours, peer = socket.socketpair()
    close_in_child(ours)
    freed = weakref.ref(ours)
    ours.close()
    del ours
    peer.close()
    assert freed() is None
    gc.collect()
    before = len(_closed_in_child)
    System()
    assert len(_closed_in_child) == before


# --- the parent's actors -------------------------------------------------------------------


def test_the_parents_actors_are_dead_in_a_child(system, gates):
    gate = gates()
    supervisor = Supervisor.start([worker("a")], system=system)
    ref = child(supervisor, "a")
    dynamic = DynamicSupervisor.start(system=system)
    ref.tell(gate)
    gate.wait_entered()
    queued = ref.ask("queued", block=False)
    answering = dynamic.ask("unknown", block=False)

    def use():
        down = Reply()
        monitor(ref, down)
        return [
            raised_by(lambda: ref.ask("hello")),
            raised_by(lambda: call(ref, "hello", timeout=None)),
            raised_by(lambda: ref.tell("hello")),
            raised_by(lambda: queued.get(timeout=LIMIT)),
            raised_by(lambda: send_request(ref, "hello").get(timeout=LIMIT)),
            raised_by(lambda: which_children(supervisor)),
            raised_by(lambda: spawn_child(dynamic, worker("b"))).split(":")[0],
            raised_by(lambda: start_child(dynamic, worker("b"))).split(":")[0],
            cast(ref, "hello"),
            kill(ref),
            supervisor.stop(),
            down.get(timeout=LIMIT).reason == ExitReason.NOPROC,
            str(ref.reason),
            ref.is_alive(),
            system.roots(),
        ]

    dead = f"NoProcError: {ref}, left behind in the parent process, is dead"
    assert in_child(use) == [
        *[dead] * 5,
        dead.replace(str(ref), str(supervisor)),
        "NoProcError",
        "NoProcError",
        False,
        False,
        False,
        True,
        "noproc: it lives in the process that was forked",
        False,
        [],
    ]
    gate.release()
    assert queued.get(timeout=LIMIT) == "queued"  # in the parent nothing has happened
    del answering
    assert child(supervisor, "a") is ref


def test_a_child_can_have_actors_of_its_own_in_the_same_system(caplog):
    system = System()
    parents = Supervisor.start([worker("a")], system=system)
    system.registry.claim("taken", parents)
    system.timers.send_after(3600.0, print, "the parent's")
    ours, peer = socket.socketpair()

    def start():
        supervisor = Supervisor.start([worker("a")], system=system)
        ref = child(supervisor, "a")
        with_socket = WithSocket.start(ours, system=system, name="taken")
        peer.settimeout(LIMIT)
        peer.send(b"over the socket")
        sent = Reply()
        system.timers.send_after(0.001, sent, "by the timer")
        ref.tell(lambda actor: 1 / 0)
        down_of(watch(ref))
        flushed = system.log.flush(LIMIT)
        result = [
            peer.recv(100),
            sent.get(timeout=LIMIT),
            system.timers.pending(),
            flushed,
            "ZeroDivisionError" in caplog.text,
            child(supervisor, "a") is ref,
            system.roots() == [supervisor, with_socket],
        ]
        supervisor.stop(timeout=LIMIT)
        with_socket.stop(timeout=LIMIT)
        return [*result, system.disowned, system.roots()]

    expected = [b"over the socket", "by the timer", 0, True, True, False, True, 0, []]
    assert in_child(start) == expected
    assert "ZeroDivisionError" not in caplog.text
    parents.stop(timeout=LIMIT)
    system.close()
    for end in (ours, peer):
        end.close()


def test_locks_that_are_held_as_it_happens_hold_up_no_child(system):
    ours, peer = socket.socketpair()
    supervisor = Supervisor.start([worker("a")], system=system)
    ref = WithSocket.start(ours, system=system)
    thread = ref.life.thread
    wakeup = thread._waits_with[1]

    def use():
        return [
            raised_by(lambda: ref.ask("hello")).split(":")[0],
            raised_by(lambda: which_children(supervisor)).split(":")[0],
            Worker.start(system=system, name="x").ask("hello", timeout=LIMIT),
            system.timers.pending(),
            isinstance(system.registry, Registry),
        ]

    locks = [
        system._lock,
        system.registry._lock,
        system.timers._changed,
        system.log._changed,
        system.threads._lock,
        ref.life._lock,
        ref.life.inbox._lock,
        supervisor.life._lock,
        supervisor.life.inbox._lock,
        wakeup._lock,
    ]
    with contextlib.ExitStack() as held:
        for lock in locks:
            held.enter_context(lock)
        process = Child(use)
    with process:
        assert process.answer() == ["NoProcError", "NoProcError", "hello", 0, True]
    assert ref.ask("hello", timeout=LIMIT) == "hello"
    ref.stop()
    for end in (ours, peer):
        end.close()


# --- an actor that forks -------------------------------------------------------------------


class Ends(Worker):
    """Writes who it is when it cleans up."""

    def __init__(self, descriptor, **arguments):
        super().__init__(**arguments)
        self.descriptor = descriptor

    def terminate(self, reason):
        os.write(self.descriptor, b"%d " % os.getpid())


def test_an_actor_that_forks_acts_no_more_in_the_child(system):
    target = Worker.start(system=system)

    def fork_here(actor):
        return in_child(
            lambda: [
                actor.is_disowned,
                raised_by(lambda: target.ask("hello")).split(":")[0],
                raised_by(lambda: target.tell("hello")).split(":")[0],
                raised_by(Worker.start).split(":")[0],
                cast(target, "hello"),
            ]
        )

    ref = Worker.start(system=system)
    assert ref.ask(fork_here, timeout=4 * LIMIT) == [
        True,
        "DisownedError",
        "DisownedError",
        "DisownedError",
        False,
    ]
    assert ref.ask("hello", timeout=LIMIT) == "hello"
    assert target.ask("hello", timeout=LIMIT) == "hello"


def test_a_child_that_returns_into_its_actor_ends_without_cleanup(system):
    reads, writes = os.pipe()
    ref = Ends.start(writes, system=system)
    pid = ref.ask(lambda actor: fork(), timeout=LIMIT)
    assert pid != 0
    _, status = os.waitpid(pid, 0)
    assert status == 0
    ref.stop()
    os.close(writes)
    assert os.read(reads, 100).split() == [b"%d" % os.getpid()]
    os.close(reads)


def test_a_system_that_is_gone_is_not_started_over():
    freed = weakref.ref(System())
    assert freed() is None
