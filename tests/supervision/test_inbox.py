"""The closable inbox: lanes, limit, end."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.waiting import until
from supervision.kit import LIMIT

from dicom_actors.supervision import (
    IDLE,
    Inbox,
    InboxFull,
    NoProcError,
    Reply,
    SocketInbox,
    SpecError,
)
from dicom_actors.supervision.inbox import CLOSED, Envelope, Info


def drain(inbox):
    items = []
    while not inbox.empty():
        item = inbox.get()
        items.append(item.message if isinstance(item, Envelope | Info) else item)
    return items


def test_control_goes_first_and_the_rest_in_its_order():
    inbox = Inbox()
    inbox.put(Envelope(1))
    inbox.put_info(2)
    inbox.put_control("in turn", in_turn=True)
    inbox.put_control("control 1")
    inbox.put(Envelope(3))
    inbox.put_control("control 2")
    assert inbox.qsize() == 6
    assert drain(inbox) == ["control 1", "control 2", 1, 2, "in turn", 3]


@settings.get_profile("supervision")
@given(st.lists(st.tuples(st.booleans(), st.integers()), max_size=30))
def test_each_lane_keeps_its_order(items):
    inbox = Inbox()
    for is_control, value in items:
        if is_control:
            inbox.put_control(value)
        else:
            inbox.put(Envelope(value))
    control = [value for is_control, value in items if is_control]
    rest = [value for is_control, value in items if not is_control]
    assert drain(inbox) == control + rest


@pytest.mark.parametrize("make", [Inbox, SocketInbox])
def test_a_limit_holds_for_calls_and_casts_alone(make):
    inbox = make(limit=2)
    reply = Reply()
    assert inbox.put(Envelope(1))
    assert inbox.put(Envelope(2))
    with pytest.raises(InboxFull, match="2 messages"):
        inbox.put(Envelope(3))
    inbox.put(Envelope(4, reply))
    with pytest.raises(InboxFull):
        reply.get(timeout=0)
    assert inbox.put_info("timer")
    assert inbox.put_control("exit")
    assert drain(inbox) == ["exit", 1, 2, "timer"]
    assert inbox.put(Envelope(5))


def test_a_limit_must_be_positive():
    with pytest.raises(SpecError, match="limit"):
        Inbox(limit=0)


@pytest.mark.parametrize("make", [Inbox, SocketInbox])
def test_a_closed_inbox_refuses_what_waits_and_what_comes(make):
    inbox = make()
    inbox.owner = "somebody"
    waiting, late = Reply(), Reply()
    inbox.put(Envelope(1, waiting))
    inbox.put(Envelope(2))
    inbox.put_control("exit")
    assert not inbox.is_closed
    inbox.close()
    inbox.close()
    assert inbox.is_closed
    assert not inbox.put(Envelope(3, late))
    assert not inbox.put(Envelope(4))
    assert not inbox.put_info(5)
    assert not inbox.put_control(6)
    for reply in (waiting, late):
        with pytest.raises(NoProcError, match="somebody is dead"):
            reply.get(timeout=0)
    assert inbox.empty()
    assert inbox.get() is CLOSED
    assert inbox.get() is CLOSED


@pytest.mark.parametrize("make", [Inbox, SocketInbox])
@pytest.mark.parametrize(
    ("wake", "expected"),
    [
        (lambda inbox: inbox.put(Envelope("cast")), "cast"),
        (lambda inbox: inbox.put_info("info"), "info"),
        (lambda inbox: inbox.put_control("control"), "control"),
        (lambda inbox: inbox.close(), CLOSED),
    ],
)
def test_a_waiting_reader_is_woken(make, wake, expected):
    inbox = make()
    got = []

    def read():
        item = inbox.get()
        got.append(item.message if isinstance(item, Envelope | Info) else item)

    reader = threading.Thread(target=read)
    reader.start()
    wake(inbox)
    reader.join(LIMIT)
    assert got == [expected]


@pytest.mark.parametrize("make", [Inbox, SocketInbox])
def test_many_writers_lose_nothing(make):
    inbox = make()
    got = []

    def read():
        while (item := inbox.get()) is not CLOSED:
            got.append(item.message)
            if len(got) == 4_000:
                inbox.close()

    def write(writer):
        for number in range(1_000):
            inbox.put(Envelope((writer, number)))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    for writer in range(4):
        assert [n for w, n in got if w == writer] == list(range(1_000))


@pytest.mark.parametrize("make", [Inbox, SocketInbox])
def test_a_reader_that_is_left_alone_is_told_so(make):
    inbox = make()
    assert inbox.patience is None
    inbox.patience = 0.001
    assert inbox.get() is IDLE
    assert inbox.get() is IDLE
    inbox.put(Envelope("message"))
    inbox.put_control("control")
    assert drain(inbox) == ["control", "message"]
    inbox.patience = 0
    assert inbox.get() is IDLE
    inbox.patience = None
    inbox.put(Envelope("message"))
    assert drain(inbox) == ["message"]
    inbox.patience = 1e300  # as good as for ever
    inbox.close()
    assert inbox.get() is CLOSED


@pytest.mark.parametrize("patience", [-1, float("nan")])
def test_a_patience_is_a_time(patience):
    with pytest.raises(ValueError, match="patience"):
        Inbox().patience = patience


@pytest.mark.parametrize("make", [Inbox, SocketInbox])
def test_what_comes_as_the_patience_ends_is_not_lost(make):
    """The waker may just have been taken when the time is over: each of the two may win."""
    inbox = make()
    inbox.patience = 0
    got, idle = [], 0

    def write():
        for number in range(3_000):
            inbox.put(Envelope(number))

    writer = threading.Thread(target=write)
    writer.start()
    while len(got) < 3_000:
        item = inbox.get()
        if item is IDLE:
            idle += 1
        else:
            got.append(item.message)
    writer.join(LIMIT)
    assert got == list(range(3_000))
    assert inbox.get() is IDLE


def test_a_quiet_control_message_wakes_nobody_and_goes_first():
    inbox = Inbox()
    got = []

    def read():
        got.extend(inbox.get() for _ in range(2))

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: inbox._waker is not None)
    assert inbox.put_control("quiet", wakes=False)
    assert inbox._waker is not None
    inbox.put(Envelope("loud"))
    reader.join(LIMIT)
    assert [got[0], got[1].message] == ["quiet", "loud"]


def test_control_messages_of_a_kind_can_be_taken_out():
    inbox = Inbox()
    for message in ("a", 1, "b", 2.0):
        inbox.put_control(message)
    assert inbox.take_control(str, float) == ["a", "b", 2.0]
    assert inbox.take_control(str) == []
    assert drain(inbox) == [1]


@pytest.mark.parametrize("act", ["put", "put_control", "close"])
def test_the_reader_is_woken_when_the_lock_is_free(act):
    inbox = Inbox()
    free = []
    inbox._waker = lambda: free.append(inbox._lock.acquire(blocking=False))
    if act == "put":
        inbox.put(Envelope(1))
    elif act == "put_control":
        inbox.put_control(1)
    else:
        inbox.close()
    assert free == [True]
    inbox._lock.release()
