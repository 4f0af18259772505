"""The socket of a connection, plain or under TLS. It never blocks.

Belongs to the connection record, which guards it with its lock and closes it once.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

__all__ = ["Transport"]

_IOV_MAX = 512
_JOINED = 64 * 1024
"""Bytes to be sent as one piece, where several cannot be: few enough that joining them again, when
the peer reads slowly, costs little, and that each piece taken shows that the peer goes on."""
_AT_A_TIME = 16 * 1024 * 1024
"""Bytes that are sent in one go, however fast the peer takes them: a connection has to look at
other things, too, while it sends something huge."""
_CAN_GATHER = hasattr(socket.socket, "sendmsg")
_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)
_WOULD_BLOCK = frozenset({errno.EAGAIN, errno.EWOULDBLOCK})


class Transport:
    """Reads into buffers, sends whole PDUs, keeps what the socket does not take.

    Args:
        connection: the accepted socket, not blocking; the transport owns it from now on.

    Attributes:
        socket: the socket to watch; another one after `start_tls`.
        is_secure: whether TLS was begun.
        is_handshaken: whether TLS is established.
        is_closed: whether the socket is closed.
        unsent: bytes that wait to be sent.
        peer_certificate: what `ssl.SSLSocket.getpeercert` gives; None without TLS.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.is_secure = False
        self.is_handshaken = False
        self.is_closed = False
        self.peer_certificate: dict[str, Any] | None = None
        self.unsent = 0
        self._output: deque[memoryview] = deque()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Put TLS on the connection; `handshake` does the rest.

        Raises:
            OSError: the connection is lost.
        """
        self.is_secure = True
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handshake(self) -> Literal["done", "read", "write"]:
        """Go on with the TLS handshake; says what it waits for.

        Raises:
            OSError: it failed (`ssl.SSLError` is one), or the connection is lost.
        """
        connection: Any = self.socket
        try:
            connection.do_handshake()
        except OSError as error:
            if _waits(error):
                return "write" if "Write" in type(error).__name__ else "read"
            raise
        self.peer_certificate = connection.getpeercert()
        self.is_handshaken = True
        return "done"

    def receive_into(self, room: memoryview) -> int | None:
        """Read once.

        Returns:
            How many bytes came; 0 at the end of the stream; None if there is nothing yet.

        Raises:
            OSError: the connection is lost.
        """
        if self.is_closed:
            return 0
        try:
            return self.socket.recv_into(room)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            if self.is_secure and _waits(error):
                return None
            raise

    def send(self, buffers: Iterable[bytes | memoryview]) -> bool:
        """Send, behind what is kept; returns whether all of it went out.

        Raises:
            OSError: the connection is lost.
        """
        views = [memoryview(part) for part in buffers if len(part)]
        self.unsent += sum(map(len, views))
        self._output.extend(views)
        return self.flush()

    def acknowledge_quickly(self) -> None:
        """Have what was read acknowledged at once; to be said after each read.

        A sender under Nagle's algorithm waits for our acknowledgement between a command and its
        data set. The system forgets this setting by itself.
        """
        if _QUICK_ACK is not None and not self.is_closed:
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    @property
    def has_output(self) -> bool:
        """Whether bytes wait to be sent."""
        return bool(self._output)

    def flush(self) -> bool:
        """Send what is kept, or a good part of it; returns and raises as `send` does."""
        output = self._output
        until = self.unsent - _AT_A_TIME
        while output and not self.is_closed:
            if self.unsent <= until:
                return False
            try:
                sent = self._write(list(islice(output, _IOV_MAX)))
            except OSError as error:
                if error.errno in _WOULD_BLOCK or (self.is_secure and _waits(error)):
                    return False
                raise
            self.unsent -= sent
            while sent and sent >= len(output[0]):
                sent -= len(output.popleft())
            if sent:
                output[0] = output[0][sent:]
        return True

    def _write(self, parts: list[memoryview]) -> int:
        if self.is_secure or not _CAN_GATHER:
            return self.socket.send(_joined(parts))
        if len(parts) == 1:
            return self.socket.send(parts[0])
        return self.socket.sendmsg(parts)

    def stop_sending(self) -> None:
        """Say that nothing more will be sent, so that closing does not destroy what was."""
        if not self.is_closed:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                return  # the peer was faster

    def close(self) -> None:
        """Close the socket."""
        self.is_closed = True
        self.socket.close()
        self._output.clear()


def _joined(parts: list[memoryview]) -> memoryview | bytearray:
    """Return the first bytes as one piece; after a failure no less than before, as TLS wants it."""
    if len(parts) == 1 or len(parts[0]) >= _JOINED:
        return parts[0][:_JOINED]
    joined = bytearray()
    for part in parts:
        joined += part[: _JOINED - len(joined)]
        if len(joined) == _JOINED:
            break
    return joined


def _waits(error: OSError) -> bool:
    # TLS has nothing to give, or cannot send, before more came. By name, since a plain endpoint
    # has no reason to load ssl.
    return type(error).__name__ in {"SSLWantReadError", "SSLWantWriteError"}
