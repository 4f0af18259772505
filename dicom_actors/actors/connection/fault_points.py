"""Named places at which a test can make an actor crash.

The actors look at `EndpointKernel.faults` at each of these places. It is None unless a test armed
something through `dicom_actors.testing`, so that the places cost one attribute look-up.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

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


class _Armed(NamedTuple):
    after: int
    times: int
    action: Callable[[], object] | None


class FaultPoints:
    """The armed places of one endpoint; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._armed: dict[str, _Armed] = {}

    def arm(
        self,
        point: str,
        times: int,
        after: int = 0,
        action: Callable[[], object] | None = None,
    ) -> None:
        """Let something happen at `point`.

        Args:
            point: one of `CRASH_POINTS`.
            times: how often; 0 disarms it.
            after: how often it is passed before.
            action: what happens there, in the thread of the actor; None: it raises
                `InjectedCrash`.

        Raises:
            ValueError: there is no such place.
        """
        if point not in CRASH_POINTS:
            raise ValueError(f"expected one of {', '.join(sorted(CRASH_POINTS))}, got {point!r}")
        with self._lock:
            if times:
                self._armed[point] = _Armed(after, times, action)
            else:
                self._armed.pop(point, None)

    def passed(self, point: str) -> int:
        """How often an armed `point` still has to be passed before it does something."""
        return self._armed[point].after

    def hit(self, point: str) -> None:
        """Do what `point` is armed with, if it is.

        Raises:
            InjectedCrash: unless it is armed with something else.
        """
        with self._lock:
            armed = self._armed.get(point)
            if armed is None:
                return
            if armed.after:
                self._armed[point] = armed._replace(after=armed.after - 1)
                return
            if armed.times == 1:
                del self._armed[point]
            else:
                self._armed[point] = armed._replace(times=armed.times - 1)
        if armed.action is None:
            raise InjectedCrash(point)
        armed.action()
