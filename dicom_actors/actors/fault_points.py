"""Named places at which a test can make an actor crash.

The actors look at `EndpointKernel.faults` at each of these places. It is None unless a test armed
something through `dicom_actors.testing`, so that the places cost one attribute look-up.
"""

from __future__ import annotations

from threading import Lock
from typing import Final

__all__ = ["CRASH_POINTS", "FaultPoints", "InjectedCrash"]

CRASH_POINTS: Final = frozenset(
    {
        "association.adopt",
        "association.request",
        "association.command",
        "association.fragment",
        "association.complete",
        "association.dispatch",
        "association.dispatched",
        "association.outcome",
        "association.reply",
        "association.replied",
        "association.release",
        "association.core",
        "handler.begin",
        "handler.outcome",
        "listener.accept",
        "listener.hand_over",
        "event_bus.deliver",
    }
)
"""The names that can be armed."""


class InjectedCrash(Exception):
    """What an armed place raises."""


class FaultPoints:
    """The armed places of one endpoint; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._armed: dict[str, tuple[int, int]] = {}

    def arm(self, point: str, times: int, after: int = 0) -> None:
        """Let `point` raise `times` times, once it was passed `after` times; 0 times disarms it.

        Raises:
            ValueError: there is no such place.
        """
        if point not in CRASH_POINTS:
            raise ValueError(f"expected one of {', '.join(sorted(CRASH_POINTS))}, got {point!r}")
        with self._lock:
            if times:
                self._armed[point] = (after, times)
            else:
                self._armed.pop(point, None)

    def hit(self, point: str) -> None:
        """Raise `InjectedCrash` if `point` is armed."""
        with self._lock:
            if point not in self._armed:
                return
            after, times = self._armed[point]
            if after:
                self._armed[point] = (after - 1, times)
                return
            if times == 1:
                del self._armed[point]
            else:
                self._armed[point] = (0, times - 1)
        raise InjectedCrash(point)
