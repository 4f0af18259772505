"""What a long-running command says, written by a thread of its own.

Standard output may be a terminal that does not scroll, a pipe that nobody reads or a full disk.
None of it holds up whoever has something to say: what is too much is dropped, and counted.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from dicom_actors.cli.output import OutputError

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["Printer"]

_GATHERING: Final = 0.02
"""Seconds in which more is gathered before it is written: a wake-up for each line would cost those
who have something to say more than the line."""

_FAREWELL: Final = 2.0
"""Seconds in which what waits is written in the end."""


class Printer:
    """Writes texts to a stream, in order; any thread may use it.

    Args:
        stream: where to; its descriptor is written to, where it has one, so that no lock of the
            stream is held while a write hangs.
        limit: texts that may wait; what comes then is dropped.
    """

    def __init__(self, stream: TextIO, *, limit: int = 10_000) -> None:
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._is_writing = False
        self._is_closed = False
        self._dropped = 0
        self._untold = 0
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many texts were dropped so far."""
        return self._dropped

    def write(self, text: str) -> None:
        """Have a text written; never waits, never raises."""
        with self._changed:
            if self._is_closed or len(self._waiting) >= self._limit:
                self._dropped += 1
                self._untold += 1
                return
            self._waiting.append(text)
            if len(self._waiting) == 1:
                self._changed.notify_all()

    def close(self, timeout: float = _FAREWELL) -> bool:
        """Write what waits; returns False if the time was not enough."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # --- in the thread of its own ------------------------------------------------------------

    def _run(self) -> None:
        while (text := self._take()) is not None:
            with contextlib.suppress(OSError, OutputError, ValueError):  # where to tell of it?
                self._put(text)

    def _take(self) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            self._changed.wait_for(lambda: self._is_closed, _GATHERING)
            texts = "".join(self._waiting)
            self._waiting.clear()
            if self._untold:
                untold, self._untold = self._untold, 0
                texts += self.note_of_dropped(untold)
            return texts or None

    def note_of_dropped(self, count: int) -> str:
        """What is written where texts were dropped; for those who know the form of the texts."""
        return f"... {count} lines more: standard output does not keep up\n"

    def _put(self, text: str) -> None:
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        data = memoryview(text.encode(encoding, "backslashreplace"))
        while data:
            data = data[os.write(self._descriptor, data) :]


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError, AttributeError, OutputError, io.UnsupportedOperation):
        return None
