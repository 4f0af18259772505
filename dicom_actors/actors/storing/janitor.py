"""Removes files for whoever must not wait for a disk."""

from __future__ import annotations

import logging
from collections import deque
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Janitor"]

_logger = logging.getLogger(__name__)


class Janitor:
    """Runs tasks in the order in which they come, in a thread that is there while there are any."""

    def __init__(self) -> None:
        self._tasks: deque[Callable[[], None]] = deque()
        self._is_working = False
        self._lock = Lock()

    def do(self, task: Callable[[], None]) -> None:
        """Run `task` soon; at once where the system has no more threads."""
        with self._lock:
            self._tasks.append(task)
            if self._is_working:
                return
            self._is_working = True
        try:
            Thread(target=self._work, name="dicom-actors janitor", daemon=True).start()
        except RuntimeError:
            self._work()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._tasks:
                    self._is_working = False
                    return
                task = self._tasks.popleft()
            try:
                task()
            except Exception:
                _logger.exception("a received object was not removed")
