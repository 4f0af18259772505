"""The inbox with sockets in it."""

from __future__ import annotations

import os
import resource
import select
import socket
import threading

import pytest
from kit.waiting import until
from supervision.kit import LIMIT, Worker, child, down_of, kill, raise_error, sync, watch

from dicom_actors.supervision import (
    IDLE,
    ChildSpec,
    ExitReason,
    SocketInbox,
    SocketReady,
    Stop,
    Supervisor,
)
from dicom_actors.supervision.inbox import CLOSED, Envelope
from dicom_actors.supervision.readiness import PollPoller, SelectorPoller, Wakeup, make_poller


@pytest.fixture(params=["few", "many", "no eventfd", "no poll"])
def inbox(request, monkeypatch):
    """An inbox on each of the means that a system may offer."""
    if request.param == "no eventfd":
        monkeypatch.delattr(os, "eventfd", raising=False)
    if request.param == "no poll":
        monkeypatch.delattr(select, "poll", raising=False)
    inbox = SocketInbox(many=request.param == "many")
    limit = threading.Timer(LIMIT, inbox.close)  # a test that waits for ever fails
    limit.start()
    yield inbox
    limit.cancel()
    limit.join()
    inbox.release()


@pytest.fixture
def pairs():
    """Makes pairs of connected sockets, (ours, peer), and closes them after the test."""
    made = []

    def make():
        pair = socket.socketpair()
        for end in pair:
            end.setblocking(False)
        made.extend(pair)
        return pair

    yield make
    for end in made:
        end.close()


def ready(token, *, readable=False, writable=False, hangup=False):
    return SocketReady(token, readable, writable, hangup)


def test_a_socket_is_offered_until_it_was_read(inbox, pairs):
    ours, peer = pairs()
    inbox.register(ours, token="ours")
    peer.send(b"ab")
    assert inbox.get() == ready("ours", readable=True)
    ours.recv(1)
    assert inbox.get() == ready("ours", readable=True)
    ours.recv(1)
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"


def test_the_token_may_be_the_socket(inbox, pairs):
    ours, peer = pairs()
    inbox.register(ours)
    peer.send(b"a")
    assert inbox.get().token is ours


def test_what_the_peer_sent_before_is_seen(inbox, pairs):
    ours, peer = pairs()
    peer.send(b"early")
    inbox.register(ours, token=1)
    assert inbox.get().readable


def test_room_to_write_is_told_only_when_asked_for(inbox, pairs):
    ours, _peer = pairs()
    inbox.register(ours, read=False, write=True, token=1)
    assert inbox.get() == ready(1, writable=True)
    inbox.modify(ours, read=True, write=False)
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"


def test_control_goes_before_sockets_and_messages(inbox, pairs):
    ours, peer = pairs()
    inbox.register(ours, token=1)
    peer.send(b"a")
    inbox.put(Envelope("message"))
    inbox.put_control("control")
    assert inbox.get() == "control"


def test_messages_and_sockets_take_turns(inbox, pairs):
    ends = [pairs() for _ in range(2)]
    for token, (ours, peer) in enumerate(ends):
        inbox.register(ours, token=token)
        peer.send(b"never read, so always ready")
    for number in range(6):
        inbox.put(Envelope(number))
    got = [inbox.get() for _ in range(12)]
    kinds = [isinstance(item, SocketReady) for item in got]
    assert kinds == [True, False] * 6
    assert [item.message for item in got[1::2]] == list(range(6))
    assert [item.token for item in got[::2]].count(0) == 3  # and so do the sockets


def test_a_waiting_reader_is_woken_by_either(inbox, pairs):
    ours, peer = pairs()
    inbox.register(ours, token=1)
    for wake in (lambda: peer.send(b"a"), lambda: inbox.put(Envelope("m")), inbox.close):
        got = []
        reader = threading.Thread(target=lambda got=got: got.append(inbox.get()))
        reader.start()
        wake()
        reader.join(LIMIT)
        assert len(got) == 1
        if isinstance(got[0], SocketReady):
            ours.recv(1)
    assert got == [CLOSED]


def test_the_wakeup_is_written_only_for_a_reader_that_waits(inbox, pairs, monkeypatch):
    ours, _peer = pairs()
    inbox.register(ours, token=1)
    written = []
    monkeypatch.setattr(Wakeup, "set", written.append)
    for _ in range(10):
        inbox.put(Envelope("m"))
    for _ in range(10):
        assert inbox.get().message == "m"
    inbox.close()
    assert written == []


def test_a_peer_that_closes_is_readable(inbox, pairs):
    ours, peer = pairs()
    inbox.register(ours, token=1)
    peer.close()
    assert inbox.get().readable
    assert ours.recv(1) == b""


