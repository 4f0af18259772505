"""The connection of an association: what it takes, what it gives, and waiting for either.

Nothing here blocks but `wait`, which has a limit. The limits of time are the caller's business,
as is the protocol.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    # What is not read yet (`dicom_actors.dimse.pieces.Unread`) may be among them: it is read when
    # its turn has come.
    Buffers = Sequence[Any]

__all__ = ["SocketTransport", "Transport", "acknowledge_quickly", "wait_for_socket"]

_QUICK_ACK: Final = getattr(socket, "TCP_QUICKACK", None)
_CAN_GATHER: Final = hasattr(socket.socket, "sendmsg")
_MAPPED_AT_ONCE: Final = 512 * 1024
"""Bytes that are made ready for one call; of more a slow peer would have most made ready again."""
_GATHERED: Final = 64 * 1024
"""Bytes that go to one call where several buffers cannot: four TLS records of the greatest length,
and few enough that gathering them again, when the peer reads slowly, costs little."""


class Transport(Protocol):
    """A connection to a peer that never blocks but in `wait`."""

    def send(self, buffers: Buffers) -> int:
        """Send of these buffers what goes out at once; returns bytes, 0 for none for now.

        Args:
            buffers: at most 1,024, the number that systems take.

        Raises:
            FileChangedError: what is not read yet cannot be; where that was to go nothing else can.
            OSError: the connection is lost.
        """

    def receive_into(self, room: memoryview) -> int | None:
        """Receive what there is; returns bytes, 0 at the end, None for nothing yet."""

    def wait(self, seconds: float, *, for_writing: bool) -> None:
        """Return when there is something to receive, or room to send, or the time is over."""

    def stop_sending(self) -> None:
        """Say that nothing more comes."""

    def interrupt(self) -> None:
        """End the connection both ways, from any thread; a `wait` for it returns."""

    def close(self) -> None:
        """Close the connection; more than once does no harm."""


class SocketTransport:
    """A connected TCP socket, which belongs to this object.

    Args:
        connection: the socket; it does not block.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def send(self, buffers: Buffers) -> int:
        """See `Transport`."""
        try:
            if len(buffers) == 1:
                return self._socket.send(buffers[0])
            if _CAN_GATHER:
                return self._socket.sendmsg(buffers)
            return self._socket.send(gathered(buffers))
        except (BlockingIOError, InterruptedError):
            return 0
        except TypeError:
            return self._send_unread(buffers)

    def _send_unread(self, buffers: Buffers) -> int:
        """Send where some are not read yet."""
        there: list[bytes | memoryview] = []
        length = 0
        for buffer in buffers:
            if type(buffer) is bytes:
                there.append(buffer)
                continue
            if length >= _MAPPED_AT_ONCE:
                break
            view = buffer if type(buffer) is memoryview else buffer.for_system()
            there.append(view)
            length += len(view)
        try:
            return self._socket.sendmsg(there) if _CAN_GATHER else self._socket.send(there[0])
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            if error.errno == errno.EFAULT:
                for buffer in filter(_is_unread, buffers[: len(there)]):
                    buffer.read()  # which says what has changed
            raise

    def receive_into(self, room: memoryview) -> int | None:
        """See `Transport`. Raises OSError when the connection is lost."""
        try:
            return self._socket.recv_into(room)
        except (BlockingIOError, InterruptedError):
            return None

    def wait(self, seconds: float, *, for_writing: bool) -> None:
        """See `Transport`."""
        acknowledge_quickly(self._socket)
        wait_for_socket(self._socket, seconds, for_reading=True, for_writing=for_writing)

    def stop_sending(self) -> None:
        """See `Transport`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def interrupt(self) -> None:
        """See `Transport`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See `Transport`."""
        self._socket.close()


def gathered(buffers: Buffers) -> bytes | memoryview:
    """Return the first bytes of several buffers, 64 KiB at most, in one piece.

    Raises:
        FileChangedError: some are not read yet, and cannot be.
    """
    if len(buffers) == 1 or len(buffers[0]) >= _GATHERED:
        return memoryview(_read(buffers[0][:_GATHERED]))
    length = count = 0
    for buffer in buffers:
        length += len(buffer)
        count += 1
        if length >= _GATHERED:
            break
    return memoryview(b"".join(map(_read, buffers[:count])))[:_GATHERED]


def _is_unread(buffer: Any) -> bool:
    return type(buffer) is not memoryview and type(buffer) is not bytes


def _read(buffer: Any) -> bytes | memoryview:
    found: bytes | memoryview = buffer.read() if _is_unread(buffer) else buffer
    return found


def acknowledge_quickly(connection: socket.socket) -> None:
    """Have what was received acknowledged at once; to be said each time.

    A peer that sends small pieces under Nagle's algorithm waits for the acknowledgement of each,
    for which the system takes 40 ms. It forgets this setting by itself.
    """
    if _QUICK_ACK is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)


# Poll needs no descriptor of its own; where it is missing, the default serves as well.
_Selector: Final = getattr(selectors, "PollSelector", selectors.DefaultSelector)


def wait_for_socket(
    connection: socket.socket, seconds: float, *, for_reading: bool, for_writing: bool
) -> None:
    """Return when a socket is ready or the time is over.

    Args:
        connection: the socket.
        seconds: how long, 0 and more; `math.inf` for ever.
        for_reading: whether something to receive is ready.
        for_writing: whether room to send is.
    """
    wanted = (selectors.EVENT_READ if for_reading else 0) | (
        selectors.EVENT_WRITE if for_writing else 0
    )
    with _Selector() as selector:
        selector.register(connection, wanted)
        selector.select(None if seconds > 1e6 else seconds)
