"""Plain pykka actors, and inboxes of theirs that are full, or worse: nobody of ours waits."""

from __future__ import annotations

import queue
import threading

import pykka
import pytest
from kit.waiting import until
from supervision.kit import LIMIT, Gate, Journal, Worker, down_of, kill, thread_of, watch

from dicom_actors.supervision import (
    CallTimeout,
    Down,
    ExitReason,
    Inbox,
    InboxFull,
    NoProcError,
    call,
    cast,
    monitor,
    send_request,
)


class PutsOnly:
    """The least that pykka wants of an inbox, and one method to see that it is full."""

    def __init__(self):
        self.queue = queue.Queue(maxsize=5)

    def put(self, envelope):
        self.queue.put(envelope)  # waits

    def get(self):
        return self.queue.get()

    def empty(self):
        return self.queue.empty()

    def full(self):
        return self.queue.full()


class Bare:
    """One that raises instead of waiting, and does not say when."""

    def __init__(self):
        self.queue = queue.Queue(maxsize=5)

    def put(self, envelope):
        self.queue.put_nowait(envelope)

    def get(self):
        return self.queue.get()

    def empty(self):
        return self.queue.empty()


class Raises(PutsOnly):
    def put(self, envelope):
        raise ValueError("on purpose")


def make_plain(make_inbox):
    class Plain(pykka.ThreadingActor):
        use_daemon_thread = True

        def __init__(self, gate, journal):
            super().__init__()
            self.gate = gate
            self.journal = journal

        @staticmethod
        def _create_actor_inbox():
            return make_inbox()

        def on_receive(self, message):
            if message == "hang":
                self.gate()
            elif message == "raise":
                raise ValueError("on purpose")
            else:
                self.journal.add(message)
            return message

    return Plain


BOUNDED = {
    "queue": lambda: queue.Queue(maxsize=5),
    "full()": PutsOnly,
    "raises queue.Full": Bare,
    "ours": lambda: Inbox(limit=5),
}


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture(params=BOUNDED)
def full(request, gates, journal):
    """A plain actor whose thread hangs and whose bounded inbox is full, and its gate."""
    gate = gates()
    inbox = BOUNDED[request.param]
    ref = make_plain(inbox).start(gate, journal)
    assert cast(ref, "hang")
    gate.wait_entered()
    for number in range(5):
        assert cast(ref, number)
    yield ref, gate
    gate.release()
    until(ref.actor_inbox.empty)
    ref.stop()


def test_a_cast_to_a_full_inbox_is_dropped(full, journal, caplog):
    ref, gate = full
    for _ in range(3):
        assert not cast(ref, "too much")
    assert "is full: str is dropped" in caplog.text
    gate.release()
    until(lambda: len(journal.entries) == 5)
    assert cast(ref, "again")
    until(lambda: journal.entries[5:] == [("again",)])


def test_a_call_to_a_full_inbox_fails_at_once(full):
    ref, gate = full
    with pytest.raises(InboxFull):
        call(ref, "too much", timeout=None)
    future = send_request(ref, "too much")
    with pytest.raises(InboxFull):
        future.get(timeout=0)
    gate.release()
    until(ref.actor_inbox.empty)
    assert call(ref, "hello", timeout=LIMIT) == "hello"
    assert send_request(ref, "hello").get(timeout=LIMIT) == "hello"


def test_no_monitor_and_no_timer_waits_for_a_full_inbox(full, system, caplog):
    ref, _gate = full
    actor = Worker.start(system=system)
    others = Journal()
    monitor(actor, ref)
    monitor(actor, others.add)
    down = watch(actor)
    kill(actor)
    assert down_of(down).reason == ExitReason.KILLED
    assert len(others.entries) == 1
    system.timers.send_after(1.0, ref, "timer")
    system.timers.send_after(1.0, others.add, "timer")
    system.advance(1.0)
    assert others.entries[1:] == [("timer",)]
    assert system.log.flush(LIMIT)
    dropped = [r.levelname for r in caplog.records if "is dropped: a recipient" in r.getMessage()]
    assert dropped == ["WARNING", "WARNING"]


@pytest.mark.parametrize("inbox", BOUNDED)
def test_with_room_everything_comes(inbox, system, journal):
    ref = make_plain(BOUNDED[inbox]).start(Gate(), journal)
    actor = Worker.start(system=system)
    handle = monitor(actor, ref)
    kill(actor)
    system.timers.send_after(1.0, ref, "timer")
    system.advance(1.0)
    assert call(ref, "asked", timeout=LIMIT) == "asked"
    assert [entry[0] for entry in journal.entries] == [
        Down(actor, ExitReason.KILLED, handle),
        "timer",
        "asked",
    ]
    ref.stop()


def test_an_inbox_that_raises_harms_no_sender(system, journal, caplog):
    ref = make_plain(Raises).start(Gate(), journal)
    assert not cast(ref, "hello")
    with pytest.raises(ValueError, match="on purpose"):
        call(ref, "hello")
    system.timers.send_after(1.0, ref, "timer")
    system.advance(1.0)
    assert system.log.flush(LIMIT)
    assert "raised: str is dropped" in caplog.text
    assert "a recipient of str raised" in caplog.text
    ref.actor_inbox.put = ref.actor_inbox.queue.put
    ref.stop()


def test_what_a_plain_actor_raises_is_its_answer(journal):
    ref = make_plain(queue.Queue).start(Gate(), journal)
    with pytest.raises(ValueError, match="on purpose") as caught:
        call(ref, "raise", timeout=LIMIT)
    assert caught.traceback[-1].name == "on_receive"  # where it comes from can be seen
    ref.stop()
    assert not cast(ref, "hello")
    with pytest.raises(NoProcError):
        call(ref, "hello")


def test_a_plain_actor_may_take_too_long(gates, journal):
    gate = gates()
    ref = make_plain(queue.Queue).start(gate, journal)
    with pytest.raises(CallTimeout):
        call(ref, "hang", timeout=0)
    gate.release()
    ref.stop()


def test_the_disowned_send_nothing_to_plain_actors(system, gates, journal):
    gate = gates()
    plain = make_plain(queue.Queue).start(Gate(), journal)
    refused = []

    def hang(actor):
        gate()
        refused.append(cast(plain, "from the dead"))
        try:
            call(plain, "from the dead")
        finally:
            refused.append("raised")

    ref = Worker.start(system=system)
    ref.tell(hang)
    gate.wait_entered()
    thread = thread_of(ref)
    kill(ref)
    gate.release()
    until(lambda: thread.actor_ref is not ref)
    plain.stop()
    assert refused == [False, "raised"]
    assert journal.entries == []


def test_many_senders_race_for_the_last_place(gates, journal):
    """`full` and `put` are two steps: nobody may wait between them."""
    gate = gates()
    ref = make_plain(lambda: queue.Queue(maxsize=50)).start(gate, journal)
    cast(ref, "hang")
    gate.wait_entered()
    taken = []

    def send():
        taken.extend(cast(ref, "x") for _ in range(100))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive()
    assert taken.count(True) == 50
    gate.release()
    until(ref.actor_inbox.empty)
    ref.stop()
