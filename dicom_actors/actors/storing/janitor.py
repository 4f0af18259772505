"""Removes files for whoever must not wait for a disk."""

from __future__ import annotations

import logging
from collections import deque
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.supervision import LogService

__all__ = ["Janitor"]

_logger = logging.getLogger(__name__)


class Janitor:
    """Runs tasks in the order in which they come, in a thread that is there while there are any.

    Args:
        log: where it is told what could not be done.
    """

    def __init__(self, log: LogService) -> None:
        self._log = log
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
            except Exception:  # noqa: BLE001 - the next task is another one, and it is told
                text = "a received object was not removed"
                self._log.write(_logger, logging.ERROR, text, exc_info=True)
