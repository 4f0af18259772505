"""Messages between two processes over a socket of this machine: bytes, and open files.

A message has a head and a body, whose lengths come first. What is in them is for others; nothing
is made of them here, and how long they may be is for the receiver to say.
"""

from __future__ import annotations

import array
import os
import select
import socket
import time
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Channel", "Message", "shared_memory"]

_LENGTHS: Final = Struct("<IQI")
"""Of the head and of the body, and how many descriptors come along."""

_MOST_OF_HEAD: Final = 1 << 26
_MOST_DESCRIPTORS: Final = 8


class Message(NamedTuple):
    """What was received.

    Attributes:
        head: the head.
        body: the body; nobody else has it.
        descriptors: open files, which are the receiver's to close.
    """

    head: bytes
    body: bytearray
    descriptors: tuple[int, ...]


class Channel:
    """One end of a connection; one thread may send while another one receives.

    Args:
        connection: a connected stream socket of the family AF_UNIX; it is the channel's then.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket: Final = connection
        self._space = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)

    def close(self) -> None:
        """Close it; the other side sees the end."""
        self.socket.close()

    def is_readable(self, seconds: float) -> bool:
        """Wait so long at the most until there is something to receive, or the end of it."""
        waiting = select.poll()
        waiting.register(self.socket, select.POLLIN)
        return bool(waiting.poll(max(seconds, 0.0) * 1000))

    def send(
        self,
        head: bytes,
        body: bytes | bytearray | memoryview = b"",
        descriptors: Sequence[int] = (),
        due: float | None = None,
    ) -> None:
        """Send a message.

        Args:
            head: the head.
            body: the body.
            descriptors: open files, which stay open here.
            due: when to give up, by the monotonic clock; None: never.

        Raises:
            TimeoutError: it could not be sent in time; what was sent of it nobody knows.
            OSError: nobody is there any more.
        """
        first = memoryview(_LENGTHS.pack(len(head), len(body), len(descriptors)) + head)
        self._limit(due)
        if descriptors:
            first = first[socket.send_fds(self.socket, [first], list(descriptors)) :]
        for piece in (first, memoryview(body).cast("B")):
            at = 0
            while at < len(piece):
                self._limit(due)
                at += self.socket.send(piece[at:])

    def receive(self, most: int | None = None, due: float | None = None) -> Message | None:
        """Wait for a message.

        Args:
            most: how long a body may be; None: as long as it likes.
            due: when to give up, by the monotonic clock; None: never.

        Returns:
            It; None if there will be none: the other side has ended.

        Raises:
            TimeoutError: none came in time.
            ValueError: it is longer than it may be.
            OSError: the connection is lost.
        """
        self._limit(due)
        lengths = bytearray(_LENGTHS.size)
        descriptors: list[int] = []
        at = 0
        try:
            while at < len(lengths):
                self._limit(due)
                view = memoryview(lengths)[at:]
                count, more, _, _ = self.socket.recvmsg_into([view], self._space)
                for level, kind, data in more:
                    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                        found = array.array("i")
                        found.frombytes(data[: len(data) - len(data) % found.itemsize])
                        descriptors += found
                if not count:
                    _close(descriptors)
                    return None
                at += count
            of_head, of_body, _ = _LENGTHS.unpack(lengths)
            if of_head > _MOST_OF_HEAD or (most is not None and of_body > most):
                raise ValueError(  # noqa: TRY301 - what came along is closed
                    f"a message: expected up to {_MOST_OF_HEAD} and {most} bytes, "
                    f"got {of_head} and {of_body}"
                )
            head = self._read(of_head, due)
            body = None if head is None else self._read(of_body, due)
        except BaseException:
            _close(descriptors)
            raise
        if head is None or body is None:
            _close(descriptors)
            return None
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        return Message(bytes(head), body, tuple(descriptors))

    def _read(self, length: int, due: float | None) -> bytearray | None:
        data = bytearray(length)
        view, at = memoryview(data), 0
        while at < length:
            self._limit(due)
            count = self.socket.recv_into(view[at:])
            if not count:
                return None
            at += count
        return data

    def _limit(self, due: float | None) -> None:
        if due is None:
            if self.socket.gettimeout() is not None:
                self.socket.settimeout(None)
            return
        rest = due - time.monotonic()
        if rest <= 0:
            raise TimeoutError("no time is left")
        self.socket.settimeout(rest)


def shared_memory(data: bytes | bytearray | memoryview) -> int:
    """Put bytes where another process can map them, and give the descriptor of that.

    It has no name: nothing is left of it, whoever is killed.

    Raises:
        OSError: there is no room, or there are no descriptors.
    """
    import tempfile  # noqa: PLC0415 - for systems that have no better

    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("dicom-actors", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    view = memoryview(data).cast("B")
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
