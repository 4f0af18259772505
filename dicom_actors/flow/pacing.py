"""When it is tried again, how fast it is sent, and at which hours: without a clock of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from dicom_actors.flow.settings import parse_hours

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from dicom_actors.flow.settings import DestinationSettings

__all__ = ["BackOff", "Bandwidth", "Breaker", "Hours"]

_DAY: Final = 24 * 60
_MOST_DOUBLINGS: Final = 64


class BackOff:
    """Pauses that grow.

    Args:
        settings: how they do.
        chance: what is left out of them.
    """

    def __init__(self, settings: DestinationSettings, chance: Random) -> None:
        self._settings = settings
        self._chance = chance

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, 1 or more."""
        settings = self._settings
        doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
        pause = min(settings.first_pause * 2.0**doublings, settings.longest_pause)
        return pause * (1.0 - settings.jitter * self._chance.random())


class Breaker:
    """Keeps work away from who cannot be reached: opened by a failure, and tried now and then.

    Args:
        back_off: for how long it is open.
    """

    def __init__(self, back_off: BackOff) -> None:
        self._back_off = back_off
        self.failures = 0
        self.open_until = 0.0

    def fail(self, now: float) -> None:
        """Somebody could not be reached."""
        self.failures += 1
        self.open_until = now + self._back_off.pause(self.failures)

    def succeed(self) -> None:
        """Somebody could."""
        self.failures, self.open_until = 0, 0.0

    def reset(self) -> None:
        """Try at once."""
        self.open_until = 0.0

    def state(self, now: float) -> str:
        """``"closed"``: work goes on; ``"open"``: it waits; ``"half open"``: one may try."""
        if not self.failures:
            return "closed"
        return "open" if now < self.open_until else "half open"


class Bandwidth:
    """Says when the next may be sent.

    Args:
        bytes_per_second: on average; None: there is no limit.
    """

    def __init__(self, bytes_per_second: int | None) -> None:
        self._rate = bytes_per_second
        self.free_at = 0.0

    def sent(self, length: int, now: float) -> None:
        """So many bytes were sent."""
        if self._rate is not None:
            self.free_at = max(self.free_at, now) + length / self._rate


class Hours:
    """Says when it is time.

    Args:
        spans: such as ``"20:00-06:00"``; none: always.
    """

    def __init__(self, spans: Sequence[str]) -> None:
        self._spans = [parse_hours(text) for text in spans]

    def wait(self, now: float) -> float:
        """Seconds until it is time, in whole minutes at the most; 0: it is.

        Args:
            now: seconds since the epoch.
        """
        if not self._spans:
            return 0.0
        local = time.localtime(now)
        minute = local.tm_hour * 60 + local.tm_min
        if any(_is_within(minute, *span) for span in self._spans):
            return 0.0
        until = min((begin - minute) % _DAY for begin, _ in self._spans)
        return max(until * 60.0 - local.tm_sec - now % 1, 0.001)


def _is_within(minute: int, begin: int, end: int) -> bool:
    if begin < end:
        return begin <= minute < end
    return minute >= begin or minute < end
