"""Clocks: time is always passed in, so that tests can move it by hand."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock", "Timekeeper"]


class Timekeeper(Protocol):
    """What has to be told when time passes: a timer service."""

    def next_due(self) -> float | None:
        """When it has something to do; None: nothing to do."""

    def fire_due(self) -> None:
        """Do what is due now."""


class Clock(Protocol):
    """Tells the time."""

    def monotonic(self) -> float:
        """Seconds from some fixed point; never goes back."""

    def drives(self, keeper: Timekeeper) -> bool:
        """Take `keeper` on: True if this clock calls its `fire_due`, False if a thread must."""


class SystemClock:
    """The system's monotonic clock."""

    monotonic = staticmethod(time.monotonic)

    def drives(self, keeper: Timekeeper) -> bool:  # noqa: ARG002 - the protocol's signature
        """Real time passes by itself: a thread must wait for it."""
        return False


class ManualClock:
    """A clock that stands still until a test moves it.

    Args:
        start: the first time that it tells, in seconds.
    """

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        # not kept alive: a clock may be that of many systems, one after the other
        self._keepers: list[weakref.ref[Timekeeper]] = []
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """The time, in seconds."""
        return self._now

    def drives(self, keeper: Timekeeper) -> bool:
        """Take `keeper` on: `advance` delivers what is due."""
        with self._lock:
            self._keepers = [known for known in self._keepers if known() is not None]
            self._keepers.append(weakref.ref(keeper))
        return True

    def advance(self, seconds: float) -> None:
        """Move on, and deliver in its order everything that is due by then, in this thread.

        Args:
            seconds: how far, 0 or more.
        """
        if seconds < 0:
            raise ValueError(f"seconds: expected 0 or more, got {seconds}")
        target = self._now + seconds
        while (due := self._next_due()) is not None and due[0] <= target:
            self._now = max(self._now, due[0])
            due[1].fire_due()
        self._now = target

    def _next_due(self) -> tuple[float, Timekeeper] | None:
        with self._lock:
            keepers = [keeper for known in self._keepers if (keeper := known()) is not None]
        dues = [(when, keeper) for keeper in keepers if (when := keeper.next_due()) is not None]
        return min(dues, key=lambda due: due[0], default=None)
