"""Where the data set of a request goes while it arrives.

Small ones stay in memory. Beyond `spool_bytes` they go to a file as they come, a Part 10 file
from its first byte (PS3.10 7): a prepared file meta header, then the received bytes, so that
keeping the object is a rename. Nothing is decoded here.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ReceivedObject", "Receiver", "write_all"]

_MAX_PENDING = 256
"""Fragments that wait for one `writev`; well below any system's IOV_MAX."""

_CAN_GATHER = hasattr(os, "writev")


@dataclass(frozen=True, slots=True)
class ReceivedObject:
    """A data set as it was received.

    Attributes:
        header: the Part 10 header (preamble to file meta group) that belongs before it.
        length: bytes of the data set, without header.
        data: the bytes, where they are in memory.
        path: the spool file, header and data, where they are not.
        failure: why it could not be kept; empty if it was. Then there are no bytes.
    """

    header: bytes
    length: int
    data: memoryview | None = None
    path: str | None = None
    failure: str = ""

    def discard(self) -> None:
        """Remove the spool file, if it is still there."""
        if self.path is not None:
            Path(self.path).unlink(missing_ok=True)


class Receiver:
    """Takes the fragments of one data set.

    Args:
        header: the Part 10 header.
        spool_bytes: up to this many bytes stay in memory.
        spool_directory: where the spool file is made; None: the system's directory.
        max_bytes: the most that is taken; None: no limit.

    Attributes:
        result: what `finish` has given; None before.
    """

    def __init__(
        self,
        header: bytes,
        *,
        spool_bytes: int,
        spool_directory: str | Path | None,
        max_bytes: int | None,
    ) -> None:
        self._header = header
        self._spool_bytes = spool_bytes
        self._spool_directory = spool_directory
        self._max_bytes = max_bytes
        self._memory = bytearray()
        self._length = 0
        self._file = -1
        self._path: str | None = None
        self._pending: list[bytes | memoryview] = []
        self._failure = ""
        self._is_abandoned = False
        self._is_writing = False
        self._lock = Lock()
        self.result: ReceivedObject | None = None

    def write(self, data: bytes | memoryview) -> None:
        """Take the next fragment; it may be held as a view until `flush`."""
        self._length += len(data)
        if self._failure or self._is_abandoned:
            return
        if self._max_bytes is not None and self._length > self._max_bytes:
            with self._lock:
                self._failure = f"more than {self._max_bytes} bytes"
                self._pending.clear()
                self._drop()
        elif self._file < 0 and self._length <= self._spool_bytes:
            self._memory += data
        else:
            self._pending.append(data)
            if len(self._pending) >= _MAX_PENDING:
                self.flush()

    def flush(self) -> None:
        """Write the fragments that are held as views; to be called before they go away."""
        if not self._pending:
            return
        if self._begin_writing():
            try:
                if self._file < 0:
                    self._open()
                write_all(self._file, self._pending)
            except OSError as error:
                self._failure = error.strerror or type(error).__name__
            finally:
                self._end_writing()
        self._pending.clear()

    def finish(self) -> ReceivedObject:
        """Take no more; say what has come."""
        self.flush()
        with self._lock:
            self._close()
            if self._failure or self._is_abandoned:
                why = self._failure or "abandoned"
                result = ReceivedObject(self._header, self._length, failure=why)
            elif self._path is not None:
                result = ReceivedObject(self._header, self._length, path=self._path)
            else:
                data = memoryview(self._memory).toreadonly()
                result = ReceivedObject(self._header, self._length, data=data)
            self.result = result
        return result

    def abandon(self) -> None:
        """Drop everything, the spool file included; whatever still comes, too.

        From any thread: whoever closes a connection may not be the one that receives. A thread
        that is writing is not waited for; it closes the file itself.
        """
        with self._lock:
            self._is_abandoned = True
            self._drop()

    def _begin_writing(self) -> bool:
        with self._lock:
            self._is_writing = not self._is_abandoned
            return self._is_writing

    def _end_writing(self) -> None:
        with self._lock:
            self._is_writing = False
            if self._is_abandoned or self._failure:
                self._drop()

    def _drop(self) -> None:
        if not self._is_writing:
            self._close()
        self._memory = bytearray()
        if self._path is not None:
            Path(self._path).unlink(missing_ok=True)

    def _open(self) -> None:
        self._file, self._path = tempfile.mkstemp(
            prefix=".dicom-actors-", suffix=".part", dir=self._spool_directory
        )
        write_all(self._file, [self._header, self._memory])
        self._memory = bytearray()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def write_all(file: int, parts: Sequence[bytes | bytearray | memoryview]) -> None:
    """Write all of `parts` to the descriptor `file`, in as few calls as it can be.

    Raises:
        OSError: the disk is full, for one; a part may have been written.
    """
    views = [memoryview(part) for part in parts if len(part)]
    while views:
        written = os.writev(file, views) if _CAN_GATHER else os.write(file, views[0])
        while views and written >= len(views[0]):
            written -= len(views[0])
            del views[0]
        if written:
            views[0] = views[0][written:]