@pytest.mark.parametrize("inbox", ["few"], indirect=True)
def test_a_hangup_is_told_once_to_whom_does_not_read(inbox, pairs):
    ours, peer = pairs()
    inbox.register(ours, read=False, token=1)
    peer.send(b"unread")
    peer.close()
    assert inbox.get() == ready(1, hangup=True)
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"
    inbox.modify(ours, read=True)
    event = inbox.get()
    assert event.readable
    assert event.hangup


@pytest.mark.parametrize("inbox", ["few"], indirect=True)
def test_after_a_hangup_there_is_still_room_to_write(inbox, pairs):
    ours, peer = pairs()
    inbox.register(ours, read=False, write=True, token=1)
    peer.shutdown(socket.SHUT_WR)
    assert inbox.get() == ready(1, writable=True, hangup=True)
    assert inbox.get() == ready(1, writable=True)


def test_an_unregistered_socket_is_not_offered(inbox, pairs):
    ends = [pairs() for _ in range(3)]
    for token, (ours, peer) in enumerate(ends):
        inbox.register(ours, token=token)
        peer.send(b"a")
    first = inbox.get().token  # the others are known to be ready
    others = [token for token in range(3) if token != first]
    inbox.unregister(ends[others[0]][0])
    ends[first][0].recv(1)
    assert inbox.get().token == others[1]


def test_a_socket_whose_interest_changed_is_asked_for_again(inbox, pairs):
    ends = [pairs() for _ in range(2)]
    for token, (ours, peer) in enumerate(ends):
        inbox.register(ours, token=token)
        peer.send(b"a")
    first = inbox.get().token
    other = 1 - first
    ends[first][0].recv(1)
    inbox.modify(ends[other][0], read=False, write=True)
    assert inbox.get() == ready(other, writable=True)


def test_a_descriptor_that_is_used_again_is_another_socket(inbox, pairs):
    old, _peer = pairs()
    fd = old.fileno()
    inbox.register(old, token="old")
    inbox.unregister(old)
    old.close()
    new, new_peer = pairs()
    assert new.fileno() == fd
    inbox.register(new, token="new")
    new_peer.send(b"a")
    assert inbox.get().token == "new"


def test_a_socket_closed_too_early_can_still_be_unregistered(inbox, pairs):
    ours, _peer = pairs()
    other, other_peer = pairs()
    inbox.register(ours, token=1)
    inbox.register(other, token=2)
    ours.close()
    inbox.unregister(ours)
    inbox.unregister(ours)
    other_peer.send(b"a")
    assert inbox.get().token == 2


def test_what_cannot_be_registered(inbox, pairs):
    ours, peer = pairs()
    inbox.register(ours)
    with pytest.raises(ValueError, match="registered"):
        inbox.register(ours)
    with pytest.raises(ValueError, match="not registered"):
        inbox.modify(peer)
    peer.close()
    with pytest.raises(ValueError, match="closed"):
        inbox.register(peer)


class Tls:
    """A socket that has decrypted more than was read of it."""

    def __init__(self, sock, decrypted):
        self.sock = sock
        self.decrypted = decrypted

    def fileno(self):
        return self.sock.fileno()

    def pending(self):
        return self.decrypted


def test_what_tls_has_decrypted_is_seen(inbox, pairs):
    ours, _peer = pairs()
    tls = Tls(ours, decrypted=1)
    inbox.register(tls, token=1)
    assert inbox.get() == ready(1, readable=True)
    inbox.modify(tls, read=False)  # nothing is told to whom does not read
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"
    inbox.modify(tls, read=True)
    assert inbox.get() == ready(1, readable=True)
    tls.decrypted = 0
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"
    inbox.unregister(tls)


def test_decrypted_bytes_do_not_hide_other_sockets(inbox, pairs):
    ours, _peer = pairs()
    other, other_peer = pairs()
    inbox.register(Tls(ours, decrypted=1), token=1)
    inbox.register(other, token=2)
    other_peer.send(b"a")
    assert {inbox.get().token for _ in range(2)} == {1, 2}


def test_an_inbox_that_never_had_a_socket_holds_no_descriptor():
    inbox = SocketInbox()
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"
    # released or not: the fixture of every test counts descriptors


def test_it_goes_on_without_sockets(inbox, pairs):
    ours, peer = pairs()
    inbox.register(ours, token=1)
    peer.send(b"a")
    inbox.get()
    inbox.unregister(ours)
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"
    inbox.register(ours, token=2)
    assert inbox.get().token == 2


