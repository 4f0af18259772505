"""How many Associations are at work at a time in one endpoint.

The interpreter runs one thread at a time, and lets go of it at each call of the system: of sixteen
Associations that all have something to do, each waits for the others at each such call, and more of
them store less than one alone. So a few take turns, and the others sleep until it is theirs. A turn
is for work, not for waiting: the Watcher takes it back from one whose handler or disk takes long,
who waits too long for one goes on without, and where a handler did nothing but wait, for a database
say, the next ones have none.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.actors.connection.record import ConnectionRecord

__all__ = ["Turns"]

_AT_A_TIME: Final = 4
"""Enough for one that computes, and three in calls of the system."""

_LONGEST_SECONDS: Final = 0.1
"""Real time until one goes on without a turn."""

_SHORT_SECONDS: Final = 0.002
_IDLE_SHARE: Final = 10
"""A handler that took longer, and computed for less than a tenth of it, has waited."""

_NEXT: Final = 16
"""Handlers of that connection without a turn, until one has one again."""


class Turns:
    """See the module; safe from any thread.

    Args:
        count: how many are at work at a time.
        patience: seconds that one waits for its turn, by the system's clock.
        clock: gives real time.
        thread_clock: gives what the thread has computed.
    """

    def __init__(
        self,
        count: int = _AT_A_TIME,
        patience: float = _LONGEST_SECONDS,
        clock: Callable[[], float] = perf_counter,
        thread_clock: Callable[[], float] = thread_time,
    ) -> None:
        self._clock, self._thread_clock = clock, thread_clock
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)
        self._patience = patience
        self._taken: dict[tuple[ConnectionRecord, int], bool] = {}

    def take(self, record: ConnectionRecord, epoch: int) -> None:
        """Wait until it is the turn of the Association of that epoch, within reason."""
        try:
            self._free.get(timeout=self._patience)
        except Empty:
            return
        self._taken[record, epoch] = True

    def begin_handler(self, record: ConnectionRecord, epoch: int) -> tuple[float, float] | None:
        """A handler begins, without a turn if others of its connection have waited.

        Returns:
            For `end_handler`: real time and what the thread has computed, seconds; None if it is
            not looked at.
        """
        if record.without_turn:
            record.without_turn -= 1
            self.give_back(record, epoch)
            return None  # it may have to wait for the interpreter, which says nothing
        return self._clock(), self._thread_clock()

    def end_handler(self, record: ConnectionRecord, begun: tuple[float, float] | None) -> None:
        """It is over; called in its thread.

        Args:
            record: its connection's.
            begun: what `begin_handler` gave.
        """
        if begun is None:
            return
        took = self._clock() - begun[0]
        if took > _SHORT_SECONDS and (self._thread_clock() - begun[1]) * _IDLE_SHARE < took:
            record.without_turn = _NEXT

    def give_back(self, record: ConnectionRecord, epoch: int) -> None:
        """Let another one have the turn; nothing happens if it has none, or no more."""
        # In one step: its own thread and the Watcher's may do it at once.
        if self._taken.pop((record, epoch), False):
            self._free.put(None)
