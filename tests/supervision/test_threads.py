"""The pool of threads that run actors."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from kit.descriptors import open_descriptors
from kit.waiting import until
from supervision.kit import (
    LIMIT,
    Worker,
    down_of,
    end,
    thread_of,
    wait_until_left,
    watch,
    worker,
)

from dicom_actors.supervision import (
    ActorThread,
    ChildStartError,
    DynamicSupervisor,
    Restart,
    SocketInbox,
    System,
    kill,
    start_child,
)
from dicom_actors.supervision.ref import check_not_disowned
from dicom_actors.supervision.threads import current_thread_of_actor


def test_the_next_actor_gets_the_thread_of_the_last(system):
    Worker.start(system=system)  # keeps the pool alive
    threads = []
    for _ in range(5):
        ref = Worker.start(system=system)
        threads.append(thread_of(ref))
        end(ref, "normal")
        wait_until_left(threads[-1], ref)
    assert len(set(threads)) == 1


def test_a_thread_names_the_actor_that_it_runs(system):
    Worker.start(system=system)
    ref = Worker.start(system=system)
    thread = thread_of(ref)
    assert isinstance(thread, ActorThread)
    assert thread.name == f"Worker-{ref.actor_urn[-12:]}"
    assert thread.actor_ref is ref
    assert ref.ask(lambda actor: current_thread_of_actor(), timeout=LIMIT) is thread
    assert ref.ask(lambda actor: check_not_disowned(), timeout=LIMIT) is ref
    end(ref, "abnormal")
    until(lambda: thread.actor_ref is None)
    assert thread.name == "supervision-idle"
    assert thread.is_alive()


def test_a_fixed_number_of_idle_threads_is_kept(system):
    keeper = Worker.start(system=system)
    refs = [Worker.start(system=system) for _ in range(40)]
    threads = [thread_of(ref) for ref in refs]
    for ref in refs:
        end(ref, "shutdown")
    until(lambda: sum(thread.is_alive() for thread in threads) == 16)
    assert system.threads.idle() == 16
    assert keeper.is_alive()


def test_the_last_actor_takes_all_idle_threads_along(system):
    refs = [Worker.start(system=system) for _ in range(5)]
    threads = [thread_of(ref) for ref in refs]
    for ref in refs[1:]:
        end(ref, "shutdown")
    until(lambda: system.threads.idle() == 4)
    refs[0].stop()
    for thread in threads:  # though nobody has closed the system
        thread.join(LIMIT)
        assert not thread.is_alive()


def test_a_closed_system_keeps_no_idle_thread(gates):
    gate = gates()
    system = System()
    busy, other = Worker.start(system=system), Worker.start(system=system)
    busy.tell(gate)
    gate.wait_entered()
    idle = thread_of(other)
    end(other, "normal")
    wait_until_left(idle, other)
    system.close()
    idle.join(LIMIT)
    assert not idle.is_alive()
    late = Worker.start(system=system)  # still possible
    thread = thread_of(late)
    end(late, "normal")
    thread.join(LIMIT)
    assert not thread.is_alive()
    gate.release()
    busy.stop()


def test_a_disowned_thread_is_nobodys_until_its_callback_returns(system, gates):
    gate = gates()
    hung = Worker.start(system=system)
    thread = thread_of(hung)
    hung.tell(gate)
    gate.wait_entered()
    kill(hung)
    others = [Worker.start(system=system) for _ in range(20)]
    assert thread not in {thread_of(ref) for ref in others}
    assert thread.actor_ref is hung
    assert system.disowned == 1
    gate.release()
    wait_until_left(thread, hung)
    assert system.disowned == 0
    late = Worker.start(system=system)
    assert thread_of(late) is thread
    assert late.ask(lambda actor: actor.is_disowned, timeout=LIMIT) is False
    assert late.ask(lambda actor: check_not_disowned(), timeout=LIMIT) is late


def test_a_thread_that_cannot_start_is_told_and_costs_nothing(system, monkeypatch):
    supervisor = DynamicSupervisor.start(system=system)
    with monkeypatch.context() as patch:
        patch.setattr(ActorThread, "start", lambda thread: raise_no_thread())
        for _ in range(3):
            with pytest.raises(ChildStartError, match="can't start new thread"):
                start_child(supervisor, worker("a"))
    ref = start_child(supervisor, worker("a"))
    thread = thread_of(ref)
    end(ref, "normal")
    supervisor.stop()
    thread.join(LIMIT)  # the count of those that work is right, or it would be kept
    assert not thread.is_alive()


def raise_no_thread():
    raise RuntimeError("can't start new thread")


def test_an_actor_that_is_no_daemon_has_a_thread_of_its_own(system):
    class Solid(Worker):
        use_daemon_thread = False

    Worker.start(system=system)
    end(Worker.start(system=system), "normal")
    until(lambda: system.threads.idle() == 1)
    ref = Solid.start(system=system)
    thread = thread_of(ref)
    assert not thread.daemon
    end(ref, "normal")
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert system.threads.idle() == 1


# --- what an inbox waits with --------------------------------------------------------------


class WithSocket(Worker):
    def __init__(self, sock, **arguments):
        super().__init__(**arguments)
        self.sock = sock

    def create_inbox(self):
        return SocketInbox()

    def init(self):
        self.actor_inbox.register(self.sock, token="socket")
        return super().init()

    def handle_info(self, message):
        with contextlib.suppress(BlockingIOError):
            self.journal.add(self.sock.recv(100))


@pytest.fixture
def pair():
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    yield ours, peer
    ours.close()
    peer.close()


def test_an_actor_with_a_socket_costs_no_descriptor(system, pair, journal):
    ours, peer = pair
    Worker.start(system=system)
    end(WithSocket.start(ours, system=system), "normal")
    until(lambda: system.threads.idle() == 1)
    before = open_descriptors()
    for number in range(20):
        ref = WithSocket.start(ours, journal=journal, system=system)
        assert open_descriptors() <= before
        thread = thread_of(ref)
        peer.send(b"%d" % number)
        until(lambda number=number: (b"%d" % number,) in journal.entries)
        assert ref.ask("woken", timeout=LIMIT) == "woken"
        end(ref, "abnormal" if number % 2 else "shutdown")
        wait_until_left(thread, ref)


def test_what_a_thread_lent_is_clean_for_the_next_actor(system, pair, journal):
    ours, peer = pair
    Worker.start(system=system)
    first = WithSocket.start(ours, system=system)
    thread = thread_of(first)
    kill(first)  # its socket was never unregistered
    wait_until_left(thread, first)
    other, other_peer = socket.socketpair()
    try:
        second = WithSocket.start(other, journal=journal, system=system)
        assert thread_of(second) is thread
        peer.send(b"for the first")
        other_peer.send(b"for the second")
        until(lambda: len(journal.entries) == 2)
        assert second.ask("hello", timeout=LIMIT) == "hello"
        assert journal.entries == [("worker", "start"), (b"for the second",)]
        end(second, "normal")
    finally:
        other.close()
        other_peer.close()


def test_an_inbox_that_is_not_the_actors_waits_with_its_own(system, pair):
    def register(actor):
        inbox = SocketInbox()
        inbox.register(pair[0])
        inbox.put_control("control")
        lent = actor.actor_ref.life.thread._has_lent
        return lent, inbox.get(), inbox.release()

    assert Worker.start(system=system).ask(register, timeout=LIMIT) == (False, "control", None)


def test_a_late_wake_up_meets_no_strangers_descriptor(pair):
    """Who puts a message may wake the reader when that is gone, and its descriptor another's."""
    ours, _peer = pair
    inbox = SocketInbox()
    inbox.register(ours)
    wakeup = inbox._wakeup
    inbox.release()
    stranger, its_peer = socket.socketpair()
    with stranger, its_peer:
        its_peer.setblocking(False)
        wakeup.set()
        with pytest.raises(BlockingIOError):
            its_peer.recv(8)


def test_many_actors_with_sockets_come_and_go(system, journal):
    """Threads that end and begin while their inboxes are written to."""
    supervisor = DynamicSupervisor.start(system=system)
    pairs = [socket.socketpair() for _ in range(8)]
    for ours, _ in pairs:
        ours.setblocking(False)  # one that was killed may find that the next has read

    def trouble(ours, peer):
        for number in range(40):
            spec = worker("a", spec={"restart": Restart.TEMPORARY})
            spec = type(spec)("a", (WithSocket, (ours,), {"journal": journal}), Restart.TEMPORARY)
            ref = start_child(supervisor, spec)
            down = watch(ref)
            peer.send(b"x")
            ref.ask("hello", block=False)
            ref.stop(block=False) if number % 2 else kill(ref)
            down_of(down)

    threads = [threading.Thread(target=trouble, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * LIMIT)
        assert not thread.is_alive()
    supervisor.stop(timeout=LIMIT)
    until(lambda: system.disowned == 0)
    for pair in pairs:
        for one in pair:
            one.close()
