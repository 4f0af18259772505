"""How an actor of the archive gathers what waits."""

from __future__ import annotations

import contextlib
import queue

import pytest

from dicom_actors.archive.actors.gathering import Gathering
from dicom_actors.supervision import (
    ChildSpec,
    ManualClock,
    Supervisor,
    System,
    cast,
    which_children,
)

LIMIT = 60.0


class Gatherer(Gathering):
    """Gathers numbers; `done` gets those that were done at once."""

    def __init__(self, done: queue.SimpleQueue) -> None:
        super().__init__(most=256, longest=0.003)
        self._done = done

    def handle_cast(self, message: tuple[int, ...]) -> None:
        self.gather(*message)

    def work_off(self, items: list[int]) -> None:
        self._done.put(items)


@pytest.mark.usefixtures("nothing_left")
def test_nobody_waits_for_others_while_the_clock_stands_still() -> None:
    done: queue.SimpleQueue = queue.SimpleQueue()
    with contextlib.closing(System(clock=ManualClock())) as system:
        spec = ChildSpec("gatherer", (Gatherer, (done,), {}))
        supervisor = Supervisor.start([spec], system=system)
        (gatherer,) = (info.ref for info in which_children(supervisor))
        cast(gatherer, (1, 2))
        assert done.get(timeout=LIMIT) == [1, 2]
        # Some may come together again.
        cast(gatherer, (3,))
        assert done.get(timeout=LIMIT) == [3]
        supervisor.stop(timeout=LIMIT)


class Watcher(Gathering):
    """Is told of the first number alone; the others are there when it looks."""

    def __init__(self, done: queue.SimpleQueue, there: list[int]) -> None:
        super().__init__(most=256, longest=1_000.0, linger=0.001)
        self._done = done
        self._there = there
        self._looks = 0

    def handle_cast(self, message: int) -> None:
        self.gather(message)

    def is_growing(self) -> bool:
        self._looks += 1
        self._there.append(self._looks)
        return self._looks < 4

    def work_off(self, items: list[int]) -> None:
        self._done.put((items, list(self._there)))


@pytest.mark.usefixtures("nothing_left")
def test_what_no_message_tells_of_is_waited_for_while_it_becomes_more() -> None:
    done: queue.SimpleQueue = queue.SimpleQueue()
    with contextlib.closing(System()) as system:
        watcher = Watcher.start(done, [], system=system)
        cast(watcher, 7)
        assert done.get(timeout=LIMIT) == ([7], [1, 2, 3, 4])
        watcher.stop(block=True, timeout=LIMIT)
