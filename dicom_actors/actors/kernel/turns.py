"""How many Associations are at work at a time in one endpoint.

The interpreter runs one thread at a time, and lets go of it at each call of the system: of sixteen
Associations that all have something to do, each waits for the others at each such call, and more of
them store less than one alone. So a few take turns, and the others sleep until it is theirs. A turn
is for work, not for waiting: the Watcher takes it back from one whose handler or disk takes long,
and who waits too long for one goes on without.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord

__all__ = ["Turns"]

_AT_A_TIME: Final = 4
"""Enough for one that computes, and three in calls of the system."""

_LONGEST_SECONDS: Final = 0.1
"""Real time until one goes on without a turn."""


class Turns:
    """See the module; safe from any thread.

    Args:
        count: how many are at work at a time.
        patience: seconds that one waits for its turn, by the system's clock.
    """

    def __init__(self, count: int = _AT_A_TIME, patience: float = _LONGEST_SECONDS) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)
        self._patience = patience
        self._taken: dict[tuple[ConnectionRecord, int], Any] = {}

    def take(self, record: ConnectionRecord, epoch: int) -> None:
        """Wait until it is the turn of the Association of that epoch, within reason."""
        try:
            self._free.get(timeout=self._patience)
        except Empty:
            return
        self._taken[record, epoch] = True

    def give_back(self, record: ConnectionRecord, epoch: int) -> None:
        """Let another one have the turn; nothing happens if it has none, or no more."""
        # In one step: its own thread and the Watcher's may do it at once.
        if self._taken.pop((record, epoch), False):
            self._free.put(None)
