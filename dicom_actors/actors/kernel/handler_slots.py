"""How many handlers run at a time in one endpoint."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_actors.actors.connection.record import ConnectionRecord

__all__ = ["HandlerSlots"]


class HandlerSlots:
    """Counts the handlers that run; safe from any thread.

    Args:
        count: how many may run; None: no limit.
    """

    def __init__(self, count: int | None) -> None:
        self._free = count
        self._lock = Lock()
        self._waiting: deque[ConnectionRecord] = deque()

    def take(self, record: ConnectionRecord) -> bool:
        """Take a slot; if there is none, `record` is poked when one is free."""
        if self._free is None:
            return True
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return True
            if record not in self._waiting:
                self._waiting.append(record)
            return False

    def give_back(self) -> None:
        """Let another handler run."""
        if self._free is None:
            return
        with self._lock:
            self._free += 1
            following = self._waiting.popleft() if self._waiting else None
        if following is not None:
            following.poke()
