"""What ``serve`` says of what is wrong.

It is one line whose traceback is in the log file or shown with ``--debug``. The
same again is counted: the line comes for the first time, the 10th, the 100th, and so on, and at
the end with the sum.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from typing import TYPE_CHECKING, Final

from dicom_actors.cli.terminal import counted
from dicom_actors.data.forms.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import TextIOWrapper

    from dicom_actors.cli.telling import Teller

__all__ = ["FaultLines", "logging_to"]

_KINDS: Final = 1000
"""Kinds of faults that are told apart; then it begins anew."""

_MORE: Final = re.compile(r"\.\.\. ([\d,]+) more like this: (.*)", re.DOTALL)
"""What `LogService` says of records that it did not write."""

_PLACE: Final = re.compile(r'  File ".*?([^/\\"]*)", line (\d+)')
_APPENDING: Final = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_LOGGER: Final = "dicom_actors"
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class FaultLines(logging.Handler):
    """Tells records of the log in a line each, the same ones in ever fewer.

    Args:
        teller: says them.
        has_tracebacks: whether tracebacks are shown, too.
    """

    def __init__(self, teller: Teller, *, has_tracebacks: bool = False) -> None:
        super().__init__(logging.WARNING)
        self._teller = teller
        self._levels: dict[tuple[str, str], str] = {}
        self._has_tracebacks = has_tracebacks
        self._counts: dict[tuple[str, str], int] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._lines: dict[tuple[str, str], str] = {}
        self._last: dict[str, tuple[str, str]] = {}
        self._counting = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record. Runs in the thread of the log."""
        message = record.getMessage()
        if (found := _MORE.fullmatch(message)) is not None:
            self._add(found[2], "", int(found[1].replace(",", "")), record)
        else:
            self._add(message, _fault_in(record.exc_text or ""), 1, record)

    def finish(self) -> None:
        """Tell how often it was in all."""
        with self._counting:
            for kind, count in self._counts.items():
                if count > self._told[kind]:
                    text = f"{self._lines[kind]}; {counted(count, 'time')} in all"
                    self._tell(text, self._levels[kind], count)
            self._forget()

    def _add(self, message: str, fault: str, more: int, record: logging.LogRecord) -> None:
        template = re.sub(r"\d+", "#", message)
        with self._counting:
            # What was not written was like the last one that was.
            kind = (template, fault) if fault else self._last.get(template, (template, ""))
            if kind not in self._counts and len(self._counts) >= _KINDS:
                self._forget()
            self._last[template] = kind
            before = self._counts.get(kind, 0)
            count = self._counts[kind] = before + more
            if before and len(str(count)) == len(str(before)):
                return
            self._told[kind] = count
            level = "" if record.levelno == logging.ERROR else f"{record.levelname.lower()}: "
            self._lines[kind] = line = printable(level + message + (fault and f" {fault}"))
            self._levels[kind] = "error" if record.levelno >= logging.ERROR else "warning"
            times = f"; {counted(count, 'time')} so far" if count > 1 else ""
            self._tell(line + times, self._levels[kind], count)
            if self._has_tracebacks and record.exc_text:
                self._teller.tell(record.exc_text, event="traceback", level=self._levels[kind])

    def _tell(self, text: str, level: str, count: int) -> None:
        self._teller.tell(text, event="fault", level=level, times=count)

    def _forget(self) -> None:
        for table in (self._counts, self._told, self._lines, self._last, self._levels):
            table.clear()


def _fault_in(traceback: str) -> str:
    """What was raised and where, of the text of a traceback; empty without one."""
    places = list(_PLACE.finditer(traceback))
    if not places:
        return ""
    last = places[-1]
    rest = traceback[last.end() :].splitlines()[1:]
    what = next((line for line in rest if line[:1].strip()), "an exception")
    return f"{what} ({last[1]}, line {last[2]})"


class _LogFile(logging.FileHandler):
    """A log file; a pipe that nobody reads is an error, and nothing to wait for."""

    def _open(self) -> TextIOWrapper:
        # A signal would not end that wait.
        descriptor = os.open(self.baseFilename, _APPENDING, 0o666)
        if hasattr(os, "set_blocking"):
            os.set_blocking(descriptor, True)
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)  # noqa: PTH123


@contextlib.contextmanager
def logging_to(teller: Teller, path: str | None, *, debug: bool) -> Iterator[None]:
    """Tell of warnings and errors of the endpoint for the length of the block.

    Args:
        teller: says them.
        path: a file that gets them with their tracebacks; None: there is none.
        debug: whether tracebacks are shown, and the file gets what is for debugging.

    Raises:
        OSError: the file cannot be written.
    """
    logger = logging.getLogger(_LOGGER)
    level, propagates = logger.level, logger.propagate
    lines = FaultLines(teller, has_tracebacks=debug)
    handlers: list[logging.Handler] = [lines]
    if path is not None:
        file = _LogFile(path, encoding="utf-8", errors="backslashreplace")
        file.setFormatter(logging.Formatter(_FORMAT))
        handlers.append(file)
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.propagate = propagates
        logger.setLevel(level)
        lines.finish()
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
