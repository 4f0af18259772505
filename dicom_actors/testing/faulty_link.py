"""One direction of a connection through a `FaultyProxy`: what is read, and when it is written."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Corrupt", "Cut", "Delay", "FaultyLink", "LinkFault", "Stall"]

_MAX_HELD: Final = 8 << 20
"""Bytes that are held back before no more are read."""

_READ_LENGTH: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Delay:
    """Every byte comes `seconds` late, as on a long line; how many come is not limited."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends, in both directions, after `at` bytes; with a reset if wanted."""

    at: int
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Corrupt:
    """`length` bytes from offset `at` on come with the bits of `mask` turned over."""

    at: int
    length: int = 1
    mask: int = 0xFF


@dataclass(frozen=True, slots=True)
class Stall:
    """After `at` bytes nothing goes on, until `FaultyProxy.release`."""

    at: int


LinkFault: TypeAlias = Delay | Cut | Corrupt | Stall


class FaultyLink:
    """Reads from `source`, writes to `sink`. Belongs to the thread of its proxy.

    Args:
        source: a socket that does not block.
        sink: another.
        faults: what happens in this direction.
        now: tells the time in seconds.
        wake_at: called with the time at which something held back is due.

    Attributes:
        is_over: whether the source has ended and all that it said was written.
        is_cut: the `Cut` that has been reached; None if none was.
        is_blocked: whether the sink takes no more for now.
    """

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        faults: Sequence[LinkFault],
        now: Callable[[], float],
        wake_at: Callable[[float], object],
    ) -> None:
        self.source: Final = source
        self.sink: Final = sink
        self.is_over = False
        self.is_cut: Cut | None = None
        self.is_blocked = False
        self._corruptions = [fault for fault in faults if isinstance(fault, Corrupt)]
        self._delay = sum(fault.seconds for fault in faults if isinstance(fault, Delay))
        self._cut = min((f for f in faults if isinstance(f, Cut)), key=_offset, default=None)
        self._stall = min((f for f in faults if isinstance(f, Stall)), key=_offset, default=None)
        self._now = now
        self._wake_at = wake_at
        # What is held back, with its time; no bytes stand for the end of the stream.
        self._held: deque[tuple[float, memoryview]] = deque()
        self._held_length = 0
        self._read_length = 0
        self._written_length = 0
        self._has_ended = False

    @property
    def wants_input(self) -> bool:
        """Whether more should be read now."""
        return not self._has_ended and self._held_length < _MAX_HELD

    def read(self) -> None:
        """Read once.

        Raises:
            OSError: the source is gone.
        """
        try:
            data = self.source.recv(_READ_LENGTH)
        except BlockingIOError:
            return
        self._has_ended = not data
        due = self._now() + self._delay
        self._held.append((due, memoryview(self._corrupted(data))))
        self._held_length += len(data)
        self._read_length += len(data)
        if self._delay:
            self._wake_at(due)

    def release(self) -> None:
        """Stall no more."""
        self._stall = None

    def write(self) -> None:
        """Write what is due, as far as the faults and the sink let it through.

        Raises:
            OSError: the sink is gone.
        """
        self.is_blocked = False
        while self._held and self._held[0][0] <= self._now():
            due, data = self._held[0]
            allowed = self._allowed(len(data))
            if not data:
                self._end()
                return
            if not allowed:
                break
            try:
                sent = self.sink.send(data[:allowed])
            except BlockingIOError:
                self.is_blocked = True
                return
            self._written_length += sent
            self._held_length -= sent
            self._held[0] = (due, data[sent:])
            if sent == len(data):
                self._held.popleft()
        if self._cut is not None and self._written_length >= self._cut.at and self._read_length:
            self.is_cut = self._cut

    def _allowed(self, wanted: int) -> int:
        limits = [wanted]
        limits += [f.at - self._written_length for f in (self._cut, self._stall) if f is not None]
        return max(0, min(limits))

    def _end(self) -> None:
        self._held.popleft()
        self.is_over = True
        with contextlib.suppress(OSError):  # the other side was faster
            self.sink.shutdown(socket.SHUT_WR)

    def _corrupted(self, data: bytes) -> bytes:
        begin, end = self._read_length, self._read_length + len(data)
        changed: bytearray | None = None
        for fault in self._corruptions:
            for offset in range(max(begin, fault.at), min(end, fault.at + fault.length)):
                changed = bytearray(data) if changed is None else changed
                changed[offset - begin] ^= fault.mask
        return data if changed is None else bytes(changed)


def _offset(fault: Cut | Stall) -> int:
    return fault.at
