"""Clocks and timers: time is always passed in, so that tests can move it by hand.

One timer service for a tree of actors, with that tree's clock. It does nothing but hand over
messages, so nothing that a timer does can hold up another timer.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
import weakref
from typing import Any, Final, Protocol

import pykka

from dicom_actors.supervision.delivery import Recipient, deliver
from dicom_actors.supervision.log import LogService

__all__ = ["Clock", "ManualClock", "SystemClock", "Timekeeper", "Timer", "TimerService"]

_FEW: Final = 64
"""So many timers may be kept without a look at which of them nobody wants any more."""


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


class Timer:
    """A message on its way."""

    __slots__ = ("_message", "_recipient", "_service", "due")

    def __init__(
        self, service: TimerService, due: float, recipient: Recipient, message: Any
    ) -> None:
        self.due: Final = due
        self._service = service
        self._recipient: Recipient | None = recipient
        self._message = message

    @property
    def is_pending(self) -> bool:
        """Whether the message is still to come."""
        return self._recipient is not None

    @property
    def is_wanted(self) -> bool:
        """Whether the message is still to come, and not known to be for the dead."""
        recipient = self._recipient
        if isinstance(recipient, pykka.ActorRef):
            return recipient.is_alive()
        return recipient is not None

    def cancel(self) -> bool:
        """Call the message back; returns False if it was sent or called back before.

        What was sent may still wait in an inbox: compare what it says with what is expected.
        """
        return self._service.cancel(self)

    def take(self) -> tuple[Recipient, Any] | None:
        """The recipient and the message, once; for the service."""
        if self._recipient is None:
            return None
        recipient, message = self._recipient, self._message
        self._recipient = self._message = None
        return recipient, message


class TimerService:
    """Sends messages at their time, by one thread that is started with the first timer.

    Args:
        clock: tells the time; a `ManualClock` also does the sending, and then there is no thread.
        log: is told of recipients that raise; None: one of its own.
    """

    def __init__(self, clock: Clock, log: LogService | None = None) -> None:
        self._clock = clock
        self._log = LogService() if log is None else log
        self._own_log = self._log if log is None else None
        self._changed = threading.Condition(threading.Lock())
        self._heap: list[tuple[float, int, Timer]] = []
        self._wakes_at = math.inf  # when the thread looks at the heap again by itself
        self._count = 0  # orders timers of the same time by age
        self._room = _FEW  # when there are more, those that nobody wants are cleared out
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._is_driven = clock.drives(self)

    def send_after(self, seconds: float, recipient: Recipient, message: Any) -> Timer:
        """Send `message` to `recipient` in `seconds` (0 or more) from now.

        A supervised actor gets it in `handle_info`, in its turn; see `delivery.deliver`.
        """
        return self.send_at(self._clock.monotonic() + seconds, recipient, message)

    def send_at(self, due: float, recipient: Recipient, message: Any) -> Timer:
        """Send `message` to `recipient` at the time `due` of the service's clock."""
        timer = Timer(self, due, recipient, message)
        with self._changed:
            if self._is_closed:
                timer.take()
                return timer
            if self._thread is None and not self._is_driven:
                thread = threading.Thread(target=self._run, name="supervision-timers", daemon=True)
                thread.start()
                self._thread = thread
            if len(self._heap) >= self._room:
                self._clear_out()
            self._count += 1
            heapq.heappush(self._heap, (due, self._count, timer))
            if due < self._wakes_at:
                self._changed.notify()
        return timer

    def cancel(self, timer: Timer) -> bool:
        """Call a timer's message back; returns False if it was sent or called back before."""
        with self._changed:
            return timer.take() is not None

    def pending(self) -> int:
        """How many messages are on their way."""
        with self._changed:
            return sum(timer.is_pending for _, _, timer in self._heap)

    def next_due(self) -> float | None:
        """When the next message is due; None: there is none."""
        with self._changed:
            return self._first_due()

    def fire_due(self) -> None:
        """Send everything that is due now."""
        while (sending := self._pop_due()) is not None:
            deliver(*sending, self._log)

    def close(self) -> None:
        """Forget all timers and end the thread; whatever comes later is dropped."""
        with self._changed:
            self._is_closed = True
            self._heap.clear()
            self._changed.notify()
        if self._own_log is not None:
            self._own_log.close()

    def start_over(self) -> None:
        """Be as new, in a forked child: what is on its way is the parent's to send."""
        self._changed = threading.Condition(threading.Lock())
        self._heap.clear()
        self._wakes_at = math.inf
        self._thread = None

    def _clear_out(self) -> None:
        """Forget what was called back, or is for actors that have ended."""
        self._heap = [entry for entry in self._heap if entry[2].is_wanted]
        heapq.heapify(self._heap)
        self._room = max(_FEW, 2 * len(self._heap))

    def _first_due(self) -> float | None:
        while self._heap and not self._heap[0][2].is_pending:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _pop_due(self) -> tuple[Recipient, Any] | None:
        with self._changed:
            due = self._first_due()
            if due is None or due > self._clock.monotonic():
                return None
            return heapq.heappop(self._heap)[2].take()

    def _run(self) -> None:
        while True:
            with self._changed:
                due = self._first_due()
                while not self._is_closed and (due is None or due > self._clock.monotonic()):
                    # Also for a timer that is called back meanwhile: then it wakes for nothing,
                    # once, and need not be woken for each one that is due later.
                    self._wakes_at = math.inf if due is None else due
                    self._changed.wait(self._seconds_until(due))
                    due = self._first_due()
                self._wakes_at = -math.inf
                if self._is_closed:
                    return
            self.fire_due()

    def _seconds_until(self, due: float | None) -> float | None:
        return None if due is None else min(due - self._clock.monotonic(), threading.TIMEOUT_MAX)
