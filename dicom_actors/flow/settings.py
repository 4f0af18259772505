"""How it is sent to a destination: checked settings."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Any, Final

from dicom_actors.errors import ConfigurationError

__all__ = ["DestinationSettings"]

_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "attempts": (1, 1_000_000),
    "refusals": (1, 1_000_000),
    "first_pause": (0.001, 86_400.0),
    "longest_pause": (0.001, 86_400.0),
    "jitter": (0.0, 1.0),
    "bytes_per_second": (1, 1 << 40),
    "commitment_timeout": (1.0, 30 * 86_400.0),
    "idle_timeout": (0.0, 86_400.0),
    "batch": (1, 1_000),
}


@dataclass(frozen=True, slots=True)
class DestinationSettings:
    """How it is sent to a destination.

    Attributes:
        confirm: ``"store"``: an object counts as sent once the destination says Success;
            ``"commitment"``: once it has confirmed, asked for storage commitment, that it keeps it
            (PS3.4 J).
        attempts: after so many attempts an object is set aside; none: it is tried for ever.
        refusals: the same for one that the destination refuses, or during which the association
            was lost, again and again: others go on then.
        first_pause: seconds until the second attempt; each following pause is twice as long.
        longest_pause: but no longer than this.
        jitter: up to this part of a pause is left out, by chance.
        bytes_per_second: no more than this is sent, on average; none: as fast as can be.
        hours: when it is sent, such as ``"20:00-06:00"``, in local time; none: always.
        commitment_timeout: seconds after which commitment is asked for again.
        idle_timeout: seconds that an association stays open without work.
        batch: objects that are sent, and then marked as done, in one transaction.
        transcode: whether an object is compressed or decompressed, without loss, if the
            destination does not take it as it is; needs the extra ``pixels``.

    Raises:
        ConfigurationError: a setting is out of its range; the message names it.
    """

    confirm: str = "store"
    attempts: int | None = None
    refusals: int = 5
    first_pause: float = 1.0
    longest_pause: float = 300.0
    jitter: float = 0.5
    bytes_per_second: int | None = None
    hours: tuple[str, ...] = ()
    commitment_timeout: float = 3_600.0
    idle_timeout: float = 10.0
    batch: int = 64
    transcode: bool = False

    def __post_init__(self) -> None:
        if self.confirm not in {"store", "commitment"}:
            raise ConfigurationError(
                f"confirm: expected 'store' or 'commitment', got {self.confirm!r}"
            )
        for field in fields(self):
            if field.name in _RANGES:
                self._check_number(field.name, str(field.type))
        if not isinstance(self.transcode, bool):
            raise ConfigurationError(f"transcode: expected true or false, got {self.transcode!r}")
        for text in self.hours:
            parse_hours(text)

    def _check_number(self, name: str, kind: str) -> None:
        value: Any = getattr(self, name)
        if value is None and "None" in kind:
            return
        lowest, highest = _RANGES[name]
        kinds = int if kind.startswith("int") else int | float
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        if not is_number or math.isnan(value) or not lowest <= value <= highest:
            what = "a whole number" if kinds is int else "a number"
            raise ConfigurationError(
                f"{name}: expected {what} from {lowest} to {highest}, got {value!r}"
            )


def parse_hours(text: str) -> tuple[int, int]:
    """Take ``HH:MM-HH:MM`` apart: minutes of the day; an end before the begin is of the next day.

    Raises:
        ConfigurationError: it is none.
    """
    found = _HOURS.fullmatch(text) if isinstance(text, str) else None
    minutes = (
        (0, 0)
        if found is None
        else (
            int(found[1]) * 60 + int(found[2]),
            int(found[3]) * 60 + int(found[4]),
        )
    )
    if minutes[0] == minutes[1] or minutes[1] > 24 * 60:
        raise ConfigurationError(f"hours: expected a time such as 20:00-06:00, got {text!r}")
    return minutes
