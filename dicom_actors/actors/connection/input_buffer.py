"""Where received bytes stand until they are handled.

Few, large reads: one `recv_into` brings many PDUs, which are handled in place. A buffer is lent
from a pool while data streams, and is given back when the connection is parked, so that an idle
association costs none; sooner, as soon as nothing unread is left, where more than a few are lent.
Then reads are small, too: what has been read, but may not be taken yet, cannot go back to the peer.
"""

from __future__ import annotations

import mmap as mapping
from mmap import mmap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from threading import Lock

__all__ = ["BufferPool", "InputBuffer"]

_SMALL: Final = 32 * 1024
"""Bytes of a read where buffers are scarce: as much as is left unread, or this."""

_PRIVATE: Final = (
    {"flags": mapping.MAP_PRIVATE | mapping.MAP_ANONYMOUS}
    if hasattr(mapping, "MAP_ANONYMOUS")
    else {}
)


class BufferPool:
    """Buffers of one size, shared by the connections of an endpoint.

    Args:
        buffer_length: bytes of each buffer.
        plenty: how many may be lent or kept; beyond that number buffers are given back even
            where a part of a PDU is left, at the price of a copy.
        lock: guards the list; handed in because this package makes threads, not this module.
    """

    def __init__(self, buffer_length: int, plenty: int, lock: Lock) -> None:
        self.buffer_length = buffer_length
        self._plenty = plenty
        self._lock = lock
        self._free: list[mmap] = []
        self._lent = 0

    @property
    def lent(self) -> int:
        """How many buffers are in use."""
        return self._lent

    @property
    def is_scarce(self) -> bool:
        """Whether more buffers are in use than the pool likes to lend."""
        return self._lent > self._plenty

    @property
    def is_plentiful(self) -> bool:
        """Whether so few are in use that a connection may keep one from message to message."""
        return self._lent <= self._plenty // 2

    def take(self) -> mmap:
        """Lend a buffer."""
        with self._lock:
            self._lent += 1
            if self._free:
                return self._free.pop()
        return _untouched(self.buffer_length)

    def give_back(self, buffer: mmap) -> None:
        """Take a buffer back; nothing may refer to it any more."""
        with self._lock:
            self._lent -= 1
            if len(self._free) < self._plenty and self._lent + len(self._free) < self._plenty:
                self._free.append(buffer)


class InputBuffer:
    """The received and not yet handled bytes of one connection.

    Not locked: the connection record guards it.
    """

    __slots__ = ("_buffer", "_end", "_parked", "_pool", "_start", "_view")

    def __init__(self, pool: BufferPool) -> None:
        self._pool = pool
        self._buffer: mmap | None = None
        self._view = memoryview(b"")
        self._parked = b""
        self._start = 0
        self._end = 0

    @property
    def unread(self) -> memoryview:
        """What is not handled yet; valid until the next `room` or `settle`."""
        if self._buffer is None:
            return memoryview(self._parked)
        return self._view[self._start : self._end]

    @property
    def unread_length(self) -> int:
        """How many bytes are not handled yet."""
        return len(self._parked) if self._buffer is None else self._end - self._start

    def room(self) -> memoryview:
        """Where the next bytes may be received into; never empty.

        Unread bytes move to the front, since a PDU is handled in one piece. Where buffers are
        scarce it is small, but doubles for a PDU that is longer.
        """
        if self._buffer is None:
            self._buffer = self._pool.take()
            self._view = memoryview(self._buffer)
            self._start, self._end = 0, len(self._parked)
            self._view[: self._end] = self._parked
            self._parked = b""
        elif self._start:
            length = self._end - self._start
            self._view[:length] = self._view[self._start : self._end]
            self._start, self._end = 0, length
        if self._pool.is_scarce:
            return self._view[self._end : self._end + max(_SMALL, self._end)]
        return self._view[self._end :]

    def received(self, length: int) -> None:
        """Note that `length` bytes were received into `room`."""
        self._end += length

    def consume(self, length: int) -> None:
        """Note that the first `length` unread bytes are handled."""
        if self._buffer is None:
            self._parked = self._parked[length:]
        else:
            self._start += length

    def settle(self) -> None:
        """Give the buffer back if buffers are scarce, or nothing is left in it and others read."""
        if self._buffer is None:
            return
        pool = self._pool
        if self._start != self._end:
            if not pool.is_scarce:
                return
        elif pool.is_plentiful:
            self._start = self._end = 0
            return
        self.park()

    def park(self) -> None:
        """Give the buffer back: nothing comes for a while."""
        if self._buffer is not None:
            self._parked = bytes(self._view[self._start : self._end])
            self._release()

    def clear(self) -> None:
        """Forget everything."""
        self._parked = b""
        if self._buffer is not None:
            self._release()

    def _release(self) -> None:
        assert self._buffer is not None
        self._view = memoryview(b"")
        self._pool.give_back(self._buffer)
        self._buffer = None
        self._start = self._end = 0


def _untouched(length: int) -> mmap:
    """Make a buffer whose pages cost nothing before something is received into them.

    Most connections say little at a time; a bytearray would be filled with zeros to its end.
    """
    return mmap(-1, length, **_PRIVATE)
