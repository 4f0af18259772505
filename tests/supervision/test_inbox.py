"""The closable inbox: lanes, limit, end."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from supervision.kit import LIMIT

from dicom_actors.supervision import Inbox, InboxFull, NoProcError, Reply, SocketInbox, SpecError
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
