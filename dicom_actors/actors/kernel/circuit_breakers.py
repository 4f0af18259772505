"""Whether a destination that could not be reached is worth another attempt.

After so many failures in a row a destination is left alone for a while: its breaker is open. Then
one attempt may be made, and only if that fails, too, the pause begins anew. Whoever asks meanwhile
is told how long it takes, at once.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

    from dicom_actors.supervision import Clock

__all__ = ["CircuitBreakers"]

_MOST: Final = 1024
"""Destinations that are remembered; those that failed longest ago are forgotten first."""


class CircuitBreakers:
    """A breaker for each destination that failed last time; used in any thread.

    Args:
        clock: tells the time.
        failures: how many in a row open a breaker; None: no number does.
        pause: seconds for which it stays open.
    """

    def __init__(self, clock: Clock, failures: int | None, pause: float) -> None:
        self._clock = clock
        self._failures = failures
        self._pause = pause
        self._lock = Lock()
        # How often it failed in a row, and when an attempt may be made.
        self._known: dict[Hashable, tuple[int, float]] = {}

    def begin(self, destination: Hashable) -> float:
        """Ask for leave to make an attempt.

        Args:
            destination: whatever tells destinations apart.

        Returns:
            0 if one may be made; else the seconds until then.
        """
        with self._lock:
            failures, retry_at = self._known.get(destination, (0, 0.0))
            if self._failures is None or failures < self._failures:
                return 0.0
            now = self._clock.monotonic()
            if now < retry_at:
                return retry_at - now
            # Nobody else tries while this attempt is made, even if its end is never told.
            self._known[destination] = failures, now + self._pause
            return 0.0

    def succeeded(self, destination: Hashable) -> None:
        """The destination was reached: its breaker is closed."""
        with self._lock:
            self._known.pop(destination, None)

    def failed(self, destination: Hashable) -> None:
        """The destination was not reached."""
        with self._lock:
            failures, _ = self._known.pop(destination, (0, 0.0))
            if len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            self._known[destination] = failures + 1, self._clock.monotonic() + self._pause
