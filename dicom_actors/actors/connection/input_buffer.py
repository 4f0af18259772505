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

    Attributes:
        lent: how many buffers are in use.
        is_scarce: whether more buffers are in use than the pool likes to lend.
        is_plentiful: whether so few are in use that a connection may keep one from message to
            message.
    """

    def __init__(self, buffer_length: int, plenty: int, lock: Lock) -> None:
        self.buffer_length = buffer_length
        self._plenty = plenty
        self._lock = lock
        self._free: list[mmap] = []
        self._note_lent(0)

    def _note_lent(self, count: int) -> None:
        # Looked at with each message, and changed much less often.
        self.lent = count
        self.is_scarce = count > self._plenty
        self.is_plentiful = count <= self._plenty // 2

    def take(self) -> mmap:
        """Lend a buffer."""
        with self._lock:
            self._note_lent(self.lent + 1)
            if self._free:
                return self._free.pop()
        return _untouched(self.buffer_length)

    def give_back(self, buffer: mmap) -> None:
        """Take a buffer back; nothing may refer to it any more."""
        with self._lock:
            self._note_lent(self.lent - 1)
            if len(self._free) < self._plenty and self.lent + len(self._free) < self._plenty:
                self._free.append(buffer)


class InputBuffer:
    """The received and not yet handled bytes of one connection.

    Not locked: the connection record guards it.

    Attributes:
        pool: where its buffer is lent from.
        unread_length: how many bytes are not handled yet.
    """

    __slots__ = ("_buffer", "_parked", "_start", "_view", "pool", "unread_length")

    def __init__(self, pool: BufferPool) -> None:
        self.pool = pool
        self._buffer: mmap | None = None
        self._view = memoryview(b"")
        self._parked = b""
        self._start = 0
        self.unread_length = 0

    @property
    def unread(self) -> memoryview:
        """What is not handled yet; valid until the next `room` or `settle`."""
        if self._buffer is None:
            return memoryview(self._parked)
        return self._view[self._start : self._start + self.unread_length]

    def room(self) -> memoryview:
        """Where the next bytes may be received into; never empty.

        Whoever has done so adds to `unread_length` how many came. Unread bytes move to the front,
        since a PDU is handled in one piece. Where buffers are scarce it is small, but doubles for a
        PDU that is longer.
        """
        length = self.unread_length
        if self._buffer is None:
            self._buffer = self.pool.take()
            self._view = memoryview(self._buffer)
            self._view[:length] = self._parked
            self._parked = b""
        elif self._start:
            if length:
                self._view[:length] = self._view[self._start : self._start + length]
            self._start = 0
        if self.pool.is_scarce:
            return self._view[length : length + max(_SMALL, length)]
        return self._view[length:] if length else self._view

    def consume(self, length: int) -> None:
        """Note that the first `length` unread bytes are handled."""
        self.unread_length -= length
        if self._buffer is None:
            self._parked = self._parked[length:]
        else:
            self._start += length

    def settle(self) -> None:
        """Give the buffer back if buffers are scarce, or nothing is left in it and others read.

        Nothing is done where the pool is plentiful, so that nobody needs to call this there.
        """
        if self.pool.is_scarce or not (self.pool.is_plentiful or self.unread_length):
            self.park()

    def park(self) -> None:
        """Give the buffer back: nothing comes for a while."""
        if self._buffer is not None:
            self._parked = bytes(self.unread)
            self._release()

    def clear(self) -> None:
        """Forget everything."""
        self._parked = b""
        self.unread_length = 0
        if self._buffer is not None:
            self._release()

    def _release(self) -> None:
        assert self._buffer is not None
        self._view = memoryview(b"")
        self.pool.give_back(self._buffer)
        self._buffer = None
        self._start = 0


def _untouched(length: int) -> mmap:
    """Make a buffer whose pages cost nothing before something is received into them.

    Most connections say little at a time; a bytearray would be filled with zeros to its end.
    """
    return mmap(-1, length, **_PRIVATE)
