"""Log records, written by a thread of their own: a log that stalls holds up nobody.

One service for a tree of actors. What waits is bounded, and so is what one fault can say: what
is too much is counted, and told in one line.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections import deque
from traceback import TracebackException
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LogService", "write_inline"]

logger = logging.getLogger(__name__)

_ALIKE: Final = 20
"""How many records of one kind are written within `_WINDOW`."""

_WINDOW: Final = 1.0
_KINDS: Final = 1_000
"""How many kinds of records are told apart."""

_FAREWELL: Final = 1.0
"""Seconds in which a closed service writes what waits."""

_Kind = tuple[str, int, str]


class _Repeats:
    """How often a record of one kind came since a time."""

    __slots__ = ("count", "example", "logger", "since")

    def __init__(self, logger: logging.Logger, since: float) -> None:
        self.logger = logger
        self.since = since
        self.count = 1
        self.example = ""


class _Entry(NamedTuple):
    """A record that waits; it is all text, but for the lines of source of a traceback."""

    logger: logging.Logger
    record: logging.LogRecord
    traceback: TracebackException | None = None

    def write(self) -> None:
        if self.traceback is not None:  # reads files: not for who came with the record
            self.record.exc_text = "".join(self.traceback.format()).rstrip()
        self.logger.handle(self.record)


class LogService:
    """Writes log records, by one daemon thread that is started with the first record.

    Of the records of one kind (logger, level and message, without its arguments) the first 20
    within a second are written; one line then says how many more there were, and what the last
    one was that was written. Those for debugging are not counted.

    Args:
        limit: how many records may wait; what comes then is dropped, and counted.
        monotonic: tells the time, in seconds.
    """

    def __init__(
        self, *, limit: int = 10_000, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._now = monotonic
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[_Entry] = deque()
        self._came = 0
        self._gone = 0
        self._dropped = 0  # of which nobody was told yet
        self._dropped_before = 0
        self._repeats: dict[_Kind, _Repeats] = {}
        self._thread: threading.Thread | None = None
        self._writes_until: float | None = None  # None: the service is open

    def write(
        self,
        logger: logging.Logger,
        level: int,
        message: str,
        *args: object,
        exc_info: BaseException | bool | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """Have a record written; never raises and never waits.

        Its text is made here and now, and nothing that it is made of is kept.

        Args:
            logger: whose record it is.
            level: its level.
            message: its text, with a place for each of `args` as in `logging`.
            *args: what to put there.
            exc_info: an exception whose traceback follows the text; True: the one that is being
                handled.
            extra: attributes of the record.
        """
        try:
            if logger.isEnabledFor(level) and self._is_wanted(logger, level, message):
                fault = sys.exception() if exc_info is True else exc_info or None
                entry = _entry(logger, level, message, args, fault=fault, extra=extra)
                with self._changed:
                    self._put(entry)
                    repeats = self._repeats.get((logger.name, level, message))
                    if repeats is not None:
                        repeats.example = entry.record.getMessage()
        except BaseException:  # noqa: BLE001 - what cannot be said is no reason to fail
            with self._changed:
                self._dropped += 1

    @property
    def dropped(self) -> int:
        """How many records were dropped so far, as too many waited or as the end had come."""
        with self._changed:
            return self._dropped_before + self._dropped

    def flush(self, timeout: float) -> bool:
        """Wait until all that has come is written; returns False if the time was not enough."""
        if threading.current_thread() is self._thread:
            return False
        with self._changed:
            came = self._came
            return self._changed.wait_for(lambda: self._gone >= came, timeout)

    def close(self) -> None:
        """Write what waits, as far as that can be done in a second, and end the thread.

        What comes later is written in the same way.
        """
        with self._changed:
            self._writes_until = self._now() + _FAREWELL
            self._tell_repeats(is_last=True)
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_FAREWELL)

    def start_over(self) -> None:
        """Be as new, in a forked child: what waits is the parent's to write."""
        self._changed = threading.Condition(threading.Lock())
        self._waiting.clear()
        self._repeats.clear()
        self._came = self._gone = self._dropped = self._dropped_before = 0
        self._thread = None

    # --- in the thread of whoever has something to say ---------------------------------------

    def _is_wanted(self, logger: logging.Logger, level: int, message: str) -> bool:
        """Count a record; returns False if there were too many of its kind."""
        if level <= logging.DEBUG:  # who wants these wants them all
            return True
        now, kind = self._now(), (logger.name, level, message)
        with self._changed:
            repeats = self._repeats.get(kind)
            if repeats is not None and now - repeats.since >= _WINDOW:
                self._tell_repeats()
                repeats = self._repeats.get(kind)
            if repeats is None:
                if len(self._repeats) >= _KINDS:
                    self._tell_repeats()
                if len(self._repeats) < _KINDS:
                    self._repeats[kind] = _Repeats(logger, now)
                return True
            repeats.count += 1
            if repeats.count == _ALIKE + 1:
                self._changed.notify_all()  # the thread has to tell of it in time
            return repeats.count <= _ALIKE

    def _put(self, entry: _Entry) -> None:
        if len(self._waiting) >= self._limit:
            self._dropped += 1
            return
        self._waiting.append(entry)
        self._came += 1
        if self._thread is None:
            if self._writes_until is not None:
                self._writes_until = self._now() + _FAREWELL
            thread = threading.Thread(target=self._run, name="supervision-log", daemon=True)
            with contextlib.suppress(RuntimeError):  # the next record tries again
                thread.start()
                self._thread = thread
        else:
            self._changed.notify_all()

    def _tell_repeats(self, *, is_last: bool = False) -> None:
        """Say what too often was said, where its second is over or the service ends."""
        now = self._now()
        over = [
            (kind, repeats)
            for kind, repeats in self._repeats.items()
            if is_last or now - repeats.since >= _WINDOW
        ]
        for kind, repeats in over:
            del self._repeats[kind]
            more = repeats.count - _ALIKE
            if more > 0:
                text = f"... {more:,} more like this: {repeats.example}"
                self._put(_entry(repeats.logger, kind[1], text))

    # --- in the service's own thread ---------------------------------------------------------

    def _run(self) -> None:
        while (entry := self._take()) is not None:
            with contextlib.suppress(BaseException):  # where could it be told?
                entry.write()
            del entry
            with self._changed:
                self._gone += 1
                self._changed.notify_all()

    def _take(self) -> _Entry | None:
        """The next record to write; waits for it. None: there will be none."""
        with self._changed:
            while True:
                if self._writes_until is not None and self._now() > self._writes_until:
                    self._gone += len(self._waiting)
                    self._dropped += len(self._waiting)
                    self._waiting.clear()
                if self._dropped and len(self._waiting) <= self._limit // 2:
                    dropped, self._dropped = self._dropped, 0
                    self._dropped_before += dropped
                    self._came += 1
                    text = "%d log records were dropped: the log does not keep up"
                    return _entry(logger, logging.WARNING, text, (dropped,))
                if self._waiting:
                    return self._waiting.popleft()
                if self._writes_until is not None:
                    self._thread = None
                    self._changed.notify_all()
                    return None
                self._changed.wait(self._seconds_until_repeats_are_told())
                self._tell_repeats()

    def _seconds_until_repeats_are_told(self) -> float | None:
        since = [r.since for r in self._repeats.values() if r.count > _ALIKE]
        return max(min(since) + _WINDOW - self._now(), 0.0) if since else None


def write_inline(
    logger: logging.Logger,
    level: int,
    message: str,
    *args: object,
    exc_info: BaseException | bool | None = None,
) -> None:
    """What `LogService.write` does, where no service is at hand: in this thread, at once."""
    logger.log(level, message, *args, exc_info=exc_info, stacklevel=2)


def _entry(
    logger: logging.Logger,
    level: int,
    message: str,
    args: tuple[object, ...] = (),
    *,
    fault: BaseException | None = None,
    extra: Mapping[str, object] | None = None,
) -> _Entry:
    """A record as from where `LogService.write` was called."""
    path, line, function, _ = logger.findCaller(stacklevel=3)
    text = message % args if args else message
    record = logger.makeRecord(
        logger.name, level, path, line, text, (), None, func=function, extra=extra
    )
    if fault is None:
        return _Entry(logger, record)
    return _Entry(logger, record, TracebackException.from_exception(fault, lookup_lines=False))
