"""How long an Association may be at work before somebody else listens to its peer."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor

import pytest
from kit.endpoints import LIMIT, running
from kit.peer import Peer, store_pdus
from kit.waiting import until

from dicom_actors import connect, messages
from dicom_actors.actors.kernel.watch import MOST_EXTENDED, TICK_SECONDS, Watch

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def watch():
    watch = Watch()
    yield watch
    watch.close()


def ticks_until_relieved(watch, limit=100):
    for count in range(1, limit):
        if watch.tick():
            return count
    return None


def test_one_that_is_at_work_is_relieved_after_two_ticks(watch):
    watch.begin("record", 1)  # type: ignore[arg-type]

    assert ticks_until_relieved(watch) == 2


def test_one_that_said_so_is_relieved_later(watch):
    watch.begin("record", 1)  # type: ignore[arg-type]
    watch.tick()
    watch.extend("record", 1, 10 * TICK_SECONDS)  # type: ignore[arg-type]

    assert ticks_until_relieved(watch) == 12


def test_one_that_is_relieved_already_stays_so(watch):
    watch.begin("record", 1)  # type: ignore[arg-type]
    watch.end("record", 1)  # type: ignore[arg-type]
    watch.extend("record", 1, 10 * TICK_SECONDS)  # type: ignore[arg-type]

    assert ticks_until_relieved(watch) is None


def test_one_that_says_so_again_and_again_is_relieved_in_time(watch):
    watch.begin("record", 1)  # type: ignore[arg-type]

    count = 1
    while not watch.tick() and count < 1000:
        watch.extend("record", 1, 10 * TICK_SECONDS)  # type: ignore[arg-type]
        count += 1

    assert count == round(MOST_EXTENDED / TICK_SECONDS) + 2


def test_one_that_expects_a_short_wait_within_a_long_one_keeps_the_long_one(watch):
    watch.begin("record", 1)  # type: ignore[arg-type]
    watch.extend("record", 1, 10 * TICK_SECONDS)  # type: ignore[arg-type]
    watch.extend("record", 1, TICK_SECONDS)  # type: ignore[arg-type]

    assert ticks_until_relieved(watch) == 12


def test_a_handler_that_saves_again_and_again_is_heard_of(tmp_path):
    ended = queue.SimpleQueue()

    def store(event):
        try:
            while not event.is_cancelled:
                event.save(tmp_path)
        finally:  # the connection may go between the question and the saving, which raises then
            ended.put(None)

    with running({"cstore": store}) as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(*store_pdus(b""))
        until(lambda: any(tmp_path.iterdir()))
        endpoint.ref.ask(messages.AbortAssociation(1), timeout=LIMIT)
        peer.expect_abort(0, 0)
        ended.get(timeout=LIMIT)


def has_child(endpoint, name):
    try:
        return endpoint.child(name)
    except AssertionError:
        return None


def test_a_handler_that_waits_longer_than_it_said_is_relieved_all_the_same():
    gate, problems = queue.SimpleQueue(), queue.SimpleQueue()

    def echo(event):
        event.expect_wait(0.05)
        try:
            event.expect_wait(60.0)
        except ValueError as error:
            problems.put(str(error))
        gate.get(timeout=LIMIT)

    with (
        running({"cecho": echo}) as endpoint,
        ThreadPoolExecutor(1) as pool,
        connect("127.0.0.1", endpoint.port) as association,
    ):
        echoed = pool.submit(association.echo)
        assert "0 to 0.25" in problems.get(timeout=LIMIT)
        until(lambda: has_child(endpoint, "handler of connection 1"))
        gate.put(None)
        echoed.result(LIMIT)
