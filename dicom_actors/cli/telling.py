"""Who says what happens: in lines with the time, or as JSON, a line for each thing.

What is said never holds patient data: who it came from, how much, and what became of it.
"""

from __future__ import annotations

import abc
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dicom_actors.cli.printing import Printer

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

__all__ = ["JsonTeller", "LineTeller", "Teller"]


def _now() -> datetime:
    return datetime.now().astimezone()


class Teller(abc.ABC):
    """Says what happens; any thread may use it, and none has to wait for it."""

    @abc.abstractmethod
    def tell(self, text: str, *, event: str, level: str = "info", **details: Any) -> None:
        """Say something.

        Args:
            text: in words, in a line.
            event: what kind of thing it is, for programs.
            level: ``"info"``, ``"warning"`` or ``"error"``.
            **details: what of it programs may want.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Have said all, as far as somebody listens."""

    @property
    @abc.abstractmethod
    def dropped(self) -> int:
        """How much was never said, since nobody listened."""


class LineTeller(Teller):
    """Says each thing in a line with the time.

    Args:
        stream: where to.
        now: tells the time.
    """

    def __init__(self, stream: TextIO, now: Callable[[], datetime] = _now) -> None:
        self._printer = Printer(stream)
        self._now = now

    def tell(
        self,
        text: str,
        *,
        event: str,  # noqa: ARG002 - for programs
        level: str = "info",  # noqa: ARG002
        **details: Any,  # noqa: ARG002
    ) -> None:
        """See `Teller.tell`; the text alone is said."""
        now = self._now()
        self._printer.write(f"{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03}  {text}\n")

    def close(self) -> None:
        """See `Teller.close`."""
        self._printer.close()

    @property
    def dropped(self) -> int:
        """See `Teller.dropped`."""
        return self._printer.dropped


class _JsonPrinter(Printer):
    def note_of_dropped(self, count: int) -> str:
        text = "standard output does not keep up"
        return _json_line(_now(), f"{count} lines more: {text}", "lines_dropped", "warning", {})


class JsonTeller(Teller):
    """Says each thing as an object of JSON in a line: time, level, event, message, details.

    Args:
        stream: where to.
        now: tells the time.
    """

    def __init__(self, stream: TextIO, now: Callable[[], datetime] = _now) -> None:
        self._printer = _JsonPrinter(stream)
        self._now = now

    def tell(self, text: str, *, event: str, level: str = "info", **details: Any) -> None:
        """See `Teller.tell`."""
        self._printer.write(_json_line(self._now(), text, event, level, details))

    def close(self) -> None:
        """See `Teller.close`."""
        self._printer.close()

    @property
    def dropped(self) -> int:
        """See `Teller.dropped`."""
        return self._printer.dropped


def _json_line(now: datetime, text: str, event: str, level: str, details: dict[str, Any]) -> str:
    line = {
        "time": now.isoformat(timespec="milliseconds"),
        "level": level,
        "event": event,
        "message": text,
        **details,
    }
    return f"{json.dumps(line)}\n"