def test_the_patience_ends_when_neither_socket_nor_message_comes(inbox, pairs):
    ours, peer = pairs()
    inbox.register(ours, token=1)
    inbox.patience = 0.001
    assert inbox.get() is IDLE
    assert inbox.get() is IDLE
    peer.send(b"a")
    assert inbox.get() == ready(1, readable=True)
    ours.recv(1)
    inbox.put(Envelope("message"))
    assert inbox.get().message == "message"
    assert inbox.get() is IDLE
    inbox.unregister(ours)
    assert inbox.get() is IDLE
    inbox.register(ours, token=2)
    inbox.patience = None
    peer.send(b"a")
    assert inbox.get() == ready(2, readable=True)
    inbox.close()
    assert inbox.get() is CLOSED


def test_2000_sockets(pairs):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 4_200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.fail(f"this test needs {needed} descriptors, the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    inbox = SocketInbox(many=True)
    try:
        ends = [pairs() for _ in range(2_000)]
        for token, (ours, _peer) in enumerate(ends):
            inbox.register(ours, token=token)
        for token in (1_999, 0, 1_234):  # beyond 1,024, where select.select ends
            ends[token][1].send(b"a")
            assert inbox.get() == ready(token, readable=True)
            ends[token][0].recv(1)
        for ours, _peer in ends:
            inbox.unregister(ours)
    finally:
        inbox.release()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_poller_is_chosen_in_one_place(monkeypatch):
    few, many = make_poller(many=False), make_poller(many=True)
    assert isinstance(few, PollPoller)
    assert isinstance(many, SelectorPoller)
    monkeypatch.delattr(select, "poll")
    other = make_poller(many=False)
    assert isinstance(other, SelectorPoller)
    for poller in (few, many, other):
        poller.close()


# --- in an actor ---------------------------------------------------------------------------


class Echo(Worker):
    """Sends back what it reads; the socket is its starter's."""

    def __init__(self, sock, **arguments):
        super().__init__(**arguments)
        self.sock = sock

    def create_inbox(self):
        return SocketInbox()

    def init(self):
        self.actor_inbox.register(self.sock, token="echo")
        return super().init()

    def handle_info(self, message):
        assert message.token == "echo"
        data = self.sock.recv(100)
        if data == b"crash":
            raise_error()
        self.sock.send(data)


@pytest.mark.parametrize("how", ["stop", "kill", "crash"])
def test_an_actor_reads_its_socket_and_leaves_no_descriptor(system, pairs, how):
    ours, peer = pairs()
    peer.settimeout(LIMIT)
    ref = Echo.start(ours, system=system)
    down = watch(ref)
    for text in (b"one", b"two"):
        peer.send(text)
        assert peer.recv(100) == text
        assert ref.ask("between", timeout=LIMIT) == "between"
    if how == "stop":
        ref.stop()
    elif how == "kill":
        kill(ref)
    else:
        peer.send(b"crash")
    down_of(down)


def test_a_restarted_actor_goes_on_with_the_same_socket(system, pairs):
    ours, peer = pairs()
    peer.settimeout(LIMIT)
    supervisor = Supervisor.start([ChildSpec("echo", (Echo, (ours,), {}))], system=system)
    ref = child(supervisor, "echo")
    down = watch(ref)
    peer.send(b"crash")
    down_of(down)
    peer.send(b"sent before the next one has started")
    assert peer.recv(100) == b"sent before the next one has started"
    sync(supervisor)
    assert child(supervisor, "echo") is not ref


def test_an_init_that_fails_after_its_socket_leaves_no_descriptor(system, pairs):
    class Fails(Echo):
        def init(self):
            super().init()
            raise_error()

    ours, _peer = pairs()
    with pytest.raises(ValueError, match="on purpose"):
        Fails.start(ours, system=system)


def test_an_actor_hears_that_nothing_comes_until_it_asks_no_more(system, pairs, journal):
    class Parks(Echo):
        def init(self):
            self.actor_inbox.patience = 0.001
            return super().init()

        def handle_idle(self):
            self.journal.add("idle")
            if len(self.journal.entries) == 4:
                self.actor_inbox.patience = None

    ours, peer = pairs()
    peer.settimeout(LIMIT)
    ref = Parks.start(ours, journal=journal, system=system)
    until(lambda: len(journal.entries) == 4)
    assert ref.last_message is None  # it was no message
    peer.send(b"one")
    assert peer.recv(100) == b"one"
    assert journal.entries == [("worker", "start"), ("idle",), ("idle",), ("idle",)]


@pytest.mark.parametrize("how", ["return", "raise"])
def test_an_idle_actor_may_end(system, how):
    class Ends(Worker):
        def init(self):
            self.actor_inbox.patience = 0.001

        def handle_idle(self):
            if how == "raise":
                raise Stop(ExitReason.NORMAL)
            return Stop(ExitReason.NORMAL)

    down = watch(Ends.start(system=system))
    assert down_of(down).reason in {ExitReason.NORMAL, ExitReason.NOPROC}
