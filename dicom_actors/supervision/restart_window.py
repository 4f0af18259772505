"""The count of restarts: so many within so much time."""

from __future__ import annotations

from collections import deque

__all__ = ["RestartWindow"]


class RestartWindow:
    """Counts restarts within a period that moves on with time.

    Args:
        intensity: how many restarts may happen within the period.
        period: its length in seconds; a restart exactly that old still counts.
    """

    def __init__(self, intensity: int, period: float) -> None:
        self._intensity = intensity
        self._period = period
        self._times: deque[float] = deque()

    def add(self, now: float) -> bool:
        """Count a restart at the time `now`; returns whether it may happen."""
        while self._times and now - self._times[0] > self._period:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) <= self._intensity
